/* Reads: to a replica that is fresh enough, else to the master; and again, when
 * the node they were sent to is lost. */
#include "dispatch_parts.h"

#include "control_line.h"
#include "delivery.h"
#include "pool.h"

enum { RETRIES_MAX = 2 };

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
				   .kind = script ? BACKEND_SCRIPT : BACKEND_SHARED, .resp = session->resp };

	return pool_shared(client->worker, &key);
}

static enum verdict read_on_master(struct client *client, const struct parsed_command *parsed, enum stat_id why)
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
		dispatch_count(client, STAT_reads_on_master);
		dispatch_count(client, why);
	}
	return verdict;
}

static enum verdict read_on_replica(struct client *client, const struct parsed_command *parsed, uint32_t index)
{
	const struct snapshot_node *node = &client->worker->snapshot->nodes[index];
	struct session *session = &client->session;
	struct backend *lane;

	if (client->replica_in_flight > 0 && session->consistency != CONSISTENCY_EVENTUAL &&
	    (session->read_node != (int32_t)node->id || session->read_incarnation != node->incarnation))
		return dispatch_stall(client, STALL_REPLICAS); /* two nodes at once could show time running backwards */
	lane = dispatch_read_lane(client, (int32_t)node->id, is_script(parsed->command));
	if (backend_is_full(lane))
		return dispatch_wait_for_room(client);
	session->read_node = (int32_t)node->id;
	session->read_incarnation = node->incarnation;
	dispatch_send_to(client, lane, parsed, read_flags(parsed->command) | REQUEST_ON_REPLICA);
	dispatch_count(client, STAT_reads_on_replicas);
	return TAKEN;
}

enum verdict dispatch_read(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (session->endpoint == ENDPOINT_SPLIT && session->identity->state != IDENTITY_ACCEPTED)
		return read_on_master(client, parsed, STAT_left_user);
	if (chunk->has_write || client->lane_in_flight > 0)
		return read_on_master(client, parsed, STAT_left_write_in_pipeline);
	if (session->consistency == CONSISTENCY_STRONG)
		return read_on_master(client, parsed, STAT_left_floor);
	if (!chunk->routed) {
		struct route_demand demand = dispatch_demand(client);

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

/* What was lost on two replicas may be lost on a third one as well. */
static bool is_last_try(const struct request *request)
{
	return request->retries == RETRIES_MAX - 1;
}

static struct route route_again(struct worker *worker, const struct request *request)
{
	struct route_demand demand = dispatch_demand(request->client);
	bool has_master = worker->snapshot->master >= 0;

	if (!(request->flags & REQUEST_ON_REPLICA) || (request->flags & REQUEST_TO_MASTER))
		return (struct route){ .target = ROUTE_MASTER };
	demand.avoid = request->avoid;
	if ((is_one_of_several(request->client) || is_last_try(request)) && has_master && !demand.fallback_error &&
	    !must_not_reach_master(request))
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
	const struct snapshot_node *node = &worker->snapshot->nodes[route->node];
	bool script = request->flags & REQUEST_SCRIPT;
	struct backend *lane;

	if (route->target == ROUTE_NODE) {
		client->session.read_node = (int32_t)node->id;
		client->session.read_incarnation = node->incarnation;
		return dispatch_read_lane(client, (int32_t)node->id, script);
	}
	lane = dispatch_read_lane(client, BACKEND_TO_MASTER, script);
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
