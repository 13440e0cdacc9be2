#include "rehearsal.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../../topology/name.h"
#include "../config/config.h"
#include "../config/config_keys.h"

struct rehearsal;

/* A host with a port, as it stands in the file. */
struct place {
	struct rehearsal *rehearsal;
	enum config_key_id key;
	const char *host;
	uint16_t port;
	bool is_ours;           /* to listen on, not to connect to */
	struct name *name;
	struct addresses found;
	int fd;                 /* bound to it; -1 none */
};

struct rehearsal {
	const char *path;
	struct ev_loop *loop;
	struct place *places;
	size_t count, awaited;  /* of them; whose addresses are still looked up */
	unsigned listeners;     /* tried, unix sockets too */
	unsigned problems;
};

/* ---- what is told ---- */

static void tell(FILE *out, const struct rehearsal *rehearsal, enum config_key_id key, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

static void tell(FILE *out, const struct rehearsal *rehearsal, enum config_key_id key, const char *format, va_list args)
{
	fprintf(out, "%s: [%s] %s: ", rehearsal->path, config_keys[key].section, config_keys[key].name);
	vfprintf(out, format, args);
	fputc('\n', out);
}

static void problem(struct rehearsal *rehearsal, enum config_key_id key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void problem(struct rehearsal *rehearsal, enum config_key_id key, const char *format, ...)
{
	va_list args;

	rehearsal->problems++;
	va_start(args, format);
	tell(stderr, rehearsal, key, format, args);
	va_end(args);
}

static void note(const struct rehearsal *rehearsal, enum config_key_id key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void note(const struct rehearsal *rehearsal, enum config_key_id key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(stdout, rehearsal, key, format, args);
	va_end(args);
}

/* Before a reload it has to be in use. */
static void note_use(const struct rehearsal *rehearsal, enum config_key_id key, const char *address)
{
	note(rehearsal, key, "%s is in use now: well if that is the weir that this file is for", address);
}

static void print_place(const struct place *place, char text[300])
{
	bool bracketed = strchr(place->host, ':') != NULL;

	snprintf(text, 300, "%s%s%s:%u", bracketed ? "[" : "", place->host, bracketed ? "]" : "", place->port);
}

/* ---- the places in the file ---- */

static void add_place(struct rehearsal *rehearsal, enum config_key_id key, const char *host, uint16_t port, bool is_ours)
{
	rehearsal->places = alloc_resized(rehearsal->places, (rehearsal->count + 1) * sizeof(struct place));
	rehearsal->places[rehearsal->count++] = (struct place){ .rehearsal = rehearsal, .key = key, .host = host, .port = port,
								.is_ours = is_ours, .fd = -1 };
}

static void add_servers(struct rehearsal *rehearsal, const struct config *config)
{
	const struct topology_config *topology = &config->topology;

	for (size_t i = 0; i < topology->node_count; i++)
		add_place(rehearsal, i == 0 && config->names_master ? CONFIG_KEY_MASTER : CONFIG_KEY_REPLICA, topology->nodes[i].host,
			  topology->nodes[i].port, false);
	for (size_t i = 0; i < topology->sentinel.count; i++)
		add_place(rehearsal, CONFIG_KEY_SENTINEL_ADDRESS, topology->sentinel.addresses[i].host,
			  topology->sentinel.addresses[i].port, false);
}

/* ---- names ---- */

static void on_found(void *arg, const struct addresses *found)
{
	struct place *place = arg;

	place->found = *found;
	if (--place->rehearsal->awaited == 0)
		ev_break(place->rehearsal->loop, EVBREAK_ALL);
}

static void look_up_all(struct rehearsal *rehearsal, int64_t timeout_ms)
{
	rehearsal->awaited = rehearsal->count;
	for (size_t i = 0; i < rehearsal->count; i++) {
		struct place *place = &rehearsal->places[i];

		place->name = name_create(rehearsal->loop, place->host, place->port, name_resolve, on_found, place);
		name_look_up(place->name, timeout_ms);
	}
	if (rehearsal->awaited > 0)
		ev_run(rehearsal->loop, 0);
	for (size_t i = 0; i < rehearsal->count; i++)
		name_destroy(&rehearsal->places[i].name);
}

static void check_names(struct rehearsal *rehearsal, int64_t timeout_ms)
{
	for (size_t i = 0; i < rehearsal->count; i++) {
		const struct place *place = &rehearsal->places[i];

		if (place->found.count == 0)
			problem(rehearsal, place->key, "%s: no address of that name was found in %lldms", place->host,
				(long long)timeout_ms);
	}
}

/* ---- listening ---- */

/* Sockets that are tried stay bound until the end, so that two lines of the file
 * which are in each other's way meet here. */
static bool is_taken_here(const struct rehearsal *rehearsal, const struct place *place)
{
	for (const struct place *other = rehearsal->places; other != place; other++)
		if (other->fd >= 0 && other->port == place->port)
			return true;
	return false;
}

static void tell_unbound(struct rehearsal *rehearsal, const struct place *place, int error)
{
	char text[300];

	print_place(place, text);
	if (error != EADDRINUSE)
		problem(rehearsal, place->key, "cannot listen on %s: %s", text, strerror(error));
	else if (is_taken_here(rehearsal, place))
		problem(rehearsal, place->key, "cannot listen on %s: another line has its port already", text);
	else
		note_use(rehearsal, place->key, text);
}

/* Nobody can connect to a socket that is only bound. */
static void try_place(struct rehearsal *rehearsal, struct place *place)
{
	const struct address *address = &place->found.at[0];
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	rehearsal->listeners++;
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address->socket, address->length) == 0) {
		place->fd = fd;
		return;
	}
	tell_unbound(rehearsal, place, errno);
	if (fd >= 0)
		close(fd);
}

/* Whether somebody listens there; 0, or why it is no place for a socket. */
static int try_unix(const struct config_address *address, bool *in_use)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char directory[sizeof(name.sun_path)];
	struct stat status;
	int fd, result;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", address->unix_path);
	snprintf(directory, sizeof(directory), "%s", address->unix_path);
	*(strrchr(directory, '/') + (strrchr(directory, '/') == directory)) = '\0';
	if (access(directory, W_OK | X_OK) != 0)
		return errno;
	if (lstat(name.sun_path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	result = connect(fd, (const struct sockaddr *)&name, sizeof(name));
	*in_use = result == 0 || errno != ECONNREFUSED;
	close(fd);
	return 0;
}

static void check_unix(struct rehearsal *rehearsal, enum config_key_id key, const struct config_address *address)
{
	bool in_use = false;
	int error = try_unix(address, &in_use);

	rehearsal->listeners++;
	if (error != 0)
		problem(rehearsal, key, "cannot listen on %s: %s", address->text, strerror(error));
	else if (in_use)
		note_use(rehearsal, key, address->text);
}

static void check_listeners(struct rehearsal *rehearsal)
{
	for (size_t i = 0; i < rehearsal->count; i++)
		if (rehearsal->places[i].is_ours && rehearsal->places[i].found.count > 0)
			try_place(rehearsal, &rehearsal->places[i]);
}

static void add_listeners(struct rehearsal *rehearsal, enum config_key_id key, const struct config_listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct config_address *address = &listeners->addresses[i];

		if (address->host != NULL)
			add_place(rehearsal, key, address->host, address->port, true);
		else
			check_unix(rehearsal, key, address);
	}
}

/* ---- all of it ---- */

static unsigned count_lines(const char *text)
{
	unsigned count = 1;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		count++;
	}
	return count;
}

static struct config *read_file(struct rehearsal *rehearsal)
{
	char *errors = NULL;
	struct config *config = config_inspect(rehearsal->path, &errors);

	if (errors != NULL) {
		fprintf(stderr, "%s\n", errors);
		rehearsal->problems += count_lines(errors);
	}
	free(errors);
	return config;
}

static void check_addresses(struct rehearsal *rehearsal, const struct config *config)
{
	int64_t timeout_ms = config->topology.timeout_ms;

	rehearsal->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (rehearsal->loop == NULL)
		return;
	add_listeners(rehearsal, CONFIG_KEY_LISTEN, &config->listen);
	add_listeners(rehearsal, CONFIG_KEY_LISTEN_REPLICA, &config->listen_replica);
	add_listeners(rehearsal, CONFIG_KEY_ADMIN_LISTEN, &config->admin_listen);
	add_servers(rehearsal, config);
	look_up_all(rehearsal, timeout_ms);
	check_names(rehearsal, timeout_ms);
	check_listeners(rehearsal);
	for (size_t i = 0; i < rehearsal->count; i++)
		if (rehearsal->places[i].fd >= 0)
			close(rehearsal->places[i].fd);
	free(rehearsal->places);
	ev_loop_destroy(rehearsal->loop);
}

static void praise_count(size_t count, const char *one, const char *several)
{
	if (count > 0)
		printf(", %zu %s", count, count == 1 ? one : several);
}

static void praise(const struct rehearsal *rehearsal, const struct config *config)
{
	size_t secrets = (config->password_file[0] != '\0') + (config->sentinel_password_file[0] != '\0') +
			 (config->token_file[0] != '\0');

	printf("%s: the configuration is valid (checked: every line", rehearsal->path);
	praise_count(rehearsal->listeners, "address to listen on", "addresses to listen on");
	praise_count(config->topology.node_count, "server's name", "servers' names");
	praise_count(config->topology.sentinel.count, "sentinel's name", "sentinels' names");
	praise_count(secrets, "file with a secret", "files with secrets");
	puts("; no server was asked)");
}

int rehearse(const char *path)
{
	struct rehearsal rehearsal = { .path = path };
	struct config *config = read_file(&rehearsal);

	if (config != NULL)
		check_addresses(&rehearsal, config);
	if (config != NULL && rehearsal.problems == 0)
		praise(&rehearsal, config);
	config_release(&config);
	return rehearsal.problems == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
