#ifndef WEIR_PROXY_ACCESS_H
#define WEIR_PROXY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/slice.h"

struct admin_sources;

/* Who may do what on the admin endpoint. Every verb and every page has a role
 * that it asks for; a caller has one by where he comes from and by the token. */

enum access_role {
	ACCESS_READ,   /* shows how weir and the servers are: for everybody who reaches the endpoint */
	ACCESS_CHANGE, /* changes something, or shows what clients say */
};

/* Are these sockets out of reach for other machines? */
bool access_is_near(const int *listen_fds, size_t count);

/* What the console grants without a token: everything, where there is none and
 * nobody comes from afar. */
enum access_role access_of_stranger(const struct admin_sources *sources);

/* Is there a token, and is this it? The time it takes does not tell how much of
 * it is right. */
bool access_has_token(const struct admin_sources *sources);
bool access_is_token(const struct admin_sources *sources, struct slice word);
/* Is this the value of an Authorization header with the token? NULL: no header. */
bool access_is_bearer(const struct admin_sources *sources, const char *header);

/* May a browser have been led here under this name? A literal address, this
 * machine's names, the one that is listened on and those of [admin] hosts are
 * ours; any other may be a name whose owner has pointed it at this address (DNS
 * rebinding). `host` is the header, with or without a port. */
bool access_is_our_name(const struct admin_sources *sources, const char *host);

#endif
