/* The HTTP door: requests for the pages of admin_pages.c over libmicrohttpd.
 *
 * The library has no thread here and no listening socket: it is handed
 * connections, its epoll descriptor is watched by the control loop like any
 * other, and the time it asks for becomes a timer. Every answer ends its
 * connection: one request, one deadline (admin.c), nothing idle to keep.
 *
 * Invariant: what may not be had is refused at the request's head, before a byte
 * of its body is kept. */
#include "admin_http.h"

#include <ev.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../protocol/alloc.h"
#include "../../protocol/buf.h"
#include "admin.h"
#include "admin_pages.h"
#include "console_ticket.h"
#include "http_headers.h"
#include "../list.h"
#include "../log.h"

enum {
	REQUEST_HEAD_BYTES = 16384, /* of one connection's memory in the library */
	BODY_MAX_BYTES = 4096,
	LOG_LINES_PER_SECOND = 1,
};

struct http {
	struct ev_loop *loop;
	const struct admin_sources *sources;
	struct http_events events;
	struct MHD_Daemon *daemon;
	struct list_link waiting; /* requests whose answer comes later */
	ev_io ready;             /* the library's epoll descriptor */
	ev_timer due;            /* when the library wants to run without an event */
	void *adding;            /* the peer whose connection is being handed over */
	bool adopted;            /* and whether the library has told of it */
	struct log_limit limit;
};

/* One request from its head to its end. */
struct request {
	struct list_link waiting;      /* http->waiting; while it waits the library has suspended it */
	struct http *http;
	struct MHD_Connection *connection;
	const struct page *page;
	const char *allowed;           /* methods of its path */
	struct buf body;
	struct console_ticket *ticket;
	char *late_answer;             /* that it waited for; NULL: none yet */
	size_t late_length;
	unsigned late_status;
};

/* ---- requests ---- */

static void *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

static enum MHD_Result answer(struct request *request, unsigned status, char *body, size_t length)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL) {
		free(body);
		return MHD_NO;
	}
	request->http->events.on_request(peer_of(request->connection));
	http_headers_add(response, NULL);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->page->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, request->allowed);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	result = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* The answer has come: the library calls on_request() once more. */
static void on_late_answer(void *asker, struct slice reply)
{
	struct request *request = asker;
	struct http *http = request->http;
	FILE *out = alloc_checked(open_memstream(&request->late_answer, &request->late_length));

	request->late_status = request->ticket->status;
	if (request->late_status == 0)
		request->late_status = page_of_reply(reply, out);
	else
		fwrite(reply.bytes, 1, reply.length, out);
	fclose(out);
	request->ticket = NULL;
	list_remove(&request->waiting);
	MHD_resume_connection(request->connection);
	ev_feed_event(http->loop, &http->due, EV_TIMER);
}

static enum MHD_Result wait_for_answer(struct request *request)
{
	request->ticket->on_answer = on_late_answer;
	request->ticket->asker = request;
	list_append(&request->http->waiting, &request->waiting);
	request->http->events.on_wait(peer_of(request->connection));
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

static enum MHD_Result answer_late(struct request *request)
{
	char *body = request->late_answer;

	request->late_answer = NULL;
	return answer(request, request->late_status, body, request->late_length);
}

static enum MHD_Result answer_file(struct request *request)
{
	request->http->events.on_request(peer_of(request->connection));
	return asset_answer(request->connection, request->page->asset);
}

static enum MHD_Result answer_page(struct request *request)
{
	char *body = NULL;
	size_t length = 0;
	struct page_call call = { .sources = request->http->sources, .body = buf_slice(&request->body),
				  .out = alloc_checked(open_memstream(&body, &length)) };
	unsigned status;

	call.since = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "since");
	status = page_write(request->page, &call);
	fclose(call.out);
	if (call.ticket == NULL)
		return answer(request, status, body, length);
	free(body);
	request->ticket = call.ticket;
	return wait_for_answer(request);
}

/* The page, or the one that says why not. */
static const struct page *choose_page(struct http *http, struct MHD_Connection *connection, const char *path,
				      const char *method)
{
	const struct page *page = page_find(path, method);
	const struct page *refusal = page_refusal(
		http->sources, page, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION));

	return refusal == NULL ? page : refusal;
}

static enum MHD_Result begin_request(struct http *http, struct MHD_Connection *connection, const char *path,
				     const char *method, void **of_connection)
{
	struct request *request = alloc_zeroed(1, sizeof(*request));

	request->http = http;
	request->connection = connection;
	list_init(&request->waiting);
	request->page = choose_page(http, connection, path, method);
	request->allowed = page_methods(path);
	*of_connection = request;
	return request->page->method == NULL ? answer_page(request) : MHD_YES;
}

/* A GET has no use for a body. */
static void take_body(struct request *request, const char *bytes, size_t length)
{
	if (strcmp(request->page->method, MHD_HTTP_METHOD_POST) != 0)
		return;
	if (buf_length(&request->body) + length > BODY_MAX_BYTES)
		request->page = page_too_long();
	else
		buf_append(&request->body, bytes, length);
}

/* The library calls once for the head, then for each piece of the body, then
 * once more for the end; and again when it was resumed. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
				  const char *version, const char *upload, size_t *upload_length, void **of_connection)
{
	struct request *request = *of_connection;

	(void)version;
	if (request == NULL)
		return begin_request(arg, connection, path, method, of_connection);
	if (request->late_answer != NULL)
		return answer_late(request);
	if (*upload_length == 0)
		return request->page->asset != ASSET_NONE ? answer_file(request) : answer_page(request);
	take_body(request, upload, *upload_length);
	*upload_length = 0;
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **of_connection,
			 enum MHD_RequestTerminationCode code)
{
	struct request *request = *of_connection;

	(void)arg;
	(void)connection;
	(void)code;
	*of_connection = NULL;
	if (request == NULL)
		return;
	if (request->ticket != NULL)
		request->ticket->asker = NULL;
	list_remove(&request->waiting);
	buf_free(&request->body);
	free(request->late_answer);
	free(request);
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
	if (events & EV_ERROR)
		log_fatal("the kernel refuses to watch the admin endpoint");
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
	list_init(&http->waiting);
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
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
	struct list_link *link;

	while ((link = list_take(&(*http)->waiting)) != NULL) /* the library must not have any when it stops */
		MHD_resume_connection(CONTAINER_OF(link, struct request, waiting)->connection);
	ev_io_stop((*http)->loop, &(*http)->ready);
	ev_timer_stop((*http)->loop, &(*http)->due);
	MHD_stop_daemon((*http)->daemon);
	free(*http);
	*http = NULL;
}
