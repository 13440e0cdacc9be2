#include "bell.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../proxy/log.h"

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct bell *bell = watcher->data;
	uint64_t rings;

	(void)loop;
	if (revents & EV_ERROR)
		log_fatal("the kernel does not watch what wakes a thread");
	if (read(watcher->fd, &rings, sizeof(rings)) == sizeof(rings))
		bell->on_ring(bell->arg);
}

void bell_hang(struct bell *bell, struct ev_loop *loop, void (*on_ring)(void *arg), void *arg)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		log_fatal("nothing to wake a thread with: %s", strerror(errno));
	bell->on_ring = on_ring;
	bell->arg = arg;
	ev_io_init(&bell->watcher, on_readable, fd, EV_READ);
	bell->watcher.data = bell;
	ev_io_start(loop, &bell->watcher);
}

/* It fails only when it has rung 2^64 times and nobody has heard it. */
void bell_ring(struct bell *bell)
{
	const uint64_t once = 1;

	while (write(bell->watcher.fd, &once, sizeof(once)) < 0 && errno == EINTR)
		;
}

void bell_take_down(struct bell *bell, struct ev_loop *loop)
{
	ev_io_stop(loop, &bell->watcher);
	close(bell->watcher.fd);
}
