#ifndef WEIR_PROXY_LOG_H
#define WEIR_PROXY_LOG_H

#include <stdbool.h>

/* Log lines go to stderr, one write(2) per line, so lines of several threads
 * never mix. Of one format, a hundred lines a second are written, and then how
 * many there were besides. A leaf module: it knows no other type of weir, and topology/ may
 * use it too. Safe on every thread. */

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_VERBOSE,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_WARNING,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON, /* one object per line */
};

void log_set_format(enum log_format format);
/* Where stderr is the journal's ($JOURNAL_STREAM), lines of text begin with their
 * priority from now on, as sd-daemon(3) has it. At the start. */
void log_find_journal(void);
/* Lines below this level are dropped. It, the format and where stderr leads are the
 * only mutable globals of weir. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Names the calling thread in its lines ("control", "worker 1"). Copied, at
 * most 15 bytes. */
void log_name_thread(const char *name);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Logs and ends the process with status 1, at once (other threads may run): for
 * what cannot be survived. */
_Noreturn void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True at most `per_second` times a second per caller-owned struct: put it in
 * front of a line that hostile input could repeat. Not shared by threads. */
struct log_limit {
	long second;
	unsigned count;
};
bool log_allowed(struct log_limit *limit, unsigned per_second);

#endif
