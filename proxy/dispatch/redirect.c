#include "redirect.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../protocol/resp.h"
#include "../backend/backend.h"
#include "../client/client.h"
#include "../clock.h"
#include "dispatch.h"
#include "../worker/errand.h"
#include "../worker/worker.h"

/* No connection has it, and the server says so in its own words. */
#define NOBODY "9223372036854775807"

/* ---- the command ---- */

struct tracking_options redirect_parse(const char *request)
{
	struct tracking_options options = { 0 };
	struct resp_args args;
	struct slice arg;
	int64_t id;

	resp_args_begin(&args, request);
	for (int32_t word = 0; resp_args_next(&args, &arg); word++) {
		if (word == 2)
			options.on = slice_is(arg, "on");
		if (word > 2 && slice_is(arg, "bcast"))
			options.broadcasts = true;
		if (word <= 2 || !slice_is(arg, "redirect") || !resp_args_next(&args, &arg))
			continue;
		word++;
		if (options.redirect_word == 0 && number_parse_within(arg, 1, INT64_MAX, &id)) {
			options.redirect_word = word;
			options.redirect_id = (uint64_t)id;
		}
	}
	return options;
}

void redirect_encode(const struct client *client, const char *request, struct buf *out)
{
	struct tracking_options options = redirect_parse(request);
	const struct redirect_target *target = &client->session.redirect_target;
	struct resp_args args;
	struct slice arg;
	char id[24];

	if (options.redirect_word == 0)
		return;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)target->server_id);
	resp_args_begin(&args, request);
	encode_array(out, (size_t)args.left);
	for (int32_t word = 0; resp_args_next(&args, &arg); word++)
		encode_bulk(out, word != options.redirect_word ? arg : slice_of(target->server_id != 0 ? id : NOBODY));
}

/* ---- looking for the client ---- */

struct lookup {
	struct errand errand;
	struct list_link waiting; /* worker->lookups: it has no connection yet */
	struct redirect_target target;
	int64_t deadline_ns;
};

/* What it asked for so far has to be answered before it moves. */
static bool give_connection(struct client *client, struct redirect_target *target)
{
	struct session *session = &client->session;

	if (session->pin == PIN_SINGLE || (session->pin == PIN_NONE && client->in_flight > 0))
		return false;
	if (session->pin == PIN_NONE && !dispatch_bind(client)) {
		target->refusal = "ERR no connection to the server is free for the client to redirect to (max_private_backends)";
		return true;
	}
	session->bonds.is_target = true;
	backend_open(session->pinned);
	return session->pinned->state == BACKEND_READY;
}

/* True when there is an answer. */
static bool look_at(struct lookup *lookup, struct client *client, int64_t now_ns)
{
	struct redirect_target *target = &lookup->target;
	const struct backend *pinned;

	if (!give_connection(client, target)) {
		if (now_ns < lookup->deadline_ns)
			return false;
		target->refusal = "ERR the client to redirect to is blocked, or has no connection to the server";
	}
	pinned = client->session.pinned;
	if (target->refusal != NULL)
		return true;
	target->server_id = pinned->server_id;
	target->node_id = pinned->node_id;
	if (target->server_id == 0)
		target->refusal = "ERR the server does not tell the id of the connection to redirect to";
	return true;
}

static bool visit(struct errand *errand, struct worker *worker)
{
	struct lookup *lookup = CONTAINER_OF(errand, struct lookup, errand);
	struct client *client = errand_find_client(worker, lookup->target.id);

	if (client == NULL || look_at(lookup, client, worker->now_ns))
		return true;
	list_mark(&worker->lookups, &lookup->waiting);
	return false;
}

static void come_home(struct errand *errand, struct client *client)
{
	struct lookup *lookup = CONTAINER_OF(errand, struct lookup, errand);

	if (client != NULL) {
		client->session.redirect_target = lookup->target;
		client_wake(client);
	}
	free(lookup);
}

static const struct errand_kind look_up = { visit, come_home };

void redirect_tick(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->lookups, link, following) {
		struct lookup *lookup = CONTAINER_OF(link, struct lookup, waiting);

		if (!visit(&lookup->errand, worker))
			continue;
		list_remove(link);
		errand_go_on(&lookup->errand);
	}
}

void redirect_stop(struct worker *worker)
{
	struct list_link *link;

	while ((link = list_take(&worker->lookups)) != NULL)
		errand_go_on(&CONTAINER_OF(link, struct lookup, waiting)->errand);
}

/* ---- for the client that redirects ---- */

bool redirect_is_known(struct client *client, const char *request)
{
	struct tracking_options options = redirect_parse(request);
	const struct worker *worker = client->worker;
	struct lookup *lookup;

	if (options.redirect_word == 0 || options.redirect_id == client->session.redirect_target.id)
		return true;
	lookup = alloc_zeroed(1, sizeof(*lookup));
	list_init(&lookup->waiting);
	lookup->target.id = options.redirect_id;
	lookup->deadline_ns = worker->now_ns + clock_ms_to_ns(worker->config->write_hold_ms);
	client->stall = STALL_EVENT;
	errand_send(&lookup->errand, &look_up, client);
	return false;
}

static const char *why_not(const struct redirect_target *target, const struct backend *pinned)
{
	if (target->refusal != NULL || target->server_id == 0)
		return target->refusal;
	return pinned != NULL && pinned->has_target && pinned->node_id != target->node_id
		       ? "ERR the client to redirect to is connected to another server"
		       : NULL;
}

const char *redirect_refusal(struct client *client, const char *request)
{
	struct session *session = &client->session;
	const char *refusal;

	if (redirect_parse(request).redirect_word == 0)
		return NULL;
	refusal = why_not(&session->redirect_target, session->pinned);
	if (refusal != NULL)
		session->redirect_target = (struct redirect_target){ 0 };
	return refusal;
}
