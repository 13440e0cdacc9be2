/* Every connection of a link is two pipes, one for each direction. Bytes that are
 * read become a piece with the time at which it is due; what is due leaves as
 * fast as the line allows. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../protocol/alloc.h"

enum {
	READ_SIZE = 65536,
	QUEUE_HIGH_WATER = 1 << 20, /* bytes under way in one direction beyond which no more is read */
	RATE_PIECES = 50,           /* per second, that a narrow line delivers */
};

/* A listening socket; several links may share it. */
struct port {
	struct list_link of_relay;
	struct relay *relay;
	ev_io listening;
	int number;
};

/* Bytes under way. */
struct piece {
	struct piece *next;
	ev_tstamp due;
	size_t length;
	size_t sent;
	char bytes[];
};

/* One direction of a connection. */
struct pipe {
	struct connection *connection;
	enum direction direction;
	ev_io readable; /* of the side that sends */
	ev_io writable; /* of the side that receives */
	ev_timer due;
	struct piece *first;
	struct piece **last;
	size_t queued;
	ev_tstamp free_at;  /* when the line may carry the next piece */
	int64_t left;       /* of the limit */
	bool ended;         /* the sender has said all */
	bool closed;        /* and the receiver knows */
};

struct connection {
	struct list_link of_link;
	struct link *link;
	int client;
	int server;
	ev_io connecting;
	struct pipe pipes[DIRECTIONS];
	bool lost_bytes;
};

static struct toxics *toxics_of(const struct pipe *pipe)
{
	return &pipe->connection->link->toxics[pipe->direction];
}

static struct ev_loop *loop_of(const struct pipe *pipe)
{
	return pipe->connection->link->relay->loop;
}

/* ---- the end of a connection ---- */

static void free_pipe(struct pipe *pipe)
{
	struct piece *piece;

	ev_io_stop(loop_of(pipe), &pipe->readable);
	ev_io_stop(loop_of(pipe), &pipe->writable);
	ev_timer_stop(loop_of(pipe), &pipe->due);
	while ((piece = pipe->first) != NULL) {
		pipe->first = piece->next;
		free(piece);
	}
}

static void free_connection(struct connection *connection)
{
	ev_io_stop(connection->link->relay->loop, &connection->connecting);
	for (int i = 0; i < DIRECTIONS; i++)
		free_pipe(&connection->pipes[i]);
	close(connection->client);
	close(connection->server);
	list_remove(&connection->of_link);
	connection->link->open--;
	free(connection);
}

static void close_by_reset(int fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void reset_connection(struct connection *connection)
{
	close_by_reset(connection->client);
	close_by_reset(connection->server);
	free_connection(connection);
}

/* ---- one direction ---- */

/* How much of the next piece may leave now, as the line is. */
static size_t share(const struct pipe *pipe)
{
	const struct toxics *toxics = toxics_of(pipe);
	size_t most = pipe->first->length - pipe->first->sent;

	if (toxics->value[SLICE] > 0 && most > (size_t)toxics->value[SLICE])
		most = (size_t)toxics->value[SLICE];
	if (toxics->value[RATE] > 0 && most > (size_t)toxics->value[RATE] / RATE_PIECES + 1)
		most = (size_t)toxics->value[RATE] / RATE_PIECES + 1;
	return most;
}

static void occupy_line(struct pipe *pipe, size_t count, ev_tstamp now)
{
	const struct toxics *toxics = toxics_of(pipe);

	if (pipe->free_at < now)
		pipe->free_at = now;
	if (toxics->value[RATE] > 0)
		pipe->free_at += (double)count / (double)toxics->value[RATE];
	if (toxics->value[SLICE] > 0)
		pipe->free_at += (double)toxics->extra[SLICE] * 1e-6;
}

static int receiver(const struct pipe *pipe)
{
	return pipe->direction == UP ? pipe->connection->server : pipe->connection->client;
}

static int sender(const struct pipe *pipe)
{
	return pipe->direction == UP ? pipe->connection->client : pipe->connection->server;
}

static void wait_until(struct pipe *pipe, ev_tstamp when)
{
	ev_timer_stop(loop_of(pipe), &pipe->due);
	ev_timer_set(&pipe->due, when - ev_now(loop_of(pipe)), 0);
	ev_timer_start(loop_of(pipe), &pipe->due);
}

static void drop_first(struct pipe *pipe)
{
	struct piece *piece = pipe->first;

	pipe->first = piece->next;
	if (pipe->first == NULL)
		pipe->last = &pipe->first;
	free(piece);
}

static void watch_sender(struct pipe *pipe)
{
	bool wanted = !pipe->ended && pipe->queued < QUEUE_HIGH_WATER && toxics_of(pipe)->value[STALL] == 0;

	if (wanted)
		ev_io_start(loop_of(pipe), &pipe->readable);
	else
		ev_io_stop(loop_of(pipe), &pipe->readable);
}

/* Everything has left that ever will: tell the receiver. False: that was the
 * end of the connection. */
static bool pass_end_on(struct pipe *pipe)
{
	struct connection *connection = pipe->connection;

	if (!pipe->ended || pipe->closed || pipe->first != NULL)
		return true;
	shutdown(receiver(pipe), SHUT_WR);
	pipe->closed = true;
	if (!connection->pipes[UP].closed || !connection->pipes[DOWN].closed)
		return true;
	free_connection(connection);
	return false;
}

enum sent { SENT, NOT_NOW, BROKEN };

static enum sent send_share(struct pipe *pipe, ev_tstamp now)
{
	struct piece *piece = pipe->first;
	ssize_t count = send(receiver(pipe), piece->bytes + piece->sent, share(pipe), MSG_NOSIGNAL);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? NOT_NOW : BROKEN;
	piece->sent += (size_t)count;
	pipe->queued -= (size_t)count;
	pipe->connection->link->bytes[pipe->direction] += count;
	occupy_line(pipe, (size_t)count, now);
	if (piece->sent == piece->length)
		drop_first(pipe);
	return SENT;
}

/* Delivers what is due. False: the connection is gone. */
static bool pump(struct pipe *pipe)
{
	ev_tstamp now = ev_now(loop_of(pipe));

	ev_io_stop(loop_of(pipe), &pipe->writable);
	while (pipe->first != NULL) {
		ev_tstamp when = pipe->first->due > pipe->free_at ? pipe->first->due : pipe->free_at;

		if (when > now) {
			wait_until(pipe, when);
			break;
		}
		switch (send_share(pipe, now)) {
		case SENT:
			continue;
		case NOT_NOW:
			ev_io_start(loop_of(pipe), &pipe->writable);
			break;
		case BROKEN:
			reset_connection(pipe->connection);
			return false;
		}
		break;
	}
	watch_sender(pipe);
	return pass_end_on(pipe);
}

static ev_tstamp arrival(const struct pipe *pipe)
{
	const struct toxics *toxics = toxics_of(pipe);
	int64_t jitter = toxics->extra[LATENCY];
	double ms = (double)toxics->value[LATENCY];

	if (jitter > 0)
		ms += (double)random_below(&pipe->connection->link->relay->random, (uint64_t)jitter);
	return ev_now(loop_of(pipe)) + ms * 1e-3;
}

static void corrupt(struct pipe *pipe, char *bytes, size_t length)
{
	struct random *random = &pipe->connection->link->relay->random;
	uint64_t one_in = (uint64_t)toxics_of(pipe)->value[CORRUPT];

	for (size_t i = 0; one_in > 0 && i < length; i++)
		if (random_below(random, one_in) == 0)
			bytes[i] = (char)(bytes[i] ^ (1 << random_below(random, 8)));
}

static void enqueue(struct pipe *pipe, const char *bytes, size_t length)
{
	struct piece *piece = alloc_checked(malloc(sizeof(*piece) + length));

	*piece = (struct piece){ .due = arrival(pipe), .length = length };
	memcpy(piece->bytes, bytes, length);
	corrupt(pipe, piece->bytes, length);
	*pipe->last = piece;
	pipe->last = &piece->next;
	pipe->queued += length;
}

/* False: the connection is gone. */
static bool take(struct pipe *pipe, const char *bytes, size_t length)
{
	const struct toxics *toxics = toxics_of(pipe);

	if (toxics->value[BLACKHOLE] > 0) {
		pipe->connection->lost_bytes = true;
		return true;
	}
	if (toxics->value[LIMIT] > 0 && (int64_t)length >= pipe->left) {
		enqueue(pipe, bytes, (size_t)pipe->left);
		if (pump(pipe))
			reset_connection(pipe->connection);
		return false;
	}
	pipe->left -= (int64_t)length;
	enqueue(pipe, bytes, length);
	return pump(pipe);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct pipe *pipe = io->data;
	char bytes[READ_SIZE];
	ssize_t count = recv(io->fd, bytes, sizeof(bytes), 0);

	(void)loop;
	(void)events;
	if (count > 0) {
		take(pipe, bytes, (size_t)count);
	} else if (count == 0) {
		pipe->ended = true;
		pump(pipe);
	} else if (errno != EAGAIN && errno != EINTR) {
		reset_connection(pipe->connection);
	}
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	pump(io->data);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	pump(timer->data);
}

static void init_pipe(struct pipe *pipe, struct connection *connection, enum direction direction)
{
	pipe->connection = connection;
	pipe->direction = direction;
	pipe->last = &pipe->first;
	pipe->left = toxics_of(pipe)->value[LIMIT];
	ev_io_init(&pipe->readable, on_readable, sender(pipe), EV_READ);
	ev_io_init(&pipe->writable, on_writable, receiver(pipe), EV_WRITE);
	ev_timer_init(&pipe->due, on_due, 0, 0);
	pipe->readable.data = pipe->writable.data = pipe->due.data = pipe;
}

/* ---- new connections ---- */

static void on_connected(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;
	int error = 0;
	socklen_t size = sizeof(error);

	(void)events;
	ev_io_stop(loop, io);
	if (getsockopt(connection->server, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
		reset_connection(connection);
		return;
	}
	for (int i = 0; i < DIRECTIONS; i++)
		watch_sender(&connection->pipes[i]);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void open_connection(struct link *link, int client, int server)
{
	struct connection *connection = alloc_zeroed(1, sizeof(*connection));

	connection->link = link;
	connection->client = client;
	connection->server = server;
	for (int i = 0; i < DIRECTIONS; i++)
		init_pipe(&connection->pipes[i], connection, (enum direction)i);
	ev_io_init(&connection->connecting, on_connected, server, EV_WRITE);
	connection->connecting.data = connection;
	ev_io_start(link->relay->loop, &connection->connecting);
	list_append(&link->connections, &connection->of_link);
	link->open++;
	link->accepted++;
}

static bool refuses(const struct link *link)
{
	return link->toxics[UP].value[REFUSE] > 0 || link->toxics[DOWN].value[REFUSE] > 0;
}

static void admit(struct link *link, int client)
{
	struct sockaddr_in target = loopback(link->target);
	int one = 1, server;

	if (refuses(link)) {
		close_by_reset(client);
		close(client);
		return;
	}
	server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server < 0) {
		close(client);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	connect(server, (struct sockaddr *)&target, sizeof(target)); /* on_connected() tells what came of it */
	open_connection(link, client, server);
}

/* The link that claims the peer, else the one for everybody. */
static struct link *link_for(struct relay *relay, int port, in_addr_t source)
{
	struct list_link *each, *following;
	struct link *fallback = NULL;

	LIST_EACH(&relay->links, each, following) {
		struct link *link = CONTAINER_OF(each, struct link, of_relay);

		if (link->port == port && link->source == source)
			return link;
		if (link->port == port && link->source == INADDR_ANY)
			fallback = link;
	}
	return fallback;
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	struct port *port = io->data;
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int client = accept4(io->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct link *link;

	(void)loop;
	(void)events;
	if (client < 0)
		return;
	link = link_for(port->relay, port->number, peer.sin_addr.s_addr);
	if (link == NULL)
		close(client);
	else
		admit(link, client);
}

/* ---- links ---- */

void relay_init(struct relay *relay, struct ev_loop *loop)
{
	relay->loop = loop;
	random_seed(&relay->random, 1);
	list_init(&relay->ports);
	list_init(&relay->links);
}

static int listen_on(int port)
{
	struct sockaddr_in address = loopback(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool has_port(const struct relay *relay, int number)
{
	struct list_link *each, *following;

	LIST_EACH(&relay->ports, each, following)
		if (CONTAINER_OF(each, struct port, of_relay)->number == number)
			return true;
	return false;
}

static bool open_port(struct relay *relay, int number)
{
	struct port *port;
	int fd;

	if (has_port(relay, number))
		return true;
	fd = listen_on(number);
	if (fd < 0)
		return false;
	port = alloc_zeroed(1, sizeof(*port));
	port->relay = relay;
	port->number = number;
	ev_io_init(&port->listening, on_accept, fd, EV_READ);
	port->listening.data = port;
	ev_io_start(relay->loop, &port->listening);
	list_append(&relay->ports, &port->of_relay);
	return true;
}

struct link *relay_find(struct relay *relay, const char *name)
{
	struct list_link *each, *following;

	LIST_EACH(&relay->links, each, following) {
		struct link *link = CONTAINER_OF(each, struct link, of_relay);

		if (strcmp(link->name, name) == 0)
			return link;
	}
	return NULL;
}

struct link *relay_add(struct relay *relay, const char *name, int port, int target, in_addr_t source)
{
	struct link *link;

	if (relay_find(relay, name) != NULL || strlen(name) >= LINK_NAME_SIZE || !open_port(relay, port))
		return NULL;
	link = alloc_zeroed(1, sizeof(*link));
	memcpy(link->name, name, strlen(name));
	link->relay = relay;
	link->port = port;
	link->target = target;
	link->source = source;
	list_init(&link->connections);
	list_append(&relay->links, &link->of_relay);
	return link;
}

void link_apply(struct link *link)
{
	bool swallows = link->toxics[UP].value[BLACKHOLE] > 0 || link->toxics[DOWN].value[BLACKHOLE] > 0;
	struct list_link *each, *following;

	LIST_EACH(&link->connections, each, following) {
		struct connection *connection = CONTAINER_OF(each, struct connection, of_link);

		if (connection->lost_bytes && !swallows)
			reset_connection(connection);
		else if (!ev_is_active(&connection->connecting) && pump(&connection->pipes[UP]))
			pump(&connection->pipes[DOWN]);
	}
}

void link_limit(struct link *link, enum direction direction, int64_t bytes)
{
	struct list_link *each, *following;

	LIST_EACH(&link->connections, each, following)
		CONTAINER_OF(each, struct connection, of_link)->pipes[direction].left = bytes;
}

void link_cut(struct link *link, bool by_reset)
{
	struct list_link *each, *following;

	LIST_EACH(&link->connections, each, following) {
		struct connection *connection = CONTAINER_OF(each, struct connection, of_link);

		if (by_reset)
			reset_connection(connection);
		else
			free_connection(connection);
	}
}
