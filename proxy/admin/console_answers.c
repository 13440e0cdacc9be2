#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"
#include "../../protocol/encode.h"
#include "../config/config_values.h"
#include "console_parts.h"

void console_copy_word(char text[CONSOLE_WORD_ROOM], struct slice word)
{
	size_t length = word.length < CONSOLE_WORD_ROOM - 1 ? word.length : CONSOLE_WORD_ROOM - 1;

	for (size_t i = 0; i < length; i++)
		text[i] = (unsigned char)word.bytes[i] < ' ' || word.bytes[i] == 0x7f ? '?' : word.bytes[i];
	text[length] = '\0';
}

bool console_number(struct console_call *call, size_t at, int64_t min, int64_t max, int64_t *value)
{
	char text[CONSOLE_WORD_ROOM];

	console_copy_word(text, call->argv[at]);
	if (config_parse_number(text, min, max, value))
		return true;
	console_error(call, "ERR expected a number from %" PRId64 " to %" PRId64 ", got '%s'", min, max, text);
	return false;
}

__attribute__((format(printf, 3, 0)))
static void answer(struct console_call *call, void (*encode)(struct buf *, const char *), const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	encode(call->out, text);
}

void console_error(struct console_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer(call, encode_error, format, args);
	va_end(args);
}

void console_status(struct console_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	answer(call, encode_status, format, args);
	va_end(args);
}

void console_outcome(struct console_call *call, const char *failure)
{
	if (failure == NULL)
		encode_status(call->out, "OK");
	else
		console_error(call, "ERR %s", failure);
}

/* ---- tables ---- */

typedef char table_row[CONSOLE_COLUMNS][CONSOLE_CELL_ROOM];

struct console_table {
	size_t columns;
	size_t count, room; /* of rows */
	size_t next;        /* cell of the last row */
	table_row *rows;
};

void console_table_row(struct console_table *table)
{
	if (table->count == table->room)
		table->rows = alloc_resized(table->rows, (table->room = table->room * 2 + 8) * sizeof(table_row));
	memset(table->rows[table->count++], 0, sizeof(table_row));
	table->next = 0;
}

void console_table_text(struct console_table *table, const char *text)
{
	char *cell = table->rows[table->count - 1][table->next++];

	snprintf(cell, CONSOLE_CELL_ROOM, "%s", text == NULL ? "-" : text);
}

void console_table_slice(struct console_table *table, struct slice text)
{
	char word[CONSOLE_WORD_ROOM];

	console_copy_word(word, text);
	console_table_text(table, word);
}

void console_table_integer(struct console_table *table, int64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, value);
	console_table_text(table, value < 0 ? NULL : text);
}

void console_table_decimal(struct console_table *table, double value)
{
	char text[64];

	snprintf(text, sizeof(text), value < 10 ? "%.3f" : "%.1f", value);
	console_table_text(table, value < 0 ? NULL : text);
}

struct console_table *console_table_begin(const char *const *titles)
{
	struct console_table *table = alloc_zeroed(1, sizeof(*table));

	console_table_row(table);
	for (; titles[table->columns] != NULL; table->columns++)
		console_table_text(table, titles[table->columns]);
	return table;
}

static void measure(const struct console_table *table, int widths[CONSOLE_COLUMNS])
{
	memset(widths, 0, CONSOLE_COLUMNS * sizeof(widths[0]));
	for (size_t i = 0; i < table->count; i++)
		for (size_t column = 0; column < table->columns; column++)
			if ((int)strlen(table->rows[i][column]) > widths[column])
				widths[column] = (int)strlen(table->rows[i][column]);
}

/* The last column, often a sentence, is not padded. */
void console_table_end(struct console_table *table, struct buf *out)
{
	int widths[CONSOLE_COLUMNS];
	char line[CONSOLE_COLUMNS * (CONSOLE_CELL_ROOM + 2)];

	measure(table, widths);
	encode_array(out, table->count);
	for (size_t i = 0; i < table->count; i++) {
		size_t length = 0;

		for (size_t column = 0; column + 1 < table->columns; column++)
			length += (size_t)snprintf(line + length, sizeof(line) - length, "%-*s  ", widths[column],
						   table->rows[i][column]);
		snprintf(line + length, sizeof(line) - length, "%s", table->rows[i][table->columns - 1]);
		encode_status(out, line);
	}
	free(table->rows);
	free(table);
}
