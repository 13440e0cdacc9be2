#ifndef WEIR_PROXY_CONFIG_H
#define WEIR_PROXY_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../../topology/topology.h"
#include "../log.h"

/* proxy.ini, read as a whole or not at all; constant while more than one holds
 * it. */

enum config_consistency { CONSISTENCY_EVENTUAL, CONSISTENCY_SESSION, CONSISTENCY_STRONG };
enum config_session_scope { SESSION_SCOPE_WEIR, SESSION_SCOPE_CONNECTION };
enum config_fallback { FALLBACK_MASTER, FALLBACK_ERROR };
enum config_no_master_reads { NO_MASTER_READS_SERVE, NO_MASTER_READS_REFUSE };
enum config_scan { SCAN_MASTER, SCAN_REPLICA };

/* host:port, [v6]:port or unix:/path [mode=0660]. Host names stay unresolved here. */
struct config_address {
	char *text;      /* as written */
	char *host;      /* NULL for unix */
	uint16_t port;
	char *unix_path; /* NULL for TCP */
	unsigned unix_mode; /* of that file; 0: as the umask says */
};

/* No address stands twice among all listeners, and none is a server's. */
struct config_listeners {
	struct config_address *addresses;
	size_t count;
};

struct config {
	_Atomic unsigned references;
	/* [proxy] */
	struct config_listeners listen;
	struct config_listeners listen_replica;
	unsigned workers; /* 0: auto, one per core */
	int64_t max_clients;
	int64_t client_output_limit;    /* bytes */
	int64_t max_memory;             /* bytes; 0: no bound */
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
	bool names_master;              /* the first of its nodes; else the sentinels know */
	char *password_file;            /* "" none */
	char *sentinel_password_file;   /* "" none */
	/* [admin] */
	struct config_listeners admin_listen; /* at most one; none switches the endpoint off */
	char *token_file;               /* "" none */
	char *admin_token;              /* what stands in it, "" none */
	char *admin_hosts;              /* blank-separated names, "" none */
	/* [log] */
	enum log_level log_level;
	enum log_format log_format;
	int64_t slower_than_ms;         /* 0: no slow log */
};

/* Reads the file. On failure returns NULL, and *errors are lines of the form
 * "file:line: [section] key: what was expected", one for every mistake, which the
 * caller frees. */
struct config *config_load(const char *path, char **errors);
/* The same for who wants to look further in spite of mistakes: a config that holds
 * what could be understood, and is good for nothing else. NULL when the file
 * cannot be read. */
struct config *config_inspect(const char *path, char **errors);
struct config *config_acquire(struct config *config);
/* Sets the caller's pointer to NULL; the last one frees. Any thread. */
void config_release(struct config **config);

/* ---- another configuration for a weir that runs ---- */

struct config_key;

struct config_change {
	const struct config_key *key; /* config_keys.h */
	const char *value;            /* as it would stand in the file */
};

/* `base` with other values for some keys, checked as a file is, secrets read
 * anew. On failure NULL and *errors: lines of "[section] key: what was expected". */
struct config *config_alter(const struct config *base, const struct config_change *changes, size_t count, char **errors);
/* `next`, but with the present values of all keys that need a restart. NULL and
 * *errors when the two do not go together. */
struct config *config_keep_fixed(const struct config *next, const struct config *present, char **errors);

enum { CONFIG_TEXT_ROOM = 1024 };

/* Values of a key that may stand several times are joined by commas. */
typedef void config_difference_fn(void *arg, const struct config_key *key, const char *before, const char *after);
/* Tells every key whose value differs, a password's file also when what is in it
 * does. Returns how many. */
size_t config_compare(const struct config *before, const struct config *after, config_difference_fn *tell, void *arg);

/* ---- for people ---- */

/* The effective configuration as a proxy.ini, secrets masked. */
void config_print(const struct config *config, FILE *out);

#endif
