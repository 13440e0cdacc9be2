/* A server counts the full and the partial resyncs that it served; whom, it does
 * not say. It was a replica whose link was cut before: once as many of them have
 * answered a check as there were resyncs, they are named. Where it cannot be told,
 * the server that served is.
 *
 * Invariant: who was whole again before the server was asked is in what it counted;
 * when all of that is told, his cut is over. */
#include "clock.h"
#include "group.h"

enum {
	PATIENCE_MS = 3000,      /* until it is told without a name */
	PLAUSIBLE_MAX = 1000000, /* between two checks */
};

struct resync_words {
	enum event_kind event;
	const char *word;
	const char *meaning;
};

static const struct resync_words words[RESYNC_KINDS] = {
	[RESYNC_FULL] = {EVENT_full_resync, "full", "it fetches all of the data"},
	[RESYNC_PARTIAL] = {EVENT_partial_resync, "partial", "it goes on where it was cut off"},
};

/* ---- who may it have been ---- */

static bool link_is_whole(const struct node *node)
{
	return node_is_up(node) && node->known && node->info.role == SERVER_ROLE_SLAVE && node->info.link_up == 1 &&
	       node->info.sync_in_progress == 0;
}

static bool may_have_been_served(const struct topology *topology, const struct node *node, const struct node *by)
{
	const struct standing *standing = &topology->standings[node->id];

	return node != by && node->known && node->info.role == SERVER_ROLE_SLAVE && standing->follows == (int)by->index &&
	       standing->was_cut && !standing->cut_explained;
}

static int64_t count_candidates(const struct topology *topology, const struct node *by)
{
	int64_t count = 0;

	for (size_t i = 0; i < topology->node_count; i++)
		count += may_have_been_served(topology, topology->nodes[i], by);
	return count;
}

void resync_watch(struct topology *topology, const struct node *node)
{
	struct standing *standing = &topology->standings[node->id];

	if (!link_is_whole(node)) {
		standing->was_cut = true;
		standing->whole_ns = 0;
	} else if (standing->whole_ns == 0) {
		standing->whole_ns = clock_now_ns();
		standing->was_cut = standing->was_cut && !standing->cut_explained;
		standing->cut_explained = false;
	}
}

static void forget_cuts(struct topology *topology, const struct node *by)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		struct standing *standing = &topology->standings[topology->nodes[i]->id];

		if (standing->follows == (int)by->index && standing->whole_ns != 0 && standing->whole_ns < by->info_sent_ns)
			standing->was_cut = false;
	}
}

/* ---- telling ---- */

/* A cut that has been explained explains nothing more: it is over, or will be when
 * the link is whole. */
static void explain_cut(struct standing *standing)
{
	if (standing->whole_ns != 0)
		standing->was_cut = false;
	else
		standing->cut_explained = true;
}

static void name_replicas(struct topology *topology, const struct node *by, enum resync_kind kind)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct node *node = topology->nodes[i];

		if (!may_have_been_served(topology, node, by))
			continue;
		explain_cut(&topology->standings[node->id]);
		journal_note(topology->journal, words[kind].event, node->config->name, "%s resync from %s: %s",
			     words[kind].word, by->config->name, words[kind].meaning);
	}
}

static void name_server(struct topology *topology, const struct node *by, enum resync_kind kind, int64_t count)
{
	journal_note(topology->journal, words[kind].event, by->config->name,
		     "served %lld %s resync%s, it does not say to whom", (long long)count, words[kind].word,
		     count == 1 ? "" : "s");
}

static bool has_untold(const struct standing *standing)
{
	return standing->untold[RESYNC_FULL] > 0 || standing->untold[RESYNC_PARTIAL] > 0;
}

/* Replicas are named only while all that is untold is of one kind. */
static void tell(struct topology *topology, const struct node *by)
{
	struct standing *standing = &topology->standings[by->id];
	int64_t candidates = count_candidates(topology, by);
	bool late = clock_now_ns() - standing->untold_ns > PATIENCE_MS * NS_PER_MS;

	for (int kind = 0; kind < RESYNC_KINDS; kind++) {
		int64_t count = standing->untold[kind];
		bool alone = standing->untold[kind == RESYNC_FULL ? RESYNC_PARTIAL : RESYNC_FULL] == 0;

		if (count == 0 || (!late && !(alone && count == candidates)))
			continue;
		if (alone && count == candidates)
			name_replicas(topology, by, (enum resync_kind)kind);
		else
			name_server(topology, by, (enum resync_kind)kind, count);
		standing->untold[kind] = 0;
	}
}

/* What a server says of itself need not be true. */
static int64_t plausible(int64_t count)
{
	return count < 0 ? 0 : count < PLAUSIBLE_MAX ? count : PLAUSIBLE_MAX;
}

static void take_down(struct standing *standing, const struct node *node)
{
	if (!has_untold(standing))
		standing->untold_ns = clock_now_ns();
	standing->untold[RESYNC_FULL] += plausible(node->new_resyncs_full);
	standing->untold[RESYNC_PARTIAL] += plausible(node->new_resyncs_partial);
}

void resync_report(struct topology *topology, const struct node *node)
{
	struct standing *standing = &topology->standings[node->id];

	take_down(standing, node);
	for (size_t i = 0; i < topology->node_count; i++)
		if (has_untold(&topology->standings[topology->nodes[i]->id]))
			tell(topology, topology->nodes[i]);
	if (!has_untold(standing))
		forget_cuts(topology, node);
}
