#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/client/session.h"

static void subscriptions_by_the_servers_count(void **state)
{
	struct session session = { .resp = 2 };

	(void)state;
	assert_false(session_is_subscribed(&session));
	session_confirm(&session, PUSH_SUBSCRIBE, 1);
	session_confirm(&session, PUSH_SUBSCRIBE, 1); /* the same channel again */
	session_confirm(&session, PUSH_SUBSCRIBE, 2);
	session_confirm(&session, PUSH_PSUBSCRIBE, 3);
	session_confirm(&session, PUSH_SSUBSCRIBE, 1);
	assert_int_equal(session.bonds.channels, 2);
	assert_int_equal(session.bonds.patterns, 1);
	assert_int_equal(session.bonds.shard_channels, 1);
	assert_true(session_only_subscribes(&session));
	session_confirm(&session, PUSH_UNSUBSCRIBE, 3); /* from a channel it did not have */
	assert_int_equal(session_confirmations_of_all(&session, PUSH_UNSUBSCRIBE), 2);
	assert_int_equal(session_confirmations_of_all(&session, PUSH_PUNSUBSCRIBE), 1);
	session_confirm(&session, PUSH_UNSUBSCRIBE, 2);
	session_confirm(&session, PUSH_UNSUBSCRIBE, 1);
	assert_int_equal(session_confirmations_of_all(&session, PUSH_UNSUBSCRIBE), 1); /* it says so */
	session_confirm(&session, PUSH_PUNSUBSCRIBE, 0);
	assert_true(session_is_subscribed(&session));
	session_confirm(&session, PUSH_SUNSUBSCRIBE, 0);
	assert_false(session_is_bound(&session));
}

static void a_count_that_cannot_be(void **state)
{
	struct session session = { .resp = 3, .bonds = { .patterns = 5 } };

	(void)state;
	session_confirm(&session, PUSH_UNSUBSCRIBE, 2);
	assert_int_equal(session.bonds.channels, 0);
	session_confirm(&session, PUSH_PUNSUBSCRIBE, 0);
	assert_false(session_is_subscribed(&session));
}

static void what_binds(void **state)
{
	(void)state;
	assert_true(session_is_bound(&(struct session){ .bonds.in_multi = true }));
	assert_true(session_is_bound(&(struct session){ .bonds.watching = true }));
	assert_true(session_is_bound(&(struct session){ .bonds.tracking = true }));
	assert_true(session_is_bound(&(struct session){ .bonds.monitoring = true }));
	assert_false(session_listens(&(struct session){ .bonds = { .in_multi = true, .watching = true } }));
	assert_false(session_only_subscribes(&(struct session){ .resp = 3, .bonds.channels = 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscriptions_by_the_servers_count),
		cmocka_unit_test(a_count_that_cannot_be),
		cmocka_unit_test(what_binds),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
