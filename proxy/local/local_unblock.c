/* CLIENT UNBLOCK. Whether a client is blocked only its server knows, and it has
 * to know it in the moment of the word: so an errand finds the connection that
 * the client is blocked on, and the server is told its own id for that. */
#include "local_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../topology/snapshot.h"
#include "../client/client_filter.h"
#include "../worker/errand.h"
#include "../dispatch/waiting.h"
#include "../worker/worker.h"

struct search {
	struct errand errand;
	uint64_t id;           /* whom */
	bool with_error;
	bool was_waiting;      /* in weir, for replicas: he is not any more */
	uint64_t server_id;    /* of his connection; 0: he has none, or nothing that could be unblocked */
	int32_t node;          /* of that, as in its key */
	uint32_t node_id, incarnation;
};

static bool wants_error(const struct arguments *arguments)
{
	return arguments->count == 4 && slice_is(arguments->at[3], "error");
}

bool local_unblock_is_sound(const struct arguments *arguments)
{
	int64_t id;

	if (arguments->count < 3 || arguments->count > 4 || !number_parse(arguments->at[2], &id))
		return false;
	return arguments->count == 3 || slice_is(arguments->at[3], "timeout") || slice_is(arguments->at[3], "error");
}

void local_unblock_question(const struct client *client, const struct arguments *arguments, struct buf *out)
{
	(void)client;
	(void)arguments;
	encode_request_words(out, "CLIENT", "UNBLOCK", CLIENT_NOBODYS_ID, NULL);
}

/* The connection goes with the session's next step, so that the id cannot mean
 * somebody else by the time the server hears it. What a paused server holds is
 * blocked in another way: up to 7.0 it does not survive to be asked for that. */
static void note_connection(struct search *search, struct backend *backend)
{
	if (backend == NULL || backend->state != BACKEND_READY || pause_may_hold(backend))
		return;
	backend->tainted = true;
	search->server_id = backend->server_id;
	search->node = backend->key.node;
	search->node_id = backend->node_id;
	search->incarnation = backend->incarnation;
}

static bool look_here(struct errand *errand, struct worker *worker)
{
	struct search *search = CONTAINER_OF(errand, struct search, errand);
	struct client *client = errand_find_client(worker, search->id);

	if (client == NULL)
		return true;
	search->was_waiting = waiting_unblock(client, search->with_error);
	if (!search->was_waiting)
		note_connection(search, client->session.pinned);
	return true;
}

/* Is that server still the one that is asked? */
static bool is_there(const struct search *search, const struct client *client)
{
	const struct snapshot *snapshot = client->worker->snapshot;
	const struct snapshot_node *node = worker_node(client->worker, search->node_id);

	if (search->server_id == 0 || node == NULL || node->incarnation != search->incarnation)
		return false;
	return search->node != BACKEND_TO_MASTER || (snapshot->master >= 0 && node == &snapshot->nodes[snapshot->master]);
}

static void tell_server(const struct search *search, struct client *client)
{
	struct buf command = { 0 };
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, search->server_id);
	encode_request_words(&command, "CLIENT", "UNBLOCK", id, search->with_error ? "ERROR" : "TIMEOUT", NULL);
	local_ask_then(client, search->node, buf_slice(&command), NULL);
	buf_free(&command);
}

static void bring_word(struct errand *errand, struct client *client)
{
	struct search *search = CONTAINER_OF(errand, struct search, errand);

	if (client != NULL && is_there(search, client))
		tell_server(search, client);
	else if (client != NULL)
		local_finish(client, slice_of(search->was_waiting ? ":1\r\n" : ":0\r\n"));
	free(search);
}

static const struct errand_kind searches = { look_here, bring_word };

enum local_outcome local_unblock(struct client *client, const struct arguments *arguments, struct buf *reply)
{
	struct search *search = alloc_zeroed(1, sizeof(*search));
	int64_t id;

	(void)reply;
	number_parse(arguments->at[2], &id);
	search->id = (uint64_t)id;
	search->with_error = wants_error(arguments);
	errand_send(&search->errand, &searches, client);
	return OUTCOME_LATER;
}
