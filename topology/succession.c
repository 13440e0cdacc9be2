/* One change of the master at a time. Each settle gathers what was seen since the
 * step began, asks switchover_next(), and does what the step that follows begins
 * with; then the servers are asked what the step waits for. So a step lasts as
 * long as its answers take, and nothing here waits.
 *
 * Invariant: REPLICAOF NO ONE is sent to the heir only when the old master follows
 * it, and has said where its stream has ended, and the heir has applied all of it;
 * or when the old master is lost, and fenced (takeover.c). */
#include "succession.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "group.h"
#include "memory.h"
#include "rivals.h"
#include "switchover.h"
#include "wire.h"

enum {
	POLL_MS = 1,              /* between questions; at first they follow each other at once */
	EAGER_MS = 50,            /* of a step */
	CHECK_MS = 5000,
	PAUSE_EXTRA_MS = 1000,    /* the pause outlasts the time that there is */
	RING_MS = 3000,           /* a ring that nobody ends in so long was left by somebody who died */
	LIMIT_MS = 2000,          /* where none was given */
};

/* The answer to a step's command; one that comes when the step is over is nobody's. */
struct command {
	struct succession *succession;
	enum switchover_step step;
};

/* The settings of one of the two, being asked. */
struct asked_settings {
	struct succession *succession;
	struct switchover_settings settings;
	unsigned answers;
};

struct succession {
	struct topology *topology;
	ev_timer poll;
	struct command commands[SWITCHOVER_STEP_COUNT];

	/* the present one */
	enum switchover_step step;
	bool dry;
	bool unplanned;            /* the old master is lost */
	struct node *old;
	struct node *heir;
	char old_run_id[RUN_ID_LENGTH + 1];
	char heir_run_id[RUN_ID_LENGTH + 1];
	int64_t limit_ms;
	int64_t begun_ns;
	int64_t held_ns;           /* since when writes are held; 0: they are not */
	int64_t step_ns;
	int64_t commanded_ns;      /* when the step's command was sent last, 0 */
	bool answered;
	bool refused;
	int64_t end_offset;
	struct asked_settings of_old;
	struct asked_settings of_heir;
	char why[SWITCHOVER_TEXT_SIZE]; /* of what went wrong, "" */
	void (*on_done)(void *arg, enum topology_switchover_result result, const struct topology_succession_view *view);
	void *arg;

	int64_t ring_ns;           /* since when there is one, 0 */
	struct topology_succession_view shown;
	char from[PLAN_TEXT_SIZE];
	char to[PLAN_TEXT_SIZE];
	char result[SWITCHOVER_TEXT_SIZE];
	int64_t ended_ns;          /* of the last one that was more than dry, 0 */
};

static const char *name_of(const struct node *node)
{
	return node->config->name;
}

static int64_t ms_since(int64_t ns)
{
	return ns == 0 ? 0 : (clock_now_ns() - ns) / NS_PER_MS;
}

bool succession_keeps(const struct succession *succession)
{
	return succession->held_ns != 0 && succession->step != SWITCHOVER_MOVE &&
	       ms_since(succession->held_ns) < 2 * succession->limit_ms;
}

bool succession_holds(const struct succession *succession)
{
	return succession_keeps(succession) || (succession->held_ns != 0 && succession->step == SWITCHOVER_MOVE);
}

static bool is_promoted(const struct succession *succession)
{
	return succession->step == SWITCHOVER_MOVE || succession->step == SWITCHOVER_FOLLOW;
}

int succession_deposed(const struct succession *succession)
{
	return is_promoted(succession) ? (int)succession->old->index : PLAN_NOBODY;
}

int succession_heir(const struct succession *succession)
{
	return is_promoted(succession) ? (int)succession->heir->index : PLAN_NOBODY;
}

/* By its newest INFO. */
static bool follows(const struct topology *topology, const struct node *node, const struct node *master)
{
	return node->known && node->info.role == SERVER_ROLE_SLAVE &&
	       topology->standings[node->id].follows == (int)master->index;
}

/* NULL: what REPLICAOF would tell `node` of the heir means the heir to it. */
static const char *cannot_reach(const struct node *node, const struct node *heir)
{
	bool misleading = address_host_is_loopback(heir->told_host) && !address_is_loopback(&node->address);

	return misleading ? "its address would mean another machine there; set announce= on its line" : NULL;
}

/* ---- the end ---- */

/* The present step is over. */
static void note_phase(struct succession *succession)
{
	struct topology_succession_view *shown = &succession->shown;

	if (succession->step == SWITCHOVER_NONE || shown->phase_count == TOPOLOGY_PHASES_MAX)
		return;
	shown->phases[shown->phase_count].name = switchover_step_name(succession->step);
	shown->phases[shown->phase_count++].us = (clock_now_ns() - succession->step_ns) / 1000;
}

static void end(struct succession *succession, enum topology_switchover_result result, const char *sentence)
{
	void (*on_done)(void *asker, enum topology_switchover_result became, const struct topology_succession_view *shown) =
		succession->on_done;
	void *arg = succession->arg;
	struct topology_succession_view view;

	snprintf(succession->result, sizeof(succession->result), "%s", sentence);
	succession->on_done = NULL;
	note_phase(succession);
	succession->ended_ns = succession->dry ? 0 : clock_now_ns();
	succession->step = SWITCHOVER_NONE;
	succession->held_ns = 0;
	ev_timer_stop(succession->topology->loop, &succession->poll);
	group_touch(succession->topology);
	succession_show(succession, &view);
	if (on_done != NULL)
		on_done(arg, result, &view);
}

static void end_checks(struct succession *succession, bool done)
{
	char sentence[SWITCHOVER_TEXT_SIZE];

	if (done)
		snprintf(sentence, sizeof(sentence), "%s could become the master", name_of(succession->heir));
	else
		snprintf(sentence, sizeof(sentence), "refused: %.*s", SWITCHOVER_TEXT_SIZE - 16, succession->why);
	if (!succession->dry)
		succession->shown.refused++;
	end(succession, done ? SWITCHOVER_POSSIBLE : SWITCHOVER_REFUSED, sentence);
}

static void end_failover(struct succession *succession)
{
	char sentence[SWITCHOVER_TEXT_SIZE];

	snprintf(sentence, sizeof(sentence), "%s is the master, %s was lost; it took %lld ms%s%.256s", name_of(succession->heir),
		 name_of(succession->old), (long long)ms_since(succession->begun_ns), succession->why[0] != '\0' ? "; " : "",
		 succession->why);
	journal_note(succession->topology->journal, EVENT_failover_done, NULL, "failover: %s", sentence);
	end(succession, SWITCHOVER_DONE, sentence);
}

static void end_whole(struct succession *succession)
{
	struct topology *topology = succession->topology;
	char sentence[SWITCHOVER_TEXT_SIZE];

	if (succession->unplanned) {
		end_failover(succession);
		return;
	}
	succession->shown.done++;
	snprintf(sentence, sizeof(sentence), "%s is the master, it was %s; writes were held for %.1f ms%s%.256s",
		 name_of(succession->heir), name_of(succession->old), (double)succession->shown.held_us / 1e3,
		 succession->why[0] != '\0' ? "; " : "", succession->why);
	journal_note(topology->journal, EVENT_switchover_done, NULL, "switchover: %s", sentence);
	end(succession, SWITCHOVER_DONE, sentence);
}

static void end_undone(struct succession *succession)
{
	struct topology *topology = succession->topology;
	char sentence[SWITCHOVER_TEXT_SIZE];

	if (succession->unplanned) {
		snprintf(sentence, sizeof(sentence), "%s was not made the master: %.512s", name_of(succession->heir), succession->why);
		journal_note(topology->journal, EVENT_failover_failed, NULL, "failover: %s", sentence);
		end(succession, SWITCHOVER_UNDONE, sentence);
		return;
	}
	succession->shown.undone++;
	if (succession->held_ns != 0)
		succession->shown.held_us = (uint64_t)((clock_now_ns() - succession->held_ns) / 1000);
	snprintf(sentence, sizeof(sentence), "nothing was changed, %s stays the master: %.512s", name_of(succession->old),
		 succession->why);
	journal_note(topology->journal, EVENT_switchover_failed, NULL, "switchover to %s: %s", name_of(succession->heir),
		     sentence);
	end(succession, SWITCHOVER_UNDONE, sentence);
}

/* ---- commands ---- */

static void on_answer(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	const struct command *command = arg;
	struct succession *succession = command->succession;

	(void)sent_ns;
	if (command->step != succession->step)
		return;
	succession->answered = true;
	succession->refused = reply->type == REDIS_REPLY_ERROR;
	if (succession->refused)
		snprintf(succession->why, sizeof(succession->why), "%.500s", reply->str);
	group_touch(succession->topology);
}

static void command(struct succession *succession, struct node *node, int argc, const char *const *argv)
{
	if (link_request(node->link, on_answer, &succession->commands[succession->step], argc, argv))
		succession->commanded_ns = clock_now_ns();
}

static void send_pause(struct succession *succession)
{
	char ms[24];
	const char *argv[] = {"CLIENT", "PAUSE", ms, "WRITE"};

	snprintf(ms, sizeof(ms), "%" PRId64, 2 * succession->limit_ms + PAUSE_EXTRA_MS);
	command(succession, succession->old, 4, argv);
}

static void send_unpause(struct succession *succession)
{
	static const char *const argv[] = {"CLIENT", "UNPAUSE"};

	link_request(succession->old->link, NULL, NULL, 2, argv);
}

/* A replica that is paused applies nothing: behind REPLICAOF nobody can write. */
static void send_demote(struct succession *succession)
{
	const struct node *heir = succession->heir;
	char port[8];
	const char *argv[] = {"REPLICAOF", heir->told_host, port};

	snprintf(port, sizeof(port), "%u", heir->told_port);
	command(succession, succession->old, 3, argv);
	send_unpause(succession);
}

static void send_promote(struct succession *succession, struct node *node)
{
	static const char *const argv[] = {"REPLICAOF", "NO", "ONE"};

	command(succession, node, 3, argv);
}

/* Who follows the old master changes over in the same turn, so that a weir that dies
 * leaves nobody behind: the stream has an end, so it holds nothing that the heir
 * lacks. */
static void send_siblings(struct succession *succession)
{
	struct topology *topology = succession->topology;
	const struct node *heir = succession->heir;
	char port[8];
	const char *argv[] = {"REPLICAOF", heir->told_host, port};

	snprintf(port, sizeof(port), "%u", heir->told_port);
	for (size_t i = 0; i < topology->node_count; i++) {
		struct node *node = topology->nodes[i];

		if (node == heir || node == succession->old || !follows(topology, node, succession->old) ||
		    node->info.link_up != 1 || strcmp(node->info.replid, heir->info.replid) != 0 ||
		    cannot_reach(node, heir) != NULL || !link_request(node->link, NULL, NULL, 3, argv))
			continue;
		topology->standings[node->id].wirings++;
		wire_led_away(topology->wire, node);
		journal_note(topology->journal, EVENT_wired, name_of(node), "REPLICAOF %s %s", heir->told_host, port);
	}
}

/* ---- what was seen ---- */

static enum switchover_peer peer_of(const struct topology *topology, const struct node *node, const char *run_id)
{
	if (topology->standings[node->id].leaving_ns != 0 || node->health.state == HEALTH_DOWN || (node->known && strcmp(node->info.run_id, run_id) != 0))
		return PEER_GONE;
	return node->known && link_is_ready(node->link) ? PEER_UP : PEER_SILENT;
}

/* Answers to questions that were asked behind the step's command, or within the step. */
static int64_t since_ns(const struct succession *succession)
{
	return succession->commanded_ns > succession->step_ns ? succession->commanded_ns : succession->step_ns;
}

/* What INFO says of a role is what a plan is made of. */
static void see_old(const struct succession *succession, struct switchover_seen *seen)
{
	const struct node *old = succession->old;
	bool by_info = succession->step == SWITCHOVER_DEMOTE || succession->step == SWITCHOVER_UNDO;
	bool slave_of_heir = follows(succession->topology, succession->old, succession->heir);

	if (by_info && old->known && old->info_sent_ns >= since_ns(succession)) {
		seen->old_role = old->info.role == SERVER_ROLE_SLAVE && !slave_of_heir ? SERVER_ROLE_UNKNOWN : old->info.role;
		seen->old_offset = info_position(&old->info);
	} else if (!by_info && old->positioned && old->role_sent_ns >= since_ns(succession)) {
		seen->old_role = old->role.role;
		seen->old_offset = old->role.offset;
	}
}

static void see_heir(const struct succession *succession, struct switchover_seen *seen)
{
	const struct node *heir = succession->heir;

	if (heir->positioned && heir->role.role == SERVER_ROLE_SLAVE && heir->role_sent_ns >= succession->step_ns) {
		seen->heir_role = SERVER_ROLE_SLAVE;
		seen->heir_offset = heir->role.offset;
	}
	if (heir->known && heir->info.role == SERVER_ROLE_MASTER && heir->info_sent_ns >= succession->step_ns)
		seen->heir_role = SERVER_ROLE_MASTER;
}

static bool has_joined(const struct succession *succession, const struct node *node)
{
	return !node_is_up(node) || (follows(succession->topology, node, succession->heir) && node->info.link_up == 1 &&
				     strcmp(node->info.replid, succession->heir->info.replid) == 0);
}

static bool all_have_joined(const struct succession *succession)
{
	const struct topology *topology = succession->topology;

	for (size_t i = 0; i < topology->node_count; i++)
		if (topology->nodes[i] != succession->heir && !has_joined(succession, topology->nodes[i]))
			return false;
	return true;
}

/* Where writes were not held nobody has to be waited for. */
static bool have_moved(const struct succession *succession)
{
	const struct topology *topology = succession->topology;
	const struct snapshot *snapshot = topology->snapshot;

	return !snapshot->held || (snapshot->nodes[snapshot->master].id == succession->heir->id &&
				   topology->serving.acknowledged >= snapshot->generation);
}

static struct switchover_seen look(const struct succession *succession)
{
	const struct serving *serving = &succession->topology->serving;
	struct switchover_seen seen = {
		.limit_ms = succession->limit_ms,
		.held_ms = ms_since(succession->held_ns),
		.step_ms = ms_since(succession->step_ns),
		.workers_ready = serving->closed != 0 && serving->acknowledged >= serving->closed,
		.answered = succession->answered,
		.refused = succession->refused,
		.old = peer_of(succession->topology, succession->old, succession->old_run_id),
		.heir = peer_of(succession->topology, succession->heir, succession->heir_run_id),
		.old_role = SERVER_ROLE_UNKNOWN,
		.heir_role = SERVER_ROLE_UNKNOWN,
		.old_offset = INFO_UNKNOWN,
		.heir_offset = INFO_UNKNOWN,
		.end_offset = succession->end_offset,
		.moved = have_moved(succession),
		.all_follow = all_have_joined(succession),
	};

	see_old(succession, &seen);
	see_heir(succession, &seen);
	return seen;
}

/* ---- questions ---- */

static void ask_role(struct node *node)
{
	if (node->roles_outstanding == 0)
		node_ask_role(node);
}

static void ask_info(struct node *node)
{
	if (node->infos_outstanding == 0)
		node_ask_info(node);
}

static void ask_all(struct succession *succession)
{
	for (size_t i = 0; i < succession->topology->node_count; i++)
		ask_info(succession->topology->nodes[i]);
}

static void ask(struct succession *succession)
{
	switch (succession->step) {
	case SWITCHOVER_FENCE:
		if (succession->answered)
			ask_role(succession->old);
		break;
	case SWITCHOVER_CATCH_UP:
		ask_role(succession->heir);
		break;
	case SWITCHOVER_DEMOTE:
		ask_info(succession->old);
		break;
	case SWITCHOVER_PROMOTE:
		if (succession->commanded_ns == 0)
			ask_role(succession->heir);
		else
			ask_info(succession->heir);
		break;
	case SWITCHOVER_CHECK:
	case SWITCHOVER_FOLLOW:
		ask_all(succession);
		break;
	case SWITCHOVER_UNDO:
		ask_info(succession->old);
		ask_info(succession->heir);
		break;
	default:
		break;
	}
}

/* Every answer brings the next question, for a moment; then the timer does. */
static void ask_when_due(struct succession *succession)
{
	struct ev_loop *loop = succession->topology->loop;
	bool eager = ms_since(succession->step_ns) < EAGER_MS && succession->step != SWITCHOVER_FOLLOW &&
		     succession->step != SWITCHOVER_CHECK;

	if (eager || !ev_is_active(&succession->poll))
		ask(succession);
	if (!ev_is_active(&succession->poll))
		ev_timer_start(loop, &succession->poll);
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct succession *succession = timer->data;

	(void)loop;
	(void)revents;
	group_touch(succession->topology);
}

/* ---- steps ---- */

static void enter(struct succession *succession, enum switchover_step step)
{
	struct topology *topology = succession->topology;

	note_phase(succession);
	succession->step = step;
	succession->step_ns = clock_now_ns();
	succession->commanded_ns = 0;
	succession->answered = succession->refused = false;
	if (step > SWITCHOVER_CHECK)
		journal_note(topology->journal, EVENT_switchover_phase, NULL, "%s to %s: %s",
			     succession->unplanned ? "failover" : "switchover", name_of(succession->heir), switchover_step_name(step));
	group_touch(topology);
}

static void begin_hold(struct succession *succession)
{
	succession->held_ns = clock_now_ns();
	journal_note(succession->topology->journal, EVENT_switchover_started, NULL,
		     "switchover from %s to %s: writes are held, at most %lld ms until the promotion", name_of(succession->old),
		     name_of(succession->heir), (long long)succession->limit_ms);
}

static void begin_follow(struct succession *succession)
{
	if (succession->held_ns != 0)
		succession->shown.held_us = (uint64_t)((clock_now_ns() - succession->held_ns) / 1000);
	succession->shown.held_total_us += succession->shown.held_us;
	succession->held_ns = 0;
	succession->why[0] = '\0';
}

static void begin_step(struct succession *succession)
{
	switch (succession->step) {
	case SWITCHOVER_HOLD:
		begin_hold(succession);
		break;
	case SWITCHOVER_FENCE:
		send_pause(succession);
		break;
	case SWITCHOVER_DEMOTE:
		send_demote(succession);
		break;
	case SWITCHOVER_FOLLOW:
		begin_follow(succession);
		break;
	default:
		break;
	}
}

/* A command whose connection was lost may not have been heard. */
static bool is_to_be_sent(const struct succession *succession, const struct node *node)
{
	return succession->commanded_ns == 0 || link_since_ns(node->link) > succession->commanded_ns;
}

/* What a step sends only when it has seen something first. */
static void act_within(struct succession *succession, const struct switchover_seen *seen)
{
	struct node *node = succession->heir;

	if (succession->step == SWITCHOVER_PROMOTE && seen->heir_role == SERVER_ROLE_SLAVE &&
	    seen->heir_offset >= succession->end_offset && is_to_be_sent(succession, node)) {
		send_siblings(succession);
		send_promote(succession, node);
		return;
	}
	node = succession->old;
	if (succession->step == SWITCHOVER_DEMOTE && is_to_be_sent(succession, node))
		send_demote(succession);
	else if (succession->step == SWITCHOVER_UNDO && seen->old_role == SERVER_ROLE_SLAVE && is_to_be_sent(succession, node))
		send_promote(succession, node);
}

static void note_end_offset(struct succession *succession, const struct switchover_seen *seen)
{
	bool known = succession->step == SWITCHOVER_FENCE || succession->step == SWITCHOVER_DEMOTE;

	if (known && seen->old_offset > succession->end_offset)
		succession->end_offset = seen->old_offset;
}

static void finish(struct succession *succession, enum switchover_step last, const char *why)
{
	if (why != NULL)
		snprintf(succession->why, sizeof(succession->why), "%s", why);
	if (last == SWITCHOVER_UNDO) {
		send_unpause(succession);
		end_undone(succession);
	} else {
		end_whole(succession);
	}
}

static void advance(struct succession *succession)
{
	struct switchover_seen seen = look(succession);
	enum switchover_step step = succession->step;
	struct switchover_verdict verdict = switchover_next(step, &seen);

	if (verdict.next == step) {
		act_within(succession, &seen);
		ask_when_due(succession);
		return;
	}
	if (verdict.next == SWITCHOVER_NONE) {
		finish(succession, step, verdict.why);
		return;
	}
	if (verdict.next == SWITCHOVER_UNDO && succession->why[0] == '\0')
		snprintf(succession->why, sizeof(succession->why), "%s", verdict.why);
	note_end_offset(succession, &seen);
	enter(succession, verdict.next);
	begin_step(succession);
	ask_when_due(succession);
}

/* ---- the checks ---- */

static void on_setting(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct asked_settings *asked = arg;
	unsigned index = asked->answers++;

	(void)sent_ns;
	if (index < SWITCHOVER_SETTINGS && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING && (size_t)reply->element[1]->len < SWITCHOVER_VALUE_SIZE) {
		asked->settings.known[index] = true;
		memcpy(asked->settings.values[index], reply->element[1]->str, (size_t)reply->element[1]->len);
	}
	group_touch(asked->succession->topology);
}

/* Older servers take one name at a time. */
static void ask_settings(struct succession *succession, struct asked_settings *asked, const struct node *node)
{
	*asked = (struct asked_settings){ .succession = succession };
	for (size_t i = 0; i < SWITCHOVER_SETTINGS; i++) {
		const char *argv[] = {"CONFIG", "GET", switchover_setting_names[i]};

		link_request(node->link, on_setting, asked, 3, argv);
	}
}

static bool has_come(const struct succession *succession)
{
	const struct topology *topology = succession->topology;

	for (size_t i = 0; i < topology->node_count; i++)
		if (node_is_up(topology->nodes[i]) && topology->nodes[i]->info_sent_ns < succession->step_ns)
			return false;
	return rivals_looked_since(topology->rivals, succession->step_ns) &&
	       succession->of_old.answers >= SWITCHOVER_SETTINGS && succession->of_heir.answers >= SWITCHOVER_SETTINGS;
}

static void describe(const struct succession *succession, struct switchover_member *members)
{
	const struct topology *topology = succession->topology;
	const struct node *old = succession->old;

	for (size_t i = 0; i < topology->node_count; i++) {
		const struct node *node = topology->nodes[i];

		members[i] = (struct switchover_member){
			.name = name_of(node),
			.up = node_is_up(node) && node->known,
			.unreadable = topology->standings[node->id].reason,
			.cannot_reach = cannot_reach(old, node),
			.lag_bytes = topology->standings[node->id].lag_bytes,
			.info = &node->info,
			.settings = node == old ? &succession->of_old.settings : &succession->of_heir.settings,
		};
	}
}

static void object(struct succession *succession)
{
	size_t count = succession->topology->node_count;
	struct switchover_member *members = memory_zeroed(count, sizeof(*members));

	describe(succession, members);
	switchover_object(members, count, succession->old->index, succession->heir->index, succession->why);
	free(members);
}

/* Reasons to leave the whole group alone. */
static const char *find_taboo(const struct succession *succession)
{
	const struct topology *topology = succession->topology;

	if (topology->config.wiring != TOPOLOGY_WIRING_ENFORCE)
		return "wiring = observe";
	if (topology->interference != NULL)
		return topology->interference;
	return topology->plan.observe[0] != '\0' ? topology->plan.observe : NULL;
}

static void check(struct succession *succession)
{
	struct topology *topology = succession->topology;
	const char *taboo;

	if (group_master(topology) != succession->old || ms_since(succession->step_ns) > CHECK_MS) {
		snprintf(succession->why, sizeof(succession->why), "not every server has answered in time");
		end_checks(succession, false);
		return;
	}
	if (!has_come(succession)) {
		if (!rivals_looked_since(topology->rivals, succession->step_ns))
			rivals_look(topology->rivals, true);
		ask_when_due(succession);
		return;
	}
	taboo = find_taboo(succession);
	if (taboo != NULL)
		snprintf(succession->why, sizeof(succession->why), "%s", taboo);
	else
		object(succession);
	if (succession->why[0] != '\0' || succession->dry) {
		end_checks(succession, succession->why[0] == '\0');
	} else if (wire_is_prepared(topology->wire, succession->old, succession->heir)) {
		enter(succession, SWITCHOVER_HOLD);
		begin_step(succession);
	} else {
		ask_when_due(succession);
	}
}

/* ---- beginning ---- */

static void set_pair(struct succession *succession, struct node *old, struct node *heir)
{
	succession->old = old;
	succession->heir = heir;
	memcpy(succession->old_run_id, old->info.run_id, sizeof(succession->old_run_id));
	memcpy(succession->heir_run_id, heir->info.run_id, sizeof(succession->heir_run_id));
	succession->begun_ns = clock_now_ns();
	succession->held_ns = 0;
	succession->end_offset = 0;
	succession->unplanned = false;
	succession->why[0] = '\0';
	succession->shown.held_us = 0;
	succession->shown.phase_count = 0;
	snprintf(succession->from, sizeof(succession->from), "%s", name_of(old));
	snprintf(succession->to, sizeof(succession->to), "%s", name_of(heir));
}

static struct node *choose(const struct succession *succession)
{
	const struct topology *topology = succession->topology;
	struct switchover_member *members = memory_zeroed(topology->node_count, sizeof(*members));
	int best;

	describe(succession, members);
	best = switchover_choose(members, topology->node_count, succession->old->index);
	free(members);
	return best < 0 ? NULL : topology->nodes[best];
}

static struct node *find(const struct topology *topology, const char *name)
{
	for (size_t i = 0; i < topology->node_count; i++)
		if (strcmp(name_of(topology->nodes[i]), name) == 0)
			return topology->nodes[i];
	return NULL;
}

const char *succession_begin(struct succession *succession, const struct topology_switchover *wanted)
{
	struct topology *topology = succession->topology;
	struct node *heir;

	if (succession->step != SWITCHOVER_NONE)
		return "refused: a switchover is under way";
	if (topology->sentinels != NULL)
		return "refused: the sentinels decide who is the master; SENTINEL FAILOVER asks one of them";
	if (group_master(topology) == NULL)
		return "refused: there is no master";
	succession->old = group_master(topology);
	heir = wanted->replica != NULL ? find(topology, wanted->replica) : choose(succession);
	if (heir == NULL)
		return wanted->replica != NULL ? "refused: no such server" : "refused: no replica is readable";
	if (heir == succession->old)
		return "refused: it is the master";
	set_pair(succession, succession->old, heir);
	succession->dry = wanted->dry;
	succession->limit_ms = wanted->timeout_ms > 0 ? wanted->timeout_ms : LIMIT_MS;
	succession->on_done = wanted->on_done;
	succession->arg = wanted->arg;
	enter(succession, SWITCHOVER_CHECK);
	ask_settings(succession, &succession->of_old, succession->old);
	ask_settings(succession, &succession->of_heir, succession->heir);
	rivals_look(topology->rivals, true);
	return NULL;
}

void succession_forget(struct succession *succession, const struct node *node)
{
	if (succession->step != SWITCHOVER_NONE && (node == succession->old || node == succession->heir))
		end(succession, SWITCHOVER_UNDONE, "given up: one of the two servers is configured no more");
}

/* ---- a ring that was left ---- */

static bool is_ring(const struct topology *topology, const struct node *a, const struct node *b)
{
	return follows(topology, a, b) && follows(topology, b, a) && strcmp(a->info.replid, b->info.replid) == 0;
}

/* Whoever else is there might be the master, or hold more: all have to be seen. */
static bool find_ring(const struct topology *topology, struct node **a, struct node **b)
{
	bool found = false;

	for (size_t i = 0; i < topology->node_count; i++) {
		if (!node_is_up(topology->nodes[i]) || topology->nodes[i]->info.role != SERVER_ROLE_SLAVE)
			return false;
		for (size_t j = i + 1; j < topology->node_count && !found; j++) {
			*a = topology->nodes[i];
			*b = topology->nodes[j];
			found = is_ring(topology, *a, *b);
		}
	}
	return found;
}

/* The one that has more of the stream becomes the master: the other one's end is
 * not beyond it. */
static void end_ring(struct succession *succession, struct node *a, struct node *b)
{
	int64_t at_a = info_position(&a->info), at_b = info_position(&b->info);

	set_pair(succession, at_a >= at_b ? b : a, at_a >= at_b ? a : b);
	succession->end_offset = at_a >= at_b ? at_a : at_b;
	succession->limit_ms = LIMIT_MS;
	succession->dry = false;
	journal_note(succession->topology->journal, EVENT_switchover_started, NULL,
		     "%s and %s follow each other, as a switchover leaves them that was cut short: it is ended", name_of(a),
		     name_of(b));
	enter(succession, SWITCHOVER_PROMOTE);
	ask_when_due(succession);
}

/* ---- a master that is lost ---- */

/* What a replica says of its offset while its link is down is not known any more
 * (ROLE: -1); takeover.c has looked at it. */
void succession_take_over(struct succession *succession, struct node *old, struct node *heir)
{
	set_pair(succession, old, heir);
	succession->unplanned = true;
	succession->dry = false;
	succession->end_offset = INFO_UNKNOWN;
	succession->limit_ms = LIMIT_MS;
	enter(succession, SWITCHOVER_PROMOTE);
	ask_when_due(succession);
}

bool succession_is_under_way(const struct succession *succession)
{
	return succession->step != SWITCHOVER_NONE;
}

static void watch_for_ring(struct succession *succession)
{
	struct node *a = NULL, *b = NULL;

	if (group_master(succession->topology) != NULL || find_taboo(succession) != NULL ||
	    !find_ring(succession->topology, &a, &b)) {
		succession->ring_ns = 0;
		return;
	}
	if (succession->ring_ns == 0)
		succession->ring_ns = clock_now_ns();
	else if (ms_since(succession->ring_ns) > RING_MS)
		end_ring(succession, a, b);
}

/* ---- life ---- */

void succession_act(struct succession *succession)
{
	if (succession->step == SWITCHOVER_NONE)
		watch_for_ring(succession);
	else if (succession->step == SWITCHOVER_CHECK)
		check(succession);
	else
		advance(succession);
}

void succession_show(const struct succession *succession, struct topology_succession_view *view)
{
	*view = succession->shown;
	view->unplanned = succession->unplanned;
	view->step = switchover_step_name(succession->step);
	view->step_ms = succession->step == SWITCHOVER_NONE ? -1 : ms_since(succession->step_ns);
	view->from = succession->from[0] != '\0' ? succession->from : NULL;
	view->to = succession->to[0] != '\0' ? succession->to : NULL;
	view->holds = succession_holds(succession);
	view->ended_ms = succession->ended_ns == 0 ? -1 : ms_since(succession->ended_ns);
	view->result = succession->result[0] != '\0' ? succession->result : NULL;
}

struct succession *succession_create(struct topology *topology)
{
	struct succession *succession = memory_zeroed(1, sizeof(*succession));

	succession->topology = topology;
	for (int step = 0; step < SWITCHOVER_STEP_COUNT; step++)
		succession->commands[step] = (struct command){ succession, (enum switchover_step)step };
	ev_timer_init(&succession->poll, on_poll, POLL_MS / 1e3, 0.0);
	succession->poll.data = succession;
	return succession;
}

void succession_destroy(struct succession **succession)
{
	if ((*succession)->on_done != NULL)
		end(*succession, SWITCHOVER_UNDONE, "weir ends");
	ev_timer_stop((*succession)->topology->loop, &(*succession)->poll);
	free(*succession);
	*succession = NULL;
}
