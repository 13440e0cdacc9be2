#ifndef WEIR_CONSISTENCY_RELAY_H
#define WEIR_CONSISTENCY_RELAY_H

#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../../proxy/list.h"
#include "../random.h"

/* Links, their connections, and what is done to the bytes on them. */

enum { LINK_NAME_SIZE = 32 };

enum toxic { LATENCY, RATE, SLICE, STALL, BLACKHOLE, LIMIT, CORRUPT, REFUSE, TOXIC_COUNT };

struct toxics {
	int64_t value[TOXIC_COUNT]; /* 0: not there */
	int64_t extra[TOXIC_COUNT]; /* the second figure, where a kind has one */
};

enum direction { UP, DOWN, DIRECTIONS };

struct relay {
	struct ev_loop *loop;
	struct list_link ports;
	struct list_link links;
	struct random random;
};

struct link {
	struct list_link of_relay;
	struct relay *relay;
	char name[LINK_NAME_SIZE];
	int port;
	int target;
	in_addr_t source; /* INADDR_ANY: everybody whom no other link of the port claims */
	struct toxics toxics[DIRECTIONS];
	struct list_link connections;
	int64_t open;
	int64_t accepted;
	int64_t bytes[DIRECTIONS];
};

void relay_init(struct relay *relay, struct ev_loop *loop);
struct link *relay_find(struct relay *relay, const char *name);
/* NULL: the name is taken, or the port cannot be listened on. */
struct link *relay_add(struct relay *relay, const char *name, int port, int target, in_addr_t source);

/* After a change of its toxics: every connection is looked at anew. */
void link_apply(struct link *link);
/* So many bytes may pass on each connection from now on. */
void link_limit(struct link *link, enum direction direction, int64_t bytes);
/* Ends all connections. */
void link_cut(struct link *link, bool by_reset);

#endif
