#include "resp.h"

#include "encode.h"

/* Splits the line of an inline request into its arguments, by the rules that
 * redis-cli and redis-server share: blanks separate; "..." knows \n \r \t \b
 * \a \xHH and takes any other escaped byte as itself; '...' knows \' alone; a
 * quoted part may begin within an argument but must end it. Measured on
 * redis-server 7.0.15. Nothing here knows about sockets or framing. */

enum token {
	TOKEN_NONE,
	TOKEN_SOME,
	TOKEN_UNBALANCED,
};

struct line {
	const char *at;
	const char *end;
};

/* What may stand before an argument, and behind a closing quote. */
static bool is_blank(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What ends an argument outside of quotes: VT and FF do not. */
static bool ends_word(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static int hex_value(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte = (char)(byte | 0x20);
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static char unescaped(char byte)
{
	switch (byte) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'a': return '\a';
	default: return byte;
	}
}

/* Behind a backslash within double quotes; at least one byte is there. */
static char take_escape(struct line *line)
{
	char byte = *line->at++;

	if (byte == 'x' && line->end - line->at >= 2 && hex_value(line->at[0]) >= 0 && hex_value(line->at[1]) >= 0) {
		byte = (char)(hex_value(line->at[0]) * 16 + hex_value(line->at[1]));
		line->at += 2;
		return byte;
	}
	return unescaped(byte);
}

static bool take_escaped(struct line *line, char quote, char *byte)
{
	if (line->at == line->end)
		return false;
	if (quote == '"') {
		*byte = take_escape(line);
		return true;
	}
	if (*line->at != '\'')
		return false;
	*byte = *line->at++;
	return true;
}

/* From behind the opening quote to behind the closing one. False when that is
 * missing, or something but a blank follows it. */
static bool take_quoted(struct line *line, char quote, struct buf *argument)
{
	while (line->at < line->end) {
		char byte = *line->at++;

		if (byte == quote)
			return line->at == line->end || is_blank(*line->at);
		if (byte == '\\')
			take_escaped(line, quote, &byte);
		buf_append(argument, &byte, 1);
	}
	return false;
}

static enum token take_argument(struct line *line, struct buf *argument)
{
	while (line->at < line->end && is_blank(*line->at))
		line->at++;
	if (line->at == line->end)
		return TOKEN_NONE;
	while (line->at < line->end && !ends_word(*line->at)) {
		char byte = *line->at++;

		if (byte == '"' || byte == '\'')
			return take_quoted(line, byte, argument) ? TOKEN_SOME : TOKEN_UNBALANCED;
		buf_append(argument, &byte, 1);
	}
	return TOKEN_SOME;
}

static size_t without_line_end(const char *line, size_t length)
{
	if (length > 0 && line[length - 1] == '\n')
		length--;
	if (length > 0 && line[length - 1] == '\r')
		length--;
	return length;
}

int resp_inline_encode(const char *line, size_t length, struct buf *out)
{
	struct line rest = { line, line + without_line_end(line, length) };
	struct buf arguments = { 0 }, argument = { 0 };
	enum token token;
	int count = 0;

	while ((token = take_argument(&rest, &argument)) == TOKEN_SOME) {
		encode_bulk(&arguments, buf_slice(&argument));
		buf_consume(&argument, buf_length(&argument));
		count++;
	}
	if (token == TOKEN_UNBALANCED) {
		count = -1;
	} else if (count > 0) {
		encode_array(out, (size_t)count);
		buf_append(out, buf_head(&arguments), buf_length(&arguments));
	}
	buf_free(&arguments);
	buf_free(&argument);
	return count;
}
