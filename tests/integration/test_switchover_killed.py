"""A weir that is killed in the middle of a switchover, at each of its steps: the one
that starts next finds out from the servers how things are, and ends what was begun.

weir reaches every server through a gate, which stands still when a certain command
comes by, so that the step that waits for the answer is the one in which it dies."""
import contextlib
import socket
import threading

import pytest

from harness import HOST, Raw, Threads, free_port, wait_for

# As weir spells its own words.
PAUSE, DEMOTE, PROMOTE = b"PAUSE\r\n", b"rEPLICAOF\r\n$9\r\n127.0.0.1\r\n", b"rEPLICAOF\r\n$2\r\nNO\r\n$3\r\nONE\r\n"


class Gate:
    """A way to a server: questions go one way through it, answers the other, each
    while it is open for them."""

    def __init__(self, server):
        self.server, self.port = server, free_port()
        self.questions, self.answers, self.newcomers = threading.Event(), threading.Event(), threading.Event()
        self.watches, self.sockets = [], []
        self.open()
        self.listener = socket.create_server((HOST, self.port), backlog=100)
        threading.Thread(target=self.accept, daemon=True).start()

    def open(self):
        for door in (self.questions, self.answers, self.newcomers):
            door.set()

    def close(self):
        self.questions.clear()
        self.answers.clear()

    def hush(self):
        """What is asked is done, and weir does not learn it."""
        self.answers.clear()

    def turn_away(self):
        """Whoever has a connection has it; no other gets one."""
        self.newcomers.clear()

    def cut(self):
        """What was stuck in it is lost."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open()

    def watch(self, word, then):
        """Once, when a question with that word comes by, before it is passed on."""
        self.watches.append((word, then))

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self.listener.accept()
                self.newcomers.wait()
                theirs = socket.create_connection((HOST, self.server.port))
                self.sockets += [ours, theirs]
                threading.Thread(target=self.pass_on, args=(ours, theirs, self.questions), daemon=True).start()
                threading.Thread(target=self.pass_on, args=(theirs, ours, self.answers), daemon=True).start()

    def pass_on(self, source, target, door):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if door is self.questions:
                    self.look(data)
                door.wait()
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def look(self, data):
        for watch in [watch for watch in self.watches if watch[0] in data]:
            self.watches.remove(watch)
            watch[1]()

    def end(self):
        self.listener.close()
        self.cut()


class Counters(Threads):
    """Each counts up until weir is gone; what it then waits for has an unknown end."""

    def __init__(self, weir):
        super().__init__(4)
        self.weir, self.acknowledged, self.errors = weir, [0] * 4, []

    def work(self, n):
        with contextlib.suppress(OSError, EOFError), Raw((HOST, self.weir.port)) as raw:
            while not self.stopping.is_set():
                answer = raw.command("INCR", f"counter{n}")
                if isinstance(answer, int):
                    self.acknowledged[n] += 1
                else:
                    self.errors.append(answer)


class Stage:
    """A group behind gates, and what may have happened to it."""

    def __init__(self, lab):
        self.group = lab.group(2, wait=False)
        weir, self.gates = self.group.weir, [Gate(server) for server in self.group.servers]
        weir.end()
        lines = [f"{HOST}:{gate.port} announce={gate.server.address} name=s{n}" for n, gate in enumerate(self.gates)]
        weir.settings["replication"].update(master=lines[0], replica=lines[1:])
        weir.settings.setdefault("health", {}).update(timeout="10s")
        weir.start().wait_state("ok")
        self.old, self.heir, self.sibling = self.gates
        self.copied = self.count_copies()

    def count_copies(self):
        return sum(server.info("stats")["sync_full"] for server in self.group.servers)

    def ask(self):
        """Until weir is gone: on a busy machine writes may take longer to end than there is time."""
        with contextlib.suppress(OSError, EOFError):
            while not str(self.group.weir.admin("SWITCHOVER", "s1", "TIMEOUT", "1000")).startswith("OK "):
                pass

    def phase(self):
        return self.group.weir.status()["switchover"]["phase"]

    def judge(self, counters):
        """One master that takes writes, everybody behind it, nothing lost, nothing copied."""
        weir = self.group.weir
        weir.wait_state("ok")
        master = next(server for server in self.group.servers if server.role()[0] == "master")
        wait_for(lambda: all(server is master or server.follows(master) for server in self.group.servers),
                 what="all others follow")
        for n, acknowledged in enumerate(counters.acknowledged):
            assert acknowledged <= int(master.cli("GET", f"counter{n}")) <= acknowledged + 1, n
        assert master.cli("SET", "beside", "weir"), "nothing holds it"
        assert weir.client().set("through", "weir")
        assert self.count_copies() == self.copied
        weir.client().wait(2, 5000)
        for server in self.group.servers:
            assert server.cli("GET", "through") == "weir"


@pytest.fixture
def stage(lab):
    stage = Stage(lab)
    yield stage
    for gate in stage.gates:
        gate.end()


def hold_up(stage, phase):
    """What has to be done beforehand for that phase to last."""
    old, heir = stage.old, stage.heir
    if phase == "check":
        heir.close()
    elif phase == "hold":
        old.server.cli("CLIENT", "PAUSE", 60000, "WRITE")   # the counters' writes are under way, and stay so
    else:
        gate, word, then = {
            "fence": (old, PAUSE, old.hush),
            "catch_up": (old, PAUSE, heir.close),
            "demote, before it": (old, DEMOTE, old.close),
            "demote": (old, DEMOTE, old.hush),
            "promote, before it": (heir, PROMOTE, heir.close),
            "promote": (heir, PROMOTE, heir.hush),
            "move": (heir, PROMOTE, heir.turn_away),
            "follow": (heir, PROMOTE, old.close),
            "undo": (old, PAUSE, old.hush),
        }[phase]
        gate.watch(word, then)


@pytest.mark.parametrize("phase", ["check", "hold", "fence", "catch_up", "demote, before it", "demote", "promote, before it",
                                   "promote", "move", "follow", "undo"])
def test_killed_in(stage, phase):
    weir = stage.group.weir
    with Counters(weir) as counters, weir.raw() as subscriber:
        subscriber.command("SUBSCRIBE", "who has to be moved")
        wait_for(lambda: all(count > 5 for count in counters.acknowledged), what="all have counted")
        hold_up(stage, phase)
        asking = threading.Thread(target=stage.ask, daemon=True)
        asking.start()
        wait_for(lambda: stage.phase() == phase.split(",")[0], what=f"the phase {phase}", interval=0.001)
        wait_for(lambda: not any(gate.watches for gate in stage.gates), what="the step stands still")
        weir.kill()
    asking.join()
    assert not counters.errors, counters.errors[:3]
    for gate in stage.gates:
        gate.cut()
    if phase == "hold":
        stage.old.server.cli("CLIENT", "UNPAUSE")
    weir.start()
    stage.judge(counters)
