#include "slowlog.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "../clock.h"

struct slowlog {
	struct slow_command *ring[SLOWLOG_ENTRIES_MAX];
	size_t newest, count;
	uint64_t last_id;
};

void slow_command_free(struct slow_command *command)
{
	buf_free(&command->arguments);
	free(command);
}

/* ---- arguments ---- */

enum secrecy {
	SECRET_FROM,    /* everything from argument `from` on */
	SECRET_BEHIND,  /* everything behind the word AUTH or AUTH2 */
	SECRET_VALUES,  /* from `from` on, values of names that speak of passwords */
};

static const struct secret {
	const char *name, *sub;
	enum secrecy secrecy;
	size_t from;
} secrets[] = {
	{ "AUTH", NULL, SECRET_FROM, 1 },      { "HELLO", NULL, SECRET_BEHIND, 1 },
	{ "ACL", "SETUSER", SECRET_FROM, 3 },  { "CONFIG", "SET", SECRET_VALUES, 2 },
	{ "MIGRATE", NULL, SECRET_BEHIND, 1 }, { "SENTINEL", "SET", SECRET_VALUES, 3 },
};

static const struct secret *find_secret(struct slice name, struct slice sub)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (slice_is(name, secrets[i].name) && (secrets[i].sub == NULL || slice_is(sub, secrets[i].sub)))
			return &secrets[i];
	return NULL;
}

/* As a configuration calls what nobody shall read: requirepass, masterauth,
 * tls-key-file-pass, auth-pass. */
static bool speaks_of_passwords(struct slice name)
{
	for (size_t i = 0; i + 4 <= name.length; i++)
		if (strncasecmp(name.bytes + i, "pass", 4) == 0 || strncasecmp(name.bytes + i, "auth", 4) == 0)
			return true;
	return false;
}

/* What goes from one argument of a command to the next. */
struct reading {
	const struct secret *secret;
	struct slice before; /* the argument before this one */
	bool hidden;         /* all that follows */
};

static bool is_secret(struct reading *reading, size_t number, struct slice arg)
{
	const struct secret *secret = reading->secret;
	bool hidden = reading->hidden;

	if (secret == NULL)
		return false;
	switch (secret->secrecy) {
	case SECRET_FROM:
		hidden = number >= secret->from;
		break;
	case SECRET_BEHIND:
		reading->hidden = hidden || slice_is(arg, "AUTH") || slice_is(arg, "AUTH2");
		break;
	case SECRET_VALUES:
		hidden = number > secret->from && (number - secret->from) % 2 == 1 && speaks_of_passwords(reading->before);
		break;
	}
	reading->before = arg;
	return hidden;
}

static void append_cut(struct buf *out, struct slice arg)
{
	char text[SLOWLOG_ARG_BYTES_MAX + 64];

	if (arg.length <= SLOWLOG_ARG_BYTES_MAX) {
		encode_bulk(out, arg);
		return;
	}
	memcpy(text, arg.bytes, SLOWLOG_ARG_BYTES_MAX);
	snprintf(text + SLOWLOG_ARG_BYTES_MAX, sizeof(text) - SLOWLOG_ARG_BYTES_MAX, "... (%zu more bytes)",
		 arg.length - SLOWLOG_ARG_BYTES_MAX);
	encode_bulk(out, (struct slice){ text, SLOWLOG_ARG_BYTES_MAX + strlen(text + SLOWLOG_ARG_BYTES_MAX) });
}

static void append_rest(struct buf *out, size_t more)
{
	char text[64];

	snprintf(text, sizeof(text), "... (%zu more arguments)", more);
	encode_bulk_text(out, text);
}

static struct reading begin_reading(const char *request)
{
	struct reading reading = { .secret = NULL };
	struct slice name = slice_of(""), sub = slice_of("");
	struct resp_args args;

	resp_args_begin(&args, request);
	if (resp_args_next(&args, &name))
		resp_args_next(&args, &sub);
	reading.secret = find_secret(name, sub);
	return reading;
}

void slow_command_arguments(const char *request, struct buf *out)
{
	struct reading reading = begin_reading(request);
	struct resp_args args;
	struct slice arg;
	size_t count, shown;

	resp_args_begin(&args, request);
	count = (size_t)args.left;
	shown = count <= SLOWLOG_ARGS_MAX ? count : SLOWLOG_ARGS_MAX - 1;
	encode_array(out, count <= SLOWLOG_ARGS_MAX ? count : SLOWLOG_ARGS_MAX);
	for (size_t i = 0; i < shown && resp_args_next(&args, &arg); i++)
		append_cut(out, is_secret(&reading, i, arg) ? slice_of("(redacted)") : arg);
	if (shown < count)
		append_rest(out, count - shown);
}

/* ---- the ring ---- */

struct slowlog *slowlog_create(void)
{
	return alloc_zeroed(1, sizeof(struct slowlog));
}

void slowlog_destroy(struct slowlog **slowlog)
{
	slowlog_reset(*slowlog);
	free(*slowlog);
	*slowlog = NULL;
}

void slowlog_add(struct slowlog *slowlog, struct slow_command *command)
{
	command->id = slowlog->last_id++;
	command->ended_ms = clock_unix_ms();
	slowlog->newest = (slowlog->newest + 1) % SLOWLOG_ENTRIES_MAX;
	if (slowlog->count == SLOWLOG_ENTRIES_MAX)
		slow_command_free(slowlog->ring[slowlog->newest]);
	else
		slowlog->count++;
	slowlog->ring[slowlog->newest] = command;
}

size_t slowlog_length(const struct slowlog *slowlog)
{
	return slowlog->count;
}

const struct slow_command *slowlog_at(const struct slowlog *slowlog, size_t number)
{
	return slowlog->ring[(slowlog->newest + SLOWLOG_ENTRIES_MAX - number) % SLOWLOG_ENTRIES_MAX];
}

void slowlog_reset(struct slowlog *slowlog)
{
	for (size_t i = 0; i < slowlog->count; i++)
		slow_command_free(slowlog->ring[(slowlog->newest + SLOWLOG_ENTRIES_MAX - i) % SLOWLOG_ENTRIES_MAX]);
	slowlog->count = 0;
}
