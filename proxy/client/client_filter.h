#ifndef WEIR_PROXY_CLIENT_FILTER_H
#define WEIR_PROXY_CLIENT_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../protocol/buf.h"
#include "../../protocol/slice.h"

/* Of which clients a CLIENT LIST or CLIENT KILL speaks. Pure: knows no client. */

/* Nobody has this id, at weir or at any server. */
#define CLIENT_NOBODYS_ID "9223372036854775807"

enum client_type { CLIENT_NORMAL, CLIENT_PUBSUB, CLIENT_MASTER, CLIENT_REPLICA, CLIENT_TYPE_COUNT };

/* What a filter may ask about a client. */
struct client_traits {
	int64_t id;
	const char *address;        /* its end, and weir's */
	const char *local_address;
	struct slice user;
	int64_t age_seconds;
	enum client_type type;
};

struct client_filter {
	int64_t *ids;               /* owned, in the order given; NULL: any */
	int64_t *sorted_ids;        /* owned, the same */
	size_t id_count;
	struct slice address;       /* owned, as the next two; bytes NULL: any */
	struct slice local_address;
	struct slice user;
	int64_t least_age_seconds;
	uint8_t types;              /* bit per enum client_type */
	bool spares_asker;          /* SKIPME */
	bool is_address_alone;      /* CLIENT KILL host:port, which answers OK or an error */
};

/* From whole commands. False when a word of it is unknown to weir, or no valid
 * value; then there is nothing to free. */
bool client_filter_parse_list(struct client_filter *filter, const char *request);
bool client_filter_parse_kill(struct client_filter *filter, const char *request);
void client_filter_free(struct client_filter *filter);

/* Appends a command that finds and hurts nobody, but to which the server has
 * the same objections (permission, values) as to this one. Nothing is appended
 * when it would be the command itself. */
void client_filter_ask_list(const char *request, struct buf *out);
void client_filter_ask_kill(const char *request, struct buf *out);

bool client_filter_matches(const struct client_filter *filter, const struct client_traits *client);

#endif
