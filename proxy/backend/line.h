#ifndef WEIR_PROXY_LINE_H
#define WEIR_PROXY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "../list.h"

struct backend;
struct client;
struct worker;

/* Clients whose next request has no place in a connection's crowd (crowd.h) stand
 * in line for one: newcomers in one row, those whose replies are large in another.
 * Each row is served in the order in which they came. Of eight places newcomers get
 * seven, so that they hardly wait for what others go on asking for, and those not
 * for ever. Everybody else passes by. A client in line is in STALL_LINE. */

enum line_row {
	LINE_NEWCOMERS,
	LINE_LARGE,
	LINE_ROWS
};

enum { LINE_PLACES = 8 };

struct line {
	struct list_link rows[LINE_ROWS];
	struct list_link moves;  /* worker->moving_lines */
	uint8_t place;           /* that is given next, of LINE_PLACES */
};

void line_init(struct line *line);

void line_join(struct client *client, struct backend *lane);

/* Do others stand there who came before it? */
bool line_is_before(const struct client *client, const struct backend *lane);

/* A place may be free: at the end of the turn the first ones are let in. */
void line_move(struct backend *lane);

/* Nobody waits for this connection any more: all of them look for their way anew. */
void line_dissolve(struct backend *lane);

/* At the end of a turn. Who has left meanwhile is noticed here at the latest, before
 * a server is asked for something in vain. */
void line_admit(struct worker *worker);

#endif
