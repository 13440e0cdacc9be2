#include "passage.h"

#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../client/client.h"
#include "../dispatch/dispatch.h"
#include "../worker/worker.h"
#include "backend_parts.h"

enum { KINDS = 3, NAMES_MAX_BYTES = 16 * 1024 * 1024 };

enum passage_state { LEAVING, LEFT, ARRIVING };

struct passage {
	enum passage_state state;
	unsigned unanswered;       /* commands */
	uint32_t counts[KINDS];
	struct buf names[KINDS];   /* as bulk strings */
	size_t bytes;              /* of all of them */
};

/* Spelled as encode_own_words() does. */
static const struct {
	const char *end, *begin;
	enum push_kind ended;
	uint8_t end_special, begin_special;
} kinds[KINDS] = {
	{ "uNSUBSCRIBE", "sUBSCRIBE", PUSH_UNSUBSCRIBE, SPECIAL_UNSUBSCRIBE, SPECIAL_SUBSCRIBE },
	{ "pUNSUBSCRIBE", "pSUBSCRIBE", PUSH_PUNSUBSCRIBE, SPECIAL_PUNSUBSCRIBE, SPECIAL_PSUBSCRIBE },
	{ "sUNSUBSCRIBE", "sSUBSCRIBE", PUSH_SUNSUBSCRIBE, SPECIAL_SUNSUBSCRIBE, SPECIAL_SSUBSCRIBE },
};

static void count_all(const struct session_bonds *bonds, uint32_t counts[KINDS])
{
	counts[0] = bonds->channels;
	counts[1] = bonds->patterns;
	counts[2] = bonds->shard_channels;
}

/* ---- commands ---- */

static void link_command(struct backend *backend, uint8_t special, const char *word, uint32_t count, struct slice names)
{
	struct request *request = request_create(&backend->worker->requests, REQUEST_PASSAGE, 0, backend->worker->now_ms);
	struct buf bytes = { 0 };

	encode_array(&bytes, 1 + count);
	encode_bulk_text(&bytes, word);
	buf_append(&bytes, names.bytes, names.length);
	request->special = special;
	backend_link_request(backend, request, buf_slice(&bytes));
	buf_free(&bytes);
	backend->passage->unanswered++;
}

static void link_ends(struct backend *backend)
{
	uint32_t counts[KINDS];

	count_all(&backend->owner->session.bonds, counts);
	for (int kind = 0; kind < KINDS; kind++)
		if (counts[kind] > 0)
			link_command(backend, kinds[kind].end_special, kinds[kind].end, 0, slice_of(""));
}

static void link_beginnings(struct backend *backend)
{
	struct passage *passage = backend->passage;

	for (int kind = 0; kind < KINDS; kind++)
		if (passage->counts[kind] > 0)
			link_command(backend, kinds[kind].begin_special, kinds[kind].begin, passage->counts[kind],
				     buf_slice(&passage->names[kind]));
}

/* ---- leaving ---- */

static bool is_subscriber_alone(const struct session *session)
{
	const struct session_bonds *bonds = &session->bonds;

	return session->pin == PIN_SESSION && session_is_subscribed(session) && !session->in_multi && !bonds->in_multi &&
	       !bonds->watching && !bonds->tracking && !bonds->monitoring && !bonds->replicating && !bonds->is_target;
}

/* Who does not read what he is told is not waited for. */
static bool has_nothing_under_way(const struct backend *backend)
{
	return !backend->mid_reply && !backend->uploading && backend->sent == backend->base && backend->paused_for == NULL;
}

/* In front of what the session has said since writes are held. */
void passage_begin(struct backend *backend)
{
	const struct client *client = backend->owner;
	struct backlog backlog;

	if (client == NULL || client->closing || client->close_after_flush || backend->state != BACKEND_READY ||
	    backend->passage != NULL || !is_subscriber_alone(&client->session) || !has_nothing_under_way(backend))
		return;
	backend->passage = alloc_zeroed(1, sizeof(*backend->passage));
	backend->worker->handover.passages++;
	backlog = backlog_take(backend);
	backend->base = backend->sent = backlog.base;
	link_ends(backend);
	backend->send_limit = backend->base + buf_length(&backend->stream);
	backlog_requeue(backend, &backlog);
	backend_mark_dirty(backend);
}

bool passage_is_leaving(const struct backend *backend)
{
	return backend->passage != NULL && backend->passage->state == LEAVING;
}

bool passage_has_left(const struct backend *backend)
{
	return backend->passage != NULL && backend->passage->state == LEFT;
}

void passage_confirmed(struct backend *backend, enum push_kind kind, struct slice value)
{
	struct passage *passage = backend->passage;
	struct slice name;

	for (int i = 0; i < KINDS; i++) {
		if (kinds[i].ended != kind || !push_subject(value, &name) || passage->bytes + name.length > NAMES_MAX_BYTES)
			continue;
		passage->bytes += name.length;
		encode_bulk(&passage->names[i], name);
		passage->counts[i]++;
	}
}

/* ---- arriving ---- */

void passage_enqueue(struct backend *backend)
{
	if (!passage_has_left(backend))
		return;
	backend->passage->unanswered = 0;
	link_beginnings(backend);
}

void passage_arrives(struct backend *backend)
{
	const struct request *request = backend->head;

	if (!passage_has_left(backend))
		return;
	backend->passage->state = ARRIVING;
	for (; request != NULL && request->kind == REQUEST_PASSAGE; request = request->next_of_backend)
		backend->send_limit = request->at + request->length;
}

/* ---- the end ---- */

static void tell(struct backend *backend)
{
	client_finish_alone(backend->owner, CLOSE_master_changed);
}

/* What the server has named is what weir has counted; or it is not understood, or too much. */
static bool is_complete(const struct backend *backend)
{
	const struct passage *passage = backend->passage;
	uint32_t counts[KINDS];

	count_all(&backend->owner->session.bonds, counts);
	for (int kind = 0; kind < KINDS; kind++)
		if (passage->counts[kind] != counts[kind])
			return false;
	return true;
}

void passage_answered(struct backend *backend, char type)
{
	struct passage *passage = backend->passage;

	if (type == '-') {
		tell(backend);
	} else if (--passage->unanswered > 0) {
		return;
	} else if (passage->state == ARRIVING) {
		stats_add(&backend->worker->stats, STAT_moved_subscribers, 1);
		passage_end(backend);
	} else if (is_complete(backend)) {
		passage->state = LEFT;
		dispatch_renew_key(backend->owner);
		backend_open(backend);
	} else {
		tell(backend);
	}
}

void passage_end(struct backend *backend)
{
	struct passage *passage = backend->passage;

	if (passage == NULL)
		return;
	for (int kind = 0; kind < KINDS; kind++)
		buf_free(&passage->names[kind]);
	free(passage);
	backend->passage = NULL;
	backend->worker->handover.passages--;
}
