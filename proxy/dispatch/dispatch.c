/* Commands on their way to servers.
 *
 * Order is the point of this module. Replies come back in request order
 * whatever node served them (delivery.c); here it is made sure that effects
 * never contradict program order either:
 *
 *   - a read behind an unanswered command of the same session on the master
 *     takes the same way, so it sees what that command did;
 *   - a write waits until the session's reads on replicas are answered, and so
 *     does a read on the master (one of those may have to be sent again, and
 *     would come from a later time), unless the session is eventual;
 *   - commands of one session that take different backends of the master
 *     (database, script, private) wait for each other;
 *   - a pipelined chunk that contains a write goes to the master as a whole,
 *     rather than stop and go.
 *
 * "Wait" is a stall: the command is not taken, its bytes stay in the client's
 * input, and it is looked at again when what it waits for has happened. */
#include "dispatch_parts.h"

#include <stdio.h>

#include "../clock.h"
#include "../local/local.h"
#include "waiting.h"

enum {
	OUTPUT_HIGH_WATER = 256 * 1024, /* unread reply bytes beyond which nothing more is taken */
};

/* ---- the master's shared backends ---- */

/* On the replica endpoint: may this command go where the session's home is? */
static bool refused_on_replica_endpoint(struct client *client, const struct parsed_command *parsed)
{
	char text[DISPATCH_TEXT_ROOM];

	if (client->session.endpoint != ENDPOINT_REPLICA)
		return false;
	if (dispatch_is_forbidden_write(client, parsed)) {
		dispatch_count(client, STAT_rejected_writes);
		dispatch_forbidden_text(text, parsed);
		dispatch_error(client, text);
		return true;
	}
	if (dispatch_home(client) != BACKEND_TO_MASTER || parsed->class == COMMAND_MASTER_READ ||
	    (parsed->class == COMMAND_READ && client->worker->config->fallback == FALLBACK_MASTER))
		return false;
	dispatch_error(client, "NOREPLICA no replica is usable, and this command may not go to the master instead");
	return true;
}

/* Commands that change nothing: when the connection is lost they are asked
 * again, of the master or of the session's next home. CONFIG and LATENCY, for
 * two, can change something. Some stand here by name, for what is only flagged
 * is not known before the server has listed its commands. */
static bool changes_nothing(const struct command *command)
{
	static const enum command_special harmless[] = { SPECIAL_PING, SPECIAL_ECHO, SPECIAL_INFO, SPECIAL_TIME, SPECIAL_LASTSAVE,
							 SPECIAL_ROLE, SPECIAL_DBSIZE, SPECIAL_RANDOMKEY, SPECIAL_LOLWUT };

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (command->special == harmless[i])
			return true;
	return (command->flags & COMMAND_FLAG_READONLY) && !(command->flags & COMMAND_FLAG_WRITE);
}

static enum verdict take_master_read(struct client *client, const struct parsed_command *parsed)
{
	unsigned again = client->session.endpoint == ENDPOINT_SPLIT ? REQUEST_READ | REQUEST_TO_MASTER : REQUEST_QUESTION;
	unsigned flags = changes_nothing(parsed->command) ? again : 0;

	return dispatch_send_on(client, dispatch_lane(client, BACKEND_SHARED), parsed, flags);
}

static enum verdict take_write(struct client *client, const struct parsed_command *parsed)
{
	return dispatch_send_on(client, dispatch_lane(client, BACKEND_SHARED), parsed, REQUEST_WRITE);
}

static enum verdict take_script(struct client *client, const struct parsed_command *parsed)
{
	return dispatch_send_on(client, dispatch_lane(client, BACKEND_SCRIPT), parsed, REQUEST_WRITE);
}

/* ---- one command ---- */

static enum verdict take_local(struct client *client, const struct parsed_command *parsed)
{
	switch (local_handle(client, parsed)) {
	case LOCAL_DONE:
		return TAKEN;
	case LOCAL_STALLED:
		return STALLED;
	case LOCAL_FORWARD:
	default:
		if (client->session.pin == PIN_NONE)
			return take_master_read(client, parsed);
		return dispatch_send_pinned(client, parsed);
	}
}

/* Inside MULTI the server queues everything, weir's own commands too. */
static enum verdict take_queued(struct client *client, const struct parsed_command *parsed)
{
	char text[DISPATCH_TEXT_ROOM];

	if (dispatch_is_forbidden_write(client, parsed)) {
		dispatch_count(client, STAT_rejected_writes);
		dispatch_forbidden_text(text, parsed);
		dispatch_refuse_queued(client, parsed->command, text);
		return TAKEN;
	}
	switch ((enum command_class)parsed->class) {
	case COMMAND_TRANSACTION:
		if (parsed->command->special == SPECIAL_UNWATCH)
			break;
		return dispatch_transaction(client, parsed);
	case COMMAND_REFUSED:
		return dispatch_refused(client, parsed);
	case COMMAND_LOCAL:
		if (parsed->command->special == SPECIAL_QUIT || parsed->command->special == SPECIAL_RESET)
			return take_local(client, parsed);
		break;
	default:
		break;
	}
	return dispatch_queue(client, parsed);
}

static bool begins_transaction(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_MULTI || parsed->command->special == SPECIAL_WATCH;
}

/* Of WAIT weir knows more than any one connection. */
static enum verdict take_wait(struct client *client, const struct parsed_command *parsed)
{
	switch (waiting_for_replicas(client, parsed)) {
	case WAITING_ANSWERED:
		return TAKEN;
	case WAITING_GOES_ON:
		return STALLED;
	default:
		return client->session.pin == PIN_NONE ? dispatch_single(client, parsed) : dispatch_send_pinned(client, parsed);
	}
}

static enum verdict take_apart(struct client *client, const struct parsed_command *parsed)
{
	if (parsed->command->special == SPECIAL_WAIT)
		return take_wait(client, parsed);
	if (parsed->class == COMMAND_STREAM)
		return dispatch_stream(client, parsed);
	if (parsed->class == COMMAND_TRANSACTION && (client->session.pin != PIN_NONE || begins_transaction(parsed)))
		return dispatch_transaction(client, parsed);
	if (client->upload == UPLOAD_BEGINS)
		return dispatch_single(client, parsed);
	if (parsed->class == COMMAND_TRANSACTION) {
		client->session.watch_lost = client->session.watch_lost && parsed->command->special != SPECIAL_UNWATCH;
		return take_write(client, parsed); /* the server says what is wrong with it */
	}
	if (parsed->command->special == SPECIAL_SCRIPT_KILL || parsed->command->special == SPECIAL_FUNCTION_KILL)
		return dispatch_kill_script(client, parsed);
	return dispatch_single(client, parsed);
}

/* Commands that get a connection of their own, or an answer of weir's: only for
 * a session that a server has let in. */
static enum verdict take_gated(struct client *client, const struct parsed_command *parsed)
{
	enum local_gate gate;

	if (client_is_shut_out(client) && (!command_takes(parsed->command, parsed->argc) || parsed->command->special == SPECIAL_EXEC))
		return take_write(client, parsed); /* the server says what is wrong with it */
	gate = dispatch_is_cross_protocol(parsed) ? GATE_OPEN : local_pass_gate(client);
	if (gate != GATE_OPEN)
		return gate == GATE_STALLED ? STALLED : TAKEN;
	if (parsed->class == COMMAND_REFUSED)
		return dispatch_refused(client, parsed);
	if (refused_on_replica_endpoint(client, parsed))
		return TAKEN;
	if (client->upload != UPLOAD_BEGINS && dispatch_is_diverted(client, parsed))
		return dispatch_divert(client, parsed);
	return take_apart(client, parsed);
}

static enum verdict take_unpinned(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	if (client->upload == UPLOAD_BEGINS || dispatch_is_diverted(client, parsed))
		return take_gated(client, parsed);
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
		return dispatch_read(client, parsed, chunk);
	case COMMAND_CURSOR:
		return dispatch_cursor(client, parsed, chunk);
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

static enum verdict take_doomed(struct client *client, const struct parsed_command *parsed)
{
	bool leaves = parsed->command->special == SPECIAL_QUIT || parsed->command->special == SPECIAL_RESET;

	return leaves ? take_local(client, parsed) : dispatch_doomed(client, parsed);
}

/* A RESP2 subscriber may only subscribe, unsubscribe, PING, RESET and QUIT. The
 * server has the words for everything else, but for what must not reach it. */
static enum verdict take_of_subscriber(struct client *client, const struct parsed_command *parsed)
{
	enum command_special special = (enum command_special)parsed->command->special;
	char text[200];

	if (special == SPECIAL_RESET || special == SPECIAL_QUIT || special == SPECIAL_WEIR)
		return take_local(client, parsed);
	if (dispatch_is_cross_protocol(parsed))
		return dispatch_refused(client, parsed);
	if (parsed->class != COMMAND_REFUSED && !local_speaks_of_others(parsed))
		return dispatch_send_pinned(client, parsed);
	snprintf(text, sizeof(text), "ERR Can't execute '%.60s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
				     "QUIT / RESET are allowed in this context", parsed->command->name);
	dispatch_error(client, text);
	return TAKEN;
}

/* May weir do its part of the command, or refuse it, while it does not know
 * whether the server would let the session say it? A RESP2 subscriber may not
 * begin a transaction, and what follows a MULTI that was refused is not queued; and
 * how EXEC answers a MONITOR is of its own. */
static bool depends_on_answers(const struct parsed_command *parsed)
{
	enum command_special special = (enum command_special)parsed->command->special;

	return special == SPECIAL_MULTI || parsed->class == COMMAND_REFUSED || special == SPECIAL_WAIT ||
	       (parsed->class == COMMAND_LOCAL && special != SPECIAL_PING && special != SPECIAL_ECHO);
}

/* The session's state is on its own connection: everything that talks to the
 * server stays there. */
static enum verdict take_bound(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	const struct session *session = &client->session;

	if (session->pinned->unframed)
		return dispatch_forward(client, parsed);
	if (depends_on_answers(parsed) && client->in_flight > 0)
		return dispatch_stall(client, STALL_ALL);
	if (depends_on_answers(parsed) && session_only_subscribes(session))
		return take_of_subscriber(client, parsed);
	switch ((enum command_class)parsed->class) {
	case COMMAND_TRANSACTION:
	case COMMAND_STREAM:
	case COMMAND_LOCAL:
	case COMMAND_REFUSED:
		return take_unpinned(client, parsed, chunk);
	default:
		if (refused_on_replica_endpoint(client, parsed))
			return TAKEN;
		if (parsed->command->special == SPECIAL_WAIT)
			return take_wait(client, parsed);
		return dispatch_send_pinned(client, parsed);
	}
}

/* Just started: the table is on its way, and what it says of this command
 * decides whether it may reach a server at all. On the replica endpoint without a
 * replica only reads may, so there it is waited for as long as a write would be. */
static bool waits_for_the_table(struct client *client, const struct parsed_command *parsed)
{
	const struct worker *worker = client->worker;
	int64_t held_ns = clock_ms_to_ns(worker->config->write_hold_ms);

	if (parsed->command->known || worker->has_learned)
		return false;
	return worker->now_ns < worker->learn_deadline_ns ||
	       (client->session.endpoint == ENDPOINT_REPLICA && dispatch_home(client) == BACKEND_TO_MASTER &&
		worker->now_ns - client->active_ns < held_ns);
}

/* The first writes of a newcomer will bring no more than a word each. */
static bool has_appetite(struct client *client, const struct parsed_command *parsed)
{
	if (parsed->class == COMMAND_WRITE && client->appetite.answers == 0)
		return client->in_flight < APPETITE_MOST;
	return appetite_allows(&client->appetite, client->in_flight);
}

/* Has the client had its share for now? */
static enum verdict check_window(struct client *client, const struct parsed_command *parsed)
{
	if (!has_appetite(client, parsed))
		return dispatch_stall(client, STALL_WINDOW);
	if (buf_length(&client->out) + client->held_bytes > OUTPUT_HIGH_WATER && !client->writes_first)
		return dispatch_stall(client, STALL_OUTPUT);
	return TAKEN;
}

static enum verdict take_block(struct client *client, const struct parsed_command *parsed, size_t count)
{
	return check_window(client, parsed) == STALLED ? STALLED : dispatch_block(client, parsed, count);
}

static enum verdict take_pinned(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	return client->session.in_multi ? take_queued(client, parsed) : take_bound(client, parsed, chunk);
}

static enum verdict take_pinned_cursor(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	struct parsed_command plain;
	struct buf bytes = { 0 };
	enum verdict verdict = TAKEN;

	if (dispatch_plain_cursor(client, parsed, &plain, &bytes, &verdict))
		verdict = take_pinned(client, &plain, chunk);
	buf_free(&bytes);
	return verdict;
}

static void follow_debug(struct client *client, const struct parsed_command *parsed)
{
	if (client->session.endpoint == ENDPOINT_SPLIT && command_is_untold(parsed->command, parsed->bytes))
		worker_leave_untold(client->worker);
}

static enum verdict take(struct client *client, const struct parsed_command *parsed, struct chunk *chunk)
{
	if (check_window(client, parsed) == STALLED)
		return STALLED;
	if (waits_for_the_table(client, parsed))
		return dispatch_stall(client, STALL_COMMANDS);
	if (client->worker->pause.diverts && dispatch_pause(client, parsed) == STALLED)
		return STALLED;
	client->last_command = parsed->command->index;
	if (parsed->command->special == SPECIAL_DEBUG)
		follow_debug(client, parsed);
	if (client->session.doom != DOOM_NONE)
		return take_doomed(client, parsed);
	if (client->session.pin == PIN_NONE)
		return take_unpinned(client, parsed, chunk);
	if (client->session.pin == PIN_SINGLE) /* its one request is always in flight */
		return dispatch_stall(client, STALL_ALL);
	return parsed->class == COMMAND_CURSOR ? take_pinned_cursor(client, parsed, chunk)
					       : take_pinned(client, parsed, chunk);
}

static bool may_change_data(const struct parsed_command *parsed)
{
	switch ((enum command_class)parsed->class) {
	case COMMAND_READ:
	case COMMAND_MASTER_READ:
	case COMMAND_CURSOR:
	case COMMAND_LOCAL:
	case COMMAND_REFUSED:
		return false;
	default:
		return true;
	}
}

/* Takes the next command, or the next few that belong together. Returns how
 * many; 0: not now. */
static size_t take_next(struct client *client, const struct parsed_command *parsed, size_t left, struct chunk *chunk)
{
	size_t length;

	switch (dispatch_find_block(client, parsed, left, &length)) {
	case BLOCK_WHOLE:
		return take_block(client, parsed, length) == TAKEN ? length : 0;
	case BLOCK_CUT:
		if (chunk->goes_on && left < chunk->commands)
			return 0; /* the rest of it may stand behind this chunk: looked at again from here */
		break;
	default:
		break;
	}
	return take(client, parsed, chunk) == TAKEN;
}

size_t dispatch(struct client *client, const struct parsed_command *parsed, size_t commands)
{
	struct chunk chunk = { .commands = commands, .goes_on = commands == WORKER_PARSED_MAX };
	size_t more = 1;

	for (size_t i = 0; i < commands && commands > 1; i++)
		chunk.has_write = chunk.has_write || may_change_data(&parsed[i]);
	while (chunk.taken < commands && more > 0 && client->stall == STALL_NONE && !client->closing && !client->close_after_flush) {
		more = take_next(client, &parsed[chunk.taken], commands - chunk.taken, &chunk);
		if (more == 1)
			more += dispatch_row(client, &parsed[chunk.taken], commands - chunk.taken - 1, &chunk);
		chunk.taken += more;
		client->commands += more;
		if (more > 0)
			session_next_command(&client->session);
	}
	return chunk.taken;
}
