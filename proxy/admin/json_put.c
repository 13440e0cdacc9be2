#include "json_put.h"

#include <math.h>

#include "../../protocol/alloc.h"

void put(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, alloc_checked(value));
}

void put_text(json_t *object, const char *key, const char *text)
{
	json_t *value = text == NULL ? NULL : json_string(text);

	put(object, key, value == NULL ? json_null() : value);
}

void put_integer(json_t *object, const char *key, int64_t value)
{
	put(object, key, value < 0 ? json_null() : json_integer(value));
}

void put_real(json_t *object, const char *key, double value)
{
	put(object, key, value >= 0 && isfinite(value) ? json_real(value) : json_null());
}

void put_known(json_t *object, const char *key, int value)
{
	put(object, key, value < 0 ? json_null() : json_boolean(value));
}

void put_flag(json_t *object, const char *key, bool value)
{
	put(object, key, json_boolean(value));
}
