#ifndef WEIR_PROXY_SPELLING_H
#define WEIR_PROXY_SPELLING_H

/* How many letters have to be inserted, left out or changed to make one word
 * of the other (Levenshtein); case counts for nothing. Words are compared up
 * to 64 bytes. For "did you mean ...?". */
unsigned spelling_distance(const char *a, const char *b);

#endif
