#include "gathered.h"

#include "../../protocol/command.h"

/* Any bytes as a reply to COMMAND: a table or an error, and the same whether they
 * came whole or in pieces. Every command of a table can be asked for, whatever
 * the server called it. */

static void check_table(const struct command_table *table)
{
	for (size_t i = 0; i < command_table_count(table); i++) {
		const struct command *command = command_table_at(table, i);
		const struct command *found;

		REQUIRE(command->index == i && strlen(command->name) <= command->name_length);
		REQUIRE(command->class < COMMAND_CLASS_COUNT && command->special < SPECIAL_COUNT);
		REQUIRE((command->class == COMMAND_REFUSED) == (command->refusal != NULL));
		REQUIRE(command->class != COMMAND_READ ||
			(command->flags & COMMAND_FLAG_READONLY && !(command->flags & COMMAND_FLAG_WRITE)));
		if (i == 0 || command->parent)
			continue;
		found = command_find_name(table, (struct slice){ command->name, command->name_length });
		REQUIRE(found->known && found->index <= i); /* the first of its name */
	}
}

static void check_lookups(const struct command_table *table, const char *bytes, size_t length)
{
	for (size_t at = 0; at + 2 < length && at < 200; at++) {
		size_t name = 1 + (unsigned char)bytes[at] % 40;
		size_t sub = (unsigned char)bytes[at + 1] % 20;

		if (at + name + sub > length)
			break;
		REQUIRE(command_find(table, (struct slice){ bytes + at, name }, (struct slice){ bytes + at + name, sub }));
	}
	REQUIRE(command_find(table, slice_of("CLIENT"), slice_of("kill"))->special == SPECIAL_CLIENT_KILL);
}

static struct command_table *learn(struct slice reply)
{
	const char *error = NULL;
	struct command_table *table = command_table_learn(reply.bytes, reply.length, "ft.search get", &error);

	REQUIRE((table == NULL) == (error != NULL));
	return table;
}

static void compare(const struct command_table *a, const struct command_table *b)
{
	REQUIRE((a == NULL) == (b == NULL));
	if (a == NULL)
		return;
	REQUIRE(command_table_count(a) == command_table_count(b));
	for (size_t i = 0; i < command_table_count(a); i++) {
		const struct command *one = command_table_at(a, i), *other = command_table_at(b, i);

		REQUIRE(one->name_length == other->name_length && memcmp(one->name, other->name, one->name_length) == 0);
		REQUIRE(one->class == other->class && one->special == other->special && one->flags == other->flags);
		REQUIRE(one->arity == other->arity && one->parent == other->parent && one->first_key == other->first_key);
	}
}

static void learn_both(const struct gathered *both)
{
	struct command_table *whole = learn(both->whole), *cut = learn(both->cut);

	compare(whole, cut);
	command_table_release(&whole);
	command_table_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct command_table *table;
	struct gathered both;
	char *bytes;

	if (size < 1)
		return 0;
	bytes = exact_copy((const char *)input + 1, size - 1);
	table = learn((struct slice){ bytes, size - 1 });
	if (table != NULL) {
		check_table(table);
		check_lookups(table, bytes, size - 1);
	}
	command_table_release(&table);
	if (gather_both(bytes, size - 1, (struct cuts){ .seed = input[0] }, &both)) {
		learn_both(&both);
		gathered_free(&both);
	}
	free(bytes);
	return 0;
}
