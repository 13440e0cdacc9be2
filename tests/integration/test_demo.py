"""deploy/demo: what a new user runs first. It starts everything, shows it, and
leaves nothing behind however it ends."""
import os
import pty
import re
import signal
import subprocess

import pytest

import harness
from harness import HOST, Process, RedisServer, processes_in, wait_for

DEMO = harness.TOP / "deploy" / "demo"


class Demo(Process):
    """The script with a private TMPDIR, so that what it leaves can be seen."""

    def __init__(self, directory, name="demo"):
        super().__init__(directory, name)
        self.start()

    def start(self):
        self.spawn([DEMO], {"TMPDIR": str(self.directory), "WEIR_BIN": harness.weir_binary()})
        wait_for(self.settled, 30, "the demo runs and all is well")

    def settled(self):
        assert self.running(), self.log()
        return re.search(r"state: ok", self.log())

    def stop(self):
        if self.running():
            self.end_by(signal.SIGTERM)

    def port(self, pattern):
        return int(re.search(pattern, self.log())[1])

    def left(self):
        return processes_in(self.directory), [path.name for path in self.directory.glob("weir-demo.*")]

    def end_by(self, number):
        os.killpg(self.pid, number)     # as a terminal does: the whole group
        self.child.wait(15 * harness.PATIENCE)
        wait_for(lambda: self.left() == ([], []), what="nothing is left")


@pytest.fixture
def demo(lab):
    demo = Demo(lab.directory / "demo")
    lab.processes.append(demo)
    return demo


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_runs_and_leaves_nothing(demo, ending):
    processes, directories = demo.left()
    assert len(directories) == 1 and len(processes) >= 5
    demo.end_by(ending)


def test_what_it_says_is_true(demo):
    """The three commands to try, as printed."""
    commands = re.findall(r"^    (redis-cli .*|curl .*)$", demo.log(), re.M)
    assert len(commands) == 3
    set_, status, replicas = [
        subprocess.run(command.split(), capture_output=True, text=True, timeout=20).stdout for command in commands]
    assert set_ == "OK\n"
    assert '"state":"ok"' in status.replace(" ", "")
    assert len(re.findall(r"file|command-line|bare", replicas)) >= 3

    master = demo.port(r"master +127\.0\.0\.1:(\d+)")
    for pattern in (r"in its file +\(", r"when started +\(", r"wired by weir +\("):
        row = re.search(r":(\d+)   .*" + pattern, demo.log())
        probe = RedisServer(demo.directory, name="probe", port=int(row[1]))
        info = probe.info("replication")
        assert (info["role"], info["master_port"], info["master_link_status"]) == ("slave", master, "up")
        wait_for(lambda: probe.cli("GET", "greeting") == "hello", what="the write is on every replica")


def test_it_tells_of_changes(demo):
    pid = int(re.search(r"wired by weir +\(pid (\d+)\)", demo.log())[1])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: re.search(r"bare: link down, reads no", demo.log()), what="the demo says that it is gone")
    assert re.search(r"state: degraded", demo.log())
    demo.end_by(signal.SIGINT)


def test_twice_at_the_same_time(demo, lab):
    second = Demo(lab.directory / "second", "second")
    lab.processes.append(second)
    ports = [set(re.findall(r"127\.0\.0\.1:(\d+)", text.log())) for text in (demo, second)]
    assert not ports[0] & ports[1]
    demo.end_by(signal.SIGINT)
    assert second.running() and len(second.left()[0]) >= 5
    second.end_by(signal.SIGTERM)


def test_the_usual_ports_are_taken(lab):
    """Somebody's redis-server on 6379 is neither used nor touched."""
    port = 6379
    own = None
    with harness.socket.socket() as probe:
        if probe.connect_ex((HOST, port)) != 0:
            own = lab.redis(port=port, name="somebody")
    demo = Demo(lab.directory / "demo")
    lab.processes.append(demo)
    assert demo.port(r"master +127\.0\.0\.1:(\d+)") != port
    demo.end_by(signal.SIGINT)
    if own:
        assert own.running()
        assert own.info("replication")["connected_slaves"] == 0


def test_without_a_binary(lab):
    failed = subprocess.run([DEMO], env=dict(os.environ, WEIR_BIN="/nonexistent", TMPDIR=str(lab.directory)),
                            capture_output=True, text=True, timeout=30)
    assert failed.returncode == 1
    assert "/nonexistent is missing" in failed.stderr
    assert list(lab.directory.iterdir()) == []


def test_a_server_that_does_not_start(lab):
    """Said clearly, with its log; what had started already is gone."""
    broken = lab.directory / "broken"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    failed = subprocess.run([DEMO], env=dict(os.environ, WEIR_BIN=str(broken), TMPDIR=str(lab.directory)),
                            capture_output=True, text=True, timeout=30)
    assert failed.returncode == 1
    assert "weir did not start" in failed.stderr and "it is broken" in failed.stderr
    assert processes_in(lab.directory) == [] and list(lab.directory.glob("weir-demo.*")) == []


def test_on_a_terminal(lab):
    """A table, refreshed in place; closing the terminal ends everything."""
    if not os.path.exists("/dev/pts/ptmx"):
        pytest.skip("this machine (a bare chroot?) has no pseudo-terminals")
    weir = lab.group(2).weir
    pid, terminal = pty.fork()
    if pid == 0:
        follow = harness.TOP / "deploy" / "follow"
        os.execv(follow, [str(follow), str(weir.admin_port)])
    shown = b""
    while shown.count(b"generation") < 2:
        shown += os.read(terminal, 65536)
    text = shown.decode()
    assert "state ok" in text and str(weir.settings["replication"]["replica"][0]) in text
    assert re.search(r"\x1b\[\d+A", text), "the second table stands on the first"
    os.close(terminal)
    wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, what="it ends with its terminal")
