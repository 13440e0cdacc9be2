/* Commands on their way to servers.
 *
 * Order is the point of this module. Replies come back in request order
 * whatever node served them (delivery.c); here it is made sure that effects
 * never contradict program order either:
 *
 *   - a read behind an unanswered command of the same session on the master
 *     takes the same way, so it sees what that command did;
 *   - a write waits until the session's reads on replicas are answered;
 *   - commands of one session that take different backends of the master
 *     (database, script, private) wait for each other;
 *   - a pipelined chunk that contains a write goes to the master as a whole,
 *     rather than stop and go.
 *
 * "Wait" is a stall: the command is not taken, its bytes stay in the client's
 * input, and it is looked at again when what it waits for has happened. */
#include "dispatch.h"

#include <stdio.h>

#include "../protocol/encode.h"
#include "control_line.h"
#include "delivery.h"
#include "local.h"
#include "pool.h"
#include "route.h"

enum {
	WINDOW_REQUESTS = 4096,          /* of one client in flight */
	OUTPUT_HIGH_WATER = 1024 * 1024, /* unread reply bytes beyond which nothing more is taken */
	RETRIES_MAX = 2,
	COST_FAST = 1,                   /* outstanding work that a command counts as */
	COST_SLOW = 4,
};

enum verdict { TAKEN, STALLED };

/* What the commands of one chunk share. */
struct chunk {
	bool has_write;
	bool routed;        /* `route` is valid */
	struct route route;
};

static enum verdict stall(struct client *client, enum client_stall why)
{
	client->stall = why;
	return STALLED;
}

/* ---- putting a request into both queues ---- */

struct request *dispatch_request(struct client *client, enum request_kind kind, unsigned flags)
{
	struct worker *worker = client->worker;
	struct request *request = request_create(&worker->requests, kind, flags, worker->now_ms);

	request->client = client;
	request->cost = COST_FAST;
	if (client->head == NULL)
		client->head = request;
	else
		client->tail->next_of_client = request;
	client->tail = request;
	client->in_flight++;
	return request;
}

void dispatch_answer(struct client *client, struct slice reply)
{
	if (client->head == NULL)
		client_reply(client, reply.bytes, reply.length);
	else
		delivery_answer(client->worker, dispatch_request(client, REQUEST_LOCAL, 0), reply);
}

void dispatch_error(struct client *client, const char *text)
{
	struct buf reply = { 0 };

	encode_error(&reply, text);
	dispatch_answer(client, buf_slice(&reply));
	buf_free(&reply);
}

void dispatch_on_lane(struct client *client, struct request *request, const struct backend *lane)
{
	request->flags |= REQUEST_ON_LANE;
	client->lane = lane;
	client->lane_in_flight++;
}

static void send_to(struct client *client, struct backend *backend, const struct parsed_command *parsed, unsigned flags)
{
	bool fast = parsed->command->flags & COMMAND_FLAG_FAST;
	struct request *request = dispatch_request(client, REQUEST_CLIENT, flags | (fast ? REQUEST_FAST : 0));

	if (flags & REQUEST_ON_REPLICA)
		client->replica_in_flight++;
	else
		dispatch_on_lane(client, request, backend);
	request->cost = fast ? COST_FAST : COST_SLOW;
	backend_enqueue(backend, request, (struct slice){ parsed->bytes, parsed->length });
}

/* ---- lanes ---- */

/* A backend that has more to do than it should gets nothing on top. */
static enum verdict wait_for_room(struct client *client)
{
	list_mark(&client->worker->lane_waiters, &client->resume);
	return stall(client, STALL_LANE);
}

/* May a command take this way now without overtaking one before it? */
static enum verdict enter_lane(struct client *client, const struct backend *lane, bool is_read)
{
	if (client->replica_in_flight > 0 && !is_read)
		return stall(client, STALL_REPLICAS);
	if (client->lane_in_flight > 0 && client->lane != lane)
		return stall(client, STALL_ALL);
	return backend_is_full(lane) && lane->state == BACKEND_READY ? wait_for_room(client) : TAKEN;
}

static struct route_demand demand_of(const struct client *client)
{
	const struct worker *worker = client->worker;
	const struct config *config = worker->config;

	return (struct route_demand){
		.session = &client->session,
		.floor_ns = session_floor(&client->session, config->session_scope, worker_acknowledged_ns(worker)),
		.max_lag_ns = config->topology.max_lag_ms * 1000000,
		.now_ns = worker->now_ns,
		.refused_nodes = client->session.identity->refused_nodes,
		.fallback_error = config->fallback == FALLBACK_ERROR,
		.serve_without_master = config->no_master_reads == NO_MASTER_READS_SERVE,
	};
}

static bool is_master(const struct snapshot *snapshot, const struct snapshot_node *node)
{
	return snapshot->master >= 0 && node == &snapshot->nodes[snapshot->master];
}

/* The replica endpoint gives each session one replica for what is no plain
 * read. BACKEND_TO_MASTER: none can, and the fallback is the master. */
static int32_t home_node(struct client *client)
{
	struct session *session = &client->session;
	const struct worker *worker = client->worker;
	struct route_demand demand = demand_of(client);
	const struct snapshot_node *node;
	struct session eventual = *session;
	struct route route;

	node = session->home >= 0 ? worker_node(worker, (uint32_t)session->home) : NULL;
	if (node != NULL && node->readable && !is_master(worker->snapshot, node))
		return session->home;
	eventual.consistency = CONSISTENCY_EVENTUAL;
	demand.session = &eventual;
	route = route_read(worker->snapshot, worker->loads, &demand);
	session->home = route.target == ROUTE_NODE ? (int32_t)worker->snapshot->nodes[route.node].id : BACKEND_TO_MASTER;
	return session->home;
}

static struct backend_key lane_key(struct client *client, enum backend_kind kind)
{
	const struct session *session = &client->session;

	return (struct backend_key){
		.identity = session->identity,
		.node = session->endpoint == ENDPOINT_REPLICA ? home_node(client) : BACKEND_TO_MASTER,
		.db = kind == BACKEND_CHECKER ? 0 : session->db,
		.kind = (uint8_t)kind,
		.resp = kind == BACKEND_CHECKER ? 2 : session->resp,
	};
}

struct backend *dispatch_lane(struct client *client, enum backend_kind kind)
{
	struct backend_key key = lane_key(client, kind);

	if (kind == BACKEND_CHECKER)
		key.identity = client->worker->identities.nobody;
	return pool_shared(client->worker, &key);
}

/* Requests for a connection that is not there are held, but not without bound. */
static bool holds_too_much(const struct backend *lane, const struct parsed_command *parsed)
{
	const struct worker *worker = lane->worker;
	size_t limit = (size_t)worker->config->write_hold_bytes / worker->shared->worker_count;

	return lane->state != BACKEND_READY && pool_held_bytes(worker) + parsed->length > limit;
}

static enum verdict send_on(struct client *client, struct backend *lane, const struct parsed_command *parsed,
			    unsigned flags)
{
	if (enter_lane(client, lane, flags & REQUEST_READ) == STALLED)
		return STALLED;
	if (holds_too_much(lane, parsed)) {
		stats_add(&client->worker->stats, STAT_no_master, 1);
		dispatch_error(client, "NOMASTER too much waits for the master already (write_hold_bytes); "
				       "the command was not sent");
		return TAKEN;
	}
	send_to(client, lane, parsed, flags);
	return TAKEN;
}

static void count(struct client *client, enum stat_id id)
{
	stats_add(&client->worker->stats, id, 1);
}

/* ---- reads ---- */

static enum stat_id left_stat(enum route_reason reason)
{
	switch (reason) {
	case ROUTE_REASON_LAG:
		return STAT_left_lag;
	case ROUTE_REASON_FLOOR:
		return STAT_left_floor;
	default:
		return STAT_left_no_replica;
	}
}

static enum verdict read_on_master(struct client *client, const struct parsed_command *parsed, enum stat_id why)
{
	const struct worker *worker = client->worker;
	struct backend *lane;
	enum verdict verdict;

	if (worker->snapshot->master < 0 && worker->config->no_master_reads == NO_MASTER_READS_REFUSE) {
		count(client, STAT_no_master);
		dispatch_error(client, "NOMASTER there is no master, and no_master_reads = refuse");
		return TAKEN;
	}
	lane = pool_shared(client->worker, &(struct backend_key){ .identity = client->session.identity,
								  .node = BACKEND_TO_MASTER,
								  .db = client->session.db,
								  .kind = BACKEND_SHARED,
								  .resp = client->session.resp });
	verdict = send_on(client, lane, parsed, REQUEST_READ);
	if (verdict == TAKEN) {
		count(client, STAT_reads_on_master);
		count(client, why);
	}
	return verdict;
}

static enum verdict read_on_replica(struct client *client, const struct parsed_command *parsed, uint32_t index)
{
	const struct snapshot_node *node = &client->worker->snapshot->nodes[index];
	struct session *session = &client->session;
	struct backend_key key = { .identity = session->identity, .node = (int32_t)node->id, .db = session->db,
				   .kind = BACKEND_SHARED, .resp = session->resp };
	struct backend *lane;

	if (client->replica_in_flight > 0 && session->consistency != CONSISTENCY_EVENTUAL &&
	    (session->read_node != (int32_t)node->id || session->read_incarnation != node->incarnation))
		return stall(client, STALL_REPLICAS); /* two nodes at once could show time running backwards */
	lane = pool_shared(client->worker, &key);
	if (backend_is_full(lane))
		return wait_for_room(client);
	session->read_node = (int32_t)node->id;
	session->read_incarnation = node->incarnation;
	send_to(client, lane, parsed, REQUEST_READ | REQUEST_ON_REPLICA);
	count(client, STAT_reads_on_replicas);
	return TAKEN;
}

static enum verdict take_read(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (session->endpoint == ENDPOINT_SPLIT && session->identity->state != IDENTITY_ACCEPTED)
		return read_on_master(client, parsed, STAT_left_user);
	if (chunk->has_write || client->lane_in_flight > 0)
		return read_on_master(client, parsed, STAT_left_write_in_pipeline);
	if (session->consistency == CONSISTENCY_STRONG)
		return read_on_master(client, parsed, STAT_left_floor);
	if (!chunk->routed) {
		struct route_demand demand = demand_of(client);

		chunk->route = route_read(client->worker->snapshot, client->worker->loads, &demand);
		chunk->routed = true;
	}
	if (chunk->route.target == ROUTE_NODE)
		return read_on_replica(client, parsed, chunk->route.node);
	if (chunk->route.reason == ROUTE_REASON_FLOOR)
		control_line_refresh(client->worker->shared->control);
	if (chunk->route.target == ROUTE_NO_REPLICA) {
		dispatch_error(client, "NOREPLICA no replica may serve this read now, and fallback = error");
		return TAKEN;
	}
	return read_on_master(client, parsed, left_stat(chunk->route.reason));
}

/* ---- reads that have to be sent again ---- */

/* A query that stalls one node must not travel to the master. */
static bool must_not_reach_master(const struct request *request)
{
	return (request->flags & REQUEST_TIMED_OUT) && !(request->flags & REQUEST_FAST);
}

/* Several lost reads of one session must not come back from several replicas,
 * time could run backwards between them: they go to the master together. */
static bool is_one_of_several(const struct client *client)
{
	return client->session.consistency != CONSISTENCY_EVENTUAL &&
	       (client->lane_in_flight > 0 || client->replica_in_flight > 1);
}

static struct route route_again(struct worker *worker, const struct request *request)
{
	struct route_demand demand = demand_of(request->client);
	bool has_master = worker->snapshot->master >= 0;

	if (!(request->flags & REQUEST_ON_REPLICA))
		return (struct route){ .target = ROUTE_MASTER };
	demand.avoid = request->avoid;
	if (is_one_of_several(request->client) && has_master && !demand.fallback_error && !must_not_reach_master(request))
		return (struct route){ .target = ROUTE_MASTER };
	return route_read(worker->snapshot, worker->loads, &demand);
}

/* Why a read cannot be sent again there; NULL when it can. */
static const char *refuse_again(struct worker *worker, const struct request *request, const struct route *route)
{
	bool timed_out = request->flags & REQUEST_TIMED_OUT;

	if (request->retries > RETRIES_MAX || (must_not_reach_master(request) && request->retries > 1))
		return timed_out ? "TIMEOUT no node has answered within backend_timeout"
				 : "NOREPLICA every node tried was lost before it answered";
	if (route->target == ROUTE_NODE)
		return NULL;
	if (must_not_reach_master(request))
		return "TIMEOUT the replica has not answered within backend_timeout";
	if (route->target == ROUTE_NO_REPLICA)
		return "NOREPLICA the replica was lost, no other may serve this read, and fallback = error";
	if (worker->snapshot->master < 0 && worker->config->no_master_reads == NO_MASTER_READS_REFUSE)
		return "NOMASTER there is no master, and no_master_reads = refuse";
	return NULL;
}

static struct backend *lane_again(struct worker *worker, struct request *request, const struct route *route)
{
	struct client *client = request->client;
	struct backend_key key = { .identity = client->session.identity, .node = BACKEND_TO_MASTER,
				   .db = client->session.db, .kind = BACKEND_SHARED, .resp = client->session.resp };
	const struct snapshot_node *node = &worker->snapshot->nodes[route->node];
	struct backend *lane;

	if (route->target == ROUTE_NODE) {
		key.node = (int32_t)node->id;
		client->session.read_node = key.node;
		client->session.read_incarnation = node->incarnation;
		return pool_shared(worker, &key);
	}
	lane = pool_shared(worker, &key);
	if (request->flags & REQUEST_ON_REPLICA) {
		request->flags &= (uint16_t)~REQUEST_ON_REPLICA;
		client->replica_in_flight--;
		dispatch_on_lane(client, request, lane);
		stats_add(&worker->stats, STAT_left_retry, 1);
	}
	return lane;
}

void dispatch_again(struct worker *worker, struct request *request, struct slice bytes)
{
	struct client *client = request->client;
	struct route route = route_again(worker, request);
	const char *refusal;

	request->retries++;
	refusal = refuse_again(worker, request, &route);
	if (refusal != NULL) {
		stats_add(&worker->stats, STAT_timeouts, (request->flags & REQUEST_TIMED_OUT) != 0);
		delivery_error(worker, request, refusal);
		return;
	}
	stats_add(&worker->stats, STAT_retried_reads, 1);
	request->flags &= (uint16_t)~(REQUEST_TIMED_OUT | REQUEST_WHOLE);
	request->enqueued_ms = worker->now_ms;
	backend_enqueue(lane_again(worker, request, &route), request, bytes);
	client_check_stall(client);
}

/* ---- the master's shared backends ---- */

/* On the replica endpoint no write reaches any server, whatever that server
 * has become. */
static bool is_forbidden_write(const struct client *client, const struct parsed_command *parsed)
{
	return client->session.endpoint == ENDPOINT_REPLICA && (parsed->command->flags & COMMAND_FLAG_WRITE);
}

static const char readonly_text[] = "READONLY You can't write against a read only replica.";

/* On the replica endpoint: may this command go where the session's home is? */
static bool refused_on_replica_endpoint(struct client *client, const struct parsed_command *parsed)
{
	if (client->session.endpoint != ENDPOINT_REPLICA)
		return false;
	if (is_forbidden_write(client, parsed)) {
		count(client, STAT_rejected_writes);
		dispatch_error(client, readonly_text);
		return true;
	}
	if (home_node(client) != BACKEND_TO_MASTER || parsed->class == COMMAND_MASTER_READ)
		return false;
	dispatch_error(client, "NOREPLICA no replica is usable, and this command may not go to the master instead");
	return true;
}

static enum verdict take_master_read(struct client *client, const struct parsed_command *parsed)
{
	enum verdict verdict = send_on(client, dispatch_lane(client, BACKEND_SHARED), parsed, 0);

	if (verdict == TAKEN)
		count(client, STAT_master_reads);
	return verdict;
}

static enum verdict take_write(struct client *client, const struct parsed_command *parsed)
{
	enum verdict verdict = send_on(client, dispatch_lane(client, BACKEND_SHARED), parsed, REQUEST_WRITE);

	if (verdict == TAKEN)
		count(client, STAT_writes);
	return verdict;
}

static enum verdict take_script(struct client *client, const struct parsed_command *parsed)
{
	enum verdict verdict = send_on(client, dispatch_lane(client, BACKEND_SCRIPT), parsed, REQUEST_WRITE);

	if (verdict == TAKEN)
		count(client, STAT_scripts);
	return verdict;
}

/* ---- private backends ---- */

static bool pin(struct client *client, enum session_pin why, bool fresh)
{
	struct backend_key key = lane_key(client, BACKEND_PRIVATE);
	struct backend *backend = pool_take_private(client->worker, &key, fresh);

	if (backend == NULL) {
		/* What follows in the pipeline may rest on this command. */
		dispatch_error(client, "ERR no connection to the server is free (max_private_backends)");
		client_finish(client, CLOSE_private_limit);
		return false;
	}
	backend->owner = client;
	backend->taken_ns = client->worker->now_ns;
	client->session.pinned = backend;
	client->session.pin = (uint8_t)why;
	return true;
}

void dispatch_unpin(struct client *client)
{
	struct backend *backend = client->session.pinned;

	client->session.pinned = NULL;
	client->session.pin = PIN_NONE;
	pool_return_private(backend);
	client_check_stall(client);
}

/* One request that needs a connection of its own; class PRIVATE even a new
 * one: up to Redis 7.0 WAIT counts from the last command of its connection,
 * which is then the handshake, later than every write it shall cover. */
static enum verdict take_single(struct client *client, const struct parsed_command *parsed)
{
	if (client->in_flight > 0)
		return stall(client, STALL_ALL);
	if (!pin(client, PIN_SINGLE, parsed->class == COMMAND_PRIVATE))
		return TAKEN;
	count(client, STAT_private);
	send_to(client, client->session.pinned, parsed, REQUEST_WRITE);
	return TAKEN;
}

/* Leaves nothing on a connection that the next session could notice. */
static bool leaves_no_state(const struct parsed_command *parsed)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
	case COMMAND_SCRIPT:
	case COMMAND_TRANSACTION:
	case COMMAND_BLOCKING:
		return true;
	default:
		return parsed->command->flags & (COMMAND_FLAG_WRITE | COMMAND_FLAG_READONLY);
	}
}

static enum verdict send_pinned(struct client *client, const struct parsed_command *parsed)
{
	unsigned flags = REQUEST_WRITE;

	if (backend_is_full(client->session.pinned))
		return wait_for_room(client);
	if (parsed->class == COMMAND_TRANSACTION)
		flags |= REQUEST_STATEFUL;
	if (!leaves_no_state(parsed))
		client->session.pinned->tainted = true;
	count(client, STAT_private);
	send_to(client, client->session.pinned, parsed, flags);
	return TAKEN;
}

static void follow_transaction(struct session *session, enum command_special special)
{
	switch (special) {
	case SPECIAL_MULTI:
		if (!session->in_multi)
			session->queued_db = SESSION_NO_DB;
		session->in_multi = true;
		break;
	case SPECIAL_WATCH:
		session->watching = session->watching || !session->in_multi;
		break;
	case SPECIAL_UNWATCH:
		if (!session->in_multi)
			session->watching = false;
		break;
	case SPECIAL_DISCARD:
		session->queued_db = SESSION_NO_DB;
		/* fallthrough */
	default: /* EXEC */
		if (session->in_multi)
			session->watching = false;
		session->in_multi = false;
	}
}

static enum verdict take_transaction(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;
	bool begins = parsed->command->special == SPECIAL_MULTI || parsed->command->special == SPECIAL_WATCH;

	if (session->pin == PIN_NONE && !begins)
		return take_write(client, parsed); /* the server says what is wrong with it */
	if (session->pin == PIN_NONE) {
		if (client->in_flight > 0)
			return stall(client, STALL_ALL);
		if (!pin(client, PIN_TRANSACTION, false))
			return TAKEN;
	}
	if (send_pinned(client, parsed) == STALLED)
		return STALLED;
	if (parsed->command->special == SPECIAL_EXEC && session->queued_db != SESSION_NO_DB)
		client->tail->flags |= REQUEST_WHOLE; /* whether it ran decides which database comes next */
	follow_transaction(session, (enum command_special)parsed->command->special);
	return TAKEN;
}

/* A request that no server knows, in place of one that is refused: it keeps
 * its place in the server's order, and spoils a transaction as it should. */
static void encode_refused(struct buf *out, const struct command *command)
{
	char name[160];

	snprintf(name, sizeof(name), "%s (refused by weir: %s)", command->name,
		 command->refusal != NULL ? command->refusal : "no writes on the replica endpoint");
	encode_request_words(out, name, NULL);
}

static void refusal_text(char *text, size_t room, const struct command *command)
{
	size_t i;

	snprintf(text, room, "ERR %s is refused by weir: %s", command->name, command->refusal);
	for (i = 4; text[i] != '\0' && text[i] != ' '; i++) {
		if (text[i] == '|')
			text[i] = ' ';
		else if (text[i] >= 'a' && text[i] <= 'z')
			text[i] = (char)(text[i] - 'a' + 'A');
	}
}

/* Inside MULTI: weir's answer, and a request in its place that spoils the
 * transaction on the server. */
static void refuse_queued(struct client *client, const struct command *command, const char *text)
{
	struct request *request = dispatch_request(client, REQUEST_CLIENT, REQUEST_MUTED | REQUEST_WHOLE);
	struct backend *pinned = client->session.pinned;
	struct buf error = { 0 }, bytes = { 0 };

	encode_error(&error, text);
	request_hold(request, buf_head(&error), buf_length(&error));
	encode_refused(&bytes, command);
	dispatch_on_lane(client, request, pinned);
	backend_enqueue(pinned, request, buf_slice(&bytes));
	buf_free(&error);
	buf_free(&bytes);
}

/* A browser was made to send an HTTP request to this port. */
static bool is_cross_protocol(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_POST || parsed->command->special == SPECIAL_HOST;
}

static enum verdict take_refused(struct client *client, const struct parsed_command *parsed)
{
	char text[256];

	if (is_cross_protocol(parsed)) {
		client_close(client, CLOSE_cross_protocol);
		return TAKEN;
	}
	refusal_text(text, sizeof(text), parsed->command);
	count(client, STAT_refused);
	if (client->session.in_multi)
		refuse_queued(client, parsed->command, text);
	else
		dispatch_error(client, text);
	return TAKEN;
}

/* ---- streams ---- */

static enum verdict stream_on(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;

	if (backend_is_full(session->pinned))
		return wait_for_room(client);
	if (parsed->class == COMMAND_REFUSED || is_forbidden_write(client, parsed)) {
		struct buf bytes = { 0 };

		count(client, parsed->class == COMMAND_REFUSED ? STAT_refused : STAT_rejected_writes);
		encode_refused(&bytes, parsed->command);
		backend_forward(session->pinned, buf_slice(&bytes));
		buf_free(&bytes);
		return TAKEN;
	}
	count(client, STAT_private);
	session->stream_writes = session->stream_writes || parsed->class == COMMAND_WRITE || parsed->class == COMMAND_SCRIPT ||
				 parsed->class == COMMAND_TRANSACTION || parsed->class == COMMAND_BLOCKING;
	backend_forward(session->pinned, (struct slice){ parsed->bytes, parsed->length });
	if (parsed->command->special == SPECIAL_SYNC || parsed->command->special == SPECIAL_PSYNC) {
		session->pinned->unframed = true;
	} else if (parsed->command->special == SPECIAL_RESET && parsed->argc == 1) {
		session->resetting = true;
		client->stall = STALL_EVENT;
	} else if (parsed->command->special == SPECIAL_QUIT) {
		client_finish(client, CLOSE_quit);
	}
	return TAKEN;
}

static enum verdict take_stream(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;

	if (client->in_flight > 0)
		return stall(client, STALL_ALL);
	if (session->pin == PIN_NONE && !pin(client, PIN_STREAM, false))
		return TAKEN;
	session->pin = PIN_STREAM;
	session->pinned->streaming = true;
	session->pinned->tainted = true;
	return stream_on(client, parsed);
}

/* ---- one command ---- */

static enum verdict take_local(struct client *client, const struct parsed_command *parsed)
{
	switch (local_handle(client, parsed)) {
	case LOCAL_DONE:
		count(client, STAT_local);
		return TAKEN;
	case LOCAL_STALLED:
		return STALLED;
	case LOCAL_FORWARD:
	default:
		if (client->session.pin == PIN_NONE)
			return take_master_read(client, parsed);
		return send_pinned(client, parsed);
	}
}

/* Inside MULTI the server queues everything, weir's own commands too. */
static enum verdict take_queued(struct client *client, const struct parsed_command *parsed)
{
	if (is_forbidden_write(client, parsed)) {
		count(client, STAT_rejected_writes);
		refuse_queued(client, parsed->command, readonly_text);
		return TAKEN;
	}
	switch ((enum command_class)parsed->class) {
	case COMMAND_TRANSACTION:
		return take_transaction(client, parsed);
	case COMMAND_REFUSED:
		return take_refused(client, parsed);
	case COMMAND_STREAM:
		return take_stream(client, parsed);
	case COMMAND_LOCAL:
		if (parsed->command->special == SPECIAL_QUIT || parsed->command->special == SPECIAL_RESET)
			return take_local(client, parsed);
		if (parsed->command->special == SPECIAL_SELECT)
			local_note_queued_select(client, parsed);
		break;
	default:
		break;
	}
	return send_pinned(client, parsed);
}

/* Commands that get a connection of their own, or an answer of weir's: only for
 * a session that a server has let in. */
static enum verdict take_gated(struct client *client, const struct parsed_command *parsed)
{
	enum local_gate gate = is_cross_protocol(parsed) ? GATE_OPEN : local_pass_gate(client);

	if (gate != GATE_OPEN)
		return gate == GATE_STALLED ? STALLED : TAKEN;
	if (parsed->class == COMMAND_REFUSED)
		return take_refused(client, parsed);
	if (refused_on_replica_endpoint(client, parsed))
		return TAKEN;
	if (parsed->class == COMMAND_TRANSACTION)
		return take_transaction(client, parsed);
	return parsed->class == COMMAND_STREAM ? take_stream(client, parsed) : take_single(client, parsed);
}

static enum verdict take_unpinned(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
		return take_read(client, parsed, chunk);
	case COMMAND_LOCAL:
		return take_local(client, parsed);
	case COMMAND_BLOCKING:
	case COMMAND_PRIVATE:
	case COMMAND_TRANSACTION:
	case COMMAND_STREAM:
	case COMMAND_REFUSED:
		return take_gated(client, parsed);
	default:
		break;
	}
	if (refused_on_replica_endpoint(client, parsed))
		return TAKEN;
	if (parsed->class == COMMAND_MASTER_READ)
		return take_master_read(client, parsed);
	return parsed->class == COMMAND_SCRIPT ? take_script(client, parsed) : take_write(client, parsed);
}

/* With keys watched, but no MULTI yet: everything that talks to the server
 * stays on the connection that watches. */
static enum verdict take_watching(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_TRANSACTION:
	case COMMAND_STREAM:
	case COMMAND_LOCAL:
	case COMMAND_REFUSED:
		return take_unpinned(client, parsed, chunk);
	default:
		if (refused_on_replica_endpoint(client, parsed))
			return TAKEN;
		return send_pinned(client, parsed);
	}
}

static enum verdict take(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (client->in_flight >= WINDOW_REQUESTS)
		return stall(client, STALL_WINDOW);
	if (buf_length(&client->out) > OUTPUT_HIGH_WATER)
		return stall(client, STALL_OUTPUT);
	client->last_command = parsed->command->index;
	switch ((enum session_pin)session->pin) {
	case PIN_STREAM:
		return stream_on(client, parsed);
	case PIN_SINGLE: /* its one request is always in flight */
		return stall(client, STALL_ALL);
	case PIN_TRANSACTION:
		return session->in_multi ? take_queued(client, parsed) : take_watching(client, parsed, chunk);
	default:
		return take_unpinned(client, parsed, chunk);
	}
}

static bool may_change_data(const struct parsed_command *parsed)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
	case COMMAND_MASTER_READ:
	case COMMAND_LOCAL:
	case COMMAND_REFUSED:
		return false;
	default:
		return true;
	}
}

size_t dispatch(struct client *client, const struct parsed_command *parsed, size_t commands)
{
	struct chunk chunk = { .has_write = false };
	size_t taken = 0;

	for (size_t i = 0; i < commands && commands > 1; i++)
		chunk.has_write = chunk.has_write || may_change_data(&parsed[i]);
	while (taken < commands && client->stall == STALL_NONE && !client->closing && !client->close_after_flush) {
		if (take(client, &parsed[taken], &chunk) == STALLED)
			break;
		taken++;
	}
	return taken;
}
