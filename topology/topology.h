#ifndef WEIR_TOPOLOGY_TOPOLOGY_H
#define WEIR_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

struct ev_loop;
struct journal;

/* The control thread's part of weir: observe the servers, plan who should
 * follow whom, act, publish. It runs on the loop it is given and is the only
 * user of hiredis. Every function here belongs to that loop's thread. */

/* One configured redis-server. */
struct topology_node_config {
	char *name;           /* default: host:port */
	char *host;
	uint16_t port;
	char *announce_host;  /* what REPLICAOF tells the others; NULL: host */
	uint16_t announce_port; /* 0: port */
	unsigned weight;      /* of reads; 1 by default */
};

struct topology_endpoint {
	char *host;
	uint16_t port;
};

/* Where master and replicas come from Sentinel. */
struct topology_sentinel_config {
	char *name;                          /* what the sentinels call the master; "": there are none */
	struct topology_endpoint *addresses;
	size_t count;
	char *user;
	char *password;
};

enum topology_failover_mode {
	TOPOLOGY_FAILOVER_OFF,
	TOPOLOGY_FAILOVER_AUTO,
};

/* When a replica takes the place of a master that is lost. */
struct topology_failover_config {
	enum topology_failover_mode mode;
	int64_t down_after_ms;
	int64_t min_interval_ms;
	int64_t max_lost_bytes;
};

enum topology_wiring {
	TOPOLOGY_WIRING_ENFORCE,
	TOPOLOGY_WIRING_OBSERVE,
};

struct topology_config {
	struct topology_node_config *nodes; /* [0] is the configured master; none where there are sentinels */
	size_t node_count;
	struct topology_sentinel_config sentinel; /* of the start: a reload does not look at it */
	enum topology_wiring wiring;
	char **allow_overwrite;       /* names of replicas whose foreign data may be replaced */
	size_t allow_overwrite_count;
	bool accept_reset_master;
	struct topology_failover_config failover;
	int64_t max_lag_ms;
	int64_t max_lag_bytes;
	int64_t interval_ms;          /* between health checks */
	int64_t timeout_ms;           /* of connecting, and of any command */
	unsigned rise;                /* good checks in a row until a node is up */
	unsigned fall;                /* bad checks in a row until it is down */
	char *user;                   /* of the control connections; "" is the default user */
	char *password;               /* "" is none */
};

enum { TOPOLOGY_NODES_MAX = 64 }; /* and every id is below it */

struct topology;

struct topology_events {
	/* A new picture. The receiver acquires what it wants to keep. */
	void (*on_publish)(void *arg, struct snapshot *snapshot);
	/* confirmed_ns of this node's vitals has moved since topology_confirm(). */
	void (*on_confirmed)(void *arg, uint32_t node_id);
	/* Has every worker let go of this node, which is leaving since that
	 * generation and that moment? Or is it time to end what it still has to do. */
	bool (*is_let_go)(void *arg, uint32_t node_id, uint64_t generation, int64_t since_ns);
	void *arg;
};

/* Begins to observe. The config is copied; the journal is told what happens and
 * outlives the topology. Never fails: what cannot be reached is down. The first
 * snapshot, without a master, is published from within this call. */
struct topology *topology_start(struct ev_loop *loop, const struct topology_config *config, struct journal *journal,
				const struct topology_events *events);
/* Applies another configuration: what has not changed goes on as it was. A server
 * is the same one as before if its host and port are. Who is not in it any more
 * serves no new reads, ends what it has begun, and is forgotten. */
void topology_reload(struct topology *topology, const struct topology_config *config);
/* Closes every control connection and frees *topology, sets it to NULL. */
void topology_stop(struct topology **topology);

/* Every worker has adopted this generation of the snapshot. Of one whose master
 * is held: nothing that was sent to it may change its data any more. */
void topology_acknowledged(struct topology *topology, uint64_t generation);

/* A worker waits for a proof about this node: probe its run_id now rather than
 * at the next interval; on_confirmed() follows when it is confirmed. */
void topology_confirm(struct topology *topology, uint32_t node_id);

/* A worker would like to read from replicas but their polled positions are
 * older than the last acknowledged write: sample the master and then the
 * replicas now. Calls are coalesced, at most one round per 5 ms. */
void topology_refresh(struct topology *topology);

/* What users may do may have changed: compare the servers' rules now. `changes`
 * counts the changes that came through weir, from 1 on; the snapshot says up to
 * which one it covers. */
void topology_audit(struct topology *topology, uint64_t changes);

/* A reply hinted that roles have changed (-READONLY from the master, a
 * connection lost): check this node now. Only its ROLE decides. */
void topology_suspect(struct topology *topology, uint32_t node_id);

/* Console verbs. They answer NULL, or one sentence why not (static). */
const char *topology_drain(struct topology *topology, const char *node_name, bool drained);
const char *topology_accept_master(struct topology *topology);

struct topology_succession_view;

/* A planned change of the master, and what became of it. */
enum topology_switchover_result {
	SWITCHOVER_DONE,
	SWITCHOVER_POSSIBLE,       /* it was a dry run */
	SWITCHOVER_REFUSED,        /* nothing was begun */
	SWITCHOVER_UNDONE,         /* it was begun, and everything is as before */
};

enum { TOPOLOGY_SWITCHOVER_MAX_MS = 60000 }; /* an operator's timeout_ms is at most that */

struct topology_switchover {
	const char *replica;       /* by name; NULL: the best one */
	int64_t timeout_ms;        /* how long writes are held at most until the promotion; 0: two seconds */
	bool dry;                  /* only says whether it would be done */
	/* Called once, later. The view says more, and its `result` is a sentence. */
	void (*on_done)(void *arg, enum topology_switchover_result result, const struct topology_succession_view *view);
	void *arg;
};

/* NULL: it is looked into, and on_done() follows. Else a sentence (static) why not. */
const char *topology_switchover(struct topology *topology, const struct topology_switchover *wanted);

/* ---- what admin shows ---- */

enum topology_state {
	TOPOLOGY_OK,        /* a usable master, and every replica that is not drained is readable */
	TOPOLOGY_DEGRADED,  /* a usable master */
	TOPOLOGY_NO_MASTER,
};

const char *topology_state_name(enum topology_state state);

enum { TOPOLOGY_NAMES_MAX = 16 };

enum { TOPOLOGY_UNKNOWN = -1 }; /* in every signed field of a view */

/* How one node looks right now. Strings belong to the topology and are valid
 * until control returns to the loop. */
struct topology_node_view {
	uint32_t id;                /* of this server while weir runs; later perhaps of another one ... */
	uint32_t incarnation;       /* ... with a greater number here; it rises with every new run_id as well */
	const char *name;
	const char *address;
	unsigned weight;
	bool up;
	bool is_master;             /* the node weir takes for the master */
	const char *role;           /* as the node says: "master", "slave"; NULL unknown */
	const char *master_address; /* whom it says it follows, host:port; NULL */
	const char *link;           /* "up", "down"; NULL unknown */
	const char *link_state;     /* ROLE's word: connect, connecting, sync, connected; NULL */
	int sync_in_progress;       /* 0, 1, or TOPOLOGY_UNKNOWN */
	int64_t sync_read_bytes;    /* of that sync; the total only where the master knows it */
	int64_t sync_total_bytes;
	int loading;
	int read_only;
	int64_t offset;             /* applied */
	int64_t received_offset;    /* slave_read_repl_offset */
	int64_t lag_bytes;
	double lag_ms;              /* its data are at most so old; negative: unknown */
	double lag_then_ms;         /* so old when it was looked at last, up to an interval ago: what a curve shows */
	const char *state_at_master; /* the master's `state` for this replica: wait_bgsave, send_bulk, online; NULL unknown */
	int64_t ack_lag_seconds;    /* the master's `lag` for this replica, once it is online */
	int64_t ack_offset;         /* the master's `offset` for this replica */
	int64_t last_io_seconds;    /* master_last_io_seconds_ago */
	int64_t priority;
	bool drained;
	bool readable;
	/* Why not readable, one word; NULL when readable. Of itself: down,
	 * drained, unknown (not looked at yet, or about to be), old_version,
	 * loading, not_a_replica, sync, writable. As one of the group: master,
	 * no_master, same_server, wrong_master, link_down, other_history, lag,
	 * lag_bytes. */
	const char *reason;
	const char *wiring;         /* why it is not wired (a data guard), one sentence; NULL when there is nothing to say */
	const char *resync_if_reconnected; /* "partial", "full"; NULL unknown */
	int users_compared;         /* with the master's: 1; 0: the servers do not tell */
	int64_t differing_users;    /* so many of the master's have other rules here */
	size_t differing_name_count; /* the first ones of them */
	const char *differing_names[TOPOLOGY_NAMES_MAX];
	const char *run_id;         /* NULL unknown */
	const char *replid;
	const char *replid2;
	int64_t second_replid_offset;
	const char *redis_version;
	const char *server_name;
	const char *server_version;
	int64_t keys;               /* over all databases */
	int64_t connected_replicas;
	int64_t resyncs_full;       /* served by it since it started */
	int64_t resyncs_partial;
	int64_t resyncs_refused;    /* partial ones that were asked for and could not be */
	int backlog_active;
	int64_t backlog_size;
	int64_t backlog_first_byte_offset;
	int64_t backlog_histlen;
	uint64_t state_changes;     /* up/down and role changes seen */
	uint64_t wirings;           /* REPLICAOF sent to it */
};

enum { TOPOLOGY_PHASES_MAX = 10 };

/* The change of the master that is under way, or the last one. */
struct topology_succession_view {
	bool unplanned;             /* what follows is of a failover */
	const char *step;           /* "check", "hold", ...; NULL: none is under way */
	int64_t step_ms;            /* how long that has lasted; -1 */
	bool holds;                 /* writes wait for it */
	const char *from;           /* NULL: there was none yet */
	const char *to;
	const char *result;         /* of the last one, a sentence; NULL */
	int64_t ended_ms;           /* how long that is past; -1 */
	size_t phase_count;         /* that it has gone through so far, in order, */
	struct {
		const char *name;
		int64_t us;         /* and how long each lasted */
	} phases[TOPOLOGY_PHASES_MAX];
	uint64_t held_us;           /* how long writes were held, the last time, ... */
	uint64_t held_total_us;     /* ... and in all that were done */
	uint64_t done;              /* switchovers, by what became of them */
	uint64_t undone;
	uint64_t refused;
};

struct topology_failover_view {
	bool on;
	uint64_t count;             /* so many were begun */
	const char *why;            /* why the master that is lost is not replaced; NULL */
};

/* What one sentinel says. */
struct topology_sentinel_view {
	const char *address;
	bool up;                    /* its answer is fresh */
	const char *master;         /* host:port; NULL unknown */
	int64_t config_epoch;
};

struct topology_view {
	enum topology_state state;
	uint64_t generation;
	uint64_t epoch;
	/* Changes of the master that lost acknowledged writes, and how many bytes of
	 * the replication stream those were, as far as it can be told. */
	uint64_t lossy_changes;
	uint64_t lost_bytes;
	uint64_t doubtful;            /* clients whose write may be among them: at which offset it was nobody knows */
	const char *no_master_reason; /* NULL while there is a master */
	const char *wiring_mode;      /* "enforce", "observe" */
	const char *wiring_reason;    /* why it fell back to observe; NULL */
	struct topology_succession_view succession;
	struct topology_failover_view failover;
	const char *sentinel_name;    /* NULL: there are no sentinels */
	size_t sentinel_count;
	const struct topology_sentinel_view *sentinels;
	int master;                   /* index into nodes, -1 none */
	size_t node_count;
	const struct topology_node_view *nodes; /* in the order of the file */
};

/* Valid until control returns to the loop. */
const struct topology_view *topology_view(struct topology *topology);

#endif
