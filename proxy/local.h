#ifndef WEIR_PROXY_LOCAL_H
#define WEIR_PROXY_LOCAL_H

#include "backend.h"
#include "client.h"
#include "worker.h"

/* The commands that are weir's own: connection state. */

enum local_result {
	LOCAL_DONE,    /* answered, or its answer is on the way */
	LOCAL_STALLED, /* not taken; client->stall says what it waits for */
	LOCAL_FORWARD, /* the server shall answer it, as an ordinary command */
};

enum local_result local_handle(struct client *client, const struct parsed_command *parsed);

/* The whole reply to a request of a kind that local.c sent has come. Returns
 * true when the client shall have it (in request->held), false when weir has
 * answered in its place, or nothing is to be answered. */
bool local_judge(struct client *client, struct request *request, struct slice reply);

/* RESET, as far as the session is concerned: back to what a new client has.
 * Nothing of it may be in flight. */
void local_reset(struct client *client);

#endif
