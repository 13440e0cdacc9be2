/* Actors that take from the queues, mostly by waiting, and look what is left. */
#include "burst.h"

/* What was popped must not be there any more, what was moved must be. */
static void look_after(struct actor *actor)
{
	actor->has_follow_up = false;
	burst_add_keyed(actor, OPERATION_RANGE, actor->follow_up);
	if (random_percent(&actor->random, 50))
		burst_add_register_read(actor);
}

static struct key any_queue(struct actor *actor)
{
	return ground_any(&actor->load->ground, FAMILY_QUEUE, &actor->random);
}

/* One queue or several, beginning anywhere. */
static void pop_from_several(struct actor *actor)
{
	const struct ground *ground = &actor->load->ground;
	uint32_t queues = ground->indices[FAMILY_QUEUE];
	struct key first = any_queue(actor);
	struct operation *operation = burst_add_keyed(actor, OPERATION_POP, first);
	uint32_t count = 1 + (uint32_t)random_below(&actor->random, queues);

	for (; operation->key_count < count; operation->key_count++)
		operation->keys[operation->key_count] =
			ground_key(ground, FAMILY_QUEUE, (first.index + operation->key_count) % queues);
}

static void consumer_burst(struct actor *actor)
{
	struct operation *operation;
	uint64_t dice = random_below(&actor->random, 100);

	if (actor->has_follow_up) {
		look_after(actor);
	} else if (dice < 60) {
		pop_from_several(actor);
	} else if (dice < 75) {
		burst_add_keyed(actor, OPERATION_TAKE, any_queue(actor));
	} else {
		operation = burst_add_keyed(actor, OPERATION_MOVE, any_queue(actor));
		operation->keys[1] = burst_any_to_write(actor, FAMILY_DONE, LIST_LENGTH_MAX);
	}
}

/* The queue that gave the item; NULL: none did. */
static const struct key *source_of(const struct operation *operation, const struct reply *reply)
{
	const struct reply *queue = operation->name == OPERATION_POP ? reply_at(reply, 0) : NULL;
	char name[KEY_SIZE];

	if (reply->type == '_' || reply_is_error(reply))
		return NULL;
	if (operation->name != OPERATION_POP)
		return &operation->keys[0];
	for (uint32_t i = 0; i < operation->key_count; i++)
		if (reply_says(queue, ground_name(&operation->keys[i], name)))
			return &operation->keys[i];
	return NULL;
}

/* What is thought to be in a queue is only an estimate: pushes of unknown outcome
 * count. */
static void note_empty(struct actor *actor, const struct operation *operation)
{
	uint32_t queues = operation->name == OPERATION_POP ? operation->key_count : 1;

	for (uint32_t i = 0; i < queues; i++)
		ground_place(&actor->load->ground, &operation->keys[i])->count = 0;
}

static void consumer_settled(struct actor *actor, const struct operation *operation, const struct reply *reply,
			     enum outcome outcome)
{
	const struct key *source;

	if (operation_reads(operation->name) || outcome != OUTCOME_OK || reply == NULL)
		return;
	source = source_of(operation, reply);
	if (source == NULL) {
		note_empty(actor, operation);
		return;
	}
	ground_place(&actor->load->ground, source)->count--;
	actor->has_follow_up = random_percent(&actor->random, 60);
	actor->follow_up = *source;
	if (operation->name == OPERATION_MOVE && random_percent(&actor->random, 60))
		actor->follow_up = operation->keys[1];
}

const struct role role_consumer = { consumer_burst, consumer_settled, NULL };
