/* Lookups that take as long as they like: the loop has its answer in time, and
 * there is never more than one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ev.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "../../topology/name.h"

/* A resolver that waits until it is let go, and counts. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held;
	unsigned running, most, calls, ended;
	uint16_t answer; /* the port of the one address; 0: not found */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void fake_resolve(struct addresses *found, const char *host, uint16_t port)
{
	assert_true(strcmp(host, "server.example") == 0 && port == 6379);
	pthread_mutex_lock(&fake.lock);
	fake.calls++;
	if (++fake.running > fake.most)
		fake.most = fake.running;
	while (fake.held)
		pthread_cond_wait(&fake.changed, &fake.lock);
	found->count = fake.answer != 0;
	if (fake.answer != 0)
		address_parse(&found->at[0], "127.0.0.1", fake.answer);
	fake.running--;
	fake.ended++;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

static void set(bool held, uint16_t answer)
{
	pthread_mutex_lock(&fake.lock);
	fake.held = held;
	fake.answer = answer;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

static void wait_until_ended(unsigned count)
{
	pthread_mutex_lock(&fake.lock);
	while (fake.ended < count)
		pthread_cond_wait(&fake.changed, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

struct waiter {
	struct ev_loop *loop;
	struct name *name;
	struct addresses found;
	unsigned answers;
};

static void on_found(void *arg, const struct addresses *found)
{
	struct waiter *waiter = arg;

	waiter->found = *found;
	waiter->answers++;
	ev_break(waiter->loop, EVBREAK_ALL);
}

static int set_up(void **state)
{
	static struct waiter waiter;

	waiter = (struct waiter){.loop = ev_loop_new(EVFLAG_NOENV)};
	waiter.name = name_create(waiter.loop, "server.example", 6379, fake_resolve, on_found, &waiter);
	fake.calls = fake.most = fake.ended = 0;
	*state = &waiter;
	return 0;
}

static int tear_down(void **state)
{
	struct waiter *waiter = *state;
	unsigned calls;

	name_destroy(&waiter->name);
	assert_null(waiter->name);
	pthread_mutex_lock(&fake.lock);
	calls = fake.calls;
	pthread_mutex_unlock(&fake.lock);
	set(false, 0);
	wait_until_ended(calls);
	ev_loop_destroy(waiter->loop);
	return 0;
}

static void look_up(struct waiter *waiter, int64_t timeout_ms)
{
	unsigned before = waiter->answers;

	name_look_up(waiter->name, timeout_ms);
	assert_int_equal(waiter->answers, before); /* never from within */
	ev_run(waiter->loop, 0);
	assert_int_equal(waiter->answers, before + 1);
}

static void finds(void **state)
{
	struct waiter *waiter = *state;
	struct address expected;

	set(false, 7000);
	address_parse(&expected, "127.0.0.1", 7000);
	look_up(waiter, 60000);
	assert_int_equal(waiter->found.count, 1);
	assert_true(address_equal(&waiter->found.at[0], &expected));
	set(false, 7001); /* it is asked anew every time */
	look_up(waiter, 60000);
	assert_false(address_equal(&waiter->found.at[0], &expected));
	set(false, 0);
	look_up(waiter, 60000);
	assert_int_equal(waiter->found.count, 0);
}

static void is_answered_in_time(void **state)
{
	struct waiter *waiter = *state;

	set(true, 7000);
	for (int i = 0; i < 5; i++) {
		look_up(waiter, 5);
		assert_int_equal(waiter->found.count, 0);
	}
	assert_int_equal(fake.most, 1);
	assert_int_equal(fake.calls, 1);
	name_look_up(waiter->name, 60000); /* waits for the thread that is late */
	set(false, 7000);
	ev_run(waiter->loop, 0);
	assert_int_equal(waiter->found.count, 1);
	assert_int_equal(fake.calls, 1);
}

static void two_at_once_have_one_answer(void **state)
{
	struct waiter *waiter = *state;

	set(false, 7000);
	name_look_up(waiter->name, 60000);
	look_up(waiter, 60000);
	assert_int_equal(fake.calls, 1);
}

static void a_late_answer_is_nobodys(void **state)
{
	struct waiter *waiter = *state;

	set(true, 7000);
	look_up(waiter, 5);
	set(false, 7000);
	wait_until_ended(1);
	ev_run(waiter->loop, EVRUN_NOWAIT);
	assert_int_equal(waiter->answers, 1);
}

static void is_left_alone_by_a_thread_that_outlives_it(void **state)
{
	struct waiter *waiter = *state;

	set(true, 7000);
	look_up(waiter, 5); /* tear_down() does the rest */
}

static void the_system_knows_localhost(void **state)
{
	struct addresses found;

	(void)state;
	name_resolve(&found, "127.0.0.1", 6379);
	assert_int_equal(found.count, 1);
	name_resolve(&found, "no-such-host.invalid", 6379);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_answered_in_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_at_once_have_one_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_late_answer_is_nobodys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_left_alone_by_a_thread_that_outlives_it, set_up, tear_down),
		cmocka_unit_test(the_system_knows_localhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
