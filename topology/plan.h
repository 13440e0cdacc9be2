#ifndef WEIR_TOPOLOGY_PLAN_H
#define WEIR_TOPOLOGY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "info.h"

/* Who is the master, and what may be told to the others. A pure function of
 * what was observed and what was configured; it can be asked at any time and
 * as often as one likes. It never plans a promotion, and never plans a wiring
 * that could destroy data which is not proven to be the master's own
 * (DESIGN.md section 6). */

enum plan_reach {
	PLAN_UNSEEN, /* its first check has not ended */
	PLAN_DOWN,
	PLAN_UP,     /* answers; the facts below are fresh */
};

enum {
	PLAN_NOBODY = -1,   /* of `follows` and `master`: none */
	PLAN_STRANGER = -2, /* of `follows`: an address that is not a configured one */
};

/* One configured node as observed. Strings are borrowed, "" is none. */
struct plan_node {
	const char *name;
	enum plan_reach reach;
	bool supported;            /* version */
	const char *version;
	bool cluster;              /* cluster mode is on */
	bool loading;
	enum server_role role;
	const char *run_id;
	const char *replid;
	const char *replid2;
	int64_t offset;            /* of its data, INFO_UNKNOWN if unknown */
	int64_t second_offset;     /* the first offset that replid2 does not cover */
	int64_t keys;              /* over all databases; INFO_UNKNOWN is not empty */
	int64_t libraries;         /* of functions; likewise */
	bool link_up;              /* of a slave */
	int follows;               /* of a slave: index of a configured node, or PLAN_STRANGER */
	bool read_only;
	bool local;                /* weir reaches it over a loopback address */
	const char *told;          /* what REPLICAOF would tell others of it: host:port */
	bool told_loopback;        /* that is a loopback address */
	bool allow_overwrite;
	bool fenced;               /* another one has taken the master's place from it */
	bool stranded;             /* it was or followed the master that this weir has replaced, and has not followed the next one since */
	int64_t expendable;        /* of a stranded one: so many bytes beyond that promotion may go */
	bool replaces;             /* it was made a master when the one that weir remembers was missed */
	/* The last time weir saw it following a master with the link up: its own
	 * run_id and that master's. */
	const char *seen_run_id;
	const char *seen_master_run_id;
};

/* What weir knows of the master it adopted last, from before this moment. */
struct plan_memory {
	int master;                /* PLAN_NOBODY: there was none yet */
	const char *run_id;
	const char *replid;
	int64_t offset;            /* newest one sampled; 0: offsets meant nothing yet */
	int64_t keys;
	const char *accepted_run_id; /* ACCEPT MASTER was said of this run */
	int deposed;               /* it was the master until weir made another one: who hangs on it is to change over; PLAN_NOBODY */
	int heir;                  /* that other one; PLAN_NOBODY */
	bool away;                 /* it was lost; it may be back, but not everybody was asked since */
};

struct plan_group {
	const struct plan_node *nodes; /* [0] is the configured master */
	size_t node_count;
	struct plan_memory memory;
	bool appointed;            /* the sentinels say that [0] is the master, or have not said yet who is */
	bool enforce;              /* wiring = enforce */
	bool accept_reset_master;
	const char *interference;  /* somebody else controls this group: a sentence; NULL */
};

enum plan_action {
	PLAN_NONE,
	PLAN_REPLICAOF,            /* follow the master, by its `told` address */
	PLAN_READ_ONLY,            /* CONFIG SET replica-read-only yes */
};

enum { PLAN_TEXT_SIZE = 512 };

struct plan_step {
	enum plan_action action;
	char refusal[PLAN_TEXT_SIZE]; /* why it is not wired, "" when there is nothing to say */
};

struct plan {
	int master;                /* adopted, or PLAN_NOBODY */
	char reason[PLAN_TEXT_SIZE]; /* why there is no master */
	bool starting;             /* the reason is only that not all were checked yet */
	int rejected;              /* a master that lost its data and waits for ACCEPT MASTER, or PLAN_NOBODY */
	char observe[PLAN_TEXT_SIZE]; /* why nothing is wired although wiring = enforce; "" */
	struct plan_step *steps;   /* one per node; the caller's */
};

/* plan->steps must have room for group->node_count steps. */
void plan_make(const struct plan_group *group, struct plan *plan);

/* Whether a replica that stands where `replica` does would continue by a
 * partial resync if it connected to `master` now: 1, 0, or INFO_UNKNOWN. By the
 * master's backlog and histories (masterTryPartialResynchronization). */
int plan_partial_resync(const struct info *replica, const struct info *master);

#endif
