#ifndef WEIR_TOPOLOGY_SENTINEL_H
#define WEIR_TOPOLOGY_SENTINEL_H

#include <stddef.h>
#include <stdint.h>

#include "topology.h"

struct ev_loop;
struct journal;

/* Asks the sentinels who the master is and who its replicas are, and tells when
 * that changes. Nothing is decided here and nothing is said to a redis-server:
 * wiring and promotion are the sentinels' own. Control thread only.
 *
 * Sentinels may differ for a while, after a failover and when they are cut off:
 * the one with the newest configuration (config-epoch) is right, as it is among
 * themselves (redis sentinel.c, sentinelProcessHelloMessage()). */

struct sentinels;

enum { SENTINEL_HOST_ROOM = 256 };

struct sentinel_member {
	char host[SENTINEL_HOST_ROOM];
	uint16_t port;
};

/* The master first. */
struct sentinel_group {
	struct sentinel_member members[TOPOLOGY_NODES_MAX];
	size_t count;
};

/* What the sentinels say has changed. From the loop, never from within another
 * function of this module. */
typedef void sentinel_changed_fn(void *arg, const struct sentinel_group *group);

/* `config`, `link_name` and the journal outlive it. NULL where no sentinel is
 * configured. */
struct sentinels *sentinels_create(struct ev_loop *loop, const struct topology_config *config, const char *link_name,
				   struct journal *journal, sentinel_changed_fn *on_changed, void *arg);
/* Frees *sentinels, sets it to NULL. */
void sentinels_destroy(struct sentinels **sentinels);

/* A replica is being promoted in the place of the present master: what is written
 * to that one now would be lost. Until the next function is called, or they give up,
 * or some seconds have passed. `sentinels` may be NULL. */
bool sentinels_are_replacing(const struct sentinels *sentinels);
void sentinels_have_replaced(struct sentinels *sentinels);

/* For admin: a view of each, in the order of the file; returns how many. Strings
 * are valid until control returns to the loop. */
size_t sentinels_show(const struct sentinels *sentinels, const struct topology_sentinel_view **views);

/* ---- pure, for tests ---- */

struct redisReply;

/* What one sentinel says. `version` orders what several of them say. */
struct sentinel_answer {
	int64_t config_epoch;
	int64_t version;
	struct sentinel_group group;
	struct sentinel_member old; /* while it is read: by the first answer */
};

/* Its answers, in this order: to SENTINEL MASTER, SENTINEL GET-MASTER-ADDR-BY-NAME
 * and SENTINEL REPLICAS. False: it knows no such master, or its words cannot be
 * read, and the others need not be looked at. */
bool sentinel_read_master(struct sentinel_answer *answer, const struct redisReply *master);
bool sentinel_read_address(struct sentinel_answer *answer, const struct redisReply *address);
bool sentinel_read_replicas(struct sentinel_answer *answer, const struct redisReply *replicas);

#endif
