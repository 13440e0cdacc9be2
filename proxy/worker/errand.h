#ifndef WEIR_PROXY_ERRAND_H
#define WEIR_PROXY_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "../mailbox.h"

struct client;
struct worker;

/* A journey to every worker on behalf of one client: it travels as a mail, does
 * something at each, and comes home with what it has gathered. Nobody waits for
 * it and nothing is locked; what it carries belongs to the thread it is on. */

struct errand {
	struct mail mail;
	struct worker *home;
	uint64_t client_id;       /* for whom; may be gone when it comes home */
	unsigned next;            /* worker to visit next */
	const struct errand_kind *kind;
};

struct errand_kind {
	/* At each worker in turn, on its thread. False: it stays there, until
	 * somebody calls errand_go_on(). */
	bool (*visit)(struct errand *errand, struct worker *worker);
	/* Back where it began, on that thread. `client` is NULL when it has left.
	 * Frees the errand. */
	void (*come_home)(struct errand *errand, struct client *client);
};

/* The worker's client with this id; NULL when there is none. */
struct client *errand_find_client(struct worker *worker, uint64_t id);

/* Sends it on its way; the client's worker is the first to be visited. */
void errand_send(struct errand *errand, const struct errand_kind *kind, const struct client *client);
/* To the next worker. From the one it stayed at. */
void errand_go_on(struct errand *errand);

#endif
