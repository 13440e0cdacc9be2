/* While there is a master it only sees to it that replicas would notice its silence
 * soon. When it is gone, every turn gathers what the replicas say by now and asks
 * failover_judge(); whatever it waits for, the replicas are asked again.
 *
 * Invariant: the old master is fenced before the promotion is sent. From then on no
 * plan takes it for the master, and when it answers again it is told to follow the
 * new one before anything else. */
#include "takeover.h"

#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "failover.h"
#include "group.h"
#include "memory.h"
#include "rivals.h"
#include "succession.h"
#include "wire.h"

enum {
	POLL_MS = 20,
	PACE_EVERY_MS = 2000, /* an operator may change what weir has set */
	BLIND_MS = 1000,   /* whoever has not seen enough by then lets others go first */
	HEALTHY_MS = 2000, /* a replica has heard a master that pings every second within so long */
};

/* Where a replica stood in the lost master's stream, and since when. */
struct mark {
	int64_t applied;
	int64_t received;
	int64_t since_ns;
};

struct takeover {
	struct topology *topology;
	ev_timer poll;
	char paced_run_id[RUN_ID_LENGTH + 1]; /* of the master that pings every second */
	char asked_run_id[RUN_ID_LENGTH + 1]; /* of the one that was asked last how often it pings */
	int64_t paced_ns;                     /* and when */
	int64_t lost_ns;                      /* since when there is no usable master; 0: there is one */
	int64_t drain_ns;                     /* since when draining is waited for; 0: it is not */
	int64_t blind_ns;                     /* since when too little of the group is seen to judge it; 0: enough is */
	int64_t last_ns;                      /* of the last failover; 0: none */
	struct mark marks[TOPOLOGY_NODES_MAX]; /* by id */
	char why[FAILOVER_TEXT_SIZE];         /* why the lost master is not replaced; "" */
	uint64_t count;
};

static int64_t ms_between(int64_t from_ns, int64_t to_ns)
{
	return (to_ns - from_ns) / NS_PER_MS;
}

static bool is_on(const struct topology *topology)
{
	return topology->config.failover.mode == TOPOLOGY_FAILOVER_AUTO && topology->sentinels == NULL;
}

/* ---- while there is a master ---- */

static bool is_paced(const struct takeover *takeover, const struct node *master)
{
	return strcmp(takeover->paced_run_id, master->info.run_id) == 0;
}

static void on_paced(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct takeover *takeover = arg;

	(void)sent_ns;
	if (reply->type == REDIS_REPLY_STATUS)
		memcpy(takeover->paced_run_id, takeover->asked_run_id, sizeof(takeover->paced_run_id));
}

static bool says_one(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING &&
	       strcmp(reply->element[1]->str, "1") == 0;
}

static void on_pace(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	static const char *const argv[] = {"CONFIG", "SET", "repl-ping-replica-period", "1"};
	struct takeover *takeover = arg;
	struct node *master = group_master(takeover->topology);

	(void)sent_ns;
	if (master == NULL || strcmp(takeover->asked_run_id, master->info.run_id) != 0)
		return;
	if (says_one(reply)) {
		memcpy(takeover->paced_run_id, takeover->asked_run_id, sizeof(takeover->paced_run_id));
		return;
	}
	if (is_paced(takeover, master))
		log_warning("%s: somebody has changed repl-ping-replica-period, which [failover] needs: it is set to 1 again",
			    master->config->name);
	takeover->paced_run_id[0] = '\0';
	link_request(master->link, on_paced, takeover, 4, argv);
}

/* A master that has nothing to say pings its replicas every ten seconds by default
 * (repl-ping-replica-period): its silence would tell nothing for so long. */
static void keep_pace(struct takeover *takeover, struct node *master)
{
	static const char *const argv[] = {"CONFIG", "GET", "repl-ping-replica-period"};
	int64_t every_ms = is_paced(takeover, master) ? PACE_EVERY_MS : takeover->topology->config.timeout_ms;
	int64_t now_ns = clock_now_ns();

	if (ms_between(takeover->paced_ns, now_ns) < every_ms)
		return;
	takeover->paced_ns = now_ns;
	memcpy(takeover->asked_run_id, master->info.run_id, sizeof(takeover->asked_run_id));
	link_request(master->link, on_pace, takeover, 3, argv);
}

/* The one that was replaced follows the new one, or it was not replaced after all. */
static void tell_what_goes(struct topology *topology, struct node *node)
{
	const struct info *master = &topology->nodes[topology->plan.master]->info;
	int64_t beyond = info_position(&node->info) - (master->second_offset - 1);

	if (strcmp(node->info.replid, master->replid2) != 0 || beyond <= 0)
		return;
	journal_note(topology->journal, EVENT_failover_left_behind, node->config->name,
		     "it is back with %lld bytes of history %.8s that nobody else has: up to offset %lld, the new master has it up to %lld",
		     (long long)beyond, node->info.replid, (long long)info_position(&node->info), (long long)(master->second_offset - 1));
}

/* As what it was before the failover: the lost master, or a replica of it. */
static bool is_back(const struct takeover *takeover, const struct node *node)
{
	const struct standing *standing = &takeover->topology->standings[node->id];
	bool as_it_was = standing->fenced ? node->info.role == SERVER_ROLE_MASTER : standing->stranded;

	return as_it_was && node_is_up(node) && node->known && node->info_sent_ns > takeover->last_ns;
}

static void greet_returned(struct takeover *takeover)
{
	struct topology *topology = takeover->topology;

	for (size_t i = 0; topology->master_usable && i < topology->node_count; i++) {
		struct node *node = topology->nodes[i];
		struct standing *standing = &topology->standings[node->id];

		if (standing->greeted || !is_back(takeover, node))
			continue;
		standing->greeted = true;
		tell_what_goes(topology, node);
	}
}

/* It follows the master that has replaced it, or has done so until it took its place. */
static bool is_reconciled(const struct topology *topology, const struct node *node)
{
	const struct standing *standing = &topology->standings[node->id];

	if (topology->epoch.master == (int)node->index)
		return true;
	if (!node->known)
		return false;
	if (node->info.role == SERVER_ROLE_SLAVE)
		return topology->master_usable && standing->follows == topology->plan.master;
	return strcmp(node->info.replid2, topology->epoch.replid) == 0;
}

static void lift_fences(struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		struct standing *standing = &topology->standings[topology->nodes[i]->id];

		if (is_reconciled(topology, topology->nodes[i]))
			standing->fenced = standing->stranded = standing->greeted = false;
	}
}

/* ---- what the replicas say ---- */

/* By what they said last the process is a master that weir does not want back. */
static bool has_lost_data(const struct topology *topology)
{
	return topology->plan.rejected != PLAN_NOBODY && topology->plan.rejected == topology->epoch.master;
}

static struct mark *watch_mark(struct takeover *takeover, const struct node *node)
{
	struct mark *mark = &takeover->marks[node->id];
	int64_t applied = info_position(&node->info), received = node->info.received_offset;

	if (mark->since_ns < takeover->lost_ns || mark->applied != applied || mark->received != received)
		*mark = (struct mark){ applied, received, node->info_sent_ns };
	return mark;
}

/* Pings come every second, and ages are whole seconds: a link that is well is up to
 * two old. Where the master does not ping so, silence on a link that is up is no sign
 * of anything. */
static bool hears(const struct takeover *takeover, const struct info *info)
{
	int64_t down_after_ms = takeover->topology->config.failover.down_after_ms;
	int64_t silent_ms = down_after_ms > HEALTHY_MS ? down_after_ms : HEALTHY_MS;
	bool paced = strcmp(takeover->paced_run_id, takeover->topology->epoch.run_id) == 0;

	return info->link_up == 1 && (!paced || info->last_io_seconds < 0 || info->last_io_seconds * 1000 <= silent_ms);
}

/* By whatever address: a link that is up, to somebody whom weir does not know by it,
 * and of the same history, is taken for one to the master. */
static bool may_follow(const struct topology *topology, const struct node *node)
{
	int follows = topology->standings[node->id].follows;

	return follows == topology->epoch.master ||
	       (follows == PLAN_STRANGER && strcmp(node->info.replid, topology->epoch.replid) == 0);
}

static void describe(struct takeover *takeover, const struct node *node, struct failover_member *member)
{
	const struct topology *topology = takeover->topology;
	const struct info *info = &node->info;
	bool answers = node_is_up(node) && node->known && node->info_sent_ns > takeover->lost_ns;
	const struct mark *mark;

	*member = (struct failover_member){ .name = node->config->name, .replid = "" };
	if (!answers)
		return;
	mark = watch_mark(takeover, node);
	member->answers = true;
	member->is_slave = info->role == SERVER_ROLE_SLAVE;
	member->follows = may_follow(topology, node);
	member->able = info_version_supported(info->redis_version) && info->loading == 0 && info->sync_in_progress != 1;
	member->replid = info->replid;
	member->applied = mark->applied;
	member->received = mark->received;
	member->still_ms = ms_between(mark->since_ns, node->info_sent_ns);
	member->hears = hears(takeover, info);
	member->priority = info->priority;
}

/* What was sampled, and what weir has told clients that it is done. */
static int64_t known_offset(const struct epoch *epoch)
{
	int64_t acknowledged = (int64_t)atomic_load_explicit(&epoch->floor->offset, memory_order_acquire);

	return acknowledged > epoch->offset ? acknowledged : epoch->offset;
}

static const char *find_taboo(const struct takeover *takeover)
{
	const struct topology *topology = takeover->topology;
	const char *quarrel = wire_quarrel(topology->wire);

	if (topology->config.wiring != TOPOLOGY_WIRING_ENFORCE)
		return "wiring = observe";
	return quarrel != NULL ? quarrel : rivals_go_first(topology->rivals);
}

/* Whether other weirs have to let this one go first, if its name is lower than theirs. */
static bool would_promote(const struct takeover *takeover)
{
	const struct topology *topology = takeover->topology;
	bool blind = takeover->blind_ns != 0 && ms_between(takeover->blind_ns, clock_now_ns()) >= BLIND_MS;

	return is_on(topology) && topology->config.wiring == TOPOLOGY_WIRING_ENFORCE &&
	       wire_quarrel(topology->wire) == NULL && topology->epoch.number != 0 && !blind;
}

/* ---- the lost one ---- */

static void ask_all(const struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++)
		if (topology->nodes[i]->infos_outstanding == 0)
			node_ask_info(topology->nodes[i]);
}

static void wait_on(struct takeover *takeover, const struct failover_verdict *verdict)
{
	struct topology *topology = takeover->topology;

	if (strcmp(takeover->why, verdict->why) != 0 && !verdict->soon)
		journal_note(topology->journal, EVENT_failover_waits, NULL, "no failover: %s", verdict->why);
	snprintf(takeover->why, sizeof(takeover->why), "%s", verdict->why);
	if (!verdict->blind)
		takeover->blind_ns = 0;
	else if (takeover->blind_ns == 0)
		takeover->blind_ns = clock_now_ns();
	if (!verdict->draining)
		takeover->drain_ns = 0;
	else if (takeover->drain_ns == 0)
		takeover->drain_ns = clock_now_ns();
	if (verdict->soon && !ev_is_active(&takeover->poll)) /* else the rounds of health checks are enough */
		ev_timer_start(topology->loop, &takeover->poll);
}

/* Who is cut off now may still follow the old master when it answers again. */
static void strand_followers(struct topology *topology, const struct node *heir)
{
	for (size_t i = 0; i < topology->node_count; i++)
		if (topology->nodes[i] != heir && topology->nodes[i]->info.role == SERVER_ROLE_SLAVE && may_follow(topology, topology->nodes[i]))
			topology->standings[topology->nodes[i]->id].stranded = true;
}

static void begin(struct takeover *takeover, struct node *old, struct node *heir, const struct failover_seen *seen)
{
	struct topology *topology = takeover->topology;
	int64_t at = info_position(&heir->info), lacks = seen->offset - at;

	topology->standings[old->id].fenced = topology->standings[old->id].stranded = true;
	strand_followers(topology, heir);
	takeover->last_ns = clock_now_ns();
	takeover->count++;
	takeover->why[0] = '\0';
	journal_note(topology->journal, EVENT_failover, NULL,
		     "failover: %s %s; %s has the most of its data, up to offset %lld of %lld that is known: %lld bytes are lost",
		     old->config->name, seen->has_lost_data ? "came back without its data" : "is lost", heir->config->name,
		     (long long)at, (long long)seen->offset, (long long)(lacks > 0 ? lacks : 0));
	succession_take_over(topology->succession, old, heir);
}

/* Its place in topology->nodes, for a place among those that are not `old`. */
static size_t place_of(int member, size_t old)
{
	return (size_t)member < old ? (size_t)member : (size_t)member + 1;
}

static void judge(struct takeover *takeover, struct node *old)
{
	struct topology *topology = takeover->topology;
	const struct topology_failover_config *config = &topology->config.failover;
	struct failover_member members[TOPOLOGY_NODES_MAX];
	struct failover_verdict verdict;
	int64_t now_ns = clock_now_ns();
	struct failover_seen seen = {
		.down_after_ms = config->down_after_ms,
		.min_interval_ms = config->min_interval_ms,
		.max_lost_bytes = config->max_lost_bytes,
		.told = rivals_have_told(topology->rivals, takeover->lost_ns),
		.taboo = find_taboo(takeover),
		.has_lost_data = has_lost_data(topology),
		.missed_ms = ms_between(old->role_answered_ns, now_ns),
		.last_ms = takeover->last_ns == 0 ? INFO_UNKNOWN : ms_between(takeover->last_ns, now_ns),
		.drain_ms = takeover->drain_ns == 0 ? 0 : ms_between(takeover->drain_ns, now_ns),
		.workers_ready = publish_may_serve(topology, PLAN_STRANGER),
		.replid = topology->epoch.replid,
		.offset = known_offset(&topology->epoch),
		.members = members,
	};

	for (size_t i = 0; i < topology->node_count; i++)
		if (topology->nodes[i] != old)
			describe(takeover, topology->nodes[i], &members[seen.count++]);
	failover_judge(&seen, &verdict);
	if (verdict.heir < 0)
		wait_on(takeover, &verdict);
	else
		begin(takeover, old, topology->nodes[place_of(verdict.heir, old->index)], &seen);
}

static void forget_loss(struct takeover *takeover)
{
	takeover->lost_ns = takeover->drain_ns = takeover->blind_ns = 0;
	takeover->why[0] = '\0';
	ev_timer_stop(takeover->topology->loop, &takeover->poll);
}

/* Without memory of a master nobody knows what a replica lacks. */
static void say_unseen(struct takeover *takeover)
{
	const struct topology *topology = takeover->topology;
	struct failover_verdict verdict = { .heir = -1, .why = "this weir has never seen the master, and does not know what would be lost" };

	if (!topology->master_usable && topology->epoch.number == 0 && topology->node_count > 0 &&
	    topology->nodes[0]->health.state == HEALTH_DOWN)
		wait_on(takeover, &verdict);
}

/* NULL: it is not lost, or it was never there, or it is there and what keeps it from
 * being the master is not for a failover to end. */
static struct node *find_lost(const struct topology *topology)
{
	const struct epoch *epoch = &topology->epoch;
	struct node *old;

	if (topology->master_usable || epoch->number == 0 || epoch->master < 0 || epoch->master >= (int)topology->node_count)
		return NULL;
	old = topology->nodes[epoch->master];
	return old->health.state == HEALTH_DOWN || has_lost_data(topology) ? old : NULL;
}

void takeover_act(struct takeover *takeover)
{
	struct topology *topology = takeover->topology;
	struct node *old;

	rivals_announce(topology->rivals, would_promote(takeover));
	greet_returned(takeover);
	if (succession_is_under_way(topology->succession))
		return;
	lift_fences(topology);
	old = is_on(topology) ? find_lost(topology) : NULL;
	if (old == NULL) {
		forget_loss(takeover);
		if (is_on(topology) && topology->epoch.number == 0)
			say_unseen(takeover);
		if (is_on(topology) && topology->master_usable && topology->config.wiring == TOPOLOGY_WIRING_ENFORCE)
			keep_pace(takeover, group_master(topology));
		return;
	}
	if (takeover->lost_ns == 0)
		takeover->lost_ns = clock_now_ns();
	rivals_look_around(topology->rivals);
	judge(takeover, old);
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct takeover *takeover = timer->data;

	(void)loop;
	(void)revents;
	ask_all(takeover->topology);
	group_touch(takeover->topology);
}

/* ---- life ---- */

void takeover_show(const struct takeover *takeover, struct topology_failover_view *view)
{
	view->on = is_on(takeover->topology);
	view->count = takeover->count;
	view->why = takeover->why[0] != '\0' ? takeover->why : NULL;
}

struct takeover *takeover_create(struct topology *topology)
{
	struct takeover *takeover = memory_zeroed(1, sizeof(*takeover));

	takeover->topology = topology;
	ev_timer_init(&takeover->poll, on_poll, POLL_MS / 1e3, 0.0);
	takeover->poll.data = takeover;
	return takeover;
}

void takeover_destroy(struct takeover **takeover)
{
	ev_timer_stop((*takeover)->topology->loop, &(*takeover)->poll);
	free(*takeover);
	*takeover = NULL;
}
