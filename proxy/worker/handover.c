#include "handover.h"

#include "../backend/backend.h"
#include "../client/client.h"
#include "../clock.h"
#include "control_line.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "../backend/passage.h"
#include "../backend/pool.h"
#include "worker.h"

enum {
	GRACE_MS = 20,     /* everybody's writes wait meanwhile */
	UPLOAD_MS = 300,   /* an upload that does not stand still has so long */
	PASSAGE_MS = 1000, /* and subscribers, who hardly ever need them */
	LOOK_MS = 10,      /* between looks at what is waited for */
	ANSWERS_MS = 2000, /* the old master has said all it has to say long before */
};

static bool is_to_master(const struct backend *backend)
{
	return backend->key.node == BACKEND_TO_MASTER;
}

/* Something has been sent, a part of it perhaps, that is not answered yet. */
static bool is_asked(const struct backend *backend)
{
	return backend->state == BACKEND_READY && backend->head != NULL && backend->head->at < backend->sent;
}

static bool is_in_transaction(const struct backend *backend)
{
	const struct session *session = backend->owner != NULL ? &backend->owner->session : NULL;

	return session != NULL && (session->in_multi || session->bonds.in_multi || session->bonds.watching);
}

/* What a session has begun on its own connection may end there. */
static bool goes_on(const struct backend *backend)
{
	return backend->uploading || is_in_transaction(backend);
}

/* ---- holding ---- */

void handover_hold(struct backend *backend)
{
	if (!backend->worker->handover.holds || !is_to_master(backend) || backend->held)
		return;
	backend->held = true;
	if (backend->state == BACKEND_READY)
		backend_limit_to_begun(backend);
}

/* The time that they were held does not count as time without a master. */
static void release(struct backend *backend)
{
	for (struct request *request = backend->held ? backend->head : NULL; request != NULL; request = request->next_of_backend)
		request->enqueued_ms = backend->worker->now_ms;
	backend->held = false;
	if (backend->state == BACKEND_READY)
		backend_mark_dirty(backend);
}

static void each_to_master(struct worker *worker, void (*visit)(struct backend *backend))
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (is_to_master(backend))
			visit(backend);
	}
}

static void hold_unless_it_goes_on(struct backend *backend)
{
	if (!goes_on(backend))
		handover_hold(backend);
}

static void begin_hold(struct worker *worker)
{
	worker->handover.holds = true;
	worker->handover.held_id = worker->snapshot->nodes[worker->snapshot->master].id;
	worker->handover.grace_until_ns = worker->now_ns + clock_ms_to_ns(GRACE_MS);
	worker->handover.uploads_until_ns = worker->now_ns + clock_ms_to_ns(UPLOAD_MS);
	ev_timer_again(worker->loop, &worker->handover.look);
	each_to_master(worker, hold_unless_it_goes_on);
}

static void begin_arrival(struct worker *worker)
{
	worker->handover.arrives = true;
	worker->handover.passages_until_ns = worker->now_ns + clock_ms_to_ns(PASSAGE_MS);
	worker->handover.answers_until_ns = worker->now_ns + clock_ms_to_ns(ANSWERS_MS);
	each_to_master(worker, passage_begin);
}

/* Who is still on his way may have missed something already. */
static void tell_if_late(struct backend *backend)
{
	if (backend->passage != NULL)
		client_finish_alone(backend->owner, CLOSE_master_changed);
}

static void end_hold(struct worker *worker)
{
	worker->handover.holds = worker->handover.arrives = false;
	ev_timer_stop(worker->loop, &worker->handover.look);
	worker->handover.answers_until_ns = worker->now_ns + clock_ms_to_ns(ANSWERS_MS);
	each_to_master(worker, tell_if_late);
	each_to_master(worker, release);
}

/* What is waited for may be over by the time alone: a turn has to come. */
static void on_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
}

void handover_init(struct worker *worker)
{
	ev_timer_init(&worker->handover.look, on_look, 0., LOOK_MS / 1e3);
}

void handover_adopt(struct worker *worker)
{
	const struct snapshot *snapshot = worker->snapshot;
	const struct handover *handover = &worker->handover;

	if (snapshot->held && !handover->holds)
		begin_hold(worker);
	else if (snapshot->held && !handover->arrives && snapshot->nodes[snapshot->master].id != handover->held_id)
		begin_arrival(worker);
	else if (!snapshot->held && handover->holds)
		end_hold(worker);
}

/* ---- acknowledging ---- */

/* How fast it comes is its client's affair: nobody waits for one that takes its time. */
static bool is_arriving(const struct backend *backend)
{
	const struct worker *worker = backend->worker;

	return !backend->held && worker->now_ns < worker->handover.uploads_until_ns &&
	       worker->sending_us - sendings_us(&backend->sendings) < (uint32_t)GRACE_MS * 1000;
}

/* May what was sent over it, or what is about to be, still change data? */
static bool is_under_way(const struct backend *backend)
{
	if (!is_to_master(backend) || backend->state != BACKEND_READY)
		return false;
	if (backend->uploading)
		return is_arriving(backend);
	if (is_in_transaction(backend))
		return backend->worker->now_ns < backend->worker->handover.grace_until_ns;
	return is_asked(backend) && !(backend->head->flags & REQUEST_BLOCKS);
}

static bool is_drained(const struct worker *worker)
{
	const struct handover *handover = &worker->handover;
	struct list_link *link, *following;

	if (handover->arrives)
		return handover->passages == 0 || worker->now_ns >= handover->passages_until_ns;
	LIST_EACH(&worker->backends, link, following)
		if (is_under_way(CONTAINER_OF(link, struct backend, of_worker)))
			return false;
	return true;
}

/* What went on ends here: an upload that nobody waits for any more cannot be
 * executed. Only a transaction is told by the old master itself. */
static void stop(struct backend *backend)
{
	if (!is_in_transaction(backend))
		handover_hold(backend);
	if (backend->uploading)
		backend->send_limit = backend->sent;
}

void handover_turn(struct worker *worker)
{
	uint64_t generation = worker->snapshot != NULL ? worker->snapshot->generation : 0;

	if (atomic_load_explicit(&worker->acknowledged, memory_order_relaxed) == generation ||
	    (worker->handover.holds && !is_drained(worker)))
		return;
	if (worker->handover.holds)
		each_to_master(worker, stop);
	atomic_store(&worker->acknowledged, generation);
	control_line_acknowledged(worker->shared->control);
}

/* ---- leaving the old master ---- */

static bool is_stranded(const struct backend *backend)
{
	const struct snapshot *snapshot = backend->worker->snapshot;
	const struct snapshot_node *master = snapshot->master >= 0 ? &snapshot->nodes[snapshot->master] : NULL;

	return backend->state == BACKEND_READY && is_to_master(backend) && backend->owner != NULL && master != NULL &&
	       (master->id != backend->node_id || master->incarnation != backend->incarnation);
}

bool handover_keeps(const struct backend *backend)
{
	const struct worker *worker = backend->worker;
	const struct snapshot_node *node = worker_node(worker, backend->node_id);

	return is_stranded(backend) && (is_asked(backend) || passage_is_leaving(backend)) &&
	       worker->now_ns < worker->handover.answers_until_ns &&
	       node != NULL && node->up && node->incarnation == backend->incarnation;
}

/* Nothing of it is on its way: a transaction that was not executed has left no
 * trace, and who watched keys is told that they have changed. */
void handover_end_session(struct backend *backend)
{
	struct client *client = backend->owner;

	if (!is_stranded(backend) || backend->head != NULL || passage_has_left(backend))
		return;
	backend_read(backend);
	if (backend->closing || backend->owner != client || client->closing)
		return;
	if (session_listens(&client->session)) /* it may have what it was told so far */
		client_finish_alone(client, client->close_after_flush ? client->close_reason : CLOSE_master_changed);
	else if (is_in_transaction(backend))
		dispatch_abort_transaction(client);
}

void handover_tick(struct worker *worker)
{
	struct list_link *link, *following;

	if (worker->handover.answers_until_ns == 0 || (worker->handover.holds && !worker->handover.arrives))
		return;
	if (worker->now_ns >= worker->handover.answers_until_ns)
		worker->handover.answers_until_ns = 0;
	LIST_EACH(&worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (!backend->closing && is_stranded(backend))
			backend_retarget(backend, worker->snapshot);
	}
}
