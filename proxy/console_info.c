/* INFO on the console, so that people and tools that know Redis' INFO can read
 * weir: one function per section.
 *
 * Invariants: a field that Redis has means here what it means there; what is
 * not known is left out, because these fields have no word for "unknown". */
#include "console_info.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "../topology/topology.h"
#include "admin.h"
#include "clock.h"
#include "config.h"
#include "stats.h"
#include "version.h"

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

static void section_server(const struct admin_sources *sources, FILE *out)
{
	const struct topology_view *view = topology_view(sources->topology);
	int64_t uptime = (clock_ns() - sources->started_ns) / 1000000000;

	field_text(out, "redis_version", view->master < 0 ? NULL : view->nodes[view->master].redis_version);
	field_text(out, "weir_version", WEIR_VERSION);
	field_integer(out, "process_id", getpid());
	field_integer(out, "uptime_in_seconds", uptime);
	field_integer(out, "uptime_in_days", uptime / 86400);
}

/* ---- clients ---- */

static void section_clients(const struct admin_sources *sources, FILE *out)
{
	field_integer(out, "connected_clients", total(sources, STAT_clients_connected));
	field_integer(out, "maxclients", sources->config->max_clients);
}

/* ---- stats ---- */

static void section_stats(const struct admin_sources *sources, FILE *out)
{
	char name[64];

	field_integer(out, "total_connections_received", total(sources, STAT_clients_total));
	field_integer(out, "rejected_connections", total(sources, STAT_clients_rejected));
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

/* ---- all of them ---- */

struct section {
	const char *name;
	const char *title;
	void (*print)(const struct admin_sources *sources, FILE *out);
};

static const struct section all_sections[] = {
	{ "server", "Server", section_server },
	{ "clients", "Clients", section_clients },
	{ "stats", "Stats", section_stats },
	{ "replication", "Replication", section_replication },
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
