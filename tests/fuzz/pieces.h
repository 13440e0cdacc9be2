#ifndef WEIR_FUZZ_PIECES_H
#define WEIR_FUZZ_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the fuzz targets share: the input says where its own bytes are cut, and
 * every piece is handed over in a block of exactly its size, so that a byte
 * read beyond it is seen. */

/* The first byte of an input seeds the cuts. */
struct cuts {
	uint32_t seed;
};

/* Length of the next piece, 1 to `left`; mostly short. */
static inline size_t next_cut(struct cuts *cuts, size_t left)
{
	size_t length;

	cuts->seed = cuts->seed * 1664525 + 1013904223;
	length = 1 + (cuts->seed >> 24) % ((cuts->seed >> 16 & 3) ? 4 : 64);
	return length < left ? length : left;
}

static inline char *exact_copy(const char *bytes, size_t length)
{
	char *copy = malloc(length ? length : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, length);
	return copy;
}

#define REQUIRE(condition) do { if (!(condition)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#endif
