#ifndef WEIR_FUZZ_LINKED_H
#define WEIR_FUZZ_LINKED_H

#include <hiredis/hiredis.h>

#include "../../topology/reply_guard.h"
#include "pieces.h"

/* What a control connection hands over: the bytes looked through first, and then
 * read by hiredis (topology/link.c). */

enum { ELEMENTS_MAX = 65536 };

/* The first reply of the bytes, which come as the cuts say (NULL: at once). NULL:
 * there is none. */
static inline redisReply *read_linked(const char *bytes, size_t length, struct cuts *cuts)
{
	redisReader *reader = redisReaderCreate();
	struct reply_guard guard = { 0 };
	void *reply = NULL;

	REQUIRE(reader != NULL);
	for (size_t at = 0; at < length && reply == NULL && reader->err == 0;) {
		size_t piece = cuts != NULL ? next_cut(cuts, length - at) : length;

		if (!reply_guard_allows(&guard, bytes + at, piece, ELEMENTS_MAX))
			break;
		REQUIRE(redisReaderFeed(reader, bytes + at, piece) == REDIS_OK);
		at += piece;
		if (redisReaderGetReply(reader, &reply) != REDIS_OK)
			reply = NULL;
	}
	redisReaderFree(reader);
	return reply;
}

#endif
