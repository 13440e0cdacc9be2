#ifndef WEIR_PROXY_CONSOLE_TICKET_H
#define WEIR_PROXY_CONSOLE_TICKET_H

#include "../../protocol/slice.h"

/* The place of an answer that comes later. Whoever asked holds it until then;
 * when he leaves before, he clears `asker`, and the answer goes nowhere.
 * Control thread. */

struct console_ticket {
	void (*on_answer)(void *asker, struct slice reply);
	void *asker;
	unsigned status; /* HTTP's, where the answer is the body of a page; 0: it is a console's reply */
};

/* Hands in the one answer, after the verb has returned, and frees the
 * ticket. */
void console_ticket_answer(struct console_ticket *ticket, struct slice reply);

#endif
