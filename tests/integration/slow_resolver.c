/* A name service under a test's control: preloaded, it stands in for
 * getaddrinfo(3). The file named by WEIR_TEST_HOSTS is read at every call:
 *
 *   name address [address ...]   what the name resolves to; none: it does not
 *   name wait                    no answer, until the file says something else
 *
 * Names that do not stand there, and numbers, are the system's business. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static char *line_of(const char *host, char *line, int room)
{
	FILE *file = fopen(getenv("WEIR_TEST_HOSTS"), "r");
	char *rest = NULL;

	while (file != NULL && rest == NULL && fgets(line, room, file) != NULL) {
		size_t length = strcspn(line, " \n");

		if (strlen(host) == length && strncmp(line, host, length) == 0)
			rest = line + length;
	}
	if (file != NULL)
		fclose(file);
	return rest;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	getaddrinfo_fn *real = (getaddrinfo_fn *)dlsym(RTLD_NEXT, "getaddrinfo");
	struct addrinfo **end = found;
	char line[256], *rest, *word, *state;
	struct timespec moment = { 0, 20000000 };

	while ((rest = line_of(host, line, sizeof(line))) != NULL && strncmp(rest, " wait", 5) == 0)
		nanosleep(&moment, NULL);
	if (rest == NULL)
		return real(host, service, hints, found);
	*found = NULL;
	for (word = strtok_r(rest, " \n", &state); word != NULL; word = strtok_r(NULL, " \n", &state)) {
		if (real(word, service, hints, end) != 0)
			return EAI_FAIL;
		end = &(*end)->ai_next;
	}
	return *found == NULL ? EAI_NONAME : 0;
}
