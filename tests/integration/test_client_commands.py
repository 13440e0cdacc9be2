"""CLIENT: weir's own clients, in Redis' words, whatever worker they are on."""
import re

from harness import ServerError, encode


def fields(line):
    """One line of CLIENT LIST or CLIENT INFO as a dict."""
    return dict(re.findall(r"([a-z-]+)=(\S*)", line.decode() if isinstance(line, bytes) else line))


# ---- inside MULTI

def test_inside_multi_the_values_are_weirs(shared_group):
    with shared_group.weir.raw() as raw:
        number = raw.command("CLIENT", "ID")
        replies = raw.commands([
            ("MULTI",), ("CLIENT", "ID"), ("SET", "t", "1"), ("CLIENT", "SETNAME", "inside"), ("CLIENT", "GETNAME"),
            ("SELECT", "4"), ("CLIENT", "INFO"), ("INCR", "t"), ("EXEC",), ("CLIENT", "GETNAME"), ("GET", "t")])
        assert replies[:8] == ["OK"] + ["QUEUED"] * 7
        values = replies[8]
        assert values[:4] + values[4:5] == [number, "OK", "OK", b"inside", "OK"]
        assert fields(values[5])["id"] == str(number) and fields(values[5])["db"] == "4"
        assert values[6] == 1
        assert replies[9:] == [b"inside", b"1"]
        assert raw.commands([("DEL", "t"), ("SELECT", "0"), ("GET", "t")]) == [1, "OK", b"1"]


def test_inside_multi_errors_are_the_servers_own(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for commands in [
            [("MULTI",), ("CLIENT", "SETNAME", "a b"), ("CLIENT", "SETNAME", "x"), ("CLIENT", "GETNAME"), ("EXEC",)],
            [("MULTI",), ("CLIENT", "ID", "1"), ("EXEC",)],
            [("MULTI",), ("CLIENT", "SETNAME", "y"), ("CLIENT", "NOSUCH"), ("EXEC",), ("CLIENT", "GETNAME")],
            [("MULTI",), ("CLIENT", "SETNAME", "y"), ("DISCARD",), ("CLIENT", "GETNAME")],
            [("WATCH", "w"), ("SET", "w", "1"), ("MULTI",), ("CLIENT", "SETNAME", "y"), ("SELECT", "5"), ("EXEC",),
             ("CLIENT", "GETNAME")],
            [("MULTI",), ("SELECT", "99"), ("SELECT", "x"), ("EXEC",)],
        ]:
            assert raw.commands(commands) == direct.commands(commands), commands


def test_a_name_given_inside_multi_stays_with_its_client(shared_group):
    for _ in range(4):
        with shared_group.weir.raw() as raw:
            assert raw.commands([("MULTI",), ("CLIENT", "SETNAME", "mine"), ("EXEC",)])[-1] == ["OK"]
        for _ in range(2):      # of either worker
            with shared_group.weir.raw() as raw:
                assert raw.commands([("CLIENT", "GETNAME"), ("MULTI",), ("CLIENT", "GETNAME"), ("EXEC",)])[::3] == [None, [None]]


# ---- CLIENT REPLY

def test_reply_off_and_on(shared_group):
    """Whatever answers a command, a server or weir, from near or far."""
    with shared_group.weir.raw() as raw:
        raw.command("SET", "r", "1")
        for words in [("PING",), ("GET", "r"), ("SET", "r", "2"), ("INCR", "no", "such"), ("NOSUCH",), ("SELECT", "2"),
                      ("SELECT", "0"), ("CLIENT", "ID"), ("CLIENT", "SETNAME", "quiet"), ("CLIENT", "LIST"),
                      ("REPLICAOF", "NO", "ONE"), ("EVAL", "return 1", "0"), ("BLPOP", "nothing", "0.01"), ("HELLO", "3"),
                      ("HELLO", "2"), ("AUTH", "x"), ("WAIT", "0", "1"), ("CLIENT", "REPLY", "NOSUCH"), ("WATCH", "r")]:
            assert raw.commands([("PING", "before")]) == [b"before"]
            raw.send(encode("CLIENT", "REPLY", "OFF") + encode(*words) + encode("CLIENT", "REPLY", "ON") +
                     encode("PING", "after"))
            assert [raw.reply(), raw.reply()] == ["OK", b"after"], words
        assert raw.commands([("UNWATCH",), ("CLIENT", "GETNAME"), ("GET", "r")]) == ["OK", b"quiet", b"2"]


def test_reply_off_through_transactions(shared_group):
    with shared_group.weir.raw() as raw:
        raw.command("CLIENT", "ID")     # both ways of a transaction begin with a session that is let in
        for pieces in ([0, None], [0, 3, None]):    # in one go, and step by step
            commands = [("CLIENT", "REPLY", "OFF"), ("MULTI",), ("SET", "r", "in"), ("GET", "r"), ("EXEC",),
                        ("CLIENT", "REPLY", "ON"), ("GET", "r")]
            for a, b in zip(pieces, pieces[1:]):
                raw.send(b"".join(encode(*words) for words in commands[a:b]))
                assert b is None or raw.silent(0.02)
            assert [raw.reply(), raw.reply()] == ["OK", b"in"]


def test_reply_skip(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for commands in [
            [("CLIENT", "REPLY", "SKIP"), ("PING",), ("PING", "2")],
            [("CLIENT", "REPLY", "SKIP"), ("CLIENT", "REPLY", "SKIP"), ("PING", "1"), ("PING", "2")],
            [("CLIENT", "REPLY", "SKIP"), ("CLIENT", "REPLY", "ON"), ("PING", "2")],
            [("CLIENT", "REPLY", "OFF"), ("CLIENT", "REPLY", "SKIP"), ("PING", "1"), ("CLIENT", "REPLY", "ON"), ("PING", "2")],
            [("CLIENT", "REPLY", "SKIP"), ("NOSUCH",), ("PING", "2")],
            [("CLIENT", "REPLY", "SKIP"), ("CLIENT", "REPLY"), ("PING", "2")],
            [("CLIENT", "REPLY", "SKIP"), ("MULTI",), ("SET", "r", "1"), ("GET", "r"), ("EXEC",), ("PING", "2")],
            [("MULTI",), ("CLIENT", "REPLY", "SKIP"), ("EXEC",), ("PING", "1"), ("PING", "2")],
            [("MULTI",), ("SET", "r", "1"), ("CLIENT", "REPLY", "OFF"), ("GET", "r"), ("EXEC",), ("PING", "1"),
             ("CLIENT", "REPLY", "ON"), ("PING", "2")],
            [("CLIENT", "REPLY", "OFF"), ("MULTI",), ("SET", "r", "1"), ("CLIENT", "REPLY", "ON"), ("GET", "r"), ("EXEC",), ("PING", "2")],
            [("CLIENT", "REPLY", "OFF"), ("RESET",), ("PING", "2")],
            [("CLIENT", "REPLY"), ("CLIENT", "REPLY", "x"), ("CLIENT", "REPLY", "ON", "x"), ("PING", "2")],
        ]:
            data = b"".join(encode(*words) for words in commands)
            assert everything_until(raw, data, b"\r\n2\r\n") == everything_until(direct, data, b"\r\n2\r\n"), commands


def everything_until(raw, data, end):
    """The bytes that answer the data, up to those."""
    raw.send(data)
    got = b""
    while not got.endswith(end):
        got += raw.stream.read1(1)
    return got


def test_reply_off_does_not_silence_messages(shared_group):
    """Not in RESP2 and not in RESP3, as on a server."""
    with shared_group.weir.raw() as two, shared_group.weir.raw() as three, shared_group.weir.raw() as publisher:
        three.command("HELLO", "3")
        for raw in (two, three):
            raw.send(encode("CLIENT", "REPLY", "OFF") + encode("SUBSCRIBE", "news"))
            assert raw.reply() == [b"subscribe", b"news", 1]
        assert publisher.command("PUBLISH", "news", "1") == 2
        for raw in (two, three):
            assert raw.reply() == [b"message", b"news", b"1"]
        three.send(encode("GET", "r") + encode("CLIENT", "REPLY", "ON") + encode("PING", "x"))
        assert [three.reply(), three.reply()] == ["OK", b"x"]
        two.send(encode("CLIENT", "REPLY", "ON") + encode("RESET"))
        assert two.reply() == "RESET"
        assert two.command("PING", "x") == b"x"


def test_reply_off_is_forgotten_with_its_client(shared_group):
    for _ in range(4):
        with shared_group.weir.raw() as raw:
            raw.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "r", "1") + encode("GET", "r"))
            assert raw.silent(0.02)
        with shared_group.weir.raw() as raw:
            assert raw.commands([("SET", "r", "2"), ("GET", "r")]) == ["OK", b"2"]


def test_quit_while_silent(shared_group):
    with shared_group.weir.raw() as raw:
        raw.send(encode("CLIENT", "REPLY", "OFF") + encode("GET", "r") + encode("QUIT"))
        assert raw.read_all() == b""
