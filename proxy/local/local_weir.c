/* WEIR and its verbs, which no server knows. */
#include "local_parts.h"

#include "../../protocol/encode.h"
#include "../backend/consistency.h"
#include "../dispatch/waiting.h"

static const char *const consistency_names[] = {
	[CONSISTENCY_EVENTUAL] = "eventual",
	[CONSISTENCY_SESSION] = "session",
	[CONSISTENCY_STRONG] = "strong",
};

static enum local_result handle_consistency(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);
	struct buf reply = { 0 };

	if (arguments.count == 2) {
		encode_bulk_text(&reply, consistency_names[client->session.consistency]);
		local_answer(client, &reply);
		return LOCAL_DONE;
	}
	for (size_t i = 0; i < sizeof(consistency_names) / sizeof(consistency_names[0]); i++) {
		if (slice_is(arguments.at[2], consistency_names[i])) {
			client->session.chose_consistency = true;
			consistency_choose(client, (enum config_consistency)i);
			return local_answer_ok(client);
		}
	}
	return local_answer_error(client, "ERR the consistency levels are eventual, session and strong");
}

static enum local_result handle_token(struct client *client, const struct parsed_command *parsed)
{
	(void)parsed;
	return waiting_token(client);
}

static enum local_result handle_wait(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	return waiting_for_token(client, arguments.at[2], arguments.at[3]);
}

static const struct weir_verb {
	const char *name;
	size_t least_args, most_args; /* WEIR and the verb included */
	enum local_result (*handle)(struct client *client, const struct parsed_command *parsed);
	const char *usage;
} weir_verbs[] = {
	{ "consistency", 2, 3, handle_consistency, "ERR usage: WEIR CONSISTENCY [eventual|session|strong]" },
	{ "token", 2, 2, handle_token, "ERR usage: WEIR TOKEN" },
	{ "wait", 3, 4, handle_wait, "ERR usage: WEIR WAIT <token> [milliseconds]" },
};

enum local_result local_weir(struct client *client, const struct parsed_command *parsed)
{
	struct arguments arguments = arguments_of(parsed->bytes);

	for (size_t i = 0; arguments.count > 1 && i < sizeof(weir_verbs) / sizeof(weir_verbs[0]); i++) {
		const struct weir_verb *verb = &weir_verbs[i];

		if (!slice_is(arguments.at[1], verb->name))
			continue;
		if (arguments.count < verb->least_args || arguments.count > verb->most_args)
			return local_answer_error(client, verb->usage);
		return verb->handle(client, parsed);
	}
	return local_answer_error(client, "ERR unknown WEIR verb: CONSISTENCY [eventual|session|strong], TOKEN, "
				    "WAIT <token> [milliseconds]");
}
