/* Reads INFO and ROLE. One table lists the fields that weir wants, their kind
 * and their place; the rest of the text is of no interest. Field names are the
 * same in Valkey, which kept Redis' (slave_*, master_*). */
#include "info.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

enum field_kind { FIELD_NUMBER, FIELD_FLAG, FIELD_TEXT, FIELD_ROLE, FIELD_LINK, FIELD_REPLID };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	size_t size; /* of the member, for texts */
};

#define FIELD(name, kind, member) { name, kind, offsetof(struct info, member), sizeof(((struct info *)0)->member) }

static const struct field fields[] = {
	FIELD("redis_version", FIELD_TEXT, redis_version),
	FIELD("server_name", FIELD_TEXT, server_name),
	FIELD("valkey_version", FIELD_TEXT, valkey_version),
	FIELD("run_id", FIELD_REPLID, run_id),
	FIELD("cluster_enabled", FIELD_FLAG, cluster_enabled),
	FIELD("loading", FIELD_FLAG, loading),
	FIELD("async_loading", FIELD_FLAG, async_loading),
	FIELD("connected_clients", FIELD_NUMBER, connected_clients),
	FIELD("number_of_libraries", FIELD_NUMBER, libraries),
	FIELD("maxmemory", FIELD_NUMBER, maxmemory),
	FIELD("maxmemory_policy", FIELD_TEXT, maxmemory_policy),
	FIELD("role", FIELD_ROLE, role),
	FIELD("master_replid", FIELD_REPLID, replid),
	FIELD("master_replid2", FIELD_REPLID, replid2),
	FIELD("master_repl_offset", FIELD_NUMBER, master_offset),
	FIELD("second_repl_offset", FIELD_NUMBER, second_offset),
	FIELD("repl_backlog_active", FIELD_FLAG, backlog_active),
	FIELD("repl_backlog_size", FIELD_NUMBER, backlog_size),
	FIELD("repl_backlog_first_byte_offset", FIELD_NUMBER, backlog_first),
	FIELD("repl_backlog_histlen", FIELD_NUMBER, backlog_length),
	FIELD("sync_full", FIELD_NUMBER, resyncs_full),
	FIELD("sync_partial_ok", FIELD_NUMBER, resyncs_partial),
	FIELD("sync_partial_err", FIELD_NUMBER, resyncs_refused),
	FIELD("connected_slaves", FIELD_NUMBER, connected_slaves),
	FIELD("master_host", FIELD_TEXT, master_host),
	FIELD("master_port", FIELD_NUMBER, master_port),
	FIELD("master_link_status", FIELD_LINK, link_up),
	FIELD("master_last_io_seconds_ago", FIELD_NUMBER, last_io_seconds),
	FIELD("master_sync_in_progress", FIELD_FLAG, sync_in_progress),
	FIELD("master_sync_read_bytes", FIELD_NUMBER, sync_read),
	FIELD("master_sync_total_bytes", FIELD_NUMBER, sync_total),
	FIELD("slave_repl_offset", FIELD_NUMBER, applied_offset),
	FIELD("slave_read_repl_offset", FIELD_NUMBER, received_offset),
	FIELD("slave_priority", FIELD_NUMBER, priority),
	FIELD("slave_read_only", FIELD_FLAG, read_only),
};

/* A view of a piece of the text. */
struct span {
	const char *at;
	size_t length;
};

static bool span_is(struct span span, const char *word)
{
	return strlen(word) == span.length && memcmp(span.at, word, span.length) == 0;
}

static bool span_starts(struct span span, const char *word)
{
	return strlen(word) <= span.length && memcmp(span.at, word, strlen(word)) == 0;
}

/* What stands before the first `separator`; *rest is what follows it. */
static struct span span_cut(struct span span, char separator, struct span *rest)
{
	const char *end = span.length ? memchr(span.at, separator, span.length) : NULL;
	size_t length = end ? (size_t)(end - span.at) : span.length;

	*rest = (struct span){span.at + length + (end != NULL), span.length - length - (end != NULL)};
	return (struct span){span.at, length};
}

/* Decimal, whole, within 64 bits. */
static bool span_number(struct span span, int64_t *number)
{
	bool negative = span.length > 0 && span.at[0] == '-';
	int64_t value = 0;

	if (span.length == (size_t)negative)
		return false;
	for (size_t i = negative; i < span.length; i++) {
		int digit = span.at[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return false;
	}
	if (!negative && __builtin_sub_overflow(0, value, &value))
		return false;
	*number = value;
	return true;
}

static bool span_text(struct span span, char *text, size_t size)
{
	if (span.length >= size || memchr(span.at, '\0', span.length) != NULL)
		return false;
	memcpy(text, span.at, span.length);
	text[span.length] = '\0';
	return true;
}

static bool span_port(struct span span, uint16_t *port)
{
	int64_t number;

	if (!span_number(span, &number) || number < 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* Forty hexadecimal digits; all zeros stand for "none". */
static bool span_replid(struct span span, char *replid)
{
	if (span.length != INFO_REPLID_LENGTH || !span_text(span, replid, INFO_REPLID_LENGTH + 1) ||
	    strspn(replid, "0123456789abcdef") != INFO_REPLID_LENGTH)
		return false;
	if (strspn(replid, "0") == INFO_REPLID_LENGTH)
		replid[0] = '\0';
	return true;
}

/* Every number of INFO that weir reads is an amount, or -1. The ceiling leaves
 * room to add two of them. */
static bool is_amount(int64_t number)
{
	return number >= -1 && number <= INT64_MAX / 2;
}

static bool parse_amount(struct span value, int64_t *number)
{
	return span_number(value, number) && is_amount(*number);
}

static bool parse_flag(struct span value, int64_t *flag)
{
	return span_number(value, flag) && (*flag == 0 || *flag == 1);
}

static bool parse_role_word(struct span value, enum server_role *role)
{
	*role = span_is(value, "master")  ? SERVER_ROLE_MASTER
		: span_is(value, "slave") ? SERVER_ROLE_SLAVE
					  : SERVER_ROLE_UNKNOWN;
	return *role != SERVER_ROLE_UNKNOWN;
}

static bool parse_link(struct span value, int64_t *link_up)
{
	*link_up = span_is(value, "up");
	return *link_up || span_is(value, "down");
}

static bool parse_field(const struct field *field, struct info *info, struct span value)
{
	void *member = (char *)info + field->offset;

	switch (field->kind) {
	case FIELD_NUMBER:
		return parse_amount(value, member);
	case FIELD_FLAG:
		return parse_flag(value, member);
	case FIELD_TEXT:
		return span_text(value, member, field->size);
	case FIELD_ROLE:
		return parse_role_word(value, member);
	case FIELD_LINK:
		return parse_link(value, member);
	case FIELD_REPLID:
		return span_replid(value, member);
	}
	return false;
}

/* db0:keys=5,expires=0,avg_ttl=0 */
static bool parse_database(struct info *info, struct span value)
{
	struct span rest;
	struct span first = span_cut(value, ',', &rest);
	struct span count;
	int64_t keys;

	if (!span_is(span_cut(first, '=', &count), "keys") || !parse_amount(count, &keys) || keys < 0)
		return false;
	return !__builtin_add_overflow(info->keys, keys, &info->keys);
}

static bool parse_slave_pair(struct info_slave *slave, struct span key, struct span value)
{
	if (span_is(key, "ip"))
		return span_text(value, slave->host, sizeof(slave->host));
	if (span_is(key, "port"))
		return span_port(value, &slave->port);
	if (span_is(key, "state"))
		return span_text(value, slave->state, sizeof(slave->state));
	if (span_is(key, "offset"))
		return parse_amount(value, &slave->offset);
	if (span_is(key, "lag"))
		return parse_amount(value, &slave->lag);
	return true;
}

/* slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=0 */
static bool parse_slave(struct info *info, struct span value)
{
	struct info_slave slave = {.offset = INFO_UNKNOWN, .lag = INFO_UNKNOWN};

	while (value.length > 0) {
		struct span pair = span_cut(value, ',', &value);
		struct span content;
		struct span key = span_cut(pair, '=', &content);

		if (!parse_slave_pair(&slave, key, content))
			return false;
	}
	if (info->slave_count < INFO_SLAVES_MAX)
		info->slaves[info->slave_count++] = slave;
	return true;
}

/* `prefix` and then digits only: db0, slave12. */
static bool span_numbered(struct span span, const char *prefix)
{
	size_t skip = strlen(prefix);
	int64_t number;

	return span_starts(span, prefix) &&
	       span_number((struct span){span.at + skip, span.length - skip}, &number) && number >= 0;
}

/* True, or *wrong names what is malformed. */
static bool parse_line(struct info *info, struct span key, struct span value, const char **wrong)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (span_is(key, fields[i].name)) {
			*wrong = fields[i].name;
			return parse_field(&fields[i], info, value);
		}
	}
	*wrong = "keyspace";
	if (span_numbered(key, "db"))
		return parse_database(info, value);
	*wrong = "slave";
	if (span_numbered(key, "slave"))
		return parse_slave(info, value);
	return true;
}

static void info_clear(struct info *info)
{
	memset(info, 0, sizeof(*info));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].kind == FIELD_NUMBER || fields[i].kind == FIELD_FLAG || fields[i].kind == FIELD_LINK)
			*(int64_t *)(void *)((char *)info + fields[i].offset) = INFO_UNKNOWN;
}

bool info_parse(struct info *info, const char *text, size_t length, const char **wrong)
{
	struct span rest = {text, length};

	info_clear(info);
	while (rest.length > 0) {
		struct span line = span_cut(rest, '\n', &rest);
		struct span value;
		struct span key;

		if (line.length > 0 && line.at[line.length - 1] == '\r')
			line.length--;
		if (line.length == 0 || line.at[0] == '#')
			continue;
		key = span_cut(line, ':', &value);
		if (!parse_line(info, key, value, wrong))
			return false;
	}
	*wrong = info->run_id[0] == '\0' ? "run_id" : "role";
	return info->run_id[0] != '\0' && info->role != SERVER_ROLE_UNKNOWN;
}

const char *info_server_name(const struct info *info)
{
	return info->server_name[0] != '\0' ? info->server_name : "redis";
}

const char *info_server_version(const struct info *info)
{
	return info->valkey_version[0] != '\0' ? info->valkey_version : info->redis_version;
}

bool info_version_supported(const char *redis_version)
{
	int major = 0;
	int minor = 0;
	int patch = 0;

	if (sscanf(redis_version, "%9d.%9d.%9d", &major, &minor, &patch) < 2)
		return false;
	if (major != 6)
		return major > 6;
	return minor > 2 || (minor == 2 && patch >= 6);
}

bool info_evicts_by_use(const struct info *info)
{
	return info->maxmemory > 0 && (strstr(info->maxmemory_policy, "lru") != NULL || strstr(info->maxmemory_policy, "lfu") != NULL);
}

int64_t info_position(const struct info *info)
{
	return info->role == SERVER_ROLE_SLAVE ? info->applied_offset : info->master_offset;
}

const char *server_role_name(enum server_role role)
{
	static const char *const names[] = {
		[SERVER_ROLE_UNKNOWN] = NULL,
		[SERVER_ROLE_MASTER] = "master",
		[SERVER_ROLE_SLAVE] = "slave",
	};

	return names[role];
}

/* ---- ROLE ---- */

static struct span reply_span(const struct redisReply *reply)
{
	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
		return (struct span){reply->str, (size_t)reply->len};
	return (struct span){"", 0};
}

/* ["slave", host, port, state, applied offset or -1] */
static bool role_parse_slave(struct role *role, const struct redisReply *reply)
{
	const struct redisReply *port;

	if (reply->elements < 5 || reply->element[4]->type != REDIS_REPLY_INTEGER)
		return false;
	port = reply->element[2];
	if (port->type != REDIS_REPLY_INTEGER || port->integer < 0 || port->integer > UINT16_MAX)
		return false;
	role->master_port = (uint16_t)port->integer;
	role->offset = reply->element[4]->integer;
	return is_amount(role->offset) && span_text(reply_span(reply->element[1]), role->master_host, sizeof(role->master_host)) &&
	       span_text(reply_span(reply->element[3]), role->state, sizeof(role->state));
}

/* ["master", offset, replicas] */
static bool role_parse_master(struct role *role, const struct redisReply *reply)
{
	if (reply->elements < 2 || reply->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	role->offset = reply->element[1]->integer;
	return is_amount(role->offset) && role->offset >= 0;
}

bool role_parse(struct role *role, const struct redisReply *reply)
{
	memset(role, 0, sizeof(*role));
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
	    !parse_role_word(reply_span(reply->element[0]), &role->role))
		return false;
	return role->role == SERVER_ROLE_MASTER ? role_parse_master(role, reply) : role_parse_slave(role, reply);
}

bool reply_is_busy(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "BUSY ", 5) == 0;
}
