#include "linked.h"

#include "../../protocol/buf.h"
#include "../../protocol/encode.h"
#include "../../topology/rules.h"

/* ACL LIST with the input's lines: read without a byte beyond any of them, the
 * same every time, the same when blanks are doubled, and the same in pieces of
 * the input's choice. */

enum { LINES_MAX = 32 };

static size_t split(char *text, size_t size, redisReply *lines)
{
	size_t count = 0, begin = 0;

	for (size_t i = 0; i <= size && count < LINES_MAX; i++) {
		if (i < size && text[i] != '\n')
			continue;
		lines[count++] = (redisReply){ .type = REDIS_REPLY_STRING, .str = exact_copy(text + begin, i - begin),
					       .len = i - begin };
		begin = i + 1;
	}
	return count;
}

static void widen(redisReply *line)
{
	char *wide = exact_copy("", 0);
	size_t length = 0;

	wide = realloc(wide, 2 * line->len + 1);
	REQUIRE(wide != NULL);
	for (size_t i = 0; i < line->len; i++) {
		wide[length++] = line->str[i];
		if (line->str[i] == ' ')
			wide[length++] = ' ';
	}
	free(line->str);
	line->str = exact_copy(wide, length);
	line->len = length;
	free(wide);
}

static void on_user(void *arg, const struct user_rules *user, bool same)
{
	size_t *seen = arg;

	REQUIRE(user->name_length > 0 && memchr(user->name, ' ', user->name_length) == NULL);
	REQUIRE(same);
	(*seen)++;
}

static void compare(struct rules *a, struct rules *b)
{
	size_t seen = 0;

	REQUIRE((a == NULL) == (b == NULL) && rules_are_same(a, b));
	if (a == NULL)
		return;
	for (size_t i = 1; i < a->count; i++)
		if (strcmp(a->users[i].name, a->users[i - 1].name) == 0)
			return; /* a name twice: no server says that */
	rules_compare(a, b, on_user, &seen);
	REQUIRE(seen == a->count);
}

/* The reply as it comes from the server. */
static struct rules *parse_cut(const redisReply *reply, struct cuts cuts)
{
	struct buf bytes = { 0 };
	redisReply *read;
	struct rules *rules;

	encode_array(&bytes, reply->elements);
	for (size_t i = 0; i < reply->elements; i++)
		encode_bulk(&bytes, (struct slice){ reply->element[i]->str, reply->element[i]->len });
	read = read_linked(buf_head(&bytes), buf_length(&bytes), &cuts);
	REQUIRE(read != NULL);
	rules = rules_parse(read);
	freeReplyObject(read);
	buf_free(&bytes);
	return rules;
}

static void check(redisReply *reply, struct cuts cuts)
{
	struct rules *once = rules_parse(reply), *cut = parse_cut(reply, cuts), *wide;

	for (size_t i = 0; i < reply->elements; i++)
		widen(reply->element[i]);
	wide = rules_parse(reply);
	compare(once, cut);
	compare(once, wide);
	rules_free(&once);
	rules_free(&cut);
	rules_free(&wide);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	redisReply lines[LINES_MAX], *elements[LINES_MAX];
	redisReply reply = { .type = REDIS_REPLY_ARRAY, .element = elements };
	char *text;

	if (size < 1)
		return 0;
	text = exact_copy((const char *)input + 1, size - 1);
	reply.elements = split(text, size - 1, lines);
	for (size_t i = 0; i < reply.elements; i++)
		elements[i] = &lines[i];
	check(&reply, (struct cuts){ .seed = input[0] });
	for (size_t i = 0; i < reply.elements; i++)
		free(lines[i].str);
	free(text);
	return 0;
}
