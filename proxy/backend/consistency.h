#ifndef WEIR_PROXY_CONSISTENCY_H
#define WEIR_PROXY_CONSISTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/slice.h"
#include "../config/config.h"

struct backend;
struct client;
struct request;
struct route_demand;
struct worker;
struct worker_shared;

/* What a read must see, and what proves that a server shows it (DESIGN.md
 * section 5). The worker's thread alone, but for consistency_unproven().
 *
 * The unit is the offset in the master's replication stream. A ROLE behind the
 * writes of a batch, on the same connection, gives an offset that covers them;
 * only then their replies are let go, and the offset is the floor of every
 * later read. A ROLE in front of a batch of reads proves what the replica shows
 * them. What has no offset (a connection was lost before its ROLE, a user may
 * not run ROLE, a new epoch) is remembered by its time instead: it is covered
 * by the first offset that was asked of the master later. */

/* make CFLAGS=-DWEIR_PROOFS=0 leaves out every ROLE and takes every read for
 * good: to measure what they cost, and for nothing else. */
#ifndef WEIR_PROOFS
#define WEIR_PROOFS 1
#endif

/* ---- what a read must see ---- */

/* The session reads at this level from now on. */
void consistency_choose(struct client *client, enum config_consistency level);

/* Fills in the floors of the session's next read. */
void consistency_demand(const struct client *client, struct route_demand *demand);

/* The same for a moment: everything that was seen before it. False: no offset is
 * known to cover that. */
bool consistency_demand_moment(const struct worker *worker, struct route_demand *demand, int64_t ns);

/* Something was acknowledged at this time that no offset is known to cover.
 * Any thread. */
void consistency_unproven(struct worker_shared *shared, int64_t now_ns);

/* A whole reply of the master has come for this client; `write`: it may
 * acknowledge a change. Its replies may have to wait now for the proof. */
void consistency_observed(struct client *client, struct backend *from, bool write, int64_t now_ns);

/* The client's replies wait for the proof, but shall not wait any longer. */
void consistency_let_go(struct client *client);
/* The client leaves. */
void consistency_forget(struct client *client);

/* ---- what proves it ---- */

/* Does this connection carry ROLEs of weir's own? Not a private one, where a
 * ROLE could stand inside MULTI; and not where nobody reads from replicas. */
bool consistency_applies(const struct backend *backend);

/* The reply to the ROLE that stands at the head of the backend's queue. False:
 * it answers something else, so replies do not match requests any more. */
bool consistency_judge(struct backend *backend, const struct request *asked, struct slice reply, int64_t now_ns);
/* Has the ROLE in front of this read proven what the read must see? */
bool consistency_is_met(const struct backend *backend, const struct request *read);
/* The connection is lost, and with it every ROLE under way. */
void consistency_lost(struct backend *backend);
/* `from` has stepped aside (flow.h): who waits for a ROLE on it waits for one
 * on `to`. */
void consistency_step_aside(struct backend *from, struct backend *to);
/* The worker has adopted a snapshot; `new_epoch`: of another history. */
void consistency_adopt(struct worker *worker, bool new_epoch);

/* ---- offsets for those who wait ---- */

/* The client's command waits for a ROLE that is sent on this lane later than
 * now: false, and nothing is waited for, where the lane cannot give one. Else
 * the client is stalled, and resumed with session.index known. */
bool consistency_await_index(struct client *client, struct backend *lane);
/* Asks for a ROLE at the end of this turn's batch. */
void consistency_want(struct backend *lane);
/* That one has been put at the end of the queue, or cannot be after all. */
void consistency_asked(struct backend *lane);
void consistency_not_asked(struct backend *lane);

#endif
