#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/resp.h"

/* What the framer makes of a stream is the types of the replies that ended,
 * then "." when the last byte ended one, "~" when more is owed, "!" when the
 * stream is no RESP. However the stream is cut, that has to be the same. */

static const struct row {
	const char *bytes;
	const char *found;
} rows[] = {
	{ "", "." },
	{ "+OK\r\n", "+." },
	{ "+\r\n", "+." },
	{ "-ERR no such thing\r\n", "-." },
	{ ":0\r\n", ":." },
	{ ":-1\r\n", ":." },
	{ ":9223372036854775807\r\n:-9223372036854775808\r\n", "::." },
	{ "$0\r\n\r\n", "$." },
	{ "$5\r\nhello\r\n", "$." },
	{ "$4\r\n\r\n\r\n\r\n", "$." },
	{ "$-1\r\n", "$." },
	{ "*-1\r\n", "*." },
	{ "*0\r\n", "*." },
	{ "*2\r\n$1\r\na\r\n:1\r\n", "*." },
	{ "*3\r\n*0\r\n*-1\r\n*2\r\n+a\r\n$-1\r\n+OK\r\n", "*+." },
	{ "*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*." },
	{ "*10\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n", "*." },
	/* RESP3 */
	{ "_\r\n", "_." },
	{ "#t\r\n#f\r\n", "##." },
	{ ",3.14\r\n,inf\r\n,-inf\r\n,nan\r\n,1e10\r\n", ",,,,,." },
	{ "(3492890328409238509324850943850943825024385\r\n", "(." },
	{ "!5\r\nERR x\r\n", "!." },
	{ "=8\r\ntxt:abcd\r\n", "=." },
	{ "%0\r\n~0\r\n>0\r\n", "%~>." },
	{ "%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n_\r\n", "%." },
	{ "~2\r\n+a\r\n+b\r\n", "~." },
	{ ">3\r\n+message\r\n$1\r\nc\r\n$1\r\nm\r\n:1\r\n", ">:." },
	/* a push that has slipped into an array is no element of it */
	{ "*2\r\n_\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n:1\r\n", "*." },
	{ "*1\r\n>1\r\n*1\r\n+a\r\n*1\r\n>0\r\n+b\r\n:1\r\n", "*:." },
	{ ">2\r\n+a\r\n>1\r\n+b\r\n+OK\r\n", ">+." },
	{ "*1\r\n>2\r\n+a\r\n+b\r\n", "~" },
	/* an attribute belongs to the reply behind it */
	{ "|1\r\n+ttl\r\n:3600\r\n+OK\r\n", "+." },
	{ "|0\r\n+OK\r\n", "+." },
	{ "|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n%1\r\n+k\r\n+v\r\n:9\r\n", "%:." },
	{ "|1\r\n+a\r\n+b\r\n|1\r\n+c\r\n+d\r\n:1\r\n", ":." },
	{ "*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n:3\r\n", "*:." },
	{ "*1\r\n|0\r\n*0\r\n:3\r\n", "*:." },
	{ "|1\r\n|1\r\n+a\r\n+b\r\n+k\r\n+v\r\n+OK\r\n", "+." },
	{ "|1\r\n+a\r\n+b\r\n", "~" },
	{ "|0\r\n", "~" },
	/* not whole */
	{ "+", "~" },
	{ "+OK", "~" },
	{ "+OK\r", "~" },
	{ ":", "~" },
	{ ":-", "~" },
	{ "$5\r\nhello", "~" },
	{ "$5\r\nhello\r", "~" },
	{ "$5", "~" },
	{ "*2\r\n:1\r\n", "~" },
	{ "*1\r\n", "~" },
	{ "%1\r\n+a\r\n", "~" },
	{ "#", "~" },
	{ "#t\r", "~" },
	{ "_\r", "~" },
	{ ":1\r\n*1\r\n", ":~" },
	{ "$9223372036854775805\r\n", "~" },
	{ "*2305843009213693951\r\n", "~" },
	{ "%2305843009213693951\r\n", "~" },
	{ "*2305843009213693951\r\n*2305843009213693951\r\n%2305843009213693951\r\n:1\r\n", "~" },
	/* text lines: a CR alone is text, an LF alone is not */
	{ "+a\rb\r\n", "+." },
	{ "+\r\r\n", "+." },
	{ "-\r-\r\r\n:1\r\n", "-:." },
	{ "+a\nb\r\n", "!" },
	{ "+OK\n", "!" },
	{ "+\n", "!" },
	{ "-\n\r\n", "!" },
	{ ",1.5\n", "!" },
	/* types */
	{ "OK\r\n", "!" },
	{ "\r\n", "!" },
	{ " +OK\r\n", "!" },
	{ "+OK\r\nx", "+!" },
	{ ";4\r\nabcd\r\n", "!" },
	{ ".\r\n", "!" },
	{ "\xff", "!" },
	{ "*1\r\n?", "!" },
	/* streamed */
	{ "$?\r\n", "!" },
	{ "*?\r\n", "!" },
	{ "%?\r\n", "!" },
	{ "~?\r\n", "!" },
	{ "*1\r\n.\r\n", "!" },
	/* numbers */
	{ ":\r\n", "!" },
	{ ":+1\r\n", "!" },
	{ ":01\r\n", "!" },
	{ ":-0\r\n", "!" },
	{ ": 1\r\n", "!" },
	{ ":1 \r\n", "!" },
	{ ":1\n", "!" },
	{ ":1\rx", "!" },
	{ ":9223372036854775808\r\n", "!" },
	{ ":-9223372036854775809\r\n", "!" },
	{ ":100000000000000000000000", "!" },
	{ "$-2\r\n", "!" },
	{ "$-0\r\n", "!" },
	{ "$00\r\n\r\n", "!" },
	{ "$9223372036854775806\r\n", "!" },
	{ "$9223372036854775807\r\n", "!" },
	{ "$9223372036854775808\r\n", "!" },
	{ "$18446744073709551615\r\n", "!" },
	{ "*-2\r\n", "!" },
	{ "*2305843009213693952\r\n", "!" },
	{ "%4611686018427387904\r\n", "!" },
	{ "|9223372036854775807\r\n", "!" },
	{ "*9223372036854775807\r\n", "!" },
	{ "%-1\r\n", "!" },
	{ "~-1\r\n", "!" },
	{ ">-1\r\n", "!" },
	{ "|-1\r\n", "!" },
	{ "!-1\r\n", "!" },
	{ "=-1\r\n", "!" },
	{ "_x\r\n", "!" },
	{ "__\r\n", "!" },
	{ "#x\r\n", "!" },
	{ "#tt\r\n", "!" },
	{ "#f\n", "!" },
	/* behind a bulk */
	{ "$5\r\nhelloxx", "!" },
	{ "$5\r\nhello\rx", "!" },
	{ "$5\r\nhello\n\n", "!" },
	{ "$4\r\nhello\r\n", "!" },
	{ "$0\r\nab", "!" },
	{ "*1\r\n$1\r\nab\r\n", "!" },
	{ "=5\r\ntxt:a\r\r", "!" },
};

/* ---- driving the framer ---- */

struct found {
	char text[256];
	size_t length;
};

/* One call on a block of exactly `length` bytes. */
static enum resp_result call(struct resp_reply_framer *framer, const char *data, size_t length, size_t *used)
{
	char *block = malloc(length ? length : 1);
	enum resp_result result;

	memcpy(block, data, length);
	*used = SIZE_MAX;
	result = resp_reply_next(framer, block, length, used);
	free(block);
	assert_true(*used <= length);
	if (result == RESP_AGAIN)
		assert_int_equal(*used, length);
	return result;
}

/* Feeds one piece; returns false when the stream turned out to be broken. */
static bool feed(struct found *found, struct resp_reply_framer *framer, const char *data, size_t length)
{
	enum resp_result result;
	size_t used;

	do {
		result = call(framer, data, length, &used);
		data += used;
		length -= used;
		if (result == RESP_OK)
			found->text[found->length++] = framer->type;
	} while (result == RESP_OK);
	if (result == RESP_BAD)
		found->text[found->length++] = '!';
	return result == RESP_AGAIN;
}

static void run(struct found *found, const char *data, size_t length, size_t first, size_t step)
{
	struct resp_reply_framer framer = { 0 };
	size_t piece = first < length ? first : length;
	bool fine = true;

	found->length = 0;
	for (;;) {
		fine = feed(found, &framer, data, piece);
		data += piece;
		length -= piece;
		if (!fine || length == 0)
			break;
		piece = step < length ? step : length;
	}
	if (fine)
		found->text[found->length++] = framer.state == 0 ? '.' : '~';
	found->text[found->length] = '\0';
}

static void check_every_cut(const char *data, size_t length, const char *wanted)
{
	struct found found;

	run(&found, data, length, length, 1);
	assert_string_equal(found.text, wanted);
	for (size_t cut = 0; cut <= length; cut++) {
		run(&found, data, length, cut, length);
		assert_string_equal(found.text, wanted);
	}
	for (size_t step = 1; step <= 7; step++) {
		run(&found, data, length, step, step);
		assert_string_equal(found.text, wanted);
	}
}

/* ---- tests ---- */

static void table_cut_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_every_cut(rows[i].bytes, strlen(rows[i].bytes), rows[i].found);
}

/* An array that ends with its header, cut at every byte. */
static void expect_header(const char *bytes, char type, int64_t elements, size_t length)
{
	for (size_t cut = 0; cut <= length; cut++) {
		struct resp_reply_framer framer = { .only_header = true, .elements = 77 };
		size_t used, first = 0;
		enum resp_result result = RESP_AGAIN;

		if (cut > 0)
			result = call(&framer, bytes, cut, &first);
		if (result == RESP_AGAIN) {
			result = call(&framer, bytes + first, strlen(bytes) - first, &used);
			first += used;
		}
		assert_int_equal(result, RESP_OK);
		assert_int_equal(framer.type, type);
		assert_int_equal(framer.elements, elements);
		assert_int_equal(first, length);
	}
}

static void only_a_header(void **state)
{
	(void)state;
	expect_header("*3\r\n:1\r\n", '*', 3, 4);
	expect_header("*0\r\n", '*', 0, 4);
	expect_header("*-1\r\n+OK\r\n", '*', -1, 5);
	expect_header("*1000000000\r\n*1\r\n", '*', 1000000000, 13);
	expect_header("|1\r\n+a\r\n*1\r\n:1\r\n*2\r\n:1\r\n", '*', 2, 20);
	expect_header("-ERR\r\n:1\r\n", '-', 77, 6);
	expect_header("_\r\n:1\r\n", '_', 77, 3);
}

static void random_concatenations(void **state)
{
	uint32_t seed = 5;

	(void)state;
	for (int round = 0; round < 300; round++) {
		char bytes[2048] = "", wanted[128] = "";
		struct found found;

		for (int i = 0; i < 10; i++) {
			const struct row *row;
			size_t length;

			seed = seed * 1664525 + 1013904223;
			row = &rows[(seed >> 8) % (sizeof(rows) / sizeof(rows[0]))];
			length = strlen(row->found);
			if (row->found[length - 1] != '.')
				continue;
			strcat(bytes, row->bytes);
			strncat(wanted, row->found, length - 1);
		}
		strcat(wanted, ".");
		for (size_t step = 1; step < 60; step += 1 + step / 4) {
			run(&found, bytes, strlen(bytes), step, step);
			assert_string_equal(found.text, wanted);
		}
	}
}

/* The framer stops at the end of a reply and says so. */
static void used_ends_with_the_reply(void **state)
{
	struct resp_reply_framer framer = { 0 };
	size_t used;

	(void)state;
	assert_int_equal(resp_reply_next(&framer, "+OK\r\n:1\r\n", 9, &used), RESP_OK);
	assert_int_equal(used, 5);
	assert_int_equal(framer.type, '+');
	assert_int_equal(resp_reply_next(&framer, "*1\r\n:1\r\n:2\r\n", 12, &used), RESP_OK);
	assert_int_equal(used, 8);
	assert_int_equal(framer.type, '*');
	assert_int_equal(resp_reply_next(&framer, "", 0, &used), RESP_AGAIN);
	assert_int_equal(used, 0);
	assert_int_equal(framer.type, '*');
}

static char *nested(const char *header, size_t levels, const char *innermost, size_t *length)
{
	size_t each = strlen(header);
	char *data = malloc(levels * each + strlen(innermost) + 1);

	for (size_t i = 0; i < levels; i++)
		memcpy(data + i * each, header, each);
	strcpy(data + levels * each, innermost);
	*length = levels * each + strlen(innermost);
	return data;
}

static void check_nested(const char *header, size_t levels, const char *innermost, const char *wanted)
{
	size_t length;
	char *data = nested(header, levels, innermost, &length);

	check_every_cut(data, length, wanted);
	free(data);
}

/* Lua on a server nests its replies by the thousand, and a client reads them. */
static void depth_costs_nothing(void **state)
{
	(void)state;
	check_nested("*1\r\n", 200, ":1\r\n", "*.");
	check_nested("*1\r\n", 200, "*0\r\n", "*.");
	check_nested("*1\r\n", 200, "*-1\r\n", "*.");
	check_nested("%1\r\n+k\r\n", 200, "_\r\n", "%.");
	check_nested("|1\r\n+k\r\n", 1, ":1\r\n+OK\r\n", "+.");
}

static void a_million_levels(void **state)
{
	struct resp_reply_framer framer = { 0 };
	size_t length, used;
	char *data = nested("*1\r\n", 1000000, ":1\r\n", &length);

	(void)state;
	assert_int_equal(resp_reply_next(&framer, data, length, &used), RESP_OK);
	assert_int_equal(used, length);
	assert_int_equal(framer.type, '*');
	free(data);
}

/* What is owed stays within a number, however large the counts are. */
static void debts_are_bounded(void **state)
{
	struct resp_reply_framer framer = { 0 };
	size_t length, used;
	char *data = nested("*2305843009213693951\r\n", 4, "*2305843009213693951\r\n", &length);

	(void)state;
	assert_int_equal(resp_reply_next(&framer, data, length, &used), RESP_BAD);
	free(data);
}

/* Attributes one behind the other are no nesting. */
static void a_million_attributes(void **state)
{
	struct resp_reply_framer framer = { 0 };
	size_t length, used;
	char *data = nested("|1\r\n+a\r\n+b\r\n", 1000000, "*0\r\n", &length);

	(void)state;
	assert_int_equal(resp_reply_next(&framer, data, length, &used), RESP_OK);
	assert_int_equal(used, length);
	assert_int_equal(framer.type, '*');
	free(data);
}

/* Texts of any length pass in pieces; nothing of them is kept. */
static void long_texts(void **state)
{
	struct resp_reply_framer framer = { 0 };
	char piece[1000];
	size_t used;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	assert_int_equal(call(&framer, "-", 1, &used), RESP_AGAIN);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(call(&framer, piece, sizeof(piece), &used), RESP_AGAIN);
	assert_int_equal(call(&framer, "\r", 1, &used), RESP_AGAIN);
	assert_int_equal(call(&framer, "\n+", 2, &used), RESP_OK);
	assert_int_equal(used, 1);
	assert_int_equal(framer.type, '-');
}

/* Bulks of more than 4 GiB are counted in 64 bits. */
static void huge_bulks(void **state)
{
	enum { PIECE = 1 << 20 };
	static const char head[] = "$4294967297\r\n";
	struct resp_reply_framer framer = { 0 };
	char *piece = calloc(1, PIECE);
	size_t used;

	(void)state;
	assert_int_equal(resp_reply_next(&framer, head, sizeof(head) - 1, &used), RESP_AGAIN);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(resp_reply_next(&framer, piece, PIECE, &used), RESP_AGAIN);
	assert_int_equal(resp_reply_next(&framer, "x\r\n:", 4, &used), RESP_OK);
	assert_int_equal(used, 3);
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_cut_everywhere),
		cmocka_unit_test(only_a_header),
		cmocka_unit_test(random_concatenations),
		cmocka_unit_test(used_ends_with_the_reply),
		cmocka_unit_test(depth_costs_nothing),
		cmocka_unit_test(debts_are_bounded),
		cmocka_unit_test(a_million_levels),
		cmocka_unit_test(a_million_attributes),
		cmocka_unit_test(long_texts),
		cmocka_unit_test(huge_bulks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
