/* What an operator is told: kept in order, bounded, and presentable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/log.h"
#include "../../topology/journal.h"

static int setup(void **state)
{
	log_set_level(LOG_LEVEL_WARNING); /* what is noted here is a notice */
	*state = journal_create();
	return 0;
}

static int teardown(void **state)
{
	journal_destroy((struct journal **)state);
	assert_null(*state);
	return 0;
}

static void test_empty(void **state)
{
	assert_int_equal(journal_newest(*state), 0);
	assert_null(journal_after(*state, 0));
	assert_null(journal_after(*state, UINT64_MAX));
}

static void test_in_order(void **state)
{
	const struct event *event;

	journal_note(*state, EVENT_node_up, "a", "up for the %dnd time", 2);
	journal_note(*state, EVENT_epoch, NULL, "epoch 1");
	assert_int_equal(journal_newest(*state), 2);
	event = journal_after(*state, 0);
	assert_int_equal(event->id, 1);
	assert_string_equal(event->node, "a");
	assert_string_equal(event->text, "up for the 2nd time");
	assert_string_equal(event_kind_name(event->kind), "node_up");
	assert_true(event->time_ms > INT64_C(1700000000000));
	event = journal_after(*state, event->id);
	assert_int_equal(event->id, 2);
	assert_string_equal(event->node, "");
	assert_null(journal_after(*state, event->id));
}

static void test_oldest_make_room(void **state)
{
	const struct event *event;
	uint64_t expected = 8;

	for (int i = 1; i <= JOURNAL_RING_EVENTS + 7; i++)
		journal_note(*state, EVENT_node_up, NULL, "%d", i);
	for (event = journal_after(*state, 0); event != NULL; event = journal_after(*state, event->id)) {
		char text[16];

		snprintf(text, sizeof(text), "%d", (int)expected);
		assert_int_equal(event->id, expected);
		assert_string_equal(event->text, text);
		expected++;
	}
	assert_int_equal(expected, JOURNAL_RING_EVENTS + 8);
	assert_int_equal(journal_after(*state, 3)->id, 8);
	assert_int_equal(journal_after(*state, 500)->id, 501);
}

/* What a server does all the time does not push out what happened to the group. */
static void test_flapping_server(void **state)
{
	const struct event *event;
	int of_group = 0, of_nodes = 0;
	uint64_t before = 0;

	for (int i = 0; i < 3 * JOURNAL_EVENTS_MAX; i++) {
		if (i == 5 || i == JOURNAL_EVENTS_MAX)
			journal_note(*state, EVENT_epoch, NULL, "epoch");
		journal_note(*state, EVENT_readable, "a", "readable");
	}
	for (event = journal_after(*state, 0); event != NULL; event = journal_after(*state, event->id)) {
		assert_true(event->id > before);
		before = event->id;
		of_group += event->kind == EVENT_epoch;
		of_nodes += event->kind == EVENT_readable;
	}
	assert_int_equal(before, journal_newest(*state));
	assert_int_equal(of_group, 2);
	assert_int_equal(of_nodes, JOURNAL_RING_EVENTS);
	assert_int_equal(journal_after(*state, 0)->id, 6);
	assert_int_equal(journal_after(*state, 6)->kind, EVENT_epoch);
}

static void expect_text(struct journal *journal, const char *given, const char *kept)
{
	journal_note(journal, EVENT_node_up, NULL, "%s", given);
	assert_string_equal(journal_after(journal, journal_newest(journal) - 1)->text, kept);
}

static void test_presentable(void **state)
{
	expect_text(*state, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	expect_text(*state, "a\nb\tc\x7f\x1b[31m", "a?b?c??[31m");
	expect_text(*state, "\xff\xc3", "??");
	expect_text(*state, "\xc0\xaf \xe0\x80\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xf8", "?? ??? ??? ???? ?");
	expect_text(*state, "\xe2\x82", "??");
}

static void test_cut(void **state)
{
	char text[2 * JOURNAL_TEXT_ROOM + 1];
	const struct event *event;

	for (size_t i = 0; i < JOURNAL_TEXT_ROOM; i++)
		memcpy(text + 2 * i, "\xc3\xa9", 2);
	text[sizeof(text) - 1] = '\0';
	journal_note(*state, EVENT_node_up, text, "%s", text);
	event = journal_after(*state, 0);
	assert_int_equal(strlen(event->text), JOURNAL_TEXT_ROOM - 1);
	assert_int_equal(event->text[JOURNAL_TEXT_ROOM - 2], '?'); /* half a character */
	assert_int_equal(strlen(event->node), JOURNAL_NODE_ROOM - 1);
}

static void test_kinds_have_words(void **state)
{
	(void)state;
	assert_string_equal(event_kind_name(EVENT_node_up), "node_up");
	assert_string_equal(event_kind_level(EVENT_node_up), "notice");
	assert_string_equal(event_kind_level(EVENT_master_lost), "warning");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oldest_make_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flapping_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_presentable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test(test_kinds_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
