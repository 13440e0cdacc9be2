#include "waiting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/encode.h"
#include "../clock.h"
#include "../backend/consistency.h"
#include "dispatch_parts.h"

/* A replica that has not answered by then is not attached, as far as WAIT 0 goes. */
enum { ENOUGH_MS = 20 };

static const char bad_token[] = "BADTOKEN the token is of another history than the present master's";
static const char no_token[] = "BADTOKEN a token is what WEIR TOKEN answers, <replid>:<offset>";

/* ---- one wait ---- */

static void begin(struct client *client, int64_t timeout_ms)
{
	struct client_wait *wait = &client->wait;

	if (wait->since_ns != 0)
		return;
	*wait = (struct client_wait){ .since_ns = client->worker->now_ns };
	if (timeout_ms > 0)
		wait->until_ns = wait->since_ns + clock_ms_to_ns(timeout_ms);
}

static void end(struct client *client)
{
	client->wait = (struct client_wait){ 0 };
}

static bool is_over(const struct client *client)
{
	const struct client_wait *wait = &client->wait;

	return wait->unblocked || (wait->until_ns != 0 && client->worker->now_ns >= wait->until_ns);
}

static void look_again_in_a_moment(struct client *client)
{
	worker_wait_a_moment(client->worker, client);
	client->stall = STALL_EVENT;
}

/* Nothing of the session is under way any more, replies or their proof. False:
 * the command waits for that. */
static bool has_settled(struct client *client)
{
	if (client->in_flight > 0)
		client->stall = STALL_ALL;
	else if (client->awaits_proof)
		look_again_in_a_moment(client);
	else
		return true;
	return false;
}

bool waiting_unblock(struct client *client, bool with_error)
{
	if (client->wait.since_ns == 0)
		return false;
	client->wait.unblocked = true;
	client->wait.with_error = with_error;
	client_wake(client);
	return true;
}

/* ---- numbers ---- */

/* As redis-server takes them: a decimal number within 64 bits. */
static bool parse_number(struct slice text, int64_t *number)
{
	size_t negative = text.length > 0 && text.bytes[0] == '-';
	uint64_t value = 0;

	if (text.length == negative || text.length - negative > 18)
		return false;
	for (size_t i = negative; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.bytes[i] - '0');
	}
	*number = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* ---- WAIT ---- */

/* The offset that covers what the session has written. False: it is being asked
 * for. */
static bool find_written(struct client *client, struct backend *master, uint64_t *offset)
{
	const struct worker *worker = client->worker;
	const struct session *session = &client->session;
	int64_t since_ns = session->write_ns;

	*offset = 0;
	if (since_ns == 0)
		return true;
	if (session->write_epoch == worker->snapshot->epoch) {
		*offset = session->write_offset;
		return true;
	}
	if (since_ns < worker->positions.epoch_ns)
		since_ns = worker->positions.epoch_ns;
	if (lag_first_after(&worker->positions.samples, since_ns, offset))
		return true;
	consistency_want(master);
	return false;
}

/* Seen since the wait began: that a replica has applied it is as good as its
 * acknowledgement, and comes sooner; of replicas that weir is not configured
 * for, the master's word has to do, which is up to a second old. */
static int64_t count_replicas(const struct client *client, uint64_t offset)
{
	const struct worker *worker = client->worker;
	int64_t applied = 0, acknowledged = 0;

	for (size_t i = 0; i < worker->load_count; i++)
		applied += worker->loads[i].position_ns >= client->wait.since_ns && worker->loads[i].position >= offset;
	for (size_t i = 0; i < worker->positions.acks.count; i++)
		acknowledged += worker->positions.acks_ns >= client->wait.since_ns &&
				worker->positions.acks.offsets[i] >= offset;
	return applied > acknowledged ? applied : acknowledged;
}

static void ask_everybody(struct client *client, struct backend *master)
{
	const struct snapshot *snapshot = client->worker->snapshot;

	consistency_want(master);
	for (size_t i = 0; i < snapshot->node_count; i++)
		if ((int)i != snapshot->master && snapshot->nodes[i].up)
			consistency_want(dispatch_read_lane(client, (int32_t)snapshot->nodes[i].id, false));
}

static void answer_count(struct client *client, int64_t count)
{
	struct buf reply = { 0 };

	if (client->wait.with_error)
		encode_error(&reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
	else
		encode_integer(&reply, count);
	end(client);
	dispatch_answer(client, buf_slice(&reply));
	buf_free(&reply);
}

static bool parse_wait(const struct parsed_command *parsed, int64_t *wanted, int64_t *timeout_ms)
{
	struct resp_args args;
	struct slice word;

	resp_args_begin(&args, parsed->bytes);
	return parsed->argc == 3 && resp_args_next(&args, &word) && resp_args_next(&args, &word) &&
	       parse_number(word, wanted) && resp_args_next(&args, &word) && parse_number(word, timeout_ms) &&
	       *timeout_ms >= 0;
}

enum waiting_result waiting_for_replicas(struct client *client, const struct parsed_command *parsed)
{
	struct worker *worker = client->worker;
	struct backend *master = dispatch_read_lane(client, BACKEND_TO_MASTER, false);
	int64_t wanted, timeout_ms, count;
	uint64_t offset;
	bool known, asked_enough;

	if (client->session.endpoint != ENDPOINT_SPLIT || worker->snapshot->master < 0 ||
	    !parse_wait(parsed, &wanted, &timeout_ms))
		return WAITING_NOT_HERE;
	worker_want_floors(worker);
	if (!consistency_applies(master))
		return WAITING_NOT_HERE;
	if (!has_settled(client))
		return WAITING_GOES_ON;
	begin(client, timeout_ms);
	known = find_written(client, master, &offset);
	count = known ? count_replicas(client, offset) : 0;
	asked_enough = wanted <= 0 && worker->now_ns - client->wait.since_ns > clock_ms_to_ns(ENOUGH_MS);
	if (is_over(client) || (known && ((count >= wanted && count > 0) || asked_enough))) {
		answer_count(client, count);
		return WAITING_ANSWERED;
	}
	ask_everybody(client, master);
	look_again_in_a_moment(client);
	return WAITING_GOES_ON;
}

/* ---- WEIR TOKEN, WEIR WAIT ---- */

static enum local_result refuse(struct client *client, const char *text)
{
	end(client);
	dispatch_error(client, text);
	return LOCAL_DONE;
}

static enum local_result answer_token(struct client *client, uint64_t offset)
{
	char text[RUN_ID_LENGTH + 32];
	struct buf reply = { 0 };

	snprintf(text, sizeof(text), "%s:%" PRIu64, client->worker->snapshot->replid, offset);
	encode_bulk_text(&reply, text);
	end(client);
	dispatch_answer(client, buf_slice(&reply));
	buf_free(&reply);
	return LOCAL_DONE;
}

/* What the session has seen, where that has an offset; else whatever the master
 * is at when it is asked, which covers it. False: neither is known yet. */
static bool find_position(const struct client *client, uint64_t *offset)
{
	const struct session *session = &client->session;
	const struct worker *worker = client->worker;
	struct route_demand demand = dispatch_demand(client);
	bool has_floor = worker_needs_floors(worker) && session->consistency != CONSISTENCY_EVENTUAL;

	if (client->index_ready && session->index_epoch == worker->snapshot->epoch)
		*offset = session->index;
	else if (has_floor && worker->snapshot->epoch != 0 && !demand.unproven && !demand.unproven_elsewhere)
		*offset = demand.floor_elsewhere;
	else
		return false;
	return true;
}

/* Without a master it waits for one, as a write does. */
enum local_result waiting_token(struct client *client)
{
	struct worker *worker = client->worker;
	struct backend *master = dispatch_read_lane(client, BACKEND_TO_MASTER, false);
	uint64_t offset;

	worker_want_floors(worker);
	if (!has_settled(client))
		return LOCAL_STALLED;
	if (client->session.identity->may_not_ask_role)
		return refuse(client, "NOPERM the session's position is not known: its user may not run ROLE (+role)");
	if (find_position(client, &offset))
		return answer_token(client, offset);
	begin(client, worker->config->write_hold_ms);
	if (!is_over(client) && consistency_await_index(client, master))
		return LOCAL_STALLED;
	if (is_over(client) || worker->config->write_hold_ms == 0)
		return refuse(client, "NOMASTER there is no master that could be asked for the session's position");
	backend_open(master);
	look_again_in_a_moment(client);
	return LOCAL_STALLED;
}

static bool parse_token(struct slice token, struct slice *replid, int64_t *offset)
{
	const char *colon = memchr(token.bytes, ':', token.length);
	struct slice number;

	if (colon == NULL)
		return false;
	*replid = (struct slice){ token.bytes, (size_t)(colon - token.bytes) };
	number = (struct slice){ colon + 1, token.length - replid->length - 1 };
	return replid->length == RUN_ID_LENGTH && parse_number(number, offset) && *offset >= 0;
}

static bool any_has_reached(const struct worker *worker, uint64_t offset)
{
	for (size_t i = 0; i < worker->snapshot->node_count; i++) {
		const struct snapshot_node *node = &worker->snapshot->nodes[i];

		if (node->readable && (worker->loads[node->id].position >= offset ||
				       atomic_load_explicit(&node->vitals->offset, memory_order_acquire) >= offset))
			return true;
	}
	return false;
}

static enum local_result answer_ok(struct client *client)
{
	end(client);
	dispatch_answer(client, slice_of("+OK\r\n"));
	return LOCAL_DONE;
}

static void raise_session(struct client *client, uint64_t offset)
{
	struct session *session = &client->session;
	uint64_t epoch = client->worker->snapshot->epoch;

	if (session->floor_epoch != epoch && session->floor_epoch != 0)
		session->observed_ns = client->worker->now_ns; /* what the old floor stood for has no offset here */
	if (session->floor_epoch != epoch || session->floor < offset)
		session->floor = offset;
	session->floor_epoch = epoch;
}

enum local_result waiting_for_token(struct client *client, struct slice token, struct slice timeout)
{
	struct worker *worker = client->worker;
	struct slice replid;
	int64_t offset, timeout_ms = 0;

	if (timeout.bytes != NULL && (!parse_number(timeout, &timeout_ms) || timeout_ms < 0))
		return refuse(client, "ERR timeout is not an integer or out of range");
	if (!parse_token(token, &replid, &offset))
		return refuse(client, no_token);
	if (!slice_equal(replid, slice_of(worker->snapshot->replid)))
		return refuse(client, bad_token);
	worker_want_floors(worker);
	if (!has_settled(client))
		return LOCAL_STALLED;
	raise_session(client, (uint64_t)offset);
	if (timeout.bytes == NULL || any_has_reached(worker, (uint64_t)offset))
		return answer_ok(client);
	begin(client, timeout_ms);
	if (timeout_ms == 0 || is_over(client))
		return refuse(client, "TIMEOUT no replica has reached the position in this time");
	ask_everybody(client, dispatch_read_lane(client, BACKEND_TO_MASTER, false));
	look_again_in_a_moment(client);
	return LOCAL_STALLED;
}
