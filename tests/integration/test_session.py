"""Connection state belongs to one client: database, user, protocol, name."""
import re

import pytest

from harness import Group, Lab, ServerError, wait_for


def test_select_is_per_client(shared_group):
    with shared_group.weir.raw() as zero, shared_group.weir.raw() as one:
        assert one.command("SELECT", "1") == "OK"
        for n in range(50):
            assert zero.command("SET", "where", f"zero{n}") == "OK"
            assert one.command("SET", "where", f"one{n}") == "OK"
            assert zero.command("GET", "where") == b"zero%d" % n
            assert one.command("GET", "where") == b"one%d" % n
        shared_group.settle()
        assert zero.command("GET", "where") == b"zero49"
        assert one.command("GET", "where") == b"one49"


def test_select_in_a_pipeline(shared_group):
    with shared_group.weir.raw() as raw:
        replies = raw.commands([
            ("SELECT", "2"), ("SET", "p", "two"), ("SELECT", "3"), ("SET", "p", "three"), ("GET", "p"),
            ("SELECT", "2"), ("GET", "p"), ("SELECT", "0"), ("EXISTS", "p")])
    assert replies == ["OK", "OK", "OK", "OK", b"three", "OK", b"two", "OK", 0]


def test_select_errors(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for words in [("SELECT", "16"), ("SELECT", "-1"), ("SELECT", "x"), ("SELECT",), ("SELECT", "1", "2")]:
            assert raw.command(*words) == direct.command(*words), words
        assert raw.command("GET", "none") is None


def test_a_new_client_starts_clean(shared_group):
    raw = shared_group.weir.raw()
    raw.commands([("SELECT", "5"), ("CLIENT", "SETNAME", "left"), ("SET", "five", "1"), ("HELLO", "3"), ("MULTI",)])
    raw.close()
    with shared_group.weir.raw() as fresh:
        assert fresh.command("GET", "five") is None
        assert fresh.command("CLIENT", "GETNAME") is None
        assert fresh.command("HGETALL", "none") == []


def test_hello(shared_group):
    with shared_group.weir.raw() as raw:
        raw.commands([("DEL", "hash"), ("HSET", "hash", "field", "value")])
        assert raw.command("HGETALL", "hash") == [b"field", b"value"]
        hello = raw.command("HELLO", "3")
        with shared_group.master.raw() as direct:
            own = direct.command("HELLO", "3")
        assert {**hello, b"id": 0} == {**own, b"id": 0}
        assert hello[b"proto"] == 3 and hello[b"server"] in (b"redis", b"valkey")
        assert re.match(rb"\d+\.\d+\.\d+", hello[b"version"])
        assert raw.command("HGETALL", "hash") == {b"field": b"value"}, "from the master"
        shared_group.settle()
        assert raw.command("HGETALL", "hash") == {b"field": b"value"}, "from a replica"
        assert raw.command("ZADD", "zset", "1.5", "m") in (0, 1)
        assert raw.command("ZSCORE", "zset", "m") == 1.5
        assert raw.command("HELLO", "2")[0] == b"server"
        assert raw.command("HGETALL", "hash") == [b"field", b"value"]


def test_hello_errors(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for words in [("HELLO", "4"), ("HELLO", "x"), ("HELLO", "3", "NOSUCH"), ("HELLO", "3", "AUTH", "a")]:
            assert raw.command(*words) == direct.command(*words), words


def test_reset(shared_group):
    with shared_group.weir.raw() as raw:
        raw.commands([("SELECT", "4"), ("SET", "four", "1"), ("CLIENT", "SETNAME", "x"), ("HELLO", "3")])
        assert raw.command("RESET") == "RESET"
        assert raw.command("GET", "four") is None
        assert raw.command("CLIENT", "GETNAME") is None
        assert raw.commands([("MULTI",), ("SET", "a", "1"), ("RESET",), ("GET", "none")])[2:] == ["RESET", None]


def test_quit(shared_group):
    with shared_group.weir.raw() as raw:
        raw.send(b"SET q 1\r\nGET q\r\nQUIT\r\nGET q\r\n")
        assert raw.read_all() == b"+OK\r\n$1\r\n1\r\n+OK\r\n"


def test_ping_and_echo(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for words in [("PING",), ("PING", "x"), ("ping", "a b"), ("PING", "a", "b"), ("ECHO", "x"), ("ECHO",)]:
            assert raw.command(*words) == direct.command(*words), words


def test_client_id_and_name(shared_group):
    with shared_group.weir.raw() as a, shared_group.weir.raw() as b:
        ids = a.command("CLIENT", "ID"), b.command("CLIENT", "ID")
        assert ids[0] != ids[1]
        assert a.command("CLIENT", "ID") == ids[0]
        assert a.command("CLIENT", "GETNAME") is None
        assert a.command("CLIENT", "SETNAME", "alice") == "OK"
        assert b.command("CLIENT", "SETNAME", "bob") == "OK"
        assert a.command("CLIENT", "GETNAME") == b"alice"
        assert isinstance(a.command("CLIENT", "SETNAME", "a b"), ServerError)
        assert a.command("CLIENT", "GETNAME") == b"alice"

        info = a.command("CLIENT", "INFO").decode()
        assert f"id={ids[0]} " in info and "name=alice" in info and "db=0" in info
        rows = a.command("CLIENT", "LIST").decode().splitlines()
        by_name = {re.search(r"name=(\S*)", row)[1]: int(re.search(r"id=(\d+)", row)[1]) for row in rows}
        assert by_name["alice"] == ids[0] and by_name["bob"] == ids[1]


def test_topology_commands_are_refused(shared_group):
    with shared_group.weir.raw() as raw:
        for words in [("REPLICAOF", "NO", "ONE"), ("SLAVEOF", "127.0.0.1", "1"), ("SHUTDOWN",), ("FAILOVER",),
                      ("PSYNC", "?", "-1")]:
            assert isinstance(raw.command(*words), ServerError), words
            assert raw.command("PING") == "PONG"
    assert shared_group.master.running()
    assert shared_group.master.role()[0] == "master"


# ---- authentication: the servers decide, weir passes it through

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A group whose servers ask for a password, and know a user `app` who may
    touch app:* only."""
    with Lab(tmp_path_factory.mktemp("locked")) as lab:
        secret = lab.directory / "password"
        secret.touch(0o600)
        secret.write_text(PASSWORD + "\n")
        guarded = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
        master = lab.redis(*guarded, name="master", start=False)
        replicas = [lab.redis(*guarded, "--replicaof", "127.0.0.1", master.port, name=f"replica{n}", start=False)
                    for n in (1, 2)]
        for server in (master, *replicas):
            server.password = PASSWORD
            server.start()
            server.cli("ACL", "SETUSER", "app", "on", ">apppass", "~app:*", "+@all")
        weir = lab.weir(master, replicas, {"auth": {"password_file": secret}})
        weir.wait_state("ok")
        yield Group(master, replicas, weir)


def test_nothing_without_a_password(locked):
    with locked.weir.raw() as raw, locked.master.raw() as direct:
        for words in [("GET", "a"), ("SET", "a", "1"), ("PING",), ("SELECT", "1"), ("CLIENT", "LIST"), ("MULTI",),
                      ("SUBSCRIBE", "x"), ("BLPOP", "x", "1"), ("EVAL", "return 1", "0")]:
            assert raw.command(*words) == direct.command(*words) == ServerError("NOAUTH Authentication required."), words
        for words in [("NOSUCH",), ("GET",), ("AUTH", "wrong"), ("AUTH", "nobody", "wrong"), ("HELLO", "3"), ("AUTH",),
                      ("HELLO", "3", "AUTH", "default", "wrong")]:
            answer = raw.command(*words)
            assert isinstance(answer, ServerError) and answer == direct.command(*words), words
        assert raw.command("GET", "a") == ServerError("NOAUTH Authentication required.")


def test_auth(locked):
    with locked.weir.raw() as raw, locked.weir.raw() as other:
        assert raw.command("AUTH", PASSWORD) == "OK"
        assert raw.commands([("SET", "a", "1"), ("GET", "a")]) == ["OK", b"1"]
        assert raw.command("ACL", "WHOAMI") == b"default"
        assert isinstance(other.command("GET", "a"), ServerError), "authentication leaked to another client"


def test_auth_in_a_pipeline(locked):
    with locked.weir.raw() as raw:
        replies = raw.commands([("GET", "a"), ("AUTH", PASSWORD), ("SET", "a", "2"), ("GET", "a"),
                                ("AUTH", "app", "apppass"), ("GET", "a"), ("SET", "app:1", "x"), ("GET", "app:1")])
    assert isinstance(replies[0], ServerError)
    assert replies[1:5] == ["OK", "OK", b"2", "OK"]
    assert str(replies[5]).startswith("NOPERM")
    assert replies[6:] == ["OK", b"x"]


def test_a_failed_auth_keeps_the_user(locked):
    with locked.weir.raw() as raw:
        raw.command("AUTH", "app", "apppass")
        assert isinstance(raw.command("AUTH", "app", "wrong"), ServerError)
        assert raw.command("ACL", "WHOAMI") == b"app"


def test_hello_auth(locked):
    with locked.weir.raw() as raw:
        hello = raw.command("HELLO", "3", "AUTH", "app", "apppass", "SETNAME", "me")
        assert hello[b"proto"] == 3
        assert raw.command("CLIENT", "GETNAME") == b"me"
        assert raw.command("ACL", "WHOAMI") == b"app"
        answer = raw.command("GET", "other")
        assert isinstance(answer, ServerError) and str(answer).startswith("NOPERM")


def test_users_do_not_mix(locked):
    """Interleaved on the same worker: each command runs as its own user."""
    with locked.weir.raw() as admin, locked.weir.raw() as app:
        admin.command("AUTH", PASSWORD)
        app.command("AUTH", "app", "apppass")
        for _ in range(50):
            assert admin.command("SET", "secret", "x") == "OK"
            assert str(app.command("GET", "secret")).startswith("NOPERM")
            assert str(app.command("SET", "secret", "y")).startswith("NOPERM")
            assert app.command("SET", "app:k", "y") == "OK"
        locked.caught_up()
        for _ in range(50):
            assert admin.command("GET", "secret") == b"x"
            assert str(app.command("GET", "secret")).startswith("NOPERM")


def test_reset_forgets_the_user(locked):
    with locked.weir.raw() as raw:
        raw.command("AUTH", PASSWORD)
        assert raw.command("RESET") == "RESET"
        assert raw.command("GET", "a") == ServerError("NOAUTH Authentication required.")


def test_reads_of_an_authenticated_client_reach_replicas(locked):
    with locked.weir.raw() as raw:
        raw.command("AUTH", PASSWORD)
        raw.command("SET", "spread", "1")
        locked.caught_up()

        def on_replicas():
            assert raw.command("GET", "spread") == b"1"
            return sum(replica.calls().get("get", 0) for replica in locked.replicas) > 0
        wait_for(on_replicas, what="a read on a replica")
