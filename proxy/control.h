#ifndef WEIR_PROXY_CONTROL_H
#define WEIR_PROXY_CONTROL_H

#include "config/config.h"

/* The control thread: signals, topology, admin, the acceptor, and the workers'
 * lives. It is the thread that calls this; it returns when weir has stopped. */

/* Sockets that are bound already; the control thread closes them. Each array
 * is as long as its config_listeners. */
struct control_sockets {
	int *listen;
	int *listen_replica;
	int *admin;
};

/* Runs weir until a signal ends it; `path` is read anew at SIGHUP. Returns the
 * exit status. */
int control_run(const char *path, struct config *config, const struct control_sockets *sockets);

#endif
