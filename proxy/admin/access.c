#include "access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin.h"
#include "../config/config.h"

enum { NAME_ROOM = 256 };

/* ---- where they come from ---- */

static bool is_near(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	} address = { 0 };
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length) != 0)
		return false;
	switch (address.any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
	default:
		return false;
	}
}

bool access_is_near(const int *listen_fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_near(listen_fds[i]))
			return false;
	return true;
}

enum access_role access_of_stranger(const struct admin_sources *sources)
{
	return sources->is_near && !access_has_token(sources) ? ACCESS_CHANGE : ACCESS_READ;
}

/* ---- the token ---- */

bool access_has_token(const struct admin_sources *sources)
{
	return sources->config->admin_token[0] != '\0';
}

bool access_is_token(const struct admin_sources *sources, struct slice word)
{
	const char *token = sources->config->admin_token;
	size_t length = strlen(token);
	size_t difference = length ^ word.length;

	if (length == 0)
		return false;
	for (size_t i = 0; i < word.length; i++)
		difference |= (unsigned char)(word.bytes[i] ^ token[i % length]);
	return difference == 0;
}

bool access_is_bearer(const struct admin_sources *sources, const char *header)
{
	static const char scheme[] = "Bearer ";

	if (header == NULL || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return false;
	header += sizeof(scheme) - 1;
	return access_is_token(sources, slice_of(header + strspn(header, " ")));
}

/* ---- names ---- */

/* The name without the port; an IPv6 address without its brackets. */
static bool split_host(const char *host, char name[NAME_ROOM])
{
	bool bracketed = host[0] == '[';
	size_t length = strcspn(host += bracketed, bracketed ? "]" : ":");

	if (length >= NAME_ROOM)
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	return true;
}

static bool is_literal(const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Those that no name server is asked for, or that somebody gave this machine. */
static bool is_this_machine(const char *name)
{
	char own[NAME_ROOM] = "";
	const char *end = strrchr(name, '.');

	if (strcasecmp(name, "localhost") == 0 || (end != NULL && strcasecmp(end, ".localhost") == 0))
		return true;
	return gethostname(own, sizeof(own) - 1) == 0 && own[0] != '\0' && strcasecmp(name, own) == 0;
}

static bool is_listened_on(const struct config_listeners *listeners, const char *name)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->addresses[i].host != NULL && strcasecmp(listeners->addresses[i].host, name) == 0)
			return true;
	return false;
}

static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
		size_t word = strcspn(at, " ");

		if (word == length && strncasecmp(at, name, length) == 0)
			return true;
		at += word;
	}
	return false;
}

/* Over a unix socket nothing is resolved. */
static bool is_unix(const struct config_listeners *listeners)
{
	return listeners->count > 0 && listeners->addresses[0].unix_path != NULL;
}

bool access_is_our_name(const struct admin_sources *sources, const char *host)
{
	const struct config *config = sources->config;
	char name[NAME_ROOM];

	if (is_unix(&config->admin_listen))
		return true;
	return split_host(host, name) &&
	       (is_literal(name) || is_this_machine(name) || is_listened_on(&config->admin_listen, name) ||
		is_listed(config->admin_hosts, name));
}
