#ifndef WEIR_PROXY_STATS_H
#define WEIR_PROXY_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Counters: one array per worker, written by that worker alone with plain
 * loads and stores (no locked instruction), read by anybody. */

enum stat_id {
#define STAT(field, kind, metric, labels, help) STAT_##field,
#include "stats.def"
#undef STAT
	STAT_COUNT
};

enum stat_kind { STAT_KIND_COUNTER, STAT_KIND_GAUGE };

struct stat_row {
	const char *field;
	enum stat_kind kind;
	const char *metric;
	const char *labels;
	const char *help;
};

/* Indexed by enum stat_id. */
extern const struct stat_row stat_rows[STAT_COUNT];

struct stats {
	_Alignas(64) _Atomic int64_t values[STAT_COUNT];
};

/* Owner thread only. */
static inline void stats_add(struct stats *stats, enum stat_id id, int64_t by)
{
	int64_t value = atomic_load_explicit(&stats->values[id], memory_order_relaxed);

	atomic_store_explicit(&stats->values[id], value + by, memory_order_relaxed);
}

/* Any thread. */
static inline int64_t stats_get(const struct stats *stats, enum stat_id id)
{
	return atomic_load_explicit(&stats->values[id], memory_order_relaxed);
}

/* The sum over several workers. Any thread. */
int64_t stats_sum(const struct stats *const *all, size_t count, enum stat_id id);
/* As what a command counts on the replica endpoint that went to its session's
 * home, where it would count as `id` had it gone to the master. */
enum stat_id stats_at_home(enum stat_id id);
/* The other way round, when the master has to stand in. */
enum stat_id stats_at_master(enum stat_id id);

/* Of commands, whatever the answer was; and, but for reads, wherever they went. */
int64_t stats_of_commands(const struct stats *const *all, size_t count, enum stat_id id);

#endif
