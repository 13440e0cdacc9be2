/* Of which clients CLIENT LIST and CLIENT KILL speak, and what a server is
 * asked before weir does as they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/encode.h"
#include "../../proxy/client/client_filter.h"

#define NOBODY "9223372036854775807"

enum { WORDS_MAX = 64 };

/* "KILL ID 1" as a request; the caller frees it. */
static char *request_of(const char *line)
{
	char *words = strdup(line);
	struct slice argv[WORDS_MAX] = { slice_of("CLIENT") };
	struct buf bytes = { 0 };
	size_t argc = 1;

	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = slice_of(word);
	encode_request(&bytes, argc, argv);
	free(words);
	return bytes.bytes;
}

static bool parse(struct client_filter *filter, const char *line)
{
	char *request = request_of(line);
	bool good = strncmp(line, "LIST", 4) == 0 ? client_filter_parse_list(filter, request)
						   : client_filter_parse_kill(filter, request);

	free(request);
	return good;
}

static const struct client_traits alice = { 7, "127.0.0.1:5000", "127.0.0.1:7379", { "alice", 5 }, 100, CLIENT_NORMAL };
static const struct client_traits subscriber = { 8, "[::1]:5001", "[::1]:7379", { "default", 7 }, 0, CLIENT_PUBSUB };

static bool names(const char *line, const struct client_traits *client)
{
	struct client_filter filter;
	bool matches;

	assert_true(parse(&filter, line));
	matches = client_filter_matches(&filter, client);
	client_filter_free(&filter);
	return matches;
}

static void who_is_meant(void **state)
{
	static const struct {
		const char *line;
		bool is_alice, is_subscriber;
	} cases[] = {
		{ "LIST", true, true },
		{ "LIST TYPE normal", true, false },
		{ "LIST type PubSub", false, true },
		{ "LIST TYPE master", false, false },
		{ "LIST TYPE slave", false, false },
		{ "LIST ID 7", true, false },
		{ "LIST ID -1 0 9 8", false, true },
		{ "LIST ID 8 7 8 7", true, true },
		{ "KILL 127.0.0.1:5000", true, false },
		{ "KILL [::1]:5001", false, true },
		{ "KILL 127.0.0.1:500", false, false },
		{ "KILL ID 8", false, true },
		{ "KILL ID 7 ID 8", false, true },
		{ "KILL TYPE normal TYPE pubsub", false, true },
		{ "KILL user alice", true, false },
		{ "KILL USER Alice", false, false },
		{ "KILL LADDR [::1]:7379 TYPE normal", false, false },
		{ "KILL ADDR 127.0.0.1:5000 LADDR 127.0.0.1:7379 USER alice TYPE normal ID 7 MAXAGE 100", true, false },
		{ "KILL MAXAGE 101", false, false },
		{ "KILL SKIPME no", true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].line);
		assert_int_equal(names(cases[i].line, &alice), cases[i].is_alice);
		assert_int_equal(names(cases[i].line, &subscriber), cases[i].is_subscriber);
	}
}

static void the_old_form_of_kill_may_hit_who_says_it(void **state)
{
	struct client_filter filter;

	(void)state;
	assert_true(parse(&filter, "KILL 127.0.0.1:5000"));
	assert_true(filter.is_address_alone && !filter.spares_asker);
	client_filter_free(&filter);
	assert_true(parse(&filter, "KILL ID 3"));
	assert_true(!filter.is_address_alone && filter.spares_asker);
	client_filter_free(&filter);
	assert_true(parse(&filter, "KILL ID 3 SKIPME no"));
	assert_false(filter.spares_asker);
	client_filter_free(&filter);
}

static void what_weir_does_not_understand(void **state)
{
	static const char *const lines[] = {
		"LIST TYPE", "LIST TYPE wrong", "LIST TYPE normal x", "LIST ID", "LIST ID x", "LIST ID 1 x", "LIST ID 01",
		"LIST NAME x", "KILL", "KILL ID 0", "KILL ID -1", "KILL ID x", "KILL ID 1 x", "KILL ID 9223372036854775808",
		"KILL ADDR a ID", "KILL TYPE wrong", "KILL SKIPME maybe", "KILL MAXAGE 0", "KILL NOSUCH 1", "KILL ADDR a NOSUCH b",
	};
	struct client_filter filter;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		print_message("%s\n", lines[i]);
		assert_false(parse(&filter, lines[i]));
	}
}

/* What is asked is compared as a line of words; "" is the command itself. */
static void assert_asked(const char *line, const char *expected)
{
	char *request = request_of(line), *wanted = request_of(expected);
	struct buf asked = { 0 };

	print_message("%s\n", line);
	if (strncmp(line, "LIST", 4) == 0)
		client_filter_ask_list(request, &asked);
	else
		client_filter_ask_kill(request, &asked);
	if (expected[0] == '\0')
		assert_int_equal(buf_length(&asked), 0);
	else
		assert_memory_equal(buf_head(&asked), wanted, buf_length(&asked));
	free(request);
	free(wanted);
	buf_free(&asked);
}

static void a_server_is_asked_without_harm(void **state)
{
	(void)state;
	assert_asked("LIST", "LIST ID " NOBODY);
	assert_asked("LIST TYPE normal", "LIST ID " NOBODY);
	assert_asked("LIST ID 1 2 3", "LIST ID " NOBODY);
	assert_asked("LIST TYPE wrong", "");
	assert_asked("KILL 1.2.3.4:5", "KILL ID " NOBODY);
	assert_asked("KILL ID 5", "KILL ID " NOBODY);
	assert_asked("KILL ID 5 SKIPME no ID 6", "KILL ID " NOBODY " SKIPME no ID " NOBODY);
	assert_asked("KILL ID -5", "KILL ID 0");
	assert_asked("KILL TYPE wrong", "KILL TYPE wrong ID " NOBODY);
	assert_asked("KILL USER nobody SKIPME no", "KILL USER nobody SKIPME no ID " NOBODY);
	assert_asked("KILL NOSUCH 1", "KILL ID " NOBODY);       /* a later server may know more */
	assert_asked("KILL ID 5 6", "KILL ID " NOBODY);
	assert_asked("KILL ID 5 ADDR", "KILL ID " NOBODY);
}

static void very_many_options(void **state)
{
	char line[1024] = "KILL";

	(void)state;
	for (int i = 0; i < 20; i++)
		strcat(line, " ID 5");
	assert_asked(line, "KILL ID " NOBODY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_meant),
		cmocka_unit_test(the_old_form_of_kill_may_hit_who_says_it),
		cmocka_unit_test(what_weir_does_not_understand),
		cmocka_unit_test(a_server_is_asked_without_harm),
		cmocka_unit_test(very_many_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
