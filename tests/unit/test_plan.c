/* The plan's guards, one test for each way to lose data, and at the end the
 * same from every combination of a small world, against a second statement of
 * the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/plan.h"

#define RUN(letter) letter "111111111111111111111111111111111111111"
#define HISTORY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HISTORY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HISTORY_C "cccccccccccccccccccccccccccccccccccccccc"

enum { NODES = 3 };

struct world {
	struct plan_node nodes[NODES];
	struct plan_group group;
	struct plan plan;
	struct plan_step steps[NODES];
};

static struct plan_node server(const char *name, const char *run_id)
{
	return (struct plan_node){
		.name = name, .reach = PLAN_UP, .supported = true, .version = "7.0.15",
		.role = SERVER_ROLE_MASTER, .run_id = run_id, .replid = "", .replid2 = "",
		.second_offset = -1, .follows = PLAN_NOBODY, .read_only = true, .local = true,
		.told = "127.0.0.1:6379", .told_loopback = true, .seen_run_id = "", .seen_master_run_id = "",
	};
}

static struct plan_node holding(struct plan_node node, const char *replid, int64_t offset, int64_t keys)
{
	node.replid = replid;
	node.offset = offset;
	node.keys = keys;
	return node;
}

static struct plan_node replica_of(struct plan_node node, int follows, bool link_up)
{
	node.role = SERVER_ROLE_SLAVE;
	node.follows = follows;
	node.link_up = link_up;
	return node;
}

static struct plan_node promoted_from(struct plan_node node, const char *replid2, int64_t second_offset)
{
	node.replid2 = replid2;
	node.second_offset = second_offset;
	return node;
}

static struct plan_memory remembering(const char *run_id, const char *replid, int64_t offset, int64_t keys)
{
	return (struct plan_memory){0, run_id, replid, offset, keys, "", PLAN_NOBODY, PLAN_NOBODY, false};
}

/* A master with data, a replica in place, and a bare server. */
static void usual(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->nodes[0] = holding(server("a", RUN("a")), HISTORY_A, 100, 5);
	world->nodes[1] = replica_of(holding(server("b", RUN("b")), HISTORY_A, 100, 5), 0, true);
	world->nodes[2] = holding(server("c", RUN("c")), HISTORY_C, 0, 0);
	world->group = (struct plan_group){.nodes = world->nodes, .node_count = NODES, .enforce = true};
	world->group.memory = (struct plan_memory){PLAN_NOBODY, "", "", 0, 0, "", PLAN_NOBODY, PLAN_NOBODY, false};
	world->plan.steps = world->steps;
}

static void plan(struct world *world)
{
	plan_make(&world->group, &world->plan);
}

static void assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* ---- wiring ---- */

static void bare_server_is_wired(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[0].action, PLAN_NONE);
	assert_string_equal(world.steps[0].refusal, "");
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

static void bare_server_is_wired_to_an_empty_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = holding(world.nodes[0], HISTORY_A, 0, 0);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 0, 0);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

static void functions_count_as_data(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2].libraries = 1;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2].libraries = INFO_UNKNOWN;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
}

/* Its keys are still on its disk, however few it counts. */
static void loading_server_is_not_empty_yet(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2].loading = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[1].loading = true;
	world.nodes[1].read_only = false;
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void foreign_data_is_left_alone(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = holding(world.nodes[2], HISTORY_C, 50, 7);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "another history");
	assert_says(world.plan.observe, "both masters with data");
}

static void named_data_may_be_overwritten(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = holding(world.nodes[2], HISTORY_C, 50, 7);
	world.nodes[2].allow_overwrite = true;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

static void full_node_is_never_wired_to_an_empty_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.accept_reset_master = true; /* so that there is a master at all */
	world.nodes[0] = holding(world.nodes[0], HISTORY_A, 0, 0);
	world.nodes[1] = replica_of(holding(world.nodes[1], HISTORY_A, 0, 3), PLAN_STRANGER, false);
	world.nodes[2] = holding(world.nodes[2], HISTORY_C, 50, 7);
	world.nodes[2].allow_overwrite = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "is empty");
}

static void another_groups_replica_is_left_alone(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_C, 50, 7), PLAN_STRANGER, true);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "another history");
}

static void one_server_under_two_addresses(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = world.nodes[0];
	world.nodes[2].name = "c";
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "same server as a");
}

static void one_replica_under_two_addresses(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = holding(server("b", RUN("c")), HISTORY_C, 0, 0);
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "same server as b");
}

/* The two answers are of two moments: it has been promoted in between. */
static void master_is_not_told_to_follow_itself(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = replica_of(world.nodes[0], PLAN_STRANGER, false);
	world.nodes[1] = holding(server("b", RUN("a")), HISTORY_A, 100, 5);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_A, 100, 5), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_int_equal(world.steps[0].action, PLAN_NONE);
}

static void loopback_is_not_told_to_another_machine(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2].local = false;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "announce=");
	world.nodes[0].told = "10.0.0.1:6379";
	world.nodes[0].told_loopback = false;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

static void other_spelling_is_not_rewired(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1].follows = PLAN_STRANGER;
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_string_equal(world.steps[1].refusal, "");
}

static void chained_replica_is_reported(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_A, 90, 5), 1, true);
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "chained: it follows b");
	world.nodes[2].link_up = false; /* then it stands alone, and may be wired */
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_C, 90, 5), 1, true);
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "another history");
}

/* Behind the master that was lost it holds what only that one had, or is chained. */
static void stranded_replica_follows_the_next_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = promoted_from(holding(world.nodes[0], HISTORY_B, 180, 5), HISTORY_A, 101);
	world.nodes[1] = replica_of(holding(world.nodes[1], HISTORY_B, 180, 5), 0, true);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_A, 150, 5), 1, true);
	world.nodes[2].expendable = 50;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "left the history");
	world.nodes[2].stranded = true;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
	world.nodes[2].expendable = 49;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_B, 170, 5), 1, true);
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

/* It lacks something, and another one has followed the old master that came back empty. */
static void heir_is_taken_whatever_the_others_did(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("b"), HISTORY_A, 140, 5);
	world.nodes[0] = holding(server("a", RUN("e")), HISTORY_C, 28, 0);
	world.nodes[0].fenced = true;
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 100, 5), HISTORY_A, 101);
	world.nodes[2] = replica_of(holding(server("c", RUN("c")), HISTORY_C, 28, 0), 0, true);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	world.group.memory.heir = 1;
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	assert_int_equal(world.steps[0].action, PLAN_REPLICAOF);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
	world.nodes[1].replid2 = ""; /* it was started anew meanwhile */
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
}

static void replica_of_nobody_we_know_returns(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = replica_of(world.nodes[1], PLAN_STRANGER, false);
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	world.nodes[1].offset = 101; /* ahead of the master: it has something of its own */
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_says(world.steps[1].refusal, "left the history");
}

static void old_master_returns_only_up_to_the_promotion(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = promoted_from(holding(world.nodes[0], HISTORY_B, 150, 5), HISTORY_A, 101);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_A, 100, 5);
	world.group.memory = remembering(RUN("a"), HISTORY_B, 140, 5);
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	world.nodes[1].offset = 101;
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

/* Restarted from its file, as a master: then its own history begins where that ends. */
static void old_master_returns_from_its_file(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = promoted_from(holding(world.nodes[0], HISTORY_B, 150, 5), HISTORY_A, 101);
	world.nodes[1] = promoted_from(holding(server("b", RUN("e")), HISTORY_C, 90, 5), HISTORY_A, 91);
	world.group.memory = remembering(RUN("a"), HISTORY_B, 140, 5);
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	world.nodes[1].offset = 91; /* it has been written to */
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	world.nodes[1] = promoted_from(holding(world.nodes[1], HISTORY_C, 101, 5), HISTORY_A, 102); /* it had more */
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void promoted_by_mistake_returns_only_without_writes(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 90, 5), HISTORY_A, 91);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[1].offset = 95;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void plain_restart_returns(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2] = holding(world.nodes[2], HISTORY_C, 0, 5);
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2].seen_run_id = RUN("d");
	world.nodes[2].seen_master_run_id = RUN("a");
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
	world.nodes[2].offset = 3; /* somebody replicated from it meanwhile */
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2].offset = 0;
	world.nodes[2] = promoted_from(world.nodes[2], HISTORY_B, 1); /* it had another master since */
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2] = promoted_from(world.nodes[2], "", -1);
	world.nodes[2].seen_run_id = world.nodes[2].run_id; /* it never restarted */
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[2].seen_run_id = RUN("d");
	world.nodes[2].seen_master_run_id = RUN("e"); /* another master's data */
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
}

static void writable_replica_is_made_read_only(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1].read_only = false;
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_READ_ONLY);
	world.group.enforce = false;
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_says(world.steps[1].refusal, "clients can write");
	world.group.enforce = true;
	world.group.interference = "a Sentinel watches the master";
	plan(&world);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void nothing_is_wired_when_told_not_to(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.enforce = false;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.group.enforce = true;
	world.group.interference = "a Sentinel watches the master";
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.plan.observe, "Sentinel");
	world.group.interference = NULL;
	world.nodes[1].cluster = true;
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.plan.observe, "cluster mode");
}

static void old_version_is_not_wired(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[2].supported = false;
	world.nodes[2].version = "6.2.5";
	plan(&world);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	assert_says(world.steps[2].refusal, "6.2.5");
	world.nodes[0].supported = false;
	world.nodes[0].version = "5.0.14";
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "5.0.14");
}

/* ---- who is the master ---- */

static void swapped_lines(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_A, 100, 5);
	world.nodes[0] = replica_of(holding(server("a", RUN("a")), HISTORY_A, 100, 5), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	assert_int_equal(world.steps[0].action, PLAN_NONE);
	assert_int_equal(world.steps[2].action, PLAN_REPLICAOF);
}

static void swapped_lines_before_any_wiring(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = holding(server("a", RUN("a")), HISTORY_A, 0, 0);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 0, 9);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_int_equal(world.plan.rejected, 0);
	assert_says(world.plan.reason, "is empty while b holds keys");
	world.group.memory.accepted_run_id = RUN("a");
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

/* What may be overwritten bears no witness, and neither does the master itself
 * under another address, asked a moment later. */
static void no_witnesses_against_an_empty_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = holding(world.nodes[0], HISTORY_A, 0, 0);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 0, 9);
	world.nodes[1].allow_overwrite = true;
	world.nodes[2] = holding(server("c", RUN("a")), HISTORY_A, 40, 1);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
}

static void nobody_vouches_for_a_stray_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0].reach = PLAN_DOWN;
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 10, 5);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "no other node follows it");
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_B, 9, 5), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_C, 9, 5), PLAN_STRANGER, true);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	/* One voice for it does not outweigh one of another history. */
	world.nodes[0] = replica_of(holding(server("a", RUN("a")), HISTORY_B, 9, 5), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "c neither follows it");
}

/* Nor does a master vouch for itself under a second address. */
static void second_address_is_no_voucher(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0].reach = PLAN_DOWN;
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 10, 5);
	world.nodes[2] = holding(server("c", RUN("b")), HISTORY_B, 10, 5);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "no other node follows it");
	/* Nor is it a second master, where weir remembers the first. */
	world.group.memory = remembering(RUN("a"), HISTORY_B, 10, 5);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
}

/* Without data a server counts as a master only if somebody follows it, or it
 * has a past. */
static void empty_stand_ins(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0].reach = PLAN_DOWN;
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 10, 0);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_string_equal(world.plan.reason, "master a is down");
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_B, 10, 0), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	world.nodes[1] = promoted_from(world.nodes[1], HISTORY_A, 5);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_A, 4, 0), PLAN_STRANGER, false);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
}

static void two_stand_ins(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0].reach = PLAN_DOWN;
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 120, 5), HISTORY_A, 101);
	world.nodes[2] = promoted_from(holding(server("c", RUN("c")), HISTORY_C, 130, 5), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "b and c are both masters");
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "b and c both continue the history of a");
}

/* Their data says nothing about our master, which is new and empty. */
static void another_groups_replica_is_no_witness(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = holding(world.nodes[0], HISTORY_A, 0, 0);
	world.nodes[1] = replica_of(holding(world.nodes[1], HISTORY_B, 50, 7), PLAN_STRANGER, true);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void two_masters_of_one_history(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 120, 6), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "one history");
	world.nodes[1].allow_overwrite = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_REPLICAOF);
}

static void the_one_with_the_followers(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_B, 100, 5);
	plan(&world); /* a stranger to b, but nobody else follows it */
	assert_int_equal(world.plan.master, 0);
	world.nodes[2] = replica_of(holding(world.nodes[2], HISTORY_B, 100, 5), 1, true);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "only b has a replica");
	world.nodes[1].allow_overwrite = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

static void master_is_down_or_loading(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[0].reach = PLAN_DOWN;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_string_equal(world.plan.reason, "master a is down");
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	world.nodes[0].reach = PLAN_UP;
	world.nodes[0].loading = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0); /* the run weir knows reloads in place */
	world.group.memory = remembering(RUN("z"), HISTORY_A, 100, 5);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_string_equal(world.plan.reason, "master a is loading its data");
}

static void nothing_is_decided_before_all_were_checked(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[1].reach = PLAN_UNSEEN;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "b has not been checked");
}

static void master_came_back_empty(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[0] = holding(server("a", RUN("d")), HISTORY_B, 0, 0);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_int_equal(world.plan.rejected, 0);
	assert_says(world.plan.reason, "came back empty");
	assert_int_equal(world.steps[1].action, PLAN_NONE);
	assert_int_equal(world.steps[2].action, PLAN_NONE);
	/* Its replicas have emptied themselves by now: still not accepted. */
	world.nodes[1] = holding(world.nodes[1], HISTORY_B, 0, 0);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	world.group.accept_reset_master = true;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.group.accept_reset_master = false;
	world.group.memory.accepted_run_id = RUN("d");
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

static void master_came_back_older(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[0] = promoted_from(holding(server("a", RUN("d")), HISTORY_B, 60, 4), HISTORY_A, 61);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "older data");
	world.nodes[0] = holding(server("a", RUN("d")), HISTORY_A, 60, 4);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	world.nodes[0] = promoted_from(holding(server("a", RUN("d")), HISTORY_B, 99, 4), HISTORY_A, 100);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY); /* one byte is missing */
	/* With everything that weir had seen, it is welcome. */
	world.nodes[0] = promoted_from(holding(server("a", RUN("d")), HISTORY_B, 100, 4), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.nodes[0] = holding(server("a", RUN("d")), HISTORY_A, 100, 4);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

static void replica_is_witness_of_an_older_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.nodes[0] = promoted_from(holding(server("a", RUN("d")), HISTORY_B, 60, 4), HISTORY_A, 61);
	world.nodes[1] = replica_of(world.nodes[1], 0, false);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "older data than its replica b");
	world.nodes[1].offset = 61; /* one byte more than the master remembers */
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	world.nodes[1].offset = 60;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.nodes[1] = replica_of(holding(world.nodes[1], HISTORY_A, 100, 5), PLAN_STRANGER, false); /* not its replica */
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_int_equal(world.steps[1].action, PLAN_NONE);
}

static void empty_group_may_restart(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 0);
	world.nodes[0] = holding(server("a", RUN("d")), HISTORY_B, 0, 0);
	world.nodes[1] = holding(world.nodes[1], HISTORY_A, 100, 0);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.nodes[1].keys = 1; /* written since weir looked at the master last */
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "came back empty");
}

static void promotion_by_others_is_followed(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[0].reach = PLAN_DOWN;
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 100, 5), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	/* Also one that had not received the last bytes: the servers decided. */
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 97, 5), HISTORY_A, 98);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
}

static void master_keeps_its_place_while_it_is_the_same_process(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_B, 0, 5);
	plan(&world); /* the replid changed when the first replica came */
	assert_int_equal(world.plan.master, 0);
	world.nodes[0].keys = 0; /* FLUSHALL is a write like any other */
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

/* It was made a master when the old one was missed, and that one is back. */
static void whoever_replaced_the_master_is_it(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 100, 5), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, 0); /* it was cut loose */
	world.nodes[1].replaces = true;
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	world.nodes[1] = promoted_from(world.nodes[1], HISTORY_A, 98); /* with a loss */
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	world.nodes[1].replid2 = HISTORY_C; /* of another one, long ago */
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.nodes[1].replid2 = HISTORY_A;
	world.nodes[2] = promoted_from(holding(world.nodes[2], HISTORY_C, 100, 5), HISTORY_A, 101);
	world.nodes[2].replaces = true;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "b and c were both made masters");
}

static void a_master_that_is_back_is_asked_about_first(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.group.memory.away = true;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "is back");
	world.group.memory.away = false;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

/* The one that has replaced it is gone, and with it what was written since. */
static void a_replaced_master_waits_for_the_operator(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("b"), HISTORY_B, 200, 5);
	world.group.memory.master = 1;
	world.nodes[0].fenced = true;
	world.nodes[1].reach = PLAN_DOWN;
	world.nodes[2] = promoted_from(replica_of(holding(world.nodes[2], HISTORY_B, 200, 5), 1, false), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_int_equal(world.plan.rejected, 0);
	assert_says(world.plan.reason, "has replaced it");
	world.group.memory.accepted_run_id = RUN("a");
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	world.group.memory.accepted_run_id = "";
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 200, 5), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, 1);
	assert_int_equal(world.plan.rejected, PLAN_NOBODY);
}

/* Only the weir that has put another one in its place may take its own data from it. */
static void what_a_replaced_master_has_beyond(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("b"), HISTORY_B, 200, 5);
	world.group.memory.master = 1;
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 200, 5), HISTORY_A, 91);
	world.nodes[0].fenced = true; /* it has 10 bytes more than that */
	world.nodes[0].stranded = true;
	world.nodes[0].expendable = 10;
	plan(&world);
	assert_int_equal(world.steps[0].action, PLAN_REPLICAOF);
	world.nodes[0].expendable = 9;
	plan(&world);
	assert_int_equal(world.steps[0].action, PLAN_NONE);
	world.nodes[0].expendable = 10;
	world.nodes[0].stranded = false;
	plan(&world);
	assert_int_equal(world.steps[0].action, PLAN_NONE);
	assert_says(world.steps[0].refusal, "left the history");
}

/* A reload brings in a server that nobody has looked at yet. */
static void a_newcomer_does_not_unseat_the_master(void **state)
{
	struct world world;

	(void)state;
	usual(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[2].reach = PLAN_UNSEEN;
	plan(&world);
	assert_int_equal(world.plan.master, 0);
	assert_false(world.plan.starting);
	world.nodes[0].reach = PLAN_DOWN;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_true(world.plan.starting);
}

static void resync_prediction(void **state)
{
	struct info master = {.role = SERVER_ROLE_MASTER, .replid = HISTORY_A, .replid2 = HISTORY_B,
			      .master_offset = 200, .second_offset = 120, .backlog_active = 1,
			      .backlog_first = 101, .backlog_length = 100};
	struct info replica = {.role = SERVER_ROLE_SLAVE, .replid = HISTORY_A, .applied_offset = 150};

	(void)state;
	assert_int_equal(plan_partial_resync(&replica, &master), 1);
	replica.applied_offset = 100;
	assert_int_equal(plan_partial_resync(&replica, &master), 1);
	replica.applied_offset = 99;
	assert_int_equal(plan_partial_resync(&replica, &master), 0);
	replica.applied_offset = 200; /* it has everything */
	assert_int_equal(plan_partial_resync(&replica, &master), 1);
	replica.applied_offset = 201;
	assert_int_equal(plan_partial_resync(&replica, &master), 0);
	memcpy(replica.replid, HISTORY_B, sizeof(replica.replid));
	replica.applied_offset = 119;
	assert_int_equal(plan_partial_resync(&replica, &master), 1);
	replica.applied_offset = 120;
	assert_int_equal(plan_partial_resync(&replica, &master), 0);
	replica.applied_offset = 119;
	master.backlog_active = 0;
	assert_int_equal(plan_partial_resync(&replica, &master), 0);
	master.backlog_active = INFO_UNKNOWN;
	assert_int_equal(plan_partial_resync(&replica, &master), INFO_UNKNOWN);
}

/* ---- every combination of a small world ---- */

struct past {
	const char *replid;
	const char *replid2;
	int64_t offset;
	int64_t second_offset;
};

static const struct past pasts[] = {
	{HISTORY_A, "", 10, -1}, {HISTORY_A, "", 4, -1},  {HISTORY_A, HISTORY_B, 10, 5},
	{HISTORY_B, HISTORY_A, 10, 11}, {HISTORY_B, HISTORY_A, 12, 8}, {HISTORY_C, "", 0, -1},
};

static const struct { enum server_role role; int follows; bool link_up; } roles[] = {
	{SERVER_ROLE_MASTER, PLAN_NOBODY, false}, {SERVER_ROLE_SLAVE, 0, true}, {SERVER_ROLE_SLAVE, 1, true},
	{SERVER_ROLE_SLAVE, 2, false}, {SERVER_ROLE_SLAVE, PLAN_STRANGER, true},
	{SERVER_ROLE_SLAVE, PLAN_STRANGER, false},
};

enum {
	PASTS = sizeof(pasts) / sizeof(pasts[0]),
	ROLES = sizeof(roles) / sizeof(roles[0]),
	KEYS = 2,
	VARIANTS = PASTS * ROLES * KEYS + 1, /* and down */
	MEMORIES = 4,
};

static struct plan_node variant(unsigned number, const char *name, const char *run_id)
{
	struct plan_node node = server(name, run_id);
	const struct past *past = &pasts[number % PASTS];
	unsigned rest = number / PASTS;

	if (number == VARIANTS - 1) {
		node.reach = PLAN_DOWN;
		return node;
	}
	node.replid = past->replid;
	node.replid2 = past->replid2;
	node.offset = past->offset;
	node.second_offset = past->second_offset;
	node.role = roles[rest % ROLES].role;
	node.follows = roles[rest % ROLES].follows;
	node.link_up = roles[rest % ROLES].link_up;
	node.keys = rest / ROLES % KEYS ? 3 : 0;
	return node;
}

/* The rule once more, in other words: data is a point in a history, a server
 * has been at certain points, and a node may follow a master that has been
 * where the node is. */
static bool has_been_at(const struct plan_node *server_node, const char *history, int64_t offset)
{
	if (history[0] == '\0' || offset < 0)
		return false;
	if (strcmp(server_node->replid, history) == 0 && offset <= server_node->offset)
		return true;
	return strcmp(server_node->replid2, history) == 0 && offset + 1 <= server_node->second_offset;
}

static bool may_lose_nothing(const struct plan_node *node, const struct plan_node *master)
{
	bool wrote_since_promotion = node->offset + 1 != node->second_offset;
	bool restarted = strcmp(node->seen_master_run_id, master->run_id) == 0 &&
			 strcmp(node->seen_run_id, node->run_id) != 0 && node->replid2[0] == '\0' && node->offset <= 1;

	if (node->keys == 0 && node->libraries == 0)
		return true;
	if (master->keys == 0)
		return false;
	return has_been_at(master, node->replid, node->offset) ||
	       (!wrote_since_promotion && has_been_at(master, node->replid2, node->offset)) || restarted ||
	       node->allow_overwrite;
}

static void check_safe(const struct world *world)
{
	const struct plan *made = &world->plan;

	for (int i = 0; i < NODES; i++) {
		const struct plan_step *step = &world->steps[i];
		const struct plan_node *node = &world->nodes[i];

		assert_true(step->action == PLAN_NONE || step->action == PLAN_REPLICAOF || step->action == PLAN_READ_ONLY);
		if (step->action == PLAN_NONE)
			continue;
		assert_true(made->master >= 0 && made->master < NODES && i != made->master);
		assert_int_equal(node->reach, PLAN_UP);
		assert_int_equal(world->nodes[made->master].reach, PLAN_UP);
		assert_int_equal(world->nodes[made->master].role, SERVER_ROLE_MASTER);
		assert_string_not_equal(node->run_id, world->nodes[made->master].run_id);
		if (step->action == PLAN_REPLICAOF)
			assert_true(may_lose_nothing(node, &world->nodes[made->master]));
	}
}

/* What the servers would be after the plan was carried out. */
static void carry_out(struct world *world)
{
	const struct plan_node *master = world->plan.master < 0 ? NULL : &world->nodes[world->plan.master];

	for (int i = 0; i < NODES; i++) {
		if (world->steps[i].action != PLAN_REPLICAOF)
			continue;
		world->nodes[i] = replica_of(world->nodes[i], world->plan.master, true);
		world->nodes[i] = promoted_from(world->nodes[i], master->replid2, master->second_offset);
		world->nodes[i] = holding(world->nodes[i], master->replid, master->offset, master->keys);
	}
}

/* Only what the plan itself wired: the servers may have made cycles before. */
static void check_no_cycle(const struct world *world, const bool *wired)
{
	for (int i = 0; i < NODES; i++) {
		int at = i;
		int steps = 0;

		while (wired[i] && at >= 0 && world->nodes[at].role == SERVER_ROLE_SLAVE && steps++ <= NODES)
			at = world->nodes[at].follows;
		assert_true(steps <= NODES);
	}
}

/* Whether anything was wired in it. */
static bool check_world(struct world *world)
{
	struct world before;
	bool wired[NODES];
	int master;

	plan(world);
	check_safe(world);
	before = *world;
	plan(world);
	assert_memory_equal(before.steps, world->steps, sizeof(world->steps));
	master = world->plan.master;
	for (int i = 0; i < NODES; i++)
		wired[i] = world->steps[i].action == PLAN_REPLICAOF;
	if (!wired[0] && !wired[1] && !wired[2])
		return false;
	carry_out(world);
	check_no_cycle(world, wired);
	plan(world);
	assert_int_equal(world->plan.master, master);
	for (int i = 0; i < NODES; i++)
		assert_int_equal(world->steps[i].action, PLAN_NONE);
	return true;
}

static struct plan_memory memory_variant(unsigned number)
{
	static const struct plan_memory memories[MEMORIES] = {
		{PLAN_NOBODY, "", "", 0, 0, "", PLAN_NOBODY, PLAN_NOBODY, false},
		{0, RUN("a"), HISTORY_A, 10, 3, "", PLAN_NOBODY, PLAN_NOBODY, false},
		{0, RUN("d"), HISTORY_A, 10, 3, "", PLAN_NOBODY, PLAN_NOBODY, false},
		{1, RUN("b"), HISTORY_B, 11, 3, RUN("a"), PLAN_NOBODY, PLAN_NOBODY, false},
	};

	return memories[number];
}

static void every_combination_is_safe(void **state)
{
	unsigned wirings = 0;

	(void)state;
	for (unsigned number = 0; number < VARIANTS * VARIANTS * VARIANTS; number++) {
		struct world world = {.plan = {.steps = NULL}};

		/* A third of the combinations with each memory but none: all of them. */
		for (unsigned memory = 0; memory < MEMORIES; memory++) {
			if (memory != 0 && number % 3 != memory - 1)
				continue;
			world.nodes[0] = variant(number % VARIANTS, "a", RUN("a"));
			world.nodes[1] = variant(number / VARIANTS % VARIANTS, "b", RUN("b"));
			world.nodes[2] = variant(number / VARIANTS / VARIANTS, "c", RUN("c"));
			world.group = (struct plan_group){.nodes = world.nodes, .node_count = NODES, .enforce = true};
			world.group.memory = memory_variant(memory);
			world.plan.steps = world.steps;
			if (number % 2) {
				world.nodes[2].seen_run_id = RUN("e");
				world.nodes[2].seen_master_run_id = RUN("a");
			}
			wirings += check_world(&world);
		}
	}
	assert_true(wirings > 1000); /* else this would prove nothing */
}

/* ---- where sentinels decide ---- */

static void appointed(struct world *world)
{
	usual(world);
	world->group.appointed = true;
	world->group.enforce = false;
}

static void the_sentinels_master_is_taken(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 100, 5), HISTORY_C, 50);
	plan(&world);
	assert_int_equal(world.plan.master, 0); /* although b is a master with data as well */
}

static void nobody_is_taken_before_they_have_spoken(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.group.node_count = 0;
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_true(world.plan.starting);
	assert_says(world.plan.reason, "no sentinel has named a master yet");
}

static void their_word_counts_when_the_server_agrees(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.nodes[0] = replica_of(world.nodes[0], 1, true);
	world.nodes[1] = holding(server("b", RUN("b")), HISTORY_A, 100, 5);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY); /* b will be named, or a promoted */
	assert_says(world.plan.reason, "the sentinels name a, which is a replica");
}

/* In the middle of a failover: what the old one takes now is lost. */
static void nothing_goes_to_a_master_that_was_superseded(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.group.memory = remembering(RUN("a"), HISTORY_A, 100, 5);
	world.nodes[1] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 100, 5), HISTORY_A, 101);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_says(world.plan.reason, "b was promoted from a");
}

/* And afterwards: the old one is up again, and a master by its own account. */
static void an_old_master_is_no_rival_of_the_named_one(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.group.memory = remembering(RUN("b"), HISTORY_A, 100, 5);
	world.group.memory.master = 1;
	world.nodes[0] = promoted_from(holding(server("b", RUN("b")), HISTORY_B, 120, 5), HISTORY_A, 101);
	world.nodes[1] = holding(server("a", RUN("a")), HISTORY_A, 150, 5);
	plan(&world);
	assert_int_equal(world.plan.master, 0);
}

static void a_named_master_that_came_back_empty_is_refused(void **state)
{
	struct world world;

	(void)state;
	appointed(&world);
	world.group.memory = remembering(RUN("x"), HISTORY_A, 100, 5);
	world.nodes[0] = holding(server("a", RUN("a")), HISTORY_B, 0, 0);
	plan(&world);
	assert_int_equal(world.plan.master, PLAN_NOBODY);
	assert_int_equal(world.plan.rejected, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_server_is_wired),
		cmocka_unit_test(bare_server_is_wired_to_an_empty_master),
		cmocka_unit_test(functions_count_as_data),
		cmocka_unit_test(loading_server_is_not_empty_yet),
		cmocka_unit_test(foreign_data_is_left_alone),
		cmocka_unit_test(named_data_may_be_overwritten),
		cmocka_unit_test(full_node_is_never_wired_to_an_empty_master),
		cmocka_unit_test(another_groups_replica_is_left_alone),
		cmocka_unit_test(one_server_under_two_addresses),
		cmocka_unit_test(one_replica_under_two_addresses),
		cmocka_unit_test(master_is_not_told_to_follow_itself),
		cmocka_unit_test(loopback_is_not_told_to_another_machine),
		cmocka_unit_test(other_spelling_is_not_rewired),
		cmocka_unit_test(chained_replica_is_reported),
		cmocka_unit_test(stranded_replica_follows_the_next_master),
		cmocka_unit_test(heir_is_taken_whatever_the_others_did),
		cmocka_unit_test(replica_of_nobody_we_know_returns),
		cmocka_unit_test(old_master_returns_only_up_to_the_promotion),
		cmocka_unit_test(old_master_returns_from_its_file),
		cmocka_unit_test(promoted_by_mistake_returns_only_without_writes),
		cmocka_unit_test(plain_restart_returns),
		cmocka_unit_test(writable_replica_is_made_read_only),
		cmocka_unit_test(nothing_is_wired_when_told_not_to),
		cmocka_unit_test(old_version_is_not_wired),
		cmocka_unit_test(swapped_lines),
		cmocka_unit_test(swapped_lines_before_any_wiring),
		cmocka_unit_test(no_witnesses_against_an_empty_master),
		cmocka_unit_test(nobody_vouches_for_a_stray_master),
		cmocka_unit_test(second_address_is_no_voucher),
		cmocka_unit_test(empty_stand_ins),
		cmocka_unit_test(two_stand_ins),
		cmocka_unit_test(another_groups_replica_is_no_witness),
		cmocka_unit_test(two_masters_of_one_history),
		cmocka_unit_test(the_one_with_the_followers),
		cmocka_unit_test(master_is_down_or_loading),
		cmocka_unit_test(nothing_is_decided_before_all_were_checked),
		cmocka_unit_test(master_came_back_empty),
		cmocka_unit_test(master_came_back_older),
		cmocka_unit_test(replica_is_witness_of_an_older_master),
		cmocka_unit_test(empty_group_may_restart),
		cmocka_unit_test(promotion_by_others_is_followed),
		cmocka_unit_test(master_keeps_its_place_while_it_is_the_same_process),
		cmocka_unit_test(whoever_replaced_the_master_is_it),
		cmocka_unit_test(a_master_that_is_back_is_asked_about_first),
		cmocka_unit_test(a_replaced_master_waits_for_the_operator),
		cmocka_unit_test(what_a_replaced_master_has_beyond),
		cmocka_unit_test(a_newcomer_does_not_unseat_the_master),
		cmocka_unit_test(resync_prediction),
		cmocka_unit_test(every_combination_is_safe),
		cmocka_unit_test(the_sentinels_master_is_taken),
		cmocka_unit_test(nobody_is_taken_before_they_have_spoken),
		cmocka_unit_test(their_word_counts_when_the_server_agrees),
		cmocka_unit_test(nothing_goes_to_a_master_that_was_superseded),
		cmocka_unit_test(an_old_master_is_no_rival_of_the_named_one),
		cmocka_unit_test(a_named_master_that_came_back_empty_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
