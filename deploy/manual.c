/* Writes proxy.ini(5): what goes for every file, and then the table of keys, so
 * that no key is missing and no default is wrong. */
#include <stdio.h>
#include <string.h>

#include "../proxy/config/config_keys.h"

static const char opening[] =
	".TH PROXY.INI 5 \"\" weir \"File formats\"\n"
	".SH NAME\n"
	"proxy.ini \\- configuration of weir, a replication proxy for redis\\-server\n"
	".SH DESCRIPTION\n"
	"Lines of the form\n"
	".B key = value\n"
	"below a\n"
	".BR [section] ,\n"
	"without blanks in front of them and of at most 190 bytes.\n"
	"A blank and a semicolon begin a comment.\n"
	"Sizes are written 512, 64kb, 16mb, 1gb; times 250ms, 5s, 1m, a bare number is seconds.\n"
	"Addresses are host:port or [v6]:port, of listeners also unix:/path.\n"
	"Unknown keys are errors, and so is a key that stands a second time, unless it is said below that it may.\n"
	".PP\n"
	"SIGHUP makes\n"
	".BR weir (8)\n"
	"read the file anew: all that has changed is applied at once, or nothing where the file has a mistake.\n"
	"Keys that need a restart keep their values, and are named in the log.\n";

static const char ending[] =
	".SH SEE ALSO\n"
	".BR weir (8)\n";

/* As plain text: nothing of it is a request or an escape. */
static void put(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

static void put_line(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	put(text);
	putchar('\n');
}

static void describe(const struct config_key *key)
{
	char help[512];

	fputs(".TP\n.B ", stdout);
	put_line(key->name);
	snprintf(help, sizeof(help), "%s.", key->help);
	put_line(help);
	if (key->default_value != NULL && key->default_value[0] != '\0') {
		fputs("Default: ", stdout);
		snprintf(help, sizeof(help), "%s.", key->default_value);
		put_line(help);
	}
	if (key->repeatable)
		put_line("May stand several times.");
	if (key->reload == CONFIG_RESTART)
		put_line("Another value needs a restart.");
}

int main(void)
{
	const char *section = "";

	fputs(opening, stdout);
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		if (strcmp(section, config_keys[i].section) != 0) {
			section = config_keys[i].section;
			printf(".SH [%s]\n", section);
		}
		describe(&config_keys[i]);
	}
	fputs(ending, stdout);
	return ferror(stdout) ? 1 : 0;
}
