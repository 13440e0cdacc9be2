/* Users' rules as servers print them: what means the same, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "../../topology/rules.h"

enum { LINES_MAX = 16 };

/* What hiredis makes of an ACL LIST with these lines. */
struct acl_list {
	redisReply reply;
	redisReply lines[LINES_MAX];
	redisReply *pointers[LINES_MAX];
};

static struct rules *parse(const char *const *lines, size_t count)
{
	struct acl_list list = { .reply = { .type = REDIS_REPLY_ARRAY, .elements = count } };
	struct rules *rules;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(lines[i]);
		char *block = malloc(length ? length : 1); /* of exactly its size */

		memcpy(block, lines[i], length);
		list.lines[i] = (redisReply){ .type = REDIS_REPLY_STRING, .str = block, .len = (int)length };
		list.pointers[i] = &list.lines[i];
	}
	list.reply.element = list.pointers;
	rules = rules_parse(&list.reply);
	for (size_t i = 0; i < count; i++)
		free(list.lines[i].str);
	return rules;
}

static bool alike(const char *a, const char *b)
{
	struct rules *left = parse(&a, 1), *right = parse(&b, 1);
	bool same;

	assert_non_null(left);
	assert_non_null(right);
	same = rules_are_same(left, right);
	rules_free(&left);
	rules_free(&right);
	assert_null(left);
	return same;
}

static void what_means_the_same(void **state)
{
	static const char *const pairs[][2] = {
		/* 6.2 or 7.0, and Valkey 8.0 */
		{ "user default on nopass ~* &* +@all", "user default on nopass sanitize-payload ~* &* +@all" },
		{ "user e off resetchannels -@all +set +get", "user e off sanitize-payload resetchannels -@all +get +set" },
		{ "user default on nopass allkeys allchannels allcommands", "user default on nopass ~* &* +@all" },
		{ "user a off nocommands", "user a off -@all" },
		{ "user a on #11 #22 ~a* ~b* &c &d -@all +get", "user a on #22 #11 ~b* ~a* &d &c -@all +get" },
		{ "user a on +@all -del -flushall", "user a on +@all -flushall -del" },
		{ "user a on -@all +get +set (~x -@all +del)", "user a on -@all +set +get (~x -@all +del)" },
		{ "user a on +@all (~x -@all +del +get)", "user a on +@all (~x -@all +get +del)" },
		{ "user a on +@all (~x ~y -@all +del) (+get)", "user a on +@all (~y ~x -@all +del) (+get)" },
		/* one redis 7.0.15 and another, whose hash tables have another seed */
		{ "user w on -@all +@connection -echo +psync -reset +client +acl|list -quit",
		  "user w on -@all +@connection -quit +client -reset -echo +acl|list +psync" },
		{ "user a on -@all +config -config|set +get", "user a on -@all +get +config -config|set" },
		{ "user a on  -@all", "user a on -@all" },
		{ "user a", "user a" },
		{ "user a ", "user a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_true(alike(pairs[i][0], pairs[i][1]));
}

static void what_does_not(void **state)
{
	static const char *const pairs[][2] = {
		{ "user a on nopass ~* +@all", "user b on nopass ~* +@all" },
		{ "user a on nopass ~* +@all", "user a off nopass ~* +@all" },
		{ "user a on nopass ~* +@all", "user a on ~* +@all" },
		{ "user a on #11 ~* +@all", "user a on #12 ~* +@all" },
		{ "user a on #11 ~* +@all", "user a on #11 #12 ~* +@all" },
		{ "user a on ~a* +@all", "user a on ~a +@all" },
		{ "user a on ~a* +@all", "user a on %R~a* +@all" },
		{ "user a on ~a* +@all", "user a on &a* +@all" },
		{ "user a on +@all", "user a on -@all" },
		{ "user a on -@all +get", "user a on -@all +set" },
		{ "user a on -@all +get", "user a on +get -@all" },
		{ "user a on +@all -@write +set", "user a on +@all +set -@write" },
		{ "user a on -@all +get +set", "user a on -@all +get" },
		{ "user a on skip-sanitize-payload -@all", "user a on -@all" },
		{ "user a on -@all (~x -@all +del)", "user a on -@all" },
		{ "user a on -@all (~x -@all +del)", "user a on -@all ~x +del" },
		{ "user a on -@all (~x -@all +del)", "user a on -@all (~y -@all +del)" },
		{ "user a on -@all (~x +del)", "user a on -@all (~x -del)" },
		{ "user a on -@all +config -config|set", "user a on -@all -config|set +config" },
		{ "user a on -@all +config|get -config", "user a on -@all -config +config|get" },
		{ "user a on -@all +get -@string", "user a on -@all -@string +get" },
		{ "user a on (~x +del) (~y +get)", "user a on (~x +get) (~y +del)" },
		{ "user a on (~x +del ~y)", "user a on (~x +del) ~y" },
		{ "user a on (~x) (+del)", "user a on (~x +del)" },
		{ "user a on (~x)", "user a on ~x" },
		{ "user a on (~x))", "user a on (~x)" },
		{ "user a on ~a ~b", "user a on ~ab" },
		{ "user a on ~a +b", "user a on ~a+b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_false(alike(pairs[i][0], pairs[i][1]));
}

static void what_is_no_list_of_users(void **state)
{
	static const char *const lines[] = { "", " ", "user", "user ", "users a on", "alice on nopass", "USER a on" };
	redisReply error = { .type = REDIS_REPLY_ERROR, .str = "NOPERM", .len = 6 };
	redisReply number = { .type = REDIS_REPLY_INTEGER }, *elements[] = { &number };
	redisReply odd = { .type = REDIS_REPLY_ARRAY, .elements = 1, .element = elements };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *both[] = { "user fine on -@all", lines[i] };

		assert_null(parse(&lines[i], 1));
		assert_null(parse(both, 2));
	}
	assert_null(rules_parse(&error));
	assert_null(rules_parse(&odd));
}

struct seen {
	char text[256];
};

static void note(void *arg, const struct user_rules *user, bool same)
{
	struct seen *seen = arg;

	strcat(strcat(seen->text, user->name), same ? "= " : "! ");
}

static void expect_comparison(const char *const *master, size_t master_count, const char *const *replica,
			      size_t replica_count, const char *wanted)
{
	struct rules *left = parse(master, master_count), *right = parse(replica, replica_count);
	struct seen seen = { "" };

	rules_compare(left, right, note, &seen);
	assert_string_equal(seen.text, wanted);
	rules_free(&left);
	rules_free(&right);
}

static void users_of_the_master_are_looked_up_on_the_replica(void **state)
{
	static const char *const master[] = { "user default on nopass", "user alice on +get", "user carl on +get",
					      "user bob on +get", "user zoe on +get" };
	static const char *const replica[] = { "user zoe on +get", "user carl on +get +set", "user aaron on +get",
					       "user alice on +get", "user default on nopass" };

	(void)state;
	expect_comparison(master, 5, replica, 5, "alice= bob! carl! default= zoe= ");
	expect_comparison(master, 5, replica, 0, "alice! bob! carl! default! zoe! ");
	expect_comparison(master, 0, replica, 5, "");
	expect_comparison(master, 5, master, 5, "alice= bob= carl= default= zoe= ");
}

static void lists_are_the_same_in_any_order(void **state)
{
	static const char *const one[] = { "user b on", "user a on" };
	static const char *const other[] = { "user a on", "user b on" };
	struct rules *left = parse(one, 2), *right = parse(other, 2), *fewer = parse(other, 1), *unknown = NULL;

	(void)state;
	assert_true(rules_are_same(left, right));
	assert_false(rules_are_same(left, fewer));
	assert_false(rules_are_same(left, unknown));
	assert_false(rules_are_same(unknown, left));
	assert_true(rules_are_same(unknown, unknown));
	rules_free(&left);
	rules_free(&right);
	rules_free(&fewer);
	rules_free(&unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_means_the_same),
		cmocka_unit_test(what_does_not),
		cmocka_unit_test(what_is_no_list_of_users),
		cmocka_unit_test(users_of_the_master_are_looked_up_on_the_replica),
		cmocka_unit_test(lists_are_the_same_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
