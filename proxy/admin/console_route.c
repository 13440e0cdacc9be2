/* ROUTE: where a command would go now, and why. A worker is asked, because workers
 * decide; the control thread adds why a replica is not readable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "console_parts.h"
#include "../dispatch/dispatch_explain.h"
#include "../control/inquiry.h"
#include "../list.h"

struct question {
	struct inquiry inquiry;
	struct console_ticket *ticket;
	const struct admin_sources *sources;
	struct buf request;
	struct explanation explanation;
	bool explained;
};

static void append_line(struct buf *reply, const char *title, const char *text)
{
	char line[600];

	snprintf(line, sizeof(line), "%s%s", title, text);
	encode_status(reply, line);
}

/* What the control thread says of it, where it is not readable at all. */
static void append_node(struct buf *reply, const struct topology_view *view, const struct explained_node *node)
{
	const struct topology_node_view *shown = NULL;
	char line[512];

	for (size_t i = 0; i < view->node_count; i++)
		if (view->nodes[i].id == node->id)
			shown = &view->nodes[i];
	if (shown == NULL)
		snprintf(line, sizeof(line), "is not configured any more");
	else if (node->reason[0] == '\0')
		snprintf(line, sizeof(line), "%s may serve it", shown->name);
	else
		snprintf(line, sizeof(line), "%s may not: %s", shown->name, shown->reason != NULL ? shown->reason : node->reason);
	append_line(reply, "replica:  ", line);
}

static void bring_route(struct inquiry *inquiry)
{
	struct question *question = CONTAINER_OF(inquiry, struct question, inquiry);
	const struct explanation *explanation = &question->explanation;
	struct buf reply = { 0 };

	if (question->ticket->asker != NULL) { /* else all that is behind the sources may be gone */
		const struct topology_view *view = topology_view(question->sources->topology);

		encode_array(&reply, 3 + explanation->node_count);
		append_line(&reply, "class:    ", explanation->class);
		append_line(&reply, "goes to:  ", explanation->where);
		append_line(&reply, "because:  ", explanation->why);
		for (size_t i = 0; i < explanation->node_count; i++)
			append_node(&reply, view, &explanation->nodes[i]);
	}
	console_ticket_answer(question->ticket, buf_slice(&reply));
	buf_free(&reply);
	buf_free(&question->request);
	free(question);
}

static void visit(struct inquiry *inquiry, struct worker *worker)
{
	struct question *question = CONTAINER_OF(inquiry, struct question, inquiry);

	if (!question->explained)
		dispatch_explain(worker, &question->explanation);
	question->explained = true; /* one worker speaks for all */
}

static void ask(struct console_call *call, size_t first, int64_t floor)
{
	struct question *question = alloc_zeroed(1, sizeof(*question));

	call->ticket = question->ticket = alloc_zeroed(1, sizeof(*question->ticket));
	question->sources = call->sources;
	encode_request(&question->request, call->argc - first, call->argv + first);
	question->explanation.command = buf_head(&question->request);
	question->explanation.has_floor = floor >= 0;
	question->explanation.floor = floor >= 0 ? (uint64_t)floor : 0;
	question->inquiry.visit = visit;
	question->inquiry.come_home = bring_route;
	inquiry_send(&question->inquiry, call->sources->workers);
}

void console_route(struct console_call *call)
{
	ask(call, 1, -1);
}

void console_route_floor(struct console_call *call)
{
	int64_t floor;

	if (console_number(call, 2, 0, INT64_MAX, &floor))
		ask(call, 3, floor);
}
