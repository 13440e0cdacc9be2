"""MULTI, EXEC, WATCH: atomic, on the master, and nothing stays behind."""
from harness import ServerError


def test_exec(shared_group):
    with shared_group.weir.raw() as raw:
        raw.command("DEL", "t")
        assert raw.commands([("MULTI",), ("SET", "t", "1"), ("INCR", "t"), ("GET", "t"), ("EXEC",)]) == [
            "OK", "QUEUED", "QUEUED", "QUEUED", ["OK", 2, b"2"]]
        assert raw.command("GET", "t") == b"2"


def test_exec_step_by_step(shared_group):
    with shared_group.weir.raw() as raw:
        assert raw.command("MULTI") == "OK"
        assert raw.command("SET", "t", "5") == "QUEUED"
        assert raw.command("GET", "t") == "QUEUED"
        assert raw.command("EXEC") == ["OK", b"5"]


def test_discard(shared_group):
    with shared_group.weir.raw() as raw:
        assert raw.command("SET", "t", "before") == "OK"
        assert raw.commands([("MULTI",), ("SET", "t", "after"), ("DISCARD",), ("GET", "t")]) == [
            "OK", "QUEUED", "OK", b"before"]


def test_errors_are_the_servers_own(shared_group):
    with shared_group.weir.raw() as raw, shared_group.master.raw() as direct:
        for commands in [
            [("EXEC",)], [("DISCARD",)], [("MULTI",), ("MULTI",), ("DISCARD",)],
            [("MULTI",), ("NOSUCH",), ("EXEC",)], [("MULTI",), ("GET",), ("EXEC",)],
            [("MULTI",), ("WATCH", "x"), ("EXEC",)],
            [("SET", "t", "word"), ("MULTI",), ("INCR", "t"), ("SET", "t", "2"), ("EXEC",)],
        ]:
            assert raw.commands(commands) == direct.commands(commands), commands


def test_watch_conflict(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        assert raw.commands([("SET", "w", "1"), ("WATCH", "w"), ("GET", "w")]) == ["OK", "OK", b"1"]
        assert other.command("SET", "w", "2") == "OK"
        assert raw.commands([("MULTI",), ("SET", "w", "3"), ("EXEC",)]) == ["OK", "QUEUED", None]
        assert raw.command("GET", "w") == b"2"


def test_watch_without_conflict(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        assert raw.commands([("SET", "w", "1"), ("WATCH", "w")]) == ["OK", "OK"]
        other.command("SET", "elsewhere", "2")
        assert raw.commands([("MULTI",), ("SET", "w", "3"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]


def test_unwatch(shared_group):
    with shared_group.weir.raw() as raw, shared_group.weir.raw() as other:
        raw.commands([("WATCH", "w"), ("UNWATCH",)])
        other.command("SET", "w", "x")
        assert raw.commands([("MULTI",), ("SET", "w", "y"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]


def test_a_transaction_left_open_touches_nobody(shared_group):
    with shared_group.weir.raw() as other:
        for n in range(30):
            raw = shared_group.weir.raw()
            raw.commands([("WATCH", "w"), ("MULTI",), ("SET", "abandoned", "1")])
            raw.close()
            assert other.command("SET", "w", n) == "OK", "another client sits in the open transaction"
            assert other.command("EXISTS", "abandoned") == 0


def test_a_watch_left_open_touches_nobody(shared_group):
    """The next transaction may take the same connection to the server."""
    for n in range(10):
        raw = shared_group.weir.raw()
        raw.commands([("WATCH", "w")])
        raw.close()
        shared_group.master.cli("SET", "w", n)
        for _ in range(2):      # of either worker
            with shared_group.weir.raw() as raw:
                assert raw.commands([("MULTI",), ("SET", "t", n), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]


def test_state_changed_inside_multi_touches_nobody(shared_group):
    """Another database, chosen inside a transaction, is not where the next
    client's transaction happens (of either worker)."""
    for n in range(10):
        with shared_group.weir.raw() as raw:
            raw.commands([("MULTI",), ("SELECT", "3"), ("SET", "inside", n), ("EXEC",)])
        for follower in "ab":
            with shared_group.weir.raw() as raw:
                raw.commands([("MULTI",), ("SET", f"after:{n}{follower}", n), ("EXEC",)])
            assert shared_group.master.cli("EXISTS", f"after:{n}{follower}") == 1


def test_refused_inside_multi(shared_group):
    """A command that weir refuses makes EXEC fail, as a bad command does."""
    with shared_group.weir.raw() as raw:
        replies = raw.commands([("MULTI",), ("SET", "t", "x"), ("REPLICAOF", "NO", "ONE"), ("EXEC",), ("PING",)])
    assert replies[:2] == ["OK", "QUEUED"]
    assert isinstance(replies[2], ServerError)
    assert isinstance(replies[3], ServerError) and str(replies[3]).startswith("EXECABORT")
    assert replies[4] == "PONG"


def test_transactions_of_two_clients_do_not_mix(shared_group):
    with shared_group.weir.raw() as a, shared_group.weir.raw() as b:
        for n in range(50):
            assert a.command("MULTI") == b.command("MULTI") == "OK"
            assert a.command("SET", "a", n) == b.command("SET", "b", n) == "QUEUED"
            assert a.command("GET", "a") == b.command("GET", "b") == "QUEUED"
            assert a.command("EXEC") == b.command("EXEC") == ["OK", b"%d" % n]


def test_what_is_watched_after_an_exec_too_many(lab):
    """EXEC without MULTI is refused, and the server goes on watching: the
    connection is not one for the next session."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    with group.weir.raw() as watcher, group.weir.raw() as other:
        assert watcher.command("WATCH", "k") == "OK"
        assert str(watcher.command("EXEC")) == "ERR EXEC without MULTI"
        assert other.command("SET", "k", "changed") == "OK"
        for _ in range(3):
            with group.weir.raw() as raw:
                assert raw.commands([("MULTI",), ("PING",), ("EXEC",)]) == ["OK", "QUEUED", ["PONG"]]
        assert watcher.commands([("MULTI",), ("PING",), ("EXEC",)]) == ["OK", "QUEUED", None]
