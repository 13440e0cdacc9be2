#ifndef WEIR_PROTOCOL_LINE_H
#define WEIR_PROTOCOL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The one place where a decimal number of the wire is read. Private to
 * protocol/. */

enum {
	LINE_AGAIN = 0, /* every byte so far is right, but the line is not over */
	LINE_BAD = -1,
	LINE_NUMBER_BYTES = 22, /* the longest: "-9223372036854775808\r\n" */
};

/* Reads "<number>CR LF", the number as Redis writes it: no plus, no blank, no
 * leading zero, no -0, within 64 bits. Returns the bytes of the line, or
 * LINE_AGAIN, or LINE_BAD as soon as no further byte could make it right. */
static inline int line_number(const char *line, size_t available, int64_t *value)
{
	const char *end = line + available;
	const char *at = line;
	const char *digits;
	uint64_t number = 0;
	unsigned digit;
	int negative = at < end && *at == '-';

	at += negative;
	digits = at;
	while (at < end && (digit = (unsigned)(unsigned char)*at - '0') <= 9) {
		if (at - digits == 19)
			return LINE_BAD;
		number = number * 10 + digit;
		at++;
	}
	if (at > digits && *digits == '0' && (negative || at - digits > 1))
		return LINE_BAD;
	if (number > (uint64_t)INT64_MAX + (unsigned)negative)
		return LINE_BAD;
	if (at == end)
		return LINE_AGAIN;
	if (at == digits || *at++ != '\r')
		return LINE_BAD;
	if (at == end)
		return LINE_AGAIN;
	if (*at++ != '\n')
		return LINE_BAD;
	*value = negative ? -(int64_t)(number - 1) - 1 : (int64_t)number;
	return (int)(at - line);
}

enum { LINE_SHORT_BYTES = 6 };

/* Do CR and LF stand there? One look for both. */
static inline bool line_ends(const char *at)
{
	return memcmp(at, "\r\n", 2) == 0;
}

/* "<type><number of up to three digits>CR LF", the header that nearly all
 * messages have, out of LINE_SHORT_BYTES readable bytes. Returns its length;
 * 0 for anything else, right or wrong. */
static inline size_t line_short_header(const char *at, char type, size_t *number)
{
	unsigned first = (unsigned)(unsigned char)at[1] - '0';
	unsigned second, third;

	if (at[0] != type || first > 9)
		return 0;
	*number = first;
	if (line_ends(at + 2))
		return 4;
	second = (unsigned)(unsigned char)at[2] - '0';
	third = (unsigned)(unsigned char)at[3] - '0';
	if (second > 9 || first == 0)
		return 0;
	*number = first * 10 + second;
	if (line_ends(at + 3))
		return 5;
	if (third > 9)
		return 0;
	*number = first * 100 + second * 10 + third;
	return line_ends(at + 4) ? 6 : 0;
}

struct line_header {
	size_t length; /* 0: it is none, or not whole */
	size_t number;
};

/* The same for a number of any length that is there whole and not below zero. */
static __attribute__((noinline, unused)) struct line_header line_long_header(const char *at, size_t available, char type)
{
	struct line_header header = { 0 };
	int64_t value;
	int line;

	if (available == 0 || at[0] != type)
		return header;
	line = line_number(at + 1, available - 1, &value);
	if (line > 0 && value >= 0)
		header = (struct line_header){ 1 + (size_t)line, (size_t)value };
	return header;
}

static inline size_t line_whole_header(const char *at, size_t available, char type, size_t *number)
{
	size_t length = available >= LINE_SHORT_BYTES ? line_short_header(at, type, number) : 0;
	struct line_header header;

	if (length > 0)
		return length;
	header = line_long_header(at, available, type);
	*number = header.number;
	return header.length;
}

#endif
