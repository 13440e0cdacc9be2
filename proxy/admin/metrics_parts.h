#ifndef WEIR_PROXY_METRICS_PARTS_H
#define WEIR_PROXY_METRICS_PARTS_H

#include <stdio.h>

struct admin_sources;
struct topology_view;

/* The inside of /metrics, shared by the files that each print a part of it. */

/* HELP and TYPE; all samples of the family follow. `name` is without "weir_". */
void metrics_begin_family(const char *name, const char *type, const char *help, FILE *out);
/* The same for a name that is everybody's, not weir's own. */
void metrics_begin_common_family(const char *name, const char *type, const char *help, FILE *out);
/* A label's value, in its quotes. */
void metrics_print_quoted(const char *value, FILE *out);

/* metrics_measures.c: how long things took. */
void metrics_print_measures(const struct admin_sources *sources, const struct topology_view *view, FILE *out);

/* metrics_process.c: what the process takes of the system, by the names that
 * every Prometheus client library gives these. */
void metrics_print_process(const struct admin_sources *sources, FILE *out);

#endif
