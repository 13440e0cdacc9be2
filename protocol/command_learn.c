#include "command_table.h"

#include "alloc.h"
#include "resp.h"

/* Builds command tables: from special.def alone, or from the reply to COMMAND
 * with special.def on top. The reply comes from a server and is not trusted:
 * it is framed first, and only then walked; fields of an unknown kind are
 * stepped over, whatever their depth, without recursion.
 *
 * One command of the reply, by position:
 *   0 name, 1 arity, 2 flags, 3 first key, 4 last key, 5 key step,
 *   6 ACL categories, 7 tips, 8 key specifications, 9 subcommands
 * redis 6.2 stops at 6, redis 7 lists the subcommands in the same form, named
 * "container|sub". Read off redis-server 7.0.15 in RESP2 and RESP3. */

enum {
	FIELDS_NEEDED = 6,
	FIELD_SUBCOMMANDS = 9,
	NAME_MAX_BYTES = 128,       /* of each level; a longer one stays unknown */
	COMMANDS_MAX = UINT16_MAX,
};

/* ---- values of a framed reply ---- */

struct value {
	char type;
	int64_t number;    /* ':' its value; aggregates: elements that follow */
	struct slice text; /* the line, or the payload */
};

static bool is_aggregate(char type)
{
	return type == '*' || type == '~' || type == '>' || type == '%' || type == '|';
}

static bool is_bulk(char type)
{
	return type == '$' || type == '!' || type == '=';
}

static int64_t parse_number(struct slice digits)
{
	bool negative = digits.length > 0 && digits.bytes[0] == '-';
	uint64_t number = 0;

	for (size_t i = negative; i < digits.length; i++)
		number = number * 10 + (uint64_t)(digits.bytes[i] - '0');
	return (int64_t)(negative ? 0 - number : number);
}

/* Reads the value at *at, of an aggregate the header only. The bytes were
 * framed before: lines end and lengths are right. */
static struct value take_header(const char **at)
{
	const char *line = *at + 1;
	const char *end = line;
	struct value value = { .type = **at };

	while (end[0] != '\r' || end[1] != '\n')
		end++;
	*at = end + 2;
	value.text = (struct slice){ line, (size_t)(end - line) };
	if (value.type == ':' || is_aggregate(value.type) || is_bulk(value.type))
		value.number = parse_number(value.text);
	if (value.type == '%' || value.type == '|')
		value.number *= 2;
	if (is_bulk(value.type) && value.number >= 0) {
		value.text = (struct slice){ *at, (size_t)value.number };
		*at += value.number + 2;
	}
	return value;
}

/* Steps over `count` values with everything in them. */
static void skip_values(const char **at, int64_t count)
{
	while (count > 0) {
		struct value value = take_header(at);

		count--;
		if (is_aggregate(value.type) && value.number > 0)
			count += value.number;
		if (value.type == '|')
			count++; /* the value behind the attribute */
	}
}

static struct value take_value(const char **at)
{
	struct value value = take_header(at);

	while (value.type == '|') {
		skip_values(at, value.number);
		value = take_header(at);
	}
	return value;
}

static bool is_list(const struct value *value)
{
	return value->type == '*' || value->type == '~';
}

static bool is_text(const struct value *value)
{
	return value->type == '+' || (value->type == '$' && value->number >= 0);
}

/* ---- special.def ---- */

struct special {
	enum command_special id;
	const char *name;
	const char *sub;
	enum command_class class;
	const char *refusal;
};

static const struct special specials[] = {
#define SPECIAL(id, name, sub, class, reason) { SPECIAL_##id, name, sub, COMMAND_##class, reason },
#include "special.def"
#undef SPECIAL
};

enum { SPECIALS = sizeof(specials) / sizeof(specials[0]) };

/* The row of the subcommand, else that of the whole command, else NULL. */
static const struct special *find_special(struct slice name, struct slice sub)
{
	const struct special *whole = NULL;

	for (size_t i = 0; i < SPECIALS; i++) {
		if (!slice_is(name, specials[i].name))
			continue;
		if (slice_is(sub, specials[i].sub))
			return &specials[i];
		if (specials[i].sub[0] == '\0')
			whole = &specials[i];
	}
	return whole;
}

/* ---- the list of commands while it grows ---- */

struct builder {
	struct command *commands;
	size_t count;
	size_t capacity;
	size_t listed;  /* of them, by the server; the others are specials */
	const char *module_reads;
	const char *error;
};

static char *lower_text(struct slice text)
{
	char *lower = alloc_text(text.bytes, text.length);

	for (size_t i = 0; i < text.length; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] | 0x20);
	return lower;
}

/* "container|sub" in lower case. */
static char *joined_name(const struct command *container, struct slice sub)
{
	size_t skip = container->name_length + 1u;
	char *own = lower_text(sub);
	char *name = alloc_checked(malloc(skip + sub.length + 1));

	memcpy(name, container->name, skip - 1);
	name[skip - 1] = '|';
	memcpy(name + skip, own, sub.length + 1);
	free(own);
	return name;
}

/* Adds a copy of *command under `name`, in `parent` (0: at the top level). The
 * pointer is good until the next command is added; NULL: the table is full. */
static struct command *add_command(struct builder *builder, const struct command *command, struct slice name,
				   uint16_t parent)
{
	struct command *added;

	if (builder->count == COMMANDS_MAX) {
		builder->error = "too many commands";
		return NULL;
	}
	if (builder->count == builder->capacity) {
		builder->capacity = builder->capacity ? 2 * builder->capacity : 512;
		builder->commands = alloc_resized(builder->commands, builder->capacity * sizeof(*builder->commands));
	}
	added = &builder->commands[builder->count];
	*added = *command;
	added->index = (uint16_t)builder->count++;
	added->parent = parent;
	added->container = false;
	added->name_length = (uint16_t)name.length;
	if (parent) {
		struct command *container = &builder->commands[parent];

		container->container = true;
		added->name = joined_name(container, name);
		added->name_length = (uint16_t)(container->name_length + 1 + name.length);
	} else {
		added->name = lower_text(name);
	}
	return added;
}

static void begin(struct builder *builder)
{
	struct command unknown = { .class = COMMAND_WRITE };

	add_command(builder, &unknown, slice_of("unknown"), 0);
}

/* ---- classification ---- */

/* The read-only forms of scripts are reads where the server says that they
 * are; one that does not list them shall say so itself. */
static enum command_class special_class(const struct command *command, const struct special *special)
{
	bool is_read = command->flags & COMMAND_FLAG_READONLY && !(command->flags & COMMAND_FLAG_WRITE);

	return special->class == COMMAND_READ && !is_read ? COMMAND_SCRIPT : special->class;
}

static void make_special(struct command *command, const struct special *special)
{
	command->class = (uint8_t)special_class(command, special);
	command->special = (uint8_t)special->id;
	command->refusal = special->class == COMMAND_REFUSED ? special->refusal : NULL;
}

static bool is_listed(const char *words, struct slice name)
{
	while (words != NULL && *words != '\0') {
		size_t length = strcspn(words, " \t,");

		if (length == name.length && length > 0 && strncasecmp(words, name.bytes, length) == 0)
			return true;
		words += length;
		words += strspn(words, " \t,");
	}
	return false;
}

/* redis 6.2 does not flag module commands; no command of its own has a dot. */
static bool is_of_module(const struct command *command, struct slice name)
{
	return command->flags & COMMAND_FLAG_MODULE || memchr(name.bytes, '.', name.length) != NULL;
}

static enum command_class class_by_flags(const struct builder *builder, const struct command *command,
					 struct slice name)
{
	if (command->flags & COMMAND_FLAG_BLOCKING)
		return COMMAND_BLOCKING;
	if (command->flags & COMMAND_FLAG_WRITE || !(command->flags & COMMAND_FLAG_READONLY))
		return COMMAND_WRITE;
	if (is_of_module(command, name) && !is_listed(builder->module_reads, name))
		return COMMAND_WRITE;
	return COMMAND_READ;
}

/* `name` is that of the command, or of the container of `sub`. */
static void classify(const struct builder *builder, struct command *command, struct slice name, struct slice sub)
{
	const struct special *special = find_special(name, sub);

	if (special != NULL)
		make_special(command, special);
	else
		command->class = (uint8_t)class_by_flags(builder, command, name);
}

/* ---- learning ---- */

static const struct {
	const char *word;
	enum command_flag flag;
} flag_words[] = {
	{ "write", COMMAND_FLAG_WRITE },
	{ "readonly", COMMAND_FLAG_READONLY },
	{ "fast", COMMAND_FLAG_FAST },
	{ "blocking", COMMAND_FLAG_BLOCKING },
	{ "module", COMMAND_FLAG_MODULE },
	{ "pubsub", COMMAND_FLAG_PUBSUB },
	{ "admin", COMMAND_FLAG_ADMIN },
	{ "noscript", COMMAND_FLAG_NOSCRIPT },
	{ "may_replicate", COMMAND_FLAG_MAY_REPLICATE },
	{ "no_auth", COMMAND_FLAG_NO_AUTH },
	{ "movablekeys", COMMAND_FLAG_MOVABLE_KEYS },
	{ "no_multi", COMMAND_FLAG_NO_MULTI },
};

static uint32_t flag_of(const struct value *value)
{
	for (size_t i = 0; is_text(value) && i < sizeof(flag_words) / sizeof(flag_words[0]); i++)
		if (slice_is(value->text, flag_words[i].word))
			return flag_words[i].flag;
	return 0;
}

static void skip_elements(const char **at, const struct value *value)
{
	if (is_aggregate(value->type))
		skip_values(at, value->number);
}

static uint32_t take_flags(const char **at)
{
	struct value list = take_value(at);
	uint32_t flags = 0;

	if (!is_list(&list)) {
		skip_elements(at, &list);
		return 0;
	}
	for (int64_t i = 0; i < list.number; i++) {
		struct value word = take_value(at);

		flags |= flag_of(&word);
		skip_elements(at, &word);
	}
	return flags;
}

static int16_t take_small(const char **at)
{
	struct value value = take_value(at);

	skip_elements(at, &value);
	if (value.type != ':' || value.number < INT16_MIN || value.number > INT16_MAX)
		return 0;
	return (int16_t)value.number;
}

/* Behind the name: the fields up to the key step. */
static struct command take_fields(const char **at)
{
	struct command command = { .known = true, .learned = true, .listed = true };

	command.arity = take_small(at);
	command.flags = take_flags(at);
	command.first_key = take_small(at);
	command.last_key = take_small(at);
	command.key_step = take_small(at);
	return command;
}

/* The head of an entry: *rest is the number of fields behind the name. False
 * for a null entry, and with builder->error set for anything else. */
static bool take_entry(struct builder *builder, const char **at, struct slice *name, int64_t *rest)
{
	struct value entry = take_value(at);
	struct value first;

	if (entry.type == '_' || (entry.type == '*' && entry.number < 0))
		return false;
	if (!is_list(&entry) || entry.number < FIELDS_NEEDED) {
		builder->error = "an entry is no command";
		return false;
	}
	first = take_value(at);
	if (!is_text(&first)) {
		builder->error = "a command has no name";
		return false;
	}
	*name = first.text;
	*rest = entry.number - 1;
	return true;
}

static bool is_usable(struct slice name)
{
	return name.length > 0 && name.length <= NAME_MAX_BYTES;
}

/* "config|get" -> "get" */
static struct slice without_container(struct slice name, const struct command *container)
{
	size_t prefix = container->name_length + 1u;

	if (name.length > prefix && name.bytes[prefix - 1] == '|' &&
	    strncasecmp(name.bytes, container->name, prefix - 1) == 0)
		return (struct slice){ name.bytes + prefix, name.length - prefix };
	return name;
}

static void learn_subcommand(struct builder *builder, const char **at, uint16_t parent)
{
	struct slice name, container;
	struct command command;
	int64_t rest;

	if (!take_entry(builder, at, &name, &rest))
		return;
	command = take_fields(at);
	skip_values(at, rest - (FIELDS_NEEDED - 1));
	name = without_container(name, &builder->commands[parent]);
	if (!is_usable(name))
		return;
	container = (struct slice){ builder->commands[parent].name, builder->commands[parent].name_length };
	classify(builder, &command, container, name);
	add_command(builder, &command, name, parent);
}

static void learn_subcommands(struct builder *builder, const char **at, uint16_t parent)
{
	struct value list = take_value(at);

	if (!is_list(&list)) {
		skip_elements(at, &list);
		return;
	}
	for (int64_t i = 0; i < list.number && builder->error == NULL; i++)
		learn_subcommand(builder, at, parent);
}

static void learn_command(struct builder *builder, const char **at)
{
	struct slice name;
	struct command command;
	struct command *added;
	int64_t rest;

	if (!take_entry(builder, at, &name, &rest))
		return;
	command = take_fields(at);
	rest -= FIELDS_NEEDED - 1;
	if (!is_usable(name)) {
		skip_values(at, rest);
		return;
	}
	classify(builder, &command, name, slice_of(""));
	added = add_command(builder, &command, name, 0);
	if (added == NULL || rest <= FIELD_SUBCOMMANDS - FIELDS_NEEDED) {
		skip_values(at, rest);
		return;
	}
	skip_values(at, FIELD_SUBCOMMANDS - FIELDS_NEEDED);
	learn_subcommands(builder, at, added->index);
	if (builder->error == NULL)
		skip_values(at, rest - (FIELD_SUBCOMMANDS - FIELDS_NEEDED) - 1);
}

static bool is_whole_reply(const char *reply, size_t length)
{
	struct resp_reply_framer framer = { 0 };
	size_t used;

	return resp_reply_next(&framer, reply, length, &used) == RESP_OK && used == length;
}

static void learn(struct builder *builder, const char *reply, size_t length)
{
	struct value list;

	if (!is_whole_reply(reply, length)) {
		builder->error = "not a whole reply";
		return;
	}
	list = take_value(&reply);
	if (list.type == '-')
		builder->error = "the server refused COMMAND";
	else if (!is_list(&list) || list.number <= 0)
		builder->error = "not a list of commands";
	for (int64_t i = 0; i < list.number && builder->error == NULL; i++)
		learn_command(builder, &reply);
}

/* ---- specials that the server did not list ---- */

static struct command *find_added(struct builder *builder, const char *name, uint16_t parent)
{
	for (size_t i = 1; i < builder->count; i++) {
		struct command *command = &builder->commands[i];
		size_t skip = parent ? builder->commands[parent].name_length + 1u : 0;

		if (command->parent == parent && strcmp(command->name + skip, name) == 0)
			return command;
	}
	return NULL;
}

static void add_special_command(struct builder *builder, const struct special *special)
{
	struct command command = { .known = true };

	make_special(&command, special);
	if (find_added(builder, special->name, 0) == NULL)
		add_command(builder, &command, slice_of(special->name), 0);
}

/* Did the server list what is in this container? */
static bool is_listed_open(const struct builder *builder, const struct command *container)
{
	for (size_t i = 1; i < builder->listed; i++)
		if (builder->commands[i].parent == container->index)
			return true;
	return false;
}

/* redis 6.2 lists containers alone: what it says of them goes for all that is
 * in them. A later server does not have what it does not list. */
static void add_special_subcommand(struct builder *builder, const struct special *special)
{
	struct command *container = find_added(builder, special->name, 0);
	struct command command;

	if (container == NULL || find_added(builder, special->sub, container->index) != NULL)
		return;
	command = *container;
	command.learned = container->learned && !is_listed_open(builder, container);
	command.listed = false;
	make_special(&command, special);
	add_command(builder, &command, slice_of(special->sub), container->index);
}

static void add_specials(struct builder *builder)
{
	builder->listed = builder->count;
	for (size_t i = 0; i < SPECIALS; i++)
		if (specials[i].sub[0] == '\0')
			add_special_command(builder, &specials[i]);
	for (size_t i = 0; i < SPECIALS; i++)
		if (specials[i].sub[0] != '\0')
			add_special_subcommand(builder, &specials[i]);
}

/* ---- tables ---- */

static void give_up(struct builder *builder)
{
	for (size_t i = 0; i < builder->count; i++)
		free((char *)builder->commands[i].name);
	free(builder->commands);
}

struct command_table *command_table_builtin(void)
{
	struct builder builder = { 0 };

	begin(&builder);
	add_specials(&builder);
	return command_table_create(builder.commands, builder.count);
}

struct command_table *command_table_learn(const char *reply, size_t length, const char *module_reads,
					  const char **error)
{
	struct builder builder = { .module_reads = module_reads };

	begin(&builder);
	learn(&builder, reply, length);
	if (builder.error == NULL)
		add_specials(&builder);
	if (builder.error != NULL) {
		*error = builder.error;
		give_up(&builder);
		return NULL;
	}
	return command_table_create(builder.commands, builder.count);
}
