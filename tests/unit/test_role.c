/* ROLE's reply on data connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../protocol/role.h"

static const char master[] = "*3\r\n$6\r\nmaster\r\n:3129659\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$7\r\n3129242\r\n";
static const char replica[] = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167038\r\n";
static const char cut_off[] = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$7\r\nconnect\r\n:-1\r\n";

static void a_master(void **state)
{
	struct role_reply role;

	(void)state;
	assert_true(role_reply_decode(slice_of(master), &role));
	assert_true(role.is_master);
	assert_int_equal(role.offset, 3129659);
}

static void a_replica(void **state)
{
	struct role_reply role;

	(void)state;
	assert_true(role_reply_decode(slice_of(replica), &role));
	assert_false(role.is_master);
	assert_true(role.connected);
	assert_true(slice_equal(role.master_host, slice_of("127.0.0.1")));
	assert_int_equal(role.master_port, 9000);
	assert_int_equal(role.offset, 3167038);
}

static void a_replica_without_its_master(void **state)
{
	struct role_reply role;

	(void)state;
	assert_true(role_reply_decode(slice_of(cut_off), &role));
	assert_false(role.connected);
	assert_int_equal(role.offset, -1);
}

static void anything_else_is_no_role(void **state)
{
	static const char *const others[] = {
		"-NOPERM this user has no permissions to run the 'role' command\r\n",
		"*2\r\n$8\r\nsentinel\r\n*0\r\n",
		"*3\r\n$8\r\nsentinel\r\n:1\r\n:2\r\n",
		"*-1\r\n",
		"+OK\r\n",
		"*3\r\n$6\r\nmaster\r\n$1\r\n5\r\n*0\r\n",
		"*5\r\n$5\r\nslave\r\n$-1\r\n:9000\r\n$9\r\nconnected\r\n:1\r\n",
		"",
	};
	struct role_reply role;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(role_reply_decode(slice_of(others[i]), &role));
}

/* No byte behind the end of what is given is looked at. */
static void every_prefix_is_refused(void **state)
{
	const char *const whole[] = { master, replica };
	const size_t needed[] = { strlen("*3\r\n$6\r\nmaster\r\n:3129659\r\n"), sizeof(replica) - 1 };
	struct role_reply role;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t length = 0; length < needed[i]; length++)
			assert_false(role_reply_decode((struct slice){ whole[i], length }, &role));
}

static void acknowledgements(void **state)
{
	static const char two[] = "*3\r\n$6\r\nmaster\r\n:50\r\n*2\r\n*3\r\n$1\r\na\r\n$1\r\n1\r\n$2\r\n40\r\n"
				  "*3\r\n$1\r\nb\r\n$1\r\n2\r\n$2\r\n50\r\n";
	struct role_reply_acks acks;

	(void)state;
	role_reply_read_acks(slice_of(two), &acks);
	assert_int_equal(acks.count, 2);
	assert_int_equal(acks.offsets[0], 40);
	assert_int_equal(acks.offsets[1], 50);
	role_reply_read_acks(slice_of(replica), &acks);
	assert_int_equal(acks.count, 0);
	for (size_t length = 0; length < sizeof(two) - 1; length++) {
		role_reply_read_acks((struct slice){ two, length }, &acks);
		assert_in_range(acks.count, 0, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_master),
		cmocka_unit_test(a_replica),
		cmocka_unit_test(a_replica_without_its_master),
		cmocka_unit_test(anything_else_is_no_role),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(acknowledgements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
