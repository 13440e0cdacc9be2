/* weir: options, configuration, sockets; then the control thread takes over. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../protocol/alloc.h"
#include "config.h"
#include "control.h"
#include "listener.h"
#include "log.h"
#include "version.h"

enum { FDS_BESIDE_CLIENTS = 128 }; /* listeners, loops, control and shared connections */

static const char usage[] =
	"usage: weir [-c proxy.ini] [-t | -T]\n"
	"       weir -V | -h\n"
	"\n"
	"  -c FILE  the configuration (proxy.ini in the working directory by default)\n"
	"  -t       test the configuration and exit\n"
	"  -T       print the effective configuration, secrets masked, and exit\n"
	"  -V       print the version and exit\n"
	"  -h       print this help and exit\n"
	"\n"
	"weir runs in the foreground and logs to stderr. SIGTERM lets it finish what\n"
	"it has read (drain_timeout) and ends it, a second one or SIGINT ends it at once.\n";

struct options {
	const char *path;
	bool test;
	bool print;
};

static struct options parse_options(int argc, char **argv)
{
	struct options options = { .path = "proxy.ini" };
	int letter;

	while ((letter = getopt(argc, argv, "c:tTVh")) != -1) {
		switch (letter) {
		case 'c':
			options.path = optarg;
			break;
		case 't':
			options.test = true;
			break;
		case 'T':
			options.print = true;
			break;
		case 'V':
			puts("weir " WEIR_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			exit(EXIT_FAILURE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "weir: unexpected argument \"%s\"\n%s", argv[optind], usage);
		exit(EXIT_FAILURE);
	}
	return options;
}

static struct config *load(const char *path)
{
	char *error = NULL;
	struct config *config = config_load(path, &error);

	if (config == NULL) {
		fprintf(stderr, "%s\n", error);
		free(error);
		exit(EXIT_FAILURE);
	}
	return config;
}

/* Descriptors bound the number of clients: as many as the system allows are
 * taken, and max_clients follows where that is not enough. */
static void fit_descriptors(struct config *config)
{
	int64_t beside = FDS_BESIDE_CLIENTS + config->max_private_backends;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || (int64_t)limit.rlim_cur >= config->max_clients + beside)
		return;
	if ((int64_t)limit.rlim_cur < 2 * beside)
		beside = (int64_t)limit.rlim_cur / 2;
	log_warning("the limit of %lld file descriptors allows %lld clients instead of max_clients = %lld",
		    (long long)limit.rlim_cur, (long long)limit.rlim_cur - (long long)beside,
		    (long long)config->max_clients);
	config->max_clients = (int64_t)limit.rlim_cur - beside;
}

static int *bind_all(const struct config_listeners *listeners)
{
	int *sockets = alloc_zeroed(listeners->count, sizeof(int));

	for (size_t i = 0; i < listeners->count; i++) {
		char *error = NULL;

		sockets[i] = listener_bind(&listeners->addresses[i], &error);
		if (sockets[i] < 0) {
			fprintf(stderr, "weir: %s\n", error);
			free(error);
			exit(EXIT_FAILURE);
		}
	}
	return sockets;
}

static void remove_unix_sockets(const struct config_listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->addresses[i].unix_path != NULL)
			remove(listeners->addresses[i].unix_path);
}

static int run(struct config *config)
{
	struct control_sockets sockets;
	int status;

	signal(SIGPIPE, SIG_IGN);
	fit_descriptors(config);
	sockets.listen = bind_all(&config->listen);
	sockets.listen_replica = bind_all(&config->listen_replica);
	sockets.admin = bind_all(&config->admin_listen);
	status = control_run(config, &sockets);
	remove_unix_sockets(&config->listen);
	remove_unix_sockets(&config->listen_replica);
	remove_unix_sockets(&config->admin_listen);
	free(sockets.listen);
	free(sockets.listen_replica);
	free(sockets.admin);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	struct config *config = load(options.path);
	int status = EXIT_SUCCESS;

	log_set_level(config->log_level);
	if (options.print)
		config_print(config, stdout);
	else if (options.test)
		printf("%s: the configuration is valid\n", options.path);
	else
		status = run(config);
	config_free(&config);
	return status;
}
