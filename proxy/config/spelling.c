#include "spelling.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { COMPARED_BYTES = 64 }; /* a letter is a bit of one word */

static unsigned char letter(char c)
{
	return (unsigned char)tolower((unsigned char)c);
}

/* The matrix of all prefixes, a column at a time: of the prefixes of a, each of
 * which is a bit, and of the first letters of b (Myers 1999, in Hyyrö's form).
 * What is kept of a column is where it grows or falls by one from one prefix to
 * the next, and how it ends. */
unsigned spelling_distance(const char *a, const char *b)
{
	size_t a_length = strnlen(a, COMPARED_BYTES), b_length = strnlen(b, COMPARED_BYTES);
	uint64_t places[UCHAR_MAX + 1] = { 0 }; /* of each letter in a */
	uint64_t grows = UINT64_MAX, falls = 0, last;
	unsigned distance = (unsigned)a_length;

	if (a_length == 0)
		return (unsigned)b_length;
	last = UINT64_C(1) << (a_length - 1);
	for (size_t i = 0; i < a_length; i++)
		places[letter(a[i])] |= UINT64_C(1) << i;
	for (size_t j = 0; j < b_length; j++) {
		uint64_t same = places[letter(b[j])];
		uint64_t diagonal = (((same & grows) + grows) ^ grows) | same | falls; /* costs nothing */
		uint64_t right_grows = falls | ~(diagonal | grows), right_falls = grows & diagonal;

		distance += (right_grows & last) != 0;
		distance -= (right_falls & last) != 0;
		right_grows = right_grows << 1 | 1;
		grows = right_falls << 1 | ~(diagonal | right_grows);
		falls = right_grows & diagonal;
	}
	return distance;
}
