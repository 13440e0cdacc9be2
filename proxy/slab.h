#ifndef WEIR_PROXY_SLAB_H
#define WEIR_PROXY_SLAB_H

#include <stddef.h>

/* A cache of equally sized objects for one thread. What is put back is handed
 * out again first, while it is warm in the cache; beyond `keep` spare objects
 * memory goes back to the system. */
struct slab {
	size_t size;   /* of one object, bytes */
	size_t keep;   /* spare objects to hold on to */
	size_t spare;
	void *free;    /* spare objects, linked through their first word */
};

void slab_init(struct slab *slab, size_t size, size_t keep);
/* An object with undefined content. */
void *slab_get(struct slab *slab);
void slab_put(struct slab *slab, void *object);
/* So many at once that are linked through their first words. */
void slab_put_row(struct slab *slab, void *first, void *last, size_t count);
void slab_fini(struct slab *slab);

#endif
