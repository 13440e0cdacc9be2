/* Ten minutes of seconds: what is kept, of whom, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../proxy/admin/history.h"

static int setup(void **state)
{
	*state = history_create();
	return 0;
}

static int teardown(void **state)
{
	history_destroy((struct history **)state);
	assert_null(*state);
	return 0;
}

/* Every column of sample n holds n times ten and the column's number. */
static void add(struct history *history, int64_t n)
{
	int64_t values[HISTORY_COLUMNS];

	for (int i = 0; i < HISTORY_COLUMNS; i++)
		values[i] = 10 * n + i;
	history_add(history, 1000 * n + 5, values);
}

static void add_node(struct history *history, const char *name, int64_t n)
{
	int64_t values[HISTORY_NODE_COLUMNS];

	for (int i = 0; i < HISTORY_NODE_COLUMNS; i++)
		values[i] = 10 * n + i;
	history_add_node(history, name, values);
}

static json_t *told(struct history *history, uint64_t since)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	json_t *document;

	fputc('{', out);
	history_print(history, since, out);
	fputc('}', out);
	fclose(out);
	document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(document);
	free(text);
	return document;
}

static size_t count(json_t *object, const char *key)
{
	assert_true(json_is_array(json_object_get(object, key)));
	return json_array_size(json_object_get(object, key));
}

static json_int_t value(json_t *object, const char *key, size_t index)
{
	json_t *item = json_array_get(json_object_get(object, key), index);

	return json_is_null(item) ? -1 : json_integer_value(item);
}

static void test_empty(void **state)
{
	json_t *document = told(*state, 0);

	assert_int_equal(json_integer_value(json_object_get(document, "newest")), 0);
	assert_int_equal(count(document, "time"), 0);
	assert_int_equal(count(document, "nodes"), 0);
	json_decref(document);
}

static void test_columns(void **state)
{
	json_t *document, *node;

	add(*state, 1);
	add_node(*state, "a \"b\" \\", 1);
	add(*state, 2);
	add_node(*state, "a \"b\" \\", 2);
	document = told(*state, 0);
	assert_int_equal(count(document, "time"), 2);
	assert_float_equal(json_real_value(json_array_get(json_object_get(document, "time"), 1)), 2.005, 1e-9);
	assert_int_equal(value(document, "clients", 0), 10);
	assert_int_equal(value(document, "reads_on_replicas", 1), 21);
	assert_int_equal(value(document, "reads_on_master", 1), 22);
	assert_int_equal(value(document, "writes", 1), 23);
	assert_int_equal(value(document, "others", 1), 24);
	node = json_array_get(json_object_get(document, "nodes"), 0);
	assert_string_equal(json_string_value(json_object_get(node, "name")), "a \"b\" \\");
	assert_int_equal(value(node, "requests", 1), 20);
	assert_int_equal(value(node, "lag_us", 1), 21);
	assert_int_equal(value(node, "lag_bytes", 1), 22);
	assert_int_equal(value(node, "p50_us", 1), 23);
	assert_int_equal(value(node, "p99_us", 1), 24);
	json_decref(document);
}

static void test_since(void **state)
{
	json_t *document;

	for (int i = 1; i <= 5; i++)
		add(*state, i);
	document = told(*state, 3);
	assert_int_equal(count(document, "clients"), 2);
	assert_int_equal(value(document, "clients", 0), 40);
	json_decref(document);
	document = told(*state, UINT64_MAX);
	assert_int_equal(count(document, "clients"), 0);
	assert_int_equal(json_integer_value(json_object_get(document, "newest")), 5);
	json_decref(document);
}

static void test_ten_minutes(void **state)
{
	json_t *document;

	for (int i = 1; i <= HISTORY_SAMPLES + 3; i++)
		add(*state, i);
	document = told(*state, 0);
	assert_int_equal(count(document, "clients"), HISTORY_SAMPLES);
	assert_int_equal(value(document, "clients", 0), 40);
	assert_int_equal(value(document, "clients", HISTORY_SAMPLES - 1), 10 * (HISTORY_SAMPLES + 3));
	json_decref(document);
}

/* Servers come and go: what was not there is not known. */
static void test_nodes_come_and_go(void **state)
{
	json_t *document, *nodes;

	add(*state, 1);
	add_node(*state, "old", 1);
	add(*state, 2);
	add_node(*state, "new", 2);
	document = told(*state, 0);
	nodes = json_object_get(document, "nodes");
	assert_int_equal(json_array_size(nodes), 2);
	assert_int_equal(value(json_array_get(nodes, 0), "requests", 0), 10);
	assert_int_equal(value(json_array_get(nodes, 0), "requests", 1), -1);
	assert_int_equal(value(json_array_get(nodes, 1), "requests", 0), -1);
	assert_int_equal(value(json_array_get(nodes, 1), "requests", 1), 20);
	json_decref(document);
	for (int i = 3; i <= HISTORY_SAMPLES + 1; i++) {
		add(*state, i);
		add_node(*state, "new", i);
	}
	document = told(*state, 0);
	nodes = json_object_get(document, "nodes");
	assert_int_equal(json_array_size(nodes), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(nodes, 0), "name")), "new");
	json_decref(document);
}

static void test_nodes_are_bounded(void **state)
{
	json_t *document;

	for (int i = 0; i < 3 * HISTORY_NODES_MAX; i++) {
		char name[24];

		snprintf(name, sizeof(name), "node %d", i);
		add(*state, i + 1);
		add_node(*state, name, i + 1);
	}
	document = told(*state, 0);
	assert_int_equal(count(document, "nodes"), HISTORY_NODES_MAX);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_columns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ten_minutes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes_are_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
