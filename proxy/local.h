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

enum local_gate {
	GATE_OPEN,
	GATE_STALLED, /* being found out; the command is not taken, client->stall is set */
	GATE_REFUSED, /* the command has been answered with the server's refusal */
};

/* Is the session authenticated? In front of everything that weir does for a
 * session before a server has judged it. */
enum local_gate local_pass_gate(struct client *client);

enum local_judgement {
	JUDGED_SHOWN,   /* the client shall have the reply, as request->held is now */
	JUDGED_DROPPED, /* weir has answered in its place, or nothing is to be answered */
	JUDGED_LATER,   /* not yet known: it stays in its client's queue until delivery_finish() */
};

/* The whole reply to a request of a kind that local.c sent has come. */
enum local_judgement local_judge(struct client *client, struct request *request, struct slice reply);

/* A command is queued inside MULTI. True when weir has a part in it, which is
 * done when EXEC's reply has come: then the request is of kind QUEUED, and that
 * of EXEC of kind EXEC. If anything is appended to `question`, the server is
 * told that in its place. */
bool local_note_queued(struct client *client, const struct parsed_command *parsed, struct buf *question);
/* Is one of them a CLIENT PAUSE? */
bool local_pauses(const struct session *session);
/* Why this session may not say it, as an error; NULL when it may. */
const char *local_refusal(const struct client *client, const struct parsed_command *parsed);
/* The commands noted so far will not be executed. */
void local_forget(struct session *session);

/* Would the server take it for a word about its own connections, all of which
 * are weir's? */
bool local_speaks_of_others(const struct parsed_command *parsed);

/* CLIENT REPLY was sent on a stream, whose server does as it says. */
void local_follow_reply(struct client *client, const struct parsed_command *parsed);

/* RESET, as far as the session is concerned: back to what a new client has.
 * Nothing of it may be in flight. */
void local_reset(struct client *client);

#endif
