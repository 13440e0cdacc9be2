/* Counters become rates here: each second's is the difference to the second
 * before, by the time that has really passed. */
#include "sampler.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "../clock.h"
#include "events.h"
#include "history.h"
#include "../measures/measures.h"
#include "../measures/stats.h"

/* What a column of the history is the rate of; STAT_COUNT ends the list. */
enum { SUMMED_MAX = 5 };

static const enum stat_id summed[HISTORY_COLUMNS][SUMMED_MAX] = {
	[HISTORY_CLIENTS] = { STAT_COUNT }, /* not a rate */
	[HISTORY_READS_ON_REPLICAS] = { STAT_reads_on_replicas, STAT_COUNT },
	[HISTORY_READS_ON_MASTER] = { STAT_reads_on_master, STAT_COUNT },
	[HISTORY_WRITES] = { STAT_writes, STAT_COUNT },
	[HISTORY_OTHERS] = { STAT_master_reads, STAT_scripts, STAT_transactions, STAT_private, STAT_COUNT },
};

struct sampler {
	struct ev_loop *loop;
	const struct admin_sources *sources;
	ev_timer tick;
	struct history *history;
	int64_t sampled_ns;              /* the last time */
	int64_t counted[HISTORY_COLUMNS]; /* and what the counters were then */
	struct latency_sum answered[MEASURES_NODES]; /* and what each node had answered */
};

static int64_t count_now(const struct sampler *sampler, enum history_column column)
{
	const struct admin_sources *sources = sampler->sources;
	int64_t count = 0;

	for (size_t i = 0; summed[column][i] != STAT_COUNT; i++)
		count += stats_of_commands(sources->stats, sources->stats_count, summed[column][i]);
	return count;
}

static int64_t per_second(int64_t count, int64_t passed_ns)
{
	return (int64_t)((double)count * CLOCK_NS_PER_S / (double)passed_ns + 0.5);
}

static void sample_group(struct sampler *sampler, int64_t now_ns, int64_t passed_ns)
{
	const struct admin_sources *sources = sampler->sources;
	int64_t values[HISTORY_COLUMNS];

	for (size_t column = 0; column < HISTORY_COLUMNS; column++) {
		int64_t count = count_now(sampler, (enum history_column)column);

		values[column] = per_second(count - sampler->counted[column], passed_ns);
		sampler->counted[column] = count;
	}
	values[HISTORY_CLIENTS] = stats_sum(sources->stats, sources->stats_count, STAT_clients_connected);
	/* The wall clock of the start, and the steady one since: times never go back. */
	history_add(sampler->history, sources->started_unix_ms + (now_ns - sources->started_ns) / CLOCK_NS_PER_MS, values);
}

/* What the node has answered since the second before. A node that took over the
 * number of another one begins at nothing. */
static void answered_since(struct sampler *sampler, uint32_t id, struct latency_sum *sum)
{
	const struct admin_sources *sources = sampler->sources;
	struct latency_sum now = { 0 };

	measures_sum_node(sources->measures, sources->measures_count, id, &now);
	*sum = now;
	if (now.count >= sampler->answered[id].count)
		latency_sum_since(sum, &sampler->answered[id]);
	sampler->answered[id] = now;
}

static void sample_answers(struct sampler *sampler, uint32_t id, int64_t passed_ns, int64_t values[HISTORY_NODE_COLUMNS])
{
	struct latency_sum sum;

	if (id >= MEASURES_NODES)
		return;
	answered_since(sampler, id, &sum);
	values[HISTORY_REQUESTS] = per_second((int64_t)sum.count, passed_ns);
	values[HISTORY_P50_US] = (int64_t)latency_sum_quantile(&sum, 0.5);
	values[HISTORY_P99_US] = (int64_t)latency_sum_quantile(&sum, 0.99);
}

/* Of who is down only the past is known. */
static void sample_node(struct sampler *sampler, const struct topology_node_view *node, int64_t passed_ns)
{
	int64_t values[HISTORY_NODE_COLUMNS] = {
		[HISTORY_REQUESTS] = HISTORY_UNKNOWN,
		[HISTORY_LAG_US] = !node->up || node->lag_then_ms < 0 ? HISTORY_UNKNOWN : (int64_t)(node->lag_then_ms * 1000),
		[HISTORY_LAG_BYTES] = node->up ? node->lag_bytes : HISTORY_UNKNOWN,
		[HISTORY_P50_US] = HISTORY_UNKNOWN,
		[HISTORY_P99_US] = HISTORY_UNKNOWN,
	};

	sample_answers(sampler, node->id, passed_ns, values);
	history_add_node(sampler->history, node->name, values);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sampler *sampler = timer->data;
	const struct topology_view *view = topology_view(sampler->sources->topology);
	int64_t now_ns = clock_ns();
	int64_t passed_ns = now_ns - sampler->sampled_ns;

	(void)loop;
	(void)events;
	if (passed_ns <= 0)
		return;
	sampler->sampled_ns = now_ns;
	sample_group(sampler, now_ns, passed_ns);
	for (size_t i = 0; i < view->node_count; i++)
		sample_node(sampler, &view->nodes[i], passed_ns);
}

void sampler_print(const struct sampler *sampler, uint64_t since, FILE *out)
{
	char started[EVENT_TIME_ROOM];

	event_time_print(started, sampler->sources->started_unix_ms);
	fprintf(out, "{\"started\":\"%s\",\"step_seconds\":1,", started);
	history_print(sampler->history, since, out);
	fputs("}\n", out);
}

struct sampler *sampler_start(struct ev_loop *loop, const struct admin_sources *sources)
{
	struct sampler *sampler = alloc_zeroed(1, sizeof(*sampler));

	sampler->loop = loop;
	sampler->sources = sources;
	sampler->history = history_create();
	sampler->sampled_ns = clock_ns();
	ev_timer_init(&sampler->tick, on_tick, 1., 1.);
	sampler->tick.data = sampler;
	ev_timer_start(loop, &sampler->tick);
	return sampler;
}

void sampler_stop(struct sampler **sampler)
{
	ev_timer_stop((*sampler)->loop, &(*sampler)->tick);
	history_destroy(&(*sampler)->history);
	free(*sampler);
	*sampler = NULL;
}
