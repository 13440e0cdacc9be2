/* From a replica that may serve reads, one fact after the other is spoilt: each
 * has to take it out of the readable ones, by its own name; and a position that
 * may be of another history counts as none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/clock.h"
#include "../../topology/group.h"

#define RUN(letter) letter "111111111111111111111111111111111111111"
#define HISTORY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HISTORY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { MASTER, REPLICA, OTHER, NODES };

enum { OFFSET = 1000 };

struct world {
	struct topology topology;
	struct topology_node_config configs[NODES];
	struct node nodes[NODES];
	struct node *places[NODES];
	struct standing standings[NODES];
};

static void say_follows(struct node *node, uint16_t port)
{
	snprintf(node->info.master_host, sizeof(node->info.master_host), "127.0.0.1");
	snprintf(node->role.master_host, sizeof(node->role.master_host), "127.0.0.1");
	node->info.master_port = port;
	node->role.master_port = port;
}

static void make_node(struct world *world, int id, const char *run_id)
{
	struct node *node = &world->nodes[id];
	struct topology_node_config *config = &world->configs[id];

	config->host = (char *)"127.0.0.1";
	config->port = (uint16_t)(6379 + id);
	node->config = config;
	node->id = node->index = (uint32_t)id;
	node->told_host = config->host;
	node->told_port = config->port;
	assert_true(address_parse(&node->address, config->host, config->port));
	node->health.state = HEALTH_UP;
	node->known = node->positioned = true;
	node->vitals = node_vitals_create();
	snprintf(node->info.redis_version, sizeof(node->info.redis_version), "7.0.15");
	snprintf(node->info.run_id, sizeof(node->info.run_id), "%s", run_id);
	snprintf(node->info.replid, sizeof(node->info.replid), HISTORY_A);
	node->info.role = node->role.role = id == MASTER ? SERVER_ROLE_MASTER : SERVER_ROLE_SLAVE;
	node->role.offset = node->info.applied_offset = OFFSET;
	node->role_sent_ns = node->role_answered_ns = clock_now_ns();
	node->info.backlog_active = node->info.read_only = node->info.link_up = 1;
	snprintf(node->role.state, sizeof(node->role.state), "connected");
	if (id != MASTER)
		say_follows(node, 6379);
}

static int set_up(void **state)
{
	static struct world world;
	struct topology *topology = &world.topology;

	memset(&world, 0, sizeof(world));
	for (int i = 0; i < NODES; i++)
		world.places[i] = &world.nodes[i];
	topology->nodes = world.places;
	topology->standings = world.standings;
	topology->node_count = topology->present_count = NODES;
	topology->config.max_lag_ms = 1000;
	topology->config.max_lag_bytes = 500;
	topology->round_every_ns = 100 * NS_PER_MS;
	topology->master_usable = true;
	topology->plan.master = topology->epoch.master = MASTER;
	topology->epoch.number = 1;
	topology->epoch.floor = epoch_floor_create();
	snprintf(topology->epoch.replid, sizeof(topology->epoch.replid), HISTORY_A);
	make_node(&world, MASTER, RUN("a"));
	make_node(&world, REPLICA, RUN("b"));
	make_node(&world, OTHER, RUN("c"));
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	for (int id = 0; id < NODES; id++)
		node_vitals_release(&world->nodes[id].vitals);
	epoch_floor_release(&world->topology.epoch.floor);
	return 0;
}

/* What the topology does when answers have come from everybody. */
static void observe(struct world *world)
{
	for (int id = 0; id < NODES; id++)
		observe_info(&world->topology, &world->nodes[id]);
	for (int id = 0; id < NODES; id++)
		observe_position(&world->topology, &world->nodes[id]);
	observe_readability(&world->topology);
}

static int64_t fresh_as_of(const struct world *world, int id)
{
	return atomic_load(&world->nodes[id].vitals->fresh_as_of_ns);
}

static void assert_reason(const struct world *world, const char *reason)
{
	const char *found = world->standings[REPLICA].reason;

	if (reason == NULL ? found != NULL : found == NULL || strcmp(found, reason) != 0)
		fail_msg("not readable: %s, expected %s", found ? found : "-", reason ? reason : "-");
}

static void a_good_replica_is_readable(void **state)
{
	struct world *world = *state;

	observe(world);
	assert_reason(world, NULL);
	assert_int_equal(fresh_as_of(world, REPLICA), world->nodes[MASTER].role_sent_ns);
	assert_int_equal(world->standings[REPLICA].lag_bytes, 0);
	assert_string_equal(world->standings[MASTER].reason, "master");
	assert_true(world->standings[REPLICA].readable_without_master);
	assert_false(world->standings[MASTER].readable_without_master);
}

/* ---- what it says of itself ---- */

static void is_down(struct node *node) { node->health.state = HEALTH_DOWN; }
static void is_unseen(struct node *node) { node->health.state = HEALTH_UNKNOWN; }
static void has_no_info(struct node *node) { node->known = false; }
static void has_no_role(struct node *node) { node->positioned = false; }
static void is_old(struct node *node) { snprintf(node->info.redis_version, 8, "6.2.5"); }
static void is_loading(struct node *node) { node->info.loading = 1; }
static void may_be_loading(struct node *node) { node->info.loading = INFO_UNKNOWN; }
static void is_master_by_info(struct node *node) { node->info.role = SERVER_ROLE_MASTER; }
static void is_master_by_role(struct node *node) { node->role.role = SERVER_ROLE_MASTER; }
static void is_syncing(struct node *node) { node->info.sync_in_progress = 1; }
static void may_be_syncing(struct node *node) { node->info.sync_in_progress = INFO_UNKNOWN; }
static void swaps_its_data(struct node *node) { node->info.async_loading = 1; }
static void is_syncing_by_role(struct node *node) { snprintf(node->role.state, 8, "sync"); }
static void is_writable(struct node *node) { node->info.read_only = 0; }
static void may_be_writable(struct node *node) { node->info.read_only = INFO_UNKNOWN; }

/* ---- what it is in the group ---- */

static void is_the_master_again(struct node *node) { memcpy(node->info.run_id, RUN("a"), sizeof(node->info.run_id)); }
static void is_chained(struct node *node) { say_follows(node, 6381); }
static void follows_a_stranger(struct node *node) { say_follows(node, 7000); memcpy(node->info.replid, HISTORY_B, 41); }
static void is_cut_off_by_info(struct node *node) { node->info.link_up = 0; }
static void is_cut_off_by_role(struct node *node) { snprintf(node->role.state, 8, "connect"); }
static void has_another_history(struct node *node) { memcpy(node->info.replid, HISTORY_B, sizeof(node->info.replid)); }
static void was_just_repointed(struct node *node) { node->role.master_port = 6381; }
static void was_just_repointed_far(struct node *node) { snprintf(node->role.master_host, 9, "10.0.0.1"); }
static void has_no_offset(struct node *node) { node->role.offset = -1; }
static void is_behind_all_samples(struct node *node) { node->role.offset = OFFSET - 501; }

struct fact {
	void (*spoil)(struct node *node);
	const char *reason;
};

/* The world with this one fact in it. */
static struct world *spoilt(void **state, const struct fact *fact)
{
	struct world *world = *state;

	tear_down(state);
	set_up(state);
	fact->spoil(&world->nodes[REPLICA]);
	observe(world);
	assert_reason(world, fact->reason);
	return world;
}

static void one_bad_fact_is_enough(void **state)
{
	static const struct fact of_itself[] = {
		{ is_down, "down" }, { is_unseen, "down" }, { has_no_info, "unknown" }, { has_no_role, "unknown" },
		{ is_old, "old_version" }, { is_loading, "loading" }, { may_be_loading, "unknown" },
		{ is_master_by_info, "not_a_replica" }, { is_master_by_role, "not_a_replica" }, { is_syncing, "sync" },
		{ may_be_syncing, "unknown" }, { swaps_its_data, "sync" }, { is_syncing_by_role, "sync" },
		{ is_writable, "writable" }, { may_be_writable, "unknown" },
	};
	static const struct fact of_its_data[] = {
		{ is_chained, "wrong_master" }, { follows_a_stranger, "wrong_master" }, { is_cut_off_by_role, "link_down" },
		{ has_another_history, "other_history" }, { was_just_repointed, "unknown" },
		{ was_just_repointed_far, "unknown" }, { has_no_offset, "unknown" }, { is_behind_all_samples, "lag" },
	};
	static const struct fact others[] = { { is_the_master_again, "same_server" }, { is_cut_off_by_info, "link_down" } };

	for (size_t i = 0; i < sizeof(of_itself) / sizeof(of_itself[0]); i++)
		assert_false(spoilt(state, &of_itself[i])->standings[REPLICA].readable_without_master);
	for (size_t i = 0; i < sizeof(of_its_data) / sizeof(of_its_data[0]); i++)
		assert_int_equal(fresh_as_of(spoilt(state, &of_its_data[i]), REPLICA), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		spoilt(state, &others[i]);
}

static void drained_by_the_operator(void **state)
{
	struct world *world = *state;

	world->standings[REPLICA].drained = true;
	observe(world);
	assert_reason(world, "drained");
	assert_false(world->standings[REPLICA].readable_without_master);
}

/* By any spelling: a live link in the master's own history. */
static void another_spelling_is_the_master(void **state)
{
	struct world *world = *state;
	struct node *node = &world->nodes[REPLICA];

	snprintf(node->info.master_host, sizeof(node->info.master_host), "some.name");
	snprintf(node->role.master_host, sizeof(node->role.master_host), "some.name");
	observe(world);
	assert_int_equal(world->standings[REPLICA].follows, PLAN_STRANGER);
	assert_reason(world, NULL);
}

/* What a replica on another machine calls 127.0.0.1 is not weir's. */
static void loopback_of_another_machine(void **state)
{
	struct world *world = *state;
	struct node *node = &world->nodes[REPLICA];

	world->configs[REPLICA].host = (char *)"10.0.0.2";
	node->told_host = "10.0.0.2";
	assert_true(address_parse(&node->address, "10.0.0.2", 6380));
	observe(world);
	assert_int_equal(world->standings[REPLICA].follows, PLAN_STRANGER);
	world->configs[MASTER].host = (char *)"10.0.0.2"; /* the same machine as its own */
	observe(world);
	assert_int_equal(world->standings[REPLICA].follows, MASTER);
}

/* ---- lag ---- */

static void sample(struct world *world, int64_t age_ms, int64_t offset)
{
	struct node *master = &world->nodes[MASTER];

	master->role.offset = offset;
	master->role_sent_ns = clock_now_ns() - age_ms * NS_PER_MS;
	observe_position(&world->topology, master);
}

static void too_old_and_back_again(void **state)
{
	struct world *world = *state;

	sample(world, 5000, OFFSET);
	sample(world, 0, OFFSET + 1);
	observe_info(&world->topology, &world->nodes[REPLICA]);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, "lag"); /* five seconds, by the sample that it has reached */
	assert_int_equal(world->standings[REPLICA].lag_bytes, 1);
	assert_true(world->standings[REPLICA].lag_ms > 4000);
	lag_reset(&world->topology.lag);
	sample(world, 900, OFFSET);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, "lag"); /* below the limit, but not by a fifth */
	lag_reset(&world->topology.lag);
	sample(world, 700, OFFSET);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, NULL);
	lag_reset(&world->topology.lag);
	sample(world, 900, OFFSET);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, NULL); /* it leaves at the limit itself */
}

/* A limit shorter than what passes between two rounds would make it come and go. */
static void limit_is_not_below_three_rounds(void **state)
{
	struct world *world = *state;

	world->topology.config.max_lag_ms = 50;
	sample(world, 200, OFFSET);
	observe_info(&world->topology, &world->nodes[REPLICA]);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, NULL);
	assert_true(clock_now_ns() - fresh_as_of(world, REPLICA) >= 200 * NS_PER_MS); /* for who reads by the age */
}

static void too_many_bytes(void **state)
{
	struct world *world = *state;

	sample(world, 10, OFFSET);
	sample(world, 0, OFFSET + 501);
	observe_info(&world->topology, &world->nodes[REPLICA]);
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, "lag_bytes");
	world->nodes[REPLICA].role.offset = OFFSET + 1;
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, "lag_bytes"); /* the fifth again */
	world->nodes[REPLICA].role.offset = OFFSET + 200;
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, NULL);
}

/* Offsets that go back are of another history, whatever the replid says. */
static void offsets_that_go_back(void **state)
{
	struct world *world = *state;

	observe(world);
	assert_int_not_equal(fresh_as_of(world, MASTER), 0);
	sample(world, 0, OFFSET - 1);
	assert_int_equal(fresh_as_of(world, MASTER), 0);
	assert_null(lag_newest(&world->topology.lag));
	observe_position(&world->topology, &world->nodes[REPLICA]);
	observe_readability(&world->topology);
	assert_reason(world, "unknown");
}

static void is_a_slave_by_info(struct node *node) { node->info.role = SERVER_ROLE_SLAVE; }
static void is_a_slave_by_role(struct node *node) { node->role.role = SERVER_ROLE_SLAVE; }
/* Then the offset stands still whatever is written. */
static void has_no_backlog(struct node *node) { node->info.backlog_active = 0; }

static void a_master_whose_offset_means_nothing(void **state)
{
	static void (*const facts[])(struct node *node) = {
		has_no_role, has_another_history, is_a_slave_by_info, is_a_slave_by_role, has_no_backlog,
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		struct world *world = *state;

		tear_down(state);
		set_up(state);
		facts[i](&world->nodes[MASTER]);
		observe(world);
		assert_int_equal(fresh_as_of(world, MASTER), 0);
		assert_reason(world, "unknown");
	}
}

/* ---- no master ---- */

static void without_a_master(void **state)
{
	struct world *world = *state;
	struct node *node = &world->nodes[REPLICA];

	observe(world);
	world->topology.master_usable = false;
	world->topology.plan.master = PLAN_NOBODY;
	node->info.link_up = 0;
	node->role.offset = -1;
	snprintf(node->role.state, sizeof(node->role.state), "connect");
	observe(world);
	assert_reason(world, "no_master");
	assert_true(world->standings[REPLICA].readable_without_master);
	assert_int_not_equal(fresh_as_of(world, REPLICA), 0); /* by what INFO kept */
	say_follows(node, 7000); /* nobody knows what that is, and the link cannot tell */
	observe(world);
	assert_false(world->standings[REPLICA].readable_without_master);
	say_follows(node, 6379);
	memcpy(node->info.replid, HISTORY_B, sizeof(node->info.replid));
	observe(world);
	assert_false(world->standings[REPLICA].readable_without_master);
	assert_int_equal(fresh_as_of(world, REPLICA), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_replica_is_readable),
		TEST(one_bad_fact_is_enough),
		TEST(drained_by_the_operator),
		TEST(another_spelling_is_the_master),
		TEST(loopback_of_another_machine),
		TEST(too_old_and_back_again),
		TEST(limit_is_not_below_three_rounds),
		TEST(too_many_bytes),
		TEST(offsets_that_go_back),
		TEST(a_master_whose_offset_means_nothing),
		TEST(without_a_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
