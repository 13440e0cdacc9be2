#include "ejection.h"

#include "../../topology/snapshot.h"
#include "../clock.h"
#include "../worker/control_line.h"
#include "../worker/worker.h"

enum {
	STRIKES_OUT = 3,
	FIRST_MS = 1000,
	DOUBLINGS_MAX = 5,
};

static bool is_ejected(const struct worker *worker, uint32_t node_id)
{
	return worker->loads[node_id].ejected_until_ns > worker->now_ns;
}

static bool may_serve(const struct snapshot *snapshot, size_t index)
{
	const struct snapshot_node *node = &snapshot->nodes[index];

	return (int)index != snapshot->master && (snapshot->master >= 0 ? node->readable : node->readable_without_master);
}

static bool is_last(const struct worker *worker, uint32_t node_id)
{
	const struct snapshot *snapshot = worker->snapshot;

	for (size_t i = 0; i < snapshot->node_count; i++)
		if (may_serve(snapshot, i) && snapshot->nodes[i].id != node_id && !is_ejected(worker, snapshot->nodes[i].id))
			return false;
	return true;
}

static int64_t duration_ns(struct worker *worker, const struct node_load *load)
{
	int64_t ns = clock_ms_to_ns((int64_t)FIRST_MS << load->ejections);

	return ns / 4 * (int64_t)(3 + worker_random(worker) % 3);
}

static void eject(struct worker *worker, const struct snapshot_node *node, enum strike strike)
{
	struct node_load *load = &worker->loads[node->id];
	int64_t ns = duration_ns(worker, load);

	load->ejected_until_ns = load->readable_since_ns = worker->now_ns + ns;
	if (load->ejections < DOUBLINGS_MAX)
		load->ejections++;
	stats_add(&worker->stats, STAT_ejections, 1);
	control_line_note(worker->shared->control, EVENT_ejected, node->name, "gets no reads for %lld ms: %s",
			  (long long)(ns / CLOCK_NS_PER_MS),
			  strike == STRIKE_SILENT ? "silent for backend_timeout" : "its connections fail one after the other");
}

void ejection_strike(struct worker *worker, uint32_t node_id, enum strike strike)
{
	const struct snapshot_node *node = worker->snapshot != NULL ? worker_node(worker, node_id) : NULL;
	struct node_load *load;

	if (node == NULL || node_id >= worker->load_count)
		return;
	load = &worker->loads[node_id];
	worker->struck = true;
	if (load->strikes < STRIKES_OUT)
		load->strikes += strike == STRIKE_SILENT ? STRIKES_OUT : 1;
	if (load->strikes < STRIKES_OUT || is_ejected(worker, node_id) || is_last(worker, node_id))
		return;
	load->strikes = STRIKES_OUT - 1; /* when it is back, one more is enough */
	eject(worker, node, strike);
}

static void forget(struct node_load *load)
{
	load->strikes = load->ejections = 0;
	load->ejected_until_ns = 0;
}

void ejection_answered(struct worker *worker, uint32_t node_id)
{
	forget(&worker->loads[node_id]);
	worker->struck = false;
	for (size_t i = 0; i < worker->load_count; i++)
		worker->struck = worker->struck || worker->loads[i].strikes > 0;
}

static bool was_readable(const struct snapshot *old, const struct snapshot_node *node)
{
	for (size_t i = 0; old != NULL && i < old->node_count; i++)
		if (old->nodes[i].id == node->id)
			return old->nodes[i].readable && old->nodes[i].incarnation == node->incarnation;
	return false;
}

/* Nobody but ejected ones: each of them is better than none. */
static void pardon_the_last(struct worker *worker)
{
	const struct snapshot *snapshot = worker->snapshot;
	bool any = false;

	for (size_t i = 0; i < snapshot->node_count; i++)
		any = any || (may_serve(snapshot, i) && !is_ejected(worker, snapshot->nodes[i].id));
	for (size_t i = 0; i < snapshot->node_count && !any; i++)
		worker->loads[snapshot->nodes[i].id].ejected_until_ns = 0;
}

void ejection_adopt(struct worker *worker, const struct snapshot *old)
{
	const struct snapshot *snapshot = worker->snapshot;

	for (size_t i = 0; i < snapshot->node_count; i++)
		if (snapshot->nodes[i].readable && !was_readable(old, &snapshot->nodes[i]))
			forget(&worker->loads[snapshot->nodes[i].id]);
	pardon_the_last(worker);
}
