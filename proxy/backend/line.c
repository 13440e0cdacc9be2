#include "line.h"

#include "backend.h"
#include "../client/client.h"
#include "../worker/worker.h"

void line_init(struct line *line)
{
	for (int row = 0; row < LINE_ROWS; row++)
		list_init(&line->rows[row]);
	list_init(&line->moves);
	line->place = 0;
}

static enum line_row row_of(const struct client *client)
{
	return client->appetite.answers == 0 ? LINE_NEWCOMERS : LINE_LARGE;
}

void line_join(struct client *client, struct backend *lane)
{
	list_put(&lane->line.rows[row_of(client)], &client->resume);
	client->stall = STALL_LINE;
}

bool line_is_before(const struct client *client, const struct backend *lane)
{
	return client->worker->admitted != client && !list_is_empty(&lane->line.rows[row_of(client)]);
}

static bool is_empty(const struct line *line)
{
	return list_is_empty(&line->rows[LINE_NEWCOMERS]) && list_is_empty(&line->rows[LINE_LARGE]);
}

void line_move(struct backend *lane)
{
	if (!is_empty(&lane->line))
		list_mark(&lane->worker->moving_lines, &lane->line.moves);
}

void line_dissolve(struct backend *lane)
{
	for (int row = 0; row < LINE_ROWS; row++) {
		struct list_link *link;

		while ((link = list_take(&lane->line.rows[row])) != NULL)
			client_wake(CONTAINER_OF(link, struct client, resume));
	}
}

/* It has sent its last byte, so nothing of it is read, and nothing else tells. */
static bool has_left(const struct client *client)
{
	return client->at_end && conn_is_gone(&client->conn);
}

/* It tries again. False: there is no place for it, and so for nobody. */
static bool admit(struct client *client, struct list_link *row)
{
	uint64_t taken = client->commands;

	if (has_left(client)) {
		client_close(client, CLOSE_peer);
		return true;
	}
	client->stall = STALL_NONE;
	client->worker->admitted = client;
	client_resume(client);
	client->worker->admitted = NULL;
	if (client->closing || client->commands != taken || row->previous != &client->resume)
		return true;
	list_remove(&client->resume); /* it came to stand at the end */
	list_prepend(row, &client->resume);
	return false;
}

/* The first of a row, if there is one. */
static bool admit_first(struct list_link *row)
{
	struct list_link *first = list_take(row);

	return first != NULL && admit(CONTAINER_OF(first, struct client, resume), row);
}

static struct list_link *next_row(struct line *line)
{
	struct list_link *newcomers = &line->rows[LINE_NEWCOMERS], *large = &line->rows[LINE_LARGE];
	bool is_for_large = line->place == 0;

	line->place = (uint8_t)((line->place + 1) % LINE_PLACES);
	return list_is_empty(newcomers) || (is_for_large && !list_is_empty(large)) ? large : newcomers;
}

void line_admit(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->moving_lines)) != NULL) {
		struct line *line = CONTAINER_OF(link, struct line, moves);

		while (!is_empty(line) && admit_first(next_row(line)))
			;
	}
}
