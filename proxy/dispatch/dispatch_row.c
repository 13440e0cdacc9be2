/* One command many times.
 *
 * What a client pipelines is mostly the same command over and over. Whatever was
 * decided for the first one holds for those that follow it at once: so they are
 * taken as a row, and each costs a copy of its request. What would have to be
 * decided anew between two of them ends the row. */
#include "dispatch_parts.h"

#include "../backend/backend.h"
#include "../backend/request.h"

static bool is_like(const struct parsed_command *parsed, const struct parsed_command *first)
{
	return parsed->command == first->command && parsed->class == first->class;
}

/* Only its class has decided the command's way, and nothing but its replies will
 * follow from it. */
static bool is_ordinary(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_NONE && (parsed->class == COMMAND_READ || parsed->class == COMMAND_WRITE ||
							    parsed->class == COMMAND_MASTER_READ);
}

static bool is_on_open_lane(const struct request *request)
{
	const struct backend *lane = request->backend;

	return lane != NULL && lane->tail == request && lane->key.kind == BACKEND_SHARED && lane->state == BACKEND_READY &&
	       !lane->held && !backend_is_full(lane);
}

/* Does nothing count or hold back the session's commands one by one? */
static bool is_at_ease(const struct client *client)
{
	return client->session.pin == PIN_NONE && client->stall == STALL_NONE && !client->closing &&
	       !client->worker->pause.diverts && client->appetite.answers > 0 && !appetite_is_large(&client->appetite);
}

static size_t room_in_window(const struct client *client)
{
	return client->appetite.window > client->in_flight ? client->appetite.window - client->in_flight : 0;
}

/* How many of at most `left` may follow the first one, and their bytes, of which
 * so many may be in front of the last. */
static size_t find_row(const struct parsed_command *first, size_t left, size_t room, struct slice *bytes)
{
	size_t count = 0;

	*bytes = (struct slice){ first->bytes + first->length, 0 };
	while (count < left && bytes->length < room && is_like(&first[count + 1], first) &&
	       first[count + 1].bytes == bytes->bytes + bytes->length)
		bytes->length += first[++count].length;
	return count;
}

/* Copies of the client's last request, which is the last one on its lane as well:
 * linked like that one, behind it. */
static void repeat(struct client *client, const struct parsed_command *parsed, size_t count, struct slice bytes)
{
	struct slab *slab = &client->worker->requests;
	struct request *first = client->tail, *last = first;

	for (size_t i = 0; i < count; i++)
		last = request_repeat(slab, last, (uint32_t)parsed[i].length);
	client->tail = last;
	client->in_flight += (uint32_t)count;
	if (first->flags & REQUEST_ON_REPLICA)
		client->replica_in_flight += (uint32_t)count;
	else
		client->lane_in_flight += (uint32_t)count;
	backend_extend(first->backend, last, (uint32_t)count, bytes);
}

static void touch_row(struct client *client, const struct parsed_command *parsed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		dispatch_touch(client, &parsed[i]);
}

size_t dispatch_row(struct client *client, const struct parsed_command *parsed, size_t left, const struct chunk *chunk)
{
	const struct request *model = client->tail;
	struct slice bytes;
	size_t count = room_in_window(client);

	if (left == 0 || !is_like(&parsed[1], parsed) || !is_ordinary(parsed) || !is_at_ease(client) || model == NULL ||
	    !request_is_plain(model) || !is_on_open_lane(model))
		return 0;
	count = find_row(parsed, count < left ? count : left, backend_row_room(model->backend), &bytes);
	if (count == 0)
		return 0;
	repeat(client, parsed + 1, count, bytes);
	if (parsed->class == COMMAND_READ && !(model->flags & REQUEST_ON_REPLICA))
		stats_add(&client->worker->stats, chunk->left, (int64_t)count);
	if ((model->flags & REQUEST_ON_REPLICA) && client->worker->snapshot->evicts_by_use)
		touch_row(client, parsed + 1, count);
	return count;
}
