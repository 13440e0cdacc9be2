#ifndef WEIR_PROTOCOL_COMMAND_TABLE_H
#define WEIR_PROTOCOL_COMMAND_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "command.h"
#include "server_words.h"

/* The inside of a command table, for the two files that share it: command.c
 * looks up, command_learn.c builds. */

/* Open addressing, linear probing, at most half full. */
struct command_slot {
	uint64_t word;   /* the last eight bytes of the name, folded: see command.c */
	uint16_t length; /* of the name (of the subcommand's own part); 0: free */
	uint16_t parent; /* struct command.parent */
	uint16_t index;  /* struct command.index */
};

struct command_table {
	_Atomic uint32_t references;
	uint32_t slot_mask;
	size_t count;
	struct command *commands;  /* [0] is the unknown command; the names are owned */
	struct command_slot *slots;
	struct server_words words;
};

/* The name within its level: without "container|". */
struct slice command_own_name(const struct command_table *table, const struct command *command);

/* Takes over `commands` with the names in it. The caller owns one reference.
 * Of several commands of one name the first is found. */
struct command_table *command_table_create(struct command *commands, size_t count);

#endif
