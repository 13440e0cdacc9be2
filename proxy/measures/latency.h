#ifndef WEIR_PROXY_LATENCY_H
#define WEIR_PROXY_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

/* A histogram of durations in microseconds, log-linear: exact below 16, then
 * sixteen buckets for every power of two, so a bucket is at most a sixteenth
 * wide. One thread counts into it with plain loads and stores, like stats.h;
 * any thread reads it. A reader may miss what is being counted just then,
 * never more. */

enum {
	LATENCY_FINE_BITS = 4,
	LATENCY_FINE = 1 << LATENCY_FINE_BITS,
	LATENCY_MAX_BITS = 32, /* 71 minutes; what is longer counts as that */
	LATENCY_BUCKETS = LATENCY_FINE * (LATENCY_MAX_BITS - LATENCY_FINE_BITS + 1),
};

struct latency {
	_Atomic uint64_t counts[LATENCY_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* The same for readers: of several threads, or of a span of time. */
struct latency_sum {
	uint64_t counts[LATENCY_BUCKETS];
	uint64_t count;
	uint64_t sum_us;
};

static inline unsigned latency_bucket(uint32_t us)
{
	unsigned shift;

	if (us < LATENCY_FINE)
		return us;
	shift = (unsigned)(31 - __builtin_clz(us)) - LATENCY_FINE_BITS;
	return (shift << LATENCY_FINE_BITS) + (us >> shift);
}

static inline void latency_add(_Atomic uint64_t *word, uint64_t by)
{
	atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + by, memory_order_relaxed);
}

/* `times` of the same duration. Owner thread only. */
static inline void latency_count(struct latency *latency, uint32_t us, uint64_t times)
{
	latency_add(&latency->counts[latency_bucket(us)], times);
	latency_add(&latency->sum_us, us * times);
}

/* Consecutive ones are nearly always the same duration, those of one batch: they
 * are counted together. Settled before the owner goes on to something else. */
struct tally {
	struct latency *latency;
	uint32_t us;
	uint32_t times;
};

static inline void tally_settle(struct tally *tally)
{
	if (tally->times > 0)
		latency_count(tally->latency, tally->us, tally->times);
	tally->times = 0;
}

static inline void tally_count(struct tally *tally, struct latency *latency, uint32_t us, uint32_t times)
{
	if (tally->latency != latency || tally->us != us) {
		tally_settle(tally);
		tally->latency = latency;
		tally->us = us;
	}
	tally->times += times;
}

/* Owner thread only. */
void latency_forget(struct latency *latency);

/* The first duration that is beyond the bucket. */
uint64_t latency_bucket_end(unsigned bucket);

/* Any thread: adds what `latency` has counted so far. */
void latency_sum_add(struct latency_sum *sum, const struct latency *latency);
/* What has been counted since `earlier`, a sum over the same histograms; all of
 * it when they were forgotten in between. */
void latency_sum_since(struct latency_sum *sum, const struct latency_sum *earlier);
/* The duration that `share` (0..1) of them did not exceed, to a bucket's width;
 * negative when nothing was counted. */
double latency_sum_quantile(const struct latency_sum *sum, double share);
/* How many of them were over before `us`, a bucket's end. */
uint64_t latency_sum_below(const struct latency_sum *sum, uint64_t us);

#endif
