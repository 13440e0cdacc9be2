#include "role.h"

#include "line.h"

/* A reader over the values of a framed reply: it only steps over what it
 * expects, and fails for anything else. */

static bool take_number(struct slice *rest, char type, int64_t *number)
{
	int used;

	if (rest->length == 0 || rest->bytes[0] != type)
		return false;
	used = line_number(rest->bytes + 1, rest->length - 1, number);
	if (used <= 0)
		return false;
	rest->bytes += 1 + used;
	rest->length -= 1 + (size_t)used;
	return true;
}

static bool take_bulk(struct slice *rest, struct slice *text)
{
	int64_t length;

	if (!take_number(rest, '$', &length) || length < 0 || (uint64_t)length + 2 > rest->length)
		return false;
	*text = (struct slice){ rest->bytes, (size_t)length };
	rest->bytes += length + 2;
	rest->length -= (size_t)length + 2;
	return true;
}

static bool decode_replica(struct slice *rest, struct role_reply *role)
{
	struct slice state;

	if (!take_bulk(rest, &role->master_host) || !take_number(rest, ':', &role->master_port) ||
	    !take_bulk(rest, &state) || !take_number(rest, ':', &role->offset))
		return false;
	role->connected = slice_equal(state, slice_of("connected"));
	return true;
}

bool role_reply_decode(struct slice reply, struct role_reply *role)
{
	struct slice word;
	int64_t elements;

	*role = (struct role_reply){ .offset = -1 };
	if (!take_number(&reply, '*', &elements) || elements < 3 || !take_bulk(&reply, &word))
		return false;
	if (slice_equal(word, slice_of("slave")))
		return decode_replica(&reply, role);
	role->is_master = slice_equal(word, slice_of("master"));
	return role->is_master && take_number(&reply, ':', &role->offset);
}

static bool take_ack(struct slice *rest, uint64_t *offset)
{
	struct slice host, port, text;
	int64_t elements;

	if (!take_number(rest, '*', &elements) || elements != 3 || !take_bulk(rest, &host) || !take_bulk(rest, &port) ||
	    !take_bulk(rest, &text) || text.length == 0 || text.length > 19)
		return false;
	*offset = 0;
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		*offset = *offset * 10 + (uint64_t)(text.bytes[i] - '0');
	}
	return true;
}

void role_reply_read_acks(struct slice reply, struct role_reply_acks *acks)
{
	struct slice word;
	int64_t number;

	acks->count = 0;
	if (!take_number(&reply, '*', &number) || number < 3 || !take_bulk(&reply, &word) || !slice_equal(word, slice_of("master")) ||
	    !take_number(&reply, ':', &number) || !take_number(&reply, '*', &number))
		return;
	while (number-- > 0 && acks->count < ROLE_REPLY_ACKS_MAX && take_ack(&reply, &acks->offsets[acks->count]))
		acks->count++;
}
