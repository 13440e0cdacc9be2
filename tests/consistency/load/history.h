#ifndef WEIR_CONSISTENCY_HISTORY_H
#define WEIR_CONSISTENCY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../../protocol/buf.h"

/* The history of a load: one JSON array per line and operation,
 *
 *	[session, sequence, "operation", "key", wrote, read, invoked, returned, "outcome"]
 *
 * in the order in which they ended. Times are CLOCK_MONOTONIC in nanoseconds.
 * The sequence counts the session's operations in program order. Outcomes:
 * "ok"; "fail", certainly not done; "info", nobody can tell. `wrote` and `read`
 * are null where there is nothing to say; `read` of a failure is its error.
 * Sessions begin and end with objects:
 *
 *	{"session": 7, "actor": 3, "door": 0, "opened": ns}
 *	{"session": 7, "closed": ns, "why": "..."} */

struct row {
	uint64_t session;
	uint32_t sequence;
	const char *operation;
	const char *key;
	const struct buf *wrote; /* JSON; empty is null */
	const struct buf *read;
	int64_t invoked_ns;
	int64_t returned_ns;
	const char *outcome;
};

void history_row(FILE *history, const struct row *row);
void history_opened(FILE *history, uint64_t session, uint32_t actor, uint32_t door, int64_t now_ns);
void history_closed(FILE *history, uint64_t session, const char *why, int64_t now_ns);

/* Appends JSON. */
void history_put_text(struct buf *json, const char *text, size_t length);
void history_put_integer(struct buf *json, int64_t value);

#endif
