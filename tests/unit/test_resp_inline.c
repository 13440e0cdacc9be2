#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/resp.h"

/* Expected values were taken from ECHO and error replies of redis-server
 * 7.0.15 to the same lines. */

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *line;
	size_t length;
	int argc;
	const char *wanted;
	size_t wanted_length;
} rows[] = {
	{ BYTES("PING\r\n"), 1, BYTES("*1\r\n$4\r\nPING\r\n") },
	{ BYTES("PING\n"), 1, BYTES("*1\r\n$4\r\nPING\r\n") },
	{ BYTES("PING\r\r\n"), 1, BYTES("*1\r\n$4\r\nPING\r\n") },
	{ BYTES("PING\r x\r\n"), 2, BYTES("*2\r\n$4\r\nPING\r\n$1\r\nx\r\n") },
	{ BYTES("  PING  \r\n"), 1, BYTES("*1\r\n$4\r\nPING\r\n") },
	{ BYTES("set\tk  v\r\n"), 3, BYTES("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n") },
	/* VT and FF go before an argument, but do not end one */
	{ BYTES("\vPING\f\r\n"), 1, BYTES("*1\r\n$5\r\nPING\f\r\n") },
	{ BYTES("ECHO a\vb\r\n"), 2, BYTES("*2\r\n$4\r\nECHO\r\n$3\r\na\vb\r\n") },
	/* blank lines */
	{ BYTES("\r\n"), 0, BYTES("") },
	{ BYTES("\n"), 0, BYTES("") },
	{ BYTES(" \t\v\f \r\n"), 0, BYTES("") },
	/* double quotes */
	{ BYTES("ECHO \"a b\"\r\n"), 2, BYTES("*2\r\n$4\r\nECHO\r\n$3\r\na b\r\n") },
	{ BYTES("ECHO \"\"\r\n"), 2, BYTES("*2\r\n$4\r\nECHO\r\n$0\r\n\r\n") },
	{ BYTES("\"\"\r\n"), 1, BYTES("*1\r\n$0\r\n\r\n") },
	{ BYTES("E \"a\\x41\\n\\r\\t\\b\\a\\\"\\q\\\\\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$10\r\naA\n\r\t\b\a\"q\\\r\n") },
	{ BYTES("E \"\\x00\\xfF\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$2\r\n\0\xff\r\n") },
	{ BYTES("E \"\\x4\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$2\r\nx4\r\n") },
	{ BYTES("E \"\\xzz\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$3\r\nxzz\r\n") },
	{ BYTES("E \"\\x\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$1\r\nx\r\n") },
	{ BYTES("E \"a\"\tb\r\n"), 3, BYTES("*3\r\n$1\r\nE\r\n$1\r\na\r\n$1\r\nb\r\n") },
	{ BYTES("E \"a\"\v\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$1\r\na\r\n") },
	{ BYTES("E \"a'b\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$3\r\na'b\r\n") },
	/* single quotes */
	{ BYTES("E 'a\\'b\\n'\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$5\r\na'b\\n\r\n") },
	{ BYTES("E ''\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$0\r\n\r\n") },
	{ BYTES("E 'a\"b'\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$3\r\na\"b\r\n") },
	/* a quoted part at the end of an argument */
	{ BYTES("E a\"b\"\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$2\r\nab\r\n") },
	{ BYTES("E a'b c'\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$4\r\nab c\r\n") },
	/* a backslash outside of quotes is a byte like any other */
	{ BYTES("E a\\x41\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$5\r\na\\x41\r\n") },
	{ BYTES("E \xff\xfe\r\n"), 2, BYTES("*2\r\n$1\r\nE\r\n$2\r\n\xff\xfe\r\n") },
	/* unbalanced */
	{ BYTES("E \"a\r\n"), -1, BYTES("") },
	{ BYTES("E 'a\r\n"), -1, BYTES("") },
	{ BYTES("E \"a\\\r\n"), -1, BYTES("") },
	{ BYTES("E 'a\\\r\n"), -1, BYTES("") },
	{ BYTES("E 'a\\'\r\n"), -1, BYTES("") },
	{ BYTES("E \"a\\\"\r\n"), -1, BYTES("") },
	{ BYTES("E 'a'b\r\n"), -1, BYTES("") },
	{ BYTES("E \"a\"b\r\n"), -1, BYTES("") },
	{ BYTES("E \"a\"\"b\"\r\n"), -1, BYTES("") },
	{ BYTES("E a\"b\r\n"), -1, BYTES("") },
	{ BYTES("set \"\"\"test-key\"\"\" test-value\r\n"), -1, BYTES("") },
	{ BYTES("\"\r\n"), -1, BYTES("") },
	{ BYTES("\"\\x4\r\n"), -1, BYTES("") },
	/* a line without its end: nothing beyond it is read */
	{ BYTES("\"\\x4"), -1, BYTES("") },
	{ BYTES("\"\\x"), -1, BYTES("") },
	{ BYTES("'\\"), -1, BYTES("") },
	{ BYTES("\"a\""), 1, BYTES("*1\r\n$1\r\na\r\n") },
	{ BYTES("a"), 1, BYTES("*1\r\n$1\r\na\r\n") },
};

static void lines_become_multibulk(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = { 0 };
		char *block = malloc(rows[i].length);

		memcpy(block, rows[i].line, rows[i].length);
		assert_int_equal(resp_inline_encode(block, rows[i].length, &out), rows[i].argc);
		assert_int_equal(buf_length(&out), rows[i].wanted_length);
		assert_memory_equal(buf_slice(&out).bytes, rows[i].wanted, rows[i].wanted_length);
		buf_free(&out);
		free(block);
	}
}

static void appends_and_leaves_alone(void **state)
{
	struct buf out = { 0 };

	(void)state;
	buf_append_text(&out, "before");
	assert_int_equal(resp_inline_encode("a \"\r\n", 5, &out), -1);
	assert_int_equal(buf_length(&out), 6);
	assert_int_equal(resp_inline_encode("a\r\n", 3, &out), 1);
	assert_memory_equal(buf_head(&out), "before*1\r\n$1\r\na\r\n", buf_length(&out));
	buf_free(&out);
}

/* What comes out is one canonical request, whatever went in. */
static void random_lines(void **state)
{
	static const char alphabet[] = "ab \t\"'\\xnr4f\v\r\xff";
	uint32_t seed = 11;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct resp_request_framer framer = { 0 };
		struct resp_request request;
		struct buf out = { 0 };
		const char *error;
		char line[24];
		size_t length;
		int argc;

		seed = seed * 1664525 + 1013904223;
		length = 1 + (seed >> 8) % (sizeof(line) - 1);
		for (size_t i = 0; i + 1 < length; i++) {
			seed = seed * 1664525 + 1013904223;
			line[i] = alphabet[(seed >> 8) % (sizeof(alphabet) - 1)];
		}
		line[length - 1] = '\n';
		argc = resp_inline_encode(line, length, &out);
		if (argc > 0) {
			assert_int_equal(resp_request_next(&framer, &resp_limits_default, buf_head(&out),
							   buf_length(&out), &request, &error), RESP_OK);
			assert_int_equal(request.length, buf_length(&out));
			assert_int_equal(request.argc, argc);
		} else {
			assert_int_equal(buf_length(&out), 0);
		}
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_multibulk),
		cmocka_unit_test(appends_and_leaves_alone),
		cmocka_unit_test(random_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
