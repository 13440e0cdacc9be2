#ifndef WEIR_PROTOCOL_ALLOC_H
#define WEIR_PROTOCOL_ALLOC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory is bounded by limits on clients, requests and replies, so an
 * allocation that still fails has no better answer than an orderly end; at once,
 * for the other threads still run. */
static inline void *alloc_checked(void *memory)
{
	if (memory == NULL) {
		fputs("weir: out of memory\n", stderr);
		_Exit(EXIT_FAILURE);
	}
	return memory;
}

static inline void *alloc_zeroed(size_t count, size_t size)
{
	return alloc_checked(calloc(count ? count : 1, size ? size : 1));
}

static inline void *alloc_resized(void *memory, size_t size)
{
	return alloc_checked(realloc(memory, size ? size : 1));
}

/* A NUL-terminated copy of `length` bytes; the caller frees it. */
static inline char *alloc_text(const char *bytes, size_t length)
{
	char *copy = alloc_checked(malloc(length + 1));

	if (length)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

#endif
