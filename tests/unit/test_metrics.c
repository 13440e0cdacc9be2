/* /metrics: names that need quoting, figures that are not known, and the rows
 * of stats.def. The module is compiled in here with a view of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define topology_view fake_view
#define metrics_print tested_metrics_print
#define metrics_begin_family tested_begin_family
#define metrics_begin_common_family tested_begin_common_family
#define metrics_print_quoted tested_print_quoted
#define reload_succeeded_unix_ms fake_reload
#include "../../proxy/admin/metrics.c"

static struct topology_node_view nodes[2];
static struct topology_view view;
static struct stats stats[2];
static const struct stats *const all_stats[] = { &stats[0], &stats[1] };
static struct config config = { .max_clients = 7 };

const struct topology_view *fake_view(struct topology *topology)
{
	(void)topology;
	return &view;
}

int64_t fake_reload(const struct reload *reload)
{
	(void)reload;
	return 1700000000250;
}

static int set_up(void **state)
{
	(void)state;
	nodes[0] = (struct topology_node_view){ .name = "a:1", .up = true, .is_master = true, .offset = 9007199254740991, .resyncs_full = 3,
						.keys = -1, .lag_ms = -1 };
	nodes[1] = (struct topology_node_view){ .name = "b:1", .lag_ms = 1234.5, .lag_bytes = -1, .offset = 0,
						.resyncs_full = -1, .resyncs_partial = -1, .resyncs_refused = -1 };
	view = (struct topology_view){ .state = TOPOLOGY_OK, .wiring_mode = "observe", .master = 0, .node_count = 2,
				       .nodes = nodes };
	memset(stats, 0, sizeof(stats));
	return 0;
}

static char *print(void)
{
	struct admin_sources sources = { .config = &config, .stats = all_stats, .stats_count = 2,
					 .started_ns = clock_ns() };
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	tested_metrics_print(&sources, out);
	fclose(out);
	return text;
}

static void expect(const char *text, const char *line)
{
	if (strstr(text, line) == NULL)
		fail_msg("missing: %s", line);
}

static void expect_none(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("unexpected: %s", part);
}

static void test_values(void **state)
{
	char *text = print();

	(void)state;
	expect(text, "\nweir_node_up{node=\"a:1\",role=\"master\"} 1\n");
	expect(text, "\nweir_node_up{node=\"b:1\",role=\"replica\"} 0\n");
	expect(text, "\nweir_node_offset_bytes{node=\"a:1\"} 9007199254740991\n");
	expect(text, "\nweir_node_offset_bytes{node=\"b:1\"} 0\n");
	expect(text, "\nweir_replica_lag_seconds{node=\"b:1\"} 1.234500\n");
	expect(text, "\nweir_state{state=\"ok\"} 1\nweir_state{state=\"degraded\"} 0\n");
	expect(text, "\nweir_wiring_enforced 0\n");
	expect(text, "\nweir_clients_max 7\n");
	expect(text, "\nweir_config_last_reload_success_timestamp_seconds 1700000000.250\n");
	expect(text, "\nweir_node_resyncs_total{node=\"a:1\",kind=\"full\"} 3\n");
	expect(text, "\nweir_node_resyncs_total{node=\"a:1\",kind=\"partial\"} 0\n");
	expect_none(text, "weir_node_resyncs_total{node=\"b:1\"");
	expect(text, "\nprocess_start_time_seconds ");
	expect(text, "\nprocess_resident_memory_bytes ");
	free(text);
}

static void test_unknown_has_no_sample(void **state)
{
	char *text = print();

	(void)state;
	expect_none(text, "weir_node_keys{node=\"a:1\"}");
	expect_none(text, "weir_replica_lag_bytes{node=\"b:1\"}");
	expect_none(text, "weir_replica_lag_seconds{node=\"a:1\"}");
	expect_none(text, "weir_replica_readable{node=\"a:1\"}");
	free(text);
}

static void test_label_values_are_quoted(void **state)
{
	char *text;

	(void)state;
	nodes[1].name = "a\"b\\c\nd";
	text = print();
	expect(text, "weir_replica_readable{node=\"a\\\"b\\\\c\\nd\"} 0\n");
	free(text);
}

static size_t count(const char *text, const char *part)
{
	size_t found = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		found++;
	return found;
}

static void test_counters(void **state)
{
	char *text, head[160];

	(void)state;
	stats_add(&stats[0], STAT_writes, 2);
	stats_add(&stats[1], STAT_writes, 3);
	text = print();
	expect(text, "\nweir_commands_total{class=\"write\",route=\"master\",result=\"ok\"} 5\n");
	for (size_t i = 0; i < STAT_COUNT; i++) {
		if (stat_rows[i].metric[0] == '\0')
			continue;
		snprintf(head, sizeof(head), "# TYPE weir_%s %s\n", stat_rows[i].metric,
			 stat_rows[i].kind == STAT_KIND_COUNTER ? "counter" : "gauge");
		assert_int_equal(count(text, head), 1); /* rows of a metric stand together and agree */
	}
	assert_int_equal(count(text, "# HELP "), count(text, "# TYPE "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_values, set_up),
		cmocka_unit_test_setup(test_unknown_has_no_sample, set_up),
		cmocka_unit_test_setup(test_label_values_are_quoted, set_up),
		cmocka_unit_test_setup(test_counters, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
