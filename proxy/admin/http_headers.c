#include "http_headers.h"

#include <microhttpd.h>
#include <stddef.h>

static const char *const headers[][2] = {
	{ MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff" },
	{ MHD_HTTP_HEADER_X_FRAME_OPTIONS, "DENY" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ MHD_HTTP_HEADER_CONNECTION, "close" },
};

void http_headers_add(struct MHD_Response *response, const char *policy)
{
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY,
				policy != NULL ? policy : "default-src 'none'; frame-ancestors 'none'");
}
