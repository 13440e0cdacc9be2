#ifndef WEIR_TOPOLOGY_HEALTH_H
#define WEIR_TOPOLOGY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Up or down, from checks in a row; and how long to wait before the next
 * attempt to connect. Pure: no clock, and randomness comes as an argument. */

enum health_state {
	HEALTH_UNKNOWN, /* not one check has ended yet */
	HEALTH_UP,
	HEALTH_DOWN,
};

struct health {
	enum health_state state;
	unsigned rise;     /* good checks in a row until up */
	unsigned fall;     /* bad checks in a row until down */
	unsigned good;     /* in a row */
	unsigned bad;      /* in a row */
	unsigned failures; /* to connect, in a row */
};

void health_init(struct health *health, unsigned rise, unsigned fall);
/* Both tell whether the state has changed. The first check decides alone:
 * a server that answers when weir starts is up. */
bool health_good(struct health *health);
bool health_bad(struct health *health);
/* Nobody listens there: no need to count. */
bool health_refused(struct health *health);
/* Milliseconds until the next attempt to connect after one more failure: the
 * interval doubled each time up to one second (or the interval, if that is
 * longer), less up to a quarter. `random` is any number. */
int64_t health_backoff_ms(struct health *health, int64_t interval_ms, uint32_t random);

#endif
