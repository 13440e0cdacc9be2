/* A watchdog is fed by the control thread, so it ends when that hangs; and only
 * while every worker moves, so it ends when one of them does. */
#include "service.h"

#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "../clock.h"
#include "../log.h"

#define STATUS_SECONDS 1.0

struct service {
	struct ev_loop *loop;
	struct service_events events;
	int fd;                       /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_length;
	ev_timer watchdog;            /* runs where one is asked for */
	ev_timer status;
	char told[SERVICE_STATUS_ROOM];
	bool starved;                 /* the watchdog was not fed the last time */
};

/* ---- the socket ---- */

/* A path, or with an @ a name in the abstract namespace. */
static bool set_address(struct service *service, const char *name)
{
	size_t length = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(service->address.sun_path))
		return false;
	service->address.sun_family = AF_UNIX;
	memcpy(service->address.sun_path, name, length);
	if (name[0] == '@')
		service->address.sun_path[0] = '\0';
	service->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
	return true;
}

static void open_socket(struct service *service)
{
	const char *name = getenv("NOTIFY_SOCKET");

	service->fd = -1;
	if (name == NULL || name[0] == '\0')
		return;
	if (!set_address(service, name)) {
		log_warning("NOTIFY_SOCKET is not understood: %s", name);
		return;
	}
	service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (service->fd < 0)
		log_warning("the service manager cannot be told: %s", strerror(errno));
}

static void tell(struct service *service, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct service *service, const char *format, ...)
{
	char text[SERVICE_STATUS_ROOM + 128];
	va_list args;
	int length;

	if (service->fd < 0)
		return;
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (sendto(service->fd, text, (size_t)length, MSG_NOSIGNAL, (const struct sockaddr *)&service->address,
		   service->address_length) < 0)
		log_debug("the service manager cannot be told: %s", strerror(errno));
}

/* ---- what is told ---- */

static void tell_status(struct service *service)
{
	char text[SERVICE_STATUS_ROOM];

	service->events.describe(service->events.arg, text);
	if (strcmp(text, service->told) == 0)
		return;
	memcpy(service->told, text, sizeof(text));
	tell(service, "STATUS=%s", text);
}

void service_ready(struct service *service)
{
	tell(service, "READY=1");
	if (service->fd >= 0)
		tell_status(service);
}

void service_reloading(struct service *service)
{
	tell(service, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(clock_ns() / 1000));
}

void service_stopping(struct service *service, int64_t patience_ms)
{
	tell(service, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)patience_ms * 1000);
	if (service->fd >= 0)
		tell_status(service);
}

static void on_status(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	tell_status(timer->data);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;
	bool alive = service->events.is_alive(service->events.arg);

	(void)loop;
	(void)events;
	if (alive)
		tell(service, "WATCHDOG=1");
	else if (!service->starved)
		log_warning("a worker does not move: the watchdog is not fed");
	service->starved = !alive;
}

/* ---- life ---- */

/* Seconds between two meals, of which the watchdog may miss one; 0: there is none
 * for this process. */
static double watchdog_seconds(void)
{
	const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (period == NULL || (pid != NULL && strtoll(pid, NULL, 10) != getpid()))
		return 0.;
	return (double)strtoull(period, NULL, 10) / 1e6 / 3.;
}

struct service *service_start(struct ev_loop *loop, const struct service_events *events)
{
	struct service *service = alloc_zeroed(1, sizeof(*service));
	double meals = watchdog_seconds();

	service->loop = loop;
	service->events = *events;
	open_socket(service);
	ev_timer_init(&service->watchdog, on_watchdog, meals, meals);
	ev_timer_init(&service->status, on_status, STATUS_SECONDS, STATUS_SECONDS);
	service->watchdog.data = service->status.data = service;
	if (service->fd < 0)
		return service;
	ev_timer_start(loop, &service->status);
	if (meals > 0.)
		ev_timer_start(loop, &service->watchdog);
	return service;
}

void service_stop(struct service **service)
{
	struct service *gone = *service;

	*service = NULL;
	ev_timer_stop(gone->loop, &gone->watchdog);
	ev_timer_stop(gone->loop, &gone->status);
	if (gone->fd >= 0)
		close(gone->fd);
	free(gone);
}
