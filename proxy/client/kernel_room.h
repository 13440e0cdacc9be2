#ifndef WEIR_PROXY_KERNEL_ROOM_H
#define WEIR_PROXY_KERNEL_ROOM_H

#include <stdbool.h>

struct client;
struct worker;

/* How much of what a client is sent, and does not take, waits in the kernel. All
 * sockets of a machine share the memory for that, so it is little. But what does
 * not fit is copied into memory of weir's that is mapped for it, and that costs
 * more than a large reply itself: some clients of each worker, to whom one has just
 * been sent, may have more, until they idle and the kernel holds little for them. */

/* A client's socket is new. */
void kernel_room_begin(struct client *client);
/* A large reply does not fit: is there more room for it now? */
bool kernel_room_widen(struct client *client);
/* Who asks for nothing any more, and has little to read, gives it back. Every WORKER_TICK_MS. */
void kernel_room_tick(struct worker *worker);
/* Its socket is closed. */
void kernel_room_end(struct client *client);

#endif
