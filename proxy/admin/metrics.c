/* /metrics: the workers' counters, what weir knows of each server, and a few
 * figures of weir itself, in the Prometheus text format 0.0.4.
 *
 * Every family is a row of a table. Invariants: HELP and TYPE stand once per
 * family and all its samples behind them; what is not known has no sample; no
 * label takes its value from a client, so the number of series is bounded by
 * the configuration. */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "../../topology/topology.h"
#include "admin.h"
#include "../clock.h"
#include "../config/config.h"
#include "metrics_parts.h"
#include "../control/reload.h"
#include "../measures/stats.h"
#include "../version.h"

void metrics_begin_family(const char *name, const char *type, const char *help, FILE *out)
{
	fprintf(out, "# HELP weir_%s %s\n# TYPE weir_%s %s\n", name, help, name, type);
}

void metrics_begin_common_family(const char *name, const char *type, const char *help, FILE *out)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: the format gives backslash, quote and line feed a meaning. */
void metrics_print_quoted(const char *value, FILE *out)
{
	fputc('"', out);
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('"', out);
}

static void print_number(const char *name, const char *kind, const char *help, int64_t value, FILE *out)
{
	metrics_begin_family(name, kind, help, out);
	fprintf(out, "weir_%s %" PRId64 "\n", name, value);
}

static void print_integer(const char *name, const char *help, int64_t value, FILE *out)
{
	print_number(name, "gauge", help, value, out);
}

static void print_total(const char *name, const char *help, uint64_t value, FILE *out)
{
	print_number(name, "counter", help, (int64_t)value, out);
}

/* ---- counters ---- */

static void print_counters(const struct admin_sources *sources, FILE *out)
{
	const char *family = "";

	for (size_t i = 0; i < STAT_COUNT; i++) {
		const struct stat_row *row = &stat_rows[i];
		int64_t value = stats_sum(sources->stats, sources->stats_count, (enum stat_id)i);
		bool labelled = row->labels[0] != '\0';

		if (row->metric[0] == '\0')
			continue;
		if (strcmp(row->metric, family) != 0)
			metrics_begin_family(row->metric, row->kind == STAT_KIND_COUNTER ? "counter" : "gauge", row->help, out);
		family = row->metric;
		fprintf(out, "weir_%s%s%s%s %" PRId64 "\n", row->metric, labelled ? "{" : "", row->labels,
			labelled ? "}" : "", value);
	}
}

/* ---- servers ---- */

enum field_type { FIELD_BOOL, FIELD_INT, FIELD_INT64, FIELD_UINT64, FIELD_UNSIGNED, FIELD_MS };
enum audience { EVERY_SERVER_BY_ROLE, EVERY_SERVER, REPLICAS_ONLY };

struct node_metric {
	const char *name;
	const char *type;
	enum audience audience;
	enum field_type field;
	size_t offset; /* in struct topology_node_view; negative values there mean unknown */
	const char *help;
};

#define FIELD(type, name) FIELD_##type, offsetof(struct topology_node_view, name)

static const struct node_metric node_metrics[] = {
	{ "node_up", "gauge", EVERY_SERVER_BY_ROLE, FIELD(BOOL, up), "Whether the server answers its health checks." },
	{ "node_offset_bytes", "gauge", EVERY_SERVER, FIELD(INT64, offset),
	  "Replication offset of a master, applied offset of a replica." },
	{ "node_loading", "gauge", EVERY_SERVER, FIELD(INT, loading), "Whether the server is loading its data." },
	{ "node_keys", "gauge", EVERY_SERVER, FIELD(INT64, keys), "Keys over all databases." },
	{ "node_connected_replicas", "gauge", EVERY_SERVER, FIELD(INT64, connected_replicas),
	  "Replicas that are connected to the server." },
	{ "node_backlog_active", "gauge", EVERY_SERVER, FIELD(INT, backlog_active),
	  "Whether the server keeps a replication backlog." },
	{ "node_backlog_size_bytes", "gauge", EVERY_SERVER, FIELD(INT64, backlog_size),
	  "Size of the replication backlog." },
	{ "node_backlog_first_byte_offset_bytes", "gauge", EVERY_SERVER, FIELD(INT64, backlog_first_byte_offset),
	  "Replication offset of the first byte in the backlog." },
	{ "node_backlog_history_bytes", "gauge", EVERY_SERVER, FIELD(INT64, backlog_histlen),
	  "Bytes of the replication stream in the backlog." },
	{ "node_state_changes_total", "counter", EVERY_SERVER, FIELD(UINT64, state_changes),
	  "Times that the server went up or down or changed its role." },
	{ "node_wirings_total", "counter", EVERY_SERVER, FIELD(UINT64, wirings), "Times that weir sent REPLICAOF." },
	{ "replica_readable", "gauge", REPLICAS_ONLY, FIELD(BOOL, readable), "Whether the replica may serve reads." },
	{ "replica_drained", "gauge", REPLICAS_ONLY, FIELD(BOOL, drained),
	  "Whether an operator has taken the replica out." },
	{ "replica_weight", "gauge", REPLICAS_ONLY, FIELD(UNSIGNED, weight), "Configured weight of the replica." },
	{ "replica_lag_seconds", "gauge", REPLICAS_ONLY, FIELD(MS, lag_ms),
	  "How old the data of the replica can be at most." },
	{ "replica_lag_bytes", "gauge", REPLICAS_ONLY, FIELD(INT64, lag_bytes),
	  "How far the replica is behind the master." },
	{ "replica_ack_lag_seconds", "gauge", REPLICAS_ONLY, FIELD(INT64, ack_lag_seconds),
	  "Whole seconds since the master got an acknowledgement from the replica." },
	{ "replica_last_io_seconds", "gauge", REPLICAS_ONLY, FIELD(INT64, last_io_seconds),
	  "Whole seconds since the replica got anything from its master." },
	{ "replica_sync_in_progress", "gauge", REPLICAS_ONLY, FIELD(INT, sync_in_progress),
	  "Whether a full resynchronisation is going on." },
	{ "replica_users_compared", "gauge", REPLICAS_ONLY, FIELD(INT, users_compared),
	  "Whether weir can compare the users' rules with the master's." },
	{ "replica_differing_users", "gauge", REPLICAS_ONLY, FIELD(INT64, differing_users),
	  "Users of the master who have other rules on the replica: their reads stay on the master." },
	{ "replica_read_only", "gauge", REPLICAS_ONLY, FIELD(INT, read_only),
	  "Whether the replica refuses writes of its own clients." },
};

static double node_value(const struct topology_node_view *node, const struct node_metric *metric)
{
	const void *field = (const char *)node + metric->offset;

	switch (metric->field) {
	case FIELD_BOOL:
		return *(const bool *)field;
	case FIELD_INT:
		return *(const int *)field;
	case FIELD_INT64:
		return (double)*(const int64_t *)field;
	case FIELD_UINT64:
		return (double)*(const uint64_t *)field;
	case FIELD_UNSIGNED:
		return *(const unsigned *)field;
	case FIELD_MS:
		return *(const double *)field / 1000;
	}
	return -1;
}

static const char *node_role(const struct topology_node_view *node)
{
	return node->is_master ? "master" : "replica";
}

/* The role is a label of node_up alone: a switchover must not cut the series
 * of the others in two. 17 digits hold every integer that a double holds; lags need microseconds. */
static void print_sample(const struct node_metric *metric, const struct topology_node_view *node, double value,
			 FILE *out)
{
	fprintf(out, "weir_%s{node=", metric->name);
	metrics_print_quoted(node->name, out);
	if (metric->audience == EVERY_SERVER_BY_ROLE)
		fprintf(out, ",role=\"%s\"", node_role(node));
	fprintf(out, metric->field == FIELD_MS ? "} %.6f\n" : "} %.17g\n", value);
}

static void print_nodes(const struct topology_view *view, FILE *out)
{
	for (size_t i = 0; i < sizeof(node_metrics) / sizeof(node_metrics[0]); i++) {
		const struct node_metric *metric = &node_metrics[i];

		metrics_begin_family(metric->name, metric->type, metric->help, out);
		for (size_t j = 0; j < view->node_count; j++) {
			const struct topology_node_view *node = &view->nodes[j];
			double value = node_value(node, metric);

			if (value >= 0 && (metric->audience != REPLICAS_ONLY || !node->is_master))
				print_sample(metric, node, value, out);
		}
	}
}

/* A counter of the server's own process: with every restart it begins anew. */
static void print_resyncs(const struct topology_view *view, FILE *out)
{
	static const char *const kinds[] = { "full", "partial", "refused" };

	metrics_begin_family("node_resyncs_total", "counter",
			     "Resyncs that the server has served; refused: a partial one was asked for, and became full.", out);
	for (size_t i = 0; i < view->node_count; i++) {
		const struct topology_node_view *node = &view->nodes[i];
		const int64_t counts[] = { node->resyncs_full, node->resyncs_partial, node->resyncs_refused };

		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
			if (counts[kind] < 0)
				continue;
			fputs("weir_node_resyncs_total{node=", out);
			metrics_print_quoted(node->name, out);
			fprintf(out, ",kind=\"%s\"} %" PRId64 "\n", kinds[kind], counts[kind]);
		}
	}
}

/* ---- weir itself ---- */

static void print_state(const struct topology_view *view, FILE *out)
{
	static const enum topology_state states[] = { TOPOLOGY_OK, TOPOLOGY_DEGRADED, TOPOLOGY_NO_MASTER };

	metrics_begin_family("state", "gauge", "1 for the state that the group is in.", out);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		fprintf(out, "weir_state{state=\"%s\"} %d\n", topology_state_name(states[i]), view->state == states[i]);
}

static void print_succession(const struct topology_succession_view *view, FILE *out)
{
	metrics_begin_family("switchovers_total", "counter", "Planned changes of the master, by what became of them.", out);
	fprintf(out, "weir_switchovers_total{result=\"done\"} %" PRIu64 "\n", view->done);
	fprintf(out, "weir_switchovers_total{result=\"undone\"} %" PRIu64 "\n", view->undone);
	fprintf(out, "weir_switchovers_total{result=\"refused\"} %" PRIu64 "\n", view->refused);
	metrics_begin_family("switchover_held_seconds_total", "counter", "For how long writes were held by those that were done.", out);
	fprintf(out, "weir_switchover_held_seconds_total %.6f\n", (double)view->held_total_us / 1e6);
	print_integer("switchover_under_way", "Whether one is under way.", view->step != NULL, out);
}

static void print_failover(const struct topology_failover_view *view, FILE *out)
{
	print_integer("failover_enabled", "Whether weir itself replaces a master that is lost.", view->on, out);
	print_total("failovers_total", "Replicas that were made the master because it was lost.", view->count, out);
	print_integer("failover_refused", "Whether the master is lost and something is against replacing it.", view->why != NULL, out);
}

static void print_reloads(const struct admin_sources *sources, FILE *out)
{
	metrics_begin_family("config_last_reload_success_timestamp_seconds", "gauge",
			     "When the configuration in force was taken, in Unix time.", out);
	fprintf(out, "weir_config_last_reload_success_timestamp_seconds %.3f\n",
		(double)reload_succeeded_unix_ms(sources->reload) / 1e3);
}

void metrics_print(const struct admin_sources *sources, FILE *out)
{
	const struct topology_view *view = topology_view(sources->topology);

	metrics_begin_family("build_info", "gauge", "Always 1; the label has the version.", out);
	fputs("weir_build_info{version=\"" WEIR_VERSION "\"} 1\n", out);
	print_integer("uptime_seconds", "Seconds since weir started.", (clock_ns() - sources->started_ns) / 1000000000,
		      out);
	print_integer("clients_max", "Clients that weir admits at once.", sources->config->max_clients, out);
	print_state(view, out);
	print_integer("topology_generation", "Number of the published picture of the topology.",
		      (int64_t)view->generation, out);
	print_integer("topology_epoch", "Number of the replication history.", (int64_t)view->epoch, out);
	print_total("lossy_master_changes_total", "Changes of the master that lost acknowledged writes.",
		    view->lossy_changes, out);
	print_total("lost_write_bytes_total", "Bytes of the replication stream that were acknowledged and are gone.",
		    view->lost_bytes, out);
	print_total("doubtful_writes_total",
		    "Clients that were told OK when the master was lost, at an offset of its stream that nobody knows.",
		    view->doubtful, out);
	print_succession(&view->succession, out);
	print_failover(&view->failover, out);
	print_integer("wiring_enforced", "Whether weir sends REPLICAOF where it is safe.",
		      strcmp(view->wiring_mode, "enforce") == 0, out);
	print_reloads(sources, out);
	print_nodes(view, out);
	print_resyncs(view, out);
	print_counters(sources, out);
	metrics_print_measures(sources, view, out);
	metrics_print_process(sources, out);
}
