/* CLIENT PAUSE as a worker knows it: which of several wins, and when it is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/dispatch/pause.h"

#define MS 1000000LL
#define LINGER (250 * MS)

static struct pause begun(enum pause_mode mode, int64_t end_ms)
{
	struct pause pause;

	pause_init(&pause);
	pause_begin(&pause, mode, end_ms * MS, 10 * MS);
	return pause;
}

static void assert_pause(const struct pause *pause, enum pause_mode mode, int64_t end_ms)
{
	assert_int_equal(pause->mode, mode);
	assert_int_equal(pause->end_ns, end_ms * MS);
	assert_true(pause->diverts);
}

static void nothing_is_paused_at_first(void **state)
{
	struct pause pause;

	(void)state;
	pause_init(&pause);
	assert_int_equal(pause.mode, PAUSE_NONE);
	assert_false(pause.diverts);
	assert_false(pause_expire(&pause, 1000 * MS));
}

static void longest_end_and_strictest_mode_win(void **state)
{
	struct pause pause = begun(PAUSE_WRITE, 100);

	(void)state;
	pause_begin(&pause, PAUSE_WRITE, 50 * MS, 20 * MS);
	assert_pause(&pause, PAUSE_WRITE, 100);
	pause_begin(&pause, PAUSE_ALL, 60 * MS, 20 * MS);
	assert_pause(&pause, PAUSE_ALL, 100);
	pause_begin(&pause, PAUSE_WRITE, 200 * MS, 20 * MS);
	assert_pause(&pause, PAUSE_ALL, 200);
}

static void one_that_is_over_does_not_count(void **state)
{
	struct pause pause = begun(PAUSE_ALL, 100);

	(void)state;
	pause_begin(&pause, PAUSE_WRITE, 150 * MS, 100 * MS);
	assert_pause(&pause, PAUSE_WRITE, 150);
}

static void it_ends_by_itself_and_diverts_a_little_longer(void **state)
{
	struct pause pause = begun(PAUSE_ALL, 100);

	(void)state;
	assert_false(pause_expire(&pause, 99 * MS));
	assert_true(pause_expire(&pause, 100 * MS));
	assert_int_equal(pause.mode, PAUSE_NONE);
	assert_true(pause.diverts);
	assert_false(pause_expire(&pause, 100 * MS + LINGER));
	assert_true(pause_expire(&pause, 101 * MS + LINGER));
	assert_false(pause.diverts);
	assert_false(pause_expire(&pause, 200 * MS + LINGER));
}

static void it_is_ended(void **state)
{
	struct pause pause = begun(PAUSE_ALL, 100);

	(void)state;
	pause_end(&pause, 11 * MS);
	assert_int_equal(pause.mode, PAUSE_NONE);
	assert_false(pause.diverts);
	pause_begin(&pause, PAUSE_WRITE, 50 * MS, 20 * MS);
	assert_pause(&pause, PAUSE_WRITE, 50);
}

/* The master may have heard the two in the other order. */
static void an_end_that_was_asked_for_before_the_pause(void **state)
{
	struct pause pause = begun(PAUSE_ALL, 100);

	(void)state;
	pause_end(&pause, 10 * MS);
	assert_pause(&pause, PAUSE_WRITE, 100);
	assert_true(pause_expire(&pause, 100 * MS));
	pause_end(&pause, 10 * MS);
	assert_int_equal(pause.mode, PAUSE_NONE);
}

/* Somebody else ends a pause while the next one is on its way to the master. */
static void one_that_is_prepared(void **state)
{
	struct pause pause = begun(PAUSE_ALL, 100);

	(void)state;
	pause_prepare(&pause, 1000 * MS);
	pause_end(&pause, 11 * MS);
	assert_int_equal(pause.mode, PAUSE_NONE);
	assert_true(pause.diverts);
	pause_begin(&pause, PAUSE_WRITE, 60 * MS, 20 * MS);
	assert_pause(&pause, PAUSE_WRITE, 60);
	pause_end(&pause, 21 * MS);
	assert_false(pause.diverts);
}

static void one_that_is_prepared_and_never_begins(void **state)
{
	struct pause pause;

	(void)state;
	pause_init(&pause);
	pause_prepare(&pause, 1000 * MS);
	assert_false(pause_expire(&pause, 999 * MS));
	assert_true(pause.diverts);
	assert_true(pause_expire(&pause, 1000 * MS));
	assert_false(pause.diverts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_paused_at_first),
		cmocka_unit_test(longest_end_and_strictest_mode_win),
		cmocka_unit_test(one_that_is_over_does_not_count),
		cmocka_unit_test(it_ends_by_itself_and_diverts_a_little_longer),
		cmocka_unit_test(it_is_ended),
		cmocka_unit_test(one_that_is_prepared),
		cmocka_unit_test(one_that_is_prepared_and_never_begins),
		cmocka_unit_test(an_end_that_was_asked_for_before_the_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
