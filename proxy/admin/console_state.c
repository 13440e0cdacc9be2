/* What the console tells of weir and the servers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../topology/journal.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "console_info.h"
#include "console_parts.h"
#include "events.h"

enum { EVENTS_AT_ONCE = 20 };

void console_ping(struct console_call *call)
{
	if (call->argc > 1)
		encode_bulk(call->out, call->argv[1]);
	else
		encode_status(call->out, "PONG");
}

void console_info(struct console_call *call)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = alloc_checked(open_memstream(&text, &length));

	info_print(call->sources, call->argv + 1, call->argc - 1, out);
	fclose(out);
	encode_bulk(call->out, (struct slice){ text, length });
	free(text);
}

/* As a Redis master answers ROLE: its offset, then ip, port and acknowledged
 * offset of every replica that is online, all of these as text. */
void console_role(struct console_call *call)
{
	const struct topology_view *view = topology_view(call->sources->topology);
	struct info_replica replica;
	char offset[32];
	size_t at = 0;

	if (view->master < 0) {
		console_error(call, "NOMASTER %s", view->no_master_reason == NULL ? "no usable master" :
										     view->no_master_reason);
		return;
	}
	encode_array(call->out, 3);
	encode_bulk_text(call->out, "master");
	encode_integer(call->out, view->nodes[view->master].offset);
	encode_array(call->out, info_count_replicas(view, true));
	while (info_next_replica(view, true, &at, &replica)) {
		snprintf(offset, sizeof(offset), "%" PRId64, replica.offset);
		encode_array(call->out, 3);
		encode_bulk_text(call->out, replica.ip);
		encode_bulk_text(call->out, replica.port);
		encode_bulk_text(call->out, offset);
	}
}

static void describe_replica(const struct topology_node_view *node, struct console_table *table)
{
	console_table_row(table);
	console_table_text(table, node->name);
	console_table_text(table, node->address);
	console_table_text(table, node->up ? "up" : "down");
	console_table_text(table, node->sync_in_progress == 1 ? "syncing" : node->link);
	console_table_integer(table, node->offset);
	console_table_integer(table, node->lag_bytes);
	console_table_decimal(table, node->lag_ms);
	console_table_text(table, node->readable ? "yes" : "no");
	console_table_text(table, node->wiring != NULL ? node->wiring : node->reason);
}

void console_replicas(struct console_call *call)
{
	static const char *const titles[] = { "name",      "address", "server",   "link",   "offset",
					      "lag_bytes", "lag_ms",  "readable", "reason", NULL };
	const struct topology_view *view = topology_view(call->sources->topology);
	struct console_table *table = console_table_begin(titles);

	for (size_t i = 0; i < view->node_count; i++)
		if (!view->nodes[i].is_master)
			describe_replica(&view->nodes[i], table);
	console_table_end(table, call->out);
}

/* ---- events ---- */

static void describe_event(const struct event *event, struct buf *out)
{
	char time[EVENT_TIME_ROOM], line[EVENT_TIME_ROOM + JOURNAL_NODE_ROOM + JOURNAL_TEXT_ROOM + 64];
	bool of_node = event->node[0] != '\0';

	event_time_print(time, event->time_ms);
	snprintf(line, sizeof(line), "%s %s %s%s%s", time, event_kind_name(event->kind), event->node, of_node ? ": " : "",
		 event->text);
	encode_status(out, line);
}

/* The newest ones, in the order in which they came. */
void console_events(struct console_call *call)
{
	const struct journal *journal = call->sources->journal;
	uint64_t newest = journal_newest(journal), first = 0, count = 0;
	int64_t wanted = EVENTS_AT_ONCE;
	const struct event *event;

	if (call->argc > 1 && !console_number(call, 1, 1, JOURNAL_EVENTS_MAX, &wanted))
		return;
	if (newest > (uint64_t)wanted)
		first = newest - (uint64_t)wanted;
	for (event = journal_after(journal, first); event != NULL; event = journal_after(journal, event->id))
		count++;
	encode_array(call->out, count);
	for (event = journal_after(journal, first); event != NULL; event = journal_after(journal, event->id))
		describe_event(event, call->out);
}
