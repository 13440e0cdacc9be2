#include "operation.h"

#include <inttypes.h>
#include <string.h>

#include "../../../protocol/encode.h"
#include "history.h"

/* Balances count in units of their own, so that a figure tells its key:
 * figure = transfers * unit, and fewer than UNIT_STEP transfers use a key. */
enum { UNIT_STEP = 1000, GENERATION_STEP = 16, POP_SECONDS = 1 };

/* ---- what is sent ---- */

static const char *key_text(const struct operation *operation, uint32_t index, char name[KEY_SIZE])
{
	return ground_name(&operation->keys[index], name);
}

/* A key that belongs to the operation's key: its name with a suffix. */
static const char *part(const struct operation *operation, const char *suffix, char name[KEY_SIZE])
{
	ground_name(&operation->keys[0], name);
	return strncat(name, suffix, KEY_SIZE - strlen(name) - 1);
}

static const char *list_name(const struct operation *operation, char name[KEY_SIZE])
{
	return part(operation, operation->keys[0].family == FAMILY_TRANSFER ? ":log" : "", name);
}

/* What a value is padded with. */
static char padding_of(const char *value)
{
	unsigned sum = 0;

	while (*value != '\0')
		sum += (unsigned char)*value++;
	return (char)('a' + sum % 26);
}

static void encode_set(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE], mark[24];
	struct buf value = { 0 };

	buf_append_text(&value, operation->value);
	if (operation->padding > 0) {
		snprintf(mark, sizeof(mark), "~%u~", operation->padding);
		buf_append_text(&value, mark);
		memset(buf_reserve(&value, operation->padding), padding_of(operation->value), operation->padding);
		buf_produced(&value, operation->padding);
	}
	encode_array(out, 3);
	encode_bulk_text(out, "SET");
	encode_bulk_text(out, key_text(operation, 0, name));
	encode_bulk(out, buf_slice(&value));
	buf_free(&value);
}

static void encode_get(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "GET", key_text(operation, 0, name), NULL);
}

static void encode_mget(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_array(out, 1 + operation->key_count);
	encode_bulk_text(out, "MGET");
	for (uint32_t i = 0; i < operation->key_count; i++)
		encode_bulk_text(out, key_text(operation, i, name));
}

static void encode_rpush(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "RPUSH", key_text(operation, 0, name), operation->value, NULL);
}

static void encode_range(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "LRANGE", list_name(operation, name), "0", "-1", NULL);
}

int64_t operation_unit(const struct key *key)
{
	return UNIT_STEP * ((int64_t)key->generation * GENERATION_STEP + key->index + 1) + 1;
}

static void encode_transfer(const struct operation *operation, struct buf *out)
{
	char from[KEY_SIZE], to[KEY_SIZE], log[KEY_SIZE], amount[24];

	snprintf(amount, sizeof(amount), "%" PRId64, operation_unit(&operation->keys[0]));
	encode_request_words(out, "MULTI", NULL);
	encode_request_words(out, "DECRBY", part(operation, ":a", from), amount, NULL);
	encode_request_words(out, "INCRBY", part(operation, ":b", to), amount, NULL);
	encode_request_words(out, "RPUSH", part(operation, ":log", log), operation->value, NULL);
	encode_request_words(out, "EXEC", NULL);
}

static void encode_balance(const struct operation *operation, struct buf *out)
{
	char from[KEY_SIZE], to[KEY_SIZE];

	encode_request_words(out, "MGET", part(operation, ":a", from), part(operation, ":b", to), NULL);
}

static void encode_watch(const struct operation *operation, struct buf *out)
{
	char from[KEY_SIZE], to[KEY_SIZE];

	encode_request_words(out, "WATCH", part(operation, ":a", from), part(operation, ":b", to), NULL);
}

static void encode_pop(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE], seconds[8];

	snprintf(seconds, sizeof(seconds), "%d", POP_SECONDS);
	encode_array(out, 2 + operation->key_count);
	encode_bulk_text(out, "BLPOP");
	for (uint32_t i = 0; i < operation->key_count; i++)
		encode_bulk_text(out, key_text(operation, i, name));
	encode_bulk_text(out, seconds);
}

static void encode_take(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "LPOP", key_text(operation, 0, name), NULL);
}

static void encode_move(const struct operation *operation, struct buf *out)
{
	char from[KEY_SIZE], to[KEY_SIZE], seconds[8];

	snprintf(seconds, sizeof(seconds), "%d", POP_SECONDS);
	key_text(operation, 0, from);
	key_text(operation, 1, to);
	encode_request_words(out, "BLMOVE", from, to, "LEFT", "RIGHT", seconds, NULL);
}

static void encode_echo(const struct operation *operation, struct buf *out)
{
	encode_request_words(out, "ECHO", operation->value, NULL);
}

static const char *channel(const struct operation *operation, char name[KEY_SIZE])
{
	snprintf(name, KEY_SIZE, "n:%" PRId64, operation->number);
	return name;
}

static void encode_publish(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "PUBLISH", channel(operation, name), operation->value, NULL);
}

static void encode_subscribe(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "SUBSCRIBE", channel(operation, name), NULL);
}

static void encode_unsubscribe(const struct operation *operation, struct buf *out)
{
	char name[KEY_SIZE];

	encode_request_words(out, "UNSUBSCRIBE", channel(operation, name), NULL);
}

static void encode_number(const char *word, const struct operation *operation, struct buf *out)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, operation->number);
	encode_request_words(out, word, number, NULL);
}

static void encode_select(const struct operation *operation, struct buf *out)
{
	encode_number("SELECT", operation, out);
}

static void encode_hello(const struct operation *operation, struct buf *out)
{
	encode_number("HELLO", operation, out);
}

static void encode_ping(const struct operation *operation, struct buf *out)
{
	(void)operation;
	encode_request_words(out, "PING", NULL);
}

static void encode_reset(const struct operation *operation, struct buf *out)
{
	(void)operation;
	encode_request_words(out, "RESET", NULL);
}

static void encode_token(const struct operation *operation, struct buf *out)
{
	(void)operation;
	encode_request_words(out, "WEIR", "TOKEN", NULL);
}

static void encode_wait(const struct operation *operation, struct buf *out)
{
	encode_request_words(out, "WEIR", "WAIT", operation->value, NULL);
}

/* ---- the table ---- */

struct kind {
	const char *name; /* in the history */
	bool row;         /* stands there; the others only change the session */
	uint32_t replies;
	bool reads;      /* and does nothing else */
	void (*encode)(const struct operation *operation, struct buf *out);
};

static const struct kind kinds[OPERATIONS] = {
	[OPERATION_SET] = { "set", true, 1, false, encode_set },
	[OPERATION_GET] = { "get", true, 1, true, encode_get },
	[OPERATION_MGET] = { "get", true, 1, true, encode_mget },
	[OPERATION_APPEND] = { "append", true, 1, false, encode_rpush },
	[OPERATION_RANGE] = { "range", true, 1, true, encode_range },
	[OPERATION_TRANSFER] = { "transfer", true, 5, false, encode_transfer },
	[OPERATION_BALANCE] = { "balance", true, 1, true, encode_balance },
	[OPERATION_PUSH] = { "push", true, 1, false, encode_rpush },
	[OPERATION_POP] = { "pop", true, 1, false, encode_pop },
	[OPERATION_TAKE] = { "take", true, 1, false, encode_take },
	[OPERATION_MOVE] = { "move", true, 1, false, encode_move },
	[OPERATION_ECHO] = { "echo", true, 1, true, encode_echo },
	[OPERATION_PUBLISH] = { "publish", true, 1, false, encode_publish },
	[OPERATION_TOKEN] = { "token", true, 1, false, encode_token },
	[OPERATION_WAIT] = { "wait", true, 1, false, encode_wait },
	[OPERATION_WATCH] = { "watch", false, 1, false, encode_watch },
	[OPERATION_SELECT] = { "select", false, 1, true, encode_select },
	[OPERATION_HELLO] = { "hello", false, 1, true, encode_hello },
	[OPERATION_PING] = { "ping", false, 1, true, encode_ping },
	[OPERATION_SUBSCRIBE] = { "subscribe", false, 1, false, encode_subscribe },
	[OPERATION_UNSUBSCRIBE] = { "unsubscribe", false, 1, false, encode_unsubscribe },
	[OPERATION_RESET] = { "reset", false, 1, false, encode_reset },
};

bool operation_reads(enum operation_name name)
{
	return kinds[name].reads;
}

const char *operation_text(enum operation_name name)
{
	return kinds[name].name;
}

bool operation_has_row(enum operation_name name)
{
	return kinds[name].row;
}

uint32_t operation_replies(enum operation_name name)
{
	return kinds[name].replies;
}

/* Some registers are in another database: backends of the master and of the
 * replicas are one per database, and floors hold across them. */
uint32_t operation_database(const struct key *key)
{
	return key->family == FAMILY_SINGLE && key->index % 4 == 3;
}

void operation_encode(const struct operation *operation, struct buf *out)
{
	kinds[operation->name].encode(operation, out);
}

/* ---- what came of it ---- */

enum outcome operation_outcome(const struct operation *operation, const struct reply *reply)
{
	static const char unknown[] = "UNKNOWNRESULT";

	if (operation->name == OPERATION_TRANSFER && reply->type == '_')
		return OUTCOME_FAIL; /* what was watched has changed */
	if (!reply_is_error(reply))
		return OUTCOME_OK;
	if (reply->length >= sizeof(unknown) - 1 && memcmp(reply->text, unknown, sizeof(unknown) - 1) == 0)
		return OUTCOME_INFO;
	return OUTCOME_FAIL;
}

/* How much of a text stands in the history. A padded value stands without its
 * padding, "value~length~padding", if that is whole; what is wrong with it must
 * show. */
static size_t told_length(const char *text, size_t length)
{
	char head[VALUE_SIZE];
	size_t value, padding;
	int begin = 0;
	char fill;

	if (length < sizeof(head))
		return length;
	memcpy(head, text, sizeof(head) - 1);
	head[sizeof(head) - 1] = '\0';
	value = strcspn(head, "~");
	if (sscanf(head + value, "~%zu~%n", &padding, &begin) != 1 || begin == 0 ||
	    value + (size_t)begin + padding != length)
		return sizeof(head);
	head[value] = '\0';
	fill = padding_of(head);
	for (size_t i = value + (size_t)begin; i < length; i++)
		if (text[i] != fill)
			return sizeof(head);
	return value;
}

static void put_reply(struct buf *json, const struct reply *reply)
{
	const struct reply *element;

	switch (reply->type) {
	case '_':
		buf_append_text(json, "null");
		return;
	case ':':
		history_put_integer(json, reply->integer);
		return;
	case '*':
	case '>':
		buf_append(json, "[", 1);
		for (element = reply->first; element != NULL; element = element->next) {
			put_reply(json, element);
			if (element->next != NULL)
				buf_append(json, ",", 1);
		}
		buf_append(json, "]", 1);
		return;
	default:
		history_put_text(json, reply->text, told_length(reply->text, reply->length));
	}
}

static void put_queues(struct buf *json, const struct operation *operation)
{
	char name[KEY_SIZE];
	uint32_t count = operation->name == OPERATION_POP ? operation->key_count : 1;

	for (uint32_t i = 0; i < count; i++) {
		key_text(operation, i, name);
		buf_append(json, i == 0 ? "[" : ",", 1);
		history_put_text(json, name, strlen(name));
	}
	buf_append(json, "]", 1);
}

static void put_wrote(struct buf *json, const struct operation *operation)
{
	switch (operation->name) {
	case OPERATION_POP:
	case OPERATION_TAKE:
	case OPERATION_MOVE:
		put_queues(json, operation);
		return;
	case OPERATION_TRANSFER:
		buf_append(json, "[", 1);
		history_put_text(json, operation->value, strlen(operation->value));
		buf_append(json, ",", 1);
		if (operation->number == UNWATCHED)
			buf_append_text(json, "null");
		else
			history_put_integer(json, operation->number);
		buf_append(json, "]", 1);
		return;
	default:
		if (operation->value[0] != '\0')
			history_put_text(json, operation->value, strlen(operation->value));
	}
}

static const char *row_key(const struct operation *operation, uint32_t index, char name[KEY_SIZE])
{
	switch (operation->name) {
	case OPERATION_PUBLISH:
		return channel(operation, name);
	case OPERATION_RANGE:
		return list_name(operation, name);
	case OPERATION_MOVE:
		return key_text(operation, 1, name);
	default:
		return operation->key_count > 0 ? key_text(operation, index, name) : "";
	}
}

static const char *const outcomes[] = { [OUTCOME_OK] = "ok", [OUTCOME_FAIL] = "fail", [OUTCOME_INFO] = "info" };

static void record(const struct operation *operation, uint32_t index, const struct witness *witness,
		   const struct reply *reply, enum outcome outcome)
{
	struct buf wrote = { 0 }, read = { 0 };
	char name[KEY_SIZE];
	struct row row = { .session = witness->session,
			   .sequence = operation->sequence,
			   .operation = kinds[operation->name].name,
			   .key = row_key(operation, index, name),
			   .wrote = &wrote,
			   .read = &read,
			   .invoked_ns = operation->invoked_ns,
			   .returned_ns = witness->now_ns,
			   .outcome = outcomes[outcome] };

	put_wrote(&wrote, operation);
	if (reply != NULL)
		put_reply(&read, reply);
	history_row(witness->history, &row);
	buf_free(&wrote);
	buf_free(&read);
}

void operation_record(const struct operation *operation, const struct witness *witness, const struct reply *reply,
		      enum outcome outcome)
{
	bool parts = operation->name == OPERATION_MGET && outcome == OUTCOME_OK;

	if (!operation_has_row(operation->name) || witness->history == NULL)
		return;
	/* A reply of another shape stands as it came: the judge will object. */
	if (!parts || reply->count != operation->key_count)
		record(operation, 0, witness, reply, outcome);
	else
		for (uint32_t i = 0; i < operation->key_count; i++)
			record(operation, i, witness, reply_at(reply, i), outcome);
}

void operation_record_message(const struct witness *witness, uint32_t sequence, const struct reply *message)
{
	const struct reply *payload = reply_at(message, 2);
	struct buf read = { 0 };
	struct row row = { .session = witness->session,
			   .sequence = sequence,
			   .operation = "message",
			   .key = "",
			   .read = &read,
			   .invoked_ns = witness->now_ns,
			   .returned_ns = witness->now_ns,
			   .outcome = "ok" };

	if (witness->history == NULL)
		return;
	put_reply(&read, payload != NULL ? payload : message);
	history_row(witness->history, &row);
	buf_free(&read);
}
