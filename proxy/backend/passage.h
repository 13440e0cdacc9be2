#ifndef WEIR_PROXY_PASSAGE_H
#define WEIR_PROXY_PASSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/push.h"
#include "../../protocol/slice.h"

struct backend;
struct request;

/* A subscriber's way from the old master to the new one, on the same backend, while
 * nobody publishes. weir does not know what somebody is subscribed to; the old
 * master does, and names it when it is told to end it all:
 *
 *   LEAVING   UNSUBSCRIBE and its kin are under way on the old connection, behind
 *             everything that was published there; their answers are the names
 *   LEFT      the names are known; a connection to the new master is made
 *   ARRIVING  SUBSCRIBE and its kin are under way on it, in front of whatever the
 *             session has said meanwhile
 *
 * The session's bonds stay as they are, and the client notices nothing. Where it
 * cannot be done (the new master refuses a channel) the client is told by the end
 * of its connection. */

struct passage;

/* Begins, if the backend's session is nothing but subscribed, and has nothing under
 * way. The backend is READY, and held. */
void passage_begin(struct backend *backend);
/* The names are not known yet: the connection stays. */
bool passage_is_leaving(const struct backend *backend);
/* They are, and no connection carries anything of it. */
bool passage_has_left(const struct backend *backend);
/* Behind a handshake: puts what is to be said into the stream. */
void passage_enqueue(struct backend *backend);
/* The connection is READY. */
void passage_arrives(struct backend *backend);
/* One of the confirmations to weir's own (UN)SUBSCRIBE. */
void passage_confirmed(struct backend *backend, enum push_kind kind, struct slice value);
/* One of those commands is answered. */
void passage_answered(struct backend *backend, char type);
/* It is over, one way or another. */
void passage_end(struct backend *backend);

#endif
