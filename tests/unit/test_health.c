/* Rise, fall and backoff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../topology/health.h"

static void first_check_decides(void **state)
{
	struct health health;

	(void)state;
	health_init(&health, 2, 3);
	assert_true(health_good(&health));
	assert_int_equal(health.state, HEALTH_UP);
	health_init(&health, 2, 3);
	assert_true(health_bad(&health));
	assert_int_equal(health.state, HEALTH_DOWN);
}

static void falls_after_bad_ones_in_a_row(void **state)
{
	struct health health;

	(void)state;
	health_init(&health, 2, 3);
	health_good(&health);
	assert_false(health_bad(&health));
	assert_false(health_bad(&health));
	assert_false(health_good(&health)); /* and from the beginning again */
	assert_false(health_bad(&health));
	assert_false(health_bad(&health));
	assert_int_equal(health.state, HEALTH_UP);
	assert_true(health_bad(&health));
	assert_int_equal(health.state, HEALTH_DOWN);
	assert_false(health_bad(&health));
}

static void rises_after_good_ones_in_a_row(void **state)
{
	struct health health;

	(void)state;
	health_init(&health, 2, 3);
	health_bad(&health);
	assert_false(health_good(&health));
	assert_false(health_bad(&health));
	assert_false(health_good(&health));
	assert_true(health_good(&health));
	assert_int_equal(health.state, HEALTH_UP);
	assert_false(health_good(&health));
}

static void refusal_counts_at_once(void **state)
{
	struct health health;

	(void)state;
	health_init(&health, 2, 3);
	health_good(&health);
	assert_true(health_refused(&health));
	assert_int_equal(health.state, HEALTH_DOWN);
	assert_false(health_refused(&health));
}

static void backoff_grows_to_its_ceiling(void **state)
{
	static const int64_t wanted[] = {100, 200, 400, 800, 1000, 1000};
	struct health health;

	(void)state;
	health_init(&health, 2, 3);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_int_equal(health_backoff_ms(&health, 100, 0), wanted[i]);
	for (int i = 0; i < 1000; i++) {
		int64_t wait = health_backoff_ms(&health, 100, (uint32_t)i * 7919);

		assert_in_range(wait, 750, 1000);
	}
	health_good(&health);
	assert_int_equal(health_backoff_ms(&health, 100, 0), 100);
	assert_int_equal(health_backoff_ms(&health, 5000, 0), 5000); /* never below the interval's own */
	assert_int_equal(health_backoff_ms(&health, 5000, 0), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_check_decides),
		cmocka_unit_test(falls_after_bad_ones_in_a_row),
		cmocka_unit_test(rises_after_good_ones_in_a_row),
		cmocka_unit_test(refusal_counts_at_once),
		cmocka_unit_test(backoff_grows_to_its_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
