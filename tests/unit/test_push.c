#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/push.h"

static const struct row {
	const char *value;
	size_t enough;       /* bytes of it that tell */
	enum push_kind kind;
} rows[] = {
	{ ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", 15, PUSH_MESSAGE },
	{ "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", 15, PUSH_MESSAGE },
	{ "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n", 15, PUSH_MESSAGE },
	{ "*4\r\n$8\r\npmessage\r\n$1\r\np\r\n$1\r\nc\r\n$1\r\nm\r\n", 16, PUSH_MESSAGE },
	{ ">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", 16, PUSH_MESSAGE },
	{ ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", 19, PUSH_INVALIDATE },
	{ ">2\r\n$21\r\ntracking-redir-broken\r\n:7\r\n", 30, PUSH_REDIRECT_BROKEN },
	{ "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", 17, PUSH_SUBSCRIBE },
	{ ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", 20, PUSH_UNSUBSCRIBE },
	{ "*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n", 19, PUSH_PSUBSCRIBE },
	{ "*3\r\n$12\r\npunsubscribe\r\n$1\r\nc\r\n:1\r\n", 21, PUSH_PUNSUBSCRIBE },
	{ "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n", 19, PUSH_SSUBSCRIBE },
	{ "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:1\r\n", 21, PUSH_SUNSUBSCRIBE },
	{ "+1795569738.233176 [0 127.0.0.1:42908] \"PING\"\r\n", 20, PUSH_MONITOR_LINE },
	/* none of these */
	{ "+OK\r\n", 2, PUSH_NONE },
	{ "+\r\n", 2, PUSH_NONE },
	{ "+12\r\n", 4, PUSH_NONE },
	{ "+12.5 [\r\n", 6, PUSH_NONE },
	{ "+12.1234567 [\r\n", 12, PUSH_NONE },
	{ "+12.123456 x\r\n", 12, PUSH_NONE },
	{ "+12.123456[\r\n", 11, PUSH_NONE },
	{ "+111111111111111111111111111111111111111111111111\r\n", 40, PUSH_NONE },
	{ "-ERR message\r\n", 1, PUSH_NONE },
	{ ":3\r\n", 1, PUSH_NONE },
	{ "$7\r\nmessage\r\n", 1, PUSH_NONE },
	{ "*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", 15, PUSH_NONE },
	{ "*4\r\n$7\r\nmessage\r\n$1\r\nc\r\n", 15, PUSH_NONE },
	{ "*2\r\n$4\r\npong\r\n$0\r\n\r\n", 12, PUSH_NONE },
	{ "*3\r\n$7\r\nMESSAGE\r\n", 15, PUSH_NONE },
	{ "*3\r\n$6\r\nmessag\r\n", 14, PUSH_NONE },
	{ "*3\r\n:1\r\n", 5, PUSH_NONE },
	{ "*3\r\n*1\r\n$7\r\nmessage\r\n", 5, PUSH_NONE },
	{ "*3\r\n$22\r\n", 9, PUSH_NONE },
	{ "*3\r\n$-1\r\n", 9, PUSH_NONE },
	{ "*0\r\n+OK\r\n", 4, PUSH_NONE },
	{ "*-1\r\n$7\r\n", 5, PUSH_NONE },
	{ "*x", 2, PUSH_NONE },
	{ ">2\r\n$6\r\nfuture\r\n$1\r\nx\r\n", 14, PUSH_OTHER },
	{ ">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", 15, PUSH_OTHER },
	{ ">1\r\n:1\r\n", 5, PUSH_OTHER },
	{ ">0\r\n", 4, PUSH_OTHER },
	{ ">x", 2, PUSH_OTHER },
};

static enum push_kind call(const char *value, size_t length)
{
	char *block = malloc(length);
	enum push_kind kind;

	memcpy(block, value, length);
	kind = push_kind(block, length);
	free(block);
	return kind;
}

static void kinds_at_every_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		for (size_t length = 1; length <= strlen(row->value); length++) {
			enum push_kind wanted = length < row->enough ? PUSH_UNDECIDED : row->kind;

			if (call(row->value, length) != wanted)
				fail_msg("%zu bytes of %s", length, row->value);
		}
	}
}

static void an_opening_always_tells(void **state)
{
	static const char letters[] = "*>+$:0123456789.[ \r\nmessagsubcrib-_x";
	char value[PUSH_OPENING_BYTES];
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		for (size_t i = 0; i < sizeof(value); i++) {
			seed = seed * 1664525 + 1013904223;
			value[i] = letters[(seed >> 8) % (sizeof(letters) - 1)];
		}
		assert_int_not_equal(call(value, sizeof(value)), PUSH_UNDECIDED);
	}
}

static void subjects(void **state)
{
	struct slice name;

	(void)state;
	assert_true(push_subject(slice_of(">3\r\n$11\r\nunsubscribe\r\n$4\r\na\r\nb\r\n:12\r\n"), &name));
	assert_true(slice_equal(name, slice_of("a\r\nb")));
	assert_true(push_subject(slice_of("*3\r\n$9\r\nsubscribe\r\n$0\r\n\r\n:0\r\n"), &name));
	assert_int_equal(name.length, 0);
	assert_false(push_subject(slice_of("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"), &name));
	assert_false(push_subject(slice_of(">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"), &name));
	assert_false(push_subject(slice_of(">2\r\n$21\r\ntracking-redir-broken\r\n:77\r\n"), &name));
	assert_false(push_subject(slice_of(">3\r\n$11\r\nunsubscribe\r\n$4\r\na"), &name));
	assert_false(push_subject(slice_of(""), &name));
}

static void numbers(void **state)
{
	(void)state;
	assert_int_equal(push_number(slice_of(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:12\r\n")), 12);
	assert_int_equal(push_number(slice_of("*3\r\n$9\r\nsubscribe\r\n$4\r\n:99:\r\n:0\r\n")), 0);
	assert_int_equal(push_number(slice_of(">2\r\n$21\r\ntracking-redir-broken\r\n:77\r\n")), 77);
	assert_int_equal(push_number(slice_of("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n$2\r\n:1\r\n")), 1); /* no server says so */
	assert_int_equal(push_number(slice_of("*1\r\n$1\r\nc\r\n")), -1);
	assert_int_equal(push_number(slice_of(":x\r\n")), -1);
	assert_int_equal(push_number(slice_of(":1")), -1);
	assert_int_equal(push_number(slice_of("")), -1);
}

static void authors_at_every_length(void **state)
{
	static const struct {
		const char *line;
		size_t enough;
		enum push_author author;
	} lines[] = {
		{ "+1795569738.233176 [0 127.0.0.1:42908] \"rOLE\"\r\n", 43, AUTHOR_WEIR },
		{ "+1795569738.233176 [0 [::1]:42908] \"iNFO\" \"x\"\r\n", 39, AUTHOR_WEIR },
		{ "+1795569738.233176 [9 unix:/tmp/s] \"ROLE\"\r\n", 39, AUTHOR_OTHER },
		{ "+1795569738.233176 [0 lua] \"get\" \"k\"\r\n", 31, AUTHOR_OTHER },
		{ "+1795569738.233176 [0 127.0.0.1:42908] \"Role\"\r\n", 43, AUTHOR_OTHER },
		{ "+1795569738.233176 [0 127.0.0.1:42908] \"eVaL\" \"\"\r\n", 43, AUTHOR_OTHER },
		{ "+1795569738.233176 [0 127.0.0.1:42908] \"x\" \"rOLE\"\r\n", 43, AUTHOR_OTHER },
	};
	char endless[PUSH_ADDRESS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (size_t length = 1; length <= strlen(lines[i].line); length++)
			assert_int_equal(push_line_author(lines[i].line, length),
					 length < lines[i].enough ? AUTHOR_UNDECIDED : lines[i].author);
	memset(endless, 'x', sizeof(endless));
	assert_int_equal(push_line_author(endless, sizeof(endless) - 1), AUTHOR_UNDECIDED);
	assert_int_equal(push_line_author(endless, sizeof(endless)), AUTHOR_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_at_every_length),
		cmocka_unit_test(an_opening_always_tells),
		cmocka_unit_test(subjects),
		cmocka_unit_test(numbers),
		cmocka_unit_test(authors_at_every_length),
	};

	return cmocka_run_group_tests_name("push", tests, NULL, NULL);
}
