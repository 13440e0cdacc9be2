#ifndef WEIR_PROTOCOL_PUSH_H
#define WEIR_PROTOCOL_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slice.h"

/* What a server says without being asked, or more than once for one request:
 * messages, invalidations, the lines of a MONITOR, and the confirmations of
 * SUBSCRIBE and its kin. RESP3 marks them with '>'; in RESP2 they are arrays
 * like any other, and it takes the state of the connection to know that none
 * can be somebody's reply (see proxy/backend_private.c). */

enum push_kind {
	PUSH_UNDECIDED,    /* more bytes are needed to tell */
	PUSH_NONE,         /* looks like none of these */
	PUSH_OTHER,        /* a RESP3 push of another kind */
	PUSH_MESSAGE,      /* message, pmessage, smessage */
	PUSH_INVALIDATE,
	PUSH_REDIRECT_BROKEN,
	PUSH_MONITOR_LINE,
	PUSH_SUBSCRIBE,    /* confirmations, from here on */
	PUSH_UNSUBSCRIBE,
	PUSH_PSUBSCRIBE,
	PUSH_PUNSUBSCRIBE,
	PUSH_SSUBSCRIBE,
	PUSH_SUNSUBSCRIBE,
};

/* So many bytes are always enough to tell. */
enum { PUSH_OPENING_BYTES = 40 };

/* The kind of the value that begins at value[0], by its first bytes; at least
 * one of them is there. */
enum push_kind push_kind(const char *value, size_t length);

static inline bool push_is_confirmation(enum push_kind kind)
{
	return kind >= PUSH_SUBSCRIBE;
}

/* Of a MONITOR's line: who has said what it shows? */
enum push_author {
	AUTHOR_UNDECIDED, /* more bytes are needed to tell */
	AUTHOR_WEIR,      /* spelled as encode_own_words() does */
	AUTHOR_OTHER,
};
enum { PUSH_ADDRESS_BYTES = 256 }; /* always enough to tell; a line that is shorter may not have one */
enum push_author push_line_author(const char *line, size_t length);

/* The channel or pattern that a whole confirmation names. False: none. */
bool push_subject(struct slice value, struct slice *name);

/* The number that a whole confirmation, or a broken redirection, ends with:
 * how many subscriptions are left, or which client is gone. -1: there is none. */
int64_t push_number(struct slice value);

#endif
