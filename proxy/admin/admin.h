#ifndef WEIR_PROXY_ADMIN_H
#define WEIR_PROXY_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_names;
struct config;
struct ev_loop;
struct journal;
struct reload;
struct measures;
struct sampler;
struct slowlog;
struct stats;
struct topology;
struct worker_shared;

/* The admin endpoint: one port with two doors. The first byte decides: '*' is
 * the Redis protocol, and the connection becomes a console; anything else is
 * handed to libmicrohttpd. Everything runs on the control loop and reads the
 * topology's view and the sums of the workers' counters; what changes something
 * is a verb of the console's, through either door (access.h). */

struct admin_sources {
	const struct config *config;      /* in force: it may be another one in the next turn of the loop */
	struct reload *reload;
	struct topology *topology;
	const struct journal *journal;
	struct slowlog *slowlog;
	struct worker_shared *workers;    /* to be asked (inquiry.h) */
	const struct sampler *sampler;    /* the admin endpoint's own */
	const struct stats *const *stats; /* one per worker, and the acceptor's */
	size_t stats_count;
	const struct measures *const *measures; /* one per worker */
	size_t measures_count;
	const struct command_names *command_names; /* by which they count commands */
	int64_t started_ns;               /* CLOCK_MONOTONIC at start */
	int64_t started_unix_ms;
	bool is_near;                     /* the endpoint's own: no other machine reaches it */
};

struct admin;

/* Takes over listening sockets that are bound already; it closes them in
 * admin_stop(). `sources` is copied; what it points to outlives the admin. */
struct admin *admin_start(struct ev_loop *loop, const int *listen_fds, size_t listen_count,
			  const struct admin_sources *sources);
/* Another configuration is in force. */
void admin_adopt_config(struct admin *admin, const struct config *config);
/* Closes everything, frees *admin, sets it to NULL. */
void admin_stop(struct admin **admin);

#endif
