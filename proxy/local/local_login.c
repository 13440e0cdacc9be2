/* Who a session is: the gate, AUTH and HELLO. A server decides; weir remembers. */
#include "local_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../protocol/server_words.h"
#include "../client/identity.h"
#include "../dispatch/dispatch.h"
#include "../version.h"
#include "../worker/control_line.h"

enum { LOGINS_AT_ONCE = 8 };

/* ---- the gate ---- */

/* On the replica endpoint the replica decides for itself; what the master
 * thinks of an identity opens every replica to its reads. */
bool local_is_authenticated(const struct client *client)
{
	const struct session *session = &client->session;

	return session->authenticated ||
	       (session->endpoint == ENDPOINT_SPLIT && session->identity->state == IDENTITY_ACCEPTED);
}

void local_close_gate(struct client *client)
{
	if (client->gate_error != NULL)
		buf_free(client->gate_error);
	free(client->gate_error);
	client->gate_error = NULL;
}

static void set_authenticated(struct client *client)
{
	client->session.authenticated = true;
	local_close_gate(client);
	if (client->session.endpoint == ENDPOINT_SPLIT)
		client->session.identity->state = IDENTITY_ACCEPTED;
}

static const char gate_question[] = "*1\r\n$4\r\npING\r\n";

enum local_gate local_pass_gate(struct client *client)
{
	if (local_is_authenticated(client))
		return GATE_OPEN;
	if (client->session.endpoint == ENDPOINT_SPLIT && client_is_shut_out(client)) {
		dispatch_answer(client, client->session.identity->refusal);
		return GATE_REFUSED;
	}
	if (client->gate_error != NULL) {
		dispatch_answer(client, buf_slice(client->gate_error));
		local_close_gate(client);
		return GATE_REFUSED;
	}
	if (client->in_flight > 0) {
		client->stall = STALL_ALL;
		return GATE_STALLED;
	}
	local_ask(client, local_way(client), REQUEST_GATE, REQUEST_QUESTION, slice_of(gate_question));
	return GATE_STALLED;
}

/* Any answer of a server's but that one, and no error of weir's. */
static bool lets_in(struct slice reply)
{
	static const char *const shut[] = { "-NOAUTH", "-NOMASTER", "-UNKNOWNRESULT", "-NOREPLICA " };

	for (size_t i = 0; i < sizeof(shut) / sizeof(shut[0]); i++)
		if (slice_begins_with(reply, shut[i]))
			return false;
	return true;
}

enum local_judgement local_judge_gate(struct client *client, struct slice reply)
{
	if (lets_in(reply)) {
		set_authenticated(client);
		return JUDGED_DROPPED;
	}
	client->gate_error = alloc_zeroed(1, sizeof(*client->gate_error));
	buf_append(client->gate_error, reply.bytes, reply.length);
	return JUDGED_DROPPED;
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

bool local_auth_is_sound(const struct arguments *arguments)
{
	return arguments->count == 2 || arguments->count == 3;
}

enum local_outcome local_auth_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
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

enum local_result local_auth(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (!local_auth_is_sound(&arguments))
		return local_answer_error(client, arguments.count < 2 ? "ERR wrong number of arguments for 'auth' command"
								      : "ERR syntax error");
	return ask_for_credentials(client, parsed);
}

struct hello {
	uint8_t version;        /* 0: not asked for */
	struct slice user;      /* bytes NULL: no AUTH */
	struct slice password;
	struct slice name;      /* bytes NULL: no SETNAME */
	char unknown[100];      /* room for the text about an option that does not exist */
};

bool local_is_valid_name(struct slice name)
{
	for (size_t i = 0; i < name.length; i++)
		if (name.bytes[i] < '!' || name.bytes[i] > '~')
			return false;
	return true;
}

/* What is wrong with it, in Redis' words; NULL: nothing. */
static const char *parse_hello(const struct arguments *arguments, struct hello *hello)
{
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
			snprintf(hello->unknown, sizeof(hello->unknown), "ERR Syntax error in HELLO option '%.*s'",
				 (int)(arguments->at[i].length < 40 ? arguments->at[i].length : 40),
				 arguments->at[i].bytes);
			return hello->unknown;
		}
	}
	return NULL;
}

bool local_hello_is_sound(const struct arguments *arguments)
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

enum local_outcome local_hello_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
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

enum local_result local_hello(struct client *client, const struct parsed_command *parsed)
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
	return local_is_authenticated(client) ? local_at_once(client, parsed) : ask_for_hello(client, parsed);
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
enum local_judgement local_judge_hello(struct client *client, struct request *request)
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
