#include "kernel_room.h"

#include "../clock.h"
#include "../worker/worker.h"
#include "client.h"

enum {
	ROOM_BYTES = 128 * 1024,
	WIDE_BYTES = 1024 * 1024,
	WIDE_MOST = 32,          /* clients of a worker at a time */
	IDLE_MS = 1000,          /* without a command, until a client is asked to give it back */
};

void kernel_room_begin(struct client *client)
{
	conn_limit_unsent(conn_fd(&client->conn), ROOM_BYTES);
}

bool kernel_room_widen(struct client *client)
{
	struct worker *worker = client->worker;

	if (list_is_linked(&client->wide) || worker->wide_count >= WIDE_MOST)
		return false;
	list_append(&worker->wide_clients, &client->wide);
	worker->wide_count++;
	conn_limit_unsent(conn_fd(&client->conn), WIDE_BYTES);
	return true;
}

void kernel_room_end(struct client *client)
{
	client->worker->wide_count -= list_is_linked(&client->wide);
	list_remove(&client->wide);
}

void kernel_room_tick(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->wide_clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, wide);

		if (worker->now_ns - client->active_ns < clock_ms_to_ns(IDLE_MS) || conn_untaken(&client->conn) > ROOM_BYTES)
			continue;
		kernel_room_begin(client);
		kernel_room_end(client);
	}
}
