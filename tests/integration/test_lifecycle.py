"""Starting, ending, and the limits of weir itself."""
import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
from harness import HOST, PATIENCE, ServerError, encode, wait_for


def run_weir(*words):
    return subprocess.run([harness.weir_binary(), *map(str, words)], capture_output=True, text=True, timeout=30)


def test_version_and_help():
    assert re.match(r"weir \d+\.\d+\.\d+", run_weir("-V").stdout)
    assert "-c" in run_weir("-h").stdout


def test_shipped_configuration():
    shipped = harness.TOP / "proxy.ini"
    tested = run_weir("-t", "-c", shipped)
    assert tested.returncode == 0, tested.stderr
    assert "listen = 127.0.0.1:7379" in run_weir("-T", "-c", shipped).stdout


@pytest.mark.parametrize("key", ["listen", "listen_replica", "admin"])
def test_a_port_in_use_is_named(lab, key):
    port = harness.free_port()
    with socket.create_server((HOST, port)):
        section, name = ("admin", "listen") if key == "admin" else ("proxy", key)
        weir = lab.weir("127.0.0.1:1", [], {section: {name: f"{HOST}:{port}"}}, start=False)
        weir.start(wait=False)
        assert weir.exit_status() == 1
        assert f"{HOST}:{port}" in weir.log()


def test_without_any_server(lab):
    """weir starts, says so, and goes on waiting."""
    weir = lab.weir(f"{HOST}:{harness.free_port()}", [f"{HOST}:{harness.free_port()}"],
                    {"routing": {"write_hold": "100ms"}})
    assert weir.status()["state"] == "no_master"
    assert weir.http("/livez")[0] == 200 and weir.http("/readyz")[0] == 503
    with weir.raw() as raw:
        for words in [("GET", "a"), ("SET", "a", "1"), ("EVAL", "return 1", "0"), ("BLPOP", "a", "1")]:
            answer = raw.command(*words)
            assert isinstance(answer, ServerError) and str(answer).startswith("NOMASTER "), (words, answer)


def test_servers_that_come_later(lab):
    """The order in which things start does not matter."""
    master = lab.redis(name="master", start=False)
    replica = lab.redis(name="replica", start=False)
    weir = lab.weir(master, [replica])
    replica.start()
    master.start()
    weir.wait_state("ok")
    assert replica.follows(master)
    with weir.raw() as raw:
        assert raw.commands([("SET", "a", "1"), ("GET", "a")]) == ["OK", b"1"]


class Counter(threading.Thread):
    """Counts up its own key in pipelines until weir closes."""

    def __init__(self, weir, name):
        super().__init__(daemon=True)
        self.raw = weir.raw(timeout=20)
        self.name = name
        self.acknowledged = 0
        self.error = None

    def run(self):
        try:
            while True:
                self.raw.send(encode("INCR", self.name) * 20)
                for _ in range(20):
                    reply = self.raw.reply()
                    assert reply == self.acknowledged + 1, reply
                    self.acknowledged = reply
        except (EOFError, ConnectionError):
            pass
        except Exception as error:  # reported by the test
            self.error = error


def test_drain_loses_no_reply(lab):
    """After SIGTERM every command that weir had passed on has had its reply:
    what the server counted is what the clients were told."""
    group = lab.group(1)
    counters = [Counter(group.weir, f"counter:{n}") for n in range(8)]
    for counter in counters:
        counter.start()
    wait_for(lambda: all(counter.acknowledged > 500 for counter in counters), what="all are counting")
    group.weir.stop()
    for counter in counters:
        counter.join(10)
    assert [counter.error for counter in counters] == [None] * 8
    told = [counter.acknowledged for counter in counters]
    counted = [int(group.master.cli("GET", counter.name)) for counter in counters]
    assert counted == told


def test_drain_waits_for_a_slow_reply_but_not_for_ever(lab):
    group = lab.group(1, config={"proxy": {"drain_timeout": "1s"}})
    with group.weir.raw() as slow, group.weir.raw() as blocked:
        blocked.send(b"BLPOP nothing 0\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        slow.send(encode("EVAL", "local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + 400 "
                         "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till return 'slow'", 0))
        # The script runs: the server answers nobody else.
        with group.master.raw() as probe:
            wait_for(lambda: busy(probe), what="the script runs")
        group.weir.signal(signal.SIGTERM)
        assert slow.reply() == b"slow"
        group.weir.exit_status()
        assert blocked.read_all() == b""


def busy(probe):
    """True if the server does not answer at once."""
    probe.send(b"PING\r\n")
    return probe.silent(0.05) or not probe.reply()


def test_second_sigterm_ends_now(lab):
    group = lab.group(1, config={"proxy": {"drain_timeout": "60s"}})
    with group.weir.raw() as blocked:
        blocked.send(b"BLPOP nothing 0\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        group.weir.signal(signal.SIGTERM)
        wait_for(lambda: refused(group.weir), what="it accepts nobody any more")
        assert group.weir.running()
        group.weir.signal(signal.SIGTERM)
        group.weir.exit_status(5)


def refused(weir):
    try:
        weir.raw(timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_max_clients(lab):
    group = lab.group(1, config={"proxy": {"max_clients": 10}})
    clients = [group.weir.raw() for _ in range(10)]
    assert [raw.command("PING") for raw in clients] == ["PONG"] * 10
    for _ in range(5):
        with group.weir.raw() as extra:
            assert extra.read_all() == b"-ERR max number of clients reached\r\n"
    clients.pop().close()

    def accepted():
        with group.weir.raw() as again:
            return again.command("PING") == "PONG"
    wait_for(accepted, what="a place is free again")
    for raw in clients:
        assert raw.command("PING") == "PONG"
        raw.close()


def sockets_per_worker(weir, workers):
    """How many descriptors each worker's loop watches: those of the largest
    epoll sets."""
    sets = []
    for entry in pathlib.Path(f"/proc/{weir.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            sets.append(entry.read_text().count("tfd:"))
    return sorted(sets)[-workers:]


def test_clients_are_spread_evenly(lab):
    """Over the workers, one by one and in a burst; and when many have left one
    worker, the next ones go there."""
    workers, each = 4, 30
    group = lab.group(0, config={"proxy": {"workers": workers}})
    settled = lambda count: wait_for(  # noqa: E731
        lambda: group.weir.status()["clients"]["connected"] == count, what=f"{count} clients are connected")
    clients = []
    for _ in range(workers * each):
        clients.append(group.weir.raw())
    settled(workers * each)
    spread = sockets_per_worker(group.weir, workers)
    assert spread[0] >= each and spread[-1] - spread[0] <= each / 3, spread
    # One after the other they came to the workers in turn: one worker's leave.
    for raw in clients[::workers]:
        raw.close()
    settled((workers - 1) * each)
    spread = sockets_per_worker(group.weir, workers)
    assert spread[-1] - spread[0] > each / 3, f"this test rests on a spread that has become uneven: {spread}"
    clients += [group.weir.raw() for _ in range(each)]
    settled(workers * each)
    spread = sockets_per_worker(group.weir, workers)
    assert spread[0] >= each and spread[-1] - spread[0] <= each / 3, spread


def test_without_file_descriptors(lab):
    """Who cannot be served is told so, at the price of the one descriptor kept
    for that; weir does not spin meanwhile, and goes on when there are some."""
    group = lab.group(1)
    weir = group.weir
    with weir.raw() as served:
        assert served.commands([("SET", "a", "1"), ("GET", "a")]) == ["OK", b"1"]
        limits = resource.prlimit(weir.pid, resource.RLIMIT_NOFILE)
        lowest_free = min(set(range(10000)) - {int(fd) for fd in os.listdir(f"/proc/{weir.pid}/fd")})
        resource.prlimit(weir.pid, resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            for _ in range(3):
                with weir.raw() as refused:
                    assert refused.read_all() == b"-ERR max number of clients reached\r\n"
            waiting = [weir.raw() for _ in range(20)]
            before, since = weir.cpu_seconds(), time.monotonic()
            wait_for(lambda: time.monotonic() - since > 0.5)
            used = weir.cpu_seconds() - before
            assert served.command("GET", "a") == b"1"
        finally:
            resource.prlimit(weir.pid, resource.RLIMIT_NOFILE, limits)
        assert used < 0.25 * PATIENCE, f"{used} s of CPU in half a second"
        for raw in waiting:
            raw.close()
        with weir.raw() as next_one:
            assert next_one.command("PING") == "PONG"


def test_slow_reader_is_closed_at_its_limit(lab):
    group = lab.group(1, config={"proxy": {"client_output_limit": "8mb"}})
    group.master.cli("SET", "large", "x" * 1_000_000)
    group.settle()
    with group.weir.raw() as lazy, group.weir.raw() as other:
        lazy.send(encode("GET", "large") * 100)
        wait_for(lambda: "closed (output_limit)" in group.weir.log(), what="weir closes it")
        assert other.command("PING") == "PONG"


def test_idle_clients_are_closed(lab):
    group = lab.group(1, config={"proxy": {"client_idle_timeout": "1s"}})
    with group.weir.raw() as idle, group.weir.raw() as busy:
        wait_for(lambda: busy.command("PING") == "PONG" and not idle.silent(0), what="the idle one is closed")
        assert idle.read_all() == b""
        assert busy.command("PING") == "PONG"


def test_unix_socket(lab):
    group = lab.group(1)
    path = pathlib.Path(group.weir.directory) / "weir.sock"
    weir = lab.weir(group.master, group.replicas, {"proxy": {"listen": f"unix:{path}"},
                                                    "replication": {"wiring": "observe"}}, start=False)
    weir.start(wait=False)
    wait_for(lambda: weir.status()["state"] == "ok")
    with harness.Raw(str(path)) as raw:
        assert raw.commands([("SET", "u", "1"), ("GET", "u")]) == ["OK", b"1"]
    weir.kill()
    assert path.is_socket(), "left by one that was killed, ..."
    weir.settings["proxy"]["listen"] = f"unix:{path} mode=0620"
    weir.start(wait=False)
    wait_for(lambda: weir.status()["state"] == "ok", what="... and taken over by the next one")
    assert path.stat().st_mode & 0o777 == 0o620
    with harness.Raw(str(path)) as raw:
        assert raw.command("GET", "u") == b"1"
    weir.stop()
    assert not path.exists()
    path.write_text("somebody's notes\n")
    weir.start(wait=False)
    assert weir.exit_status() != 0
    assert path.read_text() == "somebody's notes\n", "what is no socket is left alone"


def test_no_files_leak(lab):
    group = lab.group(2)
    group.weir.client().ping()
    wait_for(lambda: group.weir.status()["clients"]["connected"] == 0)
    before = group.weir.open_files()
    for _ in range(300):
        with group.weir.raw() as raw:
            raw.commands([("SET", "a", "1"), ("GET", "a"), ("MULTI",), ("GET", "a"), ("EXEC",)])
    wait_for(lambda: group.weir.open_files() <= before + 16, what="files are closed again")
