/* Private backends: blocking commands, transactions, streams, and what weir
 * refuses in the middle of them. */
#include "dispatch_parts.h"

#include <stdio.h>

#include "../../protocol/blocking.h"
#include "../../protocol/encode.h"
#include "../local/local.h"
#include "../backend/pool.h"

enum { DIVERTED_MAX = 32 }; /* of a worker; other commands that the master may hold wait for one of them */

/* ---- private backends ---- */

static void own(struct client *client, struct backend *backend, enum session_pin why)
{
	backend->owner = client;
	client->session.pinned = backend;
	client->session.pin = (uint8_t)why;
}

static bool pin_with_key(struct client *client, enum session_pin why, const struct backend_key *key, bool fresh)
{
	struct backend *backend = pool_take_private(client->worker, key, fresh);

	if (backend == NULL) {
		dispatch_error(client, "ERR no connection to the server is free (max_private_backends)");
		if (why != PIN_SINGLE || client->upload != UPLOAD_BEGINS) /* what follows in the pipeline may rest on it */
			client_finish(client, CLOSE_private_limit);
		return false;
	}
	own(client, backend, why);
	return true;
}

static bool pin(struct client *client, enum session_pin why, bool fresh)
{
	struct backend_key key = dispatch_lane_key(client, BACKEND_PRIVATE);
	bool pinned = pin_with_key(client, why, &key, fresh);

	pool_keep_warm(client->worker, &key);
	return pinned;
}

bool dispatch_bind(struct client *client)
{
	struct backend_key key = dispatch_lane_key(client, BACKEND_PRIVATE);
	struct backend *backend = pool_take_private(client->worker, &key, false);

	if (backend != NULL)
		own(client, backend, PIN_SESSION);
	return backend != NULL;
}

void dispatch_renew_key(struct client *client)
{
	struct backend *backend = client->session.pinned;
	struct identity *before = backend->key.identity;

	backend->key = dispatch_lane_key(client, BACKEND_PRIVATE);
	identity_acquire(backend->key.identity);
	identity_release(&before);
}

void dispatch_unpin(struct client *client)
{
	struct backend *backend = client->session.pinned;

	client->session.pinned = NULL;
	client->session.pin = PIN_NONE;
	if (client->upload == UPLOAD_PASSES)
		client->upload = UPLOAD_SKIPPED; /* it was answered before it was whole */
	pool_return_private(backend);
	client_check_stall(client);
}

static bool is_subscription(const struct command *command)
{
	return command->special >= SPECIAL_SUBSCRIBE && command->special <= SPECIAL_SUNSUBSCRIBE;
}

/* Leaves nothing on a connection that the next session could notice, once the
 * session's bonds are gone. */
static bool leaves_no_state(const struct parsed_command *parsed)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
	case COMMAND_SCRIPT:
	case COMMAND_TRANSACTION:
	case COMMAND_BLOCKING:
		return true;
	case COMMAND_STREAM:
		return is_subscription(parsed->command);
	case COMMAND_LOCAL:
		return parsed->command->special == SPECIAL_PING || parsed->command->special == SPECIAL_ECHO;
	default:
		return parsed->command->flags & (COMMAND_FLAG_WRITE | COMMAND_FLAG_READONLY);
	}
}

/* What is sent is a beginning, and the rest is to follow it. */
static void begin_upload(struct client *client)
{
	if (client->upload != UPLOAD_BEGINS)
		return;
	client->upload = UPLOAD_PASSES;
	dispatch_count(client, STAT_large_requests);
	if (!client->session.pinned->unframed)
		backend_begin_upload(client->session.pinned);
}

static void send_private(struct client *client, const struct parsed_command *parsed, unsigned flags)
{
	if (!leaves_no_state(parsed))
		client->session.pinned->tainted = true;
	dispatch_send_to(client, client->session.pinned, parsed, flags);
	if (parsed->class == COMMAND_BLOCKING || parsed->class == COMMAND_PRIVATE)
		client->tail->flags |= REQUEST_WAITS;
	begin_upload(client);
}

static void send_single(struct client *client, const struct parsed_command *parsed)
{
	bool is_read = parsed->class == COMMAND_READ || parsed->class == COMMAND_MASTER_READ;

	send_private(client, parsed, is_read ? 0 : REQUEST_WRITE);
	if (parsed->class == COMMAND_BLOCKING && client->upload == UPLOAD_NONE)
		client->tail->flags |= REQUEST_BLOCKS;
	if (parsed->class == COMMAND_SCRIPT)
		client->session.pinned->tainted = true; /* it may have upset the reply stream */
}

/* One request that needs a connection of its own; class PRIVATE even a new
 * one: up to Redis 7.0 WAIT counts from the last command of its connection,
 * which is then the handshake, later than every write it shall cover. */
enum verdict dispatch_single(struct client *client, const struct parsed_command *parsed)
{
	if (client->in_flight > 0)
		return dispatch_stall(client, STALL_ALL);
	if (!pin(client, PIN_SINGLE, parsed->class == COMMAND_PRIVATE))
		return TAKEN;
	if (client->upload == UPLOAD_BEGINS && dispatch_holds_too_much(client->session.pinned, parsed->length)) {
		dispatch_unpin(client);
		dispatch_hold_error(client);
		return TAKEN;
	}
	send_single(client, parsed);
	return TAKEN;
}

enum verdict dispatch_divert(struct client *client, const struct parsed_command *parsed)
{
	struct backend_key key = dispatch_lane_key(client, BACKEND_PRIVATE);
	struct backend *backend = NULL;

	if (client->in_flight > 0)
		return dispatch_stall(client, STALL_ALL);
	if (client->worker->pause.diverted < DIVERTED_MAX)
		backend = pool_take_private(client->worker, &key, false);
	if (backend == NULL)
		return dispatch_hold(client);
	own(client, backend, PIN_SINGLE);
	pause_divert(backend);
	send_single(client, parsed);
	return TAKEN;
}

/* ---- SCRIPT KILL, FUNCTION KILL, and others that wait behind nothing ---- */

/* A busy server answers the first two, and little else: no SELECT, for example.
 * So the connection is one that needs none. */
static struct backend_key kill_key(struct client *client, int32_t node)
{
	struct backend_key key = dispatch_lane_key(client, BACKEND_PRIVATE);

	key.node = node;
	key.db = 0;
	return key;
}

struct backend *dispatch_alone(struct client *client, int32_t node)
{
	struct backend_key key = kill_key(client, node);
	struct backend *backend = client->session.pinned;

	if (backend != NULL)
		return backend->key.node == node ? backend : NULL;
	backend = pool_take_private(client->worker, &key, false);
	if (backend != NULL)
		own(client, backend, PIN_SINGLE);
	return backend;
}

/* The master is asked first; whoever is not busy passes the word on, because a
 * read-only script may run on any replica. */
enum verdict dispatch_kill_script(struct client *client, const struct parsed_command *parsed)
{
	struct backend_key key = kill_key(client, dispatch_lane_key(client, BACKEND_PRIVATE).node);
	struct request *request;

	if (client->in_flight > 0)
		return dispatch_stall(client, STALL_ALL);
	if (!pin_with_key(client, PIN_SINGLE, &key, false))
		return TAKEN;
	request = dispatch_request(client, REQUEST_SCRIPT_KILL, REQUEST_WHOLE);
	dispatch_counts_as(client, request, dispatch_counted_on(client->session.pinned, STAT_private));
	dispatch_on_lane(client, request, client->session.pinned);
	backend_enqueue(client->session.pinned, request, (struct slice){ parsed->bytes, parsed->length });
	return TAKEN;
}

size_t dispatch_next_replica(const struct snapshot *snapshot, size_t first)
{
	while (first < snapshot->node_count && (!snapshot->nodes[first].up || (int)first == snapshot->master))
		first++;
	return first;
}

bool dispatch_kill_elsewhere(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	struct client *client = request->client;
	size_t next = dispatch_next_replica(worker->snapshot, request->step);
	struct backend_key key;
	struct backend *backend;
	struct buf copy = { 0 };

	if (!slice_begins_with(request_held(request), "-NOTBUSY") || next >= worker->snapshot->node_count ||
	    client->session.endpoint != ENDPOINT_SPLIT)
		return false;
	key = kill_key(client, (int32_t)worker->snapshot->nodes[next].id);
	backend = pool_take_private(worker, &key, false);
	if (backend == NULL)
		return false;
	buf_append(&copy, bytes.bytes, bytes.length);
	pool_return_private(from);
	own(client, backend, PIN_SINGLE);
	request_drop_held(request);
	request->step = (uint8_t)(next + 1);
	client->lane = backend;
	backend_enqueue(backend, request, buf_slice(&copy));
	buf_free(&copy);
	return true;
}

/* The words of a server that is no master any more: to who had been waiting when
 * it ceased to be one, and to who came later. Nothing has been executed. */
static bool is_let_go(struct slice reply)
{
	return slice_begins_with(reply, "-UNBLOCKED force") || slice_begins_with(reply, "-READONLY");
}

static bool has_changed(const struct worker *worker, const struct backend *from)
{
	const struct snapshot *snapshot = worker->snapshot;

	return worker->handover.holds || (snapshot->master >= 0 && snapshot->nodes[snapshot->master].id != from->node_id);
}

bool dispatch_wait_elsewhere(struct worker *worker, struct request *request, struct backend *from, struct slice bytes)
{
	struct client *client = request->client;
	struct backend_key key = from->key;
	struct backend *backend;
	struct buf rest = { 0 };

	if (!(request->flags & REQUEST_BLOCKS) || client->session.pin != PIN_SINGLE || !is_let_go(request_held(request)) ||
	    key.node != BACKEND_TO_MASTER || !has_changed(worker, from))
		return false;
	backend = pool_take_private(worker, &key, true);
	if (backend == NULL)
		return false;
	blocking_shorten(bytes, worker->now_ms - request->enqueued_ms, &rest);
	pool_return_private(from);
	own(client, backend, PIN_SINGLE);
	request_drop_held(request);
	request->enqueued_ms = worker->now_ms;
	client->lane = backend;
	stats_add(&worker->stats, STAT_moved_waits, 1);
	backend_enqueue(backend, request, buf_slice(&rest));
	buf_free(&rest);
	return true;
}

enum verdict dispatch_send_pinned(struct client *client, const struct parsed_command *parsed)
{
	if (backend_is_full(client->session.pinned))
		return dispatch_wait_for_room(client);
	send_private(client, parsed, REQUEST_WRITE);
	if (parsed->class == COMMAND_TRANSACTION || parsed->class == COMMAND_STREAM)
		client->tail->special = parsed->command->special;
	if (parsed->class == COMMAND_BLOCKING && !client->session.in_multi && client->upload == UPLOAD_NONE) {
		client->tail->flags |= REQUEST_BLOCKS;
		client->stall = STALL_ALL;
	}
	return TAKEN;
}

enum verdict dispatch_queue(struct client *client, const struct parsed_command *parsed)
{
	struct parsed_command told = *parsed;
	struct buf question = { 0 };
	const char *refusal;
	bool noted;

	if (backend_is_full(client->session.pinned))
		return dispatch_wait_for_room(client);
	if (parsed->command->special == SPECIAL_CLIENT_TRACKING && !redirect_is_known(client, parsed->bytes))
		return STALLED;
	refusal = local_refusal(client, parsed);
	if (refusal != NULL) {
		dispatch_refuse_queued(client, parsed->command, refusal);
		return TAKEN;
	}
	noted = local_note_queued(client, parsed, &question);
	if (buf_length(&question) > 0) {
		told.bytes = buf_head(&question);
		told.length = buf_length(&question);
	}
	dispatch_send_pinned(client, &told);
	if (noted) {
		client->tail->kind = REQUEST_QUEUED;
		client->tail->flags |= REQUEST_WHOLE;
	}
	buf_free(&question);
	client->session.queued++;
	client->session.queued_users = client->session.queued_users || parsed->class == COMMAND_USERS;
	return TAKEN;
}

/* What MULTI, EXEC and DISCARD will have done when the server gets to them: the
 * commands behind them are queued, or not. */
static void expect_transaction(struct session *session, const struct parsed_command *parsed)
{
	bool bare = parsed->argc == 1; /* else it is refused: EXEC ends the transaction even so */

	switch ((enum command_special)parsed->command->special) {
	case SPECIAL_MULTI:
		if (!bare || session->in_multi)
			break;
		local_forget(session);
		session->queued = 0;
		session->queued_users = session->lanes_are_clear = false;
		session->in_multi = true;
		break;
	case SPECIAL_WATCH:
		if (!session->in_multi)
			session->watched += (uint32_t)parsed->argc - 1;
		break;
	case SPECIAL_EXEC:
		session->in_multi = false;
		break;
	case SPECIAL_DISCARD:
		if (!bare)
			break;
		local_forget(session);
		session->in_multi = session->watch_lost = false;
		break;
	case SPECIAL_UNWATCH:
		session->watch_lost = session->watch_lost && session->in_multi;
		break;
	default:
		break;
	}
}

/* The EXEC just sent decides about commands of weir's own: what comes next
 * waits for its reply, it may meet another session. */
static void settles(struct client *client)
{
	client->tail->kind = REQUEST_EXEC;
	client->tail->flags |= REQUEST_WHOLE;
	client->stall = STALL_ALL;
}

static void lanes_are_clear(struct client *client)
{
	client->session.lanes_are_clear = true;
	client_wake(client);
}

/* EXEC will pause the master: like CLIENT PAUSE alone it waits until the shared
 * lanes are clear, and before that for the word that it was queued at all. */
static enum verdict prepare_pause(struct client *client)
{
	struct session *session = &client->session;

	if (session->lanes_are_clear) {
		session->lanes_are_clear = false;
		return TAKEN;
	}
	if (client->in_flight > 0)
		return dispatch_stall(client, STALL_ALL);
	pause_clear_lanes(client, lanes_are_clear);
	return dispatch_stall(client, STALL_EVENT);
}

/* Keys that were watched on another master count as changed: the transaction is
 * not executed, and EXEC says so. */
static enum verdict exec_in_vain(struct client *client)
{
	struct session *session = &client->session;
	struct request *request = dispatch_request(client, REQUEST_CLIENT, REQUEST_MUTED | REQUEST_WHOLE);
	struct slice null = slice_of(session->resp == 3 ? "_\r\n" : "*-1\r\n");

	local_forget(session);
	session->in_multi = session->watch_lost = false;
	request->special = SPECIAL_DISCARD;
	dispatch_counts_as(client, request, dispatch_counted_on(session->pinned, STAT_private));
	request_hold(request, null.bytes, null.length);
	dispatch_on_lane(client, request, session->pinned);
	backend_enqueue(session->pinned, request, slice_of("*1\r\n$7\r\nDISCARD\r\n"));
	return TAKEN;
}

enum verdict dispatch_transaction(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;

	if (session->watch_lost && session->in_multi && parsed->command->special == SPECIAL_EXEC && parsed->argc == 1)
		return exec_in_vain(client);

	if (session->pin == PIN_NONE) {
		if (client->in_flight > 0)
			return dispatch_stall(client, STALL_ALL);
		if (!pin(client, PIN_SESSION, false))
			return TAKEN;
	}
	if (parsed->command->special == SPECIAL_EXEC && local_pauses(session) && prepare_pause(client) == STALLED)
		return STALLED;
	if (dispatch_send_pinned(client, parsed) == STALLED)
		return STALLED;
	if (parsed->command->special == SPECIAL_EXEC && session->queued_users)
		client->tail->flags |= REQUEST_USERS;
	if (parsed->command->special == SPECIAL_EXEC && local_follows_exec(session))
		settles(client);
	expect_transaction(session, parsed);
	return TAKEN;
}

void dispatch_doom(struct client *client)
{
	struct session *session = &client->session;

	if (session->pin != PIN_SESSION || !session->in_multi || client->head->special != SPECIAL_MULTI)
		return;
	local_forget(session);
	session->in_multi = false;
	session->doom = DOOM_BUSY;
	client->head->flags |= REQUEST_MUTED;
	request_hold(client->head, "+OK\r\n", 5);
}

/* As a server says it that was demoted in the middle: commands are queued, and
 * EXEC finds that they cannot be run. */
void dispatch_abort_transaction(struct client *client)
{
	struct session *session = &client->session;

	local_forget(session);
	if (session->in_multi)
		session->doom = DOOM_DEMOTED;
	else
		session->watch_lost = true;
	session->in_multi = session->bonds.in_multi = session->bonds.watching = false;
	dispatch_unpin(client);
}

static void answer_doomed(struct client *client)
{
	if (client->session.doom == DOOM_BUSY)
		dispatch_error(client, "BUSY the server was busy running a script when this transaction began");
	else
		dispatch_answer(client, slice_of("+QUEUED\r\n"));
}

static const char *const doom_errors[] = {
	[DOOM_BUSY] = "EXECABORT Transaction discarded because of previous errors.",
	[DOOM_DEMOTED] = "EXECABORT Transaction discarded because of: READONLY the master has changed since MULTI.",
};

enum verdict dispatch_doomed(struct client *client, const struct parsed_command *parsed)
{
	switch (parsed->command->special) {
	case SPECIAL_EXEC:
		dispatch_error(client, doom_errors[client->session.doom]);
		client->session.doom = DOOM_NONE;
		break;
	case SPECIAL_DISCARD:
		client->session.doom = DOOM_NONE;
		dispatch_answer(client, slice_of("+OK\r\n"));
		break;
	case SPECIAL_MULTI:
		dispatch_error(client, "ERR MULTI calls can not be nested");
		break;
	case SPECIAL_WATCH:
		dispatch_error(client, "ERR WATCH inside MULTI is not allowed");
		break;
	default:
		answer_doomed(client);
	}
	return TAKEN;
}

/* A request that no server knows, in place of one that is refused: it keeps
 * its place in the server's order, and spoils a transaction as it should. */
static void encode_refused(struct buf *out, const struct command *command, const char *why)
{
	char name[256];

	snprintf(name, sizeof(name), "%s (refused by weir: %s)", command->name, why);
	encode_request_words(out, name, NULL);
}

static void refusal_text(char *text, size_t room, const struct command *command, bool in_multi)
{
	size_t i;

	if (in_multi && (command->flags & COMMAND_FLAG_NO_MULTI)) {
		snprintf(text, room, "ERR Command not allowed inside a transaction");
		return;
	}
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
void dispatch_refuse_queued(struct client *client, const struct command *command, const char *text)
{
	struct request *request = dispatch_request(client, REQUEST_CLIENT, REQUEST_MUTED | REQUEST_WHOLE);
	struct backend *pinned = client->session.pinned;
	struct buf error = { 0 }, bytes = { 0 };

	encode_error(&error, text);
	dispatch_counts_as(client, request, STAT_refused);
	request_hold(request, buf_head(&error), buf_length(&error));
	encode_refused(&bytes, command, text);
	dispatch_on_lane(client, request, pinned);
	backend_enqueue(pinned, request, buf_slice(&bytes));
	buf_free(&error);
	buf_free(&bytes);
}

/* A browser was made to send an HTTP request to this port. */
bool dispatch_is_cross_protocol(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_POST || parsed->command->special == SPECIAL_HOST;
}

enum verdict dispatch_refused(struct client *client, const struct parsed_command *parsed)
{
	char text[DISPATCH_TEXT_ROOM];

	if (dispatch_is_cross_protocol(parsed)) {
		client_close(client, CLOSE_cross_protocol);
		return TAKEN;
	}
	refusal_text(text, sizeof(text), parsed->command, client->session.in_multi);
	if (client->session.in_multi)
		dispatch_refuse_queued(client, parsed->command, text);
	else
		dispatch_error(client, text);
	return TAKEN;
}

/* ---- what makes the server speak unasked ---- */

/* A replica introduces itself, and asks for the replication stream. */
static enum verdict replicate(struct client *client, const struct parsed_command *parsed)
{
	client->session.bonds.replicating = true;
	dispatch_send_pinned(client, parsed);
	client->stall = STALL_ALL;
	return TAKEN;
}

/* What it says from then on is no request. */
enum verdict dispatch_forward(struct client *client, const struct parsed_command *parsed)
{
	if (backend_is_full(client->session.pinned))
		return dispatch_wait_for_room(client);
	backend_forward(client->session.pinned, (struct slice){ parsed->bytes, parsed->length });
	begin_upload(client);
	return TAKEN;
}

/* CLIENT TRACKING OFF, or what the server refuses: any connection without
 * tracking will do. */
static bool tracks_nothing(const struct client *client, const struct parsed_command *parsed)
{
	return client->session.pin == PIN_NONE && parsed->command->special == SPECIAL_CLIENT_TRACKING &&
	       !redirect_parse(parsed->bytes).on;
}

enum verdict dispatch_stream(struct client *client, const struct parsed_command *parsed)
{
	bool subscription = is_subscription(parsed->command);

	if (tracks_nothing(client, parsed))
		return dispatch_send_on(client, dispatch_lane(client, BACKEND_SHARED), parsed, 0);
	if (client->in_flight > 0 && (!subscription || client->session.pin == PIN_NONE))
		return dispatch_stall(client, STALL_ALL);
	if (client->session.pin == PIN_NONE && !pin(client, PIN_SESSION, false))
		return TAKEN;
	if (subscription)
		return dispatch_send_pinned(client, parsed);
	switch (local_handle(client, parsed)) {
	case LOCAL_FORWARD:
		return replicate(client, parsed);
	case LOCAL_STALLED:
		return STALLED;
	default:
		if (client->in_flight == 0 && !session_is_bound(&client->session))
			dispatch_unpin(client); /* nothing has come of it */
		return TAKEN;
	}
}
