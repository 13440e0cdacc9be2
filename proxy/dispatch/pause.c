#include "pause.h"

#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../clock.h"
#include "../worker/errand.h"
#include "../worker/worker.h"

enum {
	LINGER_MS = 250,      /* a server looks at its clock only now and then: it may hold on for so long */
	CLEAR_MS = 1000,      /* that shared lanes get to answer what they have been sent */
	AHEAD_MS = 2 * 1000,  /* of diverting for a pause that is not there yet, beside write_hold */
};

/* ---- state ---- */

void pause_init(struct pause *pause)
{
	*pause = (struct pause){ .mode = PAUSE_NONE };
	list_init(&pause->held);
	list_init(&pause->clearings);
}

void pause_prepare(struct pause *pause, int64_t ahead_until_ns)
{
	pause->coming++;
	pause->ahead_until_ns = ahead_until_ns;
	pause->diverts = true;
}

void pause_begin(struct pause *pause, enum pause_mode mode, int64_t end_ns, int64_t now_ns)
{
	if (pause->mode == PAUSE_NONE || pause->end_ns <= now_ns) {
		pause->mode = mode;
		pause->end_ns = end_ns;
	}
	if (mode > pause->mode)
		pause->mode = mode;
	if (end_ns > pause->end_ns)
		pause->end_ns = end_ns;
	if (pause->end_ns > pause->divert_until_ns)
		pause->divert_until_ns = pause->end_ns;
	if (pause->coming > 0)
		pause->coming--;
	pause->told_ns = now_ns;
	pause->diverts = true;
}

void pause_end(struct pause *pause, int64_t asked_ns)
{
	if (pause->told_ns < asked_ns) {
		pause->mode = PAUSE_NONE;
		pause->diverts = pause->coming > 0;
		pause->divert_until_ns = 0;
	} else if (pause->mode == PAUSE_ALL) {
		pause->mode = PAUSE_WRITE;
	}
}

bool pause_expire(struct pause *pause, int64_t now_ns)
{
	bool ends = pause->mode != PAUSE_NONE && pause->end_ns <= now_ns;
	bool stops;

	if (pause->ahead_until_ns <= now_ns)
		pause->coming = 0;
	stops = pause->diverts && pause->coming == 0 && now_ns - pause->divert_until_ns > clock_ms_to_ns(LINGER_MS);
	if (ends)
		pause->mode = PAUSE_NONE;
	if (stops)
		pause->diverts = false;
	return ends || stops;
}

/* ---- held clients ---- */

void pause_wake_one(struct worker *worker)
{
	struct list_link *link = list_take(&worker->pause.held);

	if (link != NULL)
		client_wake(CONTAINER_OF(link, struct client, resume));
}

void pause_wake_all(struct worker *worker)
{
	while (!list_is_empty(&worker->pause.held))
		pause_wake_one(worker);
}

void pause_divert(struct backend *backend)
{
	backend->diverted = true;
	backend->worker->pause.diverted++;
}

void pause_undivert(struct backend *backend)
{
	if (!backend->diverted)
		return;
	backend->diverted = false;
	backend->worker->pause.diverted--;
	pause_wake_one(backend->worker);
}

bool pause_may_hold(const struct backend *backend)
{
	return backend->worker->pause.diverts && (backend->head == NULL || backend->held_after != backend->head->at + 1);
}

/* Diverting begins. What the private backends carry now the master gets before
 * the pause, unless it has been told of that already. */
static void begin_diverting(struct worker *worker, bool is_told)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);
		bool is_before = !is_told && backend->state == BACKEND_READY && backend->head != NULL;

		backend->held_after = is_before ? backend->head->at + 1 : 0;
	}
}

void pause_told(struct worker *worker, enum pause_mode mode, int64_t end_ns, int64_t now_ns)
{
	if (!worker->pause.diverts)
		begin_diverting(worker, true);
	pause_begin(&worker->pause, mode, end_ns, now_ns);
}

/* ---- clearing the lanes ---- */

/* Goes round before the master is told: at each worker it stays until what the
 * shared lanes had been sent before is answered. */
struct clearing {
	struct errand errand;
	struct list_link of_pause;
	void (*then)(struct client *client);
	int64_t deadline_ns;
	uint32_t since_ms;        /* worker time; what was enqueued later is diverted where it has to be */
};

static bool is_shared_lane(const struct backend *backend)
{
	return (backend->key.kind == BACKEND_SHARED || backend->key.kind == BACKEND_SCRIPT) &&
	       backend->key.node == BACKEND_TO_MASTER;
}

static const struct request *oldest(const struct backend *backend)
{
	const struct request *request = backend->head;

	while (request != NULL && request->kind == REQUEST_HANDSHAKE)
		request = request->next_of_backend;
	return request;
}

static bool is_clear(const struct worker *worker, uint32_t since_ms)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following) {
		const struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);
		const struct request *request = is_shared_lane(backend) ? oldest(backend) : NULL;

		if (request != NULL && (int32_t)(request->enqueued_ms - since_ms) <= 0)
			return false;
	}
	return true;
}

static bool clear_here(struct errand *errand, struct worker *worker)
{
	struct clearing *clearing = CONTAINER_OF(errand, struct clearing, errand);
	int64_t ahead_ns = clock_ms_to_ns(worker->config->write_hold_ms + AHEAD_MS);

	if (!worker->pause.diverts)
		begin_diverting(worker, false);
	pause_prepare(&worker->pause, worker->now_ns + ahead_ns);
	clearing->since_ms = worker->now_ms;
	clearing->deadline_ns = worker->now_ns + clock_ms_to_ns(CLEAR_MS);
	if (is_clear(worker, clearing->since_ms))
		return true;
	list_append(&worker->pause.clearings, &clearing->of_pause);
	return false;
}

static void bring_clearing(struct errand *errand, struct client *client)
{
	struct clearing *clearing = CONTAINER_OF(errand, struct clearing, errand);

	if (client != NULL)
		clearing->then(client);
	free(clearing);
}

static const struct errand_kind clearings = { clear_here, bring_clearing };

void pause_clear_lanes(struct client *client, void (*then)(struct client *client))
{
	struct clearing *clearing = alloc_zeroed(1, sizeof(*clearing));

	list_init(&clearing->of_pause);
	clearing->then = then;
	errand_send(&clearing->errand, &clearings, client);
}

/* ---- upkeep ---- */

void pause_turn(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->pause.clearings, link, following) {
		struct clearing *clearing = CONTAINER_OF(link, struct clearing, of_pause);

		if (!is_clear(worker, clearing->since_ms) && worker->now_ns < clearing->deadline_ns && !worker->halted)
			continue;
		list_remove(link);
		errand_go_on(&clearing->errand);
	}
}

void pause_tick(struct worker *worker)
{
	if (pause_expire(&worker->pause, worker->now_ns))
		pause_wake_all(worker);
	pause_turn(worker);
}
