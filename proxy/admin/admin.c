/* The admin endpoint's front: accepts, looks at the first byte, and gives the
 * connection to one of the two doors.
 *
 * A peer is one connection from accept to close, whoever owns its socket then:
 *
 *     accept --> DOOR_UNKNOWN --'*'--> DOOR_CONSOLE (console.c)
 *                     '--- any other --> DOOR_HTTP  (admin_http.c)
 *
 * No HTTP request begins with '*', so that a web page cannot reach the console
 * through somebody's browser.
 *
 * Invariants: there are never more than PEERS_MAX; a peer that has not shown
 * its first byte, or whose HTTP request or answer is not whole, has a deadline
 * here; a console keeps its own. */
#include "admin.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "access.h"
#include "admin_http.h"
#include "../config/config.h"
#include "console.h"
#include "../list.h"
#include "../control/listener.h"
#include "../log.h"
#include "sampler.h"

enum { PEERS_MAX = 32 };

#define PATIENCE_SECONDS 5. /* for the first byte, for a whole request, for taking the answer */

enum door { DOOR_UNKNOWN, DOOR_CONSOLE, DOOR_HTTP };

struct peer {
	struct list_link link;
	struct admin *admin;
	enum door door;
	int fd;                  /* ours while DOOR_UNKNOWN, else the door's */
	ev_io first_byte;
	ev_timer deadline;
	struct console *console; /* of DOOR_CONSOLE */
};

struct admin {
	struct ev_loop *loop;
	struct admin_sources sources;
	struct acceptor *acceptor;
	struct sampler *sampler;
	struct http *http;
	struct list_link peers;
	size_t peer_count;
	struct log_limit warnings;
};

/* ---- peers ---- */

static void free_peer(struct peer *peer)
{
	ev_io_stop(peer->admin->loop, &peer->first_byte);
	ev_timer_stop(peer->admin->loop, &peer->deadline);
	list_remove(&peer->link);
	peer->admin->peer_count--;
	free(peer);
}

static void close_peer(struct peer *peer)
{
	close(peer->fd);
	free_peer(peer);
}

static void on_console_closed(void *arg)
{
	free_peer(arg);
}

static void on_http_closed(void *arg)
{
	free_peer(arg);
}

/* The time for the request has ended, the one for taking the answer begins. */
static void on_http_request(void *arg)
{
	struct peer *peer = arg;

	ev_timer_again(peer->admin->loop, &peer->deadline);
}

/* Whoever makes it wait answers in a time of his own. */
static void on_http_wait(void *arg)
{
	struct peer *peer = arg;

	ev_timer_stop(peer->admin->loop, &peer->deadline);
}

static void open_console(struct peer *peer)
{
	peer->door = DOOR_CONSOLE;
	ev_timer_stop(peer->admin->loop, &peer->deadline);
	peer->console = console_open(peer->admin->loop, peer->fd, &peer->admin->sources, on_console_closed, peer);
}

/* The peer may be gone when this returns. */
static void open_http(struct peer *peer)
{
	peer->door = DOOR_HTTP;
	http_add(peer->admin->http, peer->fd, peer);
}

static void on_first_byte(struct ev_loop *loop, ev_io *io, int events)
{
	struct peer *peer = io->data;
	char first;
	ssize_t count = recv(peer->fd, &first, 1, MSG_PEEK);

	if (count < 0 && (errno == EAGAIN || errno == EINTR) && !(events & EV_ERROR))
		return;
	if (count <= 0) {
		close_peer(peer);
		return;
	}
	ev_io_stop(loop, io);
	if (first == '*')
		open_console(peer);
	else
		open_http(peer);
}

/* The library owns an HTTP socket: shut down, it reads the end and closes. */
static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct peer *peer = timer->data;

	(void)events;
	if (peer->door == DOOR_UNKNOWN) {
		close_peer(peer);
		return;
	}
	ev_timer_stop(loop, timer);
	shutdown(peer->fd, SHUT_RDWR);
}

static bool on_accept(void *arg, int fd, enum session_endpoint endpoint)
{
	struct admin *admin = arg;
	struct peer *peer;

	(void)endpoint;
	if (admin->peer_count == PEERS_MAX) {
		if (log_allowed(&admin->warnings, 1))
			log_notice("admin: %d connections are open, another one is turned away", PEERS_MAX);
		return false;
	}
	peer = alloc_zeroed(1, sizeof(*peer));
	peer->admin = admin;
	peer->fd = fd;
	list_init(&peer->link);
	list_append(&admin->peers, &peer->link);
	admin->peer_count++;
	ev_io_init(&peer->first_byte, on_first_byte, fd, EV_READ);
	ev_timer_init(&peer->deadline, on_deadline, 0., PATIENCE_SECONDS);
	peer->first_byte.data = peer->deadline.data = peer;
	ev_io_start(admin->loop, &peer->first_byte);
	ev_timer_again(admin->loop, &peer->deadline);
	return true;
}

/* ---- the endpoint ---- */

static void warn_if_open(const struct admin_sources *sources)
{
	const struct config_listeners *listeners = &sources->config->admin_listen;

	if (sources->is_near)
		return;
	for (size_t i = 0; i < listeners->count; i++)
		log_warning("admin: whoever reaches %s may see how everything is; %s", listeners->addresses[i].text,
			    access_has_token(sources) ? "changes need the token"
						      : "nothing can be changed here without [admin] token_file");
}

struct admin *admin_start(struct ev_loop *loop, const int *listen_fds, size_t listen_count,
			  const struct admin_sources *sources)
{
	static const struct http_events events = { .on_request = on_http_request,
						   .on_wait = on_http_wait,
						   .on_closed = on_http_closed };
	struct admin *admin = alloc_zeroed(1, sizeof(*admin));

	admin->loop = loop;
	admin->sources = *sources;
	admin->sources.sampler = admin->sampler = sampler_start(loop, &admin->sources);
	list_init(&admin->peers);
	admin->sources.is_near = access_is_near(listen_fds, listen_count);
	warn_if_open(&admin->sources);
	admin->http = http_start(loop, &admin->sources, &events);
	if (admin->http == NULL)
		log_fatal("admin: libmicrohttpd does not start");
	admin->acceptor = acceptor_start(loop, on_accept, admin, NULL);
	for (size_t i = 0; i < listen_count; i++)
		acceptor_add(admin->acceptor, listen_fds[i], ENDPOINT_SPLIT);
	return admin;
}

void admin_adopt_config(struct admin *admin, const struct config *config)
{
	admin->sources.config = config;
}

void admin_stop(struct admin **admin)
{
	struct list_link *link, *following;

	acceptor_stop(&(*admin)->acceptor);
	http_stop(&(*admin)->http); /* its peers go with it */
	LIST_EACH(&(*admin)->peers, link, following) {
		struct peer *peer = CONTAINER_OF(link, struct peer, link);

		if (peer->door == DOOR_CONSOLE) {
			console_close(&peer->console);
			free_peer(peer);
		} else {
			close_peer(peer);
		}
	}
	sampler_stop(&(*admin)->sampler);
	free(*admin);
	*admin = NULL;
}
