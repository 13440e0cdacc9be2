#ifndef WEIR_CONSISTENCY_GROUND_H
#define WEIR_CONSISTENCY_GROUND_H

#include <stdint.h>

#include "../random.h"

/* The keys in play, shared by all actors of a load.
 *
 * Each family has some indices, and each index a generation that counts up:
 * keys are left behind when they have been written often enough (lists would
 * grow without end) or when the outcome of a write is unknown and whoever
 * writes alone could not tell any more what comes next. The history of a key left
 * behind stays valid.
 *
 * A key's name says all: family:index:generation. */

enum family {
	FAMILY_SINGLE,   /* s: register with one writer, values counted up */
	FAMILY_MULTI,    /* m: register with many writers, every value once */
	FAMILY_LIST,     /* l: list of which every element is appended once */
	FAMILY_TRANSFER, /* t: two balances and a log: three keys */
	FAMILY_QUEUE,    /* q: items are pushed right and popped left */
	FAMILY_DONE,     /* d: where items are moved to, else as l */
	FAMILIES,
};

enum {
	INDICES_MAX = 256,
	HOT_KEYS = 16,
	KEY_SIZE = 40,
};

struct key {
	enum family family;
	uint32_t index;
	uint32_t generation;
};

/* What is known of the present key of an index. */
struct place {
	uint32_t generation;
	int64_t count; /* writes that were begun; of a queue, items in it */
};

struct ground {
	uint32_t indices[FAMILIES];
	struct place places[FAMILIES][INDICES_MAX];
	struct key hot[HOT_KEYS]; /* acknowledged to somebody a moment ago, newest last */
	uint64_t hot_count;
};

/* So many single-writer registers; the other families have few keys, so that
 * actors meet on them. */
void ground_init(struct ground *ground, uint32_t single_writers);

struct key ground_key(const struct ground *ground, enum family family, uint32_t index);
struct key ground_any(const struct ground *ground, enum family family, struct random *random);
struct place *ground_place(struct ground *ground, const struct key *key);
/* The index goes on with the next generation, if the key is its present one. */
void ground_leave(struct ground *ground, const struct key *key);

/* Remembers an acknowledged write: others should look at it at once. */
void ground_heat(struct ground *ground, const struct key *key);
/* One of the newest of the family; else any of it. */
struct key ground_hot(const struct ground *ground, enum family family, struct random *random);

/* Writes the name, and returns it. */
const char *ground_name(const struct key *key, char name[KEY_SIZE]);

#endif
