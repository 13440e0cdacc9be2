#ifndef WEIR_PROXY_DISPATCH_H
#define WEIR_PROXY_DISPATCH_H

#include <stddef.h>

#include "../backend/request.h"
#include "../../protocol/slice.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../worker/worker.h"

/* From clients to backends: one parsed command after the other is answered,
 * refused, or put into the queue of the backend it belongs to. */

enum verdict { TAKEN, STALLED };

/* Takes `count` parsed commands of one client in order. Returns how many were
 * taken: fewer than count when the client stalled or is closing. */
size_t dispatch(struct client *client, const struct parsed_command *parsed, size_t count);

/* Sends a read again to another node, or to the master. The request is in no
 * queue of a backend. Settles it with an error when it was sent too often. */
void dispatch_again(struct worker *worker, struct request *request, struct slice bytes);

/* The same for one that no other run of a server can answer (request_is_bound());
 * `from` is where it was lost. */
void dispatch_bound_again(struct worker *worker, struct request *request, const struct backend *from,
			  struct slice bytes);

/* What was lost with the home of its session, and was not done there or leaves
 * nothing behind: the session's next home is asked. */
void dispatch_ask_again(struct worker *worker, struct request *request, const struct backend *from, struct slice bytes);

/* A read was answered by a replica that is not proven to show what the read must
 * see, or overtook another one: it follows that, waits for the replica to catch
 * up, or goes to the master. */
void dispatch_stale(struct worker *worker, struct request *request, struct backend *from, struct slice bytes);

/* There is no master any more: reads that wait for it on this lane, which has
 * no connection, go to the replicas after all. */
void dispatch_rescue_reads(struct worker *worker, struct backend *lane);

/* The same when its node has not proven what it demands: it is parked; and when
 * it is looked at again. */
void dispatch_bound_stale(struct worker *worker, struct request *request, const struct backend *from,
			  struct slice bytes);
void dispatch_parked(struct client *client);

/* The answer to SCRIPT KILL has come from one node: true when the next one is
 * asked instead, because there was nothing to kill. `bytes` is the request. */
bool dispatch_kill_elsewhere(struct worker *worker, struct request *request, struct backend *from, struct slice bytes);

/* The session's private backend cannot be had now, the server is busy with a
 * script. A server takes MULTI then, refuses what is to be queued, and so EXEC:
 * if that is where the session is, it gets the same from weir. */
void dispatch_doom(struct client *client);

/* The master that a session has begun a transaction on, or watches keys on, is no
 * master any more, and nothing of it is under way: EXEC will say so. */
void dispatch_abort_transaction(struct client *client);
/* The old master has let a blocking command go, because it is no master any more:
 * true when it waits on at the new one, for what is left of its time. `bytes` is
 * the request. */
bool dispatch_wait_elsewhere(struct worker *worker, struct request *request, struct backend *from, struct slice bytes);

/* A private backend for a state of the session that is about to be on it. False:
 * none is free. */
bool dispatch_bind(struct client *client);
/* A replica has answered this read with null. */
void dispatch_missed(struct client *client, struct slice bytes);

/* The first replica of the snapshot's nodes, from this one on, that can be told
 * something; node_count: none. */
size_t dispatch_next_replica(const struct snapshot *snapshot, size_t first);

/* The backend has stepped aside (flow.h): the reads behind its head are sent
 * again on the one that took its place. */
void dispatch_step_aside(struct backend *from);

/* The replica has not said anything for backend_timeout: the reads that wait for
 * it are sent again elsewhere (the first one, which it may be busy with, only
 * where that does no harm), and orphans eat what it may say yet. False: none
 * waited that could leave. */
bool dispatch_leave_silent(struct backend *from);

/* The next connection of the session's private backend is made for what the session
 * is by now: on the present one it may have said SELECT, AUTH or HELLO. */
void dispatch_renew_key(struct client *client);

/* The server lets go of the session's private backend. */
void dispatch_unpin(struct client *client);

/* ---- for local.c ---- */

/* A new request at the end of the client's queue. */
struct request *dispatch_request(struct client *client, enum request_kind kind, unsigned flags);
/* When that is answered it counts as one of these, and for the command at hand. */
void dispatch_counts_as(struct client *client, struct request *request, enum stat_id id);
/* Counts a request of the client as under way on this backend, which is not a
 * replica that it reads from: later commands wait for it or follow it there. */
void dispatch_on_lane(struct client *client, struct request *request, const struct backend *lane);
/* A connection to the master, or to that node, where nothing stands in front of
 * the next request: the session's own, or one for that request alone. NULL when
 * none is free. Nothing of the client may be in flight elsewhere. */
struct backend *dispatch_alone(struct client *client, int32_t node);
/* The backend for a session's commands that are no plain reads. */
struct backend *dispatch_lane(struct client *client, enum backend_kind kind);
/* The command is not taken now, because its way has more to do than it should:
 * it is looked at again when that is over. */
enum verdict dispatch_wait_for_room(struct client *client);
/* Answers a command at its place in the client's order. */
void dispatch_answer(struct client *client, struct slice reply);
void dispatch_error(struct client *client, const char *text);

#endif
