#ifndef WEIR_PROXY_JSON_PUT_H
#define WEIR_PROXY_JSON_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Members of JSON objects. What is not known becomes null, never a guess and
 * never a zero; that includes text from a server that is not UTF-8. */

/* Takes over the value. */
void put(json_t *object, const char *key, json_t *value);
/* NULL is not known. */
void put_text(json_t *object, const char *key, const char *text);
/* Negative is not known. */
void put_integer(json_t *object, const char *key, int64_t value);
void put_real(json_t *object, const char *key, double value);
/* 0, 1, or negative for not known. */
void put_known(json_t *object, const char *key, int value);
void put_flag(json_t *object, const char *key, bool value);

#endif
