#ifndef WEIR_PROXY_LISTENER_H
#define WEIR_PROXY_LISTENER_H

#include <stddef.h>

#include "../config/config.h"
#include "../client/session.h"

struct ev_loop;
struct stats;

/* Listening sockets, and the acceptor of clients: one thread accepts for all
 * workers, so that clients are spread evenly whatever the kernel would hash. */

/* Binds and listens. Returns the socket, or -1 with *error set to one line
 * that names the address and the reason; the caller frees it. A stale unix
 * socket that nobody listens on is replaced. */
int listener_bind(const struct config_address *address, char **error);

struct acceptor;

/* Called with an accepted, non-blocking socket, which it owns. False: too many
 * clients; the acceptor says so to the client and closes it. */
typedef bool (*accept_fn)(void *arg, int fd, enum session_endpoint endpoint);

/* Takes over the sockets (closed by acceptor_stop(), and files removed with them).
 * Lives on this loop. `stats` counts who is turned away; NULL: nobody does. */
struct acceptor *acceptor_start(struct ev_loop *loop, accept_fn accept, void *arg, struct stats *stats);
void acceptor_add(struct acceptor *acceptor, int fd, enum session_endpoint endpoint);
/* Stops listening; frees *acceptor, sets it to NULL. */
void acceptor_stop(struct acceptor **acceptor);

#endif
