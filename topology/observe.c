/* From answers to judgement: where a node is in the stream, how old that makes
 * it, and whether reads may go there. Unknown always means not readable.
 *
 * A replica's position counts only when its ROLE says connected, to the very
 * address that the INFO of the same link showed together with the replid of
 * this epoch. So a replica that is pointed elsewhere between two checks has no
 * position until the next INFO explains it. */
#include <string.h>

#include "clock.h"
#include "group.h"

/* ---- whom does it follow ---- */

/* A replica on another machine means that machine when it says loopback. */
static bool is_spelling_of(const struct node *teller, const char *host, int64_t port, const struct node *node)
{
	bool same_port = port == node->config->port || port == node->told_port;

	if (!same_port)
		return false;
	if (address_host_is_loopback(host) && !address_is_loopback(&teller->address))
		return port == node->config->port && teller != node &&
		       strcmp(teller->config->host, node->config->host) == 0;
	return (port == node->told_port && strcmp(host, node->told_host) == 0) ||
	       (port == node->config->port && strcmp(host, node->config->host) == 0) ||
	       (port == node->config->port && address_has_host(&node->address, host));
}

static int find_master_of(const struct topology *topology, const struct node *node)
{
	if (node->info.role != SERVER_ROLE_SLAVE)
		return PLAN_NOBODY;
	for (size_t i = 0; i < topology->node_count; i++)
		if (is_spelling_of(node, node->info.master_host, node->info.master_port, topology->nodes[i]))
			return (int)i;
	return PLAN_STRANGER;
}

void observe_info(struct topology *topology, const struct node *node)
{
	topology->standings[node->id].follows = find_master_of(topology, node);
}

static bool follows_present_master(const struct topology *topology, const struct node *node)
{
	int follows = topology->standings[node->id].follows;

	return follows == topology->epoch.master || (follows == PLAN_STRANGER && node->info.link_up == 1);
}

static bool is_of_epoch(const struct topology *topology, const struct node *node)
{
	return topology->epoch.replid[0] != '\0' && strcmp(node->info.replid, topology->epoch.replid) == 0;
}

static bool is_connected_as_known(const struct node *node)
{
	return node->positioned && node->role.role == SERVER_ROLE_SLAVE && strcmp(node->role.state, "connected") == 0 &&
	       node->role.offset >= 0 && node->role.master_port == node->info.master_port &&
	       strcmp(node->role.master_host, node->info.master_host) == 0;
}

/* ---- positions ---- */

static void set_vitals(struct node *node, int64_t offset, int64_t fresh_as_of_ns)
{
	atomic_store_explicit(&node->vitals->offset, (uint64_t)offset, memory_order_relaxed);
	atomic_store_explicit(&node->vitals->fresh_as_of_ns, fresh_as_of_ns, memory_order_release);
}

/* Without a backlog the master's offset stands still and means nothing
 * (reference: replicationFeedSlaves returns at once). */
static void observe_master(struct topology *topology, struct node *node)
{
	if (!node->positioned || node->role.role != SERVER_ROLE_MASTER || node->info.role != SERVER_ROLE_MASTER ||
	    node->info.backlog_active != 1 || !is_of_epoch(topology, node)) {
		set_vitals(node, 0, 0);
		return;
	}
	if (!lag_add(&topology->lag, node->role_sent_ns, (uint64_t)node->role.offset)) {
		lag_reset(&topology->lag); /* offsets went back: not the history we took it for */
		set_vitals(node, 0, 0);
		return;
	}
	epoch_floor_measured(topology->epoch.floor, node->role_sent_ns, (uint64_t)node->role.offset);
	if (node->role.offset > topology->epoch.offset)
		topology->epoch.offset = node->role.offset;
	set_vitals(node, node->role.offset, node->role_sent_ns);
}

static void observe_lag(struct topology *topology, struct node *node, int64_t offset, int64_t observed_ns)
{
	struct standing *standing = &topology->standings[node->id];
	const struct lag_sample *newest = lag_newest(&topology->lag);
	int64_t fresh = lag_fresh_as_of(&topology->lag, (uint64_t)offset);

	set_vitals(node, offset, fresh);
	standing->lag_ms = fresh == 0 ? -1.0 : (double)(observed_ns - fresh) / 1e6;
	standing->lag_bytes = INFO_UNKNOWN;
	if (newest != NULL)
		standing->lag_bytes = (uint64_t)offset < newest->offset ? (int64_t)(newest->offset - (uint64_t)offset) : 0;
}

static void forget_lag(struct topology *topology, struct node *node)
{
	topology->standings[node->id].lag_ms = -1.0;
	topology->standings[node->id].lag_bytes = INFO_UNKNOWN;
	set_vitals(node, node->info.applied_offset > 0 ? node->info.applied_offset : 0, 0);
}

/* Without a master the links are down, and ROLE shows no offset. What INFO kept
 * is still true: of the same history, applied and visible. */
static void observe_replica(struct topology *topology, struct node *node)
{
	bool counts = is_of_epoch(topology, node) && follows_present_master(topology, node);

	if (counts && is_connected_as_known(node))
		observe_lag(topology, node, node->role.offset, node->role_answered_ns);
	else if (counts && !topology->master_usable && node->known && node->info.applied_offset > 0)
		observe_lag(topology, node, node->info.applied_offset, clock_now_ns());
	else
		forget_lag(topology, node);
}

void observe_position(struct topology *topology, struct node *node)
{
	if (topology->epoch.number == 0)
		return;
	if ((int)node->index == topology->epoch.master)
		observe_master(topology, node);
	else
		observe_replica(topology, node);
}

/* ---- readability ---- */

/* To come back after lag, a replica must be a fifth better than the limit. */
static int64_t limit_for(const struct standing *standing, int64_t limit)
{
	bool returning = standing->reason != NULL && strncmp(standing->reason, "lag", 3) == 0;

	return returning ? limit - limit / 5 : limit;
}

/* Between two rounds every age grows. A limit that is shorter than a few rounds
 * would make everybody come and go with each of them; whoever reads by the
 * vitals sees the age itself, and keeps to the true limit. */
static int64_t age_limit_ns(const struct topology *topology, const struct standing *standing)
{
	int64_t limit_ns = limit_for(standing, topology->config.max_lag_ms * NS_PER_MS);
	int64_t least_ns = 3 * topology->round_every_ns;

	return limit_ns > least_ns ? limit_ns : least_ns;
}

static const char *lag_reason(const struct topology *topology, const struct node *node)
{
	const struct standing *standing = &topology->standings[node->id];
	int64_t fresh = atomic_load_explicit(&node->vitals->fresh_as_of_ns, memory_order_relaxed);

	if (fresh == 0)
		return lag_newest(&topology->lag) ? "lag" : "unknown";
	if (clock_now_ns() - fresh > age_limit_ns(topology, standing))
		return "lag";
	if (standing->lag_bytes < 0)
		return "unknown";
	return standing->lag_bytes > limit_for(standing, topology->config.max_lag_bytes) ? "lag_bytes" : NULL;
}

/* What disqualifies a replica whoever is master. */
static const char *own_reason(const struct node *node)
{
	const struct info *info = &node->info;

	if (!node_is_up(node))
		return "down";
	if (!node->known || !node->positioned)
		return "unknown";
	if (!info_version_supported(info->redis_version))
		return "old_version";
	if (info->loading != 0)
		return info->loading == 1 ? "loading" : "unknown";
	if (info->role != SERVER_ROLE_SLAVE || node->role.role != SERVER_ROLE_SLAVE)
		return "not_a_replica";
	if (info->sync_in_progress != 0 || info->async_loading == 1 || strcmp(node->role.state, "sync") == 0)
		return info->sync_in_progress >= 0 ? "sync" : "unknown";
	if (info->read_only != 1)
		return info->read_only == 0 ? "writable" : "unknown";
	return NULL;
}

static bool has_twin(const struct topology *topology, const struct node *node)
{
	for (size_t i = 0; i < topology->present_count; i++) {
		const struct node *other = topology->nodes[i];

		if (other != node && other->known && strcmp(other->info.run_id, node->info.run_id) == 0 &&
		    (i < node->index || (int)i == topology->plan.master))
			return true;
	}
	return false;
}

static const char *replica_reason(const struct topology *topology, const struct node *node)
{
	const char *reason = own_reason(node);
	int follows = topology->standings[node->id].follows;

	if (reason != NULL)
		return reason;
	if (!topology->master_usable)
		return "no_master";
	if (has_twin(topology, node))
		return "same_server";
	if (follows >= 0 && !follows_present_master(topology, node))
		return "wrong_master";
	if (node->info.link_up != 1 || strcmp(node->role.state, "connected") != 0)
		return "link_down";
	if (!is_of_epoch(topology, node))
		return follows == PLAN_STRANGER ? "wrong_master" : "other_history";
	if (!is_connected_as_known(node))
		return "unknown";
	return lag_reason(topology, node);
}

/* The master itself serves reads as the fallback, not as a readable replica. */
static void judge(const struct topology *topology, const struct node *node, struct standing *standing)
{
	bool is_master = topology->master_usable && (int)node->index == topology->plan.master;

	standing->reason = is_master ? "master" : replica_reason(topology, node);
	standing->sound = standing->reason == NULL;
	if (standing->drained && !is_master && node_is_up(node))
		standing->reason = "drained";
	if (standing->leaving_ns != 0)
		standing->reason = "removed";
}

void observe_readability(struct topology *topology)
{
	for (size_t i = 0; i < topology->present_count; i++) {
		struct node *node = topology->nodes[i];
		struct standing *standing = &topology->standings[node->id];

		judge(topology, node, standing);
		standing->readable_without_master =
			(int)i != topology->plan.master && own_reason(node) == NULL && !standing->drained &&
			standing->leaving_ns == 0 &&
			!has_twin(topology, node) && is_of_epoch(topology, node) && follows_present_master(topology, node);
	}
}
