#ifndef WEIR_PROXY_WORKER_H
#define WEIR_PROXY_WORKER_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../protocol/buf.h"
#include "../../protocol/command.h"
#include "../../topology/snapshot.h"
#include "../config/config.h"
#include "handover.h"
#include "../client/identity.h"
#include "../list.h"
#include "../log.h"
#include "../mailbox.h"
#include "../measures/answers.h"
#include "../measures/measures.h"
#include "../dispatch/pause.h"
#include "../backend/positions.h"
#include "../dispatch/route.h"
#include "../slab.h"
#include "../measures/stats.h"

struct client;
struct control_line;
struct pool;

/* One worker: a thread, its loop, and everything that the modules of the data
 * path share. Nothing in it is touched by another thread, but for the mailbox,
 * the number of its clients, the counters (read), and `shared`.
 *
 * A turn of the loop: sockets that are ready are read, whole commands are
 * routed into the backends' streams, replies into the clients' outputs; then
 * one prepare hook flushes every dirty backend once and every dirty client
 * once. This batching is what makes weir cheap: fifty clients that send one
 * command each become one pipelined write. */

enum {
	WORKER_READ_BYTES = 256 * 1024,
	WORKER_PARSED_MAX = 64,
	WORKER_RUNS_MAX = 128,
	WORKER_TICK_MS = 50,
};

/* One whole command as parsed, before it is routed. Views into the input. */
struct parsed_command {
	const struct command *command;
	const char *bytes;
	size_t length;
	int32_t argc;
	uint8_t class;            /* enum command_class, BLOCKING and its kin resolved */
};

/* A command that was taken, and had a password in it perhaps: overwrites it where
 * it came in. */
static inline void parsed_wipe(const struct parsed_command *parsed)
{
	explicit_bzero((char *)parsed->bytes, parsed->length);
}

/* What all workers of a weir share. */
struct worker_shared {
	struct config *config;                /* at the start; later each worker has its own reference */
	struct control_line *control;         /* the way to the control thread */
	_Alignas(64) _Atomic int64_t unproven_ns; /* when something was last acknowledged that no offset covers */
	_Atomic uint64_t epoch;               /* the newest one published */
	_Atomic unsigned barriers;            /* lost connections that are not killed yet (barrier.h) */
	_Atomic bool needs_floors;            /* some session reads under a floor, or may */
	_Atomic bool has_replicas;            /* there is, or was, a server beside the master */
	_Atomic uint64_t user_changes;        /* how often what users may do was changed through weir; from 1 on */
	_Atomic int monitors;                 /* sessions with MONITOR on the master */
	_Atomic uint64_t untold_epoch;        /* of the history in which DEBUG changed the master's data alone; 0 none */
	struct command_table *builtin;        /* the commands before a server was asked */
	size_t worker_count;
	struct worker **workers;              /* set before the first thread starts */
};

/* Consecutive bytes of replies for one client, a view. */
struct run {
	struct client *client; /* NULL: it has left */
	const char *bytes;
	size_t length;
};

/* Where this turn's reads go (dispatch_reads.c). */
struct gathering {
	int64_t turn_ns;      /* of which turn that holds */
	uint32_t node;        /* id */
	uint32_t outstanding; /* that it had then */
};

struct worker {
	struct stats stats;
	struct measures measures;
	unsigned index;
	pthread_t thread;
	struct worker_shared *shared;
	struct config *config;                /* one reference */
	struct ev_loop *loop;
	ev_prepare turn_end;
	ev_check turn_begin;
	ev_timer tick;
	ev_idle again;                        /* keeps the loop turning while a turn left work */
	struct mailbox mailbox;
	_Atomic uint64_t let_go_generation;   /* of the snapshot that `held_nodes` was found in */
	_Atomic uint64_t held_nodes;          /* those leaving with whom it still has something to do, one bit per id */
	_Atomic uint64_t ticks_done;          /* rises while its loop turns */
	_Atomic uint64_t acknowledged;        /* generation of the snapshot: handover.h */
	_Atomic int64_t open_clients;         /* handed over and not closed yet: also those still in the mailbox */

	int64_t now_ns;                       /* of this turn */
	uint32_t now_ms;                      /* the same in milliseconds, wraps */
	uint32_t now_us;                      /* and in microseconds */
	uint32_t reading_us;                  /* when the replies that are being taken were read */
	uint32_t sending_us;                  /* when this turn's requests are written */
	struct answers answers;               /* of one read's replies: those to clients, ... */
	struct tally at_node;                 /* ... and how long they took from their writing */
	uint32_t slow_us;                     /* commands that take as long are told to the slow log */
	unsigned slow_notes_left;             /* in this second */
	unsigned answered_here;               /* commands that weir has answered itself in this turn */
	int64_t tick_due_ns;                  /* when the next tick should come */
	uint64_t leaving_nodes;               /* in the snapshot, one bit per id */
	struct snapshot *snapshot;            /* one reference; never NULL while the loop runs */
	struct command_table *commands;       /* one reference */
	bool has_learned;                     /* it is a server's, not only the built-in one */
	int64_t learn_deadline_ns;            /* commands it does not know wait for it until then; 0: no master yet */
	struct positions positions;           /* of the master */
	struct node_load *loads;              /* by node id */
	size_t load_count;
	bool struck;                          /* some of them have strikes (ejection.h) */
	struct gathering gathering;
	struct identities identities;
	struct pause pause;
	struct handover handover;

	struct list_link clients;
	struct list_link backends;
	struct list_link readable_clients; /* in the order in which their bytes came */
	struct list_link dirty_clients;
	struct list_link dirty_backends;
	struct list_link unread_clients;
	struct list_link wide_clients;
	unsigned wide_count;               /* of them */
	struct list_link unfinished_clients;
	struct list_link resumed_clients;
	struct list_link lookups;             /* errands that wait for a client's connection (redirect.c) */
	struct list_link lane_waiters;        /* clients in STALL_LANE */
	struct list_link moving_lines;        /* backends in whose line (line.h) somebody may be let in, ... */
	const struct client *admitted;        /* ... who is just this one; NULL */
	struct list_link waiting_clients;     /* until ... */
	struct list_link parked_clients;      /* the same, for a request that is on no server now */
	ev_timer moment;                      /* ... this is over; runs while there are any */
	struct list_link dead_clients;        /* freed at the end of the turn */
	struct list_link dead_backends;

	struct slab requests;
	_Atomic int64_t heaviest_bytes;       /* what its heaviest client holds (ceiling.h) */
	size_t private_backends;              /* all of them, and those without an owner */
	size_t spare_private;
	size_t backends_aside;                /* shared ones out of the lanes */
	uint64_t generations;                 /* of backend connections */
	uint64_t random;                      /* state of worker_random() */
	unsigned touches_left;                /* TOUCHes of this second (dispatch_touch.c): for what was read, ... */
	unsigned misses_left;                 /* ... and for what was not there */
	struct run runs[WORKER_RUNS_MAX];     /* delivery.c: of what is being read */
	unsigned run_count;
	unsigned ticks;
	struct log_limit close_lines;
	bool halted;                          /* the loop has ended */
	bool draining;
	int64_t drain_deadline_ns;

	struct parsed_command parsed[WORKER_PARSED_MAX];
	struct buf scratch;                   /* re-encoded inline commands */
	char *read_buffer;                    /* WORKER_READ_BYTES; clients' and backends' reads land here */
};

/* Makes a worker, ready to run. Counts from 0. */
struct worker *worker_create(unsigned index, struct worker_shared *shared);
/* Starts its thread. False with errno when that fails. */
bool worker_start(struct worker *worker);

/* Any thread: hand over an accepted socket, a snapshot, a command table,
 * a configuration (these are acquired), or word that some node was confirmed. */
void worker_give_client(struct worker *worker, int fd, uint64_t id, enum session_endpoint endpoint);
void worker_give_snapshot(struct worker *worker, struct snapshot *snapshot);
void worker_give_commands(struct worker *worker, struct command_table *table);
void worker_give_config(struct worker *worker, struct config *config);
void worker_give_confirmation(struct worker *worker);
/* Any thread: finish what was read within drain_timeout, then stop. */
void worker_drain(struct worker *worker);
/* Any thread: stop at the end of this turn. */
void worker_halt(struct worker *worker);
/* The end, in three steps that all workers take together, because a mail may
 * travel from one to the next: waits for the thread; opens what is left in the
 * mailbox; frees *worker and sets it to NULL. */
void worker_join(struct worker *worker);
void worker_open_last_mails(struct worker *worker);
void worker_free(struct worker **worker);

/* Clients of all of them, also those that are still in a mailbox. Any thread. */
int64_t workers_open_clients(const struct worker_shared *shared);

/* ---- for the modules of the data path, on the worker's thread ---- */

/* From now on some session may read under a floor. What was acknowledged before
 * has no offset, and is remembered by its time. */
void worker_want_floors(struct worker *worker);
/* For jitter and samples, not for secrets (xorshift64). */
static inline uint64_t worker_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

/* Are there replicas that could be behind, and sessions that would mind? */
static inline bool worker_needs_floors(const struct worker *worker)
{
	return atomic_load_explicit(&worker->shared->has_replicas, memory_order_relaxed) &&
	       atomic_load_explicit(&worker->shared->needs_floors, memory_order_relaxed);
}

/* An answer to a client's command; worker_settle_answers() when there are no more now. */
static inline void worker_count_answer(struct worker *worker, struct answer answer, uint32_t times)
{
	answers_count(&worker->answers, answer, times, &worker->measures, &worker->stats);
}

static inline void worker_settle_answers(struct worker *worker)
{
	answers_settle(&worker->answers, &worker->measures, &worker->stats);
}

/* What users may do was changed: no replica serves anybody before its rules have
 * been compared with the master's again. */
void worker_users_changed(struct worker *worker);
static inline uint64_t worker_user_changes(const struct worker *worker)
{
	return atomic_load_explicit(&worker->shared->user_changes, memory_order_acquire);
}

/* Does anybody watch what is said to the master? */
static inline bool worker_is_monitored(const struct worker *worker)
{
	return atomic_load_explicit(&worker->shared->monitors, memory_order_relaxed) > 0;
}

/* Has the master got data that its replicas will not be told of? */
static inline bool worker_is_untold(const struct worker *worker)
{
	uint64_t epoch = atomic_load_explicit(&worker->shared->untold_epoch, memory_order_acquire);

	return epoch != 0 && epoch == worker->snapshot->epoch;
}
/* It will have, from here on. */
void worker_leave_untold(struct worker *worker);

/* The master wants passwords: the other workers shall ask it at once. */
void worker_alert_others(struct worker *worker);
/* A backend has room again: whoever waited for one tries anew. */
void worker_wake_lane_waiters(struct worker *worker);

/* The client's next command is looked at again in a moment: it waits for
 * something that nobody tells. Its stall is STALL_EVENT. */
void worker_wait_a_moment(struct worker *worker, struct client *client);
/* The same for the request that goes on with a cursor: dispatch_parked(). */
void worker_park(struct worker *worker, struct client *client);

/* The node behind an id in the present snapshot, or NULL. */
const struct snapshot_node *worker_node(const struct worker *worker, uint32_t node_id);

#endif
