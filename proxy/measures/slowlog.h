#ifndef WEIR_PROXY_SLOWLOG_H
#define WEIR_PROXY_SLOWLOG_H

#include <stddef.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../../protocol/slice.h"
#include "../mailbox.h"

/* Commands that took long, as SLOWLOG of Redis has them, and where the time
 * went. A worker writes an entry and sends it to the control thread, which
 * keeps the newest. */

enum {
	SLOWLOG_ENTRIES_MAX = 128,
	SLOWLOG_ARGS_MAX = 32,      /* of a command that are shown */
	SLOWLOG_ARG_BYTES_MAX = 128,
	SLOWLOG_TEXT_ROOM = 128,
};

struct slow_command {
	struct mail mail;
	uint64_t id;                /* given by slowlog_add() */
	int64_t ended_ms;           /* Unix time, the same */
	uint32_t total_us;          /* from when weir had the command until it had the reply */
	uint32_t queue_us;          /* of that, until it was written to the node */
	uint32_t node_us;           /* and from then on */
	char node[SLOWLOG_TEXT_ROOM]; /* its name */
	char address[SLOWLOG_TEXT_ROOM]; /* of the client */
	char client[SLOWLOG_TEXT_ROOM];  /* what it calls itself */
	char user[SLOWLOG_TEXT_ROOM];
	struct buf arguments;       /* an array of RESP, cut and without secrets */
};

void slow_command_free(struct slow_command *command);

/* Appends the arguments of a whole command as such an array. Passwords are
 * replaced where commands have them. */
void slow_command_arguments(const char *request, struct buf *out);

/* ---- control thread ---- */

struct slowlog;

struct slowlog *slowlog_create(void);
/* Frees *slowlog, sets it to NULL. */
void slowlog_destroy(struct slowlog **slowlog);
/* Takes it. */
void slowlog_add(struct slowlog *slowlog, struct slow_command *command);
size_t slowlog_length(const struct slowlog *slowlog);
/* The newest is number 0. */
const struct slow_command *slowlog_at(const struct slowlog *slowlog, size_t number);
void slowlog_reset(struct slowlog *slowlog);

#endif
