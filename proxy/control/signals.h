#ifndef WEIR_PROXY_SIGNALS_H
#define WEIR_PROXY_SIGNALS_H

/* SIGTERM, SIGINT and SIGHUP, on the control thread. Read from a descriptor: see
 * topology/bell.h for what libev's own watchers do without one. */

struct ev_loop;
struct signals;

/* Blocks them on this thread and on those that it starts from now on. */
struct signals *signals_watch(struct ev_loop *loop, void (*on_signal)(void *arg, int number), void *arg);
/* They stay blocked. */
void signals_stop(struct signals **signals);

#endif
