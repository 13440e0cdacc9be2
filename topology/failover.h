#ifndef WEIR_TOPOLOGY_FAILOVER_H
#define WEIR_TOPOLOGY_FAILOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shall a replica take the place of a master that is lost, and which? A pure
 * function of what was observed; takeover.c observes, and carries it out. It
 * looks for reasons not to, in this order, and says the first one:
 *
 *   somebody else controls the group, or another weir goes first
 *   a failover was there a moment ago
 *   the master may be there: weir has not missed it for long enough, a replica still
 *     hears it, or no majority of the replicas answers, and weir may be the one who is cut off
 *   nothing is known of its offsets, or nobody has its history
 *   a replica has bytes of it that are not applied yet (for half a second at most)
 *   too much would be lost
 *   a worker may still be writing to the old master */

/* One that is not the lost master. Strings are borrowed. */
struct failover_member {
	const char *name;
	bool answers;              /* what follows was said after the master was missed first */
	bool is_slave;
	bool follows;              /* the lost master */
	bool able;                 /* its version is supported, it is not loading and fetches nothing */
	const char *replid;
	int64_t applied;           /* offsets; INFO_UNKNOWN */
	int64_t received;
	int64_t still_ms;          /* how long both have been the same */
	bool hears;                /* its link to the master is up, and not silent for down_after */
	int64_t priority;
};

struct failover_seen {
	int64_t down_after_ms;
	int64_t min_interval_ms;
	int64_t max_lost_bytes;
	bool told;                 /* every server that answers has said who else controls it */
	const char *taboo;         /* why weir leaves the group alone; NULL */
	bool has_lost_data;        /* the master is back, without what it had */
	int64_t missed_ms;         /* since its last answer */
	int64_t last_ms;           /* since the last failover; INFO_UNKNOWN: there was none */
	int64_t drain_ms;          /* since draining began; 0: it has not */
	bool workers_ready;        /* none of them writes to the old master */
	const char *replid;        /* of the lost master */
	int64_t offset;            /* the highest that is known of it */
	const struct failover_member *members;
	size_t count;
};

enum { FAILOVER_TEXT_SIZE = 256 };

struct failover_verdict {
	int heir;                  /* a member; -1: none now */
	bool soon;                 /* what is waited for comes by itself, in a moment */
	bool blind;                /* it is something that this weir does not see, and another one may */
	bool draining;             /* it is what replicas have received and not applied yet */
	char why[FAILOVER_TEXT_SIZE]; /* why none; holds no number that changes by itself */
};

void failover_judge(const struct failover_seen *seen, struct failover_verdict *verdict);

#endif
