/* Sample n stands in slot n % HISTORY_SAMPLES of every array. Invariant: the slots
 * of the samples that are kept hold a value or HISTORY_UNKNOWN, in every track.
 *
 * The document is written by hand, since it is mostly numbers: a column is an
 * array, and that is all there is to it. */
#include "history.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/alloc.h"

/* What is kept of one server. */
struct track {
	char *name;         /* NULL: free */
	uint64_t last_seen; /* in this sample */
	int64_t values[HISTORY_NODE_COLUMNS][HISTORY_SAMPLES];
};

struct history {
	uint64_t newest;    /* number of the last sample, from 1 on */
	int64_t unix_ms[HISTORY_SAMPLES];
	int64_t values[HISTORY_COLUMNS][HISTORY_SAMPLES];
	struct track *tracks[HISTORY_NODES_MAX];
	size_t track_count;
};

static const char *const column_names[HISTORY_COLUMNS] = {
	[HISTORY_CLIENTS] = "clients",
	[HISTORY_READS_ON_REPLICAS] = "reads_on_replicas",
	[HISTORY_READS_ON_MASTER] = "reads_on_master",
	[HISTORY_WRITES] = "writes",
	[HISTORY_OTHERS] = "others",
};

static const char *const node_column_names[HISTORY_NODE_COLUMNS] = {
	[HISTORY_REQUESTS] = "requests",
	[HISTORY_LAG_US] = "lag_us",
	[HISTORY_LAG_BYTES] = "lag_bytes",
	[HISTORY_P50_US] = "p50_us",
	[HISTORY_P99_US] = "p99_us",
};

static size_t slot_of(uint64_t sample)
{
	return sample % HISTORY_SAMPLES;
}

/* ---- tracks ---- */

static void free_track(struct track *track)
{
	free(track->name);
	free(track);
}

/* Nothing of it is within the ten minutes. */
static bool is_forgotten(const struct history *history, const struct track *track)
{
	return history->newest - track->last_seen >= HISTORY_SAMPLES;
}

static void forget_old_tracks(struct history *history)
{
	size_t kept = 0;

	for (size_t i = 0; i < history->track_count; i++) {
		if (is_forgotten(history, history->tracks[i]))
			free_track(history->tracks[i]);
		else
			history->tracks[kept++] = history->tracks[i];
	}
	history->track_count = kept;
}

static size_t longest_unseen(const struct history *history)
{
	size_t found = 0;

	for (size_t i = 1; i < history->track_count; i++)
		if (history->tracks[i]->last_seen < history->tracks[found]->last_seen)
			found = i;
	return found;
}

static struct track *begin_track(struct history *history, const char *name)
{
	struct track *track = alloc_zeroed(1, sizeof(*track));

	if (history->track_count == HISTORY_NODES_MAX) {
		size_t victim = longest_unseen(history);

		free_track(history->tracks[victim]);
		history->tracks[victim] = history->tracks[--history->track_count];
	}
	track->name = alloc_text(name, strlen(name));
	for (size_t column = 0; column < HISTORY_NODE_COLUMNS; column++)
		for (size_t i = 0; i < HISTORY_SAMPLES; i++)
			track->values[column][i] = HISTORY_UNKNOWN;
	history->tracks[history->track_count++] = track;
	return track;
}

static struct track *find_track(const struct history *history, const char *name)
{
	for (size_t i = 0; i < history->track_count; i++)
		if (strcmp(history->tracks[i]->name, name) == 0)
			return history->tracks[i];
	return NULL;
}

/* ---- samples ---- */

void history_add(struct history *history, int64_t unix_ms, const int64_t values[HISTORY_COLUMNS])
{
	size_t slot = slot_of(++history->newest);

	forget_old_tracks(history);
	history->unix_ms[slot] = unix_ms;
	for (size_t column = 0; column < HISTORY_COLUMNS; column++)
		history->values[column][slot] = values[column];
	for (size_t i = 0; i < history->track_count; i++)
		for (size_t column = 0; column < HISTORY_NODE_COLUMNS; column++)
			history->tracks[i]->values[column][slot] = HISTORY_UNKNOWN;
}

void history_add_node(struct history *history, const char *name, const int64_t values[HISTORY_NODE_COLUMNS])
{
	struct track *track = find_track(history, name);

	if (track == NULL)
		track = begin_track(history, name);
	track->last_seen = history->newest;
	for (size_t column = 0; column < HISTORY_NODE_COLUMNS; column++)
		track->values[column][slot_of(history->newest)] = values[column];
}

/* ---- the document ---- */

static uint64_t first_after(const struct history *history, uint64_t since)
{
	uint64_t oldest = history->newest > HISTORY_SAMPLES ? history->newest - HISTORY_SAMPLES + 1 : 1;

	if (since >= history->newest)
		return history->newest + 1;
	return since + 1 > oldest ? since + 1 : oldest;
}

/* There are many of them, and health checks wait meanwhile: several times as fast
 * as fprintf. */
static void print_value(int64_t value, FILE *out)
{
	char digits[20];
	char *at = digits + sizeof(digits);

	if (value < 0) {
		fputs_unlocked("null", out);
		return;
	}
	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	fwrite_unlocked(at, 1, (size_t)(digits + sizeof(digits) - at), out);
}

static void print_column(const struct history *history, uint64_t first, const char *name, const int64_t *values,
			 FILE *out)
{
	fprintf(out, ",\"%s\":[", name);
	for (uint64_t sample = first; sample <= history->newest; sample++) {
		if (sample != first)
			putc_unlocked(',', out);
		print_value(values[slot_of(sample)], out);
	}
	fputc(']', out);
}

/* Seconds, because that is what charts count in. */
static void print_times(const struct history *history, uint64_t first, FILE *out)
{
	fputs(",\"time\":[", out);
	for (uint64_t sample = first; sample <= history->newest; sample++) {
		int64_t unix_ms = history->unix_ms[slot_of(sample)];

		fprintf(out, "%s%" PRId64 ".%03d", sample == first ? "" : ",", unix_ms / 1000, (int)(unix_ms % 1000));
	}
	fputc(']', out);
}

static void print_name(const char *name, FILE *out)
{
	json_t *text = json_string(name); /* NULL: not UTF-8 */

	if (text == NULL || json_dumpf(text, out, JSON_ENCODE_ANY) != 0)
		fputs("null", out);
	json_decref(text);
}

static void print_track(const struct history *history, uint64_t first, const struct track *track, FILE *out)
{
	fputs("{\"name\":", out);
	print_name(track->name, out);
	for (size_t column = 0; column < HISTORY_NODE_COLUMNS; column++)
		print_column(history, first, node_column_names[column], track->values[column], out);
	fputc('}', out);
}

void history_print(const struct history *history, uint64_t since, FILE *out)
{
	uint64_t first = first_after(history, since);

	fprintf(out, "\"newest\":%" PRIu64, history->newest);
	print_times(history, first, out);
	for (size_t column = 0; column < HISTORY_COLUMNS; column++)
		print_column(history, first, column_names[column], history->values[column], out);
	fputs(",\"nodes\":[", out);
	for (size_t i = 0; i < history->track_count; i++) {
		if (i > 0)
			fputc(',', out);
		print_track(history, first, history->tracks[i], out);
	}
	fputc(']', out);
}

/* ---- life ---- */

struct history *history_create(void)
{
	return alloc_zeroed(1, sizeof(struct history));
}

void history_destroy(struct history **history)
{
	for (size_t i = 0; i < (*history)->track_count; i++)
		free_track((*history)->tracks[i]);
	free(*history);
	*history = NULL;
}
