/* What the console changes. */
#include "../topology/topology.h"
#include "admin.h"
#include "console_parts.h"

static void drain(struct console_call *call, bool drained)
{
	char name[CONSOLE_WORD_ROOM];

	console_copy_word(name, call->argv[1]);
	console_outcome(call, topology_drain(call->sources->topology, name, drained));
}

void console_drain(struct console_call *call)
{
	drain(call, true);
}

void console_enable(struct console_call *call)
{
	drain(call, false);
}

void console_accept_master(struct console_call *call)
{
	console_outcome(call, topology_accept_master(call->sources->topology));
}
