#ifndef WEIR_PROXY_POOL_H
#define WEIR_PROXY_POOL_H

#include "backend.h"

/* A worker's backends by what they are for. */

/* The shared backend with this key (kinds SHARED, SCRIPT, CHECKER); made when
 * there is none. */
struct backend *pool_shared(struct worker *worker, const struct backend_key *key);
/* The same, but NULL when there is none. */
struct backend *pool_find(const struct worker *worker, const struct backend_key *key);

/* A private backend with this key: a spare one that is proven clean, or a new
 * one (with `fresh`, always). NULL when max_private_backends are in use. */
struct backend *pool_take_private(struct worker *worker, const struct backend_key *key, bool fresh);
/* Gives it back: kept as a spare when it is clean, destroyed otherwise. */
void pool_return_private(struct backend *backend);
/* Whoever needs a private backend beside the shared one with this key finds one
 * that is connected: what blocks there is not overtaken meanwhile by what
 * others write later. */
void pool_keep_warm(struct worker *worker, const struct backend_key *key);

/* Takes a shared backend out of the lanes: another one with its key takes its
 * place. False when too many have been already. It goes on with the requests it
 * has; then it is a spare one for the next time, or closed when idle. */
bool pool_set_aside(struct backend *backend);

/* A new snapshot was adopted: every backend looks for its node again. */
void pool_retarget(struct worker *worker);
/* The control thread has confirmed a node. */
void pool_check_proofs(struct worker *worker);
/* Bytes of requests that wait for a connection. */
size_t pool_held_bytes(const struct worker *worker);
/* Due work of every backend: connect timeouts and retries, holds that have
 * lasted too long, silent replicas, idle connections. Every WORKER_TICK_MS. */
void pool_tick(struct worker *worker);
/* Lets a new connection ask the master whether it still lets everybody in.
 * Every second. */
void pool_renew_checker(struct worker *worker);
/* Ends them all. When the loop has ended and no client is left. */
void pool_close(struct worker *worker);

#endif
