#ifndef WEIR_PROXY_CLIENT_H
#define WEIR_PROXY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../../protocol/resp.h"
#include "../backend/appetite.h"
#include "close_reason.h"
#include "../backend/conn.h"
#include "../list.h"
#include "session.h"

struct backend;
struct request;
struct worker;

/* One client connection: reads commands, keeps its requests in order, writes
 * replies. It owns buffers only while a command is incomplete or a reply
 * unsent, so an idle client is little more than this struct. */

/* Why no further command of a client is taken for now. */
enum client_stall {
	STALL_NONE,
	STALL_REPLICAS, /* until no read of it is in flight on a replica: a write must not overtake them */
	STALL_ALL,      /* until nothing of it is in flight */
	STALL_WINDOW,   /* until fewer of its requests are in flight */
	STALL_OUTPUT,   /* until it has read some of its replies */
	STALL_LANE,     /* until its backend has answered some of what it was sent */
	STALL_LINE,     /* until there is a place for what it asks (line.h), or its replies turn out to be small */
	STALL_COMMANDS, /* until the command table is learned, or that takes too long */
	STALL_UPLOAD,   /* until its backend takes more of the command that is on its way */
	STALL_PAUSE,    /* while clients are paused, or no connection is free for a command that is diverted */
	STALL_EVENT,    /* until client_wake() */
};

/* A command that is too large to be collected: upload.h. */
enum client_upload {
	UPLOAD_NONE,
	UPLOAD_BEGINS,  /* dispatch() is looking at its beginning */
	UPLOAD_PASSES,  /* its bytes go to the private backend as they come */
	UPLOAD_SKIPPED, /* it has its answer; what still comes of it is dropped */
};

struct client {
	struct conn conn;
	struct worker *worker;
	struct list_link of_worker;    /* worker->clients */
	struct list_link readable;     /* worker->readable_clients: its socket has something to read */
	struct list_link dirty;        /* worker->dirty_clients: has output to flush */
	struct list_link unread;       /* worker->unread_clients: it has much to read, and */
	uint8_t unread_ticks;          /* has read nothing of it since so long */
	struct list_link wide;         /* worker->wide_clients: the kernel may keep more for it (kernel_room.h) */
	struct list_link unfinished;   /* worker->unfinished_clients: a command has begun to come, and the rest is awaited */
	int64_t unfinished_ns;         /* since then, or since its last UNFINISHED_BYTES came */
	size_t unfinished_bytes;       /* that have come since */
	bool writes_first;             /* it reads nothing before it has sent everything */
	struct list_link resume;       /* worker->resumed_clients: a stall is over; or lane_waiters, or pause.held */
	struct request *head;          /* its requests in order */
	struct request *tail;
	uint32_t in_flight;            /* of them */
	uint32_t runs;                 /* of replies that delivery.c holds for it */
	uint32_t replica_in_flight;    /* of them, on replicas */
	uint32_t lane_in_flight;       /* of them, on the one other backend they may be on at a time: */
	const struct backend *lane;    /* NULL when lane_in_flight is 0 */
	struct appetite appetite;      /* by the replies that it got */
	uint8_t stall;                 /* enum client_stall */
	uint8_t upload;                /* enum client_upload */
	bool stays;                    /* scratch of dispatch_aside.c */
	uint32_t pauses;               /* backends that are not read until it has read */
	bool closing;                  /* dead; memory goes at the end of the turn */
	bool close_after_flush;        /* takes no more input; closes once everything is answered and written */
	bool at_end;                   /* the peer has sent its last byte */
	uint8_t close_reason;          /* of close_after_flush */
	bool is_local;                 /* known once `local` is */
	/* consistency.h */
	struct list_link observer;     /* in observed_lane->observers: the next ROLE there covers its last reply */
	struct backend *observed_lane; /* while observer is linked */
	uint32_t covered_by;           /* number of that ROLE */
	bool awaits_proof;             /* observer is linked, and until then its replies are not written */
	bool index_ready;              /* the commands being taken had arrived before session.index was asked for */
	int64_t covered_ns;            /* when that reply came */
	struct list_link index_waiter; /* in a lane's index_waiters */
	uint32_t index_by;             /* number of the ROLE it waits for */
	size_t index_bytes;            /* waiting input when that was sent */
	size_t indexed_bytes;          /* of the input: they had arrived before session.index was asked for */
	struct resp_request_framer framer;
	struct buf in;                 /* bytes of a command that is incomplete or has to wait */
	struct buf out;                /* replies not written yet */
	size_t held_bytes;             /* of those that wait for their turn, or are judged whole */
	struct buf *gate_error;        /* the server wants authentication, this is its answer; owned, NULL none */
	struct session session;
	struct {                       /* its next command, or its only request, goes on with a cursor: */
		int64_t until_ns;      /* the command waits so long for its node; 0: nothing waits */
		uint32_t node_id;      /* the request is parked until this node ... */
		uint32_t incarnation;  /* ... in this run shows what it demands */
		struct list_link parked; /* worker->parked_clients */
	} bound;
	struct client_wait {           /* waiting.c: the next command waits for positions */
		int64_t since_ns;      /* 0: it does not */
		int64_t until_ns;      /* 0: without end */
		bool unblocked;        /* CLIENT UNBLOCK */
		bool with_error;
	} wait;
	int64_t connected_ns;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t commands;             /* that were taken */
	int64_t active_ns;             /* when it last sent something, or began to finish */
	uint16_t last_command;         /* index in the command table, for CLIENT LIST */
	char *peer;                    /* addresses as text; owned, made when first asked for */
	char *local;
};

/* Takes over an accepted socket. */
void client_open(struct worker *worker, int fd, uint64_t id, enum session_endpoint endpoint);

/* Appends to the replies; they are written at the end of the turn. Only for
 * bytes whose turn in the client's order it is. `at_once`: if nothing else is due
 * to it they are written now, from where they are. */
void client_reply(struct client *client, const char *bytes, size_t length, bool at_once);

/* The master wants credentials, and this session has given none that it takes:
 * it hears so from weir, in the master's words. (A server closes a connection
 * on which a few dozen refusals have not been read yet, and this one is
 * shared.) */
bool client_is_shut_out(const struct client *client);

/* Closes it when what it has not read, and what is held back for it, exceeds
 * client_output_limit. */
void client_check_output(struct client *client);

/* Takes commands again where the stall has ended. */
void client_check_stall(struct client *client);
/* Ends STALL_EVENT. */
void client_wake(struct client *client);
/* Reads its socket and takes the commands. From the end of a turn. */
void client_read(struct client *client);
/* Goes on with the commands that a stall held back. From the end of a turn. */
void client_resume(struct client *client);

/* Writes what it can. At the end of a turn. */
void client_flush(struct client *client);

/* What a client does not read holds back what is taken from it; but one that
 * does not read because it is still sending (the pipelines of many libraries)
 * would wait for us as we for it. It is taken at its word, up to
 * client_output_limit, as by redis-server. Every WORKER_TICK_MS. */
void client_tick(struct worker *worker);

/* Closes those whose command does not get on (client_header_timeout). Every second. */
void client_close_unfinished(struct worker *worker);

/* Closes at once; its requests become orphans. */
void client_close(struct client *client, enum close_reason reason);
/* Takes no more input, answers what is due, then closes. */
void client_finish(struct client *client, enum close_reason reason);
/* The same when its private backend is lost and holds no request any more. */
void client_finish_alone(struct client *client, enum close_reason reason);
/* For a drain: finishes what was read. */
void client_drain(struct client *client);
/* Frees the memory; only for the worker, once nothing refers to it. */
void client_free(struct client *client);

/* The two ends' addresses: host:port, [v6]:port or path:0; owned by the client. */
const char *client_peer(struct client *client);
const char *client_local(struct client *client);
/* Does it come over a unix socket? */
bool client_is_local(struct client *client);

#endif
