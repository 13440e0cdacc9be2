#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/cursor.h"
#include "../../protocol/resp.h"

enum { ROUNDS = 200000 };

static const uint64_t tagged_bit = 1ULL << 52;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct cursor read_number(uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cursor_read(slice_of(text));
}

/* ---- numbers ---- */

static void what_clients_may_say(void **state)
{
	static const struct {
		const char *text;
		enum cursor_kind kind;
		uint64_t own;
	} rows[] = {
		{ "0", CURSOR_START, 0 },
		{ "1", CURSOR_PLAIN, 1 },
		{ "17", CURSOR_PLAIN, 17 },
		{ "4503599627370495", CURSOR_PLAIN, 4503599627370495 },  /* 2^52 - 1 */
		{ "4503599627370496", CURSOR_TAGGED, 0 },                /* 2^52 */
		{ "4503599627370497", CURSOR_TAGGED, 1 },
		{ "9007199254740991", CURSOR_TAGGED, (1ULL << 34) - 1 }, /* 2^53 - 1 */
		{ "9007199254740992", CURSOR_PLAIN, 9007199254740992 },  /* 2^53 */
		{ "18446744073709551615", CURSOR_PLAIN, UINT64_MAX },
		/* What a server takes, or complains of, in its own way. */
		{ "18446744073709551616", CURSOR_PLAIN, 0 },
		{ "99999999999999999999", CURSOR_PLAIN, 0 },
		{ "184467440737095516150", CURSOR_PLAIN, 0 },
		{ "", CURSOR_PLAIN, 0 },
		{ "00", CURSOR_PLAIN, 0 },
		{ "04503599627370497", CURSOR_PLAIN, 0 },
		{ "+0", CURSOR_PLAIN, 0 },
		{ "-1", CURSOR_PLAIN, 0 },
		{ " 4503599627370497", CURSOR_PLAIN, 0 },
		{ "4503599627370497 ", CURSOR_PLAIN, 0 },
		{ "0x10", CURSOR_PLAIN, 0 },
		{ "begin", CURSOR_PLAIN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cursor cursor = cursor_read(slice_of(rows[i].text));

		assert_int_equal(cursor.kind, rows[i].kind);
		assert_int_equal(cursor.own, rows[i].own);
	}
}

/* Whatever a server may issue comes back to it, under every tag, and is never
 * taken for an untagged one; a double holds it. */
static void a_tag_can_be_taken_off_again(void **state)
{
	uint64_t random = 88172645463325252;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t own = next_random(&random) >> (30 + next_random(&random) % 33);
		uint32_t tag = (uint32_t)(next_random(&random) & ((1u << CURSOR_TAG_BITS) - 1));
		uint64_t given;
		struct cursor cursor;

		assert_true(cursor_fits(own));
		given = cursor_tagged(own, tag);
		if (own == 0) {
			assert_int_equal(given, 0);
			continue;
		}
		assert_true(given >= tagged_bit && given < 2 * tagged_bit);
		assert_true((uint64_t)(double)given == given);
		cursor = read_number(given);
		assert_int_equal(cursor.kind, CURSOR_TAGGED);
		assert_int_equal(cursor.tag, tag);
		assert_int_equal(cursor.own, own);
	}
}

/* The cursor of a table of 2^bits buckets, as redis counts: the mirrored bucket
 * number rises by one. It stays below the number of buckets. */
static void every_cursor_of_a_table_fits(void **state)
{
	(void)state;
	for (unsigned bits = 2; bits <= 40; bits++) {
		uint64_t largest = (1ULL << bits) - 1;

		assert_int_equal(cursor_fits(1ULL << (bits - 1)), bits <= CURSOR_OWN_BITS); /* the first one after 0 */
		assert_int_equal(cursor_fits(largest), bits <= CURSOR_OWN_BITS);
	}
	assert_false(cursor_fits(UINT64_MAX));
}

/* ---- requests ---- */

static void expect_rewritten(const char *request, int position, uint64_t cursor, const char *wanted)
{
	struct buf out = { 0 };

	cursor_rewrite(&out, slice_of(request), position, cursor);
	assert_int_equal(buf_length(&out), strlen(wanted));
	assert_memory_equal(buf_head(&out), wanted, strlen(wanted));
	buf_free(&out);
}

static void requests_are_rewritten(void **state)
{
	(void)state;
	expect_rewritten("*2\r\n$4\r\nSCAN\r\n$16\r\n4503599627370513\r\n", 1, 17, "*2\r\n$4\r\nSCAN\r\n$2\r\n17\r\n");
	expect_rewritten("*2\r\n$4\r\nSCAN\r\n$1\r\n1\r\n", 1, UINT64_MAX,
			 "*2\r\n$4\r\nSCAN\r\n$20\r\n18446744073709551615\r\n");
	expect_rewritten("*5\r\n$5\r\nHSCAN\r\n$0\r\n\r\n$3\r\n123\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n", 2, 0,
			 "*5\r\n$5\r\nHSCAN\r\n$0\r\n\r\n$1\r\n0\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n");
	expect_rewritten("*3\r\n$5\r\nsscan\r\n$4\r\n\r\n$1\r\n$3\r\n123\r\n", 2, 7,
			 "*3\r\n$5\r\nsscan\r\n$4\r\n\r\n$1\r\n$1\r\n7\r\n");
}

/* ---- replies ---- */

static void expect_head(const char *reply, enum cursor_head wanted, size_t wanted_length, uint64_t wanted_own)
{
	size_t length = 0;
	uint64_t own = 0;

	assert_int_equal(cursor_head_read(slice_of(reply), &length, &own), wanted);
	if (wanted != CURSOR_HEAD_WHOLE)
		return;
	assert_int_equal(length, wanted_length);
	assert_int_equal(own, wanted_own);
}

static void heads_of_replies(void **state)
{
	(void)state;
	expect_head("*2\r\n$1\r\n0\r\n*0\r\n", CURSOR_HEAD_WHOLE, 11, 0);
	expect_head("*2\r\n$2\r\n17\r\n*1\r\n$1\r\na\r\n", CURSOR_HEAD_WHOLE, 12, 17);
	expect_head("*2\r\n$20\r\n18446744073709551615\r\n", CURSOR_HEAD_WHOLE, CURSOR_HEAD_BYTES, UINT64_MAX);
	expect_head("", CURSOR_HEAD_AGAIN, 0, 0);
	expect_head("*2\r\n$2\r\n17\r", CURSOR_HEAD_AGAIN, 0, 0);
}

static void what_is_no_reply_to_a_scan(void **state)
{
	static const char *const replies[] = {
		"-ERR no\r\n",      "*3\r\n$1\r\n0\r\n", "*0\r\n",           "*-1\r\n",           "%1\r\n$1\r\n0\r\n",
		"*2\r\n:17\r\n",    "*2\r\n+17\r\n",     "*2\r\n$-1\r\n",    "*2\r\n$0\r\n\r\n",  "*2\r\n$2\r\n07\r\n",
		"*2\r\n$2\r\n-7\r\n", "*2\r\n$2\r\n1x\r\n", "*2\r\n$21\r\n",  "*2\r\n$02\r\n17\r\n", "*2\r\n$2\r\n17x",
		"*2\r\n$20\r\n18446744073709551616\r\n", "~2\r\n$1\r\n0\r\n", "$1\r\n0\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		expect_head(replies[i], CURSOR_HEAD_OTHER, 0, 0);
}

/* Cut anywhere, the answer is "more", until the head is whole. */
static void heads_in_pieces(void **state)
{
	static const char reply[] = "*2\r\n$11\r\n12345678901\r\n*1\r\n$1\r\na\r\n";
	const size_t head = 22;

	(void)state;
	for (size_t cut = 0; cut < sizeof(reply); cut++) {
		size_t length;
		uint64_t own;
		enum cursor_head got = cursor_head_read((struct slice){ reply, cut }, &length, &own);

		assert_int_equal(got, cut < head ? CURSOR_HEAD_AGAIN : CURSOR_HEAD_WHOLE);
	}
}

static void heads_are_written(void **state)
{
	static const uint64_t cursors[] = { 0, 9, 10, 4503599627370513, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		struct buf out = { 0 };
		size_t length;
		uint64_t own;

		cursor_head_write(&out, cursors[i]);
		assert_true(buf_length(&out) <= CURSOR_HEAD_BYTES);
		assert_int_equal(cursor_head_read(buf_slice(&out), &length, &own), CURSOR_HEAD_WHOLE);
		assert_int_equal(length, buf_length(&out));
		assert_int_equal(own, cursors[i]);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_clients_may_say),
		cmocka_unit_test(a_tag_can_be_taken_off_again),
		cmocka_unit_test(every_cursor_of_a_table_fits),
		cmocka_unit_test(requests_are_rewritten),
		cmocka_unit_test(heads_of_replies),
		cmocka_unit_test(what_is_no_reply_to_a_scan),
		cmocka_unit_test(heads_in_pieces),
		cmocka_unit_test(heads_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
