#ifndef WEIR_PROXY_SERVICE_H
#define WEIR_PROXY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;

/* What a service manager is told (sd_notify(3), spoken by hand: datagrams to
 * $NOTIFY_SOCKET), and the watchdog that it may ask for ($WATCHDOG_USEC). Where
 * nobody asks, nothing is said. Control thread only. */

struct service;

enum { SERVICE_STATUS_ROOM = 256 };

struct service_events {
	/* Has every thread done something since the last question? */
	bool (*is_alive)(void *arg);
	/* How weir is, in one line. */
	void (*describe)(void *arg, char text[SERVICE_STATUS_ROOM]);
	void *arg;
};

struct service *service_start(struct ev_loop *loop, const struct service_events *events);
/* Sets *service to NULL. */
void service_stop(struct service **service);

/* weir has started, or has ended a reload. */
void service_ready(struct service *service);
void service_reloading(struct service *service);
/* weir is about to end, and asks for so much time. Again and again, if it likes. */
void service_stopping(struct service *service, int64_t patience_ms);

#endif
