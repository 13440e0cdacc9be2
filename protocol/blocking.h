#ifndef WEIR_PROTOCOL_BLOCKING_H
#define WEIR_PROTOCOL_BLOCKING_H

#include <stdint.h>

#include "buf.h"
#include "slice.h"

/* Appends this whole, canonical blocking request to *out, to be sent again when it
 * has waited for `elapsed_ms`: its timeout is shorter by so much, but a millisecond
 * is left of it. One without an end, or one whose timeout cannot be found, stays as
 * it is. */
void blocking_shorten(struct slice request, int64_t elapsed_ms, struct buf *out);

#endif
