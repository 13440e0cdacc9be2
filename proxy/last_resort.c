#include "last_resort.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol/alloc.h"
#include "log.h"

/* libev would abort. A size of 0 frees. */
static void *loop_memory(void *memory, long size)
{
	if (size > 0)
		return alloc_resized(memory, (size_t)size);
	free(memory);
	return NULL;
}

/* jansson would leave out what it has no memory for, without a word. */
static void *json_memory(size_t size)
{
	return alloc_checked(malloc(size));
}

static void on_loop_failure(const char *what)
{
	log_fatal("the event loop failed: %s: %s", what, strerror(errno));
}

/* libmicrohttpd would abort. */
static void on_http_panic(void *arg, const char *file, unsigned line, const char *why)
{
	(void)arg;
	log_fatal("libmicrohttpd gives up (%s:%u): %s", file, line, why);
}

void last_resort_install(void)
{
	ev_set_allocator(loop_memory);
	ev_set_syserr_cb(on_loop_failure);
	json_set_alloc_funcs(json_memory, free);
	MHD_set_panic_func(on_http_panic, NULL);
}
