/* Replies that need no thought, many at a time.
 *
 * Most replies are short, whole, no error, and wanted by a client that waits for
 * nothing before them; and a client that sends a pipeline gets a row of them.
 * The row is the unit then: its requests leave both queues together, its bytes
 * are handed over as one piece, and what one answer proves about the session is
 * noted once. What is not like that is taken one by one, in backend.c. */
#include "backend_parts.h"

#include "../../protocol/resp.h"
#include "../client/client.h"
#include "consistency.h"
#include "../dispatch/delivery.h"

/* Errors are judged, a null may be news about the key (delivery.c), an attribute
 * may have an error behind it, and a push is no reply. */
static bool is_plain(const char *reply, size_t length)
{
	switch (reply[0]) {
	case '+':
	case ':':
		return true;
	case '$':
		return length > 1 && reply[1] != '-';
	default:
		return false;
	}
}

/* What holds for all of a row: they were written together, and their floors are
 * proven. */
struct bounds {
	uint64_t end;
	uint64_t floor;
};

static struct bounds find_bounds(const struct backend *backend)
{
	const struct request *first = backend->head;
	uint64_t end = sendings_end(&backend->sendings, first->at + first->length);
	bool is_proven = WEIR_PROOFS && (first->flags & REQUEST_ON_REPLICA);

	return (struct bounds){ end < backend->sent ? end : backend->sent, is_proven ? backend->proof.position : UINT64_MAX };
}

/* One client's, counted in the same place there, and with nothing left to judge. */
static inline bool belongs(const struct request *request, const struct request *first, const struct bounds *bounds)
{
	return request->client == first->client && ((request->flags ^ first->flags) & REQUEST_ON_REPLICA) == 0 &&
	       request_is_plain(request) && request->at + request->length <= bounds->end && request->floor <= bounds->floor;
}

static inline bool is_alike(const struct request *request, const struct request *first)
{
	return request->begun_us == first->begun_us && ((request->flags ^ first->flags) & REQUEST_READ) == 0 &&
	       request->command == first->command && request->counts_as == first->counts_as;
}

/* The row at the head of the queue, and what it cost. Its count is 0 when there
 * is none. */
static struct delivery_row find_row(const struct backend *backend, const char *bytes, size_t length, uint32_t *cost)
{
	struct request *first = backend->head, *request = first;
	struct bounds bounds = find_bounds(backend);
	struct delivery_row row = { .first = first, .replies = { bytes, 0 }, .alike = true };

	*cost = 0;
	while (request != NULL && row.replies.length < length && belongs(request, first, &bounds) &&
	       is_plain(bytes + row.replies.length, length - row.replies.length)) {
		size_t reply = resp_reply_scalar(bytes + row.replies.length, length - row.replies.length);

		if (reply == 0)
			break;
		row.replies.length += reply;
		*cost += request->cost;
		row.flags |= request->flags;
		row.alike = row.alike && is_alike(request, first);
		row.count++;
		row.last = request;
		if (request->next_of_client != request->next_of_backend)
			break; /* something else stands between them in one of the queues */
		request = request->next_of_backend;
	}
	return row;
}

static bool may_have_row(const struct backend *backend)
{
	const struct request *first = backend->head;

	return first != NULL && !backend->mid_reply && backend->key.kind != BACKEND_PRIVATE && delivery_waits_for(first) &&
	       (!(first->flags & REQUEST_ON_REPLICA) || consistency_is_met(backend, first));
}

size_t backend_take_run(struct backend *backend, const char *bytes, size_t length, int64_t now_ns)
{
	struct request *first = backend->head;
	struct worker *worker = backend->worker;
	uint64_t generation = backend->generation;
	struct delivery_row row;
	uint32_t cost;

	if (!may_have_row(backend))
		return 0;
	row = find_row(backend, bytes, length, &cost);
	if (row.count == 0)
		return 0;
	backend_measure(backend, first, row.count, now_ns);
	row.requests = backend_request_bytes(backend, first).bytes;
	backend_unlink_run(backend, row.last, cost);
	delivery_run(worker, &row, backend, now_ns);
	if (!backend->closing && backend->generation == generation)
		backend_note_answer(backend, now_ns);
	return row.replies.length;
}
