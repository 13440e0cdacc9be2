/* One way to one server (backend.h has the picture).
 *
 * This module connects, proves, shakes hands, writes the stream and cuts the
 * replies; what a reply means to a client is delivery.c's business, and which
 * backend a request takes is dispatch.c's.
 *
 * Life of a connection:
 *
 *   IDLE -> CONNECTING -> PROVING -> HANDSHAKE -> READY
 *     ^_________|____________|___________|_________|     backend_disconnect()
 *
 * Until READY nothing of a client is written. PROVING is there because a server
 * that was restarted or swapped behind its address must not answer anything
 * before the control thread has looked at it: the connection carries traffic
 * only after a probe that was sent later than it was established, on a control
 * connection opened earlier than it, has confirmed the run_id. */
#include "backend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol/alloc.h"
#include "../protocol/encode.h"
#include "clock.h"
#include "control_line.h"
#include "delivery.h"
#include "log.h"
#include "worker.h"

enum {
	READS_PER_TURN = 4,         /* so that one busy server cannot keep a turn for itself */
	STREAM_KEEP_BYTES = 64 * 1024,
	RETRY_FIRST_MS = 20,
	RETRY_LAST_MS = 1000,
	EWMA_SHIFT = 3,             /* a new sample counts for an eighth */
	FULL_BYTES = 16 * 1024 * 1024, /* unanswered requests beyond which clients have to wait */
	FULL_OVER_BYTES = 8 * 1024 * 1024,
	LOGGED_NAME_BYTES = 64,
};

/* The parts of a handshake, in request.step. */
enum { STEP_AUTHENTICATE, STEP_SELECT, STEP_NAME };

static void on_ready(struct conn *conn, int events);

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
	list_append(&worker->backends, &backend->of_worker);
	if (key->kind != BACKEND_PRIVATE)
		list_append(&key->identity->lanes, &backend->of_identity);
	else
		worker->private_backends++;
	backend->idle_since_ns = worker->now_ns;
	return backend;
}

static bool is_idle(const struct backend *backend)
{
	return backend->head == NULL && buf_length(&backend->stream) == 0;
}

static enum stat_id gauge(const struct backend *backend)
{
	return backend->key.kind == BACKEND_PRIVATE ? STAT_backends_private : STAT_backends_shared;
}

/* ---- queue and stream ---- */

struct slice backend_request_bytes(const struct backend *backend, const struct request *request)
{
	return (struct slice){ buf_head(&backend->stream) + (request->at - backend->base), request->length };
}

static struct node_load *load_of(const struct backend *backend)
{
	if (!backend->has_target || backend->node_id >= backend->worker->load_count)
		return NULL;
	return &backend->worker->loads[backend->node_id];
}

static void count_outstanding(struct backend *backend, const struct request *request, int sign)
{
	struct node_load *load = load_of(backend);

	backend->outstanding += (uint32_t)(sign * request->cost);
	if (load == NULL)
		return;
	load->outstanding += (uint32_t)(sign * request->cost);
	if (sign > 0)
		load->served++;
}

static void link_request(struct backend *backend, struct request *request, struct slice bytes)
{
	request->backend = backend;
	request->next_of_backend = NULL;
	request->at = backend->base + buf_length(&backend->stream);
	request->length = (uint32_t)bytes.length;
	buf_append(&backend->stream, bytes.bytes, bytes.length);
	if (backend->head == NULL)
		backend->head = request;
	else
		backend->tail->next_of_backend = request;
	backend->tail = request;
	count_outstanding(backend, request, +1);
}

static struct request *unlink_head(struct backend *backend)
{
	struct request *request = backend->head;

	backend->head = request->next_of_backend;
	if (backend->head == NULL)
		backend->tail = NULL;
	request->backend = NULL;
	count_outstanding(backend, request, -1);
	return request;
}

static void mark_dirty(struct backend *backend)
{
	list_mark(&backend->worker->dirty_backends, &backend->dirty);
}

static void wake_up(struct backend *backend)
{
	if (backend->state == BACKEND_IDLE)
		backend_retarget(backend, backend->worker->snapshot);
	mark_dirty(backend);
}

void backend_enqueue(struct backend *backend, struct request *request, struct slice bytes)
{
	link_request(backend, request, bytes);
	wake_up(backend);
}

void backend_forward(struct backend *backend, struct slice bytes)
{
	buf_append(&backend->stream, bytes.bytes, bytes.length);
	wake_up(backend);
}

void backend_withdraw(struct backend *backend, struct request *request)
{
	struct request **link = &backend->head, *previous = NULL;

	assert(backend->state < BACKEND_HANDSHAKE);
	while (*link != request) {
		previous = *link;
		link = &previous->next_of_backend;
	}
	*link = request->next_of_backend;
	if (backend->tail == request)
		backend->tail = previous;
	request->backend = NULL;
	count_outstanding(backend, request, -1);
}

/* What was queued, taken aside while the stream is laid anew. */
struct backlog {
	struct request *first;
	struct buf stream;
	uint64_t base;
	uint64_t sent;
};

static struct backlog take_backlog(struct backend *backend)
{
	struct backlog backlog = { backend->head, backend->stream, backend->base, backend->sent };

	for (struct request *request = backend->head; request != NULL; request = request->next_of_backend)
		count_outstanding(backend, request, -1);
	backend->head = backend->tail = NULL;
	backend->stream = (struct buf){ 0 };
	backend->base = backend->sent = 0;
	return backlog;
}

static struct request *next_in_backlog(struct backlog *backlog, struct slice *bytes)
{
	struct request *request = backlog->first;

	if (request == NULL)
		return NULL;
	backlog->first = request->next_of_backend;
	request->next_of_backend = NULL;
	request->backend = NULL;
	*bytes = (struct slice){ buf_head(&backlog->stream) + (request->at - backlog->base), request->length };
	return request;
}

/* Puts the backlog behind what the stream holds now; orphans stay behind, no
 * server has seen them. */
static void requeue(struct backend *backend, struct backlog *backlog)
{
	struct request *request;
	struct slice bytes;

	if (backend->streaming && backlog->first == NULL)
		buf_append(&backend->stream, buf_slice(&backlog->stream).bytes, buf_length(&backlog->stream));
	while ((request = next_in_backlog(backlog, &bytes)) != NULL) {
		if (request->client == NULL)
			request_free(&backend->worker->requests, request);
		else
			link_request(backend, request, bytes);
	}
	buf_free(&backlog->stream);
}

/* ---- connecting ---- */

static int64_t retry_delay_ns(struct backend *backend)
{
	struct worker *worker = backend->worker;
	unsigned doublings = backend->failures < 6 ? backend->failures : 6;
	int64_t ms = (int64_t)RETRY_FIRST_MS << doublings;

	if (ms > RETRY_LAST_MS)
		ms = RETRY_LAST_MS;
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return clock_ms_to_ns(ms) / 4 * (int64_t)(3 + worker->random % 3);
}

static void try_later(struct backend *backend)
{
	backend->retry_ns = backend->worker->now_ns + retry_delay_ns(backend);
	backend->failures++;
	stats_add(&backend->worker->stats, STAT_backend_connect_failures, 1);
}

static void connect_to(struct backend *backend, const struct snapshot_node *node)
{
	int fd;

	stats_add(&backend->worker->stats, STAT_backend_connects, 1);
	backend->connect_ns = clock_ns();
	backend->generation = ++backend->worker->generations;
	fd = conn_connect((const struct sockaddr *)&node->socket_address, node->socket_length);
	backend->state = BACKEND_CONNECTING;
	backend->connect_failed = fd < 0;
	if (fd < 0) {
		log_verbose("backend to %s: %s", node->address, strerror(errno));
		return;
	}
	conn_init(&backend->conn, backend->worker->loop, fd, on_ready);
	stats_add(&backend->worker->stats, gauge(backend), 1);
	conn_watch(&backend->conn, EV_WRITE);
}

void backend_settle_failed_connect(struct backend *backend)
{
	if (!backend->connect_failed)
		return;
	backend->connect_failed = false;
	backend_disconnect(backend, "no connection could be begun");
}

static void on_connected(struct backend *backend)
{
	int error = conn_connect_result(&backend->conn);

	if (error != 0) {
		backend_disconnect(backend, strerror(error));
		return;
	}
	backend->established_ns = clock_ns();
	backend->state = BACKEND_PROVING;
	conn_watch(&backend->conn, EV_READ);
	control_line_confirm(backend->worker->shared->control, backend->node_id);
}

static const struct snapshot_node *present_target(const struct backend *backend)
{
	const struct snapshot_node *node = backend->has_target ? worker_node(backend->worker, backend->node_id) : NULL;

	return node != NULL && node->incarnation == backend->incarnation ? node : NULL;
}

static const struct snapshot_node *wanted_target(const struct backend *backend, const struct snapshot *snapshot)
{
	const struct snapshot_node *node;

	if (backend->key.node == BACKEND_TO_MASTER)
		return snapshot->master >= 0 ? &snapshot->nodes[snapshot->master] : NULL;
	/* A session that chose a replica must not find itself on the master. */
	node = worker_node(backend->worker, (uint32_t)backend->key.node);
	if (node == NULL || !node->up || (snapshot->master >= 0 && node == &snapshot->nodes[snapshot->master]))
		return NULL;
	return node;
}

static void set_target(struct backend *backend, const struct snapshot_node *node)
{
	struct node_load *load = load_of(backend);

	if (load != NULL)
		load->outstanding -= backend->outstanding;
	backend->has_target = node != NULL;
	if (node == NULL)
		return;
	backend->node_id = node->id;
	backend->incarnation = node->incarnation;
	backend->failures = 0;
	backend->retry_ns = 0;
	load = load_of(backend);
	if (load != NULL)
		load->outstanding += backend->outstanding;
}

void backend_retarget(struct backend *backend, const struct snapshot *snapshot)
{
	const struct snapshot_node *node = wanted_target(backend, snapshot);
	bool same = node != NULL ? backend->has_target && backend->node_id == node->id &&
					   backend->incarnation == node->incarnation
				 : !backend->has_target;

	if (!same) {
		if (backend->state != BACKEND_IDLE)
			backend_disconnect(backend, node ? "the node has changed" : "the node is not usable");
		if (backend->closing)
			return;
		set_target(backend, node);
	}
	if (backend->state == BACKEND_IDLE && node == NULL && backend->key.node != BACKEND_TO_MASTER && !is_idle(backend)) {
		backend_disconnect(backend, "the node is not usable");
		return;
	}
	if (backend->state == BACKEND_IDLE && node != NULL && !is_idle(backend) &&
	    backend->worker->now_ns >= backend->retry_ns)
		connect_to(backend, node);
}

void backend_open(struct backend *backend)
{
	const struct snapshot_node *node;

	backend_retarget(backend, backend->worker->snapshot);
	node = present_target(backend);
	if (backend->state == BACKEND_IDLE && node != NULL && backend->worker->now_ns >= backend->retry_ns)
		connect_to(backend, node);
}

/* ---- handshake ---- */

static void push_handshake(struct backend *backend, int step, const struct buf *bytes)
{
	struct worker *worker = backend->worker;
	struct request *request = request_create(&worker->requests, REQUEST_HANDSHAKE, REQUEST_WHOLE, worker->now_ms);

	request->step = (uint8_t)step;
	link_request(backend, request, buf_slice(bytes));
	backend->handshake_left++;
}

static void encode_authentication(const struct backend *backend, struct buf *out)
{
	const struct identity *identity = backend->key.identity;
	struct slice words[5];
	size_t count = 0;

	if (backend->key.resp == 3) {
		words[count++] = slice_of("HELLO");
		words[count++] = slice_of("3");
	}
	if (identity->has_credentials) {
		words[count++] = slice_of("AUTH");
		if (identity->has_user || backend->key.resp == 3)
			words[count++] = identity->user;
		words[count++] = identity->password;
	}
	if (count > 0)
		encode_request(out, count, words);
}

static void start_handshake(struct backend *backend)
{
	struct backlog backlog = take_backlog(backend);
	struct buf bytes = { 0 };
	char db[16];

	backend->state = BACKEND_HANDSHAKE;
	backend->handshake_left = 0;
	if (backend->key.kind != BACKEND_CHECKER)
		encode_authentication(backend, &bytes);
	if (buf_length(&bytes) > 0)
		push_handshake(backend, STEP_AUTHENTICATE, &bytes);
	if (backend->key.db != 0) {
		buf_consume(&bytes, buf_length(&bytes));
		snprintf(db, sizeof(db), "%u", backend->key.db);
		encode_request_words(&bytes, "SELECT", db, NULL);
		push_handshake(backend, STEP_SELECT, &bytes);
	}
	buf_consume(&bytes, buf_length(&bytes));
	encode_request_words(&bytes, "CLIENT", "SETNAME", "weir-data", NULL);
	push_handshake(backend, STEP_NAME, &bytes);
	buf_free(&bytes);
	backend->send_limit = backend->base + buf_length(&backend->stream);
	requeue(backend, &backlog);
	mark_dirty(backend);
}

void backend_check_proof(struct backend *backend)
{
	const struct snapshot_node *node = present_target(backend);

	if (backend->state == BACKEND_PROVING && node != NULL &&
	    node_vitals_prove(node->vitals, backend->connect_ns, backend->established_ns))
		start_handshake(backend);
}

/* The server does not let this backend be what it is for: it refuses the user,
 * or the database. Nothing may run on the connection then, it would run as
 * somebody else or somewhere else. The master's refusal is the clients' answer;
 * a replica's reads go elsewhere, and it is asked again after a while. */
static void on_refused(struct backend *backend, const struct request *handshake, struct slice error)
{
	const struct identity *identity = backend->key.identity;
	int logged = identity->user.length < LOGGED_NAME_BYTES ? (int)identity->user.length : LOGGED_NAME_BYTES;
	bool to_master = backend->key.node == BACKEND_TO_MASTER;

	log_notice("node %u refuses user \"%.*s\", database %u: %.*s", backend->node_id, logged, identity->user.bytes,
		   backend->key.db, error.length < 200 ? (int)error.length : 200, error.bytes);
	if (to_master && handshake->step == STEP_AUTHENTICATE)
		backend->key.identity->state = IDENTITY_REFUSED;
	if (to_master)
		buf_append(&backend->refusal, error.bytes, error.length);
	else if (backend->node_id < 64)
		backend->key.identity->refused_nodes |= 1ULL << backend->node_id;
	backend_disconnect(backend, "refused by the server");
	buf_free(&backend->refusal);
	if (backend->owner != NULL)
		delivery_private_expired(backend);
	else if (!backend->closing && backend->head == NULL)
		backend_destroy(backend);
}

static void on_ready_for_traffic(struct backend *backend)
{
	backend->state = BACKEND_READY;
	backend->failures = 0;
	mark_dirty(backend);
}

/* The master has let the backend's user in, or not. The checker's connection
 * is made anew all the time, so it is the one that sees a password being set
 * on a running server. */
static void note_acceptance(struct backend *backend, bool accepted)
{
	struct identities *identities = &backend->worker->identities;
	struct identity *identity = backend->key.identity;

	if (backend->key.kind != BACKEND_CHECKER) {
		identity->state = accepted ? IDENTITY_ACCEPTED : IDENTITY_REFUSED;
	} else if (identity == identities->nobody && identity->state == IDENTITY_ACCEPTED && !accepted) {
		log_notice("the master wants passwords now: new sessions have to authenticate");
		identities_renew_nobody(identities);
	} else if (identity->state == IDENTITY_REFUSED && accepted) {
		identity->state = IDENTITY_ACCEPTED;
	}
}

static void on_handshake_reply(struct backend *backend, const struct request *request, struct slice reply)
{
	bool failed = reply.length > 0 && reply.bytes[0] == '-';
	bool wants_authentication = slice_begins_with(reply, "-NOAUTH");

	if (failed && (request->step == STEP_AUTHENTICATE || request->step == STEP_SELECT ||
		       (wants_authentication && backend->key.node != BACKEND_TO_MASTER))) {
		on_refused(backend, request, reply);
		return;
	}
	if (request->step == STEP_NAME && backend->key.node == BACKEND_TO_MASTER)
		note_acceptance(backend, !wants_authentication);
	if (--backend->handshake_left == 0)
		on_ready_for_traffic(backend);
}

/* ---- losing it ---- */

/* Requests that no server has seen wait for the next connection to the master;
 * another replica would do for those of a replica. */
static bool waits_for_next_connection(const struct backend *backend)
{
	return backend->key.node == BACKEND_TO_MASTER && !backend->closing;
}

static void settle(struct backend *backend, struct request *request, struct slice bytes, bool sent)
{
	struct worker *worker = backend->worker;

	if (request->client == NULL)
		request_free(&worker->requests, request);
	else if (buf_length(&backend->refusal) > 0)
		delivery_answer(worker, request, buf_slice(&backend->refusal));
	else if (!sent && waits_for_next_connection(backend))
		link_request(backend, request, bytes);
	else
		delivery_lost(worker, request, backend, sent, bytes);
}

static void settle_backlog(struct backend *backend, struct backlog *backlog, bool was_ready)
{
	struct request *request;
	struct slice bytes;

	if (backend->streaming && !was_ready && waits_for_next_connection(backend)) {
		buf_append(&backend->stream, buf_slice(&backlog->stream).bytes, buf_length(&backlog->stream));
	} else {
		while ((request = next_in_backlog(backlog, &bytes)) != NULL)
			settle(backend, request, bytes, request->at + request->length <= backlog->sent);
	}
	buf_free(&backlog->stream);
}

/* A session's state was on that connection, or was to be. */
static void settle_owner(struct backend *backend, bool was_ready)
{
	if (backend->owner != NULL && !was_ready && !waits_for_next_connection(backend))
		delivery_private_expired(backend);
}

static void close_connection(struct backend *backend)
{
	if (conn_is_open(&backend->conn)) {
		conn_close(&backend->conn);
		stats_add(&backend->worker->stats, gauge(backend), -1);
	}
	backend->state = BACKEND_IDLE;
	backend->connect_failed = false;
	backend->framer = (struct resp_reply_framer){ 0 };
	backend->mid_reply = false;
	backend->reply_length = 0;
	backend->timed_ns = 0;
	backend->send_limit = 0;
	list_remove(&backend->dirty);
}

void backend_disconnect(struct backend *backend, const char *why)
{
	bool was_ready = backend->state == BACKEND_READY;
	struct backlog backlog;

	log_verbose("backend %d/%u to node %u: disconnected: %s", backend->key.kind, backend->key.db, backend->node_id,
		    why);
	close_connection(backend);
	if (was_ready)
		control_line_suspect(backend->worker->shared->control, backend->node_id);
	else if (!backend->closing)
		try_later(backend);
	backlog = take_backlog(backend);
	if (backend->owner != NULL && was_ready)
		delivery_private_lost(backend);
	settle_backlog(backend, &backlog, was_ready);
	settle_owner(backend, was_ready);
	delivery_settle(backend->worker);
	worker_wake_lane_waiters(backend->worker);
	backend->idle_since_ns = backend->worker->now_ns;
}

void backend_destroy(struct backend *backend)
{
	struct worker *worker = backend->worker;
	struct backlog backlog;
	struct request *request;
	struct slice bytes;

	if (backend->closing)
		return;
	backend->closing = true;
	backend->owner = NULL;
	close_connection(backend);
	backlog = take_backlog(backend);
	while ((request = next_in_backlog(&backlog, &bytes)) != NULL) {
		assert(request->client == NULL);
		request_free(&backend->worker->requests, request);
	}
	buf_free(&backlog.stream);
	if (backend->key.kind == BACKEND_PRIVATE)
		worker->private_backends--;
	list_remove(&backend->of_identity);
	list_remove(&backend->of_worker);
	list_append(&worker->dead_backends, &backend->of_worker);
}

static void desync(struct backend *backend, const char *what)
{
	log_warning("backend to node %u closed: %s", backend->node_id, what);
	stats_add(&backend->worker->stats, STAT_backend_desync, 1);
	backend_disconnect(backend, what);
}

/* ---- replies ---- */

static void measure_latency(struct backend *backend, const struct request *answered, int64_t now_ns)
{
	struct node_load *load = load_of(backend);
	int64_t sample_us = (now_ns - backend->timed_ns) / 1000;

	if (backend->timed_ns == 0 || answered->at < backend->timed_at)
		return;
	backend->timed_ns = 0;
	if (load == NULL)
		return;
	if (load->latency_us == 0)
		load->latency_us = (uint32_t)sample_us;
	else
		load->latency_us += (uint32_t)((sample_us - (int64_t)load->latency_us) >> EWMA_SHIFT);
}

/* The head's reply is whole: it leaves the queue, then its bytes the stream. */
static void finish_reply(struct backend *backend, char type, int64_t now_ns)
{
	struct slice bytes = backend_request_bytes(backend, backend->head);
	struct request *request = unlink_head(backend);
	uint64_t generation = backend->generation;
	uint64_t end = request->at + request->length;

	backend->mid_reply = false;
	backend->last_read_ns = now_ns;
	measure_latency(backend, request, now_ns);
	if (request->kind == REQUEST_HANDSHAKE) {
		on_handshake_reply(backend, request, request_held(request));
		request_free(&backend->worker->requests, request);
	} else {
		delivery_done(backend->worker, request, backend, type, bytes, now_ns);
	}
	if (backend->closing || backend->generation != generation || backend->state < BACKEND_HANDSHAKE)
		return;
	buf_consume(&backend->stream, end - backend->base);
	backend->base = end;
	if (backend->head == NULL)
		backend->idle_since_ns = now_ns;
	if (buf_length(&backend->stream) < FULL_OVER_BYTES)
		worker_wake_lane_waiters(backend->worker);
}

static void begin_reply(struct backend *backend, char type)
{
	backend->mid_reply = true;
	backend->mode = backend->head->kind == REQUEST_HANDSHAKE ? DELIVERY_HOLD : delivery_begin(backend->head, type);
	if (backend->mode == DELIVERY_HOLD)
		backend->head->flags |= REQUEST_WHOLE;
}

/* Cuts one reply, or the part of it that is here, off the bytes. Returns how
 * many were used; 0 when the connection is over. */
static size_t take_paired(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	struct request *head = backend->head;
	enum resp_result result;
	size_t used;

	if (head == NULL || !backend_has_sent(backend, head)) {
		desync(backend, "a reply that nobody waits for");
		return 0;
	}
	if (!backend->mid_reply && bytes[0] == '>') {
		desync(backend, "a push that nobody subscribed to");
		return 0;
	}
	if (!backend->mid_reply)
		begin_reply(backend, bytes[0]);
	result = resp_reply_next(&backend->framer, bytes, length, &used);
	if (result == RESP_BAD) {
		desync(backend, "a malformed reply");
		return 0;
	}
	if (head->kind == REQUEST_HANDSHAKE)
		request_hold(head, bytes, used);
	else if (backend->mode != DELIVERY_DROP)
		delivery_bytes(head, bytes, used);
	if (result == RESP_OK)
		finish_reply(backend, backend->framer.type, now_ns);
	return used;
}

/* Replies of a streaming session: framed, so that the end of the stream is
 * seen, and handed over as they come. */
static size_t take_streamed(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	enum resp_result result;
	size_t used;

	if (backend->unframed) {
		delivery_stream(backend, bytes, length);
		return length;
	}
	result = resp_reply_next(&backend->framer, bytes, length, &used);
	if (result == RESP_BAD) {
		desync(backend, "a malformed reply");
		return 0;
	}
	backend->reply_length += used;
	delivery_stream(backend, bytes, used);
	if (result == RESP_OK && !backend->closing) {
		uint64_t whole = backend->reply_length;

		backend->reply_length = 0;
		delivery_stream_done(backend, backend->framer.type, whole, now_ns);
	}
	return used;
}

static bool is_live(const struct backend *backend, uint64_t generation)
{
	return !backend->closing && backend->generation == generation && conn_is_open(&backend->conn);
}

static void take_replies(struct backend *backend, const char *bytes, size_t length)
{
	uint64_t generation = backend->generation;
	int64_t now_ns = clock_ns(); /* after the read: what these replies acknowledge happened before it */

	while (length > 0 && is_live(backend, generation)) {
		size_t used = backend->streaming && backend->head == NULL
				      ? take_streamed(backend, bytes, length, now_ns)
				      : take_paired(backend, bytes, length, now_ns);

		bytes += used;
		length -= used;
	}
	delivery_settle(backend->worker);
	backend->last_read_ns = now_ns;
}

/* A server that speaks first turns the connection away (too many clients,
 * protected mode): it says why, once. */
static void on_greeting(struct backend *backend, const char *bytes, size_t length)
{
	const char *end = memchr(bytes, '\r', length);

	log_notice("node %u turns a connection away: %.*s", backend->node_id,
		   (int)(end != NULL ? end - bytes : (ptrdiff_t)(length < 200 ? length : 200)), bytes);
	backend_disconnect(backend, "turned away");
}

static void read_replies(struct backend *backend)
{
	struct worker *worker = backend->worker;
	uint64_t generation = backend->generation;
	size_t got = WORKER_READ_BYTES;

	for (int i = 0; i < READS_PER_TURN && got == WORKER_READ_BYTES && is_live(backend, generation); i++) {
		enum conn_result result = conn_read(&backend->conn, worker->read_buffer, WORKER_READ_BYTES, &got);

		if (result == CONN_AGAIN)
			return;
		if (result == CONN_CLOSED) {
			backend_disconnect(backend, errno ? strerror(errno) : "closed by the server");
			return;
		}
		if (backend->state < BACKEND_HANDSHAKE) {
			on_greeting(backend, worker->read_buffer, got);
			return;
		}
		take_replies(backend, worker->read_buffer, got);
	}
}

/* ---- writing ---- */

bool backend_is_full(const struct backend *backend)
{
	return buf_length(&backend->stream) > FULL_BYTES;
}

static void start_timing(struct backend *backend, uint64_t from)
{
	if (backend->timed_ns != 0 || backend->state != BACKEND_READY)
		return;
	backend->timed_at = from;
	backend->timed_ns = backend->worker->now_ns;
}

void backend_flush(struct backend *backend)
{
	uint64_t end = backend->base + buf_length(&backend->stream);
	size_t wrote;
	enum conn_result result = CONN_OK;

	if (backend->state == BACKEND_HANDSHAKE && end > backend->send_limit)
		end = backend->send_limit;
	else if (backend->state < BACKEND_HANDSHAKE)
		return;
	while (backend->sent < end && result == CONN_OK) {
		start_timing(backend, backend->sent);
		result = conn_write(&backend->conn, buf_head(&backend->stream) + (backend->sent - backend->base),
				    end - backend->sent, &wrote);
		backend->sent += wrote;
	}
	if (result == CONN_CLOSED) {
		backend_disconnect(backend, strerror(errno));
		return;
	}
	if (backend->streaming && backend->head == NULL) {
		buf_consume(&backend->stream, backend->sent - backend->base);
		backend->base = backend->sent;
		if (buf_length(&backend->stream) < FULL_OVER_BYTES)
			worker_wake_lane_waiters(backend->worker);
	}
	buf_shrink(&backend->stream, STREAM_KEEP_BYTES);
	conn_watch(&backend->conn, (conn_watched(&backend->conn) & EV_READ) | (backend->sent < end ? EV_WRITE : 0));
}

void backend_pause_reading(struct backend *backend, bool pause)
{
	if (!conn_is_open(&backend->conn) || backend->state < BACKEND_PROVING)
		return;
	conn_watch(&backend->conn, (conn_watched(&backend->conn) & EV_WRITE) | (pause ? 0 : EV_READ));
}

static void on_ready(struct conn *conn, int events)
{
	struct backend *backend = CONTAINER_OF(conn, struct backend, conn);
	uint64_t generation = backend->generation;

	if (backend->state == BACKEND_CONNECTING) {
		on_connected(backend);
		if (backend->state == BACKEND_PROVING)
			backend_check_proof(backend);
		return;
	}
	if (events & EV_READ)
		read_replies(backend);
	if ((events & EV_WRITE) && is_live(backend, generation))
		backend_flush(backend);
}
