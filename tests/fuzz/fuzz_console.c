#include "pieces.h"

#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../protocol/buf.h"
#include "../../proxy/admin/admin.h"
#include "../../proxy/clock.h"
#include "../../proxy/config/config.h"
#include "../../proxy/admin/console.h"
#include "../../proxy/admin/console_verbs.h"
#include "../../proxy/worker/control_line.h"
#include "../../proxy/log.h"
#include "../../proxy/mailbox.h"
#include "../../proxy/measures/measures.h"
#include "../../proxy/control/reload.h"
#include "../../proxy/measures/slowlog.h"
#include "../../proxy/measures/stats.h"
#include "../../proxy/worker/worker.h"
#include "../../topology/journal.h"
#include "../../topology/topology.h"

/* What an operator's client may say to the console: the same answers, whole and
 * in pieces, apart from figures. Behind it stands a real topology of servers that
 * nobody answers for. An input with bit 1 in its first byte is one line of POST
 * /console instead, which has no pieces. */

static const char proxy_ini[] = "[replication]\nmaster = 127.0.0.1:1 name=a\nreplica = 127.0.0.1:2 name=b\n[log]\nlevel = warning\n";

static struct ev_loop *loop;
static struct mailbox home;        /* where an inquiry of the workers, of which there are none, comes back to */
static struct worker_shared workers;
static struct config *present;     /* what sources.config points to */
static struct admin_sources sources;

/* (The linker puts it in the place of control_line_post(): there is no control.) */
void __wrap_control_line_post(struct control_line *line, struct mail *mail);
void __wrap_control_line_post(struct control_line *line, struct mail *mail)
{
	(void)line;
	mailbox_post(&home, mail);
}

static void on_publish(void *arg, struct snapshot *snapshot)
{
	(void)arg;
	(void)snapshot;
}

static void on_confirmed(void *arg, uint32_t node_id)
{
	(void)arg;
	(void)node_id;
}

static bool is_let_go(void *arg, uint32_t node_id, uint64_t generation, int64_t since_ns)
{
	(void)arg;
	(void)node_id;
	(void)generation;
	(void)since_ns;
	return true;
}

static void on_config(void *arg, struct config *config)
{
	(void)arg;
	config_release(&present);
	sources.config = present = config_acquire(config);
}

static void set_up(void)
{
	static struct stats stats;
	static const struct stats *const all_stats[] = { &stats };
	static struct measures measures;
	static const struct measures *const all_measures[] = { &measures };
	static const struct topology_events events = { .on_publish = on_publish, .on_confirmed = on_confirmed,
						       .is_let_go = is_let_go };
	static const struct reload_events reload_events = { .on_config = on_config };
	static char path[32];
	int fd = memfd_create("proxy.ini", MFD_CLOEXEC);
	struct config *config;
	struct journal *journal;
	char *error = NULL;

	REQUIRE(fd >= 0 && write(fd, proxy_ini, sizeof(proxy_ini) - 1) == (ssize_t)sizeof(proxy_ini) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config = config_load(path, &error);
	REQUIRE(config != NULL);
	present = config;
	log_set_level(LOG_LEVEL_WARNING);
	REQUIRE(freopen("/dev/null", "w", stdout) != NULL);
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	journal = journal_create();
	mailbox_init(&home, loop, NULL);
	sources = (struct admin_sources){ .config = config, .journal = journal, .slowlog = slowlog_create(), .workers = &workers, .stats = all_stats, .stats_count = 1,
					  .measures = all_measures, .measures_count = 1,
					  .command_names = command_names_create(), .started_ns = clock_ns(),
					  .started_unix_ms = clock_unix_ms(), .is_near = true };
	sources.topology = topology_start(loop, &config->topology, journal, &events);
	sources.reload = reload_create(path, config, journal, &stats, &reload_events);
}

/* ---- a conversation ---- */

struct talk {
	struct console *console;
	int fd;
	struct buf answers;
};

static void on_closed(void *peer)
{
	((struct talk *)peer)->console = NULL;
}

static void open_talk(struct talk *talk)
{
	int pair[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	*talk = (struct talk){ .fd = pair[0] };
	talk->console = console_open(loop, pair[1], &sources, on_closed, talk);
}

/* Lets the console do what it can, and takes what it says. False: it says no more. */
static bool turn(struct talk *talk)
{
	ssize_t count;

	ev_run(loop, EVRUN_NOWAIT);
	count = recv(talk->fd, buf_reserve(&talk->answers, 65536), 65536, 0);
	buf_produced(&talk->answers, count > 0 ? (size_t)count : 0);
	return count > 0;
}

static void say(struct talk *talk, const char *bytes, size_t length)
{
	send(talk->fd, bytes, length, MSG_NOSIGNAL);
	while (turn(talk))
		;
}

static void close_talk(struct talk *talk)
{
	shutdown(talk->fd, SHUT_WR);
	for (int turns = 0; talk->console != NULL && turns < 1000; turns++)
		turn(talk);
	while (turn(talk))
		;
	if (talk->console != NULL)
		console_close(&talk->console);
	close(talk->fd);
}

/* Figures change from one moment to the next. */
static void drop_digits(struct buf *text)
{
	char *bytes = (char *)buf_head(text);
	size_t kept = 0, length = buf_length(text);

	for (size_t i = 0; i < length; i++)
		if (bytes[i] < '0' || bytes[i] > '9')
			bytes[kept++] = bytes[i];
	text->tail -= length - kept;
}

/* Verbs that change something are not said twice with the same effect. */
static bool changes_something(const char *bytes, size_t length)
{
	static const char *const words[] = { "drain", "enable", "accept", "switchover", "events", "reload", "config", "reset", "info", "kill" };
	char *lower = exact_copy(bytes, length);
	bool found = false;

	for (size_t i = 0; i < length; i++)
		lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + 32 : lower[i]);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !found; i++)
		found = memmem(lower, length, words[i], strlen(words[i])) != NULL;
	free(lower);
	return found;
}

static void compare(const char *bytes, size_t length, struct cuts cuts)
{
	struct talk whole, cut;

	open_talk(&whole);
	say(&whole, bytes, length);
	close_talk(&whole);
	open_talk(&cut);
	for (size_t at = 0; at < length;) {
		size_t piece = next_cut(&cuts, length - at);

		say(&cut, bytes + at, piece);
		at += piece;
	}
	close_talk(&cut);
	if (!changes_something(bytes, length)) {
		drop_digits(&whole.answers);
		drop_digits(&cut.answers);
		REQUIRE(slice_equal(buf_slice(&whole.answers), buf_slice(&cut.answers)));
	}
	buf_free(&whole.answers);
	buf_free(&cut.answers);
}

static void run_line(const char *bytes, size_t length)
{
	struct console_ticket *ticket = NULL;
	struct buf out = { 0 };
	char *line = exact_copy(bytes, length);

	console_run_line(&sources, (struct slice){ line, length }, &out, &ticket);
	REQUIRE(ticket != NULL || buf_length(&out) > 0);
	for (int turns = 0; turns < 3; turns++)
		ev_run(loop, EVRUN_NOWAIT);
	buf_free(&out);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	if (loop == NULL)
		set_up();
	if (size < 1 || size > 4096)
		return 0;
	if (input[0] & 2)
		run_line((const char *)input + 1, size - 1);
	else
		compare((const char *)input + 1, size - 1, (struct cuts){ .seed = input[0] });
	return 0;
}
