#include "mailbox.h"

#include <stddef.h>

static void open_all(struct mailbox *mailbox)
{
	struct mail *mail;

	pthread_mutex_lock(&mailbox->lock);
	mail = mailbox->first;
	mailbox->first = mailbox->last = NULL;
	pthread_mutex_unlock(&mailbox->lock);
	while (mail != NULL) {
		struct mail *next = mail->next;

		mail->open(mailbox->receiver, mail);
		mail = next;
	}
}

static void on_bell(void *arg)
{
	open_all(arg);
}

void mailbox_init(struct mailbox *mailbox, struct ev_loop *loop, void *receiver)
{
	mailbox->loop = loop;
	mailbox->receiver = receiver;
	mailbox->first = mailbox->last = NULL;
	mailbox->closed = false;
	pthread_mutex_init(&mailbox->lock, NULL);
	bell_hang(&mailbox->bell, loop, on_bell, mailbox);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
	bool was_empty;

	mail->next = NULL;
	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->closed) {
		pthread_mutex_unlock(&mailbox->lock);
		mail->open(mailbox->receiver, mail);
		return;
	}
	was_empty = mailbox->first == NULL;
	if (was_empty)
		mailbox->first = mail;
	else
		mailbox->last->next = mail;
	mailbox->last = mail;
	if (was_empty)
		bell_ring(&mailbox->bell);
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_fini(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->closed = true;
	pthread_mutex_unlock(&mailbox->lock);
	open_all(mailbox);
	bell_take_down(&mailbox->bell, mailbox->loop);
}
