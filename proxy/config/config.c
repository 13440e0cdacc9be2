/* proxy.ini, read as a whole or not at all.
 *
 *     file --next_line()--> inih --take_value()--> key table --> struct config
 *
 * inih tells keys from values; what it would let pass in silence is refused
 * before it sees the line: over-long lines (it cuts them), control bytes (NUL
 * ends its line), leading blanks (it takes them for a continuation), unknown
 * and unfinished sections (the keys behind them would land in the section
 * before), "key: value". It is always given one whole line at a time, so the
 * line that was read last is the one a complaint is about, and none of its
 * build options matters.
 *
 * Invariants: a complaint ends nothing, so that one reading finds every mistake;
 * of a mistake nothing follows that would be a complaint of its own (what stood
 * in a line that was refused is not said to be missing); and with a complaint
 * there is no config to run with. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../protocol/alloc.h"
#include "config_keys.h"
#include "config_values.h"

enum {
	FILE_MAX_BYTES = 1 << 20,
	LINE_MAX_BYTES = 190,     /* inih cuts at 197 or less, depending on its build */
	PASSWORD_MAX_BYTES = 512,
	TOKEN_MIN_BYTES = 16,
	COMPLAINTS_MAX = 100,     /* that are told; the others are counted */
	COMMENT_COLUMN = 33,      /* where config_print() begins a comment */
};

struct loader {
	const char *path;
	const char *at;                    /* the rest of the file */
	const char *end;
	unsigned line;                     /* number of the line read last, 1 is the first; 0: none */
	unsigned lines[CONFIG_KEY_COUNT];  /* where each key stood last, 0: nowhere */
	bool refused[CONFIG_KEY_COUNT];    /* a value of it was */
	bool skipping;                     /* the section is none: its keys are not looked at */
	bool line_lost;                    /* of some line nobody knows which key it was meant to be */
	struct config *config;
	unsigned complaints;
	FILE *out;                         /* they are written to; NULL while all is well */
	char *errors;                      /* and stand here, one a line, when it is closed */
	size_t errors_length;
};

/* ---- complaints ---- */

/* "file:line: [section] key: text", without what is unknown. Always false. */
static bool complain(struct loader *loader, unsigned line, const char *section, const char *key, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static bool complain(struct loader *loader, unsigned line, const char *section, const char *key, const char *format, ...)
{
	FILE *out = loader->out;
	va_list args;

	if (++loader->complaints > COMPLAINTS_MAX)
		return false;
	if (out == NULL)
		out = loader->out = alloc_checked(open_memstream(&loader->errors, &loader->errors_length));
	else
		fputc('\n', out);
	if (loader->path != NULL)
		fprintf(out, "%s:", loader->path);
	if (line > 0)
		fprintf(out, "%u:", line);
	if (loader->path != NULL)
		fputc(' ', out);
	if (section[0] != '\0')
		fprintf(out, "[%s]", section);
	if (key[0] != '\0')
		fprintf(out, "%s%s:", section[0] != '\0' ? " " : "", key);
	else if (section[0] != '\0')
		fputc(':', out);
	if (section[0] != '\0' || key[0] != '\0')
		fputc(' ', out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	return false;
}

/* The complaints, one a line; NULL: there are none. */
static char *end_complaints(struct loader *loader)
{
	if (loader->out == NULL)
		return NULL;
	if (loader->complaints > COMPLAINTS_MAX)
		fprintf(loader->out, "\n%s: and %u more", loader->path == NULL ? "" : loader->path, loader->complaints - COMPLAINTS_MAX);
	fclose(loader->out);
	loader->out = NULL;
	return loader->errors;
}

/* A line that could be anything. */
static bool lose_line(struct loader *loader)
{
	loader->line_lost = true;
	return false;
}

static bool complain_about(struct loader *loader, enum config_key_id id, const char *text)
{
	const struct config_key *key = &config_keys[id];

	loader->refused[id] = true;
	return complain(loader, loader->lines[id], key->section, key->name, "%s", text);
}

/* ---- files ---- */

/* `size` bytes or what there is of them. */
static char *read_bytes(int fd, size_t size, size_t *length, struct config_problem *problem)
{
	char *bytes = alloc_zeroed(size + 1, 1);

	*length = 0;
	while (*length < size) {
		ssize_t count = read(fd, bytes + *length, size - *length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			config_explain(problem, "cannot be read: %s", strerror(errno));
			free(bytes);
			return NULL;
		}
		if (count == 0)
			break;
		*length += (size_t)count;
	}
	return bytes;
}

static char *read_open_file(int fd, size_t max, size_t *length, struct stat *status, struct config_problem *problem)
{
	if (fstat(fd, status) != 0 || !S_ISREG(status->st_mode)) {
		config_explain(problem, "is not a regular file");
		return NULL;
	}
	if ((uintmax_t)status->st_size > max) {
		config_explain(problem, "is longer than %zu bytes", max);
		return NULL;
	}
	return read_bytes(fd, (size_t)status->st_size, length, problem);
}

/* The whole regular file with a NUL behind it, at most `max` bytes; the caller
 * frees it. NULL with *problem set. */
static char *read_file(const char *path, size_t max, size_t *length, struct stat *status, struct config_problem *problem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not keep us waiting */
	char *bytes;

	if (fd < 0) {
		config_explain(problem, "cannot be opened: %s", strerror(errno));
		return NULL;
	}
	bytes = read_open_file(fd, max, length, status, problem);
	close(fd);
	return bytes;
}

/* ---- lines ---- */

static bool check_bytes(struct loader *loader, const char *line, size_t length)
{
	if (length > LINE_MAX_BYTES)
		return complain(loader, loader->line, "", "", "expected at most %d bytes in a line, got %zu",
				LINE_MAX_BYTES, length);
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return complain(loader, loader->line, "", "", "control character 0x%02x in column %zu",
					(unsigned char)line[i], i + 1);
	return true;
}

/* "[section]", and nothing but a comment behind it. */
static bool check_section(struct loader *loader, char *line)
{
	char *end = strchr(line, ']');
	const char *rest = end == NULL ? "" : end + 1 + strspn(end + 1, " \t");
	const char *name = line + 1;

	if (end == NULL || (*rest != '\0' && *rest != ';' && *rest != '#'))
		return complain(loader, loader->line, "", "", "expected [section], got \"%s\"", line);
	*end = '\0';
	if (!config_section_known(name))
		return complain(loader, loader->line, name, "", "unknown section; did you mean [%s]?",
				config_section_nearest(name));
	*end = ']';
	loader->skipping = false;
	return true;
}

static bool check_line(struct loader *loader, char *line)
{
	const char *first = line + strspn(line, " \t");
	const char *separator = strpbrk(line, "=:");

	if (*first == '\0' || *first == ';' || *first == '#')
		return true;
	if (first != line)
		return complain(loader, loader->line, "", "", "expected no blank at the beginning of the line");
	if (*line == '[') {
		loader->skipping = true;
		return check_section(loader, line);
	}
	if (loader->skipping)
		return false;
	if (separator == NULL || separator == line || *separator != '=')
		return complain(loader, loader->line, "", "", "expected key = value, got \"%s\"", line);
	return true;
}

/* The next line without its end; false at the end of the file. */
static bool read_line(struct loader *loader, const char **begin, size_t *length)
{
	const char *feed;

	if (loader->at == loader->end)
		return false;
	*begin = loader->at;
	feed = memchr(*begin, '\n', (size_t)(loader->end - *begin));
	*length = (size_t)((feed == NULL ? loader->end : feed) - *begin);
	loader->at = feed == NULL ? loader->end : feed + 1;
	loader->line++;
	if (*length > 0 && (*begin)[*length - 1] == '\r')
		--*length;
	return true;
}

static bool take_line(struct loader *loader, char *line, int room, const char *begin, size_t length)
{
	if (!check_bytes(loader, begin, length))
		return lose_line(loader);
	if (length + 2 > (size_t)room) { /* an inih built for even shorter lines */
		complain(loader, loader->line, "", "", "expected at most %d bytes in a line, got %zu", room - 2, length);
		return lose_line(loader);
	}
	memcpy(line, begin, length);
	line[length] = '\0';
	if (!check_line(loader, line))
		return lose_line(loader);
	memcpy(line + length, "\n", 2);
	return true;
}

/* An ini_reader: the next good line with its line feed, NULL at the end of the
 * file. */
static char *next_line(char *line, int room, void *arg)
{
	struct loader *loader = arg;
	const char *begin;
	size_t length;

	while (read_line(loader, &begin, &length))
		if (take_line(loader, line, room, begin, length))
			return line;
	return NULL;
}

/* ---- keys and values ---- */

static void refuse_key(struct loader *loader, const char *section, const char *name)
{
	const struct config_key *nearest;

	lose_line(loader);
	if (section[0] == '\0') {
		complain(loader, loader->line, "", name, "expected a [section] in front of the first key");
		return;
	}
	nearest = config_key_nearest(section, name);
	complain(loader, loader->line, section, name, "unknown key; did you mean [%s] %s?", nearest->section, nearest->name);
}

static bool take_key(struct loader *loader, enum config_key_id id, const char *value)
{
	const struct config_key *key = &config_keys[id];
	unsigned before = loader->lines[id];
	struct config_problem problem;

	loader->lines[id] = loader->line;
	if (before != 0 && !key->repeatable) {
		config_explain(&problem, "stands a second time, first in line %u", before);
		complain_about(loader, id, problem.text);
		loader->lines[id] = before; /* that one counts */
		return false;
	}
	return key->type->parse(key, value, loader->config, &problem) || complain_about(loader, id, problem.text);
}

/* An ini_handler: one key with its value. It is always content: inih shall go on. */
static int take_value(void *arg, const char *section, const char *name, const char *value)
{
	struct loader *loader = arg;
	const struct config_key *key = config_key_find(section, name);

	if (key != NULL)
		take_key(loader, (enum config_key_id)(key - config_keys), value);
	else
		refuse_key(loader, section, name);
	return true;
}

static void read_lines(struct loader *loader)
{
	int bad_line = ini_parse_stream(next_line, loader, take_value, loader);

	if (bad_line != 0)
		complain(loader, loader->line, "", "", "expected key = value or [section]");
}

/* Of what was not said, and, so that the rest can be looked at, of what could
 * not be understood; of a list, such as the listeners, that would be too much. */
static void apply_defaults(struct loader *loader)
{
	struct config_problem problem;

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		if ((loader->lines[i] == 0 || (loader->refused[i] && !key->repeatable)) && key->default_value != NULL &&
		    !key->type->parse(key, key->default_value, loader->config, &problem))
			complain_about(loader, (enum config_key_id)i, problem.text);
	}
}

/* ---- what one line alone cannot tell ---- */

static void check_listeners(struct loader *loader)
{
	const struct config *config = loader->config;

	if (config->listen.count == 0 && config->listen_replica.count == 0 && !loader->refused[CONFIG_KEY_LISTEN] &&
	    !loader->refused[CONFIG_KEY_LISTEN_REPLICA])
		complain_about(loader, CONFIG_KEY_LISTEN, "expected at least one address here or in listen_replica");
}

static bool is_node(const struct topology_config *topology, const struct config_address *address)
{
	for (size_t i = 0; i < topology->node_count && address->host != NULL; i++)
		if (topology->nodes[i].port == address->port && config_same_host(topology->nodes[i].host, address->host))
			return true;
	return false;
}

/* weir in front of itself would answer its own requests for ever. */
static void check_no_loop(struct loader *loader, enum config_key_id id)
{
	const struct config_listeners *listeners = config_value(&config_keys[id], loader->config);
	struct config_problem problem;

	for (size_t i = 0; i < listeners->count; i++) {
		if (!is_node(&loader->config->topology, &listeners->addresses[i]))
			continue;
		config_explain(&problem, "%s is the address of a server in [replication]", listeners->addresses[i].text);
		complain_about(loader, id, problem.text);
	}
}

static bool is_replica_name(const struct topology_config *topology, const char *name)
{
	for (size_t i = 1; i < topology->node_count; i++)
		if (strcmp(topology->nodes[i].name, name) == 0)
			return true;
	return false;
}

static void check_overwrite(struct loader *loader)
{
	const struct topology_config *topology = &loader->config->topology;
	struct config_problem problem;

	if (loader->refused[CONFIG_KEY_MASTER] || loader->refused[CONFIG_KEY_REPLICA])
		return; /* the name may be that of a server which could not be read */
	for (size_t i = 0; i < topology->allow_overwrite_count; i++) {
		if (is_replica_name(topology, topology->allow_overwrite[i]))
			continue;
		config_explain(&problem, "expected names of replicas, but none has the name \"%s\"",
			      topology->allow_overwrite[i]);
		complain_about(loader, CONFIG_KEY_ALLOW_OVERWRITE, problem.text);
	}
}

/* The one line of a password file, without its line end. */
static bool parse_password(char *bytes, size_t length, struct config_problem *problem)
{
	if (length > 0 && bytes[length - 1] == '\n')
		bytes[--length] = '\0';
	if (length > 0 && bytes[length - 1] == '\r')
		bytes[--length] = '\0';
	if (length == 0 || memchr(bytes, '\n', length) != NULL || memchr(bytes, '\0', length) != NULL)
		return config_refuse(problem, "expected one line and nothing else");
	return true;
}

/* The group may read it, as is usual where somebody else hands secrets out. */
static bool is_kept_secret(const struct stat *status, struct config_problem *problem)
{
	unsigned mode = status->st_mode & 07777;

	if (mode & (S_IROTH | S_IWOTH))
		return config_refuse(problem, "is open to every user of this machine (mode %04o); make it 0600", mode);
	if (mode & S_IWGRP)
		return config_refuse(problem, "can be changed by its group (mode %04o); make it 0600", mode);
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return config_refuse(problem, "belongs to another user (%u)", (unsigned)status->st_uid);
	return true;
}

static bool read_password(const char *path, char **password, struct config_problem *problem)
{
	size_t length;
	struct stat status;
	char *bytes = read_file(path, PASSWORD_MAX_BYTES, &length, &status, problem);

	if (bytes == NULL)
		return false;
	if (is_kept_secret(&status, problem) && parse_password(bytes, length, problem)) {
		*password = bytes;
		return true;
	}
	explicit_bzero(bytes, length);
	free(bytes);
	return false;
}

/* The secret in the file that a key names; "" where it names none, or no good one. */
static void load_secret(struct loader *loader, enum config_key_id id, const char *path, char **secret)
{
	struct config_problem problem, whole;

	if (path[0] != '\0' && read_password(path, secret, &problem))
		return;
	*secret = alloc_text("", 0);
	if (path[0] == '\0')
		return;
	config_explain(&whole, "%.200s %.280s", path, problem.text);
	complain_about(loader, id, whole.text);
}

static void check_token(struct loader *loader)
{
	const struct config *config = loader->config;
	struct config_problem problem;

	if (config->admin_token[0] == '\0' || strlen(config->admin_token) >= TOKEN_MIN_BYTES)
		return;
	config_explain(&problem, "%s: expected a token of %d bytes at least", config->token_file, TOKEN_MIN_BYTES);
	complain_about(loader, CONFIG_KEY_ADMIN_TOKEN_FILE, problem.text);
}

static void load_secrets(struct loader *loader)
{
	struct config *config = loader->config;

	load_secret(loader, CONFIG_KEY_PASSWORD_FILE, config->password_file, &config->topology.password);
	load_secret(loader, CONFIG_KEY_SENTINEL_PASSWORD_FILE, config->sentinel_password_file,
		    &config->topology.sentinel.password);
	load_secret(loader, CONFIG_KEY_ADMIN_TOKEN_FILE, config->token_file, &config->admin_token);
	check_token(loader);
}

/* Either the file names the servers or the sentinels do. */
static void check_sentinel(struct loader *loader)
{
	const struct topology_config *topology = &loader->config->topology;
	bool named = topology->sentinel.name[0] != '\0';

	if (loader->refused[CONFIG_KEY_SENTINEL_NAME] || loader->refused[CONFIG_KEY_SENTINEL_ADDRESS])
		return;
	if (topology->sentinel.count > 0 && !named)
		complain_about(loader, CONFIG_KEY_SENTINEL_NAME, "expected the name that the sentinels give the master");
	else if (named && topology->sentinel.count == 0)
		complain_about(loader, CONFIG_KEY_SENTINEL_ADDRESS, "expected host:port of a sentinel, found none");
	else if (named && topology->node_count > 0)
		complain_about(loader, CONFIG_KEY_MASTER,
			       "the sentinels say who master and replicas are; leave out these lines, or [sentinel]");
}

/* Nothing is promoted where weir wires nothing. */
static void check_failover(struct loader *loader)
{
	const struct topology_config *topology = &loader->config->topology;

	if (topology->failover.mode == TOPOLOGY_FAILOVER_OFF)
		return;
	if (topology->sentinel.count > 0)
		complain_about(loader, CONFIG_KEY_FAILOVER_MODE, "the sentinels decide who the master is; expected off");
	else if (topology->wiring == TOPOLOGY_WIRING_OBSERVE)
		complain_about(loader, CONFIG_KEY_FAILOVER_MODE, "with wiring = observe nothing is changed; expected off");
}

static void check(struct loader *loader)
{
	check_listeners(loader);
	check_sentinel(loader);
	check_failover(loader);
	check_no_loop(loader, CONFIG_KEY_LISTEN);
	check_no_loop(loader, CONFIG_KEY_LISTEN_REPLICA);
	check_no_loop(loader, CONFIG_KEY_ADMIN_LISTEN);
	check_overwrite(loader);
	load_secrets(loader);
}

static bool names_sentinels(const struct loader *loader)
{
	const struct topology_sentinel_config *sentinel = &loader->config->topology.sentinel;

	return sentinel->name[0] != '\0' || sentinel->count > 0 || loader->refused[CONFIG_KEY_SENTINEL_NAME] ||
	       loader->refused[CONFIG_KEY_SENTINEL_ADDRESS];
}

static void complete(struct loader *loader)
{
	apply_defaults(loader);
	if (loader->lines[CONFIG_KEY_MASTER] == 0 && !loader->line_lost && !names_sentinels(loader))
		complain_about(loader, CONFIG_KEY_MASTER, "expected host:port of the master, found none");
	check(loader);
}

/* ---- the public part ---- */

static struct config *create(void)
{
	struct config *config = alloc_zeroed(1, sizeof(*config));

	atomic_init(&config->references, 1);
	return config;
}

static struct config *finish(struct loader *loader, char **errors)
{
	if (loader->complaints > 0)
		config_release(&loader->config);
	*errors = end_complaints(loader);
	return loader->config;
}

static void read_all(struct loader *loader)
{
	struct config_problem problem;
	size_t length;
	struct stat status;
	char *bytes = read_file(loader->path, FILE_MAX_BYTES, &length, &status, &problem);
	bool marked;

	if (bytes == NULL) {
		complain(loader, 0, "", "", "%s", problem.text);
		config_release(&loader->config);
		return;
	}
	marked = strncmp(bytes, "\xef\xbb\xbf", 3) == 0; /* UTF-8, as some editors say */
	loader->at = bytes + (marked ? 3 : 0);
	loader->end = bytes + length;
	read_lines(loader);
	complete(loader);
	free(bytes);
}

struct config *config_load(const char *path, char **errors)
{
	struct loader loader = { .path = path, .config = create() };

	read_all(&loader);
	return finish(&loader, errors);
}

struct config *config_inspect(const char *path, char **errors)
{
	struct loader loader = { .path = path, .config = create() };

	read_all(&loader);
	*errors = end_complaints(&loader);
	return loader.config;
}

/* All values of a key, as they would stand in a file. */
static bool copy_values(struct loader *loader, const struct config_key *key, const struct config *from)
{
	char value[CONFIG_VALUE_ROOM];
	struct config_problem problem;

	for (size_t index = 0; key->type->print(key, from, index, value); index++)
		if (!key->type->parse(key, value, loader->config, &problem))
			return complain(loader, 0, key->section, key->name, "%s", problem.text);
	return true;
}

static bool take_change(struct loader *loader, const struct config_key *key, const struct config_change *change)
{
	struct config_problem problem;

	return key->type->parse(key, change->value, loader->config, &problem) ||
	       complain(loader, 0, key->section, key->name, "%s", problem.text);
}

static const struct config_change *find_change(const struct config_change *changes, size_t count, const struct config_key *key)
{
	for (size_t i = 0; i < count; i++)
		if (changes[i].key == key)
			return &changes[i];
	return NULL;
}

struct config *config_alter(const struct config *base, const struct config_change *changes, size_t count, char **errors)
{
	struct loader loader = { .config = create() };

	for (size_t i = 0; i < CONFIG_KEY_COUNT && loader.complaints == 0; i++) {
		const struct config_change *change = find_change(changes, count, &config_keys[i]);

		if (change != NULL)
			take_change(&loader, &config_keys[i], change);
		else
			copy_values(&loader, &config_keys[i], base);
	}
	if (loader.complaints == 0)
		check(&loader);
	return finish(&loader, errors);
}

struct config *config_keep_fixed(const struct config *next, const struct config *present, char **errors)
{
	struct loader loader = { .config = create() };

	for (size_t i = 0; i < CONFIG_KEY_COUNT && loader.complaints == 0; i++)
		copy_values(&loader, &config_keys[i], config_keys[i].reload == CONFIG_RESTART ? present : next);
	if (loader.complaints == 0)
		check(&loader);
	return finish(&loader, errors);
}

struct config *config_acquire(struct config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

static void forget_secret(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void config_free(struct config *config)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
		if (config_keys[i].type->clear != NULL)
			config_keys[i].type->clear(&config_keys[i], config);
	forget_secret(config->topology.password);
	forget_secret(config->topology.sentinel.password);
	forget_secret(config->admin_token);
	free(config);
}

void config_release(struct config **config)
{
	struct config *gone = *config;

	*config = NULL;
	if (gone != NULL && atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) == 1)
		config_free(gone);
}

/* One line of the file, with the key's comment where the line stays readable
 * for config_load(). */
static void print_line(const struct config_key *key, const char *value, bool commented, FILE *out)
{
	const char *blank = value[0] == '\0' ? "" : " ";
	int length;

	if (strlen(key->name) + strlen(value) + 3 > LINE_MAX_BYTES) {
		fprintf(out, "%s=%s\n", key->name, value);
		return;
	}
	length = fprintf(out, "%s =%s%s", key->name, blank, value);
	if (commented && length > 0 && length + COMMENT_COLUMN + strlen(key->help) <= LINE_MAX_BYTES)
		fprintf(out, "%*s; %s", length < COMMENT_COLUMN ? COMMENT_COLUMN - length : 1, "", key->help);
	fputc('\n', out);
}

void config_print(const struct config *config, FILE *out)
{
	char value[CONFIG_VALUE_ROOM];

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		if (i == 0 || strcmp(key->section, config_keys[i - 1].section) != 0)
			fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", key->section);
		for (size_t index = 0; key->type->print(key, config, index, value); index++)
			print_line(key, value, index == 0, out);
	}
}

/* ---- what is different ---- */

static void join_values(const struct config_key *key, const struct config *config, char text[CONFIG_TEXT_ROOM])
{
	char value[CONFIG_VALUE_ROOM];
	size_t length = 0;

	text[0] = '\0';
	for (size_t index = 0; length < CONFIG_TEXT_ROOM && key->type->print(key, config, index, value); index++)
		length += (size_t)snprintf(text + length, CONFIG_TEXT_ROOM - length, "%s%s", index > 0 ? ", " : "", value);
}

/* The same file, other contents. */
static bool secret_differs(const struct config_key *key, const struct config *a, const struct config *b)
{
	return (key == &config_keys[CONFIG_KEY_PASSWORD_FILE] && strcmp(a->topology.password, b->topology.password) != 0) ||
	       (key == &config_keys[CONFIG_KEY_ADMIN_TOKEN_FILE] && strcmp(a->admin_token, b->admin_token) != 0);
}

static bool differs(const struct config_key *key, const struct config *a, const struct config *b)
{
	char left[CONFIG_VALUE_ROOM], right[CONFIG_VALUE_ROOM];
	bool more = true;

	if (secret_differs(key, a, b))
		return true;
	for (size_t index = 0; more; index++) {
		more = key->type->print(key, a, index, left);
		if (key->type->print(key, b, index, right) != more || (more && strcmp(left, right) != 0))
			return true;
	}
	return false;
}

size_t config_compare(const struct config *before, const struct config *after, config_difference_fn *tell, void *arg)
{
	char left[CONFIG_TEXT_ROOM], right[CONFIG_TEXT_ROOM];
	size_t count = 0;

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		if (!differs(key, before, after))
			continue;
		join_values(key, before, left);
		join_values(key, after, right);
		tell(arg, key, left, right);
		count++;
	}
	return count;
}
