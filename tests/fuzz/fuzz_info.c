#include "pieces.h"

#include <hiredis/hiredis.h>

#include "../../topology/info.h"
#include "../../topology/plan.h"
#include "../../topology/reply_guard.h"
#include "../../topology/rivals.h"

/* What a server may say to the control connection. The first byte chooses:
 * an INFO text, the bytes of a ROLE reply, or a CLIENT LIST. */

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

enum { ELEMENTS_MAX = 65536 };

/* As a link reads it: the first reply of the bytes, fed in pieces of the input's
 * choice, or whole. False: it is no position. */
static bool read_role(const char *bytes, size_t length, struct cuts *cuts, struct role *role)
{
	redisReader *reader = redisReaderCreate();
	struct reply_guard guard = { 0 };
	void *reply = NULL;
	bool is_role = false;

	REQUIRE(reader != NULL);
	memset(role, 0, sizeof(*role));
	for (size_t at = 0; at < length && reply == NULL && reader->err == 0;) {
		size_t piece = cuts != NULL ? next_cut(cuts, length - at) : length;

		if (!reply_guard_allows(&guard, bytes + at, piece, ELEMENTS_MAX))
			break;
		REQUIRE(redisReaderFeed(reader, bytes + at, piece) == REDIS_OK);
		at += piece;
		if (redisReaderGetReply(reader, &reply) != REDIS_OK)
			reply = NULL;
	}
	if (reply != NULL) {
		is_role = role_parse(role, reply);
		freeReplyObject(reply);
	}
	redisReaderFree(reader);
	return is_role;
}

static void check_role(const char *bytes, size_t length)
{
	struct cuts cuts = { .seed = (uint32_t)length };
	struct role whole, cut;
	bool is_role = read_role(bytes, length, NULL, &whole);

	REQUIRE(!is_role || (whole.role != SERVER_ROLE_UNKNOWN && whole.offset >= -1));
	/* What follows the reply may claim too much: in pieces the reply comes first. */
	REQUIRE(read_role(bytes, length, &cuts, &cut) == is_role || !is_role);
	REQUIRE(!is_role || (whole.role == cut.role && whole.offset == cut.offset));
}

static void check_client_list(const char *list, size_t length)
{
	char name[64] = "";

	if (rivals_find_weir(list, length, "weir-control-0000000000000000", length % 2, name, sizeof(name)))
		REQUIRE(strncmp(name, "weir-control-", 13) == 0 && strlen(name) == 29);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *copy;

	if (size == 0)
		return 0;
	copy = exact_copy((const char *)input + 1, size - 1);
	switch (input[0] % 3) {
	case 0:
		check_info(copy, size - 1);
		break;
	case 1:
		check_role(copy, size - 1);
		break;
	case 2:
		check_client_list(copy, size - 1);
		break;
	}
	free(copy);
	return 0;
}
