#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	KINDS_MAX = 256,
	LINES_PER_SECOND = 100,
	TEXT_MAX_BYTES = 1024,
	LINE_MAX_BYTES = 128 + 6 * TEXT_MAX_BYTES, /* every byte escaped */
};

static _Atomic int threshold = LOG_LEVEL_NOTICE;
static _Atomic int line_format = LOG_FORMAT_TEXT;
static _Atomic bool to_journal;
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

void log_name_thread(const char *name)
{
	snprintf(thread_name, sizeof(thread_name), "%s", name);
}

void log_set_format(enum log_format format)
{
	atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

void log_find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	if (stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0)
		atomic_store(&to_journal, status.st_dev == device && status.st_ino == inode);
}

/* Text that came from outside must not be able to start a line of its own. */
static void mask_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

/* By syslog(3). */
static int priority_of(const char *level)
{
	switch (level[0]) {
	case 'f':
		return 2;
	case 'w':
		return 4;
	case 'n':
		return 5;
	case 'v':
		return 6;
	default:
		return 7;
	}
}

static size_t text_line(char *line, size_t room, const char *level, const struct timespec *now, const char *text)
{
	struct tm parts;
	char stamp[32], priority[8] = "";

	localtime_r(&now->tv_sec, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &parts);
	if (atomic_load_explicit(&to_journal, memory_order_relaxed))
		snprintf(priority, sizeof(priority), "<%d>", priority_of(level));
	return (size_t)snprintf(line, room, "%s%s.%03ld [%s] %s: %s", priority, stamp, now->tv_nsec / 1000000, thread_name,
				level, text);
}

/* Bytes of a server's that are no ASCII may be no UTF-8 either: each is shown as
 * the Latin-1 character it would be. */
static size_t put_json(char *to, size_t room, const char *text)
{
	size_t length = 0;

	for (; *text != '\0' && length + 7 < room; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			length += (size_t)snprintf(to + length, room - length, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			length += (size_t)snprintf(to + length, room - length, "\\u%04x", byte);
		else
			to[length++] = (char)byte;
	}
	to[length] = '\0';
	return length;
}

static size_t json_line(char *line, size_t room, const char *level, const struct timespec *now, const char *text)
{
	struct tm parts;
	char stamp[32];
	size_t at;

	gmtime_r(&now->tv_sec, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
	at = (size_t)snprintf(line, room, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"thread\":\"%s\",\"text\":\"", stamp,
			      now->tv_nsec / 1000000, level, thread_name);
	at += put_json(line + at, room - at - 3, text);
	memcpy(line + at, "\"}", 3);
	return at + 2;
}

static void __attribute__((format(printf, 2, 0))) write_line(const char *level, const char *format, va_list args)
{
	bool json = atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_FORMAT_JSON;
	int saved = errno;
	char text[TEXT_MAX_BYTES], line[LINE_MAX_BYTES];
	struct timespec now;
	ssize_t written;
	size_t at;

	vsnprintf(text, sizeof(text), format, args); /* %m belongs to the caller, so this comes first */
	clock_gettime(CLOCK_REALTIME, &now);
	if (!json)
		mask_controls(text);
	at = json ? json_line(line, sizeof(line), level, &now, text) : text_line(line, sizeof(line), level, &now, text);
	line[at++] = '\n';
	written = write(STDERR_FILENO, line, at);
	(void)written; /* nowhere left to tell */
	errno = saved;
}

/* ---- limits: of each kind of line, so many a second ---- */

/* Who turns on verbose or debug wants them all. Two kinds that share a place are
 * not limited, which does no harm. */
static struct kind {
	_Atomic(const char *) format;
	_Atomic long second;
	_Atomic unsigned count;
} kinds[KINDS_MAX];

static void say(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(level, format, args);
	va_end(args);
}

static bool is_allowed(const char *level, const char *format)
{
	struct kind *kind = &kinds[((uintptr_t)format / 8) % KINDS_MAX];
	int saved = errno;
	struct timespec now;
	unsigned before;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (atomic_load(&kind->format) == format && atomic_load(&kind->second) == now.tv_sec)
		return atomic_fetch_add(&kind->count, 1) < LINES_PER_SECOND;
	before = atomic_exchange(&kind->count, 1);
	if (atomic_exchange(&kind->format, format) == format && before > LINES_PER_SECOND)
		say(level, "%u lines like the next one were suppressed", before - LINES_PER_SECOND);
	atomic_store(&kind->second, now.tv_sec);
	errno = saved;
	return true;
}

#define DEFINE_LOG(name, level)                                       \
	void log_##name(const char *format, ...)                      \
	{                                                             \
		va_list args;                                         \
                                                                      \
		if (log_get_level() > (level) ||                      \
		    ((level) >= LOG_LEVEL_NOTICE && !is_allowed(level_names[level], format))) \
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
