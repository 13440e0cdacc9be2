/* Reads that stand behind a large reply on a shared connection which steps aside
 * (flow.h): they are sent again on the connection that takes its place, to the
 * same node, and it is no failure of anybody's. */
#include "dispatch_parts.h"

#include "consistency.h"
#include "pool.h"

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
