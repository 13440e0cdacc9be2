/* A relay of TCP connections that can make a network bad, for the tests.
 *
 *	relay < commands > answers
 *
 * It listens for any number of links and passes every connection on to the
 * link's target. What it does to the bytes, a toxic, is set per link and
 * direction: `up` towards the target, `down` back from it. One command per line,
 * each answered by one line, "ok", "error: ..." or what was asked for; it ends
 * when its input does.
 *
 *	link NAME PORT TARGET-PORT [SOURCE]    listen on 127.0.0.1; with SOURCE only for
 *	                                       peers of that address (links may share a port)
 *	toxic NAME up|down|both KIND A [B]     set a toxic; A 0 takes it away
 *	clear NAME                             take all away
 *	cut NAME reset|close                   end the link's connections, by RST or by FIN
 *	stats NAME                             "connections C accepted N up BYTES down BYTES"
 *	seed N                                 begins the random numbers anew
 *
 * The kinds:
 *
 *	latency MS [JITTER-MS]   every piece arrives later; the order stays
 *	rate BYTES-PER-SECOND    a narrow line
 *	slice BYTES [PAUSE-US]   nothing leaves in larger pieces
 *	stall 1                  half-open: no longer read, the sender's window fills
 *	blackhole 1              bytes vanish; a connection that lost some is reset afterwards
 *	limit BYTES              the connection is reset after so many more bytes
 *	corrupt N                one byte in about N is changed
 *	refuse 1                 new connections are reset at once (either direction)
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

enum { LINE_SIZE = 256, WORDS_MAX = 8 };

static const char *const kinds[TOXIC_COUNT] = {
	[LATENCY] = "latency",	   [RATE] = "rate",   [SLICE] = "slice",     [STALL] = "stall",
	[BLACKHOLE] = "blackhole", [LIMIT] = "limit", [CORRUPT] = "corrupt", [REFUSE] = "refuse",
};

/* The words of a command; absent ones are "". */
struct words {
	char *word[WORDS_MAX];
	int count;
};

static const char *do_link(struct relay *relay, const struct words *words)
{
	in_addr_t source = words->count > 4 ? inet_addr(words->word[4]) : htonl(INADDR_ANY);

	if (relay_add(relay, words->word[1], atoi(words->word[2]), atoi(words->word[3]), source) == NULL)
		return "error: the name is taken, or the port";
	return "ok";
}

static int kind_named(const char *name)
{
	int kind = 0;

	while (kind < TOXIC_COUNT && strcmp(kinds[kind], name) != 0)
		kind++;
	return kind;
}

/* As bits, 1 << direction; 0: there is no such direction. */
static unsigned directions_named(const char *name)
{
	static const char *const names[] = { "", "up", "down", "both" };

	for (unsigned bits = 1; bits < sizeof(names) / sizeof(names[0]); bits++)
		if (strcmp(names[bits], name) == 0)
			return bits;
	return 0;
}

static const char *do_toxic(struct relay *relay, const struct words *words)
{
	struct link *link = relay_find(relay, words->word[1]);
	unsigned directions = directions_named(words->word[2]);
	int kind = kind_named(words->word[3]);

	if (link == NULL || directions == 0 || kind == TOXIC_COUNT)
		return "error: no such link, direction or kind";
	for (int i = 0; i < DIRECTIONS; i++) {
		if (!(directions & 1u << i))
			continue;
		link->toxics[i].value[kind] = atoll(words->word[4]);
		link->toxics[i].extra[kind] = atoll(words->word[5]);
		if (kind == LIMIT)
			link_limit(link, (enum direction)i, atoll(words->word[4]));
	}
	link_apply(link);
	return "ok";
}

static const char *do_clear(struct relay *relay, const struct words *words)
{
	struct link *link = relay_find(relay, words->word[1]);

	if (link == NULL)
		return "error: no such link";
	memset(link->toxics, 0, sizeof(link->toxics));
	link_apply(link);
	return "ok";
}

static const char *do_cut(struct relay *relay, const struct words *words)
{
	struct link *link = relay_find(relay, words->word[1]);

	if (link == NULL)
		return "error: no such link";
	link_cut(link, strcmp(words->word[2], "reset") == 0);
	return "ok";
}

static const char *do_stats(struct relay *relay, const struct words *words)
{
	struct link *link = relay_find(relay, words->word[1]);

	if (link == NULL)
		return "error: no such link";
	printf("connections %" PRId64 " accepted %" PRId64 " up %" PRId64 " down %" PRId64 "\n", link->open,
	       link->accepted, link->bytes[UP], link->bytes[DOWN]);
	return NULL;
}

static const char *do_seed(struct relay *relay, const struct words *words)
{
	random_seed(&relay->random, strtoull(words->word[1], NULL, 10));
	return "ok";
}

static const struct {
	const char *name;
	int words; /* at least, with the name */
	const char *(*run)(struct relay *relay, const struct words *words);
} commands[] = {
	{ "link", 4, do_link },	  { "toxic", 5, do_toxic }, { "clear", 2, do_clear },
	{ "cut", 3, do_cut }, { "stats", 2, do_stats }, { "seed", 2, do_seed },
};

static const char *obey(struct relay *relay, char *line)
{
	struct words words = { .count = 0 };

	for (int i = 0; i < WORDS_MAX; i++) {
		char *word = strtok(i == 0 ? line : NULL, " \r\n");

		words.word[i] = word ? word : "";
		words.count += word != NULL;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, words.word[0]) != 0)
			continue;
		return words.count < commands[i].words ? "error: too few words" : commands[i].run(relay, &words);
	}
	return "error: no such command";
}

/* A line at a time: whoever commands waits for the answer. */
static void on_command(struct ev_loop *loop, ev_io *io, int events)
{
	char line[LINE_SIZE];
	const char *answer;

	(void)events;
	if (fgets(line, sizeof(line), stdin) == NULL) {
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	answer = obey(io->data, line);
	if (answer != NULL)
		puts(answer);
	fflush(stdout);
}

int main(void)
{
	struct relay relay;
	ev_io command;

	relay_init(&relay, ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL));
	setvbuf(stdin, NULL, _IONBF, 0); /* nothing of a line may stay where the loop does not see it */
	ev_io_init(&command, on_command, STDIN_FILENO, EV_READ);
	command.data = &relay;
	ev_io_start(relay.loop, &command);
	ev_run(relay.loop, 0);
	return 0;
}
