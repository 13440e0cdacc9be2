/* What the console tells of durations: the slow log, and the histograms. */
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "console_parts.h"
#include "../measures/measures.h"
#include "../measures/slowlog.h"

enum { SLOW_AT_ONCE = 10 };

/* ---- the slow log ---- */

/* The first six as Redis has them; what is weir's own stands behind. */
static void append_slow(const struct slow_command *command, struct buf *out)
{
	struct slice arguments = buf_slice(&command->arguments);

	encode_array(out, 10);
	encode_integer(out, (int64_t)command->id);
	encode_integer(out, command->ended_ms / 1000);
	encode_integer(out, command->total_us);
	buf_append(out, arguments.bytes, arguments.length);
	encode_bulk_text(out, command->address);
	encode_bulk_text(out, command->client);
	encode_bulk_text(out, command->node);
	encode_bulk_text(out, command->user);
	encode_integer(out, command->queue_us);
	encode_integer(out, command->node_us);
}

/* -1 asks for all, as Redis has it. */
void console_slowlog_get(struct console_call *call)
{
	const struct slowlog *slowlog = call->sources->slowlog;
	int64_t wanted = SLOW_AT_ONCE;
	size_t count = slowlog_length(slowlog);

	if (call->argc > 2 && slice_is(call->argv[2], "-1"))
		wanted = SLOWLOG_ENTRIES_MAX;
	else if (call->argc > 2 && !console_number(call, 2, 0, INT32_MAX, &wanted))
		return;
	if ((uint64_t)wanted < count)
		count = (size_t)wanted;
	encode_array(call->out, count);
	for (size_t i = 0; i < count; i++)
		append_slow(slowlog_at(slowlog, i), call->out);
}

void console_slowlog_len(struct console_call *call)
{
	encode_integer(call->out, (int64_t)slowlog_length(call->sources->slowlog));
}

void console_slowlog_reset(struct console_call *call)
{
	slowlog_reset(call->sources->slowlog);
	encode_status(call->out, "OK");
}

/* ---- histograms ---- */

static double ms(double us)
{
	return us < 0 ? us : us / 1000;
}

static void describe(struct console_table *table, const char *of, const struct latency_sum *sum)
{
	double mean_us = sum->count > 0 ? (double)sum->sum_us / (double)sum->count : -1;

	console_table_row(table);
	console_table_text(table, of);
	console_table_integer(table, (int64_t)sum->count);
	console_table_decimal(table, ms(mean_us));
	console_table_decimal(table, ms(latency_sum_quantile(sum, 0.5)));
	console_table_decimal(table, ms(latency_sum_quantile(sum, 0.99)));
	console_table_decimal(table, ms(latency_sum_quantile(sum, 0.999)));
	console_table_decimal(table, ms(latency_sum_quantile(sum, 1)));
}

static void describe_classes(const struct admin_sources *sources, struct console_table *table)
{
	struct latency_sum sum;

	for (int i = 0; i < LATENCY_CLASS_COUNT; i++) {
		measures_sum_class(sources->measures, sources->measures_count, (enum latency_class)i, &sum);
		describe(table, latency_class_name((enum latency_class)i), &sum);
	}
	sum = (struct latency_sum){ 0 };
	for (size_t i = 0; i < sources->measures_count; i++)
		latency_sum_add(&sum, &sources->measures[i]->loop_lag);
	describe(table, "loop lag", &sum);
}

static void describe_node(const struct admin_sources *sources, const struct topology_node_view *node,
			  struct console_table *table)
{
	struct latency_sum sum;

	measures_sum_node(sources->measures, sources->measures_count, node->id, &sum);
	describe(table, node->name, &sum);
}

static const struct topology_node_view *find_node(const struct topology_view *view, const char *name)
{
	for (size_t i = 0; i < view->node_count; i++)
		if (strcmp(view->nodes[i].name, name) == 0)
			return &view->nodes[i];
	return NULL;
}

void console_latency(struct console_call *call)
{
	static const char *const titles[] = { "of", "count", "mean", "p50", "p99", "p99.9", "max", NULL };
	const struct topology_view *view = topology_view(call->sources->topology);
	const struct topology_node_view *only = NULL;
	char name[CONSOLE_WORD_ROOM];
	struct console_table *table;

	if (call->argc > 1) {
		console_copy_word(name, call->argv[1]);
		only = find_node(view, name);
		if (only == NULL) {
			console_error(call, "ERR no server has the name '%s'", name);
			return;
		}
	}
	table = console_table_begin(titles);
	if (only == NULL)
		describe_classes(call->sources, table);
	for (size_t i = 0; i < view->node_count; i++)
		if (only == NULL || only == &view->nodes[i])
			describe_node(call->sources, &view->nodes[i], table);
	console_table_end(table, call->out);
}
