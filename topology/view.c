/* What admin shows, gathered at the moment it asks. */
#include <string.h>

#include "audit.h"
#include "clock.h"
#include "group.h"
#include "sentinel.h"
#include "succession.h"
#include "takeover.h"

const char *topology_state_name(enum topology_state state)
{
	static const char *const names[] = {
		[TOPOLOGY_OK] = "ok",
		[TOPOLOGY_DEGRADED] = "degraded",
		[TOPOLOGY_NO_MASTER] = "no_master",
	};

	return names[state];
}

static const char *or_null(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

/* The master's own line about this replica: found by the port it listens on,
 * and by the host where several share a port. */
static const struct info_slave *slave_line(const struct info *master, const struct node *node)
{
	const struct info_slave *found = NULL;

	for (size_t i = 0; i < master->slave_count; i++) {
		const struct info_slave *slave = &master->slaves[i];

		if (slave->port != node->config->port && slave->port != node->told_port)
			continue;
		if (address_has_host(&node->address, slave->host) || strcmp(slave->host, node->told_host) == 0)
			return slave;
		if (found == NULL)
			found = slave;
	}
	return found;
}

/* What was acknowledged since it was looked at last may be missing as well. */
static double age_now(const struct node *node)
{
	int64_t fresh_ns = atomic_load_explicit(&node->vitals->fresh_as_of_ns, memory_order_relaxed);

	return fresh_ns == 0 ? -1.0 : (double)(clock_now_ns() - fresh_ns) / 1e6;
}

static void show_links(const struct node *node, struct topology_node_view *view)
{
	const struct info *info = &node->info;

	view->role = server_role_name(info->role);
	view->read_only = TOPOLOGY_UNKNOWN;
	view->sync_in_progress = TOPOLOGY_UNKNOWN;
	if (info->role != SERVER_ROLE_SLAVE)
		return;
	view->master_address = or_null(node->master_text);
	view->link = info->link_up == INFO_UNKNOWN ? NULL : info->link_up ? "up" : "down";
	view->link_state = node->positioned && node->role.role == SERVER_ROLE_SLAVE ? node->role.state : NULL;
	view->sync_in_progress = (int)info->sync_in_progress;
	view->sync_read_bytes = info->sync_read;
	view->sync_total_bytes = info->sync_total > 0 ? info->sync_total : TOPOLOGY_UNKNOWN;
	view->read_only = (int)info->read_only;
	view->received_offset = info->received_offset;
	view->last_io_seconds = info->last_io_seconds;
	view->priority = info->priority;
}

static void show_history(const struct info *info, struct topology_node_view *view)
{
	view->run_id = or_null(info->run_id);
	view->replid = or_null(info->replid);
	view->replid2 = or_null(info->replid2);
	view->second_replid_offset = info->second_offset;
	view->redis_version = or_null(info->redis_version);
	view->server_name = info_server_name(info);
	view->server_version = or_null(info_server_version(info));
	view->keys = info->keys;
	view->connected_replicas = info->connected_slaves;
	view->resyncs_full = info->resyncs_full;
	view->resyncs_partial = info->resyncs_partial;
	view->resyncs_refused = info->resyncs_refused;
	view->backlog_active = (int)info->backlog_active;
	view->backlog_size = info->backlog_size;
	view->backlog_first_byte_offset = info->backlog_first;
	view->backlog_histlen = info->backlog_length;
	view->loading = (int)info->loading;
}

static void show_offsets(const struct topology *topology, const struct node *node, struct topology_node_view *view)
{
	bool by_role = node->positioned && node->role.offset >= 0;
	const struct standing *standing = &topology->standings[node->id];

	view->offset = by_role ? node->role.offset : info_position(&node->info);
	view->lag_bytes = view->is_master ? 0 : standing->lag_bytes;
	view->lag_ms = view->is_master ? 0.0 : age_now(node);
	view->lag_then_ms = view->is_master ? 0.0 : standing->lag_ms;
}

static void show_by_master(const struct topology *topology, const struct node *node, struct topology_node_view *view)
{
	static const char *const words[] = {"full", "partial"};
	const struct node *master;
	const struct info_slave *line;
	int partial;

	if (!topology->master_usable || view->is_master)
		return;
	master = topology->nodes[topology->plan.master];
	line = slave_line(&master->info, node);
	partial = plan_partial_resync(&node->info, &master->info);
	view->resync_if_reconnected = partial == INFO_UNKNOWN ? NULL : words[partial];
	if (line == NULL)
		return;
	view->state_at_master = or_null(line->state);
	view->ack_offset = line->offset;
	if (strcmp(line->state, "online") == 0)
		view->ack_lag_seconds = line->lag;
}

/* Everything unknown. */
static void clear(struct topology_node_view *view)
{
	*view = (struct topology_node_view){
		.sync_in_progress = TOPOLOGY_UNKNOWN,
		.sync_read_bytes = TOPOLOGY_UNKNOWN,
		.sync_total_bytes = TOPOLOGY_UNKNOWN,
		.loading = TOPOLOGY_UNKNOWN,
		.read_only = TOPOLOGY_UNKNOWN,
		.offset = TOPOLOGY_UNKNOWN,
		.received_offset = TOPOLOGY_UNKNOWN,
		.lag_bytes = TOPOLOGY_UNKNOWN,
		.lag_ms = -1.0,
		.lag_then_ms = -1.0,
		.ack_lag_seconds = TOPOLOGY_UNKNOWN,
		.ack_offset = TOPOLOGY_UNKNOWN,
		.last_io_seconds = TOPOLOGY_UNKNOWN,
		.priority = TOPOLOGY_UNKNOWN,
		.users_compared = TOPOLOGY_UNKNOWN,
		.differing_users = TOPOLOGY_UNKNOWN,
		.second_replid_offset = TOPOLOGY_UNKNOWN,
		.keys = TOPOLOGY_UNKNOWN,
		.connected_replicas = TOPOLOGY_UNKNOWN,
		.resyncs_full = TOPOLOGY_UNKNOWN,
		.resyncs_partial = TOPOLOGY_UNKNOWN,
		.resyncs_refused = TOPOLOGY_UNKNOWN,
		.backlog_active = TOPOLOGY_UNKNOWN,
		.backlog_size = TOPOLOGY_UNKNOWN,
		.backlog_first_byte_offset = TOPOLOGY_UNKNOWN,
		.backlog_histlen = TOPOLOGY_UNKNOWN,
	};
}

static void show_node(const struct topology *topology, const struct node *node, struct topology_node_view *view)
{
	const struct standing *standing = &topology->standings[node->id];

	clear(view);
	view->id = node->id;
	view->incarnation = node->incarnation;
	view->name = node->config->name;
	view->address = node->address_text;
	view->weight = node->config->weight;
	view->up = node_is_up(node);
	view->is_master = topology->master_usable && (int)node->index == topology->plan.master;
	view->drained = standing->drained;
	view->readable = standing->reason == NULL;
	view->reason = standing->reason;
	view->wiring = or_null(topology->plan.steps[node->index].refusal);
	view->state_changes = node->state_changes;
	view->wirings = standing->wirings;
	if (node->info.run_id[0] == '\0')
		return;
	show_links(node, view);
	show_history(&node->info, view);
	show_offsets(topology, node, view);
	show_by_master(topology, node, view);
	audit_show(topology->audit, node, view);
}

static enum topology_state state_of(const struct topology *topology)
{
	if (!topology->master_usable)
		return TOPOLOGY_NO_MASTER;
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct standing *standing = &topology->standings[topology->nodes[i]->id];

		if ((int)i != topology->plan.master && standing->reason != NULL && !standing->drained)
			return TOPOLOGY_DEGRADED;
	}
	return TOPOLOGY_OK;
}

const struct topology_view *topology_view(struct topology *topology)
{
	struct topology_view *view = &topology->view;

	for (size_t i = 0; i < topology->node_count; i++)
		show_node(topology, topology->nodes[i], &topology->node_views[i]);
	*view = (struct topology_view){
		.state = state_of(topology),
		.generation = topology->snapshot->generation,
		.epoch = topology->epoch.number,
		.lossy_changes = topology->epoch.lossy_changes,
		.lost_bytes = topology->epoch.lost_bytes,
		.doubtful = topology->epoch.doubtful,
		.no_master_reason = topology->master_usable ? NULL : topology->plan.reason,
		.wiring_mode = topology->config.wiring == TOPOLOGY_WIRING_ENFORCE && topology->plan.observe[0] == '\0'
				       ? "enforce"
				       : "observe",
		.wiring_reason = topology->sentinels != NULL ? "the sentinels wire" : or_null(topology->plan.observe),
		.sentinel_name = topology->sentinels != NULL ? topology->config.sentinel.name : NULL,
		.master = topology->master_usable ? topology->plan.master : -1,
		.node_count = topology->node_count,
		.nodes = topology->node_views,
	};
	succession_show(topology->succession, &view->succession);
	takeover_show(topology->takeover, &view->failover);
	view->sentinel_count = sentinels_show(topology->sentinels, &view->sentinels);
	return view;
}
