#include "pieces.h"

#include "../../protocol/role.h"

/* Any bytes as the reply to ROLE on a data connection: a position or none, and
 * never a look at what stands behind them. */

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *reply = exact_copy((const char *)input, size);
	struct slice whole = { reply, size };
	struct role_reply role;
	struct role_reply_acks acks;
	bool known = role_reply_decode(whole, &role);

	REQUIRE(!known || role.is_master || role.master_host.length <= size);
	if (known && !role.is_master)
		REQUIRE(role.master_host.bytes >= reply && role.master_host.bytes + role.master_host.length <= reply + size);
	role_reply_read_acks(whole, &acks);
	REQUIRE(acks.count <= ROLE_REPLY_ACKS_MAX);
	REQUIRE(acks.count == 0 || (known && role.is_master));
	free(reply);
	return 0;
}
