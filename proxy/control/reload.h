#ifndef WEIR_PROXY_RELOAD_H
#define WEIR_PROXY_RELOAD_H

#include <stddef.h>
#include <stdint.h>

#include "../config/config.h"

struct journal;
struct stats;

/* Another configuration for a weir that runs: SIGHUP and RELOAD read the file
 * anew, CONFIG SET changes some values of the present one. All that can be applied
 * is applied at once, or nothing is; what needs a restart keeps its value, and is
 * named. Control thread only. */

struct reload;

struct reload_events {
	/* The configuration in force from now on; the receiver acquires it. */
	void (*on_config)(void *arg, struct config *config);
	void *arg;
};

/* `present` is in force; one reference is taken. The path, the journal and the
 * counters outlive the reload. */
struct reload *reload_create(const char *path, struct config *present, struct journal *journal, struct stats *stats,
			     const struct reload_events *events);
/* Sets *reload to NULL. */
void reload_destroy(struct reload **reload);

/* Reads the file. NULL: it is in force; else why nothing has changed, which the
 * caller frees. */
char *reload_file(struct reload *reload);
/* The keys whose values in the file that is in force wait for a restart, as
 * "[section] key, ..."; "" when there are none. Valid until the next reload. */
const char *reload_waits_for_restart(const struct reload *reload);
/* The same for some values. One that would need a restart refuses them all. */
char *reload_set(struct reload *reload, const struct config_change *changes, size_t count);

/* Unix time of the last change that succeeded; of the start before the first. */
int64_t reload_succeeded_unix_ms(const struct reload *reload);

#endif
