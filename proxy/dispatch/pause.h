#ifndef WEIR_PROXY_PAUSE_H
#define WEIR_PROXY_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "../list.h"

struct backend;
struct client;
struct worker;

/* CLIENT PAUSE, as one worker knows it. The master holds whatever may change
 * data, and weir passes every pause on to it as one of writes: it would not
 * answer weir's own probes otherwise. So two things are left to do here:
 *
 *   - Commands that the master may hold are diverted to connections of their
 *     own: on a shared one whatever stands behind them would be held too. The
 *     master decides about each of them, and shows them as blocked.
 *   - While all commands are paused, clients are held here: no command of
 *     theirs is taken.
 *
 * Diverting changes nothing that a client could see. It begins before the
 * master is told, and ends some time after the pause. */

enum pause_mode { PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL };

struct pause {
	enum pause_mode mode;
	int64_t end_ns;             /* of the mode */
	int64_t told_ns;            /* when the master had answered the last CLIENT PAUSE */
	int64_t divert_until_ns;
	unsigned coming;            /* pauses that are prepared, and not known to have begun or failed */
	int64_t ahead_until_ns;     /* after this none of them is waited for any more */
	bool diverts;
	unsigned diverted;          /* backends that carry a diverted command */
	struct list_link held;      /* clients in STALL_PAUSE: client.resume */
	struct list_link clearings; /* errands that wait for the shared lanes (pause.c) */
};

void pause_init(struct pause *pause);

/* One is prepared: the master may be paused at any time from now on. Times are
 * those of clock_ns(). */
void pause_prepare(struct pause *pause, int64_t ahead_until_ns);
/* The master has been paused, again perhaps: the longest end and the strictest
 * mode win. */
void pause_begin(struct pause *pause, enum pause_mode mode, int64_t end_ns, int64_t now_ns);
/* It was asked at asked_ns to go on. Where the last pause may be a later one,
 * its writes are diverted until its end, and so they are for one that is to
 * come. */
void pause_end(struct pause *pause, int64_t asked_ns);
/* What is over at this time is ended. True when something was. */
bool pause_expire(struct pause *pause, int64_t now_ns);

/* ---- on a worker's thread ---- */

/* The same as pause_begin(), for a worker. */
void pause_told(struct worker *worker, enum pause_mode mode, int64_t end_ns, int64_t now_ns);

/* Every tick, and at the end of every turn. */
void pause_tick(struct worker *worker);
void pause_turn(struct worker *worker);

/* Lets go one of the clients that are held because there was no connection for
 * them; all of them. */
void pause_wake_one(struct worker *worker);
void pause_wake_all(struct worker *worker);

/* May the master be holding what this backend has sent last, because of a pause? */
bool pause_may_hold(const struct backend *backend);

/* A backend carries a diverted command; it is given back, or ends. */
void pause_divert(struct backend *backend);
void pause_undivert(struct backend *backend);

/* Before the master is told: every worker begins to divert, and waits until
 * nothing stands on its shared lanes that the master could hold. Then `then` is
 * called for the client, if it is still there. */
void pause_clear_lanes(struct client *client, void (*then)(struct client *client));

#endif
