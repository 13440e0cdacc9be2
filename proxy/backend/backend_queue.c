/* A backend's queue of requests, and the stream that holds their bytes
 * (backend.h has the picture). Requests stand in the queue in the order in
 * which the server will answer; their bytes leave the stream when it has. */
#include "backend_parts.h"

#include <assert.h>
#include <string.h>

#include "consistency.h"
#include "../dispatch/delivery.h"
#include "../worker/worker.h"

enum { BATCH_BYTES = 16 * 1024 };

bool backend_has_nothing_to_do(const struct backend *backend)
{
	return backend->head == NULL && buf_length(&backend->stream) == 0 && buf_length(&backend->barriers) == 0;
}

/* ---- queue and stream ---- */

struct slice backend_request_bytes(const struct backend *backend, const struct request *request)
{
	return (struct slice){ buf_head(&backend->stream) + (request->at - backend->base), request->length };
}

struct node_load *backend_load(const struct backend *backend)
{
	if (!backend->has_target || backend->node_id >= backend->worker->load_count)
		return NULL;
	return &backend->worker->loads[backend->node_id];
}

static void count_outstanding(struct backend *backend, uint32_t cost, uint32_t count)
{
	struct node_load *load = backend_load(backend);

	backend->outstanding += cost * count;
	if (load == NULL)
		return;
	load->outstanding += cost * count;
	load->served += cost > 0 ? count : 0;
}

static void count_answered(struct backend *backend, uint32_t cost)
{
	struct node_load *load = backend_load(backend);

	backend->outstanding -= cost;
	if (load != NULL)
		load->outstanding -= cost;
}

static void count_gone(struct backend *backend, const struct request *request)
{
	backend->crowd.present -= (request->flags & REQUEST_IN_CROWD) != 0;
	count_answered(backend, request->cost);
}

static uint64_t stream_end(const struct backend *backend)
{
	return backend->base + buf_length(&backend->stream);
}

/* A server reads its input in pieces of 16 KB and runs what is in one without
 * looking at anything else (redis PROTO_IOBUF_LEN): a ROLE proves what stands
 * in the same one. */
static bool batch_is_open(const struct backend *backend)
{
	return backend->batch_open && stream_end(backend) - backend->batch_at < BATCH_BYTES;
}

void backend_link_role(struct backend *backend)
{
	struct worker *worker = backend->worker;
	bool to_master = backend->key.node == BACKEND_TO_MASTER;
	struct request *role = request_create(&worker->requests, REQUEST_ROLE,
					      to_master ? 0 : REQUEST_READ | REQUEST_FAST, worker->now_ms);

	role->floor = (uint64_t)worker->now_ns;
	backend->batch_open = true;
	backend->batch_at = stream_end(backend);
	backend->roles_sent++;
	backend_link_request(backend, role, slice_of("*1\r\n$4\r\nrOLE\r\n"));
}

void backend_link_request(struct backend *backend, struct request *request, struct slice bytes)
{
	if (WEIR_PROOFS && (request->flags & REQUEST_ON_REPLICA) && !batch_is_open(backend))
		backend_link_role(backend);
	if ((request->flags & REQUEST_WRITE) && backend->key.node == BACKEND_TO_MASTER)
		backend->wants_role = true;
	request->backend = backend;
	request->next_of_backend = NULL;
	request->at = backend->base + buf_length(&backend->stream);
	request->length = (uint32_t)bytes.length;
	buf_append(&backend->stream, bytes.bytes, bytes.length);
	if (backend->head == NULL)
		backend->head = request;
	else
		backend->tail->next_of_backend = request;
	backend->tail = request;
	backend->crowd.present += (request->flags & REQUEST_IN_CROWD) != 0;
	count_outstanding(backend, request->cost, 1);
}

struct request *backend_unlink_head(struct backend *backend)
{
	struct request *request = backend->head;

	backend->head = request->next_of_backend;
	if (backend->head == NULL)
		backend->tail = NULL;
	request->backend = NULL;
	count_gone(backend, request);
	return request;
}

void backend_unlink_run(struct backend *backend, const struct request *last, uint32_t cost)
{
	uint64_t end = last->at + last->length;

	backend->head = last->next_of_backend;
	if (backend->head == NULL)
		backend->tail = NULL;
	count_answered(backend, cost);
	buf_consume(&backend->stream, end - backend->base);
	backend->base = end;
}

void backend_limit_to_begun(struct backend *backend)
{
	const struct request *request = backend->head;
	bool goes_on = false;

	while (request != NULL && backend_has_sent(backend, request))
		request = request->next_of_backend;
	backend->send_limit = backend->sent;
	for (; request != NULL; request = request->next_of_backend, goes_on = true) {
		bool torn = (request->flags & REQUEST_BLOCK) && request->step != BLOCK_BEGINS;

		if (!torn && (goes_on || request->at >= backend->sent))
			break;
		backend->send_limit = request->at + request->length;
	}
}

void backend_mark_dirty(struct backend *backend)
{
	list_mark(&backend->worker->dirty_backends, &backend->dirty);
}

static void wake_up(struct backend *backend)
{
	if (backend->state == BACKEND_IDLE)
		backend_retarget(backend, backend->worker->snapshot);
	backend_mark_dirty(backend);
}

void backend_enqueue(struct backend *backend, struct request *request, struct slice bytes)
{
	backend_link_request(backend, request, bytes);
	wake_up(backend);
}

size_t backend_row_room(const struct backend *backend)
{
	if (!WEIR_PROOFS || !(backend->tail->flags & REQUEST_ON_REPLICA))
		return BATCH_BYTES;
	return batch_is_open(backend) ? backend->batch_at + BATCH_BYTES - stream_end(backend) : 0;
}

void backend_extend(struct backend *backend, struct request *last, uint32_t count, struct slice bytes)
{
	buf_append(&backend->stream, bytes.bytes, bytes.length);
	backend->tail = last;
	count_outstanding(backend, last->cost, count);
}

char *backend_reserve(struct backend *backend, size_t room)
{
	return buf_reserve(&backend->stream, room);
}

void backend_produced(struct backend *backend, size_t count)
{
	buf_produced(&backend->stream, count);
	if (backend->uploading)
		backend->tail->length += (uint32_t)count;
	wake_up(backend);
}

void backend_forward(struct backend *backend, struct slice bytes)
{
	memcpy(backend_reserve(backend, bytes.length), bytes.bytes, bytes.length);
	backend_produced(backend, bytes.length);
}

void backend_begin_upload(struct backend *backend)
{
	backend->uploading = true;
}

void backend_end_upload(struct backend *backend)
{
	backend->uploading = false;
	backend_mark_dirty(backend);
}

void backend_forget_sent(struct backend *backend)
{
	buf_consume(&backend->stream, backend->sent - backend->base);
	backend->base = backend->sent;
	if (!backend->uploading)
		return;
	backend->head->at = backend->base;
	backend->head->length = (uint32_t)buf_length(&backend->stream);
	backend->head->flags |= REQUEST_CUT;
}

void backend_withdraw(struct backend *backend, struct request *request)
{
	struct request **link = &backend->head, *previous = NULL;

	assert(backend->state < BACKEND_HANDSHAKE);
	while (*link != request) {
		previous = *link;
		link = &previous->next_of_backend;
	}
	*link = request->next_of_backend;
	if (backend->tail == request)
		backend->tail = previous;
	request->backend = NULL;
	count_gone(backend, request);
}

/* The server that was lost over a request has ended, for all that is known by
 * it: so it counts as one more. */
static bool was_fatal_too_often(struct request *request)
{
	if (!(request->flags & REQUEST_SUSPECT))
		return false;
	request->flags &= ~(uint32_t)REQUEST_SUSPECT;
	return ++request->retries > REQUEST_RETRIES_MAX;
}

void backend_hand_back(struct backend *backend, const struct snapshot_node *target)
{
	bool other_run = target != NULL &&
			 (target->id != backend->node_id || target->incarnation != backend->incarnation);
	struct request *request, *following;

	for (request = backend->head; request != NULL; request = following) {
		struct slice bytes = backend_request_bytes(backend, request);

		following = request->next_of_backend;
		if (request->client == NULL ||
		    !(request_is_bound(request) || (other_run && was_fatal_too_often(request))))
			continue;
		backend_withdraw(backend, request);
		delivery_lost(backend->worker, request, backend, false, bytes);
	}
}

struct request *backend_replace(struct backend *backend, struct request *before)
{
	struct request **link = before != NULL ? &before->next_of_backend : &backend->head;
	struct request *request = *link;
	struct request *orphan = request_create(&backend->worker->requests, REQUEST_CLIENT,
						REQUEST_READ | (request->flags & REQUEST_IN_CROWD), request->enqueued_ms);

	orphan->backend = backend;
	orphan->next_of_backend = request->next_of_backend;
	orphan->at = request->at;
	orphan->length = request->length;
	orphan->cost = request->cost;
	*link = orphan;
	if (backend->tail == request)
		backend->tail = orphan;
	request->backend = NULL;
	request->next_of_backend = NULL;
	return orphan;
}

struct backlog backlog_take(struct backend *backend)
{
	struct backlog backlog = { backend->head, backend->stream, backend->base, backend->sent };

	for (struct request *request = backend->head; request != NULL; request = request->next_of_backend)
		count_gone(backend, request);
	backend->head = backend->tail = NULL;
	backend->stream = (struct buf){ 0 };
	backend->base = backend->sent = 0;
	backend->batch_open = false;
	return backlog;
}

struct request *backlog_next(struct backlog *backlog, struct slice *bytes)
{
	struct request *request = backlog->first;

	if (request == NULL)
		return NULL;
	backlog->first = request->next_of_backend;
	request->next_of_backend = NULL;
	request->backend = NULL;
	*bytes = (struct slice){ buf_head(&backlog->stream) + (request->at - backlog->base), request->length };
	return request;
}

/* Puts the backlog behind what the stream holds now; orphans stay behind, no
 * server has seen them. */
void backlog_requeue(struct backend *backend, struct backlog *backlog)
{
	struct request *request;
	struct slice bytes;

	while ((request = backlog_next(backlog, &bytes)) != NULL) {
		if (request->client == NULL)
			request_free(&backend->worker->requests, request);
		else
			backend_link_request(backend, request, bytes);
	}
	buf_wipe(&backlog->stream);
}
