#ifndef WEIR_PROXY_UPLOAD_H
#define WEIR_PROXY_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/resp.h"
#include "../backend/conn.h"

struct client;

/* Commands too large to be collected. A command that has not arrived whole
 * never starts on a shared backend; one of a megabyte and more would have to be
 * held whole for that. It takes a private backend instead, when everything
 * before it is answered, and its bytes go there as they come: the client is not
 * read while that backend does not take more. No server executes it before its
 * last byte, so whatever becomes of it until then, it was "not sent".
 *
 * The beginning is judged like any other command. Where the answer is weir's
 * own (a refusal, -NOMASTER, ...), it is given at once, and the rest is skipped
 * as it comes. Commands that weir has to read itself are collected after all. */

/* `bytes` begin with a command that the client's framer has found incomplete.
 * Returns how many of them are done with; 0: it is collected, or has to wait. */
size_t upload_begin(struct client *client, const char *bytes);

/* Only while client->upload is not UPLOAD_NONE: more of it, and when it ends
 * with them, that. Returns how many of the bytes are done with. *error is set
 * where it is malformed. */
size_t upload_take(struct client *client, const struct resp_limits *limits, const char *bytes, size_t length,
		   const char **error);

/* Can what comes next be read past everything, into the backend's stream? */
bool upload_is_open(const struct client *client);
enum conn_result upload_read(struct client *client, size_t *got);

#endif
