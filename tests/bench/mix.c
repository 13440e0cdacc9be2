#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A mixed load at a fixed pace, and how long its GETs take:
 *
 *	mix <port> <connections> <operations a second> <seconds> <SETs in 1000> <LRANGEs in 1000> [list]
 *
 * Each operation has a time at which it is due, and takes the next connection that is free; its latency counts from
 * that time, so one that has to wait for a connection is not flattered. Prints the GETs' microseconds at p50, p99 and
 * p99.9, and the operations done. */

enum { CONNECTIONS_MAX = 1024, BUFFER_BYTES = 64 * 1024, KEYS = 1000, MS = 1000000 };

struct connection {
	int fd;
	bool is_get;
	int64_t due_ns;
	long lines;        /* lines that the reply still has */
	bool began;
	char line[64];     /* of the reply: the one that is being read */
	size_t line_length;
};

static struct {
	int epoll;
	struct connection *all;
	int free[CONNECTIONS_MAX], free_count;
	uint32_t *latencies_us;
	size_t gets, done;
	unsigned long long random;
} load;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static unsigned pick(unsigned below)
{
	load.random ^= load.random << 13;
	load.random ^= load.random >> 7;
	load.random ^= load.random << 17;
	return (unsigned)(load.random % below);
}

static void open_connection(int number, int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)number };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
	load.all[number].fd = fd;
	load.free[load.free_count++] = number;
}

static void ask(int64_t due_ns, unsigned sets, unsigned lists, const char *list)
{
	struct connection *connection = &load.all[load.free[--load.free_count]];
	unsigned what = pick(1000);
	char text[256];
	int length;

	connection->is_get = what >= sets + lists;
	connection->due_ns = due_ns;
	connection->began = false;
	if (what < sets)
		length = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$8\r\nmix:%04u\r\n$3\r\nxyz\r\n", pick(KEYS));
	else if (what < sets + lists)
		length = snprintf(text, sizeof(text), "*4\r\n$6\r\nLRANGE\r\n$%zu\r\n%s\r\n$1\r\n0\r\n$2\r\n-1\r\n", strlen(list), list);
	else
		length = snprintf(text, sizeof(text), "*2\r\n$3\r\nGET\r\n$8\r\nmix:%04u\r\n", pick(KEYS));
	if (send(connection->fd, text, (size_t)length, MSG_NOSIGNAL) != length)
		die("send");
}

/* Values have no line ends in them, so a reply is so many lines. */
static long lines_behind(const char *line)
{
	if (line[0] == '-')
		die("an error instead of a reply");
	if (line[0] == '*')
		return 2 * atol(line + 1);
	return line[0] == '$' && line[1] != '-';
}

static void finish(struct connection *connection, int64_t now)
{
	load.done++;
	if (connection->is_get)
		load.latencies_us[load.gets++] = (uint32_t)((now - connection->due_ns) / 1000);
	load.free[load.free_count++] = (int)(connection - load.all);
}

static void take(struct connection *connection, const char *bytes, size_t length, int64_t now)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != '\n') {
			if (connection->line_length < sizeof(connection->line) - 1)
				connection->line[connection->line_length++] = bytes[i];
			continue;
		}
		connection->line[connection->line_length] = '\0';
		connection->lines = connection->began ? connection->lines - 1 : lines_behind(connection->line);
		connection->began = true;
		connection->line_length = 0;
		if (connection->lines == 0)
			finish(connection, now);
	}
}

static void read_replies(int64_t patience_ns)
{
	static char buffer[BUFFER_BYTES];
	struct epoll_event events[64];
	struct timespec patience = { patience_ns / 1000000000, patience_ns % 1000000000 };
	int count = epoll_pwait2(load.epoll, events, 64, &patience, NULL);

	for (int i = 0; i < count; i++) {
		struct connection *connection = &load.all[events[i].data.u32];
		ssize_t got = recv(connection->fd, buffer, sizeof(buffer), 0);

		if (got <= 0)
			die("closed");
		take(connection, buffer, (size_t)got, now_ns());
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void print_results(void)
{
	qsort(load.latencies_us, load.gets, sizeof(uint32_t), compare);
	printf("%u %u %u %zu\n", load.latencies_us[load.gets / 2], load.latencies_us[load.gets * 99 / 100],
	       load.latencies_us[load.gets * 999 / 1000], load.done);
}

int main(int argc, char **argv)
{
	int64_t begin, end, next, step, wait_ns;

	if (argc < 7 || atoi(argv[2]) > CONNECTIONS_MAX) {
		fprintf(stderr, "mix <port> <connections> <operations a second> <seconds> <SETs in 1000> <LRANGEs in 1000> [list]\n");
		return EXIT_FAILURE;
	}
	load.random = 88172645463325252ULL;
	load.epoll = epoll_create1(0);
	load.all = calloc(CONNECTIONS_MAX, sizeof(*load.all));
	load.latencies_us = calloc((size_t)(atof(argv[3]) * atof(argv[4])) + 2, sizeof(uint32_t));
	if (load.all == NULL || load.latencies_us == NULL)
		die("calloc");
	for (int i = 0; i < atoi(argv[2]); i++)
		open_connection(i, atoi(argv[1]));
	step = (int64_t)(1e9 / atof(argv[3]));
	begin = next = now_ns();
	end = begin + (int64_t)(atof(argv[4]) * 1e9);
	while (next < end) {
		for (; load.free_count > 0 && next < end && next <= now_ns(); next += step)
			ask(next, (unsigned)atoi(argv[5]), (unsigned)atoi(argv[6]), argc > 7 ? argv[7] : "mix:list");
		wait_ns = load.free_count == 0 ? 100 * MS : next - now_ns();
		read_replies(wait_ns > 0 ? wait_ns : 0);
	}
	while (load.free_count < atoi(argv[2]))
		read_replies(100 * MS);
	if (load.gets == 0)
		die("no GETs");
	print_results();
	return EXIT_SUCCESS;
}
