#include "command_names.h"

#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"

struct command_names {
	size_t count;
	char *at[COMMAND_NAMES_MAX];
};

struct command_names *command_names_create(void)
{
	struct command_names *names = alloc_zeroed(1, sizeof(*names));

	names->at[names->count++] = alloc_text("other", 5);
	return names;
}

void command_names_destroy(struct command_names **names)
{
	for (size_t i = 0; i < (*names)->count; i++)
		free((*names)->at[i]);
	free(*names);
	*names = NULL;
}

/* Looked through one by one: a few hundred of them, when a server is new. */
uint16_t command_names_number(void *arg, const char *name)
{
	struct command_names *names = arg;

	for (size_t i = 1; i < names->count; i++)
		if (strcmp(names->at[i], name) == 0)
			return (uint16_t)i;
	if (names->count == COMMAND_NAMES_MAX)
		return 0;
	names->at[names->count] = alloc_text(name, strlen(name));
	return (uint16_t)names->count++;
}

size_t command_names_count(const struct command_names *names)
{
	return names->count;
}

const char *command_names_at(const struct command_names *names, size_t number)
{
	return names->at[number];
}
