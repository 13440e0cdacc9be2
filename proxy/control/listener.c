#include "listener.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../log.h"
#include "../measures/stats.h"

enum {
	BACKLOG = 1024,
	ACCEPTS_PER_TURN = 64,
	LISTENERS_MAX = 64,
};

#define PAUSE_SECONDS 0.1 /* after the descriptors ran out */

static const char too_many[] = "-ERR max number of clients reached\r\n";

/* ---- binding ---- */

static int fail(int fd, char **error, const char *text, const char *why)
{
	size_t room = strlen(text) + strlen(why) + 32;

	*error = alloc_checked(malloc(room));
	snprintf(*error, room, "cannot listen on %s: %s", text, why);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int bind_tcp(const struct config_address *address, char **error)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found;
	char port[8];
	int one = 1, fd, result;

	snprintf(port, sizeof(port), "%u", address->port);
	result = getaddrinfo(address->host, port, &hints, &found);
	if (result != 0)
		return fail(-1, error, address->text, gai_strerror(result));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
			fail(fd, error, address->text, strerror(errno));
			fd = -1;
		}
	} else {
		fail(-1, error, address->text, strerror(errno));
	}
	freeaddrinfo(found);
	return fd;
}

/* A socket file that refuses connections belongs to nobody any more. (So does any
 * other file, but that is somebody's.) */
static void remove_stale(const struct sockaddr_un *address)
{
	struct stat status;
	int fd;

	if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
}

static int bind_unix(const struct config_address *address, char **error)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(address->unix_path) >= sizeof(name.sun_path))
		return fail(-1, error, address->text, "the path is too long");
	memcpy(name.sun_path, address->unix_path, strlen(address->unix_path));
	remove_stale(&name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return fail(fd, error, address->text, strerror(errno));
	/* Nobody can connect before it listens. */
	if ((address->unix_mode != 0 && chmod(name.sun_path, address->unix_mode) < 0) || listen(fd, BACKLOG) < 0)
		return fail(fd, error, address->text, strerror(errno));
	return fd;
}

/* The file goes with its listener, before another weir may have made one anew. */
static void close_listener(int fd)
{
	struct sockaddr_un name = { .sun_family = AF_UNSPEC };
	socklen_t length = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.sun_family == AF_UNIX &&
	    length > offsetof(struct sockaddr_un, sun_path))
		unlink(name.sun_path);
	close(fd);
}

int listener_bind(const struct config_address *address, char **error)
{
	return address->unix_path != NULL ? bind_unix(address, error) : bind_tcp(address, error);
}

/* ---- accepting ---- */

struct listening {
	ev_io io;
	struct acceptor *acceptor;
	enum session_endpoint endpoint;
};

struct acceptor {
	struct ev_loop *loop;
	accept_fn accept;
	void *arg;
	struct stats *stats;
	struct listening listening[LISTENERS_MAX];
	size_t count;
	ev_timer pause;
	int reserve; /* a descriptor to give up when there are no others, -1 none */
	struct log_limit warnings;
};

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void turn_away(struct acceptor *acceptor, int fd)
{
	ssize_t written = send(fd, too_many, sizeof(too_many) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)written; /* it is gone or slow; either way it is closed */
	close(fd);
	if (acceptor->stats != NULL)
		stats_add(acceptor->stats, STAT_clients_rejected, 1);
}

/* Out of descriptors: the connection that waits is told so with the one in
 * reserve, and the listeners rest for a moment instead of spinning. */
static void out_of_descriptors(struct acceptor *acceptor, int listen_fd)
{
	int fd;

	if (log_allowed(&acceptor->warnings, 1))
		log_warning("no file descriptors left: clients are turned away");
	if (acceptor->reserve >= 0) {
		close(acceptor->reserve);
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			turn_away(acceptor, fd);
		acceptor->reserve = open_reserve();
	}
	for (size_t i = 0; i < acceptor->count; i++)
		ev_io_stop(acceptor->loop, &acceptor->listening[i].io);
	ev_timer_set(&acceptor->pause, PAUSE_SECONDS, 0.);
	ev_timer_start(acceptor->loop, &acceptor->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct acceptor *acceptor = timer->data;

	(void)events;
	if (acceptor->reserve < 0)
		acceptor->reserve = open_reserve();
	for (size_t i = 0; i < acceptor->count; i++)
		ev_io_start(loop, &acceptor->listening[i].io);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
	struct listening *listening = io->data;
	struct acceptor *acceptor = listening->acceptor;

	(void)loop;
	if (events & EV_ERROR)
		log_fatal("the kernel refuses to watch a listening socket");
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			out_of_descriptors(acceptor, io->fd);
			return;
		}
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		if (!acceptor->accept(acceptor->arg, fd, listening->endpoint))
			turn_away(acceptor, fd);
	}
}

struct acceptor *acceptor_start(struct ev_loop *loop, accept_fn accept, void *arg, struct stats *stats)
{
	struct acceptor *acceptor = alloc_zeroed(1, sizeof(*acceptor));

	acceptor->loop = loop;
	acceptor->accept = accept;
	acceptor->arg = arg;
	acceptor->stats = stats;
	acceptor->reserve = open_reserve();
	ev_timer_init(&acceptor->pause, on_pause_over, 0., 0.);
	acceptor->pause.data = acceptor;
	return acceptor;
}

void acceptor_add(struct acceptor *acceptor, int fd, enum session_endpoint endpoint)
{
	struct listening *listening;

	if (acceptor->count == LISTENERS_MAX)
		log_fatal("more than %d listeners", LISTENERS_MAX);
	listening = &acceptor->listening[acceptor->count++];
	listening->acceptor = acceptor;
	listening->endpoint = endpoint;
	ev_io_init(&listening->io, on_connection, fd, EV_READ);
	listening->io.data = listening;
	ev_io_start(acceptor->loop, &listening->io);
}

void acceptor_stop(struct acceptor **handle)
{
	struct acceptor *acceptor = *handle;

	*handle = NULL;
	if (acceptor == NULL)
		return;
	for (size_t i = 0; i < acceptor->count; i++) {
		ev_io_stop(acceptor->loop, &acceptor->listening[i].io);
		close_listener(acceptor->listening[i].io.fd);
	}
	ev_timer_stop(acceptor->loop, &acceptor->pause);
	if (acceptor->reserve >= 0)
		close(acceptor->reserve);
	free(acceptor);
}
