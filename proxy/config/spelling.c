#include "spelling.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { COMPARED_BYTES = 64 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* The matrix of all prefixes, one row at a time: before the round of letter i,
 * row[j] is the distance of the first i letters of a and the first j of b. */
unsigned spelling_distance(const char *a, const char *b)
{
	size_t a_length = strnlen(a, COMPARED_BYTES), b_length = strnlen(b, COMPARED_BYTES);
	unsigned row[COMPARED_BYTES + 1];

	for (size_t j = 0; j <= b_length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; i < a_length; i++) {
		unsigned diagonal = row[0];

		row[0]++;
		for (size_t j = 1; j <= b_length; j++) {
			unsigned above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + !same_letter(a[i], b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_length];
}
