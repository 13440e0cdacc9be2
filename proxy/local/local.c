/* Connection state: what redis-server keeps in a client's connection, kept in
 * the session here.
 *
 * Nothing of it is decided by weir alone. AUTH is checked by a server on a
 * connection that does nothing else; SELECT by the backend of that database;
 * and before any of weir's own answers a session has to be known as
 * authenticated (the "gate"): a PING through its backend tells, once. */
#include "local_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../protocol/server_words.h"
#include "../backend/consistency.h"
#include "../worker/control_line.h"
#include "../dispatch/dispatch.h"
#include "../client/identity.h"
#include "../backend/pool.h"
#include "../version.h"
#include "../dispatch/waiting.h"

enum { LOGINS_AT_ONCE = 8 };

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

/* ---- the gate ---- */

/* On the replica endpoint the replica decides for itself; what the master
 * thinks of an identity opens every replica to its reads. */
static bool is_authenticated(const struct client *client)
{
	const struct session *session = &client->session;

	return session->authenticated ||
	       (session->endpoint == ENDPOINT_SPLIT && session->identity->state == IDENTITY_ACCEPTED);
}

static void close_gate(struct client *client)
{
	if (client->gate_error != NULL)
		buf_free(client->gate_error);
	free(client->gate_error);
	client->gate_error = NULL;
}

static void set_authenticated(struct client *client)
{
	client->session.authenticated = true;
	close_gate(client);
	if (client->session.endpoint == ENDPOINT_SPLIT)
		client->session.identity->state = IDENTITY_ACCEPTED;
}

void local_ask(struct client *client, struct backend *backend, enum request_kind kind, unsigned flags,
	       struct slice bytes)
{
	struct request *request = dispatch_request(client, kind, flags | REQUEST_WHOLE);

	dispatch_on_lane(client, request, backend);
	client->stall = STALL_ALL;
	backend_enqueue(backend, request, bytes);
}

struct backend *local_way(struct client *client)
{
	return client->session.pinned != NULL ? client->session.pinned : dispatch_lane(client, BACKEND_SHARED);
}

static const char gate_question[] = "*1\r\n$4\r\npING\r\n";

enum local_gate local_pass_gate(struct client *client)
{
	if (is_authenticated(client))
		return GATE_OPEN;
	if (client->session.endpoint == ENDPOINT_SPLIT && client_is_shut_out(client)) {
		dispatch_answer(client, client->session.identity->refusal);
		return GATE_REFUSED;
	}
	if (client->gate_error != NULL) {
		dispatch_answer(client, buf_slice(client->gate_error));
		close_gate(client);
		return GATE_REFUSED;
	}
	if (client->in_flight > 0) {
		client->stall = STALL_ALL;
		return GATE_STALLED;
	}
	local_ask(client, local_way(client), REQUEST_GATE, REQUEST_QUESTION, slice_of(gate_question));
	return GATE_STALLED;
}

static enum local_judgement judge_gate(struct client *client, struct slice reply)
{
	if (!slice_begins_with(reply, "-NOAUTH") && !slice_begins_with(reply, "-NOMASTER") && !slice_begins_with(reply, "-UNKNOWNRESULT") &&
	    !slice_begins_with(reply, "-NOREPLICA ")) {
		set_authenticated(client);
		return JUDGED_DROPPED;
	}
	client->gate_error = alloc_zeroed(1, sizeof(*client->gate_error));
	buf_append(client->gate_error, reply.bytes, reply.length);
	return JUDGED_DROPPED;
}

/* ---- plain ones ---- */

/* PING and ECHO ask whether the server is well, so it answers them itself (it
 * may be busy, or refuse); only while there is no master weir says that it is
 * there, for the reads that go on. */
static bool answers_for_the_server(struct client *client)
{
	return client->session.pin == PIN_NONE && client->session.endpoint == ENDPOINT_SPLIT &&
	       client->worker->snapshot->master < 0 && is_authenticated(client);
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
	close_gate(client);
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

/* ---- AUTH and HELLO ---- */

/* Perhaps a user who has just been made: whoever comes shall not wait long. */
static bool is_foreign_somewhere(const struct client *client)
{
	const struct worker *worker = client->worker;

	return identity_foreign_nodes(client->session.identity, worker->snapshot, worker_user_changes(worker)) != 0;
}

static void take_identity(struct client *client, struct slice user, struct slice password)
{
	identity_release(&client->session.identity);
	client->session.identity = identity_get(&client->worker->identities, user, password);
	set_authenticated(client);
	if (is_foreign_somewhere(client))
		control_line_audit(client->worker->shared->control);
}

static bool auth_is_sound(const struct arguments *arguments)
{
	return arguments->count == 2 || arguments->count == 3;
}

static enum local_outcome settle_auth(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct slice nobody = { NULL, 0 };

	(void)reply;
	if (arguments->count == 2)
		take_identity(client, nobody, arguments->at[1]);
	else
		take_identity(client, arguments->at[1], arguments->at[2]);
	return OUTCOME_KEPT;
}

static struct backend *way_of_credentials(struct client *client)
{
	struct backend *pinned = client->session.pinned;

	if (pinned == NULL)
		return dispatch_lane(client, BACKEND_CHECKER);
	pinned->tainted = true;
	return pinned;
}

/* A server closes a connection on which it has said no too often before that was
 * read: the checker, which all logins share, is asked a few at a time. */
static bool is_swamped(const struct backend *way)
{
	return way->key.kind == BACKEND_CHECKER && way->outstanding >= LOGINS_AT_ONCE;
}

static enum local_result ask_for_credentials(struct client *client, const struct parsed_command *parsed)
{
	struct backend *way = way_of_credentials(client);

	if (is_swamped(way)) {
		dispatch_wait_for_room(client);
		return LOCAL_STALLED;
	}
	return local_ask_on(client, way, parsed);
}

static enum local_result handle_auth(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (!auth_is_sound(&arguments))
		return local_answer_error(client, arguments.count < 2 ? "ERR wrong number of arguments for 'auth' command"
								      : "ERR syntax error");
	return ask_for_credentials(client, parsed);
}

struct hello {
	uint8_t version;        /* 0: not asked for */
	struct slice user;      /* bytes NULL: no AUTH */
	struct slice password;
	struct slice name;      /* bytes NULL: no SETNAME */
};

bool local_is_valid_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++)
		if (name.bytes[i] < '!' || name.bytes[i] > '~')
			return false;
	return true;
}

static const char *parse_hello(const struct arguments *arguments, struct hello *hello)
{
	static _Thread_local char error[96];
	size_t count = arguments->count;
	int64_t version;

	*hello = (struct hello){ 0 };
	if (count == 1)
		return NULL;
	if (count > ARGUMENTS_MAX)
		return "ERR Syntax error in HELLO: too many options";
	if (!number_parse(arguments->at[1], &version))
		return "ERR Protocol version is not an integer or out of range";
	if (version < 2 || version > 3)
		return "NOPROTO unsupported protocol version";
	hello->version = (uint8_t)version;
	for (size_t i = 2; i < count;) {
		if (slice_is(arguments->at[i], "AUTH") && i + 2 < count) {
			hello->user = arguments->at[i + 1];
			hello->password = arguments->at[i + 2];
			i += 3;
		} else if (slice_is(arguments->at[i], "SETNAME") && i + 1 < count) {
			hello->name = arguments->at[i + 1];
			if (!local_is_valid_name(hello->name))
				return "ERR Client names cannot contain spaces, newlines or special characters.";
			i += 2;
		} else {
			snprintf(error, sizeof(error), "ERR Syntax error in HELLO option '%.*s'",
				 (int)(arguments->at[i].length < 40 ? arguments->at[i].length : 40),
				 arguments->at[i].bytes);
			return error;
		}
	}
	return NULL;
}

static bool hello_is_sound(const struct arguments *arguments)
{
	struct hello hello;

	return parse_hello(arguments, &hello) == NULL;
}

/* What weir knows by itself, where the master has not told (a user who may not
 * say HELLO). */
static void make_hello(struct client *client, struct buf *reply)
{
	const struct session *session = &client->session;
	const struct snapshot *snapshot = client->worker->snapshot;
	bool known = snapshot->server_version[0] != '\0';

	encode_map(reply, 7, session->resp);
	encode_bulk_text(reply, "server");
	encode_bulk_text(reply, known ? snapshot->server_name : "redis");
	encode_bulk_text(reply, "version");
	encode_bulk_text(reply, known ? snapshot->server_version : WEIR_VERSION);
	encode_bulk_text(reply, "proto");
	encode_integer(reply, session->resp);
	encode_bulk_text(reply, "id");
	encode_integer(reply, (int64_t)session->id);
	encode_bulk_text(reply, "mode");
	encode_bulk_text(reply, "standalone");
	encode_bulk_text(reply, "role");
	encode_bulk_text(reply, session->endpoint == ENDPOINT_REPLICA ? "replica" : "master");
	encode_bulk_text(reply, "modules");
	encode_array(reply, 0);
}

static void append_hello(struct client *client, struct buf *reply)
{
	const struct session *session = &client->session;
	const char *role = session->endpoint == ENDPOINT_REPLICA ? "replica" : NULL;

	if (!server_words_hello(command_table_words(client->worker->commands), session->resp, (int64_t)session->id, role, reply))
		make_hello(client, reply);
}

static enum local_outcome settle_hello(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct session *session = &client->session;
	struct hello hello;

	parse_hello(arguments, &hello);
	if (hello.user.bytes != NULL)
		take_identity(client, hello.user, hello.password);
	if (hello.version != 0)
		session->resp = hello.version;
	if (hello.name.bytes != NULL)
		local_replace_text(&session->name, hello.name);
	append_hello(client, reply);
	return OUTCOME_REPLACED;
}

/* Without credentials it is enough that a server lets the session in as it is. */
static enum local_result ask_for_hello(struct client *client, const struct parsed_command *parsed)
{
	local_note(client, parsed);
	local_ask(client, local_way(client), REQUEST_HELLO, REQUEST_QUESTION, slice_of(gate_question));
	return LOCAL_DONE;
}

static enum local_result handle_hello(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct hello hello;
	const char *error;

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	error = parse_hello(&arguments, &hello);
	if (error != NULL)
		return local_answer_error(client, error);
	if (client->session.pinned != NULL || hello.user.bytes != NULL)
		return ask_for_credentials(client, parsed);
	return is_authenticated(client) ? local_at_once(client, parsed) : ask_for_hello(client, parsed);
}

/* In the words of the server's version: 7.2 has corrected them. */
static void encode_hello_first(struct buf *out, const char *redis_version)
{
	int major = 0, minor = 0;
	char text[256];

	sscanf(redis_version, "%9d.%9d", &major, &minor);
	snprintf(text, sizeof(text),
		 "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO %sAUTH <user> "
		 "<pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
		 major > 7 || (major == 7 && minor >= 2) ? "<proto> " : "");
	encode_error(out, text);
}

static void refuse_hello(struct request *request)
{
	struct buf error = { 0 };

	encode_hello_first(&error, request->client->worker->snapshot->redis_version);
	request_hold_instead(request, buf_slice(&error));
	buf_free(&error);
}

/* The answer to PING: a user who may not say it is one. */
static enum local_judgement judge_hello(struct client *client, struct request *request)
{
	enum local_judgement judgement;
	bool accepted;

	if (slice_begins_with(request_held(request), "-NOPERM"))
		request_hold_instead(request, slice_of("+PONG\r\n"));
	if (slice_begins_with(request_held(request), "-NOAUTH"))
		refuse_hello(request);
	accepted = !slice_begins_with(request_held(request), "-");
	judgement = local_settle(client, request);
	if (accepted)
		set_authenticated(client);
	return judgement;
}

/* ---- WEIR ---- */

static const char *const consistency_names[] = {
	[CONSISTENCY_EVENTUAL] = "eventual",
	[CONSISTENCY_SESSION] = "session",
	[CONSISTENCY_STRONG] = "strong",
};

static enum local_result handle_consistency(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf reply = { 0 };

	if (arguments.count == 2) {
		encode_bulk_text(&reply, consistency_names[client->session.consistency]);
		local_answer(client, &reply);
		return LOCAL_DONE;
	}
	for (size_t i = 0; i < sizeof(consistency_names) / sizeof(consistency_names[0]); i++) {
		if (slice_is(arguments.at[2], consistency_names[i])) {
			client->session.chose_consistency = true;
			consistency_choose(client, (enum config_consistency)i);
			return local_answer_ok(client);
		}
	}
	return local_answer_error(client, "ERR the consistency levels are eventual, session and strong");
}

static enum local_result handle_token(struct client *client, const struct parsed_command *parsed)
{
	(void)parsed;
	return waiting_token(client);
}

static enum local_result handle_wait(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	return waiting_for_token(client, arguments.at[2], arguments.at[3]);
}

static const struct weir_verb {
	const char *name;
	size_t least_args, most_args; /* WEIR and the verb included */
	enum local_result (*handle)(struct client *client, const struct parsed_command *parsed);
	const char *usage;
} weir_verbs[] = {
	{ "consistency", 2, 3, handle_consistency, "ERR usage: WEIR CONSISTENCY [eventual|session|strong]" },
	{ "token", 2, 2, handle_token, "ERR usage: WEIR TOKEN" },
	{ "wait", 3, 4, handle_wait, "ERR usage: WEIR WAIT <token> [milliseconds]" },
};

static enum local_result handle_weir(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	for (size_t i = 0; arguments.count > 1 && i < sizeof(weir_verbs) / sizeof(weir_verbs[0]); i++) {
		const struct weir_verb *verb = &weir_verbs[i];

		if (!slice_is(arguments.at[1], verb->name))
			continue;
		if (arguments.count < verb->least_args || arguments.count > verb->most_args)
			return local_answer_error(client, verb->usage);
		return verb->handle(client, parsed);
	}
	return local_answer_error(client, "ERR unknown WEIR verb: CONSISTENCY [eventual|session|strong], TOKEN, "
				    "WAIT <token> [milliseconds]");
}

/* ---- the table ---- */

static const struct local_command commands[SPECIAL_COUNT] = {
	/* handle, gated, is_sound, question, settle */
	[SPECIAL_PING] = { handle_ping, false, NULL, NULL, NULL }, /* forwarded unless authenticated */
	[SPECIAL_ECHO] = { handle_echo, false, NULL, NULL, NULL },
	[SPECIAL_SELECT] = { handle_select, true, select_is_sound, NULL, settle_select },
	[SPECIAL_AUTH] = { handle_auth, false, auth_is_sound, NULL, settle_auth },
	[SPECIAL_HELLO] = { handle_hello, false, hello_is_sound, NULL, settle_hello },
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
	[SPECIAL_WEIR] = { handle_weir, true, NULL, NULL, NULL },
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
		return judge_hello(client, request);
	case REQUEST_GATE:
		return judge_gate(client, reply);
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
