#ifndef WEIR_PROXY_CONTROL_LINE_H
#define WEIR_PROXY_CONTROL_LINE_H

#include <stdint.h>

#include "../../topology/journal.h"

/* What workers say to the control thread. Any thread; never blocks. */

struct control_line;
struct mail;
struct slow_command;

/* A new data connection to this node waits for the proof of who it is. */
void control_line_confirm(struct control_line *line, uint32_t node_id);
/* Reads went to the master because the polled positions are too old. */
void control_line_refresh(struct control_line *line);
/* Something hints that this node's role or health has changed. */
void control_line_suspect(struct control_line *line, uint32_t node_id);
/* What users may do may have changed: the servers' rules are to be compared. */
void control_line_audit(struct control_line *line);
/* A worker has acknowledged a generation: see handover.h. */
void control_line_acknowledged(struct control_line *line);
/* Something that an operator wants to be told of (journal.h): it is logged and
 * kept. */
void control_line_note(struct control_line *line, enum event_kind kind, const char *node, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A command took long; the line takes it. */
void control_line_slow(struct control_line *line, struct slow_command *command);
/* Whatever else it is; opened on the control thread. */
void control_line_post(struct control_line *line, struct mail *mail);
/* A worker's thread has ended. */
void control_line_stopped(struct control_line *line);

#endif
