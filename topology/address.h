#ifndef WEIR_TOPOLOGY_ADDRESS_H
#define WEIR_TOPOLOGY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Hosts and ports: from the file to the socket, and from what a replica says
 * of its master back to a line of the file. */

struct address {
	struct sockaddr_storage socket;
	socklen_t length; /* 0: unknown */
};

/* False: the host is not written as a number, but a name (name.h). */
bool address_parse(struct address *address, const char *host, uint16_t port);
bool address_equal(const struct address *a, const struct address *b);

/* A host that means "this machine" (or, 0.0.0.0, any) to whoever reads it. */
bool address_host_is_loopback(const char *host);
bool address_is_loopback(const struct address *address);

/* Whether a host as a server spells it is the resolved address. Never blocks:
 * a name other than localhost is not resolved. Ports are not looked at. */
bool address_has_host(const struct address *address, const char *host);

/* "host:port", "[v6]:port". */
void address_format(char *text, size_t size, const char *host, uint16_t port);

#endif
