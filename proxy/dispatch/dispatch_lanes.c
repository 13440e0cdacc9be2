/* Which way a command takes to a server, and whether it may take it now. */
#include "dispatch_parts.h"

#include <stdio.h>

#include "../../protocol/encode.h"
#include "../clock.h"
#include "../backend/consistency.h"
#include "delivery.h"
#include "../backend/pool.h"

enum {
	COST_FAST = 1, /* outstanding work that a command counts as */
	COST_SLOW = 4,
	STRANGERS_AT_ONCE = COST_SLOW, /* outstanding work of a lane that the master has not let in */
};

enum verdict dispatch_stall(struct client *client, enum client_stall why)
{
	client->stall = why;
	return STALLED;
}

/* ---- putting a request into both queues ---- */

struct request *dispatch_request(struct client *client, enum request_kind kind, unsigned flags)
{
	struct worker *worker = client->worker;
	struct request *request = request_create(&worker->requests, kind, flags, worker->now_ms);

	if (session_is_silent(&client->session))
		request->flags |= REQUEST_SILENT;
	request->client = client;
	request->begun_us = worker->now_us;
	request->cost = COST_FAST;
	if (client->head == NULL)
		client->head = request;
	else
		client->tail->next_of_client = request;
	client->tail = request;
	client->in_flight++;
	return request;
}

static const struct command *command_at_hand(const struct client *client)
{
	return command_table_at(client->worker->commands, client->last_command);
}

/* What weir says itself is about what is its own, or a refusal. */
static void count_own_answer(struct client *client, bool failed)
{
	const struct command *command = command_at_hand(client);
	bool refused = failed && command->class != COMMAND_LOCAL;
	struct answer answer = { .command = command->number, .counts_as = refused ? STAT_refused : STAT_local,
				 .flags = ANSWER_UNTIMED | (failed ? ANSWER_FAILED : 0) | (refused ? ANSWER_REJECTED : 0) };

	worker_count_answer(client->worker, answer, 1);
	worker_settle_answers(client->worker);
}

void dispatch_counts_as(struct client *client, struct request *request, enum stat_id id)
{
	request->command = command_at_hand(client)->number;
	request->counts_as = id;
}

void dispatch_answer(struct client *client, struct slice reply)
{
	count_own_answer(client, reply.length > 0 && reply.bytes[0] == '-');
	client->worker->answered_here++;
	if (client->head != NULL)
		delivery_answer(client->worker, dispatch_request(client, REQUEST_LOCAL, 0), reply);
	else if (!session_is_silent(&client->session))
		client_reply(client, reply.bytes, reply.length, false);
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

/* As what a command counts that takes the way of all others. */
static const uint8_t counted_as[COMMAND_CLASS_COUNT] = {
	[COMMAND_WRITE] = STAT_writes,
	[COMMAND_READ] = STAT_reads_on_master,
	[COMMAND_USERS] = STAT_writes,
	[COMMAND_MASTER_READ] = STAT_master_reads,
	[COMMAND_CURSOR] = STAT_reads_on_master,
	[COMMAND_SCRIPT] = STAT_scripts,
	[COMMAND_TRANSACTION] = STAT_writes,
	[COMMAND_BLOCKING] = STAT_private,
	[COMMAND_PRIVATE] = STAT_private,
	[COMMAND_STREAM] = STAT_private,
	[COMMAND_LOCAL] = STAT_master_reads,
	[COMMAND_REFUSED] = STAT_refused,
};

enum stat_id dispatch_counted_on(const struct backend *backend, enum stat_id id)
{
	return backend->key.node == BACKEND_TO_MASTER ? id : stats_at_home(id);
}

static enum stat_id counts_as(const struct backend *backend, const struct parsed_command *parsed, unsigned flags)
{
	if (flags & REQUEST_ON_REPLICA)
		return STAT_reads_on_replicas;
	if (backend->key.kind == BACKEND_PRIVATE)
		return dispatch_counted_on(backend, STAT_private);
	if (flags & REQUEST_BLOCK) /* it is one, with its last command, and the master's */
		return flags & REQUEST_WRITE ? STAT_transactions : 0;
	return dispatch_counted_on(backend, counted_as[parsed->class]);
}

void dispatch_send_to(struct client *client, struct backend *backend, const struct parsed_command *parsed, unsigned flags)
{
	bool fast = parsed->command->flags & COMMAND_FLAG_FAST;
	struct request *request =
		dispatch_request(client, parsed->class == COMMAND_CURSOR ? REQUEST_CURSOR : REQUEST_CLIENT, flags);

	if (fast)
		request->flags |= REQUEST_FAST;
	if (parsed->class == COMMAND_USERS)
		request->flags |= REQUEST_USERS | REQUEST_SECRET;
	if (flags & REQUEST_ON_REPLICA)
		client->replica_in_flight++;
	else
		dispatch_on_lane(client, request, backend);
	if (appetite_may_be_large(&client->appetite))
		request->flags |= REQUEST_IN_CROWD;
	request->cost = fast ? COST_FAST : COST_SLOW;
	request->command = parsed->command->number;
	request->counts_as = counts_as(backend, parsed, flags);
	backend_enqueue(backend, request, (struct slice){ parsed->bytes, parsed->length });
	if (parsed->class == COMMAND_USERS)
		parsed_wipe(parsed);
}

/* ---- lanes ---- */

/* A backend that has more to do than it should gets nothing on top. */
enum verdict dispatch_wait_for_room(struct client *client)
{
	list_put(&client->worker->lane_waiters, &client->resume);
	return dispatch_stall(client, STALL_LANE);
}

/* Whoever asks for much, or may, shall not stand before all the others. */
static bool has_no_place(const struct client *client, const struct backend *lane)
{
	return appetite_may_be_large(&client->appetite) && (crowd_is_full(&lane->crowd) || line_is_before(client, lane));
}

bool dispatch_has_no_room(const struct client *client, const struct backend *lane)
{
	return backend_is_full(lane) || has_no_place(client, lane);
}

enum verdict dispatch_wait_for(struct client *client, struct backend *lane)
{
	if (backend_is_full(lane))
		return dispatch_wait_for_room(client);
	line_join(client, lane);
	return STALLED;
}

enum verdict dispatch_enter_lane(struct client *client, struct backend *lane, bool is_read)
{
	bool in_order = !is_read || client->session.consistency != CONSISTENCY_EVENTUAL;

	/* A read on a replica may yet have to be sent again, and would then come
	 * from a later time than this one. */
	if (client->replica_in_flight > 0 && in_order)
		return dispatch_stall(client, STALL_REPLICAS);
	if (client->lane_in_flight > 0 && client->lane != lane)
		return dispatch_stall(client, STALL_ALL);
	if (lane->state == BACKEND_READY && !lane->held && dispatch_has_no_room(client, lane))
		return dispatch_wait_for(client, lane);
	return TAKEN;
}

/* On the replica endpoint a replica's own rules are the rules. */
static uint64_t refused_nodes(const struct client *client)
{
	const struct worker *worker = client->worker;
	struct identity *identity = client->session.identity;

	if (client->session.endpoint == ENDPOINT_REPLICA)
		return identity->refused_nodes;
	return identity->refused_nodes | identity_foreign_nodes(identity, worker->snapshot, worker_user_changes(worker));
}

struct route_demand dispatch_demand(const struct client *client)
{
	const struct worker *worker = client->worker;
	const struct config *config = worker->config;

	struct route_demand demand = {
		.session = &client->session,
		.catch_up_ns = clock_ms_to_ns(config->catch_up_wait_ms),
		.max_lag_ns = config->topology.max_lag_ms * 1000000,
		.now_ns = worker->now_ns,
		.refused_nodes = refused_nodes(client),
		.gathers_on = SESSION_NO_NODE,
		.fallback_error = config->fallback == FALLBACK_ERROR,
		.serve_without_master = config->no_master_reads == NO_MASTER_READS_SERVE,
	};

	consistency_demand(client, &demand);
	return demand;
}

static bool is_master(const struct snapshot *snapshot, const struct snapshot_node *node)
{
	return snapshot->master >= 0 && node == &snapshot->nodes[snapshot->master];
}

/* The replica endpoint gives each session one replica for what is no plain
 * read. BACKEND_TO_MASTER: none can, and the fallback is the master. */
static int32_t find_home(struct client *client, uint8_t avoid)
{
	const struct worker *worker = client->worker;
	struct route_demand demand = dispatch_demand(client);
	struct session eventual = client->session;
	struct route route;

	eventual.consistency = CONSISTENCY_EVENTUAL;
	demand.session = &eventual;
	demand.avoid = avoid;
	route = route_read(worker->snapshot, worker->loads, &demand);
	return route.target == ROUTE_NODE ? (int32_t)worker->snapshot->nodes[route.node].id : BACKEND_TO_MASTER;
}

int32_t dispatch_home(struct client *client)
{
	struct session *session = &client->session;
	const struct worker *worker = client->worker;
	const struct snapshot_node *node;

	node = session->home >= 0 ? worker_node(worker, (uint32_t)session->home) : NULL;
	if (node == NULL || !node->readable || is_master(worker->snapshot, node))
		session->home = find_home(client, 0);
	return session->home;
}

int32_t dispatch_next_home(struct client *client, uint32_t lost)
{
	if (client->session.home == (int32_t)lost)
		client->session.home = find_home(client, (uint8_t)(lost + 1));
	return dispatch_home(client);
}

struct backend_key dispatch_lane_key(struct client *client, enum backend_kind kind)
{
	const struct session *session = &client->session;

	return (struct backend_key){
		.identity = session->identity,
		.node = session->endpoint == ENDPOINT_REPLICA ? dispatch_home(client) : BACKEND_TO_MASTER,
		.db = kind == BACKEND_CHECKER ? 0 : session->db,
		.kind = (uint8_t)kind,
		.resp = kind == BACKEND_CHECKER ? 2 : session->resp,
		.no_touch = kind != BACKEND_CHECKER && session->no_touch,
	};
}

struct backend *dispatch_lane(struct client *client, enum backend_kind kind)
{
	struct backend_key key = dispatch_lane_key(client, kind);

	if (kind == BACKEND_CHECKER)
		key.identity = client->worker->identities.nobody;
	return pool_shared(client->worker, &key);
}

/* Requests for a connection that is not there are held, but not without bound. */
bool dispatch_holds_too_much(const struct backend *lane, size_t bytes)
{
	const struct worker *worker = lane->worker;
	size_t limit = (size_t)worker->config->write_hold_bytes / worker->shared->worker_count;

	return (lane->state != BACKEND_READY || lane->held) && pool_held_bytes(worker) + bytes > limit;
}

void dispatch_hold_error(struct client *client)
{
	dispatch_count(client, STAT_no_master);
	dispatch_error(client, "NOMASTER too much waits for the master already (write_hold_bytes); "
			       "the command was not sent");
}

/* Of somebody whom the master does not let in. What it would say of the command
 * as such comes first, and only it can say that. */
static enum verdict send_of_stranger(struct client *client, struct backend *lane, const struct parsed_command *parsed,
				     unsigned flags)
{
	if (parsed->command->known && command_takes(parsed->command, parsed->argc) && parsed->command->special != SPECIAL_EXEC) {
		dispatch_answer(client, client->session.identity->refusal);
		return TAKEN;
	}
	if (lane->outstanding > STRANGERS_AT_ONCE)
		return dispatch_wait_for_room(client);
	dispatch_send_to(client, lane, parsed, flags);
	return TAKEN;
}

enum verdict dispatch_send_on(struct client *client, struct backend *lane, const struct parsed_command *parsed,
			    unsigned flags)
{
	if (lane->key.node == BACKEND_TO_MASTER && client_is_shut_out(client))
		return send_of_stranger(client, lane, parsed, flags);
	if (dispatch_enter_lane(client, lane, flags & REQUEST_READ) == STALLED)
		return STALLED;
	if (dispatch_holds_too_much(lane, parsed->length)) {
		dispatch_hold_error(client);
		return TAKEN;
	}
	dispatch_send_to(client, lane, parsed, flags);
	return TAKEN;
}

void dispatch_count(struct client *client, enum stat_id id)
{
	stats_add(&client->worker->stats, id, 1);
}

/* On the replica endpoint no write reaches any server, whatever that server
 * has become. */
bool dispatch_is_forbidden_write(const struct client *client, const struct parsed_command *parsed)
{
	return client->session.endpoint == ENDPOINT_REPLICA && (parsed->command->flags & COMMAND_FLAG_WRITE);
}

/* A command that is wrong in itself is told so first, as by redis-server. */
void dispatch_forbidden_text(char *text, const struct parsed_command *parsed)
{
	if (command_takes(parsed->command, parsed->argc))
		snprintf(text, DISPATCH_TEXT_ROOM, "READONLY You can't write against a read only replica.");
	else
		snprintf(text, DISPATCH_TEXT_ROOM, "ERR wrong number of arguments for '%s' command", parsed->command->name);
}
