#include "failover.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "info.h"

enum {
	STILL_MS = 100,  /* a position that stands so long has come to an end */
	TELL_MS = 2000,  /* who has not told by then will perhaps not tell at all */
	DRAIN_MS = 500,  /* and whoever has not come to one by then is taken as it is */
};

__attribute__((format(printf, 2, 3))) static bool say(struct failover_verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->why, sizeof(verdict->why), format, args);
	va_end(args);
	return true;
}

/* What stands in the way goes away by itself. */
static bool wait_for(struct failover_verdict *verdict, const char *what)
{
	verdict->soon = true;
	return say(verdict, "%s", what);
}

/* ---- is the master lost? ---- */

static size_t count_answers(const struct failover_seen *seen)
{
	size_t answers = 0;

	for (size_t i = 0; i < seen->count; i++)
		answers += seen->members[i].answers;
	return answers;
}

/* Another weir need not wait for this one. */
static bool is_blind(struct failover_verdict *verdict, const char *why)
{
	verdict->blind = true;
	return say(verdict, "%s", why);
}

/* The replicas see the master by other ways than weir does. */
static bool may_be_there(const struct failover_seen *seen, struct failover_verdict *verdict)
{
	if (seen->missed_ms < seen->down_after_ms)
		return wait_for(verdict, "the master has not been missed for down_after yet");
	for (size_t i = 0; i < seen->count; i++) {
		const struct failover_member *member = &seen->members[i];

		if (member->answers && member->is_slave && member->follows && member->hears)
			return say(verdict, "%s still hears the master", member->name);
	}
	return false;
}

/* More than half of them: with fewer it may be weir that cannot reach the others. */
static bool is_cut_off(const struct failover_seen *seen, struct failover_verdict *verdict)
{
	size_t answers = count_answers(seen);

	if (2 * answers > seen->count)
		return false;
	return is_blind(verdict, "too few replicas answer: weir may be cut off itself");
}

/* ---- who could follow it? ---- */

static bool has_history(const struct failover_seen *seen, const struct failover_member *member)
{
	return member->answers && member->is_slave && member->able && member->applied >= 0 && member->replid[0] != '\0' &&
	       strcmp(member->replid, seen->replid) == 0;
}

static bool is_candidate(const struct failover_seen *seen, const struct failover_member *member)
{
	return has_history(seen, member) && member->priority != 0;
}

static bool is_better(const struct failover_member *a, const struct failover_member *b)
{
	if (a->applied != b->applied)
		return a->applied > b->applied;
	return a->priority < b->priority;
}

static int choose(const struct failover_seen *seen)
{
	int best = -1;

	for (size_t i = 0; i < seen->count; i++)
		if (is_candidate(seen, &seen->members[i]) && (best < 0 || is_better(&seen->members[i], &seen->members[best])))
			best = (int)i;
	return best;
}

static bool is_drained(const struct failover_member *member)
{
	return member->still_ms >= STILL_MS && (member->received < 0 || member->received == member->applied);
}

static bool is_draining(const struct failover_seen *seen, struct failover_verdict *verdict)
{
	for (size_t i = 0; i < seen->count && seen->drain_ms < DRAIN_MS; i++) {
		if (!is_candidate(seen, &seen->members[i]) || is_drained(&seen->members[i]))
			continue;
		verdict->draining = true;
		return wait_for(verdict, "the replicas apply what they have received");
	}
	return false;
}

static bool has_nobody(int best, struct failover_verdict *verdict)
{
	return best < 0 && say(verdict, "no replica that answers and may be promoted has the master's history");
}

/* Without that nobody could say what is lost. */
static bool is_unmeasured(const struct failover_seen *seen, struct failover_verdict *verdict)
{
	return seen->offset <= 0 && is_blind(verdict, "no offset of the master's stream was seen yet");
}

static bool loses_too_much(const struct failover_seen *seen, const struct failover_member *best, struct failover_verdict *verdict)
{
	if (seen->offset - best->applied <= seen->max_lost_bytes)
		return false;
	return say(verdict, "more than max_lost_bytes would be lost: %s has the most, up to offset %lld, and the master had reached %lld",
		   best->name, (long long)best->applied, (long long)seen->offset);
}

void failover_judge(const struct failover_seen *seen, struct failover_verdict *verdict)
{
	int best = choose(seen);

	*verdict = (struct failover_verdict){ .heir = -1 };
	if (seen->taboo != NULL)
		say(verdict, "%s", seen->taboo);
	else if (seen->last_ms != INFO_UNKNOWN && seen->last_ms < seen->min_interval_ms)
		say(verdict, "the last failover was less than min_interval ago");
	else if ((!seen->has_lost_data && may_be_there(seen, verdict)) || is_cut_off(seen, verdict) ||
		 is_unmeasured(seen, verdict) || has_nobody(best, verdict) || is_draining(seen, verdict) || loses_too_much(seen, &seen->members[best], verdict))
		return;
	else if (!seen->told) {
		wait_for(verdict, "not every server has told who else controls it");
		verdict->soon = seen->missed_ms < seen->down_after_ms + TELL_MS;
	}
	else if (!seen->workers_ready)
		wait_for(verdict, "a worker has not let go of the master yet");
	else
		verdict->heir = best;
}
