"""Servers that die, stop, fall behind, or come back: what a client sees of it
(DESIGN.md, section 7)."""
import threading
import time

import pytest

from harness import PATIENCE, ServerError, encode, wait_for

KEYS = 500


def fill(group):
    with group.weir.raw() as raw:
        raw.commands([("SET", f"k:{n}", f"v:{n}") for n in range(KEYS)])
    group.settle()


class Reader(threading.Thread):
    """Reads in pipelines of 32 and checks every value, until told to stop."""

    def __init__(self, weir, first):
        super().__init__(daemon=True)
        self.weir, self.first = weir, first
        self.stop = threading.Event()
        self.replies = 0
        self.longest = 0.0      # seconds one pipeline took
        self.error = None

    def run(self):
        try:
            with self.weir.raw(timeout=15) as raw:
                while not self.stop.is_set():
                    self.read_once(raw)
        except Exception as error:  # whatever it is, it is a client error
            self.error = error

    def read_once(self, raw):
        numbers = [(self.first + self.replies + i) % KEYS for i in range(32)]
        begin = time.monotonic()
        replies = raw.commands([("GET", f"k:{n}") for n in numbers])
        self.longest = max(self.longest, time.monotonic() - begin)
        assert replies == [b"v:%d" % n for n in numbers], replies
        self.replies += len(replies)


class Readers:
    def __init__(self, weir, count=8):
        self.threads = [Reader(weir, n * 61) for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        for thread in self.threads:
            thread.stop.set()
        for thread in self.threads:
            thread.join(20)
        if kind is None:
            self.check()
            print(f"{self.total()} replies, slowest pipeline {max(t.longest for t in self.threads) * 1000:.0f} ms")

    def check(self):
        errors = [thread.error for thread in self.threads if thread.error]
        assert not errors, f"{len(errors)} of {len(self.threads)} readers failed: {errors[0]!r}"

    def total(self):
        return sum(thread.replies for thread in self.threads)

    def more(self, count):
        """Waits for so many more replies, of every reader its share."""
        targets = [thread.replies + count // len(self.threads) for thread in self.threads]

        def reached():
            self.check()
            return all(thread.replies >= target for thread, target in zip(self.threads, targets))
        wait_for(reached, 20, f"{count} more replies")


@pytest.mark.time_limit(180)
def test_replica_killed_under_load(lab):
    """Three times killed and restarted under 8 pipelining readers: no client
    sees an error or a wrong value."""
    group = lab.group(2)
    fill(group)
    with Readers(group.weir) as readers:
        for turn in range(3):
            replica = group.replicas[turn % 2]
            readers.more(2000)
            replica.kill()
            wait_for(lambda: not group.weir.readable(replica), what="weir sees that it is gone")
            readers.more(2000)
            replica.start("--replicaof", "127.0.0.1", group.master.port)
            wait_for(lambda: group.weir.readable(replica), 20, "the replica is back")
            readers.more(2000)
    print("retried:", group.weir.status()["commands"]["retried_reads"])


def test_all_replicas_killed_under_load(lab):
    """Without a replica the reads go to the master."""
    group = lab.group(2)
    fill(group)
    with Readers(group.weir, 4) as readers:
        readers.more(1000)
        for replica in group.replicas:
            replica.kill()
        readers.more(1000)
    assert group.weir.status()["state"] == "degraded"
    assert group.weir.status()["commands"]["reads_on_master"] > 0


def test_frozen_replica_leaves_and_returns(lab):
    """SIGSTOP: its sockets stay open and nothing answers. Reads that were sent
    to it are answered by another server."""
    group = lab.group(2)
    fill(group)
    replica = group.replicas[0]
    with Readers(group.weir, 4) as readers:
        readers.more(1000)
        replica.freeze()
        wait_for(lambda: not group.weir.readable(replica), what="weir sees that it is silent")
        assert group.weir.replica_status(replica)["reason"]
        readers.more(2000)
        replica.thaw()
        wait_for(lambda: group.weir.readable(replica), 20, "the replica is back")
        readers.more(1000)


SILENT = {"routing": {"backend_timeout": f"{300 * PATIENCE:g}ms", "max_lag": "1m"}, "health": {"timeout": "30s"}}


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_slow_query_does_not_travel_to_the_master(lab, replicas):
    """What stalls one server would stall the next one too: once more on a
    replica, then -TIMEOUT. A fast command is not to blame, and is answered."""
    group = lab.group(replicas, SILENT)
    group.master.cli("RPUSH", "list", "a")
    group.settle()
    for replica in group.replicas:
        replica.freeze()
    group.master.reset_calls()
    with group.weir.raw() as raw:
        answer = raw.command("LRANGE", "list", 0, -1)
        assert str(answer).startswith("TIMEOUT "), answer
        assert "lrange" not in group.master.calls()
        assert raw.command("LLEN", "list") == 1
    assert group.weir.metrics()["weir_timeouts_total"] == 1


def test_a_slow_query_is_tried_on_another_replica(lab):
    group = lab.group(2, SILENT)
    group.master.cli("RPUSH", "list", "a")
    group.settle()
    silent, other = group.replicas
    assert group.weir.admin("DRAIN", other.address) == "OK"
    group.settle()
    silent.freeze()
    with group.weir.raw() as raw:
        group.weir.take(raw, encode("LRANGE", "list", 0, -1))
        assert group.weir.admin("ENABLE", other.address) == "OK"
        assert raw.reply() == [b"a"]
    assert other.calls()["lrange"] == 1 and "lrange" not in group.master.calls()


def test_lost_reads_come_back_from_one_server(lab):
    """Several at once, spread over servers that are not equally far, could show
    time running backwards: the master answers them all."""
    group = lab.group(3, {"routing": {"backend_timeout": "30s", "max_lag": "1m"}, "health": {"timeout": "30s"}})
    fill(group)
    lost, *others = group.replicas
    for other in others:
        assert group.weir.admin("DRAIN", other.address) == "OK"
    group.settle()
    lost.freeze()
    with group.weir.raw() as raw:
        group.weir.take(raw, encode("GET", "k:1") * 20)
        for other in others:
            assert group.weir.admin("ENABLE", other.address) == "OK"
        group.reset_calls_of(group.master, *others)
        lost.kill()
        assert [raw.reply() for _ in range(20)] == [b"v:1"] * 20
    assert [server.calls().get("get", 0) for server in (group.master, *others)] == [20, 0, 0]


def test_lagging_replica_leaves_and_returns(lab):
    """A replica that answers everything but does not apply the stream: CLIENT
    PAUSE WRITE on a replica holds its master's stream too."""
    group = lab.group(2, config={"routing": {"max_lag": "300ms"}})
    fill(group)
    lagging, healthy = group.replicas
    lagging.cli("CLIENT", "PAUSE", 20000, "WRITE")
    group.master.cli("SET", "k:0", "newer")
    wait_for(lambda: not group.weir.readable(lagging), what="weir sees that it lags")
    wait_for(lambda: group.weir.replica_status(lagging)["lag_bytes"] > 0, what="and by how much")
    row = group.weir.replica_status(lagging)
    assert row["up"] and row["link"] == "up" and row["reason"]
    wait_for(lambda: group.weir.replica_status(lagging)["lag_ms"] > 300, what="its age grows")
    wait_for(lambda: healthy.cli("GET", "k:0") == "newer")
    assert lagging.cli("GET", "k:0") == "v:0", "this test rests on a replica that does not apply"
    with group.weir.raw() as raw:
        assert raw.commands([("GET", "k:0")] * 100) == [b"newer"] * 100
    lagging.cli("CLIENT", "UNPAUSE")
    wait_for(lambda: group.weir.readable(lagging), what="it has caught up")
    assert lagging.cli("GET", "k:0") == "newer"


def test_replica_far_behind_in_bytes(lab):
    group = lab.group(1, config={"routing": {"max_lag": "1m", "max_lag_bytes": "64kb"}})
    replica = group.replicas[0]
    replica.cli("CLIENT", "PAUSE", 20000, "WRITE")
    group.master.cli("SET", "big", "x" * 200_000)
    wait_for(lambda: not group.weir.readable(replica), what="weir sees that it lags")
    assert group.weir.replica_status(replica)["lag_bytes"] >= 200_000
    replica.cli("CLIENT", "UNPAUSE")
    wait_for(lambda: group.weir.readable(replica), what="it has caught up")


def test_fallback_error(lab):
    group = lab.group(1, config={"routing": {"fallback": "error"}})
    group.replicas[0].kill()
    wait_for(lambda: not group.weir.readable(group.replicas[0]))
    with group.weir.raw() as raw:
        assert raw.command("SET", "a", "1") == "OK"
        answer = raw.command("GET", "a")
    assert isinstance(answer, ServerError) and str(answer).startswith("NOREPLICA ")


# ---- the master

def test_master_lost_with_writes_on_the_way(lab):
    """Sent and unanswered: -UNKNOWNRESULT, once each, in order; not sent:
    -NOMASTER; reads go on."""
    group = lab.group(2, config={"routing": {"write_hold": "300ms"}})
    fill(group)
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert raw.command("SET", "k:0", "v:0") == "OK"
        group.settle()
        group.master.freeze()
        group.weir.take(raw, encode("INCR", "counter") * 3)
        assert raw.silent(0.2)
        group.master.kill()
        answers = [raw.reply() for _ in range(3)]
        assert all(isinstance(a, ServerError) and str(a).startswith("UNKNOWNRESULT ") for a in answers), answers
        wait_for(lambda: group.weir.status()["state"] == "no_master")
        answer = other.command("SET", "a", "1")
        assert isinstance(answer, ServerError) and str(answer).startswith("NOMASTER "), answer
        assert "not sent" in str(answer)
        assert other.commands([("GET", f"k:{n}") for n in range(50)]) == [b"v:%d" % n for n in range(50)]
    assert group.weir.status()["commands"]["unknown_results"] == 3
    assert group.weir.http("/readyz")[0] == 503
    assert group.weir.http("/livez")[0] == 200


def test_what_waits_for_a_master_is_bounded(lab):
    """write_hold_bytes; and each is answered in its turn."""
    group = lab.group(0, {"proxy": {"workers": 1}, "routing": {"write_hold": "2s", "write_hold_bytes": "1mb"}})
    wait_for(lambda: "learned" in group.weir.log(), what="weir knows the commands")
    group.master.kill()
    wait_for(lambda: group.weir.status()["state"] == "no_master")
    with group.weir.raw() as raw:
        raw.send(encode("SET", "k", b"x" * 100_000) * 30)
        answers = [str(raw.reply()) for _ in range(30)]
        too_much = ["write_hold_bytes" in answer for answer in answers]
        assert all(answer.startswith("NOMASTER ") and "not sent" in answer for answer in answers), answers
        assert too_much == [False] * 10 + [True] * 20


def test_a_write_to_what_is_no_master_any_more(lab):
    """Its error is the hint, its ROLE the proof: weir looks at once, not at the
    next check."""
    group = lab.group(1, {"replication": {"wiring": "observe"}, "routing": {"max_lag": "10m"},
                          "health": {"interval": "1m", "timeout": "30s"}})
    promoted, = group.replicas
    with group.weir.raw() as raw:
        assert raw.command("SET", "k", "1") == "OK"
        group.caught_up()
        promoted.cli("REPLICAOF", "NO", "ONE")
        group.master.cli("REPLICAOF", "127.0.0.1", promoted.port)
        assert str(raw.command("SET", "k", "2")).startswith("READONLY ")
        wait_for(lambda: (group.weir.status()["master"] or {}).get("address") != group.master.address,
                 what="it is not the master any more")


def test_reads_without_a_master_can_be_refused(lab):
    group = lab.group(1, config={"routing": {"no_master_reads": "refuse", "write_hold": "100ms"}})
    group.master.kill()
    wait_for(lambda: group.weir.status()["state"] == "no_master")
    with group.weir.raw() as raw:
        answer = raw.command("GET", "a")
    assert isinstance(answer, ServerError) and str(answer).startswith("NOMASTER ")


def test_master_back_with_its_data(lab):
    """A master that comes back where it was is used again; a write that waited
    for it is applied once."""
    group = lab.group(2, config={"routing": {"write_hold": "15s"}},
                      redis_args=("--repl-ping-replica-period", 3600))
    fill(group)
    with group.weir.raw(timeout=30) as raw:
        assert group.master.cli("SAVE")
        group.master.kill()
        wait_for(lambda: group.weir.status()["state"] == "no_master")
        raw.send(b"*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n*2\r\n$3\r\nGET\r\n$7\r\ncounter\r\n")
        assert raw.silent(0.2), "the write waits"
        group.master.start()
        assert group.master.cli("DBSIZE") == KEYS
        assert [raw.reply(), raw.reply()] == [1, b"1"]
    group.weir.wait_state("ok")
    assert group.master.cli("GET", "counter") == "1"


def test_master_back_empty_is_not_accepted(lab):
    """It would be the end of the data: no traffic until somebody decides."""
    group = lab.group(2, config={"routing": {"write_hold": "200ms"}})
    fill(group)
    group.master.restart()
    wait_for(lambda: group.weir.status()["state"] == "no_master")
    with group.weir.raw() as raw:
        for _ in range(20):
            answer = raw.command("SET", "a", "1")
            assert isinstance(answer, ServerError) and str(answer).startswith("NOMASTER "), answer
    assert group.master.cli("DBSIZE") == 0
    assert group.weir.admin("ACCEPT", "MASTER") == "OK"
    group.weir.wait_state("ok")
    with group.weir.raw() as raw:
        assert raw.command("SET", "a", "1") == "OK"


def test_accept_reset_master(lab):
    group = lab.group(1, config={"replication": {"accept_reset_master": "yes"}, "routing": {"write_hold": "10s"}})
    fill(group)
    group.master.restart()
    with group.weir.raw(timeout=20) as raw:
        wait_for(lambda: raw.command("SET", "a", "1") == "OK", 20, "writes are taken")
    group.weir.wait_state("ok")


def test_blocked_client_when_the_master_dies(lab):
    group = lab.group(1)
    with group.weir.raw() as raw:
        raw.send(b"BLPOP list 30\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        group.master.kill()
        answer = raw.reply()
        assert isinstance(answer, ServerError) and str(answer).startswith("UNKNOWNRESULT ")


def test_transaction_and_subscriber_when_the_master_dies(lab):
    """Their state is gone, and pretending otherwise would not be honest."""
    group = lab.group(1)
    with group.weir.raw() as transaction, group.weir.raw() as subscriber:
        assert transaction.commands([("WATCH", "a"), ("MULTI",), ("SET", "a", "1")]) == ["OK", "OK", "QUEUED"]
        assert subscriber.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        group.master.kill()
        assert transaction.read_all() == b""
        assert subscriber.read_all() == b""
