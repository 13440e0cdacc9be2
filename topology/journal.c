/* A ring of events, written in order: the event with number n stands in slot
 * n % JOURNAL_EVENTS_MAX. Every text is made presentable when it comes in, since
 * parts of it are words of servers and of configuration files. */
#include "journal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../proxy/log.h"
#include "memory.h"

struct journal {
	uint64_t newest; /* id; 0: none */
	struct event events[JOURNAL_EVENTS_MAX];
};

struct event_row {
	const char *name;
	void (*log)(const char *format, ...);
	const char *level;
	const char *help;
};

static const struct event_row event_rows[] = {
#define EVENT(id, level, help) { #id, log_##level, #level, help },
#include "journal.def"
#undef EVENT
};

/* ---- texts ---- */

/* How many bytes the UTF-8 character at `at` has; 0: it is none. */
static size_t character_length(const unsigned char *at)
{
	size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80) /* the end of the text is such a byte, too */
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] > 0x8f))
		return 0; /* longer than need be, a surrogate, or beyond the last one */
	return length;
}

static void make_presentable(char *text)
{
	while (*text != '\0') {
		size_t length = character_length((const unsigned char *)text);

		if (length == 0 || (unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
		text += length > 0 ? length : 1;
	}
}

static int64_t wall_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the ring ---- */

static struct event *slot(struct journal *journal, uint64_t id)
{
	return &journal->events[id % JOURNAL_EVENTS_MAX];
}

void journal_note(struct journal *journal, enum event_kind kind, const char *node, const char *format, ...)
{
	struct event *event = slot(journal, ++journal->newest);
	bool of_node = node != NULL;
	va_list args;

	event->id = journal->newest;
	event->time_ms = wall_clock_ms();
	event->kind = kind;
	snprintf(event->node, sizeof(event->node), "%s", of_node ? node : "");
	va_start(args, format);
	vsnprintf(event->text, sizeof(event->text), format, args);
	va_end(args);
	make_presentable(event->node);
	make_presentable(event->text);
	event_rows[kind].log("%s%s%s", event->node, of_node ? ": " : "", event->text);
}

uint64_t journal_newest(const struct journal *journal)
{
	return journal->newest;
}

const struct event *journal_after(const struct journal *journal, uint64_t id)
{
	uint64_t oldest = journal->newest > JOURNAL_EVENTS_MAX ? journal->newest - JOURNAL_EVENTS_MAX + 1 : 1;

	if (id >= journal->newest)
		return NULL;
	return &journal->events[(id + 1 > oldest ? id + 1 : oldest) % JOURNAL_EVENTS_MAX];
}

const char *event_kind_name(enum event_kind kind)
{
	return event_rows[kind].name;
}

const char *event_kind_help(enum event_kind kind)
{
	return event_rows[kind].help;
}

const char *event_kind_level(enum event_kind kind)
{
	return event_rows[kind].level;
}

struct journal *journal_create(void)
{
	return memory_zeroed(1, sizeof(struct journal));
}

void journal_destroy(struct journal **journal)
{
	free(*journal);
	*journal = NULL;
}
