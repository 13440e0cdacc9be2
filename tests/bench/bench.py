#!/usr/bin/python3
"""bench.py [--json FILE] [--rounds N] [--seconds S] [--workers N]

weir beside a direct connection, on one machine, in one run: a master, two
replicas and weir; redis-benchmark with 50 clients, GET and SET, without a
pipeline and with -P 16, values of 3 bytes. Rounds are interleaved (direct weir,
weir direct, ...), medians are shown.

CPU is per operation, in microseconds, read before and after each run from
/proc/PID/task/*/schedstat: of weir (all its threads), of all redis-servers
together (replicas apply the writes in both cases), and of the load. On few and
shared cores it is the figure that holds; the throughput is what was left.

At the end: the resident memory of idle connections."""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from harness import HOST, Lab, wait_for  # noqa: E402

CLIENTS = 50
KEYS = 100_000
CELLS = [("GET", 1), ("SET", 1), ("GET", 16), ("SET", 16)]
SIDES = ["direct", "weir"]
IDLE_CONNECTIONS = 10_000


class Run:
    """One run of redis-benchmark, and what it cost."""

    def __init__(self, side, group, command, pipeline, operations):
        port = group.master.port if side == "direct" else group.weir.port
        servers, weir = group.servers, group.weir
        before = self.costs(servers, weir)
        load_before = resource.getrusage(resource.RUSAGE_CHILDREN)
        row = self.benchmark(port, command, pipeline, operations)
        load_after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # What the replicas still apply belongs to this run.
        group.caught_up()
        after = self.costs(servers, weir)
        self.figures = {
            "throughput": float(row["rps"]),
            "p50_ms": float(row["p50_latency_ms"]),
            "p99_ms": float(row["p99_latency_ms"]),
            "master_us": (after[0] - before[0]) * 1e6 / operations,
            "replicas_us": (after[1] - before[1]) * 1e6 / operations,
            "weir_us": (after[2] - before[2]) * 1e6 / operations,
            "load_us": (load_after.ru_utime + load_after.ru_stime - load_before.ru_utime
                        - load_before.ru_stime) * 1e6 / operations,
        }
        self.figures["redis_us"] = self.figures["master_us"] + self.figures["replicas_us"]

    @staticmethod
    def costs(servers, weir):
        master, *replicas = [server.cpu_seconds() for server in servers]
        return master, sum(replicas), weir.cpu_seconds()

    @staticmethod
    def benchmark(port, command, pipeline, operations):
        key = "key:__rand_int__"
        words = ["SET", key, "xyz"] if command == "SET" else ["GET", key]
        output = subprocess.run(
            ["redis-benchmark", "-h", HOST, "-p", str(port), "-c", str(CLIENTS), "-P", str(pipeline),
             "-n", str(operations), "-r", str(KEYS), "--csv", *words],
            capture_output=True, text=True, timeout=120, check=True)
        if "Error" in output.stdout + output.stderr:
            raise SystemExit(f"redis-benchmark: {output.stdout}{output.stderr}")
        header, row = [line for line in output.stdout.splitlines() if line.startswith('"')][-2:]
        return dict(zip(split_csv(header), split_csv(row)))


def split_csv(line):
    return [field.strip('"') for field in line.split('","')]


def fill(group):
    """Every key that a GET can ask for exists."""
    with group.master.raw() as raw:
        for first in range(0, KEYS, 1000):
            raw.commands([("SET", "key:%012d" % n, "xyz") for n in range(first, first + 1000)])
    group.settle()


def calibrate(group, command, pipeline, seconds):
    """So many operations that a run takes about that long."""
    probe = Run.benchmark(group.weir.port, command, pipeline, 20_000)
    return max(20_000, int(float(probe["rps"]) * seconds))


def median_of(runs):
    return {name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures}


def compare(group, rounds, seconds):
    """[{command, pipeline, direct: figures, weir: figures}] in the order of CELLS."""
    rows = []
    for command, pipeline in CELLS:
        operations = calibrate(group, command, pipeline, seconds)
        runs = {side: [] for side in SIDES}
        for turn in range(rounds):
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                runs[side].append(Run(side, group, command, pipeline, operations))
        row = {"command": command, "pipeline": pipeline, "operations": operations}
        row.update({side: median_of(runs[side]) for side in SIDES})
        rows.append(row)
        print_row(row)
    return rows


HEAD = (f"{'':14} {'':7} {'ops/s':>9} {'p50 ms':>7} {'p99 ms':>7}   CPU us/op: {'weir':>6} {'redis':>6} "
        f"{'(master':>8} {'replicas)':>9} {'load':>6}")


def print_row(row):
    for side in SIDES:
        f = row[side]
        name = f"{row['command']} -P {row['pipeline']}" if side == "direct" else ""
        print(f"{name:14} {side:7} {f['throughput']:9.0f} {f['p50_ms']:7.3f} {f['p99_ms']:7.3f}   "
              f"{'':10} {f['weir_us']:6.2f} {f['redis_us']:6.2f} {f['master_us']:8.2f} {f['replicas_us']:9.2f} "
              f"{f['load_us']:6.2f}", flush=True)


def idle_memory(group, wanted):
    """Resident bytes of weir per connection that says nothing, after each has
    asked once."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(wanted, limit - 500)
    before = group.weir.rss_bytes()
    clients = []
    try:
        for _ in range(count):
            raw = harness.socket.create_connection((HOST, group.weir.port), 10)
            clients.append(raw)
        for raw in clients:
            raw.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n")
        for raw in clients:
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long one run takes")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="keep the servers' logs")
    options = parser.parse_args()

    harness.unlimited_files()
    directory = tempfile.mkdtemp(prefix="weir-bench.")
    config = {"proxy": {"workers": options.workers, "max_clients": IDLE_CONNECTIONS + 100},
              "log": {"level": "notice"}}
    print(f"{os.cpu_count()} cores, {CLIENTS} clients, {options.rounds} interleaved rounds of about "
          f"{options.seconds:g} s, medians; weir with {options.workers} worker(s)")
    try:
        with Lab(directory) as lab:
            group = lab.group(2, config=config)
            fill(group)
            idle = idle_memory(group, IDLE_CONNECTIONS)
            print(HEAD)
            rows = compare(group, options.rounds, options.seconds)
            reasons = {name: value for name, value in group.weir.metrics().items()
                       if name.startswith("weir_reads_left_replicas_total") and value}
            commands = group.weir.status()["commands"]
        print(f"reads on replicas {commands['reads_on_replicas']}, on the master {commands['reads_on_master']} {reasons}")
        print(f"{idle['connections']} idle connections: {idle['bytes_per_connection']:.0f} bytes of resident memory each "
              f"({idle['before_bytes'] >> 10} KiB -> {idle['after_bytes'] >> 10} KiB)")
        if options.json:
            with open(options.json, "w") as f:
                json.dump({"cells": rows, "idle": idle, "cores": os.cpu_count(), "workers": options.workers,
                           "commands": commands}, f, indent=1)
    finally:
        if not options.log:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
