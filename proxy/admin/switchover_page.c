#include "switchover_page.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "admin_pages.h"
#include "console_ticket.h"
#include "json_put.h"

static const struct {
	const char *word;
	unsigned status;
} results[] = {
	[SWITCHOVER_DONE] = { "done", MHD_HTTP_OK },
	[SWITCHOVER_POSSIBLE] = { "possible", MHD_HTTP_OK },
	[SWITCHOVER_REFUSED] = { "refused", MHD_HTTP_CONFLICT },
	[SWITCHOVER_UNDONE] = { "undone", MHD_HTTP_SERVICE_UNAVAILABLE },
};

/* ---- the answer ---- */

static json_t *describe(const char *result, const char *sentence)
{
	json_t *object = json_object();

	put_text(object, "result", result);
	put_text(object, "text", sentence);
	return object;
}

/* A line of text; frees the object. */
static char *print(json_t *object, size_t *length)
{
	char *text = NULL;
	FILE *out = alloc_checked(open_memstream(&text, length));

	json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	fclose(out);
	json_decref(object);
	return text;
}

static unsigned answer(struct page_call *call, const char *result, const char *sentence, unsigned status)
{
	size_t length;
	char *text = print(describe(result, sentence), &length);

	fwrite(text, 1, length, call->out);
	free(text);
	return status;
}

static void on_done(void *arg, enum topology_switchover_result result, const struct topology_succession_view *view)
{
	struct console_ticket *ticket = arg;
	json_t *object = describe(results[result].word, view->result);
	size_t length;
	char *text;

	put_text(object, "from", view->from);
	put_text(object, "to", view->to);
	put_real(object, "held_ms", result == SWITCHOVER_DONE ? (double)view->held_us / 1e3 : -1.0);
	text = print(object, &length);
	ticket->status = results[result].status;
	console_ticket_answer(ticket, (struct slice){ text, length });
	free(text);
}

/* ---- the question ---- */

/* NULL: it is understood, and `wanted` borrows from the object. */
static const char *read_wanted(json_t *object, struct topology_switchover *wanted)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		if (strcmp(key, "replica") == 0 && json_is_string(value))
			wanted->replica = json_string_value(value);
		else if (strcmp(key, "timeout_ms") == 0 && json_is_integer(value))
			wanted->timeout_ms = json_integer_value(value);
		else if (strcmp(key, "dry") == 0 && json_is_boolean(value))
			wanted->dry = json_boolean_value(value);
		else
			return "expected {\"replica\":\"<name>\",\"timeout_ms\":<number>,\"dry\":<boolean>}, or a part of it";
		if (json_is_integer(value) && (wanted->timeout_ms < 1 || wanted->timeout_ms > TOPOLOGY_SWITCHOVER_MAX_MS))
			return "timeout_ms is from 1 to 60000";
	}
	return NULL;
}

static unsigned begin(struct page_call *call, struct topology_switchover *wanted)
{
	struct console_ticket *ticket = alloc_zeroed(1, sizeof(*ticket));
	const char *refusal;

	wanted->on_done = on_done;
	wanted->arg = ticket;
	refusal = topology_switchover(call->sources->topology, wanted);
	if (refusal == NULL) {
		call->ticket = ticket;
		return MHD_HTTP_OK;
	}
	free(ticket);
	return answer(call, "refused", refusal, MHD_HTTP_CONFLICT);
}

unsigned page_switchover(struct page_call *call)
{
	struct topology_switchover wanted = { 0 };
	bool is_empty = call->body.length == 0;
	json_t *object = is_empty ? json_object() : json_loadb(call->body.bytes, call->body.length, JSON_REJECT_DUPLICATES, NULL);
	const char *mistake = json_is_object(object) ? read_wanted(object, &wanted) : "the body is not an object of JSON";
	unsigned status = mistake != NULL ? answer(call, "mistaken", mistake, MHD_HTTP_BAD_REQUEST) : begin(call, &wanted);

	json_decref(object);
	return status;
}
