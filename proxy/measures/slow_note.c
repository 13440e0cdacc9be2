#include "slow_note.h"

#include <stdio.h>

#include "../../protocol/alloc.h"
#include "../../protocol/command.h"
#include "../../protocol/encode.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../worker/control_line.h"
#include "../backend/request.h"
#include "slowlog.h"
#include "../worker/worker.h"

static void copy(char text[SLOWLOG_TEXT_ROOM], const char *from)
{
	snprintf(text, SLOWLOG_TEXT_ROOM, "%s", from == NULL ? "" : from);
}

/* Of one that was passed on as it came nothing is left but its name. */
static void name_alone(const struct client *client, struct buf *out)
{
	const struct command_table *table = client->worker->commands;
	bool known = client->last_command < command_table_count(table);

	encode_array(out, 2);
	encode_bulk_text(out, known ? command_table_at(table, client->last_command)->name : "?");
	encode_bulk_text(out, "... (a large request)");
}

void slow_note(struct worker *worker, const struct request *request, const struct backend *from, const char *bytes,
	       uint32_t total_us)
{
	struct client *client = request->client;
	const struct snapshot_node *node = worker_node(worker, from->node_id);
	const struct identity *identity = client->session.identity;
	uint32_t node_us = worker->reading_us - sendings_us(&from->sendings);
	struct slow_command *note;

	stats_add(&worker->stats, STAT_slow_commands, 1);
	if (worker->slow_notes_left == 0)
		return;
	worker->slow_notes_left--;
	note = alloc_zeroed(1, sizeof(*note));
	note->total_us = total_us;
	note->node_us = node_us < total_us ? node_us : total_us;
	note->queue_us = total_us - note->node_us;
	copy(note->node, node == NULL ? NULL : node->name);
	copy(note->address, client_peer(client));
	copy(note->client, client->session.name);
	snprintf(note->user, sizeof(note->user), "%.*s", (int)identity->user.length, identity->user.bytes);
	if (request->flags & REQUEST_CUT)
		name_alone(client, &note->arguments);
	else
		slow_command_arguments(bytes, &note->arguments);
	control_line_slow(worker->shared->control, note);
}
