#ifndef WEIR_PROXY_REQUEST_H
#define WEIR_PROXY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../../protocol/slice.h"

struct backend;
struct client;
struct slab;

/* One command in flight. It stands in two queues: in its client's, in the
 * order the client asked, and in its backend's, in the order the server will
 * answer. First in, first out in both is all that pairs replies with
 * requests; so a request leaves its backend's queue exactly when one whole
 * reply has come, whatever became of the client in between.
 *
 *   client FIFO    r1 -> r2 -> r3        replies go out in this order
 *                   |     |     |
 *   backend FIFOs  A: r1 -> r3           replies come in in this order
 *                  B: r2
 *
 * The bytes of a request stay in its backend's stream until the reply has
 * come, so that a read can be sent again to another node. */

enum request_kind {
	REQUEST_CLIENT,     /* the reply goes to the client as it is */
	REQUEST_CURSOR,     /* the same, but the cursor at its head gets a tag (cursors.h) */
	REQUEST_HANDSHAKE,  /* weir's own, no client: prepares the connection */
	REQUEST_BARRIER,    /* weir's own, no client: kills a connection that was lost (barrier.h) */
	REQUEST_ROLE,       /* weir's own, no client: where the server is in the stream (consistency.h) */
	REQUEST_PASSAGE,    /* weir's own, no client: takes a subscriber to another master (passage.h) */
	REQUEST_HELLO,      /* these are judged by local.c when the reply is whole: */
	REQUEST_GATE,       /* is this session authenticated? */
	REQUEST_RESET,      /* on a private backend */
	REQUEST_ASKED,      /* asked before weir does its part of a local command (local_settle.c) */
	REQUEST_QUEUED,     /* such a command, as MULTI queues it */
	REQUEST_EXEC,       /* EXEC of a transaction that holds such commands */
	REQUEST_SCRIPT_KILL, /* asked of one node after the other */
	REQUEST_LOCAL,      /* weir's own reply, stands in the client's FIFO only */
};

enum request_flag {
	REQUEST_READ = 1 << 0,       /* may be sent again, to any node */
	REQUEST_WRITE = 1 << 1,      /* its reply acknowledges a possible change of data */
	REQUEST_FAST = 1 << 2,       /* the server flags the command `fast` */
	REQUEST_RETURNED = 1 << 3,   /* lost on the master, it waits since enqueued_ms to be answered there after all */
	REQUEST_WHOLE = 1 << 4,      /* its reply is collected whole before anybody sees it */
	REQUEST_ANSWERED = 1 << 5,   /* the whole reply has come, it waits for its turn */
	REQUEST_STREAMING = 1 << 6,  /* a part of its reply is in the client's output already */
	REQUEST_ON_REPLICA = 1 << 7, /* counted in the client's replica_in_flight */
	REQUEST_MUTED = 1 << 8,      /* weir answers in its place; the server's reply is dropped */
	REQUEST_TIMED_OUT = 1 << 9,  /* a node was silent about it for backend_timeout */
	REQUEST_ON_LANE = 1 << 10,   /* counted in the client's lane_in_flight */
	REQUEST_SCRIPT = 1 << 11,    /* a read that takes the way of scripts */
	REQUEST_TO_MASTER = 1 << 12, /* a read that no replica can serve: one has said so, or it speaks of one server */
	REQUEST_BLOCK = 1 << 13,     /* in a transaction that travels whole on a shared backend */
	REQUEST_CUT = 1 << 14,       /* its first bytes have left the stream: it cannot be sent again */
	REQUEST_USERS = 1 << 15,     /* from its reply on, users may do other things */
	REQUEST_STALE = 1 << 16,     /* a replica answered that is not proven to show what it must see */
	REQUEST_SENT = 1 << 17,      /* of a lost connection: a server may have executed it */
	REQUEST_SILENT = 1 << 18,    /* its client wants no reply (CLIENT REPLY) */
	REQUEST_SUSPECT = 1 << 19,   /* what the server was at when it was lost: if that has died, perhaps of this */
	REQUEST_BLOCKS = 1 << 20,    /* it may wait for data on the session's own connection, and nothing stands behind it */
	REQUEST_QUESTION = 1 << 21,  /* leaves nothing behind: wherever its session's questions go, it may be asked again */
	REQUEST_SECRET = 1 << 23,    /* there may be a password in it: its bytes are overwritten once it is answered */
	REQUEST_WAITS = 1 << 22,     /* it may wait for data or replicas: how long it takes says nothing */
	REQUEST_IN_CROWD = 1 << 24,  /* its reply is large, or may be (crowd.h) */
};

enum { BLOCK_BEGINS = 1, CURSOR_BOUND = 1 };

enum { REQUEST_RETRIES_MAX = 2 }; /* more servers than that do not get a read that others may have died of */

struct request {
	struct request *next_of_client;
	struct request *next_of_backend;
	struct client *client;    /* NULL: weir's own, or an orphan that eats its one reply */
	struct backend *backend;  /* NULL once it has left the backend's FIFO */
	struct buf *held;         /* reply that came before its turn, or is judged whole; owned; changed by
				   * request.c alone, which counts it for the client */
	uint64_t at;              /* offset of its bytes in the backend's stream */
	uint64_t floor;           /* a read on a replica: the position it demands; ROLE: when it was sent, ns */
	uint32_t length;          /* of its bytes */
	uint32_t enqueued_ms;     /* worker time when it was enqueued, wraps */
	uint32_t begun_us;        /* a client's: worker time when it was dispatched first, wraps */
	uint32_t flags;           /* enum request_flag */
	uint8_t kind;             /* enum request_kind */
	uint8_t retries;          /* servers that were lost over it */
	uint8_t cost;             /* in the backend's outstanding work */
	uint8_t avoid;            /* node id + 1 that failed it, 0 none */
	uint8_t catch_ups;        /* how often it was asked again of a replica that had not caught up */
	uint8_t special;          /* on a private backend: enum command_special, where the answer moves the session's bonds */
	uint8_t step;             /* HANDSHAKE: which part of it; SCRIPT_KILL: which node comes next; with
				   * REQUEST_BLOCK: BLOCK_BEGINS for its MULTI; CURSOR: CURSOR_BOUND, it goes on */
	uint8_t counts_as;        /* when it is answered: enum stat_id; 0: as nothing, or it was counted */
	uint16_t command;         /* the same: struct command.number */
};

/* A read that no other run of a server can answer: it goes on with a cursor. */
static inline bool request_is_bound(const struct request *request)
{
	return request->kind == REQUEST_CURSOR && request->step == CURSOR_BOUND;
}

enum {
	REQUEST_PLAIN_FLAGS = REQUEST_READ | REQUEST_WRITE | REQUEST_FAST | REQUEST_ON_REPLICA | REQUEST_ON_LANE |
			      REQUEST_SCRIPT | REQUEST_TO_MASTER,
};

/* Is an answer that is no error the client's as it is, without anything else
 * that follows from it? */
static inline bool request_is_plain(const struct request *request)
{
	return request->kind == REQUEST_CLIENT && (request->flags & ~(uint32_t)REQUEST_PLAIN_FLAGS) == 0 &&
	       request->special == 0 && request->held == NULL;
}

/* In no queue yet. Requests live in their worker's slab. */
struct request *request_create(struct slab *slab, enum request_kind kind, unsigned flags, uint32_t now_ms);
/* One like this plain one, which is the last in both of its queues: behind it
 * there, and its bytes of that length behind that one's. */
struct request *request_repeat(struct slab *slab, struct request *request, uint32_t length);
/* Appends to what is held back of its reply. */
void request_hold(struct request *request, const char *bytes, size_t length);
/* Puts other bytes in the place of those. */
void request_hold_instead(struct request *request, struct slice bytes);
void request_drop_held(struct request *request);
/* Hands it over, with its memory; NULL when nothing is held. */
struct buf *request_take_held(struct request *request);
/* A view; empty when nothing is held. */
struct slice request_held(const struct request *request);
/* It must be in no queue. */
void request_free(struct slab *slab, struct request *request);
/* So many plain ones at once, linked as their client's. */
void request_free_row(struct slab *slab, struct request *first, struct request *last, size_t count);

#endif
