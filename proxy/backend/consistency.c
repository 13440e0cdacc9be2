#include "consistency.h"

#include "../../protocol/role.h"
#include "backend.h"
#include "barrier.h"
#include "../client/client.h"
#include "../clock.h"
#include "../worker/control_line.h"
#include "../log.h"
#include "pool.h"
#include "../dispatch/route.h"
#include "../worker/worker.h"

enum {
	EWMA_PART = 8, /* a new sample of how far a replica is behind counts for an eighth */
};

static void raise_floor(uint64_t *floor, uint64_t offset)
{
	if (*floor < offset)
		*floor = offset;
}

/* ---- what a read must see ---- */

/* What an eventual session has seen so far was perhaps not accounted for. */
void consistency_choose(struct client *client, enum config_consistency level)
{
	struct session *session = &client->session;

	if (level != CONSISTENCY_EVENTUAL && session->consistency == CONSISTENCY_EVENTUAL) {
		worker_want_floors(client->worker);
		session->observed_ns = clock_ns();
	}
	session->consistency = (uint8_t)level;
}

bool consistency_demand_moment(const struct worker *worker, struct route_demand *demand, int64_t ns)
{
	uint64_t offset;
	bool known;

	if (ns == 0)
		return true;
	known = lag_first_after(&worker->positions.samples, ns, &offset);
	if (known)
		raise_floor(&demand->floor, offset);
	else
		demand->unproven = true;
	return known;
}

/* ROLE numbers wrap. */
static bool has_come(const struct backend *lane, uint32_t number)
{
	return (int32_t)(lane->roles_answered - number) >= 0;
}

/* The connection that answered the session's last read on a replica; NULL when
 * it is gone, or the session has moved on to others. */
static const struct backend *last_read_lane(const struct client *client)
{
	static const enum backend_kind kinds[] = { BACKEND_SHARED, BACKEND_SCRIPT };
	const struct session *session = &client->session;
	struct backend_key key = { .identity = session->identity, .node = session->seen_node, .db = session->db,
				   .resp = session->resp };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct backend *lane;

		key.kind = (uint8_t)kinds[i];
		lane = pool_find(client->worker, &key);
		if (lane != NULL && lane->state == BACKEND_READY && lane->generation == session->seen_generation)
			return lane;
	}
	return NULL;
}

/* What the session has read may be newer than what its floor says. On the
 * server that showed it time cannot run backwards while the connection holds;
 * anywhere else an offset is needed that was asked for behind the last read, or
 * later than its reply came: of that replica, or of the master. */
static void demand_monotony(const struct client *client, struct route_demand *demand)
{
	const struct worker *worker = client->worker;
	const struct session *session = &client->session;
	const struct backend *lane = last_read_lane(client);
	const struct node_load *load;
	uint64_t offset;

	demand->floor_elsewhere = demand->floor;
	if (client->replica_in_flight > 0) { /* one after the other, on one connection */
		demand->stay_on = session->read_node;
		demand->unproven_elsewhere = true;
		return;
	}
	if (session->seen_ns == 0)
		return;
	if (lane != NULL)
		demand->stay_on = session->seen_node;
	load = (size_t)session->seen_node < worker->load_count ? &worker->loads[session->seen_node] : NULL;
	if (lane != NULL && lane->proof.valid && !lane->proof.polled && has_come(lane, session->seen_role + 1))
		raise_floor(&demand->floor_elsewhere, lane->proof.position);
	else if (load != NULL && load->position_ns > session->seen_ns && load->begun_ns < session->seen_ns)
		raise_floor(&demand->floor_elsewhere, load->position);
	else if (lag_first_after(&worker->positions.samples, session->seen_ns, &offset))
		raise_floor(&demand->floor_elsewhere, offset);
	else
		demand->unproven_elsewhere = true;
}

void consistency_demand(const struct client *client, struct route_demand *demand)
{
	const struct worker *worker = client->worker;
	const struct session *session = &client->session;

	demand->stay_on = SESSION_NO_NODE;
	if (session->consistency == CONSISTENCY_EVENTUAL || !WEIR_PROOFS)
		return;
	if (session->floor_epoch == worker->snapshot->epoch)
		raise_floor(&demand->floor, session->floor);
	else if (session->floor_epoch != 0) /* of a history that may have ended differently */
		demand->crosses_epochs = !consistency_demand_moment(worker, demand, worker->positions.epoch_ns);
	consistency_demand_moment(worker, demand, session->observed_ns);
	if (worker->config->session_scope == SESSION_SCOPE_WEIR) {
		raise_floor(&demand->floor,
			    atomic_load_explicit(&worker->snapshot->floor->offset, memory_order_acquire));
		consistency_demand_moment(worker, demand, atomic_load_explicit(&worker->shared->unproven_ns, memory_order_acquire));
	}
	if (session->consistency == CONSISTENCY_STRONG && session->index_epoch == worker->snapshot->epoch)
		raise_floor(&demand->floor, session->index);
	demand_monotony(client, demand);
}

void consistency_unproven(struct worker_shared *shared, int64_t now_ns)
{
	int64_t seen = atomic_load_explicit(&shared->unproven_ns, memory_order_relaxed);

	while (seen < now_ns && !atomic_compare_exchange_weak_explicit(&shared->unproven_ns, &seen, now_ns,
								       memory_order_release, memory_order_relaxed))
		;
}

/* The floor of the whole weir, before anybody is told of what raised it. A
 * worker that has not adopted the newest epoch yet raises the old one's, which
 * nobody looks at any more: then the moment has to do. */
static void raise_shared_floor(struct worker *worker, uint64_t offset, int64_t now_ns)
{
	epoch_floor_raise(worker->snapshot->floor, offset);
	if (atomic_load_explicit(&worker->shared->epoch, memory_order_acquire) != worker->snapshot->epoch)
		consistency_unproven(worker->shared, now_ns);
}

/* A client is told that a write is done, and nobody knows at which offset. */
static void acknowledge_unmeasured(struct worker *worker, int64_t now_ns)
{
	consistency_unproven(worker->shared, now_ns);
	epoch_floor_unmeasured(worker->snapshot->floor, now_ns);
}

/* ---- who waits for the master's next offset ---- */

static bool can_ask_role(const struct backend *backend)
{
	return WEIR_PROOFS && (backend->key.kind == BACKEND_SHARED || backend->key.kind == BACKEND_SCRIPT) &&
	       !backend->key.identity->may_not_ask_role;
}

bool consistency_applies(const struct backend *backend)
{
	return can_ask_role(backend) && (backend->key.node != BACKEND_TO_MASTER || worker_needs_floors(backend->worker) ||
					 !list_is_empty(&backend->index_waiters));
}

/* Where an offset can be had that covers what `from` has just answered; NULL
 * when nowhere. */
static struct backend *proving_lane(struct client *client, struct backend *from)
{
	struct backend_key key = from->key;
	struct backend *lane = from;

	if (from->key.kind == BACKEND_PRIVATE) {
		key.kind = BACKEND_SHARED;
		lane = pool_find(client->worker, &key);
	}
	return lane != NULL && lane->state == BACKEND_READY && consistency_applies(lane) ? lane : NULL;
}

/* On the connection that has just answered the next ROLE stands behind it;
 * another one's may have been sent before: only one that is not sent yet will
 * do. */
static void observe_on(struct client *client, struct backend *lane, const struct backend *from, int64_t now_ns)
{
	list_remove(&client->observer);
	list_append(&lane->observers, &client->observer);
	client->observed_lane = lane;
	client->covered_by = lane == from ? lane->roles_answered + 1 : lane->roles_sent + 1;
	client->covered_ns = now_ns;
	if (lane != from)
		consistency_want(lane);
}

void consistency_observed(struct client *client, struct backend *from, bool write, int64_t now_ns)
{
	struct backend *lane = client->awaits_proof ? client->observed_lane : NULL;

	if (!worker_needs_floors(client->worker)) {
		if (write)
			client->session.write_ns = now_ns;
		return;
	}
	client->session.observed_ns = now_ns;
	if (write) {
		client->session.write_ns = now_ns;
		client->session.write_epoch = 0;
	}
	if (lane == NULL && (write || from->key.kind != BACKEND_PRIVATE))
		lane = proving_lane(client, from);
	if (lane == NULL) {
		if (write)
			acknowledge_unmeasured(client->worker, now_ns);
		return;
	}
	if (lane == from || write)
		observe_on(client, lane, from, now_ns);
	client->awaits_proof = client->awaits_proof || write;
}

static void release(struct client *client)
{
	client->awaits_proof = false;
	if (buf_length(&client->out) > 0 || client->close_after_flush)
		list_mark(&client->worker->dirty_clients, &client->dirty);
}

void consistency_let_go(struct client *client)
{
	if (!client->awaits_proof)
		return;
	acknowledge_unmeasured(client->worker, clock_ns());
	release(client);
}

void consistency_forget(struct client *client)
{
	list_remove(&client->observer);
	list_remove(&client->index_waiter);
	client->awaits_proof = false;
}

void consistency_want(struct backend *lane)
{
	if (!consistency_applies(lane))
		return;
	lane->wants_role = true;
	if (lane->state == BACKEND_IDLE)
		backend_open(lane);
	list_mark(&lane->worker->dirty_backends, &lane->dirty);
}

bool consistency_await_index(struct client *client, struct backend *lane)
{
	if (lane->state != BACKEND_READY || !can_ask_role(lane))
		return false;
	list_mark(&lane->index_waiters, &client->index_waiter);
	client->index_by = lane->roles_sent + 1;
	client->stall = STALL_EVENT;
	consistency_want(lane);
	return true;
}

void consistency_asked(struct backend *lane)
{
	struct list_link *link, *following;

	LIST_EACH(&lane->index_waiters, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, index_waiter);

		if (client->index_by == lane->roles_sent)
			client->index_bytes = buf_length(&client->in);
	}
}

/* `offset` covers what the observers have seen; NULL: no offset is known. */
static void settle_observers(struct backend *lane, const uint64_t *offset, int64_t now_ns)
{
	struct worker *worker = lane->worker;
	struct list_link *link, *following;
	bool acknowledges = false;

	LIST_EACH(&lane->observers, link, following)
		acknowledges = acknowledges || CONTAINER_OF(link, struct client, observer)->awaits_proof;
	if (acknowledges && offset != NULL)
		raise_shared_floor(worker, *offset, now_ns);
	LIST_EACH(&lane->observers, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, observer);
		struct session *session = &client->session;

		if (offset != NULL && !has_come(lane, client->covered_by))
			continue;
		list_remove(link);
		if (offset != NULL) {
			session->floor = session->floor_epoch == worker->snapshot->epoch && session->floor > *offset
						 ? session->floor
						 : *offset;
			session->floor_epoch = worker->snapshot->epoch;
			if (client->awaits_proof) {
				session->write_epoch = session->floor_epoch;
				session->write_offset = *offset;
			}
			if (session->observed_ns == client->covered_ns)
				session->observed_ns = 0;
		}
		if (client->awaits_proof && offset == NULL)
			acknowledge_unmeasured(worker, now_ns);
		if (client->awaits_proof)
			release(client);
	}
}

static void settle_waiters(struct backend *lane, const uint64_t *offset)
{
	struct list_link *link, *following;

	LIST_EACH(&lane->index_waiters, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, index_waiter);

		if (offset != NULL && !has_come(lane, client->index_by))
			continue;
		list_remove(link);
		client->session.index = offset != NULL ? *offset : 0;
		client->session.index_epoch = lane->worker->snapshot->epoch;
		client->indexed_bytes = offset != NULL ? client->index_bytes : 0;
		client_wake(client);
	}
}

void consistency_not_asked(struct backend *lane)
{
	settle_observers(lane, NULL, clock_ns());
	settle_waiters(lane, NULL);
}

void consistency_step_aside(struct backend *from, struct backend *to)
{
	struct list_link *link, *following;

	if (list_is_empty(&from->observers) && list_is_empty(&from->index_waiters))
		return;
	LIST_EACH(&from->observers, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, observer);

		observe_on(client, to, from, client->covered_ns);
	}
	LIST_EACH(&from->index_waiters, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, index_waiter);

		list_remove(link);
		list_append(&to->index_waiters, link);
		client->index_by = to->roles_sent + 1;
	}
	consistency_want(to);
}

/* ---- what proves it ---- */

/* The server does not let the user run ROLE: nothing can be proven for him. */
static void note_refusal(struct backend *backend, struct slice reply)
{
	struct identity *identity = backend->key.identity;

	if (!slice_begins_with(reply, "-NOPERM") || identity->may_not_ask_role)
		return;
	identity->may_not_ask_role = true;
	log_notice("a user may not run ROLE (+role): all of his reads go to the master");
}

/* Samples of several connections come in any order; an offset below one that
 * was known before this one was asked for is of another history. */
static bool take_sample(struct worker *worker, int64_t sent_ns, uint64_t offset, int64_t now_ns)
{
	struct positions *positions = &worker->positions;

	if (sent_ns < positions->epoch_ns)
		return false;
	if (offset < positions->highest && sent_ns > positions->highest_ns)
		return false;
	if (offset > positions->highest || positions->highest_ns == 0) {
		positions->highest = offset;
		positions->highest_ns = now_ns;
	}
	lag_add(&positions->samples, sent_ns, offset);
	return true;
}

/* `role` is what the reply says; NULL: it is an error. */
static void judge_master(struct backend *backend, int64_t sent_ns, struct slice reply, const struct role_reply *role,
			 int64_t now_ns)
{
	struct worker *worker = backend->worker;
	bool known = role != NULL && role->is_master && role->offset >= 0;
	uint64_t offset = known ? (uint64_t)role->offset : 0;

	if (!known) {
		note_refusal(backend, reply);
		if (role != NULL)
			control_line_suspect(worker->shared->control, backend->node_id);
	}
	if (known && !list_is_empty(&worker->waiting_clients)) {
		role_reply_read_acks(reply, &worker->positions.acks);
		worker->positions.acks_ns = sent_ns;
	}
	known = known && !barrier_is_up(worker) && take_sample(worker, sent_ns, offset, now_ns);
	if (known)
		epoch_floor_measured(worker->snapshot->floor, sent_ns, offset);
	settle_observers(backend, known ? &offset : NULL, now_ns);
	settle_waiters(backend, known ? &offset : NULL);
}

/* Connected to the master of this epoch; or, while there is none, known to hold
 * its history, and not pointed elsewhere since. */
static bool follows_the_epoch(const struct worker *worker, const struct snapshot_node *node, const struct role_reply *role)
{
	if (role->is_master || role->master_port != node->master_port ||
	    !slice_equal(role->master_host, slice_of(node->master_host)))
		return false;
	return worker->snapshot->master < 0 ? node->readable_without_master : role->connected && role->offset >= 0;
}

/* The control thread's word is enough where it suffices: a position that the
 * node had already when it was polled. */
static bool is_young(const struct worker *worker, const struct snapshot_node *node, uint64_t position, int64_t now_ns)
{
	int64_t limit_ns = worker->config->topology.max_lag_ms * CLOCK_NS_PER_MS;
	int64_t polled_ns = atomic_load_explicit(&node->vitals->fresh_as_of_ns, memory_order_acquire);
	uint64_t polled = atomic_load_explicit(&node->vitals->offset, memory_order_acquire);
	int64_t fresh_ns;

	if (polled_ns != 0 && position >= polled && now_ns - polled_ns <= limit_ns)
		return true;
	fresh_ns = lag_fresh_as_of(&worker->positions.samples, position);
	return fresh_ns != 0 && now_ns - fresh_ns <= limit_ns;
}

static void note_position(struct worker *worker, const struct backend *backend, int64_t sent_ns, int64_t now_ns)
{
	struct node_load *load = &worker->loads[backend->node_id];
	int64_t behind_ns = lag_behind(&worker->positions.samples, backend->proof.position, now_ns);

	if (sent_ns >= load->position_ns) {
		load->position = backend->proof.position;
		load->position_ns = sent_ns;
	}
	load->behind_ns += (behind_ns - load->behind_ns) / EWMA_PART;
	load->behind_at_ns = now_ns;
}

static void judge_replica(struct backend *backend, int64_t sent_ns, struct slice reply, const struct role_reply *role,
			  int64_t now_ns)
{
	struct worker *worker = backend->worker;
	const struct snapshot_node *node = worker_node(worker, backend->node_id);
	struct proof *proof = &backend->proof;

	*proof = (struct proof){ 0 };
	if (role == NULL) {
		note_refusal(backend, reply);
		return;
	}
	if (node == NULL || node->incarnation != backend->incarnation || !follows_the_epoch(worker, node, role)) {
		control_line_suspect(worker->shared->control, backend->node_id);
		return;
	}
	proof->valid = true;
	if (worker->snapshot->master < 0) {
		proof->young = proof->polled = true; /* no_master_reads = serve: the bound is given up */
		proof->position = atomic_load_explicit(&node->vitals->offset, memory_order_acquire);
		return;
	}
	proof->position = (uint64_t)role->offset;
	proof->young = is_young(worker, node, proof->position, now_ns);
	note_position(worker, backend, sent_ns, now_ns);
}

bool consistency_judge(struct backend *backend, const struct request *asked, struct slice reply, int64_t now_ns)
{
	int64_t sent_ns = (int64_t)asked->floor;
	struct role_reply decoded, *role = role_reply_decode(reply, &decoded) ? &decoded : NULL;

	if (role == NULL && !slice_begins_with(reply, "-")) /* an error may be one of rights, or of a server that loads */
		return false;
	backend->roles_answered++;
	if (backend->key.node == BACKEND_TO_MASTER)
		judge_master(backend, sent_ns, reply, role, now_ns);
	else
		judge_replica(backend, sent_ns, reply, role, now_ns);
	return true;
}

bool consistency_is_met(const struct backend *backend, const struct request *read)
{
	const struct proof *proof = &backend->proof;

	return !WEIR_PROOFS || (proof->valid && proof->young && proof->position >= read->floor);
}

void consistency_lost(struct backend *backend)
{
	backend->proof = (struct proof){ 0 };
	backend->roles_answered = backend->roles_sent;
	backend->wants_role = false;
	settle_observers(backend, NULL, clock_ns());
	settle_waiters(backend, NULL);
}

void consistency_adopt(struct worker *worker, bool new_epoch)
{
	if (!new_epoch)
		return;
	lag_reset(&worker->positions.samples);
	worker->positions.highest = 0;
	worker->positions.highest_ns = 0;
	worker->positions.acks.count = 0;
	worker->positions.epoch_ns = clock_ns();
	for (size_t i = 0; i < worker->load_count; i++) {
		worker->loads[i].position = 0;
		worker->loads[i].position_ns = 0;
		worker->loads[i].behind_ns = 0;
	}
}
