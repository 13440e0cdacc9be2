"""What weir lets one client have: time for a command, memory before it has said
who it is."""
import contextlib
import ctypes
import os
import socket
import time

import pytest

from harness import PATIENCE, Lab, encode, wait_for


def closed(weir, reason):
    return weir.metrics()[f'weir_client_closed_total{{reason="{reason}"}}']


# ------------------------------------------------- client_header_timeout

@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """weir that gives a command a second."""
    with Lab(tmp_path_factory.mktemp("hasty")) as lab:
        yield lab.group(1, {"proxy": {"client_header_timeout": "1s"}})


BEGINNINGS = {
    "header": b"*2\r\n$3\r\nGET\r\n$",
    "claim": b"*1000000\r\n$500000000\r\nabc",
    "argument": b"*2\r\n$3\r\nGET\r\n$5\r\nab",
    "inline": b"GET a",
    "one byte": b"*",
    "behind a whole one": encode("PING") + b"*1\r\n$4\r\nPI",
    "an upload": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3000000\r\n" + b"x" * 1_500_000,
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_a_command_that_does_not_come(hasty, beginning):
    weir = hasty.weir
    before = closed(weir, "header_timeout")
    with weir.raw() as slow:
        slow.send(beginning)
        assert slow.read_all() in (b"", b"+PONG\r\n")
    wait_for(lambda: closed(weir, "header_timeout") == before + 1)
    wait_for(lambda: "closed (header_timeout)" in weir.log())


def test_dripping_bytes_do_not_help(hasty):
    with hasty.weir.raw() as loris:
        loris.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\n")

        def drip():
            loris.send(b"x")
            return not loris.silent(0.1)
        wait_for(drip, what="it is closed")
        assert loris.read_all() == b""


@pytest.mark.parametrize("size, piece", [(200_000, 40_000), (4_000_000, 700_000)], ids=["collected", "passed on"])
def test_a_large_value_that_keeps_coming(hasty, size, piece):
    """Slower than client_header_timeout as a whole, but never without progress."""
    command = encode("SET", f"slow{size}", b"v" * size)
    with hasty.weir.raw() as sender:
        began = time.monotonic()
        for at in range(0, len(command), piece):
            sender.send(command[at:at + piece])
            assert sender.silent(0.4) or at + piece >= len(command)
        assert sender.reply() == "OK"
        assert time.monotonic() - began > 1.5
    assert hasty.master.client(decode_responses=False).get(f"slow{size}") == b"v" * size


def test_reads_that_end_in_the_middle(hasty):
    """Every command is whole in time, although something is always begun."""
    stream = encode("ECHO", "x" * 50) * 40
    with hasty.weir.raw() as sender:
        for at in range(0, len(stream), 70):
            sender.send(stream[at:at + 70])
            time.sleep(0.08)
        assert [sender.reply() for _ in range(40)] == [b"x" * 50] * 40


def test_what_weir_holds_back_is_not_awaited(hasty):
    """Behind a command that blocks nobody can hurry; nor does an idle client have to."""
    with hasty.weir.raw() as blocked, hasty.weir.raw() as idle, hasty.weir.client() as other:
        blocked.send(encode("BLPOP", "held", 0) + encode("PING"))
        assert blocked.silent(2.5)
        other.rpush("held", "now")
        assert [blocked.reply(), blocked.reply()] == [[b"held", b"now"], "PONG"]
        assert idle.command("PING") == "PONG"


# ------------------------------------------------- max_memory

def held(weir):
    return sum(value for name, value in weir.metrics().items() if name.startswith("weir_memory_bytes"))


def insist(weir, raw, key, replies):
    """Asks for so many values, which none reads, in requests that are more than
    weir reads ahead: it is taken for one that writes first."""
    raw.send(encode("GET", key) * replies + encode("ECHO", "x" * 400_000))


def test_the_ceiling(lab):
    """Who holds most is closed, on whichever worker it is; those who hold little
    are not, and weir holds no more than it may."""
    group = lab.group(1, {"proxy": {"max_memory": "24mb"}})
    group.master.client().set("medium", "m" * 100_000)
    group.settle()
    weir = group.weir
    with contextlib.ExitStack() as stack:
        modest = [stack.enter_context(weir.raw()) for _ in range(4)]
        for raw in modest:
            weir.take(raw, b"*3\r\n$3\r\nSET\r\n$6\r\nmodest\r\n$500000\r\n" + b"v" * 400_000)
        greedy = [stack.enter_context(weir.raw()) for _ in range(6)]
        for raw in greedy:
            insist(weir, raw, "medium", 500)
        wait_for(lambda: closed(weir, "memory") > 0, what="the first one is closed")
        wait_for(lambda: held(weir) <= 24 << 20)
        wait_for(lambda: "closed (memory)" in weir.log())
        for raw in modest:
            raw.send(b"v" * 100_000 + b"\r\n")
            assert raw.reply() == "OK"
        assert weir.metrics()['weir_client_closed_total{reason="memory"}'] <= 6
        assert weir.client().get("medium") == "m" * 100_000


def test_without_a_ceiling(lab):
    group = lab.group(0)
    group.master.client().set("medium", "m" * 100_000)
    weir = group.weir
    with weir.raw() as greedy:
        insist(weir, greedy, "medium", 500)
        wait_for(lambda: held(weir) > 24 << 20, what="a client that writes first is taken at its word")
        assert [len(greedy.reply()) for _ in range(500)] == [100_000] * 500
        assert len(greedy.reply()) == 400_000
    wait_for(lambda: held(weir) < 1 << 20, what="and gives it back")


@pytest.mark.plain
def test_memory_goes_back_to_the_system(lab):
    group = lab.group(1)
    group.master.client().set("medium", "m" * 100_000)
    group.settle()
    before = group.weir.rss_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            insist(group.weir, stack.enter_context(group.weir.raw()), "medium", 100)
        wait_for(lambda: group.weir.rss_bytes() > before + (60 << 20), what="weir holds much")
    wait_for(lambda: group.weir.status()["clients"]["connected"] == 0, what="nobody is stuck")
    wait_for(lambda: group.weir.rss_bytes() < before + (24 << 20), 15, "it is given back")


# ------------------------------------------------- before authentication

@pytest.fixture
def guarded(lab):
    """A master that wants a password, which weir's control connections know."""
    group = lab.group(0, redis_args=("--requirepass", "secret"), wait=False)
    password = group.weir.directory / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    group.weir.stop()
    group.weir.settings["auth"] = {"password_file": password}
    group.weir.start().wait_state("ok")

    def refuses():
        with group.weir.raw() as raw:
            return "NOAUTH" in str(raw.command("GET", "a"))
    wait_for(refuses, what="weir knows that the master wants a password")
    return group


def test_replies_to_the_unauthenticated_are_few(guarded):
    """Who has not said who it is gets 64 KiB of errors that it does not read; who
    has can leave a megabyte unread."""
    group = guarded
    flood = encode("GET", "x" * 20) * 50_000
    with group.weir.raw() as rude:
        rude.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):
            rude.socket.settimeout(5 * PATIENCE)
            for _ in range(20):
                rude.send(flood)
    wait_for(lambda: closed(group.weir, "output_limit") == 1, what="it is closed")
    with group.weir.raw() as polite:
        assert polite.command("AUTH", "secret") == "OK"
        polite.send(encode("GET", "x" * 20) * 50_000)
        assert [polite.reply() for _ in range(50_000)] == [None] * 50_000


def test_many_who_do_not_know_the_password(guarded):
    """They share connections, on which a server says no only so often; nobody is
    disturbed, and nobody gets another answer than of the server itself."""
    weir = guarded.weir
    before = weir.metrics()['weir_backend_connects_total{result="tried"}']
    said = [("AUTH", "wrong"), ("SET", "a", 1), ("MULTI",), ("GET", "a"), ("EXEC",), ("SUBSCRIBE", "c"), ("CLIENT", "ID")]
    strangers = [weir.raw() for _ in range(60)]
    for raw in strangers:
        raw.send(b"".join(encode(*words) for words in said) * 10)
    with weir.raw() as knows, guarded.master.raw() as bare:
        assert knows.commands([("AUTH", "secret"), ("SET", "b", 1), ("GET", "b")]) == ["OK", "OK", b"1"]
        answers = [bare.command(*words) for words in said]
    for raw in strangers:
        with raw:
            assert [raw.reply() for _ in range(len(said) * 10)] == answers * 10
    assert weir.metrics()['weir_backend_connects_total{result="tried"}'] <= before + 20


# ------------------------------------------------- lost peers

def sockets_of(process):
    """Copies of all TCP sockets of a process (pidfd_getfd)."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(process.pid)
    found = []
    for fd in map(int, os.listdir(f"/proc/{process.pid}/fd")):
        if not os.readlink(f"/proc/{process.pid}/fd/{fd}").startswith("socket:"):
            continue
        copy = libc.syscall(438, pidfd, fd, 0)
        if copy < 0:
            pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        found.append(socket.socket(fileno=copy))
    os.close(pidfd)
    return [one for one in found if one.family == socket.AF_INET]


def patience_of(one):
    return tuple(one.getsockopt(socket.IPPROTO_TCP, option) for option in (
        socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT))


def test_peers_that_vanish_are_found_out(lab):
    """The kernel gives up a connection whose other end is gone: a client's after
    ten minutes, a server's after a few health checks, at least ten seconds."""
    group = lab.group(1, {"health": {"timeout": "4s"}})
    with group.weir.raw() as raw:
        assert raw.command("SET", "a", 1) == "OK"
        clients, servers = set(), set()
        for one in sockets_of(group.weir):
            with one:
                if not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                    continue
                here = one.getsockname()[1] == group.weir.port
                (clients if here else servers).add(patience_of(one))
    assert clients == {(300, 100, 3, 600_000)}
    assert servers == {(16, 6, 3, 16_000)}
