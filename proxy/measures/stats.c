#include "stats.h"

#include <stdbool.h>

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

static const uint8_t at_home[STAT_COUNT] = {
	[STAT_reads_on_master] = STAT_reads_on_replicas,
	[STAT_master_reads] = STAT_master_reads_at_home,
	[STAT_writes] = STAT_writes_at_home,
	[STAT_scripts] = STAT_scripts_at_home,
	[STAT_private] = STAT_private_at_home,
};

enum stat_id stats_at_home(enum stat_id id)
{
	return at_home[id] != 0 ? (enum stat_id)at_home[id] : id;
}

enum stat_id stats_at_master(enum stat_id id)
{
	for (size_t i = 0; i < STAT_COUNT; i++)
		if (id != 0 && at_home[i] == id)
			return (enum stat_id)i;
	return id;
}

static int64_t answered(const struct stats *const *all, size_t count, enum stat_id id)
{
	int64_t sum = stats_sum(all, count, id);

	return id == STAT_refused ? sum : sum + stats_sum(all, count, id + 1);
}

int64_t stats_of_commands(const struct stats *const *all, size_t count, enum stat_id id)
{
	enum stat_id home = stats_at_home(id);
	bool has_two = home != id && home != STAT_reads_on_replicas;

	return answered(all, count, id) + (has_two ? answered(all, count, home) : 0);
}
