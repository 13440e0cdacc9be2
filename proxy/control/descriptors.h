#ifndef WEIR_PROXY_DESCRIPTORS_H
#define WEIR_PROXY_DESCRIPTORS_H

struct config;

/* Descriptors bound the number of clients: as many as the system allows are
 * taken, and max_clients follows, with a warning, where that is not enough. The
 * config is nobody else's yet. */
void descriptors_fit(struct config *config);

#endif
