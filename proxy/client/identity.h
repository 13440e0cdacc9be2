#ifndef WEIR_PROXY_IDENTITY_H
#define WEIR_PROXY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/slice.h"
#include "../../topology/snapshot.h"
#include "../list.h"

/* Who a session is to the servers: a user and its password, or nobody in
 * particular (the connection's default user). Shared backends are shared only
 * within one identity. One registry per worker; references are counted. */

enum identity_state {
	IDENTITY_UNKNOWN,  /* the master was not asked yet */
	IDENTITY_ACCEPTED, /* the master has accepted these credentials */
	IDENTITY_REFUSED,  /* the master wants (other) credentials */
};

struct identity {
	struct list_link link;   /* in the registry */
	struct list_link lanes;  /* the backends that speak for it: backend.of_identity */
	unsigned references;
	enum identity_state state;
	uint64_t refused_nodes;  /* bit per node id: that replica refuses it */
	struct slice refusal;    /* REFUSED: the master's words, owned; empty: none are known */
	bool may_not_ask_role;   /* a server does not let it run ROLE: nothing proves its reads on replicas */
	uint64_t foreign_nodes;  /* bit per node id: its rules for the user are not known to be the master's; as of: */
	uint64_t foreign_generation, foreign_changes;
	uint64_t granted;        /* bit per enum command_special: the master lets it say so (local_settle.c); as of: */
	uint64_t granted_changes;
	int64_t granted_ns;
	bool has_credentials;
	bool has_user;           /* AUTH user password, rather than AUTH password */
	struct slice user;       /* owned; "default" when none was named */
	struct slice password;   /* owned */
};

struct identities {
	struct list_link all;
	struct identity *nobody; /* no credentials; lives as long as the registry */
};

void identities_init(struct identities *identities);
void identities_fini(struct identities *identities);
/* The servers want credentials now from those who have none: sessions that
 * begin from here on get a new `nobody`, with backends of its own that the
 * servers judge anew; those that were let in keep the old one, as they would
 * on a connection of their own. */
void identities_renew_nobody(struct identities *identities);
/* Forgets which replicas refused whom, so that they are asked again. */
void identities_forgive(struct identities *identities);
/* Looks again at where the user's rules are the master's. */
void identity_compare(struct identity *identity, const struct snapshot *snapshot, uint64_t user_changes);

/* The master does not let it in, and says so in these words. */
void identity_refuse(struct identity *identity, struct slice words);

/* The nodes that must not serve it by rules of their own. */
static inline uint64_t identity_foreign_nodes(struct identity *identity, const struct snapshot *snapshot,
					      uint64_t user_changes)
{
	if (identity->foreign_generation != snapshot->generation || identity->foreign_changes != user_changes)
		identity_compare(identity, snapshot, user_changes);
	return identity->foreign_nodes;
}

/* A reference to the identity with exactly these credentials. user.bytes NULL:
 * only a password was given. */
struct identity *identity_get(struct identities *identities, struct slice user, struct slice password);
struct identity *identity_acquire(struct identity *identity);
/* Sets the caller's pointer to NULL. The last one overwrites the password. */
void identity_release(struct identity **identity);

#endif
