#ifndef WEIR_PROTOCOL_SERVER_WORDS_H
#define WEIR_PROTOCOL_SERVER_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "slice.h"

/* How a server speaks of itself and of its clients, so that weir can speak of
 * its own in the same words: learned together with the commands, and kept with
 * them (command_table_words()). */

enum client_field {
	CLIENT_FIELD_OTHER, /* weir does not know it */
#define CLIENT_FIELD(id, name) CLIENT_FIELD_##id,
#include "client_field.def"
#undef CLIENT_FIELD
	CLIENT_FIELD_COUNT
};

/* The last field of a line before any server was asked. */
enum { CLIENT_FIELD_LAST_BUILTIN = CLIENT_FIELD_RESP };

const char *client_field_name(enum client_field field);

enum { SERVER_FIELDS_MAX = 64 };

struct server_words {
	struct buf hello[2];         /* whole replies to HELLO 2 and HELLO 3; empty: not known */
	struct server_field {
		enum client_field field;
		char *text;          /* OTHER: "name=value", as the server says of a new client; else NULL */
	} fields[SERVER_FIELDS_MAX]; /* of a client's line, in its order */
	size_t field_count;          /* 0: not known */
};

/* Whole replies; what is none that was expected (an error, say) leaves the words
 * as they are. */
void server_words_hear_hello(struct server_words *words, int resp, struct slice reply);
void server_words_hear_client_info(struct server_words *words, struct slice reply);

/* HELLO's reply for a client of weir: `id` is the client's, and `role`, if not
 * NULL, what weir is to it. False: the words are not known. */
bool server_words_hello(const struct server_words *words, int resp, int64_t id, const char *role, struct buf *out);

void server_words_free(struct server_words *words);

#endif
