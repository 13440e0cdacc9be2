/* The slow log: what it shows of a command's arguments, what it never shows, and
 * how many commands it keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "../../proxy/measures/slowlog.h"

/* The arguments as the slow log has them, one blank between two. The caller frees it. */
static char *shown(size_t argc, const struct slice *argv)
{
	struct buf request = { 0 }, array = { 0 };
	struct resp_args args;
	struct slice arg;
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	encode_request(&request, argc, argv);
	slow_command_arguments(buf_head(&request), &array);
	resp_args_begin(&args, buf_head(&array));
	while (resp_args_next(&args, &arg))
		fprintf(out, "%s%.*s", ftell(out) > 0 ? " " : "", (int)arg.length, arg.bytes);
	fclose(out);
	assert_true(args.at == buf_head(&array) + buf_length(&array));
	buf_free(&request);
	buf_free(&array);
	return text;
}

static void expect(const char *line, const char *expected)
{
	struct slice argv[64];
	size_t argc = 0;
	char *words = strdup(line), *text;

	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = slice_of(word);
	text = shown(argc, argv);
	assert_string_equal(text, expected);
	free(text);
	free(words);
}

static void ordinary_commands_are_shown_whole(void **state)
{
	(void)state;
	expect("GET key", "GET key");
	expect("SET auth secret", "SET auth secret");
	expect("ACL LIST", "ACL LIST");
	expect("ACL", "ACL");
	expect("CONFIG GET requirepass", "CONFIG GET requirepass");
	expect("CONFIG SET maxmemory 1gb", "CONFIG SET maxmemory 1gb");
}

static void passwords_are_not(void **state)
{
	(void)state;
	expect("AUTH secret", "AUTH (redacted)");
	expect("auth user secret", "auth (redacted) (redacted)");
	expect("HELLO 3 AUTH user secret SETNAME me", "HELLO 3 AUTH (redacted) (redacted) (redacted) (redacted)");
	expect("HELLO 3 SETNAME me", "HELLO 3 SETNAME me");
	expect("ACL SETUSER bob on >secret ~*", "ACL SETUSER bob (redacted) (redacted) (redacted)");
	expect("acl setuser bob", "acl setuser bob");
	expect("CONFIG SET requirepass secret", "CONFIG SET requirepass (redacted)");
	expect("config set MASTERAUTH secret maxmemory 1gb tls-key-file-pass s",
	       "config set MASTERAUTH (redacted) maxmemory 1gb tls-key-file-pass (redacted)");
	expect("CONFIG SET maxmemory pass auth x", "CONFIG SET maxmemory pass auth (redacted)");
	expect("CONFIG SET requirepass", "CONFIG SET requirepass");
	expect("MIGRATE host 6379 key 0 5000 AUTH2 user secret", "MIGRATE host 6379 key 0 5000 AUTH2 (redacted) (redacted)");
	expect("SENTINEL SET m auth-pass secret", "SENTINEL SET m auth-pass (redacted)");
}

static void long_arguments_are_cut(void **state)
{
	char long_word[SLOWLOG_ARG_BYTES_MAX + 3];
	struct slice argv[] = { slice_of("GET"), { long_word, SLOWLOG_ARG_BYTES_MAX } };
	char *text;

	(void)state;
	memset(long_word, 'x', sizeof(long_word));
	text = shown(2, argv);
	assert_int_equal(strlen(text), 4 + SLOWLOG_ARG_BYTES_MAX);
	free(text);
	argv[1].length += 2;
	text = shown(2, argv);
	assert_string_equal(text + 4 + SLOWLOG_ARG_BYTES_MAX, "... (2 more bytes)");
	free(text);
}

static void many_arguments_are_cut(void **state)
{
	struct slice argv[100];
	char *text;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		argv[i] = slice_of("a");
	text = shown(SLOWLOG_ARGS_MAX, argv);
	assert_int_equal(strlen(text), 2 * SLOWLOG_ARGS_MAX - 1);
	free(text);
	text = shown(SLOWLOG_ARGS_MAX + 1, argv);
	assert_string_equal(text + 2 * (SLOWLOG_ARGS_MAX - 1), "... (2 more arguments)");
	free(text);
	text = shown(100, argv);
	assert_string_equal(text + 2 * (SLOWLOG_ARGS_MAX - 1), "... (69 more arguments)");
	free(text);
}

static void the_newest_are_kept(void **state)
{
	struct slowlog *slowlog = slowlog_create();

	(void)state;
	assert_int_equal(slowlog_length(slowlog), 0);
	for (uint32_t i = 0; i < SLOWLOG_ENTRIES_MAX + 10; i++) {
		struct slow_command *command = alloc_zeroed(1, sizeof(*command));

		command->total_us = i;
		buf_append(&command->arguments, "*0\r\n", 4);
		slowlog_add(slowlog, command);
		assert_int_equal(slowlog_at(slowlog, 0)->total_us, i);
		assert_int_equal(slowlog_at(slowlog, 0)->id, i);
	}
	assert_int_equal(slowlog_length(slowlog), SLOWLOG_ENTRIES_MAX);
	assert_int_equal(slowlog_at(slowlog, SLOWLOG_ENTRIES_MAX - 1)->id, 10);
	slowlog_reset(slowlog);
	assert_int_equal(slowlog_length(slowlog), 0);
	slowlog_add(slowlog, alloc_zeroed(1, sizeof(struct slow_command)));
	assert_int_equal(slowlog_at(slowlog, 0)->id, SLOWLOG_ENTRIES_MAX + 10);
	slowlog_destroy(&slowlog);
	assert_null(slowlog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_commands_are_shown_whole),
		cmocka_unit_test(passwords_are_not),
		cmocka_unit_test(long_arguments_are_cut),
		cmocka_unit_test(many_arguments_are_cut),
		cmocka_unit_test(the_newest_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
