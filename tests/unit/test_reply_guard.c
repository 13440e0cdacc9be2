/* What a reply may claim, wherever its bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../topology/reply_guard.h"

enum { MOST = 100 };

static bool allows_in_pieces(const char *bytes, size_t piece)
{
	struct reply_guard guard = { 0 };
	size_t length = strlen(bytes);

	for (size_t at = 0; at < length; at += piece)
		if (!reply_guard_allows(&guard, bytes + at, length - at < piece ? length - at : piece, MOST))
			return false;
	return true;
}

static void check(const char *bytes, bool allowed)
{
	for (size_t piece = 1; piece <= strlen(bytes); piece++)
		assert_int_equal(allows_in_pieces(bytes, piece), allowed);
}

static void test_what_is_allowed(void **state)
{
	(void)state;
	check("*100\r\n", true);
	check("*-1\r\n*50\r\n*50\r\n", true);
	check("+*1000\r\n-ERR 1000\r\n:1000\r\n", true);
	check("$7\r\n*1000\r\n\r\n*3\r\n$-1\r\n$0\r\n\r\n:5\r\n", true);
	check("$1000\r\nabc", true);
}

static void test_what_is_not(void **state)
{
	(void)state;
	check("*101\r\n", false);
	check("*2147483647\r\n:1\r\n", false);
	check("*99999999999999999999999999\r\n", false);
	check("*2\r\n*50\r\n*50\r\n", false);
	check("%51\r\n", false);
	check("~101\r\n", false);
	check("$3\r\nabc\r\n*101\r\n", false);
	check("$-1\r\n*101\r\n", false);
}

static void test_the_next_reply_may_claim_again(void **state)
{
	struct reply_guard guard = { 0 };

	(void)state;
	assert_true(reply_guard_allows(&guard, "*60\r\n", 5, MOST));
	reply_guard_reset(&guard);
	assert_true(reply_guard_allows(&guard, "*60\r\n", 5, MOST));
	assert_false(reply_guard_allows(&guard, "*60\r\n", 5, MOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_allowed),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_the_next_reply_may_claim_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
