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

/* How many samples `position` has reached. Nearly always all of them, or all
 * but the newest few. */
static size_t reached(const struct lag *lag, uint64_t position)
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
	return low;
}

int64_t lag_fresh_as_of(const struct lag *lag, uint64_t position)
{
	size_t count = reached(lag, position);

	return count == 0 ? 0 : lag->samples[count - 1].sent_ns;
}

int64_t lag_behind(const struct lag *lag, uint64_t position, int64_t now_ns)
{
	size_t count = reached(lag, position);

	return count == lag->count ? 0 : now_ns - lag->samples[count].sent_ns;
}

bool lag_first_after(const struct lag *lag, int64_t ns, uint64_t *offset)
{
	size_t low = 0;
	size_t high = lag->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lag->samples[middle].sent_ns <= ns)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == lag->count)
		return false;
	*offset = lag->samples[low].offset;
	return true;
}

const struct lag_sample *lag_newest(const struct lag *lag)
{
	return lag->count == 0 ? NULL : &lag->samples[lag->count - 1];
}
