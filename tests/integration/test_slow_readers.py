"""Large replies, and clients that do not read them: what they have not read
stays at the server, and nobody else waits for them."""
import contextlib
import hashlib
import os
import socket
import threading
import time

import pytest

from harness import encode, wait_for

MEBIBYTE = 1 << 20
BIG = 32 * MEBIBYTE
ROOM = 8 * MEBIBYTE     # what weir may take for one such client


def value_of(size):
    return (os.urandom(MEBIBYTE) * (size // MEBIBYTE + 1))[:size]


def group_with(lab, replicas, values, **proxy):
    group = lab.group(replicas, {"proxy": {"workers": 1, **proxy}, "health": {"timeout": "20s"},
                                 "routing": {"max_lag": "20s", "max_lag_bytes": "1gb", "backend_timeout": "20s"}})
    with group.master.raw(timeout=60) as raw:
        for key, value in values.items():
            assert raw.command("SET", key, value) == "OK"
    if replicas:
        group.settle()
    else:
        with group.weir.raw() as raw:
            raw.command("PING")
    return group


def metric(weir, name):
    return weir.metrics()[f"weir_{name}"]


def closed(weir, reason):
    """One client was, for this reason."""
    name = f'weir_client_closed_total{{reason="{reason}"}}'
    wait_for(lambda: weir.metrics()[name] == 1, what=f"a client is closed: {reason}")


def send(weir, raw, commands):
    """Sends them, and waits until weir has read them."""
    data = b"".join(encode(*words) for words in commands)
    before = metric(weir, 'client_bytes_total{direction="in"}')
    raw.send(data)
    wait_for(lambda: metric(weir, 'client_bytes_total{direction="in"}') >= before + len(data), what="weir has read it")


def has_stepped_aside(weir, times=1):
    wait_for(lambda: metric(weir, "large_replies_total") >= times, what=f"{times} large replies have stepped aside")


class Steady(threading.Thread):
    """Somebody else, who measures how long his own commands take."""

    def __init__(self, weir, commands, expected):
        super().__init__(daemon=True)
        self.weir, self.commands, self.expected = weir, commands, expected
        self.stop, self.times, self.error = threading.Event(), [], None

    def run(self):
        try:
            with self.weir.raw(timeout=20) as raw:
                while not self.stop.is_set():
                    begin = time.monotonic()
                    assert raw.commands(self.commands) == self.expected
                    self.times.append(time.monotonic() - begin)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join(30)
        assert self.error is None, repr(self.error)
        assert len(self.times) > 50

    def percentile(self, share):
        return sorted(self.times)[int(len(self.times) * share)]


@pytest.mark.plain
@pytest.mark.parametrize("replicas", [0, 1])
def test_what_is_not_read_stays_at_the_server(lab, replicas):
    value = value_of(2 * BIG)
    group = group_with(lab, replicas, {"big": value, "small": "1"})
    resident = group.weir.rss_bytes()
    with Steady(group.weir, [("GET", "small")] * 3, [b"1"] * 3) as other, contextlib.ExitStack() as stack:
        lazy = [stack.enter_context(group.weir.raw(timeout=60)) for _ in range(4)]
        for raw in lazy:
            raw.send(encode("GET", "big"))
        has_stepped_aside(group.weir, 4)
        seen = len(other.times)
        wait_for(lambda: len(other.times) > seen + 500, what="others are served")
        assert group.weir.rss_bytes() < resident + 4 * ROOM
        for raw in lazy:
            assert raw.reply() == value
    print(f"p50 {other.percentile(.5) * 1e3:.2f} p99 {other.percentile(.99) * 1e3:.2f} max {max(other.times) * 1e3:.1f} ms")


@pytest.mark.plain
def test_a_client_that_keeps_up(lab):
    """A value is never held whole for it, and others do not notice."""
    value = value_of(4 * BIG)
    digest = hashlib.sha256(value).digest()
    group = group_with(lab, 1, {"big": value, "small": "1"})
    resident = group.weir.rss_bytes()
    with Steady(group.weir, [("GET", "small")], [b"1"]) as other, group.weir.raw(timeout=60) as raw:
        for _ in range(5):
            assert hashlib.sha256(raw.command("GET", "big")).digest() == digest
        assert group.weir.rss_bytes() < resident + 2 * ROOM
    assert other.percentile(.99) < 0.1


def test_reads_behind_it_are_sent_again(lab):
    """They stood behind the large reply when it came: deterministic, because the
    server is stopped until they do."""
    group = group_with(lab, 1, {"big": value_of(BIG), **{f"k{n}": n for n in range(100)}})
    with group.weir.raw(timeout=60) as lazy, contextlib.ExitStack() as stack:
        others = [stack.enter_context(group.weir.raw()) for _ in range(20)]
        for n, raw in enumerate(others):
            assert raw.command("GET", f"k{n}") == b"%d" % n
        before = metric(group.weir, "moved_reads_total"), group.weir.status()["commands"]["reads_on_master"]
        group.replicas[0].freeze()
        send(group.weir, lazy, [("GET", "big")])
        for n, raw in enumerate(others):
            send(group.weir, raw, [("GET", f"k{n + i}") for i in range(5)])
        group.replicas[0].thaw()
        for n, raw in enumerate(others):
            assert [raw.reply() for _ in range(5)] == [b"%d" % (n + i) for i in range(5)]
        assert metric(group.weir, "moved_reads_total") == before[0] + 100
        assert group.weir.status()["commands"]["reads_on_master"] == before[1]
        assert metric(group.weir, "retried_reads_total") == 0
        assert len(lazy.reply()) == BIG
        assert lazy.command("GET", "k1") == b"1"


def test_writes_behind_it_keep_their_place(lab):
    """And their sessions with them; they wait a moment, not for ever."""
    group = group_with(lab, 0, {"big": value_of(BIG), "k": "old"})
    with group.weir.raw(timeout=60) as lazy, contextlib.ExitStack() as stack:
        raws = [stack.enter_context(group.weir.raw()) for _ in range(6)]
        for raw in raws:
            raw.command("PING")
        group.master.freeze()
        send(group.weir, lazy, [("GET", "big")])
        conversations = [
            ([("SET", "a", 1)], ["OK"]),
            ([("GET", "k"), ("GET", "k")], [b"old"] * 2),
            ([("GET", "c"), ("INCR", "c"), ("GET", "c"), ("INCR", "c"), ("GET", "c")], [None, 1, b"1", 2, b"2"]),
            ([("MULTI",), ("SET", "d", 1), ("INCR", "d"), ("EXEC",), ("GET", "d")], ["OK", "QUEUED", "QUEUED", ["OK", 2], b"2"]),
            ([("SELECT", 1), ("SET", "e", 1), ("GET", "e")], ["OK", "OK", b"1"]),
            ([("OBJECT", "ENCODING", "k"), ("GET", "k")], [b"embstr", b"old"]),
        ]
        for raw, (commands, _) in zip(raws, conversations):
            send(group.weir, raw, commands)
        group.master.thaw()
        begin = time.monotonic()
        for raw, (_, expected) in zip(raws, conversations):
            assert [raw.reply() for _ in expected] == expected
        print(f"all after {time.monotonic() - begin:.3f} s")
        has_stepped_aside(group.weir)
        for raw in raws:
            assert raw.commands([("INCR", "n"), ("GET", "big2"), ("DEL", "n")]) == [1, None, 1]
        assert len(lazy.reply()) == BIG


@pytest.mark.plain
def test_a_pipeline_of_large_reads(lab):
    """They come one after the other: the next ones wait where they are."""
    values = {f"big{n}": value_of(4 * MEBIBYTE + n) for n in range(20)}
    group = group_with(lab, 1, values)
    resident = group.weir.rss_bytes()
    with group.weir.raw(timeout=60) as raw:
        for begin in range(0, 20, 5):
            raw.send(b"".join(encode("GET", f"big{n}") for n in range(begin, begin + 5)))
            time.sleep(0.1)
        has_stepped_aside(group.weir)
        time.sleep(0.5)
        assert group.weir.rss_bytes() < resident + 2 * ROOM
        for n in range(20):
            assert raw.reply() == values[f"big{n}"]
        assert raw.command("STRLEN", "big0") == 4 * MEBIBYTE


@pytest.mark.plain
def test_large_replies_before_their_turn(lab):
    """An eventual session asks two replicas; the first is silent, so what the
    second says waits, and not in memory."""
    group = group_with(lab, 2, {"big": value_of(BIG), "small": "1"})
    with group.weir.raw(timeout=60) as raw:
        raw.command("WEIR", "CONSISTENCY", "eventual")
        for first in group.replicas:
            first.freeze()
            raw.send(encode("GET", "small") * 1)
            raw.send(encode("GET", "big"))
            with contextlib.suppress(AssertionError):
                wait_for(lambda: metric(group.weir, "large_replies_total") > 0, timeout=0.5)
            resident = group.weir.rss_bytes()
            first.thaw()
            assert raw.reply() == b"1"
            assert len(raw.reply()) == BIG
            assert resident < 40 * MEBIBYTE


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_the_client_leaves(lab, leave):
    """What nobody wants any more is not even read."""
    huge = 4 * BIG
    group = group_with(lab, 1, {"huge": value_of(huge), "small": "1"})
    wait_for(lambda: group.replicas[0].cli("EXISTS", "huge"), what="the value is there")
    read = group.replicas[0].info("stats")["total_net_output_bytes"]
    for _ in range(3):
        raw = group.weir.raw()
        raw.send(encode("GET", "huge"))
        raw.stream.read(3 * MEBIBYTE)
        getattr(raw, leave)()
        with group.weir.raw() as other:
            assert other.command("GET", "small") == b"1"
    wait_for(lambda: group.weir.status()["clients"]["connected"] == 0, what="they are gone")
    assert group.replicas[0].info("stats")["total_net_output_bytes"] - read < 2 * huge


def test_the_server_is_lost(lab):
    group = group_with(lab, 1, {"big": value_of(BIG), "small": "1"})
    with group.weir.raw(timeout=30) as lazy, group.weir.raw() as other:
        lazy.send(encode("GET", "big"))
        has_stepped_aside(group.weir)
        group.replicas[0].kill()
        assert other.command("GET", "small") == b"1"
        assert len(lazy.read_all()) < BIG
    closed(group.weir, "node_lost_mid_reply")


def test_connections_are_used_again(lab):
    group = group_with(lab, 1, {"big": value_of(BIG)})
    received = lambda: group.replicas[0].info("stats")["total_connections_received"]  # noqa: E731
    with group.weir.raw(timeout=30) as raw:
        raw.command("GET", "big")
        before = received()
        for _ in range(10):
            assert len(raw.command("GET", "big")) == BIG
        has_stepped_aside(group.weir, 2)
        assert received() <= before + 3


def test_too_many_of_them(lab):
    """Beyond the limit replies are kept in memory, up to client_output_limit."""
    group = group_with(lab, 1, {"big": value_of(BIG), "small": "1"}, max_private_backends=4, client_output_limit="40mb")
    with contextlib.ExitStack() as stack:
        lazy = [stack.enter_context(group.weir.raw(timeout=30)) for _ in range(6)]
        for raw in lazy:
            raw.send(encode("GET", "big"))
        with group.weir.raw() as other:
            for _ in range(50):
                assert other.command("GET", "small") == b"1"
            assert other.commands([("MULTI",), ("GET", "small"), ("PING",), ("EXEC",)])[-1] == [b"1", "PONG"]
        assert metric(group.weir, "large_replies_total") == 2
        for raw in lazy:
            assert len(raw.reply()) == BIG


def test_output_limit_still_holds(lab):
    group = group_with(lab, 1, {"big": value_of(BIG)}, max_private_backends=1, client_output_limit="8mb")
    with group.weir.raw(timeout=30) as first, group.weir.raw(timeout=30) as second:
        first.send(encode("GET", "big"))
        has_stepped_aside(group.weir)
        second.send(encode("GET", "big"))
        closed(group.weir, "output_limit") # before it reads: a fast reader would get it all
        assert len(second.read_all()) < BIG
        assert len(first.reply()) == BIG


def test_idle_clients_that_do_not_read(lab):
    group = group_with(lab, 1, {"big": value_of(BIG)}, client_idle_timeout="1s")
    with group.weir.raw(timeout=30) as lazy, group.weir.raw(timeout=30) as slow:
        lazy.send(encode("GET", "big"))
        slow.send(encode("GET", "big"))
        got = len(slow.stream.readline())

        def one_is_closed():
            nonlocal got
            got += len(slow.stream.read1(MEBIBYTE))
            return metric(group.weir, 'client_closed_total{reason="idle"}') == 1
        wait_for(one_is_closed, what="the one that reads nothing is closed", interval=0.15)
        got += len(slow.stream.read(BIG + len(b"$%d\r\n\r\n" % BIG) - got))
        assert got == BIG + len(b"$%d\r\n\r\n" % BIG)
        assert len(lazy.read_all()) < BIG
    closed(group.weir, "idle")


def test_private_connections_are_left_as_they_were(lab):
    """One that was not read for a slow client serves the next."""
    group = group_with(lab, 0, {"big": value_of(4 * MEBIBYTE)})
    for _ in range(3):
        with group.weir.raw(timeout=30) as raw:
            raw.send(b"".join(encode(*words) for words in [("MULTI",), ("SELECT", 0), ("GET", "big"), ("EXEC",)]))
            time.sleep(0.2)
            assert [raw.reply() for _ in range(3)] == ["OK", "QUEUED", "QUEUED"]
            assert len(raw.reply()[1]) == 4 * MEBIBYTE
            raw.send(encode("BLPOP", "queue", 5))
            with group.weir.raw() as other:
                other.command("RPUSH", "queue", "x")
            assert raw.reply() == [b"queue", b"x"]


@pytest.mark.plain
def test_a_flood_of_medium_sized_replies(lab):
    """None of them is large enough to step aside, and there are ten megabytes of
    them for each of a hundred clients that read nothing: most of it is not even
    asked for, and somebody else is served meanwhile."""
    group = group_with(lab, 1, {"medium": value_of(100 * 1024), "small": b"s"}, workers=1)
    before = group.weir.rss_bytes()
    with contextlib.ExitStack() as stack, group.weir.raw() as other:
        other.commands([("GET", "small")] * 100)
        lazy = [stack.enter_context(group.weir.raw()) for _ in range(100)]
        for raw in lazy:
            raw.send(encode("GET", "medium") * 100)
        began = time.monotonic()
        for _ in range(100):
            assert other.command("GET", "small") == b"s"
        assert time.monotonic() - began < 10, "a hundred small replies behind a gigabyte of others"
        wait_for(lambda: group.weir.rss_bytes() - before < 100 * MEBIBYTE, 5)
        assert group.weir.rss_bytes() - before < 100 * MEBIBYTE
        for raw in lazy[:5]:        # nothing is lost for those who read after all
            assert all(len(raw.reply()) == 100 * 1024 for _ in range(100))


def outstanding(weir):
    """What weir has asked of servers on the connections that clients share."""
    titles, *rows = (line.split() for line in weir.admin("BACKENDS"))
    return sum(int(row[titles.index("outstanding")]) for row in rows if row[titles.index("kind")] == "shared")


FIRST = 32      # CROWD_FIRST: requests of newcomers, while nobody knows what they bring


@contextlib.contextmanager
def newcomers(group, count, *questions):
    """They come together, while the server says nothing."""
    data = b"".join(encode(*words) for words in questions)
    before = metric(group.weir, 'client_bytes_total{direction="in"}')
    group.master.freeze()
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(group.weir.raw(timeout=60)) for _ in range(count)]
        for raw in found:
            raw.send(data)
        wait_for(lambda: metric(group.weir, 'client_bytes_total{direction="in"}') >= before + count * len(data),
                 what="weir has read them all")
        yield found


def test_newcomers_who_come_together(lab):
    """Each may want something large, so a server is asked for a few of them; who is
    known to ask for little passes all the others by."""
    group = group_with(lab, 0, {"medium": value_of(100 * 1024), "small": b"s"})
    with group.weir.raw(timeout=60) as early:
        assert early.command("GET", "small") == b"s"
        with newcomers(group, 200, ("GET", "medium")) as crowd:
            assert outstanding(group.weir) == FIRST
            send(group.weir, early, [("GET", "small")] * 10)
            assert outstanding(group.weir) == FIRST + 10
            group.master.thaw()
            assert [early.reply() for _ in range(10)] == [b"s"] * 10
            for raw in crowd:
                assert len(raw.reply()) == 100 * 1024
            wait_for(lambda: outstanding(group.weir) == 0)


def test_newcomers_with_small_replies(lab):
    """Whoever waits for a place goes before those who came later."""
    group = group_with(lab, 0, {})
    with newcomers(group, 300, ("INCR", "order")) as crowd:
        assert outstanding(group.weir) == FIRST
        group.master.thaw()
        order = [raw.reply() for raw in crowd]
    assert sorted(order) == list(range(1, 301))
    assert all(place <= n + FIRST for n, place in enumerate(order, 1)), order


def test_newcomers_with_pipelines(lab):
    """Who waits with its second command is let go when its first reply is small."""
    group = group_with(lab, 0, {"small": b"s"})
    with newcomers(group, 300, *[("GET", "small")] * 3) as crowd:
        assert outstanding(group.weir) == FIRST
        group.master.thaw()
        for raw in crowd:
            assert [raw.reply() for _ in range(3)] == [b"s"] * 3


@pytest.mark.parametrize("leave", ["reset", "close", "half"])
def test_newcomers_who_leave_while_they_wait(lab, leave):
    """Who has left is not there any more, and nothing is asked for in its name. Who
    has only sent its last byte gets its replies."""
    group = group_with(lab, 0, {"medium": value_of(100 * 1024), "small": b"s"})
    connected = lambda: group.weir.status()["clients"]["connected"]  # noqa: E731
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(group.weir.raw())
        assert other.command("CLIENT", "GETNAME") is None
        crowd = stack.enter_context(newcomers(group, 200, ("GET", "medium")))
        assert outstanding(group.weir) == FIRST
        if leave != "reset":
            for raw in crowd:
                raw.socket.shutdown(socket.SHUT_WR)
            for _ in range(50):         # weir has seen that as well
                other.command("CLIENT", "GETNAME")
        if leave == "half":
            group.master.thaw()
            for raw in crowd:
                assert len(raw.reply()) == 100 * 1024
                assert raw.read_all() == b""
        else:
            for raw in crowd:
                raw.reset()
            if leave == "reset":
                wait_for(lambda: connected() == 1, what="all are gone, while the server is silent")
            group.master.thaw()
        wait_for(lambda: connected() == 1, what="they are gone")
        wait_for(lambda: outstanding(group.weir) == 0)
        calls = group.master.calls()["get"]
        assert calls == 200 if leave == "half" else calls <= FIRST
        assert other.command("GET", "small") == b"s"


def test_many_at_once(lab):
    """Downloads, uploads, small commands, and clients that leave, all mixed: every
    value is the one that was asked for."""
    values = {f"big{n}": b"%d:" % n + value_of(3 * MEBIBYTE + 1000 * n) for n in range(8)}
    group = group_with(lab, 2, {**values, **{f"k{n}": f"v{n}" for n in range(50)}}, workers=2)
    errors, end = [], time.monotonic() + 4

    def session(n):
        try:
            turn = 0
            while time.monotonic() < end:
                turn += 1
                with group.weir.raw(timeout=60) as raw:
                    big = (n + turn) % 8
                    commands = [("GET", f"k{n}"), ("GET", f"big{big}"), ("GET", f"k{turn % 50}"), ("SET", f"own{n}", turn),
                                ("GET", f"own{n}"), ("GET", f"big{(big + 1) % 8}"), ("STRLEN", f"big{big}")]
                    raw.send(b"".join(encode(*words) for words in commands))
                    if (n + turn) % 5 == 0:
                        raw.stream.read(MEBIBYTE)
                        raw.reset()
                        continue
                    if n % 3 == 0:
                        time.sleep(0.3)
                    got = [raw.reply() for _ in commands]
                    assert got == [b"v%d" % n, values[f"big{big}"], b"v%d" % (turn % 50), "OK", b"%d" % turn,
                                   values[f"big{(big + 1) % 8}"], len(values[f"big{big}"])]
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=session, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, repr(errors[0])[:500]
    assert metric(group.weir, "backend_desync_total") == 0


@pytest.mark.plain
def test_a_subscriber_that_does_not_read(lab):
    """The server's own limit for subscribers is the limit: what weir has not read
    for it counts there, and when the server gives up weir does. Others who listen
    hear everything."""
    group = group_with(lab, 0, {})
    group.master.cli("CONFIG", "SET", "client-output-buffer-limit", "pubsub 16mb 0 0")
    before = group.weir.rss_bytes()
    message = value_of(MEBIBYTE)
    with group.weir.raw() as lazy, group.weir.raw(timeout=60) as eager, group.weir.client(decode_responses=False) as other:
        for raw in (lazy, eager):
            assert raw.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        for _ in range(60):
            other.publish("news", message)
            assert eager.reply() == [b"message", b"news", message]
            assert group.weir.rss_bytes() < before + 16 * MEBIBYTE
        wait_for(lambda: group.master.cli("PUBSUB", "NUMSUB", "news") == ["news", 1], what="the server has had enough")
        got = 0
        with contextlib.suppress(EOFError, ConnectionResetError):
            while lazy.reply() == [b"message", b"news", message]:
                got += 1
        assert 0 < got < 60, "what had been on its way, and then the end"
        closed(group.weir, "private_backend_lost")
        assert other.get("nothing") is None
