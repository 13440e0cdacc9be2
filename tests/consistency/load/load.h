#ifndef WEIR_CONSISTENCY_LOAD_H
#define WEIR_CONSISTENCY_LOAD_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../../protocol/buf.h"
#include "ground.h"
#include "operation.h"
#include "../random.h"
#include "reply.h"

/* A load: actors that talk to one or several doors, each over one connection at
 * a time, and write down what they did. One thread, one loop.
 *
 * An actor sends bursts: 1 to 100 operations in one write, and the next burst
 * when all are answered. A connection is a session. When it is lost, or an
 * answer is -UNKNOWNRESULT, the session ends and the actor goes on with a new
 * one: it cannot know any more what it has done. */

enum {
	BURST_MAX = 100,
	DOORS_MAX = 4,
	ERRORS_MAX = 32,
	ERROR_SIZE = 32,
	TOKEN_SIZE = 96,
};

struct options {
	uint16_t doors[DOORS_MAX];
	uint32_t door_count;
	bool last_is_beside;  /* the last of them leads to a server, past weir */
	uint16_t reads_at;    /* port that gets what only reads, in place of the door; 0: none */
	uint16_t reader_door; /* port that takes nothing but reads; 0: none */
	uint32_t general;     /* actors of each role */
	uint32_t readers;
	uint32_t consumers;
	uint32_t listeners;
	double seconds;
	double rate;          /* operations per second, over all; 0: as fast as it goes */
	unsigned writes;      /* percent */
	bool own;             /* nothing but reads and writes of each actor's own register */
	bool tokens;          /* hand positions from session to session */
	bool fat;             /* some values are large */
	uint64_t seed;
	const char *history;  /* path; NULL: none is kept */
};

/* What went wrong, by its first word. */
struct error_count {
	char word[ERROR_SIZE];
	uint64_t count;
};

/* One connection. */
struct wire {
	ev_io readable;
	ev_io writable;
	int fd; /* -1: not open */
	uint32_t database;
	struct buf in;
	struct buf out;
};

enum { WIRE_MAIN, WIRE_READS, WIRES };

struct load;
struct actor;

/* What an actor does: decides on bursts, and looks at what came of them. */
struct role {
	void (*next_burst)(struct actor *actor);
	/* After each operation. */
	void (*settled)(struct actor *actor, const struct operation *operation, const struct reply *reply,
			enum outcome outcome);
	void (*message)(struct actor *actor, const struct reply *message);
};

enum actor_state {
	ACTOR_PAUSED,  /* until its timer */
	ACTOR_BUSY,    /* a burst is on its way */
	ACTOR_WAITING, /* for a message */
	ACTOR_ENDED,
};

struct actor {
	struct load *load;
	const struct role *role;
	uint32_t index;
	enum actor_state state;
	struct random random;
	ev_timer pause;
	double owed_seconds; /* of pauses cut short */
	ev_timer deadline; /* of the next reply */

	/* The session. */
	uint64_t session; /* 0: none */
	uint32_t door;
	struct wire wires[WIRES];
	uint32_t sequence;
	int64_t protocol;
	bool subscribed;
	bool unknown; /* it was told -UNKNOWNRESULT */
	bool greeted; /* it was told anything at all */
	uint32_t failed_sessions; /* in a row, that were not */

	/* The burst. */
	struct operation burst[BURST_MAX];
	uint32_t burst_count;
	uint32_t burst_next; /* first that is not answered */
	int burst_wire;

	/* What the next burst is to follow up. */
	bool watching;
	int64_t watched_count; /* transfers that the watched balances showed */
	bool has_follow_up;
	struct key follow_up;
};

struct load {
	struct options options;
	struct ev_loop *loop;
	FILE *history;
	struct ground ground;
	struct actor *actors;
	uint32_t actor_count;
	uint32_t busy;
	bool stopping;
	ev_timer end;
	ev_signal term;
	struct reply_arena arena;
	char token[TOKEN_SIZE]; /* the newest, "" none */
	uint64_t sessions;
	uint64_t outcomes[3]; /* of operations that are in the history */
	struct error_count errors[ERRORS_MAX];
};

/* ---- session.c: connections ---- */

void session_init(struct actor *actor);
/* Opens a session if there is none, and sends the next burst. */
void session_start_burst(struct actor *actor);
/* What was not answered is of unknown outcome. */
void session_end(struct actor *actor, const char *why);

/* ---- general.c, consumer.c, listener.c: what to do ---- */

extern const struct role role_general, role_reader, role_consumer, role_listener;

/* ---- load.c ---- */

void load_count_error(struct load *load, const char *text, size_t length);
/* Ends the loop when the time is over and nobody is busy any more. */
void load_check_end(struct load *load);

#endif
