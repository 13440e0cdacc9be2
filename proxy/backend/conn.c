#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct conn *conn = io->data;

	(void)loop;
	conn->unwatchable = events & EV_ERROR;
	conn->ready(conn, events & (EV_READ | EV_WRITE));
}

void conn_init(struct conn *conn, struct ev_loop *loop, int fd, void (*ready)(struct conn *conn, int events))
{
	ev_io_init(&conn->io, on_io, fd, 0);
	conn->io.data = conn;
	conn->loop = loop;
	conn->unwatchable = false;
	conn->ready = ready;
}

void conn_init_closed(struct conn *conn)
{
	ev_io_init(&conn->io, on_io, -1, 0);
	conn->unwatchable = false;
}

bool conn_is_open(const struct conn *conn)
{
	return conn->io.fd >= 0;
}

int conn_fd(const struct conn *conn)
{
	return conn->io.fd;
}

int conn_watched(const struct conn *conn)
{
	if (conn->unwatchable)
		return EV_READ | EV_WRITE;
	return ev_is_active(&conn->io) ? conn->io.events & (EV_READ | EV_WRITE) : 0;
}

void conn_watch(struct conn *conn, int events)
{
	if (conn_watched(conn) == events || conn->unwatchable)
		return;
	ev_io_stop(conn->loop, &conn->io);
	if (events == 0)
		return;
	ev_io_set(&conn->io, conn->io.fd, events);
	ev_io_start(conn->loop, &conn->io);
}

static enum conn_result cannot_be_watched(void)
{
	errno = ENOMEM;
	return CONN_CLOSED;
}

enum conn_result conn_read(struct conn *conn, char *into, size_t room, size_t *got)
{
	ssize_t count;

	*got = 0;
	if (conn->unwatchable)
		return cannot_be_watched();
	do
		count = read(conn->io.fd, into, room);
	while (count < 0 && errno == EINTR);
	*got = count > 0 ? (size_t)count : 0;
	if (count > 0)
		return CONN_OK;
	if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return CONN_AGAIN;
	if (count == 0)
		errno = 0;
	return CONN_CLOSED;
}

enum conn_result conn_write(struct conn *conn, const char *bytes, size_t length, size_t *wrote)
{
	ssize_t count;

	*wrote = 0;
	if (conn->unwatchable)
		return cannot_be_watched();
	do
		count = send(conn->io.fd, bytes, length, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	*wrote = count > 0 ? (size_t)count : 0;
	if (count >= 0)
		return CONN_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return CONN_AGAIN;
	return CONN_CLOSED;
}

bool conn_is_gone(const struct conn *conn)
{
	struct pollfd peer = { .fd = conn->io.fd };

	return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLHUP | POLLERR));
}

void conn_close(struct conn *conn)
{
	if (!conn_is_open(conn))
		return;
	ev_io_stop(conn->loop, &conn->io);
	close(conn->io.fd);
	conn->io.fd = -1;
}

/* Harmless failures on unix sockets. */
void conn_set_options(int fd, const struct conn_patience *patience)
{
	unsigned unanswered_ms;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (patience == NULL)
		return;
	unanswered_ms = (unsigned)patience->unanswered_seconds * 1000;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &patience->idle_seconds, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &patience->interval_seconds, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &patience->probes, sizeof(int));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

void conn_limit_unsent(int fd, unsigned bytes)
{
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

/* Unknown of other sockets: none. */
unsigned conn_untaken(const struct conn *conn)
{
	int bytes = 0;

	return ioctl(conn->io.fd, TIOCOUTQ, &bytes) == 0 && bytes > 0 ? (unsigned)bytes : 0;
}

int conn_connect(const struct sockaddr *address, socklen_t length, const struct conn_patience *patience)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	conn_set_options(fd, patience);
	if (connect(fd, address, length) < 0 && errno != EINPROGRESS) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int conn_connect_result(const struct conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(conn->io.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return errno;
	return error;
}
