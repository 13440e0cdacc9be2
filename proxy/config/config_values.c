/* The kinds of values in proxy.ini: how each is read and written back.
 *
 * Every parser takes the text of one line (control bytes and comments are gone
 * already) and either stores the value or says in one sentence what it had
 * expected. Invariant: what print() writes, parse() reads as the same value. */
#include "config_values.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../protocol/alloc.h"
#include "config.h"
#include "config_keys.h"

struct unit {
	const char *suffix;
	int64_t factor;
};

void config_explain(struct config_problem *problem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem->text, sizeof(problem->text), format, args);
	va_end(args);
}

void *config_field(const struct config_key *key, struct config *config)
{
	return (char *)config + key->offset;
}

const void *config_value(const struct config_key *key, const struct config *config)
{
	return (const char *)config + key->offset;
}

/* ---- numbers ---- */

/* Digits, then one of the units; an empty suffix stands for bare numbers.
 * False when it is anything else or does not fit. */
static bool parse_scaled(const char *text, const struct unit *units, int64_t *value)
{
	const char *at = text;
	int64_t number = 0;

	for (; isdigit((unsigned char)*at); at++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
			return false;
	if (at == text)
		return false;
	for (; units->suffix != NULL; units++)
		if (strcasecmp(at, units->suffix) == 0)
			return !__builtin_mul_overflow(number, units->factor, value);
	return false;
}

/* The largest unit that divides the value. Units go from large to small. */
static void print_scaled(int64_t value, const struct unit *units, char text[CONFIG_VALUE_ROOM])
{
	while (units[1].suffix != NULL && (value == 0 || value % units->factor != 0))
		units++;
	snprintf(text, CONFIG_VALUE_ROOM, "%lld%s", (long long)(value / units->factor), value == 0 ? "" : units->suffix);
}

static const struct unit plain_units[] = { { "", 1 }, { NULL, 0 } };

bool config_parse_number(const char *text, int64_t min, int64_t max, int64_t *value)
{
	return parse_scaled(text, plain_units, value) && *value >= min && *value <= max;
}

static bool number_parse(const struct config_key *key, const char *text, struct config *config,
			 struct config_problem *problem)
{
	int64_t value;

	if (!config_parse_number(text, key->min, key->max, &value))
		return config_refuse(problem, "expected a number from %lld to %lld, got \"%s\"", (long long)key->min,
				     (long long)key->max, text);
	*(int64_t *)config_field(key, config) = value;
	return true;
}

static bool number_print(const struct config_key *key, const struct config *config, size_t index,
			 char text[CONFIG_VALUE_ROOM])
{
	print_scaled(*(const int64_t *)config_value(key, config), plain_units, text);
	return index == 0;
}

const struct config_type config_type_number = { number_parse, number_print, NULL };

static bool count_parse(const struct config_key *key, const char *text, struct config *config,
			struct config_problem *problem)
{
	int64_t value;

	if (!config_parse_number(text, key->min, key->max, &value))
		return config_refuse(problem, "expected a number from %lld to %lld, got \"%s\"", (long long)key->min,
				     (long long)key->max, text);
	*(unsigned *)config_field(key, config) = (unsigned)value;
	return true;
}

static bool count_print(const struct config_key *key, const struct config *config, size_t index,
			char text[CONFIG_VALUE_ROOM])
{
	print_scaled(*(const unsigned *)config_value(key, config), plain_units, text);
	return index == 0;
}

const struct config_type config_type_count = { count_parse, count_print, NULL };

static bool workers_parse(const struct config_key *key, const char *text, struct config *config,
			  struct config_problem *problem)
{
	int64_t value = 0;

	if (strcasecmp(text, "auto") != 0 && !config_parse_number(text, key->min, key->max, &value))
		return config_refuse(problem, "expected auto or a number from %lld to %lld, got \"%s\"",
				     (long long)key->min, (long long)key->max, text);
	*(unsigned *)config_field(key, config) = (unsigned)value;
	return true;
}

static bool workers_print(const struct config_key *key, const struct config *config, size_t index,
			  char text[CONFIG_VALUE_ROOM])
{
	if (*(const unsigned *)config_value(key, config) != 0)
		return count_print(key, config, index, text);
	strcpy(text, "auto");
	return index == 0;
}

const struct config_type config_type_workers = { workers_parse, workers_print, NULL };

/* As in redis.conf: 1k is 1000 bytes, 1kb is 1024. */
static const struct unit size_units[] = {
	{ "gb", INT64_C(1) << 30 }, { "mb", INT64_C(1) << 20 }, { "kb", INT64_C(1) << 10 }, { "", 1 },
	{ "b", 1 }, { "k", 1000 }, { "m", 1000000 }, { "g", 1000000000 }, { NULL, 0 },
};

static const struct unit size_units_written[] = {
	{ "gb", INT64_C(1) << 30 }, { "mb", INT64_C(1) << 20 }, { "kb", INT64_C(1) << 10 }, { "", 1 }, { NULL, 0 },
};

static bool size_parse(const struct config_key *key, const char *text, struct config *config,
		       struct config_problem *problem)
{
	char least[CONFIG_VALUE_ROOM], most[CONFIG_VALUE_ROOM];
	int64_t value;

	if (parse_scaled(text, size_units, &value) && value >= key->min && value <= key->max) {
		*(int64_t *)config_field(key, config) = value;
		return true;
	}
	print_scaled(key->min, size_units_written, least);
	print_scaled(key->max, size_units_written, most);
	return config_refuse(problem, "expected a size from %s to %s (512, 64kb, 16mb, 1gb), got \"%s\"", least, most,
			     text);
}

static bool size_print(const struct config_key *key, const struct config *config, size_t index,
		       char text[CONFIG_VALUE_ROOM])
{
	print_scaled(*(const int64_t *)config_value(key, config), size_units_written, text);
	return index == 0;
}

const struct config_type config_type_size = { size_parse, size_print, NULL };

static const struct unit time_units[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { "", 1000 }, { NULL, 0 },
};

static const struct unit time_units_written[] = {
	{ "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};

static bool time_parse(const struct config_key *key, const char *text, struct config *config,
		       struct config_problem *problem)
{
	char least[CONFIG_VALUE_ROOM], most[CONFIG_VALUE_ROOM];
	int64_t value;

	if (parse_scaled(text, time_units, &value) && value >= key->min && value <= key->max) {
		*(int64_t *)config_field(key, config) = value;
		return true;
	}
	print_scaled(key->min, time_units_written, least);
	print_scaled(key->max, time_units_written, most);
	return config_refuse(problem, "expected a time from %s to %s (250ms, 5s, 1m), got \"%s\"", least, most, text);
}

static bool time_print(const struct config_key *key, const struct config *config, size_t index,
		       char text[CONFIG_VALUE_ROOM])
{
	print_scaled(*(const int64_t *)config_value(key, config), time_units_written, text);
	return index == 0;
}

const struct config_type config_type_time = { time_parse, time_print, NULL };

/* ---- words of a list ---- */

static bool yes_no_parse(const struct config_key *key, const char *text, struct config *config,
			 struct config_problem *problem)
{
	bool yes = strcasecmp(text, "yes") == 0;

	if (!yes && strcasecmp(text, "no") != 0)
		return config_refuse(problem, "expected yes or no, got \"%s\"", text);
	*(bool *)config_field(key, config) = yes;
	return true;
}

static bool yes_no_print(const struct config_key *key, const struct config *config, size_t index,
			 char text[CONFIG_VALUE_ROOM])
{
	strcpy(text, *(const bool *)config_value(key, config) ? "yes" : "no");
	return index == 0;
}

const struct config_type config_type_yes_no = { yes_no_parse, yes_no_print, NULL };

/* Enums of this file's keys count from 0; both compilers give them the size of
 * an unsigned int, and memcpy keeps clear of their type. */
_Static_assert(sizeof(enum config_consistency) == sizeof(unsigned), "an enum has the size of an unsigned int");

static bool choice_parse(const struct config_key *key, const char *text, struct config *config,
			 struct config_problem *problem)
{
	char words[CONFIG_WORD_ROOM] = "";

	for (unsigned i = 0; key->choices[i] != NULL; i++) {
		if (strcasecmp(text, key->choices[i]) == 0) {
			memcpy(config_field(key, config), &i, sizeof(i));
			return true;
		}
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", i ? " | " : "", key->choices[i]);
	}
	return config_refuse(problem, "expected %s, got \"%s\"", words, text);
}

static bool choice_print(const struct config_key *key, const struct config *config, size_t index,
			 char text[CONFIG_VALUE_ROOM])
{
	unsigned choice;

	memcpy(&choice, config_value(key, config), sizeof(choice));
	strcpy(text, key->choices[choice]);
	return index == 0;
}

const struct config_type config_type_choice = { choice_parse, choice_print, NULL };

/* ---- text ---- */

static void replace_text(const struct config_key *key, struct config *config, const char *text)
{
	char **field = config_field(key, config);

	free(*field);
	*field = alloc_text(text, strlen(text));
}

static bool text_print(const struct config_key *key, const struct config *config, size_t index,
		       char text[CONFIG_VALUE_ROOM])
{
	snprintf(text, CONFIG_VALUE_ROOM, "%s", *(char *const *)config_value(key, config));
	return index == 0;
}

static void text_clear(const struct config_key *key, struct config *config)
{
	char **field = config_field(key, config);

	free(*field);
	*field = NULL;
}

/* A semicolon may begin a comment, depending on what stands in front of it. */
static bool word_parse(const struct config_key *key, const char *text, struct config *config,
		       struct config_problem *problem)
{
	if (strpbrk(text, " \t;") != NULL)
		return config_refuse(problem, "expected one word without semicolon, got \"%s\"", text);
	replace_text(key, config, text);
	return true;
}

const struct config_type config_type_word = { word_parse, text_print, text_clear };

static bool path_parse(const struct config_key *key, const char *text, struct config *config,
		       struct config_problem *problem)
{
	if (strchr(text, ';') != NULL)
		return config_refuse(problem, "expected the path of a file, without semicolon, got \"%s\"", text);
	replace_text(key, config, text);
	return true;
}

const struct config_type config_type_path = { path_parse, text_print, text_clear };

bool config_next_word(const char **at, const char *separators, char word[CONFIG_WORD_ROOM])
{
	size_t length;

	*at += strspn(*at, separators);
	length = strcspn(*at, separators);
	if (length == 0 || length >= CONFIG_WORD_ROOM)
		return false;
	memcpy(word, *at, length);
	word[length] = '\0';
	*at += length;
	return true;
}

/* Letters, digits and what Redis modules have in their commands' names. */
static bool is_command_name(const char *word)
{
	for (; *word != '\0'; word++)
		if (!isalnum((unsigned char)*word) && strchr("._-|", *word) == NULL)
			return false;
	return true;
}

/* Letters, digits and what else a host's name may have in it. */
static bool is_host_name(const char *word)
{
	for (; *word != '\0'; word++)
		if (!isalnum((unsigned char)*word) && strchr("._-", *word) == NULL)
			return false;
	return true;
}

static bool words_parse(const struct config_key *key, const char *text, struct config *config,
			struct config_problem *problem, bool (*is_sound)(const char *word), const char *expected)
{
	char list[CONFIG_VALUE_ROOM] = "", word[CONFIG_WORD_ROOM];

	for (const char *at = text; config_next_word(&at, " \t,", word);) {
		if (!is_sound(word))
			return config_refuse(problem, "expected %s, got \"%s\"", expected, word);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", list[0] ? " " : "", word);
	}
	replace_text(key, config, list);
	return true;
}

static bool commands_parse(const struct config_key *key, const char *text, struct config *config,
			   struct config_problem *problem)
{
	return words_parse(key, text, config, problem, is_command_name, "names of commands");
}

static bool hosts_parse(const struct config_key *key, const char *text, struct config *config,
			struct config_problem *problem)
{
	return words_parse(key, text, config, problem, is_host_name, "names of hosts, without ports");
}

const struct config_type config_type_hosts = { hosts_parse, text_print, text_clear };
const struct config_type config_type_commands = { commands_parse, text_print, text_clear };
