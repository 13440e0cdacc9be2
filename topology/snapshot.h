#ifndef WEIR_TOPOLOGY_SNAPSHOT_H
#define WEIR_TOPOLOGY_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An immutable picture of the topology, made by the control thread and shared
 * with the workers by reference count. Everything in it is constant from
 * publication to the last release, except the vitals, which the control thread
 * keeps writing and anybody may read. */

enum { RUN_ID_LENGTH = 40 };

/* What the control thread knows of one run of one redis-server right now.
 * Another run_id behind the same address gets vitals of its own, so whoever
 * holds an old snapshot never takes the new process for the old one.
 * Times are CLOCK_MONOTONIC in nanoseconds, 0 is "never". */
struct node_vitals {
	_Atomic unsigned references;
	/* Everything that the master had acknowledged before this moment is
	 * visible on this node: the time the newest master sample was sent whose
	 * offset the node's applied offset has reached. Of the master itself: the
	 * time its newest sample was sent. How old the data can be is the present
	 * minus this. */
	_Atomic int64_t fresh_as_of_ns;
	/* The applied offset, as polled last: bytes of the replication stream. */
	_Atomic uint64_t offset;
	/* The proof that a data connection ends at this run (DESIGN.md section 5):
	 * the present control connection was opened at control_since_ns, and the
	 * newest probe on it that confirmed the run_id was sent at confirmed_ns.
	 * Readers load confirmed_ns first; the writer stores it last. */
	_Atomic int64_t control_since_ns;
	_Atomic int64_t confirmed_ns;
};

/* A data connection that began to connect at connect_ns and was established at
 * established_ns ends at the run that these vitals belong to. Any thread. */
static inline bool node_vitals_prove(struct node_vitals *vitals, int64_t connect_ns, int64_t established_ns)
{
	int64_t confirmed = atomic_load_explicit(&vitals->confirmed_ns, memory_order_acquire);
	int64_t since = atomic_load_explicit(&vitals->control_since_ns, memory_order_acquire);

	return confirmed > established_ns && since != 0 && since < connect_ns;
}

/* Of one epoch: the highest offset that a write acknowledged by any worker is
 * known to end at or below. Workers raise and read it; offsets of another
 * epoch never get here, because every epoch has a floor of its own. Whoever was
 * told OK when the connection was lost that would have said up to where, is
 * unmeasured until a later offset covers it. */
struct epoch_floor {
	_Atomic unsigned references;
	_Atomic uint64_t offset;
	_Atomic uint64_t unmeasured;   /* clients, since the last offset that covers them */
	_Atomic int64_t unmeasured_ns; /* when the last one was told */
};

/* The users who have the same rules on a node as on the master. Constant once
 * published. */
struct snapshot_users {
	_Atomic unsigned references;
	uint64_t covers;          /* the changes of users up to this one: see topology_audit(); 0: nothing was compared */
	bool known;               /* false: the servers do not tell */
	size_t count;
	uint64_t names[];         /* hashes of them, sorted */
};

/* Is this user one of them? Of servers that do not tell, only the default user
 * is taken to be. */
bool snapshot_users_has(const struct snapshot_users *users, const char *name, size_t length);

struct snapshot_node {
	uint32_t id;              /* of the configured node, whatever its place in the file */
	uint32_t incarnation;     /* rises with every new run_id behind this id, and with every other server that gets it */
	char *name;               /* as configured, by default host:port */
	char *address;            /* host:port, for people */
	struct sockaddr_storage socket_address;
	socklen_t socket_length;
	char run_id[RUN_ID_LENGTH + 1];
	bool up;                  /* answers its health checks */
	bool readable;            /* may serve reads: the filter of DESIGN.md section 4, floors and age apart */
	bool leaving;             /* not configured any more: it ends what it has begun, and nothing else */
	bool sound;               /* readable, or would be if it were not drained: it may end what it has begun */
	bool readable_without_master; /* may serve when there is no master (no_master_reads = serve) */
	unsigned weight;
	/* Whom its ROLE has to name, as its INFO did together with the replid of
	 * this epoch: otherwise it has been pointed elsewhere since. */
	char *master_host;        /* "" when it follows nobody */
	uint16_t master_port;
	struct node_vitals *vitals; /* one reference is held by the snapshot */
	struct snapshot_users *users; /* so here; NULL: nothing was compared */
};

struct snapshot {
	_Atomic unsigned references;
	uint64_t generation;      /* rises with every publication */
	uint64_t epoch;           /* rises with every new replication history or master */
	char replid[RUN_ID_LENGTH + 1]; /* of that history; "" before the first master */
	struct epoch_floor *floor; /* of the epoch; one reference is held by the snapshot */
	int master;               /* index into nodes, -1: no usable master */
	bool held;                /* it is about to be another one, or has only just become the master: nothing is sent to it */
	bool evicts_by_use;       /* the master does, and knows only of what it has served itself */
	char *no_master_reason;   /* one sentence, NULL while there is a master */
	/* of the master, or of the last one; "" unknown */
	char redis_version[32];   /* that it is compatible with, if it is no redis-server */
	char server_name[32];
	char server_version[32];
	size_t node_count;
	struct snapshot_node *nodes;
};

struct snapshot *snapshot_acquire(struct snapshot *snapshot);
/* Takes the reference away and sets the caller's pointer to NULL; the last one
 * frees. Any thread. */
void snapshot_release(struct snapshot **snapshot);

/* A floor only rises. Any thread. */
void epoch_floor_raise(struct epoch_floor *floor, uint64_t offset);
void epoch_floor_unmeasured(struct epoch_floor *floor, int64_t now_ns);
/* The master's offset, asked for at that time. */
void epoch_floor_measured(struct epoch_floor *floor, int64_t sent_ns, uint64_t offset);

/* ---- for the control thread, which makes them ---- */

/* All fields zero, master -1, one reference. The maker fills in strings that
 * free(3) may take; each node's vitals by node_vitals_acquire(), and the floor
 * by epoch_floor_acquire(). */
struct snapshot *snapshot_create(size_t node_count);
/* Whether a router could tell the two apart. The generation is not looked at. */
bool snapshot_equal(const struct snapshot *a, const struct snapshot *b);

struct epoch_floor *epoch_floor_create(void);
struct epoch_floor *epoch_floor_acquire(struct epoch_floor *floor);
void epoch_floor_release(struct epoch_floor **floor);
/* Room for so many names; then add them, then seal. */
struct snapshot_users *snapshot_users_create(size_t room);
void snapshot_users_add(struct snapshot_users *users, const char *name, size_t length);
void snapshot_users_seal(struct snapshot_users *users);
struct snapshot_users *snapshot_users_acquire(struct snapshot_users *users);
/* As snapshot_release(); NULL stays NULL. */
void snapshot_users_release(struct snapshot_users **users);

struct node_vitals *node_vitals_create(void);
struct node_vitals *node_vitals_acquire(struct node_vitals *vitals);
/* As snapshot_release(). Any thread. */
void node_vitals_release(struct node_vitals **vitals);

#endif
