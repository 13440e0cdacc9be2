/* file or changes -> whole new config -> what needs a restart put back -> limits
 * of the system -> on_config(). Nothing is touched before the last step, which
 * cannot fail. */
#include "reload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/buf.h"
#include "../../topology/journal.h"
#include "../clock.h"
#include "../config/config_keys.h"
#include "descriptors.h"
#include "../log.h"
#include "../measures/stats.h"

struct reload {
	const char *path;
	struct config *present; /* one reference */
	struct journal *journal;
	struct stats *stats;
	struct reload_events events;
	int64_t succeeded_unix_ms;
	struct buf fixed;       /* the keys that keep their value, and a NUL behind them */
};

static char *sentence(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *sentence(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return alloc_text(text, strlen(text));
}

/* Of several mistakes, one a line, the first, and how many more there are. */
static char *in_one_line(char *errors)
{
	char *end = strchr(errors, '\n'), *line;
	unsigned more = 0;

	if (end == NULL)
		return errors;
	for (const char *at = end; at != NULL; at = strchr(at + 1, '\n'))
		more++;
	line = sentence("%.*s (and %u more: weir -t shows all)", (int)(end - errors), errors, more);
	free(errors);
	return line;
}

static char *refuse(struct reload *reload, const char *whence, char *errors)
{
	char *error = in_one_line(errors);

	stats_add(reload->stats, STAT_reloads_failed, 1);
	journal_note(reload->journal, EVENT_reload_failed, NULL, "%s: refused, nothing has changed: %s", whence, error);
	return error;
}

/* ---- what is told ---- */

static void tell_fixed(void *arg, const struct config_key *key, const char *present, const char *wanted)
{
	struct buf *fixed = arg;
	char name[128];

	if (key->reload != CONFIG_RESTART)
		return;
	snprintf(name, sizeof(name), "%s[%s] %s", buf_length(fixed) > 0 ? ", " : "", key->section, key->name);
	buf_append_text(fixed, name);
	log_warning("[%s] %s = %s needs a restart; \"%s\" stays in force", key->section, key->name, wanted, present);
}

static void tell_change(void *arg, const struct config_key *key, const char *before, const char *after)
{
	(void)arg;
	if (strcmp(before, after) == 0) /* the name of a file stays, what is in it does not */
		log_notice("[%s] %s: %s was read anew", key->section, key->name, after);
	else
		log_notice("[%s] %s = %s, was \"%s\"", key->section, key->name, after, before);
}

/* ---- applying ---- */

static void find_waiting(struct reload *reload, const struct config *wanted)
{
	buf_free(&reload->fixed);
	config_compare(reload->present, wanted, tell_fixed, &reload->fixed);
	buf_append(&reload->fixed, "", 1);
}

static void put_in_force(struct reload *reload, const char *whence, struct config *next)
{
	size_t count = config_compare(reload->present, next, tell_change, NULL);

	config_release(&reload->present);
	reload->present = next;
	reload->succeeded_unix_ms = clock_unix_ms();
	stats_add(reload->stats, STAT_reloads, 1);
	reload->events.on_config(reload->events.arg, next);
	journal_note(reload->journal, EVENT_reloaded, NULL, "%s is in force, %zu %s changed", whence, count,
		     count == 1 ? "key has" : "keys have");
}

char *reload_file(struct reload *reload)
{
	char *error = NULL;
	struct config *wanted = config_load(reload->path, &error), *next;

	if (wanted == NULL)
		return refuse(reload, "reload", error);
	next = config_keep_fixed(wanted, reload->present, &error);
	if (next != NULL) {
		find_waiting(reload, wanted);
		descriptors_fit(next);
		put_in_force(reload, reload->path, next);
	} else {
		error = refuse(reload, reload->path, error);
	}
	config_release(&wanted);
	return error;
}

const char *reload_waits_for_restart(const struct reload *reload)
{
	return buf_head(&reload->fixed);
}

/* ---- CONFIG SET ---- */

struct search {
	const struct config_key *found;
};

static void find_fixed(void *arg, const struct config_key *key, const char *before, const char *after)
{
	struct search *search = arg;

	(void)before;
	(void)after;
	if (key->reload == CONFIG_RESTART)
		search->found = key;
}

char *reload_set(struct reload *reload, const struct config_change *changes, size_t count)
{
	struct search search = { NULL };
	char *error = NULL;
	struct config *next = config_alter(reload->present, changes, count, &error);

	if (next == NULL)
		return refuse(reload, "CONFIG SET", error);
	config_compare(reload->present, next, find_fixed, &search);
	if (search.found != NULL) {
		config_release(&next);
		return refuse(reload, "CONFIG SET",
			      sentence("[%s] %s: another value needs a restart", search.found->section, search.found->name));
	}
	descriptors_fit(next);
	put_in_force(reload, "CONFIG SET", next);
	return NULL;
}

/* ---- life ---- */

int64_t reload_succeeded_unix_ms(const struct reload *reload)
{
	return reload->succeeded_unix_ms;
}

struct reload *reload_create(const char *path, struct config *present, struct journal *journal, struct stats *stats,
			     const struct reload_events *events)
{
	struct reload *reload = alloc_zeroed(1, sizeof(*reload));

	reload->path = path;
	reload->present = config_acquire(present);
	reload->journal = journal;
	reload->stats = stats;
	reload->events = *events;
	reload->succeeded_unix_ms = clock_unix_ms();
	buf_append(&reload->fixed, "", 1);
	return reload;
}

void reload_destroy(struct reload **reload)
{
	config_release(&(*reload)->present);
	buf_free(&(*reload)->fixed);
	free(*reload);
	*reload = NULL;
}
