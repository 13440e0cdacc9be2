#ifndef WEIR_PROXY_CURSORS_H
#define WEIR_PROXY_CURSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/cursor.h"

struct parsed_command;
struct request;
struct snapshot;

/* Cursors of SCAN and its kin on replicas ([routing] scan = replica): which
 * server process a tag names, and the replies in which cursors get theirs.
 * Which way a request takes is dispatch_cursors.c's business.
 *
 * A tag is a hash of the run_id, so every worker and every weir in front of the
 * same servers reads it alike, and a restarted server is another one. */

enum { CURSORS_NO_NODE = -1 };

/* Where the cursor stands among the arguments of SCAN or one of its kin. */
int cursors_position(const struct parsed_command *parsed);
/* The cursor that a request names; PLAIN where there is none. */
struct cursor cursors_named(const struct parsed_command *parsed);

/* The tag of this node's run. False: another run has the same one, and nobody
 * could tell their cursors apart. */
bool cursors_tag(const struct snapshot *snapshot, size_t index, uint32_t *tag);
/* The index of the one node whose run has this tag, or CURSORS_NO_NODE. */
int cursors_node(const struct snapshot *snapshot, uint32_t tag);

/* Reads the head of the reply to a request of kind REQUEST_CURSOR, which is
 * held back (REQUEST_WHOLE) until its cursor is tagged. Returns how many of the
 * bytes it has taken. Still held when all are taken: the head is not whole, or
 * the reply cannot be handed out as it is and the rest of it is dropped. */
size_t cursors_take_head(struct request *request, const char *bytes, size_t length);

#endif
