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
	CONN_CLOSED, /* the peer is gone, or the socket failed; errno of a failure is kept */
};

struct conn {
	ev_io io;
	struct ev_loop *loop;
	/* Called with EV_READ, EV_WRITE or both, only while it is watched for them. */
	void (*ready)(struct conn *conn, int events);
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
void conn_close(struct conn *conn);

/* A connecting, non-blocking, close-on-exec socket, or -1 with errno. */
int conn_connect(const struct sockaddr *address, socklen_t length);
/* After the socket became writable: 0, or the errno of the failed connect. */
int conn_connect_result(const struct conn *conn);

#endif
