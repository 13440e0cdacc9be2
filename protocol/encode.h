#ifndef WEIR_PROTOCOL_ENCODE_H
#define WEIR_PROTOCOL_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "slice.h"

/* RESP that weir itself sends: its own replies to clients, its own requests to
 * servers. Everything is appended to *out. */

void encode_status(struct buf *out, const char *text);             /* +text */
/* -text; CR and LF in it become blanks, so that no text can forge a reply. */
void encode_error(struct buf *out, const char *text);
void encode_integer(struct buf *out, int64_t value);               /* :value */
void encode_bulk(struct buf *out, struct slice bytes);             /* $n bytes */
void encode_bulk_text(struct buf *out, const char *text);
void encode_null(struct buf *out, int resp_version);               /* $-1 or _ */
void encode_array(struct buf *out, size_t elements);               /* *n, elements follow */
void encode_push(struct buf *out, size_t elements);                /* >n, elements follow; RESP3 */
/* A map of n pairs: %n in RESP3, *2n in RESP2. */
void encode_map(struct buf *out, size_t pairs, int resp_version);
/* Text for people: $ in RESP2, =len txt: in RESP3 (INFO, CLIENT LIST). */
void encode_verbatim(struct buf *out, struct slice text, int resp_version);
/* A request in canonical multibulk form. */
void encode_request(struct buf *out, size_t argc, const struct slice *argv);
/* The same from NUL-terminated words; the list ends with NULL. */
void encode_request_words(struct buf *out, const char *word, ...);
/* The same for what weir says on its own account: the command begins with a
 * small letter and goes on in capitals ("rOLE"). No client spells so; whoever
 * looks at a server's MONITOR or slow log can tell them apart, and a client that
 * does through weir is spared of them (push_line_author()). */
void encode_own_words(struct buf *out, const char *word, ...);

#endif
