/* The key table of proxy.ini and the search in it.
 *
 * Nothing here reads a file or keeps a value; the rows stand in config_keys.def.
 * Invariant: the words of a choice stand in the order of their enum, so that a
 * word's index is its value. */
#include "config_keys.h"

#include <string.h>

#include "config.h"
#include "spelling.h"

#define KB INT64_C(1024)
#define TB (INT64_C(1) << 40)
#define HOUR INT64_C(3600000) /* milliseconds */
#define DAY (24 * HOUR)

static const char *const wiring_words[] = {
	[TOPOLOGY_WIRING_ENFORCE] = "enforce", [TOPOLOGY_WIRING_OBSERVE] = "observe", NULL };
static const char *const failover_words[] = {
	[TOPOLOGY_FAILOVER_OFF] = "off", [TOPOLOGY_FAILOVER_AUTO] = "auto", NULL };
static const char *const consistency_words[] = {
	[CONSISTENCY_EVENTUAL] = "eventual", [CONSISTENCY_SESSION] = "session", [CONSISTENCY_STRONG] = "strong", NULL };
static const char *const session_scope_words[] = {
	[SESSION_SCOPE_WEIR] = "weir", [SESSION_SCOPE_CONNECTION] = "connection", NULL };
static const char *const fallback_words[] = { [FALLBACK_MASTER] = "master", [FALLBACK_ERROR] = "error", NULL };
static const char *const no_master_reads_words[] = {
	[NO_MASTER_READS_SERVE] = "serve", [NO_MASTER_READS_REFUSE] = "refuse", NULL };
static const char *const scan_words[] = { [SCAN_MASTER] = "master", [SCAN_REPLICA] = "replica", NULL };
static const char *const log_format_words[] = { [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL };
static const char *const log_level_words[] = {
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_VERBOSE] = "verbose",
	[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_WARNING] = "warning", NULL };

const struct config_key config_keys[CONFIG_KEY_COUNT] = {
#define CONFIG_KEY(id, section, name, type, field, default_value, min, max, choices, repeatable, reload, help)       \
	[CONFIG_KEY_##id] = { section, name, &config_type_##type, offsetof(struct config, field), default_value, min, \
			      max, choices, repeatable, CONFIG_##reload, help },
#include "config_keys.def"
#undef CONFIG_KEY
};

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
		if (strcmp(config_keys[i].section, section) == 0 && strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	return NULL;
}

const struct config_key *config_key_nearest(const char *section, const char *name)
{
	const struct config_key *nearest = NULL;
	unsigned nearest_distance = 0;

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		/* Doubled, so that standing in another section weighs less than a letter. */
		unsigned distance = 2 * spelling_distance(config_keys[i].name, name) +
				    (strcmp(config_keys[i].section, section) != 0);

		if (nearest == NULL || distance < nearest_distance) {
			nearest = &config_keys[i];
			nearest_distance = distance;
		}
	}
	return nearest;
}

bool config_section_known(const char *section)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
		if (strcmp(config_keys[i].section, section) == 0)
			return true;
	return false;
}

const char *config_section_nearest(const char *section)
{
	const char *nearest = config_keys[0].section;

	for (size_t i = 1; i < CONFIG_KEY_COUNT; i++)
		if (spelling_distance(config_keys[i].section, section) < spelling_distance(nearest, section))
			nearest = config_keys[i].section;
	return nearest;
}
