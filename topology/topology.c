/* The loop of observe -> plan -> act -> publish.
 *
 * Observing goes in rounds: the master is asked for its position first, and
 * its answer sets off the questions to the replicas. So on a quiet system every
 * replica covers the newest sample at once, and its age is that of one round
 * trip. Everything that follows from the answers is worked out once per turn
 * of the loop, in the settle hook, after all that was readable has been read.
 *
 * Invariant: no callback of a node or a link publishes or wires by itself. */
#include "topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../proxy/log.h"
#include "audit.h"
#include "clock.h"
#include "group.h"
#include "memory.h"
#include "rivals.h"
#include "sentinel.h"
#include "succession.h"
#include "takeover.h"
#include "wire.h"

enum {
	REFRESH_GAP_MS = 5, /* at most one round in so long, however often it is asked for */
	ROUND_MIN_MS = 5,
};

void group_touch(struct topology *topology)
{
	topology->dirty = true;
}

struct node *group_master(struct topology *topology)
{
	return topology->master_usable ? topology->nodes[topology->plan.master] : NULL;
}

struct node *group_find(const struct topology *topology, uint32_t id)
{
	for (size_t i = 0; i < topology->present_count; i++)
		if (topology->nodes[i]->id == id)
			return topology->nodes[i];
	return NULL;
}

/* ---- rounds ---- */

static void ask(struct topology *topology, struct node *node)
{
	node_ask_role(node);
	if (topology->round_asks_info)
		node_ask_info(node);
}

static void ask_replicas(struct topology *topology)
{
	topology->round_open = false;
	for (size_t i = 0; i < topology->present_count; i++)
		if (topology->nodes[i] != group_master(topology))
			ask(topology, topology->nodes[i]);
}

static void start_round(struct topology *topology, bool asks_info)
{
	struct node *master = group_master(topology);

	if (topology->round_open)
		ask_replicas(topology); /* the master is late; the others need not be */
	topology->round_ns = clock_now_ns();
	topology->round_asks_info = asks_info;
	if (master == NULL || !link_is_ready(master->link)) {
		ask_replicas(topology);
		return;
	}
	topology->round_open = true;
	ask(topology, master);
}

/* Positions must be younger than max_lag for a replica to stay readable. */
static int64_t round_interval_ms(const struct topology_config *config)
{
	int64_t wanted = config->max_lag_ms / 4;

	if (wanted > config->interval_ms)
		return config->interval_ms;
	return wanted > ROUND_MIN_MS ? wanted : ROUND_MIN_MS;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct topology *topology = timer->data;
	/* Half a round early rather than half a round late. */
	int64_t slack_ns = topology->round_every_ns / 2;
	int64_t now = clock_now_ns();
	bool asks_info = now - topology->infos_ns + slack_ns >= topology->config.interval_ms * NS_PER_MS;

	(void)loop;
	(void)revents;
	if (asks_info)
		topology->infos_ns = now;
	start_round(topology, asks_info);
	if (topology->config.wiring == TOPOLOGY_WIRING_ENFORCE)
		rivals_look(topology->rivals, false);
	audit_look(topology->audit);
	members_see_off(topology);
	group_touch(topology); /* ages grow by themselves */
}

static void on_refresh(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	start_round(timer->data, false);
}

void topology_refresh(struct topology *topology)
{
	int64_t due_ns = topology->round_ns + REFRESH_GAP_MS * NS_PER_MS - clock_now_ns();

	if (ev_is_active(&topology->refresh))
		return;
	if (due_ns <= 0) {
		start_round(topology, false);
		return;
	}
	ev_timer_set(&topology->refresh, (double)due_ns / 1e9, 0.0);
	ev_timer_start(topology->loop, &topology->refresh);
}

/* ---- answers ---- */

static bool differs_from_info(const struct node *node)
{
	bool connected = strcmp(node->role.state, "connected") == 0;

	if (node->role.role != node->info.role)
		return true;
	return node->role.role == SERVER_ROLE_SLAVE && connected != (node->info.link_up == 1);
}

static void on_role(void *arg, struct node *node)
{
	struct topology *topology = arg;

	if (node->known && differs_from_info(node))
		node_ask_info(node); /* ROLE decides; INFO tells the rest */
	observe_position(topology, node);
	if (node == group_master(topology) && topology->round_open)
		ask_replicas(topology);
	group_touch(topology);
}

static void on_info(void *arg, struct node *node)
{
	struct topology *topology = arg;

	observe_info(topology, node);
	absence_info(topology, node);
	resync_watch(topology, node);
	resync_report(topology, node);
	audit_look(topology->audit);
	if ((int)node->index != topology->epoch.master || !topology->master_usable)
		observe_position(topology, node);
	group_touch(topology);
}

static void on_confirmed(void *arg, struct node *node, int64_t sent_ns)
{
	struct topology *topology = arg;

	if (!topology->confirm_wanted[node->id])
		return;
	topology->confirm_wanted[node->id] = sent_ns < topology->confirm_since_ns[node->id];
	topology->events.on_confirmed(topology->events.arg, node->id);
}

static void on_change(void *arg, struct node *node)
{
	resync_watch(arg, node);
	group_touch(arg);
}

/* ---- settle ---- */

static void note_interference(struct topology *topology)
{
	const char *quarrel = wire_quarrel(topology->wire);

	topology->interference = quarrel != NULL ? quarrel : rivals_found(topology->rivals);
}

/* The sentinels are replacing the master: it is held until the one that they name
 * says that it is the master. */
static bool awaits_sentinels(struct topology *topology)
{
	const struct node *named;

	if (!topology->master_usable || topology->node_count == 0 || !sentinels_are_replacing(topology->sentinels))
		return false;
	named = topology->nodes[0];
	if ((int)named->index == topology->plan.master || !node_is_up(named) || !named->known ||
	    named->info.role != SERVER_ROLE_MASTER)
		return true;
	sentinels_have_replaced(topology->sentinels);
	return false;
}

static void settle(struct topology *topology)
{
	uint64_t epoch = topology->epoch.number;
	bool usable = topology->master_usable, kept;

	topology->dirty = false;
	absence_watch(topology);
	note_interference(topology);
	succession_act(topology->succession);
	kept = succession_keeps(topology->succession) || awaits_sentinels(topology);
	topology->held = kept || succession_holds(topology->succession);
	if (!kept) {
		adopt_plan(topology);
		adopt_master(topology);
		wire_act(topology->wire);
		takeover_act(topology->takeover);
	}
	if (epoch != topology->epoch.number || usable != topology->master_usable)
		for (size_t i = 0; i < topology->present_count; i++)
			observe_position(topology, topology->nodes[i]);
	observe_readability(topology);
	publish(topology);
	if (epoch != topology->epoch.number)
		topology_refresh(topology);
}

static void on_settle(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct topology *topology = prepare->data;

	(void)loop;
	(void)revents;
	if (topology->dirty)
		settle(topology);
}

/* ---- what workers and the console ask for ---- */

void topology_acknowledged(struct topology *topology, uint64_t generation)
{
	if (topology->serving.acknowledged >= generation)
		return;
	topology->serving.acknowledged = generation;
	group_touch(topology);
}

void topology_confirm(struct topology *topology, uint32_t node_id)
{
	struct node *node = group_find(topology, node_id);

	if (node == NULL)
		return;
	topology->confirm_wanted[node_id] = true;
	topology->confirm_since_ns[node_id] = clock_now_ns();
	node_hurry(node);
	node_ask_info(node);
}

void topology_audit(struct topology *topology, uint64_t changes)
{
	audit_demand(topology->audit, changes);
}

void topology_suspect(struct topology *topology, uint32_t node_id)
{
	struct node *node = group_find(topology, node_id);

	if (node == NULL)
		return;
	node_hurry(node);
	node_ask_info(node);
	node_ask_role(node);
}

static struct node *find_by_name(struct topology *topology, const char *name)
{
	for (size_t i = 0; i < topology->node_count; i++)
		if (strcmp(topology->nodes[i]->config->name, name) == 0)
			return topology->nodes[i];
	return NULL;
}

const char *topology_drain(struct topology *topology, const char *node_name, bool drained)
{
	struct node *node = find_by_name(topology, node_name);

	if (node == NULL)
		return "no such node";
	if (topology->standings[node->id].drained != drained)
		journal_note(topology->journal, drained ? EVENT_drained : EVENT_enabled, node_name, "%s by the operator",
			     drained ? "drained" : "enabled");
	topology->standings[node->id].drained = drained;
	settle(topology);
	return NULL;
}

const char *topology_accept_master(struct topology *topology)
{
	int rejected = topology->plan.rejected;

	if (rejected == PLAN_NOBODY)
		return "no master is waiting to be accepted";
	memcpy(topology->accepted_run_id, topology->nodes[rejected]->info.run_id, sizeof(topology->accepted_run_id));
	journal_note(topology->journal, EVENT_master_accepted, NULL, "master %s is accepted as it is, by the operator",
		     topology->nodes[rejected]->config->name);
	settle(topology);
	return NULL;
}

const char *topology_switchover(struct topology *topology, const struct topology_switchover *wanted)
{
	return succession_begin(topology->succession, wanted);
}

/* ---- configuration ---- */

static struct topology_node_config *copy_nodes(const struct topology_node_config *nodes, size_t count)
{
	struct topology_node_config *copies = memory_zeroed(count, sizeof(*copies));

	for (size_t i = 0; i < count; i++) {
		copies[i] = nodes[i];
		copies[i].name = memory_text(nodes[i].name);
		copies[i].host = memory_text(nodes[i].host);
		copies[i].announce_host = memory_text(nodes[i].announce_host);
	}
	return copies;
}

static void free_nodes(struct topology_node_config *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(nodes[i].name);
		free(nodes[i].host);
		free(nodes[i].announce_host);
	}
	free(nodes);
}

static void copy_sentinel(struct topology_sentinel_config *copy, const struct topology_sentinel_config *config)
{
	copy->name = memory_text(config->name);
	copy->user = memory_text(config->user ? config->user : "");
	copy->password = memory_text(config->password ? config->password : "");
	copy->addresses = memory_zeroed(config->count, sizeof(*copy->addresses));
	for (size_t i = 0; i < config->count; i++)
		copy->addresses[i] = (struct topology_endpoint){memory_text(config->addresses[i].host), config->addresses[i].port};
}

static void free_sentinel(struct topology_sentinel_config *config)
{
	for (size_t i = 0; i < config->count; i++)
		free(config->addresses[i].host);
	free(config->addresses);
	free(config->name);
	free(config->user);
	memory_forget(config->password);
}

static void copy_config(struct topology_config *copy, const struct topology_config *config)
{
	*copy = *config;
	copy->user = memory_text(config->user ? config->user : "");
	copy->password = memory_text(config->password ? config->password : "");
	copy->nodes = copy_nodes(config->nodes, config->node_count);
	copy_sentinel(&copy->sentinel, &config->sentinel);
	if (config->sentinel.count > 0)
		copy->wiring = TOPOLOGY_WIRING_OBSERVE; /* it is theirs */
	copy->allow_overwrite = memory_zeroed(config->allow_overwrite_count, sizeof(*copy->allow_overwrite));
	for (size_t i = 0; i < config->allow_overwrite_count; i++)
		copy->allow_overwrite[i] = memory_text(config->allow_overwrite[i]);
}

static void free_config(struct topology_config *config)
{
	free_nodes(config->nodes, config->node_count);
	free_sentinel(&config->sentinel);
	for (size_t i = 0; i < config->allow_overwrite_count; i++)
		free(config->allow_overwrite[i]);
	free(config->allow_overwrite);
	free(config->user);
	memory_forget(config->password);
}

/* ---- what the sentinels say ---- */

static void connect_all(struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++)
		node_connect(topology->nodes[i]);
}

static void on_sentinels(void *arg, const struct sentinel_group *group)
{
	struct topology *topology = arg;
	struct topology_node_config nodes[TOPOLOGY_NODES_MAX];
	char names[TOPOLOGY_NODES_MAX][SENTINEL_HOST_ROOM + 16];

	for (size_t i = 0; i < group->count; i++) {
		const struct sentinel_member *member = &group->members[i];

		address_format(names[i], sizeof(names[i]), member->host, member->port);
		nodes[i] = (struct topology_node_config){
			.name = names[i], .host = (char *)member->host, .port = member->port, .weight = 1};
	}
	free_nodes(topology->config.nodes, topology->config.node_count);
	topology->config.nodes = copy_nodes(nodes, group->count);
	topology->config.node_count = group->count;
	members_follow_config(topology);
	connect_all(topology);
	group_touch(topology);
}

/* The sentinels of the start stay, and so does what they have said. */
static void keep_sentinels(struct topology_config *config, struct topology_config *before)
{
	struct topology_sentinel_config sentinel = config->sentinel;

	if (before->sentinel.count == 0)
		return;
	free_nodes(config->nodes, config->node_count);
	config->nodes = copy_nodes(before->nodes, before->node_count);
	config->node_count = before->node_count;
	config->wiring = TOPOLOGY_WIRING_OBSERVE;
	config->sentinel = before->sentinel;
	before->sentinel = sentinel;
}

/* Tells this weir from every other one on the same servers. */
static void choose_name(struct topology *topology)
{
	uint64_t id = 0;

	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		log_fatal("no random bytes: %m");
	snprintf(topology->link_name, sizeof(topology->link_name), "weir-control-%016llx", (unsigned long long)id);
	srandom((unsigned)id);
}

static void allocate(struct topology *topology)
{
	size_t count = TOPOLOGY_NODES_MAX;

	topology->nodes = memory_zeroed(count, sizeof(*topology->nodes));
	topology->standings = memory_zeroed(count, sizeof(*topology->standings));
	topology->incarnations = memory_zeroed(count, sizeof(*topology->incarnations));
	topology->confirm_wanted = memory_zeroed(count, sizeof(*topology->confirm_wanted));
	topology->confirm_since_ns = memory_zeroed(count, sizeof(*topology->confirm_since_ns));
	topology->plan_nodes = memory_zeroed(count, sizeof(*topology->plan_nodes));
	topology->plan.steps = memory_zeroed(count, sizeof(*topology->plan.steps));
	topology->node_views = memory_zeroed(count, sizeof(*topology->node_views));
}

static void set_pace(struct topology *topology)
{
	int64_t every_ms = round_interval_ms(&topology->config);

	topology->round_every_ns = every_ms * NS_PER_MS;
	topology->tick.repeat = (double)every_ms / 1e3;
	ev_timer_again(topology->loop, &topology->tick);
}

static void start_watchers(struct topology *topology)
{
	ev_timer_init(&topology->tick, on_tick, 0.0, 0.0);
	ev_timer_init(&topology->refresh, on_refresh, 0.0, 0.0);
	ev_prepare_init(&topology->settle, on_settle);
	topology->tick.data = topology->refresh.data = topology->settle.data = topology;
	set_pace(topology);
	ev_prepare_start(topology->loop, &topology->settle);
}

struct topology *topology_start(struct ev_loop *loop, const struct topology_config *config, struct journal *journal,
				const struct topology_events *events)
{
	struct topology *topology = memory_zeroed(1, sizeof(*topology));

	topology->loop = loop;
	topology->events = *events;
	topology->journal = journal;
	topology->epoch.floor = epoch_floor_create();
	topology->epoch.master = topology->plan.master = topology->serving.master = PLAN_NOBODY;
	copy_config(&topology->config, config);
	choose_name(topology);
	allocate(topology);
	topology->node_events = (struct node_events){on_role, on_info, on_confirmed, on_change, topology};
	topology->wire = wire_create(topology);
	topology->rivals = rivals_create(topology);
	topology->audit = audit_create(topology);
	topology->succession = succession_create(topology);
	topology->takeover = takeover_create(topology);
	topology->sentinels = sentinels_create(loop, &topology->config, topology->link_name, journal, on_sentinels, topology);
	members_follow_config(topology);
	start_watchers(topology);
	settle(topology);
	connect_all(topology);
	return topology;
}

void topology_reload(struct topology *topology, const struct topology_config *config)
{
	struct topology_config before = topology->config;

	copy_config(&topology->config, config);
	keep_sentinels(&topology->config, &before);
	members_follow_config(topology);
	free_config(&before);
	set_pace(topology);
	settle(topology);
	connect_all(topology);
}

void topology_stop(struct topology **topology)
{
	struct topology *gone = *topology;

	*topology = NULL;
	if (gone == NULL)
		return;
	ev_timer_stop(gone->loop, &gone->tick);
	ev_timer_stop(gone->loop, &gone->refresh);
	ev_prepare_stop(gone->loop, &gone->settle);
	sentinels_destroy(&gone->sentinels);
	members_dismiss(gone);
	wire_destroy(&gone->wire);
	rivals_destroy(&gone->rivals);
	audit_destroy(&gone->audit);
	takeover_destroy(&gone->takeover);
	succession_destroy(&gone->succession);
	snapshot_release(&gone->snapshot);
	epoch_floor_release(&gone->epoch.floor);
	free(gone->nodes);
	free(gone->standings);
	free(gone->incarnations);
	free(gone->confirm_wanted);
	free(gone->confirm_since_ns);
	free(gone->plan_nodes);
	free(gone->plan.steps);
	free(gone->node_views);
	free_config(&gone->config);
	free(gone);
}
