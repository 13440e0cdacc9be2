#include "reply_guard.h"

enum { NUMBER_MAX = 1 << 30 };

/* A line is whole. */
static void end_line(struct reply_guard *guard)
{
	uint64_t pairs = guard->type == '%' || guard->type == '|' ? 2 : 1;

	if (guard->type == '$' || guard->type == '=' || guard->type == '!')
		guard->skip = guard->is_negative ? 0 : guard->number + 2;
	else if (!guard->is_negative && guard->type != 0 && guard->type != '+' && guard->type != '-' && guard->type != ':')
		guard->elements += guard->number * pairs;
	guard->type = 0;
}

static void take_byte(struct reply_guard *guard, char byte)
{
	if (guard->type == 0) {
		guard->type = byte;
		guard->number = 0;
		guard->is_negative = false;
	} else if (byte == '\n') {
		end_line(guard);
	} else if (byte == '-') {
		guard->is_negative = true;
	} else if (byte >= '0' && byte <= '9' && guard->number < NUMBER_MAX) {
		guard->number = guard->number * 10 + (uint64_t)(byte - '0');
	}
}

bool reply_guard_allows(struct reply_guard *guard, const char *bytes, size_t length, uint64_t elements_max)
{
	while (length > 0) {
		size_t used = 1;

		if (guard->skip > 0) {
			used = guard->skip < length ? (size_t)guard->skip : length;
			guard->skip -= used;
		} else {
			take_byte(guard, *bytes);
		}
		bytes += used;
		length -= used;
		if (guard->elements > elements_max)
			return false;
	}
	return true;
}

void reply_guard_reset(struct reply_guard *guard)
{
	guard->elements = 0;
}
