/* One way to one server (backend.h has the picture): its life, what it reads,
 * what it writes, and how it ends. What a reply means to a client is
 * delivery.c's business, and which backend a request takes is dispatch.c's. */
#include "backend_parts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "barrier.h"
#include "../client/client.h"
#include "../clock.h"
#include "consistency.h"
#include "../worker/control_line.h"
#include "../dispatch/delivery.h"
#include "ejection.h"
#include "flow.h"
#include "passage.h"
#include "../log.h"
#include "../worker/worker.h"

enum {
	READS_PER_TURN = 4,         /* so that one busy server cannot keep a turn for itself */
	SHORT_READ_BYTES = 64 * 1024, /* fit the processor's nearest caches on their way through */
	LONG_REPLY_BYTES = 256 * 1024, /* of one reply, for which system calls are saved instead */
	PRIVATE_KEEP_BYTES = 64 * 1024,
	SHARED_KEEP_BYTES = 2 * 1024 * 1024, /* of a stream: to map its pages anew for each batch costs more than to copy it */
	EWMA_SHIFT = 3,             /* a new sample counts for an eighth */
	FULL_BYTES = 16 * 1024 * 1024, /* unanswered requests beyond which clients have to wait */
	FULL_OVER_BYTES = 8 * 1024 * 1024,
	UPLOAD_PAUSE_BYTES = 512 * 1024, /* unsent bytes beyond which no more is taken of what a session sends as it comes */
	LOGGED_GREETING_BYTES = 200,
	GIVE_BACK_MS = 1000,        /* after its last answer a connection needs no memory for batches */
	OWN_REPLY_BYTES = 1024 * 1024, /* weir asks for nothing that is longer */
};

struct backend *backend_create(struct worker *worker, const struct backend_key *key)
{
	struct backend *backend = alloc_zeroed(1, sizeof(*backend));

	conn_init_closed(&backend->conn);
	backend->worker = worker;
	backend->key = *key;
	identity_acquire(key->identity);
	list_init(&backend->of_worker);
	list_init(&backend->of_identity);
	list_init(&backend->dirty);
	backend->crowd = crowd_unknown();
	line_init(&backend->line);
	list_init(&backend->observers);
	list_init(&backend->index_waiters);
	list_append(&worker->backends, &backend->of_worker);
	if (key->kind != BACKEND_PRIVATE)
		list_append(&key->identity->lanes, &backend->of_identity);
	else
		worker->private_backends++;
	backend->idle_since_ns = worker->now_ns;
	handover_hold(backend);
	return backend;
}

enum stat_id backend_gauge(const struct backend *backend)
{
	return backend->key.kind == BACKEND_PRIVATE ? STAT_backends_private : STAT_backends_shared;
}

static bool is_own(const struct request *request)
{
	return request->kind == REQUEST_HANDSHAKE || request->kind == REQUEST_ROLE || request->kind == REQUEST_BARRIER ||
	       request->kind == REQUEST_PASSAGE;
}

/* ---- losing it ---- */

/* Requests that no server has seen wait for the next connection to the master;
 * another replica would do for those of a replica. */
static bool waits_for_next_connection(const struct backend *backend)
{
	return backend->key.node == BACKEND_TO_MASTER && !backend->closing;
}

/* Of a transaction on a shared backend either everything is kept for the next
 * connection, or nothing: what is left of one that was begun elsewhere must not
 * run outside of it. `torn` goes along the queue from one request to the next.
 * Neither can an upload be begun again. */
static bool is_torn(const struct request *request, const struct backlog *backlog, bool *torn)
{
	if (request->flags & REQUEST_CUT)
		return true;
	if (!(request->flags & REQUEST_BLOCK))
		return false;
	if (request->step == BLOCK_BEGINS)
		*torn = request->at < backlog->sent;
	return *torn;
}

static void relink(struct backend *backend, struct request *request, struct slice bytes)
{
	request->flags &= ~(uint32_t)REQUEST_SENT;
	if (!(request->flags & REQUEST_MUTED)) /* that is weir's own answer, not the server's */
		request_drop_held(request);
	backend_link_request(backend, request, bytes);
}

static void settle(struct backend *backend, struct request *request, struct slice bytes, bool torn)
{
	struct worker *worker = backend->worker;
	bool sent = request->flags & REQUEST_SENT;
	bool waits = waits_for_next_connection(backend);

	if (request->client == NULL)
		request_free(&worker->requests, request);
	else if (buf_length(&backend->refusal) > 0)
		delivery_refused(worker, request, buf_slice(&backend->refusal));
	else if (waits && ((!sent && !torn) || backend_can_be_replaced(backend, request)))
		relink(backend, request, bytes);
	else
		delivery_lost(worker, request, backend, sent, bytes);
}

/* The oldest of them is what the server was at when it was lost: if that is a
 * query that kills servers, it must not kill them all. Are there writes? */
static bool mark_sent(struct backlog *backlog)
{
	bool found = false, writes = false;

	for (struct request *request = backlog->first; request != NULL; request = request->next_of_backend) {
		if (request->at + request->length > backlog->sent)
			break;
		request->flags = (request->flags & ~(uint32_t)REQUEST_SUSPECT) | REQUEST_SENT;
		writes = writes || (request->flags & REQUEST_WRITE);
		if (found || is_own(request))
			continue;
		request->flags |= REQUEST_SUSPECT;
		found = true;
	}
	return writes;
}

static void settle_backlog(struct backend *backend, struct backlog *backlog)
{
	struct request *request;
	struct slice bytes;
	bool torn = true; /* the head may be in the middle of a transaction */

	while ((request = backlog_next(backlog, &bytes)) != NULL)
		settle(backend, request, bytes, is_torn(request, backlog, &torn));
	buf_wipe(&backlog->stream);
}

/* A session's state was on that connection, or was to be. */
static void settle_owner(struct backend *backend, bool was_ready)
{
	if (backend->owner != NULL && !was_ready && !waits_for_next_connection(backend))
		delivery_private_expired(backend);
}

static void close_connection(struct backend *backend, enum drop_reason reason)
{
	flow_release(backend);
	if (conn_is_open(&backend->conn)) {
		conn_close(&backend->conn);
		stats_add(&backend->worker->stats, backend_gauge(backend), -1);
		stats_add(&backend->worker->stats, (enum stat_id)(STAT_dropped_closed_by_server + (int)reason), 1);
	}
	backend->state = BACKEND_IDLE;
	backend->connect_failed = false;
	backend->framer = (struct resp_reply_framer){ 0 };
	backend->mid_reply = false;
	buf_consume(&backend->own_reply, buf_length(&backend->own_reply));
	backend_forget_reading(backend);
	sendings_forget(&backend->sendings);
	backend->send_limit = 0;
	backend->held_after = 0;
	list_remove(&backend->dirty);
}

/* Nothing of its session is on that connection, and nothing is under way: what it
 * is about to say can be said on the next one. */
static bool can_move(const struct backend *backend, const struct backlog *backlog)
{
	const struct request *first = backlog->first;

	if (passage_has_left(backend))
		return waits_for_next_connection(backend);
	return waits_for_next_connection(backend) && !session_is_bound(&backend->owner->session) && first != NULL &&
	       first->at >= backlog->sent;
}

/* Its node has failed it: what that means for the next try, and for others. Between
 * two tries it has not, again. */
static void blame_node(struct backend *backend, enum drop_reason reason, enum backend_state before)
{
	bool was_ready = before == BACKEND_READY;

	if (before == BACKEND_IDLE)
		return;
	if (was_ready)
		control_line_suspect(backend->worker->shared->control, backend->node_id);
	if (backend->key.node != BACKEND_TO_MASTER && drop_reasons[reason].is_fault)
		ejection_strike(backend->worker, backend->node_id, STRIKE_LOST);
	if (!backend->closing)
		backend_try_later(backend, was_ready);
}

void backend_disconnect(struct backend *backend, enum drop_reason reason, const char *detail)
{
	enum backend_state before = backend->state;
	bool was_ready = before == BACKEND_READY;
	struct backlog backlog;

	log_verbose("backend %d/%u to node %u: disconnected (%s): %s", backend->key.kind, backend->key.db, backend->node_id,
		    drop_reasons[reason].word, detail != NULL ? detail : drop_reasons[reason].text);
	close_connection(backend, reason);
	blame_node(backend, reason, before);
	consistency_lost(backend);
	backlog = backlog_take(backend);
	if (backend->owner != NULL && was_ready && !can_move(backend, &backlog))
		delivery_private_lost(backend);
	if (mark_sent(&backlog) && was_ready)
		barrier_raise(backend);
	settle_backlog(backend, &backlog);
	settle_owner(backend, was_ready);
	delivery_settle(backend->worker);
	worker_wake_lane_waiters(backend->worker);
	line_dissolve(backend);
	backend->idle_since_ns = backend->worker->now_ns;
}

void backend_destroy(struct backend *backend, enum drop_reason reason)
{
	struct worker *worker = backend->worker;
	struct backlog backlog;
	struct request *request;
	struct slice bytes;

	if (backend->closing)
		return;
	backend->closing = true;
	barrier_lower(backend);
	passage_end(backend);
	backend->owner = NULL;
	pause_undivert(backend);
	close_connection(backend, reason);
	consistency_lost(backend);
	backlog = backlog_take(backend);
	while ((request = backlog_next(&backlog, &bytes)) != NULL) {
		assert(request->client == NULL);
		request_free(&backend->worker->requests, request);
	}
	buf_wipe(&backlog.stream);
	buf_free(&backend->reading.whole);
	worker->private_backends -= backend->key.kind == BACKEND_PRIVATE;
	worker->spare_private -= backend->key.kind == BACKEND_PRIVATE && list_is_linked(&backend->of_identity);
	worker->backends_aside -= backend->aside;
	line_dissolve(backend);
	list_remove(&backend->line.moves);
	list_remove(&backend->of_identity);
	list_remove(&backend->of_worker);
	list_append(&worker->dead_backends, &backend->of_worker);
}

void backend_desync(struct backend *backend, const char *what)
{
	log_warning("backend to node %u closed: %s", backend->node_id, what);
	stats_add(&backend->worker->stats, STAT_backend_desync, 1);
	backend_disconnect(backend, DROP_desync, what);
}

/* ---- replies ---- */

/* A late reply is mostly the machine's fault, a quick one never is: the mean
 * rises slowly and falls at once. */
static void average_latency(struct node_load *load, uint32_t sample_us, int64_t now_ns)
{
	if (load == NULL)
		return;
	load->measured_ns = now_ns;
	if (load->latency_us == 0 || sample_us < load->latency_us)
		load->latency_us = sample_us;
	else
		load->latency_us += (sample_us - load->latency_us) >> EWMA_SHIFT;
}

/* The first answer of a batch is how quick the node is, for routing; those of
 * clients' requests are how long they take there, but for one that waits for
 * data, or comes to the server as its client sends it. */
void backend_measure(struct backend *backend, const struct request *answered, unsigned count, int64_t now_ns)
{
	bool first = sendings_pass(&backend->sendings, answered->at + answered->length);
	uint32_t node_us = backend->worker->reading_us - sendings_us(&backend->sendings);

	if (first && answered->kind != REQUEST_HANDSHAKE && !(answered->flags & REQUEST_CUT))
		average_latency(backend_load(backend), node_us, now_ns);
	if (!is_own(answered) && !(answered->flags & (REQUEST_WAITS | REQUEST_CUT)))
		tally_count(&backend->worker->at_node, &backend->worker->measures.nodes[backend->node_id], node_us,
			    count);
}

/* A reply to weir itself: nearly always it stands whole in what was read. */
static void finish_own(struct backend *backend, struct request *request, char type, struct slice last, int64_t now_ns)
{
	struct slice reply = last;

	if (buf_length(&backend->own_reply) > 0) {
		buf_append(&backend->own_reply, last.bytes, last.length);
		reply = buf_slice(&backend->own_reply);
	}
	if (request->kind == REQUEST_PASSAGE)
		passage_answered(backend, type);
	else if (request->kind == REQUEST_HANDSHAKE)
		backend_on_handshake_reply(backend, request, reply);
	else if (request->kind == REQUEST_BARRIER && reply.length > 0 && reply.bytes[0] != ':' && reply.bytes[0] != '-')
		backend_desync(backend, "a barrier that is answered with something else");
	else if (request->kind == REQUEST_BARRIER)
		barrier_answered(backend);
	else if (!consistency_judge(backend, request, reply, now_ns))
		backend_desync(backend, "a ROLE that is answered with something else");
	buf_consume(&backend->own_reply, buf_length(&backend->own_reply));
	request_free(&backend->worker->requests, request);
}

/* Null is a bulk string without a length in RESP2: told as what it is. */
static char told_type(char type, struct slice last)
{
	return type == '$' && last.length == 5 && last.bytes[1] == '-' ? '_' : type;
}

void backend_note_answer(struct backend *backend, int64_t now_ns)
{
	backend->last_read_ns = now_ns;
	if (backend->head == NULL)
		backend->idle_since_ns = now_ns;
	if (!list_is_empty(&backend->worker->lane_waiters) && buf_length(&backend->stream) < FULL_OVER_BYTES)
		worker_wake_lane_waiters(backend->worker);
}

static void leave_crowd(struct backend *backend, uint64_t bytes)
{
	crowd_learn(&backend->crowd, bytes);
	line_move(backend);
}

/* The head's reply is whole: it leaves the queue, then its bytes the stream.
 * `last` is what has come of it just now. */
void backend_finish_reply(struct backend *backend, char type, struct slice last, int64_t now_ns)
{
	struct slice bytes = backend_request_bytes(backend, backend->head);
	struct request *request = backend_unlink_head(backend);
	uint64_t generation = backend->generation;
	uint64_t end = request->at + request->length;
	bool is_secret = request->flags & REQUEST_SECRET;

	if (request->flags & REQUEST_IN_CROWD)
		leave_crowd(backend, backend->reply_length + last.length);
	backend->mid_reply = false;
	backend->reply_length = 0;
	backend_measure(backend, request, 1, now_ns);
	if (is_own(request))
		finish_own(backend, request, type, last, now_ns);
	else
		delivery_done(backend->worker, request, backend, told_type(type, last), bytes, now_ns);
	if (backend->closing || backend->generation != generation || backend->state < BACKEND_HANDSHAKE)
		return;
	if (is_secret)
		explicit_bzero(buf_head(&backend->stream), end - backend->base);
	buf_consume(&backend->stream, end - backend->base);
	backend->base = end;
	backend_note_answer(backend, now_ns);
}

/* Would the client see time run backwards, or less than it must see? */
static bool is_stale(const struct backend *backend, const struct request *head)
{
	if (head->client == NULL || !(head->flags & REQUEST_READ))
		return false;
	return ((head->flags & REQUEST_ON_REPLICA) && !consistency_is_met(backend, head)) || delivery_overtakes(head);
}

static enum delivery_mode mode_of(const struct backend *backend, struct request *head, char type)
{
	if (is_own(head))
		return DELIVERY_OWN;
	if (is_stale(backend, head))
		delivery_make_stale(head);
	return delivery_begin(head, type);
}

void backend_begin_reply(struct backend *backend, char type)
{
	backend->mid_reply = true;
	backend->mode = mode_of(backend, backend->head, type);
	if (backend->mode == DELIVERY_HOLD)
		backend->head->flags |= REQUEST_WHOLE;
}

/* A server whose limits are lower than weir's says so before it has read an
 * upload to its end, and hangs up. Its words are the answer. */
static bool refuses_upload(struct backend *backend, const char *bytes, size_t length)
{
	const char *newline = memchr(bytes, '\n', length);
	bool is_upload = backend->uploading || (backend->head != NULL && (backend->head->flags & REQUEST_CUT));

	if (!is_upload || bytes[0] != '-' || newline == NULL)
		return false;
	buf_append(&backend->refusal, bytes, (size_t)(newline + 1 - bytes));
	backend_disconnect(backend, DROP_request_refused, NULL);
	buf_free(&backend->refusal);
	if (backend->owner != NULL)
		delivery_private_expired(backend);
	return true;
}

void backend_stray_reply(struct backend *backend, const char *bytes, size_t length)
{
	if (!refuses_upload(backend, bytes, length))
		backend_desync(backend, "a reply that nobody waits for");
}

bool backend_awaits_reply(const struct backend *backend)
{
	return backend->head != NULL && backend_has_sent(backend, backend->head);
}

static void take_bytes(struct backend *backend, struct slice bytes, bool is_last)
{
	switch ((enum delivery_mode)backend->mode) {
	case DELIVERY_OWN:
		if (!is_last)
			buf_append(&backend->own_reply, bytes.bytes, bytes.length);
		break;
	case DELIVERY_DROP:
		break;
	default:
		delivery_bytes(backend->head, bytes.bytes, bytes.length);
	}
}

/* Cuts one reply, or the part of it that is here, off the bytes. Returns how
 * many were used; 0 when the connection is over. */
static size_t take_paired(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	enum resp_result result;
	size_t used = backend_take_run(backend, bytes, length, now_ns);

	if (used > 0)
		return used;
	if (!backend_awaits_reply(backend)) {
		backend_stray_reply(backend, bytes, length);
		return 0;
	}
	if (!backend->mid_reply && bytes[0] == '>') {
		backend_desync(backend, "a push that nobody subscribed to");
		return 0;
	}
	if (!backend->mid_reply)
		backend_begin_reply(backend, bytes[0]);
	result = resp_reply_next(&backend->framer, bytes, length, &used);
	if (result == RESP_BAD) {
		backend_desync(backend, "a malformed reply");
		return 0;
	}
	if (buf_length(&backend->own_reply) > OWN_REPLY_BYTES) {
		backend_desync(backend, "an endless reply to weir itself");
		return 0;
	}
	take_bytes(backend, (struct slice){ bytes, used }, result == RESP_OK);
	if (result != RESP_OK)
		backend->reply_length += used;
	else
		backend_finish_reply(backend, backend->framer.type, (struct slice){ bytes, used }, now_ns);
	return used;
}

static bool hears_unasked(const struct backend *backend)
{
	return backend->key.kind == BACKEND_PRIVATE && backend->state == BACKEND_READY && backend->owner != NULL;
}

static size_t take(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	if (backend->unframed) {
		delivery_push(backend, bytes, length);
		return length;
	}
	return hears_unasked(backend) ? backend_take_private(backend, bytes, length, now_ns)
				      : take_paired(backend, bytes, length, now_ns);
}

/* An empty stream keeps some of its memory for the next batch, unless it has idled. */
static void keep_memory(struct backend *backend)
{
	buf_shrink(&backend->stream, backend->key.kind == BACKEND_PRIVATE ? PRIVATE_KEEP_BYTES : SHARED_KEEP_BYTES);
}

void backend_give_back(struct backend *backend)
{
	if (backend->worker->now_ns - backend->idle_since_ns > clock_ms_to_ns(GIVE_BACK_MS))
		buf_shrink(&backend->stream, PRIVATE_KEEP_BYTES);
}

static bool is_live(const struct backend *backend, uint64_t generation)
{
	return !backend->closing && backend->generation == generation && conn_is_open(&backend->conn);
}

static void take_replies(struct backend *backend, const char *bytes, size_t length)
{
	uint64_t generation = backend->generation;
	int64_t now_ns = clock_ns(); /* after the read: what these replies acknowledge happened before it */

	backend->worker->reading_us = clock_us(now_ns);
	while (length > 0 && is_live(backend, generation)) {
		size_t used = take(backend, bytes, length, now_ns);

		bytes += used;
		length -= used;
	}
	worker_settle_answers(backend->worker); /* before anybody has them: who asks then finds them counted */
	tally_settle(&backend->worker->at_node);
	delivery_settle(backend->worker);
	backend->last_read_ns = now_ns;
	if (!is_live(backend, generation))
		return;
	if (backend->head == NULL)
		keep_memory(backend);
	flow_check(backend);
}

/* A server that speaks first turns the connection away (too many clients,
 * protected mode): it says why, once. */
static void on_greeting(struct backend *backend, const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\r', length);

	log_notice("node %u turns a connection away: %.*s", backend->node_id,
		   (int)(end != NULL ? end - bytes : (ptrdiff_t)(length < LOGGED_GREETING_BYTES ? length : LOGGED_GREETING_BYTES)), bytes);
	backend_disconnect(backend, DROP_turned_away, NULL);
}

static size_t room_of_read(const struct backend *backend)
{
	bool is_long = backend->reply_length + (uint64_t)backend->framer.bulk_left >= LONG_REPLY_BYTES;

	return is_long ? WORKER_READ_BYTES : SHORT_READ_BYTES;
}

static void read_replies(struct backend *backend)
{
	struct worker *worker = backend->worker;
	uint64_t generation = backend->generation;
	size_t room = 0, got = 0;

	for (int i = 0; i < READS_PER_TURN && got == room && is_live(backend, generation) && backend->paused_for == NULL;
	     i++) {
		enum conn_result result;

		room = room_of_read(backend);
		result = conn_read(&backend->conn, worker->read_buffer, room, &got);
		if (result == CONN_AGAIN)
			return;
		if (result == CONN_CLOSED) {
			backend_disconnect(backend, errno ? DROP_socket_error : DROP_closed_by_server,
					   errno ? strerror(errno) : NULL);
			return;
		}
		if (backend->state < BACKEND_HANDSHAKE) {
			on_greeting(backend, worker->read_buffer, got);
			return;
		}
		take_replies(backend, worker->read_buffer, got);
	}
}

void backend_read(struct backend *backend)
{
	if (backend->state == BACKEND_READY)
		read_replies(backend);
}

/* ---- writing ---- */

bool backend_is_full(const struct backend *backend)
{
	return buf_length(&backend->stream) > FULL_BYTES;
}

bool backend_takes_more(const struct backend *backend)
{
	return backend->state == BACKEND_READY && buf_length(&backend->stream) < UPLOAD_PAUSE_BYTES;
}

/* Of an upload its last bytes count. */
static void note_sending(struct backend *backend)
{
	if (backend->uploading)
		sendings_forget(&backend->sendings);
	sendings_add(&backend->sendings, backend->sent, backend->worker->sending_us);
}

/* The server takes no more; what it has said before that is still there. */
static void hang_up(struct backend *backend, const char *why)
{
	uint64_t generation = backend->generation;

	read_replies(backend);
	if (is_live(backend, generation))
		backend_disconnect(backend, DROP_socket_error, why);
}

static void after_private_write(struct backend *backend)
{
	if (backend->uploading || backend->unframed)
		backend_forget_sent(backend);
	if (backend->unframed && buf_length(&backend->stream) < FULL_OVER_BYTES)
		worker_wake_lane_waiters(backend->worker);
	client_check_stall(backend->owner);
}

/* The turn's batch is over: behind a master's writes stands a ROLE, and the
 * next reads of a replica begin with one. */
static void end_batch(struct backend *backend)
{
	if (backend->wants_role && backend->state == BACKEND_READY && !backend->held) {
		backend->wants_role = false;
		if (consistency_applies(backend)) {
			backend_link_role(backend);
			consistency_asked(backend);
		} else {
			consistency_not_asked(backend);
		}
	}
	backend->batch_open = false;
}

void backend_flush(struct backend *backend)
{
	uint64_t end, before = backend->sent;
	size_t wrote;
	enum conn_result result = CONN_OK;

	end_batch(backend);
	if (backend->state < BACKEND_HANDSHAKE)
		return;
	end = backend->base + buf_length(&backend->stream) - backend->uploading;
	if ((backend->state == BACKEND_HANDSHAKE || backend->held) && end > backend->send_limit)
		end = backend->send_limit;
	while (backend->sent < end && result == CONN_OK) {
		result = conn_write(&backend->conn, buf_head(&backend->stream) + (backend->sent - backend->base),
				    end - backend->sent, &wrote);
		backend->sent += wrote;
	}
	if (backend->sent > before)
		note_sending(backend);
	if (result == CONN_CLOSED) {
		hang_up(backend, strerror(errno));
		return;
	}
	if (backend->owner != NULL && backend->state == BACKEND_READY)
		after_private_write(backend);
	keep_memory(backend);
	conn_watch(&backend->conn, (conn_watched(&backend->conn) & EV_READ) | (backend->sent < end ? EV_WRITE : 0));
}

void backend_pause_reading(struct backend *backend, bool pause)
{
	if (!conn_is_open(&backend->conn) || backend->state < BACKEND_PROVING)
		return;
	conn_watch(&backend->conn, (conn_watched(&backend->conn) & EV_WRITE) | (pause ? 0 : EV_READ));
}

void backend_on_io(struct conn *conn, int events)
{
	struct backend *backend = CONTAINER_OF(conn, struct backend, conn);
	uint64_t generation = backend->generation;

	if (backend->state == BACKEND_CONNECTING) {
		backend_on_connected(backend);
		if (backend->state == BACKEND_PROVING)
			backend_check_proof(backend);
		return;
	}
	if (events & EV_READ)
		read_replies(backend);
	if ((events & EV_WRITE) && is_live(backend, generation))
		backend_flush(backend);
}
