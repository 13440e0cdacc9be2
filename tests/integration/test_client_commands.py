"""CLIENT: weir's own clients, in Redis' words, whatever worker they are on."""
import re

from harness import ServerError


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
