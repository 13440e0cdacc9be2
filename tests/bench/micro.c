#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../protocol/command.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"

/* What the steps of the hot path cost, each alone:
 *
 *	micro [rounds] [name]
 *
 * prints nanoseconds per message. Under callgrind the figures are instructions
 * (each case is a function of its own): micro 2000 <name>. */

enum { BATCH = 64 }; /* messages in the data of a case */

struct bench {
	struct command_table *table;
	struct buf set;       /* BATCH requests SET key:000000000001 xxx */
	struct buf get;       /* BATCH requests GET key:000000000001 */
	struct buf wide;      /* BATCH requests MSET with 20 arguments */
	struct buf status;    /* BATCH replies +OK */
	struct buf bulk;      /* BATCH replies of 16 bytes */
	struct buf list;      /* BATCH replies of 10 bulks */
	struct slice names[BATCH];
	size_t sum;           /* keeps the work from being optimised away */
};

static void fill(struct bench *bench)
{
	static const char *const names[] = { "GET", "set", "HGETALL", "zadd", "ZRANGEBYSCORE", "incr", "LPUSH", "nosuch" };

	for (int i = 0; i < BATCH; i++) {
		encode_request_words(&bench->set, "SET", "key:000000000001", "xxx", NULL);
		encode_request_words(&bench->get, "GET", "key:000000000001", NULL);
		encode_array(&bench->wide, 21);
		encode_bulk_text(&bench->wide, "MSET");
		for (int k = 0; k < 20; k++)
			encode_bulk_text(&bench->wide, "key:000000000001");
		encode_status(&bench->status, "OK");
		encode_bulk_text(&bench->bulk, "0123456789abcdef");
		encode_array(&bench->list, 10);
		for (int k = 0; k < 10; k++)
			encode_bulk_text(&bench->list, "0123456789abcdef");
		bench->names[i] = slice_of(names[i % 8]);
	}
}

static void frame_requests(struct bench *bench, const struct buf *data)
{
	struct resp_request_framer framer = { 0 };
	struct slice rest = buf_slice(data);
	struct resp_request request;
	const char *error;

	while (resp_request_next(&framer, &resp_limits_default, rest.bytes, rest.length, &request, &error) == RESP_OK) {
		bench->sum += request.name.length;
		rest.bytes += request.length;
		rest.length -= request.length;
	}
}

static void frame_replies(struct bench *bench, const struct buf *data)
{
	struct resp_reply_framer framer = { 0 };
	struct slice rest = buf_slice(data);
	size_t used;

	while (resp_reply_next(&framer, rest.bytes, rest.length, &used) == RESP_OK) {
		bench->sum += used;
		rest.bytes += used;
		rest.length -= used;
	}
}

static void request_set(struct bench *bench)
{
	frame_requests(bench, &bench->set);
}

static void request_get(struct bench *bench)
{
	frame_requests(bench, &bench->get);
}

static void request_mset_20(struct bench *bench)
{
	frame_requests(bench, &bench->wide);
}

static void reply_ok(struct bench *bench)
{
	frame_replies(bench, &bench->status);
}

static void reply_bulk_16(struct bench *bench)
{
	frame_replies(bench, &bench->bulk);
}

static void reply_list_10(struct bench *bench)
{
	frame_replies(bench, &bench->list);
}

static void lookup(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++)
		bench->sum += command_find_name(bench->table, bench->names[i])->index;
}

static void lookup_subcommand(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++)
		bench->sum += command_find(bench->table, (struct slice){ "CLIENT", 6 }, (struct slice){ "setname", 7 })->index;
}

static void encode_ok(struct bench *bench)
{
	struct buf out = { 0 };

	for (int i = 0; i < BATCH; i++)
		encode_status(&out, "OK");
	bench->sum += buf_length(&out);
	buf_free(&out);
}

static const struct {
	const char *name;
	void (*run)(struct bench *bench);
} cases[] = {
	{ "request_get", request_get },
	{ "request_set", request_set },
	{ "request_mset_20", request_mset_20 },
	{ "reply_ok", reply_ok },
	{ "reply_bulk_16", reply_bulk_16 },
	{ "reply_list_10", reply_list_10 },
	{ "lookup", lookup },
	{ "lookup_subcommand", lookup_subcommand },
	{ "encode_ok", encode_ok },
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct command_table *learn(const char *path)
{
	static char reply[1 << 20];
	FILE *file = fopen(path, "rb");
	const char *error = "cannot be opened";
	struct command_table *table = NULL;

	if (file != NULL) {
		table = command_table_learn(reply, fread(reply, 1, sizeof(reply), file), "", &error);
		fclose(file);
	}
	if (table == NULL) {
		fprintf(stderr, "micro: %s: %s\n", path, error);
		exit(EXIT_FAILURE);
	}
	return table;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 100000;
	struct bench bench = { .table = learn("tests/unit/data/command-7.0.15.resp") };

	fill(&bench);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double begin;

		if (argc > 2 && strcmp(argv[2], cases[i].name) != 0)
			continue;
		begin = now_ns();
		for (long round = 0; round < rounds; round++)
			cases[i].run(&bench);
		printf("%-18s %7.1f ns\n", cases[i].name, (now_ns() - begin) / (double)(rounds * BATCH));
	}
	return bench.sum == 0;
}
