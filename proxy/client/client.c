/* One client connection: bytes in, commands out to dispatch.c; replies in from
 * delivery.c, bytes out. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../backend/backend.h"
#include "../clock.h"
#include "../backend/consistency.h"
#include "../dispatch/cursors.h"
#include "../dispatch/delivery.h"
#include "../dispatch/dispatch.h"
#include "../backend/flow.h"
#include "../local/local.h"
#include "../log.h"
#include "../backend/pool.h"
#include "kernel_room.h"
#include "upload.h"
#include "../worker/worker.h"

enum {
	IN_FIRST_BYTES = 16 * 1024,
	IN_PAUSE_BYTES = 256 * 1024,      /* waiting input of a stalled client beyond which it is not read */
	QUERY_LIMIT_BYTES = 1024 * 1024 * 1024, /* Redis' client-query-buffer-limit */
	OUTPUT_RESUME = 64 * 1024,
	OUTPUT_UNREAD = 256 * 1024,       /* unread bytes of which is asked whether the client reads at all, ... */
	OUTPUT_UNPROVEN = 1024 * 1024,    /* ... and that wait for no proof */
	UNREAD_TICKS = 3,                 /* without reading anything, until a client counts as one that writes first */
	SHORT_BYTES = 1024,
	READ_BYTES = 64 * 1024,           /* in one turn: others want theirs, too */
	WRITES_PER_TURN = 4,
	WRITE_THROUGH_BYTES = 4 * 1024,   /* of replies in one piece that are worth a write of their own */
	LARGE_REST_BYTES = 16 * 1024,     /* of them that did not fit: worth more room in the kernel */
	UNFINISHED_BYTES = 16 * 1024,     /* of a command, that show that its sender is slow and no slow loris */
	UNAUTHENTICATED_OUTPUT = 64 * 1024, /* unread bytes of a client that no server has let in */
	CLOSE_LINES_PER_SECOND = 10,      /* of the log, per worker: hostile clients shall not fill it */
};

static void on_ready(struct conn *conn, int events);
static void watch(struct client *client);

/* ---- opening and closing ---- */

/* As redis-server, which finds out after ten minutes that a peer has vanished.
 * One that takes nothing of what is due to it for so long is gone as well. */
static const struct conn_patience patience = {
	.idle_seconds = 300, .interval_seconds = 100, .probes = 3, .unanswered_seconds = 600,
};

void client_open(struct worker *worker, int fd, uint64_t id, enum session_endpoint endpoint)
{
	struct client *client = alloc_zeroed(1, sizeof(*client));

	conn_set_options(fd, &patience);
	client->worker = worker;
	conn_init(&client->conn, worker->loop, fd, on_ready);
	kernel_room_begin(client);
	list_init(&client->wide);
	list_init(&client->readable);
	list_init(&client->dirty);
	list_init(&client->unread);
	list_init(&client->unfinished);
	list_init(&client->resume);
	list_init(&client->observer);
	list_init(&client->index_waiter);
	list_init(&client->bound.parked);
	list_init(&client->of_worker);
	list_append(&worker->clients, &client->of_worker);
	client->appetite.window = APPETITE_FIRST;
	client->session.id = id;
	client->session.identity = identity_acquire(worker->identities.nobody);
	client->session.resp = 2;
	client->session.endpoint = (uint8_t)endpoint;
	client->session.consistency = (uint8_t)worker->config->consistency;
	client->session.home = client->session.read_node = SESSION_NO_NODE;
	client->connected_ns = client->active_ns = worker->now_ns;
	stats_add(&worker->stats, STAT_clients_connected, 1);
	stats_add(&worker->stats, STAT_clients_total, 1);
	watch(client);
}

static void drop_private_backend(struct client *client)
{
	struct session *session = &client->session;

	if (session->pinned == NULL)
		return;
	session->pinned->tainted = true;
	session->pinned->owner = NULL;
	backend_destroy(session->pinned, DROP_client_left);
	session->pinned = NULL;
	session->pin = PIN_NONE;
}

void client_close(struct client *client, enum close_reason reason)
{
	struct worker *worker = client->worker;
	const struct close_reason_row *row = &close_reasons[reason];

	if (client->closing)
		return;
	client->closing = true;
	if (row->is_error && log_allowed(&worker->close_lines, CLOSE_LINES_PER_SECOND))
		log_notice("client %llu %s closed (%s): %s", (unsigned long long)client->session.id,
			   client_peer(client), row->word, row->text);
	else
		log_debug("client %llu %s closed (%s): %s", (unsigned long long)client->session.id, client_peer(client),
			  row->word, row->text);
	local_set_monitoring(client, false);
	delivery_abandon(client);
	consistency_forget(client);
	flow_let_go(client);
	drop_private_backend(client);
	kernel_room_end(client);
	conn_close(&client->conn);
	list_remove(&client->readable);
	list_remove(&client->dirty);
	list_remove(&client->unread);
	list_remove(&client->unfinished);
	list_remove(&client->resume);
	list_remove(&client->bound.parked);
	list_remove(&client->of_worker);
	list_append(&worker->dead_clients, &client->of_worker);
	stats_add(&worker->stats, (enum stat_id)(STAT_closed_peer + (int)reason), 1);
	stats_add(&worker->stats, STAT_clients_connected, -1);
	atomic_fetch_sub_explicit(&worker->open_clients, 1, memory_order_relaxed);
}

void client_free(struct client *client)
{
	struct session *session = &client->session;

	buf_free(&client->in);
	buf_free(&client->out);
	if (client->gate_error != NULL)
		buf_free(client->gate_error);
	free(client->gate_error);
	identity_release(&session->identity);
	local_forget(session);
	free(session->name);
	free(session->library_name);
	free(session->library_version);
	free(client->peer);
	free(client->local);
	free(client);
}

static bool is_done(const struct client *client)
{
	return client->head == NULL && buf_length(&client->out) == 0;
}

static void close_if_done(struct client *client)
{
	if (client->close_after_flush && !client->closing && is_done(client))
		client_close(client, (enum close_reason)client->close_reason);
}

/* No more of it will come, so no server shall see its end. */
static void drop_upload(struct client *client)
{
	if (client->upload == UPLOAD_PASSES) {
		delivery_abandon(client);
		drop_private_backend(client);
	}
	client->upload = UPLOAD_NONE;
}

void client_finish(struct client *client, enum close_reason reason)
{
	if (client->closing)
		return;
	drop_upload(client);
	if (!client->close_after_flush) {
		client->close_after_flush = true;
		client->close_reason = (uint8_t)reason;
		client->active_ns = client->worker->now_ns;
	}
	watch(client);
	list_mark(&client->worker->dirty_clients, &client->dirty);
}

void client_finish_alone(struct client *client, enum close_reason reason)
{
	drop_private_backend(client);
	client_finish(client, reason);
}

/* Of a peer that has sent its last byte: it is in the middle of what only ends
 * with more of them, or waits for what may never come. */
static bool waits_in_vain(const struct client *client)
{
	const struct session *session = &client->session;
	const struct request *last = client->tail;
	bool held = last != NULL && last->backend != NULL && last->backend->state == BACKEND_IDLE;
	bool blocked = last != NULL && (last->flags & REQUEST_BLOCKS);

	return session_listens(session) || (session->pin == PIN_SINGLE && session->settlement == NULL) ||
	       (session->in_multi && buf_length(&client->in) == 0) || held || blocked || client->wait.since_ns != 0 ||
	       client->stall == STALL_PAUSE;
}

/* With nothing left to take and nothing more to come, what is due is the end.
 * (Whatever could be taken has been, unless the client is stalled, or is about to
 * be resumed.) */
static void finish_at_end(struct client *client)
{
	if (!client->at_end || (client->stall == STALL_NONE && list_is_linked(&client->resume)))
		return;
	if (client->close_reason == CLOSE_peer && waits_in_vain(client)) {
		client_flush(client); /* it may have closed only its own direction */
		client_close(client, CLOSE_peer);
	} else if (client->stall == STALL_NONE) {
		client_finish(client, (enum close_reason)client->close_reason);
	}
}

void client_drain(struct client *client)
{
	if (client->closing)
		return;
	if (!client->at_end)
		client->close_reason = CLOSE_drain;
	client->at_end = true;
	if (session_listens(&client->session) || client->upload == UPLOAD_PASSES)
		client_finish(client, CLOSE_drain);
	else
		finish_at_end(client);
	watch(client);
}

/* ---- addresses ---- */

static char *address_text(const struct sockaddr_storage *address, socklen_t length)
{
	char host[INET6_ADDRSTRLEN] = "?", text[sizeof(struct sockaddr_un) + INET6_ADDRSTRLEN];

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "%s:%u", host, ntohs(v4->sin_port));
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, sizeof(text), "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_un *file = (const void *)address;
		int path = length > offsetof(struct sockaddr_un, sun_path) ? (int)(length - offsetof(struct sockaddr_un, sun_path)) : 0;

		snprintf(text, sizeof(text), "%.*s:0", path, file->sun_path);
	}
	return alloc_text(text, strlen(text));
}

const char *client_local(struct client *client)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);

	if (client->local == NULL) {
		getsockname(conn_fd(&client->conn), (struct sockaddr *)&address, &length);
		client->local = address_text(&address, length);
		client->is_local = address.ss_family == AF_UNIX;
	}
	return client->local;
}

bool client_is_local(struct client *client)
{
	client_local(client);
	return client->is_local;
}

/* The peer of a unix socket has no name: Redis gives it the server's. */
const char *client_peer(struct client *client)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);

	if (client_is_local(client))
		return client->local;
	if (client->peer == NULL) {
		getpeername(conn_fd(&client->conn), (struct sockaddr *)&address, &length);
		client->peer = address_text(&address, length);
	}
	return client->peer;
}

/* ---- replies ---- */

static size_t unread_bytes(const struct client *client)
{
	return buf_length(&client->out) + client->held_bytes;
}

bool client_is_shut_out(const struct client *client)
{
	const struct session *session = &client->session;

	return session->identity->state == IDENTITY_REFUSED && !session->authenticated;
}

static size_t output_limit(const struct client *client)
{
	return client_is_shut_out(client) ? UNAUTHENTICATED_OUTPUT : (size_t)client->worker->config->client_output_limit;
}

void client_check_output(struct client *client)
{
	size_t unread = unread_bytes(client);

	if (unread > UNAUTHENTICATED_OUTPUT && unread > output_limit(client))
		client_close(client, CLOSE_output_limit);
}

static void note_unread(struct client *client)
{
	if (buf_length(&client->out) > OUTPUT_UNPROVEN)
		consistency_let_go(client);
	if (list_is_linked(&client->unread))
		return;
	list_append(&client->worker->unread_clients, &client->unread);
	client->unread_ticks = 0;
}

static void count_read(struct client *client, size_t got)
{
	client->bytes_in += got;
	stats_add(&client->worker->stats, STAT_client_bytes_in, (int64_t)got);
}

static void count_written(struct client *client, size_t wrote)
{
	client->bytes_out += wrote;
	stats_add(&client->worker->stats, STAT_client_bytes_out, (int64_t)wrote);
}

/* Straight from where it was read, as far as the socket takes it. (What is
 * wrong with a socket the next flush finds out.) */
static size_t write_through(struct client *client, const char *bytes, size_t length)
{
	size_t wrote, more = 0;

	if (buf_length(&client->out) > 0 || client->awaits_proof)
		return 0;
	conn_write(&client->conn, bytes, length, &wrote);
	if (length - wrote >= LARGE_REST_BYTES && kernel_room_widen(client))
		conn_write(&client->conn, bytes + wrote, length - wrote, &more);
	count_written(client, wrote + more);
	return wrote + more;
}

void client_reply(struct client *client, const char *bytes, size_t length, bool at_once)
{
	size_t wrote = 0;

	if (client->closing)
		return;
	appetite_feed(&client->appetite, length);
	if ((at_once && client->head == NULL) || length >= WRITE_THROUGH_BYTES)
		wrote = write_through(client, bytes, length);
	if (wrote == length)
		return;
	buf_append(&client->out, bytes + wrote, length - wrote);
	list_mark(&client->worker->dirty_clients, &client->dirty);
	client_check_output(client);
	if (buf_length(&client->out) > OUTPUT_UNREAD && !client->closing)
		note_unread(client);
}

/* No more of what it sends is read for now. */
static bool is_full(const struct client *client)
{
	return client->stall == STALL_UPLOAD ||
	       (client->stall != STALL_NONE && buf_length(&client->in) > IN_PAUSE_BYTES);
}

/* It is not read because it has sent more than was taken from it. Not meant:
 * what the server sends unasked, for which the server has limits of its own. */
static bool may_be_writing(const struct client *client)
{
	const struct session *session = &client->session;

	return is_full(client) && !session_is_subscribed(session) && !session->bonds.monitoring &&
	       !session->bonds.replicating;
}

void client_tick(struct worker *worker)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->unread_clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, unread);

		if (client->writes_first || !may_be_writing(client) || ++client->unread_ticks < UNREAD_TICKS)
			continue;
		client->writes_first = true;
		flow_let_go(client);
		client_check_stall(client);
	}
}

/* Of much that it was sent it has read all but what is left; that it reads keeps
 * it from being idle. */
static void note_reading(struct client *client, size_t before)
{
	if (buf_length(&client->out) < before) {
		client->unread_ticks = 0;
		client->active_ns = client->worker->now_ns;
	}
	if (buf_length(&client->out) >= OUTPUT_RESUME)
		return;
	list_remove(&client->unread);
	client->writes_first = false;
	flow_resume(client);
}

void client_flush(struct client *client)
{
	enum conn_result result = CONN_OK;
	size_t before = buf_length(&client->out), wrote;

	if (client->awaits_proof)
		return; /* its replies become due with the proof */
	for (int i = 0; i < WRITES_PER_TURN && buf_length(&client->out) > 0 && result == CONN_OK; i++) {
		result = conn_write(&client->conn, buf_head(&client->out), buf_length(&client->out), &wrote);
		buf_consume(&client->out, wrote);
		count_written(client, wrote);
	}
	if (result == CONN_CLOSED) {
		client_close(client, CLOSE_socket_error);
		return;
	}
	buf_shrink(&client->out, 0);
	if (list_is_linked(&client->unread) || client->pauses > 0)
		note_reading(client, before);
	client_check_stall(client);
	watch(client);
	close_if_done(client);
}

/* ---- stalls ---- */

static bool stall_is_over(const struct client *client)
{
	switch ((enum client_stall)client->stall) {
	case STALL_REPLICAS:
		return client->replica_in_flight == 0;
	case STALL_ALL:
		return client->head == NULL;
	case STALL_WINDOW:
		return client->in_flight <= client->appetite.window / 4;
	case STALL_OUTPUT:
		return client->writes_first || unread_bytes(client) < OUTPUT_RESUME;
	case STALL_LINE:
		return !appetite_may_be_large(&client->appetite);
	case STALL_UPLOAD:
		return client->upload != UPLOAD_PASSES || backend_takes_more(client->session.pinned);
	default:
		return false;
	}
}

void client_check_stall(struct client *client)
{
	if (client->stall != STALL_NONE && stall_is_over(client))
		client_wake(client);
}

void client_wake(struct client *client)
{
	client->stall = STALL_NONE;
	if (!client->closing)
		list_put(&client->worker->resumed_clients, &client->resume);
}

/* ---- requests ---- */

static const struct resp_limits *limits_of(const struct client *client)
{
	return client_is_shut_out(client) ? &resp_limits_unauthenticated : &resp_limits_default;
}

static struct slice second_argument(const char *request)
{
	struct resp_args args;
	struct slice arg = { NULL, 0 };

	resp_args_begin(&args, request);
	resp_args_next(&args, &arg);
	resp_args_next(&args, &arg);
	return arg;
}

/* What a replica says to its master: refused, unless allow_sync. */
static bool is_replication(const struct command *command)
{
	return command->special == SPECIAL_REPLCONF || command->special == SPECIAL_SYNC ||
	       command->special == SPECIAL_PSYNC;
}

static __attribute__((noinline)) void look_up(struct client *client, struct parsed_command *parsed, const struct resp_request *request)
{
	const struct command_table *table = client->worker->commands;
	const char *bytes = parsed->bytes;

	parsed->command = command_find_name(table, request->name);
	if (parsed->command->container && request->argc > 1)
		parsed->command = command_find_sub(table, parsed->command, second_argument(bytes));
	parsed->class = (uint8_t)command_class_of(parsed->command, bytes);
	if (parsed->class == COMMAND_CURSOR && (client->worker->config->scan == SCAN_MASTER ||
						cursors_named(parsed).kind == CURSOR_PLAIN))
		parsed->class = COMMAND_MASTER_READ; /* a server's own cursor is the master's */
	if (!parsed->command->known && !client->worker->has_learned)
		parsed->class = COMMAND_BLOCKING; /* it might: nobody else shall wait behind it */
	if (client->worker->config->allow_sync && is_replication(parsed->command))
		parsed->class = COMMAND_STREAM;
}

/* The name that was looked up last, if that is all that decides what the command
 * is: in a pipeline it is mostly the same again. */
struct last_name {
	struct slice name; /* a view into the input */
	const struct command *command; /* NULL: there is none */
	uint8_t class;
};

static void remember(struct last_name *last, struct slice name, const struct parsed_command *parsed)
{
	const struct command *command = parsed->command;
	bool by_name = command->special == SPECIAL_NONE && command->known && !command->container &&
		       command_class_is_fixed(command) && parsed->class == command->class;

	*last = (struct last_name){ name, by_name ? command : NULL, parsed->class };
}

static void describe(struct client *client, struct parsed_command *parsed, const char *bytes,
		     const struct resp_request *request, struct last_name *last)
{
	parsed->bytes = bytes;
	parsed->length = request->length;
	parsed->argc = request->argc;
	if (last->command != NULL && slice_same_word(last->name, request->name)) {
		parsed->command = last->command;
		parsed->class = last->class;
		return;
	}
	look_up(client, parsed, request);
	remember(last, request->name, parsed);
}

static void refuse_malformed(struct client *client, const char *error)
{
	char text[128];

	stats_add(&client->worker->stats, STAT_protocol_errors, 1);
	snprintf(text, sizeof(text), "ERR %s", error);
	drop_upload(client);
	dispatch_error(client, text);
	client_finish(client, CLOSE_protocol_error);
}

/* An inline command takes the same way as all others, in canonical form. */
static size_t take_inline(struct client *client, const char *bytes, const struct resp_request *request)
{
	struct buf *scratch = &client->worker->scratch;
	struct resp_request_framer framer = { 0 };
	struct resp_request canonical;
	struct last_name last = { 0 };
	struct parsed_command parsed;
	const char *error;
	int argc;

	buf_consume(scratch, buf_length(scratch));
	argc = resp_inline_encode(bytes, request->length, scratch);
	if (argc == 0)
		return request->length;
	if (argc < 0 || resp_request_next(&framer, &resp_limits_default, buf_head(scratch), buf_length(scratch),
					  &canonical, &error) != RESP_OK) {
		refuse_malformed(client, RESP_UNBALANCED_QUOTES);
		return request->length;
	}
	describe(client, &parsed, buf_head(scratch), &canonical, &last);
	if (dispatch(client, &parsed, 1) == 0)
		return 0;
	explicit_bzero((char *)bytes, request->length); /* it may be an AUTH */
	return request->length;
}

struct harvest {
	size_t commands;  /* in worker->parsed */
	size_t length;    /* of their bytes, skipped empty requests included */
	bool is_inline;   /* an inline command follows them */
	struct resp_request inline_request;
	const char *error;
	bool incomplete;  /* and then an incomplete one, which the framer remembers */
};

/* Frames and looks up whole commands, as many as fit the worker's array. */
static struct harvest parse(struct client *client, const char *bytes, size_t length)
{
	struct worker *worker = client->worker;
	const struct resp_limits *limits = limits_of(client);
	struct harvest harvest = { 0 };
	struct last_name last = { 0 };
	struct resp_request request;

	while (harvest.commands < WORKER_PARSED_MAX && harvest.length < length) {
		const char *at = bytes + harvest.length;
		enum resp_result result = resp_request_next(&client->framer, limits, at, length - harvest.length, &request,
							    &harvest.error);

		if (result == RESP_AGAIN)
			harvest.incomplete = true;
		if (result != RESP_OK)
			break;
		harvest.error = NULL;
		if (request.is_inline) {
			harvest.is_inline = true;
			harvest.inline_request = request;
			break;
		}
		if (request.argc > 0)
			describe(client, &worker->parsed[harvest.commands++], at, &request, &last);
		harvest.length += request.length;
	}
	if (harvest.incomplete)
		harvest.error = NULL;
	return harvest;
}

static bool takes_commands(const struct client *client)
{
	return client->stall == STALL_NONE && !client->closing && !client->close_after_flush;
}

static size_t take_upload(struct client *client, const char *bytes, size_t length)
{
	const char *error;
	size_t done = upload_take(client, limits_of(client), bytes, length, &error);

	if (error != NULL)
		refuse_malformed(client, error);
	return done;
}

/* Takes what it can of the input. Returns how many bytes are done with. */
static size_t take_input(struct client *client, const char *bytes, size_t length)
{
	struct worker *worker = client->worker;
	size_t done = 0;

	while (done < length && takes_commands(client)) {
		struct harvest harvest;
		size_t taken;

		if (client->upload != UPLOAD_NONE) {
			done += take_upload(client, bytes + done, length - done);
			if (client->upload != UPLOAD_NONE)
				break;
			continue;
		}
		harvest = parse(client, bytes + done, length - done);
		taken = dispatch(client, worker->parsed, harvest.commands);
		if (taken < harvest.commands) {
			client->framer = (struct resp_request_framer){ 0 };
			done = (size_t)(worker->parsed[taken].bytes - bytes);
			continue;
		}
		done += harvest.length;
		if (!takes_commands(client)) {
			client->framer = (struct resp_request_framer){ 0 };
			break;
		}
		if (harvest.error != NULL) {
			refuse_malformed(client, harvest.error);
			return length;
		}
		if (harvest.is_inline)
			done += take_inline(client, bytes + done, &harvest.inline_request);
		if (harvest.incomplete) {
			done += upload_begin(client, bytes + done);
			break;
		}
	}
	return client->closing || client->close_after_flush ? length : done;
}

/* The peer has sent its last byte: answers what it asked, unless nobody can be
 * waiting for that any more. What a stall holds back is judged when it is taken. */
static void end_of_input(struct client *client)
{
	client->at_end = true;
	finish_at_end(client);
	watch(client);
}

static void take_waiting(struct client *client, size_t length)
{
	size_t done = take_input(client, buf_head(&client->in), length);

	if (client->closing)
		return;
	buf_consume(&client->in, done);
	client->indexed_bytes -= done < client->indexed_bytes ? done : client->indexed_bytes;
}

/* Strong reads: the index is good for what had arrived before it was asked for. */
static void take_indexed(struct client *client)
{
	client->index_ready = true;
	take_waiting(client, client->indexed_bytes);
	client->index_ready = false;
	if (client->stall == STALL_NONE)
		client->indexed_bytes = 0; /* what is left of them is the beginning of a command */
}

/* Has it begun a command whose rest is still to come? What a stall holds back is
 * not awaited of it. */
static bool awaits_rest(const struct client *client)
{
	return client->stall == STALL_NONE && !client->close_after_flush &&
	       (buf_length(&client->in) > 0 || client->upload != UPLOAD_NONE);
}

/* Of what was waiting, and has come now, some was a whole command: another one
 * has begun. An upload's bytes leave as they come. */
static bool has_taken(const struct client *client, size_t waiting)
{
	return client->upload == UPLOAD_NONE && buf_length(&client->in) < waiting;
}

/* It had `before` waiting, `got` came, and what could be taken is taken. */
static void note_progress(struct client *client, size_t before, size_t got)
{
	bool goes_on = list_is_linked(&client->unfinished) && !has_taken(client, before + got);

	if (client->closing || !awaits_rest(client)) {
		list_remove(&client->unfinished);
		return;
	}
	list_mark(&client->worker->unfinished_clients, &client->unfinished);
	client->unfinished_bytes = goes_on ? client->unfinished_bytes + got : 0;
	if (goes_on && client->unfinished_bytes < UNFINISHED_BYTES)
		return;
	client->unfinished_ns = client->worker->now_ns;
	client->unfinished_bytes = 0;
}

void client_close_unfinished(struct worker *worker)
{
	int64_t limit_ns = clock_ms_to_ns(worker->config->client_header_timeout_ms);
	struct list_link *link, *following;

	LIST_EACH(&worker->unfinished_clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, unfinished);

		if (!awaits_rest(client)) /* any longer: client_resume() begins anew */
			list_remove(&client->unfinished);
		else if (limit_ns != 0 && worker->now_ns - client->unfinished_ns > limit_ns)
			client_close(client, CLOSE_header_timeout);
	}
}

static void take_again(struct client *client)
{
	if (client->closing)
		return;
	if (client->indexed_bytes > 0)
		take_indexed(client);
	if (buf_length(&client->in) > 0 && takes_commands(client))
		take_waiting(client, buf_length(&client->in));
	if (client->closing)
		return;
	buf_shrink(&client->in, 0);
	finish_at_end(client);
	watch(client);
}

void client_resume(struct client *client)
{
	size_t before = buf_length(&client->in);

	take_again(client);
	note_progress(client, before, 0);
}

static size_t room_wanted(const struct client *client)
{
	size_t have = buf_length(&client->in);
	int64_t need = client->framer.bulk_left;

	if (need <= IN_FIRST_BYTES)
		return IN_FIRST_BYTES;
	/* Memory follows what has arrived, not what was announced. */
	return (size_t)need < have + IN_FIRST_BYTES ? (size_t)need : have + IN_FIRST_BYTES;
}

static void keep_rest(struct client *client, const char *bytes, size_t length)
{
	if (length > 0 && !client->closing && !client->close_after_flush)
		buf_append(&client->in, bytes, length);
	if (length < SHORT_BYTES) /* half an AUTH, perhaps */
		explicit_bzero((char *)bytes, length);
}

/* Into the worker's buffer while nothing is left over, into the client's own
 * behind what is. */
static enum conn_result read_some(struct client *client, size_t *got)
{
	struct worker *worker = client->worker;
	enum conn_result result;
	size_t done;

	if (upload_is_open(client) && buf_length(&client->in) == 0) {
		result = upload_read(client, got);
		count_read(client, *got);
		return result;
	}
	if (buf_length(&client->in) > 0) {
		size_t room = room_wanted(client);

		result = conn_read(&client->conn, buf_reserve(&client->in, room), room, got);
		buf_produced(&client->in, *got);
		count_read(client, *got);
		if (result == CONN_OK && client->stall == STALL_NONE)
			take_again(client);
		return result;
	}
	result = conn_read(&client->conn, worker->read_buffer, READ_BYTES, got);
	if (result != CONN_OK)
		return result;
	count_read(client, *got);
	done = client->stall == STALL_NONE ? take_input(client, worker->read_buffer, *got) : 0;
	keep_rest(client, worker->read_buffer + done, *got - done);
	return result;
}

void client_read(struct client *client)
{
	enum conn_result result;
	size_t before = buf_length(&client->in), got = 0;

	if (!(conn_watched(&client->conn) & EV_READ)) /* any longer */
		return;
	result = read_some(client, &got);
	if (client->closing || result == CONN_AGAIN)
		return;
	if (result == CONN_CLOSED) {
		if (errno != 0)
			client_close(client, CLOSE_socket_error);
		else
			end_of_input(client);
		return;
	}
	client->active_ns = client->worker->now_ns;
	note_progress(client, before, got);
	if (buf_length(&client->in) > QUERY_LIMIT_BYTES)
		client_close(client, CLOSE_query_limit);
	else
		watch(client);
}

static void watch(struct client *client)
{
	int events = 0;

	if (client->closing)
		return;
	if (!client->at_end && !client->close_after_flush && !is_full(client))
		events |= EV_READ;
	if (buf_length(&client->out) > 0 && !list_is_linked(&client->dirty) && !client->awaits_proof)
		events |= EV_WRITE;
	conn_watch(&client->conn, events);
}

/* libev calls back in the reverse of the order in which the sockets became
 * readable: so each goes in front of those that were told before it, and the
 * turn's end reads them in the order in which their bytes came. */
static void on_ready(struct conn *conn, int events)
{
	struct client *client = CONTAINER_OF(conn, struct client, conn);

	if ((events & EV_READ) && !list_is_linked(&client->readable))
		list_prepend(&client->worker->readable_clients, &client->readable);
	if (events & EV_WRITE)
		client_flush(client);
}
