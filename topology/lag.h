#ifndef WEIR_TOPOLOGY_LAG_H
#define WEIR_TOPOLOGY_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How old a replica's data can be, on weir's clock alone (DESIGN.md section 5).
 *
 * The master's ROLE returns an offset that covers every write whose reply left
 * before it ran. So whoever has applied the offset of a sample shows everything
 * that was acknowledged before the sample was SENT. Pure; one owner. */

enum { LAG_SAMPLES = 512 };

struct lag_sample {
	int64_t sent_ns;
	uint64_t offset;
};

/* All samples are of one epoch. Offsets rise from one to the next: a sample
 * with the offset of the one before replaces it, so an idle master makes no
 * false lag and fills no room. */
struct lag {
	size_t count;
	struct lag_sample samples[LAG_SAMPLES];
};

/* A new epoch: what was sampled before says nothing. */
void lag_reset(struct lag *lag);
/* A full ring drops every second sample of its older half, which can only make
 * an answer older than it had to be. A sample behind the newest one is of some
 * other history and is left out: false. */
bool lag_add(struct lag *lag, int64_t sent_ns, uint64_t offset);
/* The time the newest sample was sent whose offset `position` has reached; 0:
 * none, so the age is not known. */
int64_t lag_fresh_as_of(const struct lag *lag, uint64_t position);
/* The offset of the oldest sample that was sent later than that: whatever was
 * seen of the master until then is below it. False: there is none yet. */
bool lag_first_after(const struct lag *lag, int64_t ns, uint64_t *offset);
/* How long ago the oldest sample was sent that `position` has not reached; 0:
 * it has reached them all. */
int64_t lag_behind(const struct lag *lag, uint64_t position, int64_t now_ns);
/* NULL while there is none. Valid until the next lag_add(). */
const struct lag_sample *lag_newest(const struct lag *lag);

#endif
