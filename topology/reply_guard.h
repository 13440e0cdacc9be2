#ifndef WEIR_TOPOLOGY_REPLY_GUARD_H
#define WEIR_TOPOLOGY_REPLY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks through the bytes of replies before hiredis does, which allocates room
 * for as many elements as a header claims: in 0.14 thirteen bytes are good for
 * sixteen gigabytes, and for seconds of freeing them. */

/* A zeroed struct begins with a reply. */
struct reply_guard {
	uint64_t skip;     /* bytes of a bulk string, and its end, that are still to come */
	uint64_t elements; /* claimed by all arrays since the last reply that was whole */
	uint64_t number;   /* in the present header, as far as it has come */
	char type;         /* of the present line; 0: none has begun */
	bool is_negative;
};

/* False: the reply claims more than `elements_max`. What a malformed reply is,
 * hiredis says. */
bool reply_guard_allows(struct reply_guard *guard, const char *bytes, size_t length, uint64_t elements_max);
/* A reply is whole: the next may claim as much again. */
void reply_guard_reset(struct reply_guard *guard);

#endif
