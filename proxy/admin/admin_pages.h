#ifndef WEIR_PROXY_ADMIN_PAGES_H
#define WEIR_PROXY_ADMIN_PAGES_H

#include <stdint.h>
#include <stdio.h>

#include "../../protocol/slice.h"
#include "access.h"
#include "assets.h"

struct admin_sources;

/* What the HTTP door answers: a table of pages, one row each, with the method
 * and the role that it asks for. */

/* One request for a page. */
struct page_call {
	const struct admin_sources *sources;
	const char *since;             /* of "?since=", as it was sent; NULL */
	struct slice body;             /* of a POST */
	FILE *out;                     /* takes the answer's body */
	struct console_ticket *ticket; /* set by the page: the answer is a console's, and comes later */
};

struct page {
	const char *method;    /* GET is HEAD too */
	const char *path;
	enum access_role role;
	const char *type;
	/* Writes the answer's body. Returns its status. NULL: it always `says` the same. */
	unsigned (*write)(struct page_call *call);
	enum asset_id asset;   /* the file that is the answer instead */
	const char *help;      /* NULL: it is not listed */
	const char *says;
	unsigned status;
};

/* Writes the body of its answer; returns the status. */
unsigned page_write(const struct page *page, struct page_call *call);

/* Never NULL: what cannot be had is answered by a page, too. */
const struct page *page_find(const char *path, const char *method);
/* What is refused to a caller of this host, with this Authorization header
 * (NULL: none); NULL: nothing, he may have the page. */
const struct page *page_refusal(const struct admin_sources *sources, const struct page *page, const char *host,
				const char *authorization);
const struct page *page_too_long(void);
/* The methods of a path, for the Allow header of a wrong one. */
const char *page_methods(const char *path);
/* A console's reply as text, as redis-cli prints it into a file. Returns the
 * status. */
unsigned page_of_reply(struct slice reply, FILE *out);

#endif
