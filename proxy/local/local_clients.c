/* CLIENT LIST and KILL: what one client may say about all of them, on whatever
 * worker they are. An errand goes round and looks. */
#include "local_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../client/client_filter.h"
#include "../client/client_info.h"
#include "../worker/errand.h"
#include "../worker/worker.h"

bool local_speaks_of_others(const struct parsed_command *parsed)
{
	switch (parsed->command->special) {
	case SPECIAL_CLIENT_LIST:
	case SPECIAL_CLIENT_KILL:
	case SPECIAL_CLIENT_PAUSE:
	case SPECIAL_CLIENT_UNPAUSE:
	case SPECIAL_CLIENT_UNBLOCK:
		return true;
	default:
		return false;
	}
}

static enum local_outcome answer_syntax_error(struct buf *reply)
{
	encode_error(reply, "ERR syntax error");
	return OUTCOME_REPLACED;
}

/* ---- LIST ---- */

enum { BY_ID_MAX_BYTES = 64 * 1024 * 1024 };

struct roll_call {
	struct errand errand;
	struct client_filter filter;
	struct client_command command; /* of the client that asks */
	struct buf lines;              /* a row, then its text, each */
};

struct row {
	int64_t id;
	size_t length;
	const char *text;              /* once they are at home */
};

static void add_row(struct roll_call *call, struct client *client)
{
	bool asks = client->session.id == call->errand.client_id;
	struct buf line = { 0 };
	struct row row = { .id = (int64_t)client->session.id };

	client_info_line(client, asks ? &call->command : NULL, &line);
	row.length = buf_length(&line);
	buf_append(&call->lines, &row, sizeof(row));
	buf_append(&call->lines, buf_head(&line), row.length);
	buf_free(&line);
}

static bool call_roll(struct errand *errand, struct worker *worker)
{
	struct roll_call *call = CONTAINER_OF(errand, struct roll_call, errand);
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);
		struct client_traits traits = client_traits_of(client);

		if (client_filter_matches(&call->filter, &traits))
			add_row(call, client);
	}
	return true;
}

static int compare_rows(const void *a, const void *b)
{
	int64_t first = ((const struct row *)a)->id, second = ((const struct row *)b)->id;

	return (first > second) - (first < second);
}

/* In the order in which they came to weir, as Redis shows them. */
static struct row *sorted_rows(struct buf *lines, size_t *count)
{
	struct row *rows = NULL;
	size_t room = 0;

	*count = 0;
	while (buf_length(lines) > 0) {
		if (*count == room)
			rows = alloc_resized(rows, (room = room * 2 + 16) * sizeof(*rows));
		memcpy(&rows[*count], buf_head(lines), sizeof(*rows));
		buf_consume(lines, sizeof(*rows));
		rows[*count].text = buf_head(lines);
		buf_consume(lines, rows[(*count)++].length);
	}
	if (*count > 0)
		qsort(rows, *count, sizeof(*rows), compare_rows);
	return rows;
}

static void append_row(struct buf *text, const struct row *row)
{
	if (row != NULL)
		buf_append(text, row->text, row->length);
}

/* False when there is no end to it: the same few ids, asked for millions of
 * times. */
static bool append_rows(const struct client_filter *filter, const struct row *rows, size_t count, struct buf *text)
{
	if (filter->ids == NULL) {
		for (size_t i = 0; i < count; i++)
			append_row(text, &rows[i]);
		return true;
	}
	for (size_t i = 0; count > 0 && i < filter->id_count; i++) {
		struct row wanted = { .id = filter->ids[i] };

		append_row(text, bsearch(&wanted, rows, count, sizeof(*rows), compare_rows));
		if (buf_length(text) > BY_ID_MAX_BYTES)
			return false;
	}
	return true;
}

static void bring_roll(struct errand *errand, struct client *client)
{
	struct roll_call *call = CONTAINER_OF(errand, struct roll_call, errand);
	struct buf text = { 0 }, reply = { 0 };
	size_t count;
	struct row *rows = sorted_rows(&call->lines, &count);

	if (client != NULL && append_rows(&call->filter, rows, count, &text)) {
		encode_verbatim(&reply, buf_slice(&text), client->session.resp);
		local_finish(client, buf_slice(&reply));
	} else if (client != NULL) {
		client_close(client, CLOSE_output_limit);
	}
	free(rows);
	buf_free(&text);
	buf_free(&reply);
	buf_free(&call->lines);
	client_filter_free(&call->filter);
	free(call);
}

static const struct errand_kind roll_calls = { call_roll, bring_roll };

void local_clients_list_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	client_filter_ask_list(arguments->request, out);
}

enum local_outcome local_clients_list(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct client_filter filter;
	struct roll_call *call;

	if (!client_filter_parse_list(&filter, arguments->request))
		return answer_syntax_error(reply);
	call = alloc_zeroed(1, sizeof(*call));
	call->filter = filter;
	call->command = client_command_of(client, arguments->request);
	errand_send(&call->errand, &roll_calls, client);
	return OUTCOME_LATER;
}

/* ---- KILL ---- */

struct kill {
	struct errand errand;
	struct client_filter filter;
	int64_t killed;
	bool hits_asker;
};

static void hit(struct kill *kill, struct client *client)
{
	bool asks = client->session.id == kill->errand.client_id;

	if (asks && kill->filter.spares_asker)
		return;
	kill->killed++;
	if (asks)
		kill->hits_asker = true; /* after its answer */
	else
		client_close(client, CLOSE_killed);
}

static bool strike(struct errand *errand, struct worker *worker)
{
	struct kill *kill = CONTAINER_OF(errand, struct kill, errand);
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);
		struct client_traits traits = client_traits_of(client);

		if (client_filter_matches(&kill->filter, &traits))
			hit(kill, client);
	}
	return true;
}

static void encode_result(const struct kill *kill, struct buf *reply)
{
	if (!kill->filter.is_address_alone)
		encode_integer(reply, kill->killed);
	else if (kill->killed > 0)
		encode_status(reply, "OK");
	else
		encode_error(reply, "ERR No such client");
}

static void bring_result(struct errand *errand, struct client *client)
{
	struct kill *kill = CONTAINER_OF(errand, struct kill, errand);
	struct buf reply = { 0 };

	if (client != NULL) {
		encode_result(kill, &reply);
		local_finish(client, buf_slice(&reply));
		if (kill->hits_asker)
			client_finish(client, CLOSE_killed);
	}
	buf_free(&reply);
	client_filter_free(&kill->filter);
	free(kill);
}

static const struct errand_kind kills = { strike, bring_result };

/* A server counts the words: it has to be told of any other number as it is. */
bool local_clients_kill_is_sound(const struct arguments *arguments)
{
	return arguments->count > 2;
}

void local_clients_kill_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	client_filter_ask_kill(arguments->request, out);
}

enum local_outcome local_clients_kill(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct client_filter filter;
	struct kill *kill;

	if (!client_filter_parse_kill(&filter, arguments->request))
		return answer_syntax_error(reply);
	kill = alloc_zeroed(1, sizeof(*kill));
	kill->filter = filter;
	errand_send(&kill->errand, &kills, client);
	return OUTCOME_LATER;
}
