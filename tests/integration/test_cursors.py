"""SCAN and its kin: on the master, untouched, by default; with scan = replica on
the replicas, with cursors that any connection may go on with."""
import itertools
import threading

import pytest

from harness import PATIENCE, ServerError, encode, wait_for

KEYS = 3000
TAGGED = 2 ** 52            # tagged cursors begin here ...
END = 2 ** 53               # ... and end here: doubles hold them
SCANS = ("scan", "hscan", "sscan", "zscan")
ON_REPLICA = {"routing": {"scan": "replica"}}


def fill(client, keys=KEYS):
    with client.pipeline(transaction=False) as pipe:
        for n in range(keys):
            pipe.set(f"k:{n}", n)
        pipe.hset("hash", mapping={f"f:{n}": n for n in range(keys)})
        pipe.sadd("set", *(f"m:{n}" for n in range(keys)))
        pipe.zadd("zset", {f"m:{n}": n for n in range(keys)})
        pipe.hset("small", mapping={"a": 1, "b": 2})
        pipe.execute()


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """scan = replica, and something to scan on every server."""
    from harness import Lab
    with Lab(tmp_path_factory.mktemp("scanned")) as lab:
        group = lab.group(2, config=ON_REPLICA, replica_endpoint=True)
        fill(group.weir.client())
        group.settle()
        group.reset_calls()
        yield group


@pytest.fixture
def group(scanned):
    scanned.settle()
    scanned.reset_calls()
    return scanned


def calls(servers):
    return sum(server.calls().get(name, 0) for server in servers for name in SCANS)


def iterate(command, connections, *options):
    """All pages of SCAN or HSCAN key ..., each through the next connection:
    (elements, cursors)."""
    cursor, elements, cursors = b"0", [], []
    for raw in connections:
        reply = raw.command(*command, cursor, *options)
        assert not isinstance(reply, ServerError), reply
        cursor, page = reply
        elements += page
        if cursor == b"0":
            return elements, cursors
        cursors.append(int(cursor))


def one_of_each(group):
    """{tag: cursor} of both replicas."""
    cursors = {}

    def both():
        with group.weir.raw() as raw:
            cursor = raw.command("SSCAN", "set", 0, "COUNT", 10)[0]
        cursors[int(cursor) >> 34] = cursor
        return len(cursors) == 2
    wait_for(both, what="both replicas have issued a cursor")
    return cursors


def is_error(reply, word):
    return isinstance(reply, ServerError) and str(reply).startswith(word + " ")


def is_page(reply):
    return not isinstance(reply, ServerError) and len(reply[1]) > 0


# ---- the default

def test_by_default_cursors_are_the_masters_own(shared_group):
    """Byte for byte what the master says."""
    fill(shared_group.weir.client(), 500)
    shared_group.settle()
    shared_group.reset_calls()
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for command in [("SCAN",), ("HSCAN", "hash"), ("SSCAN", "set"), ("ZSCAN", "zset")]:
            cursor = b"0"
            while True:
                reply = raw.command(*command, cursor, "COUNT", 50)
                assert reply == direct.command(*command, cursor, "COUNT", 50)
                cursor = reply[0]
                assert int(cursor) < TAGGED
                if cursor == b"0":
                    break
    assert calls(shared_group.replicas) == 0


# ---- scan = replica

@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("command,wanted", [
    (("SCAN",), {b"k:%d" % n for n in range(KEYS)} | {b"hash", b"set", b"zset", b"small"}),
    (("HSCAN", "hash"), {b"f:%d" % n for n in range(KEYS)} | {b"%d" % n for n in range(KEYS)}),
    (("SSCAN", "set"), {b"m:%d" % n for n in range(KEYS)}),
    (("ZSCAN", "zset"), {b"m:%d" % n for n in range(KEYS)} | {b"%d" % n for n in range(KEYS)}),
], ids=lambda value: value[0].lower() if isinstance(value, tuple) else "")
def test_an_iteration_is_whole(group, command, wanted, protocol):
    """Every page through another connection, on either worker."""
    def connections():
        while True:
            with group.weir.raw() as raw:
                raw.command("HELLO", protocol)
                yield raw
    elements, cursors = iterate(command, connections(), "COUNT", 100)
    assert set(elements) == wanted
    assert len(cursors) > 10
    assert all(TAGGED < cursor < END for cursor in cursors)
    assert all(int(float(cursor)) == cursor for cursor in cursors)
    assert len({cursor >> 34 for cursor in cursors}) == 1, "an iteration stays where it began"
    assert calls([group.master]) == 0 and calls(group.replicas) == len(cursors) + 1


def test_iterations_are_spread(group):
    tags = set()
    for _ in range(40):
        with group.weir.raw() as raw:
            tags.add(int(raw.command("SCAN", 0)[0]) >> 34)
    assert len(tags) == 2
    assert min(calls([replica]) for replica in group.replicas) >= 10


def test_small_ones_end_at_once(group):
    with group.weir.raw() as raw:
        assert raw.command("HSCAN", "small", 0) == [b"0", [b"a", b"1", b"b", b"2"]]
        assert raw.command("HSCAN", "none", 0) == [b"0", []]
        assert raw.command("SCAN", 0, "MATCH", "nothing", "COUNT", 100000) == [b"0", []]


def test_interleaved_iterations(group):
    """Many at once on one connection, and reads of other nodes in between."""
    with group.weir.raw() as raw:
        open_, found = {n: b"0" for n in range(8)}, {n: set() for n in range(8)}
        while open_:
            for n in list(open_):
                cursor, page = raw.command("SSCAN", "set", open_[n], "COUNT", 300)
                found[n].update(page)
                assert raw.command("GET", "k:%d" % n) == b"%d" % n
                open_[n] = cursor
                if cursor == b"0":
                    del open_[n]
    assert all(members == {b"m:%d" % n for n in range(KEYS)} for members in found.values())


def test_pipelined(group):
    """Replies stay in order, and a tagged cursor goes to its node from within."""
    with group.weir.raw() as raw:
        cursors = [raw.command("SCAN", 0, "COUNT", 10)[0] for _ in range(6)]
        wanted = [raw.command("SCAN", cursor, "COUNT", 10) for cursor in cursors]
        batch = [("SET", "written", "x")]
        for cursor in cursors:
            batch += [("GET", "written"), ("SCAN", cursor, "COUNT", 10), ("PING",)]
        replies = raw.commands(batch)
    assert replies[0] == "OK"
    assert replies[1::3] == [b"x"] * 6 and replies[3::3] == ["PONG"] * 6
    assert [set(page) - {b"written"} for _, page in replies[2::3]] == [set(page) - {b"written"} for _, page in wanted]


def test_a_large_page_is_passed_on_as_it_comes(group):
    with group.weir.raw() as raw:
        client = group.weir.client()
        value = "v" * 1000
        client.hset("large", mapping={f"f:{n}": value for n in range(20000)})
        group.settle()
        elements, cursors = iterate(("HSCAN", "large"), itertools.repeat(raw), "COUNT", 9000)
        assert len(elements) == 40000 and set(elements[1::2]) == {value.encode()} and cursors
        # Behind another request of the same client it waits for its turn.
        raw.send(encode("GET", "k:1") + encode("HSCAN", "large", 0, "COUNT", 100000) + encode("GET", "k:2"))
        assert raw.reply() == b"1"
        cursor, page = raw.reply()
        assert cursor == b"0" and len(page) == 40000
        assert raw.reply() == b"2"
        client.delete("large")


def test_errors_are_the_servers(group):
    with group.weir.raw() as raw, group.replicas[0].raw() as direct:
        for words in [("SCAN",), ("SCAN", "x"), ("SCAN", "-1x"), ("SCAN", 0, "COUNT", 0), ("SCAN", 0, "NOSUCH"),
                      ("HSCAN", "hash"), ("HSCAN", "set", 0), ("ZSCAN", "zset", "zz"), ("SCAN", 2 ** 64),
                      ("HSCAN", "none", 0, "COUNT", "x")]:
            assert raw.command(*words) == direct.command(*words), words


def test_on_the_replica_endpoint(group):
    with group.weir.raw(replica=True) as raw:
        elements, cursors = iterate(("SSCAN", "set"), itertools.repeat(raw), "COUNT", 100)
        assert set(elements) == {b"m:%d" % n for n in range(KEYS)} and all(c > TAGGED for c in cursors)
        mixed = raw.command("SSCAN", "set", 0, "COUNT", 10)[0]
    with group.weir.raw() as other:
        assert int(other.command("SSCAN", "set", mixed, "COUNT", 10)[0]) > TAGGED
    assert calls([group.master]) == 0


def test_client_libraries_iterate(group):
    client = group.weir.client()
    assert {key for key in client.scan_iter("k:*", count=200)} == {f"k:{n}" for n in range(KEYS)}
    assert len(dict(client.hscan_iter("hash", count=200))) == KEYS
    assert calls([group.master]) == 0


def test_every_database_has_its_own(group):
    with group.weir.raw() as raw:
        raw.commands([("SELECT", 5)] + [("SET", f"five:{n}", n) for n in range(200)])
        group.settle()
        elements, cursors = iterate(("SCAN",), itertools.repeat(raw), "COUNT", 20)
        assert set(elements) == {b"five:%d" % n for n in range(200)} and cursors


# ---- transactions

def test_inside_exec_the_cursor_is_the_masters(group):
    """It comes untagged, and untagged cursors are the master's everywhere."""
    with group.weir.raw() as raw:
        page = raw.commands([("MULTI",), ("SSCAN", "set", 0, "COUNT", 100), ("EXEC",)])[-1][0]
        assert 0 < int(page[0]) < TAGGED
        elements = page[1]
        while page[0] != b"0":
            page = raw.command("SSCAN", "set", page[0], "COUNT", 100)
            assert int(page[0]) < TAGGED
            elements += page[1]
        assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
    assert calls(group.replicas) == 0


def test_a_replicas_cursor_inside_exec_is_refused(group):
    with group.weir.raw() as raw:
        cursor = raw.command("SCAN", 0)[0]
        replies = raw.commands([("MULTI",), ("SCAN", cursor), ("GET", "k:1"), ("EXEC",), ("GET", "k:1")])
        assert replies[0] == "OK" and replies[2] == "QUEUED" and replies[4] == b"1"
        assert is_error(replies[1], "NOCURSOR") and is_error(replies[3], "EXECABORT")
        # With keys watched all runs on the master, but nothing is spoilt yet.
        replies = raw.commands([("WATCH", "k:1"), ("SCAN", cursor), ("MULTI",), ("GET", "k:1"), ("EXEC",)])
        assert is_error(replies[1], "NOCURSOR") and replies[4] == [b"1"]
        assert int(raw.command("SCAN", cursor)[0]) > TAGGED


def test_while_subscribed(group):
    with group.weir.raw() as raw:
        raw.command("HELLO", 3)
        cursor = raw.command("SCAN", 0)[0]
        raw.command("SUBSCRIBE", "news")
        page = raw.command("SCAN", 0)
        assert 0 < int(page[0]) < TAGGED and 0 < int(raw.command("SCAN", page[0])[0]) < TAGGED
        assert "NOCURSOR" in str(raw.command("SCAN", cursor))
        assert raw.command("GET", "k:1") == b"1"


# ---- nodes that come and go

def drain_all(group):
    for replica in group.replicas:
        assert group.weir.admin("DRAIN", replica.address) == "OK"


def test_the_masters_cursor_is_tagged_too(lab):
    """Begun on the master because no replica could serve; it goes on there, in
    transactions too, and from a server that is master no longer."""
    group = lab.group(1, config=ON_REPLICA)
    fill(group.weir.client())
    group.settle()
    drain_all(group)
    with group.weir.raw() as raw:
        wait_for(lambda: raw.command("SCAN", 0, "COUNT", 1) and group.master.calls().get("scan", 0) > 0)
        cursor = raw.command("SCAN", 0, "COUNT", 10)[0]
        assert int(cursor) > TAGGED
        group.weir.admin("ENABLE", group.replicas[0].address)
        wait_for(lambda: group.weir.readable(group.replicas[0]))
        group.settle()
        group.reset_calls()
        page = raw.command("SCAN", cursor, "COUNT", 10)
        assert int(page[0]) >> 34 == int(cursor) >> 34
        replies = raw.commands([("MULTI",), ("SCAN", cursor, "COUNT", 10), ("EXEC",)])
        assert replies[-1][0][1] == page[1] and 0 < int(replies[-1][0][0]) < TAGGED
        assert raw.command("SCAN", replies[-1][0][0], "COUNT", 10)[1] == raw.command("SCAN", page[0], "COUNT", 10)[1]
        assert calls(group.replicas) == 0 and calls([group.master]) == 4


def test_a_drained_replica_ends_what_it_has_begun(lab):
    group = lab.group(2, config=ON_REPLICA)
    fill(group.weir.client())
    group.settle()
    with group.weir.raw() as raw:
        cursor, elements = raw.command("SSCAN", "set", 0, "COUNT", 100)
        drain_all(group)
        wait_for(lambda: not any(group.weir.readable(replica) for replica in group.replicas))
        group.reset_calls()
        while cursor != b"0":
            cursor, page = raw.command("SSCAN", "set", cursor, "COUNT", 100)
            elements += page
        assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
        assert calls([group.master]) == 0
        assert raw.command("SSCAN", "set", 0)[1] and calls([group.master]) == 1


def test_a_cursor_of_a_server_that_is_gone(lab):
    """While it is away it may come back, so the client shall try again; once it
    has come back as another process, or not at all, it shall begin again."""
    group = lab.group(2, config={"routing": {"scan": "replica", "backend_timeout": f"{300 * PATIENCE:g}ms"}})
    fill(group.weir.client())
    group.settle()
    cursors = one_of_each(group)
    with group.weir.raw() as raw:
        group.replicas[0].kill()
        replies = [raw.command("SSCAN", "set", cursor, "COUNT", 10) for cursor in cursors.values()]
        lost = [is_error(reply, "NOREPLICA") for reply in replies]
        assert sorted(lost) == [False, True], replies
        gone = list(cursors.values())[lost.index(True)]
        group.replicas[0].start("--replicaof", "127.0.0.1", group.master.port)
        wait_for(lambda: group.weir.readable(group.replicas[0]), timeout=20)
        wait_for(lambda: "begin again at 0" in str(raw.command("SSCAN", "set", gone, "COUNT", 10)), what="the worker knows, too")
        assert is_error(raw.command("SSCAN", "set", gone, "COUNT", 10), "NOCURSOR")
        assert raw.command("GET", "k:1") == b"1"
        elements, _ = iterate(("SSCAN", "set"), itertools.repeat(raw), "COUNT", 500)
        assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
        assert group.weir.status()["counters"]["lost_cursors"] >= 3


def test_a_tag_that_nobody_has(group):
    with group.weir.raw() as raw:
        mine = {int(raw.command("SCAN", 0)[0]) >> 34 for _ in range(40)}
        other = next(tag for tag in itertools.count(TAGGED >> 34) if tag not in mine)
        for own in (0, 17, 2 ** 34 - 1):
            assert is_error(raw.command("SCAN", (other << 34) + own), "NOCURSOR")
        assert raw.command("GET", "k:1") == b"1"


def test_another_weir_reads_the_same_tags(lab, group):
    """A cursor outlives weir, and may come back through another one whose file
    names the servers in another order."""
    other = lab.weir(group.master, list(reversed(group.replicas)), {
        "routing": {"scan": "replica"}, "replication": {"wiring": "observe"}}, name="other").wait_state("ok")
    with group.weir.raw() as here, other.raw() as there:
        cursor, elements = here.command("SSCAN", "set", 0, "COUNT", 100)
        for raw in itertools.cycle([there, here]):
            cursor, page = raw.command("SSCAN", "set", cursor, "COUNT", 100)
            elements += page
            if cursor == b"0":
                break
    assert set(elements) == {b"m:%d" % n for n in range(KEYS)}


def test_a_connection_lost_under_a_page(lab):
    """The server is there: the page is asked of it again, and of no other."""
    group = lab.group(2, config=ON_REPLICA)
    fill(group.weir.client())
    group.settle()
    stop = threading.Event()

    def kill_connections():
        while not stop.wait(0.02):
            for server in group.servers:
                with server.client() as client:
                    for row in client.client_list():
                        if row["name"] == "weir-data":
                            client.client_kill_filter(_id=row["id"])
    killer = threading.Thread(target=kill_connections)
    killer.start()
    try:
        with group.weir.raw() as raw:
            for _ in range(10):
                elements, _ = iterate(("SSCAN", "set"), itertools.repeat(raw), "COUNT", 20)
                assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
    finally:
        stop.set()
        killer.join()


def test_a_silent_replica(lab):
    group = lab.group(2, config={"routing": {"scan": "replica", "backend_timeout": f"{300 * PATIENCE:g}ms"}})
    fill(group.weir.client())
    group.settle()
    cursors = one_of_each(group)
    with group.weir.raw() as raw:
        group.replicas[0].freeze()
        replies = [raw.command("SSCAN", "set", cursor, "COUNT", 10) for cursor in cursors.values()]
        errors = [reply for reply in replies if isinstance(reply, ServerError)]
        assert len(errors) == 1 and (is_error(errors[0], "TIMEOUT") or is_error(errors[0], "NOREPLICA"))
        silent = list(cursors.values())[replies.index(errors[0])]
        group.replicas[0].thaw()
        wait_for(lambda: not isinstance(raw.command("SSCAN", "set", silent, "COUNT", 10), ServerError),
                 what="the same cursor works again")


# ---- what a page must show

def cursor_of(group, replica):
    """A cursor that this replica has issued."""
    def ask():
        replica.reset_calls()
        with group.weir.raw() as raw:
            cursor = raw.command("SSCAN", "set", 0, "COUNT", 10)[0]
        return cursor if calls([replica]) == 1 else None
    return wait_for(ask, what="that replica is asked")


def hold_stream(replica):
    """Its master's stream is read, but not applied."""
    replica.cli("CLIENT", "PAUSE", 60000, "WRITE")


def test_a_page_shows_what_was_written_before(lab):
    """A following page waits for its replica to have what the session has seen
    acknowledged."""
    group = lab.group(2, config={"routing": {"scan": "replica", "max_lag": "1m", "backend_timeout": "10s"}})
    fill(group.weir.client())
    group.settle()
    first = group.replicas[0]
    with group.weir.raw() as raw:
        cursor = cursor_of(group, first)
        seen = raw.command("SSCAN", "set", cursor, "COUNT", 10)[1]
        hold_stream(first)
        assert raw.command("SREM", "set", *seen) == len(seen)
        raw.send(encode("SSCAN", "set", cursor, "COUNT", 10))
        assert raw.silent(0.3), "its replica still has what was removed"
        first.cli("CLIENT", "UNPAUSE")
        assert not set(raw.reply()[1]) & set(seen)


def test_a_page_that_cannot_be_shown_in_time(lab):
    group = lab.group(2, config={"routing": {"scan": "replica", "max_lag": "1m", "backend_timeout": f"{300 * PATIENCE:g}ms"}})
    fill(group.weir.client())
    group.settle()
    first = group.replicas[0]
    with group.weir.raw() as raw:
        cursor = cursor_of(group, first)
        hold_stream(first)
        raw.command("SET", "written", "x")
        assert is_error(raw.command("SSCAN", "set", cursor), "NOREPLICA")
        assert raw.command("WEIR", "CONSISTENCY", "eventual") == "OK"
        assert raw.command("SSCAN", "set", cursor)[1], "eventual demands no more than max_lag"
        raw.command("WEIR", "CONSISTENCY", "strong")
        assert is_error(raw.command("SSCAN", "set", cursor), "NOREPLICA")
        first.cli("CLIENT", "UNPAUSE")
        wait_for(lambda: is_page(raw.command("SSCAN", "set", cursor)), what="it goes on")


def test_a_page_is_not_older_than_max_lag(lab):
    group = lab.group(2, config={"routing": {
        "scan": "replica", "consistency": "eventual", "max_lag": "200ms", "backend_timeout": f"{300 * PATIENCE:g}ms"}})
    fill(group.weir.client())
    group.settle()
    first = group.replicas[0]
    with group.weir.raw() as raw:
        cursor = cursor_of(group, first)
        hold_stream(first)
        group.master.cli("SET", "written", "x")
        wait_for(lambda: not group.weir.readable(first), what="weir sees that it lags")
        assert is_error(raw.command("SSCAN", "set", cursor), "NOREPLICA")
        first.cli("CLIENT", "UNPAUSE")
        wait_for(lambda: is_page(raw.command("SSCAN", "set", cursor)), what="it goes on")


def test_pages_go_on_under_a_stream_of_writes(group):
    """Others write all the time; every page is shown without an error."""
    stop = threading.Event()

    def write():
        with group.weir.raw() as raw:
            while not stop.is_set():
                raw.command("INCR", "busy")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        with group.weir.raw() as raw:
            deadline_pages = 0
            for _ in range(5):
                elements, cursors = iterate(("SSCAN", "set"), itertools.repeat(raw), "COUNT", 100)
                assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
                deadline_pages += len(cursors)
            assert deadline_pages > 50
    finally:
        stop.set()
        writer.join()


def page_with(raw, member):
    """A tagged cursor whose page holds this member; None where it stands in the
    very first bucket, which has no such cursor."""
    cursor, page = raw.command("ZSCAN", "zset", 0, "COUNT", 1)
    if member in page:
        return None
    while True:
        following, page = raw.command("ZSCAN", "zset", cursor, "COUNT", 50)
        if member in page:
            return cursor
        cursor = following
        assert cursor != b"0"


@pytest.mark.parametrize("level", ["session", "strong"])
def test_pages_do_not_go_back_in_time(group, level):
    """Pages and reads in turn, on whatever node, while the session and others
    write: what was seen once is never unseen."""
    stop, counted = threading.Event(), itertools.count(1)

    def write():
        with group.weir.raw() as raw:
            while not stop.is_set():
                raw.command("ZINCRBY", "zset", 1, "m:7")
    writer = threading.Thread(target=write)
    with group.weir.raw() as raw:
        raw.command("WEIR", "CONSISTENCY", level)
        cursors = {page_with(raw, b"m:7") for _ in range(20)} - {None}
        writer.start()
        try:
            seen = 0.0
            for cursor in itertools.islice(itertools.cycle(cursors), 400):
                if next(counted) % 3 == 0:
                    seen = max(seen, float(raw.command("ZINCRBY", "zset", 1, "m:7")))
                page = raw.command("ZSCAN", "zset", cursor, "COUNT", 50)[1]
                shown = float(page[page.index(b"m:7") + 1])
                assert shown >= seen
                seen = shown
                read = float(raw.command("ZSCORE", "zset", "m:7"))
                assert read >= seen
                seen = read
        finally:
            stop.set()
            writer.join()
            raw.command("ZADD", "zset", 7, "m:7")


def test_without_a_master(lab):
    """Iterations on replicas go on as reads do."""
    group = lab.group(2, config=ON_REPLICA)
    fill(group.weir.client())
    group.settle()
    with group.weir.raw() as raw:
        cursor, elements = raw.command("SSCAN", "set", 0, "COUNT", 100)
        group.master.kill()
        group.weir.wait_state("no_master")
        while cursor != b"0":
            cursor, page = raw.command("SSCAN", "set", cursor, "COUNT", 100)
            elements += page
        assert set(elements) == {b"m:%d" % n for n in range(KEYS)}
