#ifndef WEIR_PROXY_DISPATCH_EXPLAIN_H
#define WEIR_PROXY_DISPATCH_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "../../topology/topology.h"

struct worker;

/* Where a command of a session that has said nothing yet would go now, and why;
 * for the console. Nothing is sent, and nothing is counted. */

struct explanation {
	const char *command;  /* in: the whole request, canonical */
	bool has_floor;       /* in: the session has seen this offset */
	uint64_t floor;
	char class[32];       /* out: as the command table calls it */
	char where[160];
	char why[256];
	/* of a read: what the worker says of each node; "" may serve it */
	size_t node_count;
	struct explained_node {
		uint32_t id;
		char reason[32];
	} nodes[TOPOLOGY_NODES_MAX];
};

/* Worker's thread. */
void dispatch_explain(struct worker *worker, struct explanation *explanation);

#endif
