#ifndef WEIR_PROXY_ENDING_H
#define WEIR_PROXY_ENDING_H

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct journal;
struct service;
struct worker_shared;

/* How weir ends: the workers answer what they have read and close, while the log
 * tells every second how many clients are left; or at once. Control thread only. */

struct ending;

/* All but the loop are used, and outlive it. */
struct ending *ending_create(struct ev_loop *loop, struct worker_shared *shared, struct journal *journal,
			     struct service *service);
/* Sets *ending to NULL. */
void ending_destroy(struct ending **ending);

/* No client is taken any more by then. */
void ending_begin(struct ending *ending, int64_t drain_timeout_ms);
bool ending_has_begun(const struct ending *ending);
/* Without waiting for anything. */
void ending_hurry(struct ending *ending);

#endif
