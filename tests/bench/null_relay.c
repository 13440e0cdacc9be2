#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The least that a proxy can cost which shares one connection to the server: one
 * read for each client that has sent something, one write of all of that to the
 * server, one read of the replies, one write to each client. It parses nothing:
 *
 *	null_relay <port> <server port> <bytes of a request> <bytes of a reply>
 *
 * serves only a load in which all requests, and all replies, are of one length.
 * Runs until it is killed; whatever goes wrong ends it. */

enum {
	CLIENTS_MAX = 16384,
	EVENTS_MAX = 512,
	READ_BYTES = 256 * 1024,
	BATCH_BYTES = 64 * 1024 * 1024,
	RUNS_MAX = 1 << 20, /* a power of two */
};

struct client {
	char rest[64 * 1024]; /* of a request that has not come whole */
	size_t rest_length;
	bool gone;
};

/* So many bytes of what the server says next are that client's. */
struct run {
	int client;
	size_t bytes;
};

static struct {
	int epoll, listener, server;
	size_t request_bytes, reply_bytes;
	struct client *clients[CLIENTS_MAX]; /* by descriptor */
	char *batch;                         /* for the server, at the end of the turn */
	size_t batch_length;
	struct run *runs;                    /* a ring */
	size_t first_run, end_run;
} relay;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(relay.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int listen_on(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static int connect_to(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = send(fd, bytes, length, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return; /* a client that has left; its replies are nobody's */
		bytes += done;
		length -= (size_t)done;
	}
}

static void accept_client(void)
{
	int fd = accept(relay.listener, NULL, NULL), on = 1;

	if (fd < 0 || fd >= CLIENTS_MAX)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	relay.clients[fd] = calloc(1, sizeof(struct client));
	if (relay.clients[fd] == NULL)
		die("calloc");
	watch(fd);
}

/* Its descriptor is kept: replies of it may still be on their way. */
static void leave(int fd)
{
	struct epoll_event none = { 0 };

	epoll_ctl(relay.epoll, EPOLL_CTL_DEL, fd, &none);
	shutdown(fd, SHUT_RDWR);
	relay.clients[fd]->gone = true;
}

/* redis-benchmark asks for two settings first, on a connection of its own. */
static bool is_load(const char *bytes, size_t length)
{
	return length >= 11 && (memcmp(bytes + 4, "$3\r\nGET", 7) == 0 || memcmp(bytes + 4, "$3\r\nSET", 7) == 0);
}

static void turn_away(int fd)
{
	static const char answer[] = "-ERR only GET and SET\r\n-ERR only GET and SET\r\n";

	write_all(fd, answer, sizeof(answer) - 1);
	leave(fd);
}

static void note_run(int fd, size_t requests)
{
	struct run *last = &relay.runs[(relay.end_run - 1) % RUNS_MAX];

	if (relay.end_run > relay.first_run && last->client == fd) {
		last->bytes += requests * relay.reply_bytes;
		return;
	}
	relay.runs[relay.end_run++ % RUNS_MAX] = (struct run){ fd, requests * relay.reply_bytes };
}

static void read_client(int fd)
{
	struct client *client = relay.clients[fd];
	char *to = relay.batch + relay.batch_length;
	size_t length = client->rest_length, whole;
	ssize_t got;

	memcpy(to, client->rest, length);
	got = recv(fd, to + length, READ_BYTES, 0);
	if (got <= 0) {
		leave(fd);
		return;
	}
	length += (size_t)got;
	if (!is_load(to, length)) {
		turn_away(fd);
		return;
	}
	whole = length / relay.request_bytes;
	client->rest_length = length - whole * relay.request_bytes;
	memcpy(client->rest, to + whole * relay.request_bytes, client->rest_length);
	relay.batch_length += whole * relay.request_bytes;
	if (whole > 0)
		note_run(fd, whole);
}

static void read_server(void)
{
	static char bytes[READ_BYTES];
	ssize_t got = recv(relay.server, bytes, sizeof(bytes), 0);
	size_t at = 0;

	if (got <= 0)
		die("the server");
	while (at < (size_t)got) {
		struct run *run = &relay.runs[relay.first_run % RUNS_MAX];
		size_t part = (size_t)got - at < run->bytes ? (size_t)got - at : run->bytes;

		if (!relay.clients[run->client]->gone)
			write_all(run->client, bytes + at, part);
		at += part;
		run->bytes -= part;
		relay.first_run += run->bytes == 0;
	}
}

static void turn(void)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(relay.epoll, events, EVENTS_MAX, -1);

	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;

		if (fd == relay.listener)
			accept_client();
		else if (fd == relay.server)
			read_server();
		else
			read_client(fd);
	}
	write_all(relay.server, relay.batch, relay.batch_length);
	relay.batch_length = 0;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "null_relay <port> <server port> <bytes of a request> <bytes of a reply>\n");
		return EXIT_FAILURE;
	}
	relay.request_bytes = strtoul(argv[3], NULL, 10);
	relay.reply_bytes = strtoul(argv[4], NULL, 10);
	relay.batch = malloc(BATCH_BYTES);
	relay.runs = calloc(RUNS_MAX, sizeof(*relay.runs));
	relay.epoll = epoll_create1(0);
	if (relay.batch == NULL || relay.runs == NULL || relay.request_bytes == 0 || relay.request_bytes > sizeof(((struct client *)0)->rest) ||
	    relay.reply_bytes == 0)
		die("null_relay");
	relay.server = connect_to(atoi(argv[2]));
	relay.listener = listen_on(atoi(argv[1]));
	watch(relay.server);
	watch(relay.listener);
	for (;;)
		turn();
}
