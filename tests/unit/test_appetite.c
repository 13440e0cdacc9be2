/* How many requests a client may have in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/backend/appetite.h"

static struct appetite newcomer(void)
{
	return (struct appetite){ .window = APPETITE_FIRST };
}

static void answer(struct appetite *appetite, uint32_t count, size_t bytes_each)
{
	for (uint32_t i = 0; i < count; i++) {
		appetite->answers++;
		appetite_feed(appetite, bytes_each);
	}
}

static void a_newcomer_has_a_few(void **state)
{
	struct appetite appetite = newcomer();

	(void)state;
	assert_true(appetite_allows(&appetite, APPETITE_FIRST - 1));
	assert_false(appetite_allows(&appetite, APPETITE_FIRST));
	assert_true(appetite_may_be_large(&appetite));
}

static void small_replies_open_the_window(void **state)
{
	struct appetite appetite = newcomer();

	(void)state;
	answer(&appetite, 12, 5);
	assert_true(appetite_allows(&appetite, APPETITE_MOST - 1));
	assert_false(appetite_allows(&appetite, APPETITE_MOST));
	assert_false(appetite_may_be_large(&appetite));
}

static void large_replies_close_it(void **state)
{
	struct appetite appetite = newcomer();

	(void)state;
	answer(&appetite, 1000, 5);
	answer(&appetite, APPETITE_MEMORY, 100 * 1024);
	assert_in_range(appetite.window, 1, 4);
	assert_true(appetite_is_large(&appetite));
	answer(&appetite, 1, 512 * 1024 * 1024);
	assert_true(appetite_allows(&appetite, 0)); /* one is always allowed */
	assert_false(appetite_allows(&appetite, 1));
}

static void a_large_one_under_way_counts_at_once(void **state)
{
	struct appetite appetite = newcomer();

	(void)state;
	for (int i = 0; i < 10; i++)
		appetite_feed(&appetite, 100 * 1024);
	assert_int_equal(appetite.window, 1);
}

static void what_was_is_forgotten(void **state)
{
	struct appetite appetite = newcomer();

	(void)state;
	answer(&appetite, 100, 1024 * 1024);
	answer(&appetite, 3000, 5);
	assert_true(appetite_allows(&appetite, APPETITE_MOST - 1));
	assert_in_range(appetite.answers, 1, APPETITE_MEMORY + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newcomer_has_a_few),
		cmocka_unit_test(small_replies_open_the_window),
		cmocka_unit_test(large_replies_close_it),
		cmocka_unit_test(a_large_one_under_way_counts_at_once),
		cmocka_unit_test(what_was_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
