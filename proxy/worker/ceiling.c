/* Weighing is a walk over all clients, so it is done now and then: every second
 * for the counters, five times a second where there is a ceiling, and every tick
 * once half of it is used. What workers know of each other are the sums and the
 * heaviest of the last time. */
#include "ceiling.h"

#include "../backend/backend.h"
#include "../client/client.h"
#include "../log.h"
#include "../backend/request.h"
#include "worker.h"

enum {
	TICKS_WITHOUT_CEILING = 1000 / WORKER_TICK_MS,
	TICKS_BELOW_HALF = 200 / WORKER_TICK_MS,
	OFFENDER_BYTES = 64 * 1024, /* whoever holds less is no help */
	OFFENDERS_PER_TICK = 16,
};

static size_t weigh_backend(const struct backend *backend)
{
	return sizeof(*backend) + backend->stream.capacity + backend->own_reply.capacity + backend->reading.whole.capacity;
}

/* Its own connection's share is its own. */
static size_t weigh_client(const struct client *client)
{
	const struct backend *pinned = client->session.pinned;

	return sizeof(*client) + client->in.capacity + client->out.capacity + client->held_bytes +
	       client->in_flight * sizeof(struct request) + (pinned != NULL ? weigh_backend(pinned) : 0);
}

static void set_gauge(struct worker *worker, enum stat_id id, size_t bytes)
{
	stats_add(&worker->stats, id, (int64_t)bytes - stats_get(&worker->stats, id));
}

/* Returns the heaviest client; NULL: there is none. */
static struct client *weigh(struct worker *worker)
{
	struct list_link *link, *following;
	struct client *heaviest = NULL;
	size_t clients = 0, backends = 0, most = 0;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);
		size_t weight = weigh_client(client);

		clients += weight;
		if (weight > most) {
			most = weight;
			heaviest = client;
		}
	}
	LIST_EACH(&worker->backends, link, following) {
		const struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		backends += backend->owner == NULL ? weigh_backend(backend) : 0;
	}
	set_gauge(worker, STAT_memory_clients, clients);
	set_gauge(worker, STAT_memory_servers, backends);
	atomic_store_explicit(&worker->heaviest_bytes, (int64_t)most, memory_order_relaxed);
	return heaviest;
}

static int64_t held_by_all(const struct worker_shared *shared)
{
	int64_t sum = 0;

	for (size_t i = 0; i < shared->worker_count; i++)
		sum += stats_get(&shared->workers[i]->stats, STAT_memory_clients) +
		       stats_get(&shared->workers[i]->stats, STAT_memory_servers);
	return sum;
}

static bool is_heaviest_of_all(const struct worker *worker)
{
	const struct worker_shared *shared = worker->shared;
	int64_t own = atomic_load_explicit(&worker->heaviest_bytes, memory_order_relaxed);

	for (size_t i = 0; i < shared->worker_count; i++)
		if (atomic_load_explicit(&shared->workers[i]->heaviest_bytes, memory_order_relaxed) > own)
			return false;
	return own >= OFFENDER_BYTES;
}

static bool is_due(const struct worker *worker)
{
	int64_t ceiling = worker->config->max_memory;
	unsigned every = ceiling == 0				     ? TICKS_WITHOUT_CEILING
			 : held_by_all(worker->shared) > ceiling / 2 ? 1
								     : TICKS_BELOW_HALF;

	return worker->ticks % every == 0;
}

void ceiling_tick(struct worker *worker)
{
	int64_t ceiling = worker->config->max_memory;
	struct client *heaviest;

	if (!is_due(worker))
		return;
	heaviest = weigh(worker);
	for (int i = 0; i < OFFENDERS_PER_TICK && ceiling != 0 && heaviest != NULL; i++) {
		if (held_by_all(worker->shared) <= ceiling || !is_heaviest_of_all(worker))
			return;
		client_close(heaviest, CLOSE_memory);
		heaviest = weigh(worker);
	}
}
