/* One worker's thread and turn. */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../backend/backend.h"
#include "ceiling.h"
#include "../client/client.h"
#include "../client/kernel_room.h"
#include "../clock.h"
#include "../backend/consistency.h"
#include "control_line.h"
#include "../dispatch/dispatch.h"
#include "../backend/ejection.h"
#include "../log.h"
#include "../backend/pool.h"
#include "../dispatch/redirect.h"
#include "../backend/request.h"

enum {
	SPARE_REQUESTS = 4096,
	MOMENT_MS = 2,
	FLUSH_ROUNDS = 8,       /* of work that flushing itself made, before the loop gets its turn */
	TICKS_PER_SECOND = 1000 / WORKER_TICK_MS,
	LINGER_MS = 10 * 1000,
	LEARN_MS = 2 * 1000,    /* that commands wait for the table once there is a master */
	REFUSED_SECONDS = 5,    /* until a replica that refused a user is tried again */
	TOUCHES_PER_SECOND = 2000,
	SLOW_NOTES_PER_SECOND = 100,
	STACK_BYTES = 512 * 1024,
};

/* ---- the turn ---- */

static uint32_t slow_limit_us(const struct config *config)
{
	return config->slower_than_ms == 0 ? UINT32_MAX : (uint32_t)(config->slower_than_ms * 1000);
}

static void on_turn_begin(struct ev_loop *loop, ev_check *check, int events)
{
	struct worker *worker = check->data;

	(void)loop;
	(void)events;
	worker->now_ns = clock_ns();
	worker->now_ms = (uint32_t)(worker->now_ns / CLOCK_NS_PER_MS);
	worker->now_us = worker->sending_us = clock_us(worker->now_ns);
	worker->slow_us = slow_limit_us(worker->config);
}

static void read_clients(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->readable_clients)) != NULL)
		client_read(CONTAINER_OF(link, struct client, readable));
}

static void resume_clients(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->resumed_clients)) != NULL)
		client_resume(CONTAINER_OF(link, struct client, resume));
}

void worker_wake_lane_waiters(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->lane_waiters)) != NULL)
		client_wake(CONTAINER_OF(link, struct client, resume));
}

static void on_moment_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;
	struct list_link *link, parked;

	(void)loop;
	(void)events;
	while ((link = list_take(&worker->waiting_clients)) != NULL)
		client_wake(CONTAINER_OF(link, struct client, resume));
	list_move(&parked, &worker->parked_clients);
	while ((link = list_take(&parked)) != NULL)
		dispatch_parked(CONTAINER_OF(link, struct client, bound.parked));
}

static void begin_moment(struct worker *worker)
{
	if (ev_is_active(&worker->moment))
		return;
	ev_timer_set(&worker->moment, MOMENT_MS / 1e3, 0.0);
	ev_timer_start(worker->loop, &worker->moment);
}

void worker_park(struct worker *worker, struct client *client)
{
	list_mark(&worker->parked_clients, &client->bound.parked);
	begin_moment(worker);
}

void worker_wait_a_moment(struct worker *worker, struct client *client)
{
	list_put(&worker->waiting_clients, &client->resume);
	begin_moment(worker);
}

static void flush_backends(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->dirty_backends)) != NULL)
		backend_flush(CONTAINER_OF(link, struct backend, dirty));
}

static void flush_clients(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->dirty_clients)) != NULL)
		client_flush(CONTAINER_OF(link, struct client, dirty));
}

static bool has_work(const struct worker *worker)
{
	return !list_is_empty(&worker->resumed_clients) || !list_is_empty(&worker->moving_lines) ||
	       !list_is_empty(&worker->dirty_backends) || !list_is_empty(&worker->dirty_clients);
}

static void bury_the_dead(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->dead_clients)) != NULL)
		client_free(CONTAINER_OF(link, struct client, of_worker));
	while ((link = list_take(&worker->dead_backends)) != NULL) {
		struct backend *backend = CONTAINER_OF(link, struct backend, of_worker);

		identity_release(&backend->key.identity);
		buf_free(&backend->own_reply);
		free(backend);
	}
}

/* The turn's work is done, but for the writing: one look at the clock is for
 * all that goes to servers now, and all that weir has answered itself. */
static void stamp(struct worker *worker)
{
	if (list_is_empty(&worker->dirty_backends) && worker->answered_here == 0)
		return;
	worker->sending_us = clock_us(clock_ns());
	latency_count(&worker->measures.classes[LATENCY_LOCAL], worker->sending_us - worker->now_us,
		      worker->answered_here);
	worker->answered_here = 0;
}

static void stop_when_drained(struct worker *worker)
{
	if (!worker->draining)
		return;
	if (list_is_empty(&worker->clients) || worker->now_ns > worker->drain_deadline_ns)
		ev_break(worker->loop, EVBREAK_ALL);
}

/* What clients have sent is read here, behind the replies that came in the same
 * turn; and everything the turn made is flushed once, last thing before the loop
 * sleeps. Flushing can make new work (a lost backend re-sends reads); what is
 * left after some rounds gets the next turn, and the loop does not sleep. */
static void on_turn_end(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct worker *worker = prepare->data;

	(void)events;
	read_clients(worker);
	pause_turn(worker);
	stamp(worker);
	for (int i = 0; i < FLUSH_ROUNDS && has_work(worker); i++) {
		resume_clients(worker);
		line_admit(worker);
		flush_backends(worker);
		flush_clients(worker);
	}
	handover_turn(worker);
	bury_the_dead(worker);
	stop_when_drained(worker);
	if (has_work(worker))
		ev_idle_start(loop, &worker->again);
	else
		ev_idle_stop(loop, &worker->again);
}

static void on_again(struct ev_loop *loop, ev_idle *idle, int events)
{
	(void)loop;
	(void)idle;
	(void)events;
}

/* ---- upkeep ---- */

/* A client that was told its last reply gets some time to read it. */
static bool lingers(const struct client *client)
{
	return client->close_after_flush && client->head == NULL &&
	       client->worker->now_ns - client->active_ns > clock_ms_to_ns(LINGER_MS);
}

static bool is_idle(const struct client *client)
{
	int64_t limit_ns = clock_ms_to_ns(client->worker->config->client_idle_timeout_ms);

	bool is_due = (client->head == NULL && client->session.pin == PIN_NONE && client->stall != STALL_PAUSE) ||
		      client->upload == UPLOAD_PASSES || client->pauses > 0;

	return limit_ns != 0 && is_due &&
	       client->worker->now_ns - client->active_ns > limit_ns;
}

static void close_idle_clients(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (lingers(client))
			client_close(client, (enum close_reason)client->close_reason);
		else if (is_idle(client))
			client_close(client, CLOSE_idle);
	}
}

static void wake_who_waits_for_commands(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (client->stall == STALL_COMMANDS)
			client_wake(client);
	}
}

static void every_second(struct worker *worker)
{
	unsigned seconds = worker->ticks / TICKS_PER_SECOND;

	worker->touches_left = worker->misses_left = TOUCHES_PER_SECOND;
	worker->slow_notes_left = SLOW_NOTES_PER_SECOND;
	for (size_t i = 0; i < worker->load_count; i++)
		worker->loads[i].served /= 2;
	close_idle_clients(worker);
	client_close_unfinished(worker);
	if (worker->snapshot == NULL)
		return;
	if (!worker->has_learned && worker->now_ns > worker->learn_deadline_ns)
		wake_who_waits_for_commands(worker);
	if (worker->snapshot->master >= 0 && seconds % worker->shared->worker_count == worker->index)
		pool_renew_checker(worker);
	if (seconds % REFUSED_SECONDS == 0)
		identities_forgive(&worker->identities);
}

/* How late a tick is, is how long anything that came just now would have had to
 * wait. What was missed is not made up for. */
static void measure_lag(struct worker *worker)
{
	int64_t late_ns = worker->now_ns - worker->tick_due_ns;

	if (worker->tick_due_ns == 0)
		worker->tick_due_ns = worker->now_ns;
	else
		latency_count(&worker->measures.loop_lag, late_ns > 0 ? (uint32_t)(late_ns / CLOCK_NS_PER_US) : 0, 1);
	worker->tick_due_ns += clock_ms_to_ns(WORKER_TICK_MS);
	if (worker->tick_due_ns < worker->now_ns)
		worker->tick_due_ns = worker->now_ns;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;

	(void)loop;
	(void)events;
	measure_lag(worker);
	pool_tick(worker);
	client_tick(worker);
	kernel_room_tick(worker);
	ceiling_tick(worker);
	worker_wake_lane_waiters(worker); /* what they wait for may have ended with its connection */
	pause_tick(worker);
	handover_tick(worker);
	redirect_tick(worker);
	atomic_fetch_add_explicit(&worker->ticks_done, 1, memory_order_relaxed);
	if (++worker->ticks % TICKS_PER_SECOND == 0)
		every_second(worker);
}

/* ---- mails ---- */

struct client_mail {
	struct mail mail;
	int fd;
	uint64_t id;
	enum session_endpoint endpoint;
};

static void open_client_mail(void *receiver, struct mail *mail)
{
	struct client_mail *letter = CONTAINER_OF(mail, struct client_mail, mail);
	struct worker *worker = receiver;

	if (worker->draining || worker->halted) {
		close(letter->fd);
		stats_add(&worker->stats, STAT_clients_rejected, 1);
		atomic_fetch_sub_explicit(&worker->open_clients, 1, memory_order_relaxed);
	} else {
		client_open(worker, letter->fd, letter->id, letter->endpoint);
	}
	free(letter);
}

void worker_give_client(struct worker *worker, int fd, uint64_t id, enum session_endpoint endpoint)
{
	struct client_mail *letter = alloc_zeroed(1, sizeof(*letter));

	letter->mail.open = open_client_mail;
	letter->fd = fd;
	letter->id = id;
	letter->endpoint = endpoint;
	atomic_fetch_add_explicit(&worker->open_clients, 1, memory_order_relaxed);
	mailbox_post(&worker->mailbox, &letter->mail);
}

struct snapshot_mail {
	struct mail mail;
	struct snapshot *snapshot;
};

static const struct snapshot_node *find_node(const struct snapshot *snapshot, uint32_t id)
{
	for (size_t i = 0; i < snapshot->node_count; i++)
		if (snapshot->nodes[i].id == id)
			return &snapshot->nodes[i];
	return NULL;
}

const struct snapshot_node *worker_node(const struct worker *worker, uint32_t node_id)
{
	return find_node(worker->snapshot, node_id);
}

/* Another process stands behind this id than before, or another server: what
 * was measured says nothing of it. Requests to the one before may be in flight. */
static void begin_load(struct node_load *load, int64_t now_ns)
{
	*load = (struct node_load){ .outstanding = load->outstanding, .begun_ns = now_ns };
}

/* Loads keep their place by node id; slow start begins anew for whoever has
 * become readable. */
static void adopt_loads(struct worker *worker, const struct snapshot *snapshot, const struct snapshot *old)
{
	size_t count = worker->load_count;

	for (size_t i = 0; i < snapshot->node_count; i++)
		if (snapshot->nodes[i].id >= count)
			count = snapshot->nodes[i].id + 1;
	if (count > worker->load_count) {
		worker->loads = alloc_resized(worker->loads, count * sizeof(struct node_load));
		memset(worker->loads + worker->load_count, 0, (count - worker->load_count) * sizeof(struct node_load));
		worker->load_count = count;
	}
	for (size_t i = 0; i < snapshot->node_count; i++) {
		const struct snapshot_node *node = &snapshot->nodes[i];
		const struct snapshot_node *before = old ? find_node(old, node->id) : NULL;
		struct node_load *load = &worker->loads[node->id];

		if (before == NULL || before->incarnation != node->incarnation)
			begin_load(load, worker->now_ns);
		if (before == NULL || strcmp(before->name, node->name) != 0)
			measures_forget_node(&worker->measures, node->id);
		if (!node->readable)
			load->readable_since_ns = 0;
		else if (before == NULL || !before->readable || before->incarnation != node->incarnation)
			load->readable_since_ns = worker->now_ns;
	}
}

/* The connections that nearly every session will take are made ahead of the
 * first one, and with them it is known whether the master wants passwords. */
static void warm_up(struct worker *worker)
{
	const struct snapshot *snapshot = worker->snapshot;
	struct backend_key key = { .identity = worker->identities.nobody, .kind = BACKEND_SHARED, .resp = 2 };
	struct backend *master;

	if (snapshot->master < 0)
		return;
	key.node = BACKEND_TO_MASTER;
	master = pool_shared(worker, &key);
	backend_open(master);
	consistency_want(master); /* what was acknowledged until now has an offset then */
	for (size_t i = 0; i < snapshot->node_count; i++) {
		key.node = (int32_t)snapshot->nodes[i].id;
		if (snapshot->nodes[i].readable)
			backend_open(pool_shared(worker, &key));
	}
}

static uint64_t leaving_nodes(const struct snapshot *snapshot)
{
	uint64_t nodes = 0;

	for (size_t i = 0; i < snapshot->node_count; i++)
		if (snapshot->nodes[i].leaving)
			nodes |= UINT64_C(1) << snapshot->nodes[i].id;
	return nodes;
}

static void open_snapshot_mail(void *receiver, struct mail *mail)
{
	struct snapshot_mail *letter = CONTAINER_OF(mail, struct snapshot_mail, mail);
	struct worker *worker = receiver;
	struct snapshot *old = worker->snapshot;

	if (worker->halted) {
		snapshot_release(&letter->snapshot);
		free(letter);
		return;
	}
	adopt_loads(worker, letter->snapshot, old);
	worker->snapshot = letter->snapshot;
	worker->leaving_nodes = leaving_nodes(worker->snapshot);
	ejection_adopt(worker, old);
	consistency_adopt(worker, old == NULL || old->epoch != worker->snapshot->epoch);
	if (worker->snapshot->master >= 0 && worker->learn_deadline_ns == 0)
		worker->learn_deadline_ns = worker->now_ns + clock_ms_to_ns(LEARN_MS);
	handover_adopt(worker);
	pool_retarget(worker);
	warm_up(worker);
	if (old != NULL)
		snapshot_release(&old);
	free(letter);
}

void worker_give_snapshot(struct worker *worker, struct snapshot *snapshot)
{
	struct snapshot_mail *letter = alloc_zeroed(1, sizeof(*letter));

	letter->mail.open = open_snapshot_mail;
	letter->snapshot = snapshot_acquire(snapshot);
	mailbox_post(&worker->mailbox, &letter->mail);
}

struct commands_mail {
	struct mail mail;
	struct command_table *table;
};

static void open_commands_mail(void *receiver, struct mail *mail)
{
	struct commands_mail *letter = CONTAINER_OF(mail, struct commands_mail, mail);
	struct worker *worker = receiver;
	struct list_link *link, *following;

	/* Parsed commands point into the table, but never beyond a callback. */
	command_table_release(&worker->commands);
	worker->commands = letter->table;
	worker->has_learned = true;
	wake_who_waits_for_commands(worker);
	LIST_EACH(&worker->clients, link, following)
		CONTAINER_OF(link, struct client, of_worker)->last_command = 0;
	free(letter);
}

void worker_give_commands(struct worker *worker, struct command_table *table)
{
	struct commands_mail *letter = alloc_zeroed(1, sizeof(*letter));

	letter->mail.open = open_commands_mail;
	letter->table = command_table_acquire(table);
	mailbox_post(&worker->mailbox, &letter->mail);
}

struct config_mail {
	struct mail mail;
	struct config *config;
};

/* Sessions that have not chosen for themselves go with the file. */
static void open_config_mail(void *receiver, struct mail *mail)
{
	struct config_mail *letter = CONTAINER_OF(mail, struct config_mail, mail);
	struct worker *worker = receiver;
	struct list_link *link, *following;

	config_release(&worker->config);
	worker->config = letter->config;
	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (!client->session.chose_consistency)
			consistency_choose(client, worker->config->consistency);
	}
	free(letter);
}

void worker_give_config(struct worker *worker, struct config *config)
{
	struct config_mail *letter = alloc_zeroed(1, sizeof(*letter));

	letter->mail.open = open_config_mail;
	letter->config = config_acquire(config);
	mailbox_post(&worker->mailbox, &letter->mail);
}

static void open_confirmation_mail(void *receiver, struct mail *mail)
{
	struct worker *worker = receiver;

	free(mail);
	if (!worker->halted)
		pool_check_proofs(worker);
}

void worker_give_confirmation(struct worker *worker)
{
	struct mail *mail = alloc_zeroed(1, sizeof(*mail));

	mail->open = open_confirmation_mail;
	mailbox_post(&worker->mailbox, mail);
}

static void open_alert_mail(void *receiver, struct mail *mail)
{
	struct worker *worker = receiver;

	free(mail);
	if (!worker->halted && worker->snapshot != NULL && worker->snapshot->master >= 0)
		pool_renew_checker(worker);
}

void worker_leave_untold(struct worker *worker)
{
	if (atomic_exchange(&worker->shared->untold_epoch, worker->snapshot->epoch) != worker->snapshot->epoch)
		log_notice("DEBUG gives the master data that its replicas are not told of: reads stay on the master "
			   "until its history changes");
}

void worker_alert_others(struct worker *worker)
{
	const struct worker_shared *shared = worker->shared;

	for (size_t i = 0; i < shared->worker_count; i++) {
		struct mail *mail;

		if (shared->workers[i] == worker)
			continue;
		mail = alloc_zeroed(1, sizeof(*mail));
		mail->open = open_alert_mail;
		mailbox_post(&shared->workers[i]->mailbox, mail);
	}
}

int64_t workers_open_clients(const struct worker_shared *shared)
{
	int64_t count = 0;

	for (size_t i = 0; i < shared->worker_count; i++)
		count += atomic_load_explicit(&shared->workers[i]->open_clients, memory_order_relaxed);
	return count;
}

static void open_drain_mail(void *receiver, struct mail *mail)
{
	struct worker *worker = receiver;
	struct list_link *link, *following;

	free(mail);
	worker->draining = true;
	worker->drain_deadline_ns = worker->now_ns + clock_ms_to_ns(worker->config->drain_timeout_ms);
	LIST_EACH(&worker->clients, link, following)
		client_drain(CONTAINER_OF(link, struct client, of_worker));
}

void worker_drain(struct worker *worker)
{
	struct mail *mail = alloc_zeroed(1, sizeof(*mail));

	mail->open = open_drain_mail;
	mailbox_post(&worker->mailbox, mail);
}

static void open_halt_mail(void *receiver, struct mail *mail)
{
	struct worker *worker = receiver;

	free(mail);
	ev_break(worker->loop, EVBREAK_ALL);
}

void worker_halt(struct worker *worker)
{
	struct mail *mail = alloc_zeroed(1, sizeof(*mail));

	mail->open = open_halt_mail;
	mailbox_post(&worker->mailbox, mail);
}

/* ---- the thread ---- */

struct worker *worker_create(unsigned index, struct worker_shared *shared)
{
	struct worker *worker = alloc_checked(aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64));

	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->shared = shared;
	worker->config = config_acquire(shared->config);
	worker->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (worker->loop == NULL)
		log_fatal("no event loop for worker %u", index);
	worker->now_ns = clock_ns();
	worker->random = (uint64_t)worker->now_ns | 1;
	worker->commands = command_table_acquire(shared->builtin);
	worker->read_buffer = alloc_checked(aligned_alloc(4096, WORKER_READ_BYTES));
	madvise(worker->read_buffer, WORKER_READ_BYTES, MADV_DONTDUMP); /* what clients say is no business of a core file */
	identities_init(&worker->identities);
	pause_init(&worker->pause);
	list_init(&worker->clients);
	list_init(&worker->backends);
	worker->touches_left = worker->misses_left = TOUCHES_PER_SECOND;
	worker->slow_notes_left = SLOW_NOTES_PER_SECOND;
	list_init(&worker->readable_clients);
	list_init(&worker->dirty_clients);
	list_init(&worker->dirty_backends);
	list_init(&worker->unread_clients);
	list_init(&worker->wide_clients);
	list_init(&worker->unfinished_clients);
	list_init(&worker->resumed_clients);
	list_init(&worker->lookups);
	list_init(&worker->lane_waiters);
	list_init(&worker->moving_lines);
	list_init(&worker->waiting_clients);
	list_init(&worker->parked_clients);
	list_init(&worker->dead_clients);
	list_init(&worker->dead_backends);
	slab_init(&worker->requests, sizeof(struct request), SPARE_REQUESTS);
	mailbox_init(&worker->mailbox, worker->loop, worker);
	ev_check_init(&worker->turn_begin, on_turn_begin);
	ev_set_priority(&worker->turn_begin, EV_MAXPRI);
	ev_prepare_init(&worker->turn_end, on_turn_end);
	ev_set_priority(&worker->turn_end, EV_MINPRI);
	ev_idle_init(&worker->again, on_again);
	ev_timer_init(&worker->tick, on_tick, WORKER_TICK_MS / 1e3, WORKER_TICK_MS / 1e3);
	ev_timer_init(&worker->moment, on_moment_over, 0.0, 0.0);
	handover_init(worker);
	worker->turn_begin.data = worker->turn_end.data = worker->tick.data = worker->moment.data = worker;
	ev_check_start(worker->loop, &worker->turn_begin);
	ev_prepare_start(worker->loop, &worker->turn_end);
	ev_timer_start(worker->loop, &worker->tick);
	return worker;
}

static void close_everything(struct worker *worker)
{
	struct list_link *link;

	worker->halted = true;
	while (!list_is_empty(&worker->clients)) {
		link = worker->clients.next;
		client_close(CONTAINER_OF(link, struct client, of_worker), CLOSE_shutdown);
	}
	pause_turn(worker);
	redirect_stop(worker);
	pool_close(worker);
	bury_the_dead(worker);
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	char name[16];

	snprintf(name, sizeof(name), "worker %u", worker->index);
	log_name_thread(name);
	pthread_setname_np(pthread_self(), name);
	measures_begin(&worker->measures);
	ev_run(worker->loop, 0);
	close_everything(worker);
	measures_end(&worker->measures);
	control_line_stopped(worker->shared->control);
	return NULL;
}

bool worker_start(struct worker *worker)
{
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	error = pthread_create(&worker->thread, &attributes, run, worker);
	pthread_attr_destroy(&attributes);
	errno = error;
	return error == 0;
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
}

void worker_open_last_mails(struct worker *worker)
{
	mailbox_fini(&worker->mailbox);
}

void worker_free(struct worker **handle)
{
	struct worker *worker = *handle;

	*handle = NULL;
	bury_the_dead(worker);
	identities_fini(&worker->identities);
	if (worker->snapshot != NULL)
		snapshot_release(&worker->snapshot);
	command_table_release(&worker->commands);
	config_release(&worker->config);
	slab_fini(&worker->requests);
	buf_free(&worker->scratch);
	free(worker->loads);
	free(worker->read_buffer);
	measures_fini(&worker->measures);
	ev_loop_destroy(worker->loop);
	free(worker);
}

void worker_users_changed(struct worker *worker)
{
	atomic_fetch_add(&worker->shared->user_changes, 1);
	control_line_audit(worker->shared->control);
	if (worker->snapshot->master >= 0)
		pool_renew_checker(worker); /* perhaps it was the password of those who have none */
	worker_alert_others(worker);
}

void worker_want_floors(struct worker *worker)
{
	struct worker_shared *shared = worker->shared;

	if (atomic_load_explicit(&shared->needs_floors, memory_order_relaxed))
		return;
	atomic_store(&shared->needs_floors, true);
	consistency_unproven(shared, clock_ns());
}
