#ifndef WEIR_PROXY_ROUTE_H
#define WEIR_PROXY_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "../client/session.h"

struct snapshot;

/* Where may a read go? A pure function of the snapshot, the nodes' load as
 * this worker sees it, the session and the time: filter, then score. */

/* One node's load as one worker sees it; arrays of it are indexed by node id. */
struct node_load {
	uint32_t outstanding;      /* cost of the requests in flight */
	uint32_t latency_us;       /* EWMA of a batch's round trip; see node_load_latency() */
	int64_t measured_ns;       /* when that was measured last */
	uint64_t served;           /* reads sent, halved now and then: breaks ties fairly */
	int64_t begun_ns;          /* since when this process is known behind this id */
	int64_t readable_since_ns; /* slow start counts from here, 0 not readable */
	uint64_t position;         /* that a ROLE on a data connection has shown ... */
	int64_t position_ns;       /* ... sent at this time; 0: none in this epoch */
	int64_t behind_ns;         /* EWMA: how long it had been missing what it did not have ... */
	int64_t behind_at_ns;      /* ... when a ROLE was judged last */
	int64_t ejected_until_ns;  /* it gets no reads before this time (ejection.h); 0: it does */
	uint8_t strikes;           /* against it since it has answered a read */
	uint8_t ejections;         /* in a row */
	uint8_t connects;          /* connections begun since the last tick */
};

#define NODE_LOAD_LATENCY_LASTS_NS 100000000LL

/* 0: unknown. A node that loses by its latency is not measured any more, so a
 * latency has to be forgotten: one late reply must not cost it all the reads
 * that follow. */
static inline uint32_t node_load_latency(const struct node_load *load, int64_t now_ns)
{
	return now_ns - load->measured_ns > NODE_LOAD_LATENCY_LASTS_NS ? 0 : load->latency_us;
}

enum route_target {
	ROUTE_MASTER,
	ROUTE_NODE,       /* a replica: route.node */
	ROUTE_NO_REPLICA, /* fallback = error: -NOREPLICA */
};

/* Why a read left the replicas; in the order in which a better one hides a worse one. */
enum route_reason {
	ROUTE_REASON_NONE,
	ROUTE_REASON_NO_REPLICA, /* none readable */
	ROUTE_REASON_USER,       /* some readable, but none of them for this user */
	ROUTE_REASON_LAG,        /* some readable, all older than max_lag by now */
	ROUTE_REASON_FLOOR,      /* some fresh enough, none expected to have what the session must see */
	ROUTE_REASON_EPOCH,      /* the same, because that is of a history that has ended, and has no offset in this one yet */
};

struct route {
	enum route_target target;
	uint32_t node;             /* index into snapshot->nodes */
	uint64_t floor;            /* what it has to prove */
	bool stays;                /* there was no choice: where the session has read last, or the master */
	enum route_reason reason;
};

struct route_demand {
	const struct session *session;
	/* consistency_demand() */
	uint64_t floor;            /* offset that the node has to have applied */
	uint64_t floor_elsewhere;  /* any other node than stay_on; not lower */
	int32_t stay_on;           /* node that cannot show less than it has shown; SESSION_NO_NODE none */
	bool unproven;             /* the session has seen what no offset is known for: only the master shows it */
	bool crosses_epochs;       /* and it was in an epoch before this one */
	bool unproven_elsewhere;   /* but so does stay_on */
	int64_t catch_up_ns;       /* a node that is so far behind is worth a try */
	int64_t max_lag_ns;
	int64_t now_ns;
	uint64_t refused_nodes;    /* bit per node id: not for the session's user */
	int32_t gathers_on;        /* node that gets this turn's reads if it may have this one; SESSION_NO_NODE none */
	uint8_t avoid;             /* node id + 1 that failed this read, 0 none */
	bool fallback_error;       /* [routing] fallback = error */
	bool serve_without_master; /* [routing] no_master_reads = serve */
};

struct route route_read(const struct snapshot *snapshot, const struct node_load *loads,
			const struct route_demand *demand);

/* May this very node serve it, when no other can: ROUTE_REASON_NONE, or why not
 * now. The master always may; a drained replica ends what it has begun. */
enum route_reason route_bound(const struct snapshot *snapshot, const struct node_load *loads, uint32_t index,
			      const struct route_demand *demand);

/* What this node has to have applied. */
uint64_t route_floor(const struct route_demand *demand, const struct snapshot_node *node);

const char *route_reason_name(enum route_reason reason);

#endif
