#ifndef WEIR_PROXY_WAITING_H
#define WEIR_PROXY_WAITING_H

#include <stdbool.h>

#include "dispatch.h"
#include "../local/local.h"

/* Commands that ask about positions, and wait for them: WAIT, WEIR TOKEN, WEIR
 * WAIT. One that waits is not taken: it is looked at again every moment, and
 * nothing behind it is. */

enum waiting_result {
	WAITING_ANSWERED,
	WAITING_GOES_ON,  /* not taken; client->stall is set */
	WAITING_NOT_HERE, /* weir cannot tell: the server shall answer */
};

/* WAIT: how many replicas have the session's own last write. On a shared
 * connection the server would speak of somebody else's, on a fresh one of none
 * (redis replicationCountAcksByOffset(c->woff); from 7.2 on woff moves only with
 * the connection's own writes; and a served BLPOP is not covered at all). */
enum waiting_result waiting_for_replicas(struct client *client, const struct parsed_command *parsed);

/* WEIR TOKEN: the session's position, for another one to wait for. */
enum local_result waiting_token(struct client *client);
/* WEIR WAIT token [ms]; `timeout` empty: none was given. */
enum local_result waiting_for_token(struct client *client, struct slice token, struct slice timeout);

/* CLIENT UNBLOCK: ends a WAIT as if its time were over, or with an error. False:
 * the client waits for nothing. */
bool waiting_unblock(struct client *client, bool with_error);

#endif
