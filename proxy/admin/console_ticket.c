#include "console_ticket.h"

#include <stdlib.h>

void console_ticket_answer(struct console_ticket *ticket, struct slice reply)
{
	if (ticket->asker != NULL)
		ticket->on_answer(ticket->asker, reply);
	free(ticket);
}
