#ifndef WEIR_PROXY_CONSOLE_PARTS_H
#define WEIR_PROXY_CONSOLE_PARTS_H

#include <stdint.h>

#include "console_verbs.h"

/* What the files of the console's verbs share with each other and with nobody
 * else: console_verbs.c (the table), console_answers.c (words and tables for
 * people), console_state.c (how everything is), console_latency.c (how long
 * things take), console_change.c (what changes something), console_peer.c (the
 * connection itself). */

enum { CONSOLE_WORD_ROOM = 128 }; /* of a verb or a node's name, as repeated in an answer */

/* ---- console_answers.c ---- */

/* A word from outside as text that is safe to repeat: cut, and without control
 * bytes. */
void console_copy_word(char text[CONSOLE_WORD_ROOM], struct slice word);
/* A number as the argument `at`; an error is appended where it is none. */
bool console_number(struct console_call *call, size_t at, int64_t min, int64_t max, int64_t *value);
void console_status(struct console_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
void console_error(struct console_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Of a request whose failure is said in words; NULL is success. */
void console_outcome(struct console_call *call, const char *failure);

/* A table for people is an array of lines, which redis-cli prints one below the
 * other in every mode. */
enum { CONSOLE_COLUMNS = 10, CONSOLE_CELL_ROOM = 160 };

struct console_table;

/* The titles of its columns, at most CONSOLE_COLUMNS, ended by NULL. */
struct console_table *console_table_begin(const char *const *titles);
void console_table_row(struct console_table *table);
/* The cells of a row, from left to right. NULL and negative values are unknown. */
void console_table_text(struct console_table *table, const char *text);
void console_table_slice(struct console_table *table, struct slice text);
void console_table_integer(struct console_table *table, int64_t value);
void console_table_decimal(struct console_table *table, double value);
/* Appends it and frees it. */
void console_table_end(struct console_table *table, struct buf *out);

/* ---- the verbs' handlers ---- */

void console_ping(struct console_call *call);
void console_info(struct console_call *call);
void console_role(struct console_call *call);
void console_replicas(struct console_call *call);
void console_events(struct console_call *call);

void console_slowlog_get(struct console_call *call);
void console_slowlog_len(struct console_call *call);
void console_slowlog_reset(struct console_call *call);
void console_latency(struct console_call *call);

void console_clients(struct console_call *call);
void console_backends(struct console_call *call);
void console_client_list(struct console_call *call);
void console_client_kill(struct console_call *call);
void console_route(struct console_call *call);
void console_route_floor(struct console_call *call);
void console_config_get(struct console_call *call);
void console_config_set(struct console_call *call);
void console_reload(struct console_call *call);

void console_drain(struct console_call *call);
void console_enable(struct console_call *call);
void console_accept_master(struct console_call *call);
void console_switchover(struct console_call *call);

void console_auth(struct console_call *call);
void console_hello(struct console_call *call);
void console_ok(struct console_call *call);
void console_quit(struct console_call *call);
void console_nothing(struct console_call *call);

#endif
