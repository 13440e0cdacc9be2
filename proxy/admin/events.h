#ifndef WEIR_PROXY_EVENTS_H
#define WEIR_PROXY_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct admin_sources;

enum { EVENT_TIME_ROOM = 32 };

/* The document that GET /events answers: what the journal has kept with an id
 * greater than `since`, oldest first. The caller frees it. Control thread. */
char *events_json(const struct admin_sources *sources, uint64_t since);

/* 2026-11-25T04:13:36.123Z */
void event_time_print(char text[EVENT_TIME_ROOM], int64_t unix_ms);

#endif
