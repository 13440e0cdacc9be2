#ifndef WEIR_PROXY_BACKEND_PARTS_H
#define WEIR_PROXY_BACKEND_PARTS_H

#include "../../protocol/slice.h"
#include "backend.h"
#include "request.h"
#include "../measures/stats.h"

/* What the files of a backend share with each other and with nobody
 * else: backend_queue.c (requests and their bytes), backend_connect.c (the way
 * to READY), backend_private.c (reading a server that speaks unasked),
 * backend_run.c (plain replies that come in a row), backend.c (all other
 * replies, writing, and the end of a connection). */

struct node_load;

/* ---- backend_queue.c ---- */

/* What was queued, taken aside while the stream is laid anew. */
struct backlog {
	struct request *first;
	struct buf stream;
	uint64_t base;
	uint64_t sent;
};

/* At the end of the queue; copies the bytes into the stream. */
void backend_link_request(struct backend *backend, struct request *request, struct slice bytes);
/* What was written of a stream or an upload is not needed again. */
void backend_forget_sent(struct backend *backend);
/* A ROLE of weir's own. */
void backend_link_role(struct backend *backend);
/* Takes the head out; its bytes stay in the stream. */
struct request *backend_unlink_head(struct backend *backend);
/* Takes out all from the head to `last`, which stay linked to each other; their
 * bytes leave the stream. `cost` is that of all of them. */
void backend_unlink_run(struct backend *backend, const struct request *last, uint32_t cost);
/* Of the node it goes to; NULL when there is none. */
struct node_load *backend_load(const struct backend *backend);

/* The target changes (NULL: to none for now): requests that only the present one
 * may have go back. Before the handshake. */
void backend_hand_back(struct backend *backend, const struct snapshot_node *target);

/* Empties queue and stream into the returned backlog. */
struct backlog backlog_take(struct backend *backend);
/* The next request of it, with a view of its bytes; NULL at the end. */
struct request *backlog_next(struct backlog *backlog, struct slice *bytes);
/* Puts it behind what the stream holds now and frees it. Orphans stay behind:
 * no server has seen them. */
void backlog_requeue(struct backend *backend, struct backlog *backlog);

/* ---- backend_connect.c ---- */

/* A try has failed, or what it came to did not last: the next one comes later,
 * the later the more have. */
void backend_try_later(struct backend *backend, bool was_ready);
/* The socket of a CONNECTING backend became writable. */
void backend_on_connected(struct backend *backend);
/* The reply to one of the handshake's requests. */
void backend_on_handshake_reply(struct backend *backend, const struct request *request, struct slice reply);

/* ---- backend_private.c ---- */

/* Takes one value of a READY private backend that has an owner, or the part of
 * it that is here. Returns how many of the bytes were used. */
size_t backend_take_private(struct backend *backend, const char *bytes, size_t length, int64_t now_ns);
/* Nothing of an earlier connection is being read. */
void backend_forget_reading(struct backend *backend);

/* ---- backend_run.c ---- */

/* Takes the replies at the beginning of the bytes that need no thought: plain
 * ones to one client, which is waiting for just them. Returns how many of the
 * bytes they were; 0: the first one has to be looked at on its own. */
size_t backend_take_run(struct backend *backend, const char *bytes, size_t length, int64_t now_ns);

/* ---- backend.c ---- */

/* Notes how long so many requests took, from this one on, that were written
 * together and are answered just now. */
void backend_measure(struct backend *backend, const struct request *answered, unsigned count, int64_t now_ns);
/* The queue is shorter now: wakes who has waited for that. */
void backend_note_answer(struct backend *backend, int64_t now_ns);

/* The head's reply begins, and is whole; `last` is what has come of it just now,
 * and matters only where it is one to weir itself. */
void backend_begin_reply(struct backend *backend, char type);
void backend_finish_reply(struct backend *backend, char type, struct slice last, int64_t now_ns);
/* May the next reply be the head's? */
bool backend_awaits_reply(const struct backend *backend);
/* A reply has begun that is not: the connection is over. */
void backend_stray_reply(struct backend *backend, const char *bytes, size_t length);
/* The connection is not what weir takes it for, and is closed. */
void backend_desync(struct backend *backend, const char *what);

void backend_on_io(struct conn *conn, int events);
/* Which gauge counts its connection. */
enum stat_id backend_gauge(const struct backend *backend);

#endif
