#include "pieces.h"

#include "../../protocol/resp.h"
#include "../../protocol/server_words.h"

/* Any bytes as the replies to HELLO and CLIENT INFO: nothing beyond them is
 * looked at, fields have an end, and what is said from a whole HELLO is one
 * whole reply again. */

static bool is_whole(const char *bytes, size_t length)
{
	struct resp_reply_framer framer = { 0 };
	size_t used;

	return resp_reply_next(&framer, bytes, length, &used) == RESP_OK && used == length;
}

static void say_hello(const struct server_words *words, int resp, bool whole)
{
	struct buf out = { 0 };

	if (server_words_hello(words, resp, 1234567890, "replica", &out) && whole)
		REQUIRE(is_whole(buf_head(&out), buf_length(&out)));
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *reply = exact_copy((const char *)input, size);
	struct slice bytes = { reply, size };
	struct server_words words = { 0 };

	for (int resp = 2; resp <= 3; resp++) {
		server_words_hear_hello(&words, resp, bytes);
		say_hello(&words, resp, is_whole(reply, size));
	}
	server_words_hear_client_info(&words, bytes);
	REQUIRE(words.field_count <= SERVER_FIELDS_MAX);
	server_words_hear_client_info(&words, bytes);
	server_words_free(&words);
	free(reply);
	return 0;
}
