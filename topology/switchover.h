#ifndef WEIR_TOPOLOGY_SWITCHOVER_H
#define WEIR_TOPOLOGY_SWITCHOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "info.h"

/* A planned change of the master, as pure functions: what has to be so before it
 * begins, and from what was seen to the next step. succession.c carries it out.
 *
 *   step      is done when                                    else, undone when
 *   CHECK     settings and INFOs have come, nothing is against it   something is
 *   HOLD      no worker has anything under way at the master   it is lost, half the time is up
 *   FENCE     CLIENT PAUSE is answered, and a ROLE behind it   lost, refused, the time is up
 *   CATCH_UP  the heir has applied that offset                 lost, promoted by somebody, the time is up
 *   DEMOTE    the old master follows the heir: its stream      lost, refused, twice the time is up
 *             has an end, and nothing can be added to it
 *   PROMOTE   the heir has applied all of it, was sent         the heir is gone
 *             REPLICAOF NO ONE, and says that it is a master
 *   MOVE      whoever listens to the old master listens to the new
 *             one, in every worker, or one and a half seconds are over
 *   FOLLOW    every other node follows it
 *   UNDO      the old master is one, and takes writes
 *
 * Between DEMOTE and PROMOTE the two follow each other and nobody takes writes: a
 * ring, in which no data can be lost. Whoever finds one may end it by promoting
 * the one that has most; so does a weir that was restarted in the middle. Nothing
 * is undone once the heir may be a master and can be asked. */

enum switchover_step {
	SWITCHOVER_NONE,
	SWITCHOVER_CHECK,
	SWITCHOVER_HOLD,
	SWITCHOVER_FENCE,
	SWITCHOVER_CATCH_UP,
	SWITCHOVER_DEMOTE,
	SWITCHOVER_PROMOTE,
	SWITCHOVER_MOVE,
	SWITCHOVER_FOLLOW,
	SWITCHOVER_UNDO,
	SWITCHOVER_STEP_COUNT
};

/* "hold", "catch_up"; NULL: none is under way. */
const char *switchover_step_name(enum switchover_step step);

enum switchover_peer {
	PEER_UP,
	PEER_SILENT, /* it cannot be asked now */
	PEER_GONE,   /* it is down, or another process answers in its place */
};

/* Roles and offsets are those answered since the step began, or behind its command
 * where it has one; -1 is not known. */
struct switchover_seen {
	int64_t limit_ms;          /* how long writes may be held until the promotion */
	int64_t held_ms;           /* how long they have been */
	int64_t step_ms;           /* how long the step has lasted */
	bool workers_ready;        /* all of them have acknowledged the hold */
	bool answered;             /* the step's command is, */
	bool refused;              /* with an error */
	enum switchover_peer old;
	enum switchover_peer heir;
	enum server_role old_role;
	enum server_role heir_role;
	int64_t old_offset;
	int64_t heir_offset;
	int64_t end_offset;        /* of the old master's stream, as far as it is known */
	bool moved;                /* all workers have acknowledged the new master, nothing is written to it yet */
	bool all_follow;
};

struct switchover_verdict {
	enum switchover_step next; /* the same: wait; NONE: it has ended */
	const char *why;           /* of UNDO, and of an end that is not whole: a sentence; NULL */
};

struct switchover_verdict switchover_next(enum switchover_step step, const struct switchover_seen *seen);

/* ---- what has to be so ---- */

enum { SWITCHOVER_SETTINGS = 5, SWITCHOVER_VALUE_SIZE = 512 };

/* The names that are compared, in order. */
extern const char *const switchover_setting_names[SWITCHOVER_SETTINGS];

/* CONFIG GET of one server; "" and not known: it does not say. */
struct switchover_settings {
	bool known[SWITCHOVER_SETTINGS];
	char values[SWITCHOVER_SETTINGS][SWITCHOVER_VALUE_SIZE];
};

/* One of the group as it is about to be changed. Strings are borrowed. */
struct switchover_member {
	const char *name;
	bool up;
	const char *unreadable;    /* why it serves no reads, one word; NULL: it does */
	const char *cannot_reach;  /* why the old master could not be told of it; NULL */
	int64_t lag_bytes;
	const struct info *info;
	const struct switchover_settings *settings;
};

enum { SWITCHOVER_TEXT_SIZE = 1024 };

/* Everything that is against making `heir` the master, sentences joined by "; ";
 * "" when nothing is. `members` are all others, the old master at `old`. */
void switchover_object(const struct switchover_member *members, size_t count, size_t old, size_t heir,
		       char text[SWITCHOVER_TEXT_SIZE]);

/* The one to take where none was named: readable, lowest priority number, most
 * data, first of the file. -1: none. */
int switchover_choose(const struct switchover_member *members, size_t count, size_t old);

#endif
