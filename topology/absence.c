/* A replica is promoted instead of a master that is silent: for two seconds at least
 * where its link is up (takeover.c), so for most of that weir has missed it as well. */
#include "absence.h"

#include <string.h>

#include "clock.h"
#include "group.h"

enum { MISSED_MS = 1500 }; /* a master that is silent for so long is missed, if not down */

static struct node *find_master(const struct topology *topology)
{
	const struct epoch *epoch = &topology->epoch;

	if (epoch->number == 0 || epoch->master < 0 || epoch->master >= (int)topology->node_count)
		return NULL;
	return topology->nodes[epoch->master];
}

static void begin(struct absence *absence, const struct topology *topology)
{
	*absence = (struct absence){ .epoch = topology->epoch.number, .heard_ns = clock_now_ns() };
	memcpy(absence->run_id, topology->epoch.run_id, sizeof(absence->run_id));
}

static bool is_asked_since(const struct topology *topology, int64_t since_ns)
{
	for (size_t i = 0; i < topology->node_count; i++)
		if (node_is_up(topology->nodes[i]) && topology->nodes[i]->info_sent_ns <= since_ns)
			return false;
	return true;
}

static void ask_all(const struct topology *topology)
{
	for (size_t i = 0; i < topology->node_count; i++)
		node_ask_info(topology->nodes[i]);
}

/* Its silence, as long as it lasts and when it ends. */
static void note_silence(struct absence *absence, const struct topology *topology, const struct node *master)
{
	bool has_answered = master->role_answered_ns > absence->heard_ns;
	int64_t now_ns = clock_now_ns();

	if (now_ns - absence->heard_ns >= MISSED_MS * NS_PER_MS) {
		absence->missed_ns = now_ns;
		if (has_answered)
			ask_all(topology);
	}
	if (has_answered)
		absence->heard_ns = master->role_answered_ns;
}

static void note_loss(struct absence *absence, const struct topology *topology, const struct node *master)
{
	bool another_run = master->known && strcmp(absence->run_id, master->info.run_id) != 0;

	if (another_run)
		memcpy(absence->run_id, master->info.run_id, sizeof(absence->run_id));
	if (another_run || !node_is_up(master)) {
		absence->missed_ns = clock_now_ns();
		absence->back_ns = 0;
		absence->away = true;
	}
	if (!absence->away || !node_is_up(master))
		return;
	if (absence->back_ns == 0) {
		absence->back_ns = clock_now_ns();
		ask_all(topology);
	}
	absence->away = !is_asked_since(topology, absence->back_ns);
}

void absence_watch(struct topology *topology)
{
	struct absence *absence = &topology->absence;
	const struct node *master = find_master(topology);

	if (master == NULL)
		return;
	if (absence->epoch != topology->epoch.number)
		begin(absence, topology);
	note_silence(absence, topology, master);
	note_loss(absence, topology, master);
}

/* In this run it has followed the master of this epoch. */
static bool has_followed(const struct topology *topology, const struct node *node)
{
	const struct standing *standing = &topology->standings[node->id];

	return strcmp(standing->seen_run_id, node->info.run_id) == 0 &&
	       strcmp(standing->seen_master_run_id, topology->epoch.run_id) == 0;
}

void absence_info(struct topology *topology, const struct node *node)
{
	struct standing *standing = &topology->standings[node->id];

	absence_watch(topology);
	if (node->info.role == SERVER_ROLE_SLAVE) {
		standing->slave_ns = node->info_sent_ns;
		standing->replaces = false;
	} else if (standing->slave_ns != 0) {
		standing->replaces = has_followed(topology, node) && topology->absence.missed_ns > standing->slave_ns;
		standing->slave_ns = 0;
	}
}

bool absence_lasts(const struct topology *topology)
{
	return topology->absence.epoch == topology->epoch.number && topology->absence.away;
}
