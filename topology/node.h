#ifndef WEIR_TOPOLOGY_NODE_H
#define WEIR_TOPOLOGY_NODE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "health.h"
#include "info.h"
#include "link.h"
#include "snapshot.h"
#include "topology.h"

/* One configured redis-server: its control link, the checks on it, and what
 * they showed last. It observes and judges its own health; what the facts mean
 * for the group is decided elsewhere. Control thread only. */

struct journal;
struct name;
struct node;

struct node_events {
	void (*on_role)(void *arg, struct node *node); /* role and role_sent_ns are new */
	void (*on_info)(void *arg, struct node *node); /* info and info_sent_ns are new */
	void (*on_confirmed)(void *arg, struct node *node, int64_t sent_ns); /* vitals' confirmed_ns is new */
	void (*on_change)(void *arg, struct node *node); /* health or link changed */
	void *arg;
};

struct node {
	/* as configured */
	struct ev_loop *loop;
	struct topology_node_config *config; /* a copy of its own */
	const struct topology_config *group;
	struct node_events events;
	struct journal *journal;
	struct link_config link_config;
	uint32_t id;                  /* stays, whatever stands before it in the file */
	uint32_t index;               /* its place in the group now */
	char *address_text;           /* host:port */
	char *told_text;              /* announce address, host:port */
	const char *told_host;
	uint16_t told_port;

	/* its link and health */
	struct address address;       /* of the present link, or the last one */
	struct name *name;            /* NULL: its host is a number */
	bool awaits_name;             /* it is being looked up, and then connected to */
	bool address_failed;          /* nobody answered there the last time */
	struct link *link;
	struct ev_timer reconnect;
	int64_t connecting_ns;        /* the last attempt */
	struct health health;
	char trouble[256];            /* why the last bad check was bad, "" since it came up */
	unsigned roles_outstanding;
	unsigned infos_outstanding;

	/* what it said last; stays readable after the link is lost */
	bool known;                   /* info is of the present link */
	bool positioned;              /* so is role */
	struct info info;
	struct role role;
	int64_t new_resyncs_full;     /* served since the INFO before, by the same process */
	int64_t new_resyncs_partial;
	char master_text[INFO_HOST_SIZE + 16]; /* whom it follows, host:port, "" */
	int64_t info_sent_ns;
	int64_t role_sent_ns;
	int64_t role_answered_ns;

	/* this run of it */
	uint32_t incarnation;         /* rises, also from one server to the next with this id */
	struct node_vitals *vitals;   /* of the run info.run_id; never NULL */

	uint64_t state_changes;       /* of up/down and role */
};

/* `config` is copied; `group` outlives the node, its contents may change: then
 * node_configure() follows. */
struct node *node_create(struct ev_loop *loop, uint32_t id, const struct topology_config *group,
			 const struct topology_node_config *config, const char *link_name, struct journal *journal,
			 const struct node_events *events);
/* Frees *node, sets it to NULL. */
void node_destroy(struct node **node);
/* The same server by another name, with other options, or in a group with other
 * times and credentials. */
void node_configure(struct node *node, const struct topology_node_config *config);

/* Begins to connect, and keeps trying with backoff; nothing if there is a link
 * already. */
void node_connect(struct node *node);
/* The same without waiting for the backoff, unless the last attempt was a
 * moment ago. */
void node_hurry(struct node *node);
/* Sends the question if the link is ready and few of its kind are unanswered. */
void node_ask_role(struct node *node);
void node_ask_info(struct node *node);

bool node_is_up(const struct node *node);

#endif
