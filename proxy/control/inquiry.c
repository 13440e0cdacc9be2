#include "inquiry.h"

#include "../worker/control_line.h"
#include "../list.h"
#include "../worker/worker.h"

static void go_on(struct inquiry *inquiry);

static void open_home(void *receiver, struct mail *mail)
{
	struct inquiry *inquiry = CONTAINER_OF(mail, struct inquiry, mail);

	(void)receiver;
	inquiry->come_home(inquiry);
}

static void open_visit(void *receiver, struct mail *mail)
{
	struct inquiry *inquiry = CONTAINER_OF(mail, struct inquiry, mail);
	struct worker *worker = receiver;

	if (!worker->halted)
		inquiry->visit(inquiry, worker);
	go_on(inquiry);
}

static void go_on(struct inquiry *inquiry)
{
	struct worker_shared *shared = inquiry->shared;

	if (inquiry->next == shared->worker_count) {
		inquiry->mail.open = open_home;
		control_line_post(shared->control, &inquiry->mail);
	} else {
		inquiry->mail.open = open_visit;
		mailbox_post(&shared->workers[inquiry->next++]->mailbox, &inquiry->mail);
	}
}

void inquiry_send(struct inquiry *inquiry, struct worker_shared *shared)
{
	inquiry->shared = shared;
	inquiry->next = 0;
	go_on(inquiry);
}
