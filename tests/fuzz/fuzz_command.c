#include "pieces.h"

#include "../../protocol/command.h"

/* Any bytes as a reply to COMMAND: a table or an error. Every command of a
 * table can be asked for, whatever the server called it. */

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

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *reply = exact_copy((const char *)input, size);
	const char *error = NULL;
	struct command_table *table = command_table_learn(reply, size, "ft.search get", &error);

	REQUIRE((table == NULL) == (error != NULL));
	if (table != NULL) {
		check_table(table);
		check_lookups(table, reply, size);
	}
	command_table_release(&table);
	free(reply);
	return 0;
}
