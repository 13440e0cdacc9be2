"""What one run stands on: a master, replicas, a stranger, weir, and the relay
between all of them.

    client --door--> weir --master--> master <--repl1.. -- replica 1..
                      `----node1..--> replica 1.. <--repl2-1.. -- replica 2.. (when 1 is the master)

Every arrow is a link of the relay, by these names. Servers reach the relay from
addresses of their own, so that each has its own link to a master although weir
tells all of them the same address. A second weir, if there is one, shares the
links to the servers and has a door of its own.

Where weir may promote (`failover`), the master is another one from time to time:
rig.master is whoever weir has taken last, and each of them has a Tap.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time

import redis

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

from judge import Final  # noqa: E402
from harness import HOST, Lab, Process, free_port, unlimited_files, wait_for  # noqa: E402,F401
from tap import Tap  # noqa: E402

TOOLS = pathlib.Path(os.environ.get("WEIR_CHECKER", TOP / "build/consistency")).resolve()


class Relay(Process):
    """The fault relay as a child; `command` words as relay.c has them."""

    def __init__(self, directory, seed=1):
        super().__init__(directory, "relay")
        self.lock = threading.Lock()
        self.child = subprocess.Popen([TOOLS / "relay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      start_new_session=True)
        self.links = {}     # {name: port}
        self.command("seed", seed)

    def command(self, *words):
        with self.lock:
            self.child.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise AssertionError(f"relay: {words} was answered {answer!r}")
        return answer

    def link(self, name, target, port=None, source=None):
        """Opens a link to the target's port and returns the port to connect to."""
        self.links[name] = port = port or free_port()
        self.command("link", name, port, target, *([source] if source else []))
        return port

    def toxic(self, name, direction, kind, *values):
        self.command("toxic", name, direction, kind, *values)

    def cut(self, name, how="reset"):
        self.command("cut", name, how)

    def clear(self, name):
        self.command("clear", name)

    def stats(self, name):
        words = self.command("stats", name).split()
        return {word: int(number) for word, number in zip(words[::2], words[1::2])}

    def stop(self):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


def database_of(key):
    """Where the load puts it (operation.c)."""
    family, index, *_ = key.split(":")
    return 1 if family == "s" and int(index) % 4 == 3 else 0


def final_state(server, lists, registers):
    """What the server holds under these keys."""
    values = {}
    for database in (0, 1):
        keys = [key for key in registers if database_of(key) == database]
        with server.client(db=database) as client:
            values.update(zip(keys, client.mget(keys) if keys else ()))
    with server.client() as client:
        pipe = client.pipeline(transaction=False)
        for key in lists:
            pipe.lrange(key, 0, -1)
        return Final(dict(zip(lists, pipe.execute())), {key: _told(value) for key, value in values.items()})


def _told(value):
    """Without the padding of large values, as the load tells them."""
    return value and value.partition("~")[0]


class Rig:
    """Everything that one run needs, started and wired. `persistence` of the
    master: "aof" (what it has acknowledged survives kill -9), "rdb" (survives an
    orderly end, and so does the history), "none"."""

    def __init__(self, lab: Lab, seed, config=None, replica_count=3, persistence="aof", weirs=1, beside=False,
                 failover=False):
        self.lab = lab
        self.failover = failover
        self.relay = Relay(lab.directory, seed)
        lab.processes.append(self.relay)
        self.persistence = persistence
        self.master = self._start_master()
        self.servers = [self.master]    # number 0 is the one that the file names
        self.stranger = self._start_stranger()
        self.weir = lab.weir(config=config, start=False)
        self.weir.replica_endpoint()
        self.door = self.relay.link("door", self.weir.port)
        self.reader_door = self.relay.link("reader-door", self.weir.replica_port)
        self.feed = self._link_replicas(replica_count)
        self.servers += [self._start_replica(n + 1) for n in range(replica_count)]
        self._link_siblings()
        replication = self.weir.settings["replication"]
        replication["master"] = (f"{HOST}:{self.relay.link('master', self.master.port)} "
                                 f"announce={HOST}:{self.feed} name={self.master.name}")
        replication["replica"] = [f"{HOST}:{self.relay.links[f'node{n + 1}']} name=node{n + 1}"
                                  for n in range(replica_count)]
        self.weir.start()
        self.wait_usable()
        self.taps = [Tap(self.master)] if failover else []
        self.weirs = [self.weir] + [self._another_weir(config) for _ in range(weirs - 1)]
        self.doors = [self.door] + [self.relay.link(f"door-{weir.name}", weir.port)
                                    for weir in self.weirs[1:]]
        if beside:          # some clients write past weir
            self.doors.append(self.relay.link("beside", self.master.port))

    def _start_master(self):
        args = {"aof": ["--appendonly", "yes", "--appendfsync", "no"], "rdb": ["--save", "3600 1"], "none": []}
        return self.lab.redis("--enable-debug-command", "yes", "--repl-backlog-size", self._backlog(),
                              "--bind-source-addr", self.source(0), *args[self.persistence], name="master")

    def _backlog(self):
        """Enough for a tap that comes late; else so little that full resyncs are frequent."""
        return "16mb" if self.failover else "256kb"

    def _start_stranger(self):
        """A master of other data, under the keys that the load uses."""
        stranger = self.lab.redis(name="stranger")
        with stranger.client() as client:
            pipe = client.pipeline(transaction=False)
            for index in range(64):
                for generation in range(20):
                    pipe.set(f"s:{index}:{generation}", "alien=1")
                    pipe.set(f"m:{index}:{generation}", "alien=1")
                    pipe.rpush(f"l:{index}:{generation}", "alien=1")
            pipe.execute()
        return stranger

    def _link_replicas(self, count):
        """One port for all of them, told apart by where they come from."""
        feed = free_port()
        for n in range(count):
            self.relay.link(f"repl{n + 1}", self.master.port, feed, self.source(n + 1))
        self.relay.link("others", self.master.port, feed)
        return feed

    def _link_siblings(self):
        for n, server in list(enumerate(self.servers))[1:]:
            for other in range(len(self.servers)):
                if other != n:
                    self.relay.link(f"repl{other}-{n}", server.port, self.relay.links[f"node{n}"], self.source(other))

    def feeds(self):
        """The links over which the others have the master's stream."""
        at = self.servers.index(self.master)
        return [f"repl{n}-{at}" if at else f"repl{n}" for n in range(len(self.servers)) if n != at]

    @staticmethod
    def source(number):
        return f"127.0.0.{10 + number}"

    def _start_replica(self, number):
        server = self.lab.redis(name=f"replica{number}", start=False)
        # One in two loads a full resync beside the data it goes on to serve.
        server.args += ["--enable-debug-command", "yes", "--bind-source-addr", self.source(number),
                        "--repl-diskless-load", "swapdb" if number % 2 else "disabled",
                        "--replica-announce-ip", HOST, "--replica-announce-port",
                        self.relay.link(f"node{number}", server.port), "--repl-backlog-size", self._backlog()]
        if not self.failover:       # else weir says whom to follow, also when it comes back
            server.args += ["--replicaof", HOST, self.feed]
        return server.start()

    def _another_weir(self, config):
        weir = self.lab.weir(config=config, start=False)
        weir.settings["replication"].update(self.weir.settings["replication"])
        return weir.start().wait_state("ok", 30)

    # ---- who is the master

    @property
    def replicas(self):
        return [server for server in self.servers if server is not self.master]

    def take_master(self, address):
        """weir has taken this one, by weir's own address of it."""
        port = int(address.rpartition(":")[2])
        number = next(n for n in range(len(self.servers)) if self.relay.links[f"node{n}" if n else "master"] == port)
        self.master = self.servers[number]
        if self.failover:
            self.taps.append(Tap(self.master, self.taps[-1]))

    # ---- the way back to normal

    def wait_usable(self, timeout=30):
        self.weir.wait_state("ok", timeout)

    def follow(self, replica, timeout=20):
        """Tells the replica to follow the master again, as soon as it listens."""
        wait_for(lambda: replica.cli("REPLICAOF", HOST, self.feed), timeout, f"{replica.name} takes REPLICAOF")

    def switch(self, name, timeout=20):
        """That node becomes the master, as soon as nothing speaks against it."""
        wait_for(lambda: str(self.weir.admin("SWITCHOVER", name)).startswith("OK "), timeout,
                 f"{name} becomes the master", interval=0.1)
        self.wait_usable()

    def heal(self):
        """Nothing disturbs any more; whoever is down is up again and follows."""
        for name in self.relay.links:
            self.relay.clear(name)
        for server in [*self.servers, *self.weirs]:
            if server.running():
                server.thaw()
            else:
                server.start()
        if self.failover:
            self.wait_usable()
        for replica in self.replicas if not self.failover else ():
            replica.wait_ready()
            if replica.info("replication").get("master_port") != self.feed:
                self.follow(replica)

    def wait_quiet(self, timeout=60):
        """Until every replica has all that the master has; then their data must be the
        same. Returns what differs, "" when nothing does."""
        def caught_up():
            offset = self.master.info("replication")["master_repl_offset"]
            for replica in self.replicas:
                info = replica.info("replication")
                assert info["role"] == "slave" and info["master_link_status"] == "up", f"{replica.name}: {info}"
                applied = info["slave_repl_offset"]
                assert applied >= offset, f"{replica.name} is at {applied} of {offset}"
            return True
        wait_for(caught_up, timeout, "the replicas have caught up", interval=0.05)
        digests = {server.name: server.cli("DEBUG", "DIGEST") for server in [self.master, *self.replicas]}
        return "" if len(set(digests.values())) == 1 else f"DEBUG DIGEST differs: {digests}"

    def strays(self):
        """Keys on the master that stand in a database in which nobody put them."""
        strays = []
        for database in (0, 1):
            with self.master.client(db=database) as client:
                strays += [f"{key} in database {database}" for key in client.scan_iter(count=10000)
                           if database_of(key) != database]
        return strays


class Watcher(threading.Thread):
    """Polls weir's /status: what it counted over all its lives, when it may have
    been without a master, and in which epoch it was. It is the operator too: a master
    that comes back from its append-only file has another history, and waits to be
    accepted, unless weir may replace it."""

    INTERVAL = 0.025

    def __init__(self, weir, rig):
        super().__init__(daemon=True)
        self.weir, self.rig = weir, rig
        self.rejected = None if rig.failover else f"master {rig.master.name} came back"
        self.epochs = {}        # {number: [ns of the first look at it, ns of the last one]}
        self.failures = []
        self.counts = {}        # of lives that have ended
        self.life = {}          # of the present one
        self.orphaned = []      # [(begin ns, end ns)]: no sample in there is good
        self.stopping = threading.Event()
        self.last_good = None   # (ns, generation)

    def run(self):
        while not self.stopping.wait(self.INTERVAL):
            self.look()

    def look(self):
        begun = time.monotonic_ns()
        try:
            status = self.weir.status()
        except (OSError, AssertionError, ValueError):
            return
        if status["uptime_seconds"] < self.life.get("uptime_seconds", 0) or self._restarted(status["counters"]):
            self._end_life()
        self.life = dict(status["counters"], uptime_seconds=status["uptime_seconds"])
        if self.rig.failover:
            self._note_epoch(begun, status)
        if status["state"] == "no_master":
            self._accept(status["no_master_reason"] or "")
            return
        good = (begun, status["generation"])
        if self.last_good and (good[1] != self.last_good[1] or begun - self.last_good[0] > 4 * self.INTERVAL * 1e9):
            self.orphaned.append((self.last_good[0], time.monotonic_ns()))
        self.last_good = good

    def _note_epoch(self, begun, status):
        """The look showed the epoch at some moment between its begin and its end."""
        is_new = status["epoch"] not in self.epochs
        self.epochs.setdefault(status["epoch"], [time.monotonic_ns(), begun])[1] = begun
        if is_new and len(self.epochs) > 1:
            try:
                self.rig.take_master(status["master"]["address"])
            except (AssertionError, OSError, TypeError, redis.RedisError) as error:
                self.failures.append(f"epoch {status['epoch']}: {error}")

    def _accept(self, reason):
        if self.rejected and reason.startswith(self.rejected):
            with contextlib.suppress(OSError, EOFError):
                self.weir.admin("ACCEPT", "MASTER")

    def _restarted(self, counters):
        return counters["clients_total"] < self.life.get("clients_total", 0)

    def _end_life(self):
        for name, value in self.life.items():
            self.counts[name] = self.counts.get(name, 0) + value
        self.life = {}

    def stop(self):
        """Returns the counters of all lives together."""
        self.stopping.set()
        self.join()
        self.look()
        self._end_life()
        return self.counts
