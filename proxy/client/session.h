#ifndef WEIR_PROXY_SESSION_H
#define WEIR_PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/push.h"
#include "../config/config.h"
#include "../dispatch/redirect.h"

struct backend;
struct identity;
struct settlement;

/* What a client connection has set: the server-side state that redis-server
 * would keep in its connection, and that weir imposes on backends instead.
 * Plain data; client.c owns it, local.c and dispatch.c change it. */

enum session_endpoint {
	ENDPOINT_SPLIT,   /* [proxy] listen: writes to the master, reads spread */
	ENDPOINT_REPLICA, /* [proxy] listen_replica: a stock replica to its clients */
};

/* Why a session holds a private backend. */
enum session_pin {
	PIN_NONE,
	PIN_SINGLE,  /* for one request: it blocks, or needs a connection of its own */
	PIN_SESSION, /* a state of the session is on it, or about to be: see struct session_bonds */
};

/* Why the transaction that the session is in will not be executed. */
enum session_doom {
	DOOM_NONE,
	DOOM_BUSY,    /* MULTI was said to a server that was busy with a script */
	DOOM_DEMOTED, /* its server is no master any more */
};

/* What binds a session to its private backend, as the server's answers say.
 * When nothing of it is left the session takes the shared ways again. */
struct session_bonds {
	bool in_multi;
	bool watching;
	bool tracking;
	bool monitoring;
	bool replicating;            /* REPLCONF, SYNC or PSYNC was sent: for good */
	bool is_target;              /* somebody's invalidations are redirected to it, or were: for good */
	/* subscriptions, by the server's own count */
	uint32_t channels;
	uint32_t patterns;
	uint32_t shard_channels;
};

/* CLIENT REPLY: which commands are answered. The silent ones stand last. */
enum session_reply {
	REPLY_ON,
	REPLY_SKIP_NEXT, /* the present command has asked for silence to the next one */
	REPLY_SKIP,      /* the present command is not answered */
	REPLY_OFF,
};

enum { SESSION_NO_NODE = -1 };

struct session {
	uint64_t id;
	struct identity *identity;   /* one reference */
	struct backend *pinned;      /* private backend, NULL unless pin != PIN_NONE */
	char *name;                  /* CLIENT SETNAME; owned, NULL none */
	char *library_name;          /* CLIENT SETINFO; owned, NULL none */
	char *library_version;
	uint32_t db;
	uint8_t resp;                /* 2 or 3 */
	uint8_t endpoint;            /* enum session_endpoint */
	uint8_t pin;                 /* enum session_pin */
	uint8_t consistency;         /* enum config_consistency */
	bool chose_consistency;      /* by WEIR CONSISTENCY: no reload changes it */
	uint8_t reply;               /* enum session_reply */
	bool lanes_are_clear;        /* for the EXEC that comes next: it holds a CLIENT PAUSE */
	bool no_evict;               /* CLIENT NO-EVICT */
	bool no_touch;               /* CLIENT NO-TOUCH */
	bool authenticated;          /* a server has accepted this session as it is */
	bool in_multi;               /* MULTI was sent, EXEC or DISCARD was not: bonds.in_multi will follow */
	uint8_t doom;                /* enum session_doom: nothing is sent before EXEC or DISCARD */
	bool watch_lost;             /* of keys on a master that is none any more: EXEC finds them changed */
	bool queued_users;           /* one of them changes what users may do */
	uint32_t watched;            /* keys named in WATCH, while bonds.watching */
	uint32_t queued;             /* commands sent since MULTI */
	struct settlement *settlement; /* commands of weir's own that a server was told of (local_settle.c); owned, NULL none */
	struct session_bonds bonds;
	bool broadcasts;             /* CLIENT TRACKING ON BCAST */
	uint64_t redirect_id;        /* client of weir that gets its invalidations, 0 none */
	struct redirect_target redirect_target;
	int32_t home;                /* replica endpoint: node that gets what is no plain read */
	/* what its reads must see: consistency.h */
	uint64_t floor;              /* offset, in floor_epoch */
	uint64_t floor_epoch;        /* 0: no floor yet */
	int64_t observed_ns;         /* when the master answered something that the floor does not cover; 0 never */
	int64_t write_ns;            /* when its last write was answered; 0: none was */
	uint64_t write_epoch;        /* in which write_offset covers it; 0: none is known to */
	uint64_t write_offset;
	uint64_t index;              /* strong reads: the master's offset, asked after they had arrived */
	uint64_t index_epoch;
	/* where its last read on a replica went */
	int32_t read_node;           /* SESSION_NO_NODE: none did */
	uint32_t read_incarnation;   /* of that node then */
	bool read_script;            /* it took the way of scripts */
	/* where the last one was answered that was: it has seen what was there then */
	int32_t seen_node;
	uint64_t seen_generation;    /* of the connection */
	uint32_t seen_role;          /* ROLEs answered on it until then */
	int64_t seen_ns;             /* 0: none was */
};

static inline bool session_is_silent(const struct session *session)
{
	return session->reply >= REPLY_SKIP;
}

/* A command was taken: the next one comes. */
static inline void session_next_command(struct session *session)
{
	if (session->reply == REPLY_SKIP_NEXT)
		session->reply = REPLY_SKIP;
	else if (session->reply == REPLY_SKIP)
		session->reply = REPLY_ON;
}

static inline bool session_is_subscribed(const struct session *session)
{
	return session->bonds.channels > 0 || session->bonds.patterns > 0 || session->bonds.shard_channels > 0;
}

/* In RESP2 a subscriber may hardly say anything. */
static inline bool session_only_subscribes(const struct session *session)
{
	return session->resp == 2 && session_is_subscribed(session);
}

/* Does the server send it things unasked? */
static inline bool session_listens(const struct session *session)
{
	const struct session_bonds *bonds = &session->bonds;

	return session_is_subscribed(session) || bonds->tracking || bonds->monitoring || bonds->replicating || bonds->is_target;
}

static inline bool session_is_bound(const struct session *session)
{
	return session->bonds.in_multi || session->bonds.watching || session_listens(session);
}

/* The server has confirmed a (P|S)(UN)SUBSCRIBE: so many subscriptions are
 * left, channels and patterns together, or shard channels. */
void session_confirm(struct session *session, enum push_kind kind, uint32_t left);
/* How many confirmations an UNSUBSCRIBE of this kind from everything gets. */
uint32_t session_confirmations_of_all(const struct session *session, enum push_kind kind);

#endif
