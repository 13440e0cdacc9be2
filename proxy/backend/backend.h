#ifndef WEIR_PROXY_BACKEND_H
#define WEIR_PROXY_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../../protocol/push.h"
#include "../../protocol/resp.h"
#include "conn.h"
#include "crowd.h"
#include "drop_reason.h"
#include "../client/identity.h"
#include "line.h"
#include "../list.h"
#include "positions.h"
#include "request.h"
#include "sendings.h"

struct client;
struct snapshot;
struct snapshot_node;
struct worker;

/* A backend is weir's way to one server: a connection, and the queue of
 * requests that take it. The queue outlives the connection: what has not been
 * sent yet waits in it while the connection is made, or made again.
 *
 *   stream    |.. answered ..|== sent, unanswered ==|-- not sent yet --|
 *             base           oldest request         sent               end
 *
 * Bytes leave the stream when the reply to them is whole; until then a read
 * can be sent again elsewhere. Offsets in the stream are absolute and never
 * reused within one connection. */

enum backend_kind {
	BACKEND_SHARED,  /* pipelined, for every session of one identity, database and RESP version */
	BACKEND_SCRIPT,  /* the same, for scripts and functions alone */
	BACKEND_CHECKER, /* takes nothing but AUTH and HELLO: asks a server whether credentials are good */
	BACKEND_PRIVATE, /* belongs to one session */
	BACKEND_KIND_COUNT
};

enum backend_state {
	BACKEND_IDLE,       /* no connection: no node to go to, or nothing to say, or between two tries */
	BACKEND_CONNECTING,
	BACKEND_PROVING,    /* connected; the control thread has to confirm who is at the other end */
	BACKEND_HANDSHAKE,  /* weir's own requests are under way, clients' wait */
	BACKEND_READY,
};

enum { BACKEND_TO_MASTER = -1 };

/* What a backend is for; two sessions with equal keys share one. */
struct backend_key {
	struct identity *identity;
	int32_t node;   /* node id, or BACKEND_TO_MASTER: whichever node that is */
	uint32_t db;
	uint8_t kind;   /* enum backend_kind */
	uint8_t resp;   /* 2 or 3 */
	bool no_touch;  /* CLIENT NO-TOUCH ON: what it reads does not look used to the server's eviction */
};

/* Of a private backend, whose server may speak unasked. */
struct reading {
	char opening[PUSH_OPENING_BYTES]; /* first bytes of a value that cannot be told from a push yet */
	uint8_t opening_length;
	uint8_t value;                /* enum value: what the value is to whoever waits */
	uint8_t push;                 /* enum push_kind: what it looks like */
	uint8_t author;               /* enum push_author: of a MONITOR's line, as far as it is known */
	bool in_exec;                 /* the header of EXEC's reply was read, its elements come */
	int64_t elements;             /* of them still to come */
	uint32_t due;                 /* confirmations that the present command still gets; 0: the first one will tell */
	struct buf whole;             /* of a value that is looked at as a whole */
};

struct passage;

struct backend {
	struct conn conn;
	struct worker *worker;
	struct list_link of_worker;   /* worker->backends */
	struct list_link of_identity; /* identity->lanes; private ones stand there only while spare */
	struct list_link dirty;       /* worker->dirty_backends: has bytes to flush */
	struct backend_key key;       /* one reference to key.identity */
	enum backend_state state;
	bool tainted;                 /* private: a session left state on it, never to be reused */
	bool connect_failed;          /* at once, at the last try; settled by the next tick */
	uint64_t held_after;          /* private, while clients are paused: 1 + where the request stands that the
				       * server had before that; 0: none */
	bool diverted;                /* private: carries a command that the master may hold (pause.h) */
	bool held;                    /* nothing beyond send_limit is written: the master is about to change */
	bool closing;                 /* in the worker's graveyard */
	bool aside;                   /* shared, but no longer, or not now, among the lanes: flow.h */

	/* the node of the present connection, or of the next one */
	bool has_target;
	uint32_t node_id;             /* in the worker's snapshot, while its incarnation is ... */
	uint32_t incarnation;
	uint64_t generation;          /* rises with every connection */
	uint64_t server_id;           /* what CLIENT ID says on this connection; 0 unknown */
	int64_t connect_ns;           /* when this connection was begun, established */
	int64_t established_ns;
	int64_t retry_ns;             /* not before this; 0 at once */
	int64_t ready_ns;             /* when this connection became READY */
	unsigned failures;            /* tries in a row that did not get to READY, or did not stay there */

	/* requests */
	struct request *head;         /* oldest unanswered */
	struct request *tail;
	uint32_t outstanding;         /* cost of all of them */
	struct crowd crowd;           /* of them */
	struct line line;             /* clients that wait to join it */
	uint32_t handshake_left;      /* replies still due before READY */
	bool has_entered;             /* in the handshake: the database was selected before AUTH */
	struct buf refusal;           /* while a refused queue is settled: the server's words; else empty */
	struct buf stream;
	uint64_t base;                /* absolute offset of the stream's first byte */
	uint64_t sent;                /* absolute offset up to which bytes were written */
	uint64_t send_limit;          /* nothing beyond it is written before READY, or while held */
	struct sendings sendings;     /* when */

	/* master: lost connections that have to be killed first (barrier.h) */
	struct buf barriers;          /* their CLIENT IDs, uint64_t each */
	unsigned barriers_asked;      /* of them, on this connection */
	unsigned barriers_due;        /* of those, not answered yet */

	struct passage *passage;      /* private: its subscriber goes to another master; NULL */

	/* ROLEs among the requests (consistency.h) */
	bool wants_role;              /* master: this batch ends with one */
	bool batch_open;              /* replica: the batch has begun with one */
	uint64_t batch_at;            /* absolute offset of that one */
	uint32_t roles_sent;          /* on this connection, or about to be; wraps */
	uint32_t roles_answered;
	struct proof proof;           /* replica: by the one answered last */
	struct list_link observers;   /* master: clients whose last reply it covers next */
	struct list_link index_waiters; /* master: clients whose reads wait for one */

	/* replies */
	struct resp_reply_framer framer;
	struct buf own_reply;         /* to a request of weir's own, as far as it has come */
	uint64_t reply_length;        /* bytes of the head's reply so far (shared) */
	bool mid_reply;               /* a part of the head's reply has been read */
	uint8_t mode;                 /* enum delivery_mode of that reply */
	struct client *owner;         /* private: whose it is; NULL: a spare one */
	struct reading reading;       /* private: what is being read; see backend_private.c */
	bool unframed;                /* private: no RESP any more, a replication stream */
	bool uploading;               /* the tail is the beginning of a request: backend_begin_upload() */
	struct client *paused_for;    /* nothing is read until it has read what it has; NULL: no pause */
	int64_t paused_ns;            /* since then */
	bool hurried;                 /* nobody is waited for: others wait here */
	int64_t last_read_ns;         /* when anything was read */
	int64_t idle_since_ns;        /* since when it has nothing to do */
};

/* Creates it in state IDLE; belongs to the worker. */
struct backend *backend_create(struct worker *worker, const struct backend_key *key);

/* Makes the connection ahead of the first request. */
void backend_open(struct backend *backend);

/* Puts a request at the end of the queue; copies its bytes. Starts a
 * connection when there is none. The request belongs to the queue until its
 * one reply has come. */
void backend_enqueue(struct backend *backend, struct request *request, struct slice bytes);

/* How many bytes behind its last request may one like that still begin? Where a
 * ROLE has to come first, none. */
size_t backend_row_room(const struct backend *backend);
/* Requests like its last one stand behind that now, and `last` is the last of so
 * many; copies their bytes. */
void backend_extend(struct backend *backend, struct request *last, uint32_t count, struct slice bytes);

/* Appends bytes that are no request (a replication stream), or belong to the
 * upload. */
void backend_forward(struct backend *backend, struct slice bytes);

/* The request enqueued last, which is the only one and its backend private, is
 * only a beginning: an upload. The rest is added as it comes, and leaves the
 * stream when it is written. The last byte added is kept back until the end, so
 * that an unfinished request never counts as sent. */
void backend_begin_upload(struct backend *backend);
void backend_end_upload(struct backend *backend);
/* Room to write more of it to, and how much that was. */
char *backend_reserve(struct backend *backend, size_t room);
void backend_produced(struct backend *backend, size_t count);
/* Is there room for more of what a session sends as it comes? When that
 * changes, the owner's stall is checked. */
bool backend_takes_more(const struct backend *backend);

/* The bytes of a queued request; a view into the stream. */
struct slice backend_request_bytes(const struct backend *backend, const struct request *request);

/* Has the whole request been handed to the kernel? If not, no server can have
 * executed it. */
static inline bool backend_has_sent(const struct backend *backend, const struct request *request)
{
	return request->at + request->length <= backend->sent;
}

/* Would another connection answer it as well? */
static inline bool backend_can_be_replaced(const struct backend *backend, const struct request *request)
{
	return (request->flags & REQUEST_QUESTION) && backend->key.kind != BACKEND_PRIVATE;
}

/* Has bytes to write at the end of the turn. */
void backend_mark_dirty(struct backend *backend);
/* Sets send_limit to what has to be written still, once its first byte was: a
 * request, or the transaction that it is a part of. */
void backend_limit_to_begun(struct backend *backend);

/* Looks at the snapshot: connects, or leaves a node that it must not talk to
 * any longer. Called at adoption and whenever a try is due. */
void backend_retarget(struct backend *backend, const struct snapshot *snapshot);

/* The control thread has confirmed the node: perhaps the proof is there now. */
void backend_check_proof(struct backend *backend);

/* The connection could not even be begun: settles that. On a tick, so that
 * whoever enqueues is never called back. */
void backend_settle_failed_connect(struct backend *backend);

/* Nothing waits in it for an answer or a connection. */
bool backend_has_nothing_to_do(const struct backend *backend);

/* Has it more unanswered bytes than it should be given? */
bool backend_is_full(const struct backend *backend);

/* Writes what it can. At the end of a turn. */
void backend_flush(struct backend *backend);

/* On a tick: what an idle one has kept for its next batch. */
void backend_give_back(struct backend *backend);

/* Reads what has come. It may be the end of the connection, or of the backend. */
void backend_read(struct backend *backend);

/* Drops the connection. What was sent is settled by delivery_lost(); what was
 * not stays queued (towards the master) or is settled too (towards a replica).
 * `detail` is for the log; NULL: the reason says it all. */
void backend_disconnect(struct backend *backend, enum drop_reason reason, const char *detail);

/* Takes a request out of the queue wherever it stands, without a reply. Only
 * before the handshake: its bytes leave the stream when that is laid anew. */
void backend_withdraw(struct backend *backend, struct request *request);

/* Puts an orphan that eats the reply in the place of the request behind
 * `before` (NULL: of the head), which is in no queue then. Returns the orphan. */
struct request *backend_replace(struct backend *backend, struct request *before);

/* Ends it: connection, queue (orphans and all), memory at the end of the turn.
 * No client's request may be left in the queue. */
void backend_destroy(struct backend *backend, enum drop_reason reason);

/* Stop or go on reading replies; only for flow.c. */
void backend_pause_reading(struct backend *backend, bool pause);

#endif
