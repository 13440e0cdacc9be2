#ifndef WEIR_PROXY_CONN_H
#define WEIR_PROXY_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A non-blocking stream socket on a loop. It knows no protocol. This is the
 * only module that touches the ev_io of a data socket. */

enum conn_result {
	CONN_OK,
	CONN_AGAIN,  /* nothing to read, or no room to write, right now */
	CONN_CLOSED, /* the peer is gone, or the socket or its watching failed; errno of a failure is kept */
};

struct conn {
	ev_io io;
	struct ev_loop *loop;
	bool unwatchable; /* the kernel refuses to watch it: whoever reads or writes next is told */
	/* Called with EV_READ, EV_WRITE or both, only while it is watched for them. */
	void (*ready)(struct conn *conn, int events);
};

/* When a peer that says nothing is taken for lost, without asking it anything:
 * the kernel probes a connection that has been idle, and gives one up whose data
 * nobody acknowledges or takes. */
struct conn_patience {
	int idle_seconds;       /* until the first probe, ... */
	int interval_seconds;   /* ... between two, ... */
	int probes;             /* ... and so many */
	int unanswered_seconds; /* of data that was sent */
};

/* Embeds in a client or a backend; owns fd from now on. Watches nothing yet. */
void conn_init(struct conn *conn, struct ev_loop *loop, int fd, void (*ready)(struct conn *conn, int events));
/* A conn without a socket: conn_is_open() is false. */
void conn_init_closed(struct conn *conn);
bool conn_is_open(const struct conn *conn);
int conn_fd(const struct conn *conn);
/* Sets what to wait for: EV_READ, EV_WRITE, both, or 0. Costs nothing when it
 * is that already. */
void conn_watch(struct conn *conn, int events);
int conn_watched(const struct conn *conn);
enum conn_result conn_read(struct conn *conn, char *into, size_t room, size_t *got);
enum conn_result conn_write(struct conn *conn, const char *bytes, size_t length, size_t *wrote);
/* Is nobody there any more who could read? (One that has only sent its last byte may.) */
bool conn_is_gone(const struct conn *conn);
void conn_close(struct conn *conn);

/* Of a stream that carries messages: sent at once, and lost in time. NULL: the
 * caller has timers of its own. */
void conn_set_options(int fd, const struct conn_patience *patience);
/* No more than so much waits in the kernel for a peer that does not take it: all
 * sockets of a machine share what memory there is for that. */
void conn_limit_unsent(int fd, unsigned bytes);
/* What the kernel holds for the peer: bytes that it has not acknowledged, sent or not. */
unsigned conn_untaken(const struct conn *conn);
/* A connecting, non-blocking, close-on-exec socket, or -1 with errno. */
int conn_connect(const struct sockaddr *address, socklen_t length, const struct conn_patience *patience);
/* After the socket became writable: 0, or the errno of the failed connect. */
int conn_connect_result(const struct conn *conn);

#endif
