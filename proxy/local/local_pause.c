/* CLIENT PAUSE and UNPAUSE: the master does it, on a connection where nothing
 * stands in front of it; every worker is told (pause.h says what for). */
#include "local_parts.h"

#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../clock.h"
#include "../dispatch/dispatch.h"
#include "../worker/errand.h"
#include "../worker/worker.h"

/* ---- what all workers are told ---- */

struct announcement {
	struct errand errand;
	enum pause_mode mode;  /* NONE: go on */
	int64_t end_ns;
	int64_t when_ns;       /* the master had been paused; was asked to go on */
};

static bool announce(struct errand *errand, struct worker *worker)
{
	const struct announcement *announcement = CONTAINER_OF(errand, struct announcement, errand);

	if (announcement->mode != PAUSE_NONE) {
		pause_told(worker, announcement->mode, announcement->end_ns, announcement->when_ns);
	} else {
		pause_end(&worker->pause, announcement->when_ns);
		pause_wake_all(worker);
	}
	return true;
}

static void bring_announcement(struct errand *errand, struct client *client)
{
	if (client != NULL)
		local_finish(client, slice_of("+OK\r\n"));
	free(CONTAINER_OF(errand, struct announcement, errand));
}

static const struct errand_kind announcements = { announce, bring_announcement };

static enum local_outcome tell_workers(struct client *client, enum pause_mode mode, int64_t end_ns, int64_t when_ns)
{
	struct announcement *announcement = alloc_zeroed(1, sizeof(*announcement));

	announcement->mode = mode;
	announcement->end_ns = end_ns;
	announcement->when_ns = when_ns;
	errand_send(&announcement->errand, &announcements, client);
	return OUTCOME_LATER;
}

/* ---- PAUSE ---- */

static enum pause_mode mode_of(const struct arguments *arguments)
{
	if (arguments->count == 3 || slice_is(arguments->at[3], "all"))
		return PAUSE_ALL;
	return slice_is(arguments->at[3], "write") ? PAUSE_WRITE : PAUSE_NONE;
}

bool local_pause_is_sound(const struct arguments *arguments)
{
	int64_t ms;

	return (arguments->count == 3 || arguments->count == 4) && mode_of(arguments) != PAUSE_NONE &&
	       number_parse_within(arguments->at[2], 0, INT64_MAX, &ms);
}

/* Whatever the client wants to pause, the master pauses writes alone. Outside
 * of MULTI this is only about whether it would: a pause of no length. */
void local_pause_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	struct slice words[] = { slice_of("CLIENT"), slice_of("PAUSE"), slice_of("0"), slice_of("WRITE") };

	if (client->session.in_multi)
		words[2] = arguments->at[2];
	encode_request(out, 4, words);
}

static int64_t end_of(const struct arguments *arguments, int64_t now_ns)
{
	int64_t ms = 0;

	number_parse(arguments->at[2], &ms);
	return ms < (INT64_MAX - now_ns) / CLOCK_NS_PER_MS ? now_ns + clock_ms_to_ns(ms) : INT64_MAX;
}

/* The master is paused. */
static enum local_outcome spread(struct client *client, const struct arguments *arguments)
{
	int64_t now_ns = clock_ns();

	return tell_workers(client, mode_of(arguments), end_of(arguments, now_ns), now_ns);
}

static enum local_outcome take_masters_word(struct client *client, struct slice answer)
{
	struct arguments arguments = local_arguments(client);

	return slice_begins_with(answer, "-") ? OUTCOME_KEPT : spread(client, &arguments);
}

static void ask_master(struct client *client, struct slice ms,
		       enum local_outcome (*then)(struct client *client, struct slice answer))
{
	struct slice words[] = { slice_of("CLIENT"), slice_of("PAUSE"), ms, slice_of("WRITE") };
	struct buf command = { 0 };

	encode_request(&command, 4, words);
	local_ask_then(client, BACKEND_TO_MASTER, buf_slice(&command), then);
	buf_free(&command);
}

static enum local_outcome pause_master(struct client *client, struct slice answer)
{
	if (slice_begins_with(answer, "-"))
		return OUTCOME_KEPT;
	ask_master(client, local_arguments(client).at[2], take_masters_word);
	return OUTCOME_LATER;
}

/* An answer to what is sent now proves that the master has read everything that
 * was sent before: no blocking command, for example, is overtaken by the pause. */
static void tell_master(struct client *client)
{
	ask_master(client, slice_of("0"), pause_master);
}

enum local_outcome local_pause(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)reply;
	if (local_is_done(client))
		return spread(client, arguments);
	pause_clear_lanes(client, tell_master);
	return OUTCOME_LATER;
}

/* ---- UNPAUSE ---- */

enum local_outcome local_unpause(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	(void)arguments;
	(void)reply;
	return tell_workers(client, PAUSE_NONE, 0, local_asked_ns(client));
}
