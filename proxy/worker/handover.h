#ifndef WEIR_PROXY_HANDOVER_H
#define WEIR_PROXY_HANDOVER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct worker;

/* What a worker does while the master changes (DESIGN.md section 6).
 *
 * The control thread publishes a generation whose master is held: nothing more is
 * sent to it, requests wait in the queues of the connections that are there. When
 * everything has been answered that could still change data, the worker
 * acknowledges the generation. What may go on is told by the old master itself:
 *
 *   a blocking command waits on, until the server lets it go because it is no
 *                      master any more; then it waits on at the new one for what
 *                      is left of its time
 *   an upload          is waited for as long as its client sends, a third of a second;
 *                      later it is answered with an error, and was not executed
 *   a transaction      has a moment to end; later its EXEC says EXECABORT, as a
 *                      server that was demoted in the middle says it, and keys
 *                      that were watched count as changed
 *   who is subscribed  goes to the new master without missing anything (passage.h):
 *                      a generation names it that is held, too, and is acknowledged
 *                      when they are there, or have had their time
 *   who listens        otherwise (tracking, MONITOR), or comes late, is told by the
 *                      end of its connection, behind all that the old master has said
 *
 * The next generation lets everybody write to the new master; or to the old one,
 * which was never left. A generation without any master is acknowledged when
 * it has been adopted: no connection to one is left then. */

struct handover {
	bool holds;                /* the master of the present snapshot is held */
	bool arrives;              /* and it is the new one already */
	uint32_t held_id;          /* the first one that was held, while one is */
	size_t passages;           /* subscribers under way */
	int64_t passages_until_ns; /* they are waited for until then */
	int64_t grace_until_ns;    /* open transactions are waited for until then, */
	int64_t uploads_until_ns;  /* uploads, as long as they come */
	ev_timer look;             /* while something is waited for */
	int64_t answers_until_ns;  /* answers of the old master are, once there is a new one */
};

void handover_init(struct worker *worker);
/* The worker has adopted a snapshot; its backends have not looked at it yet. */
void handover_adopt(struct worker *worker);
/* At the end of every turn: acknowledges what can be. */
void handover_turn(struct worker *worker);
/* Every WORKER_TICK_MS. */
void handover_tick(struct worker *worker);

/* A connection to the master that is made, or becomes a spare one, meanwhile. */
void handover_hold(struct backend *backend);
/* There is a new master, and this backend's connection leads to the old one: does
 * it stay for an answer that is on its way? */
bool handover_keeps(const struct backend *backend);
/* It does not, and is about to be closed: what its session has on it ends. */
void handover_end_session(struct backend *backend);

#endif
