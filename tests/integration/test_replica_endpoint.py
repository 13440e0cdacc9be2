"""The reads-only endpoint when it is leant on: no write passes it, whatever
shape it comes in and whatever its servers have become, and a session there
ends rather than go on in part."""
import re

import pytest

from harness import HOST, PATIENCE, Lab, ServerError, encode, wait_for

READONLY = ServerError("READONLY You can't write against a read only replica.")
EXECABORT = ServerError("EXECABORT Transaction discarded because of previous errors.")


def starts_with(answer, word):
    return isinstance(answer, ServerError) and str(answer).startswith(word + " ")


def writes_seen(group):
    """The write commands that any server was sent, whether it ran them or not."""
    return [(server.name, name) for server in group.servers for name in server.calls() if name in ("set", "incr", "del")]


# ---- no write passes

@pytest.fixture(scope="module")
def group(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("readers")) as lab:
        yield lab.group(1, replica_endpoint=True)


@pytest.fixture
def untouched(group):
    """The group; behind the test no server has been sent a write, not even one
    that it has refused itself."""
    group.reset_calls()
    yield group
    assert writes_seen(group) == []


def test_no_write_alone(untouched):
    with untouched.weir.raw(replica=True) as raw:
        assert raw.commands([("SET", "x", "1"), ("INCR", "x"), ("GET", "x")]) == [READONLY, READONLY, None]


def test_a_write_that_is_wrong_in_itself(untouched):
    """It is told so, as by a replica, and reaches no server either."""
    wrong = ServerError("ERR wrong number of arguments for 'set' command")
    with untouched.weir.raw(replica=True) as raw:
        assert raw.commands([("SET",), ("SET", "x"), ("GET", "x")]) == [wrong, wrong, None]
        assert raw.commands([("MULTI",), ("SET", "x"), ("EXEC",)]) == ["OK", wrong, EXECABORT]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "step by step"])
def test_no_write_in_a_transaction(untouched, at_once):
    block = [("MULTI",), ("SET", "x", "1"), ("GET", "x"), ("EXEC",)]
    with untouched.weir.raw(replica=True) as raw:
        for _ in range(3):
            replies = raw.commands(block) if at_once else [raw.command(*words) for words in block]
            assert replies == ["OK", READONLY, "QUEUED", EXECABORT]
        assert raw.commands([("MULTI",), ("GET", "x"), ("EXEC",)]) == ["OK", "QUEUED", [None]]


def test_no_write_with_a_watched_key(untouched):
    with untouched.weir.raw(replica=True) as raw:
        assert raw.commands([("WATCH", "x"), ("SET", "x", "1"), ("MULTI",), ("INCR", "x"), ("EXEC",)]) == [
            "OK", READONLY, "OK", READONLY, EXECABORT]


@pytest.mark.parametrize("stream", [("SUBSCRIBE", "c"), ("CLIENT", "TRACKING", "ON")], ids=["subscriber", "tracking"])
def test_no_write_in_a_stream(untouched, stream):
    """In RESP3 such a session may send anything, and its replies are not
    paired with what it sends."""
    with untouched.weir.raw(replica=True) as raw:
        assert raw.command("HELLO", 3)[b"proto"] == 3
        assert not isinstance(raw.command(*stream), ServerError)
        assert isinstance(raw.command("SET", "x", "1"), ServerError)
        assert raw.commands([("MULTI",), ("SET", "x", "1"), ("EXEC",)])[1:] != ["QUEUED", ["OK"]]
        assert raw.command("GET", "x") is None


# ---- a replica that has become the master

def promote(group):
    """Behind weir's back, which follows."""
    replica = group.replicas[0]
    replica.cli("REPLICAOF", "NO", "ONE")
    group.master.cli("REPLICAOF", HOST, replica.port)
    wait_for(lambda: (group.weir.status()["master"] or {}).get("address") == replica.address, 20,
             "weir follows the promotion")
    wait_for(lambda: group.master.follows(replica))
    wait_for(lambda: group.weir.readable(group.master), 20, "the old master is read from")


def test_sessions_of_a_promoted_replica(lab):
    """What was a replica is the master now: nothing that was begun there may
    become a write, and nothing private stays there."""
    group = lab.group(1, {"replication": {"wiring": "observe"}}, replica_endpoint=True)
    with group.weir.raw(replica=True) as multi, group.weir.raw(replica=True) as plain, \
            group.weir.raw(replica=True) as watching:
        assert multi.commands([("GET", "x"), ("MULTI",)]) == [None, "OK"]
        assert watching.command("WATCH", "x") == "OK"
        assert plain.command("EVAL", "return 1", 0) == 1
        promote(group)
        multi.send(encode("SET", "x", "1") + encode("EXEC"))
        assert b"+QUEUED" not in multi.read_all(), "and it is closed"
        watching.send(encode("MULTI") + encode("SET", "x", "1") + encode("EXEC"))
        assert b"+QUEUED" not in watching.read_all()
        assert starts_with(plain.command("EVAL", "return redis.call('set', KEYS[1], '1')", 1, "x"), "READONLY")
        assert plain.commands([("SET", "x", "1"), ("GET", "x")]) == [READONLY, None]
        assert plain.command("ROLE")[0] == b"slave"
    assert [server.cli("EXISTS", "x") for server in group.servers] == [0, 0]


# ---- a replica that is lost

def test_multi_when_the_replica_is_gone_already(lab):
    """weir does not know it yet. The client gets an error for the block, and
    none of it runs, whatever weir refuses or answers itself within it."""
    group = lab.group(1, replica_endpoint=True)
    with group.weir.raw(replica=True, timeout=5) as raw, group.weir.raw(replica=True, timeout=5) as known:
        assert raw.command("PING") == "PONG"
        assert known.commands([("MULTI",), ("EXEC",)]) == ["OK", []]
        group.replicas[0].kill()
        for client in (raw, known):
            client.send(b"".join(encode(*words) for words in [
                ("MULTI",), ("CLIENT", "INFO"), ("SHUTDOWN",), ("GET", "x"), ("EXEC",), ("QUIT",)]))
            answer = client.read_all()
            assert b"+QUEUED" not in answer and b"\r\n*" not in answer, answer
            assert answer.startswith(b"-NOREPLICA ") or answer == b"", answer
    assert group.weir.running()
    with group.weir.raw() as raw:
        assert raw.command("SET", "a", "1") == "OK"


def home_of(raw, group):
    """The replica that gets what is no plain read."""
    reply = raw.command("CONFIG", "GET", "port")
    port = int(reply[b"port"] if isinstance(reply, dict) else reply[1])
    return next(replica for replica in group.replicas if replica.port == port)


@pytest.mark.parametrize("fault", ["silent", "killed"])
@pytest.mark.parametrize("question, answer", [
    (("SELECT", 1), "OK"), (("HELLO", 3), dict), (("PING",), "PONG"), (("ECHO", "x"), b"x"), (("DBSIZE",), 1),
    (("AUTH", "default", "anything"), "OK"), (("CLIENT", "NO-EVICT", "ON"), "OK"), (("CLIENT", "LIST"), bytes),
], ids=lambda words: words[0].lower() if isinstance(words, tuple) else "")
def test_a_question_whose_replica_is_lost(lab, question, answer, fault):
    """It leaves nothing behind, so the next home is asked, and the rest of the
    pipeline finds the session as it should be."""
    group = lab.group(2, {"routing": {"backend_timeout": f"{300 * PATIENCE:g}ms", "max_lag": "1m"}}, replica_endpoint=True)
    group.master.cli("SET", "where", "zero")
    with group.master.client(db=1) as client:
        client.set("where", "one")
    group.caught_up()
    where = b"one" if question[0] == "SELECT" else b"zero"
    with group.weir.raw(replica=True, timeout=10) as raw:
        home = home_of(raw, group)
        home.freeze()
        raw.send(encode(*question) + encode("GET", "where"))
        if fault == "killed":
            assert raw.silent(0.1)
            home.kill()
        reply = raw.reply()
        assert isinstance(reply, answer) if isinstance(answer, type) else reply == answer, reply
        assert raw.reply() == where
        assert home_of(raw, group) is not home
        home.thaw() if fault == "silent" else None


def test_a_deed_whose_replica_is_lost(lab):
    """CONFIG SET, PUBLISH: perhaps it was done, and no other replica does it as well."""
    group = lab.group(2, {"routing": {"backend_timeout": f"{300 * PATIENCE:g}ms", "max_lag": "1m"}}, replica_endpoint=True)
    with group.weir.raw(replica=True, timeout=10) as raw:
        assert raw.command("CLIENT", "ID") > 0, "weir knows that a server lets it in"
        home = home_of(raw, group)
        other = next(replica for replica in group.replicas if replica is not home)
        other.cli("CONFIG", "RESETSTAT")
        for deed in ("CONFIG", "SET", "hash-max-listpack-entries", "99"), ("PUBLISH", "c", "x"):
            home.freeze()
            raw.send(encode(*deed))
            assert raw.silent(0.1)
            home.kill()
            assert starts_with(raw.reply(), "UNKNOWNRESULT")
            home, other = home_of(raw, group), home
            assert not {"config|set", "publish"} & set(home.calls())
            other.start()
            group.settle()


def test_an_open_multi_whose_replica_dies(lab):
    group = lab.group(1, replica_endpoint=True)
    with group.weir.raw(replica=True) as raw:
        assert raw.commands([("MULTI",), ("GET", "x")]) == ["OK", "QUEUED"]
        group.replicas[0].kill()
        assert raw.read_all() == b"", "its state is gone with the server"


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("endpoint", ["main", "replica"])
def test_no_fallback_means_none(lab, fault, endpoint):
    """fallback = error: reads of a lost replica do not travel to the master,
    neither the new ones nor those that were on their way."""
    group = lab.group(1, {"routing": {"fallback": "error", "backend_timeout": f"{200 * PATIENCE:g}ms"}}, replica_endpoint=True)
    group.settle()
    group.reset_calls()
    with group.weir.raw(replica=endpoint == "replica", timeout=5) as raw:
        assert raw.command("GET", "x") is None
        getattr(group.replicas[0], fault)()
        for _ in range(5):
            answers = raw.commands([("GET", "x"), ("HGETALL", "x"), ("GET", "x")])
            assert all(starts_with(answer, "NOREPLICA") or starts_with(answer, "TIMEOUT") for answer in answers), answers
        wait_for(lambda: not group.weir.readable(group.replicas[0]))
        wait_for(lambda: starts_with(raw.command("GET", "x"), "NOREPLICA"))
    assert not {"get", "hgetall"} & set(group.master.calls())


def test_fallback_to_the_master_is_for_reads_alone(lab):
    group = lab.group(1, replica_endpoint=True)
    assert group.master.cli("SET", "a", "1")
    group.caught_up()
    with group.weir.raw(replica=True) as raw:
        assert raw.command("GET", "a") == b"1"
        group.replicas[0].kill()
        for _ in range(20):
            assert raw.commands([("GET", "a"), ("SET", "a", "2"), ("GET", "a")]) == [b"1", READONLY, b"1"]
        wait_for(lambda: not group.weir.readable(group.replicas[0]))
        assert isinstance(raw.command("EVAL", "return redis.call('set', KEYS[1], '2')", 1, "a"), ServerError)
        with group.weir.raw(replica=True) as fresh:
            assert fresh.commands([("GET", "a"), ("SET", "a", "2")]) == [b"1", READONLY]
            fresh.send(encode("MULTI") + encode("SET", "a", "2") + encode("EXEC"))
            assert isinstance(fresh.reply(), ServerError)
    assert group.master.cli("GET", "a") == "1"


def test_commands_are_counted_where_they_went(lab):
    """Those of a home that is a replica as a replica's; when the master has to
    stand in, in the middle of one or from the beginning, as the master's."""
    group = lab.group(1, {"routing": {"backend_timeout": "30s"}}, replica_endpoint=True)
    group.settle()

    def counted():
        return {tuple(re.findall(r'class="(\w+)",route="(\w+)",result="(\w+)"', name)[0]): value
                for name, value in group.weir.metrics().items() if name.startswith("weir_commands_total")}

    def gained(raw, commands):
        before = counted()
        raw.commands(commands)
        return {row: value - before[row] for row, value in counted().items() if value != before[row]}

    with group.weir.raw(replica=True, timeout=10) as raw:
        assert raw.command("PING") == "PONG"
        for commands, rows in [
                ([("GET", "a"), ("SCAN", 0), ("DBSIZE",)], {("read", "replica", "ok"): 1, ("master_read", "replica", "ok"): 2}),
                ([("PUBLISH", "c", "x")], {("write", "replica", "ok"): 1}),
                ([("EVAL", "return 1", 0), ("EVAL", "nonsense", 0)], {("script", "replica", "ok"): 1, ("script", "replica", "error"): 1}),
                ([("MULTI",), ("GET", "a"), ("EXEC",)], {("private", "replica", "ok"): 3}),
                ([("WATCH", "a"), ("UNWATCH",)], {("private", "replica", "ok"): 2}),
                ([("SET", "a", 1)], {("refused", "none", "error"): 1})]:
            assert gained(raw, commands) == rows
        home, = group.replicas
        before = counted()
        home.freeze()
        raw.send(encode("DBSIZE"))
        assert raw.silent(0.1)
        home.kill()
        assert raw.reply() == 0
        wait_for(lambda: not group.weir.readable(home))
        assert counted()["master_read", "master", "ok"] - before["master_read", "master", "ok"] == 1
        assert gained(raw, [("DBSIZE",), ("GET", "a")]) == {("master_read", "master", "ok"): 1, ("read", "master", "ok"): 1}
        assert group.weir.status()["commands"]["writes"] == 1
