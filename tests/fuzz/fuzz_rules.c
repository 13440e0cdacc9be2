#include "pieces.h"

#include <hiredis/hiredis.h>

#include "../../topology/rules.h"

/* ACL LIST with the input's lines: read without a byte beyond any of them, the
 * same every time, and the same when blanks are doubled. */

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

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	redisReply lines[LINES_MAX], *elements[LINES_MAX];
	redisReply reply = { .type = REDIS_REPLY_ARRAY, .element = elements };
	struct rules *once, *again;
	char *text = exact_copy((const char *)input, size);

	reply.elements = split(text, size, lines);
	for (size_t i = 0; i < reply.elements; i++)
		elements[i] = &lines[i];
	once = rules_parse(&reply);
	for (size_t i = 0; i < reply.elements; i++)
		widen(&lines[i]);
	again = rules_parse(&reply);
	compare(once, again);
	rules_free(&once);
	rules_free(&again);
	for (size_t i = 0; i < reply.elements; i++)
		free(lines[i].str);
	free(text);
	return 0;
}
