/* From the configuration to the nodes of the group, at start and with every
 * reload.
 *
 * A server is the same one as before if it is configured by the same host and
 * port: it keeps its node, with its link, its id and all that is known of it,
 * whatever its name and its place in the file. Who is configured no more is still
 * observed and shown to the workers, as leaving, until none of them has anything to
 * do with it. Ids are given in turn, so that a free one is not used again soon.
 *
 * Invariant: what stands as an index anywhere (group.h) is that of the same node
 * before and after. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../proxy/log.h"
#include "audit.h"
#include "clock.h"
#include "group.h"
#include "succession.h"
#include "wire.h"

static bool is_at(const struct node *node, const struct topology_node_config *config)
{
	return node->config->port == config->port && strcasecmp(node->config->host, config->host) == 0;
}

static const struct topology_node_config *config_of(const struct topology *topology, const struct node *node)
{
	for (size_t i = 0; i < topology->config.node_count; i++)
		if (is_at(node, &topology->config.nodes[i]))
			return &topology->config.nodes[i];
	return NULL;
}

static struct node *find_at(const struct topology *topology, const struct topology_node_config *config)
{
	for (size_t i = 0; i < topology->present_count; i++)
		if (is_at(topology->nodes[i], config))
			return topology->nodes[i];
	return NULL;
}

/* ---- coming and going ---- */

static uint32_t free_id(struct topology *topology)
{
	while (group_find(topology, topology->next_id) != NULL)
		topology->next_id = (topology->next_id + 1) % TOPOLOGY_NODES_MAX;
	return topology->next_id;
}

static void enter(struct topology *topology, const struct topology_node_config *config)
{
	uint32_t id = free_id(topology);
	struct node *node = node_create(topology->loop, id, &topology->config, config, topology->link_name,
					topology->journal, &topology->node_events);

	topology->next_id = (id + 1) % TOPOLOGY_NODES_MAX;
	node->incarnation = topology->incarnations[id];
	topology->standings[id] = (struct standing){
		.follows = PLAN_NOBODY,
		.lag_ms = -1.0,
		.lag_bytes = INFO_UNKNOWN,
	};
	wire_welcome(topology->wire, node);
	audit_welcome(topology->audit, node);
	if (topology->snapshot != NULL)
		journal_note(topology->journal, EVENT_node_added, config->name, "added, at %s", node->address_text);
	node->index = (uint32_t)topology->present_count;
	topology->nodes[topology->present_count++] = node;
}

static void close_gap(int *index, size_t gone)
{
	if (*index == (int)gone)
		*index = PLAN_NOBODY;
	else if (*index > (int)gone)
		--*index;
}

static void forget(struct topology *topology, size_t index)
{
	struct node *node = topology->nodes[index];

	topology->incarnations[node->id] = node->incarnation + 1;
	topology->confirm_wanted[node->id] = false;
	audit_forget(topology->audit, node);
	succession_forget(topology->succession, node);
	topology->present_count--;
	for (size_t i = index; i < topology->present_count; i++) {
		topology->nodes[i] = topology->nodes[i + 1];
		topology->nodes[i]->index = (uint32_t)i;
	}
	close_gap(&topology->epoch.master, index);
	close_gap(&topology->plan.master, index);
	close_gap(&topology->serving.master, index);
	node_destroy(&node);
	group_touch(topology);
}

static void begin_to_leave(struct topology *topology, struct node *node)
{
	struct standing *standing = &topology->standings[node->id];

	if (standing->leaving_ns != 0)
		return;
	standing->leaving_ns = clock_now_ns();
	standing->leaving_since = 0;
	journal_note(topology->journal, EVENT_node_removed, node->config->name, "removed; it ends what it has begun");
	if (node == group_master(topology) && topology->sentinels == NULL)
		journal_note(topology->journal, EVENT_master_removed, node->config->name,
			     "it was the master, and nobody else is made one by that: put it back, then SWITCHOVER, then remove it");
}

static void stay(struct topology *topology, struct node *node, const struct topology_node_config *config)
{
	struct standing *standing = &topology->standings[node->id];

	if (standing->leaving_ns != 0)
		journal_note(topology->journal, EVENT_node_added, config->name, "added again, at %s", node->address_text);
	else if (strcmp(node->config->name, config->name) != 0)
		journal_note(topology->journal, EVENT_node_renamed, config->name, "is what was called %s",
			     node->config->name);
	standing->leaving_ns = 0;
	standing->leaving_since = 0;
	node_configure(node, config);
}

/* ---- the group ---- */

/* As in the file, and then those who leave. */
static void arrange(struct topology *topology)
{
	struct node *staying[TOPOLOGY_NODES_MAX] = { NULL }, *leaving[TOPOLOGY_NODES_MAX] = { NULL };
	size_t staying_count = topology->config.node_count, leaving_count = 0;

	for (size_t i = 0; i < staying_count; i++)
		staying[i] = find_at(topology, &topology->config.nodes[i]);
	for (size_t i = 0; i < topology->present_count; i++)
		if (config_of(topology, topology->nodes[i]) == NULL)
			leaving[leaving_count++] = topology->nodes[i];
	memcpy(topology->nodes, staying, staying_count * sizeof(struct node *));
	memcpy(topology->nodes + staying_count, leaving, leaving_count * sizeof(struct node *));
	topology->node_count = staying_count;
	for (size_t i = 0; i < topology->present_count; i++)
		topology->nodes[i]->index = (uint32_t)i;
}

static const struct node *node_at(const struct topology *topology, int index)
{
	return index >= 0 ? topology->nodes[index] : NULL;
}

static int index_of(const struct node *node)
{
	return node != NULL ? (int)node->index : PLAN_NOBODY;
}

/* Everybody keeps what he is, at another place. */
static void rearrange(struct topology *topology)
{
	const struct node *master = node_at(topology, topology->epoch.master);
	const struct node *planned = node_at(topology, topology->plan.master);
	const struct node *served = node_at(topology, topology->serving.master);

	arrange(topology);
	topology->epoch.master = index_of(master);
	topology->plan.master = index_of(planned);
	topology->serving.master = index_of(served);
	topology->plan.rejected = PLAN_NOBODY; /* until it is planned anew, in the same turn */
	if (topology->plan.master >= (int)topology->node_count) {
		topology->plan.master = PLAN_NOBODY;
		topology->master_usable = false;
	}
	for (size_t i = 0; i < topology->present_count; i++)
		observe_info(topology, topology->nodes[i]);
}

/* Ids are few. */
static void make_room(struct topology *topology)
{
	size_t oldest = 0;
	int64_t since_ns = INT64_MAX;

	if (topology->present_count < TOPOLOGY_NODES_MAX)
		return;
	for (size_t i = 0; i < topology->present_count; i++) {
		int64_t leaving_ns = topology->standings[topology->nodes[i]->id].leaving_ns;

		if (leaving_ns != 0 && leaving_ns < since_ns) {
			oldest = i;
			since_ns = leaving_ns;
		}
	}
	forget(topology, oldest);
}

void members_follow_config(struct topology *topology)
{
	for (size_t i = 0; i < topology->present_count; i++) {
		const struct topology_node_config *config = config_of(topology, topology->nodes[i]);

		if (config != NULL)
			stay(topology, topology->nodes[i], config);
		else
			begin_to_leave(topology, topology->nodes[i]);
	}
	for (size_t i = 0; i < topology->config.node_count; i++) {
		if (find_at(topology, &topology->config.nodes[i]) != NULL)
			continue;
		make_room(topology);
		enter(topology, &topology->config.nodes[i]);
	}
	rearrange(topology);
}

static bool is_let_go(const struct topology *topology, const struct node *node)
{
	const struct topology_events *events = &topology->events;
	const struct standing *standing = &topology->standings[node->id];

	return events->is_let_go(events->arg, node->id, standing->leaving_since, standing->leaving_ns);
}

void members_see_off(struct topology *topology)
{
	for (size_t i = topology->present_count; i-- > topology->node_count;) {
		struct node *node = topology->nodes[i];
		struct standing *standing = &topology->standings[node->id];

		if (standing->leaving_since == 0)
			standing->leaving_since = topology->snapshot->generation; /* settled since then */
		if (!is_let_go(topology, node))
			continue;
		log_verbose("%s: gone", node->config->name);
		forget(topology, i);
	}
}

void members_dismiss(struct topology *topology)
{
	while (topology->present_count > 0)
		forget(topology, topology->present_count - 1);
}
