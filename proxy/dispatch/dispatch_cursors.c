/* SCAN and its kin on replicas.
 *
 * A cursor of 0 begins an iteration: that is a read like any other, and its
 * reply's cursor is tagged with the run that gave it. A tagged cursor goes on
 * where the tag says, whatever connection or worker it comes through, and
 * nowhere else. It still demands what every read demands: a node that is behind
 * what the session must see, or too old, is waited for up to backend_timeout.
 *
 * A request that goes on with a cursor is bound to a run of a server
 * (CURSOR_BOUND). Invariants: the backend in whose queue it stands has that run
 * for its target, backend_retarget() hands it back otherwise; and it is the only
 * request of its client in flight, so whenever it is answered, nothing of that
 * client can come from an earlier moment. */
#include "dispatch_parts.h"

#include <stdlib.h>

#include "../clock.h"
#include "../backend/consistency.h"
#include "../worker/control_line.h"
#include "cursors.h"
#include "delivery.h"
#include "../local/local.h"

static const char gone[] = "NOCURSOR the server that issued this cursor is gone, or was restarted; begin again at 0";
static const char elsewhere[] = "NOCURSOR this cursor is of another server than the one that this transaction or "
				"subscription talks to; begin again at 0";
static const char not_now[] = "NOREPLICA the server that issued this cursor may not serve it now; "
			      "try again later, or begin again at 0";
static const char timed_out[] = "TIMEOUT the server that issued this cursor has not answered within backend_timeout";

/* ---- waiting before it is sent ---- */

/* From the first look at a command to the last. */
static void begin_wait(struct client *client)
{
	if (client->bound.until_ns == 0)
		client->bound.until_ns = client->worker->now_ns + clock_ms_to_ns(client->worker->config->backend_timeout_ms);
}

static void end_wait(struct client *client)
{
	client->bound.until_ns = 0;
}

static bool has_waited_enough(const struct client *client)
{
	return client->worker->now_ns >= client->bound.until_ns;
}

static enum verdict wait_a_moment(struct client *client)
{
	worker_wait_a_moment(client->worker, client);
	return dispatch_stall(client, STALL_EVENT);
}

/* Has all that the node must show an offset? */
static bool is_proven(const struct client *client, const struct snapshot_node *node, const struct route_demand *demand)
{
	bool stays = demand->stay_on == (int32_t)node->id;
	bool has_index = client->index_ready && client->session.index_epoch == client->worker->snapshot->epoch;

	if (demand->unproven || (demand->unproven_elsewhere && !stays))
		return false;
	return has_index || client->session.consistency != CONSISTENCY_STRONG;
}

/* One is asked of the master. */
static enum verdict wait_for_offset(struct client *client)
{
	if (consistency_await_index(client, dispatch_read_lane(client, BACKEND_TO_MASTER, false)))
		return STALLED;
	consistency_want(dispatch_read_lane(client, BACKEND_TO_MASTER, false));
	return wait_a_moment(client);
}

/* ---- sending ---- */

static bool is_master(const struct worker *worker, size_t index)
{
	return (int)index == worker->snapshot->master;
}

static bool leads_to(const struct backend *backend, const struct snapshot_node *node)
{
	return backend->has_target && backend->node_id == node->id && backend->incarnation == node->incarnation;
}

/* NULL: it would not lead to this run. */
static struct backend *bound_lane(struct client *client, size_t index)
{
	const struct worker *worker = client->worker;
	const struct snapshot_node *node = &worker->snapshot->nodes[index];
	int32_t way = is_master(worker, index) ? BACKEND_TO_MASTER : (int32_t)node->id;
	struct backend *lane = dispatch_read_lane(client, way, false);

	backend_retarget(lane, worker->snapshot); /* a new one has no target yet */
	return leads_to(lane, node) ? lane : NULL;
}

static void rewrite(const struct parsed_command *parsed, uint64_t own, struct parsed_command *rewritten, struct buf *bytes)
{
	cursor_rewrite(bytes, (struct slice){ parsed->bytes, parsed->length }, cursors_position(parsed), own);
	*rewritten = *parsed;
	rewritten->bytes = buf_head(bytes);
	rewritten->length = buf_length(bytes);
}

static enum verdict send_bound(struct client *client, const struct parsed_command *parsed, uint64_t own, size_t index,
			       struct backend *lane, const struct route_demand *demand)
{
	const struct snapshot_node *node = &client->worker->snapshot->nodes[index];
	unsigned flags = REQUEST_READ;
	struct parsed_command rewritten;
	struct buf bytes = { 0 };

	end_wait(client);
	if (backend_is_full(lane))
		return dispatch_wait_for_room(client);
	if (dispatch_holds_too_much(lane, parsed->length)) {
		dispatch_hold_error(client);
		return TAKEN;
	}
	if (!is_master(client->worker, index)) {
		client->session.read_node = (int32_t)node->id;
		client->session.read_incarnation = node->incarnation;
		client->session.read_script = false;
		flags |= REQUEST_ON_REPLICA;
	}
	rewrite(parsed, own, &rewritten, &bytes);
	dispatch_send_to(client, lane, &rewritten, flags);
	client->tail->step = CURSOR_BOUND;
	client->tail->floor = route_floor(demand, node);
	client->stall = STALL_ALL;
	buf_free(&bytes);
	return TAKEN;
}

static enum verdict give_up(struct client *client, const char *why)
{
	end_wait(client);
	dispatch_count(client, STAT_lost_cursors);
	dispatch_error(client, why);
	return TAKEN;
}

static enum verdict take_tagged(struct client *client, const struct parsed_command *parsed, const struct cursor *cursor)
{
	const struct worker *worker = client->worker;
	int index = cursors_node(worker->snapshot, cursor->tag);
	struct route_demand demand;
	enum route_reason reason;
	struct backend *lane;
	bool proven;

	if (client->in_flight > 0) /* it may overtake nothing, and its way is given */
		return dispatch_stall(client, STALL_ALL);
	if (index == CURSORS_NO_NODE)
		return give_up(client, gone);
	begin_wait(client);
	demand = dispatch_demand(client);
	proven = is_master(worker, (size_t)index) || is_proven(client, &worker->snapshot->nodes[index], &demand);
	reason = route_bound(worker->snapshot, worker->loads, (uint32_t)index, &demand);
	lane = proven && reason == ROUTE_REASON_NONE ? bound_lane(client, (size_t)index) : NULL;
	if (lane != NULL)
		return send_bound(client, parsed, cursor->own, (size_t)index, lane, &demand);
	if (has_waited_enough(client))
		return give_up(client, not_now);
	if (!proven)
		return wait_for_offset(client);
	if (reason >= ROUTE_REASON_LAG)
		control_line_refresh(worker->shared->control);
	return wait_a_moment(client);
}

enum verdict dispatch_cursor(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	struct cursor cursor = cursors_named(parsed);
	enum local_gate gate;

	if (cursor.kind != CURSOR_TAGGED)
		return dispatch_read(client, parsed, chunk);
	gate = local_pass_gate(client);
	if (gate != GATE_OPEN)
		return gate == GATE_STALLED ? STALLED : TAKEN;
	return take_tagged(client, parsed, &cursor);
}

/* ---- waiting when it has been sent ---- */

static uint32_t waited_ms(const struct worker *worker, const struct request *request)
{
	return worker->now_ms - request->enqueued_ms;
}

static void lose(struct worker *worker, struct request *request, const char *why)
{
	stats_add(&worker->stats, STAT_lost_cursors, 1);
	delivery_error(worker, request, why);
}

/* The node has not proven what the request demands: its bytes are kept in place
 * of the reply until the node is known to have it. */
void dispatch_bound_stale(struct worker *worker, struct request *request, const struct backend *from, struct slice bytes)
{
	struct client *client = request->client;

	request_hold(request, bytes.bytes, bytes.length);
	request->flags |= REQUEST_WHOLE;
	client->bound.node_id = from->node_id;
	client->bound.incarnation = from->incarnation;
	worker_park(worker, client);
}

static void send_parked(struct request *request, struct backend *lane)
{
	struct buf *bytes = request_take_held(request);

	request->flags &= ~(uint32_t)REQUEST_WHOLE;
	backend_enqueue(lane, request, buf_slice(bytes));
	buf_free(bytes);
	free(bytes);
}

void dispatch_parked(struct client *client)
{
	struct worker *worker = client->worker;
	struct request *request = client->head;
	const struct snapshot_node *node = worker_node(worker, client->bound.node_id);
	struct route_demand demand = dispatch_demand(client);
	size_t index = node != NULL ? (size_t)(node - worker->snapshot->nodes) : 0;
	struct backend *lane = NULL;

	if (node == NULL || node->incarnation != client->bound.incarnation || is_master(worker, index)) {
		lose(worker, request, node == NULL || node->incarnation != client->bound.incarnation ? gone : not_now);
		return;
	}
	demand.floor = demand.floor_elsewhere = request->floor;
	demand.unproven = demand.unproven_elsewhere = false;
	demand.catch_up_ns = 0;
	if (route_bound(worker->snapshot, worker->loads, (uint32_t)index, &demand) == ROUTE_REASON_NONE)
		lane = bound_lane(client, index);
	if (lane != NULL) {
		send_parked(request, lane);
	} else if (waited_ms(worker, request) >= (uint64_t)worker->config->backend_timeout_ms) {
		lose(worker, request, not_now);
	} else {
		control_line_refresh(worker->shared->control);
		worker_park(worker, client);
	}
}

/* ---- lost on the way ---- */

void dispatch_bound_again(struct worker *worker, struct request *request, const struct backend *from,
			  struct slice bytes)
{
	const struct snapshot_node *node = worker_node(worker, from->node_id);
	bool same_run = node != NULL && node->incarnation == from->incarnation;
	size_t index = same_run ? (size_t)(node - worker->snapshot->nodes) : 0;
	struct backend *lane = NULL;

	if (request->flags & REQUEST_TIMED_OUT) {
		stats_add(&worker->stats, STAT_timeouts, 1);
		delivery_error(worker, request, timed_out);
		return;
	}
	if (same_run && is_master(worker, index) == (from->key.node == BACKEND_TO_MASTER) && request->retries++ < REQUEST_RETRIES_MAX)
		lane = bound_lane(request->client, index);
	if (lane == NULL) {
		lose(worker, request, same_run ? not_now : gone);
		return;
	}
	stats_add(&worker->stats, STAT_retried_reads, 1);
	request->enqueued_ms = worker->now_ms;
	if (request->flags & REQUEST_ON_LANE)
		request->client->lane = lane;
	backend_enqueue(lane, request, bytes);
}

/* ---- on a connection of the session's own ---- */

static bool refuse_plain(struct client *client, const struct parsed_command *parsed, const char *why)
{
	end_wait(client);
	dispatch_count(client, STAT_lost_cursors);
	if (client->session.in_multi)
		dispatch_refuse_queued(client, parsed->command, why);
	else
		dispatch_error(client, why);
	return false;
}

/* Where a connection that is not ready will lead is not settled. */
static bool untag(struct client *client, const struct parsed_command *parsed, const struct cursor *cursor,
		  struct parsed_command *plain, struct buf *bytes, enum verdict *verdict)
{
	const struct backend *pinned = client->session.pinned;
	const struct snapshot *snapshot = client->worker->snapshot;
	int index = cursors_node(snapshot, cursor->tag);
	bool ready = pinned->state == BACKEND_READY;

	if (index == CURSORS_NO_NODE)
		return refuse_plain(client, parsed, gone);
	begin_wait(client);
	if (!ready && !has_waited_enough(client)) {
		*verdict = wait_a_moment(client);
		return false;
	}
	if (!ready || !leads_to(pinned, &snapshot->nodes[index]))
		return refuse_plain(client, parsed, ready ? elsewhere : not_now);
	end_wait(client);
	rewrite(parsed, cursor->own, plain, bytes);
	return true;
}

bool dispatch_plain_cursor(struct client *client, const struct parsed_command *parsed, struct parsed_command *plain,
			   struct buf *bytes, enum verdict *verdict)
{
	struct cursor cursor = cursors_named(parsed);

	*plain = *parsed;
	*verdict = TAKEN;
	if (cursor.kind == CURSOR_TAGGED && !untag(client, parsed, &cursor, plain, bytes, verdict))
		return false;
	plain->class = COMMAND_MASTER_READ;
	return true;
}
