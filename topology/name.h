#ifndef WEIR_TOPOLOGY_NAME_H
#define WEIR_TOPOLOGY_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct ev_loop;

/* One host name, looked up again and again without making its loop wait:
 * getaddrinfo(3) knows no time limit and cannot be stopped, so each call has a
 * thread of its own, of which a name has at most one. When that is late the
 * answer is "unknown", and what it brings in the end is there for the next time. */

struct name;

enum { NAME_ADDRESSES_MAX = 8 };

/* All that a host has, in the system's order of preference. */
struct addresses {
	size_t count; /* 0: unknown */
	struct address at[NAME_ADDRESSES_MAX];
};

/* Blocks as long as it likes. On any thread. */
typedef void name_resolve_fn(struct addresses *found, const char *host, uint16_t port);
/* From the loop, never from within name_look_up(). */
typedef void name_found_fn(void *arg, const struct addresses *found);

struct name *name_create(struct ev_loop *loop, const char *host, uint16_t port, name_resolve_fn *resolve,
			 name_found_fn *on_found, void *arg);
/* Sets *name to NULL. Nothing is called afterwards; a thread that still runs
 * ends by itself. */
void name_destroy(struct name **name);

/* Exactly one answer follows within the time, unless one is awaited already:
 * then that is the answer to this, too. */
void name_look_up(struct name *name, int64_t timeout_ms);

/* The system's own: getaddrinfo(3). */
void name_resolve(struct addresses *found, const char *host, uint16_t port);

#endif
