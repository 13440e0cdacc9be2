/* Sessions: one connection each (two, where reads go apart), bursts out,
 * replies in. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../proxy/clock.h"
#include "history.h"
#include "burst.h"

enum { READ_ROOM = 65536, KEEP_BUFFER = 1 << 20 };

#define REPLY_TIMEOUT 20.0     /* seconds; weir never needs so long for anything it promises */
#define RECONNECT_PAUSE 0.02   /* about; twice as long each time, as long as nobody answers */
enum { RECONNECT_DOUBLINGS = 4 };

/* ---- time ---- */

static double some(struct actor *actor, double seconds)
{
	return seconds * (0.5 + (double)random_below(&actor->random, 1000) / 1000);
}

static double reconnect_pause(struct actor *actor)
{
	double seconds = RECONNECT_PAUSE * (1 << actor->failed_sessions);

	if (actor->failed_sessions < RECONNECT_DOUBLINGS)
		actor->failed_sessions++;
	return some(actor, seconds);
}

static void pause_for(struct actor *actor, double seconds)
{
	actor->state = ACTOR_PAUSED;
	ev_timer_set(&actor->pause, seconds, 0);
	ev_timer_start(actor->load->loop, &actor->pause);
}

/* As long as this actor's share of the rate asks for, and what it was woken too early. */
static double thinking_time(struct actor *actor)
{
	const struct load *load = actor->load;
	double owed = actor->owed_seconds;

	if (load->options.rate <= 0)
		return 0;
	actor->owed_seconds = 0;
	return owed + some(actor, (double)actor->burst_count * load->actor_count / load->options.rate);
}

static void expect_reply(struct actor *actor)
{
	actor->deadline.repeat = REPLY_TIMEOUT;
	ev_timer_again(actor->load->loop, &actor->deadline);
}

static void leave_busy(struct actor *actor)
{
	if (actor->state == ACTOR_BUSY)
		actor->load->busy--;
	ev_timer_stop(actor->load->loop, &actor->deadline);
}

/* ---- the end of a session ---- */

static struct witness witness_of(const struct actor *actor, int64_t now_ns)
{
	return (struct witness){ .history = actor->load->history, .session = actor->session, .now_ns = now_ns };
}

static bool is_weirs_own(enum operation_name name)
{
	return name == OPERATION_TOKEN || name == OPERATION_WAIT;
}

/* Whose errors are told apart; NULL: the others'. A server never fails to change a
 * session: what stands behind it in the burst would go to another database. Those of
 * weir's own verbs are others, too; a listener's session ends with the connection
 * that it has to itself; and who talks to the server directly sees all of it. */
static const char *who_is_refused(const struct actor *actor, const struct operation *operation)
{
	if (actor->door == actor->load->options.door_count - 1 && actor->load->options.last_is_beside)
		return "beside";
	if (operation_has_row(operation->name) && !is_weirs_own(operation->name))
		return NULL;
	return actor->role == &role_listener ? "listener" : operation_text(operation->name);
}

static void count_refusal(const struct actor *actor, const struct operation *operation, const struct reply *reply)
{
	struct load *load = actor->load;
	const char *who = who_is_refused(actor, operation);
	char text[ERROR_SIZE];
	int word = (int)strcspn(reply->text, " \r");

	if (who == NULL) {
		load_count_error(load, reply->text, reply->length);
		return;
	}
	snprintf(text, sizeof(text), "%s:%.*s", who, word, reply->text);
	load_count_error(load, text, strlen(text));
}

static void settle(struct actor *actor, struct operation *operation, const struct reply *reply, enum outcome outcome,
		   int64_t now_ns)
{
	struct witness witness = witness_of(actor, now_ns);

	operation_record(operation, &witness, reply, outcome);
	if (operation_has_row(operation->name))
		actor->load->outcomes[outcome]++;
	if (outcome != OUTCOME_OK && reply != NULL && reply_is_error(reply))
		count_refusal(actor, operation, reply);
	actor->role->settled(actor, operation, reply, outcome);
}

static void close_wire(struct load *load, struct wire *wire)
{
	if (wire->fd < 0)
		return;
	ev_io_stop(load->loop, &wire->readable);
	ev_io_stop(load->loop, &wire->writable);
	close(wire->fd);
	wire->fd = -1;
	buf_free(&wire->in);
	buf_free(&wire->out);
}

void session_end(struct actor *actor, const char *why)
{
	struct load *load = actor->load;
	int64_t now_ns = clock_ns();

	for (int i = 0; i < WIRES; i++)
		close_wire(load, &actor->wires[i]);
	while (actor->burst_next < actor->burst_count)
		settle(actor, &actor->burst[actor->burst_next++], NULL, OUTCOME_INFO, now_ns);
	if (load->history != NULL)
		history_closed(load->history, actor->session, why, now_ns);
	actor->session = 0;
	actor->watching = actor->subscribed = actor->has_follow_up = false;
	leave_busy(actor);
	actor->state = ACTOR_ENDED;
	if (load->stopping)
		load_check_end(load);
	else
		pause_for(actor, reconnect_pause(actor));
}

/* A session to which nobody has said anything yet has lost nothing. */
static void fail(struct actor *actor, const char *why)
{
	if (!actor->greeted)
		why = "no-greeting";
	load_count_error(actor->load, why, strlen(why));
	session_end(actor, why);
}

/* ---- replies ---- */

static void burst_done(struct actor *actor)
{
	double seconds;

	leave_busy(actor);
	actor->state = ACTOR_ENDED;
	if (actor->unknown) {
		session_end(actor, "unknown");
	} else if (actor->load->stopping) {
		load_check_end(actor->load);
	} else if (actor->subscribed && !actor->has_follow_up) {
		actor->state = ACTOR_WAITING;
	} else if ((seconds = thinking_time(actor)) > 0 && !actor->has_follow_up && !actor->watching) {
		pause_for(actor, seconds);
	} else {
		session_start_burst(actor);
	}
}

static bool is_message(const struct reply *reply)
{
	return (reply->type == '*' || reply->type == '>') && reply_says(reply_at(reply, 0), "message");
}

static void take_message(struct actor *actor, const struct reply *reply, int64_t now_ns)
{
	struct witness witness = witness_of(actor, now_ns);

	operation_record_message(&witness, actor->sequence++, reply);
	if (actor->role->message != NULL)
		actor->role->message(actor, reply);
	if (actor->state == ACTOR_WAITING && actor->has_follow_up)
		session_start_burst(actor);
}

static void take_reply(struct actor *actor, const struct reply *reply, int64_t now_ns)
{
	struct operation *operation = &actor->burst[actor->burst_next];
	enum outcome outcome;

	if (is_message(reply)) {
		take_message(actor, reply, now_ns);
		return;
	}
	if (actor->burst_next == actor->burst_count) {
		fail(actor, "STRAY-REPLY");
		return;
	}
	actor->greeted = true;
	actor->failed_sessions = 0;
	expect_reply(actor);
	if (--operation->replies_due > 0)
		return;
	actor->burst_next++;
	outcome = operation_outcome(operation, reply);
	actor->unknown = actor->unknown || outcome == OUTCOME_INFO;
	settle(actor, operation, reply, outcome, now_ns);
	if (outcome != OUTCOME_OK && !operation_has_row(operation->name)) {
		session_end(actor, "state"); /* who knows where the rest of the burst went */
		return;
	}
	if (actor->burst_next == actor->burst_count)
		burst_done(actor);
}

/* False: the session is over. */
static bool take_replies(struct actor *actor, struct wire *wire, int64_t now_ns)
{
	uint64_t session = actor->session;

	while (buf_length(&wire->in) > 0) {
		struct reply *reply = NULL;
		size_t used;

		switch (reply_parse(&actor->load->arena, buf_head(&wire->in), buf_length(&wire->in), &reply, &used)) {
		case REPLY_AGAIN:
			return true;
		case REPLY_BAD:
			fail(actor, "MALFORMED-REPLY");
			return false;
		case REPLY_OK:
			break;
		}
		take_reply(actor, reply, now_ns);
		if (actor->session != session)
			return false;
		buf_consume(&wire->in, used);
	}
	return true;
}

static struct wire *wire_of(struct actor *actor, int fd)
{
	return actor->wires[WIRE_MAIN].fd == fd ? &actor->wires[WIRE_MAIN] : &actor->wires[WIRE_READS];
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct actor *actor = io->data;
	struct wire *wire = wire_of(actor, io->fd);
	ssize_t count = recv(io->fd, buf_reserve(&wire->in, READ_ROOM), READ_ROOM, 0);

	(void)loop;
	(void)events;
	if (count > 0) {
		buf_produced(&wire->in, (size_t)count);
		if (take_replies(actor, wire, clock_ns()))
			buf_shrink(&wire->in, KEEP_BUFFER);
	} else if (count == 0) {
		fail(actor, "connection-closed");
	} else if (errno != EAGAIN && errno != EINTR) {
		fail(actor, "connection-reset");
	}
}

/* ---- requests ---- */

static void flush(struct actor *actor, struct wire *wire)
{
	while (buf_length(&wire->out) > 0) {
		ssize_t count = send(wire->fd, buf_head(&wire->out), buf_length(&wire->out), MSG_NOSIGNAL);

		if (count < 0 && errno == EAGAIN) {
			ev_io_start(actor->load->loop, &wire->writable);
			return;
		}
		if (count < 0) {
			/* What is there is read yet, and then the error. */
			ev_feed_event(actor->load->loop, &wire->readable, EV_READ);
			return;
		}
		buf_consume(&wire->out, (size_t)count);
	}
	ev_io_stop(actor->load->loop, &wire->writable);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	struct actor *actor = io->data;

	(void)loop;
	(void)events;
	flush(actor, wire_of(actor, io->fd));
}

static void send_burst(struct actor *actor)
{
	struct wire *wire = &actor->wires[actor->burst_wire];
	int64_t now_ns;

	for (uint32_t i = 0; i < actor->burst_count; i++)
		operation_encode(&actor->burst[i], &wire->out);
	now_ns = clock_ns();
	for (uint32_t i = 0; i < actor->burst_count; i++)
		actor->burst[i].invoked_ns = now_ns;
	actor->state = ACTOR_BUSY;
	actor->load->busy++;
	expect_reply(actor);
	flush(actor, wire);
}

/* ---- opening ---- */

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static bool open_wire(struct actor *actor, struct wire *wire, uint16_t port)
{
	wire->fd = connect_to(port);
	if (wire->fd < 0)
		return false;
	ev_io_set(&wire->readable, wire->fd, EV_READ);
	ev_io_set(&wire->writable, wire->fd, EV_WRITE);
	ev_io_start(actor->load->loop, &wire->readable);
	wire->database = 0;
	return true;
}

static int64_t some_protocol(struct actor *actor)
{
	if (actor->load->options.own || actor->load->options.reads_at != 0)
		return 2;
	return random_percent(&actor->random, actor->role == &role_listener ? 50 : 25) ? 3 : 2;
}

static bool open_session(struct actor *actor)
{
	const struct options *options = &actor->load->options;

	bool reader = actor->role == &role_reader; /* whose door is another one of the first door's weir */

	actor->door = reader ? 0 : (uint32_t)random_below(&actor->random, options->door_count);
	if (!open_wire(actor, &actor->wires[WIRE_MAIN], reader ? options->reader_door : options->doors[actor->door]))
		return false;
	if (options->reads_at != 0 && !open_wire(actor, &actor->wires[WIRE_READS], options->reads_at)) {
		close_wire(actor->load, &actor->wires[WIRE_MAIN]);
		return false;
	}
	actor->session = ++actor->load->sessions;
	actor->sequence = 0;
	actor->protocol = some_protocol(actor);
	actor->unknown = actor->greeted = false;
	if (actor->load->history != NULL)
		history_opened(actor->load->history, actor->session, actor->index, actor->door, clock_ns());
	return true;
}

/* A session begins with a question that risks nothing. */
static void fill_burst(struct actor *actor)
{
	actor->burst_count = actor->burst_next = 0;
	actor->burst_wire = WIRE_MAIN;
	if (actor->sequence > 0)
		actor->role->next_burst(actor);
	else if (actor->protocol == 3)
		burst_add_number(actor, OPERATION_HELLO, 3);
	else
		burst_add(actor, OPERATION_PING); /* is anybody there? */
}

void session_start_burst(struct actor *actor)
{
	if (ev_is_active(&actor->pause))
		actor->owed_seconds += ev_timer_remaining(actor->load->loop, &actor->pause);
	ev_timer_stop(actor->load->loop, &actor->pause);
	if (actor->session == 0 && !open_session(actor)) {
		load_count_error(actor->load, "no-greeting", strlen("no-greeting"));
		pause_for(actor, reconnect_pause(actor));
		return;
	}
	fill_burst(actor);
	if (actor->burst_count == 0)
		actor->state = ACTOR_WAITING;
	else
		send_burst(actor);
}

/* ---- timers ---- */

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct actor *actor = timer->data;

	(void)loop;
	(void)events;
	if (actor->load->stopping)
		actor->state = ACTOR_ENDED;
	else
		session_start_burst(actor);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	fail(timer->data, "no-reply-in-time");
}

void session_init(struct actor *actor)
{
	ev_timer_init(&actor->pause, on_pause_over, 0, 0);
	ev_timer_init(&actor->deadline, on_deadline, 0, 0);
	actor->pause.data = actor->deadline.data = actor;
	for (int i = 0; i < WIRES; i++) {
		struct wire *wire = &actor->wires[i];

		wire->fd = -1;
		ev_io_init(&wire->readable, on_readable, -1, EV_READ);
		ev_io_init(&wire->writable, on_writable, -1, EV_WRITE);
		wire->readable.data = wire->writable.data = actor;
	}
	pause_for(actor, some(actor, RECONNECT_PAUSE));
}
