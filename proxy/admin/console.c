/* One console connection: bytes in, verbs, bytes out.
 *
 * While an answer waits to be sent nothing more is read, so the memory of a
 * console is one request and the answers to what one read brought. Every state
 * has a deadline: a request that does not become whole, an answer that is not
 * taken, a peer that says nothing.
 *
 * Invariant: serve() is the only way through; what it calls says whether the
 * console goes on, and only on_turn() and console_close() free it. */
#include "console.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../../protocol/buf.h"
#include "../../protocol/encode.h"
#include "../../protocol/resp.h"
#include "console_verbs.h"

enum {
	REQUEST_MAX_BYTES = 64 << 10,
	READ_BYTES = 16 << 10,
	OUTPUT_FLUSH_BYTES = 64 << 10, /* so much output is sent before the next request runs */
	REQUESTS_PER_TURN = 64,        /* the control loop has other work */
};

static const struct resp_limits limits = {
	.max_args = CONSOLE_ARGS_MAX, .max_bulk = REQUEST_MAX_BYTES, .max_inline = REQUEST_MAX_BYTES };

/* What a console waits for, and how long. */
enum waiting { WAITING_REQUEST, WAITING_REST, WAITING_OUTPUT, WAITING_ANSWER };

static const double patience_seconds[] = {
	[WAITING_REQUEST] = 600., [WAITING_REST] = 5., [WAITING_OUTPUT] = 5.,
	[WAITING_ANSWER] = 0. }; /* whoever makes it wait answers in a time of his own */

struct console {
	struct ev_loop *loop;
	const struct admin_sources *sources;
	void (*on_closed)(void *peer);
	void *peer;
	int fd;
	ev_io io;
	ev_timer deadline;
	ev_timer again;        /* more requests wait in `in`; their turn comes next */
	enum waiting waiting;
	struct buf in;
	struct buf out;
	struct resp_request_framer framer;
	bool admitted;         /* has shown the token */
	bool ending;           /* closed when `out` has been sent */
	struct console_ticket *ticket; /* of an answer that comes later; nothing is read until then */
};

/* ---- requests ---- */

static void refuse(struct console *console, const char *error)
{
	char text[256];

	snprintf(text, sizeof(text), "ERR %s", error);
	encode_error(&console->out, text);
	console->ending = true;
}

/* It has come: what was read behind the request has its turn now. */
static void on_late_answer(void *asker, struct slice reply)
{
	struct console *console = asker;

	console->ticket = NULL;
	buf_append(&console->out, reply.bytes, reply.length);
	ev_timer_start(console->loop, &console->again);
}

static void wait_for_answer(struct console *console, struct console_ticket *ticket)
{
	ticket->on_answer = on_late_answer;
	ticket->asker = console;
	console->ticket = ticket;
}

static void run_canonical(struct console *console, const char *request)
{
	struct slice argv[CONSOLE_ARGS_MAX];
	struct console_call call = {
		.sources = console->sources,
		.argv = argv,
		.role = console->admitted ? ACCESS_CHANGE : access_of_stranger(console->sources),
		.out = &console->out,
	};
	struct resp_args args;

	resp_args_begin(&args, request);
	while (call.argc < CONSOLE_ARGS_MAX && resp_args_next(&args, &argv[call.argc]))
		call.argc++;
	console_run(&call);
	console->ending = call.quit;
	console->admitted = console->admitted || call.admitted;
	if (call.ticket != NULL)
		wait_for_answer(console, call.ticket);
}

static void run_inline(struct console *console, const char *line, size_t length)
{
	struct buf canonical = { 0 };
	int argc = resp_inline_encode(line, length, &canonical);

	if (argc < 0)
		refuse(console, "Protocol error: unbalanced quotes in request");
	else if (argc > CONSOLE_ARGS_MAX)
		refuse(console, "Protocol error: invalid multibulk length");
	else if (argc > 0)
		run_canonical(console, buf_head(&canonical));
	buf_free(&canonical);
}

static void run_request(struct console *console, const struct resp_request *request)
{
	if (request->is_inline)
		run_inline(console, buf_head(&console->in), request->length);
	else if (request->argc > 0)
		run_canonical(console, buf_head(&console->in));
	buf_consume(&console->in, request->length);
}

/* Answers the next whole request, if there is one. */
static enum resp_result take_request(struct console *console)
{
	struct resp_request request;
	const char *error;
	size_t length = buf_length(&console->in);
	enum resp_result result;

	if (length == 0)
		return RESP_AGAIN;
	result = resp_request_next(&console->framer, &limits, buf_head(&console->in), length, &request, &error);
	if (result == RESP_OK)
		run_request(console, &request);
	else if (result == RESP_BAD)
		refuse(console, error);
	else if (length >= REQUEST_MAX_BYTES)
		refuse(console, "Protocol error: the request is too long");
	return result;
}

/* ---- bytes ---- */

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Sends what the socket takes. False when the peer is gone. */
static bool flush(struct console *console)
{
	while (buf_length(&console->out) > 0) {
		ssize_t count = send(console->fd, buf_head(&console->out), buf_length(&console->out), MSG_NOSIGNAL);

		if (count < 0)
			return would_block();
		buf_consume(&console->out, (size_t)count);
	}
	buf_shrink(&console->out, 0);
	return true;
}

/* Reads once. False when the peer is gone. */
static bool fill(struct console *console)
{
	ssize_t count = recv(console->fd, buf_reserve(&console->in, READ_BYTES), READ_BYTES, 0);

	if (count > 0)
		buf_produced(&console->in, (size_t)count);
	buf_shrink(&console->in, 0);
	return count > 0 || (count < 0 && would_block());
}

/* Answers whole requests until none is left, or enough for this turn.
 * Returns how many. */
static int take_requests(struct console *console)
{
	int count = 0;

	while (count < REQUESTS_PER_TURN && !console->ending && console->ticket == NULL && buf_length(&console->out) < OUTPUT_FLUSH_BYTES &&
	       take_request(console) == RESP_OK)
		count++;
	return count;
}

/* ---- turns ---- */

static void watch(struct console *console, int events)
{
	if (console->io.events == events)
		return;
	ev_io_stop(console->loop, &console->io);
	ev_io_set(&console->io, console->fd, events);
	if (events != 0)
		ev_io_start(console->loop, &console->io);
}

static enum waiting what_now(const struct console *console)
{
	if (buf_length(&console->out) > 0)
		return WAITING_OUTPUT;
	if (console->ticket != NULL)
		return WAITING_ANSWER;
	return buf_length(&console->in) > 0 ? WAITING_REST : WAITING_REQUEST;
}

/* A deadline runs from the moment its state began; only progress, a request
 * answered, sets it anew. */
static void wait_on(struct console *console, bool progress)
{
	static const int events[] = {
		[WAITING_REQUEST] = EV_READ, [WAITING_REST] = EV_READ, [WAITING_OUTPUT] = EV_WRITE, [WAITING_ANSWER] = 0 };
	enum waiting now = what_now(console);

	watch(console, events[now]);
	if (now == console->waiting && !progress)
		return;
	console->waiting = now;
	console->deadline.repeat = patience_seconds[now];
	ev_timer_again(console->loop, &console->deadline);
}

/* One turn. False when the console has ended. */
static bool serve(struct console *console, bool readable)
{
	bool room = !ev_is_active(&console->again); /* else requests that were read already come first */
	int taken;

	if (!flush(console))
		return false;
	if (readable && room && buf_length(&console->out) == 0 && !console->ending && !fill(console))
		return false;
	taken = buf_length(&console->out) == 0 ? take_requests(console) : 0;
	if (!flush(console))
		return false;
	if (buf_length(&console->out) == 0 && console->ending)
		return false;
	if (taken > 0 && buf_length(&console->out) == 0 && buf_length(&console->in) > 0 && console->ticket == NULL)
		ev_timer_start(console->loop, &console->again);
	wait_on(console, taken > 0);
	return true;
}

static void close_and_tell(struct console *console)
{
	void (*on_closed)(void *peer) = console->on_closed;
	void *peer = console->peer;

	console_close(&console);
	on_closed(peer);
}

static void on_turn(struct console *console, bool readable)
{
	if (!serve(console, readable))
		close_and_tell(console);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	if (events & EV_ERROR)
		close_and_tell(io->data);
	else
		on_turn(io->data, (events & EV_READ) != 0);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	on_turn(timer->data, false);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	close_and_tell(timer->data);
}

struct console *console_open(struct ev_loop *loop, int fd, const struct admin_sources *sources,
			     void (*on_closed)(void *peer), void *peer)
{
	struct console *console = alloc_zeroed(1, sizeof(*console));

	console->loop = loop;
	console->sources = sources;
	console->on_closed = on_closed;
	console->peer = peer;
	console->fd = fd;
	ev_io_init(&console->io, on_io, fd, EV_READ);
	ev_timer_init(&console->deadline, on_deadline, 0., patience_seconds[WAITING_REQUEST]);
	ev_timer_init(&console->again, on_again, 0., 0.);
	console->io.data = console->deadline.data = console->again.data = console;
	ev_io_start(loop, &console->io);
	ev_timer_again(loop, &console->deadline);
	return console;
}

void console_close(struct console **console)
{
	struct console *it = *console;

	ev_io_stop(it->loop, &it->io);
	ev_timer_stop(it->loop, &it->deadline);
	ev_timer_stop(it->loop, &it->again);
	if (it->ticket != NULL)
		it->ticket->asker = NULL;
	close(it->fd);
	buf_free(&it->in);
	buf_free(&it->out);
	free(it);
	*console = NULL;
}
