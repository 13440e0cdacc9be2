#include "learn.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/buf.h"
#include "../../protocol/command.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "../../protocol/server_words.h"
#include "../../topology/snapshot.h"
#include "../backend/conn.h"
#include "../list.h"
#include "../log.h"

enum {
	REPLY_LIMIT = 16 * 1024 * 1024, /* the whole answer; 7.0.15's is 140 KB */
	READ_BYTES = 64 * 1024,
};

#define RETRY_SECONDS 1.

/* What the master is asked, in this order. */
enum question { ASK_AUTH, ASK_HELLO_3, ASK_HELLO_2, ASK_CLIENT_INFO, ASK_COMMAND };

struct learner {
	struct ev_loop *loop;
	const struct config *config;
	char *module_reads;               /* that were asked for */
	void (*on_learned)(void *arg, struct command_table *table);
	void *arg;
	struct conn conn;
	struct buf in;
	struct buf out;
	size_t framed;                    /* bytes of `in` that the framer has seen */
	struct resp_reply_framer framer;
	enum question answered;           /* the next reply is to this one */
	struct server_words words;
	ev_timer timer;                   /* of an attempt, or until the next one */
	struct sockaddr_storage address;  /* of the master to learn from */
	socklen_t address_length;         /* 0: there is none */
	char run_id[RUN_ID_LENGTH + 1];   /* of that master */
	bool learned;                     /* from it */
};

static void end_attempt(struct learner *learner)
{
	conn_close(&learner->conn);
	if (learner->out.bytes != NULL) /* it held a password */
		explicit_bzero(learner->out.bytes, learner->out.capacity);
	buf_free(&learner->in);
	buf_free(&learner->out);
	learner->framed = 0;
	learner->framer = (struct resp_reply_framer){ 0 };
	server_words_free(&learner->words);
	ev_timer_stop(learner->loop, &learner->timer);
}

static void wait_for_timer(struct learner *learner, double seconds)
{
	ev_timer_stop(learner->loop, &learner->timer);
	ev_timer_set(&learner->timer, seconds, 0.);
	ev_timer_start(learner->loop, &learner->timer);
}

static void try_again_later(struct learner *learner, const char *why)
{
	log_notice("the command table could not be learned from the master: %s", why);
	end_attempt(learner);
	wait_for_timer(learner, RETRY_SECONDS);
}

static void finish(struct learner *learner, const char *reply, size_t length)
{
	const char *error;
	struct command_table *table =
		command_table_learn(reply, length, learner->module_reads, &error);

	if (table == NULL) {
		try_again_later(learner, error);
		return;
	}
	command_table_take_words(table, &learner->words);
	learner->learned = true;
	end_attempt(learner);
	log_verbose("learned %zu commands from the master", command_table_count(table));
	learner->on_learned(learner->arg, table);
	command_table_release(&table);
}

/* What is no good answer is passed over: what matters is whether COMMAND itself
 * is answered. */
static void take_answer(struct learner *learner, struct slice reply)
{
	switch (learner->answered) {
	case ASK_HELLO_3:
		server_words_hear_hello(&learner->words, 3, reply);
		break;
	case ASK_HELLO_2:
		server_words_hear_hello(&learner->words, 2, reply);
		break;
	case ASK_CLIENT_INFO:
		server_words_hear_client_info(&learner->words, reply);
		break;
	default:
		break;
	}
	learner->answered++;
}

static void take_replies(struct learner *learner)
{
	size_t used;

	while (learner->framed < buf_length(&learner->in)) {
		enum resp_result result = resp_reply_next(&learner->framer, buf_head(&learner->in) + learner->framed,
							  buf_length(&learner->in) - learner->framed, &used);

		learner->framed += used;
		if (result == RESP_AGAIN)
			return;
		if (result == RESP_BAD) {
			try_again_later(learner, "a malformed reply");
			return;
		}
		if (learner->answered == ASK_COMMAND) {
			finish(learner, buf_head(&learner->in), learner->framed);
			return;
		}
		take_answer(learner, (struct slice){ buf_head(&learner->in), learner->framed });
		buf_consume(&learner->in, learner->framed);
		learner->framed = 0;
	}
}

static void read_replies(struct learner *learner)
{
	size_t got;
	enum conn_result result =
		conn_read(&learner->conn, buf_reserve(&learner->in, READ_BYTES), READ_BYTES, &got);

	if (result == CONN_AGAIN)
		return;
	if (result == CONN_CLOSED || buf_length(&learner->in) + got > REPLY_LIMIT) {
		try_again_later(learner, result == CONN_CLOSED ? "the connection was lost" : "an endless reply");
		return;
	}
	buf_produced(&learner->in, got);
	take_replies(learner);
}

static void write_question(struct learner *learner)
{
	size_t wrote;
	enum conn_result result =
		conn_write(&learner->conn, buf_head(&learner->out), buf_length(&learner->out), &wrote);

	if (result == CONN_CLOSED) {
		try_again_later(learner, strerror(errno));
		return;
	}
	buf_consume(&learner->out, wrote);
	conn_watch(&learner->conn, EV_READ | (buf_length(&learner->out) > 0 ? EV_WRITE : 0));
}

static void on_ready(struct conn *conn, int events)
{
	struct learner *learner = CONTAINER_OF(conn, struct learner, conn);
	int error = 0;

	if (events & EV_WRITE) {
		error = conn_connect_result(conn);
		if (error == 0)
			write_question(learner);
		else
			try_again_later(learner, strerror(error));
	}
	if ((events & EV_READ) && conn_is_open(conn))
		read_replies(learner);
}

static void compose_question(struct learner *learner)
{
	const struct topology_config *credentials = &learner->config->topology;
	const char *user = credentials->user != NULL ? credentials->user : "";
	const char *password = credentials->password != NULL ? credentials->password : "";

	learner->answered = password[0] != '\0' ? ASK_AUTH : ASK_HELLO_3;
	if (password[0] != '\0') {
		if (user[0] != '\0')
			encode_own_words(&learner->out, "AUTH", user, password, NULL);
		else
			encode_own_words(&learner->out, "AUTH", password, NULL);
	}
	encode_own_words(&learner->out, "HELLO", "3", NULL);
	encode_own_words(&learner->out, "HELLO", "2", NULL);
	encode_own_words(&learner->out, "CLIENT", "INFO", NULL);
	encode_own_words(&learner->out, "COMMAND", NULL);
}

static void begin_attempt(struct learner *learner)
{
	int fd = conn_connect((const struct sockaddr *)&learner->address, learner->address_length, NULL);

	if (fd < 0) {
		try_again_later(learner, strerror(errno));
		return;
	}
	conn_init(&learner->conn, learner->loop, fd, on_ready);
	compose_question(learner);
	conn_watch(&learner->conn, EV_WRITE);
	wait_for_timer(learner, (double)learner->config->topology.timeout_ms / 1000. + RETRY_SECONDS);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct learner *learner = timer->data;

	(void)loop;
	(void)events;
	if (conn_is_open(&learner->conn))
		try_again_later(learner, "no answer in time");
	else if (learner->address_length > 0 && !learner->learned)
		begin_attempt(learner);
}

struct learner *learner_start(struct ev_loop *loop, const struct config *config,
			      void (*on_learned)(void *arg, struct command_table *table), void *arg)
{
	struct learner *learner = alloc_zeroed(1, sizeof(*learner));

	learner->loop = loop;
	learner->config = config;
	learner->module_reads = alloc_text(config->module_reads, strlen(config->module_reads));
	learner->on_learned = on_learned;
	learner->arg = arg;
	conn_init_closed(&learner->conn);
	ev_timer_init(&learner->timer, on_timer, 0., 0.);
	learner->timer.data = learner;
	return learner;
}

void learner_adopt_config(struct learner *learner, const struct config *config)
{
	bool same = strcmp(config->module_reads, learner->module_reads) == 0;

	learner->config = config;
	if (same)
		return;
	free(learner->module_reads);
	learner->module_reads = alloc_text(config->module_reads, strlen(config->module_reads));
	if (learner->address_length == 0)
		return;
	end_attempt(learner);
	learner->learned = false;
	begin_attempt(learner);
}

void learner_follow(struct learner *learner, const struct snapshot *snapshot)
{
	const struct snapshot_node *master = snapshot->master >= 0 ? &snapshot->nodes[snapshot->master] : NULL;

	if (master == NULL || (strcmp(master->run_id, learner->run_id) == 0 && learner->address_length > 0))
		return;
	end_attempt(learner);
	memcpy(learner->run_id, master->run_id, sizeof(learner->run_id));
	memcpy(&learner->address, &master->socket_address, sizeof(learner->address));
	learner->address_length = master->socket_length;
	learner->learned = false;
	begin_attempt(learner);
}

void learner_stop(struct learner **handle)
{
	struct learner *learner = *handle;

	*handle = NULL;
	if (learner == NULL)
		return;
	end_attempt(learner);
	free(learner->module_reads);
	free(learner);
}
