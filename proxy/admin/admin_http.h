#ifndef WEIR_PROXY_ADMIN_HTTP_H
#define WEIR_PROXY_ADMIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct admin_sources;
struct ev_loop;

/* The HTTP door of the admin endpoint: libmicrohttpd without threads of its
 * own, driven by the loop. One request per connection; the pages are those of
 * admin_pages.h. */

struct http;

struct http_events {
	/* The request of this connection has arrived whole; its answer begins. */
	void (*on_request)(void *peer);
	/* It has, and its answer comes when somebody else has given it. */
	void (*on_wait)(void *peer);
	/* The connection's socket is about to be closed by the library. */
	void (*on_closed)(void *peer);
};

/* `sources` outlives the http. NULL when the library cannot start. */
struct http *http_start(struct ev_loop *loop, const struct admin_sources *sources, const struct http_events *events);
/* Takes over a connected, non-blocking socket whose first bytes have not been
 * read yet. on_closed(peer) follows in every case, perhaps before this returns. */
void http_add(struct http *http, int fd, void *peer);
/* Closes every connection (with on_closed()), frees *http, sets it to NULL. */
void http_stop(struct http **http);

#endif
