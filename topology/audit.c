/* Every server is asked for its ACL LIST when its link is new, about once a
 * second (more seldom the more users it has), and at once when a change of users
 * has come through weir. Replicas are compared with the master of the epoch,
 * and what comes out goes into the snapshot; only a change of it makes a new one.
 *
 * A server may not let weir look: the user of the control connections needs
 * +acl|list for it. Then nothing is known of named users, and their reads stay
 * on the master; the default user, the only one where nobody uses ACLs, is taken
 * to have the same rules everywhere.
 *
 * Invariant: an answer counts for the run that gave it, and for the changes
 * that were known when the question was sent. */
#include "audit.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "group.h"
#include "memory.h"
#include "rules.h"

enum {
	LOOK_EVERY_MS = 1000,
	LOOK_LATER_MS = 1,       /* for each user more */
	LOOK_GAP_MS = 20,        /* however often somebody asks */
	PAUSE_FIRST_MS = 1000,   /* after links were lost over the question: the answer may be too large */
	PAUSE_DOUBLINGS = 5,
	FIRST_CHANGE = 1,        /* so that who has not answered covers nothing */
};

struct audited {
	struct audit *audit;
	struct node *node;
	struct rules *rules;         /* NULL: it does not tell */
	char run_id[RUN_ID_LENGTH + 1]; /* that told them */
	uint64_t covers;             /* changes up to this one; 0: not asked yet */
	uint64_t version;            /* of all of the above */

	/* the newest question */
	bool waiting;
	int64_t asked_ns;
	int64_t asked_link_ns;
	uint64_t asked_changes;
	char asked_run_id[RUN_ID_LENGTH + 1];
	unsigned lost;               /* questions in a row that ended with their link */
	int64_t paused_until_ns;
	bool logged_refusal;

	/* compared with the master; good as long as this key is */
	struct snapshot_users *users; /* NULL: never compared */
	struct comparison_key {
		int master;              /* node id, or -1 */
		uint32_t master_incarnation, own_incarnation;
		uint64_t master_version, own_version;
	} key;
	bool answered;
	size_t differing;
	size_t name_count;
	char *names[TOPOLOGY_NAMES_MAX];
};

struct audit {
	struct topology *topology;
	uint64_t changes;
	struct audited *nodes;
};

/* ---- asking ---- */

static void take_answer(struct audited *audited, struct rules *rules)
{
	bool same = audited->covers == audited->asked_changes && rules_are_same(audited->rules, rules) &&
		    strcmp(audited->run_id, audited->asked_run_id) == 0;

	audited->waiting = false;
	if (same) {
		rules_free(&rules);
		return;
	}
	rules_free(&audited->rules);
	audited->rules = rules;
	audited->covers = audited->asked_changes;
	memcpy(audited->run_id, audited->asked_run_id, sizeof(audited->run_id));
	audited->version++;
	group_touch(audited->audit->topology);
}

static void log_refusal(struct audited *audited, const char *why)
{
	if (!audited->logged_refusal)
		log_notice("%s: its users cannot be compared, so reads of named users stay on the master: %.200s",
			   audited->node->config->name, why);
	audited->logged_refusal = true;
}

static void on_rules(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct audited *audited = arg;
	struct rules *rules;

	(void)sent_ns;
	audited->lost = 0;
	if (reply_is_busy(reply)) {
		audited->waiting = false;
		return;
	}
	rules = rules_parse(reply);
	if (rules != NULL)
		audited->logged_refusal = false;
	else
		log_refusal(audited, reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer that cannot be read");
	take_answer(audited, rules);
	if (audited->covers < audited->audit->changes)
		audit_look(audited->audit);
}

static int64_t look_every_ns(const struct audited *audited)
{
	int64_t users = audited->rules != NULL ? (int64_t)audited->rules->count : 0;

	return (LOOK_EVERY_MS + users * LOOK_LATER_MS) * NS_PER_MS;
}

static bool is_due(const struct audited *audited, int64_t now_ns)
{
	if (now_ns < audited->paused_until_ns)
		return false;
	return audited->covers < audited->audit->changes || strcmp(audited->run_id, audited->node->info.run_id) != 0 ||
	       now_ns - audited->asked_ns >= look_every_ns(audited);
}

/* The link that the question took is gone: no answer will come. */
static bool is_lost(const struct audited *audited)
{
	return audited->waiting && link_since_ns(audited->node->link) != audited->asked_link_ns;
}

/* Once is an accident. What this run has told before still stands. */
static void give_up(struct audited *audited, int64_t now_ns)
{
	unsigned again = audited->lost < PAUSE_DOUBLINGS ? audited->lost : PAUSE_DOUBLINGS;

	audited->waiting = false;
	if (audited->rules == NULL || strcmp(audited->run_id, audited->asked_run_id) != 0)
		take_answer(audited, NULL);
	if (audited->lost++ > 0)
		audited->paused_until_ns = now_ns + ((int64_t)PAUSE_FIRST_MS << again) * NS_PER_MS;
}

static void ask(struct audited *audited, int64_t now_ns)
{
	static const char *const argv[] = {"ACL", "LIST"};
	const struct node *node = audited->node;

	if (!link_request(node->link, on_rules, audited, 2, argv))
		return;
	audited->waiting = true;
	audited->asked_ns = now_ns;
	audited->asked_link_ns = link_since_ns(node->link);
	audited->asked_changes = audited->audit->changes;
	memcpy(audited->asked_run_id, node->info.run_id, sizeof(audited->asked_run_id));
}

void audit_look(struct audit *audit)
{
	int64_t now_ns = clock_now_ns();

	for (size_t i = 0; i < audit->topology->node_count; i++) {
		const struct node *node = audit->topology->nodes[i];
		struct audited *audited = &audit->nodes[node->id];

		if (is_lost(audited))
			give_up(audited, now_ns);
		if (!audited->waiting && node->known && info_version_supported(node->info.redis_version) &&
		    is_due(audited, now_ns))
			ask(audited, now_ns);
	}
}

void audit_demand(struct audit *audit, uint64_t changes)
{
	int64_t now_ns = clock_now_ns();

	if (changes > audit->changes)
		audit->changes = changes;
	for (size_t i = 0; i < TOPOLOGY_NODES_MAX; i++)
		if (now_ns - audit->nodes[i].asked_ns >= LOOK_GAP_MS * NS_PER_MS)
			audit->nodes[i].asked_ns = 0;
	audit_look(audit);
}

/* ---- comparing ---- */

static void forget_comparison(struct audited *audited)
{
	snapshot_users_release(&audited->users);
	for (size_t i = 0; i < audited->name_count; i++)
		free(audited->names[i]);
	audited->name_count = 0;
	audited->differing = 0;
}

static void on_user(void *arg, const struct user_rules *user, bool same)
{
	struct audited *audited = arg;

	if (same) {
		snapshot_users_add(audited->users, user->name, user->name_length);
		return;
	}
	audited->differing++;
	if (audited->name_count < TOPOLOGY_NAMES_MAX)
		audited->names[audited->name_count++] = memory_text(user->name);
}

static void note_difference(const struct audited *audited, size_t before)
{
	if (audited->differing == before)
		return;
	if (audited->differing == 0)
		journal_note(audited->node->journal, EVENT_users_differ, audited->node->config->name,
			     "all users have the same rules as on the master");
	else
		journal_note(audited->node->journal, EVENT_users_differ, audited->node->config->name,
			     "%zu users have other rules than on the master (%.64s%s): their reads stay there",
			     audited->differing, audited->names[0], audited->differing > 1 ? ", ..." : "");
}

/* And the answer is of the run that is there now. */
static bool has_answered(const struct audited *audited)
{
	return audited->covers != 0 && strcmp(audited->run_id, audited->node->info.run_id) == 0;
}

static void compare(struct audited *audited, const struct audited *master)
{
	bool answered = master != NULL && has_answered(master) && has_answered(audited);
	bool known = answered && master->rules != NULL && audited->rules != NULL;
	size_t before = audited->differing;

	forget_comparison(audited);
	audited->answered = answered;
	audited->users = snapshot_users_create(known ? master->rules->count : 0);
	audited->users->known = known;
	if (answered)
		audited->users->covers = master->covers < audited->covers ? master->covers : audited->covers;
	if (!known)
		return;
	rules_compare(master->rules, audited->rules, on_user, audited);
	snapshot_users_seal(audited->users);
	if (audited != master)
		note_difference(audited, before);
}

/* The one that traffic goes to, or went to last. */
static struct audited *master_of(struct audit *audit)
{
	const struct topology *topology = audit->topology;
	int master = topology->epoch.number != 0 ? topology->epoch.master : PLAN_NOBODY;

	return master >= 0 ? &audit->nodes[topology->nodes[master]->id] : NULL;
}

static struct comparison_key key_of(const struct audited *audited, const struct audited *master)
{
	struct comparison_key key = {.master = -1};

	key.own_incarnation = audited->node->incarnation;
	key.own_version = audited->version;
	if (master == NULL)
		return key;
	key.master = (int)master->node->id;
	key.master_incarnation = master->node->incarnation;
	key.master_version = master->version;
	return key;
}

static bool keys_equal(const struct comparison_key *a, const struct comparison_key *b)
{
	return a->master == b->master && a->master_incarnation == b->master_incarnation &&
	       a->master_version == b->master_version && a->own_incarnation == b->own_incarnation &&
	       a->own_version == b->own_version;
}

static struct audited *compared(struct audit *audit, const struct node *node)
{
	struct audited *audited = &audit->nodes[node->id];
	const struct audited *master = master_of(audit);
	struct comparison_key key = key_of(audited, master);

	if (audited->users == NULL || !keys_equal(&key, &audited->key)) {
		audited->key = key;
		compare(audited, master);
	}
	return audited;
}

struct snapshot_users *audit_users(struct audit *audit, const struct node *node)
{
	return snapshot_users_acquire(compared(audit, node)->users);
}

void audit_show(struct audit *audit, const struct node *node, struct topology_node_view *view)
{
	const struct audited *audited = compared(audit, node);

	if (!audited->answered)
		return;
	view->users_compared = audited->users->known;
	if (!audited->users->known)
		return;
	view->differing_users = (int64_t)audited->differing;
	view->differing_name_count = audited->name_count;
	memcpy(view->differing_names, audited->names, sizeof(view->differing_names));
}

/* ---- life ---- */

void audit_welcome(struct audit *audit, struct node *node)
{
	audit->nodes[node->id] = (struct audited){.audit = audit, .node = node};
}

void audit_forget(struct audit *audit, const struct node *node)
{
	struct audited *audited = &audit->nodes[node->id];

	forget_comparison(audited);
	rules_free(&audited->rules);
	audited->node = NULL;
}

struct audit *audit_create(struct topology *topology)
{
	struct audit *audit = memory_zeroed(1, sizeof(*audit));

	audit->topology = topology;
	audit->changes = FIRST_CHANGE;
	audit->nodes = memory_zeroed(TOPOLOGY_NODES_MAX, sizeof(*audit->nodes));
	return audit;
}

void audit_destroy(struct audit **audit)
{
	struct audit *gone = *audit;

	*audit = NULL;
	if (gone == NULL)
		return;
	free(gone->nodes);
	free(gone);
}
