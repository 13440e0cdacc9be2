/* What a peer says of itself: who it is, and what redis-cli and libraries say
 * when they come. */
#include "../../protocol/encode.h"
#include "admin.h"
#include "console_parts.h"
#include "../version.h"

static bool admit(struct console_call *call, struct slice token)
{
	call->admitted = access_is_token(call->sources, token);
	return call->admitted;
}

static void refuse_token(struct console_call *call)
{
	if (access_has_token(call->sources))
		console_error(call, "WRONGPASS this is not the token");
	else
		console_error(call, "ERR there is no token: [admin] token_file in proxy.ini names none");
}

/* redis-cli --user sends a name, which the console has no use for. */
void console_auth(struct console_call *call)
{
	if (admit(call, call->argv[call->argc - 1]))
		encode_status(call->out, "OK");
	else
		refuse_token(call);
}

static void greet(struct buf *out)
{
	encode_map(out, 4, 2);
	encode_bulk_text(out, "server");
	encode_bulk_text(out, "weir");
	encode_bulk_text(out, "version");
	encode_bulk_text(out, WEIR_VERSION);
	encode_bulk_text(out, "proto");
	encode_integer(out, 2);
	encode_bulk_text(out, "mode");
	encode_bulk_text(out, "console");
}

/* HELLO 2 [AUTH <user> <token>] [SETNAME <name>] */
void console_hello(struct console_call *call)
{
	size_t at = 2;

	if (call->argc > 1 && !slice_is(call->argv[1], "2")) {
		console_error(call, "NOPROTO the console speaks RESP2");
		return;
	}
	while (at < call->argc) {
		if (slice_is(call->argv[at], "AUTH") && at + 2 < call->argc) {
			if (!admit(call, call->argv[at + 2])) {
				refuse_token(call);
				return;
			}
			at += 3;
		} else if (slice_is(call->argv[at], "SETNAME") && at + 1 < call->argc) {
			at += 2;
		} else {
			console_error(call, "ERR expected HELLO 2 [AUTH <user> <token>] [SETNAME <name>]");
			return;
		}
	}
	greet(call->out);
}

void console_ok(struct console_call *call)
{
	encode_status(call->out, "OK");
}

void console_quit(struct console_call *call)
{
	encode_status(call->out, "OK");
	call->quit = true;
}

/* redis-cli asks for the commands when it starts, exporters for the latest spikes
 * that LATENCY of Redis keeps: an empty list contents them. */
void console_nothing(struct console_call *call)
{
	encode_array(call->out, 0);
}
