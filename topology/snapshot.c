/* Life and comparison of snapshots. What stands in one is decided elsewhere;
 * here is only the rule that makes them safe to share: nothing but the
 * reference counts and the vitals changes after publication, and the last
 * reference, on whatever thread, frees. */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "memory.h"

struct node_vitals *node_vitals_create(void)
{
	struct node_vitals *vitals = memory_zeroed(1, sizeof(*vitals));

	atomic_init(&vitals->references, 1);
	return vitals;
}

struct node_vitals *node_vitals_acquire(struct node_vitals *vitals)
{
	atomic_fetch_add_explicit(&vitals->references, 1, memory_order_relaxed);
	return vitals;
}

void node_vitals_release(struct node_vitals **vitals)
{
	struct node_vitals *gone = *vitals;

	*vitals = NULL;
	if (gone != NULL && atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) == 1)
		free(gone);
}

struct epoch_floor *epoch_floor_create(void)
{
	struct epoch_floor *floor = memory_zeroed(1, sizeof(*floor));

	atomic_init(&floor->references, 1);
	return floor;
}

struct epoch_floor *epoch_floor_acquire(struct epoch_floor *floor)
{
	atomic_fetch_add_explicit(&floor->references, 1, memory_order_relaxed);
	return floor;
}

void epoch_floor_release(struct epoch_floor **floor)
{
	struct epoch_floor *gone = *floor;

	*floor = NULL;
	if (gone != NULL && atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) == 1)
		free(gone);
}

void epoch_floor_raise(struct epoch_floor *floor, uint64_t offset)
{
	uint64_t seen = atomic_load_explicit(&floor->offset, memory_order_relaxed);

	while (seen < offset && !atomic_compare_exchange_weak_explicit(&floor->offset, &seen, offset,
								       memory_order_release, memory_order_relaxed))
		;
}

void epoch_floor_unmeasured(struct epoch_floor *floor, int64_t now_ns)
{
	int64_t seen = atomic_load_explicit(&floor->unmeasured_ns, memory_order_relaxed);

	while (seen < now_ns && !atomic_compare_exchange_weak_explicit(&floor->unmeasured_ns, &seen, now_ns,
								       memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&floor->unmeasured, 1, memory_order_release);
}

/* Who is counted after the first look keeps the count from being taken away. */
void epoch_floor_measured(struct epoch_floor *floor, int64_t sent_ns, uint64_t offset)
{
	uint64_t count = atomic_load_explicit(&floor->unmeasured, memory_order_acquire);

	if (count == 0 || atomic_load_explicit(&floor->unmeasured_ns, memory_order_relaxed) >= sent_ns)
		return;
	epoch_floor_raise(floor, offset);
	atomic_compare_exchange_strong_explicit(&floor->unmeasured, &count, 0, memory_order_acq_rel, memory_order_relaxed);
}

/* ---- users ---- */

struct snapshot_users *snapshot_users_create(size_t room)
{
	struct snapshot_users *users = memory_zeroed(1, sizeof(*users) + room * sizeof(users->names[0]));

	atomic_init(&users->references, 1);
	return users;
}

void snapshot_users_add(struct snapshot_users *users, const char *name, size_t length)
{
	users->names[users->count++] = XXH3_64bits(name, length);
}

static int compare_names(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

void snapshot_users_seal(struct snapshot_users *users)
{
	qsort(users->names, users->count, sizeof(users->names[0]), compare_names);
}

bool snapshot_users_has(const struct snapshot_users *users, const char *name, size_t length)
{
	uint64_t hash = XXH3_64bits(name, length);

	if (users == NULL)
		return false;
	if (!users->known)
		return length == strlen("default") && memcmp(name, "default", length) == 0;
	return bsearch(&hash, users->names, users->count, sizeof(users->names[0]), compare_names) != NULL;
}

struct snapshot_users *snapshot_users_acquire(struct snapshot_users *users)
{
	atomic_fetch_add_explicit(&users->references, 1, memory_order_relaxed);
	return users;
}

void snapshot_users_release(struct snapshot_users **users)
{
	struct snapshot_users *gone = *users;

	*users = NULL;
	if (gone != NULL && atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) == 1)
		free(gone);
}

static bool users_equal(const struct snapshot_users *a, const struct snapshot_users *b)
{
	if (a == b || a == NULL || b == NULL)
		return a == b;
	return a->covers == b->covers && a->known == b->known && a->count == b->count &&
	       memcmp(a->names, b->names, a->count * sizeof(a->names[0])) == 0;
}

/* ---- snapshots ---- */

struct snapshot *snapshot_create(size_t node_count)
{
	struct snapshot *snapshot = memory_zeroed(1, sizeof(*snapshot));

	atomic_init(&snapshot->references, 1);
	snapshot->master = -1;
	snapshot->node_count = node_count;
	snapshot->nodes = memory_zeroed(node_count, sizeof(*snapshot->nodes));
	return snapshot;
}

struct snapshot *snapshot_acquire(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
	return snapshot;
}

static void snapshot_free(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->node_count; i++) {
		free(snapshot->nodes[i].name);
		free(snapshot->nodes[i].address);
		free(snapshot->nodes[i].master_host);
		node_vitals_release(&snapshot->nodes[i].vitals);
		snapshot_users_release(&snapshot->nodes[i].users);
	}
	epoch_floor_release(&snapshot->floor);
	free(snapshot->nodes);
	free(snapshot->no_master_reason);
	free(snapshot);
}

void snapshot_release(struct snapshot **snapshot)
{
	struct snapshot *gone = *snapshot;

	*snapshot = NULL;
	if (gone != NULL && atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) == 1)
		snapshot_free(gone);
}

static bool texts_equal(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool nodes_equal(const struct snapshot_node *a, const struct snapshot_node *b)
{
	return a->id == b->id && a->incarnation == b->incarnation && a->up == b->up && a->readable == b->readable &&
	       a->sound == b->sound && a->leaving == b->leaving && a->readable_without_master == b->readable_without_master && a->weight == b->weight &&
	       a->vitals == b->vitals && users_equal(a->users, b->users) && texts_equal(a->name, b->name) && texts_equal(a->address, b->address) &&
	       texts_equal(a->master_host, b->master_host) && a->master_port == b->master_port &&
	       strcmp(a->run_id, b->run_id) == 0 && a->socket_length == b->socket_length &&
	       memcmp(&a->socket_address, &b->socket_address, a->socket_length) == 0;
}

bool snapshot_equal(const struct snapshot *a, const struct snapshot *b)
{
	if (a->epoch != b->epoch || a->master != b->master || a->held != b->held || a->evicts_by_use != b->evicts_by_use || a->node_count != b->node_count ||
	    !texts_equal(a->no_master_reason, b->no_master_reason) || strcmp(a->redis_version, b->redis_version) != 0 ||
	    strcmp(a->server_name, b->server_name) != 0 || strcmp(a->server_version, b->server_version) != 0)
		return false;
	for (size_t i = 0; i < a->node_count; i++)
		if (!nodes_equal(&a->nodes[i], &b->nodes[i]))
			return false;
	return true;
}
