/* weir: options, configuration, sockets; then the control thread takes over. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../protocol/alloc.h"
#include "config/config.h"
#include "control.h"
#include "control/descriptors.h"
#include "last_resort.h"
#include "control/listener.h"
#include "control/rehearsal.h"
#include "log.h"
#include "version.h"

/* A buffer so large has a mapping of its own: it grows without being copied, and is
 * the system's again when it is freed. (malloc(3) would raise the limit by itself.) */
enum { OWN_MAPPING_BYTES = 256 * 1024 };

static const char usage[] =
	"usage: weir [-c proxy.ini] [-t | -T]\n"
	"       weir -V | -h\n"
	"\n"
	"  -c FILE  the configuration (proxy.ini in the working directory by default)\n"
	"  -t       test the configuration, tell every problem of it, and exit\n"
	"  -T       print the effective configuration, secrets masked, and exit\n"
	"  -V       print the version and exit\n"
	"  -h       print this help and exit\n"
	"\n"
	"weir runs in the foreground and logs to stderr. SIGTERM lets it finish what\n"
	"it has read (drain_timeout) and ends it, a second one or SIGINT ends it at once.\n"
	"SIGHUP reads the file anew and applies what has changed, or nothing at all.\n";

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
	char *errors = NULL;
	struct config *config = config_load(path, &errors);

	if (config == NULL) {
		fprintf(stderr, "%s\n", errors);
		free(errors);
		exit(EXIT_FAILURE);
	}
	return config;
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

static int run(const char *path, struct config *config)
{
	struct control_sockets sockets;
	int status;

	signal(SIGPIPE, SIG_IGN);
	mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
	descriptors_fit(config);
	sockets.listen = bind_all(&config->listen);
	sockets.listen_replica = bind_all(&config->listen_replica);
	sockets.admin = bind_all(&config->admin_listen);
	status = control_run(path, config, &sockets);
	free(sockets.listen);
	free(sockets.listen_replica);
	free(sockets.admin);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	struct config *config;
	int status = EXIT_SUCCESS;

	last_resort_install();
	if (options.test)
		return rehearse(options.path);
	config = load(options.path);
	log_find_journal();
	log_set_level(config->log_level);
	log_set_format(config->log_format);
	if (options.print)
		config_print(config, stdout);
	else
		status = run(options.path, config);
	config_release(&config);
	return status;
}
