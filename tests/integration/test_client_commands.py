"""CLIENT: weir's own clients, in Redis' words, whatever worker they are on."""
import re

from harness import ServerError, encode, wait_for


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


# ---- CLIENT LIST, CLIENT INFO

def two_workers(weir, count=8):
    """Clients spread evenly over weir's two workers."""
    return [weir.raw() for _ in range(count)]


def close_all(*raws):
    for raw in raws:
        raw.close()


def ids_of(reply):
    return [int(fields(line)["id"]) for line in reply.decode().splitlines()]


def test_list_has_every_client_of_every_worker_in_order(shared_group):
    raws = two_workers(shared_group.weir)
    ids = [raw.command("CLIENT", "ID") for raw in raws]
    for raw in raws:
        listed = ids_of(raw.command("CLIENT", "LIST"))
        assert listed == sorted(listed) and set(ids) <= set(listed)
        assert ids_of(raw.command("CLIENT", "LIST", "TYPE", "normal")) == listed
    asked = [ids[3], ids[0], 999999, ids[3], -1, 0, ids[6]]
    assert ids_of(raws[0].command("CLIENT", "LIST", "ID", *asked)) == [ids[3], ids[0], ids[3], ids[6]]
    many = [*range(100000, 100300), ids[1]]
    assert ids_of(raws[0].command("CLIENT", "LIST", "ID", *many)) == [ids[1]]
    for kind in ("master", "replica", "slave"):
        assert raws[0].command("CLIENT", "LIST", "TYPE", kind) == b""
    close_all(*raws)
    with shared_group.weir.raw() as raw:
        wait_for(lambda: not set(ids) & set(ids_of(raw.command("CLIENT", "LIST"))), what="closed clients are not listed")


def own_line(raw, *words):
    """Others may have come later: a replica that had to connect anew, for example."""
    own = raw.command("CLIENT", "ID")
    return next(line for line in raw.command(*words).decode().splitlines() if int(fields(line)["id"]) == own)


def test_a_line_has_redis_own_fields_in_its_order(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        assert raw.command("PING") == "PONG" # the first command may have to wait in weir, and then counts in qbuf
        for words in [("CLIENT", "INFO"), ("CLIENT", "LIST")]:
            ours, theirs = (own_line(one, *words) for one in (raw, direct))
            assert list(fields(ours)) == list(fields(theirs))
            ours, theirs = fields(ours), fields(theirs)
            for same in ("flags", "db", "sub", "psub", "ssub", "multi", "qbuf", "argv-mem", "omem", "oll", "events", "cmd", "user",
                         "redir", "resp", "name"):
                assert ours[same] == theirs[same], same
            assert abs(int(ours["age"]) - int(theirs["age"])) <= 1, "a server counts the seconds of its clock that begin"
            assert ours["addr"] == "%s:%d" % raw.socket.getsockname()
            assert ours["laddr"] == "%s:%d" % raw.socket.getpeername()


def test_a_line_tells_what_a_client_does(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other, shared_group.weir.raw() as three:
        number = other.command("CLIENT", "ID")

        def seen():
            return fields(raw.command("CLIENT", "LIST", "ID", number))

        other.commands([("SELECT", "3"), ("CLIENT", "SETNAME", "other"), ("MULTI",), ("SET", "a", "1"), ("GET", "a")])
        now = seen()
        assert [now[f] for f in ("db", "name", "flags", "multi", "cmd", "resp")] == ["3", "other", "x", "2", "get", "2"]
        other.commands([("EXEC",), ("HELLO", "3"), ("CLIENT", "NO-EVICT", "ON"), ("SELECT", "0")])
        now = seen()
        assert [now[f] for f in ("db", "flags", "multi", "cmd", "resp")] == ["0", "e", "-1", "select", "3"]
        assert other.command("CLIENT", "NO-EVICT", "OFF") == "OK"
        other.send(encode("BLPOP", "nothing here", "0"))
        wait_for(lambda: seen()["flags"] == "b")
        assert seen()["cmd"] == "blpop"
        three.commands([("HELLO", "3"), ("SUBSCRIBE", "news")])
        listed = raw.command("CLIENT", "LIST", "TYPE", "pubsub")
        assert fields(listed)["flags"] == "P" and len(listed.splitlines()) == 1


def test_list_inside_multi(shared_group):
    with shared_group.weir.raw() as raw:
        number = raw.command("CLIENT", "ID")
        values = raw.commands([("MULTI",), ("SET", "a", "1"), ("CLIENT", "LIST", "ID", number), ("CLIENT", "ID"),
                               ("CLIENT", "LIST", "TYPE", "none"), ("GET", "a"), ("EXEC",), ("PING",)])[-2:]
        assert values[1] == "PONG"
        assert values[0][0] == "OK" and ids_of(values[0][1]) == [number] and values[0][2] == number
        assert values[0][3] == ServerError("ERR Unknown client type 'none'") and values[0][4] == b"1"


# ---- CLIENT KILL

def is_closed(raw):
    return not raw.silent(5) and raw.read_all() == b""


def test_kill_by_id_whatever_worker(shared_group):
    raws = two_workers(shared_group.weir)
    ids = [raw.command("CLIENT", "ID") for raw in raws]
    for victim in range(1, len(raws)):
        assert raws[0].command("CLIENT", "KILL", "ID", ids[victim]) == 1
        assert is_closed(raws[victim])
        assert raws[0].command("CLIENT", "KILL", "ID", ids[victim]) == 0
    assert raws[0].command("CLIENT", "KILL", "ID", ids[0]) == 0, "a client spares itself unless told otherwise"
    assert raws[0].command("CLIENT", "KILL", "ID", ids[0], "SKIPME", "no") == 1
    assert is_closed(raws[0])
    close_all(*raws)


def test_kill_by_address(shared_group):
    raws = two_workers(shared_group.weir, 6)
    for raw in raws:
        assert raw.command("PING") == "PONG"
    names = ["%s:%d" % raw.socket.getsockname() for raw in raws]
    assert raws[0].command("CLIENT", "KILL", names[1]) == "OK"
    assert is_closed(raws[1])
    assert raws[0].command("CLIENT", "KILL", names[1]) == ServerError("ERR No such client")
    assert raws[0].command("CLIENT", "KILL", "ADDR", names[2]) == 1
    assert is_closed(raws[2])
    assert raws[0].command("CLIENT", "KILL", "ADDR", names[3], "LADDR", "1.2.3.4:5", "TYPE", "normal") == 0
    assert raws[0].command("CLIENT", "KILL", "addr", names[3], "laddr", shared_group.weir.address, "type", "normal",
                           "user", "default") == 1
    assert is_closed(raws[3])
    assert raws[0].command("CLIENT", "KILL", names[0]) == "OK", "the old form kills who says it, after the answer"
    assert is_closed(raws[0])
    assert raws[4].command("PING") == raws[5].command("PING") == "PONG"
    close_all(*raws)


def test_kill_all_but_me(lab):
    group = lab.group(1)
    raws = two_workers(group.weir)
    for raw in raws:
        raw.command("PING")
    raws[1].commands([("WATCH", "a"), ("MULTI",), ("SET", "a", "1")])
    raws[2].send(encode("BLPOP", "nothing", "0"))
    raws[3].command("SUBSCRIBE", "news")
    wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
    assert raws[0].command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert is_closed(raws[3])
    assert raws[0].command("CLIENT", "KILL", "SKIPME", "yes") == len(raws) - 2
    for raw in raws[1:]:
        assert is_closed(raw)
    wait_for(lambda: group.master.info("clients")["blocked_clients"] == 0)
    assert raws[0].command("EXISTS", "a") == 0
    assert raws[0].command("CLIENT", "KILL", "SKIPME", "no") == 1
    assert is_closed(raws[0])
    assert group.weir.metrics()['weir_client_closed_total{reason="killed"}'] == len(raws)
    close_all(*raws)


def test_kill_inside_multi(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        number = other.command("CLIENT", "ID")
        me = raw.command("CLIENT", "ID")
        assert raw.commands([("MULTI",), ("CLIENT", "KILL", "ID", number), ("SET", "a", "k"), ("CLIENT", "KILL", "ID", me),
                             ("CLIENT", "KILL", "ID", me, "SKIPME", "no"), ("GET", "a"), ("EXEC",)])[-1] == [1, "OK", 0, 1, b"k"]
        assert is_closed(raw) and is_closed(other)


def test_errors_of_kill_and_list_are_the_servers_own(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for words in ["KILL", "KILL ID 10 wrong_arg", "KILL ID str", "KILL ID -1", "KILL ID 0", "KILL ID 01", "KILL TYPE wrong",
                      "KILL USER nobody", "KILL SKIPME maybe", "KILL ID", "KILL MAXAGE 1", "KILL NOSUCH 1", "KILL 1.2.3.4:5",
                      "KILL ID 99999999999999999999", "KILL ID 5 ID x", "LIST TYPE", "LIST TYPE wrong", "LIST ID", "LIST ID x", "LIST ID 1 x",
                      "LIST NOSUCH", "LIST TYPE normal x", "NO-EVICT", "NO-EVICT maybe", "CACHING YES", "CACHING", "GETREDIR",
                      "GETREDIR 1", "TRACKINGINFO", "NO-TOUCH ON", "NOSUCH", "HELP"]:
            words = ("CLIENT", *words.split())
            assert raw.command(*words) == direct.command(*words), words
        assert raw.command("PING") == direct.command("PING") == "PONG", "nobody was killed by any of them"


def test_only_who_may_lists_and_kills(lab):
    group = lab.group(1)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|kill", "-client|list")
    with group.weir.raw() as raw, group.weir.raw() as admin:
        assert raw.command("AUTH", "app", "secret") == "OK"
        number, admins = raw.command("CLIENT", "ID"), admin.command("CLIENT", "ID")
        for words in [("KILL", "ID", admins), ("KILL", "SKIPME", "no"), ("LIST",), ("LIST", "ID", number)]:
            reply = raw.command("CLIENT", *words)
            assert isinstance(reply, ServerError) and str(reply).startswith("NOPERM"), words
            replies = raw.commands([("MULTI",), ("CLIENT", *words), ("EXEC",)])
            assert str(replies[1]).startswith("NOPERM") and str(replies[2]).startswith("EXECABORT")
        assert fields(admin.command("CLIENT", "LIST", "ID", number))["user"] == "app"
        assert admin.command("CLIENT", "KILL", "USER", "app") == 1
        assert is_closed(raw)


def test_who_leaves_while_his_watching_connection_blocks(lab):
    group = lab.group(0)
    with group.weir.raw() as admin:
        for words in [("GET", "w"), ("QUIT",), ("SELECT", "1")]:
            raw = group.weir.raw()
            raw.send(encode("WATCH", "w") + encode("BLPOP", "nothing", "0") + encode(*words))
            assert raw.reply() == "OK"
            wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
            raw.close()
            wait_for(lambda: group.master.info("clients")["blocked_clients"] == 0)
            wait_for(lambda: len(ids_of(admin.command("CLIENT", "LIST"))) == 1)


# ---- CLIENT UNBLOCK

UNBLOCKED = ServerError("UNBLOCKED client unblocked via CLIENT UNBLOCK")


def blocked(group):
    return group.master.info("clients")["blocked_clients"]


def test_unblock_whatever_worker(shared_group):
    admin, *raws = two_workers(shared_group.weir, 7)
    ids = [raw.command("CLIENT", "ID") for raw in raws]
    for words, given_up in [(("BLPOP", "nothing", "0"), None), (("BRPOPLPUSH", "nothing", "x", "0"), None),
                            (("BZPOPMIN", "nothing", "100"), None), (("XREAD", "BLOCK", "0", "STREAMS", "nothing", "$"), None)]:
        for raw in raws:
            raw.send(encode(*words))
        wait_for(lambda: blocked(shared_group) == len(raws))
        for n, (raw, number) in enumerate(zip(raws, ids)):
            how, expected = [((), given_up), (("TIMEOUT",), given_up), (("error",), UNBLOCKED)][n % 3]
            assert admin.command("CLIENT", "UNBLOCK", number, *how) == 1
            assert raw.reply() == expected, words
            assert admin.command("CLIENT", "UNBLOCK", number, *how) == 0
        assert [raw.command("PING") for raw in raws] == ["PONG"] * len(raws)
    assert blocked(shared_group) == 0
    close_all(admin, *raws)


def test_unblock_who_is_not_blocked(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other, shared_group.master.raw() as direct:
        number = other.command("CLIENT", "ID")
        other.commands([("WATCH", "w"), ("GET", "w")])
        for one in (number, raw.command("CLIENT", "ID"), 10 ** 15, 0, -1):
            assert raw.command("CLIENT", "UNBLOCK", one) == raw.command("CLIENT", "UNBLOCK", one, "ERROR") == 0
        for words in ["UNBLOCK", "UNBLOCK asd", "UNBLOCK 1 now", "UNBLOCK x now", "UNBLOCK 1 ERROR x", "UNBLOCK 01"]:
            assert raw.command("CLIENT", *words.split()) == direct.command("CLIENT", *words.split()), words
        assert other.commands([("MULTI",), ("SET", "w", "1"), ("EXEC",)])[-1] == ["OK"]


def test_unblock_on_a_watching_connection_and_inside_multi(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as watching, shared_group.weir.raw() as plain:
        ids = [one.command("CLIENT", "ID") for one in (watching, plain)]
        watching.commands([("SET", "w", "1"), ("WATCH", "w")])
        watching.send(encode("BLPOP", "nothing", "0"))
        plain.send(encode("BLPOP", "nothing", "0"))
        wait_for(lambda: blocked(shared_group) == 2)
        assert raw.commands([("MULTI",), ("CLIENT", "UNBLOCK", ids[0]), ("SET", "w", "2"), ("CLIENT", "UNBLOCK", ids[1], "ERROR"),
                             ("CLIENT", "UNBLOCK", 10 ** 9), ("EXEC",), ("PING",)])[-2:] == [[1, "OK", 1, 0], "PONG"]
        assert watching.reply() is None and plain.reply() == UNBLOCKED
        assert watching.commands([("MULTI",), ("SET", "w", "3"), ("EXEC",)])[-1] is None, "its key has changed"


def test_unblock_a_wait(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        number = other.command("CLIENT", "ID")
        for how, expected in [((), int), (("ERROR",), ServerError)]:
            other.send(encode("SET", "w", "1") + encode("WAIT", "100", "0"))
            assert other.reply() == "OK"
            wait_for(lambda: fields(raw.command("CLIENT", "LIST", "ID", number))["flags"] == "b")
            assert raw.command("CLIENT", "UNBLOCK", number, *how) == 1
            assert isinstance(other.reply(), expected)


def test_unblock_never_hits_another(lab):
    """Clients block and go on all the time, on connections that were others'
    before; who was not named stays blocked."""
    group = lab.group(1)
    admin, steady, *busy = two_workers(group.weir, 10)
    ids = [raw.command("CLIENT", "ID") for raw in busy]
    steady.send(encode("BLPOP", "never", "0"))
    hits = 0
    for turn in range(50):
        for raw in busy:
            raw.send(encode("BLPOP", "never", "0.01") + encode("BLPOP", "never", "0.01"))
        for number in ids:
            hits += admin.command("CLIENT", "UNBLOCK", number, "ERROR")
        answers = [raw.reply() for raw in busy for _ in range(2)]
        assert all(answer in (None, UNBLOCKED) for answer in answers)
        hits -= answers.count(UNBLOCKED)
    assert hits == 0, "each answer of 1 is one client that was unblocked"
    assert steady.silent(0)
    close_all(admin, steady, *busy)


def test_a_paused_client_is_not_unblocked(lab):
    """redis-server 7.0 does not survive that."""
    group = lab.group(1)
    admin, before, *raws = two_workers(group.weir, 6)
    ids = [raw.command("CLIENT", "ID") for raw in (before, *raws)]
    before.send(encode("BLPOP", "nothing", "0"))
    wait_for(lambda: blocked(group) == 1)
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    for raw, words in zip(raws, [("BLPOP", "nothing", "0"), ("SET", "a", "1"), ("EVAL", "return 1", "0"), ("PFCOUNT", "h")]):
        raw.send(encode(*words))
    wait_for(lambda: blocked(group) == 5)
    assert [admin.command("CLIENT", "UNBLOCK", number) for number in ids] == [1, 0, 0, 0, 0]
    assert before.reply() is None
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert [raw.reply() for raw in raws[1:]] == ["OK", 1, 0]
    wait_for(lambda: admin.command("CLIENT", "UNBLOCK", ids[1]) == 1)
    assert raws[0].reply() is None
    close_all(admin, before, *raws)


def test_only_who_may_unblocks(lab):
    group = lab.group(1)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|unblock")
    with group.weir.raw() as raw, group.weir.raw() as other:
        number = other.command("CLIENT", "ID")
        other.send(encode("BLPOP", "nothing", "0"))
        wait_for(lambda: blocked(group) == 1)
        assert raw.command("AUTH", "app", "secret") == "OK"
        assert str(raw.command("CLIENT", "UNBLOCK", number)).startswith("NOPERM")
        assert other.silent(0.1)


def test_a_replica_behind_weir_is_one(lab):
    """redis-server and redis-cli --replica that replicate through weir."""
    group = lab.group(1, config={"proxy": {"allow_sync": "yes"}})
    follower = lab.redis("--replicaof", "127.0.0.1", group.weir.port, name="follower")
    wait_for(lambda: follower.info("replication")["master_link_status"] == "up")
    with group.weir.raw() as raw:
        row = fields(raw.command("CLIENT", "LIST", "TYPE", "replica"))
        assert row["flags"] == "S"
        assert ids_of(raw.command("CLIENT", "LIST", "TYPE", "slave")) == [int(row["id"])]
        assert int(row["id"]) not in ids_of(raw.command("CLIENT", "LIST", "TYPE", "normal"))
        assert raw.command("CLIENT", "KILL", "TYPE", "slave") == 1
        assert raw.command("CLIENT", "KILL", "ID", row["id"]) == 0
        wait_for(lambda: follower.info("replication")["master_link_status"] == "up", what="it comes again")
        assert [replica.follows(group.master) for replica in group.replicas] == [True], "weir's own replica was not touched"


def test_a_transaction_of_nothing_but_weirs_own(shared_group):
    """Their number is limited only by their bytes, and the client goes on."""
    with shared_group.weir.raw(timeout=30) as raw:
        many = 20_000
        raw.send(encode("MULTI") + encode("CLIENT", "GETNAME") * many + encode("EXEC") + encode("PING"))
        assert [raw.reply() for _ in range(many + 1)] == ["OK"] + ["QUEUED"] * many
        assert raw.reply() == [None] * many and raw.reply() == "PONG"
        raw.send(encode("MULTI") + encode("CLIENT", "SETNAME", "x" * 1_000_000) * 6 + encode("EXEC") + encode("PING"))
        replies = [raw.reply() for _ in range(9)]
        assert replies[:5] == ["OK"] + ["QUEUED"] * 4 and isinstance(replies[5], ServerError)
        assert str(replies[7]).startswith("EXECABORT") and replies[8] == "PONG"


def test_list_by_id_has_an_end(shared_group):
    with shared_group.weir.raw(timeout=30) as raw, shared_group.weir.raw() as other:
        number = other.command("CLIENT", "ID")
        assert len(raw.command("CLIENT", "LIST", "ID", *[number] * 20_000).splitlines()) == 20_000
        raw.send(encode("CLIENT", "LIST", "ID", *[number] * 400_000))
        assert raw.read_all() == b""
        assert other.command("PING") == "PONG"


def test_what_exec_binds_stays_bound_while_it_is_settled(shared_group):
    """CLIENT KILL goes round; TRACKING behind it is on the connection that said so."""
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        raw.command("HELLO", "3")
        values = raw.commands([("MULTI",), ("CLIENT", "KILL", "ID", 10 ** 9), ("CLIENT", "TRACKING", "ON"), ("GET", "bound"),
                               ("CLIENT", "LIST", "ID", 10 ** 9), ("EXEC",)])[-1]
        assert values == [0, "OK", None, b"txt:"]
        other.command("SET", "bound", "1")
        assert raw.reply() == [b"invalidate", [b"bound"]]
        raw.send(encode("QUIT"))
        assert raw.reply() == "OK"
    with shared_group.weir.raw() as raw:
        assert raw.commands([("DEL", "bound"), ("MULTI",), ("CLIENT", "KILL", "ID", 10 ** 9), ("CLIENT", "TRACKING", "ON"), ("EXEC",),
                             ("RESET",), ("PING",)])[-3:] == [[0, "OK"], "RESET", "PONG"]
