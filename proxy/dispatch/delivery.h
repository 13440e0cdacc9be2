#ifndef WEIR_PROXY_DELIVERY_H
#define WEIR_PROXY_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/slice.h"

struct backend;
struct client;
struct request;
struct worker;

/* From backends to clients: every request is settled exactly once, by its
 * reply, by an error of weir, or by being sent again; and what the client sees
 * comes in the order it asked. */

/* What a backend may do with the bytes of a reply that has just begun. */
enum delivery_mode {
	DELIVERY_PASS, /* hand them over as they come */
	DELIVERY_HOLD, /* collect the whole reply first: it has to be judged */
	DELIVERY_DROP, /* nobody wants them */
	DELIVERY_OWN,  /* they are for weir itself: not delivery's business */
};

/* `type` is the reply's first byte. */
enum delivery_mode delivery_begin(const struct request *request, char type);

/* The reply to a read has begun that shall not be shown: the replica is not proven
 * to show what it must see, or it overtakes. It and the session's reads behind it
 * on replicas will be sent again. */
void delivery_make_stale(struct request *request);

/* Has an earlier read of the session been sent again, and is out on a replica, or
 * behind this one? Answered as they are, the two would show time running
 * backwards. */
bool delivery_overtakes(const struct request *request);

/* Bytes of the reply to `request`, in mode PASS or HOLD. */
void delivery_bytes(struct request *request, const char *bytes, size_t length);

/* One of the confirmations that `request` gets. */
void delivery_confirmation(struct request *request, struct slice bytes);

/* The reply (of this type) is whole and the request has left its backend's
 * queue. `bytes` is the request itself, a view into the backend's stream;
 * `now_ns` was taken after the reply was read. The request is freed, or waits
 * in its client's queue, or has been sent again. */
void delivery_done(struct worker *worker, struct request *request, struct backend *from, char type,
		   struct slice bytes, int64_t now_ns);

/* Requests that follow each other, from `first` to `last`, in the queue of their
 * backend, which they have left, and in that of their client, at whose head
 * they stand. */
struct delivery_row {
	struct request *first;
	struct request *last;
	unsigned count;
	uint32_t flags;        /* those that any of them has */
	bool alike;            /* measured as one: the client sent them together, and all read or none does */
	const char *requests;  /* their bytes, as the backend's stream had them */
	struct slice replies;
};

/* The same for such a row. delivery_waits_for() was true of the first one, and
 * request_is_plain() of each. */
void delivery_run(struct worker *worker, const struct delivery_row *row, struct backend *from, int64_t now_ns);

/* Does a client wait for just this one? */
bool delivery_waits_for(const struct request *request);

/* Bytes handed over in mode PASS may be held as a view until this is called:
 * before the memory they were read into is used again. */
void delivery_settle(struct worker *worker);

/* A private backend that holds a session's state was lost. */
void delivery_private_lost(struct backend *backend);

/* Nothing of a session's private backend reached a server, and every request
 * in it was answered so: the session goes on without it, or is closed where
 * what follows could be taken for something else. */
void delivery_private_expired(struct backend *backend);

/* Bytes for the owner of a private backend that answer no request of it. */
void delivery_push(struct backend *backend, const char *bytes, size_t length);
/* The same for bytes that will not last. */
void delivery_push_collected(struct backend *backend, struct slice bytes);
/* They were whole; `now_ns` was taken after they were read. */
void delivery_pushed(struct backend *backend, int64_t now_ns);

/* The connection was lost under this request, which has left the queue.
 * `sent`: the server may have executed it. `bytes` is the request itself. */
void delivery_lost(struct worker *worker, struct request *request, struct backend *from, bool sent,
		   struct slice bytes);

/* Settles a request with an error of weir's ("NOMASTER ..." without the dash).
 * It must be in no backend's queue. */
void delivery_error(struct worker *worker, struct request *request, const char *text);

/* The same with a whole reply in RESP. */
void delivery_answer(struct worker *worker, struct request *request, struct slice reply);

/* The server refuses the connection, with these words. A request that weir has
 * answered in its place keeps that answer. */
void delivery_refused(struct worker *worker, struct request *request, struct slice refusal);

/* What a request holds is the answer at last (JUDGED_LATER). */
void delivery_finish(struct request *request);

/* The client leaves: its requests become orphans, or are dropped where no
 * server has seen them. */
void delivery_abandon(struct client *client);

#endif
