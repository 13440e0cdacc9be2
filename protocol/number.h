#ifndef WEIR_PROTOCOL_NUMBER_H
#define WEIR_PROTOCOL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "line.h"
#include "slice.h"

/* An integer argument exactly as redis-server takes it: no plus, no blank, no
 * leading zero, no -0, within 64 bits. *value is 0 when it is none. */
static inline bool number_parse(struct slice text, int64_t *value)
{
	char line[LINE_NUMBER_BYTES];

	*value = 0;
	if (text.length == 0 || text.length > sizeof(line) - 2)
		return false;
	memcpy(line, text.bytes, text.length);
	memcpy(line + text.length, "\r\n", 2);
	return line_number(line, text.length + 2, value) == (int)(text.length + 2);
}

static inline bool number_parse_within(struct slice text, int64_t least, int64_t most, int64_t *value)
{
	return number_parse(text, value) && *value >= least && *value <= most;
}

#endif
