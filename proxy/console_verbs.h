#ifndef WEIR_PROXY_CONSOLE_VERBS_H
#define WEIR_PROXY_CONSOLE_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "../protocol/buf.h"
#include "../protocol/slice.h"

struct admin_sources;

/* One request on the console and where its answer goes. */
struct console_call {
	const struct admin_sources *sources;
	const struct slice *argv; /* argv[0] is the verb; views, valid during the call */
	size_t argc;              /* at least 1 */
	struct buf *out;
	bool quit;                /* set by the verb: the connection ends behind this answer */
};

/* Appends exactly one reply (RESP2). Control thread. */
void console_run(struct console_call *call);

#endif
