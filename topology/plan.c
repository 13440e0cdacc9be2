/* Two questions, in this order: which node is the master (choose_*), and what
 * each other node may be told (step_*). The first is careful with traffic: no
 * master is better than one that lost its data. The second is careful with
 * data: REPLICAOF makes a server throw its own away, so it needs a proof that
 * the master has all of it.
 *
 * Invariant: an action REPLICAOF is planned only towards a node whose own role
 * is master, so no plan makes a cycle. A sentence holds no number that changes
 * by itself: it is logged, and published, whenever it changes. */
#include "plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static void say(char *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, PLAN_TEXT_SIZE, format, args);
	va_end(args);
}

/* Two histories are the same one: both known, and equal. */
static bool same(const char *a, const char *b)
{
	return a[0] != '\0' && strcmp(a, b) == 0;
}

static bool is_up(const struct plan_node *node)
{
	return node->reach == PLAN_UP;
}

static bool is_empty(const struct plan_node *node)
{
	return node->keys == 0 && node->libraries == 0;
}

/* The first node behind an earlier line of the file that is the same process,
 * or PLAN_NOBODY. */
static int duplicate_of(const struct plan_group *group, size_t index)
{
	const struct plan_node *node = &group->nodes[index];

	for (size_t i = 0; i < index; i++)
		if (is_up(node) && is_up(&group->nodes[i]) && same(node->run_id, group->nodes[i].run_id))
			return (int)i;
	return PLAN_NOBODY;
}

/* Loading its data after a start. The run that is the master already may well
 * reload in place (DEBUG RELOAD): it answers LOADING by itself meanwhile, and
 * nothing is gained by cutting its connections. */
static bool is_starting_up(const struct plan_group *group, size_t index)
{
	const struct plan_memory *memory = &group->memory;

	return group->nodes[index].loading &&
	       !(memory->master == (int)index && same(group->nodes[index].run_id, memory->run_id));
}

/* It lacks what was written since, unless somebody says that it counts nevertheless. */
static bool is_replaced(const struct plan_group *group, const struct plan_node *node)
{
	return node->fenced && !same(group->memory.accepted_run_id, node->run_id);
}

static bool is_candidate(const struct plan_group *group, size_t index)
{
	const struct plan_node *node = &group->nodes[index];

	return is_up(node) && !is_replaced(group, node) && node->supported && node->role == SERVER_ROLE_MASTER && !is_starting_up(group, index) &&
	       duplicate_of(group, index) == PLAN_NOBODY;
}

static bool has_follower(const struct plan_group *group, size_t index)
{
	for (size_t i = 0; i < group->node_count; i++)
		if (i != index && is_up(&group->nodes[i]) && group->nodes[i].role == SERVER_ROLE_SLAVE &&
		    group->nodes[i].follows == (int)index)
			return true;
	return false;
}

/* A server that has just been started bare: a master in name only. */
static bool is_blank(const struct plan_group *group, size_t index)
{
	const struct plan_node *node = &group->nodes[index];

	return node->role == SERVER_ROLE_MASTER && is_empty(node) && node->replid2[0] == '\0' &&
	       !has_follower(group, index);
}

static bool share_history(const struct plan_node *a, const struct plan_node *b)
{
	return same(a->replid, b->replid) || same(a->replid2, b->replid) || same(a->replid, b->replid2);
}

/* ---- which node is the master ---- */

static bool is_accepted(const struct plan_group *group, const struct plan_node *node)
{
	return group->accept_reset_master || same(group->memory.accepted_run_id, node->run_id);
}

static void adopt(struct plan *plan, size_t index)
{
	plan->master = (int)index;
	plan->reason[0] = '\0';
}

static void reject(const struct plan_group *group, struct plan *plan, size_t index, const char *why)
{
	plan->rejected = (int)index;
	say(plan->reason, "master %s %s; ACCEPT MASTER takes it as it is", group->nodes[index].name, why);
}

/* The other node's data would be news to this master. Not so if it comes from
 * this master by a live link, or from some stranger by a live link (then the
 * line in the file is wrong, and nothing is known about this master). */
static bool holds_data_unknown_to(const struct plan_node *other, const struct plan_node *master)
{
	if (!is_up(other) || other->keys <= 0 || other->allow_overwrite || same(other->run_id, master->run_id))
		return false;
	return !(other->role == SERVER_ROLE_SLAVE && other->link_up);
}

/* A replica of this master has applied more of the history than the master
 * itself remembers: the master came back from an older RDB file. */
static bool knows_more_than(const struct plan_node *other, int follows, const struct plan_node *master)
{
	return is_up(other) && other->role == SERVER_ROLE_SLAVE && other->follows == follows &&
	       same(other->replid, master->replid2) && other->offset >= master->second_offset;
}

/* Adopts a master that weir does not remember, unless other nodes are witnesses
 * that it lost its data. */
static void adopt_unless_reset(const struct plan_group *group, struct plan *plan, size_t index)
{
	const struct plan_node *master = &group->nodes[index];
	char why[PLAN_TEXT_SIZE];

	for (size_t i = 0; i < group->node_count && !is_accepted(group, master); i++) {
		const struct plan_node *other = &group->nodes[i];

		if (i == index)
			continue;
		if (master->keys == 0 && holds_data_unknown_to(other, master)) {
			say(why, "is empty while %s holds keys", other->name);
			reject(group, plan, index, why);
			return;
		}
		if (knows_more_than(other, (int)index, master)) {
			say(why, "has older data than its replica %s", other->name);
			reject(group, plan, index, why);
			return;
		}
	}
	adopt(plan, index);
}

/* Everything that weir knows of the old master's history is in this node. */
static bool continues(const struct plan_group *group, size_t index)
{
	const struct plan_memory *memory = &group->memory;
	const struct plan_node *node = &group->nodes[index];

	if ((int)index == memory->master && same(node->run_id, memory->run_id))
		return true;
	if (same(memory->replid, node->replid))
		return node->offset >= memory->offset;
	return same(memory->replid, node->replid2) && node->second_offset > memory->offset;
}

static bool follows_or_shares(const struct plan_group *group, size_t index, size_t master)
{
	const struct plan_node *node = &group->nodes[index];

	return (node->role == SERVER_ROLE_SLAVE && node->follows == (int)master) ||
	       share_history(node, &group->nodes[master]);
}

/* Whether the other nodes vouch for a master that the file does not name: at
 * least one is of its history (or weir remembers that history), and none that
 * answers is of another. */
static bool is_vouched_for(const struct plan_group *group, struct plan *plan, size_t master)
{
	const char *known = group->memory.replid;
	bool vouched = same(known, group->nodes[master].replid) || same(known, group->nodes[master].replid2);

	for (size_t i = 0; i < group->node_count; i++) {
		if (i == master || !is_up(&group->nodes[i]) || duplicate_of(group, i) != PLAN_NOBODY)
			continue;
		if (follows_or_shares(group, i, master)) {
			vouched = true;
		} else if (!is_blank(group, i)) {
			say(plan->reason, "%s is a master, but %s neither follows it nor shares its history",
			    group->nodes[master].name, group->nodes[i].name);
			return false;
		}
	}
	if (!vouched)
		say(plan->reason, "%s is a master, but no other node follows it or shares its history",
		    group->nodes[master].name);
	return vouched;
}

/* Why `index`, which was or is configured to be the master, cannot be it. */
static void explain_absence(const struct plan_group *group, struct plan *plan, size_t index)
{
	const struct plan_node *node = &group->nodes[index];

	if (!is_up(node))
		say(plan->reason, "master %s is down", node->name);
	else if (!node->supported)
		say(plan->reason, "master %s runs version %s; weir needs 6.2.6 or later", node->name, node->version);
	else if (node->loading)
		say(plan->reason, "master %s is loading its data", node->name);
	else if (group->appointed)
		say(plan->reason, "the sentinels name %s, which is a replica", node->name);
	else
		say(plan->reason, "%s is a replica, and no configured node is a master", node->name);
}

/* One that was the master before the expected one lacks what that one was told. */
static void refuse_replaced(const struct plan_group *group, struct plan *plan, size_t expected)
{
	for (size_t i = 0; i < group->node_count; i++) {
		const struct plan_node *node = &group->nodes[i];
		char why[PLAN_TEXT_SIZE];

		if (!is_up(node) || !is_replaced(group, node) || node->role != SERVER_ROLE_MASTER)
			continue;
		snprintf(why, sizeof(why), "is back, but %.200s has replaced it, and is not there", group->nodes[expected].name);
		reject(group, plan, i, why);
	}
}

/* The expected master cannot be it. Exactly one other that the rest vouches
 * for may stand in: the servers know better than the file. */
static void choose_elsewhere(const struct plan_group *group, struct plan *plan, size_t expected)
{
	int found = PLAN_NOBODY;

	explain_absence(group, plan, expected);
	for (size_t i = 0; i < group->node_count; i++) {
		if (i == expected || !is_candidate(group, i) || is_blank(group, i))
			continue;
		if (found != PLAN_NOBODY) {
			say(plan->reason, "%s and %s are both masters", group->nodes[found].name,
			    group->nodes[i].name);
			return;
		}
		found = (int)i;
	}
	if (found == PLAN_NOBODY)
		refuse_replaced(group, plan, expected);
	else if (same(group->memory.accepted_run_id, group->nodes[found].run_id) || is_vouched_for(group, plan, (size_t)found))
		adopt_unless_reset(group, plan, (size_t)found);
}

static bool was_promoted_from(const struct plan_node *promoted, const struct plan_node *old)
{
	return same(promoted->replid2, old->replid) || same(promoted->replid, old->replid) ||
	       same(promoted->replid2, old->replid2);
}

static const char *unproven(const struct plan_node *node, const struct plan_node *master, char *text);

/* Two masters of one history (one of them was promoted), or another master that
 * has a follower among the nodes while this one has none: which one clients
 * should write to is not for weir to guess. */
static bool has_rival(const struct plan_group *group, struct plan *plan, size_t index)
{
	const struct plan_node *node = &group->nodes[index];
	char text[PLAN_TEXT_SIZE];

	for (size_t i = 0; i < group->node_count; i++) {
		const struct plan_node *other = &group->nodes[i];

		if (i == index || !is_candidate(group, i) || is_blank(group, i) || other->allow_overwrite)
			continue;
		if ((was_promoted_from(other, node) || was_promoted_from(node, other)) &&
		    unproven(other, node, text) != NULL) {
			say(plan->reason, "%s and %s are both masters of one history", node->name, other->name);
			return true;
		}
		if (has_follower(group, i) && !has_follower(group, index)) {
			say(plan->reason, "%s and %s are both masters, and only %s has a replica here", node->name,
			    other->name, other->name);
			return true;
		}
	}
	return false;
}

static void choose_first(const struct plan_group *group, struct plan *plan)
{
	if (!is_candidate(group, 0))
		choose_elsewhere(group, plan, 0);
	else if (!has_rival(group, plan, 0))
		adopt_unless_reset(group, plan, 0);
}

static bool somebody_holds_keys(const struct plan_group *group)
{
	for (size_t i = 0; i < group->node_count; i++)
		if (is_up(&group->nodes[i]) && group->nodes[i].keys > 0)
			return true;
	return false;
}

/* The same address, another process, and not the history that weir knows. */
static void choose_restarted(const struct plan_group *group, struct plan *plan, size_t index)
{
	const struct plan_node *node = &group->nodes[index];
	bool nothing_to_lose = group->memory.keys == 0 && !somebody_holds_keys(group);

	if (nothing_to_lose || is_accepted(group, node))
		adopt(plan, index);
	else if (node->keys == 0)
		reject(group, plan, index, "came back empty");
	else if (same(group->memory.replid, node->replid2))
		reject(group, plan, index, "came back with older data");
	else
		reject(group, plan, index, "came back with data of another history");
}

/* There was a master, and it cannot be kept: look for the one node that continues
 * its history. */
static void choose_next(const struct plan_group *group, struct plan *plan)
{
	size_t old = (size_t)group->memory.master;
	int heir = PLAN_NOBODY;

	for (size_t i = 0; i < group->node_count; i++) {
		if (!is_candidate(group, i) || !continues(group, i))
			continue;
		if (heir != PLAN_NOBODY) {
			say(plan->reason, "%s and %s both continue the history of %s", group->nodes[heir].name,
			    group->nodes[i].name, group->nodes[old].name);
			return;
		}
		heir = (int)i;
	}
	if (heir != PLAN_NOBODY)
		adopt(plan, (size_t)heir);
	else if (is_candidate(group, old))
		choose_restarted(group, plan, old);
	else
		choose_elsewhere(group, plan, old);
}

/* Weir itself has made it the master, of what there was to choose from: it may lack
 * something, and the others may have followed one that came back without its data. */
static bool take_heir(const struct plan_group *group, struct plan *plan)
{
	int heir = group->memory.heir;

	if (heir == PLAN_NOBODY || !is_candidate(group, (size_t)heir) || !same(group->memory.replid, group->nodes[heir].replid2))
		return false;
	adopt(plan, (size_t)heir);
	return true;
}

/* A replica was made a master when the master was not there: that one has taken its
 * place, even if it is back by now. */
static bool take_successor(const struct plan_group *group, struct plan *plan)
{
	int found = PLAN_NOBODY;

	for (size_t i = 0; i < group->node_count; i++) {
		if (!group->nodes[i].replaces || !is_candidate(group, i) || !same(group->memory.replid, group->nodes[i].replid2))
			continue;
		if (found != PLAN_NOBODY) {
			say(plan->reason, "%s and %s were both made masters", group->nodes[found].name, group->nodes[i].name);
			return true;
		}
		found = (int)i;
	}
	if (found != PLAN_NOBODY)
		adopt(plan, (size_t)found);
	return found != PLAN_NOBODY;
}

/* It may have been replaced; who has replaced it is seen in a moment. */
static bool is_back_too_soon(const struct plan_group *group, struct plan *plan)
{
	int old = group->memory.master;

	if (old == PLAN_NOBODY || !group->memory.away || !is_candidate(group, (size_t)old))
		return false;
	say(plan->reason, "master %s is back, and the others are asked whether one of them has replaced it", group->nodes[old].name);
	return true;
}

/* It is still the same process, whoever else comes in meanwhile. */
static bool keep_master(const struct plan_group *group, struct plan *plan)
{
	int old = group->memory.master;

	if (old == PLAN_NOBODY || !is_candidate(group, (size_t)old) || !continues(group, (size_t)old))
		return false;
	adopt(plan, (size_t)old);
	return true;
}

/* One that was promoted from it is a master already: a failover has gone so far
 * that what is written here would be lost, and the sentinels will say so soon. */
static bool is_superseded(const struct plan_group *group, struct plan *plan, size_t index)
{
	const struct plan_node *node = &group->nodes[index];

	for (size_t i = 0; i < group->node_count; i++) {
		if (i == index || !is_candidate(group, i) || !same(group->nodes[i].replid2, node->replid))
			continue;
		say(plan->reason, "%s was promoted from %s, but the sentinels name that one still", group->nodes[i].name,
		    node->name);
		return true;
	}
	return false;
}

/* Who the master is the sentinels decide; their word counts as soon as the server
 * itself agrees. What a process that came back without its data is worth is still
 * asked. */
static void choose_appointed(const struct plan_group *group, struct plan *plan)
{
	if (group->node_count == 0) {
		plan->starting = true;
		say(plan->reason, "no sentinel has named a master yet");
	} else if (group->nodes[0].reach == PLAN_UNSEEN) {
		plan->starting = true;
		say(plan->reason, "starting: %s has not been checked yet", group->nodes[0].name);
	} else if (!is_candidate(group, 0)) {
		explain_absence(group, plan, 0);
	} else if (!is_superseded(group, plan, 0)) {
		if (group->memory.master == PLAN_NOBODY)
			adopt_unless_reset(group, plan, 0);
		else if (group->memory.master == 0 && !continues(group, 0))
			choose_restarted(group, plan, 0);
		else
			adopt(plan, 0);
	}
}

static void choose_master(const struct plan_group *group, struct plan *plan)
{
	if (group->appointed) {
		choose_appointed(group, plan);
		return;
	}
	if (take_heir(group, plan) || take_successor(group, plan) || is_back_too_soon(group, plan) || keep_master(group, plan))
		return;
	for (size_t i = 0; i < group->node_count; i++) {
		if (group->nodes[i].reach == PLAN_UNSEEN) {
			plan->starting = true;
			say(plan->reason, "starting: %s has not been checked yet", group->nodes[i].name);
			return;
		}
	}
	if (group->memory.master == PLAN_NOBODY)
		choose_first(group, plan);
	else
		choose_next(group, plan);
}

/* ---- what the others may be told ---- */

/* Its data came to it from this run of the master, and a restart without
 * offsets is all that has happened since. (A slave that never synchronized
 * reports offset 1.) */
static bool is_plain_restart(const struct plan_node *node, const struct plan_node *master)
{
	return same(node->seen_master_run_id, master->run_id) && strcmp(node->seen_run_id, node->run_id) != 0 &&
	       node->replid2[0] == '\0' && node->offset >= 0 &&
	       node->offset <= (node->role == SERVER_ROLE_SLAVE ? 1 : 0);
}

/* The master was promoted out of the node's history because that one was lost, and it
 * has no more beyond that than may be lost. */
static bool is_expendable(const struct plan_node *node, const struct plan_node *master)
{
	bool left_behind = same(node->replid, master->replid2) || same(node->replid2, master->replid2);

	return node->stranded && left_behind && node->offset >= 0 && node->offset - (master->second_offset - 1) <= node->expendable;
}

/* NULL: whatever the node holds, the master has it too, so that REPLICAOF loses
 * nothing. Else why not, in `text`. */
static const char *unproven(const struct plan_node *node, const struct plan_node *master, char *text)
{
	if (is_empty(node))
		return NULL;
	if (master->keys <= 0) {
		say(text, "not wired: it holds data and the master %s is empty", master->name);
		return text;
	}
	if (same(node->replid, master->replid) && node->offset >= 0 && node->offset <= master->offset)
		return NULL;
	if (same(node->replid, master->replid2) && node->offset >= 0 && node->offset < master->second_offset)
		return NULL;
	if (same(node->replid2, master->replid) && node->offset == node->second_offset - 1 &&
	    node->offset <= master->offset)
		return NULL;
	if (same(node->replid2, master->replid2) && node->offset == node->second_offset - 1 &&
	    node->offset < master->second_offset)
		return NULL; /* both left one history, the master not before the node, which has been nowhere since */
	if (is_plain_restart(node, master) || node->allow_overwrite || is_expendable(node, master))
		return NULL;
	if (share_history(node, master))
		say(text, "not wired: its data has left the history of the master %s", master->name);
	else
		say(text, "not wired: it holds data of another history than the master %s", master->name);
	return text;
}

/* By any spelling of the address: a live link with the master's own replid can
 * only lead to it. */
static bool follows_master(const struct plan_node *node, const struct plan_node *master, int index)
{
	if (node->role != SERVER_ROLE_SLAVE)
		return false;
	return node->follows == index ||
	       (node->follows == PLAN_STRANGER && node->link_up && same(node->replid, master->replid));
}

static bool is_chained(const struct plan_node *node, const struct plan_node *master)
{
	return node->role == SERVER_ROLE_SLAVE && node->follows >= 0 && node->link_up &&
	       same(node->replid, master->replid);
}

static void step_in_place(const struct plan_group *group, const struct plan *plan, const struct plan_node *node,
			  struct plan_step *step)
{
	if (node->read_only)
		return;
	if (group->enforce && plan->observe[0] == '\0')
		step->action = PLAN_READ_ONLY;
	else
		say(step->refusal, "clients can write to it (replica-read-only no)");
}

static void step_wire(const struct plan_group *group, const struct plan *plan, const struct plan_node *node,
		      struct plan_step *step)
{
	const struct plan_node *master = &group->nodes[plan->master];

	if (unproven(node, master, step->refusal) != NULL)
		return;
	if (master->told_loopback && !node->local)
		say(step->refusal, "not wired: %s would mean another machine to it; set announce= on the master's line",
		    master->told);
	else if (!group->enforce)
		say(step->refusal, "not wired: wiring = observe");
	else if (plan->observe[0] != '\0')
		say(step->refusal, "not wired: %s", plan->observe);
	else
		step->action = PLAN_REPLICAOF;
}

static void plan_node_step(const struct plan_group *group, const struct plan *plan, size_t index)
{
	const struct plan_node *node = &group->nodes[index];
	const struct plan_node *master = &group->nodes[plan->master];
	struct plan_step *step = &plan->steps[index];
	int twin = duplicate_of(group, index);

	if (twin != PLAN_NOBODY)
		say(step->refusal, "not wired: it is the same server as %s (one run_id)", group->nodes[twin].name);
	else if (!node->supported)
		say(step->refusal, "not wired: it runs version %s; weir needs 6.2.6 or later", node->version);
	else if (node->cluster || node->loading)
		return;
	else if (follows_master(node, master, plan->master))
		step_in_place(group, plan, node, step);
	else if (is_chained(node, master) && node->follows != group->memory.deposed && !node->stranded)
		say(step->refusal, "chained: it follows %s, in the master's history; left as it is",
		    group->nodes[node->follows].name);
	else
		step_wire(group, plan, node, step);
}

/* Reasons to keep the hands off the whole group that the nodes themselves give. */
static void find_reason_to_observe(const struct plan_group *group, struct plan *plan)
{
	const struct plan_node *master = &group->nodes[plan->master];
	char text[PLAN_TEXT_SIZE];

	for (size_t i = 0; i < group->node_count && plan->observe[0] == '\0'; i++) {
		const struct plan_node *node = &group->nodes[i];

		if (is_up(node) && node->cluster)
			say(plan->observe, "%s runs in cluster mode", node->name);
		else if ((int)i != plan->master && is_candidate(group, i) && !is_empty(node) &&
			 unproven(node, master, text) != NULL)
			say(plan->observe, "%s and %s are both masters with data", master->name, node->name);
	}
}

void plan_make(const struct plan_group *group, struct plan *plan)
{
	plan->master = PLAN_NOBODY;
	plan->rejected = PLAN_NOBODY;
	plan->reason[0] = '\0';
	plan->starting = false;
	plan->observe[0] = '\0';
	memset(plan->steps, 0, group->node_count * sizeof(*plan->steps));
	choose_master(group, plan);
	if (group->enforce && group->interference != NULL)
		say(plan->observe, "%s", group->interference);
	if (plan->master == PLAN_NOBODY)
		return;
	if (group->enforce)
		find_reason_to_observe(group, plan);
	for (size_t i = 0; i < group->node_count; i++)
		if ((int)i != plan->master && is_up(&group->nodes[i]))
			plan_node_step(group, plan, i);
}

int plan_partial_resync(const struct info *replica, const struct info *master)
{
	int64_t next = info_position(replica) + 1; /* what PSYNC would ask for */
	bool known;

	if (info_position(replica) < 0 || master->backlog_active < 0)
		return INFO_UNKNOWN;
	known = same(replica->replid, master->replid) ||
		(same(replica->replid, master->replid2) && next <= master->second_offset);
	return known && master->backlog_active && next >= master->backlog_first &&
	       next <= master->backlog_first + master->backlog_length;
}
