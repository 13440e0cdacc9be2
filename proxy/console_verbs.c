/* The console's verbs: one table, one handler each.
 *
 * A handler reads the topology's view or asks the topology for something, and
 * appends exactly one reply. Tables for people are arrays of lines, which
 * redis-cli prints one below the other in every mode. */
#include "console_verbs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol/alloc.h"
#include "../protocol/encode.h"
#include "../topology/topology.h"
#include "admin.h"
#include "console_info.h"
#include "spelling.h"
#include "version.h"

enum {
	ANY_ARGS = -1,
	WORD_ROOM = 128, /* of a verb or a server's name, as repeated in an answer */
};

struct verb {
	const char *name;
	int least_args;    /* behind the verb */
	int most_args;     /* or ANY_ARGS */
	void (*run)(struct console_call *call);
	const char *usage;
	const char *help;  /* NULL: tolerated for the sake of clients, not advertised */
};

/* ---- answers ---- */

/* A word from outside as text that is safe to repeat: cut, and without control
 * bytes. */
static void copy_word(char text[WORD_ROOM], struct slice word)
{
	size_t length = word.length < WORD_ROOM - 1 ? word.length : WORD_ROOM - 1;

	for (size_t i = 0; i < length; i++)
		text[i] = (unsigned char)word.bytes[i] < ' ' || word.bytes[i] == 0x7f ? '?' : word.bytes[i];
	text[length] = '\0';
}

static void answer_error(struct console_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void answer_error(struct console_call *call, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	encode_error(call->out, text);
}

/* The answer of a topology verb: NULL is success. */
static void answer_outcome(struct console_call *call, const char *failure)
{
	if (failure == NULL)
		encode_status(call->out, "OK");
	else
		answer_error(call, "ERR %s", failure);
}

/* ---- tables ---- */

enum { COLUMNS = 9, CELL_ROOM = 160 };

typedef char table_row[COLUMNS][CELL_ROOM];

static void set_text(char cell[CELL_ROOM], const char *text)
{
	snprintf(cell, CELL_ROOM, "%s", text == NULL ? "-" : text);
}

static void set_integer(char cell[CELL_ROOM], int64_t value)
{
	if (value < 0)
		set_text(cell, NULL);
	else
		snprintf(cell, CELL_ROOM, "%" PRId64, value);
}

static void set_ms(char cell[CELL_ROOM], double value)
{
	if (value < 0)
		set_text(cell, NULL);
	else
		snprintf(cell, CELL_ROOM, "%.1f", value);
}

static void measure(const table_row *rows, size_t count, int widths[COLUMNS])
{
	for (size_t column = 0; column < COLUMNS; column++) {
		widths[column] = 0;
		for (size_t i = 0; i < count; i++)
			if ((int)strlen(rows[i][column]) > widths[column])
				widths[column] = (int)strlen(rows[i][column]);
	}
}

/* An array of lines; the last column, a sentence, is not padded. */
static void answer_table(struct console_call *call, const table_row *rows, size_t count)
{
	int widths[COLUMNS];
	char line[COLUMNS * (CELL_ROOM + 2)];

	measure(rows, count, widths);
	encode_array(call->out, count);
	for (size_t i = 0; i < count; i++) {
		size_t length = 0;

		for (size_t column = 0; column + 1 < COLUMNS; column++)
			length += (size_t)snprintf(line + length, sizeof(line) - length, "%-*s  ", widths[column],
						   rows[i][column]);
		snprintf(line + length, sizeof(line) - length, "%s", rows[i][COLUMNS - 1]);
		encode_status(call->out, line);
	}
}

/* ---- what is ---- */

static void run_ping(struct console_call *call)
{
	if (call->argc > 1)
		encode_bulk(call->out, call->argv[1]);
	else
		encode_status(call->out, "PONG");
}

static void run_info(struct console_call *call)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = alloc_checked(open_memstream(&text, &length));

	info_print(call->sources, call->argv + 1, call->argc - 1, out);
	fclose(out);
	encode_bulk(call->out, (struct slice){ text, length });
	free(text);
}

/* As a Redis master answers ROLE: its offset, then ip, port and acknowledged
 * offset of every replica that is online, all of these as text. */
static void run_role(struct console_call *call)
{
	const struct topology_view *view = topology_view(call->sources->topology);
	struct info_replica replica;
	char offset[32];
	size_t at = 0;

	if (view->master < 0) {
		answer_error(call, "NOMASTER %s", view->no_master_reason == NULL ? "no usable master" :
										    view->no_master_reason);
		return;
	}
	encode_array(call->out, 3);
	encode_bulk_text(call->out, "master");
	encode_integer(call->out, view->nodes[view->master].offset);
	encode_array(call->out, info_count_replicas(view, true));
	while (info_next_replica(view, true, &at, &replica)) {
		snprintf(offset, sizeof(offset), "%" PRId64, replica.offset);
		encode_array(call->out, 3);
		encode_bulk_text(call->out, replica.ip);
		encode_bulk_text(call->out, replica.port);
		encode_bulk_text(call->out, offset);
	}
}

static void describe_replica(const struct topology_node_view *node, table_row row)
{
	set_text(row[0], node->name);
	set_text(row[1], node->address);
	set_text(row[2], node->up ? "up" : "down");
	set_text(row[3], node->sync_in_progress == 1 ? "syncing" : node->link);
	set_integer(row[4], node->offset);
	set_integer(row[5], node->lag_bytes);
	set_ms(row[6], node->lag_ms);
	set_text(row[7], node->readable ? "yes" : "no");
	set_text(row[8], node->wiring != NULL ? node->wiring : node->reason);
}

static void run_replicas(struct console_call *call)
{
	static const char *const titles[COLUMNS] = { "name",      "address", "server",   "link",  "offset",
						     "lag_bytes", "lag_ms",  "readable", "reason" };
	const struct topology_view *view = topology_view(call->sources->topology);
	table_row *rows = alloc_zeroed(view->node_count + 1, sizeof(*rows));
	size_t count = 0;

	for (size_t column = 0; column < COLUMNS; column++)
		set_text(rows[count][column], titles[column]);
	count++;
	for (size_t i = 0; i < view->node_count; i++)
		if (!view->nodes[i].is_master)
			describe_replica(&view->nodes[i], rows[count++]);
	answer_table(call, (const table_row *)rows, count);
	free(rows);
}

/* ---- what changes something ---- */

static void drain(struct console_call *call, bool drained)
{
	char name[WORD_ROOM];

	copy_word(name, call->argv[1]);
	answer_outcome(call, topology_drain(call->sources->topology, name, drained));
}

static void run_drain(struct console_call *call)
{
	drain(call, true);
}

static void run_enable(struct console_call *call)
{
	drain(call, false);
}

static void run_accept(struct console_call *call)
{
	if (!slice_is(call->argv[1], "MASTER"))
		answer_error(call, "ERR expected ACCEPT MASTER");
	else
		answer_outcome(call, topology_accept_master(call->sources->topology));
}

/* ---- the connection ---- */

static void run_quit(struct console_call *call)
{
	encode_status(call->out, "OK");
	call->quit = true;
}

/* redis-cli and libraries introduce themselves; a console has no use for it. */
static void run_client(struct console_call *call)
{
	if (slice_is(call->argv[1], "SETNAME") || slice_is(call->argv[1], "SETINFO"))
		encode_status(call->out, "OK");
	else
		answer_error(call, "ERR the console knows CLIENT SETNAME and CLIENT SETINFO only");
}

static void run_hello(struct console_call *call)
{
	if (call->argc > 1 && !slice_is(call->argv[1], "2")) {
		answer_error(call, "NOPROTO the console speaks RESP2");
		return;
	}
	encode_map(call->out, 4, 2);
	encode_bulk_text(call->out, "server");
	encode_bulk_text(call->out, "weir");
	encode_bulk_text(call->out, "version");
	encode_bulk_text(call->out, WEIR_VERSION);
	encode_bulk_text(call->out, "proto");
	encode_integer(call->out, 2);
	encode_bulk_text(call->out, "mode");
	encode_bulk_text(call->out, "console");
}

/* redis-cli asks for the commands when it starts; an empty list contents it. */
static void run_command(struct console_call *call)
{
	encode_array(call->out, 0);
}

static void run_help(struct console_call *call);

/* ---- the table ---- */

static const struct verb verbs[] = {
	{ "PING", 0, 1, run_ping, "PING [message]", "answers PONG, or the message" },
	{ "INFO", 0, ANY_ARGS, run_info, "INFO [section ...]", "server, clients, stats, replication" },
	{ "ROLE", 0, 0, run_role, "ROLE", "the master's offset and its replicas, as Redis says it" },
	{ "REPLICAS", 0, 0, run_replicas, "REPLICAS", "every replica: link, offset, lag, and why it serves no reads" },
	{ "DRAIN", 1, 1, run_drain, "DRAIN <server>", "sends no more reads to this replica" },
	{ "ENABLE", 1, 1, run_enable, "ENABLE <server>", "ends DRAIN" },
	{ "ACCEPT", 1, 1, run_accept, "ACCEPT MASTER", "accepts a master that came back with other data or with none" },
	{ "HELP", 0, ANY_ARGS, run_help, "HELP", "this list; redis-cli keeps HELP for itself, use VERBS there" },
	{ "VERBS", 0, ANY_ARGS, run_help, "VERBS", "this list" },
	{ "QUIT", 0, ANY_ARGS, run_quit, "QUIT", "closes the connection" },
	{ "CLIENT", 1, ANY_ARGS, run_client, "CLIENT SETNAME|SETINFO ...", NULL },
	{ "COMMAND", 0, ANY_ARGS, run_command, "COMMAND", NULL },
	{ "HELLO", 0, ANY_ARGS, run_hello, "HELLO [2]", NULL },
};

enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static const struct verb *find_verb(struct slice name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (slice_is(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static const struct verb *nearest_verb(const char *name)
{
	const struct verb *nearest = &verbs[0];

	for (size_t i = 1; i < VERB_COUNT; i++)
		if (verbs[i].help != NULL &&
		    spelling_distance(verbs[i].name, name) < spelling_distance(nearest->name, name))
			nearest = &verbs[i];
	return nearest;
}

static size_t count_helped(void)
{
	size_t count = 0;

	for (size_t i = 0; i < VERB_COUNT; i++)
		count += verbs[i].help != NULL;
	return count;
}

static void run_help(struct console_call *call)
{
	char line[256];

	encode_array(call->out, count_helped());
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].help == NULL)
			continue;
		snprintf(line, sizeof(line), "%-18s  %s", verbs[i].usage, verbs[i].help);
		encode_status(call->out, line);
	}
}

void console_run(struct console_call *call)
{
	const struct verb *verb = find_verb(call->argv[0]);
	size_t args = call->argc - 1;
	char name[WORD_ROOM];

	if (verb == NULL) {
		copy_word(name, call->argv[0]);
		answer_error(call, "ERR unknown command '%s', did you mean %s? VERBS lists them all", name,
			     nearest_verb(name)->name);
	} else if (args < (size_t)verb->least_args ||
		   (verb->most_args != ANY_ARGS && args > (size_t)verb->most_args)) {
		answer_error(call, "ERR wrong number of arguments, expected %s", verb->usage);
	} else {
		verb->run(call);
	}
}
