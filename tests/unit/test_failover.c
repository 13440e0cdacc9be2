/* When a lost master is replaced, and by whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/failover.h"
#include "../../topology/info.h"

enum { MEMBERS = 3 };

/* Three replicas that have everything, and a master that nobody hears any more. */
static struct failover_seen lost(struct failover_member members[MEMBERS])
{
	static const char *const names[MEMBERS] = { "a", "b", "c" };

	for (size_t i = 0; i < MEMBERS; i++)
		members[i] = (struct failover_member){ .name = names[i], .answers = true, .is_slave = true, .follows = true,
						       .able = true, .replid = "history", .applied = 1000, .received = 1000,
						       .still_ms = 200, .priority = 100 };
	return (struct failover_seen){ .down_after_ms = 1000, .min_interval_ms = 5000, .max_lost_bytes = 100, .told = true,
				       .missed_ms = 1000, .last_ms = INFO_UNKNOWN, .workers_ready = true, .replid = "history",
				       .offset = 1000, .members = members, .count = MEMBERS };
}

static void expect_heir(const struct failover_seen *seen, int heir)
{
	struct failover_verdict verdict;

	failover_judge(seen, &verdict);
	assert_int_equal(verdict.heir, heir);
	assert_string_equal(verdict.why, "");
}

static void expect_none(const struct failover_seen *seen, const char *words, bool soon)
{
	struct failover_verdict verdict;

	failover_judge(seen, &verdict);
	assert_int_equal(verdict.heir, -1);
	if (strstr(verdict.why, words) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", verdict.why, words);
	assert_int_equal(verdict.soon, soon);
}

static void test_who_takes_its_place(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	expect_heir(&seen, 0); /* the first of the file, where they are alike */
	members[2].priority = 10;
	expect_heir(&seen, 2); /* a lower number goes first, */
	members[1].applied = members[1].received = 1001;
	expect_heir(&seen, 1); /* after who has most */
	members[1].priority = 0;
	expect_heir(&seen, 2); /* which is never promoted with 0 */
	members[2].replid = "another";
	expect_heir(&seen, 0);
	members[0].able = false;
	expect_none(&seen, "has the master's history", false);
}

static void test_who_does_not_answer(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	members[0].answers = false;
	expect_heir(&seen, 1);
	members[1].answers = false;
	expect_none(&seen, "too few replicas", false);
	members[2].answers = false;
	expect_none(&seen, "too few replicas", false);
	seen.count = 2; /* it may as well be weir and that one who are alone */
	members[1].answers = true;
	expect_none(&seen, "too few replicas", false);
	members[0].answers = true;
	expect_heir(&seen, 0);
	seen.count = 0;
	expect_none(&seen, "too few replicas", false);
}

static void test_it_may_be_there(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	members[1].hears = true;
	expect_none(&seen, "b still hears the master", false);
	members[1].follows = false;
	expect_heir(&seen, 0); /* it hears another one */
	seen.missed_ms = 999;
	expect_none(&seen, "down_after", true);
	members[1].follows = true;
	seen.has_lost_data = true; /* then it answers itself */
	expect_heir(&seen, 0);
}

static void test_what_is_drained_first(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	members[2].received = 1010;
	expect_none(&seen, "received", true);
	members[2].received = INFO_UNKNOWN;
	expect_heir(&seen, 0);
	members[2].still_ms = 99;
	expect_none(&seen, "received", true);
	seen.drain_ms = 500;
	expect_heir(&seen, 0); /* bounded */
	seen.drain_ms = 0;
	members[2].priority = 0;
	expect_heir(&seen, 0); /* who is not promoted is not waited for */
}

static void test_what_may_be_lost(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	seen.offset = 1100;
	expect_heir(&seen, 0);
	seen.offset = 1101;
	expect_none(&seen, "max_lost_bytes", false);
	seen.offset = 0;
	expect_none(&seen, "no offset", false);
}

/* Other weirs need not wait for one that sees too little, but for one that sees that
 * it must not. */
static void test_what_another_weir_may_see(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);
	struct failover_verdict verdict;

	(void)state;
	seen.last_ms = 10;
	failover_judge(&seen, &verdict);
	assert_false(verdict.blind);
	seen.last_ms = INFO_UNKNOWN;
	members[1].hears = true;
	failover_judge(&seen, &verdict);
	assert_false(verdict.blind);
	members[0].answers = members[1].answers = false;
	failover_judge(&seen, &verdict);
	assert_true(verdict.blind);
	members[0].answers = true;
	seen.offset = 0;
	failover_judge(&seen, &verdict);
	assert_true(verdict.blind);
}

static void test_who_else_is_there(void **state)
{
	struct failover_member members[MEMBERS];
	struct failover_seen seen = lost(members);

	(void)state;
	seen.workers_ready = false;
	expect_none(&seen, "worker", true);
	seen.told = false;
	expect_none(&seen, "who else", true);
	seen.missed_ms = 3000;
	expect_none(&seen, "who else", false);
	seen.last_ms = 4999;
	expect_none(&seen, "min_interval", false);
	seen.taboo = "a Sentinel watches these servers";
	expect_none(&seen, "Sentinel", false);
	seen = lost(members);
	seen.last_ms = 5000;
	expect_heir(&seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_takes_its_place), cmocka_unit_test(test_who_does_not_answer),
		cmocka_unit_test(test_it_may_be_there),     cmocka_unit_test(test_what_is_drained_first),
		cmocka_unit_test(test_what_may_be_lost),
		cmocka_unit_test(test_what_another_weir_may_see),    cmocka_unit_test(test_who_else_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
