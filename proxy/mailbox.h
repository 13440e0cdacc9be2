#ifndef WEIR_PROXY_MAILBOX_H
#define WEIR_PROXY_MAILBOX_H

#include <stdbool.h>
#include <pthread.h>

#include "../topology/bell.h"

/* The only door into another thread's loop. Anybody posts; the owner's loop
 * wakes, takes the whole list at once and opens the mails unlocked, in order.
 * The bell may ring once for several, the list is the truth. */

struct mail {
	struct mail *next;
	/* Runs on the receiving thread and owns the mail from then on.
	 * `receiver` is what mailbox_init() was given. */
	void (*open)(void *receiver, struct mail *mail);
};

struct mailbox {
	struct bell bell;
	struct ev_loop *loop;
	void *receiver;
	pthread_mutex_t lock; /* of first, last and closed */
	struct mail *first;
	struct mail *last;
	bool closed;
};

/* Before the owner's loop runs. */
void mailbox_init(struct mailbox *mailbox, struct ev_loop *loop, void *receiver);
/* Any thread. The mail belongs to the mailbox until it is opened. After
 * mailbox_fini() has begun it is opened at once, on the posting thread. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* Owner thread, when its loop has ended: opens what is left. */
void mailbox_fini(struct mailbox *mailbox);

#endif
