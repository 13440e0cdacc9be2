#include "client_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/command.h"
#include "../../protocol/resp.h"
#include "../../protocol/server_words.h"
#include "../clock.h"
#include "../local/local.h"
#include "../worker/worker.h"

struct client_command client_command_of(const struct client *client, const char *request)
{
	struct client_command command = { .in_exec = local_is_in_exec(&client->session) };
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
static const char *flag_letters(struct client *client, bool in_multi, char letters[16])
{
	const struct session *session = &client->session;
	const struct {
		bool is_set;
		char letter;
	} flags[] = {
		{ session->bonds.replicating, 'S' },
		{ session->bonds.monitoring, 'O' },
		{ session_is_subscribed(session), 'P' },
		{ in_multi, 'x' },
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
	return letters;
}

static const char *command_name(const struct client *client)
{
	const struct command_table *table = client->worker->commands;

	if (client->last_command == 0 || client->last_command >= command_table_count(table))
		return "NULL";
	return command_table_at(table, client->last_command)->name;
}

/* ---- a line ---- */

struct field_value {
	const char *text;   /* NULL: it is the number */
	size_t length;
	int64_t number;
};

static struct field_value number(int64_t n)
{
	return (struct field_value){ .number = n };
}

static struct field_value text(const char *bytes)
{
	return (struct field_value){ .text = bytes != NULL ? bytes : "", .length = bytes != NULL ? strlen(bytes) : 0 };
}

static struct field_value view(struct slice slice)
{
	return (struct field_value){ .text = slice.length > 0 ? slice.bytes : "", .length = slice.length };
}

static const char *event_letters(int events)
{
	static const char *const letters[] = { "", "r", "w", "rw" };

	return letters[((events & EV_READ) != 0) + 2 * ((events & EV_WRITE) != 0)];
}

/* What is in flight has not been executed. */
static int64_t executed(const struct client *client)
{
	return client->commands > client->in_flight ? (int64_t)(client->commands - client->in_flight) : 0;
}

static void append_value(struct buf *out, const struct field_value *value)
{
	char digits[24];

	if (value->text != NULL)
		buf_append(out, value->text, value->length);
	else
		buf_append(out, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value->number));
}

static void append_field(struct buf *out, enum client_field field, const struct field_value *value)
{
	buf_append_text(out, client_field_name(field));
	buf_append(out, "=", 1);
	append_value(out, value);
}

/* In the server's order; weir does not know of every field what it means, such
 * a one is shown as of a client that has done nothing. */
static void append_fields(const struct server_words *words, const struct field_value *values, struct buf *out)
{
	for (size_t i = 0; i < words->field_count; i++) {
		const struct server_field *field = &words->fields[i];

		if (i > 0)
			buf_append(out, " ", 1);
		if (field->field == CLIENT_FIELD_OTHER)
			buf_append_text(out, field->text);
		else
			append_field(out, field->field, &values[field->field]);
	}
}

/* Before the server was asked. */
static void append_builtin_fields(const struct field_value *values, struct buf *out)
{
	for (int field = CLIENT_FIELD_OTHER + 1; field <= CLIENT_FIELD_LAST_BUILTIN; field++) {
		if (field > CLIENT_FIELD_OTHER + 1)
			buf_append(out, " ", 1);
		append_field(out, (enum client_field)field, &values[field]);
	}
}

void client_info_line(struct client *client, const struct client_command *command, struct buf *out)
{
	const struct session *session = &client->session;
	const struct session_bonds *bonds = &session->bonds;
	const struct server_words *words = command_table_words(client->worker->commands);
	bool in_multi = session->in_multi || (command != NULL && command->in_exec);
	char flags[16];
	const struct field_value values[CLIENT_FIELD_COUNT] = {
		[CLIENT_FIELD_ID] = number((int64_t)session->id),
		[CLIENT_FIELD_ADDR] = text(client_peer(client)),
		[CLIENT_FIELD_LADDR] = text(client_local(client)),
		[CLIENT_FIELD_FD] = number(conn_fd(&client->conn)),
		[CLIENT_FIELD_NAME] = text(session->name),
		[CLIENT_FIELD_AGE] = number(seconds_since(client->connected_ns)),
		[CLIENT_FIELD_IDLE] = number(seconds_since(client->active_ns)),
		[CLIENT_FIELD_FLAGS] = text(flag_letters(client, in_multi, flags)),
		[CLIENT_FIELD_DB] = number(session->db),
		[CLIENT_FIELD_SUB] = number(bonds->channels),
		[CLIENT_FIELD_PSUB] = number(bonds->patterns),
		[CLIENT_FIELD_SSUB] = number(bonds->shard_channels),
		[CLIENT_FIELD_MULTI] = number(in_multi ? (int64_t)session->queued : -1),
		[CLIENT_FIELD_WATCH] = number(session->watched),
		[CLIENT_FIELD_QBUF] = number((int64_t)(buf_length(&client->in) + (command != NULL ? command->bytes : 0))),
		[CLIENT_FIELD_QBUF_FREE] = number((int64_t)(client->in.capacity - buf_length(&client->in))),
		[CLIENT_FIELD_ARGV_MEM] = number(command != NULL ? (int64_t)command->argument_bytes : 0),
		[CLIENT_FIELD_OLL] = number(buf_length(&client->out) > 0),
		[CLIENT_FIELD_OMEM] = number((int64_t)client->out.capacity),
		[CLIENT_FIELD_TOT_MEM] = number((int64_t)(sizeof(*client) + client->in.capacity + client->out.capacity)),
		[CLIENT_FIELD_EVENTS] = text(event_letters(conn_watched(&client->conn))),
		[CLIENT_FIELD_CMD] = text(command_name(client)),
		[CLIENT_FIELD_USER] = view(session->identity->user),
		[CLIENT_FIELD_REDIR] = number(bonds->tracking ? (int64_t)session->redirect_id : -1),
		[CLIENT_FIELD_RESP] = number(session->resp),
		[CLIENT_FIELD_LIB_NAME] = text(session->library_name),
		[CLIENT_FIELD_LIB_VER] = text(session->library_version),
		[CLIENT_FIELD_TOT_NET_IN] = number((int64_t)client->bytes_in),
		[CLIENT_FIELD_TOT_NET_OUT] = number((int64_t)client->bytes_out),
		[CLIENT_FIELD_TOT_CMDS] = number(executed(client)),
	};

	if (words->field_count > 0)
		append_fields(words, values, out);
	else
		append_builtin_fields(values, out);
	buf_append(out, "\n", 1);
}
