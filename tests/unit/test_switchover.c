/* The steps of a switchover, one by one, then all that can be seen in a small
 * world against the promises: nothing is promoted before the old master's stream
 * has an end and the heir has all of it, and nothing is undone once the heir may
 * be asked and says that it is a master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/switchover.h"

/* All is well, and nothing has been answered in this step. */
static struct switchover_seen usual(void)
{
	return (struct switchover_seen){
		.limit_ms = 1000, .held_ms = 1, .step_ms = 1, .old = PEER_UP, .heir = PEER_UP,
		.old_role = SERVER_ROLE_UNKNOWN, .heir_role = SERVER_ROLE_SLAVE,
		.old_offset = -1, .heir_offset = 100, .end_offset = 100,
	};
}

static enum switchover_step next(enum switchover_step step, struct switchover_seen seen)
{
	return switchover_next(step, &seen).next;
}

static void test_every_step_waits(void **state)
{
	(void)state;
	for (int step = SWITCHOVER_HOLD; step < SWITCHOVER_STEP_COUNT; step++) {
		struct switchover_seen seen = usual();

		seen.heir_offset = 99;
		assert_int_equal(next((enum switchover_step)step, seen), step);
	}
}

static void test_the_way_through(void **state)
{
	struct switchover_seen seen = usual();

	(void)state;
	seen.workers_ready = true;
	assert_int_equal(next(SWITCHOVER_HOLD, seen), SWITCHOVER_FENCE);
	seen = usual();
	seen.answered = true;
	assert_int_equal(next(SWITCHOVER_FENCE, seen), SWITCHOVER_FENCE);
	seen.old_role = SERVER_ROLE_MASTER;
	seen.old_offset = 100;
	assert_int_equal(next(SWITCHOVER_FENCE, seen), SWITCHOVER_CATCH_UP);
	assert_int_equal(next(SWITCHOVER_CATCH_UP, usual()), SWITCHOVER_DEMOTE);
	seen.old_role = SERVER_ROLE_SLAVE;
	assert_int_equal(next(SWITCHOVER_DEMOTE, seen), SWITCHOVER_PROMOTE);
	seen = usual();
	seen.heir_role = SERVER_ROLE_MASTER;
	assert_int_equal(next(SWITCHOVER_PROMOTE, seen), SWITCHOVER_MOVE);
	assert_int_equal(next(SWITCHOVER_MOVE, seen), SWITCHOVER_MOVE);
	seen.moved = true;
	assert_int_equal(next(SWITCHOVER_MOVE, seen), SWITCHOVER_FOLLOW);
	seen.all_follow = true;
	assert_int_equal(next(SWITCHOVER_FOLLOW, seen), SWITCHOVER_NONE);
	assert_null(switchover_next(SWITCHOVER_FOLLOW, &seen).why);
}

static void test_a_lost_server_undoes_it(void **state)
{
	(void)state;
	for (int step = SWITCHOVER_HOLD; step <= SWITCHOVER_DEMOTE; step++) {
		struct switchover_seen seen = usual();

		seen.old = PEER_GONE;
		assert_int_equal(next((enum switchover_step)step, seen), SWITCHOVER_UNDO);
		seen = usual();
		seen.heir = PEER_GONE;
		assert_int_equal(next((enum switchover_step)step, seen), SWITCHOVER_UNDO);
		assert_non_null(switchover_next((enum switchover_step)step, &seen).why);
	}
}

static void test_a_silent_server_is_waited_for_once_the_old_one_is_demoted(void **state)
{
	struct switchover_seen seen = usual();

	(void)state;
	seen.old = seen.heir = PEER_SILENT;
	assert_int_equal(next(SWITCHOVER_CATCH_UP, seen), SWITCHOVER_UNDO);
	assert_int_equal(next(SWITCHOVER_DEMOTE, seen), SWITCHOVER_DEMOTE);
	assert_int_equal(next(SWITCHOVER_PROMOTE, seen), SWITCHOVER_PROMOTE);
}

static void test_time(void **state)
{
	struct switchover_seen seen = usual();

	(void)state;
	seen.held_ms = 500;
	assert_int_equal(next(SWITCHOVER_HOLD, seen), SWITCHOVER_UNDO);
	assert_int_equal(next(SWITCHOVER_FENCE, seen), SWITCHOVER_FENCE);
	seen.held_ms = 1000;
	assert_int_equal(next(SWITCHOVER_FENCE, seen), SWITCHOVER_UNDO);
	assert_int_equal(next(SWITCHOVER_CATCH_UP, seen), SWITCHOVER_UNDO);
	assert_int_equal(next(SWITCHOVER_DEMOTE, seen), SWITCHOVER_DEMOTE);
	seen.held_ms = 2000;
	assert_int_equal(next(SWITCHOVER_DEMOTE, seen), SWITCHOVER_UNDO);
	seen.held_ms = 1000000;
	assert_int_equal(next(SWITCHOVER_PROMOTE, seen), SWITCHOVER_PROMOTE);
}

static void test_refusal(void **state)
{
	struct switchover_seen seen = usual();

	(void)state;
	seen.answered = seen.refused = true;
	seen.old_role = SERVER_ROLE_MASTER;
	seen.old_offset = 100;
	assert_int_equal(next(SWITCHOVER_FENCE, seen), SWITCHOVER_UNDO);
	assert_int_equal(next(SWITCHOVER_DEMOTE, seen), SWITCHOVER_UNDO);
}

static void test_undoing(void **state)
{
	struct switchover_seen seen = usual();

	(void)state;
	seen.old_role = SERVER_ROLE_SLAVE;
	assert_int_equal(next(SWITCHOVER_UNDO, seen), SWITCHOVER_UNDO);
	seen.heir_role = SERVER_ROLE_MASTER; /* it was promoted after all */
	assert_int_equal(next(SWITCHOVER_UNDO, seen), SWITCHOVER_MOVE);
	seen = usual();
	seen.old_role = SERVER_ROLE_MASTER;
	assert_int_equal(next(SWITCHOVER_UNDO, seen), SWITCHOVER_NONE);
	seen.old_role = SERVER_ROLE_UNKNOWN;
	seen.step_ms = 1000;
	assert_int_equal(next(SWITCHOVER_UNDO, seen), SWITCHOVER_NONE);
}

/* ---- every combination ---- */

static const enum server_role roles[] = { SERVER_ROLE_UNKNOWN, SERVER_ROLE_MASTER, SERVER_ROLE_SLAVE };
static const int64_t times[] = { 0, 499, 500, 999, 1000, 2000, 20000 };

/* The promises, said a second time. */
static void judge(enum switchover_step step, const struct switchover_seen *seen, struct switchover_verdict verdict)
{
	bool forward = verdict.next == step + 1;

	assert_true(verdict.next == step || forward || verdict.next == SWITCHOVER_UNDO || verdict.next == SWITCHOVER_MOVE ||
		    verdict.next == SWITCHOVER_NONE);
	if (verdict.next == SWITCHOVER_PROMOTE && step != SWITCHOVER_PROMOTE)
		assert_true(step == SWITCHOVER_DEMOTE && seen->old_role == SERVER_ROLE_SLAVE && seen->old_offset >= 0);
	if (verdict.next == SWITCHOVER_DEMOTE && step != SWITCHOVER_DEMOTE)
		assert_true(seen->heir_offset >= seen->end_offset && seen->heir == PEER_UP && seen->old == PEER_UP);
	if (verdict.next == SWITCHOVER_FENCE && step != SWITCHOVER_FENCE)
		assert_true(seen->workers_ready);
	if (verdict.next == SWITCHOVER_MOVE && step != SWITCHOVER_MOVE)
		assert_true(seen->heir_role == SERVER_ROLE_MASTER);
	if (verdict.next == SWITCHOVER_FOLLOW && step != SWITCHOVER_FOLLOW)
		assert_true(step == SWITCHOVER_MOVE && (seen->moved || seen->step_ms >= 1500));
	if (step == SWITCHOVER_PROMOTE && seen->heir != PEER_GONE && seen->heir_role == SERVER_ROLE_MASTER)
		assert_int_equal(verdict.next, SWITCHOVER_MOVE);
	if (verdict.next == SWITCHOVER_UNDO && step != SWITCHOVER_UNDO)
		assert_non_null(verdict.why);
	if (verdict.next == SWITCHOVER_NONE)
		assert_true(step == SWITCHOVER_FOLLOW || step == SWITCHOVER_UNDO);
}

static void try_times(struct switchover_seen seen)
{
	for (int step = SWITCHOVER_HOLD; step < SWITCHOVER_STEP_COUNT; step++) {
		for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
			seen.held_ms = seen.step_ms = times[t];
			judge((enum switchover_step)step, &seen, switchover_next((enum switchover_step)step, &seen));
		}
	}
}

static void try_flags(struct switchover_seen seen)
{
	for (unsigned bits = 0; bits < 64; bits++) {
		seen.workers_ready = bits & 1;
		seen.answered = bits & 2;
		seen.refused = bits & 4;
		seen.all_follow = bits & 8;
		seen.heir_offset = bits & 16 ? 100 : 99;
		seen.moved = bits & 32;
		try_times(seen);
	}
}

static void test_every_combination(void **state)
{
	(void)state;
	for (int peers = 0; peers < 9; peers++) {
		for (int both = 0; both < 9; both++) {
			struct switchover_seen seen = usual();

			seen.old = (enum switchover_peer)(peers / 3);
			seen.heir = (enum switchover_peer)(peers % 3);
			seen.old_role = roles[both / 3];
			seen.heir_role = roles[both % 3];
			seen.old_offset = seen.old_role == SERVER_ROLE_UNKNOWN ? -1 : 100;
			try_flags(seen);
		}
	}
}

/* ---- what has to be so ---- */

enum { OLD, HEIR, SIBLING, MEMBERS };

struct world {
	struct info infos[MEMBERS];
	struct switchover_settings settings[MEMBERS];
	struct switchover_member members[MEMBERS];
	char text[SWITCHOVER_TEXT_SIZE];
};

static void make(struct world *world)
{
	static const char *const names[] = { "old", "heir", "sibling" };
	static const char *const values[] = { "0", "noeviction", "secret", "no", "" };

	memset(world, 0, sizeof(*world));
	for (size_t i = 0; i < MEMBERS; i++) {
		struct info *info = &world->infos[i];

		snprintf(info->redis_version, sizeof(info->redis_version), "7.0.15");
		snprintf(info->replid, sizeof(info->replid), "%040d", 7);
		info->role = i == OLD ? SERVER_ROLE_MASTER : SERVER_ROLE_SLAVE;
		info->applied_offset = info->master_offset = 1000;
		info->backlog_active = 1;
		info->backlog_first = 1;
		info->backlog_length = 1000;
		info->priority = 100;
		for (size_t s = 0; s < SWITCHOVER_SETTINGS; s++) {
			world->settings[i].known[s] = true;
			snprintf(world->settings[i].values[s], SWITCHOVER_VALUE_SIZE, "%s", values[s]);
		}
		world->members[i] = (struct switchover_member){ names[i], true, i == OLD ? "master" : NULL, NULL, 0, info,
								&world->settings[i] };
	}
}

static const char *objection(struct world *world)
{
	switchover_object(world->members, MEMBERS, OLD, HEIR, world->text);
	return world->text;
}

static void set(struct world *world, int who, const char *name, const char *value)
{
	for (size_t s = 0; s < SWITCHOVER_SETTINGS; s++)
		if (strcmp(switchover_setting_names[s], name) == 0)
			snprintf(world->settings[who].values[s], SWITCHOVER_VALUE_SIZE, "%s", value);
}

static void test_nothing_is_against_it(void **state)
{
	struct world world;

	(void)state;
	make(&world);
	assert_string_equal(objection(&world), "");
	set(&world, HEIR, "appendonly", "yes"); /* more than the master has is no harm */
	set(&world, OLD, "maxmemory", "100");
	set(&world, HEIR, "maxmemory", "200");
	snprintf(world.infos[HEIR].redis_version, sizeof(world.infos[HEIR].redis_version), "7.2.0");
	assert_string_equal(objection(&world), "");
}

static void test_objections(void **state)
{
	struct world world;

	(void)state;
	make(&world);
	set(&world, HEIR, "requirepass", "other");
	assert_string_equal(objection(&world), "heir has another requirepass than the master");
	make(&world);
	set(&world, HEIR, "maxmemory", "100");
	assert_string_equal(objection(&world), "heir has less maxmemory than the master");
	make(&world);
	set(&world, OLD, "save", "3600 1");
	assert_string_equal(objection(&world), "the master persists its data and heir does not (save)");
	make(&world);
	snprintf(world.infos[OLD].redis_version, sizeof(world.infos[OLD].redis_version), "7.0.16");
	assert_string_equal(objection(&world), "heir runs redis 7.0.15, which is older than the master's redis 7.0.16");
	make(&world);
	world.infos[HEIR].backlog_first = 1002;
	assert_string_equal(objection(&world), "the backlog of heir does not reach back to where sibling is");
	make(&world);
	world.infos[HEIR].priority = 0;
	world.members[HEIR].unreadable = "lag";
	assert_string_equal(objection(&world), "heir is not readable: lag; heir has replica-priority 0");
	make(&world);
	world.settings[HEIR].known[0] = false;
	assert_string_equal(objection(&world), "heir does not tell its maxmemory");
}

static void test_choice(void **state)
{
	struct world world;

	(void)state;
	make(&world);
	assert_int_equal(switchover_choose(world.members, MEMBERS, OLD), HEIR);
	world.infos[SIBLING].applied_offset = 1001;
	assert_int_equal(switchover_choose(world.members, MEMBERS, OLD), SIBLING);
	world.infos[SIBLING].priority = 101;
	assert_int_equal(switchover_choose(world.members, MEMBERS, OLD), HEIR);
	world.infos[HEIR].priority = 0;
	assert_int_equal(switchover_choose(world.members, MEMBERS, OLD), SIBLING);
	world.members[SIBLING].unreadable = "down";
	assert_int_equal(switchover_choose(world.members, MEMBERS, OLD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_step_waits),
		cmocka_unit_test(test_the_way_through),
		cmocka_unit_test(test_a_lost_server_undoes_it),
		cmocka_unit_test(test_a_silent_server_is_waited_for_once_the_old_one_is_demoted),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_undoing),
		cmocka_unit_test(test_every_combination),
		cmocka_unit_test(test_nothing_is_against_it),
		cmocka_unit_test(test_objections),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
