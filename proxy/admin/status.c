/* /status: the topology's view and the counters as one JSON document.
 *
 * The shape is a promise: keys are added, never renamed or removed. Invariant:
 * what is not known is null, never a guess and never a zero; that includes text
 * from a server that is not UTF-8. */
#include "status.h"

#include <jansson.h>

#include "../../protocol/alloc.h"
#include "../../topology/journal.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "../clock.h"
#include "../config/config.h"
#include "json_put.h"
#include "../measures/stats.h"
#include "../version.h"

enum { REAL_DIGITS = 12 }; /* enough for microseconds in a lag of days */

/* ---- servers ---- */

static json_t *backlog(const struct topology_node_view *node)
{
	json_t *object = json_object();

	put_known(object, "active", node->backlog_active);
	put_integer(object, "size", node->backlog_size);
	put_integer(object, "first_byte_offset", node->backlog_first_byte_offset);
	put_integer(object, "histlen", node->backlog_histlen);
	return object;
}

/* Served to its own replicas since it started. */
static json_t *resyncs(const struct topology_node_view *node)
{
	json_t *object = json_object();

	put_integer(object, "full", node->resyncs_full);
	put_integer(object, "partial", node->resyncs_partial);
	put_integer(object, "refused", node->resyncs_refused);
	return object;
}

/* What a master and a replica have in common. */
static json_t *server(const struct topology_node_view *node)
{
	json_t *object = json_object();

	put_text(object, "name", node->name);
	put_text(object, "address", node->address);
	put_flag(object, "up", node->up);
	put_text(object, "role", node->role);
	put_text(object, "redis_version", node->redis_version);
	put_text(object, "server_name", node->server_name);
	put_text(object, "server_version", node->server_version);
	put_text(object, "run_id", node->run_id);
	put_text(object, "replid", node->replid);
	put_text(object, "replid2", node->replid2);
	put_integer(object, "second_replid_offset", node->second_replid_offset);
	put_integer(object, "offset", node->offset);
	put_integer(object, "keys", node->keys);
	put_known(object, "loading", node->loading);
	put_integer(object, "connected_replicas", node->connected_replicas);
	put(object, "resyncs", resyncs(node));
	put(object, "backlog", backlog(node));
	put_integer(object, "state_changes", (int64_t)node->state_changes);
	put_integer(object, "wirings", (int64_t)node->wirings);
	return object;
}

/* The first of those whose reads stay on the master, because the replica has
 * other rules for them. */
static json_t *differing_users(const struct topology_node_view *node)
{
	json_t *array = json_array();

	for (size_t i = 0; i < node->differing_name_count; i++) {
		json_t *name = json_string(node->differing_names[i]);

		json_array_append_new(array, alloc_checked(name == NULL ? json_null() : name));
	}
	return array;
}

static json_t *replica(const struct topology_node_view *node)
{
	json_t *object = server(node);

	put_text(object, "master_address", node->master_address);
	put_text(object, "link", node->link);
	put_text(object, "link_state", node->link_state);
	put_known(object, "sync_in_progress", node->sync_in_progress);
	put_integer(object, "sync_read_bytes", node->sync_read_bytes);
	put_integer(object, "sync_total_bytes", node->sync_total_bytes);
	put_integer(object, "received_offset", node->received_offset);
	put_text(object, "state_at_master", node->state_at_master);
	put_integer(object, "ack_offset", node->ack_offset);
	put_integer(object, "lag_bytes", node->lag_bytes);
	put_real(object, "lag_ms", node->lag_ms);
	put_real(object, "measured_lag_ms", node->lag_then_ms);
	put_integer(object, "ack_lag_seconds", node->ack_lag_seconds);
	put_integer(object, "last_io_seconds", node->last_io_seconds);
	put_known(object, "read_only", node->read_only);
	put_integer(object, "priority", node->priority);
	put_integer(object, "weight", node->weight);
	put_flag(object, "drained", node->drained);
	put_flag(object, "readable", node->readable);
	put_text(object, "reason", node->reason);
	put_text(object, "wiring", node->wiring);
	put_text(object, "resync_if_reconnected", node->resync_if_reconnected);
	put_known(object, "users_compared", node->users_compared);
	put_integer(object, "differing_users", node->differing_users);
	put(object, "differing_user_names", node->users_compared == 1 ? differing_users(node) : json_null());
	return object;
}

/* Without a master every configured server stands among the replicas, so that
 * what is known of each is still shown. */
static json_t *replicas(const struct topology_view *view)
{
	json_t *array = json_array();

	for (size_t i = 0; i < view->node_count; i++)
		if ((int)i != view->master)
			json_array_append_new(array, alloc_checked(replica(&view->nodes[i])));
	return array;
}

static json_t *wiring(const struct topology_view *view)
{
	json_t *object = json_object();

	put_text(object, "mode", view->wiring_mode);
	put_text(object, "reason", view->wiring_reason);
	return object;
}

static json_t *sentinel(const struct topology_view *view)
{
	json_t *object = json_object(), *array = json_array();

	put_text(object, "name", view->sentinel_name);
	for (size_t i = 0; i < view->sentinel_count; i++) {
		json_t *one = json_object();

		put_text(one, "address", view->sentinels[i].address);
		put_flag(one, "up", view->sentinels[i].up);
		put_text(one, "master", view->sentinels[i].master);
		put_integer(one, "config_epoch", view->sentinels[i].config_epoch);
		json_array_append_new(array, alloc_checked(one));
	}
	put(object, "sentinels", array);
	return object;
}

/* ---- counters ---- */

static int64_t total(const struct admin_sources *sources, enum stat_id id)
{
	return stats_sum(sources->stats, sources->stats_count, id);
}

static json_t *clients(const struct admin_sources *sources)
{
	json_t *object = json_object();

	put_integer(object, "connected", total(sources, STAT_clients_connected));
	put_integer(object, "total", total(sources, STAT_clients_total));
	put_integer(object, "rejected", total(sources, STAT_clients_rejected));
	put_integer(object, "max", sources->config->max_clients);
	return object;
}

/* Whatever the answer was. */
static int64_t answered(const struct admin_sources *sources, enum stat_id id)
{
	return stats_of_commands(sources->stats, sources->stats_count, id);
}

static json_t *commands(const struct admin_sources *sources)
{
	json_t *object = json_object();

	put_integer(object, "reads_on_replicas", answered(sources, STAT_reads_on_replicas));
	put_integer(object, "reads_on_master", answered(sources, STAT_reads_on_master));
	put_integer(object, "writes", answered(sources, STAT_writes));
	put_integer(object, "local", answered(sources, STAT_local));
	put_integer(object, "rejected_writes", total(sources, STAT_rejected_writes));
	put_integer(object, "retried_reads", total(sources, STAT_retried_reads));
	put_integer(object, "unknown_results", total(sources, STAT_unknown_results));
	return object;
}

static json_t *lost_writes(const struct topology_view *view)
{
	json_t *object = json_object();

	put_integer(object, "master_changes", (int64_t)view->lossy_changes);
	put_integer(object, "bytes", (int64_t)view->lost_bytes);
	put_integer(object, "doubtful", (int64_t)view->doubtful);
	return object;
}

/* The change of the master that is under way, or the last one. */
static json_t *phases(const struct topology_succession_view *view)
{
	json_t *array = json_array();

	for (size_t i = 0; i < view->phase_count; i++) {
		json_t *phase = json_object();

		put_text(phase, "name", view->phases[i].name);
		put_real(phase, "ms", (double)view->phases[i].us / 1e3);
		json_array_append_new(array, phase);
	}
	return array;
}

static json_t *switchover(const struct topology_succession_view *view)
{
	json_t *object = json_object();

	put_text(object, "kind", view->unplanned ? "failover" : "switchover");
	put_text(object, "phase", view->step);
	put_integer(object, "phase_ms", view->step_ms);
	put(object, "phases", phases(view));
	put_flag(object, "holds_writes", view->holds);
	put_text(object, "from", view->from);
	put_text(object, "to", view->to);
	put_text(object, "result", view->result);
	put_real(object, "ended_seconds_ago", view->ended_ms < 0 ? -1.0 : (double)view->ended_ms / 1e3);
	put_real(object, "held_ms", view->from == NULL ? -1.0 : (double)view->held_us / 1e3);
	put_integer(object, "done", (int64_t)view->done);
	put_integer(object, "undone", (int64_t)view->undone);
	put_integer(object, "refused", (int64_t)view->refused);
	return object;
}

static json_t *failover(const struct topology_failover_view *view)
{
	json_t *object = json_object();

	put_text(object, "mode", view->on ? "auto" : "off");
	put_integer(object, "count", (int64_t)view->count);
	put_text(object, "refused", view->why);
	return object;
}

/* Every counter by its own name; what has no promised place is found here. */
static json_t *counters(const struct admin_sources *sources)
{
	json_t *object = json_object();

	for (size_t i = 0; i < STAT_COUNT; i++)
		put(object, stat_rows[i].field, json_integer(total(sources, (enum stat_id)i)));
	return object;
}

char *status_json(const struct admin_sources *sources)
{
	const struct topology_view *view = topology_view(sources->topology);
	json_t *document = alloc_checked(json_object());
	char *text;

	put_text(document, "version", WEIR_VERSION);
	put_integer(document, "uptime_seconds", (clock_ns() - sources->started_ns) / 1000000000);
	put_text(document, "state", topology_state_name(view->state));
	put_text(document, "no_master_reason", view->no_master_reason);
	put_integer(document, "generation", (int64_t)view->generation);
	put_integer(document, "epoch", (int64_t)view->epoch);
	put_integer(document, "newest_event", (int64_t)journal_newest(sources->journal));
	put(document, "lost_writes", lost_writes(view));
	put(document, "wiring", wiring(view));
	put(document, "sentinel", view->sentinel_name != NULL ? sentinel(view) : json_null());
	put(document, "switchover", switchover(&view->succession));
	put(document, "failover", failover(&view->failover));
	put(document, "master", view->master < 0 ? json_null() : server(&view->nodes[view->master]));
	put(document, "replicas", replicas(view));
	put(document, "clients", clients(sources));
	put(document, "commands", commands(sources));
	put(document, "counters", counters(sources));
	text = alloc_checked(json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)));
	json_decref(document);
	return text;
}
