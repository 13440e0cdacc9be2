#ifndef WEIR_PROTOCOL_SETTING_H
#define WEIR_PROTOCOL_SETTING_H

#include "slice.h"

/* The parameters of CONFIG SET by what they are about. */

enum setting_kind {
	SETTING_OTHER,
	SETTING_PASSWORD, /* what the default user logs in with */
	SETTING_ANSWER,   /* what a client sees of it in answers to its reads */
};

enum setting_kind setting_kind(struct slice name);

#endif
