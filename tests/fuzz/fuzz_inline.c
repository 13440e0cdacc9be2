#include "pieces.h"

#include "../../protocol/buf.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"

/* One inline line: what it becomes is one canonical request or nothing; and
 * quoting the arguments again gives a line with the same arguments. Where it ends
 * does not depend on the pieces in which it comes. */

static void append_quoted(struct buf *line, struct slice arg)
{
	static const char digits[] = "0123456789abcdef";

	buf_append_text(line, "\"");
	for (size_t i = 0; i < arg.length; i++) {
		unsigned char byte = (unsigned char)arg.bytes[i];
		char escaped[4] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };

		buf_append(line, escaped, sizeof(escaped));
	}
	buf_append_text(line, "\" ");
}

static void check_request(struct slice bytes, int argc)
{
	struct resp_request_framer framer = { 0 };
	struct resp_request request;
	struct resp_args args;
	struct slice arg;
	struct buf line = { 0 }, again = { 0 };
	const char *error;

	REQUIRE(resp_request_next(&framer, &resp_limits_default, bytes.bytes, bytes.length, &request, &error) == RESP_OK);
	REQUIRE(request.length == bytes.length && request.argc == argc && !request.is_inline);
	resp_args_begin(&args, bytes.bytes);
	while (resp_args_next(&args, &arg))
		append_quoted(&line, arg);
	buf_append_text(&line, "\r\n");
	REQUIRE(resp_inline_encode(buf_head(&line), buf_length(&line), &again) == argc);
	REQUIRE(slice_equal(buf_slice(&again), bytes));
	buf_free(&line);
	buf_free(&again);
}

/* Bytes of the inline request that they begin with; 0: there is none, or it has no end. */
static size_t find_end(const char *bytes, size_t size, struct cuts *cuts)
{
	struct resp_request_framer framer = { 0 };
	struct resp_request request = { 0 };
	enum resp_result result = RESP_AGAIN;
	const char *error;

	for (size_t visible = 0; visible < size && result == RESP_AGAIN;) {
		char *block;

		visible += cuts != NULL ? next_cut(cuts, size - visible) : size;
		block = exact_copy(bytes, visible);
		result = resp_request_next(&framer, &resp_limits_default, block, visible, &request, &error);
		free(block);
	}
	return result == RESP_OK && request.is_inline ? request.length : 0;
}

static void check_line(const char *bytes, size_t size)
{
	char *line = exact_copy(bytes, size);
	struct buf out = { 0 };
	int argc = resp_inline_encode(line, size, &out);

	REQUIRE(argc >= -1);
	if (argc > 0)
		check_request(buf_slice(&out), argc);
	else
		REQUIRE(buf_length(&out) == 0);
	buf_free(&out);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const char *bytes = (const char *)input + 1;
	struct cuts cuts;
	size_t length;

	if (size < 1)
		return 0;
	cuts.seed = input[0];
	length = find_end(bytes, --size, NULL);
	REQUIRE(find_end(bytes, size, &cuts) == length);
	check_line(bytes, size);
	check_line(bytes, length);
	return 0;
}
