#ifndef WEIR_TOPOLOGY_RIVALS_H
#define WEIR_TOPOLOGY_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who else controls this group: a Sentinel that watches the master, or another
 * weir. Both can be seen on the master. Control thread only. */

struct rivals;
struct topology;

struct rivals *rivals_create(struct topology *topology);
void rivals_destroy(struct rivals **rivals);

/* Asks the present master, if it is time to or if `now`. */
void rivals_look(struct rivals *rivals, bool now);
/* Whether the present master has been asked, and has answered, since then. */
bool rivals_looked_since(const struct rivals *rivals, int64_t since_ns);
/* Lets other weirs see on every server whether this one would promote a replica if the
 * master were lost. Called in every settle. */
void rivals_announce(struct rivals *rivals, bool would_promote);
/* While there is no master: asks the others, from time to time. */
void rivals_look_around(struct rivals *rivals);
/* Why this weir must not promote one of them, a sentence; NULL: it may. Of several
 * weirs that would, the one whose name is lowest goes first. */
const char *rivals_go_first(const struct rivals *rivals);
/* Has everyone who answers said who is there, since then, and since it lets this weir be
 * seen as one that would promote? */
bool rivals_have_told(const struct rivals *rivals, int64_t since_ns);
/* A sentence, NULL if nobody was seen. */
const char *rivals_found(const struct rivals *rivals);

/* Pure, for tests: the name of a weir whose control connection stands in this
 * CLIENT LIST text with a lower id than the connection called `own_name` (or
 * with any id, if that is a newcomer or not in the list), copied into `name`. Client
 * ids rise with time, so whoever came first controls, and all agree on who that
 * is. */
bool rivals_find_weir(const char *list, size_t length, const char *own_name, bool newcomer, char *name,
		      size_t size);
/* Likewise: the lowest name of a weir that would promote, if it is lower than `own_name`. */
bool rivals_find_leader(const char *list, size_t length, const char *own_name, char *name, size_t size);

#endif
