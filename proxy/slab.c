#include "slab.h"

#include <stdlib.h>

#include "../protocol/alloc.h"

void slab_init(struct slab *slab, size_t size, size_t keep)
{
	*slab = (struct slab){ .size = size < sizeof(void *) ? sizeof(void *) : size, .keep = keep };
}

void *slab_get(struct slab *slab)
{
	void **object = slab->free;

	if (object == NULL)
		return alloc_checked(malloc(slab->size));
	slab->free = *object;
	slab->spare--;
	return object;
}

void slab_put(struct slab *slab, void *object)
{
	void **link = object;

	if (slab->spare >= slab->keep) {
		free(object);
		return;
	}
	*link = slab->free;
	slab->free = object;
	slab->spare++;
}

void slab_put_row(struct slab *slab, void *first, void *last, size_t count)
{
	void **end = last;

	*end = slab->free;
	slab->free = first;
	slab->spare += count;
	while (slab->spare > slab->keep)
		free(slab_get(slab));
}

void slab_fini(struct slab *slab)
{
	while (slab->free != NULL) {
		void **object = slab->free;

		slab->free = *object;
		free(object);
	}
	slab->spare = 0;
}
