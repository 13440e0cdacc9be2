#!/usr/bin/python3
"""cases.py [--json FILE] [--only WORD] [--rounds N] [--seconds S] [--rest S]

What bench.py's table has no column for: each case is one question about weir, and
prints its own answer.

  workers   two workers beside one: CPU per operation and throughput
  evenness  how many of 500 clients each of two workers has
  mixed     an innocent GET's p99 and p99.9 at a fixed pace, 90 % GET, 9 % SET and
            1 % LRANGE of 10,000, beside the same without the LRANGEs (mix.c)
  idle      resident memory of idle connections, as many as there are descriptors
  streams   values of 64 MiB: throughput, and weir's peak memory meanwhile"""
import argparse
import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import bench
import sides
from sides import HOST

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from harness import Lab, encode  # noqa: E402

MIX = sides.TOP / "build/tests/bench/mix"
PACE = 4000             # operations a second: far from what the servers can do
VALUE = 64 << 20


def beside(lab, group, workers):
    """Another weir before the same servers, that only watches them."""
    return lab.weir(group.master, group.replicas, name=f"weir-{workers}",
                    config={"proxy": {"workers": workers, "max_clients": 20_000}, "replication": {"wiring": "observe"}})


class Other(sides.Weir):
    def __init__(self, directory, group, weir, name):
        self.name = name
        super().__init__(directory, group)
        self.port, self.child = weir.port, weir.child


def watched_per_loop(pid):
    """How many descriptors each of its event loops watches."""
    return [count for count in (path.read_text().count("tfd:") for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
            if count > 0]


def workers(lab, directory, group, options):
    one = Other(directory, group, group.weir, "one")
    two = Other(directory, group, beside(lab, group, 2), "two")
    answer = {}
    for cell in (bench.Cell("GET"), bench.Cell("SET"), bench.Cell("GET", pipeline=16)):
        bench.fill(group, cell)
        operations = bench.calibrate(group, cell, options.seconds)
        runs = {"one": [], "two": []}
        for turn in range(options.rounds):
            for side in bench.rotated([one, two], turn):
                runs[side.name].append(bench.run(side, group, cell, operations))
                time.sleep(options.rest)
        answer[cell.name] = {figure: statistics.median(b[figure] / a[figure] for a, b in zip(runs["one"], runs["two"]))
                             for figure in ("proxy_us", "throughput")}
    return answer


def evenness(lab, directory, group, options):
    weir = beside(lab, group, 2)
    sessions = [harness.socket.create_connection((HOST, weir.port), 10) for _ in range(500)]
    harness.wait_for(lambda: weir.status()["clients"]["connected"] == 500, 10, "all are there")
    loops = sorted(watched_per_loop(weir.pid))[-2:]
    for session in sessions:
        session.close()
    return {"descriptors watched by the workers": loops, "ratio": loops[1] / loops[0]}


def mix(port, lists, seconds):
    done = subprocess.run([MIX, str(port), "50", str(PACE), str(seconds), "90", str(lists)],
                          capture_output=True, text=True, timeout=60, check=True)
    return dict(zip(("p50_us", "p99_us", "p999_us", "operations"), map(int, done.stdout.split())))


def mixed(lab, directory, group, options):
    with group.master.raw() as raw:
        raw.commands([("SET", f"mix:{n:04}", "xyz") for n in range(1000)])
        raw.command("DEL", "mix:list")
        raw.commands([("RPUSH", "mix:list", *range(n, n + 1000)) for n in range(0, 10_000, 1000)])
    group.settle()
    ports = {"weir": group.weir.port, "direct": group.master.port}
    runs = {name: {lists: [] for lists in (0, 10)} for name in ports}
    for turn in range(options.rounds):
        for name in bench.rotated(list(ports), turn):
            for lists in (0, 10):
                runs[name][lists].append(mix(ports[name], lists, options.seconds))
                time.sleep(options.rest)
    answer = {}
    for name, loads in runs.items():
        answer[name] = {("with LRANGE" if lists else "without"): {figure: statistics.median(one[figure] for one in rounds)
                                                                   for figure in ("p50_us", "p99_us", "p999_us")}
                        for lists, rounds in loads.items()}
        answer[name]["p99 ratio"] = statistics.median(b["p99_us"] / a["p99_us"] for a, b in zip(loads[0], loads[10]))
    return answer


def idle(lab, directory, group, options):
    weir = beside(lab, group, 1)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return bench.idle_memory(harness.Group(group.master, group.replicas, weir), min(15_000, limit - 500))


def streams(lab, directory, group, options):
    """A replica holds what it is sent, so this is of the master's side: SETs and GETs
    of one large value by two clients at once."""
    answer = {}
    value = b"x" * VALUE
    for command in (("SET", "large", value), ("GET", "large")):
        raws = [group.weir.raw(timeout=60) for _ in range(2)]
        side = Other(directory, group, group.weir, "weir")
        side.forget_peak()
        before, began = group.weir.rss_bytes(), time.monotonic()
        for raw in raws:
            raw.send(encode(*command))
        for raw in raws:
            assert raw.reply() in ("OK", value)
        seconds = time.monotonic() - began
        answer[command[0]] = {"mb_per_second": 2 * VALUE / 1e6 / seconds,
                              "peak_over_idle_mb": (side.peak_bytes() - before) / 1e6}
        for raw in raws:
            raw.close()
    return answer


CASES = {"workers": workers, "evenness": evenness, "mixed": mixed, "idle": idle, "streams": streams}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the answers there too")
    parser.add_argument("--only", metavar="WORD", default="", help="the cases with it in their name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one run takes")
    parser.add_argument("--rest", type=float, default=0.0, metavar="S", help="seconds between two runs")
    options = parser.parse_args()

    harness.unlimited_files()
    directory = tempfile.mkdtemp(prefix="weir-bench.")
    answers = {}
    try:
        for name, case in CASES.items():
            if options.only not in name:
                continue
            with Lab(f"{directory}/{name}") as lab:
                group = lab.group(2, config={"proxy": {"workers": 1}})
                answers[name] = case(lab, directory, group, options)
            print(f"{name}: {json.dumps(answers[name], indent=1)}", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
