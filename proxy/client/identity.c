#include "identity.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"

static struct slice own(struct slice slice)
{
	return (struct slice){ alloc_text(slice.bytes, slice.length), slice.length };
}

static void disown(struct slice *slice)
{
	explicit_bzero((char *)slice->bytes, slice->length);
	free((char *)slice->bytes);
}

static struct identity *create(struct identities *identities)
{
	struct identity *identity = alloc_zeroed(1, sizeof(*identity));

	identity->references = 1;
	identity->refusal = own(slice_of(""));
	list_init(&identity->link);
	list_init(&identity->lanes);
	list_append(&identities->all, &identity->link);
	return identity;
}

static struct identity *create_nobody(struct identities *identities)
{
	struct identity *nobody = create(identities);

	nobody->user = own(slice_of("default"));
	nobody->password = own(slice_of(""));
	return nobody;
}

void identities_init(struct identities *identities)
{
	list_init(&identities->all);
	identities->nobody = create_nobody(identities);
}

void identities_renew_nobody(struct identities *identities)
{
	identity_release(&identities->nobody);
	identities->nobody = create_nobody(identities);
}

void identities_fini(struct identities *identities)
{
	identity_release(&identities->nobody);
	assert(list_is_empty(&identities->all));
}

void identities_forgive(struct identities *identities)
{
	struct list_link *link, *following;

	LIST_EACH(&identities->all, link, following)
		CONTAINER_OF(link, struct identity, link)->refused_nodes = 0;
}

static bool has_same_rules(const struct identity *identity, const struct snapshot_node *node, uint64_t user_changes)
{
	return node->users != NULL && node->users->covers >= user_changes &&
	       snapshot_users_has(node->users, identity->user.bytes, identity->user.length);
}

void identity_compare(struct identity *identity, const struct snapshot *snapshot, uint64_t user_changes)
{
	identity->foreign_generation = snapshot->generation;
	identity->foreign_changes = user_changes;
	identity->foreign_nodes = 0;
	for (size_t i = 0; i < snapshot->node_count; i++) {
		const struct snapshot_node *node = &snapshot->nodes[i];

		if (node->id < 64 && !has_same_rules(identity, node, user_changes))
			identity->foreign_nodes |= 1ULL << node->id;
	}
}

static bool matches(const struct identity *identity, struct slice user, struct slice password)
{
	if (!identity->has_credentials || identity->has_user != (user.bytes != NULL))
		return false;
	return (!identity->has_user || slice_equal(identity->user, user)) && slice_equal(identity->password, password);
}

struct identity *identity_get(struct identities *identities, struct slice user, struct slice password)
{
	struct list_link *link, *following;
	struct identity *identity;

	LIST_EACH(&identities->all, link, following) {
		identity = CONTAINER_OF(link, struct identity, link);
		if (matches(identity, user, password))
			return identity_acquire(identity);
	}
	identity = create(identities);
	identity->has_credentials = true;
	identity->has_user = user.bytes != NULL;
	identity->user = own(identity->has_user ? user : slice_of("default"));
	identity->password = own(password);
	return identity;
}

void identity_refuse(struct identity *identity, struct slice words)
{
	disown(&identity->refusal);
	identity->refusal = own(words);
	identity->state = IDENTITY_REFUSED;
}

struct identity *identity_acquire(struct identity *identity)
{
	identity->references++;
	return identity;
}

void identity_release(struct identity **identity)
{
	struct identity *last = *identity;

	*identity = NULL;
	if (last == NULL || --last->references > 0)
		return;
	assert(list_is_empty(&last->lanes));
	list_remove(&last->link);
	disown(&last->refusal);
	disown(&last->user);
	disown(&last->password);
	free(last);
}
