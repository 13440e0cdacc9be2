/* The workload of the consistency tests.
 *
 *	load --door PORT [--door PORT ...] --history FILE [options]
 *
 * drives one or several servers at 127.0.0.1 with concurrent sessions for some
 * seconds, writes the history of all they did (history.h), and prints one JSON
 * object with the counts. SIGTERM ends it early, in good order. What it asks, and
 * in what mixture, depends on the seed alone; how it interleaves does not. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../../protocol/alloc.h"
#include "../../../proxy/clock.h"
#include "load.h"

/* ---- what went wrong ---- */

static bool same_word(const struct error_count *error, const char *text, size_t length)
{
	return strlen(error->word) == length && memcmp(error->word, text, length) == 0;
}

void load_count_error(struct load *load, const char *text, size_t length)
{
	const char *blank = memchr(text, ' ', length);
	size_t word = blank ? (size_t)(blank - text) : length;

	if (word >= ERROR_SIZE)
		word = ERROR_SIZE - 1;
	for (int i = 0; i < ERRORS_MAX; i++) {
		struct error_count *error = &load->errors[i];

		if (error->count == 0)
			memcpy(error->word, text, word);
		if (error->count == 0 || same_word(error, text, word)) {
			error->count++;
			return;
		}
	}
}

/* ---- the end ---- */

void load_check_end(struct load *load)
{
	if (load->stopping && load->busy == 0)
		ev_break(load->loop, EVBREAK_ALL);
}

static void stop(struct load *load)
{
	load->stopping = true;
	load_check_end(load);
}

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	stop(timer->data);
}

static void on_term(struct ev_loop *loop, ev_signal *term, int events)
{
	(void)loop;
	(void)events;
	stop(term->data);
}

static void print_counts(const struct load *load, double seconds)
{
	const uint64_t *outcomes = load->outcomes;

	printf("{\"operations\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"fail\":%" PRIu64 ",\"info\":%" PRIu64
	       ",\"sessions\":%" PRIu64 ",\"seconds\":%.3f,\"errors\":{",
	       outcomes[OUTCOME_OK] + outcomes[OUTCOME_FAIL] + outcomes[OUTCOME_INFO], outcomes[OUTCOME_OK],
	       outcomes[OUTCOME_FAIL], outcomes[OUTCOME_INFO], load->sessions, seconds);
	for (int i = 0; i < ERRORS_MAX && load->errors[i].count > 0; i++)
		printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", load->errors[i].word, load->errors[i].count);
	printf("}}\n");
}

/* ---- options ---- */

static const struct option long_options[] = {
	{ "door", required_argument, NULL, 'd' },      { "reads-at", required_argument, NULL, 'R' },
	{ "last-is-beside", no_argument, NULL, 'b' },
	{ "reader-door", required_argument, NULL, 'D' }, { "readers", required_argument, NULL, 'e' },
	{ "general", required_argument, NULL, 'g' },   { "consumers", required_argument, NULL, 'c' },
	{ "listeners", required_argument, NULL, 'l' }, { "seconds", required_argument, NULL, 's' },
	{ "rate", required_argument, NULL, 'r' },      { "writes", required_argument, NULL, 'w' },
	{ "seed", required_argument, NULL, 'S' },      { "history", required_argument, NULL, 'h' },
	{ "own", no_argument, NULL, 'o' },	       { "tokens", no_argument, NULL, 't' },
	{ "fat", no_argument, NULL, 'f' },	       { NULL, 0, NULL, 0 },
};

static bool take_option(struct options *options, int letter, const char *value)
{
	switch (letter) {
	case 'd':
		if (options->door_count == DOORS_MAX)
			return false;
		options->doors[options->door_count++] = (uint16_t)atoi(value);
		return true;
	case 'R':
		options->reads_at = (uint16_t)atoi(value);
		return true;
	case 'g':
		options->general = (uint32_t)atoi(value);
		return options->general > 0 && options->general <= INDICES_MAX;
	case 'D':
		options->reader_door = (uint16_t)atoi(value);
		return true;
	case 'e':
		options->readers = (uint32_t)atoi(value);
		return true;
	case 'c':
		options->consumers = (uint32_t)atoi(value);
		return true;
	case 'l':
		options->listeners = (uint32_t)atoi(value);
		return true;
	case 's':
		options->seconds = atof(value);
		return true;
	case 'r':
		options->rate = atof(value);
		return true;
	case 'w':
		options->writes = (unsigned)atoi(value);
		return options->writes <= 100;
	case 'S':
		options->seed = strtoull(value, NULL, 10);
		return true;
	case 'h':
		options->history = value;
		return true;
	case 'b':
		options->last_is_beside = true;
		return true;
	case 'o':
		options->own = true;
		return true;
	case 't':
		options->tokens = true;
		return true;
	case 'f':
		options->fat = true;
		return true;
	default:
		return false;
	}
}

static struct options read_options(int argc, char **argv)
{
	struct options options = { .general = 32, .seconds = 10, .writes = 25, .seed = 1 };
	int letter;

	while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(&options, letter, optarg))
			exit(2);
	if (options.door_count == 0 || optind != argc || (options.readers > 0 && options.reader_door == 0)) {
		fprintf(stderr, "usage: load --door PORT [--history FILE] [options]\n");
		exit(2);
	}
	return options;
}

/* ---- the beginning ---- */

static const struct role *role_at(const struct options *options, uint32_t index)
{
	const struct {
		uint32_t count;
		const struct role *role;
	} rows[] = {
		{ options->general, &role_general },
		{ options->readers, &role_reader },
		{ options->consumers, &role_consumer },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (index < rows[i].count)
			return rows[i].role;
		index -= rows[i].count;
	}
	return &role_listener;
}

static void make_actors(struct load *load)
{
	const struct options *options = &load->options;

	load->actor_count = options->general + options->readers + options->consumers + options->listeners;
	load->actors = alloc_zeroed(load->actor_count, sizeof(*load->actors));
	for (uint32_t i = 0; i < load->actor_count; i++) {
		struct actor *actor = &load->actors[i];

		actor->load = load;
		actor->index = i;
		actor->role = role_at(&load->options, i);
		random_seed(&actor->random, load->options.seed * 1000003 + i);
		session_init(actor);
	}
}

static FILE *open_history(const char *path)
{
	FILE *history = path ? fopen(path, "w") : NULL;

	if (path != NULL && history == NULL) {
		perror(path);
		exit(1);
	}
	return history;
}

static void arm(struct load *load)
{
	ev_timer_init(&load->end, on_end, load->options.seconds, 0);
	ev_signal_init(&load->term, on_term, SIGTERM);
	load->end.data = load->term.data = load;
	ev_timer_start(load->loop, &load->end);
	ev_signal_start(load->loop, &load->term);
}

int main(int argc, char **argv)
{
	struct load *load = alloc_zeroed(1, sizeof(*load));
	int64_t begun_ns = clock_ns();

	load->options = read_options(argc, argv);
	load->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	load->history = open_history(load->options.history);
	ground_init(&load->ground, load->options.general);
	make_actors(load);
	arm(load);
	ev_run(load->loop, 0);

	for (uint32_t i = 0; i < load->actor_count; i++)
		if (load->actors[i].session != 0)
			session_end(&load->actors[i], "end");
	print_counts(load, (double)(clock_ns() - begun_ns) * 1e-9);
	return load->history == NULL || fclose(load->history) == 0 ? 0 : 1;
}
