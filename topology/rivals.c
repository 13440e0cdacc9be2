/* Looks about once a second, more seldom the more clients CLIENT LIST would have
 * to list (it costs the master about a microsecond for each), and always right
 * before a REPLICAOF. The order of client ids is the order of connecting, not of
 * taking a name, so a weir that has just connected counts everybody as before
 * it: until then it could be seen by nobody. A master that does not let weir look cannot
 * be told to be free of others, and counts as controlled by them. */
#include "rivals.h"

#include <ctype.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "group.h"
#include "memory.h"

enum {
	LOOK_EVERY_MS = 1000,
	LOOK_LATER_MS = 10,        /* for each client more */
	SENTINEL_LASTS_MS = 5000,  /* it reconnects, above all in a failover */
	AROUND_EVERY_MS = 200,
	LEADER_LASTS_MS = 2000,    /* it may be connecting anew */
	NEWCOMER_LOOKS = 2,        /* for so many of these times it is new */
	FRESH_MARK_MS = 1000,      /* whoever has looked before may not know of it, and be about to promote */
	CONTROL_ID_DIGITS = 16,
	CONTROL_NAME = 13 + CONTROL_ID_DIGITS, /* its length */
};

static const char control_prefix[] = "weir-control-";
/* Behind the name of a weir that would promote a replica if the master were lost. */
static const char mark[] = "-promotes";

/* One server as a place where weirs see each other. */
struct witness {
	struct rivals *rivals;
	int64_t told_ns;           /* the newest answered question was sent; 0: none */
	int64_t link_ns;           /* the link that the following is about, by its beginning */
	bool marked;               /* what it was told of this weir last */
	int64_t marked_ns;         /* when it had answered that; 0: not yet */
};

struct rivals {
	struct topology *topology;
	struct witness witnesses[TOPOLOGY_NODES_MAX]; /* by id */
	bool would_promote;
	int64_t would_ns;          /* since when */
	int64_t around_ns;         /* when they were asked last */
	int64_t leader_seen_ns;    /* another weir that would promote, whose name is lower than this one's; 0: never */
	char leader[PLAN_TEXT_SIZE];
	int64_t asked_ns;          /* 0: no question is unanswered */
	int64_t looked_ns;         /* when the newest answered question was sent */
	char run_id[RUN_ID_LENGTH + 1]; /* of the master that was asked */
	int64_t sentinel_seen_ns;  /* 0: never */
	char blind[PLAN_TEXT_SIZE]; /* why a Sentinel could not be looked for, "" */
	char weir[PLAN_TEXT_SIZE];
};

/* ---- the other weir ---- */

/* The value of `key` in one line of CLIENT LIST; its length, or -1. */
static int line_value(const char *line, size_t length, const char *key, const char **value)
{
	const char *end = line + length;
	const char *at = memmem(line, length, key, strlen(key));
	const char *blank;

	*value = NULL;
	if (at == NULL || (at != line && at[-1] != ' '))
		return -1;
	*value = at + strlen(key);
	blank = memchr(*value, ' ', (size_t)(end - *value));
	return (int)((blank ? blank : end) - *value);
}

static bool has_mark(const char *name, int length)
{
	return length == CONTROL_NAME + (int)sizeof(mark) - 1 && memcmp(name + CONTROL_NAME, mark, sizeof(mark) - 1) == 0;
}

static bool is_control_name(const char *name, int length)
{
	size_t skip = sizeof(control_prefix) - 1;

	if ((length != CONTROL_NAME && !has_mark(name, length)) || memcmp(name, control_prefix, skip) != 0)
		return false;
	for (int i = (int)skip; i < CONTROL_NAME; i++)
		if (!isxdigit((unsigned char)name[i]))
			return false;
	return true;
}

static uint64_t line_id(const char *line, size_t length)
{
	const char *value;
	int digits = line_value(line, length, "id=", &value);
	uint64_t id = 0;

	for (int i = 0; i < digits && isdigit((unsigned char)value[i]); i++)
		id = id * 10 + (uint64_t)(value[i] - '0');
	return id;
}

/* One client of a CLIENT LIST. */
struct listed {
	bool is_weir;              /* by its name, */
	char name[CONTROL_NAME + 1]; /* which is this, without the mark; "": not one of a weir */
	bool would_promote;
	uint64_t id;
};

/* Takes the first line off the text; false at its end. */
static bool next_listed(const char **list, size_t *length, struct listed *client)
{
	const char *end = memchr(*list, '\n', *length);
	size_t line = end ? (size_t)(end - *list) : *length;
	const char *name;
	int name_length;

	if (*length == 0)
		return false;
	name_length = line_value(*list, line, "name=", &name);
	client->is_weir = is_control_name(name, name_length);
	client->would_promote = client->is_weir && has_mark(name, name_length);
	snprintf(client->name, sizeof(client->name), "%.*s", client->is_weir ? CONTROL_NAME : 0, name != NULL ? name : "");
	client->id = line_id(*list, line);
	*length -= line + (end != NULL);
	*list += line + (end != NULL);
	return true;
}

bool rivals_find_weir(const char *list, size_t length, const char *own_name, bool newcomer, char *name, size_t size)
{
	uint64_t own = UINT64_MAX;
	uint64_t first = UINT64_MAX;
	struct listed client;

	while (next_listed(&list, &length, &client)) {
		if (client.is_weir && strcmp(client.name, own_name) == 0) {
			own = client.id < own && !newcomer ? client.id : own;
		} else if (client.is_weir && client.id < first) {
			first = client.id;
			snprintf(name, size, "%s", client.name);
		}
	}
	return first != UINT64_MAX && first < own;
}

bool rivals_find_leader(const char *list, size_t length, const char *own_name, char *name, size_t size)
{
	struct listed client;
	bool found = false;

	snprintf(name, size, "%s", own_name);
	while (next_listed(&list, &length, &client)) {
		if (!client.would_promote || strcmp(client.name, name) >= 0)
			continue;
		snprintf(name, size, "%s", client.name);
		found = true;
	}
	return found;
}

static int64_t look_every_ns(const struct node *master)
{
	int64_t clients = master->info.connected_clients > 0 ? master->info.connected_clients : 0;

	return (LOOK_EVERY_MS + (clients < INT32_MAX ? clients : INT32_MAX) * LOOK_LATER_MS) * NS_PER_MS;
}

static bool is_new(const struct rivals *rivals)
{
	const struct node *master = group_master(rivals->topology);

	return master == NULL ||
	       clock_now_ns() - link_since_ns(master->link) < NEWCOMER_LOOKS * look_every_ns(master);
}

static void on_clients(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct rivals *rivals = arg;
	char name[sizeof(control_prefix) + CONTROL_ID_DIGITS];

	rivals->asked_ns = 0;
	if (reply_is_busy(reply))
		return; /* what was known last still stands */
	rivals->weir[0] = '\0';
	if (reply->type != REDIS_REPLY_STRING)
		snprintf(rivals->weir, sizeof(rivals->weir), "CLIENT LIST cannot be had from the master: %.100s",
			 reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
	else if (rivals_find_weir(reply->str, (size_t)reply->len, rivals->topology->link_name, is_new(rivals), name,
				  sizeof(name)))
		snprintf(rivals->weir, sizeof(rivals->weir), "another weir (%s) controls the master", name);
	rivals->looked_ns = sent_ns;
	group_touch(rivals->topology);
}

/* ---- the Sentinel ---- */

/* [channel, number of its subscribers] */
static bool is_count(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 &&
	       reply->element[1]->type == REDIS_REPLY_INTEGER;
}

/* Sentinel listens on the master and on every replica, and may be away from one
 * of them for a moment: from the promoted one right after the promotion. */
static void on_subscribers(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct rivals *rivals = arg;

	if (is_count(reply) && reply->element[1]->integer > 0)
		rivals->sentinel_seen_ns = sent_ns;
}

static void on_masters_subscribers(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct rivals *rivals = arg;

	if (reply_is_busy(reply))
		return;
	rivals->blind[0] = '\0';
	if (!is_count(reply))
		snprintf(rivals->blind, sizeof(rivals->blind), "PUBSUB cannot be had from the master: %.100s",
			 reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
	on_subscribers(rivals, reply, sent_ns);
}

static void look_for_sentinel(struct rivals *rivals, const struct node *master)
{
	static const char *const argv[] = {"PUBSUB", "NUMSUB", "__sentinel__:hello"};

	for (size_t i = 0; i < rivals->topology->node_count; i++) {
		const struct node *node = rivals->topology->nodes[i];

		if (node->known && info_version_supported(node->info.redis_version))
			link_request(node->link, node == master ? on_masters_subscribers : on_subscribers, rivals, 3,
				     argv);
	}
}

/* ---- looking ---- */

static bool is_time(const struct rivals *rivals, const struct node *master, int64_t now_ns)
{
	return now_ns - rivals->looked_ns >= look_every_ns(master) || strcmp(rivals->run_id, master->info.run_id) != 0;
}

/* A question whose link was lost has no answer. */
static bool is_waiting(const struct rivals *rivals, int64_t now_ns)
{
	return rivals->asked_ns != 0 &&
	       now_ns - rivals->asked_ns < 2 * rivals->topology->config.timeout_ms * NS_PER_MS;
}

void rivals_look(struct rivals *rivals, bool now)
{
	static const char *const clients[] = {"CLIENT", "LIST"};
	struct node *master = group_master(rivals->topology);
	int64_t now_ns = clock_now_ns();

	if (master == NULL || !link_is_ready(master->link) || is_waiting(rivals, now_ns) ||
	    (!now && !is_time(rivals, master, now_ns)))
		return;
	if (strcmp(rivals->run_id, master->info.run_id) != 0)
		rivals->looked_ns = 0;
	memcpy(rivals->run_id, master->info.run_id, sizeof(rivals->run_id));
	look_for_sentinel(rivals, master); /* before CLIENT LIST, whose answer ends the look */
	if (link_request(master->link, on_clients, rivals, 2, clients))
		rivals->asked_ns = now_ns;
}

/* ---- the mark ---- */

static void on_marked(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct witness *witness = arg;

	(void)reply; /* whom it lets have no name it lets see none */
	(void)sent_ns;
	witness->marked_ns = clock_now_ns();
	group_touch(witness->rivals->topology);
}

static void tell_mark(struct rivals *rivals, const struct node *node)
{
	struct witness *witness = &rivals->witnesses[node->id];
	char name[sizeof(rivals->topology->link_name) + sizeof(mark)];
	const char *argv[] = {"CLIENT", "SETNAME", name};
	bool known = witness->link_ns == link_since_ns(node->link);

	if (!link_is_ready(node->link) || (known ? witness->marked : false) == rivals->would_promote)
		return;
	snprintf(name, sizeof(name), "%s%s", rivals->topology->link_name, rivals->would_promote ? mark : "");
	if (!link_request(node->link, on_marked, witness, 3, argv))
		return;
	witness->link_ns = link_since_ns(node->link);
	witness->marked = rivals->would_promote;
	witness->marked_ns = 0;
}

void rivals_announce(struct rivals *rivals, bool would_promote)
{
	if (rivals->would_promote != would_promote)
		rivals->would_ns = clock_now_ns();
	rivals->would_promote = would_promote;
	for (size_t i = 0; i < rivals->topology->node_count; i++)
		tell_mark(rivals, rivals->topology->nodes[i]);
}

/* It lets the others see that this weir would promote. */
static bool shows_mark(const struct rivals *rivals, const struct node *node)
{
	const struct witness *witness = &rivals->witnesses[node->id];

	return witness->marked && witness->marked_ns != 0 && witness->link_ns == link_since_ns(node->link);
}

/* ---- looking around ---- */

static void on_witness(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct witness *witness = arg;
	struct rivals *rivals = witness->rivals;
	char name[sizeof(rivals->topology->link_name)];

	if (reply->type != REDIS_REPLY_STRING)
		return; /* who does not tell is not passed over */
	witness->told_ns = sent_ns;
	if (rivals_find_leader(reply->str, (size_t)reply->len, rivals->topology->link_name, name, sizeof(name))) {
		rivals->leader_seen_ns = sent_ns;
		snprintf(rivals->leader, sizeof(rivals->leader), "another weir (%s) goes first", name);
	}
	group_touch(rivals->topology);
}

void rivals_look_around(struct rivals *rivals)
{
	static const char *const clients[] = {"CLIENT", "LIST"};
	struct topology *topology = rivals->topology;
	int64_t now_ns = clock_now_ns();

	if (now_ns - rivals->around_ns < AROUND_EVERY_MS * NS_PER_MS)
		return;
	rivals->around_ns = now_ns;
	look_for_sentinel(rivals, NULL);
	for (size_t i = 0; i < topology->node_count; i++)
		link_request(topology->nodes[i]->link, on_witness, &rivals->witnesses[topology->nodes[i]->id], 2, clients);
}

const char *rivals_go_first(const struct rivals *rivals)
{
	int64_t now_ns = clock_now_ns();

	if (rivals->sentinel_seen_ns != 0 && now_ns - rivals->sentinel_seen_ns < SENTINEL_LASTS_MS * NS_PER_MS)
		return "a Sentinel watches these servers";
	if (rivals->leader_seen_ns != 0 && now_ns - rivals->leader_seen_ns < LEADER_LASTS_MS * NS_PER_MS)
		return rivals->leader;
	return NULL;
}

/* Two that have marked themselves before they looked see each other. */
static bool has_told(const struct rivals *rivals, const struct node *node, int64_t since_ns)
{
	const struct witness *witness = &rivals->witnesses[node->id];

	return shows_mark(rivals, node) && witness->told_ns > since_ns && witness->told_ns >= witness->marked_ns;
}

bool rivals_have_told(const struct rivals *rivals, int64_t since_ns)
{
	const struct topology *topology = rivals->topology;

	if (!rivals->would_promote || clock_now_ns() - rivals->would_ns < FRESH_MARK_MS * NS_PER_MS)
		return false;
	for (size_t i = 0; i < topology->node_count; i++)
		if (node_is_up(topology->nodes[i]) && !has_told(rivals, topology->nodes[i], since_ns))
			return false;
	return true;
}

bool rivals_looked_since(const struct rivals *rivals, int64_t since_ns)
{
	const struct node *master = group_master(rivals->topology);

	return master != NULL && rivals->looked_ns >= since_ns && strcmp(rivals->run_id, master->info.run_id) == 0;
}

const char *rivals_found(const struct rivals *rivals)
{
	if (rivals->sentinel_seen_ns != 0 &&
	    clock_now_ns() - rivals->sentinel_seen_ns < SENTINEL_LASTS_MS * NS_PER_MS)
		return "a Sentinel watches these servers";
	if (rivals->blind[0] != '\0')
		return rivals->blind;
	return rivals->weir[0] != '\0' ? rivals->weir : NULL;
}

struct rivals *rivals_create(struct topology *topology)
{
	struct rivals *rivals = memory_zeroed(1, sizeof(*rivals));

	rivals->topology = topology;
	for (size_t i = 0; i < TOPOLOGY_NODES_MAX; i++)
		rivals->witnesses[i].rivals = rivals;
	return rivals;
}

void rivals_destroy(struct rivals **rivals)
{
	free(*rivals);
	*rivals = NULL;
}
