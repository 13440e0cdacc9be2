#include "dispatch_explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/resp.h"
#include "../client/client.h"
#include "dispatch_parts.h"
#include "../worker/worker.h"

/* What is not a read goes by its class alone. */
static const struct {
	const char *where, *why;
} ways[COMMAND_CLASS_COUNT] = {
	[COMMAND_WRITE] = { "the master", "it may change data" },
	[COMMAND_USERS] = { "the master", "it changes what users may do" },
	[COMMAND_MASTER_READ] = { "the master", "it speaks of one server" },
	[COMMAND_SCRIPT] = { "the master", "scripts have a connection of their own" },
	[COMMAND_TRANSACTION] = { "the master", "among the writes when MULTI to EXEC come in one go, else on a connection of "
						"the client's own" },
	[COMMAND_BLOCKING] = { "the master", "it may wait for data: on a connection of the client's own" },
	[COMMAND_PRIVATE] = { "the master", "on a connection of the client's own" },
	[COMMAND_STREAM] = { "the master", "the server speaks unasked from then on: on a connection of the client's own" },
	[COMMAND_LOCAL] = { "weir itself", "it speaks of the connection" },
	[COMMAND_REFUSED] = { "nowhere", "it is refused" },
};

/* A session as it begins, with no connection behind it. */
static void pose(struct client *client, struct worker *worker, const struct explanation *explanation)
{
	*client = (struct client){ .worker = worker };
	client->session.identity = worker->identities.nobody;
	client->session.resp = 2;
	client->session.endpoint = ENDPOINT_SPLIT;
	client->session.consistency = (uint8_t)worker->config->consistency;
	client->session.home = client->session.read_node = SESSION_NO_NODE;
	client->session.seen_node = SESSION_NO_NODE;
	if (!explanation->has_floor)
		return;
	client->session.floor = explanation->floor;
	client->session.floor_epoch = worker->snapshot->epoch;
}

static void explain_nodes(const struct worker *worker, const struct route_demand *demand, struct explanation *explanation)
{
	const struct snapshot *snapshot = worker->snapshot;

	for (size_t i = 0; i < snapshot->node_count && explanation->node_count < TOPOLOGY_NODES_MAX; i++) {
		struct explained_node *node = &explanation->nodes[explanation->node_count];
		enum route_reason reason;

		if ((int)i == snapshot->master)
			continue;
		explanation->node_count++;
		reason = route_bound(snapshot, worker->loads, (uint32_t)i, demand);
		node->id = snapshot->nodes[i].id;
		if (!snapshot->nodes[i].readable) /* a drained one ends what it has begun, but begins nothing */
			snprintf(node->reason, sizeof(node->reason), "not readable");
		else if (reason != ROUTE_REASON_NONE)
			snprintf(node->reason, sizeof(node->reason), "%s", route_reason_name(reason));
	}
}

/* It is not known to have the offset, and worth a try: a ROLE in front of the read
 * decides, on the spot. */
static bool is_a_try(const struct worker *worker, const struct snapshot_node *node, uint64_t floor)
{
	return worker->loads[node->id].position < floor &&
	       atomic_load_explicit(&node->vitals->offset, memory_order_relaxed) < floor;
}

static void explain_read(struct worker *worker, struct explanation *explanation)
{
	const struct snapshot *snapshot = worker->snapshot;
	struct client client;
	struct route_demand demand;
	struct route route;
	uint64_t floor;

	pose(&client, worker, explanation);
	demand = dispatch_demand(&client);
	route = route_read(snapshot, worker->loads, &demand);
	explain_nodes(worker, &demand, explanation);
	if (route.target == ROUTE_NODE) {
		snprintf(explanation->where, sizeof(explanation->where), "replica %s", snapshot->nodes[route.node].name);
		floor = route_floor(&demand, &snapshot->nodes[route.node]);
		snprintf(explanation->why, sizeof(explanation->why),
			 "of those that may serve it, it has the least to do for its weight; it has to show offset %" PRIu64 "%s",
			 floor, is_a_try(worker, &snapshot->nodes[route.node], floor)
					? ", which it may have by then, else the master answers" : "");
		return;
	}
	snprintf(explanation->where, sizeof(explanation->where), "%s",
		 route.target == ROUTE_MASTER ? "the master" : "nowhere: -NOREPLICA");
	snprintf(explanation->why, sizeof(explanation->why), "no replica may serve it: %s", route_reason_name(route.reason));
}

static bool is_routed(const struct worker *worker, enum command_class class)
{
	return class == COMMAND_READ || (class == COMMAND_CURSOR && worker->config->scan == SCAN_REPLICA);
}

static void explain_class(const struct command *command, enum command_class class, struct explanation *explanation)
{
	const char *why = class == COMMAND_CURSOR ? "cursors live there: [routing] scan = master" : ways[class].why;

	if (class == COMMAND_REFUSED && command->refusal != NULL)
		why = command->refusal;
	snprintf(explanation->where, sizeof(explanation->where), "%s",
		 class == COMMAND_CURSOR ? "the master" : ways[class].where);
	snprintf(explanation->why, sizeof(explanation->why), "%s%s", command->known ? "" : "unknown to the server: ", why);
}

static const char *say_master(const struct worker *worker)
{
	const struct snapshot *snapshot = worker->snapshot;

	return snapshot->master >= 0 ? snapshot->nodes[snapshot->master].name : "there is none now";
}

void dispatch_explain(struct worker *worker, struct explanation *explanation)
{
	struct slice name = slice_of(""), sub = slice_of("");
	const struct command *command;
	enum command_class class;
	struct resp_args args;

	if (worker->snapshot == NULL) {
		snprintf(explanation->where, sizeof(explanation->where), "nowhere");
		snprintf(explanation->why, sizeof(explanation->why), "weir has not seen the servers yet");
		return;
	}
	resp_args_begin(&args, explanation->command);
	if (resp_args_next(&args, &name))
		resp_args_next(&args, &sub);
	command = command_find(worker->commands, name, sub);
	class = command_class_of(command, explanation->command);
	snprintf(explanation->class, sizeof(explanation->class), "%s", command_class_name(class));
	if (is_routed(worker, class))
		explain_read(worker, explanation);
	else
		explain_class(command, class, explanation);
	if (strcmp(explanation->where, "the master") == 0)
		snprintf(explanation->where, sizeof(explanation->where), "the master, %s", say_master(worker));
}
