"""Commands about positions: WAIT for the session's own last write, whatever
connections carried it, and WEIR TOKEN and WEIR WAIT, which hand causality from
one process to another."""
import threading
import time

import pytest

from harness import ServerError, encode, wait_for


def hold_back(server):
    server.cli("CLIENT", "PAUSE", "60000", "WRITE")


def let_go(server):
    server.cli("CLIENT", "UNPAUSE")


def group_of(lab, replicas=2, **routing):
    group = lab.group(replicas, config={"proxy": {"workers": "2"}, "routing": {"max_lag": "1m", **routing}})
    group.settle()
    return group


# ---- WAIT

def test_wait_counts_the_replicas_that_have_the_last_write(lab):
    group = group_of(lab)
    with group.weir.raw() as raw:
        assert raw.commands([("SET", "k", "v"), ("WAIT", 2, 5000)]) == ["OK", 2]
        hold_back(group.replicas[0])
        assert raw.commands([("SET", "k", "w"), ("WAIT", 1, 5000)]) == ["OK", 1]
        started = time.monotonic()
        assert raw.command("WAIT", 2, 300) == 1
        assert 0.29 <= time.monotonic() - started < 5
        let_go(group.replicas[0])
        assert raw.command("WAIT", 2, 5000) == 2


def test_wait_is_about_the_own_write_only(lab):
    """What others write meanwhile on the shared connections need not be waited for."""
    group = group_of(lab, 1)
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert raw.commands([("SET", "mine", 1), ("WAIT", 1, 5000)]) == ["OK", 1]
        hold_back(group.replicas[0])
        assert other.command("SET", "his", 1) == "OK"
        assert raw.command("WAIT", 1, 5000) == 1
        assert other.command("WAIT", 1, 100) == 0
        let_go(group.replicas[0])


@pytest.mark.parametrize("way", ["script", "transaction", "pinned", "served pop", "subscriber"])
def test_wait_whatever_way_the_write_took(lab, way):
    """A served BLPOP is where redis-server's own WAIT answers at once."""
    group = group_of(lab, 1)
    replica, = group.replicas
    with group.weir.raw() as raw, group.weir.raw() as other:
        hold_back(replica)
        if way == "script":
            assert raw.command("EVAL", "return redis.call('set', KEYS[1], 1)", 1, "k") == "OK"
        elif way == "transaction":
            assert raw.commands([("MULTI",), ("SET", "k", 1), ("EXEC",)])[-1] == ["OK"]
        elif way == "pinned":
            assert raw.commands([("WATCH", "k"), ("MULTI",)]) == ["OK", "OK"]
            assert raw.commands([("SET", "k", 1), ("EXEC",)])[-1] == ["OK"]
        elif way == "served pop":
            raw.send(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n")
            assert raw.silent(0.1)
            assert other.command("RPUSH", "list", "x") == 1
            assert raw.reply() == [b"list", b"x"]
        else:
            assert raw.command("HELLO", 3)
            raw.command("SUBSCRIBE", "c")
            assert raw.commands([("SET", "k", 1)]) == ["OK"]
            raw.command("UNSUBSCRIBE", "c")
        assert raw.command("WAIT", 1, 200) == 0
        let_go(replica)
        assert raw.command("WAIT", 1, 5000) == 1


def test_wait_of_a_session_that_wrote_nothing(lab):
    group = group_of(lab)
    with group.weir.raw() as raw:
        assert raw.command("WAIT", 2, 5000) == 2
        assert raw.command("WAIT", 0, 0) in (0, 1, 2)
        group.replicas[0].kill()
        wait_for(lambda: group.master.info("replication")["connected_slaves"] == 1, what="the master has noticed")
        assert raw.command("WAIT", 2, 300) == 1


def test_wait_holds_back_nobody_else(lab):
    group = group_of(lab, 1)
    hold_back(group.replicas[0])
    with group.weir.raw() as waiting, group.weir.raw() as other:
        waiting.commands([("SET", "k", 1)])
        waiting.send(b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n*1\r\n$4\r\nPING\r\n")
        for n in range(50):
            assert other.commands([("SET", "o", n), ("GET", "o")]) == ["OK", b"%d" % n]
        assert waiting.silent(0.2)
        let_go(group.replicas[0])
        assert [waiting.reply(), waiting.reply()] == [1, "PONG"]


def test_wait_says_what_is_wrong_as_the_server_does(lab):
    group = group_of(lab, 1)
    with group.weir.raw() as raw, group.master.raw() as bare:
        for words in [("WAIT",), ("WAIT", "1"), ("WAIT", "x", "0"), ("WAIT", "1", "x"), ("WAIT", "1", "-1"),
                      ("WAIT", "1", "2", "3")]:
            assert str(raw.command(*words)) == str(bare.command(*words))
        assert raw.commands([("MULTI",), ("WAIT", 5, 0), ("EXEC",)])[:2] == ["OK", "QUEUED"]


def test_wait_and_a_client_that_leaves(lab):
    group = group_of(lab, 1)
    hold_back(group.replicas[0])
    for _ in range(20):
        with group.weir.raw() as raw:
            raw.command("SET", "k", 1)
            raw.send(b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n")
    wait_for(lambda: group.weir.status()["clients"]["connected"] == 0, what="they are gone")


# ---- WEIR TOKEN, WEIR WAIT

@pytest.mark.parametrize("level", ["eventual", "session", "strong"])
def test_a_token_hands_causality_on(lab, level):
    group = group_of(lab, 1, session_scope="connection")
    replica, = group.replicas
    with group.weir.raw() as writer, group.weir.raw() as reader:
        writer.command("WEIR", "CONSISTENCY", level)
        assert writer.command("SET", "k", "old") == "OK"
        group.settle()
        wait_for(lambda: reader.command("GET", "k") == b"old" and replica.calls().get("get", 0) > 0, what="the replica serves")
        hold_back(replica)
        assert writer.command("SET", "k", "new") == "OK"
        token = writer.command("WEIR", "TOKEN").decode()
        replid, offset = token.split(":")
        assert replid == group.master.info("replication")["master_replid"]
        assert int(offset) <= int(group.master.info("replication")["master_repl_offset"])
        assert reader.command("GET", "k") == b"old", "this test rests on a replica that is behind"
        assert reader.command("WEIR", "WAIT", token) == "OK"
        assert reader.command("GET", "k") == b"new"
        answer = reader.command("WEIR", "WAIT", token, 200)
        assert isinstance(answer, ServerError) and str(answer).startswith("TIMEOUT ")
        threading.Timer(0.2, let_go, [replica]).start()
        assert reader.command("WEIR", "WAIT", token, 5000) == "OK"
        calls = replica.calls()["get"]
        assert reader.command("GET", "k") == b"new"
        assert replica.calls()["get"] == calls + 1, "a replica that has reached the token serves"


def test_tokens_that_are_none(lab):
    group = group_of(lab, 1)
    replid = group.master.info("replication")["master_replid"]
    with group.weir.raw() as raw:
        for token in ["", ":", "x", "0" * 40 + ":1", replid, replid + ":", replid + ":-1", replid + ":x", replid + ":1x",
                      replid[:-1] + ":5", replid + ":99999999999999999999"]:
            answer = raw.command("WEIR", "WAIT", token)
            assert isinstance(answer, ServerError) and str(answer).startswith("BADTOKEN "), token
        for timeout in ["x", "-1", ""]:
            assert str(raw.command("WEIR", "WAIT", replid + ":1", timeout)).startswith("ERR timeout")
        for words in [("WEIR",), ("WEIR", "NOTHING"), ("WEIR", "TOKEN", "x"), ("WEIR", "WAIT"), ("WEIR", "WAIT", "a", "1", "b")]:
            assert isinstance(raw.command(*words), ServerError)
        assert raw.command("PING") == "PONG"


def test_a_token_waits_for_a_master(lab):
    """As a write does: until one is there, or write_hold is over. But a session that
    is known to have seen no more than its last write has its position."""
    group = lab.group(1, {"routing": {"write_hold": "1s"}}, redis_args=("--save", "3600 1"))
    with group.weir.raw() as writer, group.weir.raw() as raw:
        assert writer.command("SET", "other", "w") == "OK"
        token = writer.command("WEIR", "TOKEN")
        raw.command("WEIR", "CONSISTENCY", "eventual")
        assert raw.command("SET", "k", "v") == "OK"
        group.master.end()
        group.weir.wait_state("no_master")
        assert int(token.split(b":")[1]) > 0 and writer.command("WEIR", "TOKEN") >= token
        assert str(raw.command("WEIR", "TOKEN")).startswith("NOMASTER ")
        raw.send(encode("WEIR", "TOKEN") + encode("GET", "k"))
        group.master.start()
        replid, offset = raw.reply().decode().split(":")
        assert replid == group.master.info("replication")["master_replid"] and int(offset) > 0
        assert raw.reply() == b"v"


def test_tokens_where_nobody_has_asked_for_offsets(lab):
    """One server without replicas; sessions that are eventual; and a user who may
    not ask."""
    alone = lab.group(0)
    with alone.weir.raw() as raw:
        assert raw.command("WEIR", "TOKEN") == f"{alone.master.info('replication')['master_replid']}:0".encode()
    group = group_of(lab, 1, consistency="eventual")
    group.master.cli("ACL", "SETUSER", "plain", "on", ">secret", "~*", "+@all", "-role")
    with group.weir.raw() as raw:
        assert raw.command("SET", "k", "v") == "OK"
        written = int(group.master.info("replication")["master_repl_offset"])
        assert int(raw.command("WEIR", "TOKEN").decode().split(":")[1]) >= written > 0
        assert raw.command("AUTH", "plain", "secret") == "OK"
        wait_for(lambda: str(raw.command("WEIR", "TOKEN")).startswith("NOPERM "), what="it is known that he may not")
