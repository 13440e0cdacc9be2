"""What a read may show, with a replica that answers everything and applies
nothing: CLIENT PAUSE WRITE on it holds its master's stream as well. Whoever
reads there sees the old value, whoever must not is sent to the master."""
import pytest

from harness import ServerError, encode, wait_for

# Nothing leaves the readable ones because it is silent or behind: what is
# tested is what the sessions themselves demand.
PATIENT = {"routing": {"max_lag": "1m", "backend_timeout": "30s"}, "health": {"timeout": "30s"}}


def stuck_group(lab, **routing):
    """The key `k` is "old" on all servers; the replica applies nothing more."""
    group = lab.group(1, {**PATIENT, "routing": {**PATIENT["routing"], **routing}})
    replica, = group.replicas
    group.master.cli("SET", "k", "old")
    group.settle()
    replica.cli("CLIENT", "PAUSE", 60000, "WRITE")
    return group


def read(raw):
    """Three times, because one read could be lucky."""
    values = set(raw.commands([("GET", "k")] * 3))
    assert len(values) == 1, values
    return values.pop()


# ---- the levels

@pytest.mark.parametrize("by_client", [False, True], ids=["in the file", "by the client"])
@pytest.mark.parametrize("level, beside_weir, by_another, by_itself", [
    ("eventual", b"old", b"old", b"old"),
    ("session", b"old", b"new", b"new"),
    ("strong", b"new", b"new", b"new"),
])
def test_levels(lab, level, by_client, beside_weir, by_another, by_itself):
    """A write is made beside weir, by another client of weir, by the reader."""
    other_level = "eventual" if level == "strong" else "strong"
    group = stuck_group(lab, consistency=other_level if by_client else level)
    with group.weir.raw() as raw, group.weir.raw() as other:
        if by_client:
            assert raw.command("WEIR", "CONSISTENCY", level.upper()) == "OK"
        assert raw.command("WEIR", "CONSISTENCY") == level.encode()
        group.master.cli("SET", "k", "new")
        assert read(raw) == beside_weir
        group.master.cli("SET", "k", "old")
        assert other.command("SET", "k", "new") == "OK"
        assert read(raw) == by_another
        assert raw.command("SET", "k", "new") == "OK"
        assert read(raw) == by_itself
    assert group.replicas[0].cli("GET", "k") == "old", "this test rests on a replica that does not apply"


def test_scope_of_a_connection(lab):
    """Its own writes, and nobody else's."""
    group = stuck_group(lab, session_scope="connection")
    with group.weir.raw() as writer, group.weir.raw() as reader:
        assert writer.command("SET", "k", "new") == "OK"
        assert (read(writer), read(reader)) == (b"new", b"old")


def test_a_level_belongs_to_one_connection(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        assert raw.commands([("WEIR", "CONSISTENCY", "eventual"), ("WEIR", "CONSISTENCY")]) == ["OK", b"eventual"]
        assert other.command("WEIR", "CONSISTENCY") == b"session"
        for words in [("WEIR", "CONSISTENCY", "perfect"), ("WEIR", "CONSISTENCY", "strong", "please"), ("WEIR",),
                      ("WEIR", "NOSUCH")]:
            assert isinstance(raw.command(*words), ServerError), words
        assert raw.command("WEIR", "CONSISTENCY") == b"eventual", "a refused level changes nothing"
        assert raw.commands([("RESET",), ("WEIR", "CONSISTENCY")]) == ["RESET", b"session"]


# ---- program order

def test_a_read_behind_an_unanswered_write(lab):
    """The write is with a master that does not answer. The read, when it comes
    later and alone, must not ask a replica meanwhile."""
    group = lab.group(1, PATIENT)
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("SET", "k", "old") == "OK"
        group.settle()
        count = lambda name: group.weir.status()["commands"][name]  # noqa: E731
        waits = lambda: any(line.split()[-2:] == ["1", "set"] for line in group.weir.admin("CLIENTS"))  # noqa: E731
        on_replicas = count("reads_on_replicas")
        group.master.freeze()
        raw.send(encode("SET", "k", "new"))
        wait_for(waits, what="the write is sent")
        raw.send(encode("GET", "k"))
        assert raw.silent(0.3)
        group.master.thaw()
        assert [raw.reply(), raw.reply()] == ["OK", b"new"]
        assert count("reads_on_replicas") == on_replicas


def test_two_replicas_never_run_backwards(lab):
    """A read is on its way to the replica that is ahead; one that would be
    answered sooner, by the one that is behind, has to wait for it."""
    group = lab.group(2, PATIENT)
    behind, ahead = group.replicas
    group.master.cli("SET", "k", "old")
    group.settle()
    behind.cli("CLIENT", "PAUSE", 60000, "WRITE")
    group.master.cli("SET", "k", "new")
    wait_for(lambda: ahead.cli("GET", "k") == "new")
    assert group.weir.admin("DRAIN", behind.address) == "OK"
    with group.weir.raw(timeout=30) as raw:
        ahead.freeze()
        group.weir.take(raw, encode("GET", "k"))
        assert group.weir.admin("ENABLE", behind.address) == "OK"
        wait_for(lambda: group.weir.readable(behind))
        raw.send(encode("GET", "k") * 5)
        assert raw.silent(0.3)
        ahead.thaw()
        assert [raw.reply() for _ in range(6)] == [b"new"] * 6
    assert behind.cli("GET", "k") == "old", "this test rests on a replica that does not apply"


def test_reads_return_to_the_replicas_at_once(lab):
    """After a write the reads of others wait on the master for a position that
    has passed it; it is asked for then, not at the next check."""
    group = lab.group(1, {"routing": {"max_lag": "10m"}, "health": {"interval": "1m", "timeout": "30s"}})
    on_replicas = lambda: group.weir.status()["commands"]["reads_on_replicas"]  # noqa: E731
    with group.weir.raw() as writer:
        for n in range(5):
            assert writer.command("SET", "k", n) == "OK"
            before = on_replicas()

            def served_by_the_replica():
                with group.weir.raw() as other:
                    assert other.command("GET", "k") == b"%d" % n
                return on_replicas() > before
            wait_for(served_by_the_replica, 5, "a read on the replica")
