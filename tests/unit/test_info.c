/* INFO and ROLE as real servers send them, as newer ones might, and as no
 * server should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "../../topology/info.h"

#define RUN_ID "8d3a6b1f0c9e8d7a6b5c4d3e2f1a0b9c8d7e6f5a"
#define REPLID "0123456789abcdef0123456789abcdef01234567"
#define NO_REPLID "0000000000000000000000000000000000000000"

static const char master_text[] =
	"# Server\r\nredis_version:7.0.15\r\nrun_id:" RUN_ID "\r\nio_threads_active:0\r\n\r\n"
	"# Clients\r\nconnected_clients:12\r\n"
	"# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nnumber_of_libraries:2\r\n"
	"# Persistence\r\nloading:0\r\nasync_loading:0\r\n"
	"# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
	"slave0:ip=10.0.0.2,port=6380,state=online,offset=1400,lag=1\r\n"
	"slave1:ip=::1,port=6381,state=wait_bgsave,offset=0,lag=0,type=replica\r\n"
	"master_failover_state:no-failover\r\nmaster_replid:" REPLID "\r\nmaster_replid2:" NO_REPLID "\r\n"
	"master_repl_offset:1414\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:1\r\nrepl_backlog_size:1048576\r\n"
	"repl_backlog_first_byte_offset:1\r\nrepl_backlog_histlen:1414\r\n"
	"# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=0\r\n"
	"db9:keys=7,expires=0,avg_ttl=0,subexpiry=0\r\n";

static const char slave_text[] =
	"redis_version:6.2.6\r\nrun_id:" RUN_ID "\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"
	"master_link_status:up\r\nmaster_last_io_seconds_ago:3\r\nmaster_sync_in_progress:0\r\n"
	"slave_read_repl_offset:1500\r\nslave_repl_offset:1414\r\nslave_priority:100\r\nslave_read_only:1\r\n"
	"replica_announced:1\r\nconnected_slaves:0\r\nmaster_replid:" REPLID "\r\nmaster_repl_offset:1414\r\n";

static bool parse(struct info *info, const char *text)
{
	const char *wrong = NULL;

	return info_parse(info, text, strlen(text), &wrong);
}

static void master_is_read(void **state)
{
	struct info info;

	(void)state;
	assert_true(parse(&info, master_text));
	assert_int_equal(info.role, SERVER_ROLE_MASTER);
	assert_string_equal(info.redis_version, "7.0.15");
	assert_string_equal(info.run_id, RUN_ID);
	assert_string_equal(info.replid, REPLID);
	assert_string_equal(info.replid2, "");
	assert_int_equal(info.master_offset, 1414);
	assert_int_equal(info.second_offset, -1);
	assert_int_equal(info.backlog_active, 1);
	assert_int_equal(info.backlog_size, 1048576);
	assert_int_equal(info.backlog_first, 1);
	assert_int_equal(info.backlog_length, 1414);
	assert_int_equal(info.connected_slaves, 2);
	assert_int_equal(info.connected_clients, 12);
	assert_int_equal(info.libraries, 2);
	assert_int_equal(info.keys, 12);
	assert_int_equal(info.loading, 0);
	assert_int_equal(info.link_up, INFO_UNKNOWN);
	assert_int_equal(info.slave_count, 2);
	assert_string_equal(info.slaves[0].host, "10.0.0.2");
	assert_int_equal(info.slaves[0].port, 6380);
	assert_int_equal(info.slaves[0].offset, 1400);
	assert_int_equal(info.slaves[0].lag, 1);
	assert_string_equal(info.slaves[0].state, "online");
	assert_string_equal(info.slaves[1].host, "::1");
	assert_string_equal(info.slaves[1].state, "wait_bgsave");
	assert_int_equal(info_position(&info), 1414);
}

static void slave_is_read(void **state)
{
	struct info info;

	(void)state;
	assert_true(parse(&info, slave_text));
	assert_int_equal(info.role, SERVER_ROLE_SLAVE);
	assert_string_equal(info.master_host, "10.0.0.1");
	assert_int_equal(info.master_port, 6379);
	assert_int_equal(info.link_up, 1);
	assert_int_equal(info.last_io_seconds, 3);
	assert_int_equal(info.sync_in_progress, 0);
	assert_int_equal(info.applied_offset, 1414);
	assert_int_equal(info.received_offset, 1500);
	assert_int_equal(info.priority, 100);
	assert_int_equal(info.read_only, 1);
	assert_int_equal(info.loading, INFO_UNKNOWN);
	assert_int_equal(info.libraries, INFO_UNKNOWN);
	assert_int_equal(info.keys, 0);
	assert_int_equal(info_position(&info), 1414);
}

static void sync_is_read(void **state)
{
	struct info info;

	(void)state;
	assert_true(parse(&info, slave_text));
	assert_int_equal(info.sync_read, INFO_UNKNOWN);
	assert_int_equal(info.sync_total, INFO_UNKNOWN);
	assert_true(parse(&info, "run_id:" RUN_ID "\r\nrole:slave\r\nmaster_link_status:down\r\n"
				 "master_sync_in_progress:1\r\nmaster_sync_total_bytes:90000\r\n"
				 "master_sync_read_bytes:30000\r\nmaster_sync_left_bytes:60000\r\n"
				 "master_sync_perc:33.33\r\nmaster_sync_last_io_seconds_ago:0\r\n"
				 "master_link_down_since_seconds:-1\r\n"));
	assert_int_equal(info.sync_in_progress, 1);
	assert_int_equal(info.sync_read, 30000);
	assert_int_equal(info.sync_total, 90000);
	assert_true(parse(&info, "run_id:" RUN_ID "\r\nrole:slave\r\nmaster_sync_total_bytes:-1\r\n"));
	assert_int_equal(info.sync_total, INFO_UNKNOWN);
}

static void servers_say_who_they_are(void **state)
{
	struct info info;

	(void)state;
	assert_true(parse(&info, master_text));
	assert_string_equal(info_server_name(&info), "redis");
	assert_string_equal(info_server_version(&info), "7.0.15");
	assert_true(parse(&info, "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nrun_id:" RUN_ID
				 "\r\nrole:master\r\n"));
	assert_string_equal(info_server_name(&info), "valkey");
	assert_string_equal(info_server_version(&info), "8.0.1");
	assert_true(info_version_supported(info.redis_version));
}

static void malformed_is_refused(void **state)
{
	static const char *const lines[] = {
		"master_repl_offset:12x", "master_repl_offset:", "master_repl_offset:-", "master_repl_offset:-2",
		"master_repl_offset:99999999999999999999", "master_repl_offset: 12", "role:king", "loading:2",
		"master_link_status:sideways", "run_id:abc", "master_replid:" REPLID "0", "db0:keys=x", "db0:expires=1",
		"db0:keys=-4", "slave0:ip=1.2.3.4,port=70000", "slave0:ip=1.2.3.4,port=1,offset=?",
		"slave0:ip=1.2.3.4,port=1,state=a_word_that_is_longer_than_any_state_is,offset=1", "master_sync_read_bytes:x",
		"redis_version:0123456789012345678901234567890123456789",
		"master_replid:0123456789ABCDEF0123456789abcdef01234567",
	};
	struct info info;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[512];
		const char *wrong = NULL;

		snprintf(text, sizeof(text), "run_id:" RUN_ID "\r\nrole:master\r\n%s\r\n", lines[i]);
		if (info_parse(&info, text, strlen(text), &wrong))
			fail_msg("accepted: %s", lines[i]);
		assert_non_null(wrong);
	}
	assert_false(parse(&info, ""));
	assert_false(parse(&info, "role:master\r\n"));
	assert_false(parse(&info, "run_id:" RUN_ID "\r\n"));
}

static void unknown_is_passed_over(void **state)
{
	struct info info;

	(void)state;
	assert_true(parse(&info, "run_id:" RUN_ID "\nrole:master\nnew_field:what:ever\nno colon\n:\nslave_x:1\n"
				 "database:1\ndb:1\nslave1x:ip=1\n"));
	assert_int_equal(info.slave_count, 0);
}

/* Every prefix, in memory that ends where it says: for the sanitizer. */
static void every_cut_is_survived(void **state)
{
	(void)state;
	for (size_t length = 0; length <= sizeof(master_text) - 1; length++) {
		char *copy = malloc(length ? length : 1);
		const char *wrong = NULL;
		struct info info;

		memcpy(copy, master_text, length);
		info_parse(&info, copy, length, &wrong);
		free(copy);
	}
}

static void crowd_of_slaves_is_bounded(void **state)
{
	char text[16384] = "run_id:" RUN_ID "\r\nrole:master\r\n";
	struct info info;

	(void)state;
	for (int i = 0; i < 100; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "slave%d:ip=1.2.3.4,port=%d\r\n", i, i);
	assert_true(parse(&info, text));
	assert_int_equal(info.slave_count, INFO_SLAVES_MAX);
	assert_int_equal(info.slaves[0].lag, INFO_UNKNOWN);
}

static void versions(void **state)
{
	(void)state;
	assert_false(info_version_supported(""));
	assert_false(info_version_supported("5.0.14"));
	assert_false(info_version_supported("6.0.20"));
	assert_false(info_version_supported("6.2.0"));
	assert_false(info_version_supported("6.2.5"));
	assert_true(info_version_supported("6.2.6"));
	assert_true(info_version_supported("6.2.16"));
	assert_true(info_version_supported("7.0.0"));
	assert_true(info_version_supported("7.2.4")); /* what Valkey calls itself */
	assert_true(info_version_supported("255.255.255"));
}

/* ---- ROLE ---- */

static bool parse_role(struct role *role, const char *bytes)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;
	bool parsed;

	assert_int_equal(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	parsed = role_parse(role, reply);
	freeReplyObject(reply);
	redisReaderFree(reader);
	return parsed;
}

static void roles_are_read(void **state)
{
	struct role role;

	(void)state;
	assert_true(parse_role(&role, "*3\r\n$6\r\nmaster\r\n:3129659\r\n*0\r\n"));
	assert_int_equal(role.role, SERVER_ROLE_MASTER);
	assert_int_equal(role.offset, 3129659);
	assert_true(parse_role(&role, "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:42\r\n"));
	assert_int_equal(role.role, SERVER_ROLE_SLAVE);
	assert_string_equal(role.master_host, "127.0.0.1");
	assert_int_equal(role.master_port, 9000);
	assert_string_equal(role.state, "connected");
	assert_int_equal(role.offset, 42);
	assert_true(parse_role(&role, "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$7\r\nconnect\r\n:-1\r\n"));
	assert_int_equal(role.offset, -1);
}

static void other_roles_are_refused(void **state)
{
	static const char *const replies[] = {
		"*2\r\n$8\r\nsentinel\r\n*0\r\n", "*0\r\n", "*-1\r\n", "+OK\r\n", "-LOADING\r\n", ":1\r\n",
		"*1\r\n$6\r\nmaster\r\n", "*3\r\n$6\r\nmaster\r\n$1\r\n5\r\n*0\r\n", "*3\r\n$6\r\nmaster\r\n:-5\r\n*0\r\n",
		"*3\r\n$6\r\nmaster\r\n:9223372036854775807\r\n*0\r\n",
		"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$7\r\nconnect\r\n:-2\r\n",
		"*4\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$7\r\nconnect\r\n",
		"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:70000\r\n$7\r\nconnect\r\n:-1\r\n",
		"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$30\r\naaaaaaaaaabbbbbbbbbbcccccccccc\r\n:-1\r\n",
	};
	struct role role;

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (parse_role(&role, replies[i]))
			fail_msg("accepted: %s", replies[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(master_is_read),
		cmocka_unit_test(slave_is_read),
		cmocka_unit_test(sync_is_read),
		cmocka_unit_test(servers_say_who_they_are),
		cmocka_unit_test(malformed_is_refused),
		cmocka_unit_test(unknown_is_passed_over),
		cmocka_unit_test(every_cut_is_survived),
		cmocka_unit_test(crowd_of_slaves_is_bounded),
		cmocka_unit_test(versions),
		cmocka_unit_test(roles_are_read),
		cmocka_unit_test(other_roles_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
