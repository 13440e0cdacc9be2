"""Replicas that pass their health checks and fail their reads: late replies,
connections that are silent for good, and a replica that gets no reads for a
while. (`Crooked` bends the replies to reads of the key `bad`.)"""
import contextlib
import threading
import time

import pytest

from harness import HOST, PATIENCE, Group, encode, wait_for
from test_fake_server import CLOSE, Crooked

RIGHT = b"the right value"
TIMEOUT = f"{200 * PATIENCE:g}ms"


@contextlib.contextmanager
def behind(lab, good_replicas=0, **routing):
    """A master, a replica behind a Crooked, other replicas, and weir."""
    master = lab.redis(name="master")
    replicas = [lab.redis("--replicaof", HOST, master.port, name=f"replica{n}") for n in range(good_replicas + 1)]
    with Crooked(replicas[0]) as crooked:
        weir = lab.weir(master, [crooked.address, *replicas[1:]], {
            "proxy": {"workers": 1}, "replication": {"wiring": "observe"}, "health": {"fall": 100},
            "routing": {"backend_timeout": TIMEOUT, "max_lag": "1m", **routing}}).wait_state("ok")
        group = Group(master, replicas, weir)
        group.crooked = crooked
        master.client().mset({"bad": RIGHT, "other": "another key's value"})
        group.settle()
        yield group


def metric(group, name):
    return group.weir.metrics().get(f"weir_{name}", 0)


def closed(group, reason):
    return metric(group, f'backend_closed_total{{reason="{reason}"}}')


def lost(group):
    """Connections that were closed, but for weir's own that asks about passwords."""
    counts = {name: count for name, count in group.weir.metrics().items() if name.startswith("weir_backend_closed_total")}
    return sum(counts.values()) - closed(group, "renewed")


def gets(server):
    return server.calls().get("get", 0)


def test_a_late_reply_costs_no_connection(lab):
    """The read is answered elsewhere after backend_timeout; what comes late is
    swallowed, and what was behind it on that connection is right."""
    with behind(lab) as group:
        late = threading.Event()

        def answer_late(words, reply):
            late.wait(10)
            return reply
        group.crooked.script = answer_late
        before = lost(group)
        with group.weir.raw() as raw, group.weir.raw() as other:
            assert raw.command("GET", "bad") == RIGHT
            assert other.commands([("GET", "other"), ("GET", "none")]) == [b"another key's value", None]
            group.crooked.script = None
            late.set()
            served = gets(group.replicas[0])
            wait_for(lambda: other.command("GET", "other") == b"another key's value" and
                     gets(group.replicas[0]) > served, what="the replica serves again")
            assert raw.commands([("GET", "bad"), ("GET", "other")] * 10) == [RIGHT, b"another key's value"] * 10
        assert lost(group) == before, "over the same connection"


def test_a_connection_that_is_silent_for_good(lab):
    """After five times backend_timeout it is closed, and another one serves."""
    with behind(lab) as group:
        group.crooked.script = lambda words, reply: b""
        before = lost(group)
        with group.weir.raw() as raw:
            assert raw.command("GET", "bad") == RIGHT
            group.crooked.script = None
            wait_for(lambda: closed(group, "silent") == 1, what="the silent connection is closed")
            served = gets(group.replicas[0])
            wait_for(lambda: raw.command("GET", "bad") == RIGHT and gets(group.replicas[0]) > served,
                     what="the replica serves again")
        assert lost(group) == before + 1


def test_half_a_reply_to_a_client(lab):
    """What has begun to reach a client cannot come from elsewhere: it gets the
    rest when that comes, and nothing else before."""
    with behind(lab) as group:
        rest = threading.Event()
        value = b"$100\r\n" + b"x" * 100 + b"\r\n"

        def in_halves(words, reply):
            yield value[:50]
            rest.wait(10)
            yield value[50:]
        group.crooked.script = lambda words, reply: list_of(in_halves(words, reply))

        class list_of(list):
            def __init__(self, parts):
                self.parts = parts

            def __iter__(self):
                return self.parts
        with group.weir.raw() as raw:
            raw.send(encode("GET", "bad"))
            assert raw.stream.read(50) == value[:50]
            assert raw.silent(0.5 * PATIENCE)   # more than backend_timeout, less than five times that
            rest.set()
            assert raw.stream.read(len(value) - 50) == value[50:]
            assert raw.command("GET", "other") == b"another key's value"


def fail_until_ejected(group, raw):
    def ejected():
        assert raw.command("GET", "bad") == RIGHT
        return metric(group, "replica_ejections_total") > 0
    wait_for(ejected, what="the replica is ejected")


@pytest.mark.parametrize("failure", [CLOSE, b"@what\r\n"], ids=["closes", "malformed"])
def test_a_replica_that_keeps_failing(lab, failure):
    """It gets no reads for a while, although its health checks are fine; then it
    does, and as it answers them all is forgotten."""
    with behind(lab, good_replicas=1) as group, group.weir.raw() as raw:
        group.crooked.script = lambda words, reply: failure
        fail_until_ejected(group, raw)
        wait_for(lambda: "gets no reads for" in group.weir.log(), what="the log tells it")
        wait_for(lambda: '"kind":"ejected"' in group.weir.http("/events")[1])
        assert group.weir.status()["state"] == "ok", "as far as health goes"
        bent = group.crooked.bent
        assert raw.commands([("GET", "bad")] * 50) == [RIGHT] * 50
        assert group.crooked.bent == bent
        group.crooked.script = None
        served = gets(group.replicas[0])
        wait_for(lambda: raw.command("GET", "bad") == RIGHT and gets(group.replicas[0]) > served, 20,
                 what="it gets reads again")
        ejections = metric(group, "replica_ejections_total")
        group.crooked.script = lambda words, reply: failure
        bent = group.crooked.bent
        wait_for(lambda: raw.command("GET", "bad") == RIGHT and group.crooked.bent > bent)
        assert metric(group, "replica_ejections_total") == ejections, "one failure is not enough again"


def test_a_silent_replica_is_ejected_at_once(lab):
    with behind(lab, good_replicas=1) as group, group.weir.raw() as raw:
        group.crooked.script = lambda words, reply: time.sleep(0.3 * PATIENCE) or reply

        def ejected():
            assert raw.command("GET", "bad") == RIGHT
            return metric(group, "replica_ejections_total") > 0
        wait_for(ejected)
        assert metric(group, "retried_reads_total") == 1, "nobody else has waited for it"


def test_the_last_one_is_never_ejected(lab):
    """With nobody else to read from, it is tried again and again."""
    with behind(lab) as group, group.weir.raw() as raw:
        group.crooked.script = lambda words, reply: CLOSE
        for _ in range(3):
            bent = group.crooked.bent
            wait_for(lambda: raw.command("GET", "bad") == RIGHT and group.crooked.bent > bent, what="it is asked again")
        assert metric(group, "replica_ejections_total") == 0


def test_ejected_ones_serve_when_nobody_else_can(lab):
    with behind(lab, good_replicas=1, fallback="error") as group, group.weir.raw() as raw:
        group.crooked.script = lambda words, reply: CLOSE
        fail_until_ejected(group, raw)
        group.crooked.script = None
        assert group.weir.admin("DRAIN", group.replicas[1].address) == "OK"
        wait_for(lambda: raw.command("GET", "bad") == RIGHT, 0.5, "the other one is drained")
