/* Which node a cursor's tag names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/dispatch/cursors.h"
#include "../../proxy/worker/worker.h"
#include "../../topology/snapshot.h"

enum { NODES = 3 };

struct group {
	struct snapshot_node nodes[NODES];
	struct snapshot snapshot;
};

static void set_run(struct group *group, int node, uint32_t run)
{
	snprintf(group->nodes[node].run_id, sizeof(group->nodes[node].run_id), "%040x", run);
}

static void make_group(struct group *group)
{
	*group = (struct group){ .snapshot = { .node_count = NODES } };
	group->snapshot.nodes = group->nodes;
	for (int i = 0; i < NODES; i++)
		set_run(group, i, 1000u + (uint32_t)i);
}

static void every_run_has_its_tag(void **state)
{
	struct group group;
	uint32_t tags[NODES];

	(void)state;
	make_group(&group);
	for (int i = 0; i < NODES; i++) {
		assert_true(cursors_tag(&group.snapshot, (size_t)i, &tags[i]));
		assert_true(tags[i] < 1u << CURSOR_TAG_BITS);
		assert_int_equal(cursors_node(&group.snapshot, tags[i]), i);
	}
	group.snapshot.node_count = 1; /* another order, or fewer of them: the tag stays */
	group.nodes[0] = group.nodes[2];
	assert_int_equal(cursors_node(&group.snapshot, tags[2]), 0);
	assert_int_equal(cursors_node(&group.snapshot, tags[0]), CURSORS_NO_NODE);
}

static void a_restarted_server_is_another_one(void **state)
{
	struct group group;
	uint32_t tag;

	(void)state;
	make_group(&group);
	cursors_tag(&group.snapshot, 1, &tag);
	set_run(&group, 1, 77);
	assert_int_equal(cursors_node(&group.snapshot, tag), CURSORS_NO_NODE);
}

static void a_server_that_was_never_seen_has_no_tag(void **state)
{
	struct group group;
	uint32_t tag;

	(void)state;
	make_group(&group);
	group.nodes[1].run_id[0] = '\0';
	cursors_tag(&group.snapshot, 1, &tag);
	assert_int_equal(cursors_node(&group.snapshot, tag), CURSORS_NO_NODE);
}

/* Two runs with one tag: neither may use it. */
static void a_tag_that_two_share_names_nobody(void **state)
{
	struct group group;
	uint32_t tag, other, run = 100000;

	(void)state;
	make_group(&group);
	assert_true(cursors_tag(&group.snapshot, 0, &tag));
	do {
		set_run(&group, 1, ++run);
		cursors_tag(&group.snapshot, 1, &other);
	} while (other != tag);
	assert_false(cursors_tag(&group.snapshot, 0, &tag));
	assert_false(cursors_tag(&group.snapshot, 1, &other));
	assert_int_equal(cursors_node(&group.snapshot, tag), CURSORS_NO_NODE);
	assert_true(cursors_tag(&group.snapshot, 2, &other));
	set_run(&group, 1, 1000); /* one server under two addresses is one run */
	assert_true(cursors_tag(&group.snapshot, 0, &tag));
	assert_int_equal(cursors_node(&group.snapshot, tag), 0);
}

static void tags_are_spread(void **state)
{
	struct group group;
	static uint8_t seen[1 << CURSOR_TAG_BITS];
	unsigned distinct = 0;

	(void)state;
	make_group(&group);
	for (uint32_t run = 0; run < 10000; run++) {
		uint32_t tag;

		set_run(&group, 0, run);
		cursors_tag(&group.snapshot, 0, &tag);
		distinct += !seen[tag];
		seen[tag] = 1;
	}
	assert_true(distinct > 9700); /* 9,813 are to be expected */
}

/* ---- requests */

static void the_cursor_that_a_request_names(void **state)
{
	static const struct {
		enum command_special special;
		const char *request;
		int32_t argc;
		enum cursor_kind kind;
		uint64_t own;
	} rows[] = {
		{ SPECIAL_SCAN, "*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n", 2, CURSOR_START, 0 },
		{ SPECIAL_SCAN, "*2\r\n$4\r\nSCAN\r\n$2\r\n17\r\n", 2, CURSOR_PLAIN, 17 },
		{ SPECIAL_SCAN, "*1\r\n$4\r\nSCAN\r\n", 1, CURSOR_PLAIN, 0 },
		{ SPECIAL_HSCAN, "*3\r\n$5\r\nHSCAN\r\n$1\r\n0\r\n$16\r\n4503599627370513\r\n", 3, CURSOR_TAGGED, 17 },
		{ SPECIAL_ZSCAN, "*2\r\n$5\r\nZSCAN\r\n$1\r\n0\r\n", 2, CURSOR_PLAIN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct command command = { .special = (uint8_t)rows[i].special };
		struct parsed_command parsed = { .command = &command, .bytes = rows[i].request,
						 .length = strlen(rows[i].request), .argc = rows[i].argc };
		struct cursor cursor = cursors_named(&parsed);

		assert_int_equal(cursor.kind, rows[i].kind);
		assert_int_equal(cursor.own, rows[i].own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_run_has_its_tag),
		cmocka_unit_test(a_restarted_server_is_another_one),
		cmocka_unit_test(a_server_that_was_never_seen_has_no_tag),
		cmocka_unit_test(a_tag_that_two_share_names_nobody),
		cmocka_unit_test(tags_are_spread),
		cmocka_unit_test(the_cursor_that_a_request_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
