/* Where the timeout of a blocking command stands, and what is left of it. */
#include "blocking.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "encode.h"
#include "resp.h"

enum { NUMBER_ROOM = 64 };

enum place { PLACE_LAST, PLACE_FIRST, PLACE_BEHIND_BLOCK };

/* All are in seconds, but for BLOCK, which is in milliseconds. */
static const struct {
	const char *name;
	enum place place;
} timeouts[] = {
	{ "BLPOP", PLACE_LAST },     { "BRPOP", PLACE_LAST },    { "BRPOPLPUSH", PLACE_LAST },
	{ "BLMOVE", PLACE_LAST },    { "BZPOPMIN", PLACE_LAST }, { "BZPOPMAX", PLACE_LAST },
	{ "BLMPOP", PLACE_FIRST },   { "BZMPOP", PLACE_FIRST },  { "XREAD", PLACE_BEHIND_BLOCK },
	{ "XREADGROUP", PLACE_BEHIND_BLOCK },
};

/* Which argument the timeout is; 0: none. */
static int32_t find_timeout(struct slice request, enum place *place)
{
	struct resp_args args;
	struct slice word;
	size_t row = 0;
	int32_t count;

	resp_args_begin(&args, request.bytes);
	count = args.left;
	if (count < 3 || !resp_args_next(&args, &word))
		return 0;
	while (row < sizeof(timeouts) / sizeof(timeouts[0]) && !slice_is(word, timeouts[row].name))
		row++;
	if (row == sizeof(timeouts) / sizeof(timeouts[0]))
		return 0;
	*place = timeouts[row].place;
	if (*place != PLACE_BEHIND_BLOCK)
		return *place == PLACE_FIRST ? 1 : count - 1;
	for (int32_t at = 1; at < count - 1 && resp_args_next(&args, &word); at++) {
		if (slice_is(word, "STREAMS"))
			return 0; /* what follows are keys */
		if (slice_is(word, "BLOCK"))
			return at + 1;
	}
	return 0;
}

/* In the words of the command; false: it stays as it is. */
static bool shorten(struct slice timeout, enum place place, int64_t elapsed_ms, char text[NUMBER_ROOM])
{
	double per_unit = place == PLACE_BEHIND_BLOCK ? 1 : 1000;
	double left_ms;
	char *end;

	if (timeout.length == 0 || timeout.length >= NUMBER_ROOM)
		return false;
	memcpy(text, timeout.bytes, timeout.length);
	text[timeout.length] = '\0';
	left_ms = strtod(text, &end) * per_unit;
	if (*end != '\0' || !isfinite(left_ms) || left_ms <= 0 || left_ms > 1e15)
		return false;
	left_ms = left_ms - (double)elapsed_ms < 1 ? 1 : left_ms - (double)elapsed_ms;
	if (place == PLACE_BEHIND_BLOCK)
		snprintf(text, NUMBER_ROOM, "%" PRId64, (int64_t)left_ms);
	else
		snprintf(text, NUMBER_ROOM, "%.3f", left_ms / 1000);
	return true;
}

void blocking_shorten(struct slice request, int64_t elapsed_ms, struct buf *out)
{
	enum place place = PLACE_LAST;
	int32_t where = find_timeout(request, &place);
	struct resp_args args;
	struct slice word = { NULL, 0 };
	char text[NUMBER_ROOM], length[NUMBER_ROOM];
	size_t before, behind;

	resp_args_begin(&args, request.bytes);
	for (int32_t at = 0; where > 0 && at <= where; at++)
		resp_args_next(&args, &word);
	if (where == 0 || !shorten(word, place, elapsed_ms, text)) {
		buf_append(out, request.bytes, request.length);
		return;
	}
	/* $<length> CR LF stands in front of the word. */
	before = (size_t)(word.bytes - request.bytes) - (size_t)snprintf(length, sizeof(length), "$%zu\r\n", word.length);
	behind = (size_t)(word.bytes - request.bytes) + word.length + 2;
	buf_append(out, request.bytes, before);
	encode_bulk_text(out, text);
	buf_append(out, request.bytes + behind, request.length - behind);
}
