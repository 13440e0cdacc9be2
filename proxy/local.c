/* Connection state: what redis-server keeps in a client's connection, kept in
 * the session here.
 *
 * Nothing of it is decided by weir alone. AUTH is checked by a server on a
 * connection that does nothing else; SELECT by the backend of that database;
 * and before any of weir's own answers a session has to be known as
 * authenticated (the "gate"): a PING through its backend tells, once. */
#include "local.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol/alloc.h"
#include "../protocol/encode.h"
#include "client_info.h"
#include "control_line.h"
#include "dispatch.h"
#include "identity.h"
#include "pool.h"
#include "version.h"
#include "waiting.h"

enum { ARGS_MAX = 16 };

/* The arguments of a command, as far as local commands care. */
struct arguments {
	size_t count;              /* may exceed ARGS_MAX; only the first ones are here */
	struct slice at[ARGS_MAX];
};

static struct arguments arguments_of(const struct parsed_command *parsed)
{
	struct arguments arguments = { 0 };
	struct resp_args walk;
	struct slice arg;

	resp_args_begin(&walk, parsed->bytes);
	while (resp_args_next(&walk, &arg)) {
		if (arguments.count < ARGS_MAX)
			arguments.at[arguments.count] = arg;
		arguments.count++;
	}
	return arguments;
}

static void answer(struct client *client, struct buf *reply)
{
	dispatch_answer(client, buf_slice(reply));
	buf_free(reply);
}

static enum local_result answer_ok(struct client *client)
{
	dispatch_answer(client, slice_of("+OK\r\n"));
	return LOCAL_DONE;
}

static enum local_result answer_error(struct client *client, const char *text)
{
	dispatch_error(client, text);
	return LOCAL_DONE;
}

static enum local_result stall_until_answered(struct client *client)
{
	client->stall = STALL_ALL;
	return LOCAL_STALLED;
}

static void replace_text(char **text, struct slice value)
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

/* Sends a question of weir's own on the session's way to the server. */
static void ask(struct client *client, struct backend *backend, enum request_kind kind, struct slice bytes)
{
	struct request *request = dispatch_request(client, kind, REQUEST_WHOLE);

	dispatch_on_lane(client, request, backend);
	client->stall = STALL_ALL;
	backend_enqueue(backend, request, bytes);
}

static struct backend *way(struct client *client)
{
	return client->session.pinned != NULL ? client->session.pinned : dispatch_lane(client, BACKEND_SHARED);
}

static const char gate_question[] = "*1\r\n$4\r\nPING\r\n";

enum local_gate local_pass_gate(struct client *client)
{
	if (is_authenticated(client))
		return GATE_OPEN;
	if (client->gate_error != NULL) {
		dispatch_answer(client, buf_slice(client->gate_error));
		close_gate(client);
		return GATE_REFUSED;
	}
	if (client->in_flight > 0) {
		client->stall = STALL_ALL;
		return GATE_STALLED;
	}
	ask(client, way(client), REQUEST_GATE, slice_of(gate_question));
	return GATE_STALLED;
}

static bool judge_gate(struct client *client, struct slice reply)
{
	if (!slice_begins_with(reply, "-NOAUTH") && !slice_begins_with(reply, "-NOMASTER") && !slice_begins_with(reply, "-UNKNOWNRESULT") &&
	    !slice_begins_with(reply, "-NOREPLICA ")) {
		set_authenticated(client);
		return false;
	}
	client->gate_error = alloc_zeroed(1, sizeof(*client->gate_error));
	buf_append(client->gate_error, reply.bytes, reply.length);
	return false;
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
	struct arguments arguments = arguments_of(parsed);
	struct buf reply = { 0 };

	if (!answers_for_the_server(client) || arguments.count > 2)
		return LOCAL_FORWARD;
	if (arguments.count == 2)
		encode_bulk(&reply, arguments.at[1]);
	else
		encode_status(&reply, "PONG");
	answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_echo(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);
	struct buf reply = { 0 };

	if (!answers_for_the_server(client) || arguments.count != 2)
		return LOCAL_FORWARD;
	encode_bulk(&reply, arguments.at[1]);
	answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_quit(struct client *client, const struct parsed_command *parsed)
{
	(void)parsed;
	dispatch_answer(client, slice_of("+OK\r\n"));
	client_finish(client, CLOSE_quit);
	return LOCAL_DONE;
}

void local_reset(struct client *client)
{
	struct session *session = &client->session;

	session->resetting = session->in_multi = session->watching = session->authenticated = false;
	session->stream_writes = session->doomed = false;
	session_forget_selects(session);
	close_gate(client);
	if (session->pinned != NULL) {
		session->pinned->tainted = true;
		dispatch_unpin(client);
	}
	identity_release(&session->identity);
	session->identity = identity_acquire(client->worker->identities.nobody);
	session->db = 0;
	session->resp = 2;
	session->consistency = (uint8_t)client->worker->config->consistency;
	replace_text(&session->name, slice_of(""));
}

static enum local_result handle_reset(struct client *client, const struct parsed_command *parsed)
{
	if (parsed->argc != 1)
		return LOCAL_FORWARD;
	if (client->in_flight > 0)
		return stall_until_answered(client);
	local_reset(client);
	dispatch_answer(client, slice_of("+RESET\r\n"));
	return LOCAL_DONE;
}

/* ---- SELECT ---- */

static bool parse_number(struct slice text, uint32_t most, uint32_t *value)
{
	uint64_t number = 0;

	if (text.length == 0 || text.length > 10)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.bytes[i] - '0');
	}
	*value = (uint32_t)number;
	return number <= most;
}

static enum local_result handle_select(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);
	struct session *session = &client->session;
	struct backend *backend;
	uint32_t db, present = session->db;

	if (client->in_flight > 0)
		return stall_until_answered(client);
	if (arguments.count != 2 || !parse_number(arguments.at[1], INT32_MAX, &db))
		return LOCAL_FORWARD; /* the server says what is wrong with it */
	if (session->pinned != NULL) {
		session->pinned->tainted = true;
		backend = session->pinned;
	} else {
		session->db = db; /* the backend of that database shall answer */
		backend = dispatch_lane(client, BACKEND_SHARED);
		session->db = present;
	}
	session->wanted_db = db;
	ask(client, backend, REQUEST_SELECT, (struct slice){ parsed->bytes, parsed->length });
	return LOCAL_DONE;
}

int64_t local_selected_db(const struct parsed_command *parsed)
{
	struct arguments arguments;
	uint32_t db;

	if (parsed->command->special != SPECIAL_SELECT)
		return SESSION_NO_SELECT;
	arguments = arguments_of(parsed);
	return arguments.count == 2 && parse_number(arguments.at[1], INT32_MAX, &db) ? (int64_t)db : SESSION_NO_SELECT;
}

static bool judge_select(struct client *client, struct slice reply)
{
	if (slice_begins_with(reply, "+OK"))
		client->session.db = client->session.wanted_db;
	return true;
}

/* ---- AUTH and HELLO ---- */

static void want_identity(struct client *client, struct slice user, struct slice password)
{
	identity_release(&client->session.wanted_identity);
	client->session.wanted_identity = identity_get(&client->worker->identities, user, password);
}

/* Perhaps a user who has just been made: whoever comes shall not wait long. */
static bool is_foreign_somewhere(const struct client *client)
{
	const struct worker *worker = client->worker;

	return identity_foreign_nodes(client->session.identity, worker->snapshot, worker_user_changes(worker)) != 0;
}

static void take_identity(struct client *client)
{
	struct session *session = &client->session;

	if (session->wanted_identity == NULL)
		return;
	identity_release(&session->identity);
	session->identity = session->wanted_identity;
	session->wanted_identity = NULL;
	set_authenticated(client);
	if (is_foreign_somewhere(client))
		control_line_audit(client->worker->shared->control);
}

static void check_credentials(struct client *client, enum request_kind kind, struct slice user, struct slice password)
{
	struct slice words[3];
	struct buf bytes = { 0 };
	size_t count = 0;

	want_identity(client, user, password);
	words[count++] = slice_of("AUTH");
	if (user.bytes != NULL)
		words[count++] = user;
	words[count++] = password;
	encode_request(&bytes, count, words);
	ask(client, client->session.pinned != NULL ? client->session.pinned : dispatch_lane(client, BACKEND_CHECKER), kind,
	    buf_slice(&bytes));
	explicit_bzero(buf_head(&bytes), buf_length(&bytes));
	buf_free(&bytes);
}

static enum local_result handle_auth(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);
	struct slice nobody = { NULL, 0 };

	if (client->in_flight > 0)
		return stall_until_answered(client);
	if (arguments.count != 2 && arguments.count != 3)
		return answer_error(client, arguments.count < 2 ? "ERR wrong number of arguments for 'auth' command"
								: "ERR syntax error");
	if (client->session.pinned != NULL)
		client->session.pinned->tainted = true;
	if (arguments.count == 2)
		check_credentials(client, REQUEST_AUTH, nobody, arguments.at[1]);
	else
		check_credentials(client, REQUEST_AUTH, arguments.at[1], arguments.at[2]);
	return LOCAL_DONE;
}

static bool judge_auth(struct client *client, struct slice reply)
{
	if (slice_begins_with(reply, "+OK"))
		take_identity(client);
	identity_release(&client->session.wanted_identity);
	return true;
}

struct hello {
	uint8_t version;        /* 0: not asked for */
	struct slice user;      /* bytes NULL: no AUTH */
	struct slice password;
	struct slice name;      /* bytes NULL: no SETNAME */
};

static bool is_valid_name(struct slice name)
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
	uint32_t version;

	*hello = (struct hello){ 0 };
	if (count == 1)
		return NULL;
	if (count > ARGS_MAX)
		return "ERR Syntax error in HELLO: too many options";
	if (!parse_number(arguments->at[1], UINT32_MAX, &version))
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
			if (!is_valid_name(hello->name))
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

static void append_hello(struct client *client, struct buf *reply)
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

static void settle_hello(struct client *client)
{
	struct session *session = &client->session;

	take_identity(client);
	if (session->wanted_resp != 0)
		session->resp = session->wanted_resp;
	if (session->wanted_name != NULL) {
		replace_text(&session->name, slice_of(session->wanted_name));
		replace_text(&session->wanted_name, slice_of(""));
	}
}

static void forget_hello(struct session *session)
{
	identity_release(&session->wanted_identity);
	replace_text(&session->wanted_name, slice_of(""));
	session->wanted_resp = 0;
}

/* With keys watched the connection that watches has to change its protocol
 * itself; its answer goes to the client, with its own id. */
static enum local_result hello_pinned(struct client *client, const struct parsed_command *parsed)
{
	client->session.pinned->tainted = true;
	ask(client, client->session.pinned, REQUEST_HELLO_PINNED, (struct slice){ parsed->bytes, parsed->length });
	return LOCAL_DONE;
}

static enum local_result handle_hello(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);
	struct session *session = &client->session;
	struct hello hello;
	const char *error;
	struct buf reply = { 0 };

	if (client->in_flight > 0)
		return stall_until_answered(client);
	error = parse_hello(&arguments, &hello);
	if (error != NULL)
		return answer_error(client, error);
	forget_hello(session);
	session->wanted_resp = hello.version;
	if (hello.name.bytes != NULL)
		session->wanted_name = alloc_text(hello.name.bytes, hello.name.length);
	if (hello.user.bytes != NULL && session->pinned == NULL) {
		check_credentials(client, REQUEST_HELLO, hello.user, hello.password);
		return LOCAL_DONE;
	}
	if (session->pinned != NULL) {
		if (hello.user.bytes != NULL)
			want_identity(client, hello.user, hello.password);
		return hello_pinned(client, parsed);
	}
	if (!is_authenticated(client)) {
		ask(client, way(client), REQUEST_HELLO, slice_of(gate_question));
		return LOCAL_DONE;
	}
	settle_hello(client);
	append_hello(client, &reply);
	answer(client, &reply);
	return LOCAL_DONE;
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

static bool judge_hello(struct client *client, struct request *request, struct slice reply)
{
	struct session *session = &client->session;
	bool had_credentials = session->wanted_identity != NULL;

	if (slice_begins_with(reply, "-") && (had_credentials || !slice_begins_with(reply, "-NOPERM"))) {
		if (!had_credentials && slice_begins_with(reply, "-NOAUTH")) {
			buf_consume(request->held, buf_length(request->held));
			encode_hello_first(request->held, client->worker->snapshot->redis_version);
		}
		forget_hello(session);
		return true;
	}
	settle_hello(client);
	set_authenticated(client);
	forget_hello(session);
	buf_consume(request->held, buf_length(request->held));
	append_hello(client, request->held);
	return true;
}

static bool judge_hello_pinned(struct client *client, struct slice reply)
{
	if (!slice_begins_with(reply, "-"))
		settle_hello(client);
	forget_hello(&client->session);
	return true;
}

/* ---- CLIENT ---- */

static enum local_result handle_client_id(struct client *client, const struct parsed_command *parsed)
{
	struct buf reply = { 0 };

	if (parsed->argc != 2)
		return LOCAL_FORWARD;
	encode_integer(&reply, (int64_t)client->session.id);
	answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_client_getname(struct client *client, const struct parsed_command *parsed)
{
	struct buf reply = { 0 };

	if (parsed->argc != 2)
		return LOCAL_FORWARD;
	if (client->session.name != NULL)
		encode_bulk_text(&reply, client->session.name);
	else
		encode_null(&reply, client->session.resp);
	answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_client_setname(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);

	if (arguments.count != 3)
		return LOCAL_FORWARD;
	if (!is_valid_name(arguments.at[2]))
		return answer_error(client,
				    "ERR Client names cannot contain spaces, newlines or special characters.");
	replace_text(&client->session.name, arguments.at[2]);
	return answer_ok(client);
}

/* Redis 7.2 brought it; an older server says itself that it does not know it. */
static enum local_result handle_client_setinfo(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);

	if (arguments.count != 4 || !parsed->command->learned)
		return LOCAL_FORWARD;
	if (!is_valid_name(arguments.at[3]))
		return LOCAL_FORWARD;
	if (slice_is(arguments.at[2], "lib-name"))
		replace_text(&client->session.library_name, arguments.at[3]);
	else if (slice_is(arguments.at[2], "lib-ver"))
		replace_text(&client->session.library_version, arguments.at[3]);
	else
		return LOCAL_FORWARD;
	return answer_ok(client);
}

static enum local_result handle_client_info(struct client *client, const struct parsed_command *parsed)
{
	struct buf line = { 0 }, reply = { 0 };

	if (parsed->argc != 2)
		return LOCAL_FORWARD;
	client_info_line(client, &line);
	encode_verbatim(&reply, buf_slice(&line), client->session.resp);
	buf_free(&line);
	answer(client, &reply);
	return LOCAL_DONE;
}

static enum local_result handle_client_list(struct client *client, const struct parsed_command *parsed)
{
	const char *error;

	if (client->in_flight > 0)
		return stall_until_answered(client);
	if (!client_info_list(client, parsed->bytes, &error))
		return answer_error(client, error);
	return LOCAL_DONE;
}

/* ---- WEIR ---- */

static const char *const consistency_names[] = {
	[CONSISTENCY_EVENTUAL] = "eventual",
	[CONSISTENCY_SESSION] = "session",
	[CONSISTENCY_STRONG] = "strong",
};

static enum local_result handle_consistency(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);
	struct buf reply = { 0 };

	if (arguments.count == 2) {
		encode_bulk_text(&reply, consistency_names[client->session.consistency]);
		answer(client, &reply);
		return LOCAL_DONE;
	}
	for (size_t i = 0; i < sizeof(consistency_names) / sizeof(consistency_names[0]); i++) {
		if (slice_is(arguments.at[2], consistency_names[i])) {
			client->session.consistency = (uint8_t)i;
			if (i != CONSISTENCY_EVENTUAL)
				worker_want_floors(client->worker);
			return answer_ok(client);
		}
	}
	return answer_error(client, "ERR the consistency levels are eventual, session and strong");
}

static enum local_result handle_token(struct client *client, const struct parsed_command *parsed)
{
	(void)parsed;
	return waiting_token(client);
}

static enum local_result handle_wait(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed);

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
	struct arguments arguments = arguments_of(parsed);

	for (size_t i = 0; arguments.count > 1 && i < sizeof(weir_verbs) / sizeof(weir_verbs[0]); i++) {
		const struct weir_verb *verb = &weir_verbs[i];

		if (!slice_is(arguments.at[1], verb->name))
			continue;
		if (arguments.count < verb->least_args || arguments.count > verb->most_args)
			return answer_error(client, verb->usage);
		return verb->handle(client, parsed);
	}
	return answer_error(client, "ERR unknown WEIR verb: CONSISTENCY [eventual|session|strong], TOKEN, "
				    "WAIT <token> [milliseconds]");
}

/* ---- the table ---- */

struct handler {
	enum local_result (*handle)(struct client *client, const struct parsed_command *parsed);
	bool gated; /* only for an authenticated session */
};

static const struct handler handlers[SPECIAL_COUNT] = {
	[SPECIAL_PING] = { handle_ping, false }, /* forwarded unless authenticated */
	[SPECIAL_ECHO] = { handle_echo, false },
	[SPECIAL_SELECT] = { handle_select, true },
	[SPECIAL_AUTH] = { handle_auth, false },
	[SPECIAL_HELLO] = { handle_hello, false },
	[SPECIAL_RESET] = { handle_reset, false },
	[SPECIAL_QUIT] = { handle_quit, false },
	[SPECIAL_CLIENT_ID] = { handle_client_id, true },
	[SPECIAL_CLIENT_GETNAME] = { handle_client_getname, true },
	[SPECIAL_CLIENT_SETNAME] = { handle_client_setname, true },
	[SPECIAL_CLIENT_SETINFO] = { handle_client_setinfo, true },
	[SPECIAL_CLIENT_INFO] = { handle_client_info, true },
	[SPECIAL_CLIENT_LIST] = { handle_client_list, true },
	[SPECIAL_WEIR] = { handle_weir, true },
};

enum local_result local_handle(struct client *client, const struct parsed_command *parsed)
{
	const struct handler *handler = &handlers[parsed->command->special];

	if (handler->handle == NULL)
		return LOCAL_FORWARD;
	if (handler->gated) {
		enum local_gate gate = local_pass_gate(client);

		if (gate != GATE_OPEN)
			return gate == GATE_STALLED ? LOCAL_STALLED : LOCAL_DONE;
	}
	return handler->handle(client, parsed);
}

bool local_judge(struct client *client, struct request *request, struct slice reply)
{
	switch ((enum request_kind)request->kind) {
	case REQUEST_AUTH:
		return judge_auth(client, reply);
	case REQUEST_HELLO:
		return judge_hello(client, request, reply);
	case REQUEST_HELLO_PINNED:
		return judge_hello_pinned(client, reply);
	case REQUEST_SELECT:
		return judge_select(client, reply);
	case REQUEST_GATE:
		return judge_gate(client, reply);
	default:
		return true;
	}
}
