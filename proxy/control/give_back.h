#ifndef WEIR_PROXY_GIVE_BACK_H
#define WEIR_PROXY_GIVE_BACK_H

#include <stddef.h>

struct ev_loop;
struct give_back;
struct stats;

/* After a burst malloc(3) keeps much of what was freed for the next one. When that
 * is over, it goes back to the system. Control thread. */

/* `stats` of all workers; they outlive it. */
struct give_back *give_back_start(struct ev_loop *loop, const struct stats *const *stats, size_t count);
/* Frees *give_back, sets it to NULL. */
void give_back_stop(struct give_back **give_back);

#endif
