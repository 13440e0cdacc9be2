/* Most actors: they read and write everything, alone and in long pipelines. And
 * readers, which only read. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "burst.h"

/* ---- writes ---- */

static uint32_t some_padding(struct actor *actor)
{
	if (!actor->load->options.fat || !random_percent(&actor->random, 3))
		return 0;
	if (random_percent(&actor->random, 3))
		return FAT_MOST + (uint32_t)random_below(&actor->random, HUGE_MOST - FAT_MOST);
	return FAT_LEAST + (uint32_t)random_below(&actor->random, FAT_MOST - FAT_LEAST);
}

static void write_single(struct actor *actor)
{
	struct ground *ground = &actor->load->ground;
	struct key key = burst_key_to_write(ground, FAMILY_SINGLE, actor->index, REGISTER_WRITES_MAX);
	struct operation *operation = burst_add_keyed(actor, OPERATION_SET, key);
	char name[KEY_SIZE];

	snprintf(operation->value, sizeof(operation->value), "%s=%" PRId64, ground_name(&key, name),
		 ground_place(ground, &key)->count);
	operation->padding = some_padding(actor);
}

static void write_shared(struct actor *actor, enum operation_name name, enum family family, int64_t most)
{
	burst_give_value(actor, burst_add_keyed(actor, name, burst_any_to_write(actor, family, most)));
}

static void write_multi(struct actor *actor)
{
	write_shared(actor, OPERATION_SET, FAMILY_MULTI, SHARED_WRITES_MAX);
}

static void append(struct actor *actor)
{
	write_shared(actor, OPERATION_APPEND, FAMILY_LIST, LIST_LENGTH_MAX);
}

static void transfer(struct actor *actor)
{
	write_shared(actor, OPERATION_TRANSFER, FAMILY_TRANSFER, LIST_LENGTH_MAX);
}

static void push(struct actor *actor)
{
	struct ground *ground = &actor->load->ground;
	struct key key = ground_any(ground, FAMILY_QUEUE, &actor->random);

	if (ground_place(ground, &key)->count >= QUEUE_LENGTH_MAX)
		return;
	ground_place(ground, &key)->count++;
	burst_give_value(actor, burst_add_keyed(actor, OPERATION_PUSH, key));
}

/* Writes, and tells listeners so. Both travel in this order. */
static void announce(struct actor *actor)
{
	struct operation *operation;
	const char *value;

	if (!burst_has_room(actor, 3))
		return;
	write_single(actor);
	value = actor->burst[actor->burst_count - 1].value;
	operation = burst_add(actor, OPERATION_PUBLISH);
	operation->number = actor->index % CHANNELS;
	memcpy(operation->value, value, VALUE_SIZE);
}

/* ---- reads ---- */

static void read_multi(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_GET, burst_key_to_read(actor, FAMILY_MULTI));
}

static void read_list(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_RANGE, burst_key_to_read(actor, FAMILY_LIST));
}

static void read_balance(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_BALANCE, burst_key_to_read(actor, FAMILY_TRANSFER));
}

static void read_log(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_RANGE, burst_key_to_read(actor, FAMILY_TRANSFER));
}

static void read_several(struct actor *actor)
{
	struct operation *operation = burst_add_keyed(actor, OPERATION_MGET, burst_key_to_read(actor, FAMILY_MULTI));

	for (; operation->key_count < OPERATION_KEYS_MAX; operation->key_count++)
		operation->keys[operation->key_count] = ground_any(&actor->load->ground, FAMILY_MULTI, &actor->random);
}

static void read_queue(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_RANGE, burst_key_to_read(actor, FAMILY_QUEUE));
}

static void echo(struct actor *actor)
{
	struct operation *operation = burst_add(actor, OPERATION_ECHO);

	snprintf(operation->value, VALUE_SIZE, "echo=%" PRIu64 ".%u", actor->session, operation->sequence);
}

static void read_own(struct actor *actor)
{
	burst_add_keyed(actor, OPERATION_GET, ground_key(&actor->load->ground, FAMILY_SINGLE, actor->index));
}

/* ---- what and how much ---- */

struct choice {
	unsigned weight;
	void (*take)(struct actor *actor);
};

static const struct choice reads[] = {
	{ 36, burst_add_register_read }, { 20, read_multi },   { 12, read_list }, { 10, read_balance },
	{ 4, read_log },		 { 8, read_several },  { 5, read_queue }, { 5, echo },
	{ 0, NULL },
};
static const struct choice writes[] = {
	{ 34, write_single }, { 22, write_multi }, { 18, append }, { 10, transfer }, { 10, push }, { 6, announce }, { 0, NULL },
};
static const struct choice own_reads[] = { { 1, read_own }, { 0, NULL } };
static const struct choice own_writes[] = { { 1, write_single }, { 0, NULL } };

static void take_one(struct actor *actor, const struct choice *choices)
{
	unsigned sum = 0, at;

	for (const struct choice *choice = choices; choice->take != NULL; choice++)
		sum += choice->weight;
	at = (unsigned)random_below(&actor->random, sum);
	while (at >= choices->weight)
		at -= (choices++)->weight;
	choices->take(actor);
}

static uint32_t burst_length(struct actor *actor)
{
	uint64_t dice = random_below(&actor->random, 100);

	if (actor->load->options.own || dice < 62)
		return 1;
	if (dice < 86)
		return 2 + (uint32_t)random_below(&actor->random, 4);
	if (dice < 96)
		return 6 + (uint32_t)random_below(&actor->random, 15);
	return 21 + (uint32_t)random_below(&actor->random, BURST_MAX - 20);
}

/* Percent of writes in a burst. Half the bursts only read, for one with a write
 * goes to the master as a whole; the other half makes up for it. */
static unsigned writes_of_burst(struct actor *actor)
{
	unsigned percent = actor->load->options.writes;

	if (actor->load->options.own)
		return percent;
	if (random_percent(&actor->random, 50))
		return 0;
	return percent < 50 ? percent * 2 : 100;
}

/* The second half of a transfer under WATCH. */
static void finish_watch(struct actor *actor)
{
	struct key key = actor->follow_up;
	struct operation *operation = burst_add_keyed(actor, OPERATION_TRANSFER, key);

	ground_place(&actor->load->ground, &key)->count++;
	burst_give_value(actor, operation);
	operation->number = actor->watched_count;
	actor->watching = false;
}

static void begin_watch(struct actor *actor)
{
	struct key key = burst_any_to_write(actor, FAMILY_TRANSFER, LIST_LENGTH_MAX);

	burst_add_keyed(actor, OPERATION_WATCH, key);
	burst_add_keyed(actor, OPERATION_BALANCE, key);
}

static void hand_over_position(struct actor *actor)
{
	struct operation *operation;

	if (random_percent(&actor->random, 10) && burst_has_room(actor, 1)) {
		burst_add(actor, OPERATION_TOKEN);
	} else if (actor->load->token[0] != '\0' && random_percent(&actor->random, 10) && burst_has_room(actor, 3)) {
		operation = burst_add(actor, OPERATION_WAIT);
		memcpy(operation->value, actor->load->token, sizeof(actor->load->token));
		burst_add_register_read(actor);
	}
}

/* A connection apart takes what only reads: such a burst is all one or the other. */
static void fill_apart(struct actor *actor)
{
	bool is_write = random_percent(&actor->random, actor->load->options.writes);

	actor->burst_wire = is_write ? WIRE_MAIN : WIRE_READS;
	take_one(actor, is_write ? writes : reads);
}

static void fill(struct actor *actor, unsigned writes_percent)
{
	bool own = actor->load->options.own;
	uint32_t length = burst_length(actor);

	for (uint32_t i = 0; i < length && burst_has_room(actor, 4); i++)
		if (random_percent(&actor->random, writes_percent))
			take_one(actor, own ? own_writes : writes);
		else
			take_one(actor, own ? own_reads : reads);
}

static void fill_mixed(struct actor *actor)
{
	fill(actor, writes_of_burst(actor));
	if (actor->load->options.tokens)
		hand_over_position(actor);
}

/* Looks at what somebody else has just been told is written. */
static void look_at_write(struct actor *actor)
{
	static const enum operation_name looks[FAMILIES] = {
		[FAMILY_SINGLE] = OPERATION_GET,       [FAMILY_MULTI] = OPERATION_GET,
		[FAMILY_LIST] = OPERATION_RANGE,       [FAMILY_TRANSFER] = OPERATION_BALANCE,
		[FAMILY_QUEUE] = OPERATION_RANGE,      [FAMILY_DONE] = OPERATION_RANGE,
	};

	actor->has_follow_up = false;
	if (actor->load->options.reads_at != 0)
		actor->burst_wire = WIRE_READS;
	burst_add_keyed(actor, looks[actor->follow_up.family], actor->follow_up);
	if (actor->role == &role_general && actor->burst_wire == WIRE_MAIN && random_percent(&actor->random, 20))
		fill_mixed(actor);
}

static void general_burst(struct actor *actor)
{
	const struct options *options = &actor->load->options;

	if (actor->watching)
		finish_watch(actor);
	else if (actor->has_follow_up)
		look_at_write(actor);
	else if (options->reads_at != 0)
		fill_apart(actor);
	else if (!options->own && random_percent(&actor->random, 3))
		begin_watch(actor);
	else
		fill_mixed(actor);
	if (actor->burst_count == 0)
		burst_add_register_read(actor);
}

/* ---- after each operation ---- */

static void have_look(struct actor *actor, const struct key *key)
{
	actor->follow_up = *key;
	actor->has_follow_up = true;
}

/* In the moment after an acknowledgement a replica is most likely to be behind:
 * somebody who has nothing to do is sent to look at once, and often the writer
 * himself looks next. */
static void look_at_once(struct actor *actor, const struct key *key)
{
	struct load *load = actor->load;
	uint32_t lookers = load->options.general + load->options.readers;
	struct actor *other = &load->actors[random_below(&actor->random, lookers)];

	if (load->options.own || load->stopping)
		return;
	if (!actor->watching && random_percent(&actor->random, 30))
		have_look(actor, key);
	if (other->state != ACTOR_PAUSED || other->session == 0 || other->watching)
		return;
	have_look(other, key);
	session_start_burst(other);
}

static void note_write(struct actor *actor, const struct operation *operation, enum outcome outcome)
{
	struct ground *ground = &actor->load->ground;
	const struct key *key = &operation->keys[0];

	if (outcome == OUTCOME_OK) {
		ground_heat(ground, key);
		look_at_once(actor, key);
	} else if (outcome == OUTCOME_INFO && key->family != FAMILY_QUEUE) {
		ground_leave(ground, key);
	}
	if (key->family == FAMILY_QUEUE && outcome == OUTCOME_FAIL)
		ground_place(ground, key)->count--;
}

/* How many transfers a balance shows; UNWATCHED when that is not to be told. */
static int64_t transfers_shown(const struct operation *operation, const struct reply *balance)
{
	const struct reply *to = reply_at(balance, 1);
	char number[24] = "";

	if (to == NULL || (to->type != '_' && to->type != '$') || to->length >= sizeof(number))
		return UNWATCHED;
	memcpy(number, to->text ? to->text : "", to->type == '_' ? 0 : to->length);
	return atoll(number) / operation_unit(&operation->keys[0]);
}

static void keep_token(struct load *load, const struct reply *reply)
{
	if (reply->type != '$' && reply->type != '+')
		return;
	if (reply->length >= sizeof(load->token))
		return;
	memcpy(load->token, reply->text, reply->length);
	load->token[reply->length] = '\0';
}

static void general_settled(struct actor *actor, const struct operation *operation, const struct reply *reply,
			    enum outcome outcome)
{
	switch (operation->name) {
	case OPERATION_SET:
	case OPERATION_APPEND:
	case OPERATION_TRANSFER:
	case OPERATION_PUSH:
		note_write(actor, operation, outcome);
		break;
	case OPERATION_WATCH:
		actor->watching = outcome == OUTCOME_OK;
		actor->watched_count = UNWATCHED;
		actor->follow_up = operation->keys[0];
		break;
	case OPERATION_BALANCE:
		if (!actor->watching)
			break;
		if (outcome == OUTCOME_OK)
			actor->watched_count = transfers_shown(operation, reply);
		actor->watching = actor->watched_count != UNWATCHED;
		break;
	case OPERATION_TOKEN:
		if (outcome == OUTCOME_OK)
			keep_token(actor->load, reply);
		break;
	default:
		break;
	}
}

const struct role role_general = { general_burst, general_settled, NULL };

/* ---- readers ---- */

static void reader_burst(struct actor *actor)
{
	if (actor->has_follow_up)
		look_at_write(actor);
	else
		fill(actor, 0);
}

const struct role role_reader = { reader_burst, general_settled, NULL };
