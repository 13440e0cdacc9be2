#ifndef WEIR_PROXY_REDIRECT_H
#define WEIR_PROXY_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../list.h"

struct client;
struct worker;

/* CLIENT TRACKING ... REDIRECT <id>: the id is that of a client of weir, and
 * the server wants that of a connection. So the client gets one of its own, on
 * whatever worker it is, and keeps it: whoever redirects to it may rely on that
 * as long as it lives. */

/* What a CLIENT TRACKING asks for, as far as weir has to know. */
struct tracking_options {
	bool on;
	bool broadcasts;
	uint64_t redirect_id;  /* a client of weir; 0: none, or no such id can be */
	int32_t redirect_word; /* where the id stands among the words; 0: nowhere */
};

/* From the whole command. */
struct tracking_options redirect_parse(const char *request);

/* What was found out for the command that comes next. */
struct redirect_target {
	uint64_t id;         /* of the client; 0: nothing was */
	uint64_t server_id;  /* of its connection; 0: there is no such client */
	uint32_t node_id;    /* where that connection goes */
	const char *refusal; /* why it cannot be redirected to, as an error; NULL: it can */
};

/* Is it known where the command's invalidations are to go? If not, that is
 * being found out, and the command has to wait (STALL_EVENT). */
bool redirect_is_known(struct client *client, const char *request);
/* Why the command cannot be taken, as an error (and then what was found out is
 * forgotten); NULL: it can. */
const char *redirect_refusal(struct client *client, const char *request);
/* Appends the command as the server has to hear it; nothing when it is the same. */
void redirect_encode(const struct client *client, const char *request, struct buf *out);

/* Every tick: looks again at clients that have no connection yet. */
void redirect_tick(struct worker *worker);
/* The worker ends: nobody waits here any more. */
void redirect_stop(struct worker *worker);

#endif
