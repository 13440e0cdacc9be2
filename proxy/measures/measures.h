#ifndef WEIR_PROXY_MEASURES_H
#define WEIR_PROXY_MEASURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "command_names.h"
#include "latency.h"

/* What a worker measures, and what the control thread makes of all of them.
 *
 * Times are those of the worker's turns: a command begins when its turn began,
 * and is over when its reply was read. No clock is read for a single command. */

enum { MEASURES_NODES = 64 }; /* node ids are below it */

enum latency_class {
	LATENCY_READ,  /* from when weir had the command until it had the whole reply */
	LATENCY_WRITE, /* the same, for all that may change data */
	LATENCY_LOCAL, /* what weir answers itself */
	LATENCY_CLASS_COUNT
};

const char *latency_class_name(enum latency_class class);

/* What is counted of one command, by the number of its name. */
struct command_measure {
	_Atomic uint64_t calls;             /* answered by a server, or by weir as its own */
	_Atomic uint64_t failed;            /* of them: the answer is an error */
	_Atomic uint64_t rejected;          /* besides: refused by weir before any server had it */
	_Atomic uint64_t timed;             /* calls whose duration says something: */
	_Atomic uint64_t us;                /* the sum of them, ... */
	_Atomic(struct latency *) latency;  /* ... and the histogram; NULL before the first */
};

struct measures {
	struct latency classes[LATENCY_CLASS_COUNT];
	struct latency nodes[MEASURES_NODES]; /* by node id: from when the command was written */
	struct latency loop_lag;              /* how late the worker's tick was */
	struct command_measure commands[COMMAND_NAMES_MAX];
	_Atomic bool runs;                    /* `cpu` is valid */
	clockid_t cpu;                        /* of the worker's thread */
};

/* Worker's thread, once: its processor time can be read from now on. */
void measures_begin(struct measures *measures);
/* The same, at its end. */
void measures_end(struct measures *measures);
/* When nobody reads any more: frees what the worker has taken for it. */
void measures_fini(struct measures *measures);
/* Another server gets this id: what was measured is not of it. */
void measures_forget_node(struct measures *measures, uint32_t node_id);

/* ---- any thread ---- */

/* Over all workers. */
void measures_sum_class(const struct measures *const *all, size_t count, enum latency_class class,
			struct latency_sum *sum);
void measures_sum_node(const struct measures *const *all, size_t count, uint32_t node_id, struct latency_sum *sum);
struct command_sum {
	uint64_t calls, failed, rejected, timed, us;
};
void measures_sum_command(const struct measures *const *all, size_t count, uint16_t number, struct command_sum *sum);
void measures_sum_command_latency(const struct measures *const *all, size_t count, uint16_t number,
				  struct latency_sum *sum);
/* Of one worker: nanoseconds that it has been on a processor; 0 when it does
 * not run. Over a second of wall time it is the worker's busy ratio. */
int64_t measures_cpu_ns(const struct measures *measures);

#endif
