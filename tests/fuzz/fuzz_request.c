#include "pieces.h"

#include "../../protocol/buf.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"

/* A stream of requests, whole, in pieces, and passed on before they are whole:
 * the same requests, the same error at the same place. What was framed is canonical: encoding its arguments
 * again gives the very bytes. */

struct outcome {
	enum resp_result result;
	size_t at;     /* where the last, unfinished request begins */
	size_t passed; /* bytes of it that the framer has forgotten */
	bool passing;
	size_t count;
	uint64_t hash; /* of everything that was told about the requests */
	char error[64];
};

static void add(struct outcome *outcome, uint64_t value)
{
	outcome->hash = (outcome->hash ^ value) * 0x9e3779b97f4a7c15;
	outcome->hash ^= outcome->hash >> 29;
}

static void check_canonical(const char *bytes, const struct resp_request *request)
{
	struct resp_args args;
	struct slice arg;
	struct buf again = { 0 };
	int32_t argc = 0;

	resp_args_begin(&args, bytes);
	encode_array(&again, (size_t)request->argc);
	while (resp_args_next(&args, &arg)) {
		if (argc++ == 0)
			REQUIRE(slice_equal(arg, request->name));
		encode_bulk(&again, arg);
	}
	REQUIRE(argc == request->argc);
	REQUIRE(slice_equal(buf_slice(&again), (struct slice){ bytes, request->length }));
	buf_free(&again);
}

/* Lets go of what was understood of an unfinished request. */
static void pass(struct outcome *outcome, struct resp_request_framer *framer)
{
	if (!outcome->passing || (outcome->passed == 0 && resp_request_whole_args(framer) < 1))
		return;
	outcome->passed += framer->position;
	resp_request_forget(framer, framer->position);
}

/* Frames what it can of the visible bytes. */
static void frame(struct outcome *outcome, struct resp_request_framer *framer, const struct resp_limits *limits,
		  const char *data, size_t visible)
{
	do {
		size_t length = visible - outcome->at - outcome->passed;
		char *block = exact_copy(data + outcome->at + outcome->passed, length);
		struct resp_request request;
		const char *error = NULL;

		outcome->result = resp_request_next(framer, limits, block, length, &request, &error);
		if (outcome->result == RESP_OK) {
			REQUIRE(request.length > 0 && request.length <= length);
			if (!request.is_inline && request.argc > 0 && outcome->passed == 0)
				check_canonical(block, &request);
			add(outcome, outcome->passed + request.length);
			add(outcome, (uint64_t)request.argc * 2 + request.is_inline);
			outcome->at += outcome->passed + request.length;
			outcome->passed = 0;
			outcome->count++;
		} else if (outcome->result == RESP_BAD) {
			REQUIRE(strlen(error) < sizeof(outcome->error));
			strcpy(outcome->error, error);
		} else {
			REQUIRE(framer->position <= length);
			pass(outcome, framer);
		}
		free(block);
	} while (outcome->result == RESP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	const struct resp_limits small = { .max_args = 3, .max_bulk = 20, .max_inline = 30 };
	const struct resp_limits *limits;
	struct resp_request_framer framer = { 0 };
	struct outcome whole = { 0 }, cut = { 0 };
	const char *data = (const char *)input + 1;
	struct cuts cuts;
	size_t visible = 0;

	if (size < 1)
		return 0;
	size--;
	cuts.seed = input[0];
	cut.passing = input[0] & 4;
	limits = input[0] & 1 ? &small : input[0] & 2 ? &resp_limits_unauthenticated : &resp_limits_default;
	frame(&whole, &framer, limits, data, size);
	framer = (struct resp_request_framer){ 0 };
	while (visible < size && cut.result != RESP_BAD) {
		visible += next_cut(&cuts, size - visible);
		frame(&cut, &framer, limits, data, visible);
	}
	if (size > 0) {
		REQUIRE(whole.result == cut.result && whole.at == cut.at && whole.count == cut.count);
		REQUIRE(whole.hash == cut.hash && strcmp(whole.error, cut.error) == 0);
	}
	return 0;
}
