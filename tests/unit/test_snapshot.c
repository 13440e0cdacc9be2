/* References (the sanitizers watch the frees, several threads at once), the
 * comparison, and the proof about data connections. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../topology/snapshot.h"

static struct snapshot *picture(struct node_vitals *vitals)
{
	struct snapshot *snapshot = snapshot_create(2);

	for (size_t i = 0; i < 2; i++) {
		struct snapshot_node *node = &snapshot->nodes[i];

		node->id = (uint32_t)i;
		node->incarnation = 1;
		node->name = strdup("name");
		node->address = strdup("127.0.0.1:6379");
		node->socket_length = sizeof(struct sockaddr);
		node->weight = 1;
		node->vitals = node_vitals_acquire(vitals);
	}
	snapshot->epoch = 1;
	snapshot->master = 0;
	return snapshot;
}

enum { THREADS = 4, TURNS = 20000 };

static void *share(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		struct snapshot *mine = snapshot_acquire(arg);

		assert_int_equal(mine->node_count, 2);
		snapshot_release(&mine);
		assert_null(mine);
	}
	return NULL;
}

static void last_reference_frees(void **state)
{
	struct node_vitals *vitals = node_vitals_create();
	struct snapshot *snapshot = picture(vitals);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, share, snapshot), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&snapshot->references), 1);
	assert_int_equal(atomic_load(&vitals->references), 3);
	snapshot_release(&snapshot);
	assert_int_equal(atomic_load(&vitals->references), 1);
	node_vitals_release(&vitals);
	snapshot_release(&snapshot); /* NULL is nothing */
	node_vitals_release(&vitals);
}

static struct node_vitals *vitals_of_test;

static void assert_differs_after(void (*change)(struct snapshot *snapshot))
{
	struct snapshot *a = picture(vitals_of_test);
	struct snapshot *b = picture(vitals_of_test);

	assert_true(snapshot_equal(a, b));
	change(b);
	assert_false(snapshot_equal(a, b));
	assert_false(snapshot_equal(b, a));
	snapshot_release(&a);
	snapshot_release(&b);
}

static void change_epoch(struct snapshot *s) { s->epoch++; }
static void change_master(struct snapshot *s) { s->master = 1; }
static void change_reason(struct snapshot *s) { s->no_master_reason = strdup("gone"); }
static void change_version(struct snapshot *s) { strcpy(s->redis_version, "7.2.4"); }
static void change_server(struct snapshot *s) { strcpy(s->server_name, "valkey"); }
static void change_server_version(struct snapshot *s) { strcpy(s->server_version, "8.0.1"); }
static void change_incarnation(struct snapshot *s) { s->nodes[1].incarnation++; }
static struct snapshot_users *users_of_two(bool known, uint64_t covers)
{
	struct snapshot_users *users = snapshot_users_create(2);

	snapshot_users_add(users, "alice", 5);
	snapshot_users_add(users, "default", 7);
	snapshot_users_seal(users);
	users->known = known;
	users->covers = covers;
	return users;
}

static void change_users(struct snapshot *s) { s->nodes[1].users = users_of_two(true, 1); }

static void users_are_found_by_name(void **state)
{
	struct snapshot_users *users = users_of_two(true, 1);

	(void)state;
	assert_true(snapshot_users_has(users, "alice", 5));
	assert_true(snapshot_users_has(users, "default", 7));
	assert_false(snapshot_users_has(users, "bob", 3));
	assert_false(snapshot_users_has(users, "alic", 4));
	assert_false(snapshot_users_has(users, "", 0));
	users->known = false; /* then only the one who is there without any ACL */
	assert_true(snapshot_users_has(users, "default", 7));
	assert_false(snapshot_users_has(users, "alice", 5));
	assert_false(snapshot_users_has(users, "defaults", 8));
	snapshot_users_release(&users);
	assert_false(snapshot_users_has(users, "default", 7));
	snapshot_users_release(&users); /* NULL is nothing */
}

static void pictures_differ_by_what_their_users_may_do(void **state)
{
	struct node_vitals *vitals = node_vitals_create();
	struct snapshot *a = picture(vitals), *b = picture(vitals);

	(void)state;
	a->nodes[0].users = users_of_two(true, 1);
	b->nodes[0].users = users_of_two(true, 1);
	assert_true(snapshot_equal(a, b));
	b->nodes[0].users->covers = 2;
	assert_false(snapshot_equal(a, b));
	b->nodes[0].users->covers = 1;
	b->nodes[0].users->known = false;
	assert_false(snapshot_equal(a, b));
	b->nodes[0].users->known = true;
	b->nodes[0].users->count = 1;
	assert_false(snapshot_equal(a, b));
	snapshot_release(&a);
	snapshot_release(&b);
	node_vitals_release(&vitals);
}

static void change_up(struct snapshot *s) { s->nodes[1].up = true; }
static void change_readable(struct snapshot *s) { s->nodes[1].readable = true; }
static void change_sound(struct snapshot *s) { s->nodes[1].sound = true; }
static void change_without(struct snapshot *s) { s->nodes[1].readable_without_master = true; }
static void change_weight(struct snapshot *s) { s->nodes[1].weight = 2; }
static void change_run_id(struct snapshot *s) { s->nodes[1].run_id[0] = 'x'; }
static void change_socket(struct snapshot *s) { s->nodes[1].socket_address.ss_family = 2; }

static void change_vitals(struct snapshot *s)
{
	node_vitals_release(&s->nodes[1].vitals);
	s->nodes[1].vitals = node_vitals_create();
}

static void router_visible_changes_are_told(void **state)
{
	(void)state;
	vitals_of_test = node_vitals_create();
	assert_differs_after(change_epoch);
	assert_differs_after(change_master);
	assert_differs_after(change_reason);
	assert_differs_after(change_version);
	assert_differs_after(change_server);
	assert_differs_after(change_server_version);
	assert_differs_after(change_incarnation);
	assert_differs_after(change_up);
	assert_differs_after(change_readable);
	assert_differs_after(change_sound);
	assert_differs_after(change_users);
	assert_differs_after(change_without);
	assert_differs_after(change_weight);
	assert_differs_after(change_run_id);
	assert_differs_after(change_socket);
	assert_differs_after(change_vitals);
	node_vitals_release(&vitals_of_test);
}

static void generation_and_vitals_are_not_compared(void **state)
{
	struct node_vitals *vitals = node_vitals_create();
	struct snapshot *a = picture(vitals);
	struct snapshot *b = picture(vitals);

	(void)state;
	b->generation = 7;
	atomic_store(&vitals->offset, 99);
	assert_true(snapshot_equal(a, b));
	snapshot_release(&a);
	snapshot_release(&b);
	node_vitals_release(&vitals);
}

/* control opened < data connect < data established < probe sent */
static void proof_needs_the_whole_order(void **state)
{
	struct node_vitals *vitals = node_vitals_create();

	(void)state;
	assert_false(node_vitals_prove(vitals, 20, 30));
	atomic_store(&vitals->control_since_ns, 10);
	assert_false(node_vitals_prove(vitals, 20, 30));
	atomic_store(&vitals->confirmed_ns, 40);
	assert_true(node_vitals_prove(vitals, 20, 30));
	assert_false(node_vitals_prove(vitals, 20, 40)); /* probed before it was established */
	assert_false(node_vitals_prove(vitals, 10, 30)); /* began before the control connection */
	atomic_store(&vitals->confirmed_ns, 0);          /* the control connection is lost */
	assert_false(node_vitals_prove(vitals, 20, 30));
	node_vitals_release(&vitals);
}

static void what_was_told_without_an_offset_is_covered_later(void **state)
{
	struct epoch_floor *floor = epoch_floor_create();

	(void)state;
	epoch_floor_measured(floor, 50, 900); /* nobody waits for it */
	assert_int_equal(atomic_load(&floor->offset), 0);
	epoch_floor_unmeasured(floor, 100);
	epoch_floor_unmeasured(floor, 90);
	assert_int_equal(atomic_load(&floor->unmeasured), 2);
	epoch_floor_measured(floor, 100, 1000); /* perhaps asked for before the last one was told */
	assert_int_equal(atomic_load(&floor->unmeasured), 2);
	assert_int_equal(atomic_load(&floor->offset), 0);
	epoch_floor_measured(floor, 101, 1000);
	assert_int_equal(atomic_load(&floor->unmeasured), 0);
	assert_int_equal(atomic_load(&floor->offset), 1000);
	epoch_floor_raise(floor, 999);
	assert_int_equal(atomic_load(&floor->offset), 1000);
	epoch_floor_release(&floor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_found_by_name),
		cmocka_unit_test(pictures_differ_by_what_their_users_may_do),
		cmocka_unit_test(last_reference_frees),
		cmocka_unit_test(router_visible_changes_are_told),
		cmocka_unit_test(generation_and_vitals_are_not_compared),
		cmocka_unit_test(proof_needs_the_whole_order),
		cmocka_unit_test(what_was_told_without_an_offset_is_covered_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
