#ifndef WEIR_PROXY_COMMAND_NAMES_H
#define WEIR_PROXY_COMMAND_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* The numbers under which commands are counted (measures.h): one for each name
 * that a server has ever listed, for as long as weir runs. Names are never
 * clients': they come from servers and from weir itself. Control thread. */

enum { COMMAND_NAMES_MAX = 1024 }; /* what is beyond is counted with what nobody knows, as number 0 */

struct command_names;

struct command_names *command_names_create(void);
/* Sets *names to NULL. */
void command_names_destroy(struct command_names **names);

/* Of this name, which gets one if it has none; for command_table_number(). */
uint16_t command_names_number(void *names, const char *name);

/* How many numbers are in use, and the name of each; 0 is "other". */
size_t command_names_count(const struct command_names *names);
const char *command_names_at(const struct command_names *names, size_t number);

#endif
