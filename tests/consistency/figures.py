#!/usr/bin/python3
"""figures.py [share] [cost] [age] [--seconds N] [--rounds N] [--rate N] [--json FILE]

What consistency costs, without faults, on servers of its own.

share: a master, two replicas and weir; 50 clients, each of which writes a
register of its own and reads it back, as fast as it goes; 1, 10 and 50 % writes.
For every promise: how many of the reads replicas served, why the others went to
the master, and the CPU time per operation of weir and of all servers together.

cost: the same clients at 10 % writes, CPU time per operation of weir and of the
servers at each level, beside a weir that proves nothing (make CFLAGS=-DWEIR_PROOFS=0
BUILD=build/unproven build/unproven/weir). All of them run side by side, each on servers of its
own, and are driven in turn, round after round; shown are medians of the rounds.

age: how old weir says a replica's data may be (lag_ms of /status), beside how old
they were: a writer counts up on the master, a replica stands still for 80 ms
every now and then, and is read directly before and after each look at /status.
At the default interval of health checks, and at a tenth of it.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from rig import TOOLS, TOP, Lab, unlimited_files

PROMISES = [("eventual", "weir"), ("session", "weir"), ("session", "connection"), ("strong", "weir")]
WRITES = [1, 10, 50]
CLIENTS = 50
INTERVALS = ["100ms", "10ms"]
UNPROVEN = pathlib.Path(os.environ.get("WEIR_UNPROVEN", TOP / "build/unproven/weir"))


# ------------------------------------------------------------------- share

def drive(weir, writes, seconds, rate=0):
    words = [TOOLS / "load", "--door", weir.port, "--general", CLIENTS, "--own", "--rate", rate, "--writes", writes,
             "--seconds", seconds]
    output = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout
    counts = json.loads(output)
    assert not counts["errors"], f"clients were told {counts['errors']}"
    return counts


def costs(group):
    return group.weir.cpu_seconds(), sum(server.cpu_seconds() for server in group.servers)


def measure_share(group, writes, seconds, rate=0):
    before, cost_before = group.weir.status()["counters"], costs(group)
    counts = drive(group.weir, writes, seconds, rate)
    group.caught_up()       # what the replicas still apply belongs to it
    after, cost_after = group.weir.status()["counters"], costs(group)
    delta = {name: after[name] - before[name] for name in after}
    reads = delta["reads_on_replicas"] + delta["reads_on_master"]
    weir_s, servers_s = (after - before for after, before in zip(cost_after, cost_before))
    return {
        "operations_per_second": counts["operations"] / counts["seconds"],
        "on_replicas_percent": 100 * delta["reads_on_replicas"] / reads,
        "left_percent": {name.removeprefix("left_"): 100 * count / reads for name, count in delta.items()
                         if name.startswith("left_") and count},
        "weir_us": weir_s * 1e6 / counts["operations"],
        "servers_us": servers_s * 1e6 / counts["operations"],
    }


def share(options):
    rows = []
    print(f"{'':20} {'writes':>6} {'on replicas':>11} {'ops/s':>8} {'weir us':>8} {'redis us':>8}   the others, why")
    for level, scope in PROMISES:
        name = f"{level}/{scope}" if level == "session" else level
        config = {"routing": {"consistency": level, "session_scope": scope}}
        with tempfile.TemporaryDirectory() as directory, Lab(directory) as lab:
            group = lab.group(2, config=config)
            group.caught_up()
            drive(group.weir, 10, 1)            # commands learned, connections open
            time.sleep(10)                      # slow start is over
            for writes in WRITES:
                row = measure_share(group, writes, options.seconds)
                rows.append({"promise": name, "writes_percent": writes, **row})
                left = ", ".join(f"{reason} {percent:.1f} %" for reason, percent in row["left_percent"].items())
                print(f"{name:20} {writes:>4} % {row['on_replicas_percent']:>9.1f} % {row['operations_per_second']:>8.0f} "
                      f"{row['weir_us']:>8.2f} {row['servers_us']:>8.2f}   {left}", flush=True)
    return rows


# -------------------------------------------------------------------- cost

@contextlib.contextmanager
def weir_binary(path):
    """What Lab starts as weir."""
    before = os.environ.get("WEIR_BIN")
    os.environ["WEIR_BIN"] = str(path or before or TOP / "weir")
    yield
    if before is None:
        del os.environ["WEIR_BIN"]
    else:
        os.environ["WEIR_BIN"] = before


def cost(options):
    sides = [("no proof", "eventual", "weir", UNPROVEN)] + [
        (f"{level}/{scope}" if level == "session" else level, level, scope, None) for level, scope in PROMISES]
    rounds = {name: [] for name, *_ in sides}
    with contextlib.ExitStack() as stack:
        groups = {}
        for name, level, scope, binary in sides:
            lab = stack.enter_context(Lab(stack.enter_context(tempfile.TemporaryDirectory())))
            with weir_binary(binary):
                groups[name] = lab.group(2, config={"routing": {"consistency": level, "session_scope": scope}})
        for group in groups.values():
            group.caught_up()
            drive(group.weir, 10, 1)
        time.sleep(10)                          # slow start is over
        for _ in range(options.rounds):
            for name, group in groups.items():
                rounds[name].append(measure_share(group, 10, options.seconds, options.rate))
    return [_cost_row(name, rounds[name], rounds["no proof"]) for name in rounds]


def _cost_row(name, rounds, without):
    def median(what, rows):
        return statistics.median(row[what] for row in rows)
    row = {"promise": name}
    for what in ("weir_us", "servers_us", "operations_per_second", "on_replicas_percent"):
        row[what] = median(what, rounds)
    for what in ("weir_us", "servers_us"):
        row[f"{what}_more_percent"] = 100 * (row[what] / median(what, without) - 1)
    both = [sum(median(what, rows) for what in ("weir_us", "servers_us")) for rows in (rounds, without)]
    row["together_more_percent"] = 100 * (both[0] / both[1] - 1)
    print(f"{name:20} weir {row['weir_us']:6.2f} us ({row['weir_us_more_percent']:+5.1f} %)   servers "
          f"{row['servers_us']:6.2f} us ({row['servers_us_more_percent']:+5.1f} %)   together "
          f"{row['together_more_percent']:+5.1f} %   {row['operations_per_second']:7.0f} ops/s   "
          f"{row['on_replicas_percent']:5.1f} % on replicas", flush=True)
    return row


# --------------------------------------------------------------------- age

class Beat(threading.Thread):
    """Counts up on the master, and remembers when each number was acknowledged."""

    def __init__(self, master):
        super().__init__(daemon=True)
        self.raw = master.raw()
        self.acknowledged = [time.monotonic_ns()]   # [number] -> ns
        self.stopping = False

    def run(self):
        while not self.stopping:
            self.raw.command("SET", "beat", len(self.acknowledged))
            self.acknowledged.append(time.monotonic_ns())
            time.sleep(0.0005)

    def age_ms(self, number, now_ns):
        """How old data are that show this number."""
        following = number + 1
        return max(0, now_ns - self.acknowledged[following]) / 1e6 if following < len(self.acknowledged) else 0.0


class Stutter(threading.Thread):
    """The replica applies nothing for 80 ms, every now and then."""

    def __init__(self, replica):
        super().__init__(daemon=True)
        self.raw = replica.raw()
        self.stopping = False

    def run(self):
        while not self.stopping:
            self.raw.command("CLIENT", "PAUSE", 80, "WRITE")
            time.sleep(0.08)
            self.raw.command("CLIENT", "UNPAUSE")
            time.sleep(0.2)


def look(group, beat, raw):
    """(lower bound of the true age, upper bound, what weir says), in ms. The state
    that weir spoke of lies between the two that are read."""
    def shown():
        return int(raw.command("GET", "beat") or 0)
    before, begin_ns = shown(), time.monotonic_ns()
    said = group.weir.replica_status(group.replicas[0])
    end_ns, after = time.monotonic_ns(), shown()
    time.sleep(0.002)       # the next acknowledgement is known by then
    return beat.age_ms(after, begin_ns), beat.age_ms(before, end_ns), said["lag_ms"]


def age(options):
    return [age_at(interval, options.seconds) for interval in INTERVALS]


def age_at(interval, seconds):
    with tempfile.TemporaryDirectory() as directory, Lab(directory) as lab:
        group = lab.group(1, config={"health": {"interval": interval}})
        beat, stutter = Beat(group.master), Stutter(group.replicas[0])
        beat.start(), stutter.start()
        samples, deadline = [], time.monotonic() + seconds
        with group.replicas[0].raw() as raw:
            while time.monotonic() < deadline:
                samples.append(look(group, beat, raw))
        beat.stopping = stutter.stopping = True
        beat.join(), stutter.join()
    known = [(low, high, said) for low, high, said in samples if said is not None]
    over = sorted(said - low for low, _, said in known)
    row = {
        "interval": interval, "samples": len(known), "unknown": len(samples) - len(known),
        "below_the_truth": sum(1 for low, _, said in known if said < low),
        "true_age_ms_median": statistics.median(low for low, _, _ in known),
        "true_age_ms_most": max(low for low, _, _ in known),
        "over_ms_median": statistics.median(over), "over_ms_p99": over[len(over) * 99 // 100],
    }
    print(f"age, looked at every {interval}: {row['samples']} samples, true age median {row['true_age_ms_median']:.1f} ms, at most "
          f"{row['true_age_ms_most']:.1f}; weir says {row['over_ms_median']:.1f} ms more (median), "
          f"{row['over_ms_p99']:.1f} (p99); below the truth {row['below_the_truth']} times")
    return row


MEASURES = {"share": share, "cost": cost, "age": age}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[2])
    parser.add_argument("what", nargs="*", help="share, cost, age; all")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of cost")
    parser.add_argument("--rate", type=int, default=0, help="of cost: operations a second; 0: as fast as it goes")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    unlimited_files()
    figures = {what: MEASURES[what](options) for what in options.what or MEASURES}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    sys.exit(main())
