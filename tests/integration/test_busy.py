"""A master that is alive but cannot answer now: it says so itself, and weir
neither takes it for dead nor cuts its connections."""
import time

from harness import encode, use_up_spares, wait_for


def test_busy_with_a_script(lab):
    group = lab.group(2)
    group.master.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    with group.weir.raw() as spinning, group.weir.raw() as other:
        assert other.command("SET", "key", "value") == "OK"
        spinning.send(encode("EVAL", "while true do end", 0))
        wait_for(lambda: str(other.command("INCR", "n")).startswith("BUSY"), what="the server says BUSY")
        end = time.monotonic() + 2  # long enough for a health check to lose its patience
        while time.monotonic() < end:
            assert str(other.command("INCR", "n")).startswith("BUSY")
        assert other.command("SCRIPT", "KILL") == "OK"
        assert "killed by user" in str(spinning.reply())
        assert other.commands([("SET", "key", "after"), ("GET", "key")]) == ["OK", b"after"]


def test_a_transaction_begun_while_busy(lab):
    """A busy server takes MULTI, refuses what is queued, and EXEC; a new
    connection could not even SELECT. Nothing of the block may run when the
    script ends in the middle of it."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    group.master.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    busy = lambda reply: str(reply).startswith("BUSY")  # noqa: E731
    with group.weir.raw() as spinning, group.weir.raw() as other, group.weir.raw() as more:
        for raw in (other, more):
            use_up_spares(raw, database=3)
            assert raw.command("SET", "n", 1) == "OK"
        spinning.send(encode("EVAL", "while true do end", 0))
        wait_for(lambda: busy(other.command("INCR", "other")), what="the server says BUSY")
        assert other.command("MULTI") == "OK"
        assert busy(other.command("INCR", "n"))
        assert str(other.command("MULTI")) == "ERR MULTI calls can not be nested"
        answers = more.commands([("MULTI",), ("OBJECT", "FREQ", "n"), ("WATCH", "n"), ("DISCARD",)])
        assert busy(answers[0]) or answers[0] == "OK"   # all of it together, or one after the other
        assert all(busy(answer) or "WATCH inside" in str(answer) for answer in answers[1:3])
        more.close()
        with group.weir.raw() as killer:
            assert killer.command("SCRIPT", "KILL") == "OK"
        assert "killed by user" in str(spinning.reply())
        answers = other.commands([("INCR", "n"), ("EXEC",), ("GET", "n"), ("MULTI",), ("INCR", "n"), ("EXEC",)])
        assert busy(answers[0]) and str(answers[1]).startswith("EXECABORT")
        assert answers[2:] == [b"1", "OK", "QUEUED", [2]]


def test_what_is_said_after_a_busy_multi(lab):
    group = lab.group(0, {"proxy": {"workers": 1}})
    group.master.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    with group.weir.raw() as spinning, group.weir.raw() as other:
        assert other.commands([("SELECT", 3), ("SET", "n", 1)]) == ["OK", "OK"]
        spinning.send(encode("EVAL", "while true do end", 0))
        wait_for(lambda: str(other.command("INCR", "other")).startswith("BUSY"), what="the server says BUSY")
        assert other.command("MULTI") == "OK"
        assert other.commands([("DISCARD",), ("PING",)])[0] == "OK"
        assert other.command("MULTI") == "OK"
        assert other.command("RESET") == "RESET"
        assert other.command("SCRIPT", "KILL") == "OK"
        assert "killed by user" in str(spinning.reply())
        assert other.commands([("SELECT", 3), ("INCR", "n")]) == ["OK", 2]


def test_reload_in_place(lab):
    """The server goes on listening while it loads, and answers LOADING or late."""
    group = lab.group(2, redis_args=("--enable-debug-command", "yes"))
    with group.weir.raw(timeout=20) as raw:
        raw.commands([("SET", f"k:{n}", "v" * 100) for n in range(50000)])
        for _ in range(5):
            assert raw.command("DEBUG", "RELOAD") == "OK"
            assert raw.commands([("SET", "k:1", "again"), ("GET", "k:1")]) == ["OK", b"again"]
