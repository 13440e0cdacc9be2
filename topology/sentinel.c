/* Every sentinel has two connections: one that is asked at every interval, and one
 * that hears of a failover at once. What is heard is a reason to ask now, and to
 * write nothing to a master that is about to be replaced; who the master is never
 * rests on a message that might be missed.
 *
 * While a sentinel carries out a failover its answer to GET-MASTER-ADDR-BY-NAME
 * is the promoted replica already, and its config-epoch the one before (redis
 * sentinel.c, sentinelGetCurrentMasterAddress()). Such an answer counts as newer
 * than the same epoch's others, and as older than the next one's. */
#include "sentinel.h"

#include <ctype.h>
#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "address.h"
#include "clock.h"
#include "journal.h"
#include "link.h"
#include "memory.h"
#include "name.h"

enum {
	RETRY_MS = 500,        /* between attempts to connect */
	TEXT_ROOM = SENTINEL_HOST_ROOM + 16,
	STALE_INTERVALS = 5,   /* an answer so many intervals old counts no more; at least a second */
	STALE_MIN_MS = 1000,
	PING_MS = 1000,        /* on the connection that only hears */
	REPLACING_MS = 5000,   /* a failover that has begun to promote has named the new master by then, or given up */
};

/* One connection to one sentinel. */
struct line {
	struct watch *watch;
	struct link *link;
	int64_t tried_ns;      /* when it was connected, or kept alive, last */
	int64_t asked_ns;      /* 0: no question is unanswered */
};

/* One sentinel. */
struct watch {
	struct sentinels *sentinels;
	char text[TEXT_ROOM];
	struct address address;
	struct name *name;     /* NULL: its host is a number */
	struct line asks;
	struct line hears;
	struct sentinel_answer reading; /* of the present round */
	bool readable;         /* so far */
	bool is_lost;          /* it was said that its last answer told nothing */
	struct sentinel_answer answer;
	int64_t answered_ns;   /* 0: never */
	char says[TEXT_ROOM];  /* the master, "" unknown */
};

struct sentinels {
	struct ev_loop *loop;
	const struct topology_config *config;
	struct link_config link_config;
	struct journal *journal;
	sentinel_changed_fn *on_changed;
	void *arg;
	ev_timer tick;
	struct watch *watches;
	size_t count;
	bool told;             /* on_changed() was called */
	bool silent;           /* it was said that none answers */
	int64_t replacing_ns;  /* since when a replica is being promoted; 0: none is */
	int64_t version;       /* of what was told last */
	struct sentinel_group group;
	struct topology_sentinel_view *views;
};

/* ---- reading answers ---- */

/* The value of a field in a flat list of names and values; NULL: none. */
static const char *field(const struct redisReply *list, const char *name)
{
	if (list->type != REDIS_REPLY_ARRAY)
		return NULL;
	for (size_t i = 0; i + 1 < list->elements; i += 2)
		if (list->element[i]->type == REDIS_REPLY_STRING && list->element[i + 1]->type == REDIS_REPLY_STRING &&
		    strcmp(list->element[i]->str, name) == 0)
			return list->element[i + 1]->str;
	return NULL;
}

static bool read_number(const char *text, int64_t max, int64_t *number)
{
	char *end;
	long long value;

	if (text == NULL || !isdigit((unsigned char)text[0]))
		return false;
	value = strtoll(text, &end, 10);
	*number = value;
	return *end == '\0' && value >= 0 && value <= max;
}

/* It becomes a name in logs and labels. */
static bool read_member(struct sentinel_member *member, const char *host, const char *port)
{
	int64_t number;

	if (host == NULL || host[0] == '\0' || strlen(host) >= sizeof(member->host) || !read_number(port, UINT16_MAX, &number) ||
	    number == 0)
		return false;
	for (const char *at = host; *at != '\0'; at++)
		if (!isgraph((unsigned char)*at))
			return false;
	memset(member, 0, sizeof(*member));
	strcpy(member->host, host);
	member->port = (uint16_t)number;
	return true;
}

static bool same_member(const struct sentinel_member *a, const struct sentinel_member *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static void add(struct sentinel_group *group, const struct sentinel_member *member)
{
	for (size_t i = 0; i < group->count; i++)
		if (same_member(&group->members[i], member))
			return;
	if (group->count < TOPOLOGY_NODES_MAX)
		group->members[group->count++] = *member;
}

static bool is_pair(const struct redisReply *address)
{
	return address->type == REDIS_REPLY_ARRAY && address->elements == 2 &&
	       address->element[0]->type == REDIS_REPLY_STRING && address->element[1]->type == REDIS_REPLY_STRING;
}

bool sentinel_read_master(struct sentinel_answer *answer, const struct redisReply *master)
{
	memset(answer, 0, sizeof(*answer));
	return read_member(&answer->old, field(master, "ip"), field(master, "port")) &&
	       read_number(field(master, "config-epoch"), INT64_MAX / 2 - 1, &answer->config_epoch);
}

bool sentinel_read_address(struct sentinel_answer *answer, const struct redisReply *address)
{
	struct sentinel_member named;

	if (!is_pair(address) || !read_member(&named, address->element[0]->str, address->element[1]->str))
		return false;
	answer->version = 2 * answer->config_epoch + !same_member(&named, &answer->old);
	add(&answer->group, &named);
	add(&answer->group, &answer->old);
	return true;
}

bool sentinel_read_replicas(struct sentinel_answer *answer, const struct redisReply *replicas)
{
	struct sentinel_member member;

	if (replicas->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i < replicas->elements; i++)
		if (read_member(&member, field(replicas->element[i], "ip"), field(replicas->element[i], "port")))
			add(&answer->group, &member);
	return true;
}

/* ---- which of them is right ---- */

static bool is_fresh(const struct watch *watch)
{
	int64_t lasts_ms = STALE_INTERVALS * watch->sentinels->config->interval_ms;

	if (lasts_ms < STALE_MIN_MS)
		lasts_ms = STALE_MIN_MS;
	return watch->answered_ns != 0 && clock_now_ns() - watch->answered_ns <= lasts_ms * NS_PER_MS;
}

static bool same_group(const struct sentinel_group *a, const struct sentinel_group *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_member(&a->members[i], &b->members[i]))
			return false;
	return true;
}

/* Sentinels list replicas in no order: what was there keeps its place. */
static void arrange(struct sentinel_group *group, const struct sentinel_group *before)
{
	struct sentinel_group sorted = {.count = 0};

	if (group->count == 0)
		return;
	add(&sorted, &group->members[0]);
	for (size_t i = 0; i < before->count; i++)
		for (size_t k = 0; k < group->count; k++)
			if (same_member(&before->members[i], &group->members[k]))
				add(&sorted, &group->members[k]);
	for (size_t k = 0; k < group->count; k++)
		add(&sorted, &group->members[k]);
	*group = sorted;
}

static void tell(struct sentinels *sentinels, const struct watch *watch, struct sentinel_group *group)
{
	bool news = !sentinels->told || !same_member(&group->members[0], &sentinels->group.members[0]);

	sentinels->told = true;
	sentinels->version = watch->answer.version;
	sentinels->group = *group;
	if (news)
		journal_note(sentinels->journal, EVENT_sentinel_named, NULL,
			     "sentinel %s names %s the master of %s (config epoch %lld)", watch->text, watch->says,
			     sentinels->config->sentinel.name, (long long)watch->answer.config_epoch);
	sentinels->on_changed(sentinels->arg, &sentinels->group);
}

/* An older configuration is believed when nobody has a newer one and most of them
 * answer: they were set up anew. */
static void judge(struct sentinels *sentinels)
{
	const struct watch *best = NULL;
	struct sentinel_group group;
	size_t fresh = 0;

	for (size_t i = 0; i < sentinels->count; i++) {
		const struct watch *watch = &sentinels->watches[i];

		if (!is_fresh(watch))
			continue;
		fresh++;
		if (best == NULL || watch->answer.version > best->answer.version)
			best = watch;
	}
	if (best == NULL || (sentinels->told && best->answer.version < sentinels->version && 2 * fresh <= sentinels->count))
		return;
	sentinels->silent = false;
	group = best->answer.group;
	arrange(&group, &sentinels->group);
	if (!sentinels->told || !same_group(&group, &sentinels->group))
		tell(sentinels, best, &group);
	else
		sentinels->version = best->answer.version;
}

static void note_silence(struct sentinels *sentinels)
{
	for (size_t i = 0; i < sentinels->count; i++)
		if (sentinels->watches[i].answered_ns == 0 || is_fresh(&sentinels->watches[i]))
			return;
	if (!sentinels->silent)
		journal_note(sentinels->journal, EVENT_sentinels_silent, NULL,
			     "no sentinel of %s answers any more; what they said last stands", sentinels->config->sentinel.name);
	sentinels->silent = true;
}

/* ---- asking ---- */

static void on_master(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct watch *watch = arg;

	(void)sent_ns;
	watch->readable = sentinel_read_master(&watch->reading, reply);
}

static void on_named(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct watch *watch = arg;

	(void)sent_ns;
	watch->readable = watch->readable && sentinel_read_address(&watch->reading, reply);
}

static void forget_answer(struct watch *watch)
{
	if (!watch->is_lost)
		log_warning("sentinel %s knows no master %s, or cannot be understood", watch->text,
			    watch->sentinels->config->sentinel.name);
	watch->is_lost = true;
	watch->answered_ns = 0;
	watch->says[0] = '\0';
}

static void on_replicas(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct watch *watch = arg;
	const struct sentinel_member *named = &watch->answer.group.members[0];

	watch->asks.asked_ns = 0;
	if (!watch->readable || !sentinel_read_replicas(&watch->reading, reply)) {
		forget_answer(watch);
	} else {
		watch->answer = watch->reading;
		watch->answered_ns = sent_ns;
		watch->is_lost = false;
		address_format(watch->says, sizeof(watch->says), named->host, named->port);
	}
	judge(watch->sentinels);
}

static void ask(struct watch *watch)
{
	const char *name = watch->sentinels->config->sentinel.name;
	const char *const master[] = {"SENTINEL", "MASTER", name};
	const char *const named[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name};
	const char *const replicas[] = {"SENTINEL", "REPLICAS", name};

	if (!link_is_ready(watch->asks.link) || watch->asks.asked_ns != 0)
		return;
	watch->readable = false;
	if (link_request(watch->asks.link, on_master, watch, 3, master) &&
	    link_request(watch->asks.link, on_named, watch, 3, named) &&
	    link_request(watch->asks.link, on_replicas, watch, 3, replicas))
		watch->asks.asked_ns = clock_now_ns();
}

/* ---- hearing ---- */

/* What a message means for the writes. Published before a replica is told to be a
 * master, by a tenth of a second or so (redis sentinel.c, sentinelFailoverSelectSlave()
 * and the state that follows it at the next tick). */
static const struct hearsay {
	const char *channel;
	enum { SAYS_ASK, SAYS_REPLACING, SAYS_GIVEN_UP } meaning;
} hearsays[] = {
	{ "+switch-master", SAYS_ASK },
	{ "+promoted-slave", SAYS_ASK },
	{ "+slave", SAYS_ASK },
	{ "+reset-master", SAYS_ASK },
	{ "+failover-state-send-slaveof-noone", SAYS_REPLACING },
	{ "-failover-abort-slave-timeout", SAYS_GIVEN_UP },
};

static const struct hearsay *find_hearsay(const struct redisReply *channel)
{
	for (size_t i = 0; i < sizeof(hearsays) / sizeof(hearsays[0]); i++)
		if (channel->type == REDIS_REPLY_STRING && strcmp(hearsays[i].channel, channel->str) == 0)
			return &hearsays[i];
	return NULL;
}

/* "master <name> <ip> <port>", "slave <name> <ip> <port> @ <master's name> <ip> <port>" */
static bool is_about(const struct redisReply *text, const char *name)
{
	const char *at = text->type == REDIS_REPLY_STRING ? strstr(text->str, " @ ") : NULL;
	size_t length = strlen(name);

	if (at != NULL)
		at += strlen(" @ ");
	else if (text->type == REDIS_REPLY_STRING && strncmp(text->str, "master ", 7) == 0)
		at = text->str + 7;
	return at != NULL && strncmp(at, name, length) == 0 && at[length] == ' ';
}

static void set_replacing(struct sentinels *sentinels, bool replacing)
{
	bool before = sentinels_are_replacing(sentinels);

	sentinels->replacing_ns = replacing ? clock_now_ns() : 0;
	if (sentinels->told && before != replacing)
		sentinels->on_changed(sentinels->arg, &sentinels->group);
}

static void on_message(void *arg, const struct redisReply *message)
{
	struct line *line = arg;
	struct sentinels *sentinels = line->watch->sentinels;
	const struct hearsay *hearsay = find_hearsay(message->element[1]);

	if (hearsay == NULL)
		return;
	if (hearsay->meaning != SAYS_ASK && is_about(message->element[2], sentinels->config->sentinel.name))
		set_replacing(sentinels, hearsay->meaning == SAYS_REPLACING);
	for (size_t i = 0; i < sentinels->count; i++)
		ask(&sentinels->watches[i]);
}

void sentinels_have_replaced(struct sentinels *sentinels)
{
	sentinels->replacing_ns = 0;
}

bool sentinels_are_replacing(const struct sentinels *sentinels)
{
	return sentinels != NULL && sentinels->replacing_ns != 0 &&
	       clock_now_ns() - sentinels->replacing_ns < REPLACING_MS * NS_PER_MS;
}

static void on_pong(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct line *line = arg;

	(void)reply;
	(void)sent_ns;
	line->asked_ns = 0;
}

static void listen_to(struct line *line)
{
	for (size_t i = 0; i < sizeof(hearsays) / sizeof(hearsays[0]); i++) {
		const char *const argv[] = {"SUBSCRIBE", hearsays[i].channel};

		link_request(line->link, NULL, line, 2, argv);
	}
}

static void keep_alive(struct line *line)
{
	static const char *const argv[] = {"PING"};
	int64_t now_ns = clock_now_ns();

	if (!link_is_ready(line->link) || line->asked_ns != 0 || now_ns - line->tried_ns < PING_MS * NS_PER_MS)
		return;
	line->tried_ns = now_ns;
	if (link_request(line->link, on_pong, line, 1, argv))
		line->asked_ns = now_ns;
}

/* ---- connections ---- */

static void on_ready(void *arg)
{
	struct line *line = arg;

	if (line == &line->watch->hears)
		listen_to(line);
	else
		ask(line->watch);
}

static void on_lost(void *arg, enum link_end end, const char *why)
{
	struct line *line = arg;

	(void)end;
	log_verbose("sentinel %s: connection lost: %s", line->watch->text, why);
	link_close(&line->link);
	line->asked_ns = 0;
}

static void open_line(struct line *line)
{
	struct watch *watch = line->watch;
	struct link_events events = {
		.on_ready = on_ready,
		.on_lost = on_lost,
		.on_message = line == &watch->hears ? on_message : NULL,
		.arg = line,
	};

	if (line->link == NULL && watch->address.length != 0)
		line->link = link_open(watch->sentinels->loop, &watch->address, &watch->sentinels->link_config, &events);
}

static void on_found(void *arg, const struct addresses *found)
{
	struct watch *watch = arg;

	if (found->count > 0)
		watch->address = found->at[0];
	open_line(&watch->asks);
	open_line(&watch->hears);
}

static void connect_line(struct line *line)
{
	struct watch *watch = line->watch;
	int64_t now_ns = clock_now_ns();

	if (line->link != NULL || now_ns - line->tried_ns < RETRY_MS * NS_PER_MS)
		return;
	line->tried_ns = now_ns;
	if (watch->name != NULL)
		name_look_up(watch->name, watch->sentinels->config->timeout_ms);
	else
		open_line(line);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sentinels *sentinels = timer->data;

	(void)loop;
	(void)revents;
	for (size_t i = 0; i < sentinels->count; i++) {
		struct watch *watch = &sentinels->watches[i];

		connect_line(&watch->asks);
		connect_line(&watch->hears);
		ask(watch);
		keep_alive(&watch->hears);
	}
	note_silence(sentinels);
}

/* ---- life ---- */

static void begin_watch(struct sentinels *sentinels, size_t index)
{
	struct watch *watch = &sentinels->watches[index];
	const struct topology_endpoint *endpoint = &sentinels->config->sentinel.addresses[index];

	watch->sentinels = sentinels;
	watch->asks.watch = watch->hears.watch = watch;
	watch->asks.tried_ns = watch->hears.tried_ns = -RETRY_MS * NS_PER_MS;
	address_format(watch->text, sizeof(watch->text), endpoint->host, endpoint->port);
	if (!address_parse(&watch->address, endpoint->host, endpoint->port))
		watch->name = name_create(sentinels->loop, endpoint->host, endpoint->port, name_resolve, on_found, watch);
}

struct sentinels *sentinels_create(struct ev_loop *loop, const struct topology_config *config, const char *link_name,
				   struct journal *journal, sentinel_changed_fn *on_changed, void *arg)
{
	const struct topology_sentinel_config *wanted = &config->sentinel;
	struct sentinels *sentinels;

	if (wanted->count == 0)
		return NULL;
	sentinels = memory_zeroed(1, sizeof(*sentinels));
	sentinels->loop = loop;
	sentinels->config = config;
	sentinels->link_config = (struct link_config){wanted->user, wanted->password, link_name, config->timeout_ms};
	sentinels->journal = journal;
	sentinels->on_changed = on_changed;
	sentinels->arg = arg;
	sentinels->count = wanted->count;
	sentinels->watches = memory_zeroed(wanted->count, sizeof(*sentinels->watches));
	sentinels->views = memory_zeroed(wanted->count, sizeof(*sentinels->views));
	for (size_t i = 0; i < sentinels->count; i++)
		begin_watch(sentinels, i);
	ev_timer_init(&sentinels->tick, on_tick, 0.0, (double)config->interval_ms / 1e3);
	sentinels->tick.data = sentinels;
	ev_timer_start(loop, &sentinels->tick);
	return sentinels;
}

void sentinels_destroy(struct sentinels **handle)
{
	struct sentinels *sentinels = *handle;

	*handle = NULL;
	if (sentinels == NULL)
		return;
	ev_timer_stop(sentinels->loop, &sentinels->tick);
	for (size_t i = 0; i < sentinels->count; i++) {
		struct watch *watch = &sentinels->watches[i];

		link_close(&watch->asks.link);
		link_close(&watch->hears.link);
		name_destroy(&watch->name);
	}
	free(sentinels->watches);
	free(sentinels->views);
	free(sentinels);
}

size_t sentinels_show(const struct sentinels *sentinels, const struct topology_sentinel_view **views)
{
	*views = NULL;
	if (sentinels == NULL)
		return 0;
	for (size_t i = 0; i < sentinels->count; i++) {
		const struct watch *watch = &sentinels->watches[i];

		sentinels->views[i] = (struct topology_sentinel_view){
			.address = watch->text,
			.up = is_fresh(watch),
			.master = watch->says[0] != '\0' ? watch->says : NULL,
			.config_epoch = watch->says[0] != '\0' ? watch->answer.config_epoch : TOPOLOGY_UNKNOWN,
		};
	}
	*views = sentinels->views;
	return sentinels->count;
}
