/* A backend's way to READY: finding its node, connecting, proving who is at
 * the other end, and the handshake.
 *
 *   IDLE -> CONNECTING -> PROVING -> HANDSHAKE -> READY
 *     ^_________|____________|___________|_________|     backend_disconnect()
 *
 * Until READY nothing of a client is written. PROVING is there because a server
 * that was restarted or swapped behind its address must not answer anything
 * before the control thread has looked at it: the connection carries traffic
 * only after a probe that was sent later than it was established, on a control
 * connection opened earlier than it, has confirmed the run_id. */
#include "backend_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/encode.h"
#include "backoff.h"
#include "barrier.h"
#include "../clock.h"
#include "../worker/control_line.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "../log.h"
#include "passage.h"
#include "pool.h"
#include "../worker/worker.h"

enum {
	RETRY_LAST_MS = 1000,
	RETRY_BROKEN_MS = 40,   /* the same for a server that can be had, but breaks its connections */
	STEADY_MS = 1000,       /* that a connection has to last for the failures before it to be forgotten */
	CONNECTS_PER_TICK = 64, /* to one node; the others wait for the next tick */
	LOST_SECONDS = 10,      /* of silence of the other end's kernel */
	LOGGED_NAME_BYTES = 64,
	LOGGED_ERROR_BYTES = 200,
};

/* The parts of a handshake, in request.step. */
enum { STEP_ENTER, STEP_AUTHENTICATE, STEP_SELECT, STEP_NO_TOUCH, STEP_ID, STEP_NAME };

/* ---- connecting ---- */

/* The first loss is nobody's habit: what it costs is made good at once. */
void backend_try_later(struct backend *backend, bool was_ready)
{
	struct worker *worker = backend->worker;
	bool lasted = was_ready && worker->now_ns - backend->ready_ns > clock_ms_to_ns(STEADY_MS);

	if (lasted)
		backend->failures = 0;
	if (!was_ready || backend->failures > 0)
		backend->retry_ns = worker->now_ns + backoff_ns(backend->failures, was_ready ? RETRY_BROKEN_MS : RETRY_LAST_MS,
								(uint32_t)(worker_random(worker) >> 32));
	backend->failures += !lasted;
	stats_add(&worker->stats, STAT_backend_connect_failures, !was_ready);
}

/* The health checks find out sooner, but not about a way that has died while
 * that of the control connection has not. */
static struct conn_patience patience_with(const struct topology_config *checks)
{
	int64_t down_ms = checks->timeout_ms * (checks->fall + 1);
	int seconds = (int)(down_ms / 1000 < LOST_SECONDS ? LOST_SECONDS : down_ms / 1000);

	return (struct conn_patience){ .idle_seconds = seconds, .interval_seconds = (seconds + 2) / 3, .probes = 3,
				       .unanswered_seconds = seconds };
}

static void connect_to(struct backend *backend, const struct snapshot_node *node)
{
	struct conn_patience patience = patience_with(&backend->worker->config->topology);
	struct node_load *load = backend_load(backend);
	int fd;

	if (load != NULL)
		load->connects++;
	stats_add(&backend->worker->stats, STAT_backend_connects, 1);
	backend->connect_ns = clock_ns();
	backend->generation = ++backend->worker->generations;
	fd = conn_connect((const struct sockaddr *)&node->socket_address, node->socket_length, &patience);
	backend->state = BACKEND_CONNECTING;
	backend->connect_failed = fd < 0;
	if (fd < 0) {
		log_verbose("backend to %s: %s", node->address, strerror(errno));
		return;
	}
	conn_init(&backend->conn, backend->worker->loop, fd, backend_on_io);
	stats_add(&backend->worker->stats, backend_gauge(backend), 1);
	conn_watch(&backend->conn, EV_WRITE);
}

void backend_settle_failed_connect(struct backend *backend)
{
	if (!backend->connect_failed)
		return;
	backend->connect_failed = false;
	backend_disconnect(backend, DROP_no_connection, NULL);
}

void backend_on_connected(struct backend *backend)
{
	int error = conn_connect_result(&backend->conn);

	if (error != 0) {
		backend_disconnect(backend, DROP_no_connection, strerror(error));
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
	struct node_load *load = backend_load(backend);

	if (load != NULL)
		load->outstanding -= backend->outstanding;
	backend->has_target = node != NULL;
	if (node == NULL)
		return;
	if (backend->node_id != node->id || backend->incarnation != node->incarnation)
		barrier_lower(backend);
	backend->node_id = node->id;
	backend->incarnation = node->incarnation;
	backend->failures = 0;
	backend->retry_ns = 0;
	load = backend_load(backend);
	if (load != NULL)
		load->outstanding += backend->outstanding;
}

static bool may_connect(const struct backend *backend)
{
	const struct node_load *load = backend_load(backend);

	return backend->state == BACKEND_IDLE && (!backend->held || backend->worker->handover.arrives) &&
	       backend->worker->now_ns >= backend->retry_ns &&
	       (load == NULL || load->connects < CONNECTS_PER_TICK);
}

void backend_retarget(struct backend *backend, const struct snapshot *snapshot)
{
	const struct snapshot_node *node = wanted_target(backend, snapshot);
	bool same = node != NULL ? backend->has_target && backend->node_id == node->id &&
					   backend->incarnation == node->incarnation
				 : !backend->has_target;

	if (!same) {
		if (handover_keeps(backend))
			return;
		handover_end_session(backend);
		if (backend->closing)
			return;
		if (backend->state != BACKEND_IDLE)
			backend_disconnect(backend, node ? DROP_node_changed : DROP_node_unusable, NULL);
		if (backend->closing)
			return;
		backend_hand_back(backend, node);
		set_target(backend, node);
	}
	if (backend->state == BACKEND_IDLE && node == NULL && backend->key.node != BACKEND_TO_MASTER && !backend_has_nothing_to_do(backend)) {
		backend_disconnect(backend, DROP_node_unusable, NULL);
		return;
	}
	if (node != NULL && !backend_has_nothing_to_do(backend) && may_connect(backend))
		connect_to(backend, node);
}

void backend_open(struct backend *backend)
{
	const struct snapshot_node *node;

	backend_retarget(backend, backend->worker->snapshot);
	node = present_target(backend);
	if (node != NULL && may_connect(backend))
		connect_to(backend, node);
}

/* ---- handshake ---- */

static void push_handshake(struct backend *backend, int step, const struct buf *bytes)
{
	struct worker *worker = backend->worker;
	struct request *request = request_create(&worker->requests, REQUEST_HANDSHAKE, REQUEST_WHOLE | REQUEST_SECRET,
						 worker->now_ms);

	request->step = (uint8_t)step;
	backend_link_request(backend, request, buf_slice(bytes));
	backend->handshake_left++;
}

static void encode_authentication(const struct backend *backend, struct buf *out)
{
	const struct identity *identity = backend->key.identity;
	struct slice words[5];
	size_t count = 0;

	if (backend->key.resp == 3) {
		words[count++] = slice_of("hELLO"); /* spelled as encode_own_words() does */
		words[count++] = slice_of("3");
	}
	if (identity->has_credentials) {
		words[count++] = slice_of("aUTH");
		if (identity->has_user || backend->key.resp == 3)
			words[count++] = identity->user;
		words[count++] = identity->password;
	}
	if (count > 0)
		encode_request(out, count, words);
}

static void push_select(struct backend *backend, int step)
{
	struct buf bytes = { 0 };
	char db[16];

	snprintf(db, sizeof(db), "%u", backend->key.db);
	encode_own_words(&bytes, "SELECT", db, NULL);
	push_handshake(backend, step, &bytes);
	buf_free(&bytes);
}

/* A user who may not SELECT can be in a database all the same: as whoever a
 * connection is at first, he went there before he said AUTH. So does weir,
 * where that is allowed; else it has to be the user himself. */
static void push_handshakes(struct backend *backend)
{
	struct buf bytes = { 0 };

	if (backend->key.kind != BACKEND_CHECKER)
		encode_authentication(backend, &bytes);
	if (buf_length(&bytes) > 0 && backend->key.db != 0)
		push_select(backend, STEP_ENTER);
	if (buf_length(&bytes) > 0)
		push_handshake(backend, STEP_AUTHENTICATE, &bytes);
	if (backend->key.db != 0)
		push_select(backend, STEP_SELECT);
	if (backend->key.no_touch) {
		buf_consume(&bytes, buf_length(&bytes));
		encode_own_words(&bytes, "CLIENT", "NO-TOUCH", "ON", NULL);
		push_handshake(backend, STEP_NO_TOUCH, &bytes);
	}
	buf_consume(&bytes, buf_length(&bytes));
	encode_own_words(&bytes, "CLIENT", "ID", NULL);
	push_handshake(backend, STEP_ID, &bytes);
	buf_consume(&bytes, buf_length(&bytes));
	encode_own_words(&bytes, "CLIENT", "SETNAME", "weir-data", NULL);
	push_handshake(backend, STEP_NAME, &bytes);
	buf_wipe(&bytes);
}

static void start_handshake(struct backend *backend)
{
	struct backlog backlog = backlog_take(backend);

	backend->state = BACKEND_HANDSHAKE;
	backend->handshake_left = 0;
	backend->has_entered = false;
	backend->server_id = 0;
	push_handshakes(backend);
	barrier_begin_handshake(backend);
	backend->send_limit = backend->base + buf_length(&backend->stream);
	passage_enqueue(backend);
	backlog_requeue(backend, &backlog);
	backend_mark_dirty(backend);
}

void backend_check_proof(struct backend *backend)
{
	const struct snapshot_node *node = present_target(backend);

	if (backend->state == BACKEND_PROVING && node != NULL &&
	    node_vitals_prove(node->vitals, backend->connect_ns, backend->established_ns))
		start_handshake(backend);
}

/* A user of the master's whom it does not let in is told so again and again. */
static void log_refusal(const struct backend *backend, struct slice error)
{
	const struct identity *identity = backend->key.identity;
	bool is_known = backend->key.node == BACKEND_TO_MASTER && identity->state == IDENTITY_REFUSED;
	int logged = identity->user.length < LOGGED_NAME_BYTES ? (int)identity->user.length : LOGGED_NAME_BYTES;
	void (*log)(const char *format, ...) = is_known ? log_debug : log_notice;

	log("node %u refuses user \"%.*s\", database %u: %.*s", backend->node_id, logged, identity->user.bytes,
	    backend->key.db, error.length < LOGGED_ERROR_BYTES ? (int)error.length - 2 : LOGGED_ERROR_BYTES, error.bytes);
}

/* The server does not let this backend be what it is for: it refuses the user,
 * or the database. Nothing may run on the connection then, it would run as
 * somebody else or somewhere else. The master's refusal is the clients' answer;
 * a replica's reads go elsewhere, and it is asked again after a while. */
static void on_refused(struct backend *backend, const struct request *handshake, struct slice error)
{
	bool to_master = backend->key.node == BACKEND_TO_MASTER;
	bool wants_credentials = handshake->step == STEP_AUTHENTICATE || slice_begins_with(error, "-NOAUTH");

	log_refusal(backend, error);
	if (slice_begins_with(error, "-NOAUTH")) /* HELLO has more to say, but it is not what the clients have said */
		error = slice_of("-NOAUTH Authentication required.\r\n");
	if (to_master && wants_credentials && backend->key.identity->state != IDENTITY_ACCEPTED)
		identity_refuse(backend->key.identity, error);
	if (to_master)
		buf_append(&backend->refusal, error.bytes, error.length);
	else if (backend->node_id < 64)
		backend->key.identity->refused_nodes |= 1ULL << backend->node_id;
	if (backend->owner != NULL && slice_begins_with(error, "-BUSY "))
		dispatch_doom(backend->owner);
	backend_disconnect(backend, DROP_user_refused, NULL);
	buf_free(&backend->refusal);
	if (backend->owner != NULL)
		delivery_private_expired(backend);
	else if (!backend->closing && backend->head == NULL)
		backend_destroy(backend, DROP_user_refused);
}

/* :<id>CR LF; a user who may not ask has none. */
static uint64_t id_in(struct slice reply)
{
	return reply.length > 1 && reply.bytes[0] == ':' ? strtoull(reply.bytes + 1, NULL, 10) : 0;
}

static void on_ready_for_traffic(struct backend *backend)
{
	backend->state = BACKEND_READY;
	passage_arrives(backend);
	barrier_ready(backend);
	backend->ready_ns = backend->worker->now_ns;
	backend_mark_dirty(backend);
	if (backend->key.kind == BACKEND_SHARED && backend->key.node == BACKEND_TO_MASTER)
		pool_keep_warm(backend->worker, &backend->key);
}

/* The master has let the backend's user in, or not. The checker's connection
 * is made anew all the time, so it is the one that sees a password being set
 * on a running server. */
static void note_acceptance(struct backend *backend, bool accepted)
{
	struct identities *identities = &backend->worker->identities;
	struct identity *identity = backend->key.identity;

	if (backend->key.kind != BACKEND_CHECKER) {
		if (accepted)
			identity->state = IDENTITY_ACCEPTED;
	} else if (identity == identities->nobody && identity->state == IDENTITY_ACCEPTED && !accepted) {
		log_notice("the master wants passwords now: new sessions have to authenticate");
		identities_renew_nobody(identities);
		worker_alert_others(backend->worker);
	} else if (identity->state == IDENTITY_REFUSED && accepted) {
		identity->state = IDENTITY_ACCEPTED;
	}
}

/* That the master does not let it in was not known, so anything can be waiting:
 * that has its answer, and what comes from now on is no more than the master may
 * be asked unauthenticated. */
static bool is_news(const struct backend *backend)
{
	return backend->key.kind != BACKEND_CHECKER && backend->key.identity->state != IDENTITY_REFUSED;
}

/* A step that must not fail. */
static bool is_essential(const struct backend *backend, const struct request *request, bool wants_authentication)
{
	switch (request->step) {
	case STEP_ENTER:
		return false;
	case STEP_AUTHENTICATE:
		return true;
	case STEP_SELECT:
		return !backend->has_entered;
	default:
		return wants_authentication && (backend->key.node != BACKEND_TO_MASTER || is_news(backend));
	}
}

/* Of what type the answer to each step is, unless it is an error; 0: of several.
 * Another one was meant for something else: the stream is out of step. */
static const char answer_types[] = {
	[STEP_ENTER] = '+', [STEP_AUTHENTICATE] = 0, [STEP_SELECT] = '+', [STEP_NO_TOUCH] = '+', [STEP_ID] = ':', [STEP_NAME] = '+',
};

void backend_on_handshake_reply(struct backend *backend, const struct request *request, struct slice reply)
{
	bool failed = reply.length > 0 && reply.bytes[0] == '-';
	bool wants_authentication = slice_begins_with(reply, "-NOAUTH");

	if (!failed && answer_types[request->step] != 0 && !(reply.length > 0 && reply.bytes[0] == answer_types[request->step])) {
		backend_desync(backend, "a handshake that is answered with something else");
		return;
	}
	if (failed && is_essential(backend, request, wants_authentication)) {
		on_refused(backend, request, reply);
		return;
	}
	backend->has_entered = backend->has_entered || (request->step == STEP_ENTER && !failed);
	if (request->step == STEP_ID)
		backend->server_id = id_in(reply);
	if (request->step == STEP_NAME && backend->key.node == BACKEND_TO_MASTER)
		note_acceptance(backend, !wants_authentication);
	if (--backend->handshake_left == 0)
		on_ready_for_traffic(backend);
}
