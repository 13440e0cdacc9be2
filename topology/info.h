#ifndef WEIR_TOPOLOGY_INFO_H
#define WEIR_TOPOLOGY_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a redis-server says of itself: the text of INFO and the reply of ROLE,
 * as plain structs. Pure: no connection, no clock. Fields that weir does not
 * know are passed over (every version adds some); a known field whose value is
 * not of its kind makes the whole answer bad. */

struct redisReply;

enum {
	INFO_REPLID_LENGTH = 40,
	INFO_HOST_SIZE = 256,
	INFO_SLAVES_MAX = 64, /* slaveN entries that are kept; the count is always whole */
};

enum { INFO_UNKNOWN = -1 }; /* in every number below */

enum server_role {
	SERVER_ROLE_UNKNOWN,
	SERVER_ROLE_MASTER,
	SERVER_ROLE_SLAVE,
};

/* "master", "slave"; NULL unknown. */
const char *server_role_name(enum server_role role);

/* A slaveN line of a master: that replica as the master sees it. */
struct info_slave {
	char host[INFO_HOST_SIZE];
	uint16_t port;
	char state[32]; /* wait_bgsave, send_bulk, online, and what newer servers add */
	int64_t offset; /* acknowledged, up to a second old */
	int64_t lag;    /* whole seconds since that acknowledgement; says nothing unless online */
};

struct info {
	char redis_version[32];    /* Valkey tells the one it is compatible with */
	char server_name[32];      /* "": redis, which does not say so */
	char valkey_version[32];   /* "": it is redis */
	char run_id[INFO_REPLID_LENGTH + 1];
	int64_t cluster_enabled;
	int64_t loading;
	int64_t async_loading;     /* 7.0: the old data serves while new data loads */
	int64_t connected_clients;
	int64_t libraries;         /* of functions; unknown before 7.0, which has none */
	int64_t maxmemory;
	char maxmemory_policy[32];
	int64_t keys;              /* over all databases */

	enum server_role role;
	char replid[INFO_REPLID_LENGTH + 1];
	char replid2[INFO_REPLID_LENGTH + 1]; /* "" when there is none (all zeros) */
	int64_t master_offset;     /* master_repl_offset */
	int64_t second_offset;     /* second_repl_offset: the first one that replid2 does not cover */
	int64_t backlog_active;
	int64_t backlog_size;
	int64_t backlog_first;
	int64_t backlog_length;
	int64_t resyncs_full;      /* served to replicas since the server started */
	int64_t resyncs_partial;
	int64_t resyncs_refused;   /* partial ones that were asked for and became full ones */
	int64_t connected_slaves;
	size_t slave_count;
	struct info_slave slaves[INFO_SLAVES_MAX];

	char master_host[INFO_HOST_SIZE]; /* of a slave: whom it follows */
	int64_t master_port;
	int64_t link_up;
	int64_t last_io_seconds;
	int64_t sync_in_progress;
	int64_t sync_read;         /* bytes of that sync so far; unknown while there is none */
	int64_t sync_total;        /* and in all; unknown, or 0, where the master does not say */
	int64_t applied_offset;    /* slave_repl_offset; kept from the past while the link is down */
	int64_t received_offset;   /* slave_read_repl_offset, from 6.2.6 */
	int64_t priority;
	int64_t read_only;
};

/* False: not an INFO text with a run_id and a role, or a known field is
 * malformed; *wrong names the field (static). *info is undefined then. */
bool info_parse(struct info *info, const char *text, size_t length, const char **wrong);

/* What the server itself says in HELLO. */
const char *info_server_name(const struct info *info);
const char *info_server_version(const struct info *info);

/* At least 6.2.6: the first version whose offsets can be trusted while the
 * replica is paused, and that reports the received one (redis #9448). */
bool info_version_supported(const char *redis_version);

/* Does the server choose what it evicts by when, or how often, a key was used? */
bool info_evicts_by_use(const struct info *info);

/* The offset that this server's data is at: a slave's applied one. */
int64_t info_position(const struct info *info);

struct role {
	enum server_role role;
	int64_t offset;            /* a master's own; a slave's applied one, -1 unless connected */
	char master_host[INFO_HOST_SIZE];
	uint16_t master_port;
	char state[24];            /* of a slave's link: connect, connecting, handshake, sync, connected */
};

/* False: not the reply of a master or a slave (a Sentinel's, for one). */
bool role_parse(struct role *role, const struct redisReply *reply);

/* The server runs a script and answers nothing else meanwhile (-BUSY). */
bool reply_is_busy(const struct redisReply *reply);

#endif
