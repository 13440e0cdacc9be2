#ifndef WEIR_TOPOLOGY_JOURNAL_H
#define WEIR_TOPOLOGY_JOURNAL_H

#include <stdint.h>

/* What happened to the group, as the operator is told of it: every event is a
 * line in the log, and the newest ones are kept for who asks later (/events, the
 * console, the page). Control thread only. */

enum event_kind {
#define EVENT(id, level, help) EVENT_##id,
#include "journal.def"
#undef EVENT
	EVENT_KIND_COUNT
};

enum {
	/* Kept; older ones are in the log alone. Half of them are servers', half are
	 * the group's and weir's own: a server that comes and goes without end does not
	 * make anybody forget when the master changed. */
	JOURNAL_EVENTS_MAX = 1024,
	JOURNAL_RING_EVENTS = JOURNAL_EVENTS_MAX / 2,
	JOURNAL_NODE_ROOM = 128,
	JOURNAL_TEXT_ROOM = 320,
};

/* Texts are valid UTF-8 without control characters, cut where they are long. */
struct event {
	uint64_t id;      /* from 1 on, without gaps until some are forgotten */
	int64_t time_ms;  /* Unix time; may go back when the wall clock does */
	enum event_kind kind;
	char node[JOURNAL_NODE_ROOM]; /* its name; "": the group, or weir itself */
	char text[JOURNAL_TEXT_ROOM]; /* one sentence */
};

struct journal;

struct journal *journal_create(void);
/* Frees *journal, sets it to NULL. */
void journal_destroy(struct journal **journal);

/* Logs "node: text", or the text alone where `node` is NULL, and keeps it. */
void journal_note(struct journal *journal, enum event_kind kind, const char *node, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The id of the event noted last, 0: none yet. */
uint64_t journal_newest(const struct journal *journal);
/* The oldest event kept with a greater id, NULL: there is none. Valid until the
 * next journal_note(). */
const struct event *journal_after(const struct journal *journal, uint64_t id);

/* The kind's word: "node_up". */
const char *event_kind_name(enum event_kind kind);
/* "notice", "warning" */
const char *event_kind_level(enum event_kind kind);

#endif
