#ifndef WEIR_PROTOCOL_ROLE_H
#define WEIR_PROTOCOL_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "slice.h"

/* The reply to ROLE, as it comes on data connections: where a server is in the
 * replication stream.
 *
 * Why it proves anything (redis replication.c roleCommand, unchanged from 2.8
 * to Valkey 8): on a master its offset covers every write that was executed
 * before it; on a replica it is the applied offset, which is what reads see,
 * and -1 unless the link to the master is up. Inside MULTI it means neither. */
struct role_reply {
	bool is_master;
	int64_t offset;            /* -1: none, of a replica that is not connected */
	struct slice master_host;  /* of a replica: whom it follows; a view into the reply */
	int64_t master_port;
	bool connected;            /* of a replica: its link's state is "connected" */
};

/* `reply` is one whole reply, in RESP2 or RESP3. False when it is not that of a
 * master or a replica: an error, a Sentinel's, or not a ROLE's at all. */
bool role_reply_decode(struct slice reply, struct role_reply *role);

enum { ROLE_REPLY_ACKS_MAX = 64 };

struct role_reply_acks {
	size_t count;
	uint64_t offsets[ROLE_REPLY_ACKS_MAX];
};

/* Of a master's reply: the offsets that its replicas have acknowledged, up to a
 * second ago. Those beyond the room are left out, and whatever is malformed. */
void role_reply_read_acks(struct slice reply, struct role_reply_acks *acks);

#endif
