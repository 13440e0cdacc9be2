/* What a server says of itself and of its clients, said by weir. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/server_words.h"

#define HELLO_3                                                                                       \
	"%4\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$2\r\nid\r\n:12\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"       \
	"$7\r\nmodules\r\n*1\r\n%2\r\n$4\r\nname\r\n$6\r\nsample\r\n$2\r\nid\r\n:12\r\n"

static void assert_hello(const struct server_words *words, int resp, const char *role, const char *expected)
{
	struct buf out = { 0 };

	assert_true(server_words_hello(words, resp, 777, role, &out));
	assert_int_equal(buf_length(&out), strlen(expected));
	assert_memory_equal(buf_head(&out), expected, strlen(expected));
	buf_free(&out);
}

static void hello_is_the_servers_but_for_the_client(void **state)
{
	struct server_words words = { 0 };
	struct buf out = { 0 };

	(void)state;
	assert_false(server_words_hello(&words, 2, 1, NULL, &out));
	server_words_hear_hello(&words, 3, slice_of("-NOPERM no\r\n"));
	server_words_hear_hello(&words, 3, slice_of("*2\r\n$2\r\nid\r\n:1\r\n"));
	server_words_hear_hello(&words, 3, slice_of("%2\r\n$2\r\nid\r\n:1\r\n"));
	server_words_hear_hello(&words, 2, slice_of("*3\r\n$2\r\nid\r\n:1\r\n+odd\r\n"));
	server_words_hear_hello(&words, 2, slice_of("*2\r\n$2\r\nid\r\n:1\r\n+more\r\n"));
	assert_false(server_words_hello(&words, 3, 1, NULL, &out));
	assert_false(server_words_hello(&words, 2, 1, NULL, &out));
	server_words_hear_hello(&words, 2, slice_of("*2\r\n$2\r\nid\r\n:1\r\n"));
	server_words_hear_hello(&words, 3, slice_of(HELLO_3));
	assert_hello(&words, 2, NULL, "*2\r\n$2\r\nid\r\n:777\r\n");
	assert_hello(&words, 3, "replica",
		     "%4\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$2\r\nid\r\n:777\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"
		     "$7\r\nmodules\r\n*1\r\n%2\r\n$4\r\nname\r\n$6\r\nsample\r\n$2\r\nid\r\n:12\r\n");
	assert_int_equal(buf_length(&out), 0);
	server_words_free(&words);
}

static void fields_in_the_servers_order(void **state)
{
	static const char bulk[] = "$47\r\nid=3 new-thing=7 addr=[::1]:1 x= =y blank cmd=\n\r\n";
	static const char verbatim[] = "=14\r\ntxt:id=3 name=\n\r\n";
	struct server_words words = { 0 };

	(void)state;
	server_words_hear_client_info(&words, slice_of("-ERR unknown subcommand\r\n"));
	assert_int_equal(words.field_count, 0);
	server_words_hear_client_info(&words, slice_of(bulk));
	assert_int_equal(words.field_count, 5);
	assert_int_equal(words.fields[0].field, CLIENT_FIELD_ID);
	assert_int_equal(words.fields[1].field, CLIENT_FIELD_OTHER);
	assert_string_equal(words.fields[1].text, "new-thing=7");
	assert_int_equal(words.fields[2].field, CLIENT_FIELD_ADDR);
	assert_string_equal(words.fields[3].text, "x=");
	assert_int_equal(words.fields[4].field, CLIENT_FIELD_CMD);
	server_words_hear_client_info(&words, slice_of(verbatim));
	assert_int_equal(words.field_count, 2);
	assert_int_equal(words.fields[1].field, CLIENT_FIELD_NAME);
	server_words_free(&words);
}

static void there_is_an_end_to_fields(void **state)
{
	struct server_words words = { 0 };
	struct buf line = { 0 };

	(void)state;
	buf_append_text(&line, "$700\r\n");
	for (int i = 0; i < 100; i++)
		buf_append_text(&line, "field=1");
	for (char *at = buf_head(&line) + 6; at < buf_head(&line) + buf_length(&line); at += 7)
		*at = ' ';
	buf_append_text(&line, "\r\n");
	server_words_hear_client_info(&words, buf_slice(&line));
	assert_int_equal(words.field_count, SERVER_FIELDS_MAX);
	buf_free(&line);
	server_words_free(&words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_is_the_servers_but_for_the_client),
		cmocka_unit_test(fields_in_the_servers_order),
		cmocka_unit_test(there_is_an_end_to_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
