/* Histograms of durations, and the note of when bytes were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../proxy/measures/latency.h"
#include "../../proxy/backend/sendings.h"

static struct latency latency;

static struct latency_sum sum_of(void)
{
	struct latency_sum sum = { 0 };

	latency_sum_add(&sum, &latency);
	return sum;
}

static int clear(void **state)
{
	(void)state;
	memset(&latency, 0, sizeof(latency));
	return 0;
}

static void every_duration_lies_in_its_bucket(void **state)
{
	(void)state;
	for (uint64_t us = 0; us <= UINT32_MAX; us += 1 + us / 37) {
		unsigned bucket = latency_bucket((uint32_t)us);
		uint64_t begin = bucket == 0 ? 0 : latency_bucket_end(bucket - 1);

		assert_in_range(us, begin, latency_bucket_end(bucket) - 1);
		if (us >= LATENCY_FINE)
			assert_true((latency_bucket_end(bucket) - begin) * LATENCY_FINE <= us);
	}
	assert_int_equal(latency_bucket(UINT32_MAX), LATENCY_BUCKETS - 1);
	assert_true(latency_bucket_end(LATENCY_BUCKETS - 1) == 1ULL << LATENCY_MAX_BITS);
}

static void quantiles_are_those_of_what_was_counted(void **state)
{
	struct latency_sum sum;

	(void)state;
	for (uint32_t us = 1; us <= 1000; us++)
		latency_count(&latency, us, 1);
	sum = sum_of();
	assert_int_equal(sum.count, 1000);
	assert_int_equal(sum.sum_us, 500500);
	assert_in_range((uint64_t)latency_sum_quantile(&sum, 0.5), 500, 532);
	assert_in_range((uint64_t)latency_sum_quantile(&sum, 0.99), 990, 1054);
	assert_in_range((uint64_t)latency_sum_quantile(&sum, 1), 1000, 1063);
	assert_int_equal((uint64_t)latency_sum_quantile(&sum, 0), 1);
	assert_int_equal(latency_sum_below(&sum, 16), 15);
	assert_int_equal(latency_sum_below(&sum, 100), 99);
	assert_int_equal(latency_sum_below(&sum, UINT64_MAX), 1000);
}

static void nothing_counted_has_no_quantile(void **state)
{
	struct latency_sum sum = sum_of();

	(void)state;
	assert_true(latency_sum_quantile(&sum, 0.5) < 0);
	assert_int_equal(latency_sum_below(&sum, UINT64_MAX), 0);
}

static void a_span_is_what_was_counted_since(void **state)
{
	struct latency_sum before, after;

	(void)state;
	latency_count(&latency, 1000000, 7);
	before = sum_of();
	latency_count(&latency, 10, 3);
	after = sum_of();
	latency_sum_since(&after, &before);
	assert_int_equal(after.count, 3);
	assert_int_equal(after.sum_us, 30);
	assert_int_equal((uint64_t)latency_sum_quantile(&after, 1), 10);
}

static void what_was_forgotten_is_not_missed(void **state)
{
	struct latency_sum before, after;

	(void)state;
	latency_count(&latency, 50, 7);
	latency_count(&latency, 9, 1);
	before = sum_of();
	latency_forget(&latency);
	latency_count(&latency, 10, 30);
	after = sum_of();
	latency_sum_since(&after, &before);
	assert_int_equal(after.count, 30);
	assert_int_equal(after.sum_us, 300);
}

static void a_tally_counts_what_follows_itself_once(void **state)
{
	struct latency other = { 0 };
	struct latency_sum sum = { 0 };
	struct tally tally = { 0 };

	(void)state;
	tally_count(&tally, &latency, 5, 1);
	tally_count(&tally, &latency, 5, 1);
	assert_int_equal(sum_of().count, 0);
	tally_count(&tally, &latency, 6, 1);
	assert_int_equal(sum_of().counts[5], 2);
	tally_count(&tally, &other, 6, 1);
	tally_settle(&tally);
	tally_settle(&tally);
	assert_int_equal(sum_of().counts[6], 1);
	latency_sum_add(&sum, &other);
	assert_int_equal(sum.counts[6], 1);
	assert_int_equal(sum.count, 1);
}

static void a_request_was_written_with_its_last_byte(void **state)
{
	struct sendings sendings = { 0 };

	(void)state;
	sendings_add(&sendings, 100, 1);
	sendings_add(&sendings, 130, 2);
	assert_true(sendings_pass(&sendings, 50));
	assert_int_equal(sendings_us(&sendings), 1);
	assert_false(sendings_pass(&sendings, 100));
	assert_int_equal(sendings_us(&sendings), 1);
	assert_true(sendings_pass(&sendings, 101));
	assert_int_equal(sendings_us(&sendings), 2);
	assert_false(sendings_pass(&sendings, 130));
	sendings_add(&sendings, 131, 9);
	assert_true(sendings_pass(&sendings, 131));
	assert_int_equal(sendings_us(&sendings), 9);
}

static void too_many_batches_under_way_are_one(void **state)
{
	struct sendings sendings = { 0 };

	(void)state;
	for (uint32_t i = 1; i <= SENDINGS + 5; i++)
		sendings_add(&sendings, i * 10, i);
	for (uint32_t i = 1; i <= SENDINGS + 5; i++) {
		sendings_pass(&sendings, i * 10);
		assert_int_equal(sendings_us(&sendings), i < SENDINGS ? i : SENDINGS);
	}
	sendings_forget(&sendings);
	sendings_add(&sendings, 1000, 77);
	assert_true(sendings_pass(&sendings, 1000));
	assert_int_equal(sendings_us(&sendings), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_duration_lies_in_its_bucket, clear),
		cmocka_unit_test_setup(quantiles_are_those_of_what_was_counted, clear),
		cmocka_unit_test_setup(nothing_counted_has_no_quantile, clear),
		cmocka_unit_test_setup(a_span_is_what_was_counted_since, clear),
		cmocka_unit_test_setup(what_was_forgotten_is_not_missed, clear),
		cmocka_unit_test_setup(a_tally_counts_what_follows_itself_once, clear),
		cmocka_unit_test_setup(a_request_was_written_with_its_last_byte, clear),
		cmocka_unit_test_setup(too_many_batches_under_way_are_one, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
