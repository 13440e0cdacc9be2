/* From the present picture to the snapshot that workers route by. A new one is
 * made whole and handed out only if a router could tell the difference.
 *
 * Workers adopt a snapshot each in its own time, so from one master to another
 * there is no direct way: a generation in which nobody may write stands between
 * the two, and the second master is published when every worker has adopted it.
 * Invariant: no two workers ever write to two masters. */
#include <stdio.h>
#include <string.h>

#include "../proxy/log.h"
#include "audit.h"
#include "group.h"
#include "memory.h"

static void fill_node(const struct topology *topology, const struct node *node, struct snapshot_node *out)
{
	const struct standing *standing = &topology->standings[node->id];

	out->id = node->id;
	out->incarnation = node->incarnation;
	out->name = memory_text(node->config->name);
	out->address = memory_text(node->address_text);
	out->socket_address = node->address.socket;
	out->socket_length = node->address.length;
	memcpy(out->run_id, node->info.run_id, sizeof(out->run_id));
	out->up = node_is_up(node);
	out->readable = standing->reason == NULL;
	out->leaving = standing->leaving_ns != 0;
	out->sound = standing->sound;
	out->readable_without_master = standing->readable_without_master;
	out->weight = node->config->weight;
	out->master_host = memory_text(node->info.master_host);
	out->master_port = (uint16_t)node->info.master_port;
	out->vitals = node_vitals_acquire(node->vitals);
	out->users = audit_users(topology->audit, node);
}

static void fill_server(struct snapshot *picture, const struct info *info)
{
	snprintf(picture->redis_version, sizeof(picture->redis_version), "%s", info->redis_version);
	snprintf(picture->server_name, sizeof(picture->server_name), "%s", info_server_name(info));
	snprintf(picture->server_version, sizeof(picture->server_version), "%s", info_server_version(info));
}

static struct snapshot *make_picture(const struct topology *topology)
{
	struct snapshot *picture = snapshot_create(topology->present_count);
	const struct epoch *epoch = &topology->epoch;

	picture->epoch = epoch->number;
	memcpy(picture->replid, epoch->replid, sizeof(picture->replid));
	picture->floor = epoch_floor_acquire(epoch->floor);
	picture->master = topology->master_usable ? topology->plan.master : -1;
	picture->held = picture->master >= 0 && topology->held;
	if (!topology->master_usable)
		picture->no_master_reason = memory_text(topology->plan.reason);
	if (epoch->number != 0 && epoch->master >= 0)
		fill_server(picture, &topology->nodes[epoch->master]->info);
	picture->evicts_by_use =
		picture->master >= 0 && info_evicts_by_use(&topology->nodes[picture->master]->info) && topology->node_count > 1;
	for (size_t i = 0; i < topology->present_count; i++)
		fill_node(topology, topology->nodes[i], &picture->nodes[i]);
	return picture;
}

static bool was_readable(const struct snapshot *before, const struct node *node)
{
	for (size_t i = 0; i < before->node_count; i++)
		if (before->nodes[i].id == node->id)
			return before->nodes[i].readable;
	return false;
}

bool publish_may_serve(const struct topology *topology, int master)
{
	const struct serving *serving = &topology->serving;

	return serving->master == PLAN_NOBODY || serving->master == master ||
	       (serving->closed != 0 && serving->acknowledged >= serving->closed);
}

static void note_serving(struct serving *serving, const struct snapshot *picture)
{
	if (picture->master >= 0 && !picture->held)
		*serving = (struct serving){ picture->master, 0, serving->acknowledged };
	else if (serving->closed == 0)
		serving->closed = picture->generation;
}

static void note_readability(const struct topology *topology, const struct snapshot *before)
{
	for (size_t i = 0; before != NULL && i < topology->node_count; i++) {
		const char *name = topology->nodes[i]->config->name;
		const char *reason = topology->standings[topology->nodes[i]->id].reason;

		if (was_readable(before, topology->nodes[i]) == (reason == NULL))
			continue;
		if (reason == NULL)
			journal_note(topology->journal, EVENT_readable, name, "readable: it serves reads");
		else
			journal_note(topology->journal, EVENT_unreadable, name, "not readable: %s", reason);
	}
}

static void log_eviction(const struct snapshot *picture, const struct topology *topology)
{
	bool before = topology->snapshot != NULL && topology->snapshot->evicts_by_use;

	if (picture->evicts_by_use && !before)
		log_warning("the master evicts by use (maxmemory-policy %s) and does not see what replicas serve: "
			    "a sample of their reads is fed back to it as TOUCH",
			    topology->nodes[picture->master]->info.maxmemory_policy);
}

void publish(struct topology *topology)
{
	struct snapshot *picture = make_picture(topology);

	if (topology->snapshot != NULL && snapshot_equal(topology->snapshot, picture)) {
		snapshot_release(&picture);
		return;
	}
	picture->generation = topology->snapshot == NULL ? 1 : topology->snapshot->generation + 1;
	note_serving(&topology->serving, picture);
	note_readability(topology, topology->snapshot);
	log_eviction(picture, topology);
	snapshot_release(&topology->snapshot);
	topology->snapshot = picture;
	topology->events.on_publish(topology->events.arg, picture);
}
