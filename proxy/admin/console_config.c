/* CONFIG GET, CONFIG SET and RELOAD. A key is called [section].[name] here, or by
 * its name alone where no other section has the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../protocol/encode.h"
#include "admin.h"
#include "../config/config.h"
#include "../config/config_keys.h"
#include "console_parts.h"
#include "../control/reload.h"

enum { NAME_ROOM = 64, CHANGES_MAX = CONSOLE_ARGS_MAX / 2 };

static void print_name(const struct config_key *key, char name[NAME_ROOM])
{
	snprintf(name, NAME_ROOM, "%s.%s", key->section, key->name);
}

/* ---- GET ---- */

/* '*' is any number of characters, '?' one. Walks back to the last '*' only. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || strncasecmp(pattern, text, 1) == 0) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

static bool is_wanted(const struct console_call *call, const struct config_key *key)
{
	char name[NAME_ROOM], pattern[CONSOLE_WORD_ROOM];

	print_name(key, name);
	for (size_t i = 2; i < call->argc; i++) {
		console_copy_word(pattern, call->argv[i]);
		if (matches(pattern, name) || matches(pattern, key->name))
			return true;
	}
	return false;
}

/* Values of a key that stands several times are joined by commas. */
static void append_value(const struct config_key *key, const struct config *config, struct buf *out)
{
	char value[CONFIG_VALUE_ROOM];
	struct buf joined = { 0 };

	for (size_t index = 0; key->type->print(key, config, index, value); index++) {
		if (index > 0)
			buf_append(&joined, ", ", 2);
		buf_append(&joined, value, strlen(value));
	}
	encode_bulk(out, buf_slice(&joined));
	buf_free(&joined);
}

void console_config_get(struct console_call *call)
{
	char name[NAME_ROOM];
	size_t count = 0;

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
		count += is_wanted(call, &config_keys[i]);
	encode_map(call->out, count, 2);
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		if (!is_wanted(call, &config_keys[i]))
			continue;
		print_name(&config_keys[i], name);
		encode_bulk_text(call->out, name);
		append_value(&config_keys[i], call->sources->config, call->out);
	}
}

/* ---- SET ---- */

/* By "section.name", or by a name that stands once. An error is appended where
 * it is neither. */
static const struct config_key *find_key(struct console_call *call, struct slice word)
{
	const struct config_key *found = NULL;
	char text[CONSOLE_WORD_ROOM], name[NAME_ROOM], *dot;

	console_copy_word(text, word);
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		print_name(key, name);
		if (strcasecmp(text, name) == 0)
			return key;
		if (strcasecmp(text, key->name) != 0)
			continue;
		if (found != NULL) {
			console_error(call, "ERR '%s' is a key of [%s] and of [%s], say which: %s.%s", text, found->section,
				      key->section, found->section, found->name);
			return NULL;
		}
		found = key;
	}
	if (found == NULL) {
		dot = strchr(text, '.');
		if (dot != NULL)
			*dot = '\0';
		found = config_key_nearest(dot != NULL ? text : "", dot != NULL ? dot + 1 : text);
		if (dot != NULL)
			*dot = '.';
		console_error(call, "ERR unknown key '%s', did you mean %s.%s?", text, found->section, found->name);
		return NULL;
	}
	return found;
}

/* As it would stand in the file; NULL, with an error, where it could not. */
static char *copy_value(struct console_call *call, struct slice value)
{
	for (size_t i = 0; i < value.length; i++)
		if ((unsigned char)value.bytes[i] < ' ' || value.bytes[i] == 0x7f) {
			console_error(call, "ERR expected a value without control characters");
			return NULL;
		}
	if (value.length >= CONFIG_VALUE_ROOM) {
		console_error(call, "ERR expected a value of less than %d bytes", CONFIG_VALUE_ROOM);
		return NULL;
	}
	return strndup(value.bytes, value.length);
}

static void free_values(const struct config_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)changes[i].value);
}

static void apply(struct console_call *call, const struct config_change *changes, size_t count)
{
	char *error = reload_set(call->sources->reload, changes, count);

	console_outcome(call, error);
	free(error);
}

void console_config_set(struct console_call *call)
{
	struct config_change changes[CHANGES_MAX];
	size_t count = 0, wanted = (call->argc - 2) / 2;

	if (call->argc % 2 != 0) {
		console_error(call, "ERR wrong number of arguments, expected a value behind every key");
		return;
	}
	for (; count < wanted; count++) {
		changes[count].key = find_key(call, call->argv[2 + 2 * count]);
		changes[count].value = changes[count].key == NULL ? NULL : copy_value(call, call->argv[3 + 2 * count]);
		if (changes[count].value == NULL)
			break;
	}
	if (count == wanted)
		apply(call, changes, count);
	free_values(changes, count);
}

void console_reload(struct console_call *call)
{
	char *error = reload_file(call->sources->reload);
	const char *waiting = reload_waits_for_restart(call->sources->reload);

	if (error == NULL && waiting[0] != '\0')
		console_status(call, "OK, but these need a restart: %s", waiting);
	else
		console_outcome(call, error);
	free(error);
}
