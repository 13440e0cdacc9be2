"""DEBUG behind the replicas' backs, and CONFIG SET: for the master alone, but for what shows in answers to reads, which
the replicas are told as well."""
import time

import pytest

from harness import PATIENCE, ServerError, encode, wait_for

ENTRIES = "hash-max-listpack-entries"


def settings(group, name):
    return [server.cli("CONFIG", "GET", name)[1] for server in group.servers]


def test_what_shows_in_answers_is_set_everywhere(lab):
    group = lab.group(2)
    with group.weir.raw() as raw:
        assert raw.command("CONFIG", "SET", ENTRIES, 1) == "OK"
        assert settings(group, ENTRIES) == ["1", "1", "1"], "it is set when the answer comes"
        assert raw.command("CONFIG", "SET", "maxmemory", "100mb", "hash-max-listpack-value", 9, "lua-time-limit", 77) == "OK"
        assert settings(group, "hash-max-listpack-value") == ["9"] * 3
        assert settings(group, "lua-time-limit") == ["77"] * 3
        assert settings(group, "maxmemory") == [str(100 << 20), "0", "0"]
        assert raw.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru") == "OK"
        assert settings(group, "maxmemory-policy") == ["allkeys-lru", "noeviction", "noeviction"]
        replies = raw.commands([("CONFIG", "SET", ENTRIES, 100), ("PING",), ("CONFIG", "SET", ENTRIES, 200), ("GET", "none")])
        assert replies == ["OK", "PONG", "OK", None]
    assert settings(group, ENTRIES) == ["200"] * 3


def test_members_come_in_the_masters_order(lab):
    """Compactly stored ones do in that of their making, on the replicas too."""
    group = lab.group(2)
    members = [word for n in range(300) for word in (f"member {n}", n)]
    with group.weir.raw() as raw:
        assert raw.command("CONFIG", "SET", ENTRIES, 1000) == "OK"
        assert raw.command("HSET", "hash", *members) == 300
        group.settle()
        for _ in range(10):
            assert raw.command("HKEYS", "hash") == [b"member %d" % n for n in range(300)]


def test_what_the_master_refuses_is_set_nowhere(lab):
    group = lab.group(1)
    before = settings(group, ENTRIES)
    with group.weir.raw() as raw:
        for words in [(ENTRIES, "many"), (ENTRIES,), (ENTRIES, 5, "no-such-setting", 1), (ENTRIES, 5, "port", "x")]:
            assert isinstance(raw.command("CONFIG", "SET", *words), ServerError), words
    assert settings(group, ENTRIES) == before


def test_a_replica_that_refuses(lab):
    group = lab.group(2)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all")
    group.replicas[0].cli("ACL", "SETUSER", "app", "-config")
    with group.weir.raw() as raw:
        assert raw.commands([("AUTH", "app", "secret"), ("CONFIG", "SET", ENTRIES, 33)]) == ["OK", "OK"]
    assert settings(group, ENTRIES)[0] == settings(group, ENTRIES)[2] == "33"
    assert settings(group, ENTRIES)[1] != "33"


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_a_replica_that_cannot_be_told(lab, how):
    """The others are, and the answer does not wait for ever."""
    group = lab.group(2, {"health": {"timeout": f"{300 * PATIENCE:g}ms", "fall": 2}})
    replica = group.replicas[0]
    replica.freeze() if how == "frozen" else replica.kill()
    begin = time.monotonic()
    with group.weir.raw() as raw:
        assert raw.commands([("CONFIG", "SET", ENTRIES, 44), ("PING",)]) == ["OK", "PONG"]
        assert time.monotonic() - begin < 8 * PATIENCE
        assert group.master.cli("CONFIG", "GET", ENTRIES)[1] == group.replicas[1].cli("CONFIG", "GET", ENTRIES)[1] == "44"
        if how == "frozen":
            replica.thaw()
            wait_for(lambda: group.weir.readable(replica))
            wait_for(lambda: raw.command("CONFIG", "SET", ENTRIES, 45) == "OK" and settings(group, ENTRIES) == ["45"] * 3)


def test_a_client_that_leaves_meanwhile(lab):
    group = lab.group(1, {"health": {"timeout": f"{300 * PATIENCE:g}ms", "fall": 2}})
    group.replicas[0].freeze()
    raw = group.weir.raw()
    raw.send(encode("CONFIG", "SET", ENTRIES, 55))
    wait_for(lambda: group.master.cli("CONFIG", "GET", ENTRIES)[1] == "55")
    raw.reset()
    with group.weir.raw() as other:
        assert other.command("SET", "a", 1) == "OK"
    group.replicas[0].thaw()
    wait_for(lambda: group.weir.metrics()['weir_backends{kind="private"}'] <= 3, what="its connection is let go")


def test_in_a_transaction_and_on_the_replica_endpoint(lab):
    group = lab.group(1, replica_endpoint=True)
    with group.weir.raw() as raw, group.weir.raw(replica=True) as reader:
        assert raw.commands([("MULTI",), ("CONFIG", "SET", ENTRIES, 66), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]
        assert settings(group, ENTRIES)[0] == "66" != settings(group, ENTRIES)[1]
        assert reader.command("CONFIG", "SET", ENTRIES, 77) == "OK"
        assert settings(group, ENTRIES) == ["66", "77"]
        assert raw.commands([("WATCH", "a"), ("CONFIG", "SET", ENTRIES, 88), ("UNWATCH",)]) == ["OK"] * 3
        assert settings(group, ENTRIES) == ["88", "77"]


# ---- DEBUG behind the replicas' backs

@pytest.mark.parametrize("in_multi", [False, True], ids=["plain", "in MULTI"])
def test_what_replicas_are_not_told_of_is_read_on_the_master(lab, in_multi):
    group = lab.group(1, redis_args=("--enable-debug-command", "yes"))
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert raw.command("DEBUG", "RELOAD") == "OK"
        group.settle()
        populate = [("DEBUG", "POPULATE", 10)]
        raw.commands([("MULTI",), *populate, ("EXEC",)] if in_multi else populate)
        for _ in range(20):
            assert raw.command("GET", "key:3") == other.command("GET", "key:3") == b"value:3"
        assert group.replicas[0].cli("EXISTS", "key:3") == 0
        # Another history: the replica begins anew, and knows it all.
        group.master.cli("DEBUG", "CHANGE-REPL-ID")
        group.master.cli("CLIENT", "KILL", "TYPE", "replica")
        wait_for(lambda: group.replicas[0].cli("EXISTS", "key:3") == 1)
        wait_for(lambda: group.weir.status()["epoch"] > 1)
        group.weir.wait_state("ok")
        group.settle()


# ---- expiry

@pytest.mark.parametrize("protocol", [2, 3])
def test_a_read_on_a_replica_expires_the_key_on_the_master(lab, protocol):
    """As a read on the master would: its counters and events do not wait until
    the server looks by itself, which here it does not."""
    group = lab.group(1, {"proxy": {"workers": 1}}, redis_args=("--enable-debug-command", "yes"))
    group.master.cli("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    with group.weir.raw() as raw:
        raw.command("HELLO", protocol)
        assert raw.commands([("SET", "short", 1, "PX", 1), ("SET", "other", 1, "PX", 1), ("SET", "long", 1)]) == ["OK"] * 3
        group.settle()
        served = group.weir.status()["commands"]["reads_on_replicas"]
        assert [raw.command("GET", key) for key in ("short", "long", "none")] == [None, b"1", None]
        assert group.weir.status()["commands"]["reads_on_replicas"] == served + 3, "no replica was asked"
        wait_for(lambda: group.master.info("stats")["expired_keys"] == 1, what="the master knows")
        assert group.master.cli("DBSIZE") == 2
