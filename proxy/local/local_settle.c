/* Commands of weir's own that a server is told of first.
 *
 * Such a command is noted, with its place in the server's answer, when its
 * question is sent: the only place there is when it stands alone, or that among
 * the commands of a transaction. When the answer is there, weir goes through
 * it: where the server had nothing against a command (its word is no error)
 * weir does its part, in the order of the places, and puts its own word for
 * the server's where it has one. */
#include "local_parts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/resp.h"
#include "../clock.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "../backend/request.h"

#define NO_CONNECTION "ERR no connection to the server is free (max_private_backends)"

/* Of one session: from the first such command until the answer is gone through. */
struct settlement {
	struct buf notes;        /* commands still to come: a note, then the command's bytes, each */
	struct request *request; /* whose answer it is; NULL until it has come */
	struct buf answer;       /* the server's, as far as it is not gone through */
	struct buf lengths;      /* of its elements (size_t), one of which may be several values */
	size_t length;           /* of the element being read, so far */
	uint32_t read;           /* elements that were read */
	size_t next_note;        /* among the notes: the first one that is not for one of them */
	bool in_exec;            /* EXEC's header was read */
	uint32_t position;       /* of the element that is gone through next */
	struct buf reply;        /* the client's, so far */
	enum local_outcome (*then)(struct client *client, struct slice answer); /* of local_ask_then() */
	int64_t asked_ns;        /* when the first of them was sent */
	bool pauses;             /* one of them is CLIENT PAUSE */
};

enum { NOTES_MAX_BYTES = 4 * 1024 * 1024 };

struct note {
	uint32_t position;
	uint32_t length;
	enum command_special special;
};

/* ---- notes ---- */

static struct settlement *settlement_of(struct session *session)
{
	if (session->settlement == NULL) {
		session->settlement = alloc_zeroed(1, sizeof(*session->settlement));
		session->settlement->asked_ns = clock_ns();
	}
	return session->settlement;
}

bool local_follows_exec(struct session *session)
{
	if (session->bonds.monitoring)
		settlement_of(session);
	return session->settlement != NULL;
}

static void take_note(struct client *client, const struct parsed_command *parsed, uint32_t position)
{
	struct settlement *settlement = settlement_of(&client->session);
	struct note note = { .position = position, .length = (uint32_t)parsed->length,
			     .special = (enum command_special)parsed->command->special };

	if (note.special == SPECIAL_CLIENT_PAUSE)
		settlement->pauses = true;
	buf_append(&settlement->notes, &note, sizeof(note));
	buf_append(&settlement->notes, parsed->bytes, parsed->length);
}

bool local_has_room(const struct session *session, size_t bytes)
{
	size_t noted = session->settlement != NULL ? buf_length(&session->settlement->notes) : 0;

	return noted + sizeof(struct note) + bytes <= NOTES_MAX_BYTES;
}

static bool has_note(const struct settlement *settlement)
{
	return buf_length(&settlement->notes) > 0;
}

/* There is one. */
static struct note first_note(const struct settlement *settlement)
{
	struct note note;

	memcpy(&note, buf_head(&settlement->notes), sizeof(note));
	return note;
}

static struct arguments noted_arguments(const struct settlement *settlement)
{
	return arguments_of(buf_head(&settlement->notes) + sizeof(struct note));
}

static void drop_note(struct settlement *settlement, const struct note *note)
{
	explicit_bzero(buf_head(&settlement->notes), sizeof(*note) + note->length); /* passwords are among them */
	buf_consume(&settlement->notes, sizeof(*note) + note->length);
}

void local_forget(struct session *session)
{
	struct settlement *settlement = session->settlement;

	if (settlement == NULL)
		return;
	session->settlement = NULL;
	buf_wipe(&settlement->notes);
	buf_free(&settlement->answer);
	buf_free(&settlement->lengths);
	buf_free(&settlement->reply);
	free(settlement);
}

/* ---- telling the server ---- */

static const struct local_command *row_of(const struct parsed_command *parsed)
{
	return local_command((enum command_special)parsed->command->special);
}

static bool is_sound(const struct local_command *row, const struct arguments *arguments)
{
	return row->is_sound == NULL || row->is_sound(arguments);
}

void local_note(struct client *client, const struct parsed_command *parsed)
{
	take_note(client, parsed, 0);
}

bool local_note_queued(struct client *client, const struct parsed_command *parsed, struct buf *question)
{
	const struct local_command *row = row_of(parsed);
	struct arguments arguments;

	if (row->settle == NULL)
		return false;
	arguments = arguments_of(parsed->bytes);
	if (!is_sound(row, &arguments))
		return false;
	take_note(client, parsed, client->session.queued);
	if (row->question != NULL)
		row->question(client, &arguments, question);
	return true;
}

enum local_result local_at_once(struct client *client, const struct parsed_command *parsed)
{
	const struct local_command *row = row_of(parsed);
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf reply = { 0 };

	if (!is_sound(row, &arguments))
		return LOCAL_FORWARD;
	row->settle(client, &arguments, &reply);
	local_answer(client, &reply);
	return LOCAL_DONE;
}

/* What a server is told leaves nothing behind there but in this case, where it
 * is the deed itself. */
static unsigned question_flag(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_CONFIG_SET ? 0 : REQUEST_QUESTION;
}

enum local_result local_ask_on(struct client *client, struct backend *backend, const struct parsed_command *parsed)
{
	const struct local_command *row = row_of(parsed);
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf question = { 0 };

	if (row->question != NULL)
		row->question(client, &arguments, &question);
	if (buf_length(&question) == 0)
		buf_append(&question, parsed->bytes, parsed->length);
	local_note(client, parsed);
	local_ask(client, backend, REQUEST_ASKED, question_flag(parsed) | REQUEST_SECRET, buf_slice(&question));
	buf_wipe(&question);
	parsed_wipe(parsed);
	return LOCAL_DONE;
}

enum local_result local_ask_first(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (!is_sound(row_of(parsed), &arguments))
		return LOCAL_FORWARD;
	if (client->session.pinned != NULL)
		client->session.pinned->tainted = true;
	return local_ask_on(client, local_way(client), parsed);
}

/* The server's rules are the rules, but it need not be asked each time. Rules
 * that are changed beside weir are noticed when a grant has become old. */
enum { GRANT_LASTS_MS = 1000 };

static const unsigned grants = 64; /* the specials that have a bit */

_Static_assert((unsigned)SPECIAL_CLIENT_INFO < 64 && (unsigned)SPECIAL_CLIENT_SETINFO < 64, "has a bit");

static bool is_granted(const struct client *client, enum command_special special)
{
	const struct identity *identity = client->session.identity;
	const struct worker *worker = client->worker;

	return (identity->granted >> special & 1) && identity->granted_changes == worker_user_changes(worker) &&
	       worker->now_ns - identity->granted_ns < clock_ms_to_ns(GRANT_LASTS_MS);
}

static void grant(struct client *client, enum command_special special)
{
	struct identity *identity = client->session.identity;
	const struct worker *worker = client->worker;

	if (client->session.endpoint != ENDPOINT_SPLIT || is_granted(client, special))
		return;
	if (identity->granted_changes != worker_user_changes(worker) ||
	    worker->now_ns - identity->granted_ns >= clock_ms_to_ns(GRANT_LASTS_MS)) {
		identity->granted = 0;
		identity->granted_changes = worker_user_changes(worker);
		identity->granted_ns = worker->now_ns;
	}
	identity->granted |= 1ULL << special;
}

enum local_result local_if_granted(struct client *client, const struct parsed_command *parsed)
{
	bool nobody_to_ask = client->session.endpoint == ENDPOINT_SPLIT && client->worker->snapshot->master < 0;

	if (nobody_to_ask || is_granted(client, (enum command_special)parsed->command->special))
		return local_at_once(client, parsed);
	return local_ask_first(client, parsed);
}

enum local_result local_ask_alone_first(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct backend *backend;

	if (client->in_flight > 0)
		return local_stall_until_answered(client);
	if (!is_sound(row_of(parsed), &arguments))
		return LOCAL_FORWARD;
	backend = dispatch_alone(client, BACKEND_TO_MASTER);
	if (backend == NULL)
		return local_answer_error(client, NO_CONNECTION);
	return local_ask_on(client, backend, parsed);
}

enum local_judgement local_judge_queued(struct client *client, struct slice reply)
{
	if (slice_begins_with(reply, "-"))
		local_forget(&client->session); /* EXEC will say EXECABORT */
	return JUDGED_SHOWN;
}

/* ---- reading EXEC's answer ---- */

static void end_of_element(struct settlement *settlement)
{
	buf_append(&settlement->lengths, &settlement->length, sizeof(settlement->length));
	settlement->length = 0;
}

void local_exec_passes(struct session *session, struct slice bytes)
{
	buf_append(&session->settlement->answer, bytes.bytes, bytes.length);
	session->settlement->length += bytes.length;
}

/* The header is gone through like an element, but is none. */
void local_exec_begins(struct session *session, struct slice header)
{
	session->settlement->in_exec = true;
	local_exec_passes(session, header);
	end_of_element(session->settlement);
}

static bool note_at(const struct settlement *settlement, size_t at, struct note *note)
{
	if (at >= buf_length(&settlement->notes))
		return false;
	memcpy(note, buf_head(&settlement->notes) + at, sizeof(*note));
	return true;
}

struct local_noted local_noted(const struct session *session)
{
	const struct settlement *settlement = session->settlement;
	size_t at = settlement->next_note;
	struct note note;

	if (!note_at(settlement, at, &note) || note.position != settlement->read)
		return (struct local_noted){ SPECIAL_NONE, { NULL, 0 } };
	return (struct local_noted){ note.special, { buf_head(&settlement->notes) + at + sizeof(note), note.length } };
}

void local_exec_answered(struct session *session)
{
	struct settlement *settlement = session->settlement;
	struct local_noted noted = local_noted(session);

	if (noted.special != SPECIAL_NONE)
		settlement->next_note += sizeof(struct note) + noted.bytes.length;
	settlement->read++;
	end_of_element(settlement);
}

/* ---- going through the answer ---- */

static bool has_been_refused(struct slice reply)
{
	return reply.length == 0 || reply.bytes[0] == '-';
}

/* Of EXEC's answer; that to a question is one element. */
static struct slice next_element(const struct settlement *settlement)
{
	struct slice rest = buf_slice(&settlement->answer);

	if (buf_length(&settlement->lengths) > 0)
		memcpy(&rest.length, buf_head(&settlement->lengths), sizeof(rest.length));
	return rest;
}

/* CLIENT REPLY inside a transaction holds from there on, for the rest of
 * EXEC's reply too: the client has asked for a stream that is not RESP, and
 * gets what redis-server would send. Alone a silent answer is delivery.c's. */
static bool is_heard(const struct client *client, const struct settlement *settlement)
{
	return settlement->request->kind != REQUEST_EXEC || client->session.reply != REPLY_OFF;
}

static void show(const struct client *client, struct settlement *settlement, struct slice bytes)
{
	if (is_heard(client, settlement))
		buf_append(&settlement->reply, bytes.bytes, bytes.length);
}

static void drop_element(struct settlement *settlement)
{
	buf_consume(&settlement->answer, next_element(settlement).length);
	if (settlement->in_exec)
		buf_consume(&settlement->lengths, sizeof(settlement->length));
	settlement->position++;
}

static void pass_element(const struct client *client, struct settlement *settlement)
{
	show(client, settlement, next_element(settlement));
	drop_element(settlement);
}

static void pass_header(const struct client *client, struct settlement *settlement)
{
	pass_element(client, settlement);
	settlement->position = 0;
}

/* The command of this note, whose element is the next one, is done with. */
static void put(struct client *client, struct settlement *settlement, const struct note *note, struct slice reply)
{
	show(client, settlement, reply);
	drop_element(settlement);
	drop_note(settlement, note);
}

static enum local_outcome settle(struct client *client, struct settlement *settlement, const struct note *note,
				 struct buf *reply)
{
	struct arguments arguments = noted_arguments(settlement);
	struct slice element = next_element(settlement);

	if (element.length == 0 || element.bytes[0] == '-')
		return OUTCOME_KEPT;
	if ((unsigned)note->special < grants)
		grant(client, note->special);
	return local_command(note->special)->settle(client, &arguments, reply);
}

/* The client's reply takes the place of the server's. */
static void end_settlement(struct client *client, struct settlement *settlement)
{
	struct request *request = settlement->request;

	show(client, settlement, buf_slice(&settlement->answer));
	request_drop_held(request);
	request_hold(request, buf_slice(&settlement->reply).bytes, buf_length(&settlement->reply));
	if (request->kind == REQUEST_EXEC) {
		request->flags &= ~(uint32_t)REQUEST_SILENT;
		session_next_command(&client->session);
	}
	local_forget(&client->session);
}

static enum local_judgement go_on(struct client *client, struct settlement *settlement)
{
	enum local_outcome outcome = OUTCOME_KEPT;

	while (outcome != OUTCOME_LATER && has_note(settlement)) {
		const struct note note = first_note(settlement);
		struct buf reply = { 0 };

		while (settlement->position < note.position)
			pass_element(client, settlement);
		outcome = settle(client, settlement, &note, &reply);
		if (outcome != OUTCOME_LATER)
			put(client, settlement, &note, outcome == OUTCOME_KEPT ? next_element(settlement) : buf_slice(&reply));
		buf_free(&reply);
	}
	if (outcome == OUTCOME_LATER)
		return JUDGED_LATER;
	end_settlement(client, settlement);
	return JUDGED_SHOWN;
}

/* Of local_ask_then(). */
static enum local_judgement take_answer(struct client *client, struct settlement *settlement, struct slice answer)
{
	struct note note;

	if (settlement->then != NULL && settlement->then(client, answer) == OUTCOME_LATER)
		return JUDGED_LATER;
	note = first_note(settlement);
	put(client, settlement, &note, answer);
	return go_on(client, settlement);
}

enum local_judgement local_settle(struct client *client, struct request *request)
{
	struct settlement *settlement = client->session.settlement;
	struct slice answer = request_held(request);

	if (settlement != NULL && settlement->request == request)
		return take_answer(client, settlement, answer);
	if (settlement == NULL || (!settlement->in_exec && (request->kind == REQUEST_EXEC || has_been_refused(answer)))) {
		local_forget(&client->session);
		return JUDGED_SHOWN;
	}
	settlement->request = request;
	if (settlement->in_exec)
		pass_header(client, settlement);
	else
		buf_append(&settlement->answer, answer.bytes, answer.length);
	return go_on(client, settlement);
}

void local_finish(struct client *client, struct slice reply)
{
	struct settlement *settlement = client->session.settlement;
	struct request *request = settlement->request;
	const struct note note = first_note(settlement);

	put(client, settlement, &note, reply);
	if (go_on(client, settlement) == JUDGED_SHOWN)
		delivery_finish(request);
}

void local_ask_then(struct client *client, int32_t node, struct slice question,
		    enum local_outcome (*then)(struct client *client, struct slice answer))
{
	struct settlement *settlement = client->session.settlement;
	struct request *request = settlement->request;
	struct backend *backend = dispatch_alone(client, node);

	if (backend == NULL) {
		local_finish(client, slice_of("-" NO_CONNECTION "\r\n"));
		return;
	}
	settlement->then = then;
	request_drop_held(request);
	request->enqueued_ms = client->worker->now_ms;
	dispatch_on_lane(client, request, backend);
	backend_enqueue(backend, request, question);
}

bool local_is_done(const struct client *client)
{
	return client->session.settlement->request->kind == REQUEST_EXEC;
}

struct arguments local_arguments(const struct client *client)
{
	return noted_arguments(client->session.settlement);
}

struct slice local_server_answer(const struct client *client)
{
	return next_element(client->session.settlement);
}

int64_t local_asked_ns(const struct client *client)
{
	return client->session.settlement->asked_ns;
}

bool local_is_in_exec(const struct session *session)
{
	return local_is_settling(session) && session->settlement->request->kind == REQUEST_EXEC;
}

bool local_is_settling(const struct session *session)
{
	return session->settlement != NULL && session->settlement->request != NULL;
}

bool local_pauses(const struct session *session)
{
	return session->settlement != NULL && session->settlement->pauses;
}

/* ---- what binds a session to its connection ---- */

static void unwatch(struct session *session)
{
	session->bonds.watching = false;
	session->watched = 0;
}

static void leave_transaction(struct session *session)
{
	session->bonds.in_multi = false;
	unwatch(session);
}

void local_follow(struct client *client, enum command_special special, char type)
{
	struct session *session = &client->session;
	struct session_bonds *bonds = &session->bonds;

	if (special == SPECIAL_EXEC && bonds->in_multi) /* whatever the answer; without MULTI the keys stay watched */
		leave_transaction(session);
	if (type == '-')
		return;
	if (special == SPECIAL_DISCARD)
		leave_transaction(session);
	else if (special == SPECIAL_MULTI)
		bonds->in_multi = true;
	else if (special == SPECIAL_WATCH)
		bonds->watching = true;
	else if (special == SPECIAL_UNWATCH && !bonds->in_multi) /* else it was queued */
		unwatch(session);
}
