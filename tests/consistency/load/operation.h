#ifndef WEIR_CONSISTENCY_OPERATION_H
#define WEIR_CONSISTENCY_OPERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../../../protocol/buf.h"
#include "ground.h"
#include "reply.h"

/* One operation of a session: what is sent for it, and what is written into
 * the history when its last reply has come. Every value begins with the name of
 * the key it belongs to, so that a reply to somebody else's question shows. */

enum operation_name {
	OPERATION_SET,
	OPERATION_GET,
	OPERATION_MGET,      /* of registers: a row for each */
	OPERATION_APPEND,
	OPERATION_RANGE,     /* a whole list: also of a transfer's log and of a queue */
	OPERATION_TRANSFER,  /* MULTI: one balance down, the other up, the log longer */
	OPERATION_BALANCE,   /* both balances at once */
	OPERATION_PUSH,
	OPERATION_POP,       /* BLPOP */
	OPERATION_TAKE,      /* LPOP */
	OPERATION_MOVE,      /* BLMOVE; the second key is where to */
	OPERATION_ECHO,
	OPERATION_PUBLISH,
	OPERATION_TOKEN,     /* WEIR TOKEN, WEIR WAIT */
	OPERATION_WAIT,
	OPERATION_WATCH,     /* the rest changes the session alone and has no row */
	OPERATION_SELECT,
	OPERATION_HELLO,
	OPERATION_PING,
	OPERATION_SUBSCRIBE,
	OPERATION_UNSUBSCRIBE,
	OPERATION_RESET,
	OPERATIONS,
};

enum {
	OPERATION_KEYS_MAX = 3,
	VALUE_SIZE = 128,
	CHANNELS = 4,
	UNWATCHED = -1,
	FAT_LEAST = 4096, /* bytes that some values are padded with, least and most */
	FAT_MOST = 65536,
	HUGE_MOST = 1 << 20,
};

enum outcome { OUTCOME_OK, OUTCOME_FAIL, OUTCOME_INFO };

struct operation {
	enum operation_name name;
	struct key keys[OPERATION_KEYS_MAX];
	uint32_t key_count;
	char value[VALUE_SIZE];   /* what is written, echoed or published */
	uint32_t padding;         /* bytes that follow the value, and are no part of it in the history */
	int64_t number;           /* database, channel or protocol; of a transfer, what was seen under WATCH */
	uint32_t replies_due;
	uint32_t sequence;
	int64_t invoked_ns;
};

/* Whose history it is. */
struct witness {
	FILE *history; /* NULL: nothing is kept */
	uint64_t session;
	int64_t now_ns;
};

const char *operation_text(enum operation_name name);
bool operation_reads(enum operation_name name);
bool operation_has_row(enum operation_name name);
uint32_t operation_replies(enum operation_name name);
/* The database in which the key is. */
uint32_t operation_database(const struct key *key);
/* What one transfer of the key moves. */
int64_t operation_unit(const struct key *key);
void operation_encode(const struct operation *operation, struct buf *out);

/* What an answer means: an error of the table is a failure, -UNKNOWNRESULT is not. */
enum outcome operation_outcome(const struct operation *operation, const struct reply *reply);
/* Writes the row, or rows; without a reply (the connection was lost) the outcome must be INFO. */
void operation_record(const struct operation *operation, const struct witness *witness, const struct reply *reply,
		      enum outcome outcome);
void operation_record_message(const struct witness *witness, uint32_t sequence, const struct reply *message);

#endif
