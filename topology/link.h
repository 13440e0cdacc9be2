#ifndef WEIR_TOPOLOGY_LINK_H
#define WEIR_TOPOLOGY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct ev_loop;
struct redisReply;

/* One control connection to one redis-server: hiredis' formatter and reader
 * over a non-blocking socket of our own on the control loop. Connecting,
 * the handshake (AUTH, CLIENT SETNAME) and every request have one time limit.
 * A link never reconnects: it is lost once, says why, and is closed. */

struct link;

/* How a link ended. */
enum link_end {
	LINK_REFUSED, /* nobody listens at that address */
	LINK_BROKEN,  /* closed or reset by the other side, or by a bad reply */
	LINK_SILENT,  /* a time limit passed */
};

struct link_config {
	const char *user;     /* "": AUTH with the password alone */
	const char *password; /* "": no AUTH */
	const char *name;     /* for CLIENT SETNAME */
	int64_t timeout_ms;
};

struct link_events {
	void (*on_ready)(void *arg);
	/* Nothing follows on this link; the receiver closes it, now or later. */
	void (*on_lost)(void *arg, enum link_end end, const char *why);
	/* A message of a channel that was subscribed to; it answers no request. NULL:
	 * there are none. One SUBSCRIBE is for one channel: each has one answer. */
	void (*on_message)(void *arg, const struct redisReply *message);
	void *arg;
};

/* `reply` is an error reply as well as any other, and is freed after the call.
 * `sent_ns` is a moment before the request was handed to the kernel. */
typedef void link_reply_fn(void *arg, const struct redisReply *reply, int64_t sent_ns);

/* Begins to connect. config's name outlives the link, the rest is copied. NULL with errno set if
 * not even a socket could be had; no event follows then. */
struct link *link_open(struct ev_loop *loop, const struct address *address, const struct link_config *config,
		       const struct link_events *events);
/* Sets *link to NULL. Safe in every callback of the link itself. No callback
 * runs afterwards, also not for requests that are outstanding. */
void link_close(struct link **link);

bool link_is_ready(const struct link *link);
/* A moment when the connection was established already, 0 before. */
int64_t link_since_ns(const struct link *link);
/* From now on so; nothing where there is no link. Other credentials than before
 * are tried at once: where they are refused, the connection stays what it is. */
void link_configure(struct link *link, const struct link_config *config);
/* AUTH was sent and accepted: the server has a password that is ours. */
bool link_is_authenticated(const struct link *link);

/* Sends a command; `on_reply` may be NULL if the reply is of no interest. False:
 * the link is not ready, or too much is outstanding. Errors of the socket come
 * through on_lost, later. */
bool link_request(struct link *link, link_reply_fn *on_reply, void *arg, int argc, const char *const *argv);

#endif
