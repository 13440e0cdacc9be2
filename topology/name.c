/* A lookup is shared by two: the loop that waits for it, and the thread that may
 * outlive the loop. Whoever lets go last frees it.
 *
 *   loop     name_look_up() ---- on_bell() or on_deadline() -> on_found()
 *   thread        \--- resolve() ----- bell_ring() ----/
 *
 * Invariant: the thread touches the bell under the lock, and only while the name
 * still holds the lookup. */
#include "name.h"

#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "bell.h"
#include "memory.h"

enum { STACK_BYTES = 512 * 1024 };

struct lookup {
	pthread_mutex_t lock;
	unsigned holders;        /* the name, and the thread while it runs */
	bool running;            /* the thread has not come to its end */
	struct bell *bell;       /* NULL: the name has let go */
	name_resolve_fn *resolve;
	char *host;
	uint16_t port;
	struct addresses found;  /* by the last thread that ended */
};

struct name {
	struct ev_loop *loop;
	struct lookup *lookup;
	struct bell bell;
	ev_timer deadline;       /* runs while an answer is awaited */
	name_found_fn *on_found;
	void *arg;
};

void name_resolve(struct addresses *found, const char *host, uint16_t port)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char service[8];

	found->count = 0;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list) != 0)
		return;
	for (struct addrinfo *one = list; one != NULL && found->count < NAME_ADDRESSES_MAX; one = one->ai_next) {
		struct address *address = &found->at[found->count++];

		memset(address, 0, sizeof(*address));
		memcpy(&address->socket, one->ai_addr, one->ai_addrlen);
		address->length = one->ai_addrlen;
	}
	freeaddrinfo(list);
}

/* ---- the thread ---- */

/* With the lock held, which is gone afterwards. */
static void let_go(struct lookup *lookup)
{
	bool last = --lookup->holders == 0;

	pthread_mutex_unlock(&lookup->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&lookup->lock);
	free(lookup->host);
	free(lookup);
}

static void *run(void *argument)
{
	struct lookup *lookup = argument;
	struct addresses found;

	log_name_thread("resolver");
	lookup->resolve(&found, lookup->host, lookup->port);
	pthread_mutex_lock(&lookup->lock);
	lookup->found = found;
	lookup->running = false;
	if (lookup->bell != NULL)
		bell_ring(lookup->bell);
	let_go(lookup);
	return NULL;
}

/* Signals are for the control thread. */
static bool start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	error = pthread_create(&thread, &attributes, run, lookup);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		log_warning("no thread to look up %s: %s", lookup->host, strerror(error));
	return error == 0;
}

/* ---- the loop ---- */

static void answer(struct name *name, const struct addresses *found)
{
	ev_timer_stop(name->loop, &name->deadline);
	name->on_found(name->arg, found);
}

static void on_bell(void *arg)
{
	struct name *name = arg;
	struct addresses found;

	pthread_mutex_lock(&name->lookup->lock);
	found = name->lookup->found;
	pthread_mutex_unlock(&name->lookup->lock);
	if (ev_is_active(&name->deadline))
		answer(name, &found);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct name *name = timer->data;
	struct addresses unknown = {0};

	(void)loop;
	(void)revents;
	answer(name, &unknown);
}

/* What a late thread that still runs will bring is as good as what another would. */
static void begin(struct lookup *lookup)
{
	pthread_mutex_lock(&lookup->lock);
	if (!lookup->running) {
		lookup->running = true;
		lookup->holders++;
		if (!start_thread(lookup)) { /* the deadline answers */
			lookup->running = false;
			lookup->holders--;
		}
	}
	pthread_mutex_unlock(&lookup->lock);
}

void name_look_up(struct name *name, int64_t timeout_ms)
{
	if (ev_is_active(&name->deadline))
		return;
	ev_now_update(name->loop);
	ev_timer_set(&name->deadline, (double)timeout_ms / 1e3, 0.0);
	ev_timer_start(name->loop, &name->deadline);
	begin(name->lookup);
}

struct name *name_create(struct ev_loop *loop, const char *host, uint16_t port, name_resolve_fn *resolve,
			 name_found_fn *on_found, void *arg)
{
	struct name *name = memory_zeroed(1, sizeof(*name));
	struct lookup *lookup = memory_zeroed(1, sizeof(*lookup));

	name->loop = loop;
	name->on_found = on_found;
	name->arg = arg;
	name->lookup = lookup;
	ev_init(&name->deadline, on_deadline);
	name->deadline.data = name;
	bell_hang(&name->bell, loop, on_bell, name);
	pthread_mutex_init(&lookup->lock, NULL);
	lookup->holders = 1;
	lookup->bell = &name->bell;
	lookup->resolve = resolve;
	lookup->host = memory_text(host);
	lookup->port = port;
	return name;
}

void name_destroy(struct name **handle)
{
	struct name *name = *handle;

	*handle = NULL;
	if (name == NULL)
		return;
	pthread_mutex_lock(&name->lookup->lock);
	name->lookup->bell = NULL;
	let_go(name->lookup);
	bell_take_down(&name->bell, name->loop);
	ev_timer_stop(name->loop, &name->deadline);
	free(name);
}
