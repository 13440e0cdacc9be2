/* A link is CONNECTING, then in HANDSHAKE, then READY, then LOST; it never goes
 * back. Replies pair with requests in order; a reply that nobody waits for is
 * a desync and ends the link, as does a reply of more than REPLY_LIMIT bytes.
 *
 * Frees: a callback may close the link it runs on. So link_close() marks a link
 * that is in the middle of delivering, and the delivery frees it at its end. */
#include "link.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "reply_guard.h"

enum {
	REQUESTS_MAX = 32,             /* outstanding at once */
	READ_CHUNK = 16 * 1024,
	REPLY_LIMIT = 16 * 1024 * 1024, /* CLIENT LIST of ten thousand clients is 3 MB */
	REPLY_ELEMENTS_MAX = 65536,
};

enum link_state { LINK_CONNECTING, LINK_HANDSHAKE, LINK_READY, LINK_LOST };

struct request {
	link_reply_fn *on_reply;
	void *arg;
	int64_t sent_ns;
};

struct link {
	struct ev_loop *loop;
	struct link_config config; /* user and password are its own copies */
	struct link_events events;
	enum link_state state;
	int fd;
	ev_io read_watcher;
	ev_io write_watcher;     /* active while connecting, and while output waits */
	ev_timer timer;          /* of connecting, then of the oldest request */
	int64_t since_ns;
	bool authenticated;
	redisReader *reader;
	size_t fed;              /* bytes since the last whole reply */
	size_t largest;          /* so many at once, since the reader is there */
	struct reply_guard guard;
	char *output;            /* what the kernel has not taken yet */
	size_t output_length;
	struct request requests[REQUESTS_MAX]; /* a ring */
	size_t first;
	size_t outstanding;
	bool delivering;         /* a callback may be running */
	bool closed;             /* to be freed when delivering ends */
};

static char *secret_copy(const char *text)
{
	return memory_text(text != NULL ? text : "");
}

static void link_free(struct link *link)
{
	memory_forget(link->config.user);
	memory_forget(link->config.password);
	redisReaderFree(link->reader);
	free(link->output);
	free(link);
}

static void disconnect(struct link *link)
{
	ev_io_stop(link->loop, &link->read_watcher);
	ev_io_stop(link->loop, &link->write_watcher);
	ev_timer_stop(link->loop, &link->timer);
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->state = LINK_LOST;
}

void link_close(struct link **link)
{
	struct link *gone = *link;

	*link = NULL;
	if (gone == NULL)
		return;
	disconnect(gone);
	gone->closed = true;
	if (!gone->delivering)
		link_free(gone);
}

/* Every entry from the loop is bracketed by these two. */
static void begin(struct link *link)
{
	link->delivering = true;
}

static void end(struct link *link)
{
	link->delivering = false;
	if (link->closed)
		link_free(link);
}

static void lose(struct link *link, enum link_end how, const char *why)
{
	if (link->state == LINK_LOST)
		return;
	disconnect(link);
	link->events.on_lost(link->events.arg, how, why);
}

static void lose_errno(struct link *link, int error)
{
	bool silent = error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH;

	lose(link, error == ECONNREFUSED ? LINK_REFUSED : silent ? LINK_SILENT : LINK_BROKEN, strerror(error));
}

/* ---- time limits ---- */

static void arm_timer(struct link *link, int64_t left_ns)
{
	ev_timer_stop(link->loop, &link->timer);
	ev_timer_set(&link->timer, left_ns > 0 ? (double)left_ns / 1e9 : 0.0, 0.0);
	ev_timer_start(link->loop, &link->timer);
}

static int64_t time_left_ns(const struct link *link)
{
	return link->requests[link->first].sent_ns + link->config.timeout_ms * NS_PER_MS - clock_now_ns();
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct link *link = timer->data;

	(void)loop;
	(void)revents;
	begin(link);
	if (link->state == LINK_CONNECTING)
		lose(link, LINK_SILENT, "connecting takes too long");
	else if (link->outstanding > 0 && time_left_ns(link) <= 0)
		lose(link, LINK_SILENT, "no answer within the time limit");
	else if (link->outstanding > 0)
		arm_timer(link, time_left_ns(link));
	end(link);
}

/* ---- output ---- */

static void flush(struct link *link)
{
	while (link->output_length > 0) {
		ssize_t sent = send(link->fd, link->output, link->output_length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)) {
			ev_io_start(link->loop, &link->write_watcher);
			return;
		}
		if (sent < 0) {
			/* The reader learns of it, from the loop and not from
			 * within somebody's link_request(). */
			shutdown(link->fd, SHUT_RDWR);
			link->output_length = 0;
			break;
		}
		link->output_length -= (size_t)sent;
		memmove(link->output, link->output + sent, link->output_length);
		explicit_bzero(link->output + link->output_length, (size_t)sent); /* it may have been a password */
	}
	ev_io_stop(link->loop, &link->write_watcher);
}

/* No client spells so: weir's own words can be told apart in a server's MONITOR
 * (protocol/push.h), and are those with a small letter and then capitals. */
static void spell(char *command)
{
	command[strcspn(command, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] |= 0x20;
}

static bool send_request(struct link *link, link_reply_fn *on_reply, void *arg, int argc, const char *const *argv)
{
	char *command = NULL;
	long long length;

	if (link->outstanding == REQUESTS_MAX)
		return false;
	length = redisFormatCommandArgv(&command, argc, (const char **)argv, NULL);
	if (length <= 0)
		log_fatal("out of memory");
	spell(command);
	link->output = memory_checked(realloc(link->output, link->output_length + (size_t)length));
	memcpy(link->output + link->output_length, command, (size_t)length);
	link->output_length += (size_t)length;
	explicit_bzero(command, (size_t)length);
	free(command);
	link->requests[(link->first + link->outstanding) % REQUESTS_MAX] =
		(struct request){on_reply, arg, clock_now_ns()};
	if (link->outstanding++ == 0)
		arm_timer(link, link->config.timeout_ms * NS_PER_MS);
	flush(link);
	return true;
}

bool link_request(struct link *link, link_reply_fn *on_reply, void *arg, int argc, const char *const *argv)
{
	return link != NULL && link->state == LINK_READY && send_request(link, on_reply, arg, argc, argv);
}

/* ---- handshake ---- */

static void on_auth(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct link *link = arg;

	(void)sent_ns;
	link->authenticated = reply->type == REDIS_REPLY_STATUS;
	/* A server without a password needs none; INFO will show what it allows. */
	if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "without any password") == NULL)
		lose(link, LINK_BROKEN, reply->str);
}

static void on_named(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct link *link = arg;

	(void)sent_ns;
	if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOAUTH", 6) == 0) {
		lose(link, LINK_BROKEN, reply->str);
		return;
	}
	link->state = LINK_READY;
	link->events.on_ready(link->events.arg);
}

static void authenticate(struct link *link, link_reply_fn *on_reply)
{
	const struct link_config *config = &link->config;
	const char *auth[] = {"AUTH", config->password};
	const char *auth_user[] = {"AUTH", config->user, config->password};

	if (config->password[0] != '\0' && config->user[0] != '\0')
		send_request(link, on_reply, link, 3, auth_user);
	else if (config->password[0] != '\0')
		send_request(link, on_reply, link, 2, auth);
}

static void shake_hands(struct link *link)
{
	const char *name[] = {"CLIENT", "SETNAME", link->config.name};

	link->state = LINK_HANDSHAKE;
	authenticate(link, on_auth);
	send_request(link, on_named, link, 3, name);
}

/* Whoever is in stays in: the next connection will show what the server thinks. */
static void on_auth_again(void *arg, const struct redisReply *reply, int64_t sent_ns)
{
	struct link *link = arg;

	(void)sent_ns;
	if (reply->type == REDIS_REPLY_STATUS)
		link->authenticated = true;
	else if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "without any password") == NULL)
		log_warning("new credentials of weir's own are refused, the old ones stand while the connection lasts: %s",
			    reply->str);
}

void link_configure(struct link *link, const struct link_config *config)
{
	struct link_config before;

	if (link == NULL)
		return;
	before = link->config;
	link->config = *config;
	link->config.user = secret_copy(config->user);
	link->config.password = secret_copy(config->password);
	if (link->state == LINK_READY &&
	    (strcmp(before.user, link->config.user) != 0 || strcmp(before.password, link->config.password) != 0))
		authenticate(link, on_auth_again);
	memory_forget(before.user);
	memory_forget(before.password);
}

static void on_connected(struct link *link)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		lose_errno(link, error);
		return;
	}
	ev_timer_stop(link->loop, &link->timer);
	link->since_ns = clock_now_ns();
	ev_io_start(link->loop, &link->read_watcher);
	shake_hands(link);
}

/* ---- input ---- */

static bool is_message(const struct link *link, const redisReply *reply)
{
	return link->events.on_message != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
	       reply->element[0]->type == REDIS_REPLY_STRING && strcmp(reply->element[0]->str, "message") == 0;
}

static void deliver(struct link *link, redisReply *reply)
{
	struct request request;

	if (is_message(link, reply)) {
		link->events.on_message(link->events.arg, reply);
		return;
	}
	if (link->outstanding == 0) {
		lose(link, LINK_BROKEN, "a reply that nobody asked for");
		return;
	}
	request = link->requests[link->first];
	link->first = (link->first + 1) % REQUESTS_MAX;
	link->outstanding--;
	if (link->outstanding == 0)
		ev_timer_stop(link->loop, &link->timer);
	else
		arm_timer(link, time_left_ns(link));
	if (request.on_reply != NULL)
		request.on_reply(request.arg, reply, request.sent_ns);
}

static bool reply_type_is_known(const redisReply *reply)
{
	return reply->type >= REDIS_REPLY_STRING && reply->type <= REDIS_REPLY_ERROR;
}

static redisReader *create_reader(void)
{
	redisReader *reader = memory_checked(redisReaderCreate());

	reader->maxbuf = 0; /* see shrink() */
#if HIREDIS_MAJOR >= 1
	reader->maxelements = REPLY_ELEMENTS_MAX;
#endif
	return reader;
}

/* Memory that a large reply took is not kept. (A reader with a maxbuf would see to it,
 * but in 0.14 by an assertion that there is memory for a smaller one.) */
static void shrink(struct link *link)
{
	if (link->largest <= READ_CHUNK || link->reader->pos != link->reader->len)
		return;
	redisReaderFree(link->reader);
	link->reader = create_reader();
	link->largest = 0;
}

static void deliver_all(struct link *link)
{
	while (link->state != LINK_LOST) {
		void *reply = NULL;

		if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
			lose(link, LINK_BROKEN, "malformed reply");
			return;
		}
		if (reply == NULL) {
			shrink(link);
			return;
		}
		if (link->fed > link->largest)
			link->largest = link->fed;
		link->fed = 0;
		reply_guard_reset(&link->guard);
		if (reply_type_is_known(reply))
			deliver(link, reply);
		else
			lose(link, LINK_BROKEN, "a reply of an unexpected type");
		freeReplyObject(reply);
	}
}

static void take_input(struct link *link)
{
	char chunk[READ_CHUNK];
	ssize_t got = recv(link->fd, chunk, sizeof(chunk), 0);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (got < 0) {
		lose_errno(link, errno);
		return;
	}
	if (got == 0) {
		lose(link, LINK_BROKEN, "closed by the server");
		return;
	}
	link->fed += (size_t)got;
	if (link->fed > REPLY_LIMIT)
		lose(link, LINK_BROKEN, "a reply over 16 MiB");
	else if (!reply_guard_allows(&link->guard, chunk, (size_t)got, REPLY_ELEMENTS_MAX))
		lose(link, LINK_BROKEN, "a reply that claims too many elements");
	else if (redisReaderFeed(link->reader, chunk, (size_t)got) != REDIS_OK)
		lose(link, LINK_BROKEN, "malformed reply");
	else
		deliver_all(link);
}

static const char unwatchable[] = "the kernel refuses to watch the connection";

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct link *link = watcher->data;

	(void)loop;
	begin(link);
	if (revents & EV_ERROR)
		lose(link, LINK_BROKEN, unwatchable);
	else
		take_input(link);
	end(link);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct link *link = watcher->data;

	(void)loop;
	begin(link);
	if (revents & EV_ERROR)
		lose(link, LINK_BROKEN, unwatchable);
	else if (link->state == LINK_CONNECTING)
		on_connected(link);
	if (link->state != LINK_LOST)
		flush(link);
	end(link);
}

/* ---- life ---- */

/* -1 with errno set. EINPROGRESS is no failure. */
static int start_connecting(const struct address *address)
{
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&address->socket, address->length) < 0 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct link *link_open(struct ev_loop *loop, const struct address *address, const struct link_config *config,
		       const struct link_events *events)
{
	int fd = start_connecting(address);
	struct link *link;

	if (fd < 0)
		return NULL;
	link = memory_zeroed(1, sizeof(*link));
	link->loop = loop;
	link->config = *config;
	link->config.user = secret_copy(config->user);
	link->config.password = secret_copy(config->password);
	link->events = *events;
	link->fd = fd;
	link->reader = create_reader();
	ev_io_init(&link->read_watcher, on_readable, fd, EV_READ);
	ev_io_init(&link->write_watcher, on_writable, fd, EV_WRITE);
	ev_init(&link->timer, on_timer);
	link->read_watcher.data = link->write_watcher.data = link->timer.data = link;
	ev_io_start(loop, &link->write_watcher);
	ev_now_update(loop);
	arm_timer(link, config->timeout_ms * NS_PER_MS);
	return link;
}

bool link_is_ready(const struct link *link)
{
	return link != NULL && link->state == LINK_READY;
}

int64_t link_since_ns(const struct link *link)
{
	return link == NULL ? 0 : link->since_ns;
}

bool link_is_authenticated(const struct link *link)
{
	return link != NULL && link->authenticated;
}
