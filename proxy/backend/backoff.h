#ifndef WEIR_PROXY_BACKOFF_H
#define WEIR_PROXY_BACKOFF_H

#include <stdint.h>

#include "../clock.h"

/* How long to wait before a server is connected to again. Twice as long after each
 * failure, and a quarter more or less by chance: connections that were lost together
 * do not come back together. */

enum {
	BACKOFF_FIRST_MS = 20,
	BACKOFF_DOUBLINGS = 6,
};

/* `failures` in a row before this one; `longest_ms` before chance has its say; `random`:
 * any number. In nanoseconds. */
static inline int64_t backoff_ns(unsigned failures, int64_t longest_ms, uint32_t random)
{
	int64_t ms = (int64_t)BACKOFF_FIRST_MS << (failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS);
	int64_t quarter_ns = clock_ms_to_ns(ms < longest_ms ? ms : longest_ms) / 4;

	return 3 * quarter_ns + (int64_t)((uint64_t)(2 * quarter_ns) * random >> 32);
}

#endif
