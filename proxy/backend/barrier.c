#include "barrier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/encode.h"
#include "backend.h"
#include "backend_parts.h"
#include "../log.h"
#include "pool.h"
#include "../worker/worker.h"

static size_t count_of(const struct backend *backend)
{
	return buf_length(&backend->barriers) / sizeof(uint64_t);
}

bool barrier_is_up(const struct worker *worker)
{
	return atomic_load_explicit(&worker->shared->barriers, memory_order_acquire) > 0;
}

static bool is_same_master(const struct backend *lost)
{
	const struct snapshot *snapshot = lost->worker->snapshot;
	const struct snapshot_node *master = snapshot->master >= 0 ? &snapshot->nodes[snapshot->master] : NULL;

	return lost->key.node == BACKEND_TO_MASTER && master != NULL && master->id == lost->node_id &&
	       master->incarnation == lost->incarnation;
}

/* A session's own backend ends with its connection: the shared one of the same
 * user does it in its place. */
static struct backend *killing_lane(struct backend *lost)
{
	struct backend_key key = lost->key;

	if (key.kind != BACKEND_PRIVATE)
		return lost;
	key.kind = BACKEND_SHARED;
	return pool_shared(lost->worker, &key);
}

void barrier_raise(struct backend *lost)
{
	struct backend *lane;

	if (lost->server_id == 0 || !is_same_master(lost))
		return;
	lane = killing_lane(lost);
	buf_append(&lane->barriers, &lost->server_id, sizeof(lost->server_id));
	atomic_fetch_add_explicit(&lane->worker->shared->barriers, 1, memory_order_release);
	log_verbose("connection %" PRIu64 " to node %u was lost with writes under way: it is killed before anything is read",
		    lost->server_id, lost->node_id);
	if (lane != lost && lane->state == BACKEND_READY)
		barrier_ready(lane);
	else if (lane != lost)
		backend_open(lane);
}

/* One kill of those that this connection was not asked for yet. */
static bool ask_next(struct backend *backend)
{
	struct worker *worker = backend->worker;
	struct buf bytes = { 0 };
	char id[24];
	uint64_t number;

	if (backend->barriers_asked == count_of(backend))
		return false;
	memcpy(&number, buf_head(&backend->barriers) + backend->barriers_asked * sizeof(number), sizeof(number));
	snprintf(id, sizeof(id), "%" PRIu64, number);
	encode_request_words(&bytes, "CLIENT", "KILL", "ID", id, NULL);
	backend->barriers_asked++;
	backend->barriers_due++;
	backend_link_request(backend, request_create(&worker->requests, REQUEST_BARRIER, 0, worker->now_ms),
			     buf_slice(&bytes));
	buf_free(&bytes);
	return true;
}

void barrier_begin_handshake(struct backend *backend)
{
	backend->barriers_asked = backend->barriers_due = 0;
	while (ask_next(backend))
		;
}

void barrier_ready(struct backend *backend)
{
	while (ask_next(backend))
		backend_mark_dirty(backend);
}

void barrier_answered(struct backend *backend)
{
	if (--backend->barriers_due == 0 && backend->barriers_asked == count_of(backend))
		barrier_lower(backend);
}

void barrier_lower(struct backend *backend)
{
	size_t count = count_of(backend);

	backend->barriers_asked = backend->barriers_due = 0;
	if (count == 0)
		return;
	buf_free(&backend->barriers);
	atomic_fetch_sub_explicit(&backend->worker->shared->barriers, (unsigned)count, memory_order_release);
}
