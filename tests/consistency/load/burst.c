/* What bursts are made of. */
#include "burst.h"

#include <inttypes.h>
#include <string.h>

bool burst_has_room(const struct actor *actor, uint32_t count)
{
	return actor->burst_count + count <= BURST_MAX;
}

struct operation *burst_add(struct actor *actor, enum operation_name name)
{
	struct operation *operation = &actor->burst[actor->burst_count++];

	memset(operation, 0, sizeof(*operation));
	operation->name = name;
	operation->replies_due = operation_replies(name);
	operation->number = UNWATCHED;
	operation->sequence = actor->sequence++;
	return operation;
}

void burst_add_number(struct actor *actor, enum operation_name name, int64_t number)
{
	burst_add(actor, name)->number = number;
}

/* Keys in another database need a SELECT in front. */
struct operation *burst_add_keyed(struct actor *actor, enum operation_name name, struct key key)
{
	struct wire *wire = &actor->wires[actor->burst_wire];
	struct operation *operation;

	if (wire->database != operation_database(&key)) {
		wire->database = operation_database(&key);
		burst_add_number(actor, OPERATION_SELECT, wire->database);
	}
	operation = burst_add(actor, name);
	operation->keys[0] = key;
	operation->key_count = 1;
	return operation;
}

void burst_give_value(const struct actor *actor, struct operation *operation)
{
	char name[KEY_SIZE];

	ground_name(&operation->keys[0], name);
	snprintf(operation->value, VALUE_SIZE, "%s=%" PRIu64 ".%u", name, actor->session, operation->sequence);
}

struct key burst_key_to_write(struct ground *ground, enum family family, uint32_t index, int64_t most)
{
	struct key key = ground_key(ground, family, index);

	if (ground_place(ground, &key)->count >= most) {
		ground_leave(ground, &key);
		key = ground_key(ground, family, index);
	}
	ground_place(ground, &key)->count++;
	return key;
}

struct key burst_any_to_write(struct actor *actor, enum family family, int64_t most)
{
	struct ground *ground = &actor->load->ground;
	uint32_t index = (uint32_t)random_below(&actor->random, ground->indices[family]);

	return burst_key_to_write(ground, family, index, most);
}

struct key burst_key_to_read(struct actor *actor, enum family family)
{
	struct ground *ground = &actor->load->ground;

	if (random_percent(&actor->random, 60))
		return ground_hot(ground, family, &actor->random);
	if (family == FAMILY_SINGLE && actor->index < ground->indices[family] && random_percent(&actor->random, 60))
		return ground_key(ground, family, actor->index);
	return ground_any(ground, family, &actor->random);
}

void burst_add_register_read(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_GET, burst_key_to_read(actor, FAMILY_SINGLE));
}
