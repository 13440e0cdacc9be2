/* Between the nodes and the pure plan: what is put to it, and what its choice
 * of a master changes (the epoch, the ring of samples, the log). */
#include <stdio.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "group.h"
#include "succession.h"

/* ---- the question ---- */

static bool is_listed(const struct topology_config *config, const char *name)
{
	for (size_t i = 0; i < config->allow_overwrite_count; i++)
		if (strcmp(config->allow_overwrite[i], name) == 0)
			return true;
	return false;
}

static enum plan_reach reach_of(const struct node *node)
{
	switch (node->health.state) {
	case HEALTH_UP:
		return PLAN_UP;
	case HEALTH_DOWN:
		return PLAN_DOWN;
	case HEALTH_UNKNOWN:
		break;
	}
	return PLAN_UNSEEN;
}

/* Functions came with 7.0; an older server has none. */
static int64_t libraries_of(const struct info *info)
{
	int major = 0;

	if (info->libraries == INFO_UNKNOWN && sscanf(info->redis_version, "%9d", &major) == 1 && major < 7)
		return 0;
	return info->libraries;
}

static void describe(const struct topology *topology, const struct node *node, struct plan_node *out)
{
	const struct info *info = &node->info;
	const struct standing *standing = &topology->standings[node->id];

	*out = (struct plan_node){
		.name = node->config->name,
		.reach = reach_of(node),
		.supported = info_version_supported(info->redis_version),
		.version = info->redis_version,
		.cluster = info->cluster_enabled == 1,
		.loading = info->loading != 0,
		.role = info->role,
		.run_id = info->run_id,
		.replid = info->replid,
		.replid2 = info->replid2,
		.offset = info_position(info),
		.second_offset = info->second_offset,
		.keys = info->keys,
		.libraries = libraries_of(info),
		.link_up = info->link_up == 1,
		.follows = standing->follows,
		.read_only = info->read_only != 0,
		.local = address_is_loopback(&node->address),
		.told = node->told_text,
		.told_loopback = address_host_is_loopback(node->told_host),
		.fenced = standing->fenced,
		.stranded = standing->stranded,
		.expendable = topology->config.failover.max_lost_bytes,
		.replaces = standing->replaces,
		.allow_overwrite = node->index != 0 && is_listed(&topology->config, node->config->name),
		.seen_run_id = standing->seen_run_id,
		.seen_master_run_id = standing->seen_master_run_id,
	};
}

/* A write that was acknowledged since may have left the first one. */
static int64_t keys_held(const struct epoch *epoch)
{
	bool is_old = epoch->number != 0 &&
		      (int64_t)atomic_load_explicit(&epoch->floor->offset, memory_order_acquire) > epoch->keys_offset;

	return is_old ? INFO_UNKNOWN : epoch->keys;
}

static struct plan_memory remember(const struct topology *topology)
{
	const struct epoch *epoch = &topology->epoch;
	bool is_member = epoch->number != 0 && epoch->master < (int)topology->node_count;

	return (struct plan_memory){
		.master = is_member ? epoch->master : PLAN_NOBODY,
		.run_id = epoch->run_id,
		.replid = epoch->replid,
		.offset = epoch->offset,
		.keys = keys_held(epoch),
		.accepted_run_id = topology->accepted_run_id,
		.deposed = succession_deposed(topology->succession),
		.heir = succession_heir(topology->succession),
		.away = absence_lasts(topology),
	};
}

void adopt_plan(struct topology *topology)
{
	struct plan_group group = {
		.nodes = topology->plan_nodes,
		.node_count = topology->node_count,
		.memory = remember(topology),
		.appointed = topology->sentinels != NULL,
		.enforce = topology->config.wiring == TOPOLOGY_WIRING_ENFORCE,
		.accept_reset_master = topology->config.accept_reset_master,
		.interference = topology->interference,
	};

	for (size_t i = 0; i < topology->node_count; i++)
		describe(topology, topology->nodes[i], &topology->plan_nodes[i]);
	plan_make(&group, &topology->plan);
}

/* ---- the answer ---- */

/* Up to which offset of the old history the new master has it: INFO_UNKNOWN
 * when nothing shows that it has any of it. */
static int64_t kept_of(const struct epoch *old, const struct info *master)
{
	if (strcmp(master->replid, old->replid) == 0)
		return info_position(master);
	return strcmp(master->replid2, old->replid) == 0 ? master->second_offset - 1 : INFO_UNKNOWN;
}

static void tell_loss(struct epoch *old, const struct node *master, uint64_t acknowledged, int64_t kept)
{
	old->lossy_changes++;
	if (kept < 0) {
		journal_note(master->journal, EVENT_lost_writes, NULL,
			     "acknowledged writes may be lost: they reached offset %llu of history %.8s, which %s does not continue",
			     (unsigned long long)acknowledged, old->replid, master->config->name);
		return;
	}
	old->lost_bytes += acknowledged - (uint64_t)kept;
	journal_note(master->journal, EVENT_lost_writes, NULL,
		     "acknowledged writes are lost: they reached offset %llu of history %.8s, %s has it up to %lld: %llu bytes are gone",
		     (unsigned long long)acknowledged, old->replid, master->config->name, (long long)kept,
		     (unsigned long long)(acknowledged - (uint64_t)kept));
}

/* Their replies came, but not the ROLE behind them. */
static void tell_doubt(struct epoch *old, const struct node *master, uint64_t clients)
{
	old->doubtful += clients;
	journal_note(master->journal, EVENT_lost_writes, NULL,
		     "acknowledged writes may be lost: %llu clients were told OK when the connection was lost, at offsets of history %.8s "
		     "that nobody knows",
		     (unsigned long long)clients, old->replid);
}

/* What weir's clients were told is done, and the new master does not have. The
 * same process under a new replid has what it had. */
static void report_loss(struct epoch *old, const struct node *master)
{
	uint64_t acknowledged = atomic_load_explicit(&old->floor->offset, memory_order_acquire);
	uint64_t unmeasured = atomic_load_explicit(&old->floor->unmeasured, memory_order_acquire);
	int64_t kept = kept_of(old, &master->info);
	bool lacks = acknowledged != 0 && (kept < 0 || (uint64_t)kept < acknowledged);

	if (strcmp(old->run_id, master->info.run_id) == 0)
		return;
	if (lacks)
		tell_loss(old, master, acknowledged, kept);
	if (unmeasured != 0)
		tell_doubt(old, master, unmeasured);
}

/* Its place was taken by one that has its history: should it come back it lacks what
 * that one was told since, also when that one is not there. */
static void fence_replaced(struct topology *topology, const struct node *master)
{
	const struct epoch *epoch = &topology->epoch;
	bool is_member = epoch->number != 0 && epoch->master >= 0 && epoch->master < (int)topology->node_count;

	if (is_member && epoch->master != (int)master->index && topology->sentinels == NULL &&
	    strcmp(master->info.replid2, epoch->replid) == 0)
		topology->standings[topology->nodes[epoch->master]->id].fenced = true;
}

static void begin_epoch(struct topology *topology, const struct node *master)
{
	struct epoch *epoch = &topology->epoch;

	fence_replaced(topology, master);
	if (epoch->number != 0)
		report_loss(epoch, master);
	epoch->number++;
	epoch->master = (int)master->index;
	epoch->offset = 0;
	epoch_floor_release(&epoch->floor);
	epoch->floor = epoch_floor_create();
	memcpy(epoch->run_id, master->info.run_id, sizeof(epoch->run_id));
	memcpy(epoch->replid, master->info.replid, sizeof(epoch->replid));
	absence_watch(topology);
	lag_reset(&topology->lag);
	journal_note(topology->journal, EVENT_epoch, NULL, "epoch %llu: master %s, run_id %.8s, replid %.8s",
		     (unsigned long long)epoch->number, master->config->name, epoch->run_id, epoch->replid);
}

static bool is_present_epoch(const struct epoch *epoch, const struct node *master)
{
	return epoch->number != 0 && epoch->master == (int)master->index &&
	       strcmp(epoch->run_id, master->info.run_id) == 0 && strcmp(epoch->replid, master->info.replid) == 0;
}

/* Remembers who follows the master, for the day it restarts without offsets. */
static void note_followers(struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct node *node = topology->nodes[i];
		const struct info *info = &node->info;
		struct standing *standing = &topology->standings[node->id];

		if ((int)i == topology->plan.master || !node->known || info->role != SERVER_ROLE_SLAVE ||
		    info->link_up != 1 || strcmp(info->replid, topology->epoch.replid) != 0)
			continue;
		memcpy(standing->seen_run_id, info->run_id, sizeof(standing->seen_run_id));
		memcpy(standing->seen_master_run_id, topology->epoch.run_id, sizeof(standing->seen_master_run_id));
	}
}

static void take_master(struct topology *topology)
{
	struct node *master = topology->nodes[topology->plan.master];
	bool news = !topology->master_usable || topology->epoch.master != topology->plan.master;

	if (news && topology->plan.master != 0)
		journal_note(topology->journal, EVENT_master_unexpected, NULL,
			     "adopted master %s, although the file names %s", master->config->name,
			     topology->nodes[0]->config->name);
	else if (news)
		journal_note(topology->journal, EVENT_master_adopted, NULL, "master is %s", master->config->name);
	topology->master_usable = true;
	topology->logged_reason[0] = '\0';
	if (!is_present_epoch(&topology->epoch, master))
		begin_epoch(topology, master);
	if (master->known) {
		topology->epoch.keys = master->info.keys;
		topology->epoch.keys_offset = info_position(&master->info);
	}
	note_followers(topology);
}

static void lose_master(struct topology *topology)
{
	topology->master_usable = false;
	if (strcmp(topology->logged_reason, topology->plan.reason) == 0)
		return;
	memcpy(topology->logged_reason, topology->plan.reason, sizeof(topology->logged_reason));
	if (topology->plan.starting)
		log_verbose("no master: %s", topology->plan.reason);
	else
		journal_note(topology->journal, EVENT_master_lost, NULL, "no master: %s", topology->plan.reason);
	if (topology->plan.rejected != PLAN_NOBODY && !topology->plan_nodes[topology->plan.rejected].fenced)
		journal_note(topology->journal, EVENT_master_refused,
			     topology->nodes[topology->plan.rejected]->config->name,
			     "the servers' own replicas of it may follow it and lose their data as well; weir cannot stop that");
}

static void log_refusals(struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		const char *refusal = topology->plan.steps[i].refusal;
		struct standing *standing = &topology->standings[topology->nodes[i]->id];

		if (strcmp(standing->logged_refusal, refusal) == 0)
			continue;
		snprintf(standing->logged_refusal, sizeof(standing->logged_refusal), "%s", refusal);
		if (refusal[0] != '\0')
			journal_note(topology->journal, EVENT_wiring_refused, topology->nodes[i]->config->name, "%s", refusal);
	}
	if (strcmp(topology->logged_observe, topology->plan.observe) == 0)
		return;
	memcpy(topology->logged_observe, topology->plan.observe, sizeof(topology->logged_observe));
	if (topology->plan.observe[0] != '\0')
		journal_note(topology->journal, EVENT_wiring_observes, NULL, "wiring falls back to observe: %s",
			     topology->plan.observe);
	else
		journal_note(topology->journal, EVENT_wiring_enforced, NULL, "wiring is enforced again");
}

/* There is another master, but a worker may still be writing to the last one. */
static void await_workers(struct topology *topology)
{
	struct plan *plan = &topology->plan;

	snprintf(plan->reason, sizeof(plan->reason), "the master changes from %.200s to %.200s",
		 topology->nodes[topology->serving.master]->config->name, topology->nodes[plan->master]->config->name);
	plan->master = PLAN_NOBODY;
	topology->master_usable = false;
}

void adopt_master(struct topology *topology)
{
	if (topology->plan.master != PLAN_NOBODY && !publish_may_serve(topology, topology->plan.master))
		await_workers(topology);
	else if (topology->plan.master != PLAN_NOBODY)
		take_master(topology);
	else
		lose_master(topology);
	if (topology->master_usable) /* else nothing was considered, and nothing is news */
		log_refusals(topology);
}
