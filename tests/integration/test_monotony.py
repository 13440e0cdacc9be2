"""A session's reads never go back in time, and get one answer each, whatever becomes
of the servers between two of them, or of a read that has to be asked again.

`Staged` is a replica behind a go-between that tells weir what the test says about
how far the replica is. These were found by the history checker (tests/consistency).
"""
import contextlib
import re
import threading

import pytest

from harness import HOST, encode, wait_for
from test_fake_server import Crooked

TOLD = [re.compile(pattern) for pattern in (rb"(?<=slave_repl_offset:)\d+", rb"(?<=slave_read_repl_offset:)\d+")]


class Staged(Crooked):
    """`role(gets, reply)`: what is made of ROLE's reply on a data connection, on which
    there were so many GETs before. `told`: the offset that the control connection is
    told; None: the truth."""

    def __init__(self, server):
        self.role = lambda gets, reply: reply
        self.gets = 0
        self.halve = None       # how the replies to GETs are sent instead
        self.told = None
        self.here = threading.local()
        super().__init__(server)

    def _bend(self, words, reply):
        if words[-1] == b"weir-data":
            self.here.is_data = True
        is_role = words[0].upper() == b"ROLE"
        if not getattr(self.here, "is_data", False):
            return [self._control(is_role, reply)]
        self.gets += words[0] == b"GET"
        if words[0] == b"GET" and self.halve:
            return self.halve(words, reply)
        return [self.role(self.gets, reply) if is_role else reply]

    def _control(self, is_role, reply):
        if self.told is None:
            return reply
        if is_role:
            return at(self.told, reply)
        body = reply.partition(b"\r\n")[2][:-2]
        for pattern in TOLD:
            body = pattern.sub(b"%d" % self.told, body)
        return b"$%d\r\n%s\r\n" % (len(body), body) if reply[:1] == b"$" else reply


def at(offset, reply):
    """ROLE says that the replica is there."""
    return re.sub(rb":-?\d+\r\n$", b":%d\r\n" % offset, reply)


def unlinked(reply):
    return reply.replace(b"$9\r\nconnected\r\n", b"$7\r\nconnect\r\n")


class Stage:
    """A master, weir, and replicas behind go-betweens."""

    def __init__(self, lab, stack, replicas, **routing):
        self.stack = stack
        self.master = lab.redis("--save", "3600 1", name="master")
        servers = [lab.redis("--replicaof", HOST, self.master.port, name=f"replica{n}") for n in range(replicas)]
        self.replicas = [stack.enter_context(Staged(server)) for server in servers]
        self.weir = lab.weir(self.master, [staged.address for staged in self.replicas], {
            "proxy": {"workers": 1}, "replication": {"wiring": "observe"},
            "routing": {"max_lag": "1m", **routing}}).wait_state("ok")

    def offset(self):
        return int(self.master.info("replication")["master_repl_offset"])

    def have(self, value, *replicas):
        for staged in replicas or self.replicas:
            wait_for(lambda: staged.server.cli("GET", "k") == value, what=f"a replica has {value}")

    def read_from(self, raw, staged):
        """Reads until this replica has answered, which then has been the last to."""
        def read():
            calls = staged.server.calls().get("get", 0)
            value = raw.command("GET", "k")
            return value if staged.server.calls().get("get", 0) > calls else None
        return wait_for(read, what="it reads from this replica")

    def session_of(self, staged, value):
        """A session that has read this of this replica, and nothing on the master:
        there it would have learned how far that is."""
        def session():
            before = self.master.calls().get("get", 0), staged.server.calls().get("get", 0)
            raw = self.stack.enter_context(self.weir.raw())
            read = raw.command("GET", "k")
            after = self.master.calls().get("get", 0), staged.server.calls().get("get", 0)
            return raw if read == value and after == (before[0], before[1] + 1) else None
        return wait_for(session, what=f"a session has read {value} of this replica")


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


def test_one_read_waits_and_the_next_is_refused(lab, stack):
    """The first is asked again of the replica until that has caught up; the second,
    in a batch of its own that proves nothing, must not be asked of the master
    before the first was answered."""
    stage = Stage(lab, stack, 1, catch_up_wait="20s")
    replica, = stage.replicas
    first, last = threading.Event(), threading.Event()

    def role(gets, reply):
        if gets == begun:
            return first.wait(30) and at(earlier, reply)
        return unlinked(reply) if gets == begun + 1 else last.wait(30) and reply
    with stage.weir.raw(timeout=30) as raw:
        assert raw.command("SET", "k", "older") == "OK"
        earlier = stage.offset()
        assert raw.command("SET", "k", "old") == "OK"
        stage.have("old")
        stage.read_from(raw, replica)
        begun, replica.role = replica.gets, role
        for _ in range(2):
            stage.weir.take(raw, encode("GET", "k"))
        first.set()
        wait_for(lambda: replica.gets == begun + 2, what="both have been answered")
        assert raw.silent(0.3)
        stage.master.cli("SET", "k", "new")
        stage.have("new")
        last.set()
        assert [raw.reply(), raw.reply()] == [b"new", b"new"]


def test_without_a_master_a_session_stays(lab, stack):
    """What was polled of the replica may be from before what it has shown."""
    stage = Stage(lab, stack, 2, session_scope="connection", write_hold="2s")
    ahead, behind = stage.replicas
    stage.master.cli("SET", "k", "old")
    stage.have("old")
    ahead.told = stage.offset()
    behind.server.cli("CLIENT", "PAUSE", "60000", "WRITE")
    stage.master.cli("SET", "k", "new")
    stage.have("new", ahead)
    raw = stage.session_of(ahead, b"new")
    stage.master.kill()
    stage.weir.wait_state("no_master")
    for _ in range(20):
        assert raw.command("GET", "k") == b"new"
    stage.weir.admin("DRAIN", ahead.address)
    wait_for(lambda: str(raw.command("GET", "k")).startswith("NOMASTER "), what="nobody else is asked")
    with stage.weir.raw() as another:
        assert another.command("GET", "k") == b"old", "this test rests on a replica that would serve"


def test_what_a_replica_has_shown_in_an_earlier_life(lab, stack):
    """Its position now says nothing about that."""
    stage = Stage(lab, stack, 2, session_scope="connection")
    ahead, behind = stage.replicas
    stage.master.cli("SET", "k", "old")
    stage.have("old")
    old = stage.offset()
    behind.server.cli("CLIENT", "PAUSE", "60000", "WRITE")
    stage.master.cli("SET", "k", "new")
    stage.have("new", ahead)
    raw = stage.session_of(ahead, b"new")
    run_id = ahead.server.info("server")["run_id"]
    ahead.server.kill()
    ahead.server.start()
    assert ahead.server.info("server")["run_id"] != run_id
    stage.weir.wait_state("ok")
    ahead.role = lambda gets, reply: at(old, reply)
    with stage.weir.raw() as other:
        stage.read_from(other, ahead)
        stage.weir.admin("DRAIN", ahead.address)
        for _ in range(3):
            assert raw.command("GET", "k") == b"new"
        stage.read_from(other, behind)


def test_what_is_half_answered_is_not_asked_again(lab, stack):
    """Reads of an eventual session stand each for itself: that one has to be asked
    again says nothing about another, of which a part has come already. Its place
    got two replies once."""
    stage = Stage(lab, stack, 2, consistency="eventual")
    stage.master.cli("SET", "k", "value")
    stage.have("value")
    judged, half, rest = threading.Event(), threading.Event(), threading.Event()
    first = []

    def play(staged):
        def role(_, reply):
            if first[:1] in ([], [staged]):
                first[:] = [staged]
                return judged.wait(30) and unlinked(reply)
            return reply

        def in_halves(_, reply):
            yield reply[:5]
            half.set()
            yield rest.wait(30) and reply[5:]
        staged.role, staged.halve = role, lambda words, reply: [reply] if first == [staged] else in_halves(words, reply)
    with stage.weir.raw(timeout=30) as raw, stage.weir.raw() as other:
        assert raw.command("GET", "k") == b"value"
        for staged in stage.replicas:
            play(staged)
        for _ in range(2):
            stage.weir.take(raw, encode("GET", "k"))
        assert half.wait(30)
        assert [other.command("PING") for _ in range(3)] == ["PONG"] * 3, "weir has read the half"
        judged.set()
        wait_for(lambda: stage.master.calls().get("get", 0) > 0, what="the first is asked of the master")
        rest.set()
        assert [raw.reply(), raw.reply(), raw.command("ECHO", "end")] == [b"value", b"value", b"end"]
