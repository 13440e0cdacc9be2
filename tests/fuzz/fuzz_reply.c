#include "pieces.h"

#include "../../protocol/resp.h"

/* A stream of replies, whole and in pieces: the same ends, the same types. */

struct outcome {
	enum resp_result result;
	size_t at;     /* bytes used by whole replies */
	size_t count;
	uint64_t hash; /* of ends and types */
};

/* Feeds one piece, which begins `offset` bytes into the stream. */
static void feed(struct outcome *outcome, struct resp_reply_framer *framer, const char *data, size_t offset,
		 size_t length)
{
	do {
		char *block = exact_copy(data + offset, length);
		size_t used = SIZE_MAX;

		outcome->result = resp_reply_next(framer, block, length, &used);
		free(block);
		REQUIRE(used <= length);
		REQUIRE(outcome->result != RESP_AGAIN || used == length);
		REQUIRE(outcome->result != RESP_OK || used > 0);
		REQUIRE(framer->owed >= 0 && framer->owed <= RESP_MAX_OWED);
		offset += used;
		length -= used;
		if (outcome->result == RESP_OK) {
			outcome->at = offset;
			outcome->count++;
			outcome->hash = (outcome->hash ^ offset ^ (uint64_t)framer->type << 48) * 0x9e3779b97f4a7c15;
		}
	} while (outcome->result == RESP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct resp_reply_framer framer = { 0 };
	struct outcome whole = { 0 }, cut = { 0 };
	const char *data = (const char *)input + 1;
	struct cuts cuts;
	size_t visible = 0;

	if (size < 2)
		return 0;
	size--;
	cuts.seed = input[0];
	feed(&whole, &framer, data, 0, size);
	framer = (struct resp_reply_framer){ 0 };
	while (visible < size && cut.result != RESP_BAD) {
		size_t piece = next_cut(&cuts, size - visible);

		feed(&cut, &framer, data, visible, piece);
		visible += piece;
	}
	REQUIRE(whole.result == cut.result && whole.at == cut.at);
	REQUIRE(whole.count == cut.count && whole.hash == cut.hash);
	return 0;
}
