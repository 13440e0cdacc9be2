/* How many requests whose replies may be large are on a connection at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/backend/crowd.h"

enum { LARGE = 100 * 1024, SMALL = 5 };

static struct crowd full_crowd(void)
{
	struct crowd crowd = crowd_unknown();

	while (!crowd_is_full(&crowd))
		crowd.present++;
	return crowd;
}

/* All who are there get such a reply, and as many as may come again. */
static void answer_all(struct crowd *crowd, uint64_t bytes)
{
	for (uint32_t left = crowd->present; left > 0; left--) {
		crowd->present--;
		crowd_learn(crowd, bytes);
	}
	while (!crowd_is_full(crowd))
		crowd->present++;
}

static void a_few_while_nothing_is_known(void **state)
{
	struct crowd crowd = full_crowd();

	(void)state;
	assert_int_equal(crowd.present, CROWD_FIRST);
}

static void one_large_reply_closes_it(void **state)
{
	struct crowd crowd = full_crowd();

	(void)state;
	crowd.present--;
	crowd_learn(&crowd, LARGE);
	assert_int_equal(crowd.window, CROWD_BYTES / LARGE);
	assert_true(crowd_is_full(&crowd));
}

/* Whatever one brings, there is always one. */
static void one_is_always_let_in(void **state)
{
	struct crowd crowd = crowd_unknown();

	(void)state;
	crowd_learn(&crowd, UINT64_C(512) * 1024 * 1024);
	assert_int_equal(crowd.window, 1);
	assert_false(crowd_is_full(&crowd));
	crowd.present++;
	assert_true(crowd_is_full(&crowd));
}

/* A storm of newcomers is served after a few round trips as if there were no limit. */
static void small_replies_open_it(void **state)
{
	struct crowd crowd = full_crowd();
	int rounds = 0;

	(void)state;
	while (crowd.window < CROWD_MOST && rounds < 100) {
		answer_all(&crowd, SMALL);
		rounds++;
	}
	assert_in_range(rounds, 3, 10);
	answer_all(&crowd, 0);
	assert_int_equal(crowd.window, CROWD_MOST);
}

static void medium_replies_open_it_as_far_as_they_fit(void **state)
{
	struct crowd crowd = full_crowd();

	(void)state;
	for (int i = 0; i < 100; i++)
		answer_all(&crowd, CROWD_BYTES / 100);
	assert_int_equal(crowd.window, 100);
}

/* What nobody needs is no experience: of one after the other nobody learns how many
 * may come at once. */
static void it_does_not_open_unused(void **state)
{
	struct crowd crowd = crowd_unknown();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		crowd.present++;
		crowd.present--;
		crowd_learn(&crowd, SMALL);
	}
	assert_int_equal(crowd.window, CROWD_FIRST);
}

static void what_was_is_forgotten(void **state)
{
	struct crowd crowd = full_crowd();

	(void)state;
	answer_all(&crowd, LARGE);
	crowd_tick(&crowd);
	assert_int_equal(crowd.window, CROWD_BYTES / LARGE); /* some are there */
	crowd.present = 0;
	crowd_tick(&crowd);
	assert_int_equal(crowd.window, CROWD_FIRST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_few_while_nothing_is_known),
		cmocka_unit_test(one_large_reply_closes_it),
		cmocka_unit_test(one_is_always_let_in),
		cmocka_unit_test(small_replies_open_it),
		cmocka_unit_test(medium_replies_open_it_as_far_as_they_fit),
		cmocka_unit_test(it_does_not_open_unused),
		cmocka_unit_test(what_was_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
