/* Replies on their way to clients.
 *
 * A client sees its replies in the order it asked, whatever node served them:
 * bytes of the request at the head of its queue go straight to its output,
 * those of a later one wait in the request. Consecutive replies to one client
 * that stand side by side in a read buffer are copied once, as one run.
 *
 * Every request is settled exactly once: answered, answered by weir with an
 * error, sent again, or dropped with its client. */
#include "delivery.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../clock.h"
#include "../backend/consistency.h"
#include "../worker/control_line.h"
#include "cursors.h"
#include "dispatch.h"
#include "../backend/ejection.h"
#include "../local/local.h"
#include "../log.h"
#include "../backend/pool.h"
#include "../backend/request.h"
#include "../measures/slow_note.h"
#include "../worker/worker.h"

/* ---- runs ---- */

/* Whoever has more than one gets them in one write, later. */
void delivery_settle(struct worker *worker)
{
	for (unsigned i = 0; i < worker->run_count; i++) {
		const struct run *run = &worker->runs[i];

		if (run->client == NULL)
			continue;
		run->client->runs--;
		client_reply(run->client, run->bytes, run->length, run->client->runs == 0);
	}
	worker->run_count = 0;
}

static bool goes_on(const struct run *last, const struct client *client, const char *bytes)
{
	return last->client == client && last->bytes + last->length == bytes;
}

static void pass_on_copy(struct client *client, const char *bytes, size_t length)
{
	delivery_settle(client->worker);
	client_reply(client, bytes, length, false);
}

/* Only what was read just now stays where it is until that is settled. */
static bool may_be_lent(const struct worker *worker, const char *bytes)
{
	uintptr_t buffer = (uintptr_t)worker->read_buffer, at = (uintptr_t)bytes;

	return at >= buffer && at < buffer + WORKER_READ_BYTES;
}

static void pass_on(struct client *client, const char *bytes, size_t length)
{
	struct worker *worker = client->worker;

	if (!may_be_lent(worker, bytes)) {
		pass_on_copy(client, bytes, length);
		return;
	}
	if (worker->run_count > 0 && goes_on(&worker->runs[worker->run_count - 1], client, bytes)) {
		worker->runs[worker->run_count - 1].length += length;
		return;
	}
	if (worker->run_count == WORKER_RUNS_MAX)
		delivery_settle(worker);
	worker->runs[worker->run_count++] = (struct run){ client, bytes, length };
	client->runs++;
}

static void forget_runs(struct client *client)
{
	struct worker *worker = client->worker;

	for (unsigned i = 0; i < worker->run_count && client->runs > 0; i++) {
		if (worker->runs[i].client != client)
			continue;
		worker->runs[i].client = NULL;
		client->runs--;
	}
}

/* ---- requests ---- */

/* The server's answer is the client's. */
static bool is_clients_own(const struct request *request)
{
	return request->kind == REQUEST_CLIENT || request->kind == REQUEST_CURSOR;
}

/* It is a word of the client, whatever weir makes of the answer. */
static bool is_clients_word(const struct request *request)
{
	return is_clients_own(request) || request->kind == REQUEST_QUEUED || request->kind == REQUEST_EXEC;
}

/* What the head has held back so far becomes the client's, if it wants that. */
static void release_held(struct client *client, struct request *head)
{
	if (!(head->flags & REQUEST_SILENT)) {
		pass_on_copy(client, buf_head(head->held), buf_length(head->held));
		head->flags |= REQUEST_STREAMING;
	}
	request_drop_held(head);
}

/* The head was answered: whoever follows and is ready may go out now. */
static void advance(struct client *client)
{
	struct request *head;

	while ((head = client->head) != NULL && !client->closing) {
		bool answered = head->flags & REQUEST_ANSWERED;

		if (!answered && (head->flags & REQUEST_WHOLE))
			break;
		if (head->held != NULL)
			release_held(client, head);
		if (!answered || client->closing)
			break;
		client->head = head->next_of_client;
		if (client->head == NULL)
			client->tail = NULL;
		client->in_flight--;
		client->appetite.answers++;
		request_free(&client->worker->requests, head);
	}
	if (client->closing)
		return;
	if (client->close_after_flush && client->head == NULL) /* the last reply may have been a silent one */
		list_mark(&client->worker->dirty_clients, &client->dirty);
	client_check_stall(client);
}

/* For the order of effects a request is over with its reply, whenever the
 * client gets to see that. */
static void leave_lane(struct request *request)
{
	struct client *client = request->client;

	if (request->flags & REQUEST_ON_REPLICA)
		client->replica_in_flight--;
	if ((request->flags & REQUEST_ON_LANE) && --client->lane_in_flight == 0)
		client->lane = NULL;
	request->flags &= ~(uint32_t)(REQUEST_ON_REPLICA | REQUEST_ON_LANE);
}

/* What measure() has not counted: an answer that is weir's in the end, or for a
 * client that has left. */
static void count_untimed(struct worker *worker, struct request *request, unsigned flags)
{
	struct answer answer = { .command = request->command, .counts_as = request->counts_as,
				 .flags = (uint8_t)(flags | ANSWER_UNTIMED) & 0xf };

	if (!answer_is_of_command(answer))
		return;
	worker_count_answer(worker, answer, 1);
	worker_settle_answers(worker);
	request->command = request->counts_as = 0;
}

static void answered(struct request *request)
{
	struct client *client = request->client;

	leave_lane(request);
	if (request->counts_as != 0)
		count_untimed(client->worker, request, slice_begins_with(request_held(request), "-") ? ANSWER_FAILED : 0);
	request->flags |= REQUEST_ANSWERED;
	if (client->head == request)
		advance(client);
	else
		client_check_stall(client);
}

/* ---- bytes of replies ---- */

enum delivery_mode delivery_begin(const struct request *request, char type)
{
	if (request->client == NULL || (request->flags & (REQUEST_MUTED | REQUEST_STALE)))
		return DELIVERY_DROP;
	if (request->kind != REQUEST_CLIENT || (request->flags & REQUEST_WHOLE) || type == '-' || type == '|') /* an error may stand behind an attribute */
		return DELIVERY_HOLD;
	return request->flags & REQUEST_SILENT ? DELIVERY_DROP : DELIVERY_PASS;
}

/* Returns how many of the bytes it kept: all, but for what stands behind the
 * head of a scan's reply. */
static size_t hold_back(struct request *request, const char *bytes, size_t length)
{
	size_t kept = length;

	if (request->kind == REQUEST_CURSOR && (request->flags & REQUEST_WHOLE))
		kept = cursors_take_head(request, bytes, length);
	else
		request_hold(request, bytes, length);
	if (request->client->head == request && !(request->flags & REQUEST_WHOLE)) {
		request->flags |= REQUEST_STREAMING;
		release_held(request->client, request);
	}
	return kept;
}

/* Replies come in order unless a read was sent again, so it is nearly always the
 * client's oldest. */
bool delivery_overtakes(const struct request *request)
{
	const struct client *client = request->client;
	uint32_t out = request->flags & REQUEST_ON_REPLICA ? REQUEST_ON_REPLICA | REQUEST_ON_LANE : REQUEST_ON_REPLICA;

	if (client->head == request || client->session.consistency == CONSISTENCY_EVENTUAL ||
	    client->replica_in_flight == 0)
		return false;
	for (const struct request *earlier = client->head; earlier != request; earlier = earlier->next_of_client)
		if (earlier->flags & out)
			return true;
	return false;
}

/* The reads behind it must not come back from a place in time before the one
 * that it is going to see. They are all with this replica, unless the session
 * is eventual: then each stands for itself, and one on another replica may be
 * half answered. */
void delivery_make_stale(struct request *request)
{
	request->flags |= REQUEST_STALE;
	if (request->client->session.consistency == CONSISTENCY_EVENTUAL)
		return;
	for (; request != NULL; request = request->next_of_client)
		if (request->flags & REQUEST_ON_REPLICA)
			request->flags |= REQUEST_STALE;
}

void delivery_bytes(struct request *request, const char *bytes, size_t length)
{
	struct client *client = request->client;

	if (client == NULL)
		return;
	if (client->head != request || (request->flags & REQUEST_WHOLE)) {
		size_t kept = hold_back(request, bytes, length);

		client_check_output(client);
		if (kept < length)
			delivery_bytes(request, bytes + kept, length - kept);
		return;
	}
	if (request->flags & REQUEST_SILENT)
		return;
	request->flags |= REQUEST_STREAMING;
	pass_on(client, bytes, length);
}

/* CLIENT REPLY silences replies, and this counts as a message. */
void delivery_confirmation(struct request *request, struct slice bytes)
{
	struct client *client = request->client;

	request->flags &= ~(uint32_t)REQUEST_SILENT;
	if (client->head != request) {
		request_hold(request, bytes.bytes, bytes.length);
		return;
	}
	request->flags |= REQUEST_STREAMING;
	pass_on_copy(client, bytes.bytes, bytes.length);
}

/* Errors that a replica gives instead of a read's answer, before executing
 * anything, where another node can answer. */
enum node_error_kind {
	OF_THIS_NODE,      /* it is not well: any other may answer */
	OF_ALL_BUT_MASTER, /* the others may say the same: it is older than its master, or behind */
	OF_BEING_REPLICA,  /* the others do say the same, and to a client of a replica it is the answer */
};

static const struct node_error {
	const char *prefix;
	enum node_error_kind kind;
} node_errors[] = {
	{ "-LOADING", OF_THIS_NODE },
	{ "-MASTERDOWN", OF_THIS_NODE },
	{ "-NOREPLICAS", OF_THIS_NODE },
	{ "-BUSY ", OF_THIS_NODE },
	{ "-NOAUTH", OF_THIS_NODE },
	{ "-NOSCRIPT", OF_ALL_BUT_MASTER },
	{ "-ERR unknown command", OF_ALL_BUT_MASTER },
	{ "-ERR unknown subcommand", OF_ALL_BUT_MASTER },
	{ "-ERR Unknown subcommand", OF_ALL_BUT_MASTER },
	{ "-READONLY", OF_BEING_REPLICA }, /* a function that writes, called read-only: the master knows better why not */
};

static const struct node_error *find_node_error(struct slice reply)
{
	for (size_t i = 0; i < sizeof(node_errors) / sizeof(node_errors[0]); i++)
		if (slice_begins_with(reply, node_errors[i].prefix))
			return &node_errors[i];
	return NULL;
}

/* After a reply that the client shall not see. */
static void send_again(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	struct buf copy = { 0 };

	buf_append(&copy, bytes.bytes, bytes.length); /* the stream may move while it is sent again */
	request_drop_held(request);
	request->avoid = (uint8_t)(from->node_id + 1);
	dispatch_again(worker, request, buf_slice(&copy));
	buf_free(&copy);
}

/* An error of the server. True when the client shall not see it, because the
 * request was sent again. */
static bool judge_error(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	struct slice reply = request_held(request);
	const struct node_error *error;

	if (from->key.node == BACKEND_TO_MASTER) {
		if (slice_begins_with(reply, "-READONLY") || slice_begins_with(reply, "-LOADING"))
			control_line_suspect(worker->shared->control, from->node_id);
		return false;
	}
	error = request->flags & REQUEST_READ ? find_node_error(reply) : NULL;
	if (error == NULL || (error->kind != OF_THIS_NODE && worker->config->fallback == FALLBACK_ERROR) ||
	    (error->kind == OF_BEING_REPLICA && request->client->session.endpoint == ENDPOINT_REPLICA))
		return false;
	if (error->kind == OF_THIS_NODE)
		control_line_suspect(worker->shared->control, from->node_id);
	if (request_is_bound(request))
		return false;
	if (error->kind != OF_THIS_NODE)
		request->flags |= REQUEST_TO_MASTER;
	send_again(worker, request, from, bytes);
	return true;
}

/* A scan's reply was dropped, because its cursor cannot be handed out. The
 * master's can, so the iteration begins there; one that is under way cannot
 * change its node. */
static void judge_cursor(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	if (request_is_bound(request) || worker->config->fallback == FALLBACK_ERROR) {
		delivery_error(worker, request, "NOCURSOR this table is too large for a cursor on a replica; begin again at 0");
		return;
	}
	request->flags |= REQUEST_TO_MASTER;
	send_again(worker, request, from, bytes);
}

static struct answer answer_of(const struct request *request, enum latency_class class, uint32_t us, bool failed)
{
	unsigned flags = (failed ? ANSWER_FAILED : 0) | (request->flags & REQUEST_WAITS ? ANSWER_UNTIMED : 0);
	bool judged = !is_clients_own(request); /* then it is counted when that is done: answered() */

	return (struct answer){ .us = us, .command = judged ? 0 : request->command,
				.counts_as = judged ? 0 : request->counts_as, .flags = flags & 0xf, .class = class & 0xf };
}

/* How long the client had to wait, wherever the time went. What weir judges has
 * a class of its own, as what it answers without asking. */
static void measure(struct worker *worker, const struct request *request, const struct backend *from, const char *bytes,
		    bool failed)
{
	uint32_t total_us = worker->reading_us - request->begun_us;
	enum latency_class class = !is_clients_word(request) ? LATENCY_LOCAL
				   : request->flags & REQUEST_READ ? LATENCY_READ : LATENCY_WRITE;

	worker_count_answer(worker, answer_of(request, class, total_us, failed), 1);
	if (total_us >= worker->slow_us && class != LATENCY_LOCAL && !(request->flags & REQUEST_WAITS))
		slow_note(worker, request, from, bytes, total_us);
}

/* The same for a row: all in one, unless there is something to say of each. */
static void measure_row(struct worker *worker, const struct delivery_row *row, const struct backend *from)
{
	const struct request *first = row->first, *end = row->last->next_of_client;
	uint32_t total_us = worker->reading_us - first->begun_us;
	enum latency_class class = first->flags & REQUEST_READ ? LATENCY_READ : LATENCY_WRITE;

	if (row->alike && total_us < worker->slow_us) {
		worker_count_answer(worker, answer_of(first, class, total_us, false), row->count);
		return;
	}
	for (const struct request *request = first; request != end; request = request->next_of_client)
		measure(worker, request, from, row->requests + (request->at - first->at), false);
}

/* What replies prove about what this session has seen. `flags`: those of their
 * requests. */
static void observe(struct client *client, struct backend *from, uint32_t flags, int64_t now_ns)
{
	struct session *session = &client->session;

	if (from->key.node == BACKEND_TO_MASTER) {
		consistency_observed(client, from, flags & REQUEST_WRITE, now_ns);
	} else if (flags & REQUEST_ON_REPLICA) {
		if (from->worker->struck)
			ejection_answered(from->worker, from->node_id);
		session->seen_node = (int32_t)from->node_id;
		session->seen_generation = from->generation;
		session->seen_role = from->roles_answered;
		session->seen_ns = now_ns;
	}
}

/* Is the session done with its private backend? Only what the server has
 * answered counts, and only when nothing is on its way. */
static void perhaps_unpin(struct client *client, const struct backend *from)
{
	struct session *session = &client->session;

	if (session->pinned != from || from->head != NULL || local_is_settling(session))
		return;
	session->in_multi = session->bonds.in_multi;
	if (!session_is_bound(session))
		dispatch_unpin(client);
}

/* The reply is whole. True when the client may have it now: local.c may have a
 * word to say first, and may close the client, which frees the request. */
static bool is_judged(struct request *request)
{
	struct client *client = request->client;
	enum local_judgement judgement;

	if (is_clients_own(request) || request->kind == REQUEST_LOCAL)
		return true;
	leave_lane(request); /* it may take another one */
	request->flags |= REQUEST_WHOLE;
	judgement = local_judge(client, request, request_held(request));
	if (client->closing || judgement == JUDGED_LATER)
		return false;
	if (judgement == JUDGED_DROPPED)
		request_drop_held(request);
	return true;
}

void delivery_done(struct worker *worker, struct request *request, struct backend *from, char type,
		   struct slice bytes, int64_t now_ns)
{
	struct client *client = request->client;

	if (request->flags & REQUEST_USERS)
		worker_users_changed(worker);
	if (client == NULL) {
		count_untimed(worker, request, type == '-' ? ANSWER_FAILED : 0);
		request_free(&worker->requests, request);
		return;
	}
	if (request->flags & REQUEST_STALE) {
		dispatch_stale(worker, request, from, bytes);
		return;
	}
	if (request->kind == REQUEST_CURSOR && (request->flags & REQUEST_WHOLE) && request->held == NULL) {
		judge_cursor(worker, request, from, bytes);
		return;
	}
	if (type == '-' && is_clients_word(request) && !(request->flags & REQUEST_MUTED) &&
	    judge_error(worker, request, from, bytes))
		return;
	if (type == '-' && dispatch_wait_elsewhere(worker, request, from, bytes))
		return;
	if (request->kind == REQUEST_SCRIPT_KILL && dispatch_kill_elsewhere(worker, request, from, bytes))
		return;
	measure(worker, request, from, bytes.bytes, type == '-');
	if (is_clients_own(request))
		request->command = request->counts_as = 0; /* it was counted */
	observe(client, from, request->flags, now_ns);
	if (type == '_' && (request->flags & REQUEST_ON_REPLICA))
		dispatch_missed(client, bytes);
	if (request->special != SPECIAL_NONE)
		local_follow(client, (enum command_special)request->special, type);
	if (is_judged(request))
		answered(request);
	if (!client->closing)
		perhaps_unpin(client, from);
}

/* ---- rows of replies ---- */

bool delivery_waits_for(const struct request *request)
{
	return request->client != NULL && request->client->head == request && !request->client->closing;
}

/* All of them took one way. */
static void leave_lane_together(struct client *client, const struct request *one, unsigned count)
{
	if (one->flags & REQUEST_ON_REPLICA)
		client->replica_in_flight -= count;
	if ((one->flags & REQUEST_ON_LANE) && (client->lane_in_flight -= count) == 0)
		client->lane = NULL;
	client->in_flight -= count;
	client->appetite.answers += count;
}

/* They leave the client's queue. */
static void free_row(struct worker *worker, struct client *client, const struct delivery_row *row)
{
	client->head = row->last->next_of_client;
	if (client->head == NULL)
		client->tail = NULL;
	request_free_row(&worker->requests, row->first, row->last, row->count);
}

void delivery_run(struct worker *worker, const struct delivery_row *row, struct backend *from, int64_t now_ns)
{
	struct client *client = row->first->client;

	leave_lane_together(client, row->first, row->count);
	measure_row(worker, row, from);
	free_row(worker, client, row);
	observe(client, from, row->flags, now_ns);
	pass_on(client, row->replies.bytes, row->replies.length);
	if (!client->closing)
		advance(client);
}

/* ---- what was lost ---- */

void delivery_answer(struct worker *worker, struct request *request, struct slice reply)
{
	if (request->client == NULL) {
		request_free(&worker->requests, request);
		return;
	}
	request_drop_held(request);
	request_hold(request, reply.bytes, reply.length);
	if (is_judged(request))
		answered(request);
}

void delivery_refused(struct worker *worker, struct request *request, struct slice refusal)
{
	if (request->flags & REQUEST_MUTED)
		answered(request);
	else
		delivery_answer(worker, request, refusal);
}

void delivery_finish(struct request *request)
{
	struct client *client = request->client;

	answered(request);
	if (!client->closing && client->session.pinned != NULL)
		perhaps_unpin(client, client->session.pinned);
}

void delivery_error(struct worker *worker, struct request *request, const char *text)
{
	struct buf reply = { 0 };

	encode_error(&reply, text);
	delivery_answer(worker, request, buf_slice(&reply));
	buf_free(&reply);
}

static void error_not_sent(struct worker *worker, struct request *request, const struct backend *from)
{
	if (from->key.node == BACKEND_TO_MASTER) {
		stats_add(&worker->stats, STAT_no_master, 1);
		delivery_error(worker, request, "NOMASTER the master was lost; the command was not sent");
	} else {
		delivery_error(worker, request, "NOREPLICA the replica was lost; the command was not sent");
	}
}

/* Asked again, a read would show what a command behind it did, whose outcome
 * the client does not know. */
static bool has_sent_write_behind(const struct request *request)
{
	for (request = request->next_of_client; request != NULL && (request->flags & REQUEST_SENT);
	     request = request->next_of_client)
		if (request->flags & REQUEST_WRITE)
			return true;
	return false;
}

static bool may_read_again(const struct request *request, const struct backend *from)
{
	return (request->flags & REQUEST_READ) && from->key.kind != BACKEND_PRIVATE && !has_sent_write_behind(request);
}

/* At the home of a session on the replica endpoint: nothing was done there, or
 * nothing stays of it. */
static bool may_go_to_next_home(const struct request *request, const struct backend *from, bool sent)
{
	bool is_untouched = !sent && !(request->flags & (REQUEST_BLOCK | REQUEST_CUT)) && from->key.kind != BACKEND_PRIVATE;

	return from->key.node != BACKEND_TO_MASTER && (is_untouched || backend_can_be_replaced(from, request));
}

void delivery_lost(struct worker *worker, struct request *request, struct backend *from, bool sent,
		   struct slice bytes)
{
	struct client *client = request->client;

	assert(client != NULL && request->backend == NULL);
	if ((request->flags & REQUEST_USERS) && sent)
		worker_users_changed(worker);
	if (request->flags & REQUEST_STREAMING) {
		client_close(client, CLOSE_node_lost_mid_reply);
		return;
	}
	request_drop_held(request);
	if (is_clients_word(request))
		request->flags &= ~(uint32_t)REQUEST_WHOLE;
	if (request->flags & REQUEST_MUTED) { /* weir had an answer of its own, but the context is gone */
		delivery_error(worker, request, "EXECABORT the transaction's connection was lost");
	} else if (request_is_bound(request)) {
		dispatch_bound_again(worker, request, from, bytes);
	} else if (may_read_again(request, from)) {
		if (from->key.node != BACKEND_TO_MASTER)
			request->avoid = (uint8_t)(from->node_id + 1);
		dispatch_again(worker, request, bytes);
	} else if (may_go_to_next_home(request, from, sent)) {
		dispatch_ask_again(worker, request, from, bytes);
	} else if (!sent) {
		error_not_sent(worker, request, from);
	} else {
		stats_add(&worker->stats, STAT_unknown_results, 1);
		delivery_error(worker, request,
			       "UNKNOWNRESULT the connection to the server was lost after the command was sent; "
			       "it may or may not have been applied");
	}
	if (from->owner == client && !client->closing)
		perhaps_unpin(client, from);
}

void delivery_private_lost(struct backend *backend)
{
	struct client *client = backend->owner;

	if (client->session.pin == PIN_SINGLE)
		return;
	if (session_listens(&client->session)) /* it may have what it was told so far */
		client_finish_alone(client, client->close_after_flush ? client->close_reason : CLOSE_private_backend_lost);
	else
		client_close(client, CLOSE_private_backend_lost);
}

void delivery_private_expired(struct backend *backend)
{
	struct client *client = backend->owner;

	if (client->session.pin == PIN_SINGLE || client->session.doom != DOOM_NONE)
		dispatch_unpin(client);
	else /* what is still to come must not run without what was answered so */
		client_finish(client, CLOSE_private_backend_lost);
}

void delivery_abandon(struct client *client)
{
	struct worker *worker = client->worker;
	struct request *request;

	forget_runs(client);
	while ((request = client->head) != NULL) {
		client->head = request->next_of_client;
		leave_lane(request);
		request->next_of_client = NULL;
		request->client = NULL;
		if (request->backend == NULL) {
			request_free(&worker->requests, request);
			continue;
		}
		request_drop_held(request);
		stats_add(&worker->stats, STAT_orphans, 1);
	}
	client->tail = NULL;
	client->in_flight = 0;
}

/* ---- what nobody asked for ---- */

void delivery_push(struct backend *backend, const char *bytes, size_t length)
{
	if (!backend->owner->closing)
		pass_on(backend->owner, bytes, length);
}

void delivery_push_collected(struct backend *backend, struct slice bytes)
{
	if (!backend->owner->closing)
		pass_on_copy(backend->owner, bytes.bytes, bytes.length);
}

void delivery_pushed(struct backend *backend, int64_t now_ns)
{
	if (backend->key.node == BACKEND_TO_MASTER)
		consistency_observed(backend->owner, backend, false, now_ns);
}
