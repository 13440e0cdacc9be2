#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 4, NUMBER_SIZE = 24 };

struct input {
	struct reply_arena *arena;
	const char *at;
	const char *end;
};

static enum reply_result parse(struct input *input, struct reply **reply, int depth);

static enum reply_result take_line(struct input *input, const char **line, size_t *length)
{
	const char *feed = memchr(input->at, '\n', (size_t)(input->end - input->at));

	if (feed == NULL)
		return REPLY_AGAIN;
	if (feed == input->at || feed[-1] != '\r')
		return REPLY_BAD;
	*line = input->at;
	*length = (size_t)(feed - 1 - input->at);
	input->at = feed + 1;
	return REPLY_OK;
}

static bool to_number(const char *text, size_t length, int64_t *number)
{
	char copy[NUMBER_SIZE], *end;

	if (length == 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	errno = 0;
	*number = strtoll(copy, &end, 10);
	return *end == '\0' && errno == 0;
}

static enum reply_result take_bulk(struct input *input, struct reply *reply)
{
	if (reply->integer < 0) {
		reply->type = '_';
		return REPLY_OK;
	}
	if (input->end - input->at < reply->integer + 2)
		return REPLY_AGAIN;
	reply->text = input->at;
	reply->length = (size_t)reply->integer;
	input->at += reply->integer + 2;
	return memcmp(input->at - 2, "\r\n", 2) == 0 ? REPLY_OK : REPLY_BAD;
}

static enum reply_result take_elements(struct input *input, struct reply *reply, int depth)
{
	struct reply **link = &reply->first;

	if (reply->integer < 0) {
		reply->type = '_';
		return REPLY_OK;
	}
	reply->count = (size_t)reply->integer;
	for (size_t i = 0; i < reply->count; i++) {
		enum reply_result result = parse(input, link, depth + 1);

		if (result != REPLY_OK)
			return result;
		link = &(*link)->next;
	}
	return REPLY_OK;
}

static enum reply_result parse(struct input *input, struct reply **reply, int depth)
{
	struct reply *node;
	const char *line = NULL;
	size_t length = 0;
	enum reply_result result = take_line(input, &line, &length);

	if (result != REPLY_OK)
		return result;
	if (length == 0 || depth > DEPTH_MAX || input->arena->used == REPLIES_MAX)
		return REPLY_BAD;
	node = *reply = &input->arena->nodes[input->arena->used++];
	*node = (struct reply){ .type = line[0], .text = line + 1, .length = length - 1 };
	if (strchr("+-_", node->type) != NULL)
		return REPLY_OK;
	if (strchr(":$*>%", node->type) == NULL || !to_number(line + 1, length - 1, &node->integer))
		return REPLY_BAD;
	if (node->type == '%') {
		node->type = '*';
		node->integer *= 2;
	}
	if (node->type == '$')
		return take_bulk(input, node);
	return node->type == ':' ? REPLY_OK : take_elements(input, node, depth);
}

enum reply_result reply_parse(struct reply_arena *arena, const char *bytes, size_t length, struct reply **reply,
			      size_t *used)
{
	struct input input = { arena, bytes, bytes + length };
	enum reply_result result;

	arena->used = 0;
	result = parse(&input, reply, 0);
	*used = (size_t)(input.at - bytes);
	return result;
}

bool reply_is_error(const struct reply *reply)
{
	return reply->type == '-';
}

bool reply_says(const struct reply *reply, const char *text)
{
	return reply != NULL && (reply->type == '+' || reply->type == '$') && reply->length == strlen(text) &&
	       memcmp(reply->text, text, reply->length) == 0;
}

const struct reply *reply_at(const struct reply *reply, size_t index)
{
	const struct reply *element = reply->first;

	while (element != NULL && index-- > 0)
		element = element->next;
	return element;
}
