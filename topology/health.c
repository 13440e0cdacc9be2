/* Rise and fall. Every counter here ends with the next check of the other
 * kind, so nothing of a bad past stays for ever. */
#include "health.h"

enum { BACKOFF_CEILING_MS = 1000 };

void health_init(struct health *health, unsigned rise, unsigned fall)
{
	*health = (struct health){.state = HEALTH_UNKNOWN, .rise = rise, .fall = fall};
}

static bool health_enter(struct health *health, enum health_state state)
{
	bool changed = health->state != state;

	health->state = state;
	return changed;
}

bool health_good(struct health *health)
{
	health->bad = 0;
	health->failures = 0;
	if (health->good < health->rise)
		health->good++;
	if (health->state == HEALTH_UNKNOWN || health->good >= health->rise)
		return health_enter(health, HEALTH_UP);
	return false;
}

bool health_bad(struct health *health)
{
	health->good = 0;
	if (health->bad < health->fall)
		health->bad++;
	if (health->state == HEALTH_UNKNOWN || health->bad >= health->fall)
		return health_enter(health, HEALTH_DOWN);
	return false;
}

bool health_refused(struct health *health)
{
	health->good = 0;
	health->bad = health->fall;
	return health_enter(health, HEALTH_DOWN);
}

int64_t health_backoff_ms(struct health *health, int64_t interval_ms, uint32_t random)
{
	int64_t ceiling = interval_ms > BACKOFF_CEILING_MS ? interval_ms : BACKOFF_CEILING_MS;
	int64_t wait = interval_ms;

	for (unsigned i = 0; i < health->failures && wait < ceiling; i++)
		wait *= 2;
	if (wait > ceiling)
		wait = ceiling;
	if (health->failures < 32)
		health->failures++;
	return wait - (int64_t)(random % (uint32_t)(wait / 4 + 1));
}
