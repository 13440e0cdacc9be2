/* The control thread's story: start the workers, observe the servers, hand
 * every new picture to every worker, accept clients, and end in order. */
#include "control.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../protocol/alloc.h"
#include "../protocol/command.h"
#include "../topology/journal.h"
#include "admin/admin.h"
#include "clock.h"
#include "backend/consistency.h"
#include "worker/control_line.h"
#include "control/give_back.h"
#include "control/ending.h"
#include "control/learn.h"
#include "control/listener.h"
#include "log.h"
#include "mailbox.h"
#include "control/reload.h"
#include "control/service.h"
#include "control/signals.h"
#include "measures/slowlog.h"
#include "version.h"
#include "worker/worker.h"

struct control_line {
	struct mailbox mailbox;
	struct control *control;
	_Atomic bool refresh_wanted;                   /* a refresh mail is on its way */
	_Atomic bool audit_wanted;
	_Atomic bool confirm_wanted[TOPOLOGY_NODES_MAX];
	_Atomic bool suspect_wanted[TOPOLOGY_NODES_MAX];
};

struct control {
	struct config *config;          /* in force; one reference */
	struct reload *reload;
	struct ev_loop *loop;
	struct control_line line;
	struct worker_shared shared;
	size_t running;                 /* workers whose thread has not ended */
	uint64_t last_client_id;
	unsigned next_worker;           /* among equals, where the next client goes */
	struct stats stats;             /* of the acceptor */
	const struct stats **all_stats; /* one per worker, then the acceptor's */
	struct command_names *command_names;
	struct journal *journal;
	struct slowlog *slowlog;
	const struct measures **all_measures; /* one per worker */
	struct topology *topology;
	struct learner *learner;
	struct acceptor *acceptor;
	struct admin *admin;
	struct give_back *give_back;
	struct signals *signals;
	struct ending *ending;
	struct service *service;
	uint64_t *ticks_seen;           /* of each worker, when it was asked for last */
};

/* ---- what workers say ---- */

struct node_mail {
	struct mail mail;
	uint32_t node_id;
};

static void post_node(struct control_line *line, _Atomic bool *wanted, uint32_t node_id,
		      void (*open)(void *receiver, struct mail *mail))
{
	struct node_mail *letter;

	if (atomic_exchange(wanted, true))
		return; /* one is on its way already */
	letter = alloc_zeroed(1, sizeof(*letter));
	letter->mail.open = open;
	letter->node_id = node_id;
	mailbox_post(&line->mailbox, &letter->mail);
}

static void open_confirm(void *receiver, struct mail *mail)
{
	struct node_mail *letter = CONTAINER_OF(mail, struct node_mail, mail);
	struct control *control = receiver;

	atomic_store(&control->line.confirm_wanted[letter->node_id], false);
	if (control->topology != NULL)
		topology_confirm(control->topology, letter->node_id);
	free(letter);
}

void control_line_confirm(struct control_line *line, uint32_t node_id)
{
	if (node_id < TOPOLOGY_NODES_MAX)
		post_node(line, &line->confirm_wanted[node_id], node_id, open_confirm);
}

static void open_suspect(void *receiver, struct mail *mail)
{
	struct node_mail *letter = CONTAINER_OF(mail, struct node_mail, mail);
	struct control *control = receiver;

	atomic_store(&control->line.suspect_wanted[letter->node_id], false);
	if (control->topology != NULL)
		topology_suspect(control->topology, letter->node_id);
	free(letter);
}

void control_line_suspect(struct control_line *line, uint32_t node_id)
{
	if (node_id < TOPOLOGY_NODES_MAX)
		post_node(line, &line->suspect_wanted[node_id], node_id, open_suspect);
}

static void open_refresh(void *receiver, struct mail *mail)
{
	struct control *control = receiver;

	atomic_store(&control->line.refresh_wanted, false);
	if (control->topology != NULL)
		topology_refresh(control->topology);
	free(mail);
}

void control_line_refresh(struct control_line *line)
{
	struct mail *mail;

	if (atomic_load_explicit(&line->refresh_wanted, memory_order_relaxed) ||
	    atomic_exchange(&line->refresh_wanted, true))
		return;
	mail = alloc_zeroed(1, sizeof(*mail));
	mail->open = open_refresh;
	mailbox_post(&line->mailbox, mail);
}

/* In this order: a change that finds a mail on its way is counted already. */
static void open_audit(void *receiver, struct mail *mail)
{
	struct control *control = receiver;

	atomic_store(&control->line.audit_wanted, false);
	if (control->topology != NULL)
		topology_audit(control->topology, atomic_load(&control->shared.user_changes));
	free(mail);
}

void control_line_audit(struct control_line *line)
{
	struct mail *mail;

	if (atomic_exchange(&line->audit_wanted, true))
		return;
	mail = alloc_zeroed(1, sizeof(*mail));
	mail->open = open_audit;
	mailbox_post(&line->mailbox, mail);
}

static uint64_t acknowledged_by_all(const struct worker_shared *shared)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < shared->worker_count; i++) {
		uint64_t generation = atomic_load(&shared->workers[i]->acknowledged);

		least = generation < least ? generation : least;
	}
	return least;
}

static void open_acknowledged(void *receiver, struct mail *mail)
{
	struct control *control = receiver;

	if (control->topology != NULL)
		topology_acknowledged(control->topology, acknowledged_by_all(&control->shared));
	free(mail);
}

void control_line_acknowledged(struct control_line *line)
{
	struct mail *mail = alloc_zeroed(1, sizeof(*mail));

	mail->open = open_acknowledged;
	mailbox_post(&line->mailbox, mail);
}

struct note_mail {
	struct mail mail;
	enum event_kind kind;
	char node[JOURNAL_NODE_ROOM];
	char text[JOURNAL_TEXT_ROOM];
};

static void open_note(void *receiver, struct mail *mail)
{
	struct note_mail *letter = CONTAINER_OF(mail, struct note_mail, mail);
	struct control *control = receiver;

	if (control->journal != NULL)
		journal_note(control->journal, letter->kind, letter->node, "%s", letter->text);
	free(letter);
}

void control_line_note(struct control_line *line, enum event_kind kind, const char *node, const char *format, ...)
{
	struct note_mail *letter = alloc_zeroed(1, sizeof(*letter));
	va_list args;

	letter->mail.open = open_note;
	letter->kind = kind;
	snprintf(letter->node, sizeof(letter->node), "%s", node);
	va_start(args, format);
	vsnprintf(letter->text, sizeof(letter->text), format, args);
	va_end(args);
	mailbox_post(&line->mailbox, &letter->mail);
}

void control_line_post(struct control_line *line, struct mail *mail)
{
	mailbox_post(&line->mailbox, mail);
}

static void open_slow(void *receiver, struct mail *mail)
{
	struct control *control = receiver;

	slowlog_add(control->slowlog, CONTAINER_OF(mail, struct slow_command, mail));
}

void control_line_slow(struct control_line *line, struct slow_command *command)
{
	command->mail.open = open_slow;
	mailbox_post(&line->mailbox, &command->mail);
}

static void open_stopped(void *receiver, struct mail *mail)
{
	struct control *control = receiver;

	free(mail);
	if (--control->running == 0)
		ev_break(control->loop, EVBREAK_ALL);
}

void control_line_stopped(struct control_line *line)
{
	struct mail *mail = alloc_zeroed(1, sizeof(*mail));

	mail->open = open_stopped;
	mailbox_post(&line->mailbox, mail);
}

/* ---- what workers are told ---- */

static void on_publish(void *arg, struct snapshot *snapshot)
{
	struct control *control = arg;
	struct worker_shared *shared = &control->shared;

	if (atomic_load(&shared->epoch) != snapshot->epoch) {
		/* What is acknowledged before a worker adopts it has no offset in it. */
		atomic_store(&shared->epoch, snapshot->epoch);
		consistency_unproven(shared, clock_ns());
	}
	if (snapshot->node_count > 1 && !atomic_exchange(&shared->has_replicas, true))
		consistency_unproven(shared, clock_ns()); /* until now nobody asked for offsets */
	for (size_t i = 0; i < control->shared.worker_count; i++)
		worker_give_snapshot(control->shared.workers[i], snapshot);
	learner_follow(control->learner, snapshot);
}

static void on_confirmed(void *arg, uint32_t node_id)
{
	struct control *control = arg;

	(void)node_id;
	for (size_t i = 0; i < control->shared.worker_count; i++)
		worker_give_confirmation(control->shared.workers[i]);
}

static bool is_let_go(void *arg, uint32_t node_id, uint64_t generation, int64_t since_ns)
{
	const struct control *control = arg;

	if (clock_ns() - since_ns > clock_ms_to_ns(control->config->drain_timeout_ms))
		return true;
	for (size_t i = 0; i < control->shared.worker_count; i++) {
		const struct worker *worker = control->shared.workers[i];

		if (atomic_load_explicit(&worker->let_go_generation, memory_order_acquire) < generation ||
		    (atomic_load_explicit(&worker->held_nodes, memory_order_acquire) >> node_id & 1))
			return false;
	}
	return true;
}

static void on_learned(void *arg, struct command_table *table)
{
	struct control *control = arg;

	command_table_number(table, command_names_number, control->command_names);
	for (size_t i = 0; i < control->shared.worker_count; i++)
		worker_give_commands(control->shared.workers[i], table);
}

/* Reads need them; and where weir promotes, they tell what is lost. */
static bool needs_floors(const struct config *config)
{
	return config->consistency != CONSISTENCY_EVENTUAL || config->topology.failover.mode == TOPOLOGY_FAILOVER_AUTO;
}

static void want_floors(struct worker_shared *shared)
{
	if (!atomic_exchange(&shared->needs_floors, true))
		consistency_unproven(shared, clock_ns());
}

/* Everybody gets it before the topology's next snapshot, and by the same way: a
 * worker opens the two one after the other. */
static void on_config(void *arg, struct config *config)
{
	struct control *control = arg;
	struct config *before = control->config;

	control->config = config_acquire(config);
	log_set_level(config->log_level);
	log_set_format(config->log_format);
	if (needs_floors(config))
		want_floors(&control->shared);
	for (size_t i = 0; i < control->shared.worker_count; i++)
		worker_give_config(control->shared.workers[i], config);
	learner_adopt_config(control->learner, config);
	admin_adopt_config(control->admin, config);
	topology_reload(control->topology, &config->topology);
	config_release(&before);
}

/* ---- clients ---- */

/* The worker with the fewest clients; among equals they take turns. */
static struct worker *least_busy(struct control *control)
{
	const struct worker_shared *shared = &control->shared;
	struct worker *best = shared->workers[control->next_worker % shared->worker_count];
	int64_t least = atomic_load_explicit(&best->open_clients, memory_order_relaxed);

	for (size_t i = 1; i < shared->worker_count; i++) {
		struct worker *worker = shared->workers[(control->next_worker + i) % shared->worker_count];
		int64_t count = atomic_load_explicit(&worker->open_clients, memory_order_relaxed);

		if (count < least) {
			best = worker;
			least = count;
		}
	}
	control->next_worker = (best->index + 1) % (unsigned)shared->worker_count;
	return best;
}

static bool on_accept(void *arg, int fd, enum session_endpoint endpoint)
{
	struct control *control = arg;

	if (workers_open_clients(&control->shared) >= control->config->max_clients)
		return false;
	worker_give_client(least_busy(control), fd, ++control->last_client_id, endpoint);
	return true;
}

/* ---- signals ---- */

static void on_stop_signal(struct control *control, int number)
{
	if (ending_has_begun(control->ending) || number == SIGINT) {
		ending_hurry(control->ending);
		return;
	}
	acceptor_stop(&control->acceptor);
	ending_begin(control->ending, control->config->drain_timeout_ms);
}

static void on_hangup(struct control *control)
{
	if (ending_has_begun(control->ending)) {
		log_notice("SIGHUP: weir is about to end, nothing is read anew");
		return;
	}
	service_reloading(control->service);
	free(reload_file(control->reload)); /* the journal tells what was wrong */
	service_ready(control->service);
}

static void on_signal(void *arg, int number)
{
	if (number == SIGHUP)
		on_hangup(arg);
	else
		on_stop_signal(arg, number);
}

/* ---- what a service manager is told ---- */

/* Every worker ticks many times between two questions. */
static bool is_alive(void *arg)
{
	struct control *control = arg;
	bool alive = true;

	for (size_t i = 0; i < control->shared.worker_count; i++) {
		uint64_t ticks = atomic_load_explicit(&control->shared.workers[i]->ticks_done, memory_order_relaxed);

		alive = alive && ticks != control->ticks_seen[i];
		control->ticks_seen[i] = ticks;
	}
	return alive;
}

static void describe(void *arg, char text[SERVICE_STATUS_ROOM])
{
	struct control *control = arg;
	const struct topology_view *view = topology_view(control->topology);
	size_t readable = 0, replicas = 0;

	for (size_t i = 0; i < view->node_count; i++) {
		replicas += !view->nodes[i].is_master;
		readable += view->nodes[i].readable;
	}
	snprintf(text, SERVICE_STATUS_ROOM, "%s%s: %s %s, %zu of %zu replicas readable",
		 ending_has_begun(control->ending) ? "draining, " : "", topology_state_name(view->state),
		 view->master >= 0 ? "master" : "no master:",
		 view->master >= 0 ? view->nodes[view->master].name : view->no_master_reason, readable, replicas);
}

/* ---- start and end ---- */

static size_t count_workers(const struct config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->workers > 0)
		return config->workers;
	return cores > 0 ? (size_t)cores : 1;
}

static void create_workers(struct control *control)
{
	struct worker_shared *shared = &control->shared;

	/* What another weir, or this one before it was restarted, acknowledged until
	 * now shall be seen as well. */
	atomic_store(&shared->unproven_ns, clock_ns());
	atomic_store(&shared->needs_floors, needs_floors(control->config));
	atomic_store(&shared->user_changes, 1);
	shared->config = control->config;
	shared->control = &control->line;
	control->command_names = command_names_create();
	shared->builtin = command_table_builtin();
	command_table_number(shared->builtin, command_names_number, control->command_names);
	shared->worker_count = count_workers(control->config);
	shared->workers = alloc_zeroed(shared->worker_count, sizeof(struct worker *));
	control->ticks_seen = alloc_zeroed(shared->worker_count, sizeof(uint64_t));
	control->all_stats = alloc_zeroed(shared->worker_count + 1, sizeof(struct stats *));
	control->all_measures = alloc_zeroed(shared->worker_count, sizeof(struct measures *));
	for (size_t i = 0; i < shared->worker_count; i++) {
		shared->workers[i] = worker_create((unsigned)i, shared);
		control->all_stats[i] = &shared->workers[i]->stats;
		control->all_measures[i] = &shared->workers[i]->measures;
	}
	control->all_stats[shared->worker_count] = &control->stats;
}

static void start_workers(struct control *control)
{
	for (size_t i = 0; i < control->shared.worker_count; i++) {
		if (!worker_start(control->shared.workers[i]))
			log_fatal("cannot start worker %zu: %s", i, strerror(errno));
		control->running++;
	}
}

static void add_listeners(struct control *control, const struct config_listeners *listeners, const int *sockets,
			  enum session_endpoint endpoint)
{
	for (size_t i = 0; i < listeners->count; i++) {
		acceptor_add(control->acceptor, sockets[i], endpoint);
		log_notice("listening on %s%s", listeners->addresses[i].text,
			   endpoint == ENDPOINT_REPLICA ? " (reads only)" : "");
	}
}

static void start_services(struct control *control, const struct control_sockets *sockets)
{
	const struct config *config = control->config;
	struct topology_events events = { .on_publish = on_publish, .on_confirmed = on_confirmed, .is_let_go = is_let_go,
					   .arg = control };
	struct admin_sources sources = { .config = config,
					 .stats = (const struct stats *const *)control->all_stats,
					 .stats_count = control->shared.worker_count + 1,
					 .measures = (const struct measures *const *)control->all_measures,
					 .measures_count = control->shared.worker_count,
					 .command_names = control->command_names,
					 .journal = control->journal,
					 .reload = control->reload,
					 .slowlog = control->slowlog,
					 .workers = &control->shared,
					 .started_ns = clock_ns(),
					 .started_unix_ms = clock_unix_ms() };

	control->give_back = give_back_start(control->loop, (const struct stats *const *)control->all_stats,
					     control->shared.worker_count);
	control->learner = learner_start(control->loop, config, on_learned, control);
	control->topology = topology_start(control->loop, &config->topology, control->journal, &events);
	sources.topology = control->topology;
	control->acceptor = acceptor_start(control->loop, on_accept, control, &control->stats);
	add_listeners(control, &config->listen, sockets->listen, ENDPOINT_SPLIT);
	add_listeners(control, &config->listen_replica, sockets->listen_replica, ENDPOINT_REPLICA);
	control->admin = admin_start(control->loop, sockets->admin, config->admin_listen.count, &sources);
	for (size_t i = 0; i < config->admin_listen.count; i++)
		log_notice("admin on %s", config->admin_listen.addresses[i].text);
}

static void stop_services(struct control *control)
{
	acceptor_stop(&control->acceptor);
	admin_stop(&control->admin);
	give_back_stop(&control->give_back);
	topology_stop(&control->topology);
	learner_stop(&control->learner);
	reload_destroy(&control->reload);
	journal_destroy(&control->journal);
}

static void join_workers(struct control *control)
{
	struct worker_shared *shared = &control->shared;

	for (size_t i = 0; i < shared->worker_count; i++)
		worker_join(shared->workers[i]);
	for (size_t i = 0; i < shared->worker_count; i++)
		worker_open_last_mails(shared->workers[i]);
	for (size_t i = 0; i < shared->worker_count; i++)
		worker_free(&shared->workers[i]);
	mailbox_fini(&control->line.mailbox);
	slowlog_destroy(&control->slowlog);
	command_table_release(&shared->builtin);
	command_names_destroy(&control->command_names);
	free(shared->workers);
	free(control->all_stats);
	free(control->ticks_seen);
	free(control->all_measures);
}

int control_run(const char *path, struct config *config, const struct control_sockets *sockets)
{
	struct control *control = alloc_checked(aligned_alloc(64, (sizeof(*control) + 63) / 64 * 64));

	memset(control, 0, sizeof(*control));
	control->config = config_acquire(config);
	control->line.control = control;
	control->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (control->loop == NULL)
		log_fatal("no event loop");
	log_name_thread("control");
	mailbox_init(&control->line.mailbox, control->loop, control);
	control->signals = signals_watch(control->loop, on_signal, control);
	create_workers(control);
	control->journal = journal_create();
	control->reload = reload_create(path, config, control->journal, &control->stats,
					&(struct reload_events){ .on_config = on_config, .arg = control });
	control->service = service_start(control->loop, &(struct service_events){ .is_alive = is_alive,
										   .describe = describe, .arg = control });
	control->ending = ending_create(control->loop, &control->shared, control->journal, control->service);
	control->slowlog = slowlog_create();
	start_services(control, sockets);
	start_workers(control);
	journal_note(control->journal, EVENT_started, NULL, "weir " WEIR_VERSION " runs with %zu workers",
		     control->shared.worker_count);
	service_ready(control->service);
	ev_run(control->loop, 0);
	signals_stop(&control->signals);
	ending_destroy(&control->ending);
	service_stop(&control->service);
	stop_services(control);
	join_workers(control);
	config_release(&control->config);
	log_notice("stopped");
	ev_loop_destroy(control->loop);
	free(control);
	return EXIT_SUCCESS;
}
