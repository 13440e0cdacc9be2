#ifndef WEIR_FUZZ_GATHERED_H
#define WEIR_FUZZ_GATHERED_H

#include "../../protocol/buf.h"
#include "../../protocol/resp.h"
#include "pieces.h"

/* Replies that are decoded when they are whole are gathered first, as data
 * connections do it. */

/* The first whole reply among the bytes, which come as the cuts say (NULL: at once);
 * nothing if there is none. The caller frees *reply. */
static inline void gather(const char *bytes, size_t length, struct cuts *cuts, struct buf *reply)
{
	struct resp_reply_framer framer = { 0 };
	enum resp_result result = RESP_AGAIN;

	*reply = (struct buf){ 0 };
	for (size_t at = 0; at < length && result == RESP_AGAIN;) {
		size_t piece = cuts != NULL ? next_cut(cuts, length - at) : length, used;
		char *block = exact_copy(bytes + at, piece);

		result = resp_reply_next(&framer, block, piece, &used);
		buf_append(reply, block, used);
		free(block);
		at += piece;
	}
	if (result != RESP_OK)
		buf_free(reply);
}

/* Gathers it both ways, which must be the same, and hands each over in a block of
 * exactly its size; the caller frees both. False: there is no whole reply. */
struct gathered {
	struct slice whole;
	struct slice cut;
};

static inline bool gather_both(const char *bytes, size_t length, struct cuts cuts, struct gathered *both)
{
	struct buf whole, cut;
	bool found;

	gather(bytes, length, NULL, &whole);
	gather(bytes, length, &cuts, &cut);
	REQUIRE(slice_equal(buf_slice(&whole), buf_slice(&cut)));
	found = buf_length(&whole) > 0;
	if (found) {
		both->whole = (struct slice){ exact_copy(buf_head(&whole), buf_length(&whole)), buf_length(&whole) };
		both->cut = (struct slice){ exact_copy(buf_head(&cut), buf_length(&cut)), buf_length(&cut) };
	}
	buf_free(&whole);
	buf_free(&cut);
	return found;
}

static inline void gathered_free(struct gathered *both)
{
	free((char *)both->whole.bytes);
	free((char *)both->cut.bytes);
}

#endif
