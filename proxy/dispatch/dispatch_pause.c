/* Commands while clients are paused (pause.h): some are held here, some are
 * diverted, so that the master may hold them without holding anything else. */
#include "dispatch_parts.h"

#include "../local/local.h"
#include "pause.h"

/* What somebody has to say before he can end the pause. (A redis-server that
 * pauses all clients holds even CLIENT UNPAUSE.) */
static bool may_end_pause(const struct command *command)
{
	switch (command->special) {
	case SPECIAL_CLIENT_UNPAUSE:
	case SPECIAL_CLIENT_SETNAME:
	case SPECIAL_CLIENT_SETINFO:
	case SPECIAL_SELECT:
		return true;
	default:
		return command->flags & COMMAND_FLAG_NO_AUTH; /* AUTH, HELLO, RESET, QUIT */
	}
}

enum verdict dispatch_hold(struct client *client)
{
	list_put(&client->worker->pause.held, &client->resume);
	return dispatch_stall(client, STALL_PAUSE);
}

enum verdict dispatch_pause(struct client *client, const struct parsed_command *parsed)
{
	bool all = client->worker->pause.mode == PAUSE_ALL;

	return all && !may_end_pause(parsed->command) ? dispatch_hold(client) : TAKEN;
}

/* Servers do not list the flag that decides (may_replicate), so all that is no
 * plain read or look at the server counts. */
bool dispatch_is_diverted(const struct client *client, const struct parsed_command *parsed)
{
	if (!client->worker->pause.diverts || client->session.endpoint != ENDPOINT_SPLIT)
		return false;
	return parsed->class == COMMAND_WRITE || parsed->class == COMMAND_SCRIPT || parsed->command->special == SPECIAL_PFCOUNT;
}
