#ifndef WEIR_PROTOCOL_RESP_H
#define WEIR_PROTOCOL_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "slice.h"

/* Where does the next request or reply end? The framers answer that and
 * nothing else: they allocate nothing, recurse nowhere, and remember how far
 * they came, so that input which arrives a byte at a time costs linear time.
 *
 * What is a legal request was measured on redis-server 7.0.15; weir is
 * stricter in two places: CR LF behind every bulk string is checked, and a
 * request is taken as inline only when it begins with a letter, a quote or a
 * blank. */

enum resp_result {
	RESP_OK,    /* one whole message */
	RESP_AGAIN, /* no error so far, more bytes needed */
	RESP_BAD    /* not RESP; the connection has to be closed */
};

/* Values that a reply may still owe. */
#define RESP_MAX_OWED INT64_MAX

struct resp_limits {
	int64_t max_args;        /* elements of a multibulk request */
	int64_t max_bulk;        /* bytes of one argument */
	size_t max_inline;       /* bytes of an inline request's line */
	bool unauthenticated;    /* only the wording of the errors changes */
};

/* What redis-server 7.0.15 allows a session before and after authentication. */
extern const struct resp_limits resp_limits_default;
extern const struct resp_limits resp_limits_unauthenticated;

/* ---- requests ---- */

/* Progress within one request. Zeroed: at the start of a request. */
struct resp_request_framer {
	size_t position;   /* bytes of this request looked at and understood */
	int64_t args_left; /* arguments whose header has not been read yet */
	int64_t bulk_left; /* bytes of the current argument and its CR LF not seen yet; 0: at a header */
	int32_t argc;
	uint32_t name_at;  /* offset and length of argument 0 */
	uint32_t name_length;
	uint8_t state;
};

struct resp_request {
	size_t length;     /* bytes of the whole request, header to last CR LF */
	int32_t argc;      /* 0: an empty request (CR LF, blanks, *0, *-1), to be skipped;
			    * 1 for any other inline request: resp_inline_encode() counts */
	bool is_inline;    /* see resp_inline_encode() */
	struct slice name; /* argument 0, a view into the data; unset when inline */
};

/* Frames the request that begins at data[0].
 * OK: *request describes it and the framer is ready for the next one.
 * AGAIN: call again with the same bytes and more behind them (the data may
 * have moved). BAD: *error is Redis' own text without the leading "-ERR ",
 * valid until this thread's next call. */
enum resp_result resp_request_next(struct resp_request_framer *framer, const struct resp_limits *limits,
				   const char *data, size_t length, struct resp_request *request,
				   const char **error);

/* For a multibulk request that is passed on before it is whole, which
 * resp_request_next() has answered with AGAIN: */

/* How many of its arguments have come whole; resp_args_next() may be asked for
 * so many. */
int32_t resp_request_whole_args(const struct resp_request_framer *framer);
/* The caller has let go of its first `count` bytes, at most framer->position:
 * the data of the next call begins behind them. What RESP_OK tells in the end
 * is the length of the rest, and no name. */
void resp_request_forget(struct resp_request_framer *framer, size_t count);
/* Bytes of the present argument that may be anything: with all that has come
 * forgotten, so many of the next ones need not be looked at but only told. */
size_t resp_request_payload_left(const struct resp_request_framer *framer);
void resp_request_skip_payload(struct resp_request_framer *framer, size_t count);

/* Appends the canonical multibulk form of an inline request (the `length`
 * bytes that resp_request_next() framed) to *out. Returns the number of
 * arguments, 0 for a blank line, -1 for unbalanced quotes, which is to be
 * answered with RESP_UNBALANCED_QUOTES; then nothing was appended. */
#define RESP_UNBALANCED_QUOTES "Protocol error: unbalanced quotes in request"
int resp_inline_encode(const char *line, size_t length, struct buf *out);

/* Walks the arguments of a whole, canonical multibulk request. */
struct resp_args {
	const char *at;
	int32_t left;
};

void resp_args_begin(struct resp_args *args, const char *request);
/* False when there is none left. The slice is a view into the request. */
bool resp_args_next(struct resp_args *args, struct slice *arg);

/* ---- replies ---- */

/* Progress within one reply. Zeroed: at the start of a reply. */
struct resp_reply_framer {
	char type;                        /* type byte of the whole reply; '>' is a push */
	char header;                      /* type byte of the value being read; 0: none */
	uint8_t state;
	uint8_t line_length;              /* bytes in line */
	char line[24];                    /* of a numeric header that has not come whole */
	bool has_type;                    /* type is that of the reply, not of an attribute in front */
	bool only_header;                 /* set by the caller at the start of a reply: if it is an array it ends
					   * with its header, and `elements` tells how many values follow */
	int64_t elements;                 /* of that array; -1: it is null */
	int64_t bulk_left;                /* payload and CR LF still to come */
	int64_t owed;                     /* values still to come, the reply itself included */
};

/* Reads on in a reply. *used tells how many of the bytes belong to it: all of
 * them with AGAIN, up to its end with OK. After OK framer->type is the type of
 * the reply that ended, until the next call. An attribute (|) counts as the
 * beginning of the reply it stands in front of. A push inside an array is no
 * element of it: servers up to 7.0 let one slip in between (a key that MGET
 * finds expired is announced to the client that subscribed to such news).
 * RESP2 and RESP3. */
enum resp_result resp_reply_next(struct resp_reply_framer *framer, const char *data, size_t length, size_t *used);

/* The length of the reply at data[0] (length at least 1), if it is there as a
 * whole and has no elements: what most replies are, found without a framer. 0:
 * it is not, or resp_reply_next() has to find out. */
size_t resp_reply_scalar(const char *data, size_t length);

#endif
