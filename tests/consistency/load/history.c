#include "history.h"

#include <inttypes.h>
#include <string.h>

static const char *json(const struct buf *value)
{
	return value == NULL || buf_length(value) == 0 ? "null" : buf_head(value);
}

static int json_length(const struct buf *value)
{
	return value == NULL || buf_length(value) == 0 ? (int)strlen("null") : (int)buf_length(value);
}

void history_row(FILE *history, const struct row *row)
{
	fprintf(history, "[%" PRIu64 ",%u,\"%s\",\"%s\",%.*s,%.*s,%" PRId64 ",%" PRId64 ",\"%s\"]\n", row->session,
		row->sequence, row->operation, row->key, json_length(row->wrote), json(row->wrote),
		json_length(row->read), json(row->read), row->invoked_ns, row->returned_ns, row->outcome);
}

void history_opened(FILE *history, uint64_t session, uint32_t actor, uint32_t door, int64_t now_ns)
{
	fprintf(history, "{\"session\":%" PRIu64 ",\"actor\":%u,\"door\":%u,\"opened\":%" PRId64 "}\n", session, actor,
		door, now_ns);
}

void history_closed(FILE *history, uint64_t session, const char *why, int64_t now_ns)
{
	fprintf(history, "{\"session\":%" PRIu64 ",\"closed\":%" PRId64 ",\"why\":\"%s\"}\n", session, now_ns, why);
}

/* Bytes beyond ASCII stand as the code points of the same number: what was
 * received stays recognisable, whatever it is. */
void history_put_text(struct buf *json, const char *text, size_t length)
{
	buf_append(json, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];
		char escaped[8];

		if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
			buf_append(json, &text[i], 1);
			continue;
		}
		snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
		buf_append_text(json, escaped);
	}
	buf_append(json, "\"", 1);
}

void history_put_integer(struct buf *json, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	buf_append_text(json, text);
}
