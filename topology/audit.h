#ifndef WEIR_TOPOLOGY_AUDIT_H
#define WEIR_TOPOLOGY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

/* Which users have the same rules on a replica as on the master: ACLs are not
 * replicated, and a read must not be allowed, or refused, by another server's
 * rules. Control thread only. */

struct audit;
struct node;
struct topology;
struct topology_node_view;

struct audit *audit_create(struct topology *topology);
void audit_destroy(struct audit **audit);
/* A server has joined the group, or is gone from it: no answer of it is due then. */
void audit_welcome(struct audit *audit, struct node *node);
void audit_forget(struct audit *audit, const struct node *node);

/* Asks every server whose answer is older than it should be. */
void audit_look(struct audit *audit);
/* Asks all of them now. `changes` is how many changes of users have come through
 * weir: answers to earlier questions do not cover this one. */
void audit_demand(struct audit *audit, uint64_t changes);

/* What the snapshot says of this node; a reference for the caller. Never NULL. */
struct snapshot_users *audit_users(struct audit *audit, const struct node *node);

/* Fills in what admin shows of it. */
void audit_show(struct audit *audit, const struct node *node, struct topology_node_view *view);

#endif
