#ifndef WEIR_PROXY_DISPATCH_PARTS_H
#define WEIR_PROXY_DISPATCH_PARTS_H

#include "dispatch.h"
#include "route.h"

/* What the files of dispatch share with each other and with nobody else:
 * dispatch_lanes.c (which way, and may it be taken now), dispatch_reads.c,
 * dispatch_cursors.c (SCAN and its kin on replicas), dispatch_aside.c (reads
 * behind a large reply), dispatch_row.c (one command many times),
 * dispatch_block.c (transactions that have arrived whole), dispatch_pause.c,
 * dispatch_private.c (connections of a session's own), dispatch.c (one command
 * after the other). */

/* What the commands of one chunk share. */
struct chunk {
	size_t commands;
	size_t taken;       /* of those */
	bool goes_on;       /* it was cut where the worker's array ends */
	bool has_write;
	bool routed;        /* `route` is valid */
	struct route route;
	struct backend *lane; /* of a replica; NULL, or where the read before the command `lane_for` went: what
			       * held for that one holds for a read that comes next */
	size_t lane_for;
	enum stat_id left;    /* why the last read that went to the master did */
};

enum { DISPATCH_TEXT_ROOM = 256 }; /* for an error that names a command */

/* ---- dispatch_lanes.c ---- */

/* The command is not taken now, for this reason. */
enum verdict dispatch_stall(struct client *client, enum client_stall why);
/* As what a request counts on this backend that would count as `id` at the master. */
enum stat_id dispatch_counted_on(const struct backend *backend, enum stat_id id);
/* Puts the command into both queues, without asking whether it may. */
void dispatch_send_to(struct client *client, struct backend *backend, const struct parsed_command *parsed, unsigned flags);
/* The same, if it overtakes nothing and does not hold too much. */
enum verdict dispatch_send_on(struct client *client, struct backend *lane, const struct parsed_command *parsed,
			      unsigned flags);
/* The two halves of dispatch_send_on(): may a command take this way now without
 * overtaking one before it; and does its backend hold so much for a connection
 * that is not there that `bytes` more are refused (with that error)? */
enum verdict dispatch_enter_lane(struct client *client, struct backend *lane, bool is_read);
/* More is under way on it already than it should have, for this client. */
bool dispatch_has_no_room(const struct client *client, const struct backend *lane);
/* Then the command waits until it has. */
enum verdict dispatch_wait_for(struct client *client, struct backend *lane);
bool dispatch_holds_too_much(const struct backend *lane, size_t bytes);
void dispatch_hold_error(struct client *client);
/* What the session's next read demands of a node. */
struct route_demand dispatch_demand(const struct client *client);
/* The node that gets what is no plain read of a session on the replica
 * endpoint; BACKEND_TO_MASTER: none can, and the fallback is the master. */
int32_t dispatch_home(struct client *client);
/* Another one than this, if there is any. */
int32_t dispatch_next_home(struct client *client, uint32_t lost);
struct backend_key dispatch_lane_key(struct client *client, enum backend_kind kind);
void dispatch_count(struct client *client, enum stat_id id);
/* On the replica endpoint no write reaches any server. */
bool dispatch_is_forbidden_write(const struct client *client, const struct parsed_command *parsed);
/* What a replica answers to such a write, into DISPATCH_TEXT_ROOM bytes. */
void dispatch_forbidden_text(char *text, const struct parsed_command *parsed);

/* ---- dispatch_reads.c ---- */

enum verdict dispatch_read(struct client *client, const struct parsed_command *parsed, struct chunk *chunk);

/* The connections that a session's reads take to a node, or to the master. */
struct backend *dispatch_read_lane(struct client *client, int32_t node, bool script);

/* ---- dispatch_row.c ---- */

/* parsed[0] was taken just now. How many of the `left` commands behind it are
 * the same and go the same way? Those are taken. */
size_t dispatch_row(struct client *client, const struct parsed_command *parsed, size_t left, const struct chunk *chunk);

/* ---- dispatch_touch.c ---- */

/* A replica serves this read: where the master evicts by use, tell it of some. */
void dispatch_touch(struct client *client, const struct parsed_command *parsed);

/* ---- dispatch_cursors.c ---- */

/* SCAN and its kin with a cursor that is 0 or tagged. */
enum verdict dispatch_cursor(struct client *client, const struct parsed_command *parsed, struct chunk *chunk);
/* The same on the private backend that the session has: *plain is the command
 * as that server understands it, its bytes in *bytes. False: it was answered,
 * or waits (*verdict). */
bool dispatch_plain_cursor(struct client *client, const struct parsed_command *parsed, struct parsed_command *plain,
			   struct buf *bytes, enum verdict *verdict);

/* ---- dispatch_block.c ---- */

enum block_extent {
	BLOCK_NONE,  /* no block, or one that has to take a private backend */
	BLOCK_WHOLE, /* MULTI to EXEC, for a shared backend */
	BLOCK_CUT,   /* the commands end before it does */
};

/* Does a transaction begin at parsed[0] that may travel whole? BLOCK_WHOLE:
 * it has *length commands. */
enum block_extent dispatch_find_block(const struct client *client, const struct parsed_command *parsed, size_t count,
				      size_t *length);
/* Takes all of them, or none. */
enum verdict dispatch_block(struct client *client, const struct parsed_command *parsed, size_t count);

/* ---- dispatch_pause.c, while worker->pause.diverts ---- */

/* Is this command taken at all now? */
enum verdict dispatch_pause(struct client *client, const struct parsed_command *parsed);
/* Does the master perhaps hold it, so that it takes a private backend? */
bool dispatch_is_diverted(const struct client *client, const struct parsed_command *parsed);
/* The client goes on when the pause is over, or a connection free. */
enum verdict dispatch_hold(struct client *client);

/* ---- dispatch_private.c ---- */

/* One request on a private backend. */
enum verdict dispatch_single(struct client *client, const struct parsed_command *parsed);
/* The same for a command that is diverted: held while there is none for it. */
enum verdict dispatch_divert(struct client *client, const struct parsed_command *parsed);
/* SCRIPT KILL or FUNCTION KILL, on a connection that nothing stands in front of. */
enum verdict dispatch_kill_script(struct client *client, const struct parsed_command *parsed);
/* On the private backend that the session has. */
enum verdict dispatch_send_pinned(struct client *client, const struct parsed_command *parsed);
/* The same inside MULTI, where the server queues it. */
enum verdict dispatch_queue(struct client *client, const struct parsed_command *parsed);
/* MULTI or WATCH, or any other of their kin once one of them was sent. */
enum verdict dispatch_transaction(struct client *client, const struct parsed_command *parsed);
/* In a transaction that a busy server could not take. */
enum verdict dispatch_doomed(struct client *client, const struct parsed_command *parsed);
/* A command that makes the server speak unasked. */
enum verdict dispatch_stream(struct client *client, const struct parsed_command *parsed);
/* A word of a replica that gets the replication stream. */
enum verdict dispatch_forward(struct client *client, const struct parsed_command *parsed);
/* A command that weir refuses, inside MULTI or outside. */
enum verdict dispatch_refused(struct client *client, const struct parsed_command *parsed);
void dispatch_refuse_queued(struct client *client, const struct command *command, const char *text);
bool dispatch_is_cross_protocol(const struct parsed_command *parsed);

#endif
