"""What must never leak or mix: one session's replies, database, user, protocol
and connections are its own, also when a server refuses something on the way."""
import time

import pytest

from harness import Lab, PATIENCE, Push, ServerError, encode, use_up_spares, wait_for

NOAUTH = ServerError("NOAUTH Authentication required.")
PASSWORD = "correct horse"


def add_app(*servers):
    """A user `app` who may do everything."""
    for server in servers:
        server.cli("ACL", "SETUSER", "app", "on", ">apppass", "~*", "&*", "+@all")


def set_select(server, rule):
    """For the user and for whoever a connection is before it says AUTH."""
    for user in ("app", "default"):
        server.cli("ACL", "SETUSER", user, rule)


def is_error(answer, word):
    return isinstance(answer, ServerError) and str(answer).startswith(word + " ")


# ---- a server that refuses the database of a backend

def test_a_replica_that_refuses_select_mixes_no_replies(lab):
    """Its backends for that database must never carry traffic: the reads would
    run in database 0, and every reply would be one behind."""
    group = lab.group(1, {"proxy": {"workers": 1}})
    add_app(*group.servers)
    keys = range(8)
    for database, word in ((0, "zero"), (3, "three")):
        with group.master.client(db=database) as client:
            client.mset({f"k:{n}": f"{word}:{n}" for n in keys})
    group.settle()
    sessions = [group.weir.raw() for _ in keys]
    for raw in sessions:
        assert raw.commands([("AUTH", "app", "apppass"), ("SELECT", 3)]) == ["OK", "OK"]
    set_select(group.replicas[0], "-select")
    for _ in range(50):
        for n, raw in zip(keys, sessions):
            raw.send(encode("GET", f"k:{n}") + encode("GET", f"k:{n}") + encode("GET", "none"))
        for n, raw in zip(keys, sessions):
            value = b"three:%d" % n
            assert [raw.reply() for _ in range(3)] == [value, value, None], f"session {n}"
    for raw in sessions:
        raw.close()
    assert group.weir.metrics()["weir_backend_desync_total"] == 0


def test_a_master_that_refuses_select_gets_no_write_in_database_0(lab):
    group = lab.group(0)
    add_app(group.master)
    with group.weir.raw() as raw:
        assert raw.commands([("AUTH", "app", "apppass"), ("SELECT", 3), ("SET", "before", "1")]) == ["OK"] * 3
        set_select(group.master, "-select")
        group.master.cli("CLIENT", "KILL", "USER", "app")
        wait_for(lambda: is_error(raw.command("SET", "after", "1"), "NOPERM"), what="the server's refusal")
        for _ in range(10):
            for words in [("SET", "after", "1"), ("INCR", "after"), ("EVAL", "return redis.call('incr', 'after')", 0)]:
                assert is_error(raw.command(*words), "NOPERM"), words
        group.master.cli("ACL", "SETUSER", "default", "+select")
        with group.master.client(db=3) as three:
            assert group.master.cli("EXISTS", "after", "before") == 0
            assert (three.get("before"), three.exists("after")) == ("1", 0)
            group.master.cli("ACL", "SETUSER", "app", "+select")
            wait_for(lambda: raw.command("SET", "after", "2") == "OK", what="the session goes on")
            assert three.get("after") == "2" and group.master.cli("EXISTS", "after") == 0


def test_a_user_who_may_not_select_stays_where_he_came_from(lab):
    """SELECT before AUTH: a server lets the user go on in that database."""
    group = lab.group(1)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">apppass", "~*", "&*", "+@all", "-select")
    group.settle()
    with group.weir.raw() as raw:
        assert raw.commands([("SELECT", 3), ("AUTH", "app", "apppass"), ("SET", "a", "1")]) == ["OK"] * 3
        assert raw.commands([("GET", "a"), ("EVAL", "return redis.call('get', 'a')", 0)]) == [b"1"] * 2
        assert raw.commands([("MULTI",), ("OBJECT", "ENCODING", "a"), ("EXEC",)])[2] == [b"int"]
        assert is_error(raw.command("SELECT", 3), "NOPERM")
        assert raw.command("GET", "a") == b"1"
    with group.master.client(db=3) as three:
        assert three.get("a") == "1"


def test_a_replicas_user_is_tried_again_when_its_rules_are_mended(lab):
    """A replica that does not know the user gets none of his reads; once it
    does, it gets them again."""
    group = lab.group(1)
    add_app(group.master)
    group.settle()
    on_replicas = lambda: group.weir.status()["commands"]["reads_on_replicas"]  # noqa: E731
    with group.weir.raw() as raw:
        assert raw.commands([("AUTH", "app", "apppass"), ("SET", "a", "1")]) == ["OK", "OK"]
        group.caught_up()
        assert raw.commands([("GET", "a")] * 20) == [b"1"] * 20
        group.replicas[0].reset_calls()
        time_to_notice = time.monotonic() + 0.3
        while time.monotonic() < time_to_notice:
            assert raw.command("GET", "a") == b"1"
        assert "get" not in group.replicas[0].calls()
        add_app(group.replicas[0])

        def served_by_replica():
            before = on_replicas()
            assert raw.commands([("GET", "a")] * 4) == [b"1"] * 4
            return on_replicas() - before == 4 and group.replicas[0].calls().get("get", 0) >= 4
        wait_for(served_by_replica, 15, "his reads are on the replica", interval=0.05)


# ---- who was not let in

def locked_group(lab, proxy):
    """A master that asks for a password, and weir that knows it."""
    secret = lab.directory / "password"
    secret.touch(0o600)
    secret.write_text(PASSWORD + "\n")
    group = lab.group(0, {"proxy": proxy, "auth": {"password_file": secret}}, redis_args=("--requirepass", PASSWORD))
    group.master.password = PASSWORD
    return group


@pytest.mark.parametrize("words", [
    ("SUBSCRIBE", "c"), ("PSUBSCRIBE", "c*"), ("MONITOR",), ("MULTI",), ("WATCH", "a"), ("BLPOP", "a", "0"),
    ("WAIT", "1", "0"), ("CLIENT", "TRACKING", "ON"), ("EVAL", "return 1", "0"),
], ids=lambda words: words[0])
def test_unauthenticated_sessions_take_no_private_connections(locked, words):
    """Else a few of them, who know nothing, could keep everybody from MULTI."""
    with locked.weir.raw() as good:
        assert good.command("AUTH", PASSWORD) == "OK"
        strangers = [locked.weir.raw() for _ in range(8)]
        assert [raw.command(*words) for raw in strangers] == [NOAUTH] * 8
        assert [raw.command(*words) for raw in strangers] == [NOAUTH] * 8, "twice"
        assert good.commands([("MULTI",), ("SET", "a", "1"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]
        for raw in strangers:
            raw.close()


def test_a_replica_without_a_password_lets_nobody_in(lab):
    """The master decides who may read, also where a replica would not ask."""
    secret = lab.directory / "password"
    secret.touch(0o600)
    secret.write_text(PASSWORD + "\n")
    master = lab.redis("--requirepass", PASSWORD, name="master", start=False)
    master.password = PASSWORD
    master.start()
    replica = lab.redis("--replicaof", "127.0.0.1", master.port, "--masterauth", PASSWORD, name="replica")
    add_app(master, replica)
    weir = lab.weir(master, [replica], {"auth": {"password_file": secret}})
    weir.wait_state("ok")
    master.cli("SET", "secret", "x")
    with weir.raw() as stranger, weir.raw() as knows:
        assert stranger.commands([("GET", "secret")] * 20) == [NOAUTH] * 20
        assert knows.command("AUTH", "app", "apppass") == "OK"
        wait_for(lambda: knows.command("GET", "secret") == b"x" and replica.calls().get("get", 0) > 0,
                 what="a read on the replica")
        assert stranger.commands([("GET", "secret"), ("AUTH", "wrong"), ("GET", "secret")])[::2] == [NOAUTH] * 2


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("locked")) as lab:
        yield locked_group(lab, {"max_private_backends": 4, "workers": 1})


def test_unauthenticated_sessions_open_no_lanes(locked):
    """A connection to the master for every database that a stranger names."""
    connections = lambda: locked.master.info("clients")["connected_clients"]  # noqa: E731
    with locked.weir.raw() as stranger:
        assert stranger.command("SELECT", 1) == NOAUTH
        before = connections()
        for database in range(60):
            assert stranger.command("SELECT", 100 + database) == NOAUTH
        assert stranger.commands([("SELECT", n) for n in range(60)]) == [NOAUTH] * 60
        assert connections() <= before + 4


@pytest.mark.parametrize("workers", [1, 4])
def test_a_password_set_on_a_running_master(lab, workers):
    """New sessions have to know it within two seconds, whatever worker they
    come to; old ones go on, as on a connection of their own."""
    group = lab.group(0, {"proxy": {"workers": workers}})
    with group.weir.raw() as old:
        assert old.command("SET", "a", "1") == "OK"
        group.master.cli("CONFIG", "SET", "requirepass", PASSWORD)
        group.master.password = PASSWORD
        asked_for_it = time.monotonic() + 2 * PATIENCE

        def is_asked():
            with group.weir.raw() as new:
                return new.commands([("SET", "a", "2"), ("GET", "a")]) == [NOAUTH] * 2

        def new_ones_are_asked():
            return all([is_asked() for _ in range(workers)])
        wait_for(new_ones_are_asked, 5, "new sessions are asked for it")
        assert time.monotonic() < asked_for_it
        assert old.commands([("SET", "a", "3"), ("GET", "a")]) == ["OK", b"3"]
        with group.weir.raw() as knows:
            assert knows.commands([("AUTH", PASSWORD), ("GET", "a")]) == ["OK", b"3"]
        with group.weir.raw() as stranger:
            assert stranger.commands([("GET", "a"), ("PING",), ("CLIENT", "LIST")]) == [NOAUTH] * 3


@pytest.mark.parametrize("words", [("BLPOP", "none", "1"), ("WAIT", "0", "1"), ("SUBSCRIBE", "c"), ("MULTI",)],
                         ids=lambda words: words[0])
def test_a_user_whose_private_connection_is_refused_does_not_hang(lab, words):
    """His password was changed after he was let in: what needs a connection of
    its own gets the server's refusal, and nothing waits for ever behind it."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    group.master.cli("CONFIG", "SET", "requirepass", "first")
    with group.weir.raw(timeout=5) as raw:
        assert raw.commands([("AUTH", "first"), ("SET", "a", "1")]) == ["OK", "OK"]
        use_up_spares(raw)
        group.master.password = "first"
        group.master.cli("CONFIG", "SET", "requirepass", "second")
        group.master.password = "second"
        raw.send(encode(*words) + encode("SET", "b", "1") + encode("PING"))
        answers = replies_until_closed(raw, 3)
        assert answers and isinstance(answers[0], ServerError), answers
        assert answers[-1] is EOFError or len(answers) == 3
        if words[0] == "MULTI":
            assert group.master.cli("EXISTS", "b") == 0, "a part of the block was executed"
    group.weir.wait_state("ok")


def replies_until_closed(raw, most):
    """Up to so many replies; EOFError, the class, stands for the end. A silence
    is an error of the test."""
    answers = []
    while len(answers) < most and EOFError not in answers:
        try:
            answers.append(raw.reply())
        except (EOFError, ConnectionResetError):
            answers.append(EOFError)
    return answers


# ---- what a session has set

def test_protocols_side_by_side(lab):
    """RESP2 and RESP3 on the same worker, interleaved: from the master, from
    the replica, and for what is pushed."""
    group = lab.group(1, {"proxy": {"workers": 1}})
    with group.weir.raw() as two, group.weir.raw() as three, group.weir.raw() as listens2, group.weir.raw() as listens3:
        assert three.command("HELLO", 3)[b"proto"] == listens3.command("HELLO", 3)[b"proto"] == 3
        assert two.commands([("HSET", "hash", "f", "v"), ("SADD", "set", "m"), ("ZADD", "zset", 1.5, "m")]) == [1, 1, 1]
        group.settle()
        reads = [("HGETALL", "hash"), ("ZSCORE", "zset", "m"), ("GET", "none")]
        writes = [("ZINCRBY", "zset", 0, "m"), *reads]
        for commands, first2, first3 in ((reads, [], []), (writes, [b"1.5"], [1.5])):
            for _ in range(30):
                for raw in (two, three):
                    raw.send(b"".join(encode(*words) for words in commands))
                assert [two.reply() for _ in commands] == first2 + [[b"f", b"v"], b"1.5", None]
                assert [three.reply() for _ in commands] == first3 + [{b"f": b"v"}, 1.5, None]
        subscribed2, subscribed3 = listens2.command("SUBSCRIBE", "c"), listens3.command("SUBSCRIBE", "c")
        assert subscribed2 == subscribed3 == [b"subscribe", b"c", 1]
        assert isinstance(subscribed3, Push) and not isinstance(subscribed2, Push)
        assert two.command("PUBLISH", "c", "x") == 2
        messages = listens2.reply(), listens3.reply()
        assert messages == ([b"message", b"c", b"x"],) * 2
        assert [isinstance(message, Push) for message in messages] == [False, True]


SELECTS_IN_MULTI = {
    "exec": [("MULTI",), ("SELECT", 5), ("SET", "z", "1"), ("EXEC",)],
    "discard": [("MULTI",), ("SELECT", 5), ("SET", "z", "1"), ("DISCARD",)],
    "aborted": [("MULTI",), ("SELECT", 5), ("NOSUCH",), ("EXEC",)],
    "refused": [("MULTI",), ("SELECT", 99), ("SET", "z", "1"), ("EXEC",)],
    "one of two refused": [("MULTI",), ("GET", "z"), ("SELECT", 5), ("SELECT", 99), ("SET", "z", "1"), ("EXEC",)],
    "last one counts": [("MULTI",), ("SELECT", 5), ("SELECT", 6), ("SET", "z", "1"), ("EXEC",)],
}


@pytest.mark.parametrize("case", SELECTS_IN_MULTI)
def test_select_inside_multi(shared_group, case):
    """The session is where the server says, behind EXEC and behind DISCARD."""
    master, found = shared_group.master, []
    for target in (master, shared_group.weir):
        master.cli("FLUSHALL")
        with target.raw() as raw:
            replies = raw.commands(SELECTS_IN_MULTI[case])
            assert raw.command("SET", "where", "1") == "OK"
            assert raw.command("GET", "where") == b"1"
            if target is shared_group.weir:
                shared_group.settle()
                assert raw.command("GET", "where") == b"1", "from a replica"
        found.append((replies, [where(master, "where"), where(master, "z")]))
    assert found[0] == found[1]


def test_select_inside_multi_that_a_watched_key_stopped(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        assert raw.commands([("FLUSHALL",), ("WATCH", "w")]) == ["OK", "OK"]
        assert other.command("SET", "w", "x") == "OK"
        assert raw.commands([("MULTI",), ("SELECT", 5), ("EXEC",)]) == ["OK", "QUEUED", None]
        assert raw.command("SET", "where", "1") == "OK"
    assert where(shared_group.master, "where") == [0]


def where(server, key):
    """The databases that have this key."""
    databases = []
    for number in range(16):
        with server.client(db=number) as client:
            databases += [number] * client.exists(key)
    return databases


@pytest.mark.parametrize("protocol", [2, 3])
def test_reset_with_an_argument_while_subscribed(shared_group, protocol):
    """The server refuses it, and the subscription goes on."""
    talks = []
    for target in (shared_group.master, shared_group.weir):
        with target.raw() as raw, target.raw() as publisher:
            raw.command("HELLO", protocol)
            talk = [raw.command("SUBSCRIBE", "c"), raw.command("RESET", "now"), raw.command("PING")]
            talk.append(publisher.command("PUBLISH", "c", "x"))
            talk += [raw.reply(), raw.command("RESET"), raw.command("PING"), publisher.command("PUBLISH", "c", "x")]
        talks.append(talk)
    assert talks[0] == talks[1]
    assert is_error(talks[1][1], "ERR") and talks[1][3] == 1 and talks[1][5:] == ["RESET", "PONG", 0]
