#ifndef WEIR_PROTOCOL_BUF_H
#define WEIR_PROTOCOL_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "slice.h"

/* A growable byte queue: bytes are appended at the tail and consumed from the
 * head. Invariant: head <= tail <= capacity; head == tail means empty, and an
 * empty buffer always has head == tail == 0, so it never needs compaction.
 * A zeroed struct is a valid empty buffer that owns no memory. */
struct buf {
	char *bytes;     /* owned; NULL while capacity is 0 */
	size_t head;     /* first unconsumed byte */
	size_t tail;     /* one past the last byte */
	size_t capacity;
};

static inline size_t buf_length(const struct buf *buf)
{
	return buf->tail - buf->head;
}

static inline char *buf_head(const struct buf *buf)
{
	return buf->bytes + buf->head;
}

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){ buf->bytes ? buf->bytes + buf->head : "", buf->tail - buf->head };
}

/* Room for at least `room` bytes at the tail; compacts before it grows.
 * Returns the place to write; tell what was written with buf_produced(). */
char *buf_reserve(struct buf *buf, size_t room);
void buf_produced(struct buf *buf, size_t count);
void buf_append(struct buf *buf, const void *bytes, size_t count);
void buf_append_text(struct buf *buf, const char *text);
/* Drops `count` bytes (at most buf_length()) from the head. */
void buf_consume(struct buf *buf, size_t count);
/* Frees the memory when the buffer is empty and holds more than `keep` bytes. */
void buf_shrink(struct buf *buf, size_t keep);
/* Frees the memory; the buffer is a valid empty one afterwards. */
void buf_free(struct buf *buf);
/* The same for one that may have held a secret. */
void buf_wipe(struct buf *buf);

#endif
