#include "gathered.h"

#include "../../protocol/role.h"

/* Any bytes as the reply to ROLE on a data connection: a position or none, and
 * never a look at what stands behind them. The reply that they begin with says
 * the same whether it came whole or in pieces. */

static bool decode(struct slice reply, struct role_reply *role, struct role_reply_acks *acks)
{
	bool known = role_reply_decode(reply, role);

	REQUIRE(!known || role->is_master || role->master_host.length <= reply.length);
	if (known && !role->is_master)
		REQUIRE(role->master_host.bytes >= reply.bytes &&
			role->master_host.bytes + role->master_host.length <= reply.bytes + reply.length);
	role_reply_read_acks(reply, acks);
	REQUIRE(acks->count <= ROLE_REPLY_ACKS_MAX);
	REQUIRE(acks->count == 0 || (known && role->is_master));
	return known;
}

static void compare(const struct gathered *both)
{
	struct role_reply whole, cut;
	struct role_reply_acks whole_acks, cut_acks;
	bool known = decode(both->whole, &whole, &whole_acks);

	REQUIRE(decode(both->cut, &cut, &cut_acks) == known && cut_acks.count == whole_acks.count);
	REQUIRE(memcmp(cut_acks.offsets, whole_acks.offsets, whole_acks.count * sizeof(whole_acks.offsets[0])) == 0);
	if (!known)
		return;
	REQUIRE(cut.is_master == whole.is_master && cut.offset == whole.offset && cut.connected == whole.connected);
	REQUIRE(whole.is_master || (slice_equal(cut.master_host, whole.master_host) && cut.master_port == whole.master_port));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct role_reply_acks acks;
	struct role_reply role;
	struct gathered both;
	char *bytes;

	if (size < 1)
		return 0;
	bytes = exact_copy((const char *)input + 1, size - 1);
	decode((struct slice){ bytes, size - 1 }, &role, &acks);
	if (gather_both(bytes, size - 1, (struct cuts){ .seed = input[0] }, &both)) {
		compare(&both);
		gathered_free(&both);
	}
	free(bytes);
	return 0;
}
