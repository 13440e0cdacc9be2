#include "cursor.h"

#include <inttypes.h>
#include <stdio.h>

#include "encode.h"
#include "line.h"
#include "resp.h"

#define TAGGED_BIT (1ULL << (CURSOR_OWN_BITS + CURSOR_TAG_BITS))
#define OWN_MASK ((1ULL << CURSOR_OWN_BITS) - 1)
#define TAG_MASK ((1ULL << CURSOR_TAG_BITS) - 1)

enum { DIGITS_MAX = 20 }; /* of 2^64 - 1 */

/* As Redis writes it: digits alone, no leading zero, within 64 bits. */
static bool read_digits(struct slice digits, uint64_t *value)
{
	uint64_t number = 0;

	if (digits.length == 0 || digits.length > DIGITS_MAX || (digits.bytes[0] == '0' && digits.length > 1))
		return false;
	for (size_t i = 0; i < digits.length; i++) {
		unsigned digit = (unsigned)(unsigned char)digits.bytes[i] - '0';

		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*value = number;
	return true;
}

struct cursor cursor_read(struct slice argument)
{
	struct cursor cursor = { .kind = CURSOR_PLAIN };
	uint64_t value;

	if (!read_digits(argument, &value))
		return cursor;
	cursor.own = value;
	if (value == 0)
		cursor.kind = CURSOR_START;
	if (value < TAGGED_BIT || value >= 2 * TAGGED_BIT)
		return cursor;
	return (struct cursor){ CURSOR_TAGGED, (uint32_t)(value >> CURSOR_OWN_BITS & TAG_MASK), value & OWN_MASK };
}

bool cursor_fits(uint64_t own)
{
	return own <= OWN_MASK;
}

uint64_t cursor_tagged(uint64_t own, uint32_t tag)
{
	return own == 0 ? 0 : TAGGED_BIT | (uint64_t)(tag & TAG_MASK) << CURSOR_OWN_BITS | own;
}

/* ---- requests ---- */

static void append_number(struct buf *out, uint64_t number)
{
	char digits[DIGITS_MAX + 1];

	encode_bulk(out, (struct slice){ digits, (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number) });
}

void cursor_rewrite(struct buf *out, struct slice request, int position, uint64_t cursor)
{
	const char *end = request.bytes + request.length;
	struct resp_args args;
	struct slice argument;
	const char *begin;

	resp_args_begin(&args, request.bytes);
	for (int i = 0; i < position; i++)
		resp_args_next(&args, &argument);
	begin = args.at;
	resp_args_next(&args, &argument);
	buf_append(out, request.bytes, (size_t)(begin - request.bytes));
	append_number(out, cursor);
	buf_append(out, args.at, (size_t)(end - args.at));
}

/* ---- replies ---- */

/* How much of `wanted` the bytes at *at begin with: all of it, or all there is. */
static enum cursor_head expect(struct slice *at, const char *wanted, size_t length)
{
	size_t both = at->length < length ? at->length : length;

	if (memcmp(at->bytes, wanted, both) != 0)
		return CURSOR_HEAD_OTHER;
	*at = (struct slice){ at->bytes + both, at->length - both };
	return both < length ? CURSOR_HEAD_AGAIN : CURSOR_HEAD_WHOLE;
}

static enum cursor_head read_length(struct slice *at, size_t *length)
{
	int64_t value = 0;
	int line = line_number(at->bytes, at->length, &value);

	if (line == LINE_AGAIN)
		return CURSOR_HEAD_AGAIN;
	if (line == LINE_BAD || value < 1 || value > DIGITS_MAX)
		return CURSOR_HEAD_OTHER;
	*at = (struct slice){ at->bytes + line, at->length - (size_t)line };
	*length = (size_t)value;
	return CURSOR_HEAD_WHOLE;
}

static enum cursor_head read_cursor(struct slice *at, size_t digits, uint64_t *own)
{
	struct slice text = { at->bytes, digits };

	if (at->length < digits)
		return CURSOR_HEAD_AGAIN;
	*at = (struct slice){ at->bytes + digits, at->length - digits };
	return read_digits(text, own) ? expect(at, "\r\n", 2) : CURSOR_HEAD_OTHER;
}

enum cursor_head cursor_head_read(struct slice reply, size_t *length, uint64_t *own)
{
	struct slice at = reply;
	size_t digits = 0;
	enum cursor_head head = expect(&at, "*2\r\n$", 5);

	if (head == CURSOR_HEAD_WHOLE)
		head = read_length(&at, &digits);
	if (head == CURSOR_HEAD_WHOLE)
		head = read_cursor(&at, digits, own);
	*length = reply.length - at.length;
	return head;
}

void cursor_head_write(struct buf *out, uint64_t cursor)
{
	encode_array(out, 2);
	append_number(out, cursor);
}
