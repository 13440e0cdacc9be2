#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../protocol/buf.h"

static void check_invariant(const struct buf *buf)
{
	assert_true(buf->head <= buf->tail);
	assert_true(buf->tail <= buf->capacity);
	if (buf->head == buf->tail)
		assert_int_equal(buf->head, 0);
	if (buf->capacity == 0)
		assert_null(buf->bytes);
}

static void zeroed_is_empty(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_length(&buf), 0);
	assert_int_equal(buf_slice(&buf).length, 0);
	assert_non_null(buf_slice(&buf).bytes);
	buf_append(&buf, NULL, 0);
	buf_consume(&buf, 0);
	buf_shrink(&buf, 0);
	check_invariant(&buf);
	buf_free(&buf);
	check_invariant(&buf);
}

static void reserve_gives_memory_even_for_nothing(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_non_null(buf_reserve(&buf, 0));
	buf_free(&buf);
}

static void reserved_room_can_be_written(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	for (size_t room = 1; room < 5000; room += 37) {
		memset(buf_reserve(&buf, room), 'x', room);
		buf_produced(&buf, room / 2);
		check_invariant(&buf);
	}
	buf_free(&buf);
}

static void shrink_keeps_what_is_used(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_append_text(&buf, "abc");
	buf_shrink(&buf, 0);
	assert_memory_equal(buf_head(&buf), "abc", 3);
	buf_consume(&buf, 3);
	buf_shrink(&buf, buf.capacity);
	assert_non_null(buf.bytes);
	buf_shrink(&buf, buf.capacity - 1);
	assert_null(buf.bytes);
	check_invariant(&buf);
	buf_free(&buf);
}

/* Bytes come out in the order they went in, whatever is done in between. */
static void random_use_is_a_queue(void **state)
{
	struct buf buf = { 0 };
	uint32_t in = 0, out = 0, seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t count;

		seed = seed * 1664525 + 1013904223;
		count = seed >> 20 & 255;
		if (seed >> 30 & 1) {
			for (size_t i = 0; i < count; i++, in++)
				buf_append(&buf, &(unsigned char){ (unsigned char)in }, 1);
		} else {
			count = count < buf_length(&buf) ? count : buf_length(&buf);
			for (size_t i = 0; i < count; i++, out++)
				assert_int_equal((unsigned char)buf_head(&buf)[i], (unsigned char)out);
			buf_consume(&buf, count);
		}
		if (seed >> 24 == 7)
			buf_shrink(&buf, 0);
		check_invariant(&buf);
		assert_int_equal(buf_length(&buf), in - out);
	}
	buf_free(&buf);
}

/* A queue that stays short must not grow with what passes through it. */
static void memory_follows_the_content(void **state)
{
	struct buf buf = { 0 };
	char bytes[300] = { 0 };

	(void)state;
	buf_append(&buf, bytes, sizeof(bytes));
	for (int i = 0; i < 100000; i++) {
		buf_append(&buf, bytes, sizeof(bytes));
		buf_consume(&buf, sizeof(bytes));
	}
	assert_true(buf.capacity <= 4096);
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_is_empty),
		cmocka_unit_test(reserve_gives_memory_even_for_nothing),
		cmocka_unit_test(reserved_room_can_be_written),
		cmocka_unit_test(shrink_keeps_what_is_used),
		cmocka_unit_test(random_use_is_a_queue),
		cmocka_unit_test(memory_follows_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
