#include "../../proxy/config/spelling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COMPARED = 64, LONGEST = 70 };

static const struct {
	const char *a, *b;
	unsigned distance;
} words[] = {
	{ "", "", 0 },
	{ "", "abc", 3 },
	{ "abc", "", 3 },
	{ "max_clients", "max_clients", 0 },
	{ "max_clients", "MAX_Clients", 0 },
	{ "max_clients", "max_client", 1 },
	{ "max_clients", "ax_clients", 1 },
	{ "max_clients", "mux_clients", 1 },
	{ "kitten", "sitting", 3 },
	{ "ab", "ba", 2 },
	{ "\xc3\xa4", "a", 2 },
};

static void known_distances(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(spelling_distance(words[i].a, words[i].b), words[i].distance);
		assert_int_equal(spelling_distance(words[i].b, words[i].a), words[i].distance);
	}
}

/* By the book: the whole matrix. */
static unsigned by_the_book(const char *a, const char *b)
{
	static unsigned matrix[COMPARED + 1][COMPARED + 1];
	size_t a_length = strnlen(a, COMPARED), b_length = strnlen(b, COMPARED);

	for (size_t i = 0; i <= a_length; i++) {
		for (size_t j = 0; j <= b_length; j++) {
			unsigned left_out = i > 0 ? matrix[i - 1][j] + 1 : UINT32_MAX;
			unsigned inserted = j > 0 ? matrix[i][j - 1] + 1 : UINT32_MAX;
			unsigned changed = i > 0 && j > 0 ? matrix[i - 1][j - 1] + (a[i - 1] != b[j - 1]) : UINT32_MAX;
			unsigned least = left_out < inserted ? left_out : inserted;

			matrix[i][j] = i + j == 0 ? 0 : least < changed ? least : changed;
		}
	}
	return matrix[a_length][b_length];
}

static void random_word(char word[LONGEST + 1], unsigned letters)
{
	size_t length = (size_t)rand() % (LONGEST + 1);

	for (size_t i = 0; i < length; i++)
		word[i] = (char)('a' + (unsigned)rand() % letters);
	word[length] = '\0';
}

/* Of few letters, so that much of them is alike; and some are longer than what is compared. */
static void random_words(void **state)
{
	char a[LONGEST + 1], b[LONGEST + 1];

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		random_word(a, 1 + i % 6);
		random_word(b, 1 + i % 6);
		assert_int_equal(spelling_distance(a, b), by_the_book(a, b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_distances),
		cmocka_unit_test(random_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
