#ifndef WEIR_PROXY_INQUIRY_H
#define WEIR_PROXY_INQUIRY_H

#include <stdbool.h>

#include "../mailbox.h"

struct worker;
struct worker_shared;

/* A question of the control thread's to every worker, one after the other. Nobody
 * waits for it and nothing is locked: it travels as a mail, and what it gathers
 * belongs to the thread it is on. */

struct inquiry {
	struct mail mail;
	struct worker_shared *shared;
	size_t next;               /* worker to visit next */
	/* At each worker, on its thread. A worker that has halted is passed by. */
	void (*visit)(struct inquiry *inquiry, struct worker *worker);
	/* Back on the control thread. Frees it. */
	void (*come_home)(struct inquiry *inquiry);
};

/* `visit` and `come_home` are set. */
void inquiry_send(struct inquiry *inquiry, struct worker_shared *shared);

#endif
