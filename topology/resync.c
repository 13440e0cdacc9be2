/* A server counts the full and the partial resyncs that it served; whom, it does
 * not say. A replica whose link was seen cut a moment ago is taken to be the one,
 * if that explains the number; else the server that served is named. */
#include "clock.h"
#include "group.h"

enum {
	MOMENT_MS = 3000,        /* so long ago a link may have been cut */
	MOMENT_INTERVALS = 5,    /* or so many health checks, where they are seldom */
};

/* How a resync is told. */
struct resync_kind {
	enum event_kind event;
	const char *word;
	const char *meaning;
};

static bool link_is_whole(const struct node *node)
{
	return node_is_up(node) && node->known && node->info.role == SERVER_ROLE_SLAVE && node->info.link_up == 1 &&
	       node->info.sync_in_progress == 0;
}

static int64_t moment_ns(const struct topology *topology)
{
	int64_t ms = MOMENT_INTERVALS * topology->config.interval_ms;

	return (ms > MOMENT_MS ? ms : MOMENT_MS) * NS_PER_MS;
}

static bool may_have_been_served(const struct topology *topology, const struct node *node, const struct node *by)
{
	const struct standing *standing = &topology->standings[node->id];

	return node != by && standing->follows == (int)by->index && standing->cut_ns != 0 && !standing->cut_explained &&
	       clock_now_ns() - standing->cut_ns < moment_ns(topology);
}

static int64_t count_candidates(const struct topology *topology, const struct node *by)
{
	int64_t count = 0;

	for (size_t i = 0; i < topology->node_count; i++)
		count += may_have_been_served(topology, topology->nodes[i], by);
	return count;
}

/* A cut that has been explained explains nothing more. */
static void name_replicas(struct topology *topology, const struct node *by, const struct resync_kind *kind)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct node *node = topology->nodes[i];

		if (!may_have_been_served(topology, node, by))
			continue;
		topology->standings[node->id].cut_explained = true;
		journal_note(topology->journal, kind->event, node->config->name, "%s resync from %s: %s", kind->word,
			     by->config->name, kind->meaning);
	}
}

static void report(struct topology *topology, const struct node *by, const struct resync_kind *kind, int64_t count)
{
	if (count <= 0)
		return;
	if (count_candidates(topology, by) == count)
		name_replicas(topology, by, kind);
	else
		journal_note(topology->journal, kind->event, by->config->name,
			     "served %lld %s resync%s, it does not say to whom", (long long)count, kind->word,
			     count == 1 ? "" : "s");
}

void resync_watch(struct topology *topology, const struct node *node)
{
	struct standing *standing = &topology->standings[node->id];

	if (!link_is_whole(node)) {
		standing->cut_ns = clock_now_ns();
	} else if (standing->cut_explained) {
		standing->cut_ns = 0;
		standing->cut_explained = false;
	}
}

void resync_report(struct topology *topology, const struct node *node)
{
	static const struct resync_kind full = {EVENT_full_resync, "full", "it fetches all of the data"};
	static const struct resync_kind partial = {EVENT_partial_resync, "partial", "it goes on where it was cut off"};

	report(topology, node, &full, node->new_resyncs_full);
	report(topology, node, &partial, node->new_resyncs_partial);
}
