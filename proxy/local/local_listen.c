/* What makes a session's own connection speak unasked: MONITOR and CLIENT
 * TRACKING. (Subscriptions are followed where they are confirmed, see
 * backend_private.c.) */
#include "local_parts.h"

#include <string.h>

#include "../../protocol/encode.h"

enum local_outcome local_nothing_to_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)client;
	(void)arguments;
	(void)reply;
	return OUTCOME_KEPT;
}

static enum local_result ask_on_pinned(struct client *client, const struct parsed_command *parsed)
{
	client->session.pinned->tainted = true;
	return local_ask_on(client, client->session.pinned, parsed);
}

/* ---- MONITOR ---- */

void local_set_monitoring(struct client *client, bool monitoring)
{
	struct session *session = &client->session;

	if (session->bonds.monitoring != monitoring && session->endpoint == ENDPOINT_SPLIT)
		atomic_fetch_add_explicit(&client->worker->shared->monitors, monitoring ? 1 : -1, memory_order_relaxed);
	session->bonds.monitoring = monitoring;
}

/* Who monitors already is not even answered. */
enum local_result local_monitor(struct client *client, const struct parsed_command *parsed)
{
	return client->session.bonds.monitoring ? LOCAL_DONE : ask_on_pinned(client, parsed);
}

enum local_outcome local_monitor_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	(void)reply;
	local_set_monitoring(client, true);
	return OUTCOME_KEPT;
}

/* ---- CLIENT TRACKING ---- */

bool local_tracking_is_sound(const struct arguments *arguments)
{
	return arguments->count >= 3;
}

enum local_result local_tracking(struct client *client, const struct parsed_command *parsed)
{
	return redirect_is_known(client, parsed->bytes) ? ask_on_pinned(client, parsed) : LOCAL_STALLED;
}

void local_tracking_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	redirect_encode(client, arguments->request, out);
}

enum local_outcome local_tracking_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct tracking_options options = redirect_parse(arguments->request);
	struct session *session = &client->session;

	(void)reply;
	session->bonds.tracking = options.on;
	session->broadcasts = options.on && options.broadcasts;
	session->redirect_id = options.on ? options.redirect_id : 0;
	return OUTCOME_KEPT;
}

/* Any connection without tracking answers these as this session's own would. */
enum local_result local_of_tracking(struct client *client, const struct parsed_command *parsed)
{
	if (!client->session.bonds.tracking || parsed->argc != 2)
		return LOCAL_FORWARD;
	return client->in_flight > 0 ? local_stall_until_answered(client) : ask_on_pinned(client, parsed);
}

enum local_outcome local_getredir_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	const struct session *session = &client->session;

	(void)arguments;
	encode_integer(reply, session->bonds.tracking ? (int64_t)session->redirect_id : -1);
	return OUTCOME_REPLACED;
}

/* ... "redirect", the id, "prefixes", ...: the first such words are no prefix. */
enum local_outcome local_trackinginfo_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	static const char before[] = "$8\r\nredirect\r\n", after[] = "$8\r\nprefixes\r\n";
	struct slice info = local_server_answer(client);
	const char *at = memmem(info.bytes, info.length, before, strlen(before));
	const char *rest = memmem(info.bytes, info.length, after, strlen(after));

	(void)arguments;
	if (client->session.redirect_id == 0 || at == NULL || rest == NULL || rest < at)
		return OUTCOME_KEPT;
	buf_append(reply, info.bytes, (size_t)(at - info.bytes) + strlen(before));
	encode_integer(reply, (int64_t)client->session.redirect_id);
	buf_append(reply, rest, info.length - (size_t)(rest - info.bytes));
	return OUTCOME_REPLACED;
}

void local_redirect_is_broken(const struct session *session, struct buf *push)
{
	encode_push(push, 2);
	encode_bulk_text(push, "tracking-redir-broken");
	encode_integer(push, (int64_t)session->redirect_id);
}
