/* Transactions that have arrived whole.
 *
 * Most clients send MULTI, the commands and EXEC in one write. Such a block
 * needs no connection of its own: put into the stream of the shared backend in
 * one go, nothing of anybody else can stand inside it, and EXEC leaves the
 * connection as it found it, even when it is refused (the server then discards
 * the transaction). Only reads and writes may be in it: anything else could
 * leave something behind, and takes the session's private backend instead. */
#include "dispatch_parts.h"

#include "../local/local.h"

/* A plain read or write, as the server's own flags say. */
static bool belongs_in_block(const struct parsed_command *parsed)
{
	const struct command *command = parsed->command;

	return (parsed->class == COMMAND_READ || parsed->class == COMMAND_WRITE) && command->learned &&
	       (command->flags & (COMMAND_FLAG_WRITE | COMMAND_FLAG_READONLY)) &&
	       !(command->flags & (COMMAND_FLAG_MODULE | COMMAND_FLAG_BLOCKING));
}

static bool is_bare(const struct parsed_command *parsed, enum command_special special)
{
	return parsed->command->special == special && parsed->argc == 1;
}

enum block_extent dispatch_find_block(const struct client *client, const struct parsed_command *parsed, size_t count,
				      size_t *length)
{
	const struct session *session = &client->session;
	size_t i = 1;

	if (!is_bare(&parsed[0], SPECIAL_MULTI) || session->pin != PIN_NONE || session->doom != DOOM_NONE || session->watch_lost ||
	    session->endpoint != ENDPOINT_SPLIT || session->reply == REPLY_SKIP || client->worker->pause.diverts ||
	    client_is_shut_out(client))
		return BLOCK_NONE;
	while (i < count && belongs_in_block(&parsed[i]))
		i++;
	if (i == count)
		return BLOCK_CUT;
	*length = i + 1;
	return is_bare(&parsed[i], SPECIAL_EXEC) ? BLOCK_WHOLE : BLOCK_NONE;
}

static size_t bytes_of(const struct parsed_command *parsed, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += parsed[i].length;
	return bytes;
}

enum verdict dispatch_block(struct client *client, const struct parsed_command *parsed, size_t count)
{
	struct backend *lane = dispatch_lane(client, BACKEND_SHARED);

	if (dispatch_enter_lane(client, lane, false) == STALLED)
		return STALLED;
	if (dispatch_holds_too_much(lane, bytes_of(parsed, count))) {
		for (size_t i = 0; i < count; i++) {
			client->last_command = parsed[i].command->index;
			dispatch_hold_error(client);
		}
		return TAKEN;
	}
	for (size_t i = 0; i < count; i++) {
		bool ends = i == count - 1;

		dispatch_send_to(client, lane, &parsed[i], REQUEST_BLOCK | (ends ? REQUEST_WRITE : 0));
		client->tail->step = i == 0 ? BLOCK_BEGINS : 0;
	}
	client->last_command = parsed[count - 1].command->index;
	return TAKEN;
}
