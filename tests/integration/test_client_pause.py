"""CLIENT PAUSE and UNPAUSE: the master holds writes, weir holds its clients, and
nobody else waits."""
import time

import pytest

from harness import ServerError, encode, wait_for


@pytest.fixture
def group(shared_group):
    """Whatever a test has paused goes on after it."""
    yield shared_group
    with shared_group.weir.raw() as raw:
        assert raw.command("CLIENT", "UNPAUSE") == "OK"
        assert raw.command("SET", "after", "1") == "OK"


def blocked(group, through=None):
    if through is None:
        return group.master.info("clients")["blocked_clients"]
    info = through.command("INFO", "clients").decode()
    return int(info.split("blocked_clients:")[1].split()[0])


def clients(group, count):
    raws = [group.weir.raw() for _ in range(count)]
    for raw in raws:
        raw.command("PING")
    return raws


def held(raw, *words):
    raw.send(encode(*words))
    return raw


def test_writes_wait_and_reads_do_not(group):
    admin, *raws = clients(group, 9)
    admin.command("SET", "p", "before")
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    for n, raw in enumerate(raws):
        held(raw, "SET", f"p{n}", n)
    wait_for(lambda: blocked(group, admin) == len(raws), what="the master shows them as blocked, through weir too")
    with group.weir.raw() as reader:
        assert reader.commands([("GET", "p"), ("PING",), ("EXISTS", "p0"), ("DBSIZE",)])[:3] == [b"before", "PONG", 0]
    assert all(raw.silent(0) for raw in raws)
    assert raws[0].silent(0.2)
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert [raw.reply() for raw in raws] == ["OK"] * len(raws)
    assert blocked(group) == 0


def test_a_pause_ends_by_itself(group):
    admin, raw = clients(group, 2)
    begin = time.monotonic()
    assert admin.command("CLIENT", "PAUSE", "300", "WRITE") == "OK"
    assert raw.command("SET", "p", "1") == "OK"
    assert 0.3 <= time.monotonic() - begin
    assert admin.command("CLIENT", "PAUSE", "300") == "OK"
    begin = time.monotonic()
    assert raw.command("GET", "p") == b"1"
    assert 0.2 <= time.monotonic() - begin


def test_what_waits(group):
    admin, *raws = clients(group, 8)
    admin.command("PFADD", "hll", "a")
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    waiting = [("PFCOUNT", "hll"), ("PUBLISH", "news", "1"), ("EVAL", "return 1", "0"), ("EVAL", "#!lua\nreturn 2", "0"),
               ("SWAPDB", "7", "8"), ("LPUSH", "list", "x")]
    for raw, words in zip(raws, waiting):
        held(raw, *words)
    wait_for(lambda: blocked(group) == len(waiting))
    with group.weir.raw() as other:
        assert other.command("EVAL", "#!lua flags=no-writes\nreturn 'reads only'", "0") == b"reads only"
        assert other.command("SCRIPT", "LOAD", "return 3")
        assert isinstance(other.command("SET", "p"), ServerError)
        assert other.command("CONFIG", "GET", "maxmemory")
        assert str(other.command("NOSUCH")).startswith("ERR unknown command")
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert [raw.reply() for raw in raws[:6]] == [1, 0, 1, 2, "OK", 1]


def test_pipelines_keep_their_order(group):
    admin, raw, other = clients(group, 3)
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    raw.send(encode("GET", "order") + encode("SET", "order", "1") + encode("GET", "order") + encode("INCR", "order") +
             encode("MULTI") + encode("SET", "order", "x") + encode("EXEC") + encode("GET", "order"))
    assert raw.reply() is None
    wait_for(lambda: blocked(group) == 1)
    assert raw.silent(0.05) and other.command("GET", "order") is None
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert [raw.reply() for _ in range(7)] == ["OK", b"1", 2, "OK", "QUEUED", ["OK"], b"x"]
    raw.command("DEL", "order")


def test_transactions(group):
    admin, reads, writes, whole = clients(group, 4)
    admin.command("SET", "p", "1")
    assert writes.commands([("MULTI",), ("SET", "p", "2")]) == ["OK", "QUEUED"]
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    assert reads.commands([("MULTI",), ("PING",), ("GET", "p"), ("EXEC",)])[-1] == ["PONG", b"1"]
    held(writes, "EXEC")
    whole.send(encode("MULTI") + encode("SET", "p", "3") + encode("EXEC"))
    wait_for(lambda: blocked(group) == 2)
    assert writes.silent(0.05)
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert writes.reply() == ["OK"]
    assert [whole.reply() for _ in range(3)] == ["OK", "QUEUED", ["OK"]]


def test_pause_inside_multi_begins_at_its_end(group):
    admin, raw, reader = clients(group, 3)
    admin.command("DEL", "m3")
    assert admin.commands([("MULTI",), ("SET", "m1", "1"), ("CLIENT", "PAUSE", "60000", "WRITE"), ("SET", "m2", "2"),
                           ("EXEC",)])[-1] == ["OK", "OK", "OK"]
    held(raw, "SET", "m3", "3")
    wait_for(lambda: blocked(group) == 1)
    assert reader.commands([("GET", "m1"), ("GET", "m2"), ("GET", "m3")]) == [b"1", b"2", None]
    assert reader.commands([("MULTI",), ("CLIENT", "UNPAUSE"), ("GET", "m1"), ("EXEC",)])[-1] == ["OK", b"1"]
    assert raw.reply() == "OK"


def test_pause_all_holds_everything_of_everybody(group):
    admin, *raws = clients(group, 9)
    raws[3].commands([("MULTI",), ("GET", "p")])
    subscriber = group.weir.raw()
    subscriber.command("SUBSCRIBE", "news")
    assert admin.command("CLIENT", "PAUSE", "100000") == "OK"
    words = [("GET", "p"), ("PING",), ("INFO", "server"), ("EXEC",), ("CLIENT", "ID"), ("SET", "p", "1"), ("EVAL_RO", "return 1", "0"),
             ("WATCH", "p")]
    for raw, command in zip(raws, words):
        held(raw, *command)
    held(subscriber, "PING")
    held(admin, "CLIENT", "PAUSE", "1")
    assert all(raw.silent(0.05) for raw in [*raws, subscriber, admin])
    assert group.weir.status()["state"] == "ok", "weir's own probes are not paused"
    with group.weir.raw() as other:
        assert other.commands([("CLIENT", "SETNAME", "who ends it".replace(" ", "-")), ("CLIENT", "UNPAUSE")]) == ["OK", "OK"]
    replies = [raw.reply() for raw in raws]
    assert replies[1] == "PONG" and replies[3] and replies[5:] == ["OK", 1, "OK"]
    assert subscriber.reply() == [b"pong", b""] and admin.reply() == "OK"
    for raw in [*raws, subscriber]:
        raw.close()


def test_the_longest_end_and_the_strictest_mode_win(group):
    admin, raw = clients(group, 2)
    begin = time.monotonic()
    assert admin.command("CLIENT", "PAUSE", "600", "WRITE") == "OK"
    assert admin.command("CLIENT", "PAUSE", "1", "WRITE") == "OK"
    assert admin.command("CLIENT", "PAUSE", "0", "ALL") == "OK"
    assert raw.command("PING") == "PONG"
    assert time.monotonic() - begin >= 0.55


def test_more_clients_than_connections_for_them(group):
    """The master shows a part of them as blocked; all of them wait, and none is lost."""
    admin, *raws = clients(group, 150)
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    for raw in raws:
        held(raw, "INCR", "many")
    wait_for(lambda: 32 <= blocked(group) <= 64)
    assert all(raw.silent(0) for raw in raws)
    with group.weir.raw() as reader:
        assert reader.command("EXISTS", "many") == 0
    assert admin.command("CLIENT", "UNPAUSE") == "OK"
    assert sorted(raw.reply() for raw in raws) == list(range(1, 150))
    admin.command("DEL", "many")
    for raw in raws:
        raw.close()


def test_clients_that_leave_while_they_are_held(group):
    admin, *raws = clients(group, 25)
    assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
    for raw in raws:
        held(raw, "SET", "left", "1")
    wait_for(lambda: blocked(group) == len(raws))
    for n, raw in enumerate(raws):
        raw.reset() if n % 2 else raw.close()
    wait_for(lambda: blocked(group) == 0)
    assert admin.commands([("CLIENT", "UNPAUSE"), ("EXISTS", "left")]) == ["OK", 0]
    assert admin.command("CLIENT", "PAUSE", "100000") == "OK"
    connected = lambda: group.weir.metrics()["weir_clients_connected"]  # noqa: E731
    before = connected()
    raws = [held(group.weir.raw(), "SET", "left", "1") for _ in range(20)]
    wait_for(lambda: connected() == before + len(raws))
    for raw in raws:
        raw.close()
    wait_for(lambda: connected() == before)
    with group.weir.raw() as other:
        assert other.commands([("CLIENT", "UNPAUSE"), ("EXISTS", "left")]) == ["OK", 0]


def test_errors_are_the_servers_own(group):
    with group.weir.raw() as raw, group.master.raw() as direct:
        for words in ["PAUSE", "PAUSE x", "PAUSE -1", "PAUSE 1 SOMETIMES", "PAUSE 1 WRITE x", "PAUSE 01", "UNPAUSE x", "PAUSE 0",
                      "PAUSE 0 WRITE", "UNPAUSE"]:
            assert raw.command("CLIENT", *words.split()) == direct.command("CLIENT", *words.split()), words
            ours, theirs = (one.commands([("MULTI",), ("CLIENT", *words.split()), ("EXEC",)]) for one in (raw, direct))
            assert ours == theirs, words


def test_who_may_not_pause(lab):
    group = lab.group(1)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|pause")
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert raw.command("AUTH", "app", "secret") == "OK"
        assert str(raw.command("CLIENT", "PAUSE", "10000")).startswith("NOPERM")
        assert str(raw.commands([("MULTI",), ("CLIENT", "PAUSE", "10000"), ("EXEC",)])[-1]).startswith("EXECABORT")
        assert other.command("SET", "p", "1") == raw.command("SET", "p", "2") == "OK"


def test_not_on_the_replica_endpoint(group):
    with group.weir.raw(replica=True) as raw:
        for words in [("CLIENT", "PAUSE", "1000"), ("CLIENT", "UNPAUSE")]:
            assert isinstance(raw.command(*words), ServerError)
            replies = raw.commands([("MULTI",), words, ("EXEC",)])
            assert isinstance(replies[1], ServerError) and str(replies[2]).startswith("EXECABORT")
        assert raw.command("PING") == "PONG"


def test_pause_under_load(group):
    """Clients on both workers write and read all the time; during the pause no
    write runs, and no read waits for one."""
    admin, *raws = clients(group, 13)
    for turn in range(5):
        for raw in raws:
            raw.send(encode("INCR", "load") * 50)
        assert admin.command("CLIENT", "PAUSE", "100000", "WRITE") == "OK"
        before = admin.command("GET", "load")
        assert admin.commands([("GET", "load"), ("INFO", "server"), ("PING",)])[::2] == [before, "PONG"]
        assert group.master.cli("GET", "load") == before.decode()
        assert admin.command("CLIENT", "UNPAUSE") == "OK"
        for raw in raws:
            assert all(isinstance(raw.reply(), int) for _ in range(50))
        assert admin.command("GET", "load") == b"%d" % (600 * (turn + 1))
    admin.command("DEL", "load")
