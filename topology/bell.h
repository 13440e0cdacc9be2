#ifndef WEIR_TOPOLOGY_BELL_H
#define WEIR_TOPOLOGY_BELL_H

#include <ev.h>

/* Wakes a loop from another thread; rings before it is heard are one. (An ev_async
 * would do the same, but libev aborts the process where the kernel does not watch
 * the descriptor that it has for all of them, and asks nobody before.) */

struct bell {
	ev_io watcher;
	void (*on_ring)(void *arg); /* on the loop's thread */
	void *arg;
};

/* Thread of the loop. A bell that cannot be heard ends the process. */
void bell_hang(struct bell *bell, struct ev_loop *loop, void (*on_ring)(void *arg), void *arg);
/* Any thread, as long as the bell hangs. */
void bell_ring(struct bell *bell);
/* Thread of the loop. */
void bell_take_down(struct bell *bell, struct ev_loop *loop);

#endif
