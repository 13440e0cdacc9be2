#ifndef WEIR_CONSISTENCY_BURST_H
#define WEIR_CONSISTENCY_BURST_H

#include "load.h"

/* What bursts are made of: for the roles that decide on them. */

enum {
	REGISTER_WRITES_MAX = 200, /* of a key, before it is left behind */
	SHARED_WRITES_MAX = 400,
	LIST_LENGTH_MAX = 64,
	QUEUE_LENGTH_MAX = 40,
};

bool burst_has_room(const struct actor *actor, uint32_t count);
struct operation *burst_add(struct actor *actor, enum operation_name name);
void burst_add_number(struct actor *actor, enum operation_name name, int64_t number);
/* With a SELECT in front, where the key is in another database. */
struct operation *burst_add_keyed(struct actor *actor, enum operation_name name, struct key key);
/* GET of a single-writer register. */
void burst_add_register_read(struct actor *actor);
/* A value that nobody else writes. */
void burst_give_value(const struct actor *actor, struct operation *operation);

/* The key of an index for one write more; a new one when it has had `most`. */
struct key burst_key_to_write(struct ground *ground, enum family family, uint32_t index, int64_t most);
struct key burst_any_to_write(struct actor *actor, enum family family, int64_t most);
/* Mostly what was just written by somebody, for that is where staleness shows. */
struct key burst_key_to_read(struct actor *actor, enum family family);

#endif
