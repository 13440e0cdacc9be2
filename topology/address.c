/* Numeric addresses are compared as numbers, everything else as text. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool parse_numeric(struct address *address, const char *host)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&address->socket;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->socket;

	memset(address, 0, sizeof(*address));
	if (inet_aton(host, &four->sin_addr) != 0) { /* 127.1 and 0x7f000001 as well */
		four->sin_family = AF_INET;
		address->length = sizeof(*four);
	} else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		address->length = sizeof(*six);
	}
	return address->length != 0;
}

bool address_parse(struct address *address, const char *host, uint16_t port)
{
	if (!parse_numeric(address, host))
		return false;
	if (address->socket.ss_family == AF_INET)
		((struct sockaddr_in *)&address->socket)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&address->socket)->sin6_port = htons(port);
	return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->length == b->length && memcmp(&a->socket, &b->socket, a->length) == 0;
}

/* The IPv4 address, also of one that is mapped into IPv6. */
static bool as_ipv4(const struct address *address, uint32_t *ip)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)&address->socket)->sin6_addr;

	if (address->length == 0)
		return false;
	if (address->socket.ss_family == AF_INET) {
		*ip = ntohl(((const struct sockaddr_in *)&address->socket)->sin_addr.s_addr);
		return true;
	}
	if (address->socket.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(six))
		return false;
	memcpy(ip, &six->s6_addr[12], sizeof(*ip));
	*ip = ntohl(*ip);
	return true;
}

bool address_is_loopback(const struct address *address)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)&address->socket)->sin6_addr;
	uint32_t ip;

	if (as_ipv4(address, &ip))
		return ip >> 24 == 127 || ip == 0;
	return address->length != 0 && (IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_UNSPECIFIED(six));
}

bool address_host_is_loopback(const char *host)
{
	struct address address;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	return parse_numeric(&address, host) && address_is_loopback(&address);
}

static bool same_ipv6(const struct address *a, const struct address *b)
{
	return memcmp(&((const struct sockaddr_in6 *)&a->socket)->sin6_addr,
		      &((const struct sockaddr_in6 *)&b->socket)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

bool address_has_host(const struct address *address, const char *host)
{
	struct address other;
	uint32_t a = 0;
	uint32_t b = 0;
	bool four;

	if (strcasecmp(host, "localhost") == 0)
		return address_is_loopback(address);
	if (address->length == 0 || !parse_numeric(&other, host))
		return false;
	four = as_ipv4(address, &a);
	if (four != as_ipv4(&other, &b))
		return address_is_loopback(address) && address_is_loopback(&other);
	return four ? a == b : same_ipv6(address, &other);
}

void address_format(char *text, size_t size, const char *host, uint16_t port)
{
	snprintf(text, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}
