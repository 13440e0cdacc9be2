/* What /status makes of a view that a real group seldom shows: nothing known,
 * no master, text that is no text. The module is compiled in here with a view
 * of the test's own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#define topology_view fake_view
#define status_json tested_status_json
#include "../../proxy/admin/status.c"

static struct topology_node_view nodes[2];
static struct topology_view view;
static struct stats stats;
static const struct stats *const all_stats[] = { &stats };
static struct config config = { .max_clients = 7 };

const struct topology_view *fake_view(struct topology *topology)
{
	(void)topology;
	return &view;
}

static struct topology_node_view unknown_node(const char *name)
{
	return (struct topology_node_view){
		.name = name, .address = name, .sync_in_progress = -1, .sync_read_bytes = -1, .sync_total_bytes = -1, .loading = -1, .read_only = -1, .offset = -1,
		.received_offset = -1, .lag_bytes = -1, .lag_ms = -1, .ack_lag_seconds = -1, .ack_offset = -1,
		.last_io_seconds = -1, .priority = -1, .second_replid_offset = -1, .keys = -1, .connected_replicas = -1,
		.backlog_active = -1, .backlog_size = -1, .backlog_first_byte_offset = -1, .backlog_histlen = -1, .users_compared = -1, .differing_users = -1 };
}

static json_t *load_status(void)
{
	struct journal *journal = journal_create();
	struct admin_sources sources = { .config = &config, .journal = journal, .stats = all_stats, .stats_count = 1,
					 .started_ns = clock_ns() };
	char *text = tested_status_json(&sources);
	json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(document);
	free(text);
	journal_destroy(&journal);
	return document;
}

static int set_up(void **state)
{
	(void)state;
	nodes[0] = unknown_node("a:1");
	nodes[1] = unknown_node("b:1");
	view = (struct topology_view){ .state = TOPOLOGY_NO_MASTER, .no_master_reason = "starting", .wiring_mode = "enforce",
				       .master = -1, .node_count = 2, .nodes = nodes };
	stats = (struct stats){ 0 };
	return 0;
}

static void assert_null_key(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || !json_is_null(value))
		fail_msg("%s is not null", key);
}

static void test_nothing_known(void **state)
{
	static const char *const unknown[] = {
		"role", "redis_version", "server_name", "server_version", "run_id", "replid", "replid2", "second_replid_offset", "offset", "keys",
		"loading", "connected_replicas", "master_address", "link", "link_state", "sync_in_progress",
		"sync_read_bytes", "sync_total_bytes", "received_offset", "state_at_master", "ack_offset", "lag_bytes", "lag_ms", "ack_lag_seconds", "last_io_seconds", "read_only",
		"priority", "reason", "wiring", "resync_if_reconnected" };
	json_t *document = load_status(), *replica, *backlog_row;

	(void)state;
	assert_null_key(document, "master");
	assert_string_equal(json_string_value(json_object_get(document, "state")), "no_master");
	assert_string_equal(json_string_value(json_object_get(document, "no_master_reason")), "starting");
	assert_int_equal(json_array_size(json_object_get(document, "replicas")), 2);
	replica = json_array_get(json_object_get(document, "replicas"), 1);
	assert_string_equal(json_string_value(json_object_get(replica, "name")), "b:1");
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_null_key(replica, unknown[i]);
	backlog_row = json_object_get(replica, "backlog");
	assert_int_equal(json_object_size(backlog_row), 4);
	assert_null_key(backlog_row, "active");
	assert_null_key(backlog_row, "size");
	json_decref(document);
}

static void test_master_stands_apart(void **state)
{
	json_t *document, *master;

	(void)state;
	view.master = 1;
	view.state = TOPOLOGY_DEGRADED;
	nodes[1].offset = INT64_MAX;
	document = load_status();
	master = json_object_get(document, "master");
	assert_string_equal(json_string_value(json_object_get(master, "name")), "b:1");
	assert_true(json_integer_value(json_object_get(master, "offset")) == INT64_MAX);
	assert_int_equal(json_array_size(json_object_get(document, "replicas")), 1);
	json_decref(document);
}

static void test_hostile_values(void **state)
{
	json_t *document, *replica;

	(void)state;
	nodes[0].redis_version = "\xff\xfe";
	nodes[0].reason = "a \"quoted\"\n\x01 reason";
	nodes[0].lag_ms = NAN;
	nodes[1].lag_ms = INFINITY;
	document = load_status();
	replica = json_array_get(json_object_get(document, "replicas"), 0);
	assert_null_key(replica, "redis_version");
	assert_null_key(replica, "lag_ms");
	assert_string_equal(json_string_value(json_object_get(replica, "reason")), nodes[0].reason);
	assert_null_key(json_array_get(json_object_get(document, "replicas"), 1), "lag_ms");
	json_decref(document);
}

static void test_counters_of_all_workers(void **state)
{
	json_t *document;

	(void)state;
	stats_add(&stats, STAT_writes, 5);
	stats_add(&stats, STAT_retried_reads, 3);
	stats_add(&stats, STAT_clients_connected, 2);
	document = load_status();
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "commands"), "writes")), 5);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "commands"), "retried_reads")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "clients"), "connected")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "clients"), "max")), 7);
	assert_int_equal(json_object_size(json_object_get(document, "counters")), STAT_COUNT);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_known, set_up),
		cmocka_unit_test_setup(test_master_stands_apart, set_up),
		cmocka_unit_test_setup(test_hostile_values, set_up),
		cmocka_unit_test_setup(test_counters_of_all_workers, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
