#ifndef WEIR_PROTOCOL_CURSOR_H
#define WEIR_PROTOCOL_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "slice.h"

/* Cursors of SCAN and its kin. A server's cursor means something to that one
 * server process alone, so weir hands it out with a tag that names the process:
 *
 *   bit  52   51 ... 34   33 ... 0
 *         1      tag      the server's own
 *
 * Tagged cursors stay below 2^53: clients that keep numbers as doubles keep
 * them whole. A server's own cursor is smaller than the number of buckets of
 * the table it walks (a bucket number, counted up from its highest bit), so
 * none is ever as large as a tagged one, and 34 bits are a table that takes
 * 128 GiB before it holds anything. */

enum {
	CURSOR_OWN_BITS = 34,
	CURSOR_TAG_BITS = 18,
	CURSOR_HEAD_BYTES = 31, /* of the longest reply head: *2, $20, twenty digits */
};

/* Where an iteration stands, as a client names it. */
enum cursor_kind {
	CURSOR_START,  /* 0: begins anew, anywhere */
	CURSOR_TAGGED, /* goes on where the tag says */
	CURSOR_PLAIN,  /* whatever else: a server's own cursor, or none */
};

struct cursor {
	enum cursor_kind kind;
	uint32_t tag;  /* of a tagged one */
	uint64_t own;  /* what its server calls it */
};

struct cursor cursor_read(struct slice argument);

/* False: the server's own cursor is too large for a tag beside it. */
bool cursor_fits(uint64_t own);
/* A cursor with a tag; 0, the end, needs none and stays 0. It must fit. */
uint64_t cursor_tagged(uint64_t own, uint32_t tag);

/* Appends a whole canonical request with its argument at `position` (the name
 * is 0) replaced by this cursor. */
void cursor_rewrite(struct buf *out, struct slice request, int position, uint64_t cursor);

/* A reply to SCAN is an array of two whose first element is the cursor. */
enum cursor_head {
	CURSOR_HEAD_AGAIN, /* so it begins, but the cursor is not whole */
	CURSOR_HEAD_WHOLE, /* *length is that of the head, *own the cursor */
	CURSOR_HEAD_OTHER, /* no such reply */
};

enum cursor_head cursor_head_read(struct slice reply, size_t *length, uint64_t *own);
void cursor_head_write(struct buf *out, uint64_t cursor);

#endif
