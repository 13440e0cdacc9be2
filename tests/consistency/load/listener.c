/* Actors that subscribe, and read what they are told of. */
#include <string.h>

#include "burst.h"

/* In RESP3 a subscriber may read; in RESP2 it has to leave first, and some say
 * RESET to be anybody again. */
static void look_at_news(struct actor *actor)
{
	struct key key = actor->follow_up;

	actor->has_follow_up = false;
	if (actor->protocol == 2) {
		burst_add_number(actor, OPERATION_UNSUBSCRIBE, actor->index % CHANNELS);
		actor->subscribed = false;
		if (random_percent(&actor->random, 50)) {
			burst_add(actor, OPERATION_RESET);
			actor->wires[WIRE_MAIN].database = 0;
		}
	}
	burst_add_keyed(actor, OPERATION_GET, key);
	if (random_percent(&actor->random, 30))
		burst_add_keyed(actor, OPERATION_GET, key);
}

static void listener_burst(struct actor *actor)
{
	if (actor->has_follow_up && actor->subscribed) {
		look_at_news(actor);
	} else if (!actor->subscribed) {
		actor->has_follow_up = false;
		burst_add_number(actor, OPERATION_SUBSCRIBE, actor->index % CHANNELS);
		actor->subscribed = true;
	}
}

/* "s:1:2=3" is news of that register. */
static void listener_message(struct actor *actor, const struct reply *message)
{
	const struct reply *payload = reply_at(message, 2);
	char text[VALUE_SIZE] = "";

	if (payload == NULL || payload->length >= sizeof(text))
		return;
	memcpy(text, payload->text, payload->length);
	actor->follow_up.family = FAMILY_SINGLE;
	actor->has_follow_up = sscanf(text, "s:%u:%u=", &actor->follow_up.index, &actor->follow_up.generation) == 2;
}

static void listener_settled(struct actor *actor, const struct operation *operation, const struct reply *reply,
			     enum outcome outcome)
{
	(void)actor;
	(void)operation;
	(void)reply;
	(void)outcome;
}

const struct role role_listener = { listener_burst, listener_settled, listener_message };
