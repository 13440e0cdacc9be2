#include "linked.h"

#include "../../protocol/buf.h"
#include "../../protocol/encode.h"
#include "../../topology/info.h"
#include "../../topology/plan.h"
#include "../../topology/rivals.h"

/* What a server may say to the control connection. The first byte chooses:
 * an INFO text, the bytes of a ROLE reply, or a CLIENT LIST; it also says how
 * they are cut, and what they say then must be the same. */

static void check_info(const char *text, size_t length)
{
	const char *wrong = NULL;
	struct info info;

	if (!info_parse(&info, text, length, &wrong)) {
		REQUIRE(wrong != NULL);
		return;
	}
	REQUIRE(strlen(info.run_id) == INFO_REPLID_LENGTH && info.role != SERVER_ROLE_UNKNOWN);
	REQUIRE(info.keys >= 0 && info_position(&info) >= -1 && info.slave_count <= INFO_SLAVES_MAX);
	plan_partial_resync(&info, &info);
	info_version_supported(info.redis_version);
}

/* The bytes as the bulk string in which a server sends a text, read both ways. */
struct texts {
	redisReply *whole;
	redisReply *cut;
};

static struct texts read_text(const char *text, size_t length, struct cuts cuts)
{
	struct buf bytes = { 0 };
	struct texts texts;

	encode_bulk(&bytes, (struct slice){ text, length });
	texts.whole = read_linked(buf_head(&bytes), buf_length(&bytes), NULL);
	texts.cut = read_linked(buf_head(&bytes), buf_length(&bytes), &cuts);
	REQUIRE(texts.whole != NULL && texts.cut != NULL && texts.whole->len == length && texts.cut->len == length);
	buf_free(&bytes);
	return texts;
}

static void texts_free(struct texts *texts)
{
	freeReplyObject(texts->whole);
	freeReplyObject(texts->cut);
}

static void check_info_cut(const char *text, size_t length, struct cuts cuts)
{
	struct texts texts = read_text(text, length, cuts);
	const char *whole_wrong = NULL, *cut_wrong = NULL;
	struct info whole, cut;

	memset(&whole, 0, sizeof(whole)); /* what is between the members */
	memset(&cut, 0, sizeof(cut));
	REQUIRE(info_parse(&whole, texts.whole->str, length, &whole_wrong) == info_parse(&cut, texts.cut->str, length, &cut_wrong));
	REQUIRE(whole_wrong == cut_wrong && (whole_wrong != NULL || memcmp(&whole, &cut, sizeof(cut)) == 0));
	texts_free(&texts);
}

static bool read_role(const char *bytes, size_t length, struct cuts *cuts, struct role *role)
{
	redisReply *reply = read_linked(bytes, length, cuts);
	bool is_role;

	memset(role, 0, sizeof(*role));
	is_role = reply != NULL && role_parse(role, reply);
	freeReplyObject(reply);
	return is_role;
}

static void check_role(const char *bytes, size_t length, struct cuts cuts)
{
	struct role whole, cut;
	bool is_role = read_role(bytes, length, NULL, &whole);

	REQUIRE(!is_role || (whole.role != SERVER_ROLE_UNKNOWN && whole.offset >= -1));
	/* What follows the reply may claim too much: in pieces the reply comes first. */
	REQUIRE(read_role(bytes, length, &cuts, &cut) == is_role || !is_role);
	REQUIRE(!is_role || (whole.role == cut.role && whole.offset == cut.offset));
}

static bool find_weir(const char *list, size_t length, char name[64])
{
	name[0] = '\0';
	if (!rivals_find_weir(list, length, "weir-control-0000000000000000", length % 2, name, 64))
		return false;
	REQUIRE(strncmp(name, "weir-control-", 13) == 0 && strlen(name) == 29);
	return true;
}

static void check_client_list(const char *list, size_t length, struct cuts cuts)
{
	struct texts texts = read_text(list, length, cuts);
	char whole[64], cut[64];
	bool found = rivals_find_leader(list, length, "weir-control-8888888888888888", whole, 64);

	REQUIRE(rivals_find_leader(texts.cut->str, length, "weir-control-8888888888888888", cut, 64) == found);
	REQUIRE(strlen(whole) == 29 && strcmp(whole, cut) == 0 && (strcmp(whole, "weir-control-8888888888888888") < 0) == found);
	find_weir(list, length, whole);
	REQUIRE(find_weir(texts.whole->str, length, whole) == find_weir(texts.cut->str, length, cut));
	REQUIRE(strcmp(whole, cut) == 0);
	texts_free(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct cuts cuts;
	char *copy;

	if (size == 0)
		return 0;
	cuts.seed = input[0];
	copy = exact_copy((const char *)input + 1, size - 1);
	switch (input[0] % 3) {
	case 0:
		check_info(copy, size - 1);
		check_info_cut(copy, size - 1, cuts);
		break;
	case 1:
		check_role(copy, size - 1, cuts);
		break;
	case 2:
		check_client_list(copy, size - 1, cuts);
		break;
	}
	free(copy);
	return 0;
}
