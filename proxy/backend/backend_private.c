/* Reading a private backend.
 *
 * Its server also speaks unasked: messages, invalidations, what a MONITOR sees.
 * And some commands have more answers than one: SUBSCRIBE is confirmed channel
 * by channel, also inside EXEC, whose array is too short then. So what comes is
 * taken value by value, and each is judged by what it looks like, by what the
 * session has become so far, and by what the head of the queue asked:
 *
 *   a push          goes to the client as it comes, and is paired with nothing
 *   a confirmation  is one of those that the head still gets
 *   EXEC's header   is followed by its elements, each a value of its own
 *   anything else   is the head's reply
 *
 * In RESP3 a push says so itself. In RESP2 it is an array like others; but a
 * RESP2 subscriber gets no other arrays that look like one, and nobody else
 * gets pushes. The one exception is EXEC right behind a SUBSCRIBE inside it,
 * where weir takes ["message", x, y] for a message although an LRANGE might
 * have said so. Whatever is mistaken, it concerns this session alone. */
#include "backend_parts.h"

#include <string.h>

#include "../client/client.h"
#include "../dispatch/delivery.h"
#include "../local/local.h"
#include "passage.h"
#include "../client/session.h"
#include "../worker/worker.h"

/* What a value is to whoever waits. */
enum value {
	VALUE_REPLY,        /* of the head */
	VALUE_PUSH,
	VALUE_LINE,         /* a push that weir may have caused itself */
	VALUE_BROKEN,       /* a push that names another client: weir's name for it is put in */
	VALUE_CONFIRMATION, /* of the head's subscriptions, or of those of EXEC's present element */
	VALUE_HEADER,       /* of EXEC's reply */
	VALUE_ELEMENT,      /* of EXEC's reply */
	VALUE_ASIDE,        /* a push among them */
};

/* How the commands of subscriptions are confirmed. */
static const uint8_t confirmations[SPECIAL_COUNT] = {
	[SPECIAL_SUBSCRIBE] = PUSH_SUBSCRIBE,   [SPECIAL_UNSUBSCRIBE] = PUSH_UNSUBSCRIBE,
	[SPECIAL_PSUBSCRIBE] = PUSH_PSUBSCRIBE, [SPECIAL_PUNSUBSCRIBE] = PUSH_PUNSUBSCRIBE,
	[SPECIAL_SSUBSCRIBE] = PUSH_SSUBSCRIBE, [SPECIAL_SUNSUBSCRIBE] = PUSH_SUNSUBSCRIBE,
};

void backend_forget_reading(struct backend *backend)
{
	struct buf whole = backend->reading.whole;

	buf_consume(&whole, buf_length(&whole));
	backend->reading = (struct reading){ .whole = whole };
	backend->unframed = false;
}

/* ---- what a value is ---- */

/* The command that is being answered, if weir has a part in it. */
static struct local_noted answered_command(const struct backend *backend)
{
	const struct request *head = backend->head;

	if (backend->reading.in_exec)
		return local_noted(&backend->owner->session);
	if (!backend_awaits_reply(backend))
		return (struct local_noted){ SPECIAL_NONE, { NULL, 0 } };
	return (struct local_noted){ (enum command_special)head->special, backend_request_bytes(backend, head) };
}

static enum push_kind kind_of(const struct backend *backend, const char *bytes, size_t length)
{
	const struct session *session = &backend->owner->session;
	bool may_be = bytes[0] == '>';

	if (bytes[0] == '*' && session->resp == 2)
		may_be = session_is_subscribed(session) || confirmations[answered_command(backend).special] != 0;
	else if (bytes[0] == '+')
		may_be = session->bonds.monitoring;
	return may_be ? push_kind(bytes, length) : PUSH_NONE;
}

static bool is_unasked(const struct session *session, char type, enum push_kind kind)
{
	return type == '>' || kind == PUSH_MONITOR_LINE || (kind == PUSH_MESSAGE && session_only_subscribes(session));
}

static enum value push_value(enum push_kind kind)
{
	if (kind == PUSH_MONITOR_LINE)
		return VALUE_LINE;
	return kind == PUSH_REDIRECT_BROKEN ? VALUE_BROKEN : VALUE_PUSH;
}

/* Has weir a part in what EXEC's reply says? */
static bool is_followed(const struct backend *backend)
{
	return backend->head != NULL && backend->head->kind == REQUEST_EXEC && backend->owner->session.settlement != NULL;
}

static enum value value_of(const struct backend *backend, char type, enum push_kind kind)
{
	const struct reading *reading = &backend->reading;
	enum command_special special = answered_command(backend).special;

	if (push_is_confirmation(kind) && confirmations[special] == kind)
		return VALUE_CONFIRMATION;
	if (is_unasked(&backend->owner->session, type, kind))
		return reading->in_exec ? VALUE_ASIDE : push_value(kind);
	if (reading->in_exec)
		return VALUE_ELEMENT;
	return type == '*' && is_followed(backend) ? VALUE_HEADER : VALUE_REPLY;
}

static bool is_push(const struct reading *reading)
{
	return reading->value == VALUE_PUSH || reading->value == VALUE_LINE || reading->value == VALUE_BROKEN;
}

static bool begins_replication(const struct backend *backend, char type)
{
	enum command_special special = answered_command(backend).special;

	return type != '-' && (special == SPECIAL_SYNC || special == SPECIAL_PSYNC);
}

/* False: there is no value to be taken. */
static bool begin_value(struct backend *backend, const char *bytes, size_t length, enum push_kind kind, int64_t now_ns)
{
	struct reading *reading = &backend->reading;
	char type = bytes[0];

	if (begins_replication(backend, type)) {
		backend->unframed = true;
		backend_finish_reply(backend, type, slice_of(""), now_ns);
		return false;
	}
	reading->push = (uint8_t)kind;
	reading->value = (uint8_t)value_of(backend, type, kind);
	reading->author = AUTHOR_UNDECIDED;
	if (!is_push(reading) && !backend_awaits_reply(backend)) {
		backend_stray_reply(backend, bytes, length);
		return false;
	}
	backend->mid_reply = true;
	backend->framer.only_header = reading->value == VALUE_HEADER;
	if (reading->value == VALUE_REPLY)
		backend_begin_reply(backend, type);
	return true;
}

/* ---- a value is whole ---- */

static struct slice whole_of(struct backend *backend)
{
	return buf_slice(&backend->reading.whole);
}

static void end_exec(struct backend *backend, int64_t now_ns)
{
	backend->reading.in_exec = false;
	backend_finish_reply(backend, '*', slice_of(""), now_ns);
}

static void end_element(struct backend *backend, int64_t now_ns)
{
	local_exec_answered(&backend->owner->session);
	if (--backend->reading.elements == 0)
		end_exec(backend, now_ns);
}

/* WATCH has kept the transaction from being executed: nothing follows. */
static void end_null(struct backend *backend, int64_t now_ns)
{
	backend_begin_reply(backend, '*');
	delivery_bytes(backend->head, whole_of(backend).bytes, whole_of(backend).length);
	backend_finish_reply(backend, '*', slice_of(""), now_ns);
}

static void end_header(struct backend *backend, int64_t now_ns)
{
	struct reading *reading = &backend->reading;

	backend->framer.only_header = false;
	reading->elements = backend->framer.elements;
	if (reading->elements < 0) {
		end_null(backend, now_ns);
		return;
	}
	reading->in_exec = true;
	local_exec_begins(&backend->owner->session, whole_of(backend));
	if (reading->elements == 0)
		end_exec(backend, now_ns);
}

static uint32_t count_confirmations(const struct session *session, struct slice command, enum push_kind kind)
{
	struct resp_args args;

	resp_args_begin(&args, command.bytes);
	return args.left > 1 ? (uint32_t)args.left - 1 : session_confirmations_of_all(session, kind);
}

static void end_confirmation(struct backend *backend, int64_t now_ns)
{
	struct reading *reading = &backend->reading;
	struct session *session = &backend->owner->session;
	enum push_kind kind = (enum push_kind)reading->push;
	struct slice value = whole_of(backend);
	int64_t left = push_number(value);
	bool passage = backend->head->kind == REQUEST_PASSAGE;

	if (left < 0 || left > UINT32_MAX) {
		backend_desync(backend, "a confirmation without a number");
		return;
	}
	if (reading->due == 0)
		reading->due = count_confirmations(session, answered_command(backend).bytes, kind);
	if (passage)
		passage_confirmed(backend, kind, value);
	else
		session_confirm(session, kind, (uint32_t)left);
	if (reading->in_exec)
		local_exec_passes(session, value);
	else if (!passage)
		delivery_confirmation(backend->head, value);
	if (backend->closing || --reading->due > 0)
		return;
	if (reading->in_exec)
		end_element(backend, now_ns);
	else
		backend_finish_reply(backend, backend->framer.type, slice_of(""), now_ns);
}

/* The server has named a connection of weir's; the client knows a client. */
static void end_broken(struct backend *backend)
{
	struct buf push = { 0 };

	local_redirect_is_broken(&backend->owner->session, &push);
	delivery_push_collected(backend, buf_slice(&push));
	buf_free(&push);
}

static void end_value(struct backend *backend, int64_t now_ns)
{
	backend->mid_reply = false;
	switch ((enum value)backend->reading.value) {
	case VALUE_REPLY:
		backend_finish_reply(backend, backend->framer.type, slice_of(""), now_ns);
		break;
	case VALUE_BROKEN:
		end_broken(backend);
		delivery_pushed(backend, now_ns);
		break;
	case VALUE_LINE:
		delivery_push_collected(backend, whole_of(backend)); /* too short to have an author */
		delivery_pushed(backend, now_ns);
		break;
	case VALUE_PUSH:
		delivery_pushed(backend, now_ns);
		break;
	case VALUE_CONFIRMATION:
		end_confirmation(backend, now_ns);
		break;
	case VALUE_HEADER:
		end_header(backend, now_ns);
		break;
	case VALUE_ELEMENT:
		end_element(backend, now_ns);
		break;
	case VALUE_ASIDE:
		delivery_pushed(backend, now_ns);
	}
	buf_consume(&backend->reading.whole, whole_of(backend).length);
}

/* ---- bytes ---- */

/* A MONITOR through weir is spared what weir says on its own account. */
static void take_line(struct backend *backend, const char *bytes, size_t length)
{
	struct reading *reading = &backend->reading;
	struct buf *whole = &reading->whole;

	if (reading->author == AUTHOR_OTHER)
		delivery_push(backend, bytes, length);
	if (reading->author != AUTHOR_UNDECIDED)
		return;
	buf_append(whole, bytes, length);
	reading->author = (uint8_t)push_line_author(buf_head(whole), buf_length(whole));
	if (reading->author == AUTHOR_OTHER)
		delivery_push_collected(backend, whole_of(backend));
	if (reading->author != AUTHOR_UNDECIDED)
		buf_consume(whole, buf_length(whole));
}

static void take_bytes(struct backend *backend, const char *bytes, size_t length)
{
	switch ((enum value)backend->reading.value) {
	case VALUE_REPLY:
		if (backend->mode != DELIVERY_DROP)
			delivery_bytes(backend->head, bytes, length);
		break;
	case VALUE_PUSH:
		delivery_push(backend, bytes, length);
		break;
	case VALUE_LINE:
		take_line(backend, bytes, length);
		break;
	case VALUE_ELEMENT:
	case VALUE_ASIDE:
		local_exec_passes(&backend->owner->session, (struct slice){ bytes, length });
		break;
	default:
		buf_append(&backend->reading.whole, bytes, length);
	}
}

static size_t take_value(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	enum resp_result result;
	size_t used;

	result = resp_reply_next(&backend->framer, bytes, length, &used);
	if (result == RESP_BAD) {
		backend_desync(backend, "a malformed reply");
		return 0;
	}
	take_bytes(backend, bytes, used);
	if (result == RESP_OK && !backend->closing)
		end_value(backend, now_ns);
	return used;
}

/* A value of which nothing has been taken yet; its first bytes may be kept
 * from the last time, because they were too few to tell what it is. */
static size_t open_value(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	struct reading *reading = &backend->reading;
	size_t kept = reading->opening_length, room = PUSH_OPENING_BYTES - kept;
	size_t fresh = length < room ? length : room;
	enum push_kind kind;

	if (kept > 0)
		memcpy(reading->opening + kept, bytes, fresh);
	kind = kept > 0 ? kind_of(backend, reading->opening, kept + fresh) : kind_of(backend, bytes, length);
	if (kind == PUSH_UNDECIDED) {
		memcpy(reading->opening + kept, bytes, fresh);
		reading->opening_length = (uint8_t)(kept + fresh);
		return fresh;
	}
	reading->opening_length = 0;
	if (!begin_value(backend, kept > 0 ? reading->opening : bytes, kept > 0 ? kept + fresh : length, kind, now_ns))
		return 0;
	if (kept > 0) {
		take_value(backend, reading->opening, kept, now_ns);
		delivery_settle(backend->worker); /* it is lent no longer: other bytes may be kept there next */
	}
	return 0;
}

size_t backend_take_private(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	size_t used = 0;

	if (!backend->mid_reply)
		used = open_value(backend, bytes, length, now_ns);
	return backend->mid_reply && used == 0 ? take_value(backend, bytes, length, now_ns) : used;
}
