/* What is left of the time of a blocking command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/blocking.h"
#include "../../protocol/encode.h"

/* Words are split at blanks. */
static struct buf request_of(const char *line)
{
	struct slice words[16];
	size_t count = 0;
	struct buf out = { 0 };

	while (*line != '\0') {
		size_t length = strcspn(line, " ");

		words[count++] = (struct slice){ line, length };
		line += length + (line[length] == ' ');
	}
	encode_request(&out, count, words);
	return out;
}

static void shortened(const char *line, int64_t elapsed_ms, const char *expected)
{
	struct buf request = request_of(line), wanted = request_of(expected), got = { 0 };

	blocking_shorten(buf_slice(&request), elapsed_ms, &got);
	assert_int_equal(buf_length(&got), buf_length(&wanted));
	assert_memory_equal(buf_head(&got), buf_head(&wanted), buf_length(&wanted));
	buf_free(&request);
	buf_free(&wanted);
	buf_free(&got);
}

static void test_seconds_at_the_end(void **state)
{
	(void)state;
	shortened("BLPOP a b 10", 1500, "BLPOP a b 8.500");
	shortened("brpop a 0.25", 100, "brpop a 0.150");
	shortened("BLMOVE a b LEFT RIGHT 3", 1, "BLMOVE a b LEFT RIGHT 2.999");
	shortened("BRPOPLPUSH a b 2", 500, "BRPOPLPUSH a b 1.500");
	shortened("BZPOPMIN z 2", 500, "BZPOPMIN z 1.500");
}

static void test_seconds_in_front(void **state)
{
	(void)state;
	shortened("BLMPOP 5 1 a LEFT COUNT 2", 2000, "BLMPOP 3.000 1 a LEFT COUNT 2");
	shortened("BZMPOP 1e1 1 z MIN", 1000, "BZMPOP 9.000 1 z MIN");
}

static void test_milliseconds_of_a_stream(void **state)
{
	(void)state;
	shortened("XREAD COUNT 2 BLOCK 5000 STREAMS s $", 1200, "XREAD COUNT 2 BLOCK 3800 STREAMS s $");
	shortened("XREADGROUP GROUP g c BLOCK 100 STREAMS s >", 40, "XREADGROUP GROUP g c BLOCK 60 STREAMS s >");
}

static void test_a_millisecond_is_left(void **state)
{
	(void)state;
	shortened("BLPOP a 1", 5000, "BLPOP a 0.001");
	shortened("XREAD BLOCK 10 STREAMS s $", 10, "XREAD BLOCK 1 STREAMS s $");
}

static void test_what_stays_as_it_is(void **state)
{
	(void)state;
	shortened("BLPOP a 0", 5000, "BLPOP a 0");
	shortened("BLPOP a never", 5000, "BLPOP a never");
	shortened("BLPOP a -1", 5000, "BLPOP a -1");
	shortened("BLPOP a inf", 5000, "BLPOP a inf");
	shortened("XREAD STREAMS BLOCK 10", 5, "XREAD STREAMS BLOCK 10");
	shortened("XREAD BLOCK", 5, "XREAD BLOCK");
	shortened("MODULE.WAIT a 10", 5, "MODULE.WAIT a 10");
	shortened("BLPOP 10", 5, "BLPOP 10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seconds_at_the_end),
		cmocka_unit_test(test_seconds_in_front),
		cmocka_unit_test(test_milliseconds_of_a_stream),
		cmocka_unit_test(test_a_millisecond_is_left),
		cmocka_unit_test(test_what_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
