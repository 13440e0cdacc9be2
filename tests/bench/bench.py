#!/usr/bin/python3
"""bench.py [--json FILE] [--rounds N] [--seconds S] [--workers N] [--cells WORD]

weir beside a direct connection, beside a relay that does nothing (null_relay.c, the
floor), and beside HAProxy (TCP mode) and nutcracker where they are installed: on
one machine, in one run, in front of the same master; weir has two replicas as well
and is configured as shipped. Rounds are interleaved (A B C, B C A, ...); what is
shown are medians over the rounds, ratios are taken in each round.

CPU is per operation, in microseconds, read before and after each run from
/proc/PID/task/*/schedstat: of the proxy (all its threads), of all redis-servers
together (replicas apply the writes in every case), and of the load. On few and
shared cores it is the figure that holds; the throughput is what was left. System
calls are counted by perf in a run of their own. instructions.py counts what the
machine's noise does not reach.

At the end: the resident memory of idle connections."""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import sides as peers
from sides import HOST, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from harness import Lab, encode  # noqa: E402

KEYS = 100_000
IDLE_CONNECTIONS = 10_000
KEY = "key:%012d"
SYSCALLS_OPERATIONS = 0.25      # part of a run's operations that perf counts


@dataclasses.dataclass(frozen=True)
class Cell:
    """One load. Every key exists, every value is as long as `value`."""

    command: str
    clients: int = 50
    pipeline: int = 1
    value: int = 3

    @property
    def name(self):
        words = [self.command, f"-c {self.clients}", f"-P {self.pipeline}"]
        return " ".join(words + ([f"{self.value} bytes"] if self.value != 3 else []))

    @property
    def written(self):
        """What it writes; None: it reads."""
        return "x" * self.value if self.command == "SET" else None

    @property
    def request_bytes(self):
        return len(encode(*[self.command, KEY % 0, *([self.written] if self.written else [])]))

    @property
    def reply_bytes(self):
        return len("+OK\r\n") if self.command == "SET" else len(f"${self.value}\r\n") + self.value + 2

    @property
    def keys(self):
        return KEYS if self.value <= 1024 else 200


CELLS = [Cell("GET"), Cell("SET"), Cell("GET", pipeline=16), Cell("SET", pipeline=16), Cell("GET", pipeline=64),
         Cell("GET", value=1024), Cell("SET", value=1024), Cell("GET", pipeline=16, value=1024),
         Cell("SET", pipeline=16, value=1024), Cell("GET", value=100_000),
         Cell("GET", clients=8, value=1 << 20), Cell("SET", clients=8, value=1 << 20), Cell("GET", clients=1),
         Cell("GET", clients=500), Cell("GET", clients=5000)]


def benchmark(port, cell, operations):
    """What redis-benchmark says of one run."""
    from_stdin = ["-x"] if cell.written else []     # a value may be longer than an argument can be
    output = subprocess.run(
        ["redis-benchmark", "-h", HOST, "-p", str(port), "-c", str(cell.clients), "-P", str(cell.pipeline),
         "-n", str(operations), "-r", str(cell.keys), "--csv", *from_stdin, cell.command, "key:__rand_int__"],
        input=cell.written, capture_output=True, text=True, timeout=300, check=True)
    if "Error" in output.stdout + output.stderr:
        raise SystemExit(f"redis-benchmark: {output.stdout}{output.stderr}")
    header, row = [line for line in output.stdout.splitlines() if line.startswith('"')][-2:]
    return dict(zip(split_csv(header), split_csv(row)))


def split_csv(line):
    return [field.strip('"') for field in line.split('","')]


def load_seconds():
    """CPU of every load so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def costs(group, side):
    """(the master, the replicas, the proxy)"""
    return (group.master.cpu_seconds(), sum(replica.cpu_seconds() for replica in group.replicas), side.cpu_seconds())


def run(side, group, cell, operations):
    """The figures of one run."""
    side.prepare(cell)
    side.forget_peak()
    before, load = costs(group, side), load_seconds()
    row = benchmark(side.port, cell, operations)
    load = load_seconds() - load
    group.caught_up()       # what the replicas still apply belongs to this run
    after = costs(group, side)
    master, replicas, proxy = [(now - then) * 1e6 / operations for now, then in zip(after, before)]
    return {"throughput": float(row["rps"]), "p50_ms": float(row["p50_latency_ms"]),
            "p99_ms": float(row["p99_latency_ms"]), "proxy_us": proxy, "master_us": master,
            "replicas_us": replicas, "redis_us": master + replicas, "load_us": load * 1e6 / operations,
            "total_us": master + replicas + proxy + load * 1e6 / operations, "peak_mb": side.peak_bytes() / 1e6}


def syscalls(side, cell, operations):
    """System calls of the proxy per operation; None where perf cannot count."""
    if side.name == "direct" or shutil.which("perf") is None:
        return None
    side.prepare(cell)
    perf = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(side.pid)],
                            stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    benchmark(side.port, cell, operations)
    perf.send_signal(2)
    count = perf.communicate(timeout=30)[1].split(",")[0].strip()
    return int(count) / operations if count.isdigit() else None


def fill(group, cell):
    """Every key that a GET can ask for exists, and is as long as the cell says."""
    value = "x" * cell.value
    per_batch = max(1, min(1000, (1 << 20) // max(cell.value, 1)))
    with group.master.raw() as raw:
        for first in range(0, cell.keys, per_batch):
            raw.commands([("SET", KEY % n, value) for n in range(first, min(first + per_batch, cell.keys))])
    group.settle()


def calibrate(group, cell, seconds):
    """So many operations that a run takes about that long."""
    probe = 200 if cell.value > 1024 else 20_000
    return max(probe, int(float(benchmark(group.weir.port, cell, probe)["rps"]) * seconds))


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


RATIOS = {"proxy_us": "floor"}      # all others are to the direct connection


def ratios(runs):
    """{side: {figure: its median ratio to the same figure of the side it is compared
    with, round by round}}; what is nought there has none."""
    found = {}
    for side, rounds in runs.items():
        found[side] = {}
        for figure in rounds[0]:
            base = runs.get(RATIOS.get(figure, "direct"), [])
            if base and all(theirs[figure] for theirs in base):
                found[side][figure] = statistics.median(mine[figure] / theirs[figure] for mine, theirs in zip(rounds, base))
    return found


def compare(group, all_sides, cell, rounds, seconds, rest):
    all_sides = [side for side in all_sides if side.serves(cell)]
    fill(group, cell)
    operations = calibrate(group, cell, seconds)
    runs = {side.name: [] for side in all_sides}
    for turn in range(rounds):
        for side in rotated(all_sides, turn):
            runs[side.name].append(run(side, group, cell, operations))
            time.sleep(rest)
    counted = max(cell.clients, int(operations * SYSCALLS_OPERATIONS))
    row = {"cell": cell.name, "operations": operations, "ratios": ratios(runs),
           "sides": {name: {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}
                     for name, rounds in runs.items()}}
    for side in all_sides:
        row["sides"][side.name]["syscalls"] = syscalls(side, cell, counted)
    print_row(row)
    return row


HEAD = (f"{'':12} {'ops/s':>9} {'x direct':>8} {'p50 ms':>7} {'p99 ms':>8}   CPU us/op: {'proxy':>7} {'x floor':>7} "
        f"{'redis':>7} {'(master)':>8} {'load':>7} {'total':>8} {'x direct':>8}   {'calls/op':>8} {'peak MB':>8}")


def shown(value, width, digits=2):
    return f"{'-' if value is None else format(value, f'.{digits}f'):>{width}}"


def print_row(row):
    print(row["cell"])
    for name, f in row["sides"].items():
        r = row["ratios"][name]
        print(f"  {name:10} {f['throughput']:9.0f} {shown(r.get('throughput'), 8)} {f['p50_ms']:7.3f} {f['p99_ms']:8.3f}   "
              f"{'':10} {shown(f['proxy_us'], 7)} {shown(r.get('proxy_us'), 7)} {shown(f['redis_us'], 7)} "
              f"{shown(f['master_us'], 8)} {shown(f['load_us'], 7)} {shown(f['total_us'], 8)} "
              f"{shown(r.get('total_us'), 8)}   {shown(f['syscalls'], 8, 3)} {shown(f['peak_mb'], 8, 1)}", flush=True)


def idle_memory(group, wanted):
    """Resident bytes of weir per connection that says nothing, after each has
    asked once, one after the other."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(wanted, limit - 500)
    before = group.weir.rss_bytes()
    clients = []
    try:
        for _ in range(count):
            clients.append(harness.socket.create_connection((HOST, group.weir.port), 10))
        for raw in clients:
            raw.sendall(encode("GET", "a"))
            raw.recv(64)
        connected = group.weir.status()["clients"]["connected"]
        time.sleep(0.5)
        after = group.weir.rss_bytes()
    finally:
        for raw in clients:
            raw.close()
    wait_for(lambda: group.weir.status()["clients"]["connected"] == 0, 20, "all have left")
    return {"connections": connected, "before_bytes": before, "after_bytes": after,
            "bytes_per_connection": (after - before) / connected}


def machine(workers):
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"processor": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "redis": peers.version("redis-server"), "haproxy": peers.version("haproxy"),
            "nutcracker": peers.version("nutcracker"), "workers": workers}


def measure(directory, options):
    config = {"proxy": {"workers": options.workers, "max_clients": IDLE_CONNECTIONS + 100},
              "log": {"level": "notice"}}
    result = {"machine": machine(options.workers), "cells": []}
    print("\n".join(f"{name}: {value}" for name, value in result["machine"].items()))
    with Lab(directory) as lab:
        group = lab.group(2, config=config)
        result["idle"] = idle_memory(group, IDLE_CONNECTIONS)
        all_sides = peers.sides(directory, group)
        try:
            print(f"medians of {options.rounds} interleaved rounds of about {options.seconds:g} s")
            print(HEAD)
            for cell in CELLS:
                if options.cells in cell.name:
                    result["cells"].append(compare(group, all_sides, cell, options.rounds, options.seconds,
                                                   options.rest))
        finally:
            for side in all_sides:
                side.stop()
        result["left"] = {name: value for name, value in group.weir.metrics().items()
                          if name.startswith("weir_reads_left_replicas_total") and value}
        result["commands"] = group.weir.status()["commands"]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one run takes")
    parser.add_argument("--rest", type=float, default=0.0, metavar="S", help="seconds between two runs, for whoever else uses the machine")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cells", metavar="WORD", default="", help="only those with it in their name")
    parser.add_argument("--log", action="store_true", help="keep the servers' logs")
    options = parser.parse_args()

    harness.unlimited_files()
    directory = tempfile.mkdtemp(prefix="weir-bench.")
    try:
        result = measure(directory, options)
    finally:
        if not options.log:
            shutil.rmtree(directory, ignore_errors=True)
    idle = result["idle"]
    print(f"reads on replicas {result['commands']['reads_on_replicas']}, on the master "
          f"{result['commands']['reads_on_master']} {result['left']}")
    print(f"{idle['connections']} idle connections: {idle['bytes_per_connection']:.0f} bytes of resident memory each "
          f"({idle['before_bytes'] >> 10} KiB -> {idle['after_bytes'] >> 10} KiB)")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
