/* What one server prints of its users, another one may print in another order,
 * although it means the same: by how the rules were entered, by the seed of its
 * hash tables, and by what its version takes for granted. So what has no order is
 * sorted before it is hashed.
 *
 *   user alice on #... ~a* resetchannels -@all +get -set +config -config|set (~b* -@all +del)
 *        name  |- without order -------| |- rules for commands ------------| |- a selector --|
 *
 * A rule for a whole category keeps its place among the others; between two of
 * those, only rules for one and the same command keep their order. A selector
 * holds the same kinds of words. Rules that mean the same in spite of all that
 * are taken for different: that costs reads on the master, and never a permission. */
#include "rules.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "memory.h"

struct word {
	const char *text;
	size_t length;
	size_t sorted_by;     /* so many bytes of it, and ... */
	size_t place;         /* ... where it stood */
};

/* ---- one line ---- */

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t both = a_length < b_length ? a_length : b_length;
	int order = both > 0 ? memcmp(a, b, both) : 0;

	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_words(const void *a, const void *b)
{
	const struct word *left = a, *right = b;

	return compare_bytes(left->text, left->length, right->text, right->length);
}

/* By the command, without the sign before it and the subcommand behind it. */
static int compare_command_rules(const void *a, const void *b)
{
	const struct word *left = a, *right = b;
	int order = compare_bytes(left->text + 1, left->sorted_by, right->text + 1, right->sorted_by);

	return order != 0 ? order : (left->place > right->place) - (left->place < right->place);
}

static bool word_is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

/* Takes the next word off the line; false at its end. */
static bool next_word(const char **at, const char *end, struct word *word)
{
	const char *blank;

	while (*at < end && **at == ' ')
		(*at)++;
	if (*at == end)
		return false;
	blank = memchr(*at, ' ', (size_t)(end - *at));
	word->text = *at;
	word->length = (size_t)((blank ? blank : end) - *at);
	*at += word->length;
	return true;
}

/* Ways of saying the same. */
static struct word plain_spelling(struct word word)
{
	static const char *const pairs[][2] = {
		{"allkeys", "~*"}, {"allchannels", "&*"}, {"allcommands", "+@all"}, {"nocommands", "-@all"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (word_is(&word, pairs[i][0]))
			return (struct word){.text = pairs[i][1], .length = strlen(pairs[i][1])};
	return word;
}

static bool is_command_rule(const struct word *word)
{
	return word->text[0] == '+' || word->text[0] == '-';
}

static bool is_category(const struct word *word)
{
	return word->length > 1 && word->text[1] == '@';
}

static void sort_commands(struct word *words, size_t count)
{
	size_t begin = 0;

	for (size_t i = 0; i <= count; i++) {
		if (i < count && !is_category(&words[i]))
			continue;
		if (i - begin > 1)
			qsort(words + begin, i - begin, sizeof(*words), compare_command_rules);
		begin = i + 1;
	}
}

static size_t command_length(const struct word *word)
{
	const char *bar = memchr(word->text, '|', word->length);

	return (size_t)((bar ? bar : word->text + word->length) - word->text) - 1;
}

static void hash_words(XXH3_state_t *state, const struct word *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		XXH3_128bits_update(state, words[i].text, words[i].length);
		XXH3_128bits_update(state, " ", 1);
	}
	XXH3_128bits_update(state, "\n", 1);
}

/* The words of one selector, or of the user himself. The arrays have room. */
static void hash_words_between(XXH3_state_t *state, const char *at, const char *end, struct word *commands,
			       struct word *others)
{
	size_t command_count = 0, other_count = 0;
	struct word word = {0};

	while (next_word(&at, end, &word)) {
		word = plain_spelling(word);
		if (is_command_rule(&word)) {
			word.sorted_by = command_length(&word);
			word.place = command_count;
			commands[command_count++] = word;
		} else if (!word_is(&word, "sanitize-payload")) { /* the default; 6.2 does not say so */
			others[other_count++] = word;
		}
	}
	sort_commands(commands, command_count);
	if (other_count > 1)
		qsort(others, other_count, sizeof(*others), compare_words);
	hash_words(state, others, other_count);
	hash_words(state, commands, command_count);
}

/* Only a selector begins with a parenthesis, and it ends with one. */
static const char *next_selector(const char *at, const char *end)
{
	struct word word = {0};

	while (next_word(&at, end, &word))
		if (word.text[0] == '(')
			return word.text;
	return end;
}

static const char *before_parenthesis(const char *at, const char *end)
{
	while (end > at && end[-1] == ' ')
		end--;
	return end > at && end[-1] == ')' ? end - 1 : end;
}

static void hash_rules(const char *at, const char *end, uint64_t hash[2])
{
	size_t room = (size_t)(end - at) / 2 + 1;
	struct word *commands = memory_zeroed(room, sizeof(*commands));
	struct word *others = memory_zeroed(room, sizeof(*others));
	XXH3_state_t *state = memory_checked(XXH3_createState());
	const char *selector = next_selector(at, end);
	XXH128_hash_t sum;

	XXH3_128bits_reset(state);
	hash_words_between(state, at, selector, commands, others);
	while (selector < end) {
		at = selector + 1;
		selector = next_selector(at, end);
		hash_words_between(state, at, before_parenthesis(at, selector), commands, others);
	}
	sum = XXH3_128bits_digest(state);
	hash[0] = sum.low64;
	hash[1] = sum.high64;
	XXH3_freeState(state);
	free(commands);
	free(others);
}

/* "user <name> <rules>" */
static bool parse_line(const char *line, size_t length, struct user_rules *user)
{
	const char *at = line, *end = line + length;
	struct word word = {0}, name = {0};

	if (!next_word(&at, end, &word) || !word_is(&word, "user") || !next_word(&at, end, &name))
		return false;
	user->name = memory_zeroed(name.length + 1, 1);
	memcpy(user->name, name.text, name.length);
	user->name_length = name.length;
	hash_rules(at, end, user->hash);
	return true;
}

/* ---- all lines ---- */

static int compare_users(const void *a, const void *b)
{
	const struct user_rules *left = a, *right = b;

	return compare_bytes(left->name, left->name_length, right->name, right->name_length);
}

struct rules *rules_parse(const struct redisReply *reply)
{
	struct rules *rules;

	if (reply->type != REDIS_REPLY_ARRAY)
		return NULL;
	rules = memory_zeroed(1, sizeof(*rules));
	rules->users = memory_zeroed(reply->elements, sizeof(*rules->users));
	for (size_t i = 0; i < reply->elements; i++) {
		const struct redisReply *line = reply->element[i];

		if (line->type != REDIS_REPLY_STRING || !parse_line(line->str, line->len, &rules->users[i])) {
			rules_free(&rules);
			return NULL;
		}
		rules->count++;
	}
	if (rules->count > 1)
		qsort(rules->users, rules->count, sizeof(*rules->users), compare_users);
	return rules;
}

void rules_free(struct rules **rules)
{
	struct rules *gone = *rules;

	*rules = NULL;
	if (gone == NULL)
		return;
	for (size_t i = 0; i < gone->count; i++)
		free(gone->users[i].name);
	free(gone->users);
	free(gone);
}

/* ---- comparing ---- */

static bool have_same_rules(const struct user_rules *a, const struct user_rules *b)
{
	return a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

bool rules_are_same(const struct rules *a, const struct rules *b)
{
	if (a == NULL || b == NULL || a->count != b->count)
		return a == b;
	for (size_t i = 0; i < a->count; i++)
		if (compare_users(&a->users[i], &b->users[i]) != 0 || !have_same_rules(&a->users[i], &b->users[i]))
			return false;
	return true;
}

void rules_compare(const struct rules *master, const struct rules *replica,
		   void (*on_user)(void *arg, const struct user_rules *user, bool same), void *arg)
{
	size_t other = 0;

	for (size_t i = 0; i < master->count; i++) {
		const struct user_rules *user = &master->users[i];

		while (other < replica->count && compare_users(&replica->users[other], user) < 0)
			other++;
		on_user(arg, user, other < replica->count && compare_users(&replica->users[other], user) == 0 &&
					   have_same_rules(user, &replica->users[other]));
	}
}
