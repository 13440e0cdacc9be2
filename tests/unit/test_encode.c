#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/encode.h"
#include "../../protocol/resp.h"

static void expect(struct buf *out, const char *wanted)
{
	assert_int_equal(buf_length(out), strlen(wanted));
	assert_memory_equal(buf_head(out), wanted, strlen(wanted));
	buf_free(out);
}

static void lines(void **state)
{
	struct buf out = { 0 };

	(void)state;
	encode_status(&out, "OK");
	expect(&out, "+OK\r\n");
	encode_error(&out, "ERR no");
	expect(&out, "-ERR no\r\n");
	encode_error(&out, "");
	expect(&out, "-\r\n");
}

static void text_cannot_forge_a_reply(void **state)
{
	struct buf out = { 0 };

	(void)state;
	encode_error(&out, "ERR a\r\n+OK\r\n");
	expect(&out, "-ERR a  +OK  \r\n");
	encode_status(&out, "\n");
	expect(&out, "+ \r\n");
}

static void integers(void **state)
{
	static const struct {
		int64_t value;
		const char *wanted;
	} rows[] = {
		{ 0, ":0\r\n" },
		{ -1, ":-1\r\n" },
		{ 10, ":10\r\n" },
		{ INT64_MAX, ":9223372036854775807\r\n" },
		{ INT64_MIN, ":-9223372036854775808\r\n" },
	};
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		encode_integer(&out, rows[i].value);
		expect(&out, rows[i].wanted);
	}
}

static void bulks(void **state)
{
	struct buf out = { 0 };

	(void)state;
	encode_bulk(&out, (struct slice){ "a\0\r\n", 4 });
	assert_int_equal(buf_length(&out), 10);
	assert_memory_equal(buf_head(&out), "$4\r\na\0\r\n\r\n", 10);
	buf_free(&out);
	encode_bulk(&out, (struct slice){ NULL, 0 });
	expect(&out, "$0\r\n\r\n");
	encode_bulk_text(&out, "0123456789");
	expect(&out, "$10\r\n0123456789\r\n");
}

static void forms_of_the_two_versions(void **state)
{
	struct buf out = { 0 };

	(void)state;
	encode_null(&out, 2);
	expect(&out, "$-1\r\n");
	encode_null(&out, 3);
	expect(&out, "_\r\n");
	encode_map(&out, 3, 2);
	expect(&out, "*6\r\n");
	encode_map(&out, 3, 3);
	expect(&out, "%3\r\n");
	encode_verbatim(&out, slice_of("ab"), 2);
	expect(&out, "$2\r\nab\r\n");
	encode_verbatim(&out, slice_of("ab"), 3);
	expect(&out, "=6\r\ntxt:ab\r\n");
	encode_array(&out, 0);
	expect(&out, "*0\r\n");
}

static void requests(void **state)
{
	struct slice argv[] = { { "GET", 3 }, { "", 0 } };
	struct buf out = { 0 };

	(void)state;
	encode_request(&out, 2, argv);
	expect(&out, "*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
	encode_request_words(&out, "SELECT", "12", NULL);
	expect(&out, "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n");
	encode_request_words(&out, "PING", NULL);
	expect(&out, "*1\r\n$4\r\nPING\r\n");
}

static void random_bytes(char *bytes, size_t length, uint32_t *seed)
{
	for (size_t i = 0; i < length; i++) {
		*seed = *seed * 1664525 + 1013904223;
		bytes[i] = (char)(*seed >> 24);
	}
}

/* What is encoded is framed as one request, and its arguments come back. */
static void requests_come_back(void **state)
{
	char bytes[8][300];
	struct slice argv[8];
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct resp_request_framer framer = { 0 };
		struct resp_request request;
		struct resp_args args;
		struct slice arg;
		struct buf out = { 0 };
		const char *error;
		size_t argc, seen = 0;

		seed = seed * 1664525 + 1013904223;
		argc = 1 + (seed >> 29);
		for (size_t i = 0; i < argc; i++) {
			seed = seed * 1664525 + 1013904223;
			argv[i] = (struct slice){ bytes[i], (seed >> 16) % sizeof(bytes[i]) };
			random_bytes(bytes[i], argv[i].length, &seed);
		}
		encode_request(&out, argc, argv);
		assert_int_equal(resp_request_next(&framer, &resp_limits_default, buf_head(&out), buf_length(&out),
						   &request, &error), RESP_OK);
		assert_int_equal(request.length, buf_length(&out));
		assert_int_equal(request.argc, argc);
		assert_true(slice_equal(request.name, argv[0]));
		resp_args_begin(&args, buf_head(&out));
		while (resp_args_next(&args, &arg))
			assert_true(slice_equal(arg, argv[seen++]));
		assert_int_equal(seen, argc);
		buf_free(&out);
	}
}

static void replies_are_framed(void **state)
{
	struct resp_reply_framer framer = { 0 };
	struct buf out = { 0 };
	size_t used, replies = 0;

	(void)state;
	encode_status(&out, "a");
	encode_error(&out, "b");
	encode_integer(&out, INT64_MIN);
	encode_bulk_text(&out, "c");
	encode_null(&out, 2);
	encode_null(&out, 3);
	encode_map(&out, 1, 3);
	encode_verbatim(&out, slice_of("d"), 3);
	encode_array(&out, 1);
	encode_map(&out, 0, 2);
	while (buf_length(&out) > 0) {
		assert_int_equal(resp_reply_next(&framer, buf_head(&out), buf_length(&out), &used), RESP_OK);
		buf_consume(&out, used);
		replies++;
	}
	assert_int_equal(replies, 7);
	buf_free(&out);
}

static void own_words_are_told_by_their_spelling(void **state)
{
	struct buf out = { 0 };

	(void)state;
	encode_own_words(&out, "ROLE", NULL);
	expect(&out, "*1\r\n$4\r\nrOLE\r\n");
	buf_append(&out, "SET\r\n", 5);
	encode_own_words(&out, "CLIENT", "ID", NULL);
	expect(&out, "SET\r\n*2\r\n$6\r\ncLIENT\r\n$2\r\nID\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_words_are_told_by_their_spelling),
		cmocka_unit_test(lines),
		cmocka_unit_test(text_cannot_forge_a_reply),
		cmocka_unit_test(integers),
		cmocka_unit_test(bulks),
		cmocka_unit_test(forms_of_the_two_versions),
		cmocka_unit_test(requests),
		cmocka_unit_test(requests_come_back),
		cmocka_unit_test(replies_are_framed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
