#include "errand.h"

#include "../client/client.h"
#include "worker.h"

struct client *errand_find_client(struct worker *worker, uint64_t id)
{
	struct list_link *link, *following;

	LIST_EACH(&worker->clients, link, following) {
		struct client *client = CONTAINER_OF(link, struct client, of_worker);

		if (client->session.id == id)
			return client;
	}
	return NULL;
}

static void come_home(void *receiver, struct mail *mail)
{
	struct errand *errand = CONTAINER_OF(mail, struct errand, mail);

	errand->kind->come_home(errand, errand_find_client(receiver, errand->client_id));
}

/* A worker that has halted has no clients any more, and no thread. */
static void visit(void *receiver, struct mail *mail)
{
	struct errand *errand = CONTAINER_OF(mail, struct errand, mail);
	struct worker *worker = receiver;

	if (worker->halted || errand->kind->visit(errand, worker))
		errand_go_on(errand);
}

/* Workers are visited in a ring, from the one at home. */
void errand_go_on(struct errand *errand)
{
	struct worker *home = errand->home;
	size_t count = home->shared->worker_count;
	struct worker *to = home;

	errand->mail.open = come_home;
	if (errand->next < count) {
		to = home->shared->workers[(home->index + errand->next++) % count];
		errand->mail.open = visit;
	}
	mailbox_post(&to->mailbox, &errand->mail);
}

void errand_send(struct errand *errand, const struct errand_kind *kind, const struct client *client)
{
	errand->home = client->worker;
	errand->client_id = client->session.id;
	errand->kind = kind;
	errand_go_on(errand);
}
