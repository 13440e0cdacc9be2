#include "gathered.h"

#include "../../protocol/server_words.h"

/* Any bytes as the replies to HELLO and CLIENT INFO: nothing beyond them is
 * looked at, fields have an end, and what is said from a whole HELLO is one
 * whole reply again. In pieces they are heard as whole. */

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

static void hear(struct server_words *words, struct slice reply)
{
	server_words_hear_hello(words, 2, reply);
	server_words_hear_hello(words, 3, reply);
	server_words_hear_client_info(words, reply);
}

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void compare(const struct gathered *both)
{
	struct server_words whole = { 0 }, cut = { 0 };

	hear(&whole, both->whole);
	hear(&cut, both->cut);
	for (int i = 0; i < 2; i++)
		REQUIRE(slice_equal(buf_slice(&whole.hello[i]), buf_slice(&cut.hello[i])));
	REQUIRE(whole.field_count == cut.field_count);
	for (size_t i = 0; i < whole.field_count; i++)
		REQUIRE(whole.fields[i].field == cut.fields[i].field && same_text(whole.fields[i].text, cut.fields[i].text));
	server_words_free(&whole);
	server_words_free(&cut);
}

static void hear_anything(const char *reply, size_t size)
{
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
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct gathered both;
	char *bytes;

	if (size < 1)
		return 0;
	bytes = exact_copy((const char *)input + 1, size - 1);
	hear_anything(bytes, size - 1);
	if (gather_both(bytes, size - 1, (struct cuts){ .seed = input[0] }, &both)) {
		compare(&both);
		gathered_free(&both);
	}
	free(bytes);
	return 0;
}
