#include "command_table.h"

#include "alloc.h"
#include "resp.h"
#include "setting.h"

/* Lookup in a finished command table: one hash over the case-folded name, read
 * in words of eight bytes. Nothing here changes after command_table_create(),
 * but the reference count. */

/* ---- names ---- */

static uint64_t load64(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint64_t load32(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* A to Z become a to z in all eight bytes at once. */
static uint64_t folded(uint64_t word)
{
	uint64_t low = word & 0x7f7f7f7f7f7f7f7f;
	uint64_t from_a = low + 0x3f3f3f3f3f3f3f3f;  /* 0x80 - 'A' */
	uint64_t beyond_z = low + 0x2525252525252525; /* 0x7f - 'Z' */

	return word | (((from_a & ~beyond_z & ~word) & 0x8080808080808080) >> 2);
}

/* The last eight bytes of a name in one word, or all of a shorter one: of two
 * names of one length up to 8 the words are equal only if the names are. No
 * byte outside of the name is read; the length is at least 1. */
static uint64_t last_word(struct slice name)
{
	const char *at = name.bytes;
	size_t length = name.length;

	if (length >= 8)
		return folded(load64(at + length - 8));
	if (length >= 4)
		return folded(load32(at) | load32(at + length - 4) << 32);
	return folded((uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[length / 2] << 8 |
		      (uint64_t)(unsigned char)at[length - 1] << 16);
}

static uint64_t mixed(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

static uint64_t name_hash(struct slice name, uint64_t word, uint16_t parent)
{
	uint64_t hash = mixed(word, (uint64_t)name.length << 56 ^ (uint64_t)parent << 40);

	for (size_t at = 0; at + 8 < name.length; at += 8)
		hash = mixed(hash, folded(load64(name.bytes + at)));
	return hash;
}

/* All of two names of one length but their last eight bytes. */
static bool same_beginning(struct slice a, struct slice b)
{
	for (size_t at = 0; at + 8 < a.length; at += 8)
		if (folded(load64(a.bytes + at)) != folded(load64(b.bytes + at)))
			return false;
	return true;
}

struct slice command_own_name(const struct command_table *table, const struct command *command)
{
	size_t skip = command->parent ? table->commands[command->parent].name_length + 1u : 0;

	return (struct slice){ command->name + skip, command->name_length - skip };
}

/* ---- lookup ---- */

static bool is_slot_of(const struct command_table *table, const struct command_slot *slot, struct slice name,
		       uint64_t word, uint16_t parent)
{
	return slot->word == word && slot->length == name.length && slot->parent == parent &&
	       (name.length <= 8 || same_beginning(command_own_name(table, &table->commands[slot->index]), name));
}

/* The slot that holds the name, or the free one where it would have to be. */
static struct command_slot *find_slot(const struct command_table *table, struct slice name, uint16_t parent)
{
	uint64_t word = last_word(name);
	uint64_t at = name_hash(name, word, parent);

	for (;; at++) {
		struct command_slot *slot = &table->slots[at & table->slot_mask];

		if (slot->length == 0 || is_slot_of(table, slot, name, word, parent))
			return slot;
	}
}

const struct command *command_find_name(const struct command_table *table, struct slice name)
{
	if (name.length == 0)
		return &table->commands[0];
	return &table->commands[find_slot(table, name, 0)->index]; /* a free slot's index is 0 */
}

const struct command *command_find_sub(const struct command_table *table, const struct command *container,
				       struct slice sub)
{
	uint16_t index;

	if (!container->container || sub.length == 0)
		return container;
	index = find_slot(table, sub, container->index)->index;
	return index ? &table->commands[index] : container;
}

const struct command *command_find(const struct command_table *table, struct slice name, struct slice sub)
{
	return command_find_sub(table, command_find_name(table, name), sub);
}

size_t command_table_count(const struct command_table *table)
{
	return table->count;
}

const struct command *command_table_at(const struct command_table *table, size_t index)
{
	return &table->commands[index < table->count ? index : 0];
}

/* ---- life ---- */

static void fill_slot(struct command_table *table, const struct command *command)
{
	struct slice name = command_own_name(table, command);
	struct command_slot *slot = find_slot(table, name, command->parent);

	if (slot->length > 0)
		return;
	*slot = (struct command_slot){
		.word = last_word(name),
		.length = (uint16_t)name.length,
		.parent = command->parent,
		.index = command->index,
	};
}

struct command_table *command_table_create(struct command *commands, size_t count)
{
	struct command_table *table = alloc_zeroed(1, sizeof(*table));
	uint32_t slots = 64;

	while (slots < 2 * count)
		slots *= 2;
	atomic_init(&table->references, 1);
	table->slot_mask = slots - 1;
	table->slots = alloc_zeroed(slots, sizeof(*table->slots));
	table->commands = commands;
	table->count = count;
	for (size_t i = 1; i < count; i++)
		fill_slot(table, &commands[i]);
	return table;
}

void command_table_number(struct command_table *table, uint16_t (*number)(void *arg, const char *name), void *arg)
{
	for (size_t i = 1; i < table->count; i++)
		table->commands[i].number = number(arg, table->commands[i].name);
}

struct command_table *command_table_acquire(struct command_table *table)
{
	atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
	return table;
}

static void destroy(struct command_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free((char *)table->commands[i].name);
	free(table->commands);
	free(table->slots);
	server_words_free(&table->words);
	free(table);
}

void command_table_take_words(struct command_table *table, struct server_words *words)
{
	server_words_free(&table->words);
	table->words = *words;
	*words = (struct server_words){ 0 };
}

const struct server_words *command_table_words(const struct command_table *table)
{
	return &table->words;
}

void command_table_release(struct command_table **owned)
{
	struct command_table *table = *owned;

	*owned = NULL;
	if (table != NULL && atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) == 1)
		destroy(table);
}

/* ---- requests ---- */

/* The options that may stand before STREAMS, and how many arguments each has. */
static const struct {
	const char *word;
	int arguments;
} stream_options[] = {
	{ "BLOCK", 1 },
	{ "COUNT", 1 },
	{ "GROUP", 2 },
	{ "NOACK", 0 },
};

static int stream_option_arguments(struct slice word)
{
	for (size_t i = 0; i < sizeof(stream_options) / sizeof(stream_options[0]); i++)
		if (slice_is(word, stream_options[i].word))
			return stream_options[i].arguments;
	return -1;
}

/* An argument of an option may itself read "BLOCK" or "STREAMS". */
static bool has_block_option(const char *request)
{
	struct resp_args args;
	struct slice word;
	int skip = 1; /* the command's name */

	resp_args_begin(&args, request);
	while (resp_args_next(&args, &word)) {
		if (skip > 0) {
			skip--;
			continue;
		}
		if (slice_is(word, "BLOCK"))
			return true;
		skip = stream_option_arguments(word);
		if (skip < 0)
			return false; /* STREAMS, or a syntax error: it does not block */
	}
	return false;
}

bool command_blocks(const struct command *command, const char *request)
{
	if (command->special == SPECIAL_XREAD || command->special == SPECIAL_XREADGROUP)
		return has_block_option(request);
	return command->class == COMMAND_BLOCKING;
}

/* By what it sets. */
static enum command_class class_of_config_set(const char *request)
{
	enum command_class class = COMMAND_MASTER_READ;
	struct resp_args args;
	struct slice name, value;

	resp_args_begin(&args, request);
	resp_args_next(&args, &name);
	resp_args_next(&args, &name);
	while (resp_args_next(&args, &name)) {
		enum setting_kind kind = setting_kind(name);

		if (kind == SETTING_PASSWORD)
			return COMMAND_USERS;
		if (kind == SETTING_ANSWER)
			class = COMMAND_LOCAL;
		if (!resp_args_next(&args, &value))
			break;
	}
	return class;
}

enum command_class command_resolved_class(const struct command *command, const char *request)
{
	if (command->special == SPECIAL_CONFIG_SET)
		return class_of_config_set(request);
	if (command->class != COMMAND_BLOCKING || command_blocks(command, request))
		return (enum command_class)command->class;
	return command->flags & COMMAND_FLAG_READONLY ? COMMAND_READ : COMMAND_WRITE;
}

bool command_is_untold(const struct command *command, const char *request)
{
	struct resp_args args;
	struct slice word;
	bool reloads;

	resp_args_begin(&args, request);
	if (command->special != SPECIAL_DEBUG || !resp_args_next(&args, &word) || !resp_args_next(&args, &word))
		return false;
	if (slice_is(word, "populate"))
		return true;
	reloads = slice_is(word, "reload");
	while (reloads && resp_args_next(&args, &word))
		if (slice_is(word, "nosave"))
			return true;
	return false;
}

const char *command_class_name(enum command_class class)
{
	static const char *const names[COMMAND_CLASS_COUNT] = {
		[COMMAND_WRITE] = "write",
		[COMMAND_READ] = "read",
		[COMMAND_USERS] = "users",
		[COMMAND_MASTER_READ] = "master_read",
		[COMMAND_CURSOR] = "cursor",
		[COMMAND_SCRIPT] = "script",
		[COMMAND_TRANSACTION] = "transaction",
		[COMMAND_BLOCKING] = "blocking",
		[COMMAND_PRIVATE] = "private",
		[COMMAND_STREAM] = "stream",
		[COMMAND_LOCAL] = "local",
		[COMMAND_REFUSED] = "refused",
	};

	return (unsigned)class < COMMAND_CLASS_COUNT ? names[class] : "unknown";
}
