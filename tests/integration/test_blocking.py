"""Every command that blocks: served, timed out, inside MULTI, behind others,
and when its client leaves: an element that is pushed then belongs to nobody
yet, and has to stay."""
import socket
import time

import pytest

from harness import ServerError, encode, wait_for

# The command that waits (its last word is the timeout, unless it says BLOCK),
# what serves it, what it answers, and how much of what was pushed is left when
# nobody took it.
BLOCKING = {
    "BLPOP": (("BLPOP", "q", "other", 0), ("RPUSH", "q", "e"), [b"q", b"e"]),
    "BRPOP": (("BRPOP", "q", 0), ("RPUSH", "q", "e"), [b"q", b"e"]),
    "BLMOVE": (("BLMOVE", "q", "moved", "LEFT", "RIGHT", 0), ("RPUSH", "q", "e"), b"e"),
    "BRPOPLPUSH": (("BRPOPLPUSH", "q", "moved", 0), ("RPUSH", "q", "e"), b"e"),
    "BLMPOP": (("BLMPOP", 0, 2, "q", "other", "LEFT"), ("RPUSH", "q", "e"), [b"q", [b"e"]]),
    "BZPOPMIN": (("BZPOPMIN", "q", 0), ("ZADD", "q", 1, "e"), [b"q", b"e", b"1"]),
    "BZPOPMAX": (("BZPOPMAX", "q", 0), ("ZADD", "q", 1, "e"), [b"q", b"e", b"1"]),
    "BZMPOP": (("BZMPOP", 0, 1, "q", "MIN"), ("ZADD", "q", 1, "e"), [b"q", [[b"e", b"1"]]]),
    "XREAD": (("XREAD", "BLOCK", 0, "STREAMS", "q", "$"), ("XADD", "q", "5-1", "f", "v"), [[b"q", [[b"5-1", [b"f", b"v"]]]]]),
    "XREADGROUP": (("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "q", ">"), ("XADD", "q", "5-1", "f", "v"),
                   [[b"q", [[b"5-1", [b"f", b"v"]]]]]),
}


def with_timeout(words, seconds):
    words = list(words)
    if "BLOCK" in words:
        words[words.index("BLOCK") + 1] = int(seconds * 1000)
    elif words[0] in ("BLMPOP", "BZMPOP"):
        words[1] = seconds
    else:
        words[-1] = seconds
    return words


def blocked(group):
    return group.master.info("clients")["blocked_clients"]


def clean(group, name):
    wait_for(lambda: blocked(group) == 0)
    group.master.cli("DEL", "q", "moved", "other")
    if name == "XREADGROUP":
        group.master.cli("XGROUP", "CREATE", "q", "g", "$", "MKSTREAM")


@pytest.mark.parametrize("name", BLOCKING)
def test_served(shared_group, name):
    words, push, answer = BLOCKING[name]
    clean(shared_group, name)
    with shared_group.weir.raw() as waiting, shared_group.weir.raw() as other:
        waiting.send(encode(*words) + encode("ECHO", "behind") + encode("EXISTS", "moved"))
        wait_for(lambda: blocked(shared_group) == 1)
        assert waiting.silent(0.02)
        assert not isinstance(other.command(*push), ServerError)
        assert [waiting.reply() for _ in range(3)] == [answer, b"behind", int(name in ("BLMOVE", "BRPOPLPUSH"))]


@pytest.mark.parametrize("name", BLOCKING)
def test_times_out(shared_group, name):
    words, _, _ = BLOCKING[name]
    clean(shared_group, name)
    with shared_group.weir.raw() as raw:
        begin = time.monotonic()
        assert raw.command(*with_timeout(words, 0.1)) is None
        assert 0.09 < time.monotonic() - begin < 5
        assert raw.commands([("PING",), ("EXISTS", "nothing")]) == ["PONG", 0]


@pytest.mark.parametrize("name", BLOCKING)
def test_inside_multi_it_does_not_block(shared_group, name):
    words, push, answer = BLOCKING[name]
    clean(shared_group, name)
    with shared_group.weir.raw() as raw:
        assert raw.commands([("MULTI",), words, ("ECHO", "x"), ("EXEC",)]) == ["OK", "QUEUED", "QUEUED", [None, b"x"]]
        if not name.startswith("XREAD"):
            served = raw.commands([("MULTI",), push, words, ("EXEC",)])
            assert served[3] == [1, answer]


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("name", BLOCKING)
def test_its_client_leaves(shared_group, name, leave):
    words, push, _ = BLOCKING[name]
    clean(shared_group, name)
    waiting = shared_group.weir.raw()
    waiting.send(encode(*words))
    wait_for(lambda: blocked(shared_group) == 1)
    getattr(waiting, leave)()
    wait_for(lambda: blocked(shared_group) == 0, what="the server waits for nobody")
    with shared_group.weir.raw() as other:
        other.command(*push)
        kind = shared_group.master.cli("TYPE", "q")
        length = {"list": "LLEN", "zset": "ZCARD", "stream": "XLEN"}[kind]
        assert other.commands([(length, "q"), ("EXISTS", "moved")]) == [1, 0]
        if name == "XREADGROUP":
            assert other.command("XPENDING", "q", "g")[0] == 0


@pytest.mark.parametrize("last", [("BLPOP", "q", 0), ("SUBSCRIBE", "c"), ("MULTI",)], ids=lambda words: words[0])
@pytest.mark.parametrize("first", [("GET", "w"), ("SET", "w", 1), ("WATCH", "w"), ("EVAL", "return 1", 0)],
                         ids=lambda words: words[0])
def test_who_has_left_already(shared_group, first, last):
    """Its end arrives with its commands, and the last of them has to wait for
    its turn: nobody is there any more when that comes."""
    clean(shared_group, "BLPOP")
    for leave in (socket.SHUT_WR, socket.SHUT_RDWR) * 5:
        with shared_group.weir.raw() as raw:
            raw.send(encode(*first) + encode(*last))
            raw.socket.shutdown(leave)
            raw.read_all()
    wait_for(lambda: shared_group.weir.metrics()["weir_clients_connected"] == 0, what="nobody is kept")
    assert blocked(shared_group) == 0


@pytest.mark.parametrize("first", [("GET", "w"), ("SET", "w", 1), ("WATCH", "w")], ids=lambda words: words[0])
def test_everything_asked_before_the_end_is_answered(shared_group, first):
    """As with `nc`: who closes his own direction alone still reads."""
    with shared_group.weir.raw() as raw:
        raw.send(encode(*first) + encode("MULTI") + encode("PING") + encode("EXEC") + encode("ECHO", "end"))
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.read_all().endswith(b"+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n$3\r\nend\r\n")


def test_a_push_right_behind_the_leaving(lab):
    """With both clients on one worker nothing is lost even when it is not waited
    for: the connection is closed in the turn in which weir reads that the client
    has left, and the push is written at the end of that turn at the earliest."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    with group.weir.raw() as other:
        for n in range(200):
            waiting = group.weir.raw()
            waiting.send(encode("BLPOP", "q", 0))
            wait_for(lambda: blocked(group) == 1, interval=0.001)
            (waiting.reset if n % 2 else waiting.close)()
            assert other.commands([("RPUSH", "q", n), ("LPOP", "q")]) == [1, b"%d" % n], n


def test_hundreds_at_once(lab):
    """Each gets its own element, whoever else leaves meanwhile."""
    group = lab.group(1)
    waiting = [group.weir.raw(timeout=60) for _ in range(400)]
    for n, raw in enumerate(waiting):
        raw.send(encode("BLPOP", f"q:{n}", 0))
    wait_for(lambda: blocked(group) == 400, timeout=30)
    with group.weir.raw() as other:
        assert other.command("PING") == "PONG"
        for n in range(0, 400, 2):
            waiting[n].close()
        wait_for(lambda: blocked(group) == 200)
        assert other.commands([("RPUSH", f"q:{n}", n) for n in range(400)]) == [1] * 400
        for n in range(1, 400, 2):
            assert waiting[n].reply() == [b"q:%d" % n, b"%d" % n]
            waiting[n].close()
        assert other.commands([("LLEN", f"q:{n}") for n in range(400)]) == [1, 0] * 200


def test_a_blocked_subscriber_and_a_blocked_watcher(shared_group):
    """On a connection that a session has already, a command blocks there; what
    is behind it waits, messages do not."""
    clean(shared_group, "BLPOP")
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        raw.command("HELLO", 3)
        raw.command("SUBSCRIBE", "news")
        raw.send(encode("BLPOP", "q", 0) + encode("ECHO", "behind") + encode("UNSUBSCRIBE"))
        wait_for(lambda: blocked(shared_group) == 1)
        other.command("PUBLISH", "news", "while it waits")
        assert raw.reply() == [b"message", b"news", b"while it waits"]
        other.command("RPUSH", "q", "e")
        assert [raw.reply() for _ in range(3)] == [[b"q", b"e"], b"behind", [b"unsubscribe", b"news", 0]]
        raw.command("HELLO", 2)
        raw.send(encode("WATCH", "w") + encode("BLPOP", "q", 0) + encode("MULTI") + encode("GET", "w") + encode("EXEC"))
        wait_for(lambda: blocked(shared_group) == 1)
        other.commands([("SET", "w", "changed"), ("RPUSH", "q", "e")])
        assert [raw.reply() for _ in range(5)] == ["OK", [b"q", b"e"], "OK", "QUEUED", None]


def test_no_connection_for_one_that_blocks(lab):
    """Its client is told so and closed; the others go on waiting."""
    group = lab.group(0, {"proxy": {"workers": 1, "max_private_backends": 3}})
    wait_for(lambda: "commands from the master" in group.weir.log())
    waiting = [group.weir.raw() for _ in range(3)]
    for n, raw in enumerate(waiting):
        raw.send(encode("BLPOP", f"q:{n}", 0))
    wait_for(lambda: blocked(group) == 3)
    with group.weir.raw() as late:
        late.send(encode("BLPOP", "q:9", 0) + encode("SET", "behind", 1))
        assert late.read_all() == b"-ERR no connection to the server is free (max_private_backends)\r\n"
    with group.weir.raw() as other:
        for n, raw in enumerate(waiting):
            assert other.command("RPUSH", f"q:{n}", n) == 1
            assert raw.reply() == [b"q:%d" % n, b"%d" % n]
        assert other.command("BLPOP", "q:9", "0.01") is None
        assert other.command("EXISTS", "behind") == 0
    for raw in waiting:
        raw.close()
