#include "ending.h"

#include <ev.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../topology/journal.h"
#include "../clock.h"
#include "../log.h"
#include "service.h"
#include "../worker/worker.h"

#define PROGRESS_SECONDS 1.0

enum { AFTER_DRAIN_MS = 5000 }; /* to close everything, on a busy machine */

struct ending {
	struct ev_loop *loop;
	struct worker_shared *shared;
	struct journal *journal;
	struct service *service;
	ev_timer progress;
	int64_t deadline_ns; /* 0: weir goes on */
};

static int64_t left_ms(const struct ending *ending)
{
	int64_t left_ns = ending->deadline_ns - clock_ns();

	return left_ns > 0 ? left_ns / CLOCK_NS_PER_MS : 0;
}

static void on_progress(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct ending *ending = timer->data;
	long long clients = (long long)workers_open_clients(ending->shared);

	(void)loop;
	(void)events;
	log_notice("draining: %lld client%s left, for %lld ms at most", clients, clients == 1 ? "" : "s",
		   (long long)left_ms(ending));
	service_stopping(ending->service, left_ms(ending) + AFTER_DRAIN_MS);
}

void ending_begin(struct ending *ending, int64_t drain_timeout_ms)
{
	ending->deadline_ns = clock_ns() + clock_ms_to_ns(drain_timeout_ms);
	journal_note(ending->journal, EVENT_draining, NULL, "draining: no new clients, %lld open, at most %lld ms",
		     (long long)workers_open_clients(ending->shared), (long long)drain_timeout_ms);
	service_stopping(ending->service, drain_timeout_ms + AFTER_DRAIN_MS);
	ev_timer_start(ending->loop, &ending->progress);
	for (size_t i = 0; i < ending->shared->worker_count; i++)
		worker_drain(ending->shared->workers[i]);
}

bool ending_has_begun(const struct ending *ending)
{
	return ending->deadline_ns != 0;
}

void ending_hurry(struct ending *ending)
{
	ending->deadline_ns = clock_ns();
	service_stopping(ending->service, AFTER_DRAIN_MS);
	for (size_t i = 0; i < ending->shared->worker_count; i++)
		worker_halt(ending->shared->workers[i]);
}

struct ending *ending_create(struct ev_loop *loop, struct worker_shared *shared, struct journal *journal,
			     struct service *service)
{
	struct ending *ending = alloc_zeroed(1, sizeof(*ending));

	ending->loop = loop;
	ending->shared = shared;
	ending->journal = journal;
	ending->service = service;
	ev_timer_init(&ending->progress, on_progress, PROGRESS_SECONDS, PROGRESS_SECONDS);
	ending->progress.data = ending;
	return ending;
}

void ending_destroy(struct ending **ending)
{
	ev_timer_stop((*ending)->loop, &(*ending)->progress);
	free(*ending);
	*ending = NULL;
}
