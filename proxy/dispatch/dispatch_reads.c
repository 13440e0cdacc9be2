/* Reads: to a replica that is fresh enough, else to the master; and again, when
 * the node they were sent to is lost. */
#include "dispatch_parts.h"

#include "../clock.h"
#include "../backend/consistency.h"
#include "../worker/control_line.h"
#include "delivery.h"
#include "../backend/pool.h"

enum {
	CATCH_UPS_MAX = 8,   /* times that a read waits at a replica that has not caught up */
	GATHERED_MOST = 256, /* outstanding work of one turn for one replica, while others have none */
};

/* ---- reads ---- */

static enum stat_id left_stat(enum route_reason reason)
{
	switch (reason) {
	case ROUTE_REASON_USER:
		return STAT_left_user;
	case ROUTE_REASON_LAG:
		return STAT_left_lag;
	case ROUTE_REASON_FLOOR:
		return STAT_left_floor;
	case ROUTE_REASON_EPOCH:
		return STAT_left_epoch;
	default:
		return STAT_left_no_replica;
	}
}

/* Scripts can upset the reply stream of old servers, read-only ones too. */
static bool is_script(const struct command *command)
{
	return command->special == SPECIAL_EVAL_RO || command->special == SPECIAL_EVALSHA_RO ||
	       command->special == SPECIAL_FCALL_RO;
}

static unsigned read_flags(const struct command *command)
{
	return REQUEST_READ | (is_script(command) ? REQUEST_SCRIPT : 0);
}

struct backend *dispatch_read_lane(struct client *client, int32_t node, bool script)
{
	const struct session *session = &client->session;
	struct backend_key key = { .identity = session->identity, .node = node, .db = session->db,
				   .kind = script ? BACKEND_SCRIPT : BACKEND_SHARED, .resp = session->resp,
				   .no_touch = session->no_touch };

	return pool_shared(client->worker, &key);
}

static enum verdict read_on_master(struct client *client, const struct parsed_command *parsed, struct chunk *chunk,
				   enum stat_id why)
{
	const struct worker *worker = client->worker;
	struct backend *lane;
	enum verdict verdict;

	if (worker->snapshot->master < 0 && worker->config->no_master_reads == NO_MASTER_READS_REFUSE) {
		dispatch_count(client, STAT_no_master);
		dispatch_error(client, "NOMASTER there is no master, and no_master_reads = refuse");
		return TAKEN;
	}
	lane = dispatch_read_lane(client, BACKEND_TO_MASTER, is_script(parsed->command));
	verdict = dispatch_send_on(client, lane, parsed, read_flags(parsed->command));
	if (verdict == TAKEN) {
		dispatch_count(client, why);
		chunk->left = why;
	}
	return verdict;
}

static enum verdict read_on_lane(struct client *client, const struct parsed_command *parsed, struct chunk *chunk,
				 struct backend *lane)
{
	chunk->lane = lane;
	chunk->lane_for = chunk->taken + 1;
	dispatch_send_to(client, lane, parsed, read_flags(parsed->command) | REQUEST_ON_REPLICA);
	client->tail->floor = chunk->route.floor;
	if (client->worker->snapshot->evicts_by_use)
		dispatch_touch(client, parsed);
	if (chunk->route.stays) /* a ROLE behind it frees the next one to go elsewhere */
		consistency_want(lane);
	return TAKEN;
}

static enum verdict read_on_replica(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct snapshot_node *node = &client->worker->snapshot->nodes[chunk->route.node];
	struct session *session = &client->session;
	struct backend *lane;

	if (client->replica_in_flight > 0 && session->consistency != CONSISTENCY_EVENTUAL &&
	    (session->read_node != (int32_t)node->id || session->read_incarnation != node->incarnation ||
	     session->read_script != is_script(parsed->command)))
		return dispatch_stall(client, STALL_REPLICAS); /* two at once could show time running backwards */
	lane = dispatch_read_lane(client, (int32_t)node->id, is_script(parsed->command));
	if (dispatch_has_no_room(client, lane))
		return dispatch_wait_for(client, lane);
	session->read_node = (int32_t)node->id;
	session->read_incarnation = node->incarnation;
	session->read_script = is_script(parsed->command);
	return read_on_lane(client, parsed, chunk, lane);
}

/* The turn's quick reads go to one replica, which the first of them has chosen,
 * until that has so many of them: many sessions make one batch then. */
static int32_t gathering_node(const struct worker *worker, const struct parsed_command *parsed)
{
	const struct gathering *gathering = &worker->gathering;

	if (gathering->turn_ns != worker->now_ns || !(parsed->command->flags & COMMAND_FLAG_FAST) ||
	    worker->loads[gathering->node].outstanding - gathering->outstanding >= GATHERED_MOST)
		return SESSION_NO_NODE;
	return (int32_t)gathering->node;
}

static void gather_on(struct worker *worker, uint32_t node)
{
	worker->gathering = (struct gathering){ worker->now_ns, node, worker->loads[node].outstanding };
}

static void route_chunk(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	struct worker *worker = client->worker;
	struct route_demand demand = dispatch_demand(client);

	demand.gathers_on = gathering_node(worker, parsed);
	chunk->route = route_read(worker->snapshot, worker->loads, &demand);
	chunk->routed = true;
	if (chunk->route.target == ROUTE_NODE && demand.gathers_on == SESSION_NO_NODE)
		gather_on(worker, worker->snapshot->nodes[chunk->route.node].id);
}

/* No replica will do. What would make one do is asked for: an offset of the
 * master that covers what the session has seen, or younger positions. Where the
 * read may not go to the master it waits for that offset. */
static enum verdict leave_replicas(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	struct worker *worker = client->worker;
	const struct route *route = &chunk->route;
	bool by_floor = route->reason >= ROUTE_REASON_FLOOR;

	if (route->reason == ROUTE_REASON_LAG)
		control_line_refresh(worker->shared->control);
	if (route->target == ROUTE_NO_REPLICA) {
		if (by_floor && !client->index_ready &&
		    consistency_await_index(client, dispatch_read_lane(client, BACKEND_TO_MASTER, false)))
			return STALLED;
		dispatch_error(client, "NOREPLICA no replica may serve this read now, and fallback = error");
		return TAKEN;
	}
	if (by_floor)
		consistency_want(dispatch_read_lane(client, BACKEND_TO_MASTER, is_script(parsed->command)));
	return read_on_master(client, parsed, chunk, left_stat(route->reason));
}

/* A strong read needs an offset that was asked of the master after it arrived.
 * Not where no replica could serve it anyway. */
static bool awaits_index(struct client *client, const struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (session->consistency != CONSISTENCY_STRONG || chunk->route.target != ROUTE_NODE ||
	    (client->index_ready && session->index_epoch == client->worker->snapshot->epoch))
		return false;
	return consistency_await_index(client, dispatch_read_lane(client, BACKEND_TO_MASTER, false));
}

/* Without an index only the master itself is linearizable. */
static bool must_read_on_master(const struct client *client)
{
	const struct session *session = &client->session;

	return session->consistency == CONSISTENCY_STRONG &&
	       !(client->index_ready && session->index_epoch == client->worker->snapshot->epoch);
}

static bool goes_the_same_way(const struct client *client, const struct chunk *chunk, const struct parsed_command *parsed)
{
	return chunk->lane != NULL && chunk->lane_for == chunk->taken && chunk->lane->key.kind == BACKEND_SHARED &&
	       !is_script(parsed->command) && !dispatch_has_no_room(client, chunk->lane);
}

enum verdict dispatch_read(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;
	const struct identity *identity = session->identity;

	if (goes_the_same_way(client, chunk, parsed))
		return read_on_lane(client, parsed, chunk, chunk->lane);
	if ((session->endpoint == ENDPOINT_SPLIT && identity->state != IDENTITY_ACCEPTED) || identity->may_not_ask_role)
		return read_on_master(client, parsed, chunk, STAT_left_user);
	if (session->endpoint == ENDPOINT_SPLIT && worker_is_monitored(client->worker))
		return read_on_master(client, parsed, chunk, STAT_left_monitor);
	if (session->endpoint == ENDPOINT_SPLIT && worker_is_untold(client->worker))
		return read_on_master(client, parsed, chunk, STAT_left_untold);
	if (chunk->has_write || client->lane_in_flight > 0 || client->awaits_proof)
		return read_on_master(client, parsed, chunk, STAT_left_write_in_pipeline);
	if (session->consistency == CONSISTENCY_STRONG && client->worker->snapshot->master < 0)
		return read_on_master(client, parsed, chunk, STAT_left_no_replica); /* it waits for one, like a write */
	if (!chunk->routed)
		route_chunk(client, parsed, chunk);
	if (awaits_index(client, chunk))
		return STALLED;
	if (chunk->route.target == ROUTE_NODE && must_read_on_master(client))
		return read_on_master(client, parsed, chunk, STAT_left_floor);
	if (chunk->route.target == ROUTE_NODE)
		return read_on_replica(client, parsed, chunk);
	return leave_replicas(client, parsed, chunk);
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

/* What was lost on two replicas may be lost on a third one as well; after that
 * one it waits for the master. */
static bool is_done_with_replicas(const struct request *request, bool has_master)
{
	return request->retries >= REQUEST_RETRIES_MAX ||
	       (has_master && (request->retries == REQUEST_RETRIES_MAX - 1 || is_one_of_several(request->client)));
}

/* As if it came now: it is not in flight itself. */
static struct route_demand demand_again(const struct request *request)
{
	struct client *client = request->client;
	struct route_demand demand;

	client->replica_in_flight--;
	demand = dispatch_demand(client);
	client->replica_in_flight++;
	demand.avoid = request->avoid;
	return demand;
}

/* A strong read's index is of another history by now, or there is nobody who
 * could have given one. */
static bool has_lost_index(const struct client *client)
{
	const struct snapshot *snapshot = client->worker->snapshot;

	return client->session.consistency == CONSISTENCY_STRONG &&
	       (client->session.index_epoch != snapshot->epoch || snapshot->master < 0);
}

static struct route route_again(struct worker *worker, const struct request *request)
{
	struct route_demand demand;
	bool has_master = worker->snapshot->master >= 0;

	if (!(request->flags & REQUEST_ON_REPLICA) || (request->flags & REQUEST_TO_MASTER))
		return (struct route){ .target = ROUTE_MASTER };
	demand = demand_again(request);
	if (has_lost_index(request->client))
		return (struct route){ .target = ROUTE_MASTER };
	if (is_done_with_replicas(request, has_master) && !demand.fallback_error && !must_not_reach_master(request))
		return (struct route){ .target = ROUTE_MASTER };
	return route_read(worker->snapshot, worker->loads, &demand);
}

/* Has every node had it that may? After the replicas comes the master; and its
 * connection may be lost as often as it will, unless the request is handed back. */
static bool was_tried_enough(const struct request *request, const struct route *route)
{
	bool goes_on = request->flags & REQUEST_ON_REPLICA ? route->target == ROUTE_MASTER : request->flags & REQUEST_SENT;

	return (request->retries > REQUEST_RETRIES_MAX && !goes_on) ||
	       (must_not_reach_master(request) && request->retries > 1);
}

/* Why a read cannot be sent again there; NULL when it can. */
static const char *refuse_again(struct worker *worker, const struct request *request, const struct route *route)
{
	bool timed_out = request->flags & REQUEST_TIMED_OUT;
	uint32_t waited_ms = worker->now_ms - request->enqueued_ms;

	if (was_tried_enough(request, route))
		return timed_out ? "TIMEOUT no node has answered within backend_timeout"
				 : "NOREPLICA every node tried was lost before it answered";
	if ((request->flags & REQUEST_RETURNED) && waited_ms > (uint64_t)worker->config->write_hold_ms)
		return "NOMASTER every connection to the master was lost before it answered";
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
	const struct snapshot_node *node = &worker->snapshot->nodes[route->node];
	bool script = request->flags & REQUEST_SCRIPT;
	struct backend *lane;

	if (route->target == ROUTE_NODE) {
		request->floor = route->floor;
		client->session.read_node = (int32_t)node->id;
		client->session.read_incarnation = node->incarnation;
		client->session.read_script = script;
		return dispatch_read_lane(client, (int32_t)node->id, script);
	}
	lane = dispatch_read_lane(client, BACKEND_TO_MASTER, script);
	if (request->flags & REQUEST_ON_REPLICA) {
		request->flags &= ~(uint32_t)REQUEST_ON_REPLICA;
		if (request->retries > REQUEST_RETRIES_MAX)
			request->retries = REQUEST_RETRIES_MAX;
		client->replica_in_flight--;
		dispatch_on_lane(client, request, lane);
		request->counts_as = STAT_reads_on_master;
		stats_add(&worker->stats, STAT_left_retry, 1);
	}
	return lane;
}

/* A read that stood behind another one when the connection was lost has not been
 * tried: servers do not die of it. */
static bool is_try(const struct request *request)
{
	return !(request->flags & REQUEST_SENT) || (request->flags & (REQUEST_SUSPECT | REQUEST_TIMED_OUT));
}

/* As good as new; but one that goes back to the master does not wait for ever,
 * and its suspicion waits with it. */
static void begin_again(const struct worker *worker, struct request *request)
{
	bool returns = !(request->flags & REQUEST_ON_REPLICA);

	request->flags &= ~(uint32_t)(REQUEST_TIMED_OUT | REQUEST_WHOLE | REQUEST_STALE | REQUEST_SENT);
	if (!returns)
		request->flags &= ~(uint32_t)REQUEST_SUSPECT;
	if (!(request->flags & REQUEST_RETURNED))
		request->enqueued_ms = worker->now_ms;
	if (returns)
		request->flags |= REQUEST_RETURNED;
}

void dispatch_again(struct worker *worker, struct request *request, struct slice bytes)
{
	struct client *client = request->client;
	struct route route = route_again(worker, request);
	const char *refusal;

	if (request->flags & REQUEST_ON_REPLICA) /* whether the master has died, backend_hand_back() will see */
		request->retries += is_try(request);
	refusal = refuse_again(worker, request, &route);
	if (refusal != NULL) {
		stats_add(&worker->stats, STAT_timeouts, (request->flags & REQUEST_TIMED_OUT) != 0);
		delivery_error(worker, request, refusal);
		return;
	}
	stats_add(&worker->stats, STAT_retried_reads, 1);
	begin_again(worker, request);
	backend_enqueue(lane_again(worker, request, &route), request, bytes);
	client_check_stall(client);
}

/* As with reads: what was lost with two replicas is for the master, if that may
 * stand in for them, or waits for one. */
static int32_t home_again(struct client *client, const struct request *request, const struct backend *from)
{
	const struct worker *worker = client->worker;

	if (request->retries >= REQUEST_RETRIES_MAX && worker->config->fallback == FALLBACK_MASTER)
		return BACKEND_TO_MASTER;
	return dispatch_next_home(client, from->node_id);
}

void dispatch_ask_again(struct worker *worker, struct request *request, const struct backend *from, struct slice bytes)
{
	struct client *client = request->client;
	struct backend_key key = from->key;
	struct backend *lane;

	request->retries += is_try(request);
	key.node = home_again(client, request, from);
	if (request->retries > REQUEST_RETRIES_MAX && key.node != BACKEND_TO_MASTER) {
		delivery_error(worker, request, "NOREPLICA every node tried was lost before it answered");
		return;
	}
	request->flags &= ~(uint32_t)(REQUEST_TIMED_OUT | REQUEST_SENT | REQUEST_SUSPECT);
	request->enqueued_ms = worker->now_ms;
	lane = pool_shared(worker, &key);
	request->counts_as = (uint8_t)dispatch_counted_on(lane, stats_at_master(request->counts_as));
	client->lane = lane;
	backend_enqueue(lane, request, bytes);
}

/* ---- reads that a replica was not ready for ---- */

/* What the session has seen of the master since the read was sent, because one
 * before it went there, the read must see as well. False: that has no offset
 * yet, so only the master will do. */
static bool follow_session(const struct worker *worker, struct request *request)
{
	const struct session *session = &request->client->session;

	if (session->consistency == CONSISTENCY_EVENTUAL)
		return true;
	if (session->observed_ns != 0 || (session->floor_epoch != 0 && session->floor_epoch != worker->snapshot->epoch))
		return false;
	if (request->floor < session->floor)
		request->floor = session->floor;
	return true;
}

/* It is worth trying the same replica again while what it lacks should be there
 * within catch_up_wait; a round trip is the wait. */
static bool may_catch_up(const struct worker *worker, struct request *request, const struct backend *from)
{
	const struct node_load *load = &worker->loads[from->node_id];
	int64_t wait_ms = worker->config->catch_up_wait_ms;

	return from->proof.valid && from->proof.young && request->client->lane_in_flight == 0 &&
	       request->catch_ups < CATCH_UPS_MAX && load->behind_ns < clock_ms_to_ns(wait_ms) &&
	       worker->now_ms - request->enqueued_ms <= (uint64_t)wait_ms && follow_session(worker, request);
}

/* The nearest read in front of it that is out on a replica. */
static const struct request *find_ahead(const struct request *request)
{
	const struct client *client = request->client;
	const struct request *ahead = NULL;

	if (client->session.consistency == CONSISTENCY_EVENTUAL || client->replica_in_flight == 0)
		return NULL;
	for (const struct request *earlier = client->head; earlier != request; earlier = earlier->next_of_client)
		if ((earlier->flags & REQUEST_ON_REPLICA) && earlier->backend != NULL)
			ahead = earlier;
	return ahead;
}

static void move_to_replicas(struct request *request)
{
	struct client *client = request->client;

	if (request->flags & REQUEST_ON_REPLICA)
		return;
	request->flags = (request->flags & ~(uint32_t)REQUEST_ON_LANE) | REQUEST_ON_REPLICA;
	client->replica_in_flight++;
	if (--client->lane_in_flight == 0)
		client->lane = NULL;
}

/* Whatever the one in front of it is going to see, this one sees it behind that,
 * and in no other place. */
static void follow(struct request *request, const struct request *ahead, struct slice bytes)
{
	move_to_replicas(request);
	if (request->floor < ahead->floor)
		request->floor = ahead->floor;
	backend_enqueue(ahead->backend, request, bytes);
}

static enum stat_id stale_stat(const struct backend *from)
{
	if (!from->proof.valid)
		return STAT_left_no_replica;
	return from->proof.young ? STAT_left_floor : STAT_left_lag;
}

static void read_stale_on_master(struct request *request, enum stat_id why, struct slice bytes)
{
	struct client *client = request->client;
	struct backend *lane = dispatch_read_lane(client, BACKEND_TO_MASTER, request->flags & REQUEST_SCRIPT);

	request->flags &= ~(uint32_t)REQUEST_ON_REPLICA;
	client->replica_in_flight--;
	dispatch_on_lane(client, request, lane);
	request->counts_as = STAT_reads_on_master;
	dispatch_count(client, why);
	consistency_want(lane);
	backend_enqueue(lane, request, bytes);
}

void dispatch_stale(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	struct client *client = request->client;
	const struct request *ahead = find_ahead(request);
	struct buf copy = { 0 };

	buf_append(&copy, bytes.bytes, bytes.length); /* the stream may move while it is sent again */
	request->flags &= ~(uint32_t)REQUEST_STALE;
	if (ahead != NULL) {
		stats_add(&worker->stats, STAT_catch_ups, 1);
		follow(request, ahead, buf_slice(&copy));
	} else if (!(request->flags & REQUEST_ON_REPLICA)) { /* it overtook one that has been answered meanwhile */
		backend_enqueue(from, request, buf_slice(&copy));
	} else if (may_catch_up(worker, request, from)) {
		request->catch_ups++;
		stats_add(&worker->stats, STAT_catch_ups, 1);
		backend_enqueue(from, request, buf_slice(&copy));
	} else if (request_is_bound(request)) {
		dispatch_bound_stale(worker, request, from, buf_slice(&copy));
	} else if (worker->snapshot->master < 0 || worker->config->fallback == FALLBACK_ERROR) {
		dispatch_again(worker, request, buf_slice(&copy));
	} else {
		read_stale_on_master(request, stale_stat(from), buf_slice(&copy));
	}
	buf_free(&copy);
	client_check_stall(client);
}

/* ---- reads that wait for a master that is gone ---- */

static bool may_leave_master(const struct request *request)
{
	return (request->flags & REQUEST_READ) && !(request->flags & REQUEST_TO_MASTER) && request->kind == REQUEST_CLIENT;
}

static bool waits_for_nothing_but_reads(const struct client *client)
{
	for (const struct request *request = client->head; request != NULL; request = request->next_of_client)
		if ((request->flags & REQUEST_ON_LANE) && !may_leave_master(request))
			return false;
	return true;
}

/* As if it came now: what has failed it before may be all that is left. */
static struct route route_rescued(const struct client *client)
{
	struct route_demand demand = dispatch_demand(client);

	if (client->session.consistency == CONSISTENCY_STRONG)
		return (struct route){ .target = ROUTE_MASTER };
	return route_read(client->worker->snapshot, client->worker->loads, &demand);
}

/* In the client's order, because the queue is. */
static void send_to_replica(struct worker *worker, struct request *request, struct backend *lane, const struct route *route)
{
	struct slice bytes = backend_request_bytes(lane, request);
	struct buf copy = { 0 };

	buf_append(&copy, bytes.bytes, bytes.length);
	backend_withdraw(lane, request);
	move_to_replicas(request);
	request->enqueued_ms = worker->now_ms;
	backend_enqueue(lane_again(worker, request, route), request, buf_slice(&copy));
	buf_free(&copy);
}

void dispatch_rescue_reads(struct worker *worker, struct backend *lane)
{
	struct request *request = lane->head, *next;

	for (; request != NULL; request = next) {
		struct route route = { .target = ROUTE_MASTER };

		next = request->next_of_backend;
		if (request->client != NULL && request->retries < REQUEST_RETRIES_MAX &&
		    waits_for_nothing_but_reads(request->client))
			route = route_rescued(request->client);
		if (route.target == ROUTE_NODE)
			send_to_replica(worker, request, lane, &route);
	}
}
