#include "server_words.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "encode.h"
#include "number.h"
#include "resp.h"

enum {
	HELLO_MAX_BYTES = 64 * 1024, /* modules are listed in it */
	FIELD_MAX_BYTES = 128,
};

static const char *const field_names[CLIENT_FIELD_COUNT] = {
	[CLIENT_FIELD_OTHER] = "",
#define CLIENT_FIELD(id, name) [CLIENT_FIELD_##id] = name,
#include "client_field.def"
#undef CLIENT_FIELD
};

const char *client_field_name(enum client_field field)
{
	return field_names[field];
}

/* ---- values of a whole reply ---- */

/* The next value with everything in it; empty when there is none. */
static struct slice take_value(struct slice *rest)
{
	struct resp_reply_framer framer = { 0 };
	struct slice value = { rest->bytes, 0 };
	size_t used;

	if (rest->length > 0 && resp_reply_next(&framer, rest->bytes, rest->length, &used) == RESP_OK)
		value.length = used;
	rest->bytes += value.length;
	rest->length -= value.length;
	return value;
}

static struct slice take_line(struct slice *rest)
{
	const char *end = rest->length > 0 ? memchr(rest->bytes, '\n', rest->length) : NULL;
	struct slice line = { rest->bytes, end != NULL ? (size_t)(end + 1 - rest->bytes) : 0 };

	rest->bytes += line.length;
	rest->length -= line.length;
	return line;
}

/* What a bulk or verbatim string holds; empty for any other value. */
static struct slice text_of(struct slice value)
{
	bool verbatim = value.length > 0 && value.bytes[0] == '=';

	if (value.length == 0 || (value.bytes[0] != '$' && !verbatim))
		return (struct slice){ NULL, 0 };
	take_line(&value);
	if (value.length < (verbatim ? 6u : 2u))
		return (struct slice){ NULL, 0 };
	return (struct slice){ value.bytes + (verbatim ? 4 : 0), value.length - (verbatim ? 6 : 2) };
}

/* ---- HELLO ---- */

/* A map, or in RESP2 an array, of pairs, and nothing behind it. */
static bool is_map(struct slice reply, int resp)
{
	struct slice head = take_line(&reply);
	int64_t declared = 0, values = 0;

	if (head.length < 4 || head.bytes[0] != (resp == 3 ? '%' : '*') ||
	    !number_parse((struct slice){ head.bytes + 1, head.length - 3 }, &declared))
		return false;
	while (take_value(&reply).length > 0)
		values++;
	return reply.length == 0 && values % 2 == 0 && declared == (resp == 3 ? values / 2 : values);
}

void server_words_hear_hello(struct server_words *words, int resp, struct slice reply)
{
	struct buf *hello = &words->hello[resp == 3];

	if (!is_map(reply, resp) || reply.length > HELLO_MAX_BYTES)
		return;
	buf_consume(hello, buf_length(hello));
	buf_append(hello, reply.bytes, reply.length);
}

bool server_words_hello(const struct server_words *words, int resp, int64_t id, const char *role, struct buf *out)
{
	struct slice rest = buf_slice(&words->hello[resp == 3]);
	struct slice head = take_line(&rest), key, value;

	if (head.length == 0)
		return false;
	buf_append(out, head.bytes, head.length);
	while ((key = take_value(&rest)).length > 0 && (value = take_value(&rest)).length > 0) {
		buf_append(out, key.bytes, key.length);
		if (slice_is(text_of(key), "id"))
			encode_integer(out, id);
		else if (slice_is(text_of(key), "role") && role != NULL)
			encode_bulk_text(out, role);
		else
			buf_append(out, value.bytes, value.length);
	}
	return true;
}

/* ---- CLIENT INFO ---- */

static enum client_field field_of(struct slice name)
{
	for (int field = CLIENT_FIELD_OTHER + 1; field < CLIENT_FIELD_COUNT; field++)
		if (slice_is(name, field_names[field]))
			return (enum client_field)field;
	return CLIENT_FIELD_OTHER;
}

static void add_field(struct server_words *words, struct slice word)
{
	const char *equals = memchr(word.bytes, '=', word.length);
	struct server_field *field = &words->fields[words->field_count];

	if (equals == NULL || equals == word.bytes || words->field_count == SERVER_FIELDS_MAX ||
	    word.length > FIELD_MAX_BYTES)
		return;
	field->field = field_of((struct slice){ word.bytes, (size_t)(equals - word.bytes) });
	field->text = field->field == CLIENT_FIELD_OTHER ? alloc_text(word.bytes, word.length) : NULL;
	words->field_count++;
}

static void forget_fields(struct server_words *words)
{
	while (words->field_count > 0)
		free(words->fields[--words->field_count].text);
}

void server_words_hear_client_info(struct server_words *words, struct slice reply)
{
	struct slice text = text_of(reply);
	size_t begin = 0;

	if (text.length == 0)
		return;
	forget_fields(words);
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] != ' ' && text.bytes[i] != '\n')
			continue;
		if (i > begin)
			add_field(words, (struct slice){ text.bytes + begin, i - begin });
		begin = i + 1;
	}
}

void server_words_free(struct server_words *words)
{
	buf_free(&words->hello[0]);
	buf_free(&words->hello[1]);
	forget_fields(words);
}
