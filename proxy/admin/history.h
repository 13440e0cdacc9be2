#ifndef WEIR_PROXY_HISTORY_H
#define WEIR_PROXY_HISTORY_H

#include <stdint.h>
#include <stdio.h>

/* The last ten minutes, second by second: a ring of samples of the group, and of
 * each server by its name, so that servers may come and go. Memory is bounded:
 * HISTORY_SAMPLES of HISTORY_NODES_MAX servers. Control thread only. */

enum {
	HISTORY_SAMPLES = 600,
	HISTORY_NODES_MAX = 64, /* beyond that, those that were seen last the longest ago are forgotten */
	HISTORY_UNKNOWN = -1,   /* in every column; null in the answer */
};

/* Of the group. What is counted is counted per second. */
enum history_column {
	HISTORY_CLIENTS,
	HISTORY_READS_ON_REPLICAS,
	HISTORY_READS_ON_MASTER,
	HISTORY_WRITES,
	HISTORY_OTHERS,         /* sent to the master, and neither reads nor plain writes */
	HISTORY_COLUMNS
};

/* Of one server. */
enum history_node_column {
	HISTORY_REQUESTS,       /* answered by it, per second: a replica's are reads */
	HISTORY_LAG_US,
	HISTORY_LAG_BYTES,
	HISTORY_P50_US,         /* of what it answered in this second */
	HISTORY_P99_US,
	HISTORY_NODE_COLUMNS
};

struct history;

struct history *history_create(void);
/* Frees *history, sets it to NULL. */
void history_destroy(struct history **history);

/* One second more. What a server showed in it follows by history_add_node(). */
void history_add(struct history *history, int64_t unix_ms, const int64_t values[HISTORY_COLUMNS]);
void history_add_node(struct history *history, const char *name, const int64_t values[HISTORY_NODE_COLUMNS]);

/* The samples behind number `since`, oldest first, as members of a JSON object:
 * "newest":n,"time":[...],"clients":[...],...,"nodes":[{"name":...},...] */
void history_print(const struct history *history, uint64_t since, FILE *out);

#endif
