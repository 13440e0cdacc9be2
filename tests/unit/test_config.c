/* proxy.ini: every kind of value, every complaint, and the way back: what
 * config_print() writes is read as the same configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../proxy/config/config.h"
#include "../../proxy/config/config_keys.h"

static char directory[] = "/tmp/weir-test-config-XXXXXX";
static char ini_path[64], password_path[64];

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(ini_path, sizeof(ini_path), "%s/proxy.ini", directory);
	snprintf(password_path, sizeof(password_path), "%s/password", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(ini_path);
	unlink(password_path);
	return rmdir(directory);
}

static void write_file(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static struct config *load_bytes(const char *bytes, size_t length, char **error)
{
	write_file(ini_path, bytes, length);
	return config_load(ini_path, error);
}

/* Loads a text that has to be good. */
static struct config *load(const char *text)
{
	char *error;
	struct config *config = load_bytes(text, strlen(text), &error);

	if (config == NULL)
		fail_msg("%s", error);
	assert_null(error);
	return config;
}

/* The complaint about bytes that have to be bad, behind "<path>:". */
static void expect_error_bytes(const char *bytes, size_t length, const char *expected)
{
	char *error = NULL;
	struct config *config = load_bytes(bytes, length, &error);
	size_t path_length = strlen(ini_path);

	if (config != NULL)
		fail_msg("accepted, expected: %s", expected);
	assert_non_null(error);
	assert_memory_equal(error, ini_path, path_length);
	assert_int_equal(error[path_length], ':');
	error[strcspn(error, "\n")] = '\0'; /* the first of them */
	assert_string_equal(error + path_length + 1, expected);
	free(error);
}

/* All of them. `expected` has a line for each, without the file's name. */
static void expect_errors(const char *text, const char *expected)
{
	char *error, *whole = NULL;
	size_t length;
	FILE *out = open_memstream(&whole, &length);

	assert_null(load_bytes(text, strlen(text), &error));
	for (const char *line = expected; *line != '\0'; line += strcspn(line, "\n") + (strchr(line, '\n') != NULL))
		fprintf(out, "%s%s:%.*s", line == expected ? "" : "\n", ini_path, (int)strcspn(line, "\n"), line);
	fclose(out);
	assert_string_equal(error, whole);
	free(error);
	free(whole);
}

static void expect_error(const char *text, const char *expected)
{
	expect_error_bytes(text, strlen(text), expected);
}

#define MASTER "[replication]\nmaster = 10.0.0.1:6379\n"

/* ---- what is read ---- */

static void test_defaults(void **state)
{
	struct config *config = load(MASTER);
	const struct topology_config *topology = &config->topology;

	(void)state;
	assert_int_equal(config->listen.count, 1);
	assert_string_equal(config->listen.addresses[0].text, "127.0.0.1:7379");
	assert_string_equal(config->listen.addresses[0].host, "127.0.0.1");
	assert_int_equal(config->listen.addresses[0].port, 7379);
	assert_null(config->listen.addresses[0].unix_path);
	assert_int_equal(config->listen_replica.count, 0);
	assert_int_equal(config->admin_listen.count, 1);
	assert_int_equal(config->admin_listen.addresses[0].port, 7390);
	assert_int_equal(config->workers, 0);
	assert_int_equal(config->max_clients, 10000);
	assert_int_equal(config->client_output_limit, INT64_C(1) << 30);
	assert_int_equal(config->max_private_backends, 1000);
	assert_false(config->allow_sync);
	assert_int_equal(config->client_idle_timeout_ms, 0);
	assert_int_equal(config->client_header_timeout_ms, 30000);
	assert_int_equal(config->max_memory, 0);
	assert_int_equal(config->drain_timeout_ms, 10000);
	assert_int_equal(config->consistency, CONSISTENCY_SESSION);
	assert_int_equal(config->session_scope, SESSION_SCOPE_WEIR);
	assert_int_equal(config->catch_up_wait_ms, 2);
	assert_int_equal(config->fallback, FALLBACK_MASTER);
	assert_int_equal(config->no_master_reads, NO_MASTER_READS_SERVE);
	assert_int_equal(config->scan, SCAN_MASTER);
	assert_string_equal(config->module_reads, "");
	assert_int_equal(config->backend_timeout_ms, 1000);
	assert_int_equal(config->write_hold_ms, 2000);
	assert_int_equal(config->write_hold_bytes, 64 << 20);
	assert_string_equal(config->password_file, "");
	assert_int_equal(config->log_level, LOG_LEVEL_NOTICE);
	assert_int_equal(topology->node_count, 1);
	assert_string_equal(topology->nodes[0].name, "10.0.0.1:6379");
	assert_string_equal(topology->nodes[0].host, "10.0.0.1");
	assert_int_equal(topology->nodes[0].port, 6379);
	assert_null(topology->nodes[0].announce_host);
	assert_int_equal(topology->nodes[0].weight, 1);
	assert_int_equal(topology->wiring, TOPOLOGY_WIRING_ENFORCE);
	assert_int_equal(topology->allow_overwrite_count, 0);
	assert_false(topology->accept_reset_master);
	assert_int_equal(topology->max_lag_ms, 1000);
	assert_int_equal(topology->max_lag_bytes, 16 << 20);
	assert_int_equal(topology->interval_ms, 100);
	assert_int_equal(topology->timeout_ms, 1000);
	assert_int_equal(topology->rise, 2);
	assert_int_equal(topology->fall, 3);
	assert_string_equal(topology->user, "");
	assert_string_equal(topology->password, "");
	config_release(&config);
	assert_null(config);
}

static const char everything[] =
	"\xef\xbb\xbf; a comment\r\n"
	"# another\n"
	"   ; and one behind blanks\n"
	"\n"
	"[proxy] ; the first section\n"
	"listen = 0.0.0.0:7000 ; a comment\n"
	"listen = [::1]:7000\n"
	"listen=unix:/run/weir.sock mode=0660\r\n"
	"listen_replica\t=\thost-1.example:7001\n"
	"workers = 4\n"
	"max_clients = 20000\n"
	"client_output_limit = 64kb\n"
	"max_private_backends = 7\n"
	"allow_sync = yes\n"
	"client_idle_timeout = 5\n"
	"client_header_timeout = 250ms\n"
	"max_memory = 3gb\n"
	"drain_timeout = 1m\n"
	"[replication]\n"
	"replica = c:6380 weight=1000 name=third announce=10.9.8.7:1\n"
	"master = a:6379   name=first\tannounce=[2001:db8::1]:6379\n"
	"replica = [2001:db8::2]:6379 weight=2\n"
	"wiring = observe\n"
	"allow_overwrite = third, [2001:db8::2]:6379\n"
	"accept_reset_master = YES\n"
	"[routing]\n"
	"consistency = strong\n"
	"session_scope = connection\n"
	"max_lag = 1500ms\n"
	"max_lag_bytes = 1k\n"
	"catch_up_wait = 0\n"
	"fallback = error\n"
	"no_master_reads = refuse\n"
	"scan = replica\n"
	"module_reads = ft.search,  json.get\n"
	"backend_timeout = 1h\n"
	"write_hold = 0ms\n"
	"write_hold_bytes = 0\n"
	"[health]\n"
	"interval = 10ms\n"
	"timeout = 250ms\n"
	"rise = 1\n"
	"fall = 1000\n"
	"[auth]\n"
	"user = weir\n"
	"[admin]\n"
	"listen =\n"
	"[log]\n"
	"level = debug";

static void assert_everything(const struct config *config)
{
	const struct topology_config *topology = &config->topology;

	assert_int_equal(config->listen.count, 3);
	assert_string_equal(config->listen.addresses[1].host, "::1");
	assert_string_equal(config->listen.addresses[2].unix_path, "/run/weir.sock");
	assert_int_equal(config->listen.addresses[2].unix_mode, 0660);
	assert_null(config->listen.addresses[2].host);
	assert_string_equal(config->listen_replica.addresses[0].host, "host-1.example");
	assert_int_equal(config->workers, 4);
	assert_int_equal(config->max_clients, 20000);
	assert_int_equal(config->client_output_limit, 65536);
	assert_int_equal(config->max_private_backends, 7);
	assert_true(config->allow_sync);
	assert_int_equal(config->client_idle_timeout_ms, 5000);
	assert_int_equal(config->client_header_timeout_ms, 250);
	assert_int_equal(config->max_memory, INT64_C(3) << 30);
	assert_int_equal(config->drain_timeout_ms, 60000);
	assert_int_equal(topology->node_count, 3);
	assert_string_equal(topology->nodes[0].name, "first");
	assert_string_equal(topology->nodes[0].announce_host, "2001:db8::1");
	assert_int_equal(topology->nodes[0].announce_port, 6379);
	assert_string_equal(topology->nodes[1].name, "third");
	assert_string_equal(topology->nodes[1].announce_host, "10.9.8.7");
	assert_int_equal(topology->nodes[1].announce_port, 1);
	assert_int_equal(topology->nodes[1].weight, 1000);
	assert_string_equal(topology->nodes[2].host, "2001:db8::2");
	assert_string_equal(topology->nodes[2].name, "[2001:db8::2]:6379");
	assert_int_equal(topology->nodes[2].weight, 2);
	assert_int_equal(topology->wiring, TOPOLOGY_WIRING_OBSERVE);
	assert_int_equal(topology->allow_overwrite_count, 2);
	assert_string_equal(topology->allow_overwrite[0], "third");
	assert_string_equal(topology->allow_overwrite[1], "[2001:db8::2]:6379");
	assert_true(topology->accept_reset_master);
	assert_int_equal(config->consistency, CONSISTENCY_STRONG);
	assert_int_equal(config->session_scope, SESSION_SCOPE_CONNECTION);
	assert_int_equal(topology->max_lag_ms, 1500);
	assert_int_equal(topology->max_lag_bytes, 1000);
	assert_int_equal(config->catch_up_wait_ms, 0);
	assert_int_equal(config->fallback, FALLBACK_ERROR);
	assert_int_equal(config->no_master_reads, NO_MASTER_READS_REFUSE);
	assert_int_equal(config->scan, SCAN_REPLICA);
	assert_string_equal(config->module_reads, "ft.search json.get");
	assert_int_equal(config->backend_timeout_ms, 3600000);
	assert_int_equal(config->write_hold_ms, 0);
	assert_int_equal(config->write_hold_bytes, 0);
	assert_int_equal(topology->interval_ms, 10);
	assert_int_equal(topology->timeout_ms, 250);
	assert_int_equal(topology->rise, 1);
	assert_int_equal(topology->fall, 1000);
	assert_string_equal(topology->user, "weir");
	assert_int_equal(config->admin_listen.count, 0);
	assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
}

static void test_everything(void **state)
{
	struct config *config = load(everything);

	(void)state;
	assert_everything(config);
	config_release(&config);
}

enum { PRINTED_ROOM = 65536 };

/* What config_print() says; the caller frees it. */
static char *printed(const struct config *config)
{
	char *text = calloc(1, PRINTED_ROOM);
	FILE *out = fmemopen(text, PRINTED_ROOM, "w");

	assert_non_null(out);
	config_print(config, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_print_and_read_again(void **state)
{
	struct config *config = load(everything), *again;
	char *text = printed(config), *text_again;

	(void)state;
	again = load(text);
	assert_everything(again);
	text_again = printed(again);
	assert_string_equal(text, text_again);
	free(text);
	free(text_again);
	config_release(&config);
	config_release(&again);
}

/* Lines as long as the file allows must stay so when they are written back. */
static void test_print_longest_lines(void **state)
{
	char text[1024], path[256];
	struct config *config, *again;
	char *out;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[190 - strlen("listen=unix:/")] = '\0';
	snprintf(text, sizeof(text), "[proxy]\nlisten=unix:/%.*s\n%s", 95, path, MASTER);
	config = load(text);
	config_release(&config);
	memset(path, 'x', sizeof(path));
	path[190 - strlen("module_reads=")] = '\0';
	snprintf(text, sizeof(text), "[routing]\nmodule_reads=%s\n%s", path, MASTER);
	config = load(text);
	out = printed(config);
	again = load(out);
	assert_string_equal(again->module_reads, path);
	free(out);
	config_release(&config);
	config_release(&again);
}

/* The shipped file is the table: the same keys, defaults, comments and order. */
static void test_shipped_file(void **state)
{
	char *error, *text, *shipped;
	struct config *config = config_load("proxy.ini", &error);
	FILE *file = fopen("proxy.ini", "r");
	size_t length;

	(void)state;
	if (config == NULL)
		fail_msg("%s", error);
	assert_non_null(file);
	shipped = calloc(1, 65536);
	length = fread(shipped, 1, 65535, file);
	assert_true(length > 0 && length < 65535);
	fclose(file);
	text = printed(config);
	assert_non_null(strstr(shipped, "[proxy]\n"));
	assert_string_equal(strstr(shipped, "[proxy]\n"), text);
	free(text);
	free(shipped);
	config_release(&config);
}

/* Every default, written out, is what the key's absence means. */
static void test_defaults_written_out(void **state)
{
	struct config *config = load(MASTER), *shipped;
	char *error, *text, *shipped_text;

	(void)state;
	shipped = config_load("proxy.ini", &error);
	assert_non_null(shipped);
	text = printed(config);
	shipped_text = printed(shipped);
	assert_string_equal(strstr(text, "wiring ="), strstr(shipped_text, "wiring ="));
	*strstr(text, "[replication]") = *strstr(shipped_text, "[replication]") = '\0';
	assert_string_equal(text, shipped_text);
	free(text);
	free(shipped_text);
	config_release(&config);
	config_release(&shipped);
}

/* ---- complaints ---- */

struct complaint {
	const char *text;
	const char *expected; /* behind "<path>:" */
};

static const struct complaint complaints[] = {
	/* the file's form */
	{ "", " [replication] master: expected host:port of the master, found none" },
	{ "[proxy]\n", " [replication] master: expected host:port of the master, found none" },
	{ "listen = 1.2.3.4:5\n", "1: listen: expected a [section] in front of the first key" },
	{ "[proxy\nlisten = 1.2.3.4:5\n", "1: expected [section], got \"[proxy\"" },
	{ "[proxy] listen\n", "1: expected [section], got \"[proxy] listen\"" },
	{ "\n[prxy]\n", "2: [prxy]: unknown section; did you mean [proxy]?" },
	{ "[]\n", "1: unknown section; did you mean [log]?" },
	{ "[proxy]\nlisten\n", "2: expected key = value, got \"listen\"" },
	{ "[proxy]\nlisten : 1.2.3.4:5\n", "2: expected key = value, got \"listen : 1.2.3.4:5\"" },
	{ "[proxy]\n= 1\n", "2: expected key = value, got \"= 1\"" },
	{ "[proxy]\nworkers = 2\n  3\n", "3: expected no blank at the beginning of the line" },
	{ "[proxy]\n\tworkers = 2\n", "2: expected no blank at the beginning of the line" },
	{ "[proxy]\nworkers = 2\rmax_clients = 1\n", "2: control character 0x0d in column 12" },
	{ "[proxy]\nworkers = \x1b[2J\n", "2: control character 0x1b in column 11" },
	/* keys */
	{ "[proxy]\nmax_client = 1\n", "2: [proxy] max_client: unknown key; did you mean [proxy] max_clients?" },
	{ "[proxy]\nmax_lag = 1s\n", "2: [proxy] max_lag: unknown key; did you mean [routing] max_lag?" },
	{ "[proxy]\nWORKERS = 1\n", "2: [proxy] WORKERS: unknown key; did you mean [proxy] workers?" },
	{ "[log]\nlisten = 1\n", "2: [log] listen: unknown key; did you mean [proxy] listen?" },
	{ "[proxy]\nworkers = 1\n\nworkers = 1\n", "4: [proxy] workers: stands a second time, first in line 2" },
	{ MASTER "master = 10.0.0.2:6379\n", "3: [replication] master: stands a second time, first in line 2" },
	{ "[admin]\nlisten = a:1\nlisten = b:1\n", "3: [admin] listen: stands a second time, first in line 2" },
	/* numbers, sizes, times, words */
	{ "[proxy]\nmax_clients = abc\n",
	  "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"abc\"" },
	{ "[proxy]\nmax_clients =\n", "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"\"" },
	{ "[proxy]\nmax_clients = 0\n", "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"0\"" },
	{ "[proxy]\nmax_clients = -1\n", "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"-1\"" },
	{ "[proxy]\nmax_clients = 1 2\n",
	  "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"1 2\"" },
	{ "[proxy]\nmax_clients == 2\n",
	  "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"= 2\"" },
	{ "[proxy]\nmax_clients = 18446744073709551617\n",
	  "2: [proxy] max_clients: expected a number from 1 to 10000000, got \"18446744073709551617\"" },
	{ "[proxy]\nworkers = 257\n", "2: [proxy] workers: expected auto or a number from 1 to 256, got \"257\"" },
	{ "[proxy]\nworkers = 0\n", "2: [proxy] workers: expected auto or a number from 1 to 256, got \"0\"" },
	{ "[health]\nrise = 0\n", "2: [health] rise: expected a number from 1 to 1000, got \"0\"" },
	{ "[routing]\nmax_lag_bytes = 16 mb\n",
	  "2: [routing] max_lag_bytes: expected a size from 0 to 1024gb (512, 64kb, 16mb, 1gb), got \"16 mb\"" },
	{ "[routing]\nmax_lag_bytes = 9223372036854775807gb\n",
	  "2: [routing] max_lag_bytes: expected a size from 0 to 1024gb (512, 64kb, 16mb, 1gb), got "
	  "\"9223372036854775807gb\"" },
	{ "[proxy]\nclient_output_limit = 1\n",
	  "2: [proxy] client_output_limit: expected a size from 64kb to 1024gb (512, 64kb, 16mb, 1gb), got \"1\"" },
	{ "[health]\ninterval = 9ms\n",
	  "2: [health] interval: expected a time from 10ms to 1h (250ms, 5s, 1m), got \"9ms\"" },
	{ "[health]\ninterval = 1d\n",
	  "2: [health] interval: expected a time from 10ms to 1h (250ms, 5s, 1m), got \"1d\"" },
	{ "[routing]\nmax_lag = 0\n",
	  "2: [routing] max_lag: expected a time from 1ms to 24h (250ms, 5s, 1m), got \"0\"" },
	{ "[proxy]\nallow_sync = true\n", "2: [proxy] allow_sync: expected yes or no, got \"true\"" },
	{ "[routing]\nconsistency = weak\n",
	  "2: [routing] consistency: expected eventual | session | strong, got \"weak\"" },
	{ "[log]\nlevel = loud\n", "2: [log] level: expected debug | verbose | notice | warning, got \"loud\"" },
	{ "[auth]\nuser = a b\n", "2: [auth] user: expected one word without semicolon, got \"a b\"" },
	{ "[auth]\nuser =;a\n", "2: [auth] user: expected one word without semicolon, got \";a\"" },
	{ "[auth]\npassword_file = a;b\n",
	  "2: [auth] password_file: expected the path of a file, without semicolon, got \"a;b\"" },
	{ "[routing]\nmodule_reads = a*b\n", "2: [routing] module_reads: expected names of commands, got \"a*b\"" },
	/* listeners */
	{ "[proxy]\nlisten = 7379\n", "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"7379\"" },
	{ "[proxy]\nlisten = unix:/a mode=9\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"unix:/a mode=9\"" },
	{ "[proxy]\nlisten = unix:/a mode=\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"unix:/a mode=\"" },
	{ "[proxy]\nlisten = :7379\n", "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \":7379\"" },
	{ "[proxy]\nlisten = ::1:7379\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"::1:7379\"" },
	{ "[proxy]\nlisten = [::1]\n", "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"[::1]\"" },
	{ "[proxy]\nlisten = [::g]:1\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"[::g]:1\"" },
	{ "[proxy]\nlisten = [a]b:1\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"[a]b:1\"" },
	{ "[proxy]\nlisten = 127.0.0.300:1\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"127.0.0.300:1\"" },
	{ "[proxy]\nlisten = a:0\n", "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"a:0\"" },
	{ "[proxy]\nlisten = a:65536\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"a:65536\"" },
	{ "[proxy]\nlisten = unix:weir.sock\n",
	  "2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"unix:weir.sock\"" },
	{ "[proxy]\nlisten = a:1\nlisten = A:1\n", "3: [proxy] listen: A:1 is taken already by [proxy] listen" },
	{ "[proxy]\nlisten_replica = [::1]:1\nlisten = [0::1]:1\n",
	  "3: [proxy] listen: [0::1]:1 is taken already by [proxy] listen_replica" },
	{ "[proxy]\nlisten = unix:/a\n[admin]\nlisten = unix:/a\n",
	  "4: [admin] listen: unix:/a is taken already by [proxy] listen" },
	{ "[proxy]\nlisten_replica = 127.0.0.1:7379\n" MASTER,
	  " [proxy] listen: 127.0.0.1:7379 is taken already by [proxy] listen_replica" },
	{ MASTER "[proxy]\nlisten =\n", "4: [proxy] listen: expected at least one address here or in listen_replica" },
	{ MASTER "[proxy]\nlisten = 10.0.0.1:6379\n",
	  "4: [proxy] listen: 10.0.0.1:6379 is the address of a server in [replication]" },
	{ MASTER "[admin]\nlisten = 10.0.0.1:6379\n",
	  "4: [admin] listen: 10.0.0.1:6379 is the address of a server in [replication]" },
	/* servers */
	{ "[replication]\nmaster =\n", "2: [replication] master: expected host:port or [v6]:port, got \"\"" },
	{ "[replication]\nmaster = a\n", "2: [replication] master: expected host:port or [v6]:port, got \"a\"" },
	{ "[replication]\nmaster = unix:/a\n",
	  "2: [replication] master: expected host:port or [v6]:port, got \"unix:/a\"" },
	{ "[replication]\nreplica =\n", "2: [replication] replica: expected host:port or [v6]:port, got \"\"" },
	{ MASTER "replica = 10.0.0.1:6379\n", "3: [replication] replica: two servers have the address 10.0.0.1:6379" },
	{ "[replication]\nreplica = [::1]:1\nmaster = [0:0::1]:1\n",
	  "3: [replication] master: two servers have the address 0:0::1:1" },
	{ MASTER "replica = b:1 name=x\nreplica = c:1 name=x\n",
	  "4: [replication] replica: two servers have the name x" },
	{ MASTER "replica = b:1 name=10.0.0.1:6379\n",
	  "3: [replication] replica: two servers have the name 10.0.0.1:6379" },
	{ MASTER "replica = b:1 wait=2\n", "3: [replication] replica: expected announce=host:port, name=word or "
					   "weight=number after the address, got \"wait=2\"" },
	{ MASTER "replica = b:1 weight\n", "3: [replication] replica: expected announce=host:port, name=word or "
					   "weight=number after the address, got \"weight\"" },
	{ "[replication]\nmaster = b:1 weight=2\n",
	  "2: [replication] master: expected announce=host:port or name=word after the address, got \"weight=2\"" },
	{ MASTER "replica = b:1 weight=0\n",
	  "3: [replication] replica: weight=: expected a number from 1 to 1000, got \"0\"" },
	{ MASTER "replica = b:1 weight=2 weight=2\n", "3: [replication] replica: weight= stands twice" },
	{ MASTER "replica = b:1 announce=b\n", "3: [replication] replica: announce=: expected host:port, got \"b\"" },
	{ MASTER "replica = b:1 name=a,b\n",
	  "3: [replication] replica: name=: expected up to 64 letters, digits and . _ - : [ ], got \"a,b\"" },
	{ MASTER "allow_overwrite = b\n",
	  "3: [replication] allow_overwrite: expected names of replicas, but none has the name \"b\"" },
	{ MASTER "allow_overwrite = 10.0.0.1:6379\n",
	  "3: [replication] allow_overwrite: expected names of replicas, but none has the name \"10.0.0.1:6379\"" },
};

static void test_complaints(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
		expect_error(complaints[i].text, complaints[i].expected);
}

static void test_every_complaint(void **state)
{
	(void)state;
	expect_errors("[proxy]\nworkers = x\nmax_clients = x\n[nowhere]\na = b\n[health]\nrise = 0\n",
		      "2: [proxy] workers: expected auto or a number from 1 to 256, got \"x\"\n"
		      "3: [proxy] max_clients: expected a number from 1 to 10000000, got \"x\"\n"
		      "4: [nowhere]: unknown section; did you mean [routing]?\n"
		      "7: [health] rise: expected a number from 1 to 1000, got \"0\"");
	expect_errors("[proxy]\nlisten = 10.0.0.1:6379\nlisten =\n" MASTER "allow_overwrite = b\nallow_overwrite = c\n[log\n",
		      "7: [replication] allow_overwrite: stands a second time, first in line 6\n"
		      "8: expected [section], got \"[log\"\n"
		      "3: [proxy] listen: 10.0.0.1:6379 is the address of a server in [replication]\n"
		      "6: [replication] allow_overwrite: expected names of replicas, but none has the name \"b\"");
}

/* A mistake makes no second one: what could not be read is not missing. */
static void test_complaints_have_no_children(void **state)
{
	(void)state;
	expect_errors("[replication]\nmaster = a\nreplica = b:1 name=c\nallow_overwrite = a\n",
		      "2: [replication] master: expected host:port or [v6]:port, got \"a\"");
	expect_errors("[replicaton]\nmaster = a:1\n", "1: [replicaton]: unknown section; did you mean [replication]?");
	expect_errors("[replication]\nmaste = a:1\n", "2: [replication] maste: unknown key; did you mean [replication] master?");
	expect_errors(MASTER "[proxy]\nlisten = x\n",
		      "4: [proxy] listen: expected host:port, [v6]:port or unix:/path, got \"x\"");
	expect_errors(MASTER "[auth]\nuser = a b\npassword_file = a;b\n",
		      "4: [auth] user: expected one word without semicolon, got \"a b\"\n"
		      "5: [auth] password_file: expected the path of a file, without semicolon, got \"a;b\"");
}

static void test_more_complaints_than_are_told(void **state)
{
	char text[4096] = MASTER "[nowhere]\n[proxy]\n", *error;
	unsigned lines = 1;

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(text, "x = y\n");
	assert_null(load_bytes(text, strlen(text), &error));
	for (const char *at = error; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, 101);
	assert_non_null(strstr(error, ": and 101 more"));
	free(error);
}

/* What weir -t looks at further. */
static void test_inspection(void **state)
{
	static const char text[] = MASTER "replica = b:1\nreplica = c\n[proxy]\nlisten = 127.0.0.1:1\nworkers = x\n[auth]\nuser = a b\n";
	struct config *config;
	char *errors;

	(void)state;
	write_file(ini_path, text, strlen(text));
	config = config_inspect(ini_path, &errors);
	assert_non_null(errors);
	assert_int_equal(config->topology.node_count, 2);
	assert_true(config->names_master);
	assert_int_equal(config->listen.count, 1);
	assert_int_equal(config->workers, 0);
	assert_string_equal(config->topology.user, "");
	free(errors);
	config_release(&config);
	unlink(ini_path);
	assert_null(config_inspect(ini_path, &errors));
	assert_non_null(errors);
	free(errors);
}

static void test_long_lines(void **state)
{
	char text[512], expected[128];

	(void)state;
	/* 190 bytes are read whole ... */
	snprintf(text, sizeof(text), "%s;%*s\n", MASTER, 189, "x");
	config_release(&(struct config *){ load(text) });
	/* ... and 191 refused, also in a comment */
	snprintf(text, sizeof(text), "%s;%*s\n", MASTER, 190, "x");
	snprintf(expected, sizeof(expected), "3: expected at most 190 bytes in a line, got 191");
	expect_error(text, expected);
}

static void test_too_many(void **state)
{
	char text[4096] = MASTER;

	(void)state;
	for (int i = 0; i < 64; i++)
		sprintf(text + strlen(text), "replica = b%d:1\n", i);
	expect_error(text, "66: [replication] replica: expected at most 64 servers");
	strcpy(text, "[proxy]\n");
	for (int i = 0; i < 17; i++)
		sprintf(text + strlen(text), "listen = b%d:1\n", i);
	expect_error(text, "18: [proxy] listen: expected at most 16 addresses");
}

static void test_nul_byte(void **state)
{
	static const char text[] = "[proxy]\nworkers = 2\0 0\n";

	(void)state;
	expect_error_bytes(text, sizeof(text) - 1, "2: control character 0x00 in column 12");
}

/* Whatever the file holds: an answer, never a crash. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(everything); length++) {
		char *error = NULL;
		struct config *config = load_bytes(everything, length, &error);

		assert_int_equal(config == NULL, error != NULL);
		free(error);
		config_release(&config);
	}
}

static void test_random_bytes(void **state)
{
	unsigned seed = 1;
	char text[sizeof(everything)];

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char *error = NULL;
		struct config *config;

		memcpy(text, everything, sizeof(text));
		for (int change = 0; change < 5; change++) {
			seed = seed * 1103515245 + 12345;
			text[(seed >> 8) % sizeof(text)] = (char)(seed >> 24);
		}
		config = load_bytes(text, sizeof(text) - 1, &error);
		assert_int_equal(config == NULL, error != NULL);
		free(error);
		config_release(&config);
	}
}

static void expect_path_error(const char *path, const char *expected)
{
	char *error = NULL, whole[256];

	assert_null(config_load(path, &error));
	snprintf(whole, sizeof(whole), "%s: %s", path, expected);
	assert_string_equal(error, whole);
	free(error);
}

static void test_unreadable_files(void **state)
{
	static char large[(1 << 20) + 1];
	char missing[80], fifo[80];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/missing", directory);
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect_path_error(missing, "cannot be opened: No such file or directory");
	expect_path_error(directory, "is not a regular file");
	expect_path_error(fifo, "is not a regular file");
	expect_path_error("/dev/zero", "is not a regular file");
	memset(large, '\n', sizeof(large));
	write_file(ini_path, large, sizeof(large));
	expect_path_error(ini_path, "is longer than 1048576 bytes");
	unlink(fifo);
}

/* ---- the password ---- */

static void password_ini(char *text, size_t room)
{
	snprintf(text, room, "%s[auth]\npassword_file = %s\n", MASTER, password_path);
}

static void test_password(void **state)
{
	char text[256];
	struct config *config;
	char *out;

	(void)state;
	password_ini(text, sizeof(text));
	write_file(password_path, "se cret;#\r\n", 11);
	assert_int_equal(chmod(password_path, 0600), 0);
	config = load(text);
	assert_string_equal(config->topology.password, "se cret;#");
	out = printed(config);
	assert_null(strstr(out, "se cret"));
	assert_non_null(strstr(out, password_path));
	free(out);
	config_release(&config);
}

static void expect_password_error(const char *bytes, size_t length, mode_t mode, const char *expected)
{
	char text[256], whole[512];

	password_ini(text, sizeof(text));
	write_file(password_path, bytes, length);
	assert_int_equal(chmod(password_path, mode), 0);
	snprintf(whole, sizeof(whole), "4: [auth] password_file: %s %s", password_path, expected);
	expect_error(text, whole);
}

static void test_password_complaints(void **state)
{
	static char large[1024];
	char text[256], whole[512];

	(void)state;
	expect_password_error("secret\n", 7, 0644,
			      "is open to every user of this machine (mode 0644); make it 0600");
	expect_password_error("", 0, 0600, "expected one line and nothing else");
	expect_password_error("\n", 1, 0600, "expected one line and nothing else");
	expect_password_error("a\nb\n", 4, 0600, "expected one line and nothing else");
	expect_password_error("a\0b", 3, 0600, "expected one line and nothing else");
	memset(large, 'x', sizeof(large));
	expect_password_error(large, sizeof(large), 0600, "is longer than 512 bytes");
	unlink(password_path);
	password_ini(text, sizeof(text));
	snprintf(whole, sizeof(whole), "4: [auth] password_file: %s cannot be opened: No such file or directory",
		 password_path);
	expect_error(text, whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_print_and_read_again),
		cmocka_unit_test(test_print_longest_lines),
		cmocka_unit_test(test_shipped_file),
		cmocka_unit_test(test_defaults_written_out),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_every_complaint),
		cmocka_unit_test(test_complaints_have_no_children),
		cmocka_unit_test(test_more_complaints_than_are_told),
		cmocka_unit_test(test_inspection),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_password_complaints),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
