#ifndef WEIR_TOPOLOGY_RULES_H
#define WEIR_TOPOLOGY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who may do what on one server: its ACL LIST, of which only names and hashes
 * are kept. Pure: no connection, no clock. Passwords' hashes are among the rules,
 * so the rules themselves are neither kept nor shown anywhere. */

struct redisReply;

struct user_rules {
	char *name;           /* owned; a terminator is added, but it may hold others */
	size_t name_length;
	uint64_t hash[2];     /* of the rules, in a form that does not depend on how they were entered */
};

struct rules {
	size_t count;
	struct user_rules *users; /* sorted by name */
};

/* NULL: not the reply to ACL LIST. */
struct rules *rules_parse(const struct redisReply *reply);
/* Frees *rules, which may be NULL, and sets it to NULL. */
void rules_free(struct rules **rules);

/* Two that are both unknown (NULL) are the same, too. */
bool rules_are_same(const struct rules *a, const struct rules *b);

/* Walks the users of the master, and says of each whether the replica has the
 * same rules for him. */
void rules_compare(const struct rules *master, const struct rules *replica,
		   void (*on_user)(void *arg, const struct user_rules *user, bool same), void *arg);

#endif
