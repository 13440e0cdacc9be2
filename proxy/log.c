#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static _Atomic int threshold = LOG_LEVEL_NOTICE;
static _Thread_local char thread_name[16] = "main";

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_VERBOSE] = "verbose",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_WARNING] = "warning",
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool log_level_parse(const char *word, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcasecmp(word, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

void log_name_thread(const char *name)
{
	snprintf(thread_name, sizeof(thread_name), "%s", name);
}

/* Text that came from outside must not be able to start a line of its own. */
static void mask_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static size_t line_prefix(char *line, size_t room, const char *level)
{
	struct timespec now;
	struct tm parts;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &parts);
	return (size_t)snprintf(line, room, "%s.%03ld [%s] %s: ", stamp, now.tv_nsec / 1000000, thread_name, level);
}

static void __attribute__((format(printf, 2, 0))) write_line(const char *level, const char *format, va_list args)
{
	int saved = errno;
	char line[LINE_MAX_BYTES];
	size_t at = line_prefix(line, sizeof(line), level);
	ssize_t written;

	errno = saved; /* %m belongs to the caller */
	vsnprintf(line + at, sizeof(line) - at - 1, format, args);
	mask_controls(line + at);
	at += strlen(line + at);
	line[at++] = '\n';
	written = write(STDERR_FILENO, line, at);
	(void)written; /* nowhere left to tell */
	errno = saved;
}

#define DEFINE_LOG(name, level)                                       \
	void log_##name(const char *format, ...)                      \
	{                                                             \
		va_list args;                                         \
                                                                      \
		if (log_get_level() > (level))                        \
			return;                                       \
		va_start(args, format);                               \
		write_line(level_names[level], format, args);         \
		va_end(args);                                         \
	}

DEFINE_LOG(debug, LOG_LEVEL_DEBUG)
DEFINE_LOG(verbose, LOG_LEVEL_VERBOSE)
DEFINE_LOG(notice, LOG_LEVEL_NOTICE)
DEFINE_LOG(warning, LOG_LEVEL_WARNING)

void log_fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("fatal", format, args);
	va_end(args);
	_Exit(EXIT_FAILURE);
}

bool log_allowed(struct log_limit *limit, unsigned per_second)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (limit->second != now.tv_sec) {
		limit->second = now.tv_sec;
		limit->count = 0;
	}
	return limit->count++ < per_second;
}
