/* CONFIG SET of what a client sees in answers to its reads: the replicas are
 * told as well, one after the other, before the master's word is handed on.
 * What weir cannot tell them, because they are down, they are not told later:
 * nobody but the servers' own files keeps a setting over a restart. */
#include "local_parts.h"

#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "../../protocol/setting.h"
#include "../dispatch/dispatch.h"
#include "../worker/worker.h"

enum { SETTINGS_MAX = 16 };

/* The command with the settings that are for every server, and no other one. */
static void encode_for_all(const char *request, struct buf *out)
{
	struct slice words[2 + 2 * SETTINGS_MAX] = { slice_of("CONFIG"), slice_of("SET") };
	struct slice name, value;
	struct resp_args args;
	size_t count = 2;

	resp_args_begin(&args, request);
	resp_args_next(&args, &name);
	resp_args_next(&args, &name);
	while (resp_args_next(&args, &name) && resp_args_next(&args, &value)) {
		if (setting_kind(name) != SETTING_ANSWER || count == sizeof(words) / sizeof(words[0]))
			continue;
		words[count++] = name;
		words[count++] = value;
	}
	encode_request(out, count, words);
}

bool local_config_set_is_sound(const struct arguments *arguments)
{
	struct slice name, value;
	struct resp_args args;

	resp_args_begin(&args, arguments->request);
	resp_args_next(&args, &name);
	resp_args_next(&args, &name);
	while (resp_args_next(&args, &name) && resp_args_next(&args, &value))
		if (setting_kind(name) == SETTING_ANSWER)
			return true;
	return false;
}

static enum local_outcome tell_from(struct client *client, size_t first);

/* Whatever the replica says: the master has said yes. */
static enum local_outcome tell_next(struct client *client, struct slice answer)
{
	const struct worker *worker = client->worker;
	uint32_t told = (uint32_t)client->session.pinned->key.node;
	size_t index = 0;

	(void)answer;
	while (index < worker->snapshot->node_count && worker->snapshot->nodes[index].id != told)
		index++;
	if (tell_from(client, index + 1) == OUTCOME_KEPT)
		local_finish(client, slice_of("+OK\r\n"));
	return OUTCOME_LATER;
}

/* KEPT: there is none left to be told. */
static enum local_outcome tell_from(struct client *client, size_t first)
{
	const struct snapshot *snapshot = client->worker->snapshot;
	size_t next = dispatch_next_replica(snapshot, first);
	struct arguments arguments = local_arguments(client);
	struct buf command = { 0 };

	if (next >= snapshot->node_count)
		return OUTCOME_KEPT;
	if (client->session.pinned != NULL)
		dispatch_unpin(client);
	encode_for_all(arguments.request, &command);
	local_ask_then(client, (int32_t)snapshot->nodes[next].id, buf_slice(&command), tell_next);
	buf_free(&command);
	return OUTCOME_LATER;
}

enum local_outcome local_config_set(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	(void)reply;
	/* On the replica endpoint it was meant for that replica; and a session that
	 * holds a connection cannot talk on another one. */
	if (client->session.endpoint != ENDPOINT_SPLIT || client->session.pinned != NULL)
		return OUTCOME_KEPT;
	return tell_from(client, 0);
}
