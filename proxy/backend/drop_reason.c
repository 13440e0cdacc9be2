#include "drop_reason.h"

const struct drop_reason_row drop_reasons[DROP_REASON_COUNT] = {
#define DROP_REASON(id, is_fault, text) { #id, is_fault, text },
#include "drop_reason.def"
#undef DROP_REASON
};
