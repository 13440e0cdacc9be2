/* Reads on replicas, as far as the master's eviction is concerned.
 *
 * A master that evicts by LRU or LFU sees only what it serves itself, so the
 * keys that are read most, on replicas, would be the first to go. A sample of
 * them is fed back as TOUCH, which reads nothing, changes nothing and is not
 * replicated. A key that is read often is in the sample often: LRU counts in
 * seconds, LFU in logarithms. */
#include "dispatch_parts.h"

#include "../protocol/encode.h"

enum { SAMPLED_ONE_IN = 16 };

static bool find_key(const struct parsed_command *parsed, struct slice *key)
{
	struct resp_args args;
	int position = parsed->command->first_key;

	if (position <= 0 || position >= parsed->argc)
		return false;
	resp_args_begin(&args, parsed->bytes);
	for (int i = 0; i <= position; i++)
		resp_args_next(&args, key);
	return true;
}

void dispatch_touch(struct client *client, const struct parsed_command *parsed)
{
	struct worker *worker = client->worker;
	struct backend *lane;
	struct buf bytes = { 0 };
	struct slice words[2] = { slice_of("tOUCH") };

	if (worker_random(worker) % SAMPLED_ONE_IN != 0 || worker->touches_left == 0 || !find_key(parsed, &words[1]))
		return;
	lane = dispatch_read_lane(client, BACKEND_TO_MASTER, false);
	if (lane->state != BACKEND_READY)
		return;
	worker->touches_left--;
	encode_request(&bytes, 2, words);
	/* Nobody's from the start: the reply is dropped. */
	backend_enqueue(lane, request_create(&worker->requests, REQUEST_CLIENT, 0, worker->now_ms), buf_slice(&bytes));
	buf_free(&bytes);
	dispatch_count(client, STAT_touches);
}
