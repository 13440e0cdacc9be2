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
#include <string.h>

#include "../protocol/alloc.h"
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
	struct request *request = slab_get(&client->worker->requests);

	memset(request, 0, sizeof(*request));
	request->client = client;
	request->kind = (uint8_t)kind;
	request->flags = (uint16_t)flags;
	request->enqueued_ms = client->worker->now_ms;
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

static void send_to(struct client *client, struct backend *backend, const struct parsed_command *parsed, unsigned flags)
{
	bool fast = parsed->command->flags & COMMAND_FLAG_FAST;
	struct request *request = dispatch_request(client, REQUEST_CLIENT, flags | (fast ? REQUEST_FAST : 0));

	request->cost = fast ? COST_FAST : COST_SLOW;
	backend_enqueue(backend, request, (struct slice){ parsed->bytes, parsed->length });
}

/* ---- lanes ---- */

static uint32_t others_in_flight(const struct client *client)
{
	return client->in_flight - client->replica_in_flight;
}

/* May a command take this way now without overtaking one before it? */
static enum verdict enter_lane(struct client *client, const struct backend *lane)
{
	if (client->replica_in_flight > 0)
		return stall(client, STALL_REPLICAS);
	if (others_in_flight(client) > 0 && client->lane != lane)
		return stall(client, STALL_ALL);
	client->lane = lane;
	return TAKEN;
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
	if (node != NULL && node->readable)
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
	if (enter_lane(client, lane) == STALLED)
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

	if (worker->snapshot->master < 0 && worker->config->no_master_reads == NO_MASTER_READS_REFUSE) {
		count(client, STAT_no_master);
		dispatch_error(client, "NOMASTER there is no master, and no_master_reads = refuse");
		return TAKEN;
	}
	/* Only reads are in flight on replicas: nothing that this one could overtake. */
	lane = pool_shared(client->worker, &(struct backend_key){ .identity = client->session.identity,
								  .node = BACKEND_TO_MASTER,
								  .db = client->session.db,
								  .kind = BACKEND_SHARED,
								  .resp = client->session.resp });
	if (others_in_flight(client) > 0 && client->lane != lane)
		return stall(client, STALL_ALL);
	client->lane = lane;
	if (holds_too_much(lane, parsed)) {
		count(client, STAT_no_master);
		dispatch_error(client, "NOMASTER too much waits for the master already (write_hold_bytes); "
				       "the command was not sent");
		return TAKEN;
	}
	send_to(client, lane, parsed, REQUEST_READ);
	count(client, STAT_reads_on_master);
	count(client, why);
	return TAKEN;
}

static enum verdict read_on_replica(struct client *client, const struct parsed_command *parsed, uint32_t index)
{
	const struct snapshot_node *node = &client->worker->snapshot->nodes[index];
	struct session *session = &client->session;
	struct backend_key key = { .identity = session->identity, .node = (int32_t)node->id, .db = session->db,
				   .kind = BACKEND_SHARED, .resp = session->resp };

	if (client->replica_in_flight > 0 && session->consistency != CONSISTENCY_EVENTUAL &&
	    (session->read_node != (int32_t)node->id || session->read_incarnation != node->incarnation))
		return stall(client, STALL_REPLICAS); /* two nodes at once could show time running backwards */
	session->read_node = (int32_t)node->id;
	session->read_incarnation = node->incarnation;
	client->replica_in_flight++;
	send_to(client, pool_shared(client->worker, &key), parsed, REQUEST_READ | REQUEST_ON_REPLICA);
	count(client, STAT_reads_on_replicas);
	return TAKEN;
}

static enum verdict take_read(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (session->endpoint == ENDPOINT_SPLIT && session->identity->state != IDENTITY_ACCEPTED)
		return read_on_master(client, parsed, STAT_left_user);
	if (chunk->has_write || others_in_flight(client) > 0)
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

/* The nodes' answers were no answers: the read goes elsewhere. */
void dispatch_again(struct worker *worker, struct request *request, struct slice bytes)
{
	struct client *client = request->client;
	struct route_demand demand = demand_of(client);
	struct backend_key key = { .identity = client->session.identity, .node = BACKEND_TO_MASTER,
				   .db = client->session.db, .kind = BACKEND_SHARED, .resp = client->session.resp };
	bool was_on_replica = request->flags & REQUEST_ON_REPLICA;
	bool only_replicas = (request->flags & REQUEST_TIMED_OUT) && !(request->flags & REQUEST_FAST);
	struct route route = { .target = ROUTE_MASTER };

	if (request->retries++ >= RETRIES_MAX || (only_replicas && request->retries > 1)) {
		if (request->flags & REQUEST_TIMED_OUT)
			stats_add(&worker->stats, STAT_timeouts, 1);
		delivery_error(worker, request, request->flags & REQUEST_TIMED_OUT
							? "TIMEOUT no node has answered within backend_timeout"
							: "NOREPLICA every node tried was lost before it answered");
		return;
	}
	if (was_on_replica) {
		demand.avoid = request->avoid;
		route = route_read(worker->snapshot, worker->loads, &demand);
	}
	if (route.target != ROUTE_NODE && only_replicas) {
		stats_add(&worker->stats, STAT_timeouts, 1);
		delivery_error(worker, request, "TIMEOUT the replica has not answered within backend_timeout");
		return;
	}
	stats_add(&worker->stats, STAT_retried_reads, 1);
	if (route.target == ROUTE_NODE) {
		key.node = (int32_t)worker->snapshot->nodes[route.node].id;
		client->session.read_node = key.node;
		client->session.read_incarnation = worker->snapshot->nodes[route.node].incarnation;
	} else if (was_on_replica) {
		request->flags &= (uint16_t)~REQUEST_ON_REPLICA;
		client->replica_in_flight--;
		stats_add(&worker->stats, STAT_left_retry, 1);
	}
	request->flags &= (uint16_t)~(REQUEST_TIMED_OUT | REQUEST_WHOLE);
	request->enqueued_ms = worker->now_ms;
	if (key.node == BACKEND_TO_MASTER)
		client->lane = pool_shared(worker, &key);
	backend_enqueue(pool_shared(worker, &key), request, bytes);
	client_check_stall(client);
}

/* ---- the master's shared backends ---- */

static bool is_flagged_write(const struct parsed_command *parsed)
{
	return parsed->command->flags & COMMAND_FLAG_WRITE;
}

/* On the replica endpoint: may this command go where the session's home is? */
static bool refused_on_replica_endpoint(struct client *client, const struct parsed_command *parsed)
{
	if (client->session.endpoint != ENDPOINT_REPLICA)
		return false;
	if (is_flagged_write(parsed)) {
		count(client, STAT_rejected_writes);
		dispatch_error(client, "READONLY You can't write against a read only replica.");
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
		dispatch_error(client, "ERR no connection to the server is free (max_private_backends)");
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
	client->lane = NULL;
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
	client->lane = client->session.pinned;
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

static void send_pinned(struct client *client, const struct parsed_command *parsed)
{
	unsigned flags = REQUEST_WRITE;

	if (parsed->class == COMMAND_TRANSACTION)
		flags |= REQUEST_STATEFUL;
	if (!leaves_no_state(parsed))
		client->session.pinned->tainted = true;
	client->lane = client->session.pinned;
	count(client, STAT_private);
	send_to(client, client->session.pinned, parsed, flags);
}

static void follow_transaction(struct session *session, enum command_special special)
{
	switch (special) {
	case SPECIAL_MULTI:
		session->in_multi = true;
		break;
	case SPECIAL_WATCH:
		session->watching = session->watching || !session->in_multi;
		break;
	case SPECIAL_UNWATCH:
		if (!session->in_multi)
			session->watching = false;
		break;
	default: /* EXEC, DISCARD */
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
	send_pinned(client, parsed);
	follow_transaction(session, (enum command_special)parsed->command->special);
	return TAKEN;
}

/* A request that no server knows, in place of one that is refused: it keeps
 * its place in the server's order, and spoils a transaction as it should. */
static void encode_refused(struct buf *out, const struct command *command)
{
	char name[160];

	snprintf(name, sizeof(name), "%s (refused by weir: %s)", command->name, command->refusal);
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

static enum verdict take_refused(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;
	char text[256];

	if (parsed->command->special == SPECIAL_POST || parsed->command->special == SPECIAL_HOST) {
		client_close(client, CLOSE_CROSS_PROTOCOL);
		return TAKEN;
	}
	count(client, STAT_refused);
	refusal_text(text, sizeof(text), parsed->command);
	if (session->in_multi) {
		struct buf bytes = { 0 };
		struct request *request = dispatch_request(client, REQUEST_CLIENT, REQUEST_MUTED | REQUEST_WHOLE);

		request->held = alloc_zeroed(1, sizeof(*request->held));
		encode_error(request->held, text);
		encode_refused(&bytes, parsed->command);
		backend_enqueue(session->pinned, request, buf_slice(&bytes));
		buf_free(&bytes);
		return TAKEN;
	}
	dispatch_error(client, text);
	return TAKEN;
}

/* ---- streams ---- */

static enum verdict stream_on(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;

	if (parsed->class == COMMAND_REFUSED) {
		struct buf bytes = { 0 };

		count(client, STAT_refused);
		encode_refused(&bytes, parsed->command);
		backend_forward(session->pinned, buf_slice(&bytes));
		buf_free(&bytes);
		return TAKEN;
	}
	count(client, STAT_private);
	backend_forward(session->pinned, (struct slice){ parsed->bytes, parsed->length });
	if (parsed->command->special == SPECIAL_SYNC || parsed->command->special == SPECIAL_PSYNC) {
		session->pinned->unframed = true;
	} else if (parsed->command->special == SPECIAL_RESET) {
		session->resetting = true;
		client->stall = STALL_EVENT;
	} else if (parsed->command->special == SPECIAL_QUIT) {
		client_finish(client, CLOSE_QUIT);
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
		send_pinned(client, parsed);
		return TAKEN;
	}
}

/* Inside MULTI the server queues everything, weir's own commands too. */
static enum verdict take_queued(struct client *client, const struct parsed_command *parsed)
{
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
		break;
	default:
		break;
	}
	send_pinned(client, parsed);
	return TAKEN;
}

static enum verdict take_unpinned(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
		return take_read(client, parsed, chunk);
	case COMMAND_MASTER_READ:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_master_read(client, parsed);
	case COMMAND_SCRIPT:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_script(client, parsed);
	case COMMAND_BLOCKING:
	case COMMAND_PRIVATE:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_single(client, parsed);
	case COMMAND_TRANSACTION:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_transaction(client, parsed);
	case COMMAND_STREAM:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_stream(client, parsed);
	case COMMAND_LOCAL:
		return take_local(client, parsed);
	case COMMAND_REFUSED:
		return take_refused(client, parsed);
	default:
		return refused_on_replica_endpoint(client, parsed) ? TAKEN : take_write(client, parsed);
	}
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
		send_pinned(client, parsed);
		return TAKEN;
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
	case PIN_SINGLE:
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
