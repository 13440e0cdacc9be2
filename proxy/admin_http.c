/* The HTTP door: a table of pages over libmicrohttpd.
 *
 * The library has no thread here and no listening socket: it is handed
 * connections, its epoll descriptor is watched by the control loop like any
 * other, and the time it asks for becomes a timer. Every answer ends its
 * connection: one request, one deadline (admin.c), nothing idle to keep.
 *
 * Invariant: nothing that is asked over HTTP changes anything. */
#include "admin_http.h"

#include <ev.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../protocol/alloc.h"
#include "../topology/topology.h"
#include "admin.h"
#include "events.h"
#include "log.h"
#include "metrics.h"
#include "sampler.h"
#include "status.h"

enum {
	REQUEST_HEAD_BYTES = 16384, /* of one connection's memory in the library */
	LOG_LINES_PER_SECOND = 1,
};

struct http {
	struct ev_loop *loop;
	const struct admin_sources *sources;
	struct http_events events;
	struct MHD_Daemon *daemon;
	ev_io ready;             /* the library's epoll descriptor */
	ev_timer due;            /* when the library wants to run without an event */
	void *adding;            /* the peer whose connection is being handed over */
	bool adopted;            /* and whether the library has told of it */
	struct log_limit limit;
};

/* ---- pages ---- */

/* One request for a page. */
struct page_call {
	const struct admin_sources *sources;
	const char *since; /* of "?since=", as it was sent; NULL */
	FILE *out;         /* takes the body */
};

/* Writes the answer's body. Returns its status. */
typedef unsigned (*page_fn)(const struct page_call *call);

static unsigned page_index(const struct page_call *call);

static unsigned page_status(const struct page_call *call)
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

static unsigned page_history(const struct page_call *call)
{
	sampler_print(call->sources->sampler, read_since(call), call->out);
	return MHD_HTTP_OK;
}

static unsigned page_events(const struct page_call *call)
{
	char *text = events_json(call->sources, read_since(call));

	fprintf(call->out, "%s\n", text);
	free(text);
	return MHD_HTTP_OK;
}

static unsigned page_metrics(const struct page_call *call)
{
	metrics_print(call->sources, call->out);
	return MHD_HTTP_OK;
}

static unsigned page_livez(const struct page_call *call)
{
	fputs("alive\n", call->out);
	return MHD_HTTP_OK;
}

static unsigned page_readyz(const struct page_call *call)
{
	const struct topology_view *view = topology_view(call->sources->topology);

	if (view->master >= 0) {
		fputs("ready\n", call->out);
		return MHD_HTTP_OK;
	}
	fprintf(call->out, "no usable master: %s\n", view->no_master_reason == NULL ? "unknown" : view->no_master_reason);
	return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned page_missing(const struct page_call *call)
{
	fputs("there is no such page; / names those there are\n", call->out);
	return MHD_HTTP_NOT_FOUND;
}

static unsigned page_wrong_method(const struct page_call *call)
{
	fputs("only GET and HEAD are answered here\n", call->out);
	return MHD_HTTP_METHOD_NOT_ALLOWED;
}

static const char plain_text[] = "text/plain; charset=utf-8";

struct page {
	const char *path;
	const char *type;
	page_fn write;
	const char *help;
};

static const struct page pages[] = {
	{ "/", plain_text, page_index, "this list" },
	{ "/status", "application/json", page_status, "the state of the master, the replicas and weir, as JSON" },
	{ "/history", "application/json", page_history, "the last ten minutes second by second; ?since=N asks for what came after sample N" },
	{ "/events", "application/json", page_events, "what happened, newest last; ?since=N asks for what came after number N" },
	{ "/metrics", "text/plain; version=0.0.4; charset=utf-8", page_metrics, "the same as Prometheus metrics" },
	{ "/livez", plain_text, page_livez, "200 while weir runs" },
	{ "/readyz", plain_text, page_readyz, "200 while there is a usable master, else 503" },
};

static const struct page missing = { NULL, plain_text, page_missing, NULL };
static const struct page wrong_method = { NULL, plain_text, page_wrong_method, NULL };

static unsigned page_index(const struct page_call *call)
{
	fputs("weir's admin endpoint\n\n", call->out);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		fprintf(call->out, "GET %-10s %s\n", pages[i].path, pages[i].help);
	fputs("\nredis-cli on the same port is the console; VERBS lists what it knows.\n", call->out);
	return MHD_HTTP_OK;
}

static const struct page *find_page(const char *path, const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return &wrong_method;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	return &missing;
}

/* ---- requests ---- */

static enum MHD_Result answer(struct http *http, struct MHD_Connection *connection, const struct page *page)
{
	struct MHD_Response *response;
	enum MHD_Result result;
	char *body = NULL;
	size_t length = 0;
	struct page_call call = { .sources = http->sources, .out = alloc_checked(open_memstream(&body, &length)) };
	unsigned status;

	call.since = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "since");
	status = page->write(&call);
	fclose(call.out);
	response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static void *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* The library calls once for the head, then for each piece of the body, then
 * once more for the end. A wrong method is answered at its head, so that no
 * body has to be read. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				  const char *version, const char *upload, size_t *upload_length, void **head_seen)
{
	struct http *http = arg;
	const struct page *page = find_page(path, method);

	(void)version;
	(void)upload;
	if (*head_seen == NULL && page != &wrong_method) {
		*head_seen = http;
		return MHD_YES;
	}
	if (*upload_length > 0) {
		*upload_length = 0; /* a GET has no use for a body */
		return MHD_YES;
	}
	http->events.on_request(peer_of(connection));
	return answer(http, connection, page);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http *http = arg;

	(void)connection;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = http->adding;
		http->adopted = true;
	} else if (*context != NULL) {
		http->events.on_closed(*context);
		*context = NULL;
	}
}

static void __attribute__((format(printf, 2, 0))) on_log(void *arg, const char *format, va_list args)
{
	struct http *http = arg;
	char line[256];

	if (!log_allowed(&http->limit, LOG_LINES_PER_SECOND))
		return;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\r\n")] = '\0';
	log_verbose("admin: http: %s", line);
}

/* Paths are compared as they were sent: "%00" must not make a short one of a
 * long one. */
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

/* ---- the loop ---- */

static void ask_when_due(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	ev_timer_stop(http->loop, &http->due);
	if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
		return;
	ev_timer_set(&http->due, (double)ms / 1000., 0.);
	ev_timer_start(http->loop, &http->due);
}

static void run(struct http *http)
{
	MHD_run(http->daemon);
	ask_when_due(http);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	run(io->data);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	run(timer->data);
}

struct http *http_start(struct ev_loop *loop, const struct admin_sources *sources, const struct http_events *events)
{
	struct http *http = alloc_zeroed(1, sizeof(*http));
	const union MHD_DaemonInfo *info = NULL;

	http->loop = loop;
	http->sources = sources;
	http->events = *events;
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, http, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)REQUEST_HEAD_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (http->daemon != NULL)
		info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL) {
		if (http->daemon != NULL)
			MHD_stop_daemon(http->daemon);
		free(http);
		return NULL;
	}
	ev_io_init(&http->ready, on_ready, info->epoll_fd, EV_READ);
	ev_timer_init(&http->due, on_due, 0., 0.);
	http->ready.data = http->due.data = http;
	ev_io_start(loop, &http->ready);
	return http;
}

/* The library closes the socket when it refuses it, and says so in its result
 * alone when it had not told of the connection before. */
void http_add(struct http *http, int fd, void *peer)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof(address);
	enum MHD_Result result;

	getpeername(fd, (struct sockaddr *)&address, &length);
	http->adding = peer;
	http->adopted = false;
	result = MHD_add_connection(http->daemon, fd, (struct sockaddr *)&address, length);
	http->adding = NULL;
	if (result != MHD_YES && !http->adopted)
		http->events.on_closed(peer);
	ask_when_due(http);
}

void http_stop(struct http **http)
{
	ev_io_stop((*http)->loop, &(*http)->ready);
	ev_timer_stop((*http)->loop, &(*http)->due);
	MHD_stop_daemon((*http)->daemon);
	free(*http);
	*http = NULL;
}
