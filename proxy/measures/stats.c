#include "stats.h"

const struct stat_row stat_rows[STAT_COUNT] = {
#define STAT(field, kind, metric, labels, help) { #field, STAT_KIND_##kind, metric, labels, help },
#include "stats.def"
#undef STAT
};

int64_t stats_sum(const struct stats *const *all, size_t count, enum stat_id id)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += stats_get(all[i], id);
	return sum;
}

int64_t stats_of_commands(const struct stats *const *all, size_t count, enum stat_id id)
{
	int64_t sum = stats_sum(all, count, id);

	return id == STAT_refused ? sum : sum + stats_sum(all, count, id + 1);
}
