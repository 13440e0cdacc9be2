#ifndef WEIR_PROXY_CLIENT_INFO_H
#define WEIR_PROXY_CLIENT_INFO_H

#include <stddef.h>

#include "../../protocol/buf.h"
#include "client.h"
#include "client_filter.h"

/* What CLIENT INFO and CLIENT LIST say of one client, in Redis' format. */

/* The command that is being answered: only its client has it in its buffer. */
struct client_command {
	size_t bytes;
	size_t argument_bytes;
	bool in_exec;          /* it was queued: its client is in a transaction that ends */
};

struct client_command client_command_of(const struct client *client, const char *request);

/* Appends one line, LF included. `command` is NULL for a client that is not
 * the one that asks. */
void client_info_line(struct client *client, const struct client_command *command, struct buf *out);

/* What filters go by. Views; valid while the client is. */
struct client_traits client_traits_of(struct client *client);

#endif
