#include "setting.h"

#include <stddef.h>

/* A hash or a set that is stored compactly gives its members in the order in
 * which they came, any other one in one of its own; and a script that takes
 * long is answered for with BUSY. Old names are still taken. */
static const struct {
	const char *name;
	enum setting_kind kind;
} settings[] = {
	{ "requirepass", SETTING_PASSWORD },
	{ "hash-max-listpack-entries", SETTING_ANSWER },
	{ "hash-max-listpack-value", SETTING_ANSWER },
	{ "hash-max-ziplist-entries", SETTING_ANSWER },
	{ "hash-max-ziplist-value", SETTING_ANSWER },
	{ "set-max-intset-entries", SETTING_ANSWER },
	{ "set-max-listpack-entries", SETTING_ANSWER },
	{ "set-max-listpack-value", SETTING_ANSWER },
	{ "zset-max-listpack-entries", SETTING_ANSWER },
	{ "zset-max-listpack-value", SETTING_ANSWER },
	{ "zset-max-ziplist-entries", SETTING_ANSWER },
	{ "zset-max-ziplist-value", SETTING_ANSWER },
	{ "busy-reply-threshold", SETTING_ANSWER },
	{ "lua-time-limit", SETTING_ANSWER },
};

enum setting_kind setting_kind(struct slice name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (slice_is(name, settings[i].name))
			return settings[i].kind;
	return SETTING_OTHER;
}
