#ifndef WEIR_PROXY_HTTP_HEADERS_H
#define WEIR_PROXY_HTTP_HEADERS_H

struct MHD_Response;

/* What every answer of the HTTP door says, whatever it is: that its type is not
 * to be guessed, that no other site may read or frame it, that the connection
 * ends. `policy` is its Content-Security-Policy, NULL: nothing at all is allowed. */
void http_headers_add(struct MHD_Response *response, const char *policy);

#endif
