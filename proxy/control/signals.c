#include "signals.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../log.h"

struct signals {
	struct ev_loop *loop;
	ev_io watcher;
	void (*on_signal)(void *arg, int number);
	void *arg;
};

/* One at a time: what follows is seen in the next turn. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct signals *signals = watcher->data;
	struct signalfd_siginfo told;

	(void)loop;
	if (events & EV_ERROR)
		log_fatal("the kernel does not watch for signals");
	if (read(watcher->fd, &told, sizeof(told)) == sizeof(told))
		signals->on_signal(signals->arg, (int)told.ssi_signo);
}

static int open_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

struct signals *signals_watch(struct ev_loop *loop, void (*on_signal)(void *arg, int number), void *arg)
{
	struct signals *signals = alloc_zeroed(1, sizeof(*signals));
	int fd = open_blocked();

	if (fd < 0)
		log_fatal("cannot watch for signals: %s", strerror(errno));
	signals->loop = loop;
	signals->on_signal = on_signal;
	signals->arg = arg;
	ev_io_init(&signals->watcher, on_readable, fd, EV_READ);
	signals->watcher.data = signals;
	ev_io_start(loop, &signals->watcher);
	return signals;
}

void signals_stop(struct signals **handle)
{
	struct signals *signals = *handle;

	*handle = NULL;
	if (signals == NULL)
		return;
	ev_io_stop(signals->loop, &signals->watcher);
	close(signals->watcher.fd);
	free(signals);
}
