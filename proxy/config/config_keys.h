#ifndef WEIR_PROXY_CONFIG_KEYS_H
#define WEIR_PROXY_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_values.h"

/* Every key of proxy.ini, one row each, in the order of the shipped file. The
 * table drives reading, defaults, printing and reloading. */

enum config_key_id {
#define CONFIG_KEY(id, section, name, ...) CONFIG_KEY_##id,
#include "config_keys.def"
#undef CONFIG_KEY
	CONFIG_KEY_COUNT
};

/* What a running weir makes of another value. */
enum config_reload {
	CONFIG_LIVE,    /* it is applied */
	CONFIG_RESTART, /* it is told to be restarted for it */
};

struct config_key {
	const char *section;
	const char *name;
	const struct config_type *type;
	size_t offset;               /* of its field in struct config */
	const char *default_value;   /* as it would stand in the file; NULL: none */
	int64_t min, max;            /* of numbers: a count, bytes or milliseconds */
	const char *const *choices;  /* words of an enum, in its order, ended by NULL */
	bool repeatable;             /* may stand several times */
	enum config_reload reload;
	const char *help;            /* the comment behind it in the shipped file */
};

/* Indexed by enum config_key_id. */
extern const struct config_key config_keys[CONFIG_KEY_COUNT];

/* NULL when there is none. */
const struct config_key *config_key_find(const char *section, const char *name);
/* The known key that is spelled most like this one; one of the same section
 * wins a tie. */
const struct config_key *config_key_nearest(const char *section, const char *name);
bool config_section_known(const char *section);
const char *config_section_nearest(const char *section);

#endif
