#include "cursors.h"

#include <string.h>
#include <xxhash.h>

#include "../../protocol/resp.h"
#include "../../topology/snapshot.h"
#include "../backend/backend.h"
#include "delivery.h"
#include "../worker/worker.h"

/* ---- requests ---- */

int cursors_position(const struct parsed_command *parsed)
{
	return parsed->command->special == SPECIAL_SCAN ? 1 : 2; /* behind the key */
}

struct cursor cursors_named(const struct parsed_command *parsed)
{
	int position = cursors_position(parsed);
	struct resp_args args;
	struct slice argument;

	if (parsed->argc <= position)
		return (struct cursor){ .kind = CURSOR_PLAIN };
	resp_args_begin(&args, parsed->bytes);
	for (int i = 0; i <= position; i++)
		resp_args_next(&args, &argument);
	return cursor_read(argument);
}

/* ---- tags ---- */

static uint32_t tag_of(const struct snapshot_node *node)
{
	return (uint32_t)(XXH3_64bits(node->run_id, strlen(node->run_id)) >> (64 - CURSOR_TAG_BITS));
}

int cursors_node(const struct snapshot *snapshot, uint32_t tag)
{
	int found = CURSORS_NO_NODE;

	for (size_t i = 0; i < snapshot->node_count; i++) {
		const struct snapshot_node *node = &snapshot->nodes[i];

		if (node->run_id[0] == '\0' || tag_of(node) != tag)
			continue;
		if (found == CURSORS_NO_NODE)
			found = (int)i;
		else if (strcmp(snapshot->nodes[found].run_id, node->run_id) != 0)
			return CURSORS_NO_NODE;
	}
	return found;
}

bool cursors_tag(const struct snapshot *snapshot, size_t index, uint32_t *tag)
{
	*tag = tag_of(&snapshot->nodes[index]);
	return cursors_node(snapshot, *tag) != CURSORS_NO_NODE;
}

/* ---- replies ---- */

/* The cursor as the client shall have it. False: it takes no tag. */
static bool hand_out(const struct backend *from, uint64_t own, uint64_t *cursor)
{
	const struct snapshot *snapshot = from->worker->snapshot;
	const struct snapshot_node *node = worker_node(from->worker, from->node_id);
	uint32_t tag;

	*cursor = own;
	if (own == 0)
		return true;
	if (node == NULL || !cursor_fits(own) || !cursors_tag(snapshot, (size_t)(node - snapshot->nodes), &tag))
		return false;
	*cursor = cursor_tagged(own, tag);
	return true;
}

/* A cursor without a tag is the master's to all who see it, so only the
 * master's reply may go out with one. */
static void settle_head(struct request *request, bool is_head, uint64_t own)
{
	struct backend *from = request->backend;
	struct buf head = { 0 };
	uint64_t cursor;

	if (!(is_head && hand_out(from, own, &cursor)) && from->key.node != BACKEND_TO_MASTER) {
		from->mode = DELIVERY_DROP;
		request_drop_held(request);
		return;
	}
	if (is_head) {
		cursor_head_write(&head, cursor);
		request_hold_instead(request, buf_slice(&head));
		buf_free(&head);
	}
	request->flags &= ~(uint32_t)REQUEST_WHOLE;
}

size_t cursors_take_head(struct request *request, const char *bytes, size_t length)
{
	size_t before = request_held(request).length;
	size_t room = before < CURSOR_HEAD_BYTES ? CURSOR_HEAD_BYTES - before : 0;
	size_t fresh = length < room ? length : room, head_length;
	enum cursor_head head;
	uint64_t own;

	if (before == 0 ? bytes[0] == '-' : request_held(request).bytes[0] == '-') {
		request_hold(request, bytes, length); /* an error is judged whole */
		return length;
	}
	request_hold(request, bytes, fresh);
	head = cursor_head_read(request_held(request), &head_length, &own);
	if (head == CURSOR_HEAD_AGAIN)
		return fresh;
	if (head == CURSOR_HEAD_WHOLE)
		fresh = head_length - before;
	settle_head(request, head == CURSOR_HEAD_WHOLE, own);
	return request->backend->mode == DELIVERY_DROP ? length : fresh;
}
