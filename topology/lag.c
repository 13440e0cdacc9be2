/* The samples of the master's offset, oldest first, both columns rising. */
#include "lag.h"

void lag_reset(struct lag *lag)
{
	lag->count = 0;
}

static void lag_thin(struct lag *lag)
{
	size_t to = 0;

	for (size_t from = 0; from < lag->count; from++)
		if (from >= LAG_SAMPLES / 2 || from % 2 == 0)
			lag->samples[to++] = lag->samples[from];
	lag->count = to;
}

bool lag_add(struct lag *lag, int64_t sent_ns, uint64_t offset)
{
	struct lag_sample *newest = lag->count ? &lag->samples[lag->count - 1] : NULL;

	if (newest != NULL && (offset < newest->offset || sent_ns < newest->sent_ns))
		return false;
	if (newest != NULL && offset == newest->offset) {
		newest->sent_ns = sent_ns;
		return true;
	}
	if (lag->count == LAG_SAMPLES)
		lag_thin(lag);
	lag->samples[lag->count++] = (struct lag_sample){sent_ns, offset};
	return true;
}

int64_t lag_fresh_as_of(const struct lag *lag, uint64_t position)
{
	size_t low = 0;
	size_t high = lag->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lag->samples[middle].offset <= position)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 0 : lag->samples[low - 1].sent_ns;
}

const struct lag_sample *lag_newest(const struct lag *lag)
{
	return lag->count == 0 ? NULL : &lag->samples[lag->count - 1];
}
