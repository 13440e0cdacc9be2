#include "give_back.h"

#include <ev.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../measures/stats.h"

enum {
	SECONDS = 2,                   /* between two looks */
	WORTH_BYTES = 16 * 1024 * 1024,
};

struct give_back {
	struct ev_loop *loop;
	const struct stats *const *stats;
	size_t count;
	ev_timer timer;
	int64_t kept;   /* resident but not held, when it was looked at last, ... */
	int64_t least;  /* ... and when something had been given back: what weir itself is */
};

/* Bytes; 0: the system does not tell. */
static int64_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long all = 0, pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lld %lld", &all, &pages) != 2)
		pages = 0;
	fclose(file);
	return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t held(const struct give_back *give_back)
{
	return stats_sum(give_back->stats, give_back->count, STAT_memory_clients) +
	       stats_sum(give_back->stats, give_back->count, STAT_memory_servers);
}

/* Not while it still grows or shrinks: that is a burst. */
static void look(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct give_back *give_back = timer->data;
	int64_t before = give_back->kept;

	(void)loop;
	(void)events;
	give_back->kept = resident() - held(give_back);
	if (give_back->least == 0)
		give_back->least = give_back->kept;
	if (give_back->kept < give_back->least + WORTH_BYTES || llabs(give_back->kept - before) > WORTH_BYTES / 2)
		return;
	malloc_trim(0);
	give_back->least = give_back->kept = resident() - held(give_back);
}

struct give_back *give_back_start(struct ev_loop *loop, const struct stats *const *stats, size_t count)
{
	struct give_back *give_back = alloc_zeroed(1, sizeof(*give_back));

	give_back->loop = loop;
	give_back->stats = stats;
	give_back->count = count;
	ev_timer_init(&give_back->timer, look, SECONDS, SECONDS);
	give_back->timer.data = give_back;
	ev_timer_start(loop, &give_back->timer);
	return give_back;
}

void give_back_stop(struct give_back **handle)
{
	struct give_back *give_back = *handle;

	*handle = NULL;
	if (give_back == NULL)
		return;
	ev_timer_stop(give_back->loop, &give_back->timer);
	free(give_back);
}
