#ifndef WEIR_CONSISTENCY_RANDOM_H
#define WEIR_CONSISTENCY_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* Random numbers that a seed repeats on every machine (splitmix64). */
struct random {
	uint64_t state;
};

static inline void random_seed(struct random *random, uint64_t seed)
{
	random->state = seed;
}

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 .. bound-1; bound must not be 0. (The bias is below 2^-32 for our bounds.) */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return random_next(random) % bound;
}

static inline bool random_percent(struct random *random, unsigned percent)
{
	return random_below(random, 100) < percent;
}

#endif
