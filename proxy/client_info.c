/* CLIENT LIST over several workers: a gathering travels from worker to worker
 * as a mail, each appends its clients' lines, and the last one sends it home.
 * Nobody waits and nothing is locked. */
#include "client_info.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../protocol/alloc.h"
#include "../protocol/command.h"
#include "../protocol/encode.h"
#include "backend.h"
#include "clock.h"
#include "dispatch.h"
#include "worker.h"

enum { FILTER_IDS_MAX = 64 };

struct gathering {
	struct mail mail;
	struct worker *home;
	uint64_t client_id;  /* who asked; may be gone when it comes home */
	unsigned next;       /* worker to visit next */
	bool only_pubsub;
	bool only_none;      /* TYPE master or replica: weir has none of those */
	size_t id_count;     /* 0: all */
	uint64_t ids[FILTER_IDS_MAX];
	struct buf lines;
};

static const char *flags_of(const struct client *client)
{
	const struct session *session = &client->session;

	if (session->pin == PIN_STREAM)
		return "P";
	if (session->in_multi)
		return "x";
	return session->pin == PIN_SINGLE ? "b" : "N";
}

static void command_name(const struct client *client, char *name, size_t room)
{
	const struct command_table *table = client->worker->commands;

	snprintf(name, room, "%s",
		 client->last_command > 0 && client->last_command < command_table_count(table)
			 ? command_table_at(table, client->last_command)->name
			 : "NULL");
}

__attribute__((format(printf, 2, 3))) static void append(struct buf *out, const char *format, ...)
{
	va_list args, again;
	int length;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	vsnprintf(buf_reserve(out, (size_t)length + 1), (size_t)length + 1, format, again);
	buf_produced(out, (size_t)length);
	va_end(again);
	va_end(args);
}

void client_info_line(struct client *client, struct buf *out)
{
	const struct session *session = &client->session;
	int64_t now_ns = clock_ns();
	char name[64];

	command_name(client, name, sizeof(name));
	append(out,
		 "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRId64 " idle=%" PRId64
		 " flags=%s db=%u sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=0 rbs=0 "
		 "rbp=0 obl=0 oll=0 omem=%zu tot-mem=%zu events=r cmd=%s user=%.*s redir=-1 resp=%d",
		 session->id, client_peer(client), client_local(client), conn_fd(&client->conn),
		 session->name ? session->name : "", (now_ns - client->connected_ns) / 1000000000,
		 (now_ns - client->active_ns) / 1000000000, flags_of(client), session->db, session->in_multi ? 0 : -1,
		 buf_length(&client->in), client->in.capacity - buf_length(&client->in), client->out.capacity,
		 sizeof(*client) + client->in.capacity + client->out.capacity, name,
		 (int)session->identity->user.length, session->identity->user.bytes, session->resp);
	if (session->library_name != NULL || session->library_version != NULL)
		append(out, " lib-name=%s lib-ver=%s", session->library_name ? session->library_name : "",
		       session->library_version ? session->library_version : "");
	append(out, "\n");
}

/* ---- filters ---- */

static bool parse_id(struct slice text, uint64_t *id)
{
	*id = 0;
	if (text.length == 0 || text.length > 18)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		*id = *id * 10 + (uint64_t)(text.bytes[i] - '0');
	}
	return *id > 0;
}

static const char *parse_ids(struct gathering *gathering, struct resp_args *args)
{
	struct slice arg;

	while (resp_args_next(args, &arg)) {
		if (gathering->id_count == FILTER_IDS_MAX || !parse_id(arg, &gathering->ids[gathering->id_count++]))
			return "ERR Invalid client ID";
	}
	return gathering->id_count > 0 ? NULL : "ERR syntax error";
}

static const char *parse_type(struct gathering *gathering, struct resp_args *args)
{
	struct slice type, more;
	static _Thread_local char error[96];

	if (!resp_args_next(args, &type) || resp_args_next(args, &more))
		return "ERR syntax error";
	if (slice_is(type, "normal"))
		return NULL;
	if (slice_is(type, "pubsub")) {
		gathering->only_pubsub = true;
		return NULL;
	}
	if (slice_is(type, "master") || slice_is(type, "replica") || slice_is(type, "slave")) {
		gathering->only_none = true;
		return NULL;
	}
	snprintf(error, sizeof(error), "ERR Unknown client type '%.*s'", (int)(type.length < 32 ? type.length : 32),
		 type.bytes);
	return error;
}

static const char *parse_filters(struct gathering *gathering, const char *request)
{
	struct resp_args args;
	struct slice arg;

	resp_args_begin(&args, request);
	resp_args_next(&args, &arg); /* CLIENT */
	resp_args_next(&args, &arg); /* LIST */
	if (!resp_args_next(&args, &arg))
		return NULL;
	if (slice_is(arg, "type"))
		return parse_type(gathering, &args);
	if (slice_is(arg, "id"))
		return parse_ids(gathering, &args);
	return "ERR syntax error";
}

static bool is_wanted(const struct gathering *gathering, const struct client *client)
{
	if (gathering->only_none || (gathering->only_pubsub && client->session.pin != PIN_STREAM))
		return false;
	for (size_t i = 0; i < gathering->id_count; i++)
		if (gathering->ids[i] == client->session.id)
			return true;
	return gathering->id_count == 0;
}

/* ---- the journey ---- */

static struct client *find_client(struct worker *worker, uint64_t id)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (client->session.id == id)
			return client;
	}
	return NULL;
}

static void come_home(void *receiver, struct mail *mail)
{
	struct gathering *gathering = CONTAINER_OF(mail, struct gathering, mail);
	struct client *client = find_client(receiver, gathering->client_id);
	struct buf reply = { 0 };

	if (client != NULL) {
		encode_verbatim(&reply, buf_slice(&gathering->lines), client->session.resp);
		dispatch_answer(client, buf_slice(&reply));
		buf_free(&reply);
		client_wake(client);
	}
	buf_free(&gathering->lines);
	free(gathering);
}

static void visit(void *receiver, struct mail *mail);

static void travel_on(struct gathering *gathering)
{
	const struct worker_shared *shared = gathering->home->shared;
	struct worker *next = gathering->home;

	gathering->mail.open = come_home;
	if (gathering->next < shared->worker_count) {
		next = shared->workers[gathering->next++];
		gathering->mail.open = visit;
	}
	mailbox_post(&next->mailbox, &gathering->mail);
}

static void visit(void *receiver, struct mail *mail)
{
	struct gathering *gathering = CONTAINER_OF(mail, struct gathering, mail);
	struct worker *worker = receiver;
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (is_wanted(gathering, client))
			client_info_line(client, &gathering->lines);
	}
	travel_on(gathering);
}

bool client_info_list(struct client *client, const char *request, const char **error)
{
	struct gathering *gathering = alloc_zeroed(1, sizeof(*gathering));

	*error = parse_filters(gathering, request);
	if (*error != NULL) {
		free(gathering);
		return false;
	}
	gathering->home = client->worker;
	gathering->client_id = client->session.id;
	client->stall = STALL_EVENT;
	travel_on(gathering);
	return true;
}
