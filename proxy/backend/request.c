#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../client/client.h"
#include "../slab.h"

struct request *request_create(struct slab *slab, enum request_kind kind, unsigned flags, uint32_t now_ms)
{
	struct request *request = slab_get(slab);

	memset(request, 0, sizeof(*request));
	request->kind = (uint8_t)kind;
	request->flags = flags;
	request->enqueued_ms = now_ms;
	return request;
}

struct request *request_repeat(struct slab *slab, struct request *request, uint32_t length)
{
	struct request *next = slab_get(slab);

	*next = *request;
	next->at += request->length;
	next->length = length;
	request->next_of_client = request->next_of_backend = next;
	return next;
}

void request_hold(struct request *request, const char *bytes, size_t length)
{
	if (request->held == NULL)
		request->held = alloc_zeroed(1, sizeof(*request->held));
	buf_append(request->held, bytes, length);
	if (request->client != NULL)
		request->client->held_bytes += length;
}

struct buf *request_take_held(struct request *request)
{
	struct buf *held = request->held;

	if (held != NULL && request->client != NULL)
		request->client->held_bytes -= buf_length(held);
	request->held = NULL;
	return held;
}

void request_drop_held(struct request *request)
{
	struct buf *held = request_take_held(request);

	if (held == NULL)
		return;
	buf_free(held);
	free(held);
}

void request_hold_instead(struct request *request, struct slice bytes)
{
	request_drop_held(request);
	request_hold(request, bytes.bytes, bytes.length);
}

struct slice request_held(const struct request *request)
{
	return request->held != NULL ? buf_slice(request->held) : slice_of("");
}

void request_free(struct slab *slab, struct request *request)
{
	request_drop_held(request);
	slab_put(slab, request);
}

_Static_assert(offsetof(struct request, next_of_client) == 0, "a row of requests is one of spare objects");

void request_free_row(struct slab *slab, struct request *first, struct request *last, size_t count)
{
	slab_put_row(slab, first, last, count);
}
