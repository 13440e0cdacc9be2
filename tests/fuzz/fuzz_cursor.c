#include "pieces.h"

#include "../../protocol/cursor.h"
#include "../../protocol/resp.h"

/* The head of a reply in growing pieces: the same answer as whole, and what was
 * understood is written the same way. A cursor that a client names, in a
 * request: the request stays one, and only the cursor changes. */

static void same_again(struct slice head, uint64_t own)
{
	struct buf out = { 0 };

	cursor_head_write(&out, own);
	REQUIRE(slice_equal(buf_slice(&out), head));
	buf_free(&out);
}

static void try_head(const char *data, size_t size, struct cuts *cuts)
{
	size_t length = 0, whole_length = 0, visible = 0;
	uint64_t own = 0, whole_own = 0;
	enum cursor_head head = CURSOR_HEAD_AGAIN;
	enum cursor_head whole = cursor_head_read((struct slice){ data, size }, &whole_length, &whole_own);

	while (visible < size && head == CURSOR_HEAD_AGAIN) {
		char *block;

		visible += next_cut(cuts, size - visible);
		block = exact_copy(data, visible);
		head = cursor_head_read((struct slice){ block, visible }, &length, &own);
		REQUIRE(length <= visible);
		free(block);
	}
	REQUIRE(head == whole);
	REQUIRE(head != CURSOR_HEAD_AGAIN || visible < CURSOR_HEAD_BYTES);
	if (head != CURSOR_HEAD_WHOLE)
		return;
	REQUIRE(length == whole_length && own == whole_own && length <= CURSOR_HEAD_BYTES);
	same_again((struct slice){ data, length }, own);
}

static struct slice argument(const struct buf *request, int position)
{
	struct resp_args args;
	struct slice arg = { NULL, 0 };

	resp_args_begin(&args, buf_head(request));
	for (int i = 0; i <= position; i++)
		REQUIRE(resp_args_next(&args, &arg));
	return arg;
}

static void frame(const struct buf *request, int32_t argc)
{
	struct resp_request_framer framer = { 0 };
	struct resp_request framed;
	const char *error;

	REQUIRE(resp_request_next(&framer, &resp_limits_default, buf_head(request), buf_length(request), &framed, &error) ==
		RESP_OK);
	REQUIRE(framed.length == buf_length(request) && framed.argc == argc);
}

/* Inline words make a request whose argument `position` is the cursor. */
static void try_request(const char *data, size_t size, int position, uint64_t replacement)
{
	struct buf request = { 0 }, rewritten = { 0 };
	int argc = resp_inline_encode(data, size, &request);
	struct cursor cursor;

	if (argc > position) {
		cursor = cursor_read(argument(&request, position));
		REQUIRE(cursor.kind != CURSOR_TAGGED || cursor_fits(cursor.own));
		cursor_rewrite(&rewritten, buf_slice(&request), position, replacement);
		frame(&rewritten, argc);
		for (int i = 0; i < argc; i++)
			REQUIRE(i == position || slice_equal(argument(&request, i), argument(&rewritten, i)));
		if (cursor_fits(replacement) && replacement != 0) {
			buf_free(&rewritten);
			cursor_rewrite(&rewritten, buf_slice(&request), position, cursor_tagged(replacement, (uint32_t)size));
			cursor = cursor_read(argument(&rewritten, position));
			REQUIRE(cursor.kind == CURSOR_TAGGED && cursor.own == replacement);
		}
	}
	buf_free(&request);
	buf_free(&rewritten);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct cuts cuts;
	uint64_t replacement = 0;

	if (size < 2)
		return 0;
	cuts.seed = input[0];
	memcpy(&replacement, input, size < sizeof(replacement) ? size : sizeof(replacement));
	try_head((const char *)input + 1, size - 1, &cuts);
	try_request((const char *)input + 1, size - 1, 1 + input[0] % 2, replacement >> input[0] % 64);
	return 0;
}
