#include "upload.h"

#include "../backend/backend.h"
#include "client.h"
#include "../dispatch/dispatch.h"
#include "../worker/worker.h"

enum {
	LARGE_BYTES = 1024 * 1024,    /* what a command has to have, as far as is known, ... */
	LARGE_SEEN_BYTES = 64 * 1024, /* ... and to have sent, before it takes a connection */
	DIRECT_BYTES = 64 * 1024,     /* of a value to come, for which a read of their own is worth it */
	CHUNK_BYTES = 256 * 1024,
};

/* ---- its beginning ---- */

static bool is_large(const struct resp_request_framer *framer)
{
	return framer->position >= LARGE_SEEN_BYTES && framer->position + (size_t)framer->bulk_left >= LARGE_BYTES;
}

/* The first two arguments, as far as they have come whole. One that is large
 * itself is no command's name. */
static const struct command *find_command(const struct client *client, const char *bytes)
{
	const struct command_table *table = client->worker->commands;
	int32_t whole = resp_request_whole_args(&client->framer);
	struct slice name = { NULL, 0 }, sub = { NULL, 0 };
	struct resp_args args;

	resp_args_begin(&args, bytes);
	if (whole > 0)
		resp_args_next(&args, &name);
	if (whole > 1)
		resp_args_next(&args, &sub);
	return command_find(table, name, sub);
}

/* weir has a part in these, and looks at all of their arguments. */
static bool has_to_be_whole(const struct command *command)
{
	if (command->class == COMMAND_LOCAL)
		return command->special != SPECIAL_PING && command->special != SPECIAL_ECHO;
	return command->class == COMMAND_CURSOR || command->class == COMMAND_STREAM;
}

static struct parsed_command describe(const struct client *client, const struct command *command, const char *bytes)
{
	return (struct parsed_command){
		.command = command,
		.bytes = bytes,
		.length = client->framer.position,
		.argc = client->framer.argc,
		.class = command->class == COMMAND_LOCAL ? COMMAND_MASTER_READ : command->class,
	};
}

static void wait_for_room(struct client *client)
{
	if (client->upload == UPLOAD_PASSES && !backend_takes_more(client->session.pinned))
		client->stall = STALL_UPLOAD;
}

size_t upload_begin(struct client *client, const char *bytes)
{
	struct parsed_command beginning;
	const struct command *command;

	if (!is_large(&client->framer))
		return 0;
	command = find_command(client, bytes);
	if (has_to_be_whole(command))
		return 0;
	if (client->in_flight > 0) {
		client->stall = STALL_ALL;
		return 0;
	}
	beginning = describe(client, command, bytes);
	client->upload = UPLOAD_BEGINS;
	if (dispatch(client, &beginning, 1) == 0) {
		client->upload = UPLOAD_NONE;
		return 0;
	}
	if (client->upload == UPLOAD_BEGINS)
		client->upload = UPLOAD_SKIPPED;
	resp_request_forget(&client->framer, beginning.length);
	wait_for_room(client);
	return beginning.length;
}

/* ---- the rest of it ---- */

static void end(struct client *client)
{
	if (client->upload == UPLOAD_PASSES && !client->session.pinned->unframed)
		backend_end_upload(client->session.pinned);
	client->upload = UPLOAD_NONE;
}

size_t upload_take(struct client *client, const struct resp_limits *limits, const char *bytes, size_t length,
		   const char **error)
{
	struct resp_request rest;
	enum resp_result result = resp_request_next(&client->framer, limits, bytes, length, &rest, error);
	size_t understood = result == RESP_OK ? rest.length : client->framer.position;

	if (result == RESP_BAD)
		return length;
	*error = NULL;
	if (client->upload == UPLOAD_PASSES)
		backend_forward(client->session.pinned, (struct slice){ bytes, understood });
	if (result == RESP_OK) {
		end(client);
		return understood;
	}
	resp_request_forget(&client->framer, understood);
	wait_for_room(client);
	return understood;
}

bool upload_is_open(const struct client *client)
{
	return client->upload == UPLOAD_PASSES && client->stall == STALL_NONE && client->framer.position == 0 &&
	       resp_request_payload_left(&client->framer) >= DIRECT_BYTES;
}

enum conn_result upload_read(struct client *client, size_t *got)
{
	size_t left = resp_request_payload_left(&client->framer);
	size_t room = left < CHUNK_BYTES ? left : CHUNK_BYTES;
	struct backend *backend = client->session.pinned;
	enum conn_result result = conn_read(&client->conn, backend_reserve(backend, room), room, got);

	if (result != CONN_OK)
		return result;
	backend_produced(backend, *got);
	resp_request_skip_payload(&client->framer, *got);
	wait_for_room(client);
	return result;
}
