#ifndef WEIR_PROXY_CONSOLE_VERBS_H
#define WEIR_PROXY_CONSOLE_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/buf.h"
#include "../../protocol/slice.h"
#include "access.h"
#include "console_ticket.h"

struct admin_sources;

enum { CONSOLE_ARGS_MAX = 64 };

/* One request on the console and where its answer goes. */
struct console_call {
	const struct admin_sources *sources;
	const struct slice *argv;      /* argv[0] is the verb; views, valid during the call */
	size_t argc;                   /* at least 1 */
	enum access_role role;         /* of the caller */
	struct buf *out;
	bool admitted;                 /* set by the verb: the caller has shown the token */
	bool quit;                     /* set by the verb: the connection ends behind this answer */
	struct console_ticket *ticket; /* set by the verb: the answer comes later, nothing was appended; the caller's */
};

/* Appends exactly one reply (RESP2), unless there is a ticket for it. Control
 * thread. */
void console_run(struct console_call *call);
/* The same for a line as an operator types it, who has shown the token already. */
void console_run_line(const struct admin_sources *sources, struct slice line, struct buf *out,
		      struct console_ticket **ticket);

#endif
