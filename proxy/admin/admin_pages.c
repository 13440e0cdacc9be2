#include "admin_pages.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/buf.h"
#include "../../protocol/resp.h"
#include "../../topology/topology.h"
#include "admin.h"
#include "console_verbs.h"
#include "events.h"
#include "metrics.h"
#include "sampler.h"
#include "status.h"
#include "switchover_page.h"

/* ---- pages ---- */

static unsigned page_status(struct page_call *call)
{
	char *text = status_json(call->sources);

	fprintf(call->out, "%s\n", text);
	free(text);
	return MHD_HTTP_OK;
}

/* What cannot be read asks for everything. */
static uint64_t read_since(const struct page_call *call)
{
	return call->since == NULL ? 0 : strtoull(call->since, NULL, 10);
}

static unsigned page_history(struct page_call *call)
{
	sampler_print(call->sources->sampler, read_since(call), call->out);
	return MHD_HTTP_OK;
}

static unsigned page_events(struct page_call *call)
{
	char *text = events_json(call->sources, read_since(call));

	fprintf(call->out, "%s\n", text);
	free(text);
	return MHD_HTTP_OK;
}

static unsigned page_metrics(struct page_call *call)
{
	metrics_print(call->sources, call->out);
	return MHD_HTTP_OK;
}

static unsigned page_livez(struct page_call *call)
{
	fputs("alive\n", call->out);
	return MHD_HTTP_OK;
}

static unsigned page_readyz(struct page_call *call)
{
	const struct topology_view *view = topology_view(call->sources->topology);

	if (view->master >= 0) {
		fputs("ready\n", call->out);
		return MHD_HTTP_OK;
	}
	fprintf(call->out, "no usable master: %s\n", view->no_master_reason == NULL ? "unknown" : view->no_master_reason);
	return MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* ---- the console's verbs ---- */

static void print_scalar(const char **at, const char *end, FILE *out)
{
	long long length = strtoll(*at + 1, NULL, 10);
	bool bulk = **at == '$' && length >= 0;
	const char *feed = memchr(*at, '\n', (size_t)(end - *at));
	const char *text = bulk ? feed + 1 : *at + 1;

	if (!bulk)
		length = feed - 1 - text;
	fwrite(text, 1, (size_t)length, out);
	fputc('\n', out);
	*at = bulk ? text + length + 2 : feed + 1;
}

unsigned page_of_reply(struct slice reply, FILE *out)
{
	const char *at = reply.bytes, *end = reply.bytes + reply.length;

	while (at < end) {
		if (*at == '*')
			at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
		else
			print_scalar(&at, end, out);
	}
	return reply.length > 0 && reply.bytes[0] == '-' ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_OK;
}

static unsigned page_console(struct page_call *call)
{
	struct buf reply = { 0 };
	unsigned status;

	console_run_line(call->sources, call->body, &reply, &call->ticket);
	status = page_of_reply(buf_slice(&reply), call->out);
	buf_free(&reply);
	return status;
}

/* ---- the table ---- */

static const char plain_text[] = "text/plain; charset=utf-8";
static const char json[] = "application/json";

static unsigned page_help(struct page_call *call);

#define PAGE(m, p, r, t, w, h) { .method = m, .path = p, .role = r, .type = t, .write = w, .help = h }

static const struct page pages[] = {
#define ASSET(id, p, t, file, h) { .method = "GET", .path = p, .role = ACCESS_READ, .type = t, .asset = ASSET_##id, .help = h },
#include "assets.def"
#undef ASSET
	PAGE("GET", "/status", ACCESS_READ, json, page_status,
	     "the state of the master, the replicas and weir, as JSON"),
	PAGE("GET", "/history", ACCESS_READ, json, page_history,
	     "the last ten minutes second by second; ?since=N asks for what came after sample N"),
	PAGE("GET", "/events", ACCESS_READ, json, page_events,
	     "what happened, newest last; ?since=N asks for what came after number N"),
	PAGE("GET", "/metrics", ACCESS_READ, "text/plain; version=0.0.4; charset=utf-8", page_metrics,
	     "the same as Prometheus metrics"),
	PAGE("GET", "/livez", ACCESS_READ, plain_text, page_livez,
	     "200 while weir runs"),
	PAGE("GET", "/readyz", ACCESS_READ, plain_text, page_readyz,
	     "200 while there is a usable master, else 503"),
	PAGE("GET", "/help", ACCESS_READ, plain_text, page_help,
	     "this list"),
	PAGE("POST", "/console", ACCESS_CHANGE, plain_text, page_console,
	     "runs the console's command that the body is; Authorization: Bearer <token>"),
	PAGE("POST", "/switchover", ACCESS_CHANGE, json, page_switchover,
	     "another master: {\"replica\":\"b\",\"timeout_ms\":2000,\"dry\":false}, or no body; the same token"),
};

enum { PAGE_COUNT = sizeof(pages) / sizeof(pages[0]) };

static unsigned page_help(struct page_call *call)
{
	fputs("weir's admin endpoint\n\n", call->out);
	for (size_t i = 0; i < PAGE_COUNT; i++)
		if (pages[i].help != NULL)
			fprintf(call->out, "%-4s %-11s %s\n", pages[i].method, pages[i].path, pages[i].help);
	fputs("\nredis-cli on the same port is the console; VERBS lists what it knows.\n", call->out);
	return MHD_HTTP_OK;
}

/* ---- what is refused ---- */

static const struct page missing = {
	.type = plain_text, .status = MHD_HTTP_NOT_FOUND, .says = "there is no such page; /help names those there are\n",
};
static const struct page wrong_method = {
	.type = plain_text, .status = MHD_HTTP_METHOD_NOT_ALLOWED,
	.says = "that is not what this page answers to; /help names what does\n",
};
static const struct page wrong_name = {
	.type = plain_text, .status = MHD_HTTP_MISDIRECTED_REQUEST,
	.says = "this endpoint does not go by the name in the Host header; [admin] hosts in proxy.ini may give it more\n",
};
static const struct page no_token = {
	.type = plain_text, .status = MHD_HTTP_FORBIDDEN,
	.says = "nothing is changed over HTTP without a token, and [admin] token_file in proxy.ini names none\n",
};
static const struct page wrong_token = {
	.type = plain_text, .status = MHD_HTTP_UNAUTHORIZED, .says = "this wants the token: Authorization: Bearer <token>\n",
};
static const struct page too_long = {
	.method = "POST", .type = plain_text, .status = MHD_HTTP_CONTENT_TOO_LARGE, .says = "the body is too long\n",
};

unsigned page_write(const struct page *page, struct page_call *call)
{
	if (page->write != NULL)
		return page->write(call);
	fputs(page->says, call->out);
	return page->status;
}

const struct page *page_find(const char *path, const char *method)
{
	const struct page *found = &missing;

	if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		method = MHD_HTTP_METHOD_GET;
	for (size_t i = 0; i < PAGE_COUNT; i++) {
		if (strcmp(pages[i].path, path) != 0)
			continue;
		if (strcmp(pages[i].method, method) == 0)
			return &pages[i];
		found = &wrong_method;
	}
	return found;
}

const struct page *page_refusal(const struct admin_sources *sources, const struct page *page, const char *host,
				const char *authorization)
{
	if (host != NULL && !access_is_our_name(sources, host))
		return &wrong_name;
	if (page->role == ACCESS_READ)
		return page->method == NULL ? page : NULL;
	if (!access_has_token(sources))
		return &no_token;
	return access_is_bearer(sources, authorization) ? NULL : &wrong_token;
}

const struct page *page_too_long(void)
{
	return &too_long;
}

const char *page_methods(const char *path)
{
	bool posted = false;

	for (size_t i = 0; i < PAGE_COUNT; i++)
		posted = posted || (strcmp(pages[i].path, path) == 0 && strcmp(pages[i].method, "POST") == 0);
	return posted ? "POST" : "GET, HEAD";
}
