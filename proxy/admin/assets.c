/* The assembler takes the files in. A browser keeps them, but asks each time
 * whether they are the same still: the tag is a hash of what they hold, so a new
 * weir is seen at once. */
#include "assets.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "http_headers.h"

/* Nothing but the page's own files is loaded or asked, and nobody frames it. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
			     "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

enum { TAG_ROOM = 32 };

struct span {
	const char *start;
	const char *end;
};

struct asset {
	const char *type;
	struct span plain;
	struct span gzip;
};

#define ASSET(id, path, type, file, help)                                                   \
	__asm__(".pushsection .rodata\n"                                              \
		"asset_" #id "_plain:\n\t.incbin \"" file "\"\nasset_" #id "_plain_end:\n" \
		"asset_" #id "_gzip:\n\t.incbin \"" file ".gz\"\nasset_" #id "_gzip_end:\n" \
		".popsection\n");                                                     \
	extern const char asset_##id##_plain[], asset_##id##_plain_end[];             \
	extern const char asset_##id##_gzip[], asset_##id##_gzip_end[];
#include "assets.def"
#undef ASSET

static const struct asset assets[] = {
#define ASSET(id, path, type, file, help)                                                    \
	[ASSET_##id] = { type, { asset_##id##_plain, asset_##id##_plain_end },              \
			 { asset_##id##_gzip, asset_##id##_gzip_end } },
#include "assets.def"
#undef ASSET
};

static size_t span_length(struct span span)
{
	return (size_t)(span.end - span.start);
}

/* ---- what the browser says ---- */

/* `word` as an element of a comma-separated list. */
static bool is_listed(const char *list, const char *word, const char **parameters)
{
	size_t length = strlen(word);

	while (list != NULL && *list != '\0') {
		list += strspn(list, " \t,");
		if (strncasecmp(list, word, length) == 0 && strchr(" \t,;", list[length]) != NULL) {
			*parameters = list + length;
			return true;
		}
		list += strcspn(list, ",");
	}
	return false;
}

static bool takes_gzip(struct MHD_Connection *connection)
{
	const char *parameters = "";
	double quality = 1;

	if (!is_listed(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING), "gzip",
		       &parameters))
		return false;
	sscanf(parameters, " ; q = %lf", &quality);
	return quality > 0;
}

static bool has_it(struct MHD_Connection *connection, const char *tag)
{
	const char *parameters;

	return is_listed(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH), tag,
			 &parameters);
}

/* ---- the answer ---- */

enum MHD_Result asset_answer(struct MHD_Connection *connection, enum asset_id id)
{
	const struct asset *asset = &assets[id];
	bool gzip = takes_gzip(connection);
	struct span bytes = gzip ? asset->gzip : asset->plain;
	struct MHD_Response *response;
	enum MHD_Result result;
	char tag[TAG_ROOM];
	bool same;

	snprintf(tag, sizeof(tag), "\"%016" PRIx64 "\"", (uint64_t)XXH3_64bits(bytes.start, span_length(bytes)));
	same = has_it(connection, tag);
	response = MHD_create_response_from_buffer(same ? 0 : span_length(bytes), (void *)bytes.start, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	http_headers_add(response, policy);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, asset->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, tag);
	if (gzip && !same)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	result = MHD_queue_response(connection, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}
