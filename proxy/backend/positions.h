#ifndef WEIR_PROXY_POSITIONS_H
#define WEIR_PROXY_POSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/role.h"
#include "../../topology/lag.h"

/* What one worker knows of the master's offsets in the present epoch. Every
 * ROLE that it reads from the master is a sample: sent then, this offset. */
struct positions {
	struct lag samples;
	int64_t epoch_ns;    /* when this worker adopted the epoch; 0: none yet */
	uint64_t highest;    /* offset sampled in it */
	int64_t highest_ns;  /* when the reply that said so was read */
	struct role_reply_acks acks; /* looked at only while some client waits for them */
	int64_t acks_ns;     /* when the ROLE that showed them was sent */
};

/* One ROLE on a replica's connection, which proves the reads behind it up to
 * the next one. */
struct proof {
	bool valid;          /* it follows the master of this epoch, and the link is up */
	bool young;          /* nothing acknowledged longer than max_lag ago is missing */
	uint64_t position;   /* the offset it has applied ... */
	bool polled;         /* ... when it was polled last, perhaps more by now: there is no master */
};

#endif
