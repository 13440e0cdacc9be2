#include "session.h"

#include <stdlib.h>

#include "../protocol/alloc.h"
#include "../protocol/resp.h"

/* ---- SELECT inside MULTI ---- */

struct queued_select {
	uint32_t position; /* among the queued commands, and so in EXEC's reply */
	uint32_t db;
};

void session_forget_selects(struct session *session)
{
	if (session->queued_selects != NULL)
		buf_free(session->queued_selects);
	free(session->queued_selects);
	session->queued_selects = NULL;
}

void session_begin_transaction(struct session *session)
{
	session_forget_selects(session);
	session->queued = 0;
	session->queued_users = false;
}

void session_queue(struct session *session, int64_t db)
{
	struct queued_select select = { session->queued++, (uint32_t)db };

	if (db == SESSION_NO_SELECT)
		return;
	if (session->queued_selects == NULL)
		session->queued_selects = alloc_zeroed(1, sizeof(*session->queued_selects));
	buf_append(session->queued_selects, &select, sizeof(select));
}

/* The reply's elements, one after the other. */
static bool next_element(struct slice *elements, struct slice *element)
{
	struct resp_reply_framer framer = { 0 };
	size_t used;

	if (resp_reply_next(&framer, elements->bytes, elements->length, &used) != RESP_OK)
		return false;
	*element = (struct slice){ elements->bytes, used };
	*elements = (struct slice){ elements->bytes + used, elements->length - used };
	return true;
}

static struct slice elements_of(struct slice array)
{
	const char *newline = memchr(array.bytes, '\n', array.length);
	size_t header = newline != NULL ? (size_t)(newline + 1 - array.bytes) : array.length;

	return (struct slice){ array.bytes + header, array.length - header };
}

void session_take_selects(struct session *session, struct slice exec_reply)
{
	struct slice elements = elements_of(exec_reply), element;
	struct queued_select select;

	for (uint32_t position = 0; session->queued_selects != NULL && buf_length(session->queued_selects) > 0; position++) {
		memcpy(&select, buf_head(session->queued_selects), sizeof(select));
		if (!next_element(&elements, &element))
			break; /* it was not executed */
		if (position != select.position)
			continue;
		buf_consume(session->queued_selects, sizeof(select));
		if (slice_begins_with(element, "+OK"))
			session->db = select.db;
	}
	session_forget_selects(session);
}
