#include "switchover.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum {
	MOVE_MS = 1500,              /* workers give up earlier */
	FOLLOW_MS = 10000,           /* the others get so long to follow */
	LAG_BYTES_MAX = 1024 * 1024, /* behind the master when it begins */
};

const char *switchover_step_name(enum switchover_step step)
{
	static const char *const names[SWITCHOVER_STEP_COUNT] = {
		[SWITCHOVER_CHECK] = "check",       [SWITCHOVER_HOLD] = "hold",     [SWITCHOVER_FENCE] = "fence",
		[SWITCHOVER_CATCH_UP] = "catch_up", [SWITCHOVER_DEMOTE] = "demote", [SWITCHOVER_PROMOTE] = "promote",
		[SWITCHOVER_MOVE] = "move",         [SWITCHOVER_FOLLOW] = "follow", [SWITCHOVER_UNDO] = "undo",
	};

	return names[step];
}

/* ---- from step to step ---- */

static struct switchover_verdict go(enum switchover_step next)
{
	return (struct switchover_verdict){ next, NULL };
}

static struct switchover_verdict undo(const char *why)
{
	return (struct switchover_verdict){ SWITCHOVER_UNDO, why };
}

/* What ends every step before the promotion; NULL: nothing. */
static const char *find_obstacle(enum switchover_step step, const struct switchover_seen *seen)
{
	int64_t limit_ms = step == SWITCHOVER_DEMOTE ? 2 * seen->limit_ms : seen->limit_ms;

	if (seen->old == PEER_GONE || (step < SWITCHOVER_DEMOTE && seen->old != PEER_UP))
		return "the old master was lost";
	if (seen->heir == PEER_GONE || (step < SWITCHOVER_DEMOTE && seen->heir != PEER_UP))
		return "the replica was lost";
	if (seen->heir_role == SERVER_ROLE_MASTER)
		return "the replica became a master by somebody else's word";
	if (step < SWITCHOVER_DEMOTE && seen->old_role == SERVER_ROLE_SLAVE)
		return "the old master became a replica by somebody else's word";
	if (seen->answered && seen->refused)
		return "the old master refused";
	if (step == SWITCHOVER_HOLD && seen->held_ms >= limit_ms / 2)
		return "what was under way at the master did not end in time";
	return seen->held_ms >= limit_ms ? "the time was up" : NULL;
}

static bool is_done(enum switchover_step step, const struct switchover_seen *seen)
{
	switch (step) {
	case SWITCHOVER_HOLD:
		return seen->workers_ready;
	case SWITCHOVER_FENCE:
		return seen->answered && seen->old_role == SERVER_ROLE_MASTER && seen->old_offset >= 0;
	case SWITCHOVER_CATCH_UP:
		return seen->heir_offset >= seen->end_offset;
	case SWITCHOVER_DEMOTE:
		return seen->answered && seen->old_role == SERVER_ROLE_SLAVE && seen->old_offset >= 0;
	default:
		return false;
	}
}

/* Whoever was lost may have become a master before: it counts as none only when it
 * is gone. */
static struct switchover_verdict next_of_promote(const struct switchover_seen *seen)
{
	if (seen->heir == PEER_GONE)
		return undo("the replica was lost when it was promoted");
	return go(seen->heir_role == SERVER_ROLE_MASTER ? SWITCHOVER_MOVE : SWITCHOVER_PROMOTE);
}

static struct switchover_verdict next_of_move(const struct switchover_seen *seen)
{
	return go(seen->moved || seen->step_ms >= MOVE_MS ? SWITCHOVER_FOLLOW : SWITCHOVER_MOVE);
}

static struct switchover_verdict next_of_follow(const struct switchover_seen *seen)
{
	if (!seen->all_follow && seen->step_ms < FOLLOW_MS)
		return go(SWITCHOVER_FOLLOW);
	return (struct switchover_verdict){ SWITCHOVER_NONE, seen->all_follow ? NULL : "not every server follows it yet" };
}

static struct switchover_verdict next_of_undo(const struct switchover_seen *seen)
{
	bool is_over = seen->old_role == SERVER_ROLE_MASTER || seen->old == PEER_GONE || seen->step_ms >= seen->limit_ms;

	if (!seen->answered && seen->heir == PEER_UP && seen->heir_role == SERVER_ROLE_MASTER &&
	    seen->old_role != SERVER_ROLE_MASTER)
		return go(SWITCHOVER_MOVE);
	return go(is_over ? SWITCHOVER_NONE : SWITCHOVER_UNDO);
}

struct switchover_verdict switchover_next(enum switchover_step step, const struct switchover_seen *seen)
{
	const char *obstacle;

	switch (step) {
	case SWITCHOVER_PROMOTE:
		return next_of_promote(seen);
	case SWITCHOVER_MOVE:
		return next_of_move(seen);
	case SWITCHOVER_FOLLOW:
		return next_of_follow(seen);
	case SWITCHOVER_UNDO:
		return next_of_undo(seen);
	case SWITCHOVER_HOLD:
	case SWITCHOVER_FENCE:
	case SWITCHOVER_CATCH_UP:
	case SWITCHOVER_DEMOTE:
		break;
	default:
		return go(step);
	}
	obstacle = find_obstacle(step, seen);
	if (obstacle != NULL)
		return undo(obstacle);
	return go(is_done(step, seen) ? step + 1 : step);
}

/* ---- what has to be so ---- */

const char *const switchover_setting_names[SWITCHOVER_SETTINGS] = {
	"maxmemory", "maxmemory-policy", "requirepass", "appendonly", "save",
};

enum { SETTING_MAXMEMORY, SETTING_POLICY, SETTING_PASSWORD, SETTING_AOF, SETTING_SAVE };

__attribute__((format(printf, 2, 3))) static void add(char text[SWITCHOVER_TEXT_SIZE], const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	if (length > 0)
		length += (size_t)snprintf(text + length, SWITCHOVER_TEXT_SIZE - length, "; ");
	if (length >= SWITCHOVER_TEXT_SIZE)
		return;
	va_start(args, format);
	vsnprintf(text + length, SWITCHOVER_TEXT_SIZE - length, format, args);
	va_end(args);
}

/* -1, 0, 1; versions are numbers with dots between them. */
static int compare_versions(const char *a, const char *b)
{
	int left[3] = { 0 }, right[3] = { 0 };

	sscanf(a, "%9d.%9d.%9d", &left[0], &left[1], &left[2]);
	sscanf(b, "%9d.%9d.%9d", &right[0], &right[1], &right[2]);
	for (int i = 0; i < 3; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

static void compare_servers(const struct switchover_member *old, const struct switchover_member *heir, char *text)
{
	const struct info *a = old->info, *b = heir->info;
	bool same_make = strcmp(info_server_name(a), info_server_name(b)) == 0;
	int order = same_make ? compare_versions(info_server_version(b), info_server_version(a))
			      : compare_versions(b->redis_version, a->redis_version);

	if (order < 0)
		add(text, "%s runs %s %s, which is older than the master's %s %s", heir->name, info_server_name(b),
		    info_server_version(b), info_server_name(a), info_server_version(a));
}

static bool persists(const struct switchover_settings *settings, int setting)
{
	const char *value = settings->values[setting];

	return setting == SETTING_AOF ? strcmp(value, "yes") == 0 : value[0] != '\0';
}

/* Values are not told: passwords are among them. */
static void compare_setting(const struct switchover_member *old, const struct switchover_member *heir, int setting, char *text)
{
	const struct switchover_settings *a = old->settings, *b = heir->settings;
	const char *name = switchover_setting_names[setting];

	if (!a->known[setting] || !b->known[setting])
		add(text, "%s does not tell its %s", a->known[setting] ? heir->name : old->name, name);
	else if (setting == SETTING_AOF || setting == SETTING_SAVE) {
		if (persists(a, setting) && !persists(b, setting))
			add(text, "the master persists its data and %s does not (%s)", heir->name, name);
	} else if (setting == SETTING_MAXMEMORY) {
		long long limit = atoll(b->values[setting]), masters = atoll(a->values[setting]);

		if (limit != 0 && (masters == 0 || limit < masters))
			add(text, "%s has less maxmemory than the master", heir->name);
	} else if (strcmp(a->values[setting], b->values[setting]) != 0) {
		add(text, "%s has another %s than the master", heir->name, name);
	}
}

/* Whoever is behind the heir must find in its backlog what it lacks. */
static void compare_backlog(const struct switchover_member *member, const struct switchover_member *heir, char *text)
{
	int64_t next = info_position(member->info) + 1;

	if (!member->up || member->info->role != SERVER_ROLE_SLAVE || strcmp(member->info->replid, heir->info->replid) != 0)
		return;
	if (heir->info->backlog_active != 1)
		add(text, "%s has no backlog, so %s would have to fetch all data anew", heir->name, member->name);
	else if (next < heir->info->backlog_first)
		add(text, "the backlog of %s does not reach back to where %s is", heir->name, member->name);
}

void switchover_object(const struct switchover_member *members, size_t count, size_t old, size_t heir,
		       char text[SWITCHOVER_TEXT_SIZE])
{
	const struct switchover_member *to = &members[heir];

	text[0] = '\0';
	if (heir == old) {
		add(text, "%s is the master", to->name);
		return;
	}
	if (to->unreadable != NULL)
		add(text, "%s is not readable: %s", to->name, to->unreadable);
	if (!to->up)
		return;
	if (to->info->priority == 0)
		add(text, "%s has replica-priority 0", to->name);
	if (to->lag_bytes > LAG_BYTES_MAX)
		add(text, "%s is %lld bytes behind", to->name, (long long)to->lag_bytes);
	if (to->cannot_reach != NULL)
		add(text, "%s", to->cannot_reach);
	compare_servers(&members[old], to, text);
	for (int setting = 0; setting < SWITCHOVER_SETTINGS; setting++)
		compare_setting(&members[old], to, setting, text);
	for (size_t i = 0; i < count; i++)
		if (i != old && i != heir)
			compare_backlog(&members[i], to, text);
}

static bool is_better(const struct switchover_member *a, const struct switchover_member *b)
{
	if (a->info->priority != b->info->priority)
		return a->info->priority < b->info->priority;
	return info_position(a->info) > info_position(b->info);
}

int switchover_choose(const struct switchover_member *members, size_t count, size_t old)
{
	int best = -1;

	for (size_t i = 0; i < count; i++)
		if (i != old && members[i].up && members[i].unreadable == NULL && members[i].info->priority != 0 &&
		    (best < 0 || is_better(&members[i], &members[best])))
			best = (int)i;
	return best;
}
