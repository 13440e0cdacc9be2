#ifndef WEIR_PROXY_CONFIG_VALUES_H
#define WEIR_PROXY_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value in proxy.ini may look like: one type per kind of value, each
 * with its own way to be read, written back and freed. Part of config.c alone. */

struct config;
struct config_key;

enum {
	CONFIG_VALUE_ROOM = 512, /* of any value written back: a line of the file is shorter */
	CONFIG_WORD_ROOM = 256,  /* of any word in a value */
};

/* What is wrong with a value: one sentence without file, line and key. */
struct config_problem {
	char text[512];
};

struct config_type {
	/* Puts what `text` says into *config. False with *problem set. */
	bool (*parse)(const struct config_key *key, const char *text, struct config *config,
		      struct config_problem *problem);
	/* Writes value number `index` of the key; false when there are not so many. */
	bool (*print)(const struct config_key *key, const struct config *config, size_t index,
		      char text[CONFIG_VALUE_ROOM]);
	/* Frees what parse() allocated; NULL when it allocates nothing. */
	void (*clear)(const struct config_key *key, struct config *config);
};

extern const struct config_type config_type_number;    /* int64_t */
extern const struct config_type config_type_count;     /* unsigned */
extern const struct config_type config_type_workers;   /* unsigned; "auto" is 0 */
extern const struct config_type config_type_size;      /* int64_t, bytes */
extern const struct config_type config_type_time;      /* int64_t, milliseconds */
extern const struct config_type config_type_yes_no;    /* bool */
extern const struct config_type config_type_choice;    /* an enum whose words are key->choices */
extern const struct config_type config_type_word;      /* char *, "" none; no blanks in it */
extern const struct config_type config_type_path;      /* char *, "" none */
extern const struct config_type config_type_hosts;     /* char *: names of hosts, one blank between two */
extern const struct config_type config_type_commands;  /* char *: command names, one blank between two */
extern const struct config_type config_type_listeners; /* struct config_listeners, one more per line */
extern const struct config_type config_type_overwrite; /* topology.allow_overwrite */
extern const struct config_type config_type_master;    /* topology.nodes[0] */
extern const struct config_type config_type_sentinels; /* topology.sentinel.addresses, one more per line */
extern const struct config_type config_type_replica;   /* one more of topology.nodes */

/* Sets the sentence that says what is wrong. */
void config_explain(struct config_problem *problem, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same; always false, so that a parser can return it. */
#define config_refuse(...) (config_explain(__VA_ARGS__), false)

/* The key's field in *config. */
void *config_field(const struct config_key *key, struct config *config);
const void *config_value(const struct config_key *key, const struct config *config);

/* Digits alone, within the range; *value is undefined when it says false. */
bool config_parse_number(const char *text, int64_t min, int64_t max, int64_t *value);
/* The next word of a list in which `separators` stand between the words; moves
 * *at behind it. False at the end of the list. */
bool config_next_word(const char **at, const char *separators, char word[CONFIG_WORD_ROOM]);

/* Whether two host names or addresses are spelled the same, whatever the case
 * and the form of an IPv6 address. Nothing is resolved. */
bool config_same_host(const char *a, const char *b);

#endif
