/* Filter and score (DESIGN.md section 4).
 *
 * Filter: the node is readable by the control thread's judgement and not ejected
 * by this worker's (ejection.h), its data is
 * young enough by this worker's own clock (so a control thread that hangs
 * cannot keep a stale node in), and it is proven to show what the session must
 * see. Unknown means no.
 *
 * Score: least outstanding work per weight; among equals the clearly faster
 * one, else the one that served less lately. A node that has just become
 * readable starts slowly, its caches are cold. But before all that comes the node
 * that the turn's reads go to: one batch costs less than two. */
#include "route.h"

#include <stddef.h>

#include "../../topology/snapshot.h"

#define SLOW_START_NS 10000000000LL /* full weight after this long */
#define BEHIND_HALF_LIFE_NS 10000000LL

enum {
	SLOW_START_LEAST = 10,  /* percent of its weight that a new node begins with */
	LATENCY_FACTOR = 2,     /* slower counts only beyond this factor ... */
	LATENCY_NOISE_US = 1000 /* ... and this much on top */
};

uint64_t route_floor(const struct route_demand *demand, const struct snapshot_node *node)
{
	return demand->stay_on == (int32_t)node->id ? demand->floor : demand->floor_elsewhere;
}

/* How far behind it is expected to be. Whoever is not asked cannot show that it
 * has caught up: what was seen of it counts for less and less. */
static int64_t expected_behind_ns(const struct node_load *load, int64_t now_ns)
{
	int64_t halvings = (now_ns - load->behind_at_ns) / BEHIND_HALF_LIFE_NS;

	return halvings < 63 ? load->behind_ns >> (halvings > 0 ? halvings : 0) : 0;
}

/* As far as is known. */
static bool has_reached(const struct snapshot_node *node, const struct node_load *load, uint64_t floor)
{
	return load->position >= floor || atomic_load_explicit(&node->vitals->offset, memory_order_relaxed) >= floor;
}

static bool is_refused(const struct route_demand *demand, uint32_t node_id)
{
	return node_id >= 64 || (demand->refused_nodes >> node_id & 1);
}

static enum route_reason filter_by_floor(const struct snapshot_node *node, const struct node_load *load,
					 const struct route_demand *demand, bool orphaned)
{
	if (demand->unproven)
		return demand->crosses_epochs ? ROUTE_REASON_EPOCH : ROUTE_REASON_FLOOR;
	if (demand->unproven_elsewhere && demand->stay_on != (int32_t)node->id)
		return ROUTE_REASON_FLOOR;
	if (has_reached(node, load, route_floor(demand, node)) ||
	    (!orphaned && expected_behind_ns(load, demand->now_ns) < demand->catch_up_ns))
		return ROUTE_REASON_NONE;
	return ROUTE_REASON_FLOOR;
}

/* Is its data young enough, and does it hold what the session must see? */
static enum route_reason filter_data(const struct snapshot_node *node, const struct node_load *load, bool orphaned,
				     const struct route_demand *demand)
{
	int64_t fresh = atomic_load_explicit(&node->vitals->fresh_as_of_ns, memory_order_acquire);

	if (!orphaned && demand->now_ns - fresh > demand->max_lag_ns)
		return ROUTE_REASON_LAG;
	if (demand->session->consistency == CONSISTENCY_EVENTUAL)
		return ROUTE_REASON_NONE;
	return filter_by_floor(node, load, demand, orphaned);
}

static enum route_reason filter(const struct snapshot *snapshot, uint32_t index, const struct node_load *load,
				const struct route_demand *demand)
{
	const struct snapshot_node *node = &snapshot->nodes[index];
	bool orphaned = snapshot->master < 0;

	if ((int)index == snapshot->master || demand->avoid == node->id + 1)
		return ROUTE_REASON_NO_REPLICA;
	if (orphaned ? !(node->readable_without_master && demand->serve_without_master) : !node->readable)
		return ROUTE_REASON_NO_REPLICA;
	if (demand->now_ns < load->ejected_until_ns)
		return ROUTE_REASON_NO_REPLICA;
	if (is_refused(demand, node->id))
		return ROUTE_REASON_USER;
	return filter_data(node, load, orphaned, demand);
}

enum route_reason route_bound(const struct snapshot *snapshot, const struct node_load *loads, uint32_t index,
			      const struct route_demand *demand)
{
	const struct snapshot_node *node = &snapshot->nodes[index];
	bool orphaned = snapshot->master < 0;

	if ((int)index == snapshot->master)
		return ROUTE_REASON_NONE;
	if (orphaned ? !(node->readable_without_master && demand->serve_without_master) : !node->sound)
		return ROUTE_REASON_NO_REPLICA;
	if (is_refused(demand, node->id))
		return ROUTE_REASON_USER;
	return filter_data(node, &loads[node->id], orphaned, demand);
}

/* In percent of one weight unit, at least 1. */
static uint64_t effective_weight(const struct snapshot_node *node, const struct node_load *load, int64_t now_ns)
{
	int64_t age = now_ns - load->readable_since_ns;
	int64_t percent = 100;

	if (load->readable_since_ns != 0 && age < SLOW_START_NS)
		percent = SLOW_START_LEAST + (100 - SLOW_START_LEAST) * (age > 0 ? age : 0) / SLOW_START_NS;
	return (uint64_t)(node->weight ? node->weight : 1) * (uint64_t)percent;
}

struct candidate {
	uint32_t index;
	bool is_sure;             /* it is known to have reached the floor */
	int64_t behind_ns;        /* if not: how far it is expected to be behind */
	uint64_t weight;
	uint32_t latency_us; /* 0 unknown */
	const struct node_load *load;
};

/* a/wa < b/wb without division. */
static int compare_per_weight(uint64_t a, uint64_t weight_a, uint64_t b, uint64_t weight_b)
{
	uint64_t left = a * weight_b, right = b * weight_a;

	return left < right ? -1 : left > right;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
	int order = compare_per_weight(a->load->outstanding, a->weight, b->load->outstanding, b->weight);

	if (order != 0)
		return order < 0;
	if (a->is_sure != b->is_sure)
		return a->is_sure;
	if (a->behind_ns != b->behind_ns)
		return a->behind_ns < b->behind_ns;
	if (a->latency_us != 0 && b->latency_us != 0) {
		if (a->latency_us > b->latency_us * LATENCY_FACTOR + LATENCY_NOISE_US)
			return false;
		if (b->latency_us > a->latency_us * LATENCY_FACTOR + LATENCY_NOISE_US)
			return true;
	}
	return compare_per_weight(a->load->served, a->weight, b->load->served, b->weight) < 0;
}

static struct route route_to(const struct snapshot *snapshot, uint32_t index, const struct route_demand *demand)
{
	return (struct route){ .target = ROUTE_NODE, .node = index, .reason = ROUTE_REASON_NONE,
			       .floor = route_floor(demand, &snapshot->nodes[index]), .stays = demand->unproven_elsewhere };
}

struct route route_read(const struct snapshot *snapshot, const struct node_load *loads,
			const struct route_demand *demand)
{
	struct route route = { .target = ROUTE_MASTER, .reason = ROUTE_REASON_NO_REPLICA };
	struct candidate best = { .load = NULL };

	for (uint32_t i = 0; i < snapshot->node_count; i++) {
		const struct snapshot_node *node = &snapshot->nodes[i];
		struct candidate candidate = { .index = i, .load = &loads[node->id] };
		enum route_reason reason = filter(snapshot, i, candidate.load, demand);

		if (reason != ROUTE_REASON_NONE) {
			if (reason > route.reason)
				route.reason = reason;
			continue;
		}
		candidate.is_sure = has_reached(node, candidate.load, route_floor(demand, node));
		if (candidate.is_sure && demand->gathers_on == (int32_t)node->id)
			return route_to(snapshot, i, demand);
		if (!candidate.is_sure)
			candidate.behind_ns = expected_behind_ns(candidate.load, demand->now_ns);
		candidate.weight = effective_weight(node, candidate.load, demand->now_ns);
		candidate.latency_us = node_load_latency(candidate.load, demand->now_ns);
		if (best.load == NULL || is_better(&candidate, &best))
			best = candidate;
	}
	if (best.load != NULL)
		return route_to(snapshot, best.index, demand);
	if (demand->fallback_error)
		route.target = ROUTE_NO_REPLICA;
	return route;
}

static const char *const reason_names[] = {
	[ROUTE_REASON_NONE] = "none",
	[ROUTE_REASON_NO_REPLICA] = "no_replica",
	[ROUTE_REASON_USER] = "user",
	[ROUTE_REASON_LAG] = "lag",
	[ROUTE_REASON_FLOOR] = "floor",
	[ROUTE_REASON_EPOCH] = "epoch",
};

const char *route_reason_name(enum route_reason reason)
{
	return reason_names[reason];
}
