#ifndef WEIR_PROXY_STATUS_H
#define WEIR_PROXY_STATUS_H

struct admin_sources;

/* What /status says: the shape of DESIGN.md section 8 as JSON text, which the
 * caller frees. Control thread. */
char *status_json(const struct admin_sources *sources);

#endif
