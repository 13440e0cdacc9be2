/* Reads on replicas, as far as the master's eviction and expiry are concerned.
 *
 * A master that evicts by LRU or LFU sees only what it serves itself, so the
 * keys that are read most, on replicas, would be the first to go. A sample of
 * them is fed back as TOUCH, which reads nothing, changes nothing and is not
 * replicated. A key that is read often is in the sample often: LRU counts in
 * seconds, LFU in logarithms.
 *
 * And a master drops a key that has expired when a read finds it. A replica
 * says that it is not there, and waits for the master. So the master is told of
 * what was missed, and its keyspace, counters and events need not wait for the
 * next round of its own search. */
#include "dispatch_parts.h"

#include "../../protocol/encode.h"

enum { SAMPLED_ONE_IN = 16 };

static bool find_key(const struct command *command, const char *request, struct slice *key)
{
	struct resp_args args;
	int position = command->first_key;

	resp_args_begin(&args, request);
	for (int i = 0; i <= position; i++)
		if (!resp_args_next(&args, key))
			return false;
	return position > 0;
}

/* Nobody's from the start: the reply is dropped. */
static bool touch(struct client *client, struct slice key)
{
	struct worker *worker = client->worker;
	struct backend *lane = dispatch_read_lane(client, BACKEND_TO_MASTER, false);
	struct slice words[2] = { slice_of("tOUCH"), key };
	struct buf bytes = { 0 };

	if (lane->state != BACKEND_READY)
		return false;
	encode_request(&bytes, 2, words);
	backend_enqueue(lane, request_create(&worker->requests, REQUEST_CLIENT, 0, worker->now_ms), buf_slice(&bytes));
	buf_free(&bytes);
	dispatch_count(client, STAT_touches);
	return true;
}

void dispatch_touch(struct client *client, const struct parsed_command *parsed)
{
	struct worker *worker = client->worker;
	struct slice key;

	if (worker_random(worker) % SAMPLED_ONE_IN == 0 && worker->touches_left > 0 &&
	    find_key(parsed->command, parsed->bytes, &key) && touch(client, key))
		worker->touches_left--;
}

void dispatch_missed(struct client *client, struct slice bytes)
{
	struct worker *worker = client->worker;
	struct resp_args args;
	struct slice word;

	resp_args_begin(&args, bytes.bytes);
	if (worker->misses_left > 0 && client->session.endpoint == ENDPOINT_SPLIT && resp_args_next(&args, &word) &&
	    find_key(command_find_name(worker->commands, word), bytes.bytes, &word) && touch(client, word))
		worker->misses_left--;
}
