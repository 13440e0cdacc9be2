/* The ring of master samples: what age it gives a position, and that it never
 * gives one that is too young. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../topology/lag.h"

static void nothing_is_known_at_first(void **state)
{
	struct lag lag = {0};

	(void)state;
	assert_int_equal(lag_fresh_as_of(&lag, UINT64_MAX), 0);
	assert_null(lag_newest(&lag));
}

static void newest_reached_sample_counts(void **state)
{
	struct lag lag = {0};

	(void)state;
	assert_true(lag_add(&lag, 10, 100));
	assert_true(lag_add(&lag, 20, 200));
	assert_true(lag_add(&lag, 30, 300));
	assert_int_equal(lag_fresh_as_of(&lag, 99), 0);
	assert_int_equal(lag_fresh_as_of(&lag, 100), 10);
	assert_int_equal(lag_fresh_as_of(&lag, 299), 20);
	assert_int_equal(lag_fresh_as_of(&lag, 300), 30);
	assert_int_equal(lag_fresh_as_of(&lag, 1000), 30); /* never ahead of the newest */
	assert_int_equal(lag_newest(&lag)->offset, 300);
}

static void idle_master_makes_no_lag(void **state)
{
	struct lag lag = {0};

	(void)state;
	for (int64_t now = 1; now <= 100000; now++)
		assert_true(lag_add(&lag, now, 500));
	assert_int_equal(lag.count, 1);
	assert_int_equal(lag_fresh_as_of(&lag, 500), 100000);
}

static void another_history_is_refused(void **state)
{
	struct lag lag = {0};

	(void)state;
	assert_true(lag_add(&lag, 10, 100));
	assert_false(lag_add(&lag, 20, 99));
	assert_false(lag_add(&lag, 9, 101));
	assert_int_equal(lag_fresh_as_of(&lag, 100), 10);
	lag_reset(&lag);
	assert_true(lag_add(&lag, 5, 7));
	assert_int_equal(lag_fresh_as_of(&lag, 100), 5);
}

/* Against the whole list of samples: equal for the recent ones, older but never
 * younger for the rest, and always something. */
static void thinning_only_makes_older(void **state)
{
	enum { COUNT = 20 * LAG_SAMPLES };
	static int64_t sent[COUNT];
	static uint64_t offsets[COUNT];
	struct lag lag = {0};
	uint64_t offset = 1;

	(void)state;
	srand(1);
	for (int i = 0; i < COUNT; i++) {
		sent[i] = 1000 + i * 5;
		offsets[i] = offset += 1 + (uint64_t)rand() % 50;
		assert_true(lag_add(&lag, sent[i], offsets[i]));
		assert_true(lag.count <= LAG_SAMPLES);
	}
	for (int i = 0; i < COUNT; i++) {
		int64_t fresh = lag_fresh_as_of(&lag, offsets[i]);

		assert_true(fresh <= sent[i] && fresh >= sent[0]);
		if (i >= COUNT - LAG_SAMPLES / 2)
			assert_int_equal(fresh, sent[i]);
	}
}

static void what_was_seen_until_then_is_below(void **state)
{
	struct lag lag = {0};
	uint64_t offset;

	(void)state;
	assert_false(lag_first_after(&lag, 0, &offset));
	lag_add(&lag, 10, 100);
	lag_add(&lag, 20, 200);
	assert_true(lag_first_after(&lag, 9, &offset));
	assert_int_equal(offset, 100);
	assert_true(lag_first_after(&lag, 10, &offset)); /* sent later, not at the same time */
	assert_int_equal(offset, 200);
	assert_false(lag_first_after(&lag, 20, &offset));
	lag_add(&lag, 30, 200); /* an idle master: the same offset, but asked later */
	assert_true(lag_first_after(&lag, 25, &offset));
	assert_int_equal(offset, 200);
}

static void behind_since_the_first_sample_not_reached(void **state)
{
	struct lag lag = {0};

	(void)state;
	assert_int_equal(lag_behind(&lag, 5, 1000), 0);
	lag_add(&lag, 10, 100);
	lag_add(&lag, 20, 200);
	lag_add(&lag, 30, 300);
	assert_int_equal(lag_behind(&lag, 300, 1000), 0);
	assert_int_equal(lag_behind(&lag, 299, 1000), 970);
	assert_int_equal(lag_behind(&lag, 199, 1000), 980);
	assert_int_equal(lag_behind(&lag, 0, 1000), 990);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(newest_reached_sample_counts),
		cmocka_unit_test(idle_master_makes_no_lag),
		cmocka_unit_test(another_history_is_refused),
		cmocka_unit_test(thinning_only_makes_older),
		cmocka_unit_test(what_was_seen_until_then_is_below),
		cmocka_unit_test(behind_since_the_first_sample_not_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
