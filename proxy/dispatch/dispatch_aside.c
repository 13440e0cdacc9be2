/* Reads that leave a shared connection, which stays; orphans eat the replies.
 *
 * Behind a large reply (flow.h): sent again on the connection that takes the
 * place of that one, to the same node, and it is no failure of anybody's.
 *
 * Behind a request that the node has not answered in time: sent again to another
 * node, as if the connection had been lost. */
#include "dispatch_parts.h"

#include "../backend/consistency.h"
#include "delivery.h"
#include "../backend/pool.h"

/* What a session has seen over one connection it sees over another one, too, if
 * both are of the same run of a server. Any run of a master will do: there is no
 * older one. */
static bool is_same_run(const struct backend *from, const struct backend *to)
{
	return from->key.node == BACKEND_TO_MASTER ||
	       (to->state != BACKEND_IDLE && to->node_id == from->node_id && to->incarnation == from->incarnation);
}

/* A session that has anything but plain reads here stays: what its reads see
 * depends on that. So does the one whose reply is large: its next replies shall
 * not come before that one is read. */
static void mark_who_stays(const struct backend *from, bool stays)
{
	for (struct request *request = from->head; request != NULL; request = request->next_of_backend)
		if (request->client != NULL && (!stays || request == from->head || !(request->flags & REQUEST_READ) ||
						(request->flags & REQUEST_STALE)))
			request->client->stays = stays;
}

static void move(struct request *request, struct slice bytes, struct backend *to)
{
	request->enqueued_ms = to->worker->now_ms;
	if (request->flags & REQUEST_ON_LANE)
		request->client->lane = to;
	stats_add(&to->worker->stats, STAT_moved_reads, 1);
	backend_enqueue(to, request, bytes);
}

void dispatch_step_aside(struct backend *from)
{
	struct backend *to = pool_shared(from->worker, &from->key);

	consistency_step_aside(from, to);
	if (!is_same_run(from, to))
		return;
	mark_who_stays(from, true);
	for (struct request *before = from->head; before->next_of_backend != NULL; before = before->next_of_backend) {
		struct request *request = before->next_of_backend;

		if (request->client != NULL && !request->client->stays)
			move(request, backend_request_bytes(from, backend_replace(from, before)), to);
	}
	mark_who_stays(from, false);
}

/* ---- a node that is silent ---- */

/* Some of a reply that has begun has gone to the client, which cannot be told
 * anything else any more. No other run of a server can go on with a cursor. */
static bool may_leave(const struct request *request)
{
	return request->client != NULL && (request->flags & REQUEST_READ) && (request->flags & REQUEST_ON_REPLICA) &&
	       !(request->flags & REQUEST_STREAMING) && !request_is_bound(request);
}

/* The command that the server may be busy with. A ROLE in front of it may have been
 * answered, but a server writes its replies when it has run all that it read. */
static void blame(struct request *head)
{
	while (head != NULL && head->kind == REQUEST_ROLE)
		head = head->next_of_backend;
	if (head != NULL)
		head->flags |= REQUEST_TIMED_OUT;
}

static void leave(struct backend *from, struct request *before, struct request *request)
{
	struct slice bytes = backend_request_bytes(from, request);

	if (backend_has_sent(from, request))
		request->flags |= REQUEST_SENT;
	backend_replace(from, before);
	delivery_lost(from->worker, request, from, true, bytes);
}

bool dispatch_leave_silent(struct backend *from)
{
	struct request *before = NULL, *request;
	bool any = false;

	blame(from->head);
	for (request = from->head; request != NULL; before = request, request = request->next_of_backend) {
		if (!may_leave(request))
			continue;
		leave(from, before, request);
		request = before != NULL ? before->next_of_backend : from->head; /* its orphan */
		any = true;
	}
	delivery_settle(from->worker);
	return any;
}
