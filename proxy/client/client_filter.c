#include "client_filter.h"

#include <stdlib.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../../protocol/number.h"
#include "../../protocol/resp.h"

enum {
	ALL_TYPES = (1 << CLIENT_TYPE_COUNT) - 1,
	KILL_WORDS_MAX = 32, /* behind CLIENT KILL */
};

/* ---- values ---- */

static struct slice own(struct slice text)
{
	return (struct slice){ alloc_text(text.bytes, text.length), text.length };
}

static void disown(struct slice *text)
{
	free((char *)text->bytes);
	*text = (struct slice){ NULL, 0 };
}

static void replace(struct slice *text, struct slice value)
{
	disown(text);
	*text = own(value);
}

static int compare_ids(const void *a, const void *b)
{
	int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

	return (first > second) - (first < second);
}

static void set_ids(struct client_filter *filter, const int64_t *ids, size_t count)
{
	free(filter->ids);
	free(filter->sorted_ids);
	filter->ids = alloc_zeroed(count, sizeof(*ids));
	filter->sorted_ids = alloc_zeroed(count, sizeof(*ids));
	filter->id_count = count;
	memcpy(filter->ids, ids, count * sizeof(*ids));
	memcpy(filter->sorted_ids, ids, count * sizeof(*ids));
	qsort(filter->sorted_ids, count, sizeof(*ids), compare_ids);
}

static bool take_type(struct client_filter *filter, struct slice value)
{
	static const struct {
		const char *name;
		enum client_type type;
	} types[] = { { "normal", CLIENT_NORMAL }, { "pubsub", CLIENT_PUBSUB }, { "master", CLIENT_MASTER },
		      { "replica", CLIENT_REPLICA }, { "slave", CLIENT_REPLICA } };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (slice_is(value, types[i].name)) {
			filter->types = (uint8_t)(1 << types[i].type);
			return true;
		}
	}
	return false;
}

static bool take_id(struct client_filter *filter, struct slice value)
{
	int64_t id;

	if (!number_parse_within(value, 1, INT64_MAX, &id))
		return false;
	set_ids(filter, &id, 1); /* of several the last one counts */
	return true;
}

static bool take_address(struct client_filter *filter, struct slice value)
{
	replace(&filter->address, value);
	return true;
}

static bool take_local_address(struct client_filter *filter, struct slice value)
{
	replace(&filter->local_address, value);
	return true;
}

static bool take_user(struct client_filter *filter, struct slice value)
{
	replace(&filter->user, value);
	return true;
}

static bool take_skipme(struct client_filter *filter, struct slice value)
{
	filter->spares_asker = slice_is(value, "yes");
	return filter->spares_asker || slice_is(value, "no");
}

static bool take_age(struct client_filter *filter, struct slice value)
{
	return number_parse_within(value, 1, INT64_MAX, &filter->least_age_seconds);
}

static const struct kill_option {
	const char *name;
	bool (*take)(struct client_filter *filter, struct slice value);
} kill_options[] = {
	{ "id", take_id },       { "type", take_type },     { "addr", take_address }, { "laddr", take_local_address },
	{ "user", take_user },   { "skipme", take_skipme }, { "maxage", take_age },
};

static const struct kill_option *find_option(struct slice name)
{
	for (size_t i = 0; i < sizeof(kill_options) / sizeof(kill_options[0]); i++)
		if (slice_is(name, kill_options[i].name))
			return &kill_options[i];
	return NULL;
}

/* ---- commands ---- */

/* Behind the two words CLIENT and LIST, or KILL. Returns how many words follow. */
static size_t begin(struct resp_args *args, const char *request)
{
	struct slice word;

	resp_args_begin(args, request);
	resp_args_next(args, &word);
	resp_args_next(args, &word);
	return (size_t)args->left;
}

static bool give_up(struct client_filter *filter)
{
	client_filter_free(filter);
	return false;
}

static bool parse_ids(struct client_filter *filter, struct resp_args *args)
{
	int64_t *ids = alloc_zeroed((size_t)args->left, sizeof(*ids));
	bool good = args->left > 0;
	size_t count = 0;
	struct slice word;

	while (good && resp_args_next(args, &word))
		good = number_parse(word, &ids[count++]);
	if (good)
		set_ids(filter, ids, count);
	free(ids);
	return good;
}

bool client_filter_parse_list(struct client_filter *filter, const char *request)
{
	struct resp_args args;
	struct slice word, value;
	size_t words = begin(&args, request);

	*filter = (struct client_filter){ .types = ALL_TYPES };
	if (words == 0)
		return true;
	resp_args_next(&args, &word);
	if (slice_is(word, "id"))
		return parse_ids(filter, &args) || give_up(filter);
	return words == 2 && slice_is(word, "type") && resp_args_next(&args, &value) && take_type(filter, value);
}

bool client_filter_parse_kill(struct client_filter *filter, const char *request)
{
	struct resp_args args;
	struct slice word, value;
	size_t words = begin(&args, request);
	const struct kill_option *option;

	*filter = (struct client_filter){ .types = ALL_TYPES, .spares_asker = words > 1, .is_address_alone = words == 1 };
	if (words == 0)
		return false;
	if (words == 1)
		return resp_args_next(&args, &word) && take_address(filter, word);
	while (resp_args_next(&args, &word)) {
		option = find_option(word);
		if (option == NULL || !resp_args_next(&args, &value) || !option->take(filter, value))
			return give_up(filter);
	}
	return true;
}

void client_filter_free(struct client_filter *filter)
{
	free(filter->ids);
	free(filter->sorted_ids);
	filter->ids = filter->sorted_ids = NULL;
	filter->id_count = 0;
	disown(&filter->address);
	disown(&filter->local_address);
	disown(&filter->user);
}

/* ---- what a server is asked first ---- */

void client_filter_ask_list(const char *request, struct buf *out)
{
	struct client_filter filter;

	if (!client_filter_parse_list(&filter, request))
		return;
	encode_request_words(out, "CLIENT", "LIST", "ID", CLIENT_NOBODYS_ID, NULL);
	client_filter_free(&filter);
}

/* The options as they are, but with nobody's id. Returns how many words; 0 when
 * it holds what weir does not know, or is the old form. */
static size_t harmless_options(const char *request, struct slice *words)
{
	struct resp_args args;
	struct slice word, value;
	size_t given = begin(&args, request), count = 0;
	bool has_id = false;
	int64_t id;

	if (given < 2 || given > KILL_WORDS_MAX)
		return 0;
	while (resp_args_next(&args, &word)) {
		if (find_option(word) == NULL || !resp_args_next(&args, &value))
			return 0;
		if (slice_is(word, "id")) {
			value = slice_of(number_parse_within(value, 1, INT64_MAX, &id) ? CLIENT_NOBODYS_ID : "0");
			has_id = true;
		}
		words[count++] = word;
		words[count++] = value;
	}
	if (!has_id) {
		words[count++] = slice_of("ID");
		words[count++] = slice_of(CLIENT_NOBODYS_ID);
	}
	return count;
}

void client_filter_ask_kill(const char *request, struct buf *out)
{
	struct slice words[2 + KILL_WORDS_MAX + 2] = { slice_of("CLIENT"), slice_of("KILL") };
	size_t count = harmless_options(request, words + 2);

	if (count > 0)
		encode_request(out, 2 + count, words);
	else
		encode_request_words(out, "CLIENT", "KILL", "ID", CLIENT_NOBODYS_ID, NULL);
}

/* ---- matching ---- */

static bool is_one_of(const struct client_filter *filter, int64_t id)
{
	return filter->ids == NULL ||
	       bsearch(&id, filter->sorted_ids, filter->id_count, sizeof(id), compare_ids) != NULL;
}

static bool is_that(struct slice wanted, const char *text)
{
	return wanted.bytes == NULL || slice_equal(wanted, slice_of(text));
}

bool client_filter_matches(const struct client_filter *filter, const struct client_traits *client)
{
	return (filter->types & 1 << client->type) && is_one_of(filter, client->id) &&
	       is_that(filter->address, client->address) && is_that(filter->local_address, client->local_address) &&
	       (filter->user.bytes == NULL || slice_equal(filter->user, client->user)) &&
	       client->age_seconds >= filter->least_age_seconds;
}
