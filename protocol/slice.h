#ifndef WEIR_PROTOCOL_SLICE_H
#define WEIR_PROTOCOL_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A view of bytes that somebody else owns. It is valid until its owner
 * consumes, grows or frees the memory behind it. Binary-safe. */
struct slice {
	const char *bytes;
	size_t length;
};

static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* The same for words that are mostly equal and of two to eight bytes: no call for
 * those. */
static inline bool slice_same_word(struct slice a, struct slice b)
{
	size_t half = a.length >= 4 ? 4 : 2;

	if (a.length != b.length || a.length < 2 || a.length > 8)
		return slice_equal(a, b);
	if (half == 4)
		return memcmp(a.bytes, b.bytes, 4) == 0 && memcmp(a.bytes + a.length - 4, b.bytes + b.length - 4, 4) == 0;
	return memcmp(a.bytes, b.bytes, 2) == 0 && memcmp(a.bytes + a.length - 2, b.bytes + b.length - 2, 2) == 0;
}

/* ASCII case-insensitive: command names, subcommands and options. */
static inline bool slice_is(struct slice a, const char *word)
{
	return a.length == strlen(word) && strncasecmp(a.bytes, word, a.length) == 0;
}

/* Case-sensitive: the words that error replies begin with. */
static inline bool slice_begins_with(struct slice a, const char *word)
{
	size_t length = strlen(word);

	return a.length >= length && memcmp(a.bytes, word, length) == 0;
}

#endif
