#include "resp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "line.h"

/* Requests: finds their end and refuses whatever is not canonical, so that a
 * multibulk request can be forwarded as it came and every server reads from
 * it what weir read. Nothing is stored but numbers.
 *
 * The answer depends on the bytes alone, never on how they were cut: a byte
 * that cannot be right is refused when it is looked at, whatever follows.
 * Therefore two of redis' texts cannot occur here: "too big mbulk count
 * string" and "too big bulk count string" would need 64 KiB of digits. */

enum state {
	AT_START,    /* no byte looked at */
	IN_MULTIBULK,
	IN_INLINE,   /* position: bytes searched for the end of the line */
};

enum { MAX_BULK_BYTES = 512 * 1024 * 1024 }; /* whatever the limits say */

const struct resp_limits resp_limits_default = {
	.max_args = INT32_MAX,
	.max_bulk = MAX_BULK_BYTES,
	.max_inline = 64 * 1024,
};

const struct resp_limits resp_limits_unauthenticated = {
	.max_args = 10,
	.max_bulk = 16384,
	.max_inline = 64 * 1024,
	.unauthenticated = true,
};

static enum resp_result bad(const char **error, const char *text)
{
	*error = text;
	return RESP_BAD;
}

/* Redis names the byte it found. What would end the reply or the text is
 * shown as a blank, as redis does it with CR and LF. */
static enum resp_result bad_byte(const char **error, char expected, char got)
{
	static _Thread_local char text[48];
	char shown = got == '\r' || got == '\n' || got == '\0' ? ' ' : got;

	snprintf(text, sizeof(text), "Protocol error: expected '%c', got '%c'", expected, shown);
	return bad(error, text);
}

static enum resp_result bad_argc(const struct resp_limits *limits, int64_t argc, const char **error)
{
	return bad(error, limits->unauthenticated && argc <= INT32_MAX ?
			  "Protocol error: unauthenticated multibulk length" :
			  "Protocol error: invalid multibulk length");
}

static enum resp_result bad_bulk(const struct resp_limits *limits, int64_t bytes, const char **error)
{
	return bad(error, limits->unauthenticated && bytes >= 0 && bytes <= MAX_BULK_BYTES ?
			  "Protocol error: unauthenticated bulk length" :
			  "Protocol error: invalid bulk length");
}

/* ---- multibulk ---- */

static inline enum resp_result again(struct resp_request_framer *framer, size_t position)
{
	framer->position = position;
	return RESP_AGAIN;
}

static enum resp_result multibulk_done(struct resp_request_framer *framer, const char *data, size_t length,
				       struct resp_request *request)
{
	*request = (struct resp_request){
		.length = length,
		.argc = framer->argc,
		.name = { data + framer->name_at, framer->name_length },
	};
	*framer = (struct resp_request_framer){ 0 };
	return RESP_OK;
}

/* "*<argc>" */
static enum resp_result multibulk_begin(struct resp_request_framer *framer, const struct resp_limits *limits,
					const char *data, size_t length, const char **error)
{
	int64_t argc;
	int line = line_number(data + 1, length - 1, &argc);

	if (line == LINE_AGAIN)
		return RESP_AGAIN;
	if (line == LINE_BAD)
		return bad(error, "Protocol error: invalid multibulk length");
	if (argc > INT32_MAX || argc > limits->max_args)
		return bad_argc(limits, argc, error);
	framer->argc = argc > 0 ? (int32_t)argc : 0;
	framer->args_left = framer->argc;
	framer->position = 1 + (size_t)line;
	framer->state = IN_MULTIBULK;
	return RESP_OK;
}

/* "$<length>" at framer->position */
static inline enum resp_result bulk_begin(struct resp_request_framer *framer, const struct resp_limits *limits,
					  const char *data, size_t length, const char **error)
{
	size_t position = framer->position;
	int64_t bytes;
	int line;

	if (position == length)
		return RESP_AGAIN;
	if (data[position] != '$')
		return bad_byte(error, '$', data[position]);
	position++;
	line = line_number(data + position, length - position, &bytes);
	if (line == LINE_AGAIN)
		return RESP_AGAIN;
	if (line == LINE_BAD)
		return bad(error, "Protocol error: invalid bulk length");
	if (bytes < 0 || bytes > MAX_BULK_BYTES || bytes > limits->max_bulk)
		return bad_bulk(limits, bytes, error);
	position += (size_t)line;
	if (framer->args_left == framer->argc) {
		framer->name_at = (uint32_t)position;
		framer->name_length = (uint32_t)bytes;
	}
	framer->args_left--;
	framer->bulk_left = bytes + 2;
	framer->position = position;
	return RESP_OK;
}

/* The rest of an argument. Its CR and LF are looked at together. */
static inline enum resp_result bulk_end(struct resp_request_framer *framer, const char *data, size_t length,
					const char **error)
{
	size_t available = length - framer->position;
	size_t left = (size_t)framer->bulk_left;
	const char *end;

	if (available < left) {
		size_t seen = available < left - 2 ? available : left - 2;

		framer->bulk_left -= (int64_t)seen;
		return again(framer, framer->position + seen);
	}
	end = data + framer->position + left;
	if (end[-2] != '\r' || end[-1] != '\n')
		return bad(error, "Protocol error: expected CR LF behind an argument");
	framer->bulk_left = 0;
	framer->position += left;
	return RESP_OK;
}

/* The hot path: a request that is there as a whole, in one pass. False: the long
 * way has to find out. */
static inline bool whole_multibulk(const struct resp_limits *limits, const char *data, size_t length,
				   struct resp_request *request)
{
	const char *at = data, *end = data + length;
	size_t header, argc, bytes;

	if (length < LINE_SHORT_BYTES)
		return false;
	header = line_short_header(at, '*', &argc);
	if (header == 0 || argc == 0 || (int64_t)argc > limits->max_args)
		return false;
	at += header;
	for (size_t left = argc; left > 0; left--) {
		header = line_whole_header(at, (size_t)(end - at), '$', &bytes);
		at += header;
		if (header == 0 || (int64_t)bytes > limits->max_bulk || bytes > (size_t)(end - at) || (size_t)(end - at) - bytes < 2 ||
		    !line_ends(at + bytes))
			return false;
		if (left == argc)
			request->name = (struct slice){ at, bytes };
		at += bytes + 2;
	}
	request->length = (size_t)(at - data);
	request->argc = (int32_t)argc;
	request->is_inline = false;
	return true;
}

static enum resp_result multibulk_by_steps(struct resp_request_framer *stored, const struct resp_limits *limits,
					   const char *data, size_t length, struct resp_request *request,
					   const char **error)
{
	struct resp_request_framer framer = *stored; /* in registers while it runs */
	enum resp_result result = RESP_OK;

	if (framer.state == AT_START)
		result = multibulk_begin(&framer, limits, data, length, error);
	while (result == RESP_OK && (framer.args_left > 0 || framer.bulk_left > 0)) {
		if (framer.bulk_left == 0)
			result = bulk_begin(&framer, limits, data, length, error);
		if (result == RESP_OK)
			result = bulk_end(&framer, data, length, error);
	}
	*stored = framer;
	return result == RESP_OK ? multibulk_done(stored, data, framer.position, request) : result;
}

/* ---- inline ---- */

static bool is_blank(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool begins_inline(char byte)
{
	char folded = (char)(byte | 0x20);

	return (folded >= 'a' && folded <= 'z') || byte == '"' || byte == '\'' || is_blank(byte);
}

static bool all_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_blank(line[i]))
			return false;
	return true;
}

static enum resp_result inline_done(struct resp_request_framer *framer, const char *data, size_t length,
				    struct resp_request *request)
{
	*request = (struct resp_request){
		.length = length,
		.argc = all_blank(data, length) ? 0 : 1,
		.is_inline = true,
	};
	*framer = (struct resp_request_framer){ 0 };
	return RESP_OK;
}

/* A line of at most max_inline bytes and its LF. A NUL byte makes redis wait
 * for ever; here it is refused. */
static enum resp_result inline_next(struct resp_request_framer *framer, const struct resp_limits *limits,
				    const char *data, size_t length, struct resp_request *request,
				    const char **error)
{
	size_t window = length <= limits->max_inline ? length : limits->max_inline + 1;
	const char *fresh = data + framer->position;
	const char *newline = memchr(fresh, '\n', window - framer->position);
	const char *end = newline != NULL ? newline : data + window;

	if (memchr(fresh, '\0', (size_t)(end - fresh)) != NULL)
		return bad(error, "Protocol error: NUL byte in inline request");
	if (newline != NULL)
		return inline_done(framer, data, (size_t)(newline - data) + 1, request);
	if (length > limits->max_inline)
		return bad(error, "Protocol error: too big inline request");
	framer->state = IN_INLINE;
	return again(framer, length);
}

/* ---- both ---- */

static __attribute__((noinline)) enum resp_result
next_by_steps(struct resp_request_framer *framer, const struct resp_limits *limits, const char *data, size_t length,
	      struct resp_request *request, const char **error)
{
	if (length == 0)
		return RESP_AGAIN;
	if (data[0] == '*' || framer->state == IN_MULTIBULK)
		return multibulk_by_steps(framer, limits, data, length, request, error);
	if (begins_inline(data[0]))
		return inline_next(framer, limits, data, length, request, error);
	return bad_byte(error, '*', data[0]);
}

enum resp_result resp_request_next(struct resp_request_framer *framer, const struct resp_limits *limits,
				   const char *data, size_t length, struct resp_request *request,
				   const char **error)
{
	if (framer->state == AT_START && whole_multibulk(limits, data, length, request))
		return RESP_OK;
	return next_by_steps(framer, limits, data, length, request, error);
}

/* ---- passed on before it is whole ---- */

int32_t resp_request_whole_args(const struct resp_request_framer *framer)
{
	return framer->argc - (int32_t)framer->args_left - (framer->bulk_left > 0);
}

void resp_request_forget(struct resp_request_framer *framer, size_t count)
{
	assert(framer->state == IN_MULTIBULK && count <= framer->position);
	framer->position -= count;
	framer->name_at = framer->name_length = 0;
}

size_t resp_request_payload_left(const struct resp_request_framer *framer)
{
	return framer->bulk_left > 2 ? (size_t)framer->bulk_left - 2 : 0;
}

void resp_request_skip_payload(struct resp_request_framer *framer, size_t count)
{
	assert(framer->position == 0 && count <= resp_request_payload_left(framer));
	framer->bulk_left -= (int64_t)count;
}

/* ---- arguments ---- */

void resp_args_begin(struct resp_args *args, const char *request)
{
	const char *at = request + 1;
	int32_t count = 0;

	for (; *at != '\r'; at++)
		count = count * 10 + (*at - '0');
	*args = (struct resp_args){ at + 2, count };
}

bool resp_args_next(struct resp_args *args, struct slice *arg)
{
	const char *at = args->at + 1;
	size_t length = 0;

	if (args->left == 0)
		return false;
	for (; *at != '\r'; at++)
		length = length * 10 + (size_t)(*at - '0');
	*arg = (struct slice){ at + 2, length };
	args->at = at + 2 + length + 2;
	args->left--;
	return true;
}
