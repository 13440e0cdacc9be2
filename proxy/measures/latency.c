#include "latency.h"

#include <stdbool.h>

uint64_t latency_bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < LATENCY_FINE)
		return bucket + 1;
	shift = (bucket >> LATENCY_FINE_BITS) - 1;
	return (uint64_t)(LATENCY_FINE + bucket % LATENCY_FINE + 1) << shift;
}

void latency_forget(struct latency *latency)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		atomic_store_explicit(&latency->counts[i], 0, memory_order_relaxed);
	atomic_store_explicit(&latency->sum_us, 0, memory_order_relaxed);
}

static bool was_forgotten(const struct latency_sum *sum, const struct latency_sum *earlier)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		if (sum->counts[i] < earlier->counts[i])
			return true;
	return false;
}

void latency_sum_add(struct latency_sum *sum, const struct latency *latency)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t count = atomic_load_explicit(&latency->counts[i], memory_order_relaxed);

		sum->counts[i] += count;
		sum->count += count;
	}
	sum->sum_us += atomic_load_explicit(&latency->sum_us, memory_order_relaxed);
}

void latency_sum_since(struct latency_sum *sum, const struct latency_sum *earlier)
{
	if (was_forgotten(sum, earlier))
		return;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		sum->counts[i] -= earlier->counts[i];
	sum->count -= earlier->count;
	sum->sum_us -= earlier->sum_us;
}

double latency_sum_quantile(const struct latency_sum *sum, double share)
{
	double wanted = share * (double)sum->count;
	uint64_t passed = 0;

	if (sum->count == 0)
		return -1;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		passed += sum->counts[i];
		if (passed > 0 && (double)passed >= wanted)
			return (double)(latency_bucket_end(i) - 1);
	}
	return (double)(latency_bucket_end(LATENCY_BUCKETS - 1) - 1);
}

uint64_t latency_sum_below(const struct latency_sum *sum, uint64_t us)
{
	uint64_t passed = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS && latency_bucket_end(i) <= us; i++)
		passed += sum->counts[i];
	return passed;
}
