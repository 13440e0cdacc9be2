/* Where a read may go: the filter by state, age and floor, and the score. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../proxy/dispatch/route.h"
#include "../../topology/snapshot.h"

#define MS 1000000LL

enum { NODES = 4, MASTER = 0 };

/* A master and three replicas, all fresh, none loaded. */
struct group {
	struct node_vitals vitals[NODES];
	struct snapshot_node nodes[NODES];
	struct snapshot snapshot;
	struct node_load loads[NODES];
	struct session session;
	struct route_demand demand;
};

static void set_fresh(struct group *group, int node, int64_t ns)
{
	atomic_store(&group->vitals[node].fresh_as_of_ns, ns);
}

static struct group *make_group(void)
{
	struct group *group = calloc(1, sizeof(*group));

	assert_non_null(group);
	for (uint32_t i = 0; i < NODES; i++) {
		group->nodes[i] = (struct snapshot_node){ .id = i, .incarnation = 1, .up = true, .readable = i != MASTER,
							  .weight = 1, .vitals = &group->vitals[i] };
		set_fresh(group, (int)i, 10000 * MS);
	}
	group->snapshot = (struct snapshot){ .generation = 1, .master = MASTER, .node_count = NODES,
					     .nodes = group->nodes };
	group->session.consistency = CONSISTENCY_SESSION;
	group->session.read_node = SESSION_NO_NODE;
	group->demand = (struct route_demand){ .session = &group->session, .stay_on = SESSION_NO_NODE, .max_lag_ns = 1000 * MS,
					       .now_ns = 10010 * MS, .serve_without_master = true,
					       .gathers_on = SESSION_NO_NODE };
	return group;
}

static struct route route(struct group *group)
{
	return route_read(&group->snapshot, group->loads, &group->demand);
}

static void assert_node(struct group *group, uint32_t node)
{
	struct route chosen = route(group);

	assert_int_equal(chosen.target, ROUTE_NODE);
	assert_int_equal(chosen.node, node);
}

static void assert_master(struct group *group, enum route_reason reason)
{
	struct route chosen = route(group);

	assert_int_equal(chosen.target, ROUTE_MASTER);
	assert_int_equal(chosen.reason, reason);
}

static void never_the_master_itself(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->nodes[MASTER].readable = true;
	for (int i = 1; i < NODES; i++)
		group->nodes[i].readable = false;
	assert_master(group, ROUTE_REASON_NO_REPLICA);
	free(group);
}

static void unreadable_refused_and_avoided_are_out(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->nodes[1].readable = false;
	group->demand.avoid = 2 + 1;
	assert_node(group, 3);
	group->demand.refused_nodes = 1ULL << 3;
	assert_master(group, ROUTE_REASON_USER);
	group->nodes[3].readable = false;
	assert_master(group, ROUTE_REASON_NO_REPLICA);
	free(group);
}

static void ejected_ones_are_out_for_their_time(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->nodes[1].readable = false;
	group->nodes[2].readable = false;
	group->loads[3].ejected_until_ns = group->demand.now_ns + 1;
	assert_master(group, ROUTE_REASON_NO_REPLICA);
	group->loads[3].ejected_until_ns = group->demand.now_ns;
	assert_node(group, 3);
	free(group);
}

static void age_is_judged_by_this_workers_clock(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->demand.now_ns = 10000 * MS + group->demand.max_lag_ns;
	assert_int_equal(route(group).target, ROUTE_NODE);
	group->demand.now_ns++;
	assert_master(group, ROUTE_REASON_LAG);
	set_fresh(group, 2, 10500 * MS);
	assert_node(group, 2);
	set_fresh(group, 2, 0); /* unknown is not readable */
	assert_master(group, ROUTE_REASON_LAG);
	free(group);
}

static void set_floor(struct group *group, uint64_t offset)
{
	group->demand.floor = group->demand.floor_elsewhere = offset;
}

static void a_floor_has_to_be_reached(void **state)
{
	struct group *group = make_group();

	(void)state;
	set_floor(group, 500);
	assert_master(group, ROUTE_REASON_FLOOR);
	atomic_store(&group->vitals[3].offset, 499);
	assert_master(group, ROUTE_REASON_FLOOR);
	atomic_store(&group->vitals[3].offset, 500); /* as polled */
	assert_node(group, 3);
	assert_int_equal(route(group).floor, 500);
	atomic_store(&group->vitals[3].offset, 0);
	group->loads[2].position = 501; /* as seen on a data connection */
	assert_node(group, 2);
	free(group);
}

static void a_node_that_will_soon_be_there_is_worth_a_try(void **state)
{
	struct group *group = make_group();

	(void)state;
	set_floor(group, 500);
	group->demand.catch_up_ns = 2 * MS;
	group->loads[1].behind_ns = group->loads[3].behind_ns = 2 * MS;
	group->loads[2].behind_ns = 2 * MS - 1;
	for (int i = 1; i < NODES; i++)
		group->loads[i].behind_at_ns = group->demand.now_ns;
	assert_node(group, 2);
	group->loads[3].position = 500; /* one that is there is better */
	assert_node(group, 3);
	group->loads[3].outstanding = 1; /* but not at any price */
	assert_node(group, 2);
	free(group);
}

static void what_was_seen_of_a_node_long_ago_counts_less(void **state)
{
	struct group *group = make_group();

	(void)state;
	set_floor(group, 500);
	group->demand.catch_up_ns = 2 * MS;
	for (int i = 1; i < NODES; i++)
		group->loads[i] = (struct node_load){ .behind_ns = 100 * MS, .behind_at_ns = group->demand.now_ns };
	assert_master(group, ROUTE_REASON_FLOOR);
	group->demand.now_ns += 60 * MS;
	assert_int_equal(route(group).target, ROUTE_NODE);
	free(group);
}

static void what_has_no_offset_is_on_the_master_alone(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->demand.unproven = true;
	group->demand.catch_up_ns = 2 * MS;
	assert_master(group, ROUTE_REASON_FLOOR);
	group->demand.crosses_epochs = true;
	assert_master(group, ROUTE_REASON_EPOCH);
	free(group);
}

static void eventual_reads_know_no_floor_but_age(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->session.consistency = CONSISTENCY_EVENTUAL;
	set_floor(group, 500);
	group->demand.unproven = true;
	assert_int_equal(route(group).target, ROUTE_NODE);
	group->demand.now_ns = 12000 * MS;
	assert_master(group, ROUTE_REASON_LAG);
	free(group);
}

/* What was seen on one replica has to be on the next one too. */
static void reads_of_a_session_never_go_back_in_time(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->demand.stay_on = 2;
	group->demand.unproven_elsewhere = true;
	group->loads[2].outstanding = 10;
	assert_node(group, 2);
	group->demand.unproven_elsewhere = false;
	group->demand.floor_elsewhere = 500;
	assert_node(group, 2);
	group->loads[1].position = 500;
	assert_node(group, 1);
	group->demand.stay_on = SESSION_NO_NODE; /* the connection that showed it is gone */
	group->loads[1].position = 499;
	assert_master(group, ROUTE_REASON_FLOOR);
	free(group);
}

/* One batch costs less than two; but not for a read that it could not have. */
static void the_reads_of_a_turn_gather(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->loads[1].outstanding = 10;
	assert_node(group, 2);
	group->demand.gathers_on = 1;
	assert_node(group, 1);
	group->demand.floor = group->demand.floor_elsewhere = 500;
	group->loads[2].position = 500;
	assert_node(group, 2);
	group->loads[1].position = 500;
	assert_node(group, 1);
	group->nodes[1].readable = false;
	assert_node(group, 2);
	free(group);
}

static void least_outstanding_per_weight_wins(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->loads[1].outstanding = 3;
	group->loads[2].outstanding = 2;
	group->loads[3].outstanding = 4;
	assert_node(group, 2);
	group->nodes[3].weight = 4;
	assert_node(group, 3);
	free(group);
}

static void equals_share_by_weight(void **state)
{
	struct group *group = make_group();
	unsigned served[NODES] = { 0 };

	(void)state;
	group->nodes[3].weight = 2;
	for (int i = 0; i < 4000; i++) {
		struct route chosen = route(group);

		assert_int_equal(chosen.target, ROUTE_NODE);
		served[chosen.node]++;
		group->loads[chosen.node].served++;
	}
	assert_in_range(served[1], 990, 1010);
	assert_in_range(served[2], 990, 1010);
	assert_in_range(served[3], 1990, 2010);
	free(group);
}

static void a_clearly_slower_node_loses_a_tie(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->loads[1].latency_us = 100;
	group->loads[2].latency_us = 240; /* noise */
	group->loads[3].latency_us = 9000;
	for (int i = 1; i < NODES; i++)
		group->loads[i].measured_ns = group->demand.now_ns - 10 * MS;
	group->loads[1].served = 5;
	assert_node(group, 2);
	group->loads[2].served = 50;
	assert_node(group, 1);
	free(group);
}

/* Nothing measures a node that gets no reads. */
static void a_slow_moment_is_forgotten(void **state)
{
	struct group *group = make_group();

	(void)state;
	for (int i = 1; i < NODES; i++) {
		group->loads[i].latency_us = i == 3 ? 9000 : 100;
		group->loads[i].measured_ns = group->demand.now_ns;
		group->loads[i].served = i == 3 ? 0 : 100;
	}
	assert_int_not_equal(route(group).node, 3);
	group->demand.now_ns += 101 * MS;
	group->loads[1].measured_ns = group->loads[2].measured_ns = group->demand.now_ns;
	assert_node(group, 3);
	free(group);
}

static void a_new_node_starts_slowly(void **state)
{
	struct group *group = make_group();
	unsigned served[NODES] = { 0 };

	(void)state;
	group->nodes[3].readable = false;
	group->loads[2].readable_since_ns = group->demand.now_ns;
	for (int i = 0; i < 1100; i++) {
		struct route chosen = route(group);

		served[chosen.node]++;
		group->loads[chosen.node].served++;
	}
	assert_in_range(served[2], 90, 110); /* a tenth of the other's */
	free(group);
}

static void fallback_error_is_no_master(void **state)
{
	struct group *group = make_group();
	struct route chosen;

	(void)state;
	group->demand.fallback_error = true;
	set_floor(group, 500);
	chosen = route(group);
	assert_int_equal(chosen.target, ROUTE_NO_REPLICA);
	assert_int_equal(chosen.reason, ROUTE_REASON_FLOOR);
	free(group);
}

static void without_a_master_age_is_not_asked_but_floors_are(void **state)
{
	struct group *group = make_group();

	(void)state;
	group->snapshot.master = -1;
	for (int i = 1; i < NODES; i++)
		group->nodes[i].readable = false;
	assert_master(group, ROUTE_REASON_NO_REPLICA);
	group->nodes[2].readable_without_master = true;
	group->demand.now_ns = 99000 * MS;
	assert_node(group, 2);
	set_floor(group, 500);
	group->demand.catch_up_ns = 2 * MS; /* nothing comes any more */
	assert_master(group, ROUTE_REASON_FLOOR);
	atomic_store(&group->vitals[2].offset, 500);
	assert_node(group, 2);
	group->demand.serve_without_master = false;
	assert_master(group, ROUTE_REASON_NO_REPLICA);
	free(group);
}

/* A cursor goes on at its own node, or nowhere. */
static void what_is_bound_to_a_node(void **state)
{
	struct group *group = make_group();
	const struct snapshot *snapshot = &group->snapshot;

	(void)state;
	for (int i = 1; i < NODES; i++)
		group->nodes[i].sound = true;
	assert_int_equal(route_bound(snapshot, group->loads, MASTER, &group->demand), ROUTE_REASON_NONE);
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NONE);
	group->nodes[2].readable = false; /* drained: it ends what it has begun */
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NONE);
	group->nodes[2].sound = false;
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NO_REPLICA);
	group->demand.refused_nodes = 1ULL << 1;
	assert_int_equal(route_bound(snapshot, group->loads, 1, &group->demand), ROUTE_REASON_USER);
	set_floor(group, 500);
	assert_int_equal(route_bound(snapshot, group->loads, 3, &group->demand), ROUTE_REASON_FLOOR);
	assert_int_equal(route_bound(snapshot, group->loads, MASTER, &group->demand), ROUTE_REASON_NONE);
	group->demand.now_ns = 12000 * MS;
	assert_int_equal(route_bound(snapshot, group->loads, 3, &group->demand), ROUTE_REASON_LAG);
	free(group);
}

static void without_a_master_a_cursor_goes_on_as_reads_do(void **state)
{
	struct group *group = make_group();
	const struct snapshot *snapshot = &group->snapshot;

	(void)state;
	group->snapshot.master = -1;
	group->nodes[2].sound = true;
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NO_REPLICA);
	group->nodes[2].readable_without_master = true;
	group->demand.now_ns = 99000 * MS;
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NONE);
	group->demand.serve_without_master = false;
	assert_int_equal(route_bound(snapshot, group->loads, 2, &group->demand), ROUTE_REASON_NO_REPLICA);
	free(group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_the_master_itself),
		cmocka_unit_test(unreadable_refused_and_avoided_are_out),
		cmocka_unit_test(ejected_ones_are_out_for_their_time),
		cmocka_unit_test(age_is_judged_by_this_workers_clock),
		cmocka_unit_test(a_floor_has_to_be_reached),
		cmocka_unit_test(a_node_that_will_soon_be_there_is_worth_a_try),
		cmocka_unit_test(what_was_seen_of_a_node_long_ago_counts_less),
		cmocka_unit_test(what_has_no_offset_is_on_the_master_alone),
		cmocka_unit_test(eventual_reads_know_no_floor_but_age),
		cmocka_unit_test(reads_of_a_session_never_go_back_in_time),
		cmocka_unit_test(least_outstanding_per_weight_wins),
		cmocka_unit_test(equals_share_by_weight),
		cmocka_unit_test(a_clearly_slower_node_loses_a_tie),
		cmocka_unit_test(a_slow_moment_is_forgotten),
		cmocka_unit_test(a_new_node_starts_slowly),
		cmocka_unit_test(the_reads_of_a_turn_gather),
		cmocka_unit_test(fallback_error_is_no_master),
		cmocka_unit_test(without_a_master_age_is_not_asked_but_floors_are),
		cmocka_unit_test(what_is_bound_to_a_node),
		cmocka_unit_test(without_a_master_a_cursor_goes_on_as_reads_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
