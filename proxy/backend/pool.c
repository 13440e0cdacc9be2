/* A worker's backends: found by key, given and taken back, kept in step with
 * the topology, and tidied on a tick. */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../client/client.h"
#include "../clock.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "ejection.h"
#include "flow.h"
#include "../log.h"
#include "../worker/worker.h"

enum {
	SPARE_PRIVATE_MAX = 64,        /* clean private backends kept per worker */
	WARM_MAX = 8,                  /* spares up to which more are made ahead of the need */
	IDLE_CLOSE_MS = 60 * 1000,     /* a connection with nothing to do is closed after this */
	ASIDE_IDLE_CLOSE_MS = 10 * 1000,
	SILENCES = 5,                  /* times backend_timeout, until a silent connection is closed */
};

static bool keys_match(const struct backend_key *a, const struct backend_key *b)
{
	return a->identity == b->identity && a->node == b->node && a->db == b->db && a->kind == b->kind &&
	       a->resp == b->resp && a->no_touch == b->no_touch;
}

struct backend *pool_find(const struct worker *worker, const struct backend_key *key)
{
	struct list_link *link, *following;

	(void)worker;
	LIST_EACH(&key->identity->lanes, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_identity);

		if (keys_match(&backend->key, key))
			return backend;
	}
	return NULL;
}

struct backend *pool_shared(struct worker *worker, const struct backend_key *key)
{
	struct backend *backend = pool_find(worker, key);

	return backend != NULL ? backend : backend_create(worker, key);
}

/* ---- private ones ---- */

static size_t private_limit(const struct worker *worker)
{
	size_t share = (size_t)worker->config->max_private_backends / worker->shared->worker_count;

	return share > 0 ? share : 1;
}

/* The best one to take: it is connected, or will be sooner than a new one. */
static struct backend *find_private(const struct worker *worker, const struct backend_key *key)
{
	struct list_link *link, *following;
	struct backend *best = NULL;

	(void)worker;
	LIST_EACH(&key->identity->lanes, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_identity);

		if (keys_match(&backend->key, key) && (best == NULL || backend->state > best->state))
			best = backend;
	}
	return best;
}

static void add_spare(struct backend *backend)
{
	backend->worker->spare_private++;
	list_append(&backend->key.identity->lanes, &backend->of_identity);
}

static struct backend *any_spare(const struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (backend->key.kind == BACKEND_PRIVATE && backend->owner == NULL)
			return backend;
	}
	return NULL;
}

struct backend *pool_take_private(struct worker *worker, const struct backend_key *key, bool fresh)
{
	struct backend *backend = fresh ? NULL : find_private(worker, key);

	if (backend != NULL) {
		list_remove(&backend->of_identity);
		worker->spare_private--;
		return backend;
	}
	if (worker->private_backends >= private_limit(worker)) {
		struct backend *spare = any_spare(worker);

		if (spare == NULL)
			return NULL;
		backend_destroy(spare, DROP_surplus);
	}
	return backend_create(worker, key);
}

void pool_keep_warm(struct worker *worker, const struct backend_key *key)
{
	struct backend_key private_key = *key;
	struct backend *spare;

	private_key.kind = BACKEND_PRIVATE;
	spare = find_private(worker, &private_key);
	if (spare == NULL && !worker->draining && worker->spare_private < WARM_MAX &&
	    worker->private_backends < private_limit(worker)) {
		spare = backend_create(worker, &private_key);
		add_spare(spare);
	}
	if (spare != NULL)
		backend_open(spare);
}

/* Its connection leads where the next session wants to go. */
static bool is_on_target(const struct backend *backend)
{
	const struct snapshot *snapshot = backend->worker->snapshot;

	if (backend->key.node != BACKEND_TO_MASTER)
		return true;
	return snapshot->master >= 0 && snapshot->nodes[snapshot->master].id == backend->node_id &&
	       snapshot->nodes[snapshot->master].incarnation == backend->incarnation;
}

static bool is_clean(const struct backend *backend)
{
	return is_on_target(backend) && !backend->tainted && !backend->mid_reply && backend->reading.opening_length == 0 && backend->head == NULL &&
	       backend->state == BACKEND_READY;
}

void pool_return_private(struct backend *backend)
{
	struct worker *worker = backend->worker;

	backend->owner = NULL;
	pause_undivert(backend);
	flow_release(backend);
	if (!is_clean(backend) || worker->spare_private >= SPARE_PRIVATE_MAX || worker->draining) {
		backend_destroy(backend, is_clean(backend) ? DROP_surplus : DROP_not_clean);
		return;
	}
	backend->idle_since_ns = worker->now_ns;
	handover_hold(backend);
	add_spare(backend);
}

/* ---- aside ---- */

static bool is_spare(const struct backend *backend)
{
	return backend->aside && backend->head == NULL && backend->state == BACKEND_READY;
}

static struct backend *find_spare(const struct worker *worker, const struct backend_key *key)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (is_spare(backend) && keys_match(&backend->key, key))
			return backend;
	}
	return NULL;
}

bool pool_set_aside(struct backend *backend)
{
	struct worker *worker = backend->worker;
	struct backend *spare = find_spare(worker, &backend->key);

	if (spare == NULL && worker->backends_aside >= (private_limit(worker) + 1) / 2)
		return false;
	list_remove(&backend->of_identity);
	backend->aside = true;
	worker->backends_aside++;
	if (spare != NULL) {
		spare->aside = false;
		worker->backends_aside--;
		list_append(&spare->key.identity->lanes, &spare->of_identity);
	} else {
		backend_open(pool_shared(worker, &backend->key));
	}
	worker_wake_lane_waiters(worker);
	line_dissolve(backend);
	return true;
}

/* ---- upkeep ---- */

/* Work on one backend can end others (a client is closed with its private
 * one), so the walk is over a copy of the list; memory stays until the end of
 * the turn. */
static void each_backend(struct worker *worker, void (*visit)(struct backend *backend))
{
	struct list_link *link, *following;
	struct backend **all;
	size_t count = 0;

	LIST_EACH(&worker->backends, link, following)
		count++;
	all = alloc_zeroed(count, sizeof(struct backend *));
	count = 0;
	LIST_EACH(&worker->backends, link, following)
		all[count++] = CONTAINER_OF(link, struct backend, of_worker);
	for (size_t i = 0; i < count; i++)
		if (!all[i]->closing)
			visit(all[i]);
	free(all);
}

static void retarget(struct backend *backend)
{
	backend_retarget(backend, backend->worker->snapshot);
}

static void rescue_reads(struct backend *backend)
{
	if (backend->key.node == BACKEND_TO_MASTER && backend->state == BACKEND_IDLE && backend->owner == NULL)
		dispatch_rescue_reads(backend->worker, backend);
}

void pool_retarget(struct worker *worker)
{
	each_backend(worker, retarget);
	if (worker->snapshot->master < 0 && worker->config->no_master_reads == NO_MASTER_READS_SERVE)
		each_backend(worker, rescue_reads);
}

void pool_check_proofs(struct worker *worker)
{
	each_backend(worker, backend_check_proof);
}

static uint32_t waited_ms(const struct worker *worker, const struct request *request)
{
	return worker->now_ms - request->enqueued_ms;
}

/* A read, or a question, that another node can answer. */
static bool is_read_on_replica(const struct backend *backend, const struct request *request)
{
	return request != NULL && backend->key.node != BACKEND_TO_MASTER &&
	       ((request->flags & REQUEST_READ) || backend_can_be_replaced(backend, request));
}

/* One that waits in the queue of a connection that is not there; reads do not
 * wait for a replica's. A private backend's queue is one story: none of it is
 * told once its beginning failed. */
static bool has_waited_too_long(const struct backend *backend, const struct request *head)
{
	return head != NULL && head->kind != REQUEST_HANDSHAKE && backend->state != BACKEND_READY &&
	       !is_read_on_replica(backend, head) && waited_ms(backend->worker, head) > (uint64_t)backend->worker->config->write_hold_ms;
}

static void expire(struct backend *backend, struct request *request)
{
	struct worker *worker = backend->worker;
	const char *reason = worker->snapshot->no_master_reason;
	char text[256];

	backend_withdraw(backend, request);
	if (backend->key.node == BACKEND_TO_MASTER) {
		snprintf(text, sizeof(text), "NOMASTER %s; the command was not %s",
			 reason != NULL ? reason : "the master does not answer",
			 request->flags & REQUEST_RETURNED ? "answered" : "sent");
		stats_add(&worker->stats, STAT_no_master, request->client != NULL);
	} else {
		snprintf(text, sizeof(text), "NOREPLICA the replica does not answer; the command was not sent");
	}
	delivery_error(worker, request, text);
}

/* Requests that no server has seen and that have waited long enough. */
static void expire_held(struct backend *backend)
{
	bool all = false;

	while (has_waited_too_long(backend, backend->head) || (all && backend->head != NULL)) {
		all = backend->owner != NULL;
		expire(backend, backend->head);
	}
	if (all && !backend->closing && backend->owner != NULL)
		delivery_private_expired(backend);
}

static bool is_connecting(const struct backend *backend)
{
	return backend->state == BACKEND_CONNECTING || backend->state == BACKEND_PROVING ||
	       backend->state == BACKEND_HANDSHAKE;
}

/* Of a replica: has anything come in so many milliseconds, or was it weir that
 * did not read? */
static bool is_silent_for(const struct backend *backend, int64_t limit_ms)
{
	return backend->key.node != BACKEND_TO_MASTER && backend->paused_for == NULL && backend->head != NULL &&
	       backend->worker->now_ns - backend->last_read_ns > clock_ms_to_ns(limit_ms) &&
	       waited_ms(backend->worker, backend->head) > (uint64_t)limit_ms;
}

/* The master may take its time to begin a reply. That it stops in the middle of
 * one, while its control connection is answered, is no sign of work: the length
 * was wrong, or the connection is broken. Everybody behind would wait for ever. */
static bool is_stuck_in_reply(const struct backend *backend, int64_t limit_ms)
{
	return backend->key.node == BACKEND_TO_MASTER && backend->paused_for == NULL && backend->mid_reply &&
	       backend->worker->now_ns - backend->last_read_ns > clock_ms_to_ns(limit_ms);
}

/* A replica that says nothing loses the reads that wait for it, since others can
 * answer them; the connection stays, for it may be one slow query. If it says
 * nothing for much longer, the connection is no good. */
static void judge_silence(struct backend *backend)
{
	int64_t limit_ms = backend->worker->config->backend_timeout_ms;

	if (backend->state == BACKEND_READY &&
	    (is_silent_for(backend, limit_ms * SILENCES) || is_stuck_in_reply(backend, limit_ms * SILENCES))) {
		backend_disconnect(backend, DROP_silent, NULL);
	} else if (backend->state == BACKEND_READY && is_silent_for(backend, limit_ms)) {
		if (dispatch_leave_silent(backend))
			ejection_strike(backend->worker, backend->node_id, STRIKE_SILENT);
	} else if (backend->state != BACKEND_READY && is_read_on_replica(backend, backend->head) &&
		   waited_ms(backend->worker, backend->head) > (uint64_t)limit_ms) {
		backend_disconnect(backend, DROP_not_ready, "not connected within backend_timeout");
	}
}

static bool leads_to_leaver(const struct backend *backend)
{
	return backend->key.node != BACKEND_TO_MASTER && (backend->worker->leaving_nodes >> backend->key.node & 1);
}

/* Is it the spare that pool_keep_warm() is about? */
static bool is_warm(const struct backend *backend)
{
	struct backend_key key = backend->key;
	const struct backend *lane;

	if (key.kind != BACKEND_PRIVATE || backend->owner != NULL || find_private(backend->worker, &key) != backend)
		return false;
	key.kind = BACKEND_SHARED;
	lane = pool_find(backend->worker, &key);
	return lane != NULL && lane->state == BACKEND_READY;
}

static bool is_useless(const struct backend *backend)
{
	int64_t limit_ms = leads_to_leaver(backend) ? 0 : backend->aside ? ASIDE_IDLE_CLOSE_MS : IDLE_CLOSE_MS;

	return backend_has_nothing_to_do(backend) && backend->owner == NULL &&
	       backend->worker->now_ns - backend->idle_since_ns > clock_ms_to_ns(limit_ms) && !is_warm(backend);
}

static void tick(struct backend *backend)
{
	struct worker *worker = backend->worker;
	int64_t connect_limit_ns = clock_ms_to_ns(worker->config->topology.timeout_ms);

	if (is_useless(backend)) {
		backend_destroy(backend, DROP_idle);
		return;
	}
	flow_tick(backend);
	backend_give_back(backend);
	crowd_tick(&backend->crowd);
	line_move(backend);
	backend_settle_failed_connect(backend);
	if (!backend->closing && is_connecting(backend) && worker->now_ns - backend->connect_ns > connect_limit_ns)
		backend_disconnect(backend, DROP_not_ready, NULL);
	if (!backend->closing)
		judge_silence(backend);
	if (!backend->closing && backend->state == BACKEND_IDLE && is_warm(backend))
		backend_open(backend);
	else if (!backend->closing && backend->state == BACKEND_IDLE)
		backend_retarget(backend, worker->snapshot);
	if (!backend->closing)
		expire_held(backend);
}

static void count_held(struct worker *worker)
{
	struct list_link *link, *following;
	int64_t held = 0;

	LIST_EACH(&worker->backends, link, following) {
		const struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);
		const struct request *request = backend->state == BACKEND_READY && !backend->held ? NULL : backend->head;

		for (; request != NULL; request = request->next_of_backend)
			held += request->client != NULL;
	}
	stats_add(&worker->stats, STAT_held_requests, held - stats_get(&worker->stats, STAT_held_requests));
}

/* What keeps a node from being forgotten that is not configured any more. */
static void note_held_nodes(struct worker *worker)
{
	struct list_link *link, *following;
	uint64_t held = 0;

	if (worker->snapshot == NULL || worker->leaving_nodes == 0)
		return;
	LIST_EACH(&worker->backends, link, following) {
		const struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (leads_to_leaver(backend))
			held |= UINT64_C(1) << backend->key.node;
	}
	atomic_store_explicit(&worker->held_nodes, held, memory_order_release);
	atomic_store_explicit(&worker->let_go_generation, worker->snapshot->generation, memory_order_release);
}

void pool_tick(struct worker *worker)
{
	for (size_t i = 0; i < worker->load_count; i++)
		worker->loads[i].connects = 0;
	each_backend(worker, tick);
	count_held(worker);
	note_held_nodes(worker);
}

size_t pool_held_bytes(const struct worker *worker)
{
	struct list_link *link, *following;
	size_t bytes = 0;

	LIST_EACH(&worker->backends, link, following) {
		const struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		if (backend->state != BACKEND_READY || backend->held)
			bytes += buf_length(&backend->stream);
	}
	return bytes;
}

void pool_renew_checker(struct worker *worker)
{
	struct backend_key key = { .identity = worker->identities.nobody, .node = BACKEND_TO_MASTER,
				   .kind = BACKEND_CHECKER, .resp = 2 };
	struct backend *checker = pool_find(worker, &key);

	if (checker != NULL && (checker->head != NULL || is_connecting(checker)))
		return;
	if (checker != NULL)
		backend_destroy(checker, DROP_renewed);
	backend_open(pool_shared(worker, &key));
}

static void shut_down(struct backend *backend)
{
	backend_destroy(backend, DROP_shutdown);
}

void pool_close(struct worker *worker)
{
	each_backend(worker, shut_down);
}
