"""A master that is alive but cannot answer now: it says so itself, and weir
neither takes it for dead nor cuts its connections."""
import time

from harness import encode, wait_for


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


def test_reload_in_place(lab):
    """The server goes on listening while it loads, and answers LOADING or late."""
    group = lab.group(2, redis_args=("--enable-debug-command", "yes"))
    with group.weir.raw(timeout=20) as raw:
        raw.commands([("SET", f"k:{n}", "v" * 100) for n in range(50000)])
        for _ in range(5):
            assert raw.command("DEBUG", "RELOAD") == "OK"
            assert raw.commands([("SET", "k:1", "again"), ("GET", "k:1")]) == ["OK", b"again"]
