"""What a service manager is told, and how weir ends."""
import contextlib
import ctypes
import glob
import os
import signal
import socket
import time

import pytest

from harness import PATIENCE, wait_for

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


class Manager:
    """Listens where NOTIFY_SOCKET leads, as systemd does."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.settimeout(0.01)
        self.messages, self.waited = [], 0

    def heard(self):
        """All messages until now, each a dict."""
        with contextlib.suppress(TimeoutError):
            while data := self.socket.recv(4096):
                self.messages.append(dict(line.split("=", 1) for line in data.decode().split("\n")))
        return self.messages

    def wait(self, **fields):
        """The first message that says so behind the one waited for last."""
        found = lambda: [number for number, message in enumerate(self.heard())  # noqa: E731
                         if number >= self.waited and fields.items() <= message.items()]
        number = wait_for(found, what=f"{fields} is told")[0]
        self.waited = number + 1
        return self.messages[number]


@contextlib.contextmanager
def stopped(tid):
    """One thread stands still, the others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) != 0:
        pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    assert libc.ptrace(PTRACE_INTERRUPT, tid, None, None) == 0
    os.waitpid(tid, WALL)
    yield
    assert libc.ptrace(PTRACE_DETACH, tid, None, None) == 0


def thread_called(process, name):
    for path in glob.glob(f"/proc/{process.pid}/task/*/comm"):
        with open(path) as file:
            if file.read().strip() == name:
                return int(path.split("/")[4])
    raise LookupError(name)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = f"{tmp_path}/notify" if request.param == "path" else f"@weir-test-{os.getpid()}-{time.monotonic_ns()}"
    manager = Manager(address)
    manager.address = address
    yield manager
    manager.socket.close()


def started(lab, manager, monkeypatch, **more):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    for name, value in more.items():
        monkeypatch.setenv(name, str(value))
    return lab.group(1)


def test_ready_status_reload_stop(lab, manager, monkeypatch):
    group = started(lab, manager, monkeypatch)
    manager.wait(READY="1")
    wait_for(lambda: any("1 of 1 replicas readable" in m.get("STATUS", "") for m in manager.heard()))
    group.weir.reload(log={"level": "notice"})
    told = manager.wait(RELOADING="1")
    assert abs(int(told["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 10 * PATIENCE
    manager.wait(READY="1")
    group.replicas[0].kill()
    wait_for(lambda: "0 of 1 replicas readable" in manager.heard()[-1].get("STATUS", ""))
    assert not any("WATCHDOG" in message for message in manager.heard())
    group.weir.signal(signal.SIGTERM)
    assert group.weir.exit_status() == 0
    assert "EXTEND_TIMEOUT_USEC" in manager.wait(STOPPING="1")


def test_watchdog_is_fed_while_every_worker_turns(lab, manager, monkeypatch):
    group = started(lab, manager, monkeypatch, WATCHDOG_USEC=int(300000 * PATIENCE))
    for _ in range(3):
        manager.wait(WATCHDOG="1")
    with stopped(thread_called(group.weir, "worker 1")):
        wait_for(lambda: "does not move" in group.weir.log())
        meals = len([m for m in manager.heard() if "WATCHDOG" in m])
        # The control thread goes on, and has something to say.
        group.replicas[0].kill()
        wait_for(lambda: "0 of 1 replicas readable" in manager.heard()[-1].get("STATUS", ""))
        assert len([m for m in manager.heard() if "WATCHDOG" in m]) == meals
        manager.waited = len(manager.messages)
    manager.wait(WATCHDOG="1")


def test_a_watchdog_of_another_process_is_not_ours(lab, manager, monkeypatch):
    started(lab, manager, monkeypatch, WATCHDOG_USEC=30000, WATCHDOG_PID=1)
    manager.wait(READY="1")
    wait_for(lambda: any("1 of 1" in m.get("STATUS", "") for m in manager.heard()))
    assert not any("WATCHDOG" in message for message in manager.heard())


def test_a_manager_that_is_not_there(lab, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/nobody")
    assert lab.group(1).weir.client().ping()
    monkeypatch.setenv("NOTIFY_SOCKET", "nonsense")
    other = lab.group(1)
    assert other.weir.client().ping()
    assert "NOTIFY_SOCKET is not understood" in other.weir.log()


def test_draining_tells_how_many_are_left(lab, manager, monkeypatch):
    """A client that waits for its reply keeps weir; a second signal does not wait."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    group = lab.group(1, config={"proxy": {"drain_timeout": "60s"}})
    with group.weir.raw() as waiting, group.weir.raw() as idle:
        assert idle.command("PING") == "PONG"
        waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        group.weir.signal(signal.SIGTERM)
        wait_for(lambda: group.weir.log().count("draining: 1 client left, for 5") >= 2, what="progress is told twice")
        told = [int(m["EXTEND_TIMEOUT_USEC"]) for m in manager.heard() if "EXTEND_TIMEOUT_USEC" in m]
        assert told == sorted(told, reverse=True) and 60e6 < told[0] <= 65e6
        group.weir.signal(signal.SIGHUP)
        wait_for(lambda: "nothing is read anew" in group.weir.log())
        group.master.client().rpush("list", "v")
        assert waiting.reply() == [b"list", b"v"]
        assert group.weir.exit_status() == 0


def test_a_second_signal_ends_at_once(lab):
    group = lab.group(1, config={"proxy": {"drain_timeout": "60s"}})
    with group.weir.raw() as waiting:
        waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        group.weir.signal(signal.SIGTERM)
        wait_for(lambda: "draining: no new clients" in group.weir.log())
        group.weir.signal(signal.SIGTERM)
        assert group.weir.exit_status() == 0
