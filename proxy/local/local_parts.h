#ifndef WEIR_PROXY_LOCAL_PARTS_H
#define WEIR_PROXY_LOCAL_PARTS_H

#include <stddef.h>

#include "../../protocol/buf.h"
#include "../../protocol/slice.h"
#include "local.h"
#include "../backend/request.h"

/* What the files of local commands share with each other and with nobody else:
 * local.c (the table, connection state), local_login.c (the gate, AUTH, HELLO),
 * local_weir.c (WEIR), local_client.c (CLIENT), local_listen.c (MONITOR, tracking),
 * local_config.c (CONFIG SET), local_settle.c (commands of weir's own that a server
 * is told of first).
 *
 * A local command that stands alone is answered at once, or after a server was
 * asked whether it has anything against it. Inside MULTI the server queues
 * whatever is said, so it is told the same question, and weir does its part
 * when EXEC's reply shows that the server had nothing against it. */

enum { ARGUMENTS_MAX = 16 };

/* The arguments of a command, as far as local commands care. */
struct arguments {
	const char *request;          /* the whole command */
	size_t count;                 /* may exceed ARGUMENTS_MAX; only the first ones are here */
	struct slice at[ARGUMENTS_MAX];
};

struct arguments arguments_of(const char *request);

/* What became of a command when weir did its part. */
enum local_outcome {
	OUTCOME_KEPT,     /* the server's answer is the client's */
	OUTCOME_REPLACED, /* the client gets what was appended to `reply`, which may be nothing */
	OUTCOME_LATER,    /* local_finish() will say */
};

struct local_command {
	/* Outside of MULTI; NULL: it is the server's to answer. */
	enum local_result (*handle)(struct client *client, const struct parsed_command *parsed);
	/* Only for a session that a server has let in. */
	bool gated;
	/* Is it one that weir understands? The server says what is wrong with any
	 * other. NULL: always. */
	bool (*is_sound)(const struct arguments *arguments);
	/* What the server is told in its place. NULL, or nothing appended: the
	 * command itself. */
	void (*question)(const struct client *client, const struct arguments *arguments, struct buf *out);
	/* weir's part of it, once the server has nothing against it. NULL: none. */
	enum local_outcome (*settle)(struct client *client, const struct arguments *arguments, struct buf *reply);
};

/* ---- local.c ---- */

const struct local_command *local_command(enum command_special special);

void local_answer(struct client *client, struct buf *reply); /* frees it */
enum local_result local_answer_ok(struct client *client);
enum local_result local_answer_error(struct client *client, const char *text);
/* Looks at the command again when nothing of the client is in flight. */
enum local_result local_stall_until_answered(struct client *client);
/* Owned text of a session; NULL when empty. */
void local_replace_text(char **text, struct slice value);
/* Where the session's own questions go; and a question, whose answer
 * local_judge() gets. */
struct backend *local_way(struct client *client);
void local_ask(struct client *client, struct backend *backend, enum request_kind kind, unsigned flags,
	       struct slice bytes);

/* ---- local_login.c ---- */

bool local_is_authenticated(const struct client *client);
/* What the server has said of the session is forgotten. */
void local_close_gate(struct client *client);
/* The answers to the questions of kind GATE and HELLO. */
enum local_judgement local_judge_gate(struct client *client, struct slice reply);
enum local_judgement local_judge_hello(struct client *client, struct request *request);
/* May a client be called so? */
bool local_is_valid_name(struct slice name);
/* Rows of the table. */
bool local_auth_is_sound(const struct arguments *arguments);
enum local_result local_auth(struct client *client, const struct parsed_command *parsed);
enum local_outcome local_auth_settle(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_hello_is_sound(const struct arguments *arguments);
enum local_result local_hello(struct client *client, const struct parsed_command *parsed);
enum local_outcome local_hello_settle(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_weir.c: a row of the table ---- */

enum local_result local_weir(struct client *client, const struct parsed_command *parsed);

/* ---- local_settle.c ---- */

/* Handlers of the table: weir answers alone; or a server is asked first, on
 * the session's own way. */
enum local_result local_at_once(struct client *client, const struct parsed_command *parsed);
enum local_result local_ask_first(struct client *client, const struct parsed_command *parsed);
/* The same, unless it has answered that a moment ago. */
enum local_result local_if_granted(struct client *client, const struct parsed_command *parsed);
/* The same on a connection where nothing stands in front of it. */
enum local_result local_ask_alone_first(struct client *client, const struct parsed_command *parsed);
/* On any way; nothing of the client may be in flight. */
enum local_result local_ask_on(struct client *client, struct backend *backend, const struct parsed_command *parsed);

/* The command is settled with the answer to a question of the caller's own. */
void local_note(struct client *client, const struct parsed_command *parsed);

/* Is there room for one more that is queued? */
bool local_has_room(const struct session *session, size_t bytes);

/* The whole reply to a question or an EXEC has come (request->held, or
 * local_exec_passes()). */
enum local_judgement local_settle(struct client *client, struct request *request);

/* The reply to a command that was queued, which has been noted. */
enum local_judgement local_judge_queued(struct client *client, struct slice reply);
/* During an OUTCOME_LATER, not before it: another question, where nothing stands in front of
 * it, to this node or BACKEND_TO_MASTER. Its answer is the client's, unless
 * `then` has another. */
void local_ask_then(struct client *client, int32_t node, struct slice question,
		    enum local_outcome (*then)(struct client *client, struct slice answer));
/* Has the server done already what is being settled, inside EXEC? */
bool local_is_done(const struct client *client);
/* What is being settled. */
struct arguments local_arguments(const struct client *client);
/* What the server says to it. */
struct slice local_server_answer(const struct client *client);
/* When the first of what is being settled was sent. */
int64_t local_asked_ns(const struct client *client);
/* The end of an OUTCOME_LATER: what the client gets. */
void local_finish(struct client *client, struct slice reply);

/* ---- local_client.c: rows of the table ---- */

bool local_client_is_bare(const struct arguments *arguments);
enum local_outcome local_client_id(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_outcome local_client_getname(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_outcome local_client_info(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_client_setname_is_sound(const struct arguments *arguments);
void local_client_setname_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_client_setname(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_client_setinfo_is_sound(const struct arguments *arguments);
void local_client_setinfo_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_client_setinfo(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_result local_client_setinfo_handle(struct client *client, const struct parsed_command *parsed);
bool local_client_reply_is_sound(const struct arguments *arguments);
void local_client_reply_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_client_reply(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_client_is_switch(const struct arguments *arguments);
void local_client_no_evict_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_client_no_evict(struct client *client, const struct arguments *arguments, struct buf *reply);
void local_client_no_touch_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_client_no_touch(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_clients.c: rows of the table ---- */

void local_clients_list_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_clients_list(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_clients_kill_is_sound(const struct arguments *arguments);
void local_clients_kill_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_clients_kill(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_config.c: a row of the table ---- */

bool local_config_set_is_sound(const struct arguments *arguments);
enum local_outcome local_config_set(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_unblock.c: rows of the table ---- */

bool local_unblock_is_sound(const struct arguments *arguments);
void local_unblock_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_unblock(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_pause.c: rows of the table ---- */

bool local_pause_is_sound(const struct arguments *arguments);
void local_pause_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_pause(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_outcome local_unpause(struct client *client, const struct arguments *arguments, struct buf *reply);

/* ---- local_listen.c: rows of the table ---- */

enum local_outcome local_nothing_to_settle(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_result local_monitor(struct client *client, const struct parsed_command *parsed);
enum local_outcome local_monitor_settle(struct client *client, const struct arguments *arguments, struct buf *reply);
bool local_tracking_is_sound(const struct arguments *arguments);
enum local_result local_tracking(struct client *client, const struct parsed_command *parsed);
void local_tracking_question(const struct client *client, const struct arguments *arguments, struct buf *out);
enum local_outcome local_tracking_settle(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_result local_of_tracking(struct client *client, const struct parsed_command *parsed);
enum local_outcome local_getredir_settle(struct client *client, const struct arguments *arguments, struct buf *reply);
enum local_outcome local_trackinginfo_settle(struct client *client, const struct arguments *arguments, struct buf *reply);

#endif
