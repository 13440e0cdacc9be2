#ifndef WEIR_TOPOLOGY_CLOCK_H
#define WEIR_TOPOLOGY_CLOCK_H

#include <stdint.h>
#include <time.h>

static const int64_t NS_PER_MS = INT64_C(1000000);
static const int64_t NS_PER_S = INT64_C(1000000000);

/* CLOCK_MONOTONIC in nanoseconds: the only clock that ages are measured with. */
static inline int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

#endif
