#ifndef WEIR_PROXY_APPETITE_H
#define WEIR_PROXY_APPETITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much is on its way to a client? Requests are short and say nothing of the
 * replies they bring, so the replies that came last stand for those to come. One
 * that gets large ones has few requests in flight at a time: what it does not read
 * stays where it is, and others who share a connection do not wait behind it. */

enum {
	APPETITE_BYTES = 256 * 1024, /* that should be on their way to one client */
	APPETITE_FIRST = 32,         /* requests of one of whom nothing is known */
	APPETITE_MOST = 4096,
	APPETITE_LARGE = 4096,       /* bytes: such a reply changes the window at once */
	APPETITE_MEMORY = 64,        /* answers, of which the older half is forgotten */
};

struct appetite {
	uint64_t bytes;   /* of the last replies ... */
	uint32_t answers; /* ... and their number */
	uint32_t window;  /* so many requests may be in flight */
};

static inline void appetite_forget(struct appetite *appetite, uint32_t memory)
{
	while (appetite->answers > memory) {
		appetite->answers /= 2;
		appetite->bytes /= 2;
	}
}

/* Sets the window anew. */
static inline void appetite_judge(struct appetite *appetite)
{
	uint64_t answers = appetite->answers > 0 ? appetite->answers : 1;
	uint64_t window = appetite->bytes > 0 ? APPETITE_BYTES * answers / appetite->bytes : APPETITE_FIRST;

	if (appetite->answers == 0 && window > APPETITE_FIRST)
		window = APPETITE_FIRST;
	appetite->window = (uint32_t)(window < 1 ? 1 : window > APPETITE_MOST ? APPETITE_MOST : window);
	appetite_forget(appetite, APPETITE_MEMORY);
}

static inline void appetite_feed(struct appetite *appetite, size_t bytes)
{
	appetite->bytes += bytes;
	if (bytes >= APPETITE_LARGE || appetite->answers > APPETITE_MEMORY)
		appetite_judge(appetite);
}

/* May one more request be in flight? */
static inline bool appetite_allows(struct appetite *appetite, uint32_t in_flight)
{
	if (in_flight < appetite->window)
		return true;
	appetite_judge(appetite);
	return in_flight < appetite->window;
}

/* Are its replies large? */
static inline bool appetite_is_large(const struct appetite *appetite)
{
	return appetite->window <= APPETITE_BYTES / APPETITE_LARGE &&
	       appetite->bytes >= (uint64_t)APPETITE_LARGE * appetite->answers;
}

/* Are they, or may they be? */
static inline bool appetite_may_be_large(const struct appetite *appetite)
{
	return appetite->answers == 0 || appetite_is_large(appetite);
}

#endif
