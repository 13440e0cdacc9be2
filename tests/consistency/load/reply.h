#ifndef WEIR_CONSISTENCY_REPLY_H
#define WEIR_CONSISTENCY_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replies as the workload needs them: RESP2 and the RESP3 nulls and pushes.
 * Written apart from weir's own framer on purpose: the judge must not share the
 * defects of the judged. */

enum { REPLIES_MAX = 1024 }; /* nodes of one reply */

struct reply {
	char type;            /* as on the wire; '_' for every null */
	const char *text;     /* of '+', '-' and '$'; points into the input */
	size_t length;
	int64_t integer;      /* of ':' */
	struct reply *first;  /* of '*' and '>': the elements, linked by `next` */
	struct reply *next;
	size_t count;
};

/* Memory of one reply. */
struct reply_arena {
	struct reply nodes[REPLIES_MAX];
	size_t used;
};

enum reply_result { REPLY_OK, REPLY_AGAIN, REPLY_BAD };

/* Takes the first reply out of `bytes`; `used` tells how long it was. The reply
 * lives until the arena is used again or the bytes go. */
enum reply_result reply_parse(struct reply_arena *arena, const char *bytes, size_t length, struct reply **reply,
			      size_t *used);

bool reply_is_error(const struct reply *reply);
/* A text that equals `text`. */
bool reply_says(const struct reply *reply, const char *text);
/* The element at `index`, or NULL. */
const struct reply *reply_at(const struct reply *reply, size_t index);

#endif
