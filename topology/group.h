#ifndef WEIR_TOPOLOGY_GROUP_H
#define WEIR_TOPOLOGY_GROUP_H

#include <ev.h>

#include "absence.h"
#include "journal.h"
#include "lag.h"
#include "node.h"
#include "plan.h"
#include "topology.h"

/* The inside of struct topology, shared by the files of this folder that each
 * do one step of observe -> plan -> act -> publish. Control thread only. */

/* Who it is that traffic goes to: a change of any of the three is a new epoch. */
struct epoch {
	uint64_t number;           /* 0: there was no master yet */
	int master;                /* index; kept while there is no usable master; PLAN_NOBODY: it was removed */
	char run_id[RUN_ID_LENGTH + 1];
	char replid[INFO_REPLID_LENGTH + 1];
	int64_t keys;              /* the master held last, */
	int64_t keys_offset;       /* when it was here */
	int64_t offset;            /* the highest one sampled; 0: offsets meant nothing yet */
	struct epoch_floor *floor; /* of what weir's workers acknowledged in it */
	/* over all epochs, of what was acknowledged and is gone: */
	uint64_t lossy_changes;    /* changes of the master that lost some */
	uint64_t lost_bytes;       /* as far as it can be told */
	uint64_t doubtful;         /* clients that were told so at an offset that nobody knows */
};

enum resync_kind { RESYNC_FULL, RESYNC_PARTIAL, RESYNC_KINDS };

/* What the group makes of one node. */
struct standing {
	bool drained;
	bool greeted;              /* of a fenced or stranded one: it has answered since, and what it has was told */
	bool fenced;               /* it was the master until another one took its place, and does not follow that yet */
	bool stranded;             /* it was or followed the master until a failover that this weir has made, and does not follow the new one yet */
	int64_t slave_ns;          /* when the INFO was sent that showed it as a slave, if that was the last one; 0 */
	bool replaces;             /* made a master when the present one was missed: see absence.h */
	int64_t leaving_ns;        /* since when it is configured no more, and only ends what it has begun; 0: it is */
	uint64_t leaving_since;    /* the first generation that says so; 0: not published yet */
	int follows;               /* whom its last INFO says it follows: see observe_info() */
	const char *reason;        /* why it is not readable, one word; NULL: readable */
	bool sound;                /* readable, or would be if it were not drained */
	bool readable_without_master;
	bool was_cut;              /* its link to its master was less than whole, and no resync explains it yet */
	bool cut_explained;        /* one does, and the link has not been seen whole since */
	int64_t whole_ns;          /* since when it has been whole; 0: it is not */
	int64_t untold[RESYNC_KINDS]; /* resyncs that it has served and that were not told of yet: see resync.c */
	int64_t untold_ns;         /* since when there are some */
	double lag_ms;             /* as measured last; negative: unknown */
	int64_t lag_bytes;
	/* The last time it was seen following the present master: see plan.h. */
	char seen_run_id[RUN_ID_LENGTH + 1];
	char seen_master_run_id[RUN_ID_LENGTH + 1];
	char logged_refusal[PLAN_TEXT_SIZE];
	uint64_t wirings;
};

/* Which master workers may be writing to (publish.c). */
struct serving {
	int master;                /* index; PLAN_NOBODY: there was none yet */
	uint64_t closed;           /* the generation that took it from them; 0: it was not */
	uint64_t acknowledged;     /* every worker has adopted this generation */
};

struct topology {
	struct ev_loop *loop;
	struct topology_config config; /* a deep copy */
	struct topology_events events;
	struct node_events node_events;
	struct journal *journal;
	char link_name[40];        /* weir-control-<16 hex> */

	/* In the order of the file; behind the configured ones stand those that are
	 * about to leave. Everything that is kept per node stands by its id. */
	struct node **nodes;
	size_t node_count;         /* of the configured ones */
	size_t present_count;      /* of all of them */
	struct standing *standings;
	uint32_t next_id;          /* where a free one is looked for first */
	uint32_t *incarnations;    /* where the last node with this id ended */

	/* observe: a round asks the master's position, then the replicas' */
	ev_timer tick;
	ev_timer refresh;
	int64_t round_every_ns;
	int64_t round_ns;          /* when the last round began */
	int64_t infos_ns;          /* when INFO was asked last */
	bool round_asks_info;
	bool round_open;           /* the master has not answered this round */
	struct lag lag;
	bool *confirm_wanted;
	int64_t *confirm_since_ns;

	/* plan */
	struct plan_node *plan_nodes;
	struct plan plan;
	char accepted_run_id[RUN_ID_LENGTH + 1];
	const char *interference;  /* somebody else controls the group, NULL */
	struct epoch epoch;
	struct absence absence;
	struct wire *wire;
	struct rivals *rivals;
	struct audit *audit;
	struct succession *succession;
	struct takeover *takeover;
	struct sentinels *sentinels; /* NULL: master and replicas stand in the file */

	/* publish: once per turn of the loop, after everything that was read */
	ev_prepare settle;
	bool dirty;
	bool master_usable;
	bool held;                 /* it is about to be another one, or was another one just now */
	char logged_reason[PLAN_TEXT_SIZE];
	char logged_observe[PLAN_TEXT_SIZE];
	struct snapshot *snapshot;
	struct serving serving;

	struct topology_view view;
	struct topology_node_view *node_views;
};

/* Something a plan or a router might see has changed. */
void group_touch(struct topology *topology);
/* NULL while there is no usable master. */
struct node *group_master(struct topology *topology);
/* NULL: there is none with this id, or no more. */
struct node *group_find(const struct topology *topology, uint32_t id);

/* ---- members.c: who belongs to the group ---- */

/* Makes the nodes those of topology->config: known ones stay what they are, new
 * ones come in, the others begin to leave. */
void members_follow_config(struct topology *topology);
/* Those who leave are gone when no worker has anything to do with them. */
void members_see_off(struct topology *topology);
/* All of them, at once. */
void members_dismiss(struct topology *topology);

/* ---- observe.c: from answers to positions, ages and readability ---- */

/* A new INFO: the configured node that a slave follows by it, else
 * PLAN_STRANGER; PLAN_NOBODY if it is no slave. */
void observe_info(struct topology *topology, const struct node *node);
/* The node's newest ROLE or INFO, put into the ring or into its vitals. */
void observe_position(struct topology *topology, struct node *node);
/* Sets every standing's reason. */
void observe_readability(struct topology *topology);

/* ---- adopt.c: the plan's input, and what becomes of its answer ---- */

/* Fills topology->plan from what is known now. */
void adopt_plan(struct topology *topology);
/* Takes the plan's master, or its absence, for the truth: epoch, logs. */
void adopt_master(struct topology *topology);

/* ---- resync.c: who went on where it was, and who began anew ---- */

/* Its health or its INFO is new: is its link to its master cut? */
void resync_watch(struct topology *topology, const struct node *node);
/* Its INFO is new: takes down the resyncs that it has served since the one before,
 * and tells of all that can be told. */
void resync_report(struct topology *topology, const struct node *node);

/* ---- publish.c ---- */

/* Hands out a new snapshot if a router could tell the difference. */
void publish(struct topology *topology);
/* May workers be told to write to this node? Not while one of them may still be
 * writing to another one. */
bool publish_may_serve(const struct topology *topology, int master);

#endif
