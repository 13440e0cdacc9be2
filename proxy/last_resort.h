#ifndef WEIR_PROXY_LAST_RESORT_H
#define WEIR_PROXY_LAST_RESORT_H

/* Memory that runs out, or an event loop that the kernel refuses, ends weir in
 * good order wherever it happens, in weir (protocol/alloc.h) or in a library: a
 * line that says why, and status 1. Call it before any library is used. */
void last_resort_install(void);

#endif
