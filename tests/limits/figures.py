#!/usr/bin/env python3
"""What rude clients cost: weir's memory, and the latency of a polite client beside
them against its latency when all is quiet.

    tests/limits/figures.py                 all of it
    tests/limits/figures.py claims loris    some of it
    tests/limits/figures.py --scale 0.1     with a tenth of the clients

claims    1,000 connections that each announce a million arguments of 500 MB
readers   1,000 connections that ask for 100 values of 100 KiB and read nothing
loris     10,000 connections that send a byte of a command every ten seconds
greedy    50 clients of redis-benchmark that send 500 commands at a time, without end
burst     100 pipelines of 10,000 commands, and 100 values of 8 MB, then silence

Every scenario has a fresh group of servers: a master, a replica, weir with two
workers. The polite client is a process of its own that asks for a small value
every two milliseconds; a newcomer is another one that does so on a new connection
each time, of which weir cannot know how small its replies are. Their worst moments
are mostly the machine's: compare with the quiet row.
"""
import argparse
import contextlib
import multiprocessing
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from harness import HOST, Lab, encode, wait_for  # noqa: E402

MB = 1 << 20
QUIET_SECONDS = 5


def ask(one):
    """Microseconds until the small value is there."""
    began = time.perf_counter()
    one.sendall(encode("GET", "small"))
    answer = one.recv(100)
    assert answer == b"$5\r\nsmall\r\n", answer
    return (time.perf_counter() - began) * 1e6


def connection(port):
    one = socket.create_connection((HOST, port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def ask_on_one_connection(port):
    with connection(port) as one:
        while True:
            yield ask(one)


def ask_on_new_connections(port):
    while True:
        with connection(port) as one:
            yield ask(one)


def be_polite(way, port, known, stop, answers):
    """Asks until it is told to stop; the latencies, but for the first one."""
    latencies = []
    try:
        for latency in way(port):
            latencies.append(latency)
            known.set()
            if stop.is_set():
                break
            time.sleep(0.002)
    except Exception as error:      # noqa: BLE001: told where it is waited for
        answers.put(f"the polite client failed: {error!r}")
        known.set()
    answers.put(latencies[1:])


class Polite:
    def __init__(self, port, way=ask_on_one_connection):
        known, self.stop, self.answers = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
        self.process = multiprocessing.Process(target=be_polite, args=(way, port, known, self.stop, self.answers))
        self.process.start()
        assert known.wait(60)

    def finish(self):
        self.stop.set()
        latencies = self.answers.get(timeout=60)
        self.process.join()
        assert isinstance(latencies, list), latencies
        latencies.sort()
        return {"asked": len(latencies), "p50": latencies[len(latencies) // 2],
                "p99": latencies[len(latencies) * 99 // 100], "max": latencies[-1]}


def latency_of(port, seconds):
    polite = Polite(port)
    time.sleep(seconds)
    return polite.finish()


class Run:
    """One scenario: servers, and what was measured."""

    def __init__(self, lab, name, **proxy):
        self.name = name
        self.group = lab.group(1, {"proxy": {"max_clients": 20000, **proxy}})
        self.weir = self.group.weir
        self.group.master.client().set("small", "small")
        self.group.settle()
        self.quiet = latency_of(self.weir.port, QUIET_SECONDS)
        self.before = self.weir.rss_bytes()
        self.peak = self.before

    def look(self):
        self.peak = max(self.peak, self.weir.rss_bytes())

    def watch(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            time.sleep(0.05)

    def closed(self, reason):
        return int(self.weir.metrics()[f'weir_client_closed_total{{reason="{reason}"}}'])

    def tell(self, clients, polite, note="", newcomer=None):
        wait_for(lambda: self.weir.status()["clients"]["connected"] == 0, 60)
        time.sleep(2)
        grown, left = self.peak - self.before, self.weir.rss_bytes() - self.before
        print(f"{self.name}: {clients} clients: resident {self.before / MB:.1f} MB, +{grown / MB:.1f} MB at most "
              f"({grown / clients / 1024:.1f} KiB each), {left / MB:+.1f} MB two seconds after they left. {note}")
        for title, row in (("polite client, quiet", self.quiet), ("polite client, beside them", polite),
                           ("newcomer, beside them", newcomer)):
            if row is not None:
                print(f"    {title:26}: {row['asked']:6} asked, p50 {row['p50']:6.0f} us, "
                      f"p99 {row['p99']:6.0f} us, max {row['max']:8.0f} us")
        sys.stdout.flush()


def connect(run, count):
    found = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)    # theirs would be another machine's memory
        one.connect((HOST, run.weir.port))
        found.append(one)
    return found


@contextlib.contextmanager
def connections(run, count):
    found = connect(run, count)
    try:
        yield found
    finally:
        for one in found:
            one.close()


def claims(lab, scale):
    run = Run(lab, "claims")
    count = int(1000 * scale)
    with connections(run, count) as found:
        polite = Polite(run.weir.port)
        for one in found:
            one.sendall(b"*1000000\r\n$500000000\r\n" + b"x" * 100)
        run.watch(5)
        result = polite.finish()
    run.tell(count, result)


def readers(lab, scale):
    run = Run(lab, "readers")
    count = int(1000 * scale)
    run.group.master.client().set("large", "x" * 102400)
    run.group.settle()
    with connections(run, count) as found:
        polite = Polite(run.weir.port)
        newcomer = Polite(run.weir.port, ask_on_new_connections)
        for one in found:
            one.sendall(encode("GET", "large") * 100)
        run.watch(15)
        result, strange = polite.finish(), newcomer.finish()
        note = f"{run.closed('output_limit')} closed (output_limit), {run.closed('memory')} (memory)" \
            if 'weir_client_closed_total{reason="memory"}' in run.weir.metrics() else ""
    run.tell(count, result, note, strange)


def loris(lab, scale):
    run = Run(lab, "loris", client_header_timeout="30s")
    count = int(10000 * scale)
    command = encode("SET", "a", "x" * 1000)
    with connections(run, count) as found:
        polite = Polite(run.weir.port)
        began = time.monotonic()
        for sent in range(6):
            for one in found:
                with contextlib.suppress(OSError):
                    one.send(command[sent:sent + 1])
            run.watch(began + 10 * (sent + 1) - time.monotonic())
        result = polite.finish()
        closed = run.closed("header_timeout")
    run.tell(count, result, f"{closed} closed (header_timeout) within a minute.")


def burst(lab, scale):
    run = Run(lab, "burst")
    count = max(1, int(100 * scale))
    large = b"y" * (8 * MB)
    with connections(run, count) as found:
        polite = Polite(run.weir.port)
        for one in found:
            one.settimeout(60)
            one.sendall(encode("SET", "small", "small") * 10000)
            run.look()
        for number, one in enumerate(found):
            take(one, b"+OK\r\n" * 10000)
            one.sendall(encode("SET", f"large{number % 8}", large))
            run.look()
            take(one, b"+OK\r\n")
            one.sendall(encode("GET", f"large{number % 8}"))
            take(one, b"$%d\r\n%s\r\n" % (len(large), large))
            run.look()
        result = polite.finish()
    run.tell(count, result)


def take(one, expected):
    got = bytearray()
    while len(got) < len(expected):
        got += one.recv(1 << 20)
    assert got == expected


def greedy(lab, scale):
    run = Run(lab, "greedy")
    count = max(1, int(50 * scale))
    direct = latency_beside(run, run.group.replicas[0].port, count)
    result = latency_beside(run, run.weir.port, count)
    run.tell(count, result, f"Beside them on a bare server: p50 {direct['p50']:.0f} us, p99 {direct['p99']:.0f} us.")


def latency_beside(run, port, count):
    """Ten seconds of what they make of others' lives."""
    load = subprocess.Popen(["redis-benchmark", "-p", str(port), "-t", "get", "-P", "500", "-c", str(count), "-n",
                             "100000000", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        polite = Polite(port)
        run.watch(10)
        return polite.finish()
    finally:
        load.kill()
        load.wait()


SCENARIOS = {one.__name__: one for one in (claims, readers, loris, burst, greedy)}


def main():
    parser = argparse.ArgumentParser(description="What rude clients cost.")
    parser.add_argument("scenarios", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    harness.unlimited_files()
    for name in options.scenarios or SCENARIOS:
        with tempfile.TemporaryDirectory() as directory, Lab(directory) as lab:
            try:
                SCENARIOS[name](lab, options.scale)
            except Exception:
                print("\n".join(f"{name}: {text}" for name, text in lab.logs().items()), file=sys.stderr)
                raise


if __name__ == "__main__":
    main()
