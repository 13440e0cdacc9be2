#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/resp.h"

/* A session is what the framer makes of a stream of bytes, as text: one word
 * per request ("name/argc", "inline/argc", "empty"), then "more", "end" or the
 * error. However the stream is cut, the session has to be the same. */

#define MAX_ARG "2147483647"

static const struct row {
	const char *bytes;
	const char *session;
} rows[] = {
	{ "", "end" },
	{ "*1\r\n$4\r\nPING\r\n", "PING/1 end" },
	{ "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "GET/2 end" },
	{ "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\n012345\r\n8901\r\n", "SET/3 end" },
	{ "*1\r\n$0\r\n\r\n", "/1 end" },
	{ "*1\r\n$11\r\nhello world\r\n*1\r\n$1\r\nx\r\n", "hello world/1 x/1 end" },
	{ "*10\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n",
	  "0/10 end" },
	{ "*1\r\n$2\r\n\r\n\r\n*0\r\n", "\r\n/1 empty end" },
	/* empty */
	{ "\r\n\n*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n", "empty empty empty empty empty PING/1 end" },
	{ "*-9223372036854775808\r\n", "empty end" },
	{ "   \r\n\t\v\f\r\n \n", "empty empty empty end" },
	/* not whole */
	{ "*", "more" },
	{ "*1\r", "more" },
	{ "*1\r\n", "more" },
	{ "*-", "more" },
	{ "*1\r\n$", "more" },
	{ "*1\r\n$4\r\n", "more" },
	{ "*1\r\n$4\r\nPIN", "more" },
	{ "*1\r\n$4\r\nPING", "more" },
	{ "*1\r\n$4\r\nPING\r", "more" },
	{ "*2\r\n$4\r\nPING\r\n", "more" },
	{ "*" MAX_ARG "\r\n", "more" },
	{ "*1\r\n$536870912\r\n", "more" },
	{ "PING", "more" },
	{ "PING\r", "more" },
	/* *N */
	{ "*2147483648\r\n", "Protocol error: invalid multibulk length" },
	{ "*4294967295\r\n", "Protocol error: invalid multibulk length" },
	{ "*4294967296\r\n", "Protocol error: invalid multibulk length" },
	{ "*4294967297\r\n", "Protocol error: invalid multibulk length" },
	{ "*9223372036854775807\r\n", "Protocol error: invalid multibulk length" },
	{ "*9223372036854775808\r\n", "Protocol error: invalid multibulk length" },
	{ "*-9223372036854775809\r\n", "Protocol error: invalid multibulk length" },
	{ "*18446744073709551617\r\n", "Protocol error: invalid multibulk length" },
	{ "*99999999999999999999999999\r\n", "Protocol error: invalid multibulk length" },
	{ "*00\r\n", "Protocol error: invalid multibulk length" },
	{ "*01\r\n", "Protocol error: invalid multibulk length" },
	{ "*-0\r\n", "Protocol error: invalid multibulk length" },
	{ "*-01\r\n", "Protocol error: invalid multibulk length" },
	{ "*+1\r\n", "Protocol error: invalid multibulk length" },
	{ "* 1\r\n", "Protocol error: invalid multibulk length" },
	{ "*1 \r\n", "Protocol error: invalid multibulk length" },
	{ "*1\n", "Protocol error: invalid multibulk length" },
	{ "*1\r\r\n", "Protocol error: invalid multibulk length" },
	{ "*1\rx", "Protocol error: invalid multibulk length" },
	{ "*1\rx$4\r\nPING\r\n", "Protocol error: invalid multibulk length" },
	{ "*10\rx$4\r\nPING\r\n", "Protocol error: invalid multibulk length" },
	{ "*\r\n", "Protocol error: invalid multibulk length" },
	{ "*-\r\n", "Protocol error: invalid multibulk length" },
	{ "*--1\r\n", "Protocol error: invalid multibulk length" },
	{ "*1x\r\n", "Protocol error: invalid multibulk length" },
	{ "*0x1\r\n", "Protocol error: invalid multibulk length" },
	{ "**\r\n", "Protocol error: invalid multibulk length" },
	/* $N */
	{ "*1\r\n$-1\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$-0\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$04\r\nPING\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$+4\r\nPING\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$ 4\r\nPING\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$536870913\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$2147483648\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$4294967300\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$9223372036854775808\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$18446744073709551615\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$-9223372036854775808\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$4\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$4\rxPING\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$10\rx0123456789\r\n", "Protocol error: invalid bulk length" },
	{ "*1\r\n$4\rx", "Protocol error: invalid bulk length" },
	{ "*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'" },
	{ "*1\r\n:4\r\n", "Protocol error: expected '$', got ':'" },
	{ "*1\r\n*1\r\n", "Protocol error: expected '$', got '*'" },
	{ "*1\r\n\r\n", "Protocol error: expected '$', got ' '" },
	{ "*1\r\n\n", "Protocol error: expected '$', got ' '" },
	{ "*1\r\n\xff", "Protocol error: expected '$', got '\xff'" },
	{ "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "Protocol error: expected '$', got 'f'" },
	/* behind an argument */
	{ "*1\r\n$4\r\nPINGxx", "Protocol error: expected CR LF behind an argument" },
	{ "*1\r\n$4\r\nPING\n\n", "Protocol error: expected CR LF behind an argument" },
	{ "*1\r\n$4\r\nPING\r\r", "Protocol error: expected CR LF behind an argument" },
	{ "*1\r\n$3\r\nPING\r\n", "Protocol error: expected CR LF behind an argument" },
	{ "*1\r\n$0\r\nab", "Protocol error: expected CR LF behind an argument" },
	{ "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\rx", "PING/1 Protocol error: expected CR LF behind an argument" },
	/* inline */
	{ "PING\r\n", "inline/1 end" },
	{ "PING\n", "inline/1 end" },
	{ "ping a b\r\n*1\r\n$4\r\nPING\r\nget k\n\r\n", "inline/1 PING/1 inline/1 empty end" },
	{ " PING\r\n\tPING\r\n\rPING\r\n\"PING\"\r\n'PING'\r\n", "inline/1 inline/1 inline/1 inline/1 inline/1 end" },
	{ "\"\n", "inline/1 end" },
	{ "%1\r\n", "Protocol error: expected '*', got '%'" },
	{ "+OK\r\n", "Protocol error: expected '*', got '+'" },
	{ "$4\r\n", "Protocol error: expected '*', got '$'" },
	{ "1\r\n", "Protocol error: expected '*', got '1'" },
	{ "@a\r\n", "Protocol error: expected '*', got '@'" },
	{ "[a\r\n", "Protocol error: expected '*', got '['" },
	{ "`a\r\n", "Protocol error: expected '*', got '`'" },
	{ "{a\r\n", "Protocol error: expected '*', got '{'" },
	{ "\x7f\r\n", "Protocol error: expected '*', got '\x7f'" },
	{ "\xc3\xa9\r\n", "Protocol error: expected '*', got '\xc3'" },
	{ "\x16\x03\x01\r\n", "Protocol error: expected '*', got '\x16'" },
};

/* ---- driving the framer ---- */

struct session {
	char text[4096];
	size_t length;
	bool passing;   /* requests are passed on before they are whole */
	char name[64];  /* of the one under way, which the framer has forgotten */
	size_t name_length;
};

static void note(struct session *session, const char *bytes, size_t length)
{
	assert_true(session->length + length + 2 < sizeof(session->text));
	memcpy(session->text + session->length, bytes, length);
	session->length += length;
	session->text[session->length] = '\0';
}

static void note_request(struct session *session, const struct resp_request *request)
{
	bool passed = session->name_length > 0;
	char argc[24];

	snprintf(argc, sizeof(argc), "/%d ", (int)request->argc);
	if (request->argc == 0) {
		note(session, "empty ", 6);
		return;
	}
	if (request->is_inline)
		note(session, "inline", 6);
	else if (passed)
		note(session, session->name, session->name_length);
	else
		note(session, request->name.bytes, request->name.length);
	note(session, argc, strlen(argc));
	session->name_length = 0;
}

/* Lets go of what has come of a request, once its name is known. Returns how
 * many bytes that were; the payload behind them goes by unseen where `more` has
 * it. */
static size_t pass(struct session *session, struct resp_request_framer *framer, const char *data, size_t more)
{
	size_t position = framer->position, payload;
	struct resp_args args;
	struct slice name;

	if (!session->passing || (session->name_length == 0 && resp_request_whole_args(framer) < 1))
		return 0;
	if (session->name_length == 0) {
		resp_args_begin(&args, data);
		assert_true(resp_args_next(&args, &name));
		assert_true(name.length < sizeof(session->name));
		memcpy(session->name, name.bytes, name.length);
		session->name_length = name.length;
	}
	resp_request_forget(framer, position);
	payload = resp_request_payload_left(framer);
	payload = payload < more ? payload : more;
	resp_request_skip_payload(framer, payload);
	return position + payload;
}

/* One call on a block of exactly `length` bytes, so that ASan sees any byte
 * read beyond; notes what came out. Returns the bytes done with. */
static size_t call(struct session *session, struct resp_request_framer *framer, const struct resp_limits *limits,
		   const char *data, size_t length, enum resp_result *result)
{
	char *block = malloc(length ? length : 1);
	struct resp_request request;
	const char *error;
	size_t done = 0;

	memcpy(block, data, length);
	*result = resp_request_next(framer, limits, block, length, &request, &error);
	if (*result == RESP_OK) {
		note_request(session, &request);
		done = request.length;
	} else if (*result == RESP_BAD) {
		note(session, error, strlen(error));
	}
	free(block);
	return done;
}

/* Bytes become visible up to `first`, then `step` at a time. */
static void run(struct session *session, const struct resp_limits *limits, const char *data, size_t length,
		size_t first, size_t step)
{
	struct resp_request_framer framer = { 0 };
	enum resp_result result = RESP_OK;
	size_t seen = first < length ? first : length, at = 0;

	session->length = session->name_length = 0;
	session->text[0] = '\0';
	for (;;) {
		at += call(session, &framer, limits, data + at, seen - at, &result);
		if (result == RESP_BAD)
			return;
		if (result == RESP_OK)
			continue;
		assert_true(framer.position <= seen - at);
		if (seen == length)
			break;
		at += pass(session, &framer, data + at, 1);
		seen = length - seen < step ? length : seen + step;
		seen = seen > at ? seen : at;
	}
	if (at < length || session->name_length > 0)
		note(session, "more", 4);
	else
		note(session, "end", 3);
}

static void check_cuts(const struct resp_limits *limits, const char *data, size_t length, const char *wanted, bool passing)
{
	struct session session = { .passing = passing };

	run(&session, limits, data, length, length, 1);
	assert_string_equal(session.text, wanted);
	for (size_t cut = 0; cut <= length; cut++) {
		run(&session, limits, data, length, cut, length);
		assert_string_equal(session.text, wanted);
	}
	for (size_t step = 1; step <= 7; step++) {
		run(&session, limits, data, length, step, step);
		assert_string_equal(session.text, wanted);
	}
}

static void check_every_cut(const struct resp_limits *limits, const char *data, size_t length, const char *wanted)
{
	check_cuts(limits, data, length, wanted, false);
	check_cuts(limits, data, length, wanted, true);
}

static void check_text(const struct resp_limits *limits, const char *text, const char *wanted)
{
	check_every_cut(limits, text, strlen(text), wanted);
}

/* ---- tests ---- */

static void table_cut_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_text(&resp_limits_default, rows[i].bytes, rows[i].session);
}

static void nul_bytes(void **state)
{
	(void)state;
	check_every_cut(&resp_limits_default, "*1\r\n\0", 5, "Protocol error: expected '$', got ' '");
	check_every_cut(&resp_limits_default, "\0PING\r\n", 7, "Protocol error: expected '*', got ' '");
	check_every_cut(&resp_limits_default, "PI\0NG\r\n", 7, "Protocol error: NUL byte in inline request");
	check_every_cut(&resp_limits_default, "PI\0", 3, "Protocol error: NUL byte in inline request");
}

static void names_may_hold_any_byte(void **state)
{
	static const char request[] = "*1\r\n$3\r\na\0b\r\n";
	struct resp_request_framer framer = { 0 };
	struct resp_request found;
	const char *error;

	(void)state;
	assert_int_equal(resp_request_next(&framer, &resp_limits_default, request, sizeof(request) - 1, &found, &error),
			 RESP_OK);
	assert_int_equal(found.name.length, 3);
	assert_memory_equal(found.name.bytes, "a\0b", 3);
	assert_false(found.is_inline);
}

/* Any sequence of good rows is the sequence of their sessions. */
static void random_concatenations(void **state)
{
	uint32_t seed = 3;

	(void)state;
	for (int round = 0; round < 300; round++) {
		char bytes[2048] = "", wanted[4096] = "";
		struct session session = { .passing = false };

		for (int i = 0; i < 8; i++) {
			const struct row *row;
			const char *end;

			seed = seed * 1664525 + 1013904223;
			row = &rows[(seed >> 8) % (sizeof(rows) / sizeof(rows[0]))];
			end = strstr(row->session, "end");
			if (end == NULL)
				continue;
			strcat(bytes, row->bytes);
			strncat(wanted, row->session, (size_t)(end - row->session));
		}
		strcat(wanted, "end");
		for (size_t step = 1; step < 40; step += 1 + step / 4) {
			run(&session, &resp_limits_default, bytes, strlen(bytes), step, step);
			assert_string_equal(session.text, wanted);
		}
	}
}

static void limits_before_authentication(void **state)
{
	static const struct row unauthenticated[] = {
		{ "*10\r\n", "more" },
		{ "*11\r\n", "Protocol error: unauthenticated multibulk length" },
		{ "*2147483647\r\n", "Protocol error: unauthenticated multibulk length" },
		{ "*2147483648\r\n", "Protocol error: invalid multibulk length" },
		{ "*-5\r\n", "empty end" },
		{ "*1\r\n$16384\r\n", "more" },
		{ "*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length" },
		{ "*1\r\n$536870912\r\n", "Protocol error: unauthenticated bulk length" },
		{ "*1\r\n$536870913\r\n", "Protocol error: invalid bulk length" },
		{ "*1\r\n$-1\r\n", "Protocol error: invalid bulk length" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(unauthenticated) / sizeof(unauthenticated[0]); i++)
		check_text(&resp_limits_unauthenticated, unauthenticated[i].bytes, unauthenticated[i].session);
}

static void limits_of_ones_own(void **state)
{
	struct resp_limits limits = { .max_args = 2, .max_bulk = 3, .max_inline = 4 };
	struct resp_limits huge = { .max_args = INT64_MAX, .max_bulk = INT64_MAX, .max_inline = SIZE_MAX - 1 };

	(void)state;
	check_text(&limits, "*2\r\n$3\r\nabc\r\n$0\r\n\r\n", "abc/2 end");
	check_text(&limits, "*3\r\n", "Protocol error: invalid multibulk length");
	check_text(&limits, "*1\r\n$4\r\n", "Protocol error: invalid bulk length");
	check_text(&limits, "*3\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n", "Protocol error: invalid multibulk length");
	check_text(&limits, "*1\r\n$4\r\nPING\r\n", "Protocol error: invalid bulk length");
	check_text(&limits, "abcd\n", "inline/1 end");
	check_text(&limits, "abc\r\n", "inline/1 end");
	check_text(&limits, "abcd\r\n", "Protocol error: too big inline request");
	check_text(&limits, "abcd", "more");
	check_text(&limits, "abcde", "Protocol error: too big inline request");
	check_text(&limits, "     ", "Protocol error: too big inline request");
	/* the ceilings are compiled in */
	check_text(&huge, "*2147483648\r\n", "Protocol error: invalid multibulk length");
	check_text(&huge, "*1\r\n$536870913\r\n", "Protocol error: invalid bulk length");
	check_text(&huge, "PING\r\n", "inline/1 end");
}

/* As redis has it: 65536 bytes of line, whatever ends it. */
static void inline_limit(void **state)
{
	size_t most = 64 * 1024;
	char *line = malloc(most + 2);
	struct session session = { .passing = false };

	(void)state;
	memset(line, 'x', most + 2);
	run(&session, &resp_limits_default, line, most, 1, 1000);
	assert_string_equal(session.text, "more");
	run(&session, &resp_limits_default, line, most + 1, most + 1, 1);
	assert_string_equal(session.text, "Protocol error: too big inline request");
	line[most] = '\n';
	run(&session, &resp_limits_default, line, most + 1, 1, 1000);
	assert_string_equal(session.text, "inline/1 end");
	line[most] = 'x';
	line[most + 1] = '\n';
	run(&session, &resp_limits_default, line, most + 2, most + 2, 1);
	assert_string_equal(session.text, "Protocol error: too big inline request");
	free(line);
}

/* A request of many megabytes a few bytes at a time: the framer looks at each
 * byte once, and declared sizes are never touched. */
static void large_requests_cost_linear_time(void **state)
{
	static const char head[] = "*2\r\n$3\r\nSET\r\n$67108864\r\n";
	size_t bulk = 64 * 1024 * 1024, length = sizeof(head) - 1 + bulk + 2, seen = 1;
	char *data = malloc(length);
	struct resp_request_framer framer = { 0 };
	struct resp_request request;
	const char *error;

	(void)state;
	memset(data, 'v', length);
	memcpy(data, head, sizeof(head) - 1);
	memcpy(data + length - 2, "\r\n", 2);
	for (; seen < length; seen += 61)
		assert_int_equal(resp_request_next(&framer, &resp_limits_default, data, seen, &request, &error),
				 RESP_AGAIN);
	assert_int_equal(resp_request_next(&framer, &resp_limits_default, data, length, &request, &error), RESP_OK);
	assert_int_equal(request.length, length);
	free(data);
}

static void many_arguments(void **state)
{
	enum { COUNT = 100000 };
	size_t length, at = 0, seen;
	char *data = malloc(16 + COUNT * 7);
	struct resp_request_framer framer = { 0 };
	struct resp_request request;
	struct resp_args args;
	struct slice arg;
	const char *error;

	(void)state;
	at += (size_t)sprintf(data, "*%d\r\n", COUNT);
	for (int i = 0; i < COUNT; i++)
		at += (size_t)sprintf(data + at, "$1\r\n%c\r\n", 'a' + i % 26);
	length = at;
	for (seen = 0; seen < length; seen += 3)
		assert_int_equal(resp_request_next(&framer, &resp_limits_default, data, seen, &request, &error),
				 RESP_AGAIN);
	assert_int_equal(resp_request_next(&framer, &resp_limits_default, data, length, &request, &error), RESP_OK);
	assert_int_equal(request.argc, COUNT);
	resp_args_begin(&args, data);
	for (int i = 0; i < COUNT; i++) {
		assert_true(resp_args_next(&args, &arg));
		assert_int_equal(arg.length, 1);
		assert_int_equal(arg.bytes[0], 'a' + i % 26);
	}
	assert_false(resp_args_next(&args, &arg));
	free(data);
}

/* Every idle client holds one. */
static void framer_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct resp_request_framer) <= 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_cut_everywhere),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(names_may_hold_any_byte),
		cmocka_unit_test(random_concatenations),
		cmocka_unit_test(limits_before_authentication),
		cmocka_unit_test(limits_of_ones_own),
		cmocka_unit_test(inline_limit),
		cmocka_unit_test(large_requests_cost_linear_time),
		cmocka_unit_test(many_arguments),
		cmocka_unit_test(framer_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
