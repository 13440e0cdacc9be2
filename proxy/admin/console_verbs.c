/* The console's verbs: one table, one handler each. What a caller has to be, and
 * how many words a verb takes, stands in its row and is checked here, before
 * any handler runs. */
#include "console_verbs.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "admin.h"
#include "console_parts.h"
#include "../config/spelling.h"

enum { ANY_ARGS = -1 };

struct verb {
	const char *name;
	const char *sub;       /* its second word; NULL: it has none, or takes any */
	enum access_role role;
	int least_args;        /* behind these words */
	int most_args;         /* or ANY_ARGS */
	void (*run)(struct console_call *call);
	const char *args;      /* as its usage shows them */
	const char *help;      /* NULL: tolerated for the sake of clients, not advertised */
};

static void run_help(struct console_call *call);

static const struct verb verbs[] = {
	{ "PING", NULL, ACCESS_READ, 0, 1, console_ping, "[message]", "answers PONG, or the message" },
	{ "INFO", NULL, ACCESS_READ, 0, ANY_ARGS, console_info, "[section ...]", "server, clients, memory, stats, replication, commandstats, latencystats" },
	{ "ROLE", NULL, ACCESS_READ, 0, 0, console_role, "", "the master's offset and its replicas, as Redis says it" },
	{ "REPLICAS", NULL, ACCESS_READ, 0, 0, console_replicas, "",
	  "every replica: link, offset, lag, and why it serves no reads" },
	{ "CLIENTS", NULL, ACCESS_CHANGE, 0, 0, console_clients, "", "every client: who it is, and what it does" },
	{ "BACKENDS", NULL, ACCESS_CHANGE, 0, 0, console_backends, "", "every connection to a server, and what waits on it" },
	{ "ROUTE", "FLOOR", ACCESS_READ, 2, ANY_ARGS, console_route_floor, "<offset> <command ...>",
	  "the same for a client that has seen this offset" },
	{ "ROUTE", NULL, ACCESS_READ, 1, ANY_ARGS, console_route, "<command ...>",
	  "where a new client's command would go now, and why" },
	{ "EVENTS", NULL, ACCESS_READ, 0, 1, console_events, "[count]", "what happened, newest last" },
	{ "LATENCY", "LATEST", ACCESS_READ, 0, 0, console_nothing, "", NULL },
	{ "LATENCY", "HISTOGRAM", ACCESS_READ, 0, ANY_ARGS, console_nothing, "", NULL },
	{ "LATENCY", NULL, ACCESS_READ, 0, 1, console_latency, "[server]",
	  "how long commands take here and there, in milliseconds" },
	{ "SLOWLOG", "GET", ACCESS_CHANGE, 0, 1, console_slowlog_get, "[count]",
	  "slow commands, newest first, as Redis shows them; then server, user, microseconds waited here and spent there" },
	{ "SLOWLOG", "LEN", ACCESS_READ, 0, 0, console_slowlog_len, "", "how many there are" },
	{ "SLOWLOG", "RESET", ACCESS_CHANGE, 0, 0, console_slowlog_reset, "", "forgets them" },
	{ "CONFIG", "GET", ACCESS_READ, 1, ANY_ARGS, console_config_get, "<pattern> [...]",
	  "the configuration in force, by section.key" },
	{ "CONFIG", "SET", ACCESS_CHANGE, 2, ANY_ARGS, console_config_set, "<key> <value> [...]",
	  "changes keys that need no restart, all or none; the file stays as it is" },
	{ "RELOAD", NULL, ACCESS_CHANGE, 0, 0, console_reload, "", "reads the file anew, as SIGHUP does" },
	{ "DRAIN", NULL, ACCESS_CHANGE, 1, 1, console_drain, "<server>", "sends no more reads to this replica" },
	{ "ENABLE", NULL, ACCESS_CHANGE, 1, 1, console_enable, "<server>", "ends DRAIN" },
	{ "ACCEPT", "MASTER", ACCESS_CHANGE, 0, 0, console_accept_master, "",
	  "accepts a master that came back with other data or with none" },
	{ "SWITCHOVER", NULL, ACCESS_CHANGE, 0, 4, console_switchover, "[<replica>] [TIMEOUT <ms>] [DRY]",
	  "makes a replica the master without losing a write; DRY only says whether it would" },
	{ "AUTH", NULL, ACCESS_READ, 1, 2, console_auth, "<token>", "shows the token of [admin] token_file" },
	{ "HELP", NULL, ACCESS_READ, 0, ANY_ARGS, run_help, "", "this list; redis-cli keeps HELP for itself, use VERBS there" },
	{ "VERBS", NULL, ACCESS_READ, 0, ANY_ARGS, run_help, "", "this list" },
	{ "QUIT", NULL, ACCESS_READ, 0, ANY_ARGS, console_quit, "", "closes the connection" },
	{ "CLIENT", "LIST", ACCESS_CHANGE, 0, ANY_ARGS, console_client_list, "[filter ...]", "the clients as Redis lists them" },
	{ "CLIENT", "KILL", ACCESS_CHANGE, 1, ANY_ARGS, console_client_kill, "<address> | ID <id> | ADDR <address> | ...",
	  "closes clients; the filters are those of Redis" },
	{ "CLIENT", "SETNAME", ACCESS_READ, 1, 1, console_ok, "<name>", NULL },
	{ "CLIENT", "SETINFO", ACCESS_READ, 2, 2, console_ok, "<attribute> <value>", NULL },
	{ "COMMAND", NULL, ACCESS_READ, 0, ANY_ARGS, console_nothing, "", NULL },
	{ "HELLO", NULL, ACCESS_READ, 0, ANY_ARGS, console_hello, "2 [AUTH <user> <token>] [SETNAME <name>]", NULL },
};

enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]), USAGE_ROOM = 160 };

static void print_usage(const struct verb *verb, char text[USAGE_ROOM])
{
	snprintf(text, USAGE_ROOM, "%s%s%s%s%s", verb->name, verb->sub == NULL ? "" : " ",
		 verb->sub == NULL ? "" : verb->sub, verb->args[0] == '\0' ? "" : " ", verb->args);
}

/* ---- finding one ---- */

static const struct verb *find_verb(const struct console_call *call)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (slice_is(call->argv[0], verbs[i].name) &&
		    (verbs[i].sub == NULL || (call->argc > 1 && slice_is(call->argv[1], verbs[i].sub))))
			return &verbs[i];
	return NULL;
}

/* How different the words are from a verb's; its second word counts where the
 * first one is right. */
static unsigned distance(const struct verb *verb, const char *name, const char *sub)
{
	unsigned first = spelling_distance(verb->name, name);

	return 64 * first + (first == 0 && verb->sub != NULL ? spelling_distance(verb->sub, sub) : 0);
}

static const struct verb *nearest_verb(const char *name, const char *sub)
{
	const struct verb *nearest = NULL;

	for (size_t i = 0; i < VERB_COUNT; i++)
		if (verbs[i].help != NULL &&
		    (nearest == NULL || distance(&verbs[i], name, sub) < distance(nearest, name, sub)))
			nearest = &verbs[i];
	return nearest;
}

/* ---- help ---- */

static size_t count_helped(void)
{
	size_t count = 0;

	for (size_t i = 0; i < VERB_COUNT; i++)
		count += verbs[i].help != NULL;
	return count;
}

static void run_help(struct console_call *call)
{
	char usage[USAGE_ROOM], line[USAGE_ROOM + 160];

	encode_array(call->out, count_helped());
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].help == NULL)
			continue;
		print_usage(&verbs[i], usage);
		snprintf(line, sizeof(line), "%-28s %s%s", usage, verbs[i].help,
			 verbs[i].role == ACCESS_CHANGE ? " (token)" : "");
		encode_status(call->out, line);
	}
}

/* ---- running one ---- */

static void refuse_unknown(struct console_call *call)
{
	char name[CONSOLE_WORD_ROOM], sub[CONSOLE_WORD_ROOM] = "", usage[USAGE_ROOM];
	const struct verb *nearest;

	console_copy_word(name, call->argv[0]);
	if (call->argc > 1)
		console_copy_word(sub, call->argv[1]);
	nearest = nearest_verb(name, sub);
	print_usage(nearest, usage);
	if (slice_is(call->argv[0], nearest->name))
		console_error(call, "ERR expected %s", usage);
	else
		console_error(call, "ERR unknown command '%s', did you mean %s? VERBS lists them all", name, usage);
}

static bool takes(const struct verb *verb, size_t argc)
{
	size_t args = argc - 1 - (verb->sub != NULL);

	return args >= (size_t)verb->least_args && (verb->most_args == ANY_ARGS || args <= (size_t)verb->most_args);
}

static void refuse_stranger(struct console_call *call)
{
	if (access_has_token(call->sources))
		console_error(call, "NOAUTH this wants the token first: AUTH <token>");
	else
		console_error(call, "NOAUTH this is not for other machines without a token, and [admin] token_file in "
				    "proxy.ini names none");
}

void console_run(struct console_call *call)
{
	const struct verb *verb = find_verb(call);
	char usage[USAGE_ROOM];

	if (verb == NULL) {
		refuse_unknown(call);
	} else if (!takes(verb, call->argc)) {
		print_usage(verb, usage);
		console_error(call, "ERR wrong number of arguments, expected %s", usage);
	} else if (verb->role > call->role) {
		refuse_stranger(call);
	} else {
		verb->run(call);
	}
}

void console_run_line(const struct admin_sources *sources, struct slice line, struct buf *out,
		      struct console_ticket **ticket)
{
	struct slice argv[CONSOLE_ARGS_MAX];
	struct console_call call = { .sources = sources, .argv = argv, .role = ACCESS_CHANGE, .out = out };
	struct buf canonical = { 0 };
	struct resp_args args;
	int count;

	while (line.length > 0 && (line.bytes[line.length - 1] == '\n' || line.bytes[line.length - 1] == '\r'))
		line.length--;
	count = line.length > 0 && memchr(line.bytes, '\n', line.length) == NULL
			? resp_inline_encode(line.bytes, line.length, &canonical) : 0;
	if (count <= 0 || count > CONSOLE_ARGS_MAX) {
		console_error(&call, "ERR expected one command in one line; VERBS lists them all");
	} else {
		resp_args_begin(&args, buf_head(&canonical));
		while (resp_args_next(&args, &argv[call.argc]))
			call.argc++;
		console_run(&call);
	}
	*ticket = call.ticket;
	buf_free(&canonical);
}
