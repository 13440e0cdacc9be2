#ifndef WEIR_PROXY_METRICS_H
#define WEIR_PROXY_METRICS_H

#include <stdio.h>

struct admin_sources;

/* What /metrics says, in the Prometheus text format 0.0.4. Control thread. */
void metrics_print(const struct admin_sources *sources, FILE *out);

#endif
