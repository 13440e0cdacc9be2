#ifndef WEIR_PROXY_SAMPLER_H
#define WEIR_PROXY_SAMPLER_H

#include <stdint.h>
#include <stdio.h>

struct admin_sources;
struct ev_loop;
struct sampler;

/* Looks at everything once a second and puts it into a history. `sources`
 * outlives it. Control thread. */
struct sampler *sampler_start(struct ev_loop *loop, const struct admin_sources *sources);
/* Frees *sampler, sets it to NULL. */
void sampler_stop(struct sampler **sampler);

/* The document that GET /history answers: the samples behind number `since`. */
void sampler_print(const struct sampler *sampler, uint64_t since, FILE *out);

#endif
