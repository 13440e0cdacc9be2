#include "close_reason.h"

const struct close_reason_row close_reasons[CLOSE_REASON_COUNT] = {
#define CLOSE_REASON(id, is_error, text) { #id, is_error, text },
#include "close_reason.def"
#undef CLOSE_REASON
};
