/* Lines of one kind are limited; what was left out is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../proxy/log.h"

enum { MANY = 1000 };

static char text[64 * 1024];

/* What the calls write to stderr. */
static size_t lines_of(void (*calls)(void), const char *part)
{
	FILE *file = tmpfile();
	int kept = dup(STDERR_FILENO);
	size_t count = 0, length;

	dup2(fileno(file), STDERR_FILENO);
	calls();
	dup2(kept, STDERR_FILENO);
	close(kept);
	rewind(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
		count++;
	return count;
}

static void repeat(void)
{
	for (int i = 0; i < MANY; i++)
		log_notice("the same %d", i);
	log_notice("another kind");
}

static void repeat_later(void)
{
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
	log_notice("another kind");
	for (int i = 0; i < MANY; i++)
		log_notice("the same %d", i);
	nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 100000000 }, NULL);
	repeat();
}

static void one_kind_does_not_flood(void **state)
{
	size_t same = lines_of(repeat, "the same");

	(void)state;
	assert_in_range(same, 100, 200); /* a second may begin in the middle */
	assert_non_null(strstr(text, "another kind"));
}

static void what_was_left_out_is_told(void **state)
{
	(void)state;
	assert_true(lines_of(repeat_later, "lines like the next one were suppressed") >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_kind_does_not_flood),
		cmocka_unit_test(what_was_left_out_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
