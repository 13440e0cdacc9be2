/* REPLICAOF makes a server throw its data away, so it is never sent on old
 * knowledge. Each wiring goes through these states; every answer leads to a new
 * plan, and the first plan that no longer asks for the action ends it:
 *
 *   IDLE -> CHECK_GROUP   who else controls the master? its INFO; credentials
 *        -> CHECK_NODE    the node's own INFO, on the connection that will act,
 *                         its clients' writes paused from before that INFO
 *        -> SENT          the action, sent in the turn that read that INFO
 *        -> SETTLING      until an INFO asked after the answer shows the effect
 *        -> IDLE, or RESTING for a while after an error
 *
 * A state that waits for a link that is gone falls back to IDLE in time.
 * REPLICAOF NO ONE does not occur in this file. */
#include "wire.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "group.h"
#include "memory.h"
#include "rivals.h"

enum {
	REST_MS = 5000,            /* after an error reply */
	QUARREL_WITHIN_MS = 60000, /* two undoings in so long are a quarrel */
	QUARREL_LASTS_MS = 600000,
	PAUSE_MS = 1000,           /* ends by itself, should weir die in the middle */
	LINK_PATIENCE_MS = 1000,   /* a replica's link may be down so long before its credentials are looked at */
};

enum wiring_state {
	WIRING_IDLE,
	WIRING_CHECK_GROUP,
	WIRING_CHECK_NODE,
	WIRING_SENT,
	WIRING_SETTLING,
	WIRING_RESTING,
};

/* One node's wiring. */
struct wiring {
	struct wire *wire;
	struct node *node;
	enum wiring_state state;
	enum plan_action action;
	int64_t since_ns;          /* when the state began */
	int64_t rest_until_ns;
	bool paused;               /* writes of the node's clients are held up */
	char refusal[256];         /* the error it answered last; "" */

	/* masterauth and masteruser */
	int64_t credentials_asked_ns; /* 0: no answer is due */
	bool credentials_known;    /* looked at, and set if they had to be */
	uint32_t credentials_of;   /* incarnation */
	int64_t link_down_ns;      /* since when its link to the right master is down, 0 */

	/* what weir did last, to notice that somebody undid it */
	bool wired;
	int64_t wired_ns;
	char wired_run_id[RUN_ID_LENGTH + 1];
	int64_t undone_ns;         /* the last time, 0 */
};

struct wire {
	struct topology *topology;
	struct wiring *wirings;    /* by node id */
	char master_run_id[RUN_ID_LENGTH + 1]; /* to which the `wired` ones were wired */
	char quarrel[PLAN_TEXT_SIZE];
	int64_t quarrel_ns;
};

/* ---- the pause ---- */

/* Between the INFO that proves a node and the REPLICAOF that empties it, no
 * client may write something new there. REPLICAOF, INFO and ROLE are not held
 * up; the writes are, and get READONLY afterwards. A user without this right
 * leaves a gap of one round trip. Where clients cannot write anyway there is no
 * pause: a replica that is pointed elsewhere while it holds up its own master's
 * stream forgets where it was, and has to fetch all data anew (redis freeClient(),
 * CLIENT_BLOCKED). */
static bool can_be_written(const struct node *node)
{
	return node->info.role != SERVER_ROLE_SLAVE || node->info.read_only != 1;
}

static void pause_writes(struct wiring *wiring)
{
	char milliseconds[12];
	const char *argv[] = {"CLIENT", "PAUSE", milliseconds, "WRITE"};

	snprintf(milliseconds, sizeof(milliseconds), "%d", PAUSE_MS);
	wiring->paused = link_request(wiring->node->link, NULL, NULL, 4, argv);
}

static void unpause_writes(struct wiring *wiring)
{
	static const char *const argv[] = {"CLIENT", "UNPAUSE"};

	if (wiring->paused)
		link_request(wiring->node->link, NULL, NULL, 2, argv);
	wiring->paused = false;
}

/* ---- states ---- */

static void enter(struct wiring *wiring, enum wiring_state state)
{
	if (state != WIRING_CHECK_NODE)
		unpause_writes(wiring);
	wiring->state = state;
	wiring->since_ns = clock_now_ns();
	group_touch(wiring->wire->topology);
}

static void rest(struct wiring *wiring)
{
	wiring->rest_until_ns = clock_now_ns() + REST_MS * NS_PER_MS;
	enter(wiring, WIRING_RESTING);
}

/* After so long without an answer there will be none: the link was lost. */
static int64_t patience_ns(const struct wiring *wiring)
{
	return 2 * wiring->wire->topology->config.timeout_ms * NS_PER_MS;
}

/* ---- credentials: a replica may need a password to reach the master ---- */

static bool are_needed(const struct topology *topology, const struct node *master)
{
	return topology->config.password[0] != '\0' && link_is_authenticated(master->link);
}

static bool are_settled(const struct wiring *wiring)
{
	return wiring->credentials_known && wiring->credentials_of == wiring->node->incarnation;
}

static void on_credentials_set(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct wiring *wiring = arg;

	(void)sent_ns;
	if (reply->type == REDIS_REPLY_ERROR)
		log_warning("%s: masterauth cannot be set: %s", wiring->node->config->name, reply->str);
}

static void config_set(struct wiring *wiring, const char *key, const char *value, link_reply_fn *on_reply)
{
	const char *argv[] = {"CONFIG", "SET", key, value};

	link_request(wiring->node->link, on_reply, wiring, 4, argv);
}

/* CONFIG GET master*: a flat list of names and values, in any order. */
static bool all_values_empty(const struct redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 1; i < reply->elements; i += 2)
		if (reply->element[i]->type == REDIS_REPLY_STRING && reply->element[i]->len > 0)
			return false;
	return reply->elements > 0;
}

static void on_credentials(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct wiring *wiring = arg;
	const struct topology_config *config = &wiring->wire->topology->config;

	(void)sent_ns;
	wiring->credentials_asked_ns = 0;
	wiring->credentials_known = true;
	wiring->credentials_of = wiring->node->incarnation;
	if (all_values_empty(reply)) {
		journal_note(wiring->node->journal, EVENT_credentials, wiring->node->config->name,
			     "masterauth set, so that it can reach the master");
		if (config->user[0] != '\0')
			config_set(wiring, "masteruser", config->user, on_credentials_set);
		config_set(wiring, "masterauth", config->password, on_credentials_set);
	}
	group_touch(wiring->wire->topology);
}

static void ask_credentials(struct wiring *wiring)
{
	static const char *const argv[] = {"CONFIG", "GET", "master*"};

	if (link_request(wiring->node->link, on_credentials, wiring, 3, argv))
		wiring->credentials_asked_ns = clock_now_ns();
}

/* A replica that was pointed at the master by somebody else, but cannot get
 * in: weir may hold the password it lacks. */
static void help_with_credentials(struct wiring *wiring, const struct node *master)
{
	const struct node *node = wiring->node;
	int64_t now = clock_now_ns();

	if (!node->known || node->info.role != SERVER_ROLE_SLAVE || node->info.link_up != 0 ||
	    wiring->wire->topology->standings[node->id].follows != (int)master->index) {
		wiring->link_down_ns = 0;
		return;
	}
	if (wiring->link_down_ns == 0)
		wiring->link_down_ns = now;
	if (now - wiring->link_down_ns > LINK_PATIENCE_MS * NS_PER_MS && !are_settled(wiring) &&
	    now - wiring->credentials_asked_ns > patience_ns(wiring) && are_needed(wiring->wire->topology, master))
		ask_credentials(wiring);
}

bool wire_is_prepared(struct wire *wire, const struct node *node, const struct node *master)
{
	struct wiring *wiring = &wire->wirings[node->id];

	if (!are_needed(wire->topology, master) || are_settled(wiring))
		return true;
	if (clock_now_ns() - wiring->credentials_asked_ns > patience_ns(wiring))
		ask_credentials(wiring);
	return false;
}

/* ---- the action itself ---- */

static void on_acted(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct wiring *wiring = arg;
	struct node *node = wiring->node;

	(void)sent_ns;
	if (reply->type == REDIS_REPLY_ERROR) {
		if (strncmp(wiring->refusal, reply->str, sizeof(wiring->refusal) - 1) != 0)
			journal_note(node->journal, EVENT_wiring_refused, node->config->name, "it refused: %s", reply->str);
		snprintf(wiring->refusal, sizeof(wiring->refusal), "%s", reply->str);
		rest(wiring);
		return;
	}
	wiring->refusal[0] = '\0';
	wiring->wired_ns = clock_now_ns();
	enter(wiring, WIRING_SETTLING);
	node_ask_info(node);
	node_ask_role(node);
}

static void send_replicaof(struct wiring *wiring, const struct node *master)
{
	struct node *node = wiring->node;
	char port[8];
	const char *argv[] = {"REPLICAOF", master->told_host, port};

	snprintf(port, sizeof(port), "%u", master->told_port);
	if (!link_request(node->link, on_acted, wiring, 3, argv))
		return;
	journal_note(node->journal, EVENT_wired, node->config->name, "REPLICAOF %s %s", master->told_host, port);
	wiring->wire->topology->standings[node->id].wirings++;
	wiring->wired = true;
	wiring->wired_ns = INT64_MAX; /* until it is answered */
	memcpy(wiring->wired_run_id, node->info.run_id, sizeof(wiring->wired_run_id));
	enter(wiring, WIRING_SENT);
}

static void send_read_only(struct wiring *wiring)
{
	journal_note(wiring->node->journal, EVENT_made_read_only, wiring->node->config->name,
		     "CONFIG SET replica-read-only yes");
	config_set(wiring, "replica-read-only", "yes", on_acted);
	enter(wiring, WIRING_SENT);
}

static void send_action(struct wiring *wiring, const struct node *master)
{
	if (wiring->action == PLAN_REPLICAOF)
		send_replicaof(wiring, master);
	else
		send_read_only(wiring);
}

/* ---- from state to state ---- */

static void start(struct wiring *wiring, struct node *master, enum plan_action action)
{
	wiring->action = action;
	enter(wiring, WIRING_CHECK_GROUP);
	rivals_look(wiring->wire->topology->rivals, true);
	node_ask_info(master);
	if (action == PLAN_REPLICAOF && are_needed(wiring->wire->topology, master) && !are_settled(wiring))
		ask_credentials(wiring);
}

static bool group_is_checked(const struct wiring *wiring, const struct node *master)
{
	const struct topology *topology = wiring->wire->topology;

	if (!rivals_looked_since(topology->rivals, wiring->since_ns)) {
		rivals_look(topology->rivals, true); /* an older look was still under way */
		return false;
	}
	return master->known && master->info_sent_ns >= wiring->since_ns &&
	       (wiring->action != PLAN_REPLICAOF || !are_needed(topology, master) || are_settled(wiring));
}

static bool is_overdue(const struct wiring *wiring)
{
	return clock_now_ns() - wiring->since_ns > patience_ns(wiring);
}

/* The pause may be over by now. */
static bool is_late(const struct wiring *wiring)
{
	return clock_now_ns() - wiring->since_ns > PAUSE_MS / 2 * NS_PER_MS;
}

/* The plan was made from the answers that this state waited for. */
static void advance(struct wiring *wiring, struct node *master, enum plan_action action)
{
	struct node *node = wiring->node;

	switch (wiring->state) {
	case WIRING_IDLE:
		if (action != PLAN_NONE && link_is_ready(node->link))
			start(wiring, master, action);
		return;
	case WIRING_CHECK_GROUP:
		if (action != wiring->action) {
			enter(wiring, WIRING_IDLE);
		} else if (group_is_checked(wiring, master)) {
			enter(wiring, WIRING_CHECK_NODE);
			if (action == PLAN_REPLICAOF && can_be_written(node))
				pause_writes(wiring);
			node_ask_info(node);
		}
		return;
	case WIRING_CHECK_NODE:
		if (action != wiring->action || is_late(wiring))
			enter(wiring, WIRING_IDLE);
		else if (node->known && node->info_sent_ns >= wiring->since_ns)
			send_action(wiring, master);
		return;
	case WIRING_SENT:
		return;
	case WIRING_SETTLING:
		if (node->known && node->info_sent_ns >= wiring->since_ns)
			enter(wiring, WIRING_IDLE);
		return;
	case WIRING_RESTING:
		if (clock_now_ns() >= wiring->rest_until_ns)
			enter(wiring, WIRING_IDLE);
		return;
	}
}

/* ---- quarrels ---- */

static bool is_undone(const struct wiring *wiring, const struct node *master)
{
	const struct node *node = wiring->node;
	int follows = wiring->wire->topology->standings[node->id].follows;

	if (!wiring->wired || !node->known || node->info_sent_ns <= wiring->wired_ns)
		return false;
	if (strcmp(node->info.run_id, wiring->wired_run_id) != 0)
		return false;
	if (follows == PLAN_STRANGER)
		return node->info.link_up != 1 || strcmp(node->info.replid, master->info.replid) != 0;
	return follows != (int)master->index;
}

static void watch_for_undoing(struct wiring *wiring, const struct node *master)
{
	struct wire *wire = wiring->wire;
	int64_t now = clock_now_ns();

	if (!is_undone(wiring, master))
		return;
	wiring->wired = false;
	journal_note(wiring->node->journal, EVENT_wiring_undone, wiring->node->config->name,
		     "somebody undid its wiring: it is a %s%s%s now", server_role_name(wiring->node->info.role),
		     wiring->node->master_text[0] ? " of " : "", wiring->node->master_text);
	if (wiring->undone_ns != 0 && now - wiring->undone_ns <= QUARREL_WITHIN_MS * NS_PER_MS) {
		snprintf(wire->quarrel, sizeof(wire->quarrel), "the wiring of %.200s was undone twice within a minute",
			 wiring->node->config->name);
		wire->quarrel_ns = now;
		group_touch(wire->topology);
	}
	wiring->undone_ns = now;
}

const char *wire_quarrel(struct wire *wire)
{
	if (wire->quarrel[0] != '\0' && clock_now_ns() - wire->quarrel_ns > QUARREL_LASTS_MS * NS_PER_MS)
		wire->quarrel[0] = '\0';
	return wire->quarrel[0] != '\0' ? wire->quarrel : NULL;
}

void wire_led_away(struct wire *wire, const struct node *node)
{
	wire->wirings[node->id].wired = false;
}

/* It is weir who leads the others to another master, and back, should that one
 * come again: nobody undid what was done for the last one. */
static void note_master(struct wire *wire, const struct node *master)
{
	if (strcmp(wire->master_run_id, master->info.run_id) == 0)
		return;
	memcpy(wire->master_run_id, master->info.run_id, sizeof(wire->master_run_id));
	for (size_t i = 0; i < TOPOLOGY_NODES_MAX; i++)
		wire->wirings[i].wired = false;
}

/* ---- all nodes ---- */

static void act_on(struct wiring *wiring, struct node *master)
{
	const struct topology *topology = wiring->wire->topology;
	enum plan_action action = topology->plan.steps[wiring->node->index].action;
	bool waits = wiring->state != WIRING_IDLE && wiring->state != WIRING_RESTING;

	if (waits && is_overdue(wiring))
		enter(wiring, WIRING_IDLE);
	if (!node_is_up(wiring->node) || wiring->node->link == NULL)
		return;
	watch_for_undoing(wiring, master);
	advance(wiring, master, action);
	if (topology->config.wiring == TOPOLOGY_WIRING_ENFORCE && topology->plan.observe[0] == '\0')
		help_with_credentials(wiring, master);
}

void wire_act(struct wire *wire)
{
	struct node *master = group_master(wire->topology);

	if (master != NULL)
		note_master(wire, master);
	for (size_t i = 0; i < wire->topology->node_count; i++) {
		struct wiring *wiring = &wire->wirings[wire->topology->nodes[i]->id];

		if (master == NULL && wiring->state != WIRING_IDLE)
			enter(wiring, WIRING_IDLE);
		else if (master != NULL && wiring->node != master)
			act_on(wiring, master);
	}
}

struct wire *wire_create(struct topology *topology)
{
	struct wire *wire = memory_zeroed(1, sizeof(*wire));

	wire->topology = topology;
	wire->wirings = memory_zeroed(TOPOLOGY_NODES_MAX, sizeof(*wire->wirings));
	return wire;
}

void wire_welcome(struct wire *wire, struct node *node)
{
	wire->wirings[node->id] = (struct wiring){.wire = wire, .node = node};
}

void wire_destroy(struct wire **wire)
{
	free((*wire)->wirings);
	free(*wire);
	*wire = NULL;
}
