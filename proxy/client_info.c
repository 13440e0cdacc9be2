#include "client_info.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "../protocol/command.h"
#include "../protocol/resp.h"
#include "clock.h"
#include "worker.h"

enum { ROOM_AT_FIRST = 512 };

struct client_command client_command_of(const char *request)
{
	struct client_command command = { 0 };
	struct resp_args args;
	struct slice arg;

	resp_args_begin(&args, request);
	while (resp_args_next(&args, &arg))
		command.argument_bytes += arg.length;
	command.bytes = (size_t)(args.at - request);
	return command;
}

static enum client_type type_of(const struct session *session)
{
	if (session->bonds.replicating)
		return CLIENT_REPLICA;
	return session_is_subscribed(session) ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

static int64_t seconds_since(int64_t ns)
{
	int64_t seconds = (clock_ns() - ns) / CLOCK_NS_PER_S;

	return seconds > 0 ? seconds : 0;
}

struct client_traits client_traits_of(struct client *client)
{
	return (struct client_traits){
		.id = (int64_t)client->session.id,
		.address = client_peer(client),
		.local_address = client_local(client),
		.user = client->session.identity->user,
		.age_seconds = seconds_since(client->connected_ns),
		.type = type_of(&client->session),
	};
}

/* Redis' letters, in its order; some of its states no client of weir is in. */
static void flag_letters(struct client *client, char letters[16])
{
	const struct session *session = &client->session;
	const struct {
		bool is_set;
		char letter;
	} flags[] = {
		{ session->bonds.replicating, 'S' },
		{ session->bonds.monitoring, 'O' },
		{ session_is_subscribed(session), 'P' },
		{ session->in_multi, 'x' },
		{ session->pin == PIN_SINGLE || client->stall == STALL_PAUSE || client->wait.since_ns != 0, 'b' },
		{ session->bonds.tracking, 't' },
		{ session->broadcasts, 'B' },
		{ client->close_after_flush, 'c' },
		{ client_is_local(client), 'U' },
		{ session->no_evict, 'e' },
		{ session->no_touch, 'T' },
	};
	char *at = letters;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].is_set)
			*at++ = flags[i].letter;
	if (at == letters)
		*at++ = 'N';
	*at = '\0';
}

static const char *command_name(const struct client *client)
{
	const struct command_table *table = client->worker->commands;

	if (client->last_command == 0 || client->last_command >= command_table_count(table))
		return "NULL";
	return command_table_at(table, client->last_command)->name;
}

__attribute__((format(printf, 2, 3))) static void append(struct buf *out, const char *format, ...)
{
	va_list args, again;
	size_t length;

	va_start(args, format);
	va_copy(again, args);
	length = (size_t)vsnprintf(buf_reserve(out, ROOM_AT_FIRST), ROOM_AT_FIRST, format, args);
	if (length >= ROOM_AT_FIRST) /* a very long name */
		vsnprintf(buf_reserve(out, length + 1), length + 1, format, again);
	buf_produced(out, length);
	va_end(again);
	va_end(args);
}

/* Since Redis 7.2; a client that has set it is shown with it in any case. */
static void append_library(const struct client *client, struct buf *out)
{
	const struct session *session = &client->session;
	const struct command *setinfo =
		command_find(client->worker->commands, slice_of("client"), slice_of("setinfo"));

	if (setinfo->learned || session->library_name != NULL || session->library_version != NULL)
		append(out, " lib-name=%s lib-ver=%s", session->library_name ? session->library_name : "",
		       session->library_version ? session->library_version : "");
}

void client_info_line(struct client *client, const struct client_command *command, struct buf *out)
{
	const struct session *session = &client->session;
	size_t query = buf_length(&client->in) + (command != NULL ? command->bytes : 0);
	int events = conn_watched(&client->conn);
	char flags[16];

	flag_letters(client, flags);
	append(out, "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRId64 " idle=%" PRId64 " flags=%s db=%u",
	       session->id, client_peer(client), client_local(client), conn_fd(&client->conn),
	       session->name ? session->name : "", seconds_since(client->connected_ns),
	       seconds_since(client->active_ns), flags, session->db);
	append(out, " sub=%u psub=%u ssub=%u multi=%" PRId64 " qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=0",
	       session->bonds.channels, session->bonds.patterns, session->bonds.shard_channels,
	       session->in_multi ? (int64_t)session->queued : -1, query,
	       client->in.capacity - buf_length(&client->in), command != NULL ? command->argument_bytes : 0);
	append(out, " rbs=0 rbp=0 obl=0 oll=%d omem=%zu tot-mem=%zu events=%s%s cmd=%s user=%.*s redir=%" PRId64 " resp=%d",
	       buf_length(&client->out) > 0, client->out.capacity,
	       sizeof(*client) + client->in.capacity + client->out.capacity, events & EV_READ ? "r" : "",
	       events & EV_WRITE ? "w" : "", command_name(client), (int)session->identity->user.length,
	       session->identity->user.bytes, session->bonds.tracking ? (int64_t)session->redirect_id : -1, session->resp);
	append_library(client, out);
	append(out, "\n");
}
