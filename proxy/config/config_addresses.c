/* The values of proxy.ini that name addresses: listeners, servers, and which
 * servers' data may be replaced.
 *
 * Host names stay unresolved: a name that does not resolve today is no mistake
 * of the file. Invariants: no two listeners and no two servers have the same
 * address as written, and no two servers the same name. */
#include "config_values.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "../../protocol/alloc.h"
#include "config.h"
#include "config_keys.h"

enum {
	HOST_LENGTH = 253, /* of a DNS name */
	NAME_LENGTH = 64,
	WEIGHT_MAX = 1000,
	LISTENERS_MAX = 16, /* of one key */
	SENTINELS_MAX = 16,
};

static const char blanks[] = " \t";

/* ---- hosts and ports ---- */

static bool is_ipv6(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET6, host, &address) == 1;
}

/* A dotted name or an IPv4 address. What is all digits and dots has to be an
 * address: resolvers take "10.1" and "127.0.0.300" for something surprising. */
static bool is_host(const char *host)
{
	struct in_addr address;

	if (host[0] == '\0' || host[0] == '-' || strlen(host) > HOST_LENGTH)
		return false;
	if (host[strspn(host, "0123456789.")] == '\0')
		return inet_pton(AF_INET, host, &address) == 1;
	for (const char *at = host; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL)
			return false;
	return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
	int64_t number;

	if (!config_parse_number(text, 1, UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

/* "host:port" or "[v6]:port"; the caller frees *host. */
static bool parse_host_port(const char *text, char **host, uint16_t *port)
{
	bool bracketed = text[0] == '[';
	const char *begin = text + bracketed, *colon = strrchr(text, ':'), *end;

	if (colon == NULL || !parse_port(colon + 1, port))
		return false;
	end = bracketed ? strchr(text, ']') : colon;
	if (end == NULL || end + bracketed != colon)
		return false;
	*host = alloc_text(begin, (size_t)(end - begin));
	if (bracketed ? is_ipv6(*host) : is_host(*host))
		return true;
	free(*host);
	*host = NULL;
	return false;
}

static void print_host_port(const char *host, uint16_t port, char *text, size_t room)
{
	bool bracketed = strchr(host, ':') != NULL;

	snprintf(text, room, "%s%s%s:%u", bracketed ? "[" : "", host, bracketed ? "]" : "", (unsigned)port);
}

bool config_same_host(const char *a, const char *b)
{
	struct in6_addr a_address, b_address;

	assert(a != NULL && b != NULL);
	if (inet_pton(AF_INET6, a, &a_address) == 1 && inet_pton(AF_INET6, b, &b_address) == 1)
		return memcmp(&a_address, &b_address, sizeof(a_address)) == 0;
	return strcasecmp(a, b) == 0;
}

/* ---- listeners ---- */

static bool same_listener(const struct config_address *a, const struct config_address *b)
{
	if (a->unix_path != NULL || b->unix_path != NULL)
		return a->unix_path != NULL && b->unix_path != NULL && strcmp(a->unix_path, b->unix_path) == 0;
	return a->port == b->port && config_same_host(a->host, b->host);
}

/* The key that has this address already; NULL when nobody has. */
static const struct config_key *listener_owner(const struct config *config, const struct config_address *address)
{
	static const enum config_key_id all[] = { CONFIG_KEY_LISTEN, CONFIG_KEY_LISTEN_REPLICA, CONFIG_KEY_ADMIN_LISTEN };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct config_listeners *listeners = config_value(&config_keys[all[i]], config);

		for (size_t j = 0; j < listeners->count; j++)
			if (same_listener(&listeners->addresses[j], address))
				return &config_keys[all[i]];
	}
	return NULL;
}

static bool parse_mode(const char *text, unsigned *mode)
{
	size_t digits = strspn(text, "01234567");

	*mode = (unsigned)strtoul(text, NULL, 8);
	return digits >= 3 && digits <= 4 && text[digits] == '\0' && *mode > 0 && *mode <= 0777;
}

static bool parse_unix_path(const char *path, struct config_address *address)
{
	static const char option[] = " mode=";
	const char *mode = strstr(path, option);
	size_t length = mode != NULL ? (size_t)(mode - path) : strlen(path);

	if (path[0] != '/' || strchr(path, ';') != NULL || length >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return false;
	if (mode != NULL && !parse_mode(mode + sizeof(option) - 1, &address->unix_mode))
		return false;
	while (path[length - 1] == ' ')
		length--;
	address->unix_path = alloc_text(path, length);
	return true;
}

static bool parse_address(const char *text, struct config_address *address)
{
	*address = (struct config_address){ 0 };
	if (strncmp(text, "unix:", 5) == 0 ? !parse_unix_path(text + 5, address)
					   : !parse_host_port(text, &address->host, &address->port))
		return false;
	address->text = alloc_text(text, strlen(text));
	return true;
}

static void free_address(struct config_address *address)
{
	free(address->text);
	free(address->host);
	free(address->unix_path);
}

/* An empty value means none. */
static bool listeners_parse(const struct config_key *key, const char *text, struct config *config,
			    struct config_problem *problem)
{
	struct config_listeners *listeners = config_field(key, config);
	const struct config_key *owner;
	struct config_address address;

	if (text[0] == '\0')
		return true;
	if (listeners->count == LISTENERS_MAX)
		return config_refuse(problem, "expected at most %d addresses", LISTENERS_MAX);
	if (!parse_address(text, &address))
		return config_refuse(problem, "expected host:port, [v6]:port or unix:/path, got \"%s\"", text);
	owner = listener_owner(config, &address);
	if (owner != NULL) {
		free_address(&address);
		return config_refuse(problem, "%s is taken already by [%s] %s", text, owner->section, owner->name);
	}
	listeners->addresses = alloc_resized(listeners->addresses, (listeners->count + 1) * sizeof(address));
	listeners->addresses[listeners->count++] = address;
	return true;
}

static bool listeners_print(const struct config_key *key, const struct config *config, size_t index,
			    char text[CONFIG_VALUE_ROOM])
{
	const struct config_listeners *listeners = config_value(key, config);

	text[0] = '\0';
	if (index < listeners->count)
		snprintf(text, CONFIG_VALUE_ROOM, "%s", listeners->addresses[index].text);
	return index == 0 || index < listeners->count;
}

static void listeners_clear(const struct config_key *key, struct config *config)
{
	struct config_listeners *listeners = config_field(key, config);

	for (size_t i = 0; i < listeners->count; i++)
		free_address(&listeners->addresses[i]);
	free(listeners->addresses);
	*listeners = (struct config_listeners){ 0 };
}

const struct config_type config_type_listeners = { listeners_parse, listeners_print, listeners_clear };

/* ---- nodes ---- */

static bool is_name(const char *name)
{
	if (name[0] == '\0' || strlen(name) > NAME_LENGTH)
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && strchr("._-:[]", *name) == NULL)
			return false;
	return true;
}

static bool set_announce(struct topology_node_config *node, const char *value)
{
	free(node->announce_host);
	node->announce_host = NULL;
	return parse_host_port(value, &node->announce_host, &node->announce_port);
}

static bool set_name(struct topology_node_config *node, const char *value)
{
	free(node->name);
	node->name = alloc_text(value, strlen(value));
	return is_name(value);
}

static bool set_weight(struct topology_node_config *node, const char *value)
{
	int64_t weight;

	if (!config_parse_number(value, 1, WEIGHT_MAX, &weight))
		return false;
	node->weight = (unsigned)weight;
	return true;
}

struct node_option {
	const char *name;
	const char *expected;
	bool replica_only;
	bool (*set)(struct topology_node_config *node, const char *value);
};

static const struct node_option node_options[] = {
	{ "announce", "host:port", false, set_announce },
	{ "name", "up to 64 letters, digits and . _ - : [ ]", false, set_name },
	{ "weight", "a number from 1 to 1000", true, set_weight },
};

enum { NODE_OPTION_COUNT = sizeof(node_options) / sizeof(node_options[0]) };

static bool refuse_option(bool is_master, const char *word, struct config_problem *problem)
{
	return config_refuse(problem, "expected %s after the address, got \"%s\"",
			     is_master ? "announce=host:port or name=word" :
					 "announce=host:port, name=word or weight=number", word);
}

static bool parse_option(bool is_master, const char *word, struct topology_node_config *node,
			 bool seen[NODE_OPTION_COUNT], struct config_problem *problem)
{
	size_t name_length = strcspn(word, "=");

	for (size_t i = 0; i < NODE_OPTION_COUNT; i++) {
		const struct node_option *option = &node_options[i];

		if (word[name_length] == '\0' || strlen(option->name) != name_length ||
		    strncmp(option->name, word, name_length) != 0 || (is_master && option->replica_only))
			continue;
		if (seen[i])
			return config_refuse(problem, "%s= stands twice", option->name);
		seen[i] = true;
		return option->set(node, word + name_length + 1) ||
		       config_refuse(problem, "%s=: expected %s, got \"%s\"", option->name, option->expected,
				     word + name_length + 1);
	}
	return refuse_option(is_master, word, problem);
}

static bool parse_node(bool is_master, const char *text, struct topology_node_config *node,
		       struct config_problem *problem)
{
	bool seen[NODE_OPTION_COUNT] = { false };
	char word[CONFIG_WORD_ROOM] = "", address[CONFIG_VALUE_ROOM];

	if (!config_next_word(&text, blanks, word) || !parse_host_port(word, &node->host, &node->port))
		return config_refuse(problem, "expected host:port or [v6]:port, got \"%s\"", word);
	while (config_next_word(&text, blanks, word))
		if (!parse_option(is_master, word, node, seen, problem))
			return false;
	if (node->name == NULL) {
		print_host_port(node->host, node->port, address, sizeof(address));
		node->name = alloc_text(address, strlen(address));
	}
	return true;
}

static bool check_unique(const struct topology_config *topology, const struct topology_node_config *node,
			 struct config_problem *problem)
{
	for (size_t i = 0; i < topology->node_count; i++) {
		const struct topology_node_config *other = &topology->nodes[i];

		if (other->port == node->port && config_same_host(other->host, node->host))
			return config_refuse(problem, "two servers have the address %s:%u", node->host, (unsigned)node->port);
		if (strcmp(other->name, node->name) == 0)
			return config_refuse(problem, "two servers have the name %s", node->name);
	}
	return true;
}

static void free_node(struct topology_node_config *node)
{
	free(node->name);
	free(node->host);
	free(node->announce_host);
}

static bool add_node(bool is_master, const char *text, struct topology_config *topology,
		     struct config_problem *problem)
{
	struct topology_node_config node = { .weight = 1 };
	size_t at = is_master ? 0 : topology->node_count;

	if (topology->node_count == TOPOLOGY_NODES_MAX)
		return config_refuse(problem, "expected at most %d servers", TOPOLOGY_NODES_MAX);
	if (!parse_node(is_master, text, &node, problem) || !check_unique(topology, &node, problem)) {
		free_node(&node);
		return false;
	}
	topology->nodes = alloc_resized(topology->nodes, (topology->node_count + 1) * sizeof(node));
	memmove(topology->nodes + at + 1, topology->nodes + at, (topology->node_count - at) * sizeof(node));
	topology->nodes[at] = node;
	topology->node_count++;
	return true;
}

static void append(char text[CONFIG_VALUE_ROOM], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char text[CONFIG_VALUE_ROOM], const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, CONFIG_VALUE_ROOM - length, format, args);
	va_end(args);
}

static void print_node(const struct topology_node_config *node, char text[CONFIG_VALUE_ROOM])
{
	char address[CONFIG_VALUE_ROOM];

	print_host_port(node->host, node->port, text, CONFIG_VALUE_ROOM);
	if (strcmp(node->name, text) != 0)
		append(text, " name=%s", node->name);
	if (node->announce_host != NULL) {
		print_host_port(node->announce_host, node->announce_port, address, sizeof(address));
		append(text, " announce=%s", address);
	}
	if (node->weight != 1)
		append(text, " weight=%u", node->weight);
}

static bool master_parse(const struct config_key *key, const char *text, struct config *config,
			 struct config_problem *problem)
{
	(void)key;
	config->names_master = add_node(true, text, &config->topology, problem);
	return config->names_master;
}

static bool master_print(const struct config_key *key, const struct config *config, size_t index,
			 char text[CONFIG_VALUE_ROOM])
{
	(void)key;
	if (index > 0 || config->topology.node_count == 0)
		return false;
	print_node(&config->topology.nodes[0], text);
	return true;
}

static void nodes_clear(const struct config_key *key, struct config *config)
{
	struct topology_config *topology = &config->topology;

	(void)key;
	for (size_t i = 0; i < topology->node_count; i++)
		free_node(&topology->nodes[i]);
	free(topology->nodes);
	topology->nodes = NULL;
	topology->node_count = 0;
}

const struct config_type config_type_master = { master_parse, master_print, nodes_clear };

static bool replica_parse(const struct config_key *key, const char *text, struct config *config,
			  struct config_problem *problem)
{
	(void)key;
	return add_node(false, text, &config->topology, problem);
}

static bool replica_print(const struct config_key *key, const struct config *config, size_t index,
			  char text[CONFIG_VALUE_ROOM])
{
	(void)key;
	if (index + 1 >= config->topology.node_count)
		return false;
	print_node(&config->topology.nodes[index + 1], text);
	return true;
}

const struct config_type config_type_replica = { replica_parse, replica_print, NULL };

static bool sentinels_parse(const struct config_key *key, const char *text, struct config *config,
			    struct config_problem *problem)
{
	struct topology_sentinel_config *sentinel = &config->topology.sentinel;
	struct topology_endpoint endpoint;

	(void)key;
	if (text[0] == '\0')
		return true;
	if (sentinel->count == SENTINELS_MAX)
		return config_refuse(problem, "expected at most %d sentinels", SENTINELS_MAX);
	if (!parse_host_port(text, &endpoint.host, &endpoint.port))
		return config_refuse(problem, "expected host:port or [v6]:port, got \"%s\"", text);
	for (size_t i = 0; i < sentinel->count; i++) {
		if (sentinel->addresses[i].port != endpoint.port || !config_same_host(sentinel->addresses[i].host, endpoint.host))
			continue;
		free(endpoint.host);
		return config_refuse(problem, "%s stands here twice", text);
	}
	sentinel->addresses = alloc_resized(sentinel->addresses, (sentinel->count + 1) * sizeof(endpoint));
	sentinel->addresses[sentinel->count++] = endpoint;
	return true;
}

static bool sentinels_print(const struct config_key *key, const struct config *config, size_t index,
			    char text[CONFIG_VALUE_ROOM])
{
	const struct topology_sentinel_config *sentinel = &config->topology.sentinel;

	(void)key;
	text[0] = '\0';
	if (index < sentinel->count)
		print_host_port(sentinel->addresses[index].host, sentinel->addresses[index].port, text, CONFIG_VALUE_ROOM);
	return index == 0 || index < sentinel->count;
}

static void sentinels_clear(const struct config_key *key, struct config *config)
{
	struct topology_sentinel_config *sentinel = &config->topology.sentinel;

	(void)key;
	for (size_t i = 0; i < sentinel->count; i++)
		free(sentinel->addresses[i].host);
	free(sentinel->addresses);
	sentinel->addresses = NULL;
	sentinel->count = 0;
}

const struct config_type config_type_sentinels = { sentinels_parse, sentinels_print, sentinels_clear };

/* Whether the names are those of replicas is known when the file has ended. */
static bool overwrite_parse(const struct config_key *key, const char *text, struct config *config,
			    struct config_problem *problem)
{
	struct topology_config *topology = &config->topology;
	char word[CONFIG_WORD_ROOM];

	(void)key;
	while (config_next_word(&text, " \t,", word)) {
		if (!is_name(word))
			return config_refuse(problem, "expected names of replicas, got \"%s\"", word);
		topology->allow_overwrite = alloc_resized(topology->allow_overwrite,
							  (topology->allow_overwrite_count + 1) * sizeof(char *));
		topology->allow_overwrite[topology->allow_overwrite_count++] = alloc_text(word, strlen(word));
	}
	return true;
}

static bool overwrite_print(const struct config_key *key, const struct config *config, size_t index,
			    char text[CONFIG_VALUE_ROOM])
{
	(void)key;
	text[0] = '\0';
	for (size_t i = 0; i < config->topology.allow_overwrite_count; i++)
		append(text, "%s%s", i ? " " : "", config->topology.allow_overwrite[i]);
	return index == 0;
}

static void overwrite_clear(const struct config_key *key, struct config *config)
{
	struct topology_config *topology = &config->topology;

	(void)key;
	for (size_t i = 0; i < topology->allow_overwrite_count; i++)
		free(topology->allow_overwrite[i]);
	free(topology->allow_overwrite);
	topology->allow_overwrite = NULL;
	topology->allow_overwrite_count = 0;
}

const struct config_type config_type_overwrite = { overwrite_parse, overwrite_print, overwrite_clear };
