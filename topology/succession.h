#ifndef WEIR_TOPOLOGY_SUCCESSION_H
#define WEIR_TOPOLOGY_SUCCESSION_H

#include <stdbool.h>

#include "topology.h"

/* Carries out a change of the master: what switchover.h decides. The only file
 * that sends REPLICAOF NO ONE. Control thread only. */

struct node;
struct succession;

struct succession *succession_create(struct topology *topology);
/* After the nodes' links are closed. */
void succession_destroy(struct succession **succession);

/* Takes the change that is under way one step further; called in every settle,
 * before a plan is made. */
void succession_act(struct succession *succession);
/* The group is as it was when writes were held: nothing is planned, adopted or
 * wired meanwhile. */
bool succession_keeps(const struct succession *succession);
/* The master, be it the old one or the new one, is published as held. */
bool succession_holds(const struct succession *succession);
/* The node that was the master, while the others change over from it; or
 * PLAN_NOBODY. */
int succession_deposed(const struct succession *succession);
/* The node that has taken its place, as long; or PLAN_NOBODY. */
int succession_heir(const struct succession *succession);

const char *succession_begin(struct succession *succession, const struct topology_switchover *wanted);
/* The old master is lost, and fenced: the heir is promoted as it is. Nothing may be
 * under way. */
void succession_take_over(struct succession *succession, struct node *old, struct node *heir);
bool succession_is_under_way(const struct succession *succession);
/* The node is about to go. */
void succession_forget(struct succession *succession, const struct node *node);
void succession_show(const struct succession *succession, struct topology_succession_view *view);

#endif
