/* What the console asks the workers: who the clients are, what the connections to
 * the servers do; and what it tells them to close. Answers come later. */
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "admin.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../client/client_filter.h"
#include "../client/client_info.h"
#include "console_parts.h"
#include "../control/inquiry.h"
#include "../list.h"
#include "../worker/worker.h"

/* One question and whose answer it will be. */
struct question {
	struct inquiry inquiry;
	struct console_ticket *ticket;
	struct buf lines;             /* CLIENT LIST */
	size_t count;                 /* of them; of the clients that were killed */
	struct console_table *table;  /* CLIENTS, BACKENDS */
	struct client_filter filter;  /* CLIENT LIST, CLIENT KILL */
};

static struct question *ask(struct console_call *call, void (*visit)(struct inquiry *inquiry, struct worker *worker),
			    void (*come_home)(struct inquiry *inquiry))
{
	struct question *question = alloc_zeroed(1, sizeof(*question));

	call->ticket = question->ticket = alloc_zeroed(1, sizeof(*question->ticket));
	question->inquiry.visit = visit;
	question->inquiry.come_home = come_home;
	return question;
}

static struct question *of(struct inquiry *inquiry)
{
	return CONTAINER_OF(inquiry, struct question, inquiry);
}

static void finish(struct question *question, struct buf *reply)
{
	console_ticket_answer(question->ticket, buf_slice(reply));
	buf_free(reply);
	buf_free(&question->lines);
	free(question);
}

static void bring_table(struct inquiry *inquiry)
{
	struct buf reply = { 0 };

	console_table_end(of(inquiry)->table, &reply);
	finish(of(inquiry), &reply);
}

/* ---- CLIENTS ---- */

static const char *command_name(const struct client *client)
{
	const struct command_table *table = client->worker->commands;

	if (client->last_command == 0 || client->last_command >= command_table_count(table))
		return NULL;
	return command_table_at(table, client->last_command)->name;
}

static void describe_client(struct console_table *table, struct client *client)
{
	static const char *const consistencies[] = {
		[CONSISTENCY_EVENTUAL] = "eventual", [CONSISTENCY_SESSION] = "session", [CONSISTENCY_STRONG] = "strong" };
	struct client_traits traits = client_traits_of(client);
	const struct session *session = &client->session;

	console_table_row(table);
	console_table_integer(table, traits.id);
	console_table_text(table, traits.address);
	console_table_slice(table, traits.user);
	console_table_text(table, session->name);
	console_table_integer(table, traits.age_seconds);
	console_table_integer(table, session->db);
	console_table_text(table, consistencies[session->consistency]);
	console_table_text(table, session->pinned != NULL ? "own" : "shared");
	console_table_integer(table, client->in_flight);
	console_table_text(table, command_name(client));
}

static void visit_clients(struct inquiry *inquiry, struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following)
		describe_client(of(inquiry)->table, CONTAINER_OF(link, struct client, of_worker));
}

void console_clients(struct console_call *call)
{
	static const char *const titles[] = { "id", "address",     "user",       "name",      "age", "db",
					      "consistency", "connection", "in_flight", "command", NULL };
	struct question *question = ask(call, visit_clients, bring_table);

	question->table = console_table_begin(titles);
	inquiry_send(&question->inquiry, call->sources->workers);
}

/* ---- BACKENDS ---- */

static const char *const kinds[] = { [BACKEND_SHARED] = "shared",   [BACKEND_SCRIPT] = "script",
				     [BACKEND_CHECKER] = "checker", [BACKEND_PRIVATE] = "private" };
static const char *const states[] = { [BACKEND_IDLE] = "idle",           [BACKEND_CONNECTING] = "connecting",
				      [BACKEND_PROVING] = "proving",     [BACKEND_HANDSHAKE] = "handshake",
				      [BACKEND_READY] = "ready" };

static void describe_backend(struct console_table *table, const struct worker *worker, const struct backend *backend)
{
	const struct snapshot_node *node =
		backend->has_target && worker->snapshot != NULL ? worker_node(worker, backend->node_id) : NULL;

	console_table_row(table);
	console_table_integer(table, worker->index);
	console_table_text(table, node == NULL ? NULL : node->name);
	console_table_text(table, kinds[backend->key.kind]);
	console_table_text(table, states[backend->state]);
	console_table_slice(table, backend->key.identity->user);
	console_table_integer(table, backend->key.db);
	console_table_integer(table, backend->key.resp);
	console_table_integer(table, backend->outstanding);
	console_table_integer(table, (int64_t)buf_length(&backend->stream));
	console_table_integer(table, backend->owner == NULL ? -1 : (int64_t)backend->owner->session.id);
}

static void visit_backends(struct inquiry *inquiry, struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->backends, link, following)
		describe_backend(of(inquiry)->table, worker, CONTAINER_OF(link, struct backend, of_worker));
}

void console_backends(struct console_call *call)
{
	static const char *const titles[] = { "worker", "server", "kind",        "state", "user",  "db",
					      "resp",   "outstanding", "bytes", "client", NULL };
	struct question *question = ask(call, visit_backends, bring_table);

	question->table = console_table_begin(titles);
	inquiry_send(&question->inquiry, call->sources->workers);
}

/* ---- CLIENT LIST ---- */

static void visit_list(struct inquiry *inquiry, struct worker *worker)
{
	struct question *question = of(inquiry);
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);
		struct client_traits traits = client_traits_of(client);

		if (client_filter_matches(&question->filter, &traits))
			client_info_line(client, NULL, &question->lines);
	}
}

static void bring_list(struct inquiry *inquiry)
{
	struct question *question = of(inquiry);
	struct buf reply = { 0 };

	encode_bulk(&reply, buf_slice(&question->lines));
	client_filter_free(&question->filter);
	finish(question, &reply);
}

/* The filters are those of a request as clients send it. */
static bool parse_filter(struct console_call *call, bool (*parse)(struct client_filter *filter, const char *request),
			 struct client_filter *filter)
{
	struct buf request = { 0 };
	bool parsed;

	encode_request(&request, call->argc, call->argv);
	parsed = parse(filter, buf_head(&request));
	buf_free(&request);
	if (!parsed)
		console_error(call, "ERR syntax error");
	return parsed;
}

void console_client_list(struct console_call *call)
{
	struct client_filter filter;
	struct question *question;

	if (!parse_filter(call, client_filter_parse_list, &filter))
		return;
	question = ask(call, visit_list, bring_list);
	question->filter = filter;
	inquiry_send(&question->inquiry, call->sources->workers);
}

/* ---- CLIENT KILL ---- */

static void visit_kill(struct inquiry *inquiry, struct worker *worker)
{
	struct question *question = of(inquiry);
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);
		struct client_traits traits = client_traits_of(client);

		if (!client_filter_matches(&question->filter, &traits))
			continue;
		question->count++;
		client_close(client, CLOSE_killed);
	}
}

static void bring_kill(struct inquiry *inquiry)
{
	struct question *question = of(inquiry);
	struct buf reply = { 0 };

	if (!question->filter.is_address_alone)
		encode_integer(&reply, (int64_t)question->count);
	else if (question->count > 0)
		encode_status(&reply, "OK");
	else
		encode_error(&reply, "ERR No such client");
	client_filter_free(&question->filter);
	finish(question, &reply);
}

void console_client_kill(struct console_call *call)
{
	struct client_filter filter;
	struct question *question;

	if (!parse_filter(call, client_filter_parse_kill, &filter))
		return;
	question = ask(call, visit_kill, bring_kill);
	question->filter = filter;
	inquiry_send(&question->inquiry, call->sources->workers);
}
