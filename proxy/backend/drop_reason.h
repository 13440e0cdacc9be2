#ifndef WEIR_PROXY_DROP_REASON_H
#define WEIR_PROXY_DROP_REASON_H

#include <stdbool.h>

enum drop_reason {
#define DROP_REASON(id, is_fault, text) DROP_##id,
#include "drop_reason.def"
#undef DROP_REASON
	DROP_REASON_COUNT
};

struct drop_reason_row {
	const char *word;
	bool is_fault;
	const char *text;
};

/* Indexed by enum drop_reason. */
extern const struct drop_reason_row drop_reasons[DROP_REASON_COUNT];

#endif
