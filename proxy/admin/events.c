/* /events: what happened, as one JSON document. Who follows it asks again with
 * the id of the newest event that he has; `started` tells him that weir is
 * another process by now, whose ids began anew. */
#include "events.h"

#include <stdio.h>
#include <time.h>

#include "../../protocol/alloc.h"
#include "../../topology/journal.h"
#include "admin.h"
#include "json_put.h"

void event_time_print(char text[EVENT_TIME_ROOM], int64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm parts;
	char whole[EVENT_TIME_ROOM - 8];

	gmtime_r(&seconds, &parts);
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text, EVENT_TIME_ROOM, "%s.%03dZ", whole, (int)(unix_ms % 1000));
}

static void put_time(json_t *object, const char *key, int64_t unix_ms)
{
	char text[EVENT_TIME_ROOM];

	event_time_print(text, unix_ms);
	put_text(object, key, text);
}

static json_t *describe(const struct event *event)
{
	json_t *object = json_object();

	put_integer(object, "id", (int64_t)event->id);
	put_time(object, "time", event->time_ms);
	put_text(object, "kind", event_kind_name(event->kind));
	put_text(object, "level", event_kind_level(event->kind));
	put_text(object, "node", event->node[0] == '\0' ? NULL : event->node);
	put_text(object, "text", event->text);
	return object;
}

char *events_json(const struct admin_sources *sources, uint64_t since)
{
	json_t *document = alloc_checked(json_object());
	json_t *array = json_array();
	const struct event *event;
	char *text;

	put_time(document, "started", sources->started_unix_ms);
	put_integer(document, "newest", (int64_t)journal_newest(sources->journal));
	for (event = journal_after(sources->journal, since); event != NULL;
	     event = journal_after(sources->journal, event->id))
		json_array_append_new(array, alloc_checked(describe(event)));
	put(document, "events", array);
	text = alloc_checked(json_dumps(document, JSON_COMPACT));
	json_decref(document);
	return text;
}
