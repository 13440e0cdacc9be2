#include "buf.h"

#include <assert.h>
#include <stdint.h>

#include "alloc.h"

/* Keeps buffers cheap for the traffic of small messages: appending n bytes
 * costs O(n) amortised, whatever is consumed in between. */

enum { BUF_FIRST_BYTES = 512 };

static size_t grown_capacity(const struct buf *buf, size_t room)
{
	size_t wanted, capacity = buf->capacity ? buf->capacity : BUF_FIRST_BYTES;

	if (__builtin_add_overflow(buf_length(buf), room, &wanted) || wanted > SIZE_MAX / 2)
		alloc_checked(NULL);
	while (capacity < wanted)
		capacity *= 2;
	return capacity;
}

/* Something was consumed. */
static void compact(struct buf *buf)
{
	assert(buf->bytes != NULL);
	memmove(buf->bytes, buf_head(buf), buf_length(buf));
	buf->tail -= buf->head;
	buf->head = 0;
}

char *buf_reserve(struct buf *buf, size_t room)
{
	size_t length = buf_length(buf);

	/* Moving no more bytes than were consumed before keeps the cost linear. */
	if (buf->capacity - buf->tail < room && buf->head > 0 && buf->head >= length)
		compact(buf);
	if (buf->capacity - buf->tail < room || buf->bytes == NULL) {
		if (buf->head > 0)
			compact(buf);
		buf->capacity = grown_capacity(buf, room);
		buf->bytes = alloc_resized(buf->bytes, buf->capacity);
	}
	return buf->bytes + buf->tail;
}

void buf_produced(struct buf *buf, size_t count)
{
	assert(count <= buf->capacity - buf->tail);
	buf->tail += count;
}

void buf_append(struct buf *buf, const void *bytes, size_t count)
{
	if (count == 0)
		return;
	memcpy(buf_reserve(buf, count), bytes, count);
	buf->tail += count;
}

void buf_append_text(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_consume(struct buf *buf, size_t count)
{
	assert(count <= buf_length(buf));
	buf->head += count;
	if (buf->head == buf->tail)
		buf->head = buf->tail = 0;
}

void buf_shrink(struct buf *buf, size_t keep)
{
	if (buf_length(buf) == 0 && buf->capacity > keep)
		buf_free(buf);
}

void buf_free(struct buf *buf)
{
	free(buf->bytes);
	*buf = (struct buf){ 0 };
}

void buf_wipe(struct buf *buf)
{
	if (buf->bytes != NULL)
		explicit_bzero(buf->bytes, buf->capacity);
	buf_free(buf);
}
