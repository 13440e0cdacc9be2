/* What the console changes. */
#include <stdio.h>
#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../topology/topology.h"
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

/* ---- SWITCHOVER ---- */

static void on_switchover(void *arg, enum topology_switchover_result result, const struct topology_succession_view *view)
{
	bool done = result == SWITCHOVER_DONE || result == SWITCHOVER_POSSIBLE;
	struct buf reply = { 0 };
	char text[1200];

	snprintf(text, sizeof(text), "%s %s", done ? "OK" : "ERR", view->result);
	if (done)
		encode_status(&reply, text);
	else
		encode_error(&reply, text);
	console_ticket_answer(arg, buf_slice(&reply));
	buf_free(&reply);
}

/* NULL: it is understood; `name` has room for a server's. */
static const char *parse_switchover(const struct console_call *call, struct topology_switchover *wanted,
				    char name[CONSOLE_WORD_ROOM])
{
	for (size_t i = 1; i < call->argc; i++) {
		if (slice_is(call->argv[i], "DRY")) {
			wanted->dry = true;
		} else if (slice_is(call->argv[i], "TIMEOUT")) {
			if (++i == call->argc ||
			    !number_parse_within(call->argv[i], 1, TOPOLOGY_SWITCHOVER_MAX_MS, &wanted->timeout_ms))
				return "TIMEOUT is in milliseconds, at most a minute";
		} else if (i == 1) {
			console_copy_word(name, call->argv[i]);
			wanted->replica = name;
		} else {
			return "expected SWITCHOVER [<replica>] [TIMEOUT <ms>] [DRY]";
		}
	}
	return NULL;
}

void console_switchover(struct console_call *call)
{
	struct topology_switchover wanted = { .on_done = on_switchover };
	struct console_ticket *ticket = alloc_zeroed(1, sizeof(*ticket));
	char name[CONSOLE_WORD_ROOM];
	const char *refusal = parse_switchover(call, &wanted, name);

	wanted.arg = ticket;
	if (refusal == NULL)
		refusal = topology_switchover(call->sources->topology, &wanted);
	if (refusal == NULL) {
		call->ticket = ticket;
		return;
	}
	free(ticket);
	console_error(call, "ERR %s", refusal);
}
