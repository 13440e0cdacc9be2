#include "ground.h"

#include <stdio.h>
#include <string.h>

static const char letters[FAMILIES] = { 's', 'm', 'l', 't', 'q', 'd' };

void ground_init(struct ground *ground, uint32_t single_writers)
{
	memset(ground, 0, sizeof(*ground));
	ground->indices[FAMILY_SINGLE] = single_writers;
	ground->indices[FAMILY_MULTI] = 6;
	ground->indices[FAMILY_LIST] = 6;
	ground->indices[FAMILY_TRANSFER] = 4;
	ground->indices[FAMILY_QUEUE] = 3;
	ground->indices[FAMILY_DONE] = 1;
}

struct key ground_key(const struct ground *ground, enum family family, uint32_t index)
{
	return (struct key){ family, index, ground->places[family][index].generation };
}

struct key ground_any(const struct ground *ground, enum family family, struct random *random)
{
	return ground_key(ground, family, (uint32_t)random_below(random, ground->indices[family]));
}

struct place *ground_place(struct ground *ground, const struct key *key)
{
	return &ground->places[key->family][key->index];
}

void ground_leave(struct ground *ground, const struct key *key)
{
	struct place *place = ground_place(ground, key);

	if (place->generation != key->generation)
		return;
	place->generation++;
	place->count = 0;
}

void ground_heat(struct ground *ground, const struct key *key)
{
	ground->hot[ground->hot_count++ % HOT_KEYS] = *key;
}

struct key ground_hot(const struct ground *ground, enum family family, struct random *random)
{
	for (uint64_t age = 1; age <= HOT_KEYS && age <= ground->hot_count; age++) {
		const struct key *key = &ground->hot[(ground->hot_count - age) % HOT_KEYS];

		if (key->family == family)
			return *key;
	}
	return ground_any(ground, family, random);
}

const char *ground_name(const struct key *key, char name[KEY_SIZE])
{
	snprintf(name, KEY_SIZE, "%c:%u:%u", letters[key->family], key->index, key->generation);
	return name;
}
