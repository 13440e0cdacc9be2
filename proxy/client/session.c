#include "session.h"

static uint32_t without(uint32_t all, uint32_t part)
{
	return all > part ? all - part : 0;
}

void session_confirm(struct session *session, enum push_kind kind, uint32_t left)
{
	struct session_bonds *bonds = &session->bonds;

	switch (kind) {
	case PUSH_SUBSCRIBE:
	case PUSH_UNSUBSCRIBE:
		bonds->channels = without(left, bonds->patterns);
		break;
	case PUSH_PSUBSCRIBE:
	case PUSH_PUNSUBSCRIBE:
		bonds->patterns = without(left, bonds->channels);
		break;
	default:
		bonds->shard_channels = left;
	}
}

/* One for each; and one that says so when there are none. */
uint32_t session_confirmations_of_all(const struct session *session, enum push_kind kind)
{
	const struct session_bonds *bonds = &session->bonds;
	uint32_t count = kind == PUSH_UNSUBSCRIBE	 ? bonds->channels
			 : kind == PUSH_PUNSUBSCRIBE ? bonds->patterns
						     : bonds->shard_channels;

	return count > 0 ? count : 1;
}
