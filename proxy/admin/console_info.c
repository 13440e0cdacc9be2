/* INFO on the console, so that people and tools that know Redis' INFO can read
 * weir: one function per section.
 *
 * Invariants: a field that Redis has means here what it means there; what is
 * not known is left out, because these fields have no word for "unknown". */
#include "console_info.h"

#include <inttypes.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "../../topology/topology.h"
#include "admin.h"
#include "../clock.h"
#include "../config/config.h"
#include "../measures/measures.h"
#include "../measures/stats.h"
#include "../version.h"

static void field_text(FILE *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	fprintf(out, "%s:", name);
	for (; *value != '\0'; value++)
		fputc((unsigned char)*value < ' ' ? '?' : *value, out);
	fputs("\r\n", out);
}

static void field_integer(FILE *out, const char *name, int64_t value)
{
	if (value >= 0)
		fprintf(out, "%s:%" PRId64 "\r\n", name, value);
}

static int64_t total(const struct admin_sources *sources, enum stat_id id)
{
	return stats_sum(sources->stats, sources->stats_count, id);
}

/* ---- server ---- */

/* -1 where there is no TCP listener. */
static int64_t first_port(const struct config_listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->addresses[i].host != NULL)
			return listeners->addresses[i].port;
	return -1;
}

static void section_server(const struct admin_sources *sources, FILE *out)
{
	const struct topology_view *view = topology_view(sources->topology);
	int64_t uptime = (clock_ns() - sources->started_ns) / 1000000000;

	field_text(out, "redis_version", view->master < 0 ? NULL : view->nodes[view->master].redis_version);
	field_text(out, "redis_mode", "standalone");
	field_text(out, "weir_version", WEIR_VERSION);
	field_integer(out, "weir_workers", (int64_t)sources->measures_count);
	field_integer(out, "arch_bits", (int64_t)sizeof(void *) * 8);
	field_text(out, "multiplexing_api", "epoll");
	field_integer(out, "process_id", getpid());
	field_integer(out, "tcp_port", first_port(&sources->config->listen));
	field_integer(out, "server_time_usec", clock_unix_ms() * 1000);
	field_integer(out, "uptime_in_seconds", uptime);
	field_integer(out, "uptime_in_days", uptime / 86400);
}

/* ---- clients ---- */

static void section_clients(const struct admin_sources *sources, FILE *out)
{
	field_integer(out, "connected_clients", total(sources, STAT_clients_connected));
	field_integer(out, "maxclients", sources->config->max_clients);
}

/* ---- memory ---- */

/* As people read it: 1.50M. */
static void field_human(FILE *out, const char *name, int64_t bytes)
{
	static const char units[] = { 'B', 'K', 'M', 'G', 'T' };
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit + 1 < sizeof(units); unit++)
		value /= 1024;
	fprintf(out, "%s:%.2f%c\r\n", name, value, units[unit]);
}

/* Pages of the process that are in memory; -1 unknown. */
static int64_t resident_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	int64_t resident = -1;

	if (statm == NULL)
		return -1;
	if (fscanf(statm, "%*d %" SCNd64, &resident) != 1)
		resident = -1;
	fclose(statm);
	return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

static void section_memory(const struct admin_sources *sources, FILE *out)
{
	struct mallinfo2 heap = mallinfo2();
	int64_t used = (int64_t)(heap.uordblks + heap.hblkhd), resident = resident_bytes();

	field_integer(out, "used_memory", used);
	field_human(out, "used_memory_human", used);
	if (resident >= 0) {
		field_integer(out, "used_memory_rss", resident);
		field_human(out, "used_memory_rss_human", resident);
	}
	field_integer(out, "mem_clients_normal", total(sources, STAT_memory_clients));
	field_integer(out, "weir_memory_servers", total(sources, STAT_memory_servers));
	field_text(out, "mem_allocator", "libc");
}

/* ---- stats ---- */

/* What clients said, whatever became of it. */
static int64_t commands_processed(const struct admin_sources *sources)
{
	static const enum stat_id kinds[] = { STAT_reads_on_replicas, STAT_reads_on_master, STAT_master_reads, STAT_writes,
					      STAT_scripts, STAT_transactions, STAT_private, STAT_local, STAT_refused };
	int64_t sum = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += stats_of_commands(sources->stats, sources->stats_count, kinds[i]);
	return sum;
}

static void print_syncs(const struct topology_view *view, FILE *out)
{
	const struct topology_node_view *master = view->master < 0 ? NULL : &view->nodes[view->master];

	if (master == NULL)
		return;
	field_integer(out, "sync_full", master->resyncs_full);
	field_integer(out, "sync_partial_ok", master->resyncs_partial);
	field_integer(out, "sync_partial_err", master->resyncs_refused);
}

static void section_stats(const struct admin_sources *sources, FILE *out)
{
	char name[64];

	field_integer(out, "total_connections_received", total(sources, STAT_clients_total));
	field_integer(out, "total_commands_processed", commands_processed(sources));
	field_integer(out, "rejected_connections", total(sources, STAT_clients_rejected));
	print_syncs(topology_view(sources->topology), out);
	field_integer(out, "total_net_input_bytes", total(sources, STAT_client_bytes_in));
	field_integer(out, "total_net_output_bytes", total(sources, STAT_client_bytes_out));
	for (size_t i = 0; i < STAT_COUNT; i++) {
		snprintf(name, sizeof(name), "weir_%s", stat_rows[i].field);
		field_integer(out, name, total(sources, (enum stat_id)i));
	}
}

/* ---- replication ---- */

/* "host:port" or "[v6]:port" */
static const char *split_address(const char *address, char *host, size_t room)
{
	const char *colon = strrchr(address, ':');
	size_t length = colon == NULL ? strlen(address) : (size_t)(colon - address);

	if (length >= 2 && address[0] == '[') {
		address++;
		length -= 2;
	}
	snprintf(host, room, "%.*s", (int)length, address);
	return colon == NULL ? "0" : colon + 1;
}

static bool is_listed(const struct topology_node_view *node, bool online_only)
{
	return !node->is_master && node->state_at_master != NULL &&
	       (!online_only || strcmp(node->state_at_master, "online") == 0);
}

bool info_next_replica(const struct topology_view *view, bool online_only, size_t *at, struct info_replica *replica)
{
	for (; *at < view->node_count; ++*at) {
		const struct topology_node_view *node = &view->nodes[*at];

		if (!is_listed(node, online_only))
			continue;
		replica->name = node->name;
		replica->port = split_address(node->address, replica->ip, sizeof(replica->ip));
		replica->state = node->state_at_master;
		replica->offset = node->ack_offset > 0 ? node->ack_offset : 0;
		replica->lag_seconds = node->ack_lag_seconds > 0 ? node->ack_lag_seconds : 0;
		++*at;
		return true;
	}
	return false;
}

size_t info_count_replicas(const struct topology_view *view, bool online_only)
{
	struct info_replica replica;
	size_t at = 0, count = 0;

	while (info_next_replica(view, online_only, &at, &replica))
		count++;
	return count;
}

static void print_replicas(const struct topology_view *view, FILE *out)
{
	struct info_replica replica;
	size_t at = 0;

	for (size_t number = 0; info_next_replica(view, false, &at, &replica); number++)
		fprintf(out, "slave%zu:ip=%s,port=%s,state=%s,offset=%" PRId64 ",lag=%" PRId64 "\r\n", number,
			replica.ip, replica.port, replica.state, replica.offset, replica.lag_seconds);
}

/* How Redis writes that there is no second history. */
static const char no_replid[] = "0000000000000000000000000000000000000000";

static void print_master(const struct topology_node_view *master, FILE *out)
{
	field_text(out, "master_replid", master->replid);
	field_text(out, "master_replid2", master->replid != NULL && master->replid2 == NULL ? no_replid : master->replid2);
	field_integer(out, "master_repl_offset", master->offset);
	fprintf(out, "second_repl_offset:%" PRId64 "\r\n", master->second_replid_offset);
	field_integer(out, "repl_backlog_active", master->backlog_active);
	field_integer(out, "repl_backlog_size", master->backlog_size);
	field_integer(out, "repl_backlog_first_byte_offset", master->backlog_first_byte_offset);
	field_integer(out, "repl_backlog_histlen", master->backlog_histlen);
	field_text(out, "weir_master_name", master->name);
	field_text(out, "weir_master_address", master->address);
	field_text(out, "weir_master_run_id", master->run_id);
	field_integer(out, "weir_master_connected_replicas", master->connected_replicas);
}

static void print_node(size_t number, const struct topology_node_view *node, FILE *out)
{
	fprintf(out, "weir_node%zu:name=%s,address=%s,role=%s,up=%d,readable=%d,drained=%d", number, node->name,
		node->address, node->is_master ? "master" : "replica", node->up, node->readable && !node->is_master,
		node->drained);
	if (node->offset >= 0)
		fprintf(out, ",offset=%" PRId64, node->offset);
	if (node->lag_bytes >= 0)
		fprintf(out, ",lag_bytes=%" PRId64, node->lag_bytes);
	if (node->lag_ms >= 0)
		fprintf(out, ",lag_ms=%.3f", node->lag_ms);
	fputs("\r\n", out);
}

/* The replication of the group as the master sees it. Without a master there
 * is no role to report; weir_state says why. */
static void section_replication(const struct admin_sources *sources, FILE *out)
{
	const struct topology_view *view = topology_view(sources->topology);

	field_text(out, "role", view->master < 0 ? "none" : "master");
	field_integer(out, "connected_slaves", (int64_t)info_count_replicas(view, false));
	print_replicas(view, out);
	if (view->master >= 0)
		print_master(&view->nodes[view->master], out);
	field_text(out, "weir_state", topology_state_name(view->state));
	field_text(out, "weir_no_master_reason", view->no_master_reason);
	field_integer(out, "weir_generation", (int64_t)view->generation);
	field_integer(out, "weir_epoch", (int64_t)view->epoch);
	field_text(out, "weir_wiring", view->wiring_mode);
	field_text(out, "weir_wiring_reason", view->wiring_reason);
	for (size_t i = 0; i < view->node_count; i++)
		print_node(i, &view->nodes[i], out);
}

/* ---- commandstats, latencystats ---- */

/* Redis' own form. What a client waits is measured, so usec is more than the
 * server's: the way, and what stands in front of it. Rejected is what weir
 * refused before any server had it; failed, what was answered with an error. */
static void print_command(const char *name, const struct command_sum *sum, FILE *out)
{
	fprintf(out, "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64
		     ",failed_calls=%" PRIu64 "\r\n",
		name, sum->calls, sum->us, sum->timed > 0 ? (double)sum->us / (double)sum->timed : 0.0, sum->rejected,
		sum->failed);
}

static void section_commandstats(const struct admin_sources *sources, FILE *out)
{
	for (size_t i = 0; i < command_names_count(sources->command_names); i++) {
		struct command_sum sum;

		measures_sum_command(sources->measures, sources->measures_count, (uint16_t)i, &sum);
		if (sum.calls + sum.rejected > 0)
			print_command(command_names_at(sources->command_names, i), &sum, out);
	}
}

static void section_latencystats(const struct admin_sources *sources, FILE *out)
{
	for (size_t i = 0; i < command_names_count(sources->command_names); i++) {
		struct latency_sum sum;

		measures_sum_command_latency(sources->measures, sources->measures_count, (uint16_t)i, &sum);
		if (sum.count > 0)
			fprintf(out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n",
				command_names_at(sources->command_names, i), latency_sum_quantile(&sum, 0.5),
				latency_sum_quantile(&sum, 0.99), latency_sum_quantile(&sum, 0.999));
	}
}

/* ---- all of them ---- */

struct section {
	const char *name;
	const char *title;
	void (*print)(const struct admin_sources *sources, FILE *out);
};

static const struct section all_sections[] = {
	{ "server", "Server", section_server },
	{ "clients", "Clients", section_clients },
	{ "memory", "Memory", section_memory },
	{ "stats", "Stats", section_stats },
	{ "replication", "Replication", section_replication },
	{ "commandstats", "Commandstats", section_commandstats },
	{ "latencystats", "Latencystats", section_latencystats },
};

static bool is_wanted(const char *name, const struct slice *sections, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_is(sections[i], name) || slice_is(sections[i], "all") ||
		    slice_is(sections[i], "default") || slice_is(sections[i], "everything"))
			return true;
	return count == 0;
}

void info_print(const struct admin_sources *sources, const struct slice *sections, size_t count, FILE *out)
{
	bool first = true;

	for (size_t i = 0; i < sizeof(all_sections) / sizeof(all_sections[0]); i++) {
		if (!is_wanted(all_sections[i].name, sections, count))
			continue;
		fprintf(out, "%s# %s\r\n", first ? "" : "\r\n", all_sections[i].title);
		all_sections[i].print(sources, out);
		first = false;
	}
}
