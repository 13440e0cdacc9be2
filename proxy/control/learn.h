#ifndef WEIR_PROXY_LEARN_H
#define WEIR_PROXY_LEARN_H

#include "../config/config.h"

struct command_table;
struct ev_loop;
struct snapshot;

/* Learns the command table from the master: asks COMMAND on a connection of
 * its own whenever a master with another run_id appears. On the control
 * thread's loop. hiredis could not do it: 0.14.1 stops at the nesting that
 * this reply has. */

struct learner;

/* `on_learned` gets a table that it may acquire; the learner keeps its own. */
struct learner *learner_start(struct ev_loop *loop, const struct config *config,
			      void (*on_learned)(void *arg, struct command_table *table), void *arg);
/* Another configuration is in force: learns again where that makes a difference. */
void learner_adopt_config(struct learner *learner, const struct config *config);
/* A new snapshot: learns again if its master is another one. */
void learner_follow(struct learner *learner, const struct snapshot *snapshot);
void learner_stop(struct learner **learner);

#endif
