/* A check of a node is one INFO: it is good when the answer comes in time and
 * can be read. A link that is lost, or cannot be had, is a bad check. ROLE gives
 * the position between the checks.
 *
 * Invariant of the vitals: confirmed_ns is not 0 only while the link on which
 * that run_id was confirmed is open. */
#include "node.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../proxy/log.h"
#include "clock.h"
#include "journal.h"
#include "memory.h"
#include "name.h"

enum {
	QUESTIONS_MAX = 4,    /* of one kind, unanswered */
	HURRY_GAP_MS = 20,    /* between attempts, however urgent */
};

bool node_is_up(const struct node *node)
{
	return node->health.state == HEALTH_UP;
}

/* ---- the proof for data connections ---- */

static void confirm(struct node *node, int64_t sent_ns)
{
	atomic_store_explicit(&node->vitals->control_since_ns, link_since_ns(node->link), memory_order_release);
	atomic_store_explicit(&node->vitals->confirmed_ns, sent_ns, memory_order_release);
	node->events.on_confirmed(node->events.arg, node, sent_ns);
}

static void withdraw(struct node *node)
{
	atomic_store_explicit(&node->vitals->confirmed_ns, 0, memory_order_release);
	atomic_store_explicit(&node->vitals->control_since_ns, 0, memory_order_release);
	atomic_store_explicit(&node->vitals->fresh_as_of_ns, 0, memory_order_release);
}

/* Another process answers at this address. */
static void begin_run(struct node *node, const char *run_id)
{
	bool first = node->info.run_id[0] == '\0';

	if (!first)
		journal_note(node->journal, EVENT_node_restarted, node->config->name, "restarted (run_id %.8s, was %.8s)",
			     run_id, node->info.run_id);
	withdraw(node);
	node_vitals_release(&node->vitals);
	node->vitals = node_vitals_create();
	node->incarnation++;
	node->positioned = false;
}

/* ---- checks ---- */

static void check_bad(struct node *node, bool refused, const char *why)
{
	bool changed = refused ? health_refused(&node->health) : health_bad(&node->health);

	snprintf(node->trouble, sizeof(node->trouble), "%s", why);
	if (changed) {
		node->state_changes++;
		journal_note(node->journal, EVENT_node_down, node->config->name, "down: %s", why);
	}
	node->events.on_change(node->events.arg, node);
}

static void check_good(struct node *node)
{
	if (health_good(&node->health)) {
		node->state_changes++;
		node->trouble[0] = '\0';
		journal_note(node->journal, EVENT_node_up, node->config->name, "up, %s %s at %s",
			     info_server_name(&node->info), info_server_version(&node->info), node->address_text);
	}
}

static void forget_link(struct node *node)
{
	withdraw(node);
	link_close(&node->link);
	node->known = false;
	node->positioned = false;
	node->roles_outstanding = 0;
	node->infos_outstanding = 0;
}

static void connect_later(struct node *node)
{
	int64_t wait_ms = health_backoff_ms(&node->health, node->group->interval_ms, (uint32_t)random());

	ev_timer_stop(node->loop, &node->reconnect);
	ev_timer_set(&node->reconnect, (double)wait_ms / 1e3, 0.0);
	ev_timer_start(node->loop, &node->reconnect);
}

static void on_lost(void *arg, enum link_end end, const char *why)
{
	struct node *node = arg;
	bool was_ready = node->known;
	int64_t age_ns = clock_now_ns() - link_since_ns(node->link);
	char text[sizeof(node->trouble)];

	snprintf(text, sizeof(text), "%s", why); /* it may belong to the link */
	forget_link(node);
	if (was_ready)
		log_verbose("%s: control connection lost: %s", node->config->name, text);
	connect_later(node);
	check_bad(node, end == LINK_REFUSED, text);
	/* Whoever died is refused at once, and so is down at once. */
	if (was_ready && end == LINK_BROKEN && age_ns >= node->group->interval_ms * NS_PER_MS)
		node_connect(node);
}

/* An error is an answer, if a bad one; anything else that cannot be read means
 * that replies and requests no longer pair, and ends the link. */
static void on_bad_answer(struct node *node, const struct redisReply *reply, const char *what, const char *detail)
{
	bool is_error = reply->type == REDIS_REPLY_ERROR;
	char text[sizeof(node->trouble)];

	snprintf(text, sizeof(text), "%s: %.200s", what, is_error ? reply->str : detail);
	if (!is_error) {
		on_lost(node, LINK_BROKEN, text);
		return;
	}
	if (strcmp(node->trouble, text) != 0)
		log_warning("%s: %s", node->config->name, text);
	check_bad(node, false, text);
}

static void note_master(struct node *node)
{
	node->master_text[0] = '\0';
	if (node->info.role == SERVER_ROLE_SLAVE)
		address_format(node->master_text, sizeof(node->master_text), node->info.master_host,
			       (uint16_t)node->info.master_port);
}

static void note_role_change(struct node *node, enum server_role before)
{
	if (before == SERVER_ROLE_UNKNOWN || before == node->info.role)
		return;
	node->state_changes++;
	journal_note(node->journal, EVENT_role_changed, node->config->name, "its role changed from %s to %s",
		     server_role_name(before), server_role_name(node->info.role));
}

/* Counters of a process that was not known before tell nothing new. */
static void note_resyncs(struct node *node, const struct info *info)
{
	const struct info *before = &node->info;
	bool counts = strcmp(info->run_id, before->run_id) == 0;

	node->new_resyncs_full = counts ? info->resyncs_full - before->resyncs_full : 0;
	node->new_resyncs_partial = counts ? info->resyncs_partial - before->resyncs_partial : 0;
}

/* A server that is busy with a script tells nothing, but lives, and refuses its
 * clients itself. And it is the process that has told its run_id on this very
 * connection before. */
static void on_busy(struct node *node, int64_t sent_ns)
{
	if (node->known)
		confirm(node, sent_ns);
}

static void on_info(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct node *node = arg;
	enum server_role before = node->info.role;
	const char *wrong = "";
	struct info info;

	node->infos_outstanding--;
	if (reply_is_busy(reply)) {
		on_busy(node, sent_ns);
		return;
	}
	if (reply->type != REDIS_REPLY_STRING) {
		on_bad_answer(node, reply, "INFO", "not a text");
		return;
	}
	if (!info_parse(&info, reply->str, (size_t)reply->len, &wrong)) {
		on_bad_answer(node, reply, "INFO cannot be read, field", wrong);
		return;
	}
	if (strcmp(info.run_id, node->info.run_id) != 0)
		begin_run(node, info.run_id);
	note_resyncs(node, &info);
	node->info = info;
	node->info_sent_ns = sent_ns;
	node->known = true;
	note_master(node);
	note_role_change(node, before);
	confirm(node, sent_ns);
	check_good(node);
	node->events.on_info(node->events.arg, node);
}

static void on_role(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct node *node = arg;

	node->roles_outstanding--;
	if (reply_is_busy(reply))
		return;
	if (!role_parse(&node->role, reply)) {
		node->positioned = false;
		on_bad_answer(node, reply, "ROLE", "neither a master nor a replica");
		return;
	}
	node->role_sent_ns = sent_ns;
	node->role_answered_ns = clock_now_ns();
	node->positioned = node->known;
	node->events.on_role(node->events.arg, node);
}

void node_ask_role(struct node *node)
{
	static const char *const argv[] = {"ROLE"};

	if (node->roles_outstanding < QUESTIONS_MAX && link_request(node->link, on_role, node, 1, argv))
		node->roles_outstanding++;
}

/* The health check is INFO, and ROLE between two of them. PING would show nothing
 * that an INFO on the same connection does not: whoever answers INFO answers
 * PING, and PING's own errors (LOADING, MASTERDOWN) are fields of INFO.
 *
 * Plain INFO has every section weir reads on every version (6.2 takes one name
 * only); 33 microseconds of the server's time, measured on 7.0.15. */
void node_ask_info(struct node *node)
{
	static const char *const argv[] = {"INFO"};

	if (node->infos_outstanding < QUESTIONS_MAX && link_request(node->link, on_info, node, 1, argv))
		node->infos_outstanding++;
}

/* ---- the link ---- */

static void on_ready(void *arg)
{
	struct node *node = arg;

	node->address_failed = false;
	/* INFO first: a position counts only when the run it is of is known. */
	node_ask_info(node);
	node_ask_role(node);
}

static void open_link(struct node *node)
{
	struct link_events events = {.on_ready = on_ready, .on_lost = on_lost, .arg = node};

	node->address_failed = true; /* until it has answered */
	node->link = link_open(node->loop, &node->address, &node->link_config, &events);
	if (node->link == NULL) {
		int error = errno;

		connect_later(node);
		check_bad(node, error == ECONNREFUSED, strerror(error));
	}
}

/* The address that it has had, if that is still one of its own and has not failed;
 * else the one behind it, in a circle. */
static const struct address *choose_address(const struct node *node, const struct addresses *found)
{
	for (size_t i = 0; i < found->count; i++)
		if (address_equal(&node->address, &found->at[i]))
			return &found->at[(i + node->address_failed) % found->count];
	return &found->at[0];
}

/* A name server that does not answer is no reason to give up a server that does:
 * then the last address stands. */
static void on_found(void *arg, const struct addresses *found)
{
	struct node *node = arg;

	node->awaits_name = false;
	if (found->count > 0)
		node->address = *choose_address(node, found);
	if (node->address.length != 0) {
		open_link(node);
		return;
	}
	connect_later(node);
	check_bad(node, false, "its name cannot be resolved");
}

void node_connect(struct node *node)
{
	if (node->link != NULL || node->awaits_name)
		return;
	node->connecting_ns = clock_now_ns();
	ev_timer_stop(node->loop, &node->reconnect);
	if (node->name == NULL) {
		open_link(node);
		return;
	}
	node->awaits_name = true;
	name_look_up(node->name, node->group->timeout_ms);
}

void node_hurry(struct node *node)
{
	if (clock_now_ns() - node->connecting_ns >= HURRY_GAP_MS * NS_PER_MS)
		node_connect(node);
}

static void on_reconnect(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	node_connect(timer->data);
}

static char *address_text(const char *host, uint16_t port)
{
	char text[INFO_HOST_SIZE + 16];

	address_format(text, sizeof(text), host, port);
	return memory_text(text);
}

static struct topology_node_config *copy_config(const struct topology_node_config *config)
{
	struct topology_node_config *copy = memory_zeroed(1, sizeof(*copy));

	*copy = *config;
	copy->name = memory_text(config->name);
	copy->host = memory_text(config->host);
	copy->announce_host = memory_text(config->announce_host);
	return copy;
}

static void forget_config(struct node *node)
{
	if (node->config != NULL) {
		free(node->config->name);
		free(node->config->host);
		free(node->config->announce_host);
	}
	free(node->config);
	free(node->address_text);
	free(node->told_text);
}

void node_configure(struct node *node, const struct topology_node_config *config)
{
	struct topology_node_config *copy = copy_config(config);
	const struct topology_config *group = node->group;

	forget_config(node);
	node->config = copy;
	node->address_text = address_text(copy->host, copy->port);
	node->told_host = copy->announce_host ? copy->announce_host : copy->host;
	node->told_port = copy->announce_port ? copy->announce_port : copy->port;
	node->told_text = address_text(node->told_host, node->told_port);
	node->link_config.user = group->user;
	node->link_config.password = group->password;
	node->link_config.timeout_ms = group->timeout_ms;
	link_configure(node->link, &node->link_config);
	node->health.rise = group->rise;
	node->health.fall = group->fall;
}

struct node *node_create(struct ev_loop *loop, uint32_t id, const struct topology_config *group,
			 const struct topology_node_config *config, const char *link_name, struct journal *journal,
			 const struct node_events *events)
{
	struct node *node = memory_zeroed(1, sizeof(*node));

	node->loop = loop;
	node->id = id;
	node->group = group;
	node->events = *events;
	node->journal = journal;
	node->link_config.name = link_name;
	health_init(&node->health, group->rise, group->fall);
	node_configure(node, config);
	node->vitals = node_vitals_create();
	if (!address_parse(&node->address, config->host, config->port))
		node->name = name_create(loop, config->host, config->port, name_resolve, on_found, node);
	ev_timer_init(&node->reconnect, on_reconnect, 0.0, 0.0);
	node->reconnect.data = node;
	return node;
}

void node_destroy(struct node **node)
{
	struct node *gone = *node;

	*node = NULL;
	forget_link(gone);
	name_destroy(&gone->name);
	ev_timer_stop(gone->loop, &gone->reconnect);
	node_vitals_release(&gone->vitals);
	forget_config(gone);
	free(gone);
}
