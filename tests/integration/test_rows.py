"""The same command many times in one pipeline is taken as a row, and so are its
replies. Whatever ends a row in its middle, each command is one: each has its reply,
in its place, and counts once."""
import pytest

from harness import ServerError, encode, wait_for

WRONG_TYPE = ServerError("WRONGTYPE Operation against a key holding the wrong kind of value")


def counted(weir, *names):
    commands = weir.status()["commands"]
    return [commands[name] for name in names]


def roles_answered(group):
    return sum(replica.cli("INFO", "commandstats")["cmdstat_role"]["calls"] for replica in group.replicas)


@pytest.fixture
def group(lab):
    """One worker: what is counted, that one has counted."""
    group = lab.group(2, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw:
        raw.commands([("SET", f"row:{n}", "v" * (n % 50)) for n in range(200)])
        raw.command("RPUSH", "row:list", "a")
        group.settle()
        raw.command("GET", "row:0")
    return group


def test_each_read_is_answered_and_counted(group):
    wanted = [n * 7 % 200 for n in range(5000)]
    with group.weir.raw() as raw:
        before = sum(counted(group.weir, "reads_on_replicas", "reads_on_master"))
        replies = raw.commands([("GET", f"row:{n}") for n in wanted])
    assert replies == [b"v" * (n % 50) for n in wanted]
    wait_for(lambda: sum(counted(group.weir, "reads_on_replicas", "reads_on_master")) == before + len(wanted))


def test_each_write_is_answered_and_counted(group):
    with group.weir.raw() as raw:
        [before] = counted(group.weir, "writes")
        assert raw.commands([("INCR", "row:counter")] * 3000) == list(range(1, 3001))
    wait_for(lambda: counted(group.weir, "writes") == [before + 3000])


def test_rows_longer_than_what_one_role_proves(group):
    """A ROLE stands in front of every 16 KB: in the middle of the row, too."""
    name = "row:" + "n" * 1000
    row = encode("GET", name) * 60      # one read of weir's
    with group.weir.raw() as raw:
        raw.commands([("SET", name, "there"), ("GET", name)])
        group.settle()
        before = roles_answered(group)
        for _ in range(10):
            group.weir.freeze()
            raw.send(row)
            group.weir.thaw()
            assert [raw.reply() for _ in range(60)] == [b"there"] * 60
        assert roles_answered(group) - before >= 10 * (len(row) // 16384 + 1)


def test_errors_and_nulls_stand_in_their_places(group):
    with group.weir.raw() as raw:
        replies = raw.commands([("GET", ("row:1", "row:list", "row:none")[n % 3]) for n in range(300)])
    assert replies == [b"v", WRONG_TYPE, None] * 100


def test_other_commands_cut_a_row(group):
    """By name, by what its arguments make of it, and by what it makes of the next."""
    stream = [("XADD", "row:stream", "1-1", "f", "v")]
    read, block = ("XREAD", "STREAMS", "row:stream", "0"), ("XREAD", "BLOCK", "10", "STREAMS", "row:stream", "5")
    entries = [[b"row:stream", [[b"1-1", [b"f", b"v"]]]]]
    with group.weir.raw() as raw:
        assert raw.commands(stream) == [b"1-1"]
        group.settle()
        [before] = counted(group.weir, "reads_on_replicas")
        assert raw.commands([read, block, read, read, block]) == [entries, None, entries, entries, None]
        assert counted(group.weir, "reads_on_replicas")[0] <= before + 3, "what blocks has a connection of its own"
        pipeline = [("GET", "row:1"), ("STRLEN", "row:1"), ("get", "row:2"), ("GeT", "row:3"), ("DBSIZE",), ("GET", "row:4")]
        assert [reply for n, reply in enumerate(raw.commands(pipeline * 30)) if n % 6 != 4] == [b"v", 1, b"vv", b"vvv", b"vvvv"] * 30


def test_silent_commands_in_a_row(group):
    with group.weir.raw() as raw:
        raw.commands([("GET", "row:1")] * 3)
        raw.send(encode("CLIENT", "REPLY", "SKIP") + encode("GET", "row:1") + encode("GET", "row:2") * 3)
        assert [raw.reply() for _ in range(3)] == [b"vv"] * 3
        raw.send(encode("CLIENT", "REPLY", "OFF") + encode("INCR", "row:silent") * 20 + encode("CLIENT", "REPLY", "ON"))
        assert raw.reply() == "OK"
        assert raw.command("GET", "row:silent") == b"20"


def test_a_row_cut_anywhere(group):
    """By where the packets end, and by empty requests between them."""
    row = [encode("GET", f"row:{n % 200}") for n in range(64)]
    stream = b"".join(one + (b"*0\r\n" if n % 5 == 0 else b"") for n, one in enumerate(row))
    with group.weir.raw() as raw:
        for cut in range(1, len(stream), 97):
            raw.send(stream[:cut])
            raw.send(stream[cut:])
            assert [raw.reply() for _ in row] == [b"v" * (n % 200 % 50) for n in range(64)]


def test_a_replica_lost_under_a_row(lab):
    """What it had not answered is read elsewhere; what it had is not read twice."""
    group = lab.group(1, {"proxy": {"workers": 1}})
    replica = group.replicas[0]
    with group.weir.raw() as raw:
        raw.commands([("SET", f"row:{n}", n) for n in range(100)])
        group.settle()
        raw.command("GET", "row:0")
        wait_for(lambda: raw.command("GET", "row:1") == b"1" and counted(group.weir, "reads_on_replicas")[0] > 1)
        replica.freeze()
        raw.send(b"".join(encode("GET", f"row:{n}") for n in range(100)))
        replica.kill()
        assert [raw.reply() for _ in range(100)] == [b"%d" % n for n in range(100)]


def test_a_master_lost_under_a_row(lab):
    """Each write that was sent is answered, and none is sent again."""
    group = lab.group(1, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw:
        raw.commands([("INCR", "row:counter")] * 10)
        group.master.freeze()
        raw.send(encode("INCR", "row:counter") * 50)
        wait_for(lambda: counted(group.weir, "writes") == [60])
        group.master.kill()
        replies = [raw.reply() for _ in range(50)]
    assert all(isinstance(reply, ServerError) and str(reply).startswith("UNKNOWNRESULT") for reply in replies), replies[:3]
