#ifndef WEIR_TOPOLOGY_WIRE_H
#define WEIR_TOPOLOGY_WIRE_H

#include <stdbool.h>

/* Acts on the plan: REPLICAOF and what goes with it, one action at a time per
 * node. Control thread only. */

struct node;
struct topology;
struct wire;

struct wire *wire_create(struct topology *topology);
/* After the nodes' links are closed. */
void wire_destroy(struct wire **wire);
/* A server has joined the group: nothing was done to it yet. */
void wire_welcome(struct wire *wire, struct node *node);

/* Takes topology->plan one step further; called whenever a plan was made. */
void wire_act(struct wire *wire);
/* Can the node log in at this master when it is told to follow it? It is seen to,
 * and asked again. */
bool wire_is_prepared(struct wire *wire, const struct node *node, const struct node *master);
/* A node's wiring was undone by somebody else twice within a minute: a
 * sentence, NULL otherwise. It lapses after ten minutes. */
const char *wire_quarrel(struct wire *wire);

/* weir has sent the node to another master itself: nobody undid its wiring. */
void wire_led_away(struct wire *wire, const struct node *node);

#endif
