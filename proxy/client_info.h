#ifndef WEIR_PROXY_CLIENT_INFO_H
#define WEIR_PROXY_CLIENT_INFO_H

#include "../protocol/buf.h"
#include "client.h"

/* What CLIENT INFO and CLIENT LIST say: weir's clients in Redis' format. */

/* Appends one line, LF included. */
void client_info_line(struct client *client, struct buf *out);

/* CLIENT LIST: gathers the lines of every worker's clients, then answers at
 * the client's next place in order; until then the client is stalled on an
 * event. `request` is the whole command, for its TYPE and ID filters. Returns
 * false with *error set when those are malformed. */
bool client_info_list(struct client *client, const char *request, const char **error);

#endif
