"""Replies come in request order whatever server gave them, effects follow
program order, and nobody ever reads another one's reply."""
import random
import threading

import pytest

from harness import encode, wait_for


def test_deep_pipeline_of_writes_and_reads(shared_group):
    """Each GET sees the SET before it, although they belong to different
    servers; among them replies of every kind, as markers of the order."""
    commands, expected = [], []
    for n in range(3000):
        key = f"order:{n % 37}"
        commands += [("SET", key, n), ("GET", key), ("ECHO", n), ("GET", "order:none"), ("STRLEN", key)]
        expected += ["OK", b"%d" % n, b"%d" % n, None, len(str(n))]
    with shared_group.weir.raw() as raw:
        assert raw.commands(commands) == expected


def test_a_write_waits_for_the_reads_before_it(shared_group):
    with shared_group.weir.raw() as raw:
        raw.command("SET", "before", "old")
        shared_group.settle()
        for turn in range(200):
            replies = raw.commands([("GET", "before")] * 20 + [("SET", "before", f"new{turn}"), ("GET", "before")])
            assert replies[:20] == [replies[0]] * 20, "a read saw a later write"
            assert replies[20:] == ["OK", b"new%d" % turn]
            assert replies[0] == (b"old" if turn == 0 else b"new%d" % (turn - 1))


def test_connections_of_a_worker_are_read_in_the_order_they_spoke(lab):
    """As a server does. Nobody was promised that, before any answer; but who
    knows the server may have come to rely on it, its own test suite does."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    sessions = [group.weir.raw() for _ in range(20)]
    for raw in sessions:
        assert raw.command("PING") == "PONG"
    for turn in range(3):
        group.weir.freeze()
        for n, raw in enumerate(sessions):
            raw.send(encode("RPUSH", f"order:{turn}", n))
        group.weir.thaw()
        assert [raw.reply() for raw in sessions] == list(range(1, 21))
        assert group.master.cli("LRANGE", f"order:{turn}", 0, -1) == [str(n) for n in range(20)]
    for raw in sessions:
        raw.close()


def test_a_write_waits_for_reads_on_their_way(lab):
    """Reads are with a replica that does not answer; a write that comes later,
    on its own, must not be done before them."""
    group = lab.group(1, config={"routing": {"backend_timeout": "20s"}, "health": {"timeout": "20s"}})
    replica = group.replicas[0]
    with group.weir.raw(timeout=30) as raw:
        raw.command("SET", "before", "old")
        group.settle()
        replica.freeze()
        group.weir.take(raw, encode("GET", "before") * 3)
        raw.send(encode("SET", "before", "new"))
        assert raw.silent(0.3)
        assert group.master.cli("GET", "before") == "old", "the write has overtaken the reads"
        replica.thaw()
        assert [raw.reply() for _ in range(4)] == [b"old", b"old", b"old", "OK"]
        assert raw.command("GET", "before") == b"new"


def test_commands_on_different_ways_to_the_master(shared_group):
    """Scripts and databases have connections of their own; a session's
    commands on them happen in its order all the same."""
    get, put = "return redis.call('get', KEYS[1])", "return redis.call('set', KEYS[1], ARGV[1])"
    commands, expected = [("SELECT", 0), ("DEL", "way"), ("SELECT", 5), ("DEL", "way"), ("SELECT", 0)], []
    for n in range(200):
        commands += [("SET", "way", n), ("EVAL", get, 1, "way"), ("EVAL", put, 1, "way", -n), ("GET", "way"),
                     ("MOVE", "way", 5), ("SELECT", 5), ("GET", "way"), ("DEL", "way"), ("SELECT", 0)]
        expected += ["OK", b"%d" % n, "OK", b"%d" % -n, 1, "OK", b"%d" % -n, 1, "OK"]
    with shared_group.weir.raw() as raw:
        assert raw.commands(commands)[5:] == expected


def test_read_your_writes_across_connections(shared_group):
    """A write acknowledged to one client is seen by every other client of the
    same weir, at once."""
    with shared_group.weir.raw() as writer, shared_group.weir.raw() as reader:
        for n in range(1000):
            assert writer.command("SET", "ryw", n) == "OK"
            assert reader.command("GET", "ryw") == b"%d" % n


def test_bytes_one_at_a_time(shared_group):
    stream = encode("SET", "slow", "x\r\ny") + b"GET slow\r\n" + encode("GET", "slow")
    with shared_group.weir.raw() as raw:
        for n in range(len(stream)):
            raw.send(stream[n:n + 1])
        assert [raw.reply(), raw.reply(), raw.reply()] == ["OK", b"x\r\ny", b"x\r\ny"]


def test_a_thousand_clients(shared_group):
    clients = [shared_group.weir.raw(timeout=30) for _ in range(1000)]
    try:
        for turn in range(5):
            for n, raw in enumerate(clients):
                raw.send(encode("SET", f"client:{n}", f"{n}:{turn}") + encode("GET", f"client:{n}")
                         + encode("GET", f"client:{n}"))
            for n, raw in enumerate(clients):
                assert [raw.reply() for _ in range(3)] == ["OK"] + [b"%d:%d" % (n, turn)] * 2
        assert shared_group.weir.status()["clients"]["connected"] >= 1000
    finally:
        for raw in clients:
            raw.close()
    wait_for(lambda: shared_group.weir.status()["clients"]["connected"] < 10, what="all have left")


class Vanishing(threading.Thread):
    """Opens connections, sends parts of pipelines, and leaves anywhere."""

    def __init__(self, weir, seed, stop):
        super().__init__(daemon=True)
        self.weir, self.random, self.stop = weir, random.Random(seed), stop
        self.left = 0
        self.error = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.vanish_once()
        except Exception as error:  # whatever it is, the test reports it
            self.error = error

    def vanish_once(self):
        choose = self.random
        pipeline = b"".join(self.request() for _ in range(choose.randint(1, 50)))
        raw = self.weir.raw()
        try:
            raw.send(pipeline[:choose.randint(0, len(pipeline))])
            for _ in range(choose.randint(0, 3)):
                if raw.silent(0.001):
                    break
                raw.stream.read1(choose.randint(1, 500))
        except (ConnectionResetError, BrokenPipeError):
            pass    # a request cut in the middle may well be malformed
        raw.reset() if choose.random() < 0.5 else raw.close()
        self.left += 1

    def request(self):
        n = self.random.randint(0, 99)
        return self.random.choice([
            encode("GET", f"mix:{n}"), encode("SET", f"gone:{n}", "x" * self.random.randint(0, 3000)),
            encode("MGET", f"mix:{n}", f"gone:{n}"), encode("BLPOP", "never", 1), encode("MULTI"),
            encode("EXEC"), encode("SELECT", self.random.randint(0, 3)), encode("SUBSCRIBE", "news"),
            encode("WATCH", f"mix:{n}"), encode("INCR", "gone:counter"), encode("ECHO", "x" * 100),
        ])


@pytest.mark.time_limit(180)
def test_vanishing_clients_mix_nothing_up(shared_group):
    """Every value carries its key; clients that vanish at random points of
    everything must not move anybody's replies."""
    with shared_group.weir.raw() as raw:
        raw.commands([("SET", f"mix:{n}", f"value of {n}") for n in range(100)])
    stop = threading.Event()
    vanishing = [Vanishing(shared_group.weir, seed, stop) for seed in range(6)]
    for thread in vanishing:
        thread.start()
    try:
        checkers = [shared_group.weir.raw() for _ in range(4)]
        for turn in range(500):
            numbers = [[(turn * 7 + c * 31 + i) % 100 for i in range(25)] for c in range(4)]
            for raw, chosen in zip(checkers, numbers):
                raw.send(b"".join(encode("GET", f"mix:{n}") for n in chosen))
            for raw, chosen in zip(checkers, numbers):
                assert [raw.reply() for _ in chosen] == [b"value of %d" % n for n in chosen]
    finally:
        stop.set()
        for thread in vanishing:
            thread.join(20)
    for raw in checkers:
        raw.close()
    assert [thread.error for thread in vanishing] == [None] * 6
    print(f"{sum(thread.left for thread in vanishing)} clients vanished")
    assert min(thread.left for thread in vanishing) >= 20
    wait_for(lambda: shared_group.weir.status()["clients"]["connected"] <= 1, what="all have left")
    wait_for(lambda: shared_group.master.info("clients")["blocked_clients"] == 0, what="nobody is blocked")
    metrics = shared_group.weir.metrics()
    assert metrics.get("weir_backend_desync_total", 0) == 0
