#include "descriptors.h"

#include <sys/resource.h>

#include "../config/config.h"
#include "../log.h"

enum { FDS_BESIDE_CLIENTS = 128 }; /* listeners, loops, control and shared connections */

void descriptors_fit(struct config *config)
{
	int64_t beside = FDS_BESIDE_CLIENTS + config->max_private_backends;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || (int64_t)limit.rlim_cur >= config->max_clients + beside)
		return;
	if ((int64_t)limit.rlim_cur < 2 * beside)
		beside = (int64_t)limit.rlim_cur / 2;
	log_warning("the limit of %lld file descriptors allows %lld clients instead of max_clients = %lld",
		    (long long)limit.rlim_cur, (long long)limit.rlim_cur - (long long)beside,
		    (long long)config->max_clients);
	config->max_clients = (int64_t)limit.rlim_cur - beside;
}
