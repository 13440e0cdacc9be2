#ifndef WEIR_PROXY_CEILING_H
#define WEIR_PROXY_CEILING_H

struct worker;

/* [proxy] max_memory: what all of weir's clients and connections to servers hold.
 * Above it the client that holds most is closed, whichever worker's it is, and
 * the next one, until it fits. */

/* Weighs everything of this worker's, for the counters, and closes what has to
 * be. Every tick. */
void ceiling_tick(struct worker *worker);

#endif
