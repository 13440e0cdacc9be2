#ifndef WEIR_TOPOLOGY_MEMORY_H
#define WEIR_TOPOLOGY_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"

/* The topology's allocations are bounded by its configuration and by the reply
 * limit of its links; one that fails all the same has no better answer than an
 * orderly end. */

static inline void *memory_checked(void *memory)
{
	if (memory == NULL)
		log_fatal("out of memory");
	return memory;
}

static inline void *memory_zeroed(size_t count, size_t size)
{
	return memory_checked(calloc(count ? count : 1, size ? size : 1));
}

/* The caller frees it. NULL stays NULL. */
static inline char *memory_text(const char *text)
{
	return text == NULL ? NULL : memory_checked(strdup(text));
}

/* Frees a text that nobody shall find afterwards. NULL is fine. */
static inline void memory_forget(const char *secret)
{
	char *text = (char *)secret;

	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

#endif
