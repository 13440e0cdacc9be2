#include "flow.h"

#include "backend.h"
#include "../client/client.h"
#include "../clock.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "pool.h"
#include "../worker/worker.h"

enum {
	LARGE_BYTES = 1024 * 1024,       /* of a reply, before its connection steps aside */
	HUGE_BYTES = 4 * 1024 * 1024,    /* still to come of it, for which others do not wait */
	PAUSE_BYTES = 1024 * 1024,       /* kept for a client, beyond which no more is read for it */
	PATIENCE_MS = 200,               /* of others who cannot step aside, with a slow client */
};

/* ---- pausing ---- */

void flow_release(struct backend *backend)
{
	if (backend->paused_for == NULL)
		return;
	backend->paused_for->pauses--;
	backend->paused_for = NULL;
	backend->last_read_ns = backend->worker->now_ns; /* it was weir that was silent */
	backend_pause_reading(backend, false);
}

static void pause_for(struct backend *backend, struct client *client)
{
	if (backend->paused_for != NULL)
		return;
	backend->paused_for = client;
	backend->paused_ns = backend->worker->now_ns;
	client->pauses++;
	backend_pause_reading(backend, true);
}

/* It reads too slowly, or an earlier reply of it is not there yet. */
static bool lags(const struct client *client, const struct request *request)
{
	return !client->writes_first && (client->head == request ? buf_length(&client->out) : client->held_bytes) > PAUSE_BYTES;
}

void flow_resume(struct client *client)
{
	struct backend *pinned = client->session.pinned;
	struct backend *next = client->head != NULL ? client->head->backend : NULL;

	if (pinned != NULL && pinned->paused_for == client)
		flow_release(pinned);
	if (next != NULL && next->paused_for == client)
		flow_release(next);
}

/* ---- stepping aside ---- */

/* More than a megabyte of a reply has come that is passed on as it comes, or
 * dropped. */
static bool is_large(const struct backend *backend)
{
	return backend->mid_reply && backend->reply_length > LARGE_BYTES && backend->mode != DELIVERY_OWN &&
	       (backend->head->client == NULL || !(backend->head->flags & REQUEST_WHOLE));
}

static bool delays_others(const struct backend *backend)
{
	const struct request *head = backend->head;

	return head->client == NULL || lags(head->client, head) || backend->framer.bulk_left > HUGE_BYTES;
}

/* What is left can be given up with its connection: nobody waits for it, and
 * nothing of it changes data. */
static bool is_worthless(const struct backend *backend)
{
	for (const struct request *request = backend->head; request != NULL; request = request->next_of_backend)
		if (request->client != NULL || !(request->flags & REQUEST_READ))
			return false;
	return true;
}

static void step_aside(struct backend *backend)
{
	const struct request *head = backend->head;

	if (!backend->aside) {
		if (!pool_set_aside(backend))
			return;
		stats_add(&backend->worker->stats, STAT_large_replies, 1);
		dispatch_step_aside(backend);
	}
	if (is_worthless(backend))
		backend_destroy(backend, DROP_worthless);
	else if (head->client != NULL && lags(head->client, head) && backend->mode != DELIVERY_DROP && !backend->hurried)
		pause_for(backend, head->client);
}

void flow_check(struct backend *backend)
{
	if (backend->owner != NULL) {
		if (buf_length(&backend->owner->out) > PAUSE_BYTES && !backend->owner->writes_first)
			pause_for(backend, backend->owner);
	} else if (is_large(backend) && delays_others(backend)) {
		step_aside(backend);
	}
}

static bool others_wait(const struct backend *backend)
{
	const struct request *head = backend->head;

	for (const struct request *request = head; request != NULL; request = request->next_of_backend)
		if (request->client != NULL && request->client != head->client)
			return true;
	return false;
}

void flow_tick(struct backend *backend)
{
	backend->hurried = backend->hurried && backend->head != NULL;
	if (backend->paused_for == NULL || !backend->aside || !others_wait(backend) ||
	    backend->worker->now_ns - backend->paused_ns < clock_ms_to_ns(PATIENCE_MS))
		return;
	backend->hurried = true;
	flow_release(backend);
}

void flow_let_go(struct client *client)
{
	struct list_link *link, *following;

	if (client->pauses == 0)
		return;
	LIST_EACH(&client->worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (backend->paused_for == client)
			flow_release(backend);
	}
}
