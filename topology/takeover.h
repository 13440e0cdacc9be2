#ifndef WEIR_TOPOLOGY_TAKEOVER_H
#define WEIR_TOPOLOGY_TAKEOVER_H

#include "topology.h"

/* Watches for a master that is lost ([failover] mode = auto), asks the replicas
 * about it, and has succession.h make one of them the master when failover.h says
 * so. Control thread only. */

struct takeover;

struct takeover *takeover_create(struct topology *topology);
/* After the nodes' links are closed. */
void takeover_destroy(struct takeover **takeover);

/* Called in every settle, after the master was adopted or lost. */
void takeover_act(struct takeover *takeover);
void takeover_show(const struct takeover *takeover, struct topology_failover_view *view);

#endif
