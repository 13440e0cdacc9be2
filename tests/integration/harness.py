"""Real servers for the tests: redis-server, weir, and a bare RESP connection.

Everything runs in a private directory and on ports of its own. A `Lab` owns
what it started and ends it; nothing here sleeps for luck: whatever has to
happen is waited for with a deadline (`wait_for`).

    with Lab(directory) as lab:
        group = lab.group(2)                       # master, 2 replicas, weir, all ready
        group.weir.client().set("a", "1")          # redis-py through weir
        group.weir.admin("ROLE")                   # the console
        group.weir.status()["state"]               # /status as a dict
        with group.weir.raw() as raw:              # bytes and replies as they are
            raw.send(b"PING\\r\\n")
            assert raw.reply() == "PONG"
"""
import contextlib
import glob
import http.client
import itertools
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import redis

TOP = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# The same address spelled differently; unlike localhost it needs no /etc/hosts.
OTHER_SPELLING = "0x7f000001"

SANITIZER_REPORT = re.compile(
    r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:)")

# Under a sanitizer, and on a busy machine, everything takes longer: waits are
# multiplied by this.
PATIENCE = float(os.environ.get("WEIR_TEST_PATIENCE", "1"))


def weir_binary():
    return os.path.abspath(os.environ.get("WEIR_BIN", TOP / "weir"))


def wait_for(condition, timeout=10.0, what=None, interval=0.01):
    """Calls condition() until it is true and returns its value. A condition
    that raises an assertion, an OSError or a redis error counts as not true
    yet."""
    deadline = time.monotonic() + timeout * PATIENCE
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (AssertionError, OSError, redis.RedisError, LookupError) as error:
            last = error
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"waited {timeout * PATIENCE:g} s for: {name} (last: {last!r})")
        time.sleep(interval)


def promtool():
    """Prometheus' own judge of metrics and rules; make deps unpacks it."""
    unpacked = TOP / "build" / "packages" / "usr" / "bin" / "promtool"
    found = shutil.which("promtool") or (str(unpacked) if os.access(unpacked, os.X_OK) else None)
    assert found, "promtool is not there: run make deps first"
    return found


# ------------------------------------------------------------------- ports

_first_port = 10000
_reserved = []


def _ephemeral_start():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        return int(f.read().split()[0])


def _reserve(port):
    """True if nobody else (here or in another test run) has taken the port: an
    abstract socket of its name is the lock, and ends with this process."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0weir-test-port-{port}")
        for host in (HOST, "0.0.0.0"):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
    except OSError:
        lock.close()
        return False
    _reserved.append(lock)
    return True


def free_port():
    """A port that no other caller gets, below the range from which the kernel
    takes the ports of outgoing connections."""
    start = _first_port + os.getpid() * 37 % 10000
    end = min(_ephemeral_start(), 32768)
    for port in itertools.chain(range(start, end), range(_first_port, start)):
        if _reserve(port):
            return port
    raise RuntimeError("no free port")


# --------------------------------------------------------------- processes

def unlimited_files():
    """As many file descriptors as the machine allows, for the tests and for
    the servers they start."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """One child process: its log file, its pid and what it costs."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log_path = self.directory / f"{name}.log"
        self.child = None
        self.ended = False      # by us

    def spawn(self, argv, env=None):
        assert not self.running(), f"{self.name} runs already"
        self.ended = False
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen([str(word) for word in argv], cwd=self.directory,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=dict(os.environ, **(env or {})), start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def freeze(self):
        """SIGSTOP: the process is there and its sockets are, but it is silent."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: self._state() == "T", what=f"{self.name} stopped")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9"""
        self.ended = True
        if self.running():
            self.child.kill()
        if self.child is not None:
            self.child.wait()

    def end(self, timeout=10.0):
        """SIGTERM, and after the timeout SIGKILL. Returns the exit status
        (negative: the signal that ended it)."""
        self.ended = True
        if self.running():
            self.thaw()
            self.child.terminate()
        try:
            return self.child.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout * PATIENCE:g} s of SIGTERM")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def _state(self):
        return _read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()[0]

    def cpu_seconds(self):
        """CPU time of all its threads that still run."""
        tasks = glob.glob(f"/proc/{self.pid}/task/*/schedstat")
        return sum(int(_read(task).split()[0]) for task in tasks) / 1e9

    def rss_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+)", _read(f"/proc/{self.pid}/status"))[1]) * 1024

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def thread_count(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))


def _read(path):
    with open(path) as f:
        return f.read()


def processes_in(directory):
    """(pid, command line) of every process whose working directory is in
    there: also those that daemonised or changed their title."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            where = pathlib.Path(os.readlink(f"/proc/{entry}/cwd").removesuffix(" (deleted)"))
            if where.is_relative_to(directory):
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    found.append((int(entry), f.read().replace(b"\0", b" ").decode().strip()))
    return found


def end_processes_in(directory):
    """Returns what was there to end."""
    found = processes_in(directory)
    for pid, _ in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


@contextlib.contextmanager
def survivor(directory):
    """A process that outlives this one, should it be killed, and then ends what it
    has left in the directory: this very file as a program."""
    with subprocess.Popen([sys.executable, __file__, directory], stdin=subprocess.PIPE, start_new_session=True):
        yield   # at the end its input is closed, and it is waited for


# ------------------------------------------------------------ a connection

class ServerError(Exception):
    """An error reply, as raw.reply() returns it (it is a value, not raised)."""

    def __eq__(self, other):
        return isinstance(other, ServerError) and self.args == other.args

    def __hash__(self):
        return hash(self.args)


class Push(list):
    """A RESP3 push message."""


class Raw:
    """A socket that speaks RESP without hiding anything. Bulk strings are
    bytes, simple strings str, errors ServerError values, null None."""

    def __init__(self, address, timeout=10.0):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout * PATIENCE)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout * PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *words):
        """Sends one command and returns its reply."""
        self.send(encode(*words))
        return self.reply()

    def commands(self, commands):
        """Sends all of them at once and returns all replies."""
        self.send(b"".join(encode(*words) for words in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        """The next reply. EOFError when the server has closed."""
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the server closed the connection after {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ServerError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$" or kind == b"=":
            return None if rest == b"-1" else self._bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        if kind == b"~":
            return [self.reply() for _ in range(int(rest))]
        if kind == b">":
            return Push(self.reply() for _ in range(int(rest)))
        if kind == b"%":
            pairs = [(self.reply(), self.reply()) for _ in range(int(rest))]
            return {key: value for key, value in pairs}
        raise AssertionError(f"not a reply: {line!r}")

    def _bulk(self, length):
        data = self.stream.read(length + 2)
        if len(data) < length + 2:
            raise EOFError("the server closed the connection inside a value")
        assert data.endswith(b"\r\n"), "a bulk string does not end where it says"
        return data[:-2]

    def read_all(self):
        """Everything until the server closes (a reset counts as a close)."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := self.stream.read1(65536):
                data += chunk
        return data

    def silent(self, seconds):
        """True if nothing arrives for that long."""
        ready = select.poll() # any number of files may be open
        ready.register(self.socket, select.POLLIN)
        return not ready.poll(seconds * 1000)

    def reset(self):
        """Closes with a RST, as a crashed peer's kernel would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()


def encode(*words):
    """One command as RESP. Words may be bytes, str or numbers."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def use_up_spares(raw, database=1):
    """weir keeps a private connection ready beside every shared one to the
    master, but a few only. Behind this, with one worker, there is none for the
    session's database and one has to be made when it is needed."""
    for other in range(5, 14):
        raw.commands([("SELECT", other), ("PING",)])
    assert raw.commands([("SELECT", database), ("PING",)]) == ["OK", "PONG"]


# ------------------------------------------------------------ redis-server

class RedisServer(Process):
    """A redis-server on a port of its own. `args` are words of its command
    line, `config` is the text of a configuration file put before them.
    Restarting keeps port and directory, and nothing else: no persistence."""

    def __init__(self, directory, *args, name="redis", port=None, config=None, binary=None):
        super().__init__(directory, name)
        self.port = port or free_port()
        self.args = [str(word) for word in args]
        self.config = config
        self.binary = binary or os.environ.get("REDIS_SERVER", "redis-server")
        self.password = None    # set it when the server asks for one
        self.username = None

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def start(self, *more, wait=True):
        """`more` are words added for this start alone."""
        argv = [self.binary]
        if self.config is not None:
            path = self.directory / f"{self.name}.conf"
            path.write_text(self.config)
            argv.append(path)
        # Without a timeout for idle replicas under load or a sanitizer: the
        # default 60 s stays.
        argv += ["--port", self.port, "--bind", HOST, "--dir", self.directory, "--daemonize", "no",
                 "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", 0,
                 "--maxclients", 15000, *self.args, *more]
        self.spawn(argv)
        if wait:
            self.wait_ready()
        return self

    def restart(self, *more):
        """As a crash and a new start: what was in memory is gone."""
        self.kill()
        return self.start(*more)

    def stop(self):
        if self.child is not None:
            if self.running():
                self.kill()
            self.child.wait()

    def wait_ready(self, timeout=10.0):
        def ready():
            assert self.running(), f"{self.name} ended: {self.log_tail(5)}"
            with self.raw(timeout=2) as raw:
                answer = raw.command("PING")
            return answer == "PONG" or "NOAUTH" in str(answer) or "MASTERDOWN" in str(answer)
        wait_for(ready, timeout, f"{self.name} answers on port {self.port}")

    def raw(self, timeout=10.0):
        return Raw((HOST, self.port), timeout)

    def client(self, **options):
        """redis-py straight to this server. decode_responses is on."""
        settings = dict(host=HOST, port=self.port, decode_responses=True,
                        encoding_errors="surrogateescape", socket_timeout=10 * PATIENCE,
                        username=self.username, password=self.password)
        settings.update(options)
        return redis.Redis(**settings)

    def cli(self, *words):
        """One command through redis-py: strings are decoded, errors raised."""
        with self.client() as client:
            return client.execute_command(*words)

    def info(self, section="default"):
        """INFO as a dict of redis-py."""
        return self.cli("INFO", section)

    def calls(self):
        """INFO commandstats: {"get": 12, "client|list": 1, ...}"""
        stats = self.info("commandstats")
        return {name[len("cmdstat_"):]: row["calls"] for name, row in stats.items()}

    def rejected(self):
        """{"set": 1, ...}: commands refused before they ran, for example
        writes that reached a read-only replica."""
        stats = self.info("commandstats")
        counts = {name[len("cmdstat_"):]: row["rejected_calls"] for name, row in stats.items()}
        return {name: count for name, count in counts.items() if count}

    def reset_calls(self):
        self.cli("CONFIG", "RESETSTAT")

    def role(self):
        return self.cli("ROLE")

    def follows(self, master, link=True):
        """True when this server replicates from `master` (and the link is up)."""
        info = self.info("replication")
        return (info["role"] == "slave" and info["master_port"] == master.port
                and (not link or info["master_link_status"] == "up"))


class Sentinel(RedisServer):
    """A redis-sentinel; `config` are its lines about masters. What it has noted
    in its file since stays when it is started again."""

    def start(self, wait=True):
        path = self.directory / "sentinel.conf"
        if not path.exists():
            path.write_text(f"port {self.port}\nbind {HOST}\ndir {self.directory}\n{self.config}")
        self.spawn([self.binary, path, "--sentinel"])
        if wait:
            self.wait_ready()
        return self


class Threads:
    """Runs a subclass's `work(n)` for each n below `count`, in threads of their
    own, while the block lasts; it returns when `stopping` is set."""

    def __init__(self, count):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


# -------------------------------------------------------------------- weir

SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=66:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=66",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:second_deadlock_stack=1",
}


class Weir(Process):
    """weir in front of servers. `config` is {section: {key: value}} laid over
    what the addresses give; a value that is a list becomes several lines, None
    leaves the key out. Sections keep their order, so a test can write what it
    likes; `text` replaces the whole file instead."""

    def __init__(self, directory, master=None, replicas=(), config=None, text=None, name="weir",
                 binary=None):
        super().__init__(directory, name)
        self.port = free_port()
        self.replica_port = free_port()     # used when the replica endpoint is on
        self.admin_port = free_port()
        self.binary = binary or weir_binary()
        self.config_path = self.directory / f"{name}.ini"
        self.settings = {
            "proxy": {"listen": f"{HOST}:{self.port}", "workers": 2},
            "replication": {"master": _address(master), "replica": [_address(r) for r in replicas]},
            "admin": {"listen": f"{HOST}:{self.admin_port}"},
            "log": {"level": os.environ.get("WEIR_LOG_LEVEL", "verbose")},
        }
        for section, keys in (config or {}).items():
            self.settings.setdefault(section, {}).update(keys)
        self.text = text

    def replica_endpoint(self):
        """Turns the reads-only endpoint on (before start)."""
        self.settings["proxy"]["listen_replica"] = f"{HOST}:{self.replica_port}"
        return self

    def ini(self):
        if self.text is not None:
            return self.text
        lines = []
        for section, keys in self.settings.items():
            lines.append(f"[{section}]")
            for key, value in keys.items():
                for one in value if isinstance(value, (list, tuple)) else [value]:
                    if one is not None:
                        lines.append(f"{key} = {one}")
        return "\n".join(lines) + "\n"

    def start(self, wait=True):
        """`wait`: until the admin endpoint and the client port answer (not
        until the servers are usable: wait_state() does that)."""
        self.config_path.write_text(self.ini())
        env = {name: os.environ.get(name, value) for name, value in SANITIZER_OPTIONS.items()}
        self.spawn([self.binary, "-c", self.config_path], env)
        if wait:
            self.wait_ready()
        return self

    def write(self, **sections):
        """Lays settings over the present ones, and writes the file anew."""
        for section, keys in sections.items():
            self.settings.setdefault(section, {}).update(keys)
        self.config_path.write_text(self.ini())

    def reload(self, **sections):
        """The same, then SIGHUP. Returns what the log said of it."""
        outcomes = lambda: [int(self.metrics()[f'weir_config_reloads_total{{result="{result}"}}'])  # noqa: E731
                            for result in ("ok", "failed")]
        self.write(**sections)
        before, length = sum(outcomes()), len(self.log())
        self.signal(signal.SIGHUP)
        wait_for(lambda: sum(outcomes()) > before, what="weir has read its file anew", interval=0.002)
        return self.log()[length:]

    def wait_ready(self, timeout=10.0):
        def ready():
            assert self.running(), f"weir ended: {self.log_tail(10)}"
            self.raw(timeout=2).close()
            return self.http("/livez")[0] == 200
        wait_for(ready, timeout, "weir listens")

    def stop(self, timeout=15.0):
        """SIGTERM; weir must end with status 0 and without a sanitizer's
        report. A weir that has ended before, by itself, is a failure."""
        if self.child is None:
            return
        alive = self.running()
        status = self.end(timeout)
        self.check_log()
        assert alive, f"weir ended by itself with status {status}:\n{self.log_tail(20)}"
        assert status == 0, f"weir answered SIGTERM with status {status}:\n{self.log_tail(20)}"
        self.child = None

    def check_log(self):
        report = SANITIZER_REPORT.search(self.log())
        assert not report, f"weir's log has a sanitizer report:\n{self.log()[report.start() - 200:][:6000]}"

    def exit_status(self, timeout=10.0):
        """Waits for a weir that is expected to end by itself."""
        status = self.child.wait(timeout * PATIENCE)
        self.check_log()
        self.child = None
        return status

    # ---- talking to it

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def raw(self, timeout=10.0, replica=False):
        return Raw((HOST, self.replica_port if replica else self.port), timeout)

    def client(self, replica=False, **options):
        """redis-py through weir. decode_responses is on; retries are off, so a
        connection that weir drops is seen."""
        settings = dict(host=HOST, port=self.replica_port if replica else self.port,
                        decode_responses=True, encoding_errors="surrogateescape",
                        socket_timeout=10 * PATIENCE)
        settings.update(options)
        return redis.Redis(**settings)

    def admin(self, *words):
        """One command on the console, its reply as Raw.reply() gives it."""
        with Raw((HOST, self.admin_port)) as raw:
            return raw.command(*words)

    def http(self, path, method="GET", timeout=10.0):
        """(status, body) of the admin endpoint."""
        connection = http.client.HTTPConnection(HOST, self.admin_port, timeout=timeout * PATIENCE)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self):
        code, body = self.http("/status")
        assert code == 200, f"/status answered {code}: {body}"
        return json.loads(body)

    def replica_status(self, server):
        """The row of /status for this RedisServer."""
        rows = [row for row in self.status()["replicas"] if row["address"] == _address(server)]
        assert len(rows) == 1, f"{_address(server)} stands {len(rows)} times in /status"
        return rows[0]

    def readable(self, server):
        return self.replica_status(server)["readable"]

    def wait_state(self, state="ok", timeout=20.0):
        wait_for(lambda: self.status()["state"] == state, timeout, f"weir's state is {state}")
        return self

    def bytes_taken(self):
        """What weir has read from its clients so far."""
        return self.metrics()['weir_client_bytes_total{direction="in"}']

    def take(self, raw, data):
        """Sends it, and waits until weir has read it: no answer has to come."""
        before = self.bytes_taken()
        raw.send(data)
        wait_for(lambda: self.bytes_taken() >= before + len(data), what="weir has taken it")

    def metrics(self):
        """{"weir_clients_connected": 1.0, 'weir_x{label="y"}': 2.0, ...}"""
        code, body = self.http("/metrics")
        assert code == 200
        rows = (line.rsplit(" ", 1) for line in body.splitlines() if line and line[0] != "#")
        return {name: float(value) for name, value in rows}


def _address(server):
    return server.address if hasattr(server, "address") else server


# --------------------------------------------------------------------- lab

# weir gives a new one to the worker with the fewest: so many at once reach all.
SESSIONS_OF_EVERY_WORKER = 6


class Group:
    """A master, its replicas, and weir in front."""

    def __init__(self, master, replicas, weir):
        self.master, self.replicas, self.weir = master, replicas, weir

    @property
    def servers(self):
        return [self.master, *self.replicas]

    def reset_calls(self):
        self.reset_calls_of(*self.servers)

    def reset_calls_of(self, *servers):
        for server in servers:
            server.reset_calls()

    def caught_up(self):
        """Waits until every replica has applied what the master has, and
        returns that offset."""
        offset = self.master.info("replication")["master_repl_offset"]
        for replica in self.replicas:
            wait_for(lambda: replica.info("replication")["slave_repl_offset"] >= offset,
                     what=f"{replica.name} has caught up")
        return offset

    def settle(self, session=None):
        """Waits until the replicas have caught up, and weir knows it of all of
        them: reads go to each that is not drained, from every worker, and none to
        the master. A session that has seen something on the master reads there
        once more, until its worker has an offset that covers this: its next reads
        go to a replica if it is given here."""
        offset = self.caught_up()

        def weir_has_seen_it():
            status = self.weir.status()    # of a replica too: one whose offset is an old one lags when it is looked at next
            return all(node["offset"] is not None and node["offset"] >= offset for node in [status["master"], *status["replicas"]])
        wait_for(weir_has_seen_it, what="weir has seen everybody's offset")
        asked = lambda servers: [server.calls().get("exists", 0) for server in servers]  # noqa: E731
        before = asked(self.replicas)

        def the_replicas_serve():
            on_master = asked([self.master])
            with contextlib.ExitStack() as stack:   # new ones: they have seen nothing yet, and may read anywhere
                for raw in [stack.enter_context(self.weir.raw()) for _ in range(SESSIONS_OF_EVERY_WORKER)]:
                    raw.commands([("EXISTS", "no such key")] * 4)
            rows = [row for row in self.weir.status()["replicas"] if not row["drained"]]
            served = sum(now > then for now, then in zip(asked(self.replicas), before))
            return (rows and all(row["readable"] for row in rows) and served >= len(rows) and
                    asked([self.master]) == on_master)
        wait_for(the_replicas_serve, what="reads go to the replicas")
        if session is not None:
            def a_replica_serves_it():
                before = sum(asked(self.replicas))
                session.command("EXISTS", "no such key")
                return sum(asked(self.replicas)) > before
            wait_for(a_replica_serves_it, what="the session's reads go to a replica")


class Lab:
    """Owns every process of one test."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(failed=kind is not None)

    def _named(self, name):
        taken = {process.name for process in self.processes}
        numbered = itertools.chain([name], (f"{name}{n}" for n in itertools.count(2)))
        return next(candidate for candidate in numbered if candidate not in taken)

    def redis(self, *args, name="redis", start=True, **options):
        name = self._named(name)
        server = RedisServer(self.directory / name, *args, name=name, **options)
        self.processes.append(server)
        return server.start() if start else server

    def weir(self, master=None, replicas=(), config=None, name="weir", start=True, **options):
        name = self._named(name)
        weir = Weir(self.directory / name, master, replicas, config, name=name, **options)
        self.processes.append(weir)
        return weir.start() if start else weir

    def group(self, replica_count=2, config=None, redis_args=(), replica_endpoint=False, wired=True,
              wait=True, **options):
        """`wired`: the replicas are started with --replicaof; else weir has to
        do it. `wait`: until weir's state is ok."""
        master = self.redis(*redis_args, name="master")
        follow = ["--replicaof", HOST, master.port] if wired else []
        replicas = [self.redis(*redis_args, *follow, name=f"replica{n + 1}") for n in range(replica_count)]
        weir = self.weir(master, replicas, config, start=False, **options)
        if replica_endpoint:
            weir.replica_endpoint()
        weir.start()
        if wait:
            weir.wait_state("ok")
        return Group(master, replicas, weir)

    def logs(self):
        """The tail of every weir's log, and of a server's that has ended by
        itself."""
        shown = [p for p in self.processes if isinstance(p, Weir) or not (p.ended or p.running())]
        return {process.name: process.log_tail() for process in shown}

    def close(self, failed=False):
        """Ends everything, the newest first. What weir has to say about its end
        counts as a failure, unless the test has failed already."""
        errors = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except AssertionError as error:
                errors.append(str(error))
            finally:
                process.kill()
        if errors and not failed:
            raise AssertionError("\n".join(errors))


if __name__ == "__main__":
    for interrupted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interrupted, signal.SIG_IGN)
    sys.stdin.buffer.read()     # until nobody holds the other end any more
    end_processes_in(pathlib.Path(sys.argv[1]))
