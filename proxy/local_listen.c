/* What makes a session's own connection speak unasked: MONITOR and CLIENT
 * TRACKING. (Subscriptions are followed where they are confirmed, see
 * backend_private.c.) */
#include "local_parts.h"

#include "../protocol/encode.h"

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

/* Who monitors already is not even answered. */
enum local_result local_monitor(struct client *client, const struct parsed_command *parsed)
{
	return client->session.bonds.monitoring ? LOCAL_DONE : ask_on_pinned(client, parsed);
}

enum local_outcome local_monitor_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	(void)reply;
	client->session.bonds.monitoring = true;
	return OUTCOME_KEPT;
}

/* ---- CLIENT TRACKING ---- */

void local_redirect_is_broken(const struct session *session, struct buf *push)
{
	encode_push(push, 2);
	encode_bulk_text(push, "tracking-redir-broken");
	encode_integer(push, (int64_t)session->redirect_id);
}

bool local_tracking_is_sound(const struct arguments *arguments)
{
	return arguments->count >= 3;
}

enum local_result local_tracking(struct client *client, const struct parsed_command *parsed)
{
	return ask_on_pinned(client, parsed);
}

enum local_outcome local_tracking_settle(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)reply;
	client->session.bonds.tracking = slice_is(arguments->at[2], "on");
	return OUTCOME_KEPT;
}
