"""Writes go to the master, reads to the replicas; proved by what each server
counted itself."""
import pytest

from harness import ServerError

KEYS = 200


@pytest.fixture
def filled(shared_group):
    """Keys k:0 to k:199 with values v:0 to v:199, on every server."""
    with shared_group.weir.raw() as raw:
        raw.commands([("SET", f"k:{n}", f"v:{n}") for n in range(KEYS)])
    shared_group.settle()
    shared_group.reset_calls()
    return shared_group


def test_reads_only_on_replicas(filled):
    with filled.weir.raw() as raw:
        replies = [raw.command("GET", f"k:{n}") for n in range(KEYS)]
        replies += raw.commands([("GET", f"k:{n}") for n in range(KEYS)])
    assert replies == [b"v:%d" % n for n in range(KEYS)] * 2
    assert filled.master.calls().get("get", 0) == 0
    assert sum(replica.calls().get("get", 0) for replica in filled.replicas) == 2 * KEYS


def test_writes_only_on_master(filled):
    with filled.weir.raw() as raw:
        replies = raw.commands([("INCR", "counter")] * KEYS + [("DEL", "counter")])
    assert replies == [*range(1, KEYS + 1), 1]
    assert filled.master.calls()["incr"] == KEYS
    assert filled.master.calls()["del"] == 1
    for replica in filled.replicas:
        assert replica.rejected() == {}, "a write reached a replica"


def test_multi_key_reads_on_replicas(filled):
    with filled.weir.raw() as raw:
        assert raw.command("MGET", "k:1", "k:2", "none") == [b"v:1", b"v:2", None]
        assert raw.command("EXISTS", "k:1", "none", "k:2") == 2
        assert raw.command("STRLEN", "k:10") == 4
    assert not {"mget", "exists", "strlen"} & set(filled.master.calls())


def test_reads_of_one_node_stay_on_the_master(filled):
    with filled.weir.raw() as raw:
        assert raw.command("DBSIZE") >= KEYS
        cursor, keys = raw.command("SCAN", "0", "COUNT", "10")
        assert int(cursor) > 0 and keys
        assert raw.command("OBJECT", "ENCODING", "k:1") == b"embstr"
        raw.command("TIME")
    calls = filled.master.calls()
    assert (calls["dbsize"], calls["scan"], calls["object|encoding"], calls["time"]) == (1, 1, 1, 1)


def test_commands_weir_does_not_know_go_to_the_master(filled):
    with filled.weir.raw() as raw, filled.master.raw() as direct:
        assert raw.command("NOSUCHCOMMAND", "a") == direct.command("NOSUCHCOMMAND", "a")
        assert raw.command("GET") == direct.command("GET")
        assert raw.command("CLIENT", "NOSUCH") == direct.command("CLIENT", "NOSUCH")


def test_scripts_run_on_the_master(filled):
    script = "redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])"
    with filled.weir.raw() as raw:
        assert raw.command("EVAL", script, 1, "scripted", "x") == b"x"
        digest = raw.command("SCRIPT", "LOAD", "return ARGV[1]")
        assert raw.command("EVALSHA", digest, 0, "y") == b"y"
    assert filled.master.calls()["eval"] == 1
    assert all("eval" not in replica.calls() for replica in filled.replicas)


def test_distribution(filled):
    """2,000 reads from 40 connections: at most 5 % on the master, and each
    replica has at least a fifth of the rest."""
    connections = [filled.weir.raw() for _ in range(40)]
    for turn in range(50):
        for raw in connections:
            raw.send(b"*2\r\n$3\r\nGET\r\n$3\r\nk:1\r\n")
        assert [raw.reply() for raw in connections] == [b"v:1"] * 40
    for raw in connections:
        raw.close()
    on_master = filled.master.calls().get("get", 0)
    on_replicas = [replica.calls().get("get", 0) for replica in filled.replicas]
    print(f"reads: master {on_master}, replicas {on_replicas}")
    assert on_master + sum(on_replicas) == 2000
    assert on_master <= 100
    assert min(on_replicas) >= 0.2 * sum(on_replicas)


# ---- the reads-only endpoint

READONLY = ServerError("READONLY You can't write against a read only replica.")


def test_replica_endpoint_refuses_writes(filled):
    filled.master.cli("DEL", "refused")
    with filled.weir.raw(replica=True) as raw, filled.replicas[0].raw() as stock:
        for command in [("SET", "refused", "1"), ("DEL", "k:1"), ("LPUSH", "refused", "x"), ("FLUSHALL",)]:
            assert raw.command(*command) == stock.command(*command) == READONLY
        assert raw.command("GET", "k:1") == b"v:1"
    assert "set" not in filled.master.calls()
    assert filled.replicas[1].rejected() == {}, "a refused write reached a server"
    assert filled.master.cli("EXISTS", "refused", "k:1") == 1


def test_replica_endpoint_keeps_order_around_a_refusal(filled):
    with filled.weir.raw(replica=True) as raw:
        replies = raw.commands([("GET", "k:1"), ("SET", "k:1", "x"), ("GET", "k:2"), ("PING",)])
    assert replies == [b"v:1", READONLY, b"v:2", "PONG"]


def test_replica_endpoint_reads_are_spread(filled):
    with filled.weir.raw(replica=True) as raw:
        raw.commands([("GET", f"k:{n % KEYS}") for n in range(400)])
    connections = [filled.weir.raw(replica=True) for _ in range(20)]
    for raw in connections:
        assert raw.commands([("GET", "k:3")] * 20) == [b"v:3"] * 20
        raw.close()
    assert filled.master.calls().get("get", 0) == 0
    assert sum(replica.calls().get("get", 0) for replica in filled.replicas) == 800


def test_replica_endpoint_says_it_is_a_replica(filled):
    with filled.weir.raw(replica=True) as raw:
        assert raw.command("ROLE")[0] == b"slave"
        assert b"role:slave" in raw.command("INFO", "replication")
