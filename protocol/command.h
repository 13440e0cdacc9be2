#ifndef WEIR_PROTOCOL_COMMAND_H
#define WEIR_PROTOCOL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

/* The command table. weir learns every command from the server's COMMAND
 * reply; special.def names only those that need a treatment of their own.
 * A table is immutable once built, shared between threads by reference count,
 * and looked up without locks. */

/* What routing has to know of a command. Decided once, when the table is built. */
enum command_class {
	COMMAND_WRITE,       /* master; also everything unknown or not flagged readonly */
	COMMAND_READ,        /* a fresh enough replica, else the master */
	COMMAND_USERS,       /* a write after which users may do other things */
	COMMAND_MASTER_READ, /* reads that only make sense on the master, or change something there unnoticed */
	COMMAND_CURSOR,      /* MASTER_READ, or a READ whose cursor carries a tag ([routing] scan) */
	COMMAND_SCRIPT,      /* master, on the shared backend for scripts */
	COMMAND_TRANSACTION, /* MULTI and its kin: pins the session to a private backend */
	COMMAND_BLOCKING,    /* one request on a private backend, if its arguments make it block */
	COMMAND_PRIVATE,     /* one request on a private backend, always */
	COMMAND_STREAM,      /* SUBSCRIBE, MONITOR, tracking: the server speaks unasked from then on */
	COMMAND_LOCAL,       /* weir's own: connection state */
	COMMAND_REFUSED,     /* never sent; special.def has the reason */
	COMMAND_CLASS_COUNT
};

/* Identity of a special command, from special.def: SPECIAL_PING, ... */
enum command_special {
	SPECIAL_NONE,
#define SPECIAL(id, name, subcommand, class, reason) SPECIAL_##id,
#include "special.def"
#undef SPECIAL
	SPECIAL_COUNT
};

/* The server's flags that weir uses, as bits. */
enum command_flag {
	COMMAND_FLAG_WRITE = 1 << 0,
	COMMAND_FLAG_READONLY = 1 << 1,
	COMMAND_FLAG_FAST = 1 << 2,
	COMMAND_FLAG_BLOCKING = 1 << 3,
	COMMAND_FLAG_MODULE = 1 << 4,
	COMMAND_FLAG_PUBSUB = 1 << 5,
	COMMAND_FLAG_ADMIN = 1 << 6,
	COMMAND_FLAG_NOSCRIPT = 1 << 7,
	COMMAND_FLAG_MAY_REPLICATE = 1 << 8,
	COMMAND_FLAG_NO_AUTH = 1 << 9,
	COMMAND_FLAG_MOVABLE_KEYS = 1 << 10,
	COMMAND_FLAG_NO_MULTI = 1 << 11,
};

struct command {
	const char *name;       /* lower case; "container|sub" for a subcommand */
	uint16_t name_length;
	int16_t arity;          /* as COMMAND gives it: negative is a minimum; 0 unknown */
	uint32_t flags;         /* enum command_flag */
	uint8_t class;          /* enum command_class */
	uint8_t special;        /* enum command_special */
	bool known;             /* false: neither learned nor special */
	bool learned;           /* the server listed it, or the container that has it */
	bool listed;            /* the server listed it by this name */
	bool container;         /* has subcommands: argument 1 selects one */
	int16_t first_key;      /* position of the first key, 0 none */
	int16_t last_key;       /* negative counts from the end */
	int16_t key_step;
	uint16_t index;         /* 0 .. command_table_count()-1; 0 is "unknown" */
	uint16_t parent;        /* a subcommand: index of its container; else 0 */
	uint16_t number;        /* of its name, the same in every table (command_table_number()); 0: none */
	const char *refusal;    /* class COMMAND_REFUSED: why, in one sentence; else NULL */
};

struct command_table;
struct server_words;

/* The special commands alone: what is known before a server was asked. The
 * caller owns one reference. */
struct command_table *command_table_builtin(void);

/* Built from the bytes of a whole COMMAND reply (RESP2 or RESP3, redis 6.2 to
 * 8, Valkey). NULL with *error set (static text) when it is not such a reply.
 * module_reads: blank-separated module commands that may be read on replicas,
 * if the server flags them readonly; NULL or "" for none. */
struct command_table *command_table_learn(const char *reply, size_t length, const char *module_reads,
					  const char **error);

/* How the server speaks, which goes with its commands: set before the table is
 * shared, and taken over. */
void command_table_take_words(struct command_table *table, struct server_words *words);
const struct server_words *command_table_words(const struct command_table *table);

/* Tables come and go, and indexes with them; what is counted by command goes on.
 * `number` gives each name a number of its own. Before the table is shared. */
void command_table_number(struct command_table *table, uint16_t (*number)(void *arg, const char *name), void *arg);

struct command_table *command_table_acquire(struct command_table *table);
/* Takes the reference away and sets the caller's pointer to NULL. */
void command_table_release(struct command_table **table);

/* All three: never NULL, case-insensitive, no allocation, no lock. An unknown
 * name gives a command with known == false and class COMMAND_WRITE.
 *
 * The hot path looks up argument 0 and decodes argument 1 only for the few
 * commands that have subcommands:
 *
 *	command = command_find_name(table, request.name);
 *	if (command->container && request.argc > 1)
 *		command = command_find_sub(table, command, argument 1); */
const struct command *command_find_name(const struct command_table *table, struct slice name);
/* The subcommand; the container itself when it has none of that name. */
const struct command *command_find_sub(const struct command_table *table, const struct command *container,
				       struct slice sub);
/* Both steps. `sub` may be empty, and is ignored where there are no subcommands. */
const struct command *command_find(const struct command_table *table, struct slice name, struct slice sub);

size_t command_table_count(const struct command_table *table);
const struct command *command_table_at(const struct command_table *table, size_t index);

/* Does this BLOCKING-class request block (XREAD and XREADGROUP only with the
 * option BLOCK, the others always)? `request` is a whole canonical multibulk. */
bool command_blocks(const struct command *command, const char *request);

/* The class of one request: that of its command, except that a BLOCKING one
 * which does not block is a READ (XREAD) or a WRITE (XREADGROUP), and that a
 * CONFIG SET which is about no user is a MASTER_READ, or LOCAL where the
 * replicas are to be told as well. */
enum command_class command_resolved_class(const struct command *command, const char *request);
static inline bool command_class_is_fixed(const struct command *command)
{
	return command->class != COMMAND_BLOCKING && command->class != COMMAND_USERS;
}
static inline enum command_class command_class_of(const struct command *command, const char *request)
{
	return command_class_is_fixed(command) ? (enum command_class)command->class : command_resolved_class(command, request);
}

/* Does it change the master's data without its replicas being told? DEBUG
 * POPULATE does, and a DEBUG RELOAD of whatever the file holds. */
bool command_is_untold(const struct command *command, const char *request);

/* May it have that many words, its name included? True as long as nothing is known against it. */
static inline bool command_takes(const struct command *command, int64_t argc)
{
	return command->arity < 0 ? argc >= -command->arity : command->arity == 0 || argc == command->arity;
}

/* "read", "write", ... for metrics and ROUTE. */
const char *command_class_name(enum command_class class);

#endif
