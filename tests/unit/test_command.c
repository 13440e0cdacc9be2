#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/buf.h"
#include "../../protocol/command.h"
#include "../../protocol/encode.h"

/* data/command-7.0.15.resp is the reply of a redis-server 7.0.15 to COMMAND,
 * read from its socket. */
static const char captured_path[] = "tests/unit/data/command-7.0.15.resp";

struct bytes {
	char *at;
	size_t length;
};

static struct bytes captured(void)
{
	struct bytes bytes = { malloc(1 << 20), 0 };
	FILE *file = fopen(captured_path, "rb");

	assert_non_null(file);
	bytes.length = fread(bytes.at, 1, 1 << 20, file);
	fclose(file);
	bytes.at = realloc(bytes.at, bytes.length); /* exactly sized: ASan sees reads beyond */
	return bytes;
}

static struct command_table *learn_captured(const char *module_reads)
{
	struct bytes bytes = captured();
	const char *error = NULL;
	struct command_table *table = command_table_learn(bytes.at, bytes.length, module_reads, &error);

	assert_non_null(table);
	assert_null(error);
	free(bytes.at);
	return table;
}

static const struct command *find(const struct command_table *table, const char *name, const char *sub)
{
	return command_find(table, slice_of(name), slice_of(sub));
}

/* ---- lookup ---- */

static void check_found(const struct command_table *table, const struct command *command, bool upper)
{
	char name[300];
	char *bar;

	snprintf(name, sizeof(name), "%s", command->name);
	for (char *at = name; *at != '\0'; at++)
		if (upper && *at >= 'a' && *at <= 'z')
			*at = (char)(*at - 32);
	bar = command->parent ? strchr(name, '|') : NULL;
	if (bar != NULL)
		*bar++ = '\0';
	assert_ptr_equal(find(table, name, bar != NULL ? bar : ""), command);
}

static void every_command_is_found(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	assert_true(command_table_count(table) > 340);
	for (size_t i = 1; i < command_table_count(table); i++) {
		const struct command *command = command_table_at(table, i);

		assert_int_equal(command->index, i);
		assert_int_equal(command->name_length, strlen(command->name));
		assert_true(command->known);
		check_found(table, command, false);
		check_found(table, command, true);
	}
	command_table_release(&table);
	assert_null(table);
}

static void near_misses_are_unknown(void **state)
{
	static const char *const names[] = {
		"", "ge", "gett", "g", "get ", "config|get", "zrangebyscor", "zrangebyscorex", "georadiusbymember_r",
		"g\x05t", "ge\xf4", "@et", "[et", "set\x7f", "host;", "zremrangebyscorezremrangebyscore",
	};
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct command *command = find(table, names[i], "");

		assert_false(command->known);
		assert_int_equal(command->index, 0);
		assert_int_equal(command->class, COMMAND_WRITE);
	}
	assert_false(command_find(table, (struct slice){ "get\0", 4 }, slice_of(""))->known);
	assert_ptr_equal(command_table_at(table, 1000000), command_table_at(table, 0));
	command_table_release(&table);
}

/* Only letters are folded: no other byte may be taken for another. */
static void folding_is_of_letters_alone(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char name[] = { 'g', (char)byte, 't' };
		char sub[] = { (char)byte, 'e', 't' };
		bool is_get = byte == 'e' || byte == 'E';
		const struct command *config = command_find(table, slice_of("config"), (struct slice){ sub, 3 });

		assert_int_equal(command_find(table, (struct slice){ name, 3 }, slice_of(""))->known, is_get);
		assert_int_equal(config->parent != 0, byte == 'g' || byte == 'G' || byte == 's' || byte == 'S');
	}
	command_table_release(&table);
}

/* Exactly sized names: nothing beyond them is read. */
static void names_of_any_length(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t length = 1; length < 300; length++) {
		char *name = malloc(length);

		memset(name, 'a', length);
		assert_false(command_find(table, (struct slice){ name, length }, slice_of(""))->known);
		assert_int_equal(command_find(table, slice_of("config"), (struct slice){ name, length })->special,
				 SPECIAL_CONFIG);
		free(name);
	}
	command_table_release(&table);
}

static void containers(void **state)
{
	struct command_table *table = learn_captured("");
	const struct command *config = command_find_name(table, slice_of("CONFIG"));

	(void)state;
	assert_true(config->container);
	assert_string_equal(command_find_sub(table, config, slice_of("Get"))->name, "config|get");
	assert_int_equal(command_find_sub(table, config, slice_of("Get"))->parent, config->index);
	assert_ptr_equal(command_find_sub(table, config, slice_of("nothing")), config);
	assert_ptr_equal(command_find_sub(table, config, slice_of("")), config);
	assert_false(find(table, "get", "")->container);
	assert_ptr_equal(find(table, "get", "get"), find(table, "get", ""));
	assert_string_equal(find(table, "client", "kill")->name, "client|kill");
	assert_string_equal(find(table, "debug", "sleep")->name, "debug");
	command_table_release(&table);
}

/* ---- what is learned ---- */

static void fields_are_those_of_the_server(void **state)
{
	struct command_table *table = learn_captured("");
	const struct command *mset = find(table, "mset", "");
	const struct command *get = find(table, "get", "");

	(void)state;
	assert_int_equal(mset->arity, -3);
	assert_int_equal(mset->first_key, 1);
	assert_int_equal(mset->last_key, -1);
	assert_int_equal(mset->key_step, 2);
	assert_int_equal(mset->flags, COMMAND_FLAG_WRITE);
	assert_int_equal(get->flags, COMMAND_FLAG_READONLY | COMMAND_FLAG_FAST);
	assert_int_equal(get->arity, 2);
	assert_true(get->learned);
	assert_true(find(table, "client", "list")->learned);
	assert_false(find(table, "client", "setinfo")->learned);
	assert_int_equal(find(table, "object", "encoding")->first_key, 2);
	assert_int_equal(find(table, "blpop", "")->flags,
			 COMMAND_FLAG_WRITE | COMMAND_FLAG_BLOCKING | COMMAND_FLAG_NOSCRIPT);
	assert_true(find(table, "auth", "")->flags & COMMAND_FLAG_NO_AUTH);
	assert_true(find(table, "publish", "")->flags & COMMAND_FLAG_PUBSUB);
	assert_true(find(table, "zdiff", "")->flags & COMMAND_FLAG_MOVABLE_KEYS);
	assert_true(find(table, "config", "set")->flags & COMMAND_FLAG_ADMIN);
	command_table_release(&table);
}

static const struct {
	const char *name;
	const char *sub;
	enum command_class class;
} classes[] = {
	{ "get", "", COMMAND_READ },           { "mget", "", COMMAND_READ },
	{ "keys", "", COMMAND_READ },          { "sort_ro", "", COMMAND_READ },
	{ "sintercard", "", COMMAND_READ },    { "georadius_ro", "", COMMAND_READ },
	{ "bitfield_ro", "", COMMAND_READ },   { "xpending", "", COMMAND_READ },
	{ "xrange", "", COMMAND_READ },        { "lcs", "", COMMAND_READ },
	{ "set", "", COMMAND_WRITE },          { "sort", "", COMMAND_WRITE },
	{ "bitfield", "", COMMAND_WRITE },     { "georadius", "", COMMAND_WRITE },
	{ "getex", "", COMMAND_WRITE },        { "publish", "", COMMAND_WRITE },
	{ "flushall", "", COMMAND_WRITE },     { "debug", "sleep", COMMAND_WRITE },
	{ "acl", "setuser", COMMAND_USERS },   { "acl", "load", COMMAND_USERS },
	{ "acl", "deluser", COMMAND_USERS },   { "acl", "whoami", COMMAND_WRITE },
	{ "config", "set", COMMAND_USERS },    { "xgroup", "create", COMMAND_WRITE },
	{ "save", "", COMMAND_WRITE },         { "nosuchcommand", "", COMMAND_WRITE },
	{ "object", "freq", COMMAND_MASTER_READ }, { "memory", "usage", COMMAND_MASTER_READ },
	{ "pfcount", "", COMMAND_MASTER_READ },    { "info", "", COMMAND_MASTER_READ },
	{ "config", "get", COMMAND_MASTER_READ },  { "scan", "", COMMAND_CURSOR },
	{ "touch", "", COMMAND_MASTER_READ },      { "dbsize", "", COMMAND_MASTER_READ },
	{ "randomkey", "", COMMAND_MASTER_READ }, { "xinfo", "stream", COMMAND_MASTER_READ },
	{ "eval", "", COMMAND_SCRIPT },        { "fcall_ro", "", COMMAND_READ },
	{ "script", "load", COMMAND_SCRIPT },  { "function", "load", COMMAND_SCRIPT },
	{ "script", "kill", COMMAND_PRIVATE }, { "function", "kill", COMMAND_PRIVATE },
	{ "function", "stats", COMMAND_MASTER_READ },
	{ "script", "debug", COMMAND_REFUSED },
	{ "multi", "", COMMAND_TRANSACTION },  { "watch", "", COMMAND_TRANSACTION },
	{ "blpop", "", COMMAND_BLOCKING },     { "bzmpop", "", COMMAND_BLOCKING },
	{ "xread", "", COMMAND_BLOCKING },     { "xreadgroup", "", COMMAND_BLOCKING },
	{ "wait", "", COMMAND_PRIVATE },       { "client", "nosuchverb", COMMAND_PRIVATE },
	{ "subscribe", "", COMMAND_STREAM },   { "client", "tracking", COMMAND_STREAM },
	{ "ping", "", COMMAND_LOCAL },         { "client", "setname", COMMAND_LOCAL },
	{ "weir", "", COMMAND_LOCAL },         { "client", "setinfo", COMMAND_LOCAL },
	{ "replicaof", "", COMMAND_REFUSED },  { "shutdown", "", COMMAND_REFUSED },
	{ "client", "reply", COMMAND_LOCAL },  { "host:", "", COMMAND_REFUSED },
	{ "waitaof", "", COMMAND_REFUSED },
};

static void classes_of_redis_7(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		assert_string_equal(command_class_name(find(table, classes[i].name, classes[i].sub)->class),
				    command_class_name(classes[i].class));
	command_table_release(&table);
}

/* No command that changes anything, or blocks, may be taken for a read. */
static void reads_are_harmless(void **state)
{
	struct command_table *table = learn_captured("");
	size_t reads = 0;

	(void)state;
	for (size_t i = 0; i < command_table_count(table); i++) {
		const struct command *command = command_table_at(table, i);

		assert_int_equal(command->class == COMMAND_REFUSED, command->refusal != NULL);
		if (command->class != COMMAND_READ)
			continue;
		reads++;
		assert_true(command->flags & COMMAND_FLAG_READONLY);
		assert_false(command->flags & (COMMAND_FLAG_WRITE | COMMAND_FLAG_BLOCKING | COMMAND_FLAG_ADMIN |
					       COMMAND_FLAG_MAY_REPLICATE | COMMAND_FLAG_PUBSUB));
	}
	assert_true(reads > 70);
	command_table_release(&table);
}

static void words_that_a_command_takes(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	assert_false(command_takes(find(table, "get", ""), 1));
	assert_true(command_takes(find(table, "get", ""), 2));
	assert_false(command_takes(find(table, "get", ""), 3));
	assert_false(command_takes(find(table, "set", ""), 2));
	assert_true(command_takes(find(table, "set", ""), 3));
	assert_true(command_takes(find(table, "set", ""), 1000000));
	assert_true(command_takes(find(table, "xgroup", "create"), 5));
	assert_false(command_takes(find(table, "xgroup", "create"), 4));
	assert_true(command_takes(find(table, "nosuch", ""), 1));
	command_table_release(&table);
}

/* Rows with a subcommand need the row of their container. */
static void specials_are_complete(void **state)
{
	static const struct {
		const char *name;
		const char *sub;
		enum command_special id;
	} specials[] = {
#define SPECIAL(id, name, sub, class, reason) { name, sub, SPECIAL_##id },
#include "../../protocol/special.def"
#undef SPECIAL
	};
	struct command_table *builtin = command_table_builtin();
	struct command_table *learned = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		assert_int_equal(find(builtin, specials[i].name, specials[i].sub)->special, specials[i].id);
		assert_int_equal(find(learned, specials[i].name, specials[i].sub)->special, specials[i].id);
	}
	assert_false(find(builtin, "get", "")->known);
	assert_true(find(builtin, "ping", "")->known);
	assert_false(find(builtin, "ping", "")->learned);
	command_table_release(&builtin);
	command_table_release(&learned);
}

/* ---- other forms of the reply ---- */

static struct command_table *learn(const char *reply, const char *module_reads)
{
	const char *error = NULL;
	size_t length = strlen(reply);
	char *block = malloc(length);
	struct command_table *table;

	memcpy(block, reply, length);
	table = command_table_learn(block, length, module_reads, &error);
	free(block);
	if (table == NULL)
		assert_non_null(error);
	return table;
}

static struct command_table *learn_good(const char *reply, const char *module_reads)
{
	struct command_table *table = learn(reply, module_reads);

	assert_non_null(table);
	return table;
}

#define KEYS ":1\r\n:1\r\n:1\r\n"

static void form_of_redis_6(void **state)
{
	struct command_table *table =
		learn_good("*4\r\n"
			   "*7\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n" KEYS "*1\r\n+@read\r\n"
			   "*6\r\n$6\r\nclient\r\n:-2\r\n*2\r\n+admin\r\n+noscript\r\n:0\r\n:0\r\n:0\r\n"
			   "*7\r\n$5\r\nthing\r\n:-2\r\n*1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n*0\r\n"
			   "*7\r\n$5\r\nblpop\r\n:-3\r\n*2\r\n+write\r\n+blocking\r\n:1\r\n:-2\r\n:1\r\n*0\r\n",
			   "");

	(void)state;
	assert_int_equal(find(table, "GET", "")->class, COMMAND_READ);
	assert_int_equal(find(table, "thing", "stream")->class, COMMAND_READ);
	assert_int_equal(find(table, "blpop", "")->class, COMMAND_BLOCKING);
	assert_int_equal(find(table, "client", "kill")->class, COMMAND_LOCAL);
	assert_int_equal(find(table, "client", "kill")->arity, -2);
	assert_true(find(table, "client", "kill")->learned);
	assert_false(find(table, "client", "setinfo")->listed);
	assert_int_equal(find(table, "client", "id")->special, SPECIAL_CLIENT_ID);
	assert_int_equal(find(table, "client", "list")->special, SPECIAL_CLIENT_LIST);
	assert_int_equal(find(table, "client", "getredir")->special, SPECIAL_CLIENT_GETREDIR);
	assert_int_equal(find(table, "client", "nosuchverb")->special, SPECIAL_CLIENT);
	assert_false(find(table, "getdel", "")->known);
	command_table_release(&table);
}

static void form_of_resp3_and_later_fields(void **state)
{
	struct command_table *table =
		learn_good("|1\r\n+note\r\n*1\r\n+x\r\n"
			   "*3\r\n"
			   "*12\r\n+GET\r\n:2\r\n~2\r\n+readonly\r\n+brand_new\r\n" KEYS
			   "~1\r\n|1\r\n+a\r\n+b\r\n+@read\r\n*0\r\n*1\r\n%1\r\n+flags\r\n~1\r\n+RO\r\n*0\r\n%1\r\n+a\r\n*1\r\n:1\r\n_\r\n"
			   "*10\r\n$5\r\nthing\r\n:-2\r\n~0\r\n:0\r\n:0\r\n:0\r\n~0\r\n~0\r\n*0\r\n"
			   "*2\r\n*10\r\n$12\r\nthing|stream\r\n:-3\r\n~1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n~0\r\n~0\r\n*0\r\n*0\r\n"
			   "*6\r\n$4\r\nhelp\r\n:2\r\n~1\r\n|1\r\n+a\r\n+b\r\n+readonly\r\n:0\r\n:0\r\n:0\r\n"
			   "_\r\n",
			   "");

	(void)state;
	assert_int_equal(find(table, "get", "")->class, COMMAND_READ);
	assert_string_equal(find(table, "get", "")->name, "get");
	assert_string_equal(find(table, "thing", "STREAM")->name, "thing|stream");
	assert_int_equal(find(table, "thing", "stream")->class, COMMAND_READ);
	assert_string_equal(find(table, "thing", "help")->name, "thing|help");
	assert_int_equal(find(table, "thing", "help")->class, COMMAND_READ);
	assert_int_equal(find(table, "thing", "other")->class, COMMAND_WRITE);
	command_table_release(&table);
}

static void module_commands(void **state)
{
	static const char reply[] = "*5\r\n"
				    "*6\r\n$9\r\nFT.SEARCH\r\n:-3\r\n*2\r\n+readonly\r\n+module\r\n" KEYS
				    "*6\r\n$8\r\nJSON.GET\r\n:-2\r\n*1\r\n+readonly\r\n" KEYS
				    "*6\r\n$8\r\nJSON.SET\r\n:-2\r\n*2\r\n+write\r\n+module\r\n" KEYS
				    "*6\r\n$4\r\nvsim\r\n:-2\r\n*2\r\n+readonly\r\n+module\r\n" KEYS
				    "*6\r\n$5\r\nft.wt\r\n:-2\r\n*2\r\n+module\r\n+blocking\r\n" KEYS;
	struct command_table *table = learn_good(reply, NULL);

	(void)state;
	assert_int_equal(find(table, "ft.search", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "json.get", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "vsim", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "ft.wt", "")->class, COMMAND_BLOCKING);
	command_table_release(&table);
	table = learn_good(reply, "  ft.search\tJSON.GET json.set , nosuch ");
	assert_int_equal(find(table, "ft.search", "")->class, COMMAND_READ);
	assert_int_equal(find(table, "json.get", "")->class, COMMAND_READ);
	assert_int_equal(find(table, "json.set", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "vsim", "")->class, COMMAND_WRITE);
	command_table_release(&table);
}

static void odd_but_harmless(void **state)
{
	struct command_table *table =
		learn_good("*6\r\n"
			   "*6\r\n$0\r\n\r\n:1\r\n*0\r\n" KEYS
			   "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n" KEYS
			   "*6\r\n$3\r\nGET\r\n:9\r\n*1\r\n+write\r\n" KEYS
			   "*6\r\n+a\r\n:99999\r\n:5\r\n*1\r\n*1\r\n:1\r\n_\r\n$-1\r\n"
			   "*6\r\n+b\r\n*0\r\n*2\r\n*1\r\n+write\r\n$-1\r\n" KEYS
			   "*6\r\n$4\r\nping\r\n:-1\r\n*1\r\n+write\r\n" KEYS,
			   "");

	(void)state;
	assert_int_equal(find(table, "get", "")->arity, 2);
	assert_int_equal(find(table, "get", "")->class, COMMAND_READ);
	assert_int_equal(find(table, "a", "")->arity, 0);
	assert_int_equal(find(table, "a", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "b", "")->class, COMMAND_WRITE);
	assert_int_equal(find(table, "ping", "")->class, COMMAND_LOCAL);
	command_table_release(&table);
}

static void replies_that_are_refused(void **state)
{
	static const char *const replies[] = {
		"", "+OK\r\n", "-NOPERM no\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "*0\r\n", "%1\r\n+a\r\n+b\r\n",
		"*1\r\n", "*1\r\n*6\r\n", "*1\r\n+get\r\n", "*1\r\n*0\r\n",
		"*1\r\n*5\r\n+get\r\n:2\r\n*0\r\n:1\r\n:1\r\n",
		"*1\r\n*6\r\n:1\r\n:2\r\n*0\r\n" KEYS,
		"*1\r\n*6\r\n$-1\r\n:2\r\n*0\r\n" KEYS,
		"*1\r\n*6\r\n+get\r\n:2\r\n*0\r\n" KEYS "+more\r\n",
		"*2000000000\r\n",
		"*1\r\n*10\r\n+a\r\n:2\r\n*0\r\n" KEYS "*0\r\n*0\r\n*0\r\n*1\r\n+b\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		assert_null(learn(replies[i], ""));
}

/* A cut reply is no reply, wherever it is cut. */
static void every_cut_is_refused(void **state)
{
	struct bytes bytes = captured();

	(void)state;
	for (size_t cut = 0; cut < bytes.length; cut += cut < 2000 ? 1 : 1009) {
		const char *error = NULL;
		char *block = malloc(cut ? cut : 1);

		memcpy(block, bytes.at, cut);
		assert_null(command_table_learn(block, cut, "", &error));
		assert_non_null(error);
		free(block);
	}
	free(bytes.at);
}

/* Bytes beside the letters stay what they are: { is no lower case of [. */
static void odd_names_are_kept_apart(void **state)
{
	struct command_table *table = learn_good("*3\r\n"
						 "*6\r\n+{x\r\n:1\r\n*0\r\n" KEYS
						 "*6\r\n+`x\r\n:1\r\n*0\r\n" KEYS
						 "*6\r\n+\xe1\r\n:1\r\n*0\r\n" KEYS, "");

	(void)state;
	assert_true(find(table, "{X", "")->known);
	assert_true(find(table, "`X", "")->known);
	assert_true(find(table, "\xe1", "")->known);
	assert_false(find(table, "[X", "")->known);
	assert_false(find(table, "@X", "")->known);
	assert_false(find(table, "\xc1", "")->known);
	command_table_release(&table);
}

/* Names that share length and ending: found in each other's way, told apart
 * by their beginnings. */
static void names_alike(void **state)
{
	enum { COUNT = 20000 };
	struct buf reply = { 0 };
	struct command_table *table;
	const char *error = NULL;
	char name[32];

	(void)state;
	encode_array(&reply, COUNT);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "c%05d-ending", i);
		encode_array(&reply, 6);
		encode_bulk_text(&reply, name);
		buf_append_text(&reply, ":1\r\n*0\r\n" KEYS);
	}
	table = command_table_learn(buf_head(&reply), buf_length(&reply), "", &error);
	assert_non_null(table);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "C%05d-Ending", i);
		assert_int_equal(find(table, name, "")->index, i + 1);
		name[0] = 'x';
		assert_false(find(table, name, "")->known);
	}
	command_table_release(&table);
	buf_free(&reply);
}

static void too_many_commands(void **state)
{
	struct buf reply = { 0 };
	const char *error = NULL;
	char name[16];

	(void)state;
	encode_array(&reply, 70000);
	for (int i = 0; i < 70000; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		encode_array(&reply, 6);
		encode_bulk_text(&reply, name);
		buf_append_text(&reply, ":1\r\n*0\r\n" KEYS);
	}
	assert_null(command_table_learn(buf_head(&reply), buf_length(&reply), "", &error));
	assert_string_equal(error, "too many commands");
	buf_free(&reply);
}

/* ---- requests ---- */

static const struct {
	const char *line; /* words */
	bool blocks;
	enum command_class class;
} streams[] = {
	{ "XREAD STREAMS k 0", false, COMMAND_READ },
	{ "XREAD COUNT 2 STREAMS k 0", false, COMMAND_READ },
	{ "XREAD BLOCK 0 STREAMS k $", true, COMMAND_BLOCKING },
	{ "xread count 2 block 10 streams k $", true, COMMAND_BLOCKING },
	{ "XREAD STREAMS BLOCK 0", false, COMMAND_READ },
	{ "XREAD COUNT BLOCK STREAMS k 0", false, COMMAND_READ },
	{ "XREAD COUNT STREAMS BLOCK 0 STREAMS k 0", true, COMMAND_BLOCKING },
	{ "XREAD", false, COMMAND_READ },
	{ "XREAD NOSUCH BLOCK 0 STREAMS k 0", false, COMMAND_READ },
	{ "XREADGROUP GROUP g c STREAMS k >", false, COMMAND_WRITE },
	{ "XREADGROUP GROUP g streams BLOCK 0 STREAMS k >", true, COMMAND_BLOCKING },
	{ "XREADGROUP GROUP block block NOACK STREAMS k >", false, COMMAND_WRITE },
	{ "XREADGROUP GROUP g c COUNT 1 NOACK BLOCK 5 STREAMS k >", true, COMMAND_BLOCKING },
	{ "XREADGROUP GROUP g", false, COMMAND_WRITE },
	{ "BLPOP k 0", true, COMMAND_BLOCKING },
	{ "GET block", false, COMMAND_READ },
	{ "SET k v", false, COMMAND_WRITE },
};

static void requests_that_block(void **state)
{
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		char words[128], *rest, *word;
		struct slice argv[16];
		struct buf request = { 0 };
		const struct command *command;
		size_t argc = 0;

		snprintf(words, sizeof(words), "%s", streams[i].line);
		for (word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
			argv[argc++] = slice_of(word);
		encode_request(&request, argc, argv);
		command = command_find_name(table, argv[0]);
		assert_int_equal(command_blocks(command, buf_head(&request)), streams[i].blocks);
		assert_int_equal(command_class_of(command, buf_head(&request)), streams[i].class);
		buf_free(&request);
	}
	command_table_release(&table);
}

static void settings_by_what_they_are_about(void **state)
{
	static const struct {
		const char *request;
		enum command_class class;
	} rows[] = {
		{ "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nRequirePass\r\n$1\r\nx\r\n", COMMAND_USERS },
		{ "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n", COMMAND_MASTER_READ },
		{ "*2\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n", COMMAND_MASTER_READ },
		{ "*6\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\nhz\r\n$2\r\n10\r\n$11\r\nrequirepass\r\n$1\r\nx\r\n",
		  COMMAND_USERS },
		{ "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$22\r\nSET-max-intset-entries\r\n$1\r\n1\r\n", COMMAND_LOCAL },
		{ "*5\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\nhz\r\n$2\r\n10\r\n$14\r\nlua-time-limit\r\n", COMMAND_LOCAL },
		{ "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$2\r\nhz\r\n$14\r\nlua-time-limit\r\n", COMMAND_MASTER_READ },
	};
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(command_class_of(find(table, "config", "set"), rows[i].request), rows[i].class);
	command_table_release(&table);
}

static void debug_that_no_replica_is_told_of(void **state)
{
	static const struct {
		const char *request;
		bool untold;
	} rows[] = {
		{ "*3\r\n$5\r\nDEBUG\r\n$8\r\nPopulate\r\n$1\r\n9\r\n", true },
		{ "*3\r\n$5\r\nDEBUG\r\n$6\r\nreload\r\n$6\r\nNOSAVE\r\n", true },
		{ "*4\r\n$5\r\nDEBUG\r\n$6\r\nreload\r\n$5\r\nmerge\r\n$6\r\nnosave\r\n", true },
		{ "*2\r\n$5\r\nDEBUG\r\n$6\r\nreload\r\n", false },
		{ "*3\r\n$5\r\nDEBUG\r\n$5\r\nsleep\r\n$6\r\nnosave\r\n", false },
		{ "*1\r\n$5\r\nDEBUG\r\n", false },
	};
	struct command_table *table = learn_captured("");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(command_is_untold(find(table, "debug", ""), rows[i].request), rows[i].untold);
	assert_false(command_is_untold(find(table, "get", ""), rows[0].request));
	command_table_release(&table);
}

static void class_names(void **state)
{
	(void)state;
	for (int class = 0; class < COMMAND_CLASS_COUNT; class++)
		assert_non_null(command_class_name((enum command_class)class));
	assert_string_equal(command_class_name(COMMAND_MASTER_READ), "master_read");
	assert_string_equal(command_class_name(COMMAND_CLASS_COUNT), "unknown");
}

/* ---- life ---- */

static void *look_and_let_go(void *argument)
{
	struct command_table *table = argument;

	for (int i = 0; i < 10000; i++) {
		struct command_table *mine = command_table_acquire(table);

		if (!find(mine, "config", "get")->known)
			abort();
		command_table_release(&mine);
	}
	command_table_release(&table);
	return NULL;
}

static void shared_between_threads(void **state)
{
	struct command_table *table = learn_captured("");
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_and_let_go, command_table_acquire(table)), 0);
	command_table_release(&table);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	command_table_release(&table); /* NULL: nothing to do */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_found),
		cmocka_unit_test(near_misses_are_unknown),
		cmocka_unit_test(folding_is_of_letters_alone),
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(containers),
		cmocka_unit_test(fields_are_those_of_the_server),
		cmocka_unit_test(classes_of_redis_7),
		cmocka_unit_test(reads_are_harmless),
		cmocka_unit_test(words_that_a_command_takes),
		cmocka_unit_test(specials_are_complete),
		cmocka_unit_test(form_of_redis_6),
		cmocka_unit_test(form_of_resp3_and_later_fields),
		cmocka_unit_test(module_commands),
		cmocka_unit_test(odd_but_harmless),
		cmocka_unit_test(replies_that_are_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(odd_names_are_kept_apart),
		cmocka_unit_test(names_alike),
		cmocka_unit_test(too_many_commands),
		cmocka_unit_test(requests_that_block),
		cmocka_unit_test(settings_by_what_they_are_about),
		cmocka_unit_test(debug_that_no_replica_is_told_of),
		cmocka_unit_test(class_names),
		cmocka_unit_test(shared_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
