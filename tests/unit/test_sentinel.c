/* What one sentinel says, read: from the bytes of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "../../topology/sentinel.h"

#define MASTER(ip, port, epoch) "*8\r\n$4\r\nname\r\n$1\r\ng\r\n$2\r\nip\r\n" ip "$4\r\nport\r\n" port "$12\r\nconfig-epoch\r\n" epoch
#define ADDRESS(ip, port) "*2\r\n" ip port
#define REPLICA(ip, port) "*4\r\n$2\r\nip\r\n" ip "$4\r\nport\r\n" port
#define IP "$9\r\n127.0.0.1\r\n"
#define A "$4\r\n6379\r\n"
#define B "$4\r\n6380\r\n"
#define C "$4\r\n6381\r\n"
#define SEVEN "$1\r\n7\r\n"

static redisReply *parsed(const char *bytes)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	redisReaderFeed(reader, bytes, strlen(bytes));
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	redisReaderFree(reader);
	return reply;
}

static bool reads(struct sentinel_answer *answer, const char *master, const char *address, const char *replicas)
{
	redisReply *first = parsed(master), *second = parsed(address), *third = parsed(replicas);
	bool read = sentinel_read_master(answer, first) && sentinel_read_address(answer, second) &&
		    sentinel_read_replicas(answer, third);

	freeReplyObject(first);
	freeReplyObject(second);
	freeReplyObject(third);
	return read;
}

static void the_master_stands_first(void **state)
{
	struct sentinel_answer answer;

	(void)state;
	assert_true(reads(&answer, MASTER(IP, A, SEVEN), ADDRESS(IP, A), "*2\r\n" REPLICA(IP, B) REPLICA(IP, C)));
	assert_int_equal(answer.config_epoch, 7);
	assert_int_equal(answer.group.count, 3);
	assert_string_equal(answer.group.members[0].host, "127.0.0.1");
	assert_int_equal(answer.group.members[0].port, 6379);
	assert_int_equal(answer.group.members[2].port, 6381);
}

/* The promoted replica is named already, under the epoch of before: newer than
 * that, older than the next one. The old master is one of the group still. */
static void in_the_middle_of_a_failover(void **state)
{
	struct sentinel_answer before, amid, after;

	(void)state;
	assert_true(reads(&before, MASTER(IP, A, SEVEN), ADDRESS(IP, A), "*1\r\n" REPLICA(IP, B)));
	assert_true(reads(&amid, MASTER(IP, A, SEVEN), ADDRESS(IP, B), "*1\r\n" REPLICA(IP, B)));
	assert_true(reads(&after, MASTER(IP, B, "$1\r\n8\r\n"), ADDRESS(IP, B), "*1\r\n" REPLICA(IP, A)));
	assert_true(before.version < amid.version && amid.version < after.version);
	assert_int_equal(amid.group.count, 2);
	assert_int_equal(amid.group.members[0].port, 6380);
	assert_int_equal(amid.group.members[1].port, 6379);
}

static void what_cannot_be_read(void **state)
{
	static const char *const masters[] = {
		"-ERR No such master with that name\r\n", ":1\r\n", "*0\r\n",
		MASTER(IP, "$1\r\n0\r\n", SEVEN), MASTER(IP, "$5\r\n65536\r\n", SEVEN), MASTER(IP, A, "$2\r\n-1\r\n"),
		MASTER(IP, A, "$20\r\n99999999999999999999\r\n"), MASTER("$3\r\na b\r\n", A, SEVEN), MASTER("$0\r\n\r\n", A, SEVEN),
	};
	struct sentinel_answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(masters) / sizeof(masters[0]); i++)
		assert_false(reads(&answer, masters[i], ADDRESS(IP, A), "*0\r\n"));
	assert_false(reads(&answer, MASTER(IP, A, SEVEN), "*-1\r\n", "*0\r\n"));
	assert_false(reads(&answer, MASTER(IP, A, SEVEN), "*2\r\n:1\r\n:2\r\n", "*0\r\n"));
	assert_false(reads(&answer, MASTER(IP, A, SEVEN), ADDRESS(IP, A), "-ERR\r\n"));
}

/* A replica that makes no sense is left out; nobody stands there twice, and no
 * more than there is room for. */
static void replicas_that_make_no_sense(void **state)
{
	static char many[64 * 1024];
	struct sentinel_answer answer;
	size_t length;

	(void)state;
	assert_true(reads(&answer, MASTER(IP, A, SEVEN), ADDRESS(IP, A),
			  "*4\r\n:1\r\n*1\r\n$2\r\nip\r\n" REPLICA(IP, A) REPLICA(IP, B)));
	assert_int_equal(answer.group.count, 2);
	length = (size_t)snprintf(many, sizeof(many), "*200\r\n");
	for (int i = 0; i < 200; i++)
		length += (size_t)snprintf(many + length, sizeof(many) - length, REPLICA(IP, "$4\r\n%d\r\n"), 7000 + i);
	assert_true(reads(&answer, MASTER(IP, A, SEVEN), ADDRESS(IP, A), many));
	assert_int_equal(answer.group.count, TOPOLOGY_NODES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_master_stands_first),
		cmocka_unit_test(in_the_middle_of_a_failover),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(replicas_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
