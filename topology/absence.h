#ifndef WEIR_TOPOLOGY_ABSENCE_H
#define WEIR_TOPOLOGY_ABSENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "info.h"
#include "node.h"

/* When the master of the present epoch was not there, and whether a replica was
 * made a master meanwhile, by whomever: then that one has taken its place. One that
 * somebody makes a master while the present one answers is only cut loose.
 * Control thread only. */

struct topology;

struct absence {
	uint64_t epoch;            /* the one that this is about */
	char run_id[RUN_ID_LENGTH + 1]; /* at the master's address, as seen last */
	int64_t heard_ns;          /* its last answer */
	int64_t missed_ns;         /* the last time that it was missed; 0: it never was */
	int64_t back_ns;           /* since when it answers again; 0: it does not, or always did */
	bool away;                 /* it was lost, and not everybody was asked since it is back */
};

/* Called in every settle, when an epoch has begun, and before an INFO is judged. */
void absence_watch(struct topology *topology);
/* Its INFO is new. */
void absence_info(struct topology *topology, const struct node *node);
/* The master is back, or still away, and somebody else may be one by now. */
bool absence_lasts(const struct topology *topology);

#endif
