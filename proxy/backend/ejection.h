#ifndef WEIR_PROXY_EJECTION_H
#define WEIR_PROXY_EJECTION_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot;
struct worker;

/* A replica that passes its health checks and fails all the same where it
 * matters, on the connections that carry reads: it takes no reads of this
 * worker's for a while, longer each time, and starts slowly afterwards. One read
 * that it answers makes all of that forgotten. The last readable replica is
 * never ejected. */

enum strike {
	STRIKE_LOST,   /* a connection was lost, or could not be made */
	STRIKE_SILENT, /* nothing came for backend_timeout: weighs as much as all that are needed */
};

void ejection_strike(struct worker *worker, uint32_t node_id, enum strike strike);
/* It has answered a read. */
void ejection_answered(struct worker *worker, uint32_t node_id);
/* Another snapshot was adopted: a replica that has become readable begins anew,
 * and if only ejected ones are left they serve again. */
void ejection_adopt(struct worker *worker, const struct snapshot *old);

#endif
