/* Two rings of events, each written in order: the n-th of a ring stands in slot
 * n % JOURNAL_RING_EVENTS of it, and ids rise through both. Every text is made
 * presentable when it comes in, since parts of it are words of servers and of
 * configuration files. */
#include "journal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../proxy/log.h"
#include "memory.h"

struct ring {
	uint64_t count; /* ever written */
	struct event events[JOURNAL_RING_EVENTS];
};

enum { OF_GROUP, OF_NODES, RING_COUNT };

struct journal {
	uint64_t newest; /* id; 0: none */
	struct ring rings[RING_COUNT];
};

struct event_row {
	const char *name;
	void (*log)(const char *format, ...);
	const char *level;
};

static const struct event_row event_rows[] = {
#define EVENT(id, level, help) { #id, log_##level, #level },
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

/* ---- the rings ---- */

static struct event *next_slot(struct ring *ring)
{
	return &ring->events[ring->count++ % JOURNAL_RING_EVENTS];
}

void journal_note(struct journal *journal, enum event_kind kind, const char *node, const char *format, ...)
{
	bool of_node = node != NULL;
	struct event *event = next_slot(&journal->rings[of_node ? OF_NODES : OF_GROUP]);
	va_list args;

	event->id = ++journal->newest;
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

/* The first of the ring behind `id`: ids rise from its oldest to its newest. */
static const struct event *ring_after(const struct ring *ring, uint64_t id)
{
	uint64_t low = ring->count > JOURNAL_RING_EVENTS ? ring->count - JOURNAL_RING_EVENTS : 0;
	uint64_t high = ring->count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (ring->events[middle % JOURNAL_RING_EVENTS].id > id)
			high = middle;
		else
			low = middle + 1;
	}
	return low < ring->count ? &ring->events[low % JOURNAL_RING_EVENTS] : NULL;
}

const struct event *journal_after(const struct journal *journal, uint64_t id)
{
	const struct event *of_group = ring_after(&journal->rings[OF_GROUP], id);
	const struct event *of_nodes = ring_after(&journal->rings[OF_NODES], id);

	if (of_group == NULL || of_nodes == NULL)
		return of_group == NULL ? of_nodes : of_group;
	return of_group->id < of_nodes->id ? of_group : of_nodes;
}

const char *event_kind_name(enum event_kind kind)
{
	return event_rows[kind].name;
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
