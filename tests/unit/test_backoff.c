/* How long to wait before a server is connected to again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/backend/backoff.h"

enum { LONGEST_MS = 1000, MS = 1000000 };

static const uint32_t middle = UINT32_C(1) << 31;

static void it_doubles_up_to_the_longest(void **state)
{
	static const int64_t expected_ms[] = { 20, 40, 80, 160, 320, 640, 1000, 1000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(expected_ms) / sizeof(*expected_ms); i++)
		assert_int_equal(backoff_ns(i, LONGEST_MS, middle), expected_ms[i] * MS);
	assert_int_equal(backoff_ns(UINT32_MAX, LONGEST_MS, middle), (int64_t)LONGEST_MS * MS);
}

static void the_longest_holds_from_the_first(void **state)
{
	(void)state;
	assert_int_equal(backoff_ns(0, 10, middle), (int64_t)10 * MS);
	assert_int_equal(backoff_ns(5, 40, middle), (int64_t)40 * MS);
}

static void chance_takes_or_adds_a_quarter(void **state)
{
	(void)state;
	assert_int_equal(backoff_ns(3, LONGEST_MS, 0), (int64_t)120 * MS);
	assert_in_range(backoff_ns(3, LONGEST_MS, UINT32_MAX), (int64_t)200 * MS - 1, (int64_t)200 * MS);
	assert_in_range(backoff_ns(9, LONGEST_MS, UINT32_MAX), (int64_t)1250 * MS - 1, (int64_t)1250 * MS);
}

/* A thousand connections that were lost together: their attempts spread over the
 * half of the wait that is chance, so that no tenth of it has more than its share
 * and as much again. */
static void a_thousand_do_not_come_back_together(void **state)
{
	unsigned slots[10] = { 0 };
	uint32_t random = 1;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t wait_ns;

		random = random * 1664525u + 1013904223u;
		wait_ns = backoff_ns(6, LONGEST_MS, random) - (int64_t)750 * MS;
		assert_in_range(wait_ns, 0, (int64_t)500 * MS - 1);
		slots[wait_ns / ((int64_t)50 * MS)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(slots[i], 50, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_doubles_up_to_the_longest),
		cmocka_unit_test(the_longest_holds_from_the_first),
		cmocka_unit_test(chance_takes_or_adds_a_quarter),
		cmocka_unit_test(a_thousand_do_not_come_back_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
