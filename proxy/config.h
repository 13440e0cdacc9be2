#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../topology/topology.h"
#include "log.h"

/* proxy.ini, read as a whole or not at all, immutable afterwards. */

enum config_consistency { CONSISTENCY_EVENTUAL, CONSISTENCY_SESSION, CONSISTENCY_STRONG };
enum config_session_scope { SESSION_SCOPE_WEIR, SESSION_SCOPE_CONNECTION };
enum config_fallback { FALLBACK_MASTER, FALLBACK_ERROR };
enum config_no_master_reads { NO_MASTER_READS_SERVE, NO_MASTER_READS_REFUSE };
enum config_scan { SCAN_MASTER, SCAN_REPLICA };

/* host:port, [v6]:port or unix:/path. Host names stay unresolved here. */
struct config_address {
	char *text;      /* as written */
	char *host;      /* NULL for unix */
	uint16_t port;
	char *unix_path; /* NULL for TCP */
};

/* No address stands twice among all listeners, and none is a server's. */
struct config_listeners {
	struct config_address *addresses;
	size_t count;
};

struct config {
	/* [proxy] */
	struct config_listeners listen;
	struct config_listeners listen_replica;
	unsigned workers; /* 0: auto, one per core */
	int64_t max_clients;
	int64_t client_output_limit;    /* bytes */
	int64_t max_private_backends;
	bool allow_sync;
	int64_t client_idle_timeout_ms; /* 0: never */
	int64_t client_header_timeout_ms; /* 0: never */
	int64_t drain_timeout_ms;
	/* [routing] */
	enum config_consistency consistency;
	enum config_session_scope session_scope;
	int64_t catch_up_wait_ms;
	enum config_fallback fallback;
	enum config_no_master_reads no_master_reads;
	enum config_scan scan;
	char *module_reads;             /* blank-separated names, "" none */
	int64_t backend_timeout_ms;
	int64_t write_hold_ms;
	int64_t write_hold_bytes;
	/* [replication], [health], [auth]; max_lag and max_lag_bytes of [routing] */
	struct topology_config topology;
	char *password_file;            /* "" none */
	/* [admin] */
	struct config_listeners admin_listen; /* at most one; none switches the endpoint off */
	char *token_file;               /* "" none */
	char *admin_token;              /* what stands in it, "" none */
	char *admin_hosts;              /* blank-separated names, "" none */
	/* [log] */
	enum log_level log_level;
};

/* Reads the file. On failure returns NULL and *error is one line of the form
 * "file:line: [section] key: what was expected" that the caller frees. */
struct config *config_load(const char *path, char **error);
/* Frees *config and sets it to NULL. */
void config_free(struct config **config);
/* The effective configuration as a proxy.ini, secrets masked. */
void config_print(const struct config *config, FILE *out);

#endif
