/* The small parts that the data path is built of: lists, slabs, mailboxes,
 * identities, counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "../../proxy/client/identity.h"
#include "../../proxy/list.h"
#include "../../proxy/mailbox.h"
#include "../../proxy/slab.h"
#include "../../proxy/measures/stats.h"

/* ---- lists ---- */

struct item {
	int value;
	struct list_link link;
};

static int take_value(struct list_link *head)
{
	struct list_link *link = list_take(head);

	return link ? CONTAINER_OF(link, struct item, link)->value : -1;
}

static void lists_keep_order_and_forget_twice(void **state)
{
	struct list_link head;
	struct item items[3] = { { .value = 0 }, { .value = 1 }, { .value = 2 } };

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	for (int i = 0; i < 3; i++) {
		list_init(&items[i].link);
		list_mark(&head, &items[i].link);
		list_mark(&head, &items[i].link); /* it is in there already */
	}
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	assert_false(list_is_linked(&items[1].link));
	assert_int_equal(take_value(&head), 0);
	assert_int_equal(take_value(&head), 2);
	assert_int_equal(take_value(&head), -1);
}

static void lists_are_moved(void **state)
{
	struct list_link from, to;
	struct item items[2] = { { .value = 1 }, { .value = 2 } };

	(void)state;
	list_init(&from);
	list_move(&to, &from);
	assert_true(list_is_empty(&to));
	for (int i = 0; i < 2; i++) {
		list_init(&items[i].link);
		list_append(&from, &items[i].link);
	}
	list_move(&to, &from);
	assert_true(list_is_empty(&from));
	list_remove(&items[0].link);
	assert_int_equal(take_value(&to), 2);
	assert_int_equal(take_value(&to), -1);
}

static void a_link_is_put_from_one_list_into_another(void **state)
{
	struct list_link from, to;
	struct item items[2] = { { .value = 1 }, { .value = 2 } };

	(void)state;
	list_init(&from);
	list_init(&to);
	for (int i = 0; i < 2; i++) {
		list_init(&items[i].link);
		list_put(&from, &items[i].link);
	}
	list_put(&to, &items[0].link);
	list_put(&to, &items[0].link);
	assert_int_equal(take_value(&from), 2);
	assert_int_equal(take_value(&from), -1);
	assert_int_equal(take_value(&to), 1);
	assert_int_equal(take_value(&to), -1);
}

static void a_walk_survives_removing_its_own_element(void **state)
{
	struct list_link head, *link, *following;
	struct item items[4] = { { .value = 0 }, { .value = 1 }, { .value = 2 }, { .value = 3 } };
	int seen = 0;

	(void)state;
	list_init(&head);
	for (int i = 0; i < 4; i++) {
		list_init(&items[i].link);
		list_append(&head, &items[i].link);
	}
	LIST_EACH(&head, link, following) {
		seen++;
		list_remove(link);
	}
	assert_int_equal(seen, 4);
	assert_true(list_is_empty(&head));
}

/* ---- slabs ---- */

static void slabs_hand_out_the_warm_one_and_let_go_of_the_rest(void **state)
{
	struct slab slab;
	void *a, *b, *c;

	(void)state;
	slab_init(&slab, 1, 2); /* smaller than a pointer: rounded up */
	a = slab_get(&slab);
	b = slab_get(&slab);
	c = slab_get(&slab);
	slab_put(&slab, a);
	slab_put(&slab, b);
	slab_put(&slab, c); /* beyond `keep`: freed */
	assert_int_equal(slab.spare, 2);
	assert_ptr_equal(slab_get(&slab), b);
	assert_ptr_equal(slab_get(&slab), a);
	assert_int_equal(slab.spare, 0);
	free(a);
	slab_put(&slab, b);
	slab_fini(&slab);
	assert_int_equal(slab.spare, 0);
}

/* ---- mailboxes ---- */

enum { SENDERS = 4, MAILS = 2000 };

struct receiver {
	struct mailbox box;
	struct ev_loop *loop;
	int next[SENDERS]; /* number expected from each */
	int total;
};

struct numbered {
	struct mail mail;
	int sender;
	int number;
};

struct sender {
	struct receiver *receiver;
	int index;
};

static void open_numbered(void *receiver_, struct mail *mail)
{
	struct receiver *receiver = receiver_;
	struct numbered *letter = CONTAINER_OF(mail, struct numbered, mail);

	assert_int_equal(letter->number, receiver->next[letter->sender]);
	receiver->next[letter->sender]++;
	free(letter);
	if (++receiver->total == SENDERS * MAILS)
		ev_break(receiver->loop, EVBREAK_ALL);
}

static void *send_mails(void *argument)
{
	struct sender *sender = argument;

	for (int i = 0; i < MAILS; i++) {
		struct numbered *letter = calloc(1, sizeof(*letter));

		letter->mail.open = open_numbered;
		letter->sender = sender->index;
		letter->number = i;
		mailbox_post(&sender->receiver->box, &letter->mail);
	}
	return NULL;
}

static void mails_arrive_all_and_in_order_of_their_sender(void **state)
{
	struct receiver receiver = { .loop = ev_loop_new(EVFLAG_NOENV) };
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];

	(void)state;
	mailbox_init(&receiver.box, receiver.loop, &receiver);
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ &receiver, i };
		assert_int_equal(pthread_create(&threads[i], NULL, send_mails, &senders[i]), 0);
	}
	ev_run(receiver.loop, 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(receiver.total, SENDERS * MAILS);
	mailbox_fini(&receiver.box);
	ev_loop_destroy(receiver.loop);
}

static void a_closed_mailbox_opens_at_once(void **state)
{
	struct receiver receiver = { .loop = ev_loop_new(EVFLAG_NOENV) };
	struct numbered *early = calloc(1, sizeof(*early)), *late = calloc(1, sizeof(*late));

	(void)state;
	early->mail.open = late->mail.open = open_numbered;
	late->number = 1;
	mailbox_init(&receiver.box, receiver.loop, &receiver);
	mailbox_post(&receiver.box, &early->mail);
	assert_int_equal(receiver.total, 0);
	mailbox_fini(&receiver.box);
	assert_int_equal(receiver.total, 1);
	mailbox_post(&receiver.box, &late->mail);
	assert_int_equal(receiver.total, 2);
	ev_loop_destroy(receiver.loop);
}

/* ---- identities ---- */

static void identities_are_shared_by_equal_credentials_only(void **state)
{
	struct identities identities;
	struct slice nobody = { NULL, 0 };
	struct identity *a, *b, *c, *d;

	(void)state;
	identities_init(&identities);
	a = identity_get(&identities, slice_of("bob"), slice_of("pw"));
	b = identity_get(&identities, slice_of("bob"), slice_of("pw"));
	c = identity_get(&identities, slice_of("bob"), slice_of("pwx"));
	d = identity_get(&identities, nobody, slice_of("pw"));
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_ptr_not_equal(a, d);
	assert_ptr_not_equal(a, identities.nobody);
	assert_true(slice_equal(d->user, slice_of("default")));
	assert_int_equal(a->state, IDENTITY_UNKNOWN);
	identity_release(&a);
	assert_null(a);
	identity_release(&b);
	identity_release(&c);
	identity_release(&d);
	identities_fini(&identities);
}

static void a_renewed_nobody_is_judged_anew(void **state)
{
	struct identities identities;
	struct identity *old;

	(void)state;
	identities_init(&identities);
	old = identity_acquire(identities.nobody);
	old->state = IDENTITY_ACCEPTED;
	identities_renew_nobody(&identities);
	assert_ptr_not_equal(identities.nobody, old);
	assert_int_equal(identities.nobody->state, IDENTITY_UNKNOWN);
	assert_int_equal(old->state, IDENTITY_ACCEPTED);
	identity_release(&old);
	identities_fini(&identities);
}

static struct snapshot_users *users_with(const char *name, uint64_t covers)
{
	struct snapshot_users *users = snapshot_users_create(1);

	snapshot_users_add(users, name, strlen(name));
	snapshot_users_seal(users);
	users->known = true;
	users->covers = covers;
	return users;
}

/* A node serves a user whose rules there are the master's, as of the last change. */
static void nodes_with_other_rules_are_foreign(void **state)
{
	struct snapshot_node nodes[] = { { .id = 0 }, { .id = 1 }, { .id = 5 }, { .id = 64 } };
	struct snapshot snapshot = { .generation = 1, .node_count = 4, .nodes = nodes };
	struct identities identities;
	struct identity *bob;

	(void)state;
	nodes[0].users = users_with("bob", 1);
	nodes[1].users = users_with("bob", 2);
	nodes[2].users = users_with("carl", 2);
	identities_init(&identities);
	bob = identity_get(&identities, slice_of("bob"), slice_of("pw"));
	assert_int_equal(identity_foreign_nodes(bob, &snapshot, 1), 1ULL << 5);
	assert_int_equal(identity_foreign_nodes(bob, &snapshot, 2), 1ULL << 5 | 1ULL << 0);
	assert_int_equal(identity_foreign_nodes(bob, &snapshot, 3), 1ULL << 5 | 1ULL << 1 | 1ULL << 0);
	assert_int_equal(identity_foreign_nodes(identities.nobody, &snapshot, 1), 1ULL << 5 | 1ULL << 1 | 1ULL << 0);
	snapshot_users_release(&nodes[2].users); /* unknown is foreign; a new picture is looked at */
	nodes[2].users = users_with("bob", 3);
	snapshot.generation = 2;
	assert_int_equal(identity_foreign_nodes(bob, &snapshot, 3), 1ULL << 1 | 1ULL << 0);
	for (size_t i = 0; i < 4; i++)
		snapshot_users_release(&nodes[i].users);
	identity_release(&bob);
	identities_fini(&identities);
}

/* ---- counters ---- */

static void counters_add_up_over_workers(void **state)
{
	static struct stats one, two;
	const struct stats *all[] = { &one, &two };

	(void)state;
	stats_add(&one, STAT_writes, 3);
	stats_add(&two, STAT_writes, 4);
	stats_add(&two, STAT_clients_connected, -1);
	assert_int_equal(stats_sum(all, 2, STAT_writes), 7);
	assert_int_equal(stats_sum(all, 2, STAT_clients_connected), -1);
	assert_string_equal(stat_rows[STAT_writes].field, "writes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_keep_order_and_forget_twice),
		cmocka_unit_test(lists_are_moved),
		cmocka_unit_test(a_link_is_put_from_one_list_into_another),
		cmocka_unit_test(a_walk_survives_removing_its_own_element),
		cmocka_unit_test(slabs_hand_out_the_warm_one_and_let_go_of_the_rest),
		cmocka_unit_test(mails_arrive_all_and_in_order_of_their_sender),
		cmocka_unit_test(a_closed_mailbox_opens_at_once),
		cmocka_unit_test(identities_are_shared_by_equal_credentials_only),
		cmocka_unit_test(a_renewed_nobody_is_judged_anew),
		cmocka_unit_test(nodes_with_other_rules_are_foreign),
		cmocka_unit_test(counters_add_up_over_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
