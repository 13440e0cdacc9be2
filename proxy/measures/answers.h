#ifndef WEIR_PROXY_ANSWERS_H
#define WEIR_PROXY_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "measures.h"
#include "stats.h"

/* Commands are counted when they are answered: by class, route and result
 * (stats.def), and by name. Consecutive answers are nearly always alike in all of
 * this and in how long they took, those of one batch: they are counted together. */

enum answer_flag {
	ANSWER_FAILED = 1 << 0,   /* it is an error */
	ANSWER_UNTIMED = 1 << 1,  /* how long it took says nothing */
	ANSWER_REJECTED = 1 << 2, /* weir's own error, of a command that no server had */
};

struct answer {
	uint32_t us;        /* since weir had the command */
	uint16_t command;   /* struct command.number */
	uint8_t counts_as;  /* enum stat_id; 0: in no row */
	uint8_t flags : 4;  /* enum answer_flag */
	uint8_t class : 4;  /* enum latency_class */
};

struct answers {
	struct answer alike; /* so many of these are not counted yet */
	uint32_t times;
};

/* Or of something that weir asked for a client's sake. */
static inline bool answer_is_of_command(struct answer answer)
{
	return answer.command != 0 || answer.counts_as != 0;
}

/* Owner thread only, and so before it goes on to something else. */
void answers_settle(struct answers *answers, struct measures *measures, struct stats *stats);

static inline void answers_count(struct answers *answers, struct answer answer, uint32_t times,
				 struct measures *measures, struct stats *stats)
{
	if (memcmp(&answers->alike, &answer, sizeof(answer)) != 0) {
		answers_settle(answers, measures, stats);
		answers->alike = answer;
	}
	answers->times += times;
}

#endif
