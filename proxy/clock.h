#ifndef WEIR_PROXY_CLOCK_H
#define WEIR_PROXY_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { CLOCK_NS_PER_US = 1000, CLOCK_NS_PER_MS = 1000000, CLOCK_NS_PER_S = 1000000000 };

/* CLOCK_MONOTONIC in nanoseconds: the only clock that decisions rest on. */
static inline int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The wall clock: for people only. */
static inline int64_t clock_unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / CLOCK_NS_PER_MS;
}

/* For short spans: wraps every 71 minutes. */
static inline uint32_t clock_us(int64_t ns)
{
	return (uint32_t)(ns / CLOCK_NS_PER_US);
}

static inline int64_t clock_ms_to_ns(int64_t ms)
{
	return ms * CLOCK_NS_PER_MS;
}

#endif
