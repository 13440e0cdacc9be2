#include "push.h"

#include "line.h"

static const struct kind {
	const char *word;
	int64_t elements;
	enum push_kind kind;
} kinds[] = {
	{ "message", 3, PUSH_MESSAGE },
	{ "pmessage", 4, PUSH_MESSAGE },
	{ "smessage", 3, PUSH_MESSAGE },
	{ "invalidate", 2, PUSH_INVALIDATE },
	{ "tracking-redir-broken", 2, PUSH_REDIRECT_BROKEN },
	{ "subscribe", 3, PUSH_SUBSCRIBE },
	{ "unsubscribe", 3, PUSH_UNSUBSCRIBE },
	{ "psubscribe", 3, PUSH_PSUBSCRIBE },
	{ "punsubscribe", 3, PUSH_PUNSUBSCRIBE },
	{ "ssubscribe", 3, PUSH_SSUBSCRIBE },
	{ "sunsubscribe", 3, PUSH_SUNSUBSCRIBE },
};

enum { LONGEST_WORD = 21, MICROSECOND_DIGITS = 6 };

static enum push_kind kind_of_word(struct slice word, int64_t elements)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].elements == elements && slice_equal(word, slice_of(kinds[i].word)))
			return kinds[i].kind;
	return PUSH_NONE;
}

/* The value of the line at *at, which is moved behind it. */
static int take_number(const char **at, const char *end, int64_t *value)
{
	int line = line_number(*at, (size_t)(end - *at), value);

	if (line > 0)
		*at += line;
	return line;
}

/* An array whose first element is a bulk string of a length that a word can have. */
static enum push_kind kind_of_array(const char *value, size_t length)
{
	const char *end = value + length, *at = value + 1;
	int64_t elements = 0, bytes = 0;
	int line = take_number(&at, end, &elements);

	if (line > 0 && (elements < 1 || (at < end && *at++ != '$')))
		return PUSH_NONE; /* with no element it may be over already */
	if (line > 0)
		line = take_number(&at, end, &bytes);
	if (line == LINE_AGAIN)
		return PUSH_UNDECIDED;
	if (line == LINE_BAD || bytes < 1 || bytes > LONGEST_WORD)
		return PUSH_NONE;
	if (end - at < bytes)
		return PUSH_UNDECIDED;
	return kind_of_word((struct slice){ at, (size_t)bytes }, elements);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Moves *at over digits and returns how many they were. */
static int take_digits(const char **at, const char *end)
{
	const char *begin = *at;

	while (*at < end && is_digit(**at))
		(*at)++;
	return (int)(*at - begin);
}

/* +<seconds>.<microseconds> [ */
static enum push_kind kind_of_line(const char *value, size_t length)
{
	const char *end = value + length, *at = value + 1;

	if (take_digits(&at, end) == 0 && at < end)
		return PUSH_NONE;
	if (at < end && *at++ != '.')
		return PUSH_NONE;
	if (take_digits(&at, end) != MICROSECOND_DIGITS && at < end)
		return PUSH_NONE;
	if (at < end && *at++ != ' ')
		return PUSH_NONE;
	if (at == end)
		return PUSH_UNDECIDED;
	return *at == '[' ? PUSH_MONITOR_LINE : PUSH_NONE;
}

enum push_kind push_kind(const char *value, size_t length)
{
	bool marked = value[0] == '>';
	enum push_kind kind = PUSH_NONE;

	if (marked || value[0] == '*')
		kind = kind_of_array(value, length);
	else if (value[0] == '+')
		kind = kind_of_line(value, length);
	if (kind == PUSH_UNDECIDED && length >= PUSH_OPENING_BYTES)
		kind = PUSH_NONE;
	return marked && kind == PUSH_NONE ? PUSH_OTHER : kind;
}

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* +<time> [<database> <address>] "<command>" ... */
enum push_author push_line_author(const char *line, size_t length)
{
	static const char before[] = "] \"";
	size_t looked_at = length < PUSH_ADDRESS_BYTES ? length : PUSH_ADDRESS_BYTES;
	const char *command = memmem(line, looked_at, before, strlen(before));

	if (command == NULL || command + strlen(before) + 3 > line + looked_at)
		return looked_at < PUSH_ADDRESS_BYTES ? AUTHOR_UNDECIDED : AUTHOR_OTHER;
	command += strlen(before);
	return command[0] >= 'a' && command[0] <= 'z' && is_capital(command[1]) && is_capital(command[2]) ? AUTHOR_WEIR
													    : AUTHOR_OTHER;
}

/* Behind the word, which push_kind() has seen. */
bool push_subject(struct slice value, struct slice *name)
{
	const char *end = value.bytes + value.length, *at = value.bytes + 1;
	size_t length = 0, header = 0;
	int64_t elements;

	if (take_number(&at, end, &elements) <= 0 || elements != 3)
		return false;
	for (int i = 0; i < 2; i++) {
		at += i * (length + 2);
		header = line_whole_header(at, (size_t)(end - at), '$', &length);
		at += header;
		if (header == 0 || length + 2 > (size_t)(end - at))
			return false;
	}
	*name = (struct slice){ at, length };
	return true;
}

int64_t push_number(struct slice value)
{
	const char *end = value.bytes + value.length, *at = end;
	int64_t number = -1;

	while (at > value.bytes && at[-1] != ':')
		at--;
	if (at == value.bytes || line_number(at, (size_t)(end - at), &number) != end - at)
		return -1;
	return number;
}
