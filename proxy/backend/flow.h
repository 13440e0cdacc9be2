#ifndef WEIR_PROXY_FLOW_H
#define WEIR_PROXY_FLOW_H

struct backend;
struct client;

/* Replies that come faster than their client reads them. What it has not read
 * is kept for it up to about a megabyte; then the connection that the reply
 * comes on is not read either, until the client has caught up.
 *
 * A shared connection steps aside for that: new requests take another one, the
 * reads that stand behind the large reply are sent again on that one, and
 * orphans eat their replies here. Requests that are no plain reads keep their
 * place, and so does every session that has one of them here; they wait a
 * moment for the slow client, and then what it does not read is kept in memory
 * after all, up to client_output_limit. The same way a reply steps aside that
 * has megabytes to come, however fast its client is.
 *
 * Where too many have stepped aside already (half of max_private_backends),
 * replies are kept in memory as well. */

/* Bytes of replies were read and handed over. */
void flow_check(struct backend *backend);
/* The client has read what it was sent, nearly. */
void flow_resume(struct client *client);
/* On a tick. */
void flow_tick(struct backend *backend);

/* Nothing waits for this client any more: it leaves, or sends everything before
 * it reads. */
void flow_let_go(struct client *client);
/* Nobody is waited for on this connection any more. */
void flow_release(struct backend *backend);

#endif
