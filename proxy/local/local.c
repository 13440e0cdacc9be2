/* Connection state: what redis-server keeps in a client's connection, kept in
 * the session here.
 *
 * Nothing of it is decided by weir alone. AUTH is checked by a server on a
 * connection that does nothing else; SELECT by the backend of that database;
 * and before any of weir's own answers a session has to be known as
 * authenticated (the "gate"): a PING through its backend tells, once. */
#include "local_parts.h"

#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../backend/pool.h"
#include "../client/identity.h"
#include "../dispatch/redirect.h"
#include "../dispatch/dispatch.h"

struct arguments arguments_of(const char *request)
{
	struct arguments arguments = { .request = request };
	struct resp_args walk;
	struct slice arg;

	resp_args_begin(&walk, request);
	while (resp_args_next(&walk, &arg)) {
		if (arguments.count < ARGUMENTS_MAX)
			arguments.at[arguments.count] = arg;
		arguments.count++;
	}
	return arguments;
}

void local_answer(struct client *client, struct buf *reply)
{
	dispatch_answer(client, buf_slice(reply));
	buf_free(reply);
}

enum local_result local_answer_ok(struct client *client)
{
	dispatch_answer(client, slice_of("+OK\r\n"));
	return LOCAL_DONE;
}

enum local_result local_answer_error(struct client *client, const char *text)
{
	dispatch_error(client, text);
	return LOCAL_DONE;
}

enum local_result local_stall_until_answered(struct client *client)
{
	client->stall = STALL_ALL;
	return LOCAL_STALLED;
}

void local_replace_text(char **text, struct slice value)
{
	free(*text);
	*text = value.length > 0 ? alloc_text(value.bytes, value.length) : NULL;
}

/* ---- questions ---- */

void local_ask(struct client *client, struct backend *backend, enum request_kind kind, unsigned flags,
	       struct slice bytes)
{
	struct request *request = dispatch_request(client, kind, flags | REQUEST_WHOLE);

	if (kind != REQUEST_GATE) /* which is about the session, not about a command */
		dispatch_counts_as(client, request, STAT_local);
	dispatch_on_lane(client, request, backend);
	client->stall = STALL_ALL;
	backend_enqueue(backend, request, bytes);
}

struct backend *local_way(struct client *client)
{
	return client->session.pinned != NULL ? client->session.pinned : dispatch_lane(client, BACKEND_SHARED);
}

/* ---- plain ones ---- */

/* PING and ECHO ask whether the server is well, so it answers them itself (it
 * may be busy, or refuse); only while there is no master weir says that it is
 * there, for the reads that go on. */
static bool answers_for_the_server(struct client *client)
{
	return client->session.pin == PIN_NONE && client->session.endpoint == ENDPOINT_SPLIT &&
	       client->worker->snapshot->master < 0 && local_is_authenticated(client);
}

static enum local_result handle_ping(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf reply = { 0 };

	if (!answers_for_the_server(client) || arguments.count > 2)
		return LOCAL_FORWARD;
	if (arguments.count == 2)
		encode_bulk(&reply, arguments.at[1]);
	else
		encode_status(&reply, "PONG");
	local_answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_echo(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf reply = { 0 };

	if (!answers_for_the_server(client) || arguments.count != 2)
		return LOCAL_FORWARD;
	encode_bulk(&reply, arguments.at[1]);
	local_answer(client, &reply);
	return LOCAL_DONE;
}

/* The server of a session that listens is told, so that what it has said until
 * then arrives. */
static enum local_result handle_quit(struct client *client, const struct parsed_command *parsed)
{
	const struct session *session = &client->session;

	if (session_listens(session) && session->pinned->state == BACKEND_READY)
		local_ask(client, session->pinned, REQUEST_CLIENT, 0, (struct slice){ parsed->bytes, parsed->length });
	else
		dispatch_answer(client, slice_of("+OK\r\n"));
	client_finish(client, CLOSE_quit);
	return LOCAL_DONE;
}

/* ---- RESET ---- */

static void reset(struct client *client)
{
	struct session *session = &client->session;

	session->in_multi = session->authenticated = session->watch_lost = false;
	session->doom = DOOM_NONE;
	session->no_evict = session->no_touch = session->lanes_are_clear = false;
	session->reply = REPLY_ON;
	local_forget(session);
	local_close_gate(client);
	local_set_monitoring(client, false);
	session->bonds = (struct session_bonds){ .is_target = session->bonds.is_target };
	session->redirect_id = 0;
	session->watched = 0;
	session->broadcasts = false;
	if (session->pinned != NULL) {
		session->pinned->tainted = true;
		if (!session_is_bound(session))
			dispatch_unpin(client);
	}
	identity_release(&session->identity);
	session->identity = identity_acquire(client->worker->identities.nobody);
	session->db = 0;
	session->resp = 2;
	session->chose_consistency = false;
	session->consistency = (uint8_t)client->worker->config->consistency;
	local_replace_text(&session->name, slice_of(""));
}

/* As with QUIT. */
static enum local_result handle_reset(struct client *client, const struct parsed_command *parsed)
{
	struct session *session = &client->session;

	if (parsed->argc != 1)
		return LOCAL_FORWARD;
	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (session_listens(session)) {
		local_ask(client, session->pinned, REQUEST_RESET, 0, (struct slice){ parsed->bytes, parsed->length });
		return LOCAL_DONE;
	}
	reset(client);
	dispatch_answer(client, slice_of("+RESET\r\n"));
	return LOCAL_DONE;
}

static enum local_judgement judge_reset(struct client *client, struct request *request, struct slice reply)
{
	if (slice_begins_with(reply, "+RESET")) {
		request->flags &= ~(uint32_t)REQUEST_SILENT; /* silence is over too, and is so first */
		reset(client);
	}
	return JUDGED_SHOWN;
}

/* ---- SELECT ---- */

static bool parse_db(struct slice text, uint32_t *db)
{
	int64_t number;

	if (!number_parse_within(text, 0, INT32_MAX, &number))
		return false;
	*db = (uint32_t)number;
	return true;
}

static bool select_is_sound(const struct arguments *arguments)
{
	uint32_t db;

	return arguments->count == 2 && parse_db(arguments->at[1], &db);
}

static enum local_outcome settle_select(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)reply;
	parse_db(arguments->at[1], &client->session.db);
	return OUTCOME_KEPT;
}

static enum local_result handle_select(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct session *session = &client->session;
	struct backend *backend = session->pinned;
	uint32_t present = session->db;

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (!select_is_sound(&arguments))
		return LOCAL_FORWARD; /* the server says what is wrong with it */
	if (backend != NULL) {
		backend->tainted = true;
	} else {
		parse_db(arguments.at[1], &session->db); /* the backend of that database shall answer */
		backend = dispatch_lane(client, BACKEND_SHARED);
		session->db = present;
	}
	return local_ask_on(client, backend, parsed);
}

/* ---- the table ---- */

static const struct local_command commands[SPECIAL_COUNT] = {
	/* handle, gated, is_sound, question, settle */
	[SPECIAL_PING] = { handle_ping, false, NULL, NULL, NULL }, /* forwarded unless authenticated */
	[SPECIAL_ECHO] = { handle_echo, false, NULL, NULL, NULL },
	[SPECIAL_SELECT] = { handle_select, true, select_is_sound, NULL, settle_select },
	[SPECIAL_AUTH] = { local_auth, false, local_auth_is_sound, NULL, local_auth_settle },
	[SPECIAL_HELLO] = { local_hello, false, local_hello_is_sound, NULL, local_hello_settle },
	[SPECIAL_RESET] = { handle_reset, false, NULL, NULL, NULL },
	[SPECIAL_QUIT] = { handle_quit, false, NULL, NULL, NULL },
	[SPECIAL_CLIENT_ID] = { local_if_granted, true, local_client_is_bare, NULL, local_client_id },
	[SPECIAL_CLIENT_GETNAME] = { local_if_granted, true, local_client_is_bare, NULL, local_client_getname },
	[SPECIAL_CLIENT_SETNAME] = { local_if_granted, true, local_client_setname_is_sound, local_client_setname_question, local_client_setname },
	[SPECIAL_CLIENT_SETINFO] = { local_client_setinfo_handle, true, local_client_setinfo_is_sound, local_client_setinfo_question, local_client_setinfo },
	[SPECIAL_CLIENT_INFO] = { local_if_granted, true, local_client_is_bare, NULL, local_client_info },
	[SPECIAL_CLIENT_REPLY] = { local_at_once, true, local_client_reply_is_sound, local_client_reply_question, local_client_reply },
	[SPECIAL_CLIENT_NO_EVICT] = { local_ask_first, true, local_client_is_switch, local_client_no_evict_question, local_client_no_evict },
	[SPECIAL_CLIENT_NO_TOUCH] = { local_ask_first, true, local_client_is_switch, local_client_no_touch_question, local_client_no_touch },
	[SPECIAL_CLIENT_LIST] = { local_ask_first, true, NULL, local_clients_list_question, local_clients_list },
	[SPECIAL_CLIENT_KILL] = { local_ask_first, true, local_clients_kill_is_sound, local_clients_kill_question, local_clients_kill },
	[SPECIAL_CLIENT_UNBLOCK] = { local_ask_first, true, local_unblock_is_sound, local_unblock_question, local_unblock },
	[SPECIAL_CLIENT_PAUSE] = { local_ask_first, true, local_pause_is_sound, local_pause_question, local_pause },
	[SPECIAL_CLIENT_UNPAUSE] = { local_ask_alone_first, true, local_client_is_bare, NULL, local_unpause },
	[SPECIAL_CONFIG_SET] = { local_ask_first, true, local_config_set_is_sound, NULL, local_config_set },
	[SPECIAL_WEIR] = { local_weir, true, NULL, NULL, NULL },
	[SPECIAL_CLIENT_TRACKING] = { local_tracking, false, local_tracking_is_sound, local_tracking_question, local_tracking_settle },
	[SPECIAL_CLIENT_GETREDIR] = { local_of_tracking, false, local_client_is_bare, NULL, local_getredir_settle },
	[SPECIAL_CLIENT_TRACKINGINFO] = { local_of_tracking, false, local_client_is_bare, NULL, local_trackinginfo_settle },
	[SPECIAL_MONITOR] = { local_monitor, false, NULL, NULL, local_monitor_settle },
	/* Confirmed one by one, which backend_private.c follows: here only their place in EXEC's reply is kept. */
	[SPECIAL_SUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
	[SPECIAL_PSUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
	[SPECIAL_SSUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
	[SPECIAL_UNSUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
	[SPECIAL_PUNSUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
	[SPECIAL_SUNSUBSCRIBE] = { NULL, false, NULL, NULL, local_nothing_to_settle },
};

const char *local_refusal(struct client *client, const struct parsed_command *parsed)
{
	bool pauses = parsed->command->special == SPECIAL_CLIENT_PAUSE || parsed->command->special == SPECIAL_CLIENT_UNPAUSE;

	if (parsed->command->special == SPECIAL_CLIENT_TRACKING)
		return redirect_refusal(client, parsed->bytes);
	if (pauses && client->session.endpoint == ENDPOINT_REPLICA)
		return "ERR the clients of a replica are not paused through weir";
	if (client->session.in_multi && !local_has_room(&client->session, parsed->length))
		return "ERR too much in one transaction that weir has a part in";
	return NULL;
}

const struct local_command *local_command(enum command_special special)
{
	return &commands[special];
}

enum local_result local_handle(struct client *client, const struct parsed_command *parsed)
{
	const struct local_command *command = &commands[parsed->command->special];
	const char *refusal;

	if (command->handle == NULL || (command->gated && client_is_shut_out(client) && !command_takes(parsed->command, parsed->argc)))
		return LOCAL_FORWARD;
	if (command->gated) {
		enum local_gate gate = local_pass_gate(client);

		if (gate != GATE_OPEN)
			return gate == GATE_STALLED ? LOCAL_STALLED : LOCAL_DONE;
	}
	refusal = local_refusal(client, parsed);
	if (refusal != NULL)
		return local_answer_error(client, refusal);
	return command->handle(client, parsed);
}

enum local_judgement local_judge(struct client *client, struct request *request, struct slice reply)
{
	switch ((enum request_kind)request->kind) {
	case REQUEST_HELLO:
		return local_judge_hello(client, request);
	case REQUEST_GATE:
		return local_judge_gate(client, reply);
	case REQUEST_RESET:
		return judge_reset(client, request, reply);
	case REQUEST_QUEUED:
		return local_judge_queued(client, reply);
	case REQUEST_ASKED:
	case REQUEST_EXEC:
		return local_settle(client, request);
	default:
		return JUDGED_SHOWN;
	}
}
