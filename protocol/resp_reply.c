#include "resp.h"

#include <string.h>

#include "line.h"

/* Replies: finds their end, RESP2 and RESP3. Iterative, and nesting costs
 * neither stack nor memory, however deep: one counter tells how many values
 * the reply still owes. It begins with one, the reply itself; a value that ends
 * pays one; an aggregate pays for itself and owes its elements; an attribute,
 * or a push inside a reply, owes its elements on top, so that what it stands in
 * front of is still owed.
 *
 * Strict where a sloppy server would let two readers disagree: numbers are
 * canonical, lengths below zero are only the null forms $-1 and *-1, streamed
 * types are refused. A text line (+ - , and the like) ends with CR LF; a CR
 * alone is part of the text, as client libraries read it, an LF alone is
 * refused, because they do not agree on it. */

enum state {
	AT_START,
	AT_HEADER, /* framer->line: what is already there of a numeric header */
	IN_TEXT,   /* framer->line_length: 1 after a CR */
	IN_BULK,
};

enum shape {
	SHAPE_BAD,
	SHAPE_TEXT,
	SHAPE_NUMBER,
	SHAPE_NULL,
	SHAPE_BOOLEAN,
	SHAPE_BULK,
	SHAPE_LIST,
	SHAPE_MAP,
	SHAPE_ATTRIBUTE,
	SHAPE_PUSH,
};

static const uint8_t shapes[256] = {
	['+'] = SHAPE_TEXT,   ['-'] = SHAPE_TEXT,    [','] = SHAPE_TEXT, ['('] = SHAPE_TEXT,
	[':'] = SHAPE_NUMBER, ['_'] = SHAPE_NULL,    ['#'] = SHAPE_BOOLEAN,
	['$'] = SHAPE_BULK,   ['!'] = SHAPE_BULK,    ['='] = SHAPE_BULK,
	['*'] = SHAPE_LIST,   ['~'] = SHAPE_LIST,    ['>'] = SHAPE_PUSH,
	['%'] = SHAPE_MAP,    ['|'] = SHAPE_ATTRIBUTE,
};

static enum shape shape_of(char type)
{
	return (enum shape)shapes[(unsigned char)type];
}

/* ---- header lines ---- */

static int match(const char *line, size_t available, const char *wanted, size_t length)
{
	size_t both = available < length ? available : length;

	if (memcmp(line, wanted, both) != 0)
		return LINE_BAD;
	return available < length ? LINE_AGAIN : (int)length;
}

/* The line behind a type byte, for all shapes but text. */
static inline int header_value(enum shape shape, const char *line, size_t available, int64_t *value)
{
	*value = 0;
	if (shape == SHAPE_NULL)
		return match(line, available, "\r\n", 2);
	if (shape == SHAPE_BOOLEAN)
		return match(line, available, available > 0 && *line == 'f' ? "f\r\n" : "t\r\n", 3);
	return line_number(line, available, value);
}

/* Reads the header at *at. Its bytes are kept in the framer while the line is
 * not whole, at most LINE_NUMBER_BYTES of them. */
static enum resp_result take_header(struct resp_reply_framer *framer, const char **at, const char *end, int64_t *value)
{
	size_t kept = framer->line_length;
	size_t room = sizeof(framer->line) - kept;
	size_t fresh = (size_t)(end - *at) < room ? (size_t)(end - *at) : room;
	int line;

	memcpy(framer->line + kept, *at, fresh);
	line = header_value(shape_of(framer->header), framer->line, kept + fresh, value);
	if (line == LINE_BAD)
		return RESP_BAD;
	if (line == LINE_AGAIN) {
		framer->line_length = (uint8_t)(kept + fresh);
		*at = end;
		return RESP_AGAIN;
	}
	*at += (size_t)line - kept;
	framer->line_length = 0;
	return RESP_OK;
}

/* ---- text lines ---- */

static enum resp_result take_text(struct resp_reply_framer *framer, const char **at, const char *end)
{
	const char *begin = *at;
	const char *newline = memchr(begin, '\n', (size_t)(end - begin));
	const char *stop = newline != NULL ? newline : end;
	bool after_cr = stop > begin ? stop[-1] == '\r' : framer->line_length == 1;

	if (newline == NULL) {
		framer->line_length = after_cr;
		*at = end;
		return RESP_AGAIN;
	}
	framer->line_length = 0;
	*at = newline + 1;
	return after_cr ? RESP_OK : RESP_BAD;
}

/* ---- bulks ---- */

/* Payload, then CR, then LF: each may come alone. */
static enum resp_result take_bulk(struct resp_reply_framer *framer, const char **at, const char *end)
{
	while (framer->bulk_left > 2 && *at < end) {
		int64_t payload = framer->bulk_left - 2;
		int64_t available = end - *at;
		int64_t step = available < payload ? available : payload;

		framer->bulk_left -= step;
		*at += step;
	}
	while (framer->bulk_left > 0 && *at < end) {
		if (*(*at)++ != (framer->bulk_left == 2 ? '\r' : '\n'))
			return RESP_BAD;
		framer->bulk_left--;
	}
	return framer->bulk_left > 0 ? RESP_AGAIN : RESP_OK;
}

/* ---- what is owed ---- */

static enum resp_result owe(struct resp_reply_framer *framer, int64_t values)
{
	if (values > RESP_MAX_OWED - framer->owed)
		return RESP_BAD;
	framer->owed += values;
	return RESP_OK;
}

static void end_value(struct resp_reply_framer *framer)
{
	framer->owed--;
	framer->state = AT_HEADER;
}

static enum resp_result begin_bulk(struct resp_reply_framer *framer, int64_t length)
{
	if (length == -1 && framer->header == '$') {
		end_value(framer);
		return RESP_OK;
	}
	if (length < 0 || length > INT64_MAX - 2)
		return RESP_BAD;
	framer->bulk_left = length + 2;
	framer->state = IN_BULK;
	return RESP_OK;
}

/* Its elements come on top of what is owed anyway. */
static bool is_aside(const struct resp_reply_framer *framer, enum shape shape)
{
	return shape == SHAPE_ATTRIBUTE || (shape == SHAPE_PUSH && framer->type != '>');
}

static enum resp_result begin_aggregate(struct resp_reply_framer *framer, enum shape shape, int64_t count)
{
	if (!is_aside(framer, shape))
		end_value(framer);
	if (framer->only_header && framer->owed == 0) {
		framer->elements = count;
		return RESP_OK;
	}
	return owe(framer, shape == SHAPE_LIST || shape == SHAPE_PUSH ? count : 2 * count);
}

static enum resp_result begin_null(struct resp_reply_framer *framer)
{
	framer->elements = -1;
	end_value(framer);
	return RESP_OK;
}

/* A whole header line was read: what does it open, or end? */
static enum resp_result begin_value(struct resp_reply_framer *framer, int64_t value)
{
	enum shape shape = shape_of(framer->header);

	framer->state = AT_HEADER;
	switch (shape) {
	case SHAPE_BULK:
		return begin_bulk(framer, value);
	case SHAPE_LIST:
	case SHAPE_MAP:
	case SHAPE_ATTRIBUTE:
	case SHAPE_PUSH:
		if (value == -1 && framer->header == '*')
			return begin_null(framer);
		if (value < 0 || value > INT64_MAX / 4)
			return RESP_BAD;
		return begin_aggregate(framer, shape, value);
	default:
		break;
	}
	end_value(framer);
	return RESP_OK;
}

/* ---- the reply ---- */

/* While an attribute's elements come, more than the reply itself is owed. */
static void note_type(struct resp_reply_framer *framer, char type)
{
	if (framer->owed > 1 || framer->has_type)
		return;
	framer->type = type;
	framer->has_type = shape_of(type) != SHAPE_ATTRIBUTE;
}

static enum resp_result take_type(struct resp_reply_framer *framer, char type)
{
	if (shape_of(type) == SHAPE_BAD)
		return RESP_BAD;
	note_type(framer, type);
	framer->header = type;
	framer->state = shape_of(type) == SHAPE_TEXT ? IN_TEXT : AT_HEADER;
	return RESP_OK;
}

static enum resp_result take_step(struct resp_reply_framer *framer, const char **at, const char *end)
{
	enum resp_result result;
	int64_t value;

	if (framer->state == AT_HEADER && framer->header == 0)
		return take_type(framer, *(*at)++);
	if (framer->state == AT_HEADER) {
		result = take_header(framer, at, end, &value);
		if (result == RESP_OK)
			result = begin_value(framer, value);
	} else {
		result = framer->state == IN_TEXT ? take_text(framer, at, end) : take_bulk(framer, at, end);
		if (result == RESP_OK)
			end_value(framer);
	}
	if (result == RESP_OK && framer->state == AT_HEADER)
		framer->header = 0;
	return result;
}

static inline size_t whole_text(const char *data, size_t length)
{
	const char *newline;

	if (length >= 5 && memcmp(data, "+OK\r\n", 5) == 0)
		return 5;
	newline = memchr(data, '\n', length);
	return newline != NULL && newline[-1] == '\r' ? (size_t)(newline - data) + 1 : 0;
}

static inline size_t whole_number(const char *data, size_t length)
{
	int64_t value;
	int line = line_number(data + 1, length - 1, &value);

	return line > 0 ? 1 + (size_t)line : 0;
}

static inline size_t whole_bulk(const char *data, size_t length)
{
	size_t bytes, header, end;

	header = line_whole_header(data, length, data[0], &bytes);
	if (header == 0 || bytes >= length)
		return 0;
	end = header + bytes + 2;
	if (end > length || !line_ends(data + end - 2))
		return 0;
	return end;
}

/* The hot path: the bytes of a reply without elements that is there as a
 * whole. 0: the long way has to find out. */
static inline size_t whole_scalar(const char *data, size_t length)
{
	switch (shape_of(data[0])) {
	case SHAPE_TEXT:
		return whole_text(data, length);
	case SHAPE_NUMBER:
		return whole_number(data, length);
	case SHAPE_BULK:
		return whole_bulk(data, length);
	default:
		return 0;
	}
}

size_t resp_reply_scalar(const char *data, size_t length)
{
	return whole_scalar(data, length);
}

/* The header of a list that has no more than three digits. 0: it is something else. */
static inline size_t short_list(const char *at, const char *end, size_t *count)
{
	return end - at >= LINE_SHORT_BYTES ? line_short_header(at, '*', count) : 0;
}

/* Elements of that kind, and headers of short lists, as many as there are in a
 * row. */
static enum resp_result take_whole_values(struct resp_reply_framer *framer, const char **at, const char *end)
{
	enum resp_result result = RESP_OK;

	while (result == RESP_OK && *at < end && framer->owed > 0) {
		size_t count = 0, scalar = whole_scalar(*at, (size_t)(end - *at));
		size_t header = scalar > 0 ? 0 : short_list(*at, end, &count);

		if (scalar + header == 0)
			break;
		note_type(framer, **at);
		*at += scalar + header;
		if (scalar > 0)
			end_value(framer);
		else
			result = begin_aggregate(framer, SHAPE_LIST, (int64_t)count);
	}
	return result;
}

/* AT_START: a reply of that kind alone leaves no trace but its type. */
static bool take_small_reply(struct resp_reply_framer *framer, const char *data, size_t length, size_t *used)
{
	*used = length > 0 ? whole_scalar(data, length) : 0;
	if (*used == 0)
		return false;
	framer->type = data[0];
	return true;
}

static void begin_reply(struct resp_reply_framer *framer)
{
	framer->owed = 1;
	framer->has_type = false;
	framer->state = AT_HEADER;
}

enum resp_result resp_reply_next(struct resp_reply_framer *framer, const char *data, size_t length, size_t *used)
{
	enum resp_result result = RESP_OK;
	const char *at = data;
	const char *end = data + length;

	if (framer->state == AT_START && take_small_reply(framer, data, length, used))
		return RESP_OK;
	if (framer->state == AT_START && length > 0)
		begin_reply(framer);
	while (result == RESP_OK && framer->owed > 0 && at < end) {
		if (framer->state == AT_HEADER && framer->header == 0)
			result = take_whole_values(framer, &at, end);
		if (result == RESP_OK && framer->owed > 0 && at < end)
			result = take_step(framer, &at, end);
	}
	*used = (size_t)(at - data);
	if (result != RESP_OK)
		return result;
	if (framer->owed > 0 || framer->state == AT_START)
		return RESP_AGAIN;
	framer->state = AT_START;
	return RESP_OK;
}
