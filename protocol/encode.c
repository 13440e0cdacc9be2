#include "encode.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

/* Writes RESP, never reads it. Invariant: whatever text is handed in, exactly
 * one status, error, integer, bulk, or aggregate header goes out. */

enum { NUMBER_BYTES = 20 }; /* "-9223372036854775808" */

/* Writes `value` so that it ends at `end`; returns its first byte. */
static char *digits_before(char *end, int64_t value)
{
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		*--end = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--end = '-';
	return end;
}

/* "<type><value>\r\n" */
static void header(struct buf *out, char type, int64_t value)
{
	char line[1 + NUMBER_BYTES + 2];
	char *end = line + sizeof(line);
	char *at;

	*--end = '\n';
	*--end = '\r';
	at = digits_before(end, value);
	*--at = type;
	buf_append(out, at, (size_t)(line + sizeof(line) - at));
}

/* "<type><text>\r\n", the text on one line. */
static void text_line(struct buf *out, char type, const char *text)
{
	size_t length = strlen(text);
	char *at = buf_reserve(out, length + 3);

	*at++ = type;
	for (size_t i = 0; i < length; i++)
		*at++ = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
	*at++ = '\r';
	*at++ = '\n';
	buf_produced(out, length + 3);
}

void encode_status(struct buf *out, const char *text)
{
	text_line(out, '+', text);
}

void encode_error(struct buf *out, const char *text)
{
	text_line(out, '-', text);
}

void encode_integer(struct buf *out, int64_t value)
{
	header(out, ':', value);
}

void encode_bulk(struct buf *out, struct slice bytes)
{
	header(out, '$', (int64_t)bytes.length);
	buf_append(out, bytes.bytes, bytes.length);
	buf_append(out, "\r\n", 2);
}

void encode_bulk_text(struct buf *out, const char *text)
{
	encode_bulk(out, slice_of(text));
}

void encode_null(struct buf *out, int resp_version)
{
	buf_append_text(out, resp_version >= 3 ? "_\r\n" : "$-1\r\n");
}

void encode_array(struct buf *out, size_t elements)
{
	header(out, '*', (int64_t)elements);
}

void encode_push(struct buf *out, size_t elements)
{
	header(out, '>', (int64_t)elements);
}

void encode_map(struct buf *out, size_t pairs, int resp_version)
{
	if (resp_version >= 3)
		header(out, '%', (int64_t)pairs);
	else
		header(out, '*', 2 * (int64_t)pairs);
}

void encode_verbatim(struct buf *out, struct slice text, int resp_version)
{
	if (resp_version < 3) {
		encode_bulk(out, text);
		return;
	}
	header(out, '=', (int64_t)text.length + 4);
	buf_append(out, "txt:", 4);
	buf_append(out, text.bytes, text.length);
	buf_append(out, "\r\n", 2);
}

void encode_request(struct buf *out, size_t argc, const struct slice *argv)
{
	encode_array(out, argc);
	for (size_t i = 0; i < argc; i++)
		encode_bulk(out, argv[i]);
}

static size_t count_words(const char *word, va_list more)
{
	size_t count = 0;

	for (; word != NULL; word = va_arg(more, const char *))
		count++;
	return count;
}

static void encode_words(struct buf *out, const char *word, va_list words)
{
	va_list counted;

	va_copy(counted, words);
	encode_array(out, count_words(word, counted));
	va_end(counted);
	for (; word != NULL; word = va_arg(words, const char *))
		encode_bulk_text(out, word);
}

void encode_request_words(struct buf *out, const char *word, ...)
{
	va_list words;

	va_start(words, word);
	encode_words(out, word, words);
	va_end(words);
}

void encode_own_words(struct buf *out, const char *word, ...)
{
	size_t before = buf_length(out);
	va_list words;
	char *bytes;

	va_start(words, word);
	encode_words(out, word, words);
	va_end(words);
	bytes = buf_head(out) + before;
	bytes[strcspn(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] |= 0x20;
}
