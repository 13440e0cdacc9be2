#ifndef WEIR_PROXY_CONSOLE_H
#define WEIR_PROXY_CONSOLE_H

struct admin_sources;
struct ev_loop;

/* The Redis protocol's door of the admin endpoint: one connection of an
 * operator's redis-cli. It reads requests, has console_verbs.h answer them, and
 * ends by itself when the peer leaves, breaks the protocol or goes silent. */

struct console;

/* Takes over a connected, non-blocking socket. `sources` outlives it.
 * on_closed(peer) is called once, when the socket is closed and the console
 * freed itself; not after console_close(). */
struct console *console_open(struct ev_loop *loop, int fd, const struct admin_sources *sources,
			     void (*on_closed)(void *peer), void *peer);
/* Closes the socket, frees *console, sets it to NULL. */
void console_close(struct console **console);

#endif
