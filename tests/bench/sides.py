"""What bench.py compares: each side is a port that speaks Redis, and the process
behind it that costs CPU. A side whose program is not installed is left out."""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import HOST, Process, Raw, free_port, wait_for  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
NULL_RELAY = TOP / "build/tests/bench/null_relay"
NULL_RELAY_MOST = 64 * 1024     # bytes of a request


def answers(port):
    try:
        with Raw((HOST, port), 2) as raw:
            return raw.command("PING") == "PONG"
    except (OSError, EOFError):
        return False


def program(name):
    """Where it is; None when it is not installed."""
    return shutil.which(name) or shutil.which(f"/usr/sbin/{name}")


class Side(Process):
    """One proxy in front of the master."""

    name = None

    def __init__(self, directory, group):
        super().__init__(pathlib.Path(directory) / self.name, self.name)
        self.group = group
        self.port = free_port()

    @staticmethod
    def serves(cell):
        """Can it?"""
        return True

    def prepare(self, cell):
        """Before each run of that cell."""

    def stop(self):
        if self.running():
            self.end()

    def peak_bytes(self):
        """The most resident memory it has had since the last forget_peak()."""
        return _status_bytes(self.pid, "VmHWM")

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")


class Direct(Side):
    name = "direct"

    def __init__(self, directory, group):
        super().__init__(directory, group)
        self.port = group.master.port
        self.child = group.master.child

    def stop(self):
        pass

    def cpu_seconds(self):
        return 0.0


class Weir(Side):
    name = "weir"

    def __init__(self, directory, group):
        super().__init__(directory, group)
        self.port = group.weir.port
        self.child = group.weir.child

    def stop(self):
        pass


class NullRelay(Side):
    """The floor (null_relay.c): it must know how long requests and replies are."""

    name = "floor"

    @staticmethod
    def available():
        return NULL_RELAY.exists()

    @staticmethod
    def serves(cell):
        return cell.request_bytes <= NULL_RELAY_MOST

    def prepare(self, cell):
        if self.running():
            self.kill()
        self.port = free_port()
        self.spawn([NULL_RELAY, self.port, self.group.master.port, cell.request_bytes, cell.reply_bytes])
        wait_for(lambda: _connects(self.port), what="the null relay listens")

    def stop(self):
        if self.running():
            self.kill()


class Haproxy(Side):
    """TCP mode, one thread."""

    name = "haproxy"

    @staticmethod
    def available():
        return program("haproxy") is not None

    def prepare(self, cell):
        if self.running():
            return
        path = self.directory / "haproxy.cfg"
        path.write_text(f"""global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 5m
  timeout server 5m
listen redis
  bind {HOST}:{self.port}
  server master {HOST}:{self.group.master.port}
""")
        self.spawn([program("haproxy"), "-db", "-f", path])
        wait_for(lambda: answers(self.port), what="HAProxy answers")


class Nutcracker(Side):
    """One server, one connection to it."""

    name = "nutcracker"

    @staticmethod
    def available():
        return program("nutcracker") is not None

    def prepare(self, cell):
        if self.running():
            return
        path = self.directory / "nutcracker.yml"
        path.write_text(f"""redis:
  listen: {HOST}:{self.port}
  redis: true
  hash: fnv1a_64
  distribution: modula
  auto_eject_hosts: false
  servers:
   - {HOST}:{self.group.master.port}:1
""")
        self.spawn([program("nutcracker"), "-c", path, "-s", free_port(), "-m", "16384",
                    "-p", self.directory / "nutcracker.pid", "-o", self.directory / "nutcracker.out"])
        wait_for(lambda: _connects(self.port), what="nutcracker listens")


def _connects(port):
    try:
        Raw((HOST, port), 2).close()
        return True
    except OSError:
        return False


def _status_bytes(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(field + ":"))


PEERS = [NullRelay, Haproxy, Nutcracker]


def sides(directory, group):
    """Direct first, weir last; says which are left out."""
    there = [peer for peer in PEERS if peer.available()]
    for peer in PEERS:
        if peer not in there:
            print(f"without {peer.name}: not installed")
    return [side(directory, group) for side in (Direct, *there, Weir)]


def version(name):
    """One line, for the record."""
    flag = {"haproxy": "-v", "nutcracker": "-V", "redis-server": "--version"}[name]
    if program(name) is None:
        return "not installed"
    done = subprocess.run([program(name), flag], capture_output=True, text=True, timeout=10)
    return (done.stdout + done.stderr).splitlines()[0]
