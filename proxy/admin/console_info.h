#ifndef WEIR_PROXY_CONSOLE_INFO_H
#define WEIR_PROXY_CONSOLE_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../protocol/slice.h"

struct admin_sources;
struct topology_view;

/* INFO as the console gives it: Redis' form and, where weir knows the same
 * thing, Redis' field names; what is weir's own begins with weir_. `sections`
 * are the names that were asked for, none for all. Control thread. */
void info_print(const struct admin_sources *sources, const struct slice *sections, size_t count, FILE *out);

/* A replica in the words of its master. */
struct info_replica {
	const char *name;
	char ip[256];
	const char *port;
	const char *state;    /* wait_bgsave, send_bulk, online */
	int64_t offset;       /* acknowledged */
	int64_t lag_seconds;  /* since that acknowledgement; 0 unless online, as Redis has it */
};

/* The next configured replica, from index *at on, that the master lists; false
 * when there is none left. INFO has all of them, ROLE those that are online.
 * Strings belong to the view. */
bool info_next_replica(const struct topology_view *view, bool online_only, size_t *at, struct info_replica *replica);
size_t info_count_replicas(const struct topology_view *view, bool online_only);

#endif
