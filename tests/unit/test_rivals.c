/* Who came first, by CLIENT LIST; and addresses as servers spell them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/address.h"
#include "../../topology/rivals.h"

#define OWN "weir-control-1111111111111111"
#define OTHER "weir-control-2222222222222222"

static const char *find_as(const char *list, bool newcomer)
{
	static char name[64];

	return rivals_find_weir(list, strlen(list), OWN, newcomer, name, sizeof(name)) ? name : NULL;
}

static const char *find(const char *list)
{
	return find_as(list, false);
}

static void whoever_came_first_controls(void **state)
{
	(void)state;
	assert_null(find("id=5 addr=1.2.3.4:5 name=" OWN " age=1\n"));
	assert_null(find("id=5 name=" OWN " age=1\nid=6 name=" OTHER " age=1\n"));
	assert_string_equal(find("id=4 name=" OTHER " age=1\nid=5 name=" OWN " age=1\n"), OTHER);
	assert_string_equal(find("id=5 name=" OWN " age=1\nid=4 name=" OTHER " age=1"), OTHER);
	assert_string_equal(find("id=7 name=" OTHER "\n"), OTHER); /* it could not name itself */
	/* an own connection that is only half gone counts too */
	assert_null(find("id=3 name=" OWN "\nid=4 name=" OTHER "\nid=5 name=" OWN "\n"));
}

static void newcomers_stand_behind_all(void **state)
{
	(void)state;
	assert_null(find_as("id=5 name=" OWN "\n", true));
	assert_string_equal(find_as("id=5 name=" OWN "\nid=6 name=" OTHER "\n", true), OTHER);
}

static const char *find_leader(const char *list)
{
	static char name[64];

	return rivals_find_leader(list, strlen(list), OTHER, name, sizeof(name)) ? name : NULL;
}

/* The lowest name goes first: of those who would promote. */
static void whoever_would_promote_goes_first(void **state)
{
	(void)state;
	assert_null(find_leader("id=1 name=" OWN "\nid=2 name=" OTHER "-promotes\n"));
	assert_string_equal(find_leader("id=3 name=" OWN "-promotes age=1\nid=2 name=" OTHER "-promotes\n"), OWN);
	assert_null(find_leader("id=1 name=weir-control-3333333333333333-promotes\nid=2 name=" OTHER "-promotes\n"));
	assert_string_equal(find_leader("name=" OWN "-promotes\nname=weir-control-0333333333333333-promotes\nname=" OWN "\n"),
			    "weir-control-0333333333333333");
	assert_null(find_leader("id=1 name=" OWN "-promoter\nid=2 name=" OWN "-promotes!\nid=3 name=" OWN "-\n"));
}

static void the_mark_is_no_other_name(void **state)
{
	(void)state;
	assert_null(find("id=5 name=" OWN "-promotes\nid=6 name=" OTHER "\n"));
	assert_string_equal(find("id=4 name=" OTHER "-promotes\nid=5 name=" OWN "\n"), OTHER);
}

static void other_names_are_nobody(void **state)
{
	(void)state;
	assert_null(find(""));
	assert_null(find("\n\nid=\nname=\nid=x name=\n"));
	assert_null(find("id=1 name=weir-control- age=1\nid=2 name=weir-control-zzzzzzzzzzzzzzzz\n"));
	assert_null(find("id=1 lib-name=" OTHER " name=app\n"));
	assert_null(find("id=1 name=" OTHER "3\n"));
}

static void spellings_of_an_address(void **state)
{
	struct address address;

	(void)state;
	assert_true(address_parse(&address, "127.0.0.1", 6379));
	assert_true(address_is_loopback(&address));
	assert_true(address_has_host(&address, "localhost"));
	assert_true(address_has_host(&address, "::1"));
	assert_false(address_has_host(&address, "10.0.0.1"));
	assert_false(address_has_host(&address, "127.0.0.2")); /* may be another server */
	assert_true(address_parse(&address, "10.0.0.1", 6379));
	assert_false(address_is_loopback(&address));
	assert_true(address_has_host(&address, "10.0.0.1"));
	assert_true(address_has_host(&address, "::ffff:10.0.0.1"));
	assert_false(address_has_host(&address, "10.0.0.2"));
	assert_false(address_has_host(&address, "::1"));
	assert_false(address_has_host(&address, "localhost"));
	assert_false(address_has_host(&address, "127.0.0.1"));
	assert_true(address_host_is_loopback("localhost"));
	assert_true(address_host_is_loopback("127.1.2.3"));
	assert_true(address_host_is_loopback("127.1"));
	assert_true(address_host_is_loopback("0x7f000001"));
	assert_true(address_host_is_loopback("::1"));
	assert_true(address_host_is_loopback("0.0.0.0"));
	assert_false(address_host_is_loopback("10.0.0.1"));
	assert_false(address_host_is_loopback("redis.example"));
	assert_false(address_parse(&address, "redis.example", 6379));
}

static void addresses_are_written_for_people(void **state)
{
	char text[64];

	(void)state;
	address_format(text, sizeof(text), "10.0.0.1", 6379);
	assert_string_equal(text, "10.0.0.1:6379");
	address_format(text, sizeof(text), "fe80::1", 1);
	assert_string_equal(text, "[fe80::1]:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_came_first_controls),
		cmocka_unit_test(newcomers_stand_behind_all),
		cmocka_unit_test(whoever_would_promote_goes_first),
		cmocka_unit_test(the_mark_is_no_other_name),
		cmocka_unit_test(other_names_are_nobody),
		cmocka_unit_test(spellings_of_an_address),
		cmocka_unit_test(addresses_are_written_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
