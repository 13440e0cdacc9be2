#include "answers.h"

#include <assert.h>

#include "../../protocol/alloc.h"

_Static_assert(sizeof(struct answer) == 8, "two answers are compared in one go");
_Static_assert(STAT_COUNT <= UINT8_MAX && STAT_clients_connected == 0, "a stat_id fits, and 0 is nobody's");

/* The first time that a command is timed by this worker. */
static struct latency *begin_latency(struct command_measure *command)
{
	struct latency *latency = alloc_zeroed(1, sizeof(*latency));

	atomic_store_explicit(&command->latency, latency, memory_order_release);
	return latency;
}

static void count_time(struct command_measure *command, uint32_t us, uint32_t times)
{
	struct latency *latency = atomic_load_explicit(&command->latency, memory_order_relaxed);

	if (latency == NULL)
		latency = begin_latency(command);
	latency_count(latency, us, times);
	latency_add(&command->timed, times);
	latency_add(&command->us, (uint64_t)us * times);
}

static void count_command(struct command_measure *command, struct answer answer, uint32_t times)
{
	latency_add(&command->calls, times);
	if (answer.flags & ANSWER_FAILED)
		latency_add(&command->failed, times);
	if (!(answer.flags & ANSWER_UNTIMED))
		count_time(command, answer.us, times);
}

void answers_settle(struct answers *answers, struct measures *measures, struct stats *stats)
{
	struct answer answer = answers->alike;
	struct command_measure *command = &measures->commands[answer.command];
	uint32_t times = answers->times;
	bool failed = answer.flags & ANSWER_FAILED;

	if (times == 0)
		return;
	answers->times = 0;
	if (answer.counts_as != 0)
		stats_add(stats, answer.counts_as + (failed && answer.counts_as != STAT_refused), times);
	if (answer.flags & ANSWER_REJECTED) {
		latency_add(&command->rejected, times);
		return;
	}
	if (!(answer.flags & ANSWER_UNTIMED))
		latency_count(&measures->classes[answer.class], answer.us, times);
	if (answer_is_of_command(answer))
		count_command(command, answer, times);
}
