#include "pieces.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../proxy/config/config.h"

/* Any bytes as proxy.ini: either complaints, one a line and at most a hundred and
 * one, beside what could be understood, or a configuration that config_print()
 * writes down so that it is read as the same again; and the same whether read(2)
 * gives the file at once or in pieces. */

/* (The linker puts it in the place of read().) */
ssize_t __wrap_read(int fd, void *bytes, size_t length);
ssize_t __real_read(int fd, void *bytes, size_t length);

static struct cuts *reading; /* NULL: at once */

ssize_t __wrap_read(int fd, void *bytes, size_t length)
{
	return __real_read(fd, bytes, reading != NULL && length > 0 ? next_cut(reading, length) : length);
}

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

static void compare(const struct config *whole, const char *error, const void *bytes, size_t size, struct cuts cuts)
{
	char *cut_error = NULL;
	struct config *cut;

	reading = &cuts;
	cut = load(bytes, size, &cut_error);
	reading = NULL;
	REQUIRE((cut == NULL) == (whole == NULL));
	if (whole == NULL) {
		REQUIRE(strcmp(error, cut_error) == 0);
	} else {
		size_t length, cut_length;
		char *text = printed(whole, &length), *cut_text = printed(cut, &cut_length);

		REQUIRE(length == cut_length && memcmp(text, cut_text, length) == 0);
		free(text);
		free(cut_text);
	}
	config_release(&cut);
	free(cut_error);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *error = NULL;
	struct config *config;

	if (size < 1)
		return 0;
	config = load(input + 1, size - 1, &error);
	if (config != NULL)
		check_round_trip(config);
	else
		check_complaints(error);
	compare(config, error, input + 1, size - 1, (struct cuts){ .seed = input[0] });
	config_release(&config);
	free(error);
	return 0;
}
