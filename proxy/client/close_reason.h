#ifndef WEIR_PROXY_CLOSE_REASON_H
#define WEIR_PROXY_CLOSE_REASON_H

#include <stdbool.h>

enum close_reason {
#define CLOSE_REASON(id, is_error, text) CLOSE_##id,
#include "close_reason.def"
#undef CLOSE_REASON
	CLOSE_REASON_COUNT
};

struct close_reason_row {
	const char *word;
	bool is_error;
	const char *text;
};

/* Indexed by enum close_reason. */
extern const struct close_reason_row close_reasons[CLOSE_REASON_COUNT];

#endif
