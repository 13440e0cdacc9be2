#ifndef WEIR_PROXY_SENDINGS_H
#define WEIR_PROXY_SENDINGS_H

#include <stdbool.h>
#include <stdint.h>

/* When the bytes of a stream were written, so that the time of a request at its
 * server is known without a word of memory in it: a batch is one entry. Where
 * there are more batches under way than entries, the newest of them counts as
 * the one before. */

enum { SENDINGS = 8 };

struct sending {
	uint64_t end; /* absolute offset up to which bytes were written ... */
	uint32_t us;  /* ... at this worker time, wraps */
};

struct sendings {
	struct sending ring[SENDINGS];
	uint8_t first;
	uint8_t count;
	bool passed;  /* something of the first one was answered */
};

static inline void sendings_forget(struct sendings *sendings)
{
	sendings->count = 0;
	sendings->passed = false;
}

static inline void sendings_add(struct sendings *sendings, uint64_t end, uint32_t us)
{
	if (sendings->count < SENDINGS)
		sendings->ring[(sendings->first + sendings->count++) % SENDINGS] = (struct sending){ end, us };
	else
		sendings->ring[(sendings->first + SENDINGS - 1) % SENDINGS].end = end;
}

/* A request is answered that ends at `end`; requests are answered in order.
 * True when it is the first of its batch. */
static inline bool sendings_pass(struct sendings *sendings, uint64_t end)
{
	bool first = !sendings->passed;

	while (sendings->count > 1 && end > sendings->ring[sendings->first].end) {
		sendings->first = (uint8_t)((sendings->first + 1) % SENDINGS);
		sendings->count--;
		first = true;
	}
	sendings->passed = true;
	return first;
}

/* Everything up to the returned offset was written together with what stands
 * before `end`. */
static inline uint64_t sendings_end(const struct sendings *sendings, uint64_t end)
{
	for (unsigned i = 0; i + 1 < sendings->count; i++) {
		const struct sending *sending = &sendings->ring[(sendings->first + i) % SENDINGS];

		if (end <= sending->end)
			return sending->end;
	}
	return UINT64_MAX;
}

/* When the one that was answered last had been written whole. */
static inline uint32_t sendings_us(const struct sendings *sendings)
{
	return sendings->ring[sendings->first].us;
}

#endif
