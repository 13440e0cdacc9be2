#ifndef WEIR_PROXY_SLOW_NOTE_H
#define WEIR_PROXY_SLOW_NOTE_H

#include <stdint.h>

struct backend;
struct request;
struct worker;

/* A client's request took so long: counts it, and tells the slow log. Of many in
 * one second only the first are told. `bytes` are the request's. Worker's thread. */
void slow_note(struct worker *worker, const struct request *request, const struct backend *from, const char *bytes,
	       uint32_t total_us);

#endif
