#include "pieces.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../proxy/config/config.h"

/* Any bytes as proxy.ini: either complaints, one a line and at most a hundred and
 * one, beside what could be understood, or a configuration that config_print()
 * writes down so that it is read as the same again. */

static void inspect(const char *path, const char *expected)
{
	char *errors = NULL;
	struct config *config = config_inspect(path, &errors);

	REQUIRE(config == NULL || config->topology.user != NULL);
	REQUIRE(strcmp(errors, expected) == 0);
	free(errors);
	config_release(&config);
}

static void check_complaints(const char *errors)
{
	unsigned lines = 1;

	REQUIRE(errors[0] != '\0' && errors[0] != '\n');
	for (const char *at = errors; (at = strchr(at, '\n')) != NULL; at++, lines++)
		REQUIRE(at[1] != '\0' && at[1] != '\n');
	REQUIRE(lines <= 101);
}

static struct config *load(const void *bytes, size_t size, char **error)
{
	int fd = memfd_create("proxy.ini", MFD_CLOEXEC);
	struct config *config;
	char path[32];

	REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config = config_load(path, error);
	REQUIRE((config == NULL) == (*error != NULL));
	if (config == NULL)
		inspect(path, *error);
	close(fd);
	return config;
}

static char *printed(const struct config *config, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	REQUIRE(out != NULL);
	config_print(config, out);
	fclose(out);
	return text;
}

static void check_round_trip(const struct config *config)
{
	size_t length, length_again;
	char *text = printed(config, &length), *text_again, *error = NULL;
	struct config *again = load(text, length, &error);

	REQUIRE(again != NULL);
	text_again = printed(again, &length_again);
	REQUIRE(length == length_again && memcmp(text, text_again, length) == 0);
	config_release(&again);
	free(text);
	free(text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *error = NULL;
	struct config *config = load(input, size, &error);

	if (config != NULL)
		check_round_trip(config);
	else
		check_complaints(error);
	config_release(&config);
	free(error);
	return 0;
}
