#ifndef WEIR_PROXY_LOCAL_H
#define WEIR_PROXY_LOCAL_H

#include "../backend/backend.h"
#include "../client/client.h"
#include "../worker/worker.h"

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
/* Is the reply to the EXEC that is sent now gone through element by element: for
 * what was queued, or because what a MONITOR sees stands between them? */
bool local_follows_exec(struct session *session);
/* Is one of them a CLIENT PAUSE? */
bool local_pauses(const struct session *session);
/* Why this session may not say it, as an error; NULL when it may. */
const char *local_refusal(struct client *client, const struct parsed_command *parsed);
/* Has the answer come, while what is made of it is not decided yet? It may bind
 * the session to the connection that gave it. */
bool local_is_settling(const struct session *session);
/* The same, and it is the answer to EXEC. */
bool local_is_in_exec(const struct session *session);
/* The commands noted so far will not be executed. */
void local_forget(struct session *session);

/* Would the server take it for a word about its own connections, all of which
 * are weir's? */
bool local_speaks_of_others(const struct parsed_command *parsed);

/* The reply to an EXEC of that kind as it comes: it has a header and elements;
 * then one element after the other, in parts and at its end. When all of them
 * are there it is judged. */
void local_exec_begins(struct session *session, struct slice header);
void local_exec_passes(struct session *session, struct slice bytes);
void local_exec_answered(struct session *session);

/* The command that the next element answers, if it was noted. */
struct local_noted {
	enum command_special special; /* SPECIAL_NONE: it was not */
	struct slice bytes;           /* as the client sent it */
};
struct local_noted local_noted(const struct session *session);

/* A command that binds the session to its private backend, or frees it, was
 * answered with a reply of this type. */
void local_follow(struct client *client, enum command_special special, char type);
/* MONITOR begins or ends. Meanwhile reads go to the master, so that it shows what
 * everybody does. */
void local_set_monitoring(struct client *client, bool monitoring);
/* What the client is told when the server says that the connection to which its
 * invalidations are redirected is gone. */
void local_redirect_is_broken(const struct session *session, struct buf *push);

#endif
