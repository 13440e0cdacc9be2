/* CLIENT: weir's own clients, in Redis' words. */
#include "local_parts.h"

#include "../../protocol/encode.h"
#include "../client/client_info.h"
#include "../dispatch/dispatch.h"

bool local_client_is_bare(const struct arguments *arguments)
{
	return arguments->count == 2;
}

enum local_outcome local_client_id(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	encode_integer(reply, (int64_t)client->session.id);
	return OUTCOME_REPLACED;
}

enum local_outcome local_client_getname(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	if (client->session.name != NULL)
		encode_bulk_text(reply, client->session.name);
	else
		encode_null(reply, client->session.resp);
	return OUTCOME_REPLACED;
}

bool local_client_setname_is_sound(const struct arguments *arguments)
{
	return arguments->count == 3 && local_is_valid_name(arguments->at[2]);
}

/* Of weir's connection, which keeps its name. */
void local_client_setname_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	(void)arguments;
	encode_request_words(out, "CLIENT", "SETNAME", "weir-data", NULL);
}

enum local_outcome local_client_setname(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	local_replace_text(&client->session.name, arguments->at[2]);
	encode_status(reply, "OK");
	return OUTCOME_REPLACED;
}

bool local_client_setinfo_is_sound(const struct arguments *arguments)
{
	return arguments->count == 4 && local_is_valid_name(arguments->at[3]) &&
	       (slice_is(arguments->at[2], "lib-name") || slice_is(arguments->at[2], "lib-ver"));
}

void local_client_setinfo_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	(void)arguments;
	encode_request_words(out, "CLIENT", "SETINFO", "LIB-NAME", "weir", NULL);
}

enum local_outcome local_client_setinfo(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct session *session = &client->session;

	local_replace_text(slice_is(arguments->at[2], "lib-name") ? &session->library_name : &session->library_version,
			   arguments->at[3]);
	encode_status(reply, "OK");
	return OUTCOME_REPLACED;
}

/* Redis 7.2 brought it; an older server says itself that it does not know it. */
enum local_result local_client_setinfo_handle(struct client *client, const struct parsed_command *parsed)
{
	return parsed->command->listed ? local_if_granted(client, parsed) : LOCAL_FORWARD;
}

enum local_outcome local_client_info(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct client_command command = client_command_of(client, arguments->request);
	struct buf line = { 0 };

	client_info_line(client, &command, &line);
	encode_verbatim(reply, buf_slice(&line), client->session.resp);
	buf_free(&line);
	return OUTCOME_REPLACED;
}

/* ---- REPLY ---- */

bool local_client_reply_is_sound(const struct arguments *arguments)
{
	return arguments->count == 3 && (slice_is(arguments->at[2], "on") || slice_is(arguments->at[2], "off") ||
					 slice_is(arguments->at[2], "skip"));
}

/* No server is ever asked to be silent, or its replies could not be told apart. */
void local_client_reply_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	(void)arguments;
	encode_request_words(out, "CLIENT", "REPLY", "ON", NULL);
}

enum local_outcome local_client_reply(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct session *session = &client->session;

	if (slice_is(arguments->at[2], "on")) {
		session->reply = REPLY_ON;
		encode_status(reply, "OK");
	} else if (slice_is(arguments->at[2], "off")) {
		session->reply = REPLY_OFF;
	} else if (session->reply != REPLY_OFF) {
		session->reply = REPLY_SKIP_NEXT;
	}
	return OUTCOME_REPLACED;
}

/* ---- NO-EVICT, NO-TOUCH ---- */

bool local_client_is_switch(const struct arguments *arguments)
{
	return arguments->count == 3 && (slice_is(arguments->at[2], "on") || slice_is(arguments->at[2], "off"));
}

/* Spelled as the client does: a server that does not know it says so with that word. */
static void encode_switch(const struct arguments *arguments, struct slice position, struct buf *out)
{
	struct slice words[] = { arguments->at[0], arguments->at[1], position };

	encode_request(out, 3, words);
}

/* The server's evictions are of weir's connections, which many clients share:
 * they stay as they are, and weir evicts no client of its own. */
void local_client_no_evict_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	encode_switch(arguments, slice_of("OFF"), out);
}

enum local_outcome local_client_no_evict(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)reply;
	client->session.no_evict = slice_is(arguments->at[2], "on");
	return OUTCOME_KEPT;
}

/* A connection that is shared stays as it is, and the session moves to another;
 * one of its own does as it says. */
void local_client_no_touch_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	if (client->session.pinned == NULL)
		encode_switch(arguments, slice_of(client->session.no_touch ? "ON" : "OFF"), out);
}

enum local_outcome local_client_no_touch(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)reply;
	client->session.no_touch = slice_is(arguments->at[2], "on");
	return OUTCOME_KEPT;
}
