#include "session.h"

int64_t session_floor(const struct session *session, enum config_session_scope scope, int64_t acknowledged_ns)
{
	if (session->consistency == CONSISTENCY_EVENTUAL)
		return 0;
	if (scope == SESSION_SCOPE_CONNECTION || session->observed_ns > acknowledged_ns)
		return session->observed_ns;
	return acknowledged_ns;
}
