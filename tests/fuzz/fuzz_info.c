#include "pieces.h"

#include <hiredis/hiredis.h>

#include "../../topology/info.h"
#include "../../topology/plan.h"
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

static void check_role(const char *bytes, size_t length)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;
	struct role role;

	REQUIRE(reader != NULL && redisReaderFeed(reader, bytes, length) == REDIS_OK);
	if (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
		if (role_parse(&role, reply))
			REQUIRE(role.role != SERVER_ROLE_UNKNOWN && role.offset >= -1);
		freeReplyObject(reply);
	}
	redisReaderFree(reader);
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
