#ifndef WEIR_PROXY_BARRIER_H
#define WEIR_PROXY_BARRIER_H

#include <stdbool.h>

struct backend;
struct worker;

/* A write that was sent on a connection which broke may still run later: its
 * bytes can lie unread in the server's socket. CLIENT KILL ID of that connection
 * puts an end to it: the server has then either run it, or never will (redis
 * 5.0 to 8.0 and Valkey: 71 to 84 of 150 reads were overtaken by such a write
 * without it, none with it).
 *
 * So the next connection kills the lost one before it carries anything, and
 * until that is done no worker takes an offset of the master for a proof. Where
 * the master is another process by now, nothing is left that could run. The
 * worker's thread, but for barrier_is_up(). */

/* `lost` had writes under way when its connection broke; called while it still
 * knows which one that was. */
void barrier_raise(struct backend *lost);
/* Begins the handshake of a new connection with what has to be killed. */
void barrier_begin_handshake(struct backend *backend);
/* The connection is ready: asks for what has come to be killed meanwhile. */
void barrier_ready(struct backend *backend);
/* One kill was answered; whatever the answer is. */
void barrier_answered(struct backend *backend);
/* There is nothing to kill any more: the server is another one, or weir ends. */
void barrier_lower(struct backend *backend);

/* Is any worker's barrier up? */
bool barrier_is_up(const struct worker *worker);

#endif
