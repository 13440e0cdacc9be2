#ifndef WEIR_PROXY_CROWD_H
#define WEIR_PROXY_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* Requests on a shared connection whose replies are large, or may be: of clients
 * whose last ones were, or that had none yet. Everybody who asks behind them waits
 * until their replies have come, so there are not more of them at a time than bring
 * CROWD_BYTES, by what their last replies were like. As long as those are small any
 * number may come, but not at once: a thousand newcomers may all want a large one.
 * So the window opens by one with every answer, while it is used, and where nobody
 * has come for a while nothing is known any more. */

enum {
	CROWD_BYTES = 256 * 1024, /* that should be on their way to all of them */
	CROWD_FIRST = 32,          /* requests while nothing is known */
	CROWD_MOST = 512,
};

struct crowd {
	uint32_t present; /* requests */
	uint32_t window;  /* of which there may be so many */
};

static inline struct crowd crowd_unknown(void)
{
	return (struct crowd){ .window = CROWD_FIRST };
}

static inline bool crowd_is_full(const struct crowd *crowd)
{
	return crowd->present >= crowd->window;
}

/* One of them has left with a reply of so many bytes. */
static inline void crowd_learn(struct crowd *crowd, uint64_t bytes)
{
	uint64_t fitting = bytes > 0 ? CROWD_BYTES / bytes : CROWD_MOST;
	bool is_used = 2 * (crowd->present + 1) >= crowd->window;

	if (fitting < 1)
		fitting = 1;
	if (crowd->window > fitting)
		crowd->window = (uint32_t)fitting;
	else if (is_used && crowd->window < fitting && crowd->window < CROWD_MOST)
		crowd->window++;
}

/* Now and then: what was learned is good as long as some are there. */
static inline void crowd_tick(struct crowd *crowd)
{
	if (crowd->present == 0)
		crowd->window = CROWD_FIRST;
}

#endif
