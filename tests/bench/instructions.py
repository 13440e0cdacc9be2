#!/usr/bin/python3
"""instructions.py [--write] [--only WORD] [--functions N]

Counts what one operation costs weir in instructions, under callgrind: figures
that hold on a noisy machine, because they do not depend on it.

weir runs with one worker in front of a master and two replicas. One client sends
a pipeline, reads all of its replies, and sends the next one, so that every turn of
the loop is the same in every run. Counted is the worker's thread alone, from the
bytes of a request to those of its reply, divided by the operations. The kernel's
part is not in it: bench.py measures that.

The steps of the hot path, each alone (micro.c), are counted as well.

Without --write the counts are compared with baseline.json beside this file: a
rise of more than 5 % is an error. The baseline belongs to one compiler and one
processor's string functions: it is compared only where both are the same."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import harness  # noqa: E402
from harness import HOST, Lab, Raw, encode  # noqa: E402

BASELINE = HERE / "baseline.json"
ALLOWED_RISE = 0.05
TRIES = 8           # where a count has risen: a busy machine cuts batches and adds timers, so the least one counts
WARM_UP = 200       # pipelines before the count begins
MICRO_ROUNDS = 2000
MICRO_BATCH = 64    # messages in one round, as in micro.c

# name: (the words of the command, how many stand in one pipeline, pipelines counted)
ROUTES = {
    "GET alone": (["GET", "key:000000000001"], 1, 4000),
    "GET -P 16": (["GET", "key:000000000001"], 16, 1000),
    "GET -P 64": (["GET", "key:000000000001"], 64, 400),
    "SET alone": (["SET", "key:000000000001", "xyz"], 1, 4000),
    "SET -P 16": (["SET", "key:000000000001", "xyz"], 16, 1000),
    "SET -P 64": (["SET", "key:000000000001", "xyz"], 64, 400),
}
MICRO = ["request_get", "request_set", "request_mset_20", "reply_ok", "reply_bulk_16", "reply_list_10", "lookup"]

CALLGRIND = ["valgrind", "--tool=callgrind", "--separate-threads=yes", "--quiet"]


def is_main(path):
    """Is it the first thread's file? That one controls, the others work."""
    return re.search(r"^thread: 1$", path.read_text(), re.M) is not None


def totals(path):
    """Instructions in one file that callgrind has written."""
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)
    return int(found[1]) if found else 0


class Counted:
    """A weir under callgrind; dumps() are what its threads have executed between
    begin() and end()."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.out = self.directory / "callgrind.out"
        self.program = self.directory / "counted"
        self.program.write_text("#!/bin/sh\nexec %s --callgrind-out-file=%s %s \"$@\"\n" % (
            " ".join(CALLGRIND), self.out, harness.weir_binary()))
        self.program.chmod(0o755)

    def control(self, pid, flag):
        subprocess.run(["callgrind_control", flag, str(pid)], check=True, timeout=60, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def begin(self, pid):
        self.control(pid, "-z")

    def end(self, pid):
        """The files of this dump, one a thread, but for the one that controls."""
        before = set(self.directory.glob("callgrind.out*"))
        self.control(pid, "-d")
        return sorted(path for path in set(self.directory.glob("callgrind.out*")) - before if not is_main(path))


def pump(raw, words, pipeline, count):
    """`count` pipelines, one after the other has been answered."""
    request = encode(*words) * pipeline
    replies = reply_length(raw, words) * pipeline
    for _ in range(count):
        raw.send(request)
        assert len(raw.stream.read(replies)) == replies, "weir has closed"


def reply_length(raw, words):
    raw.send(encode(*words))
    line = raw.stream.readline()
    if line[:1] == b"$":
        return len(line) + len(raw.stream.readline())
    return len(line)


def has_risen(name, count):
    """Compared with the baseline, if there is one; what is new has not."""
    known = json.loads(BASELINE.read_text())["instructions"] if BASELINE.exists() else {}
    return count > known.get(name, count) * (1 + ALLOWED_RISE)


def one_count(counted, group, raw, words, pipeline, count):
    """The file with what the worker has executed for so many pipelines."""
    counted.begin(group.weir.pid)
    pump(raw, words, pipeline, count)
    return max(counted.end(group.weir.pid), key=totals)


def routed(chosen, functions):
    """{name: instructions per operation}"""
    counts = {}
    with tempfile.TemporaryDirectory(prefix="weir-bench.") as directory, Lab(directory) as lab:
        counted = Counted(directory)
        # Under callgrind every command is a slow one, and none shall be told to the slow log.
        config = {"proxy": {"workers": 1}, "log": {"level": "warning", "slower_than": "0"},
                  "health": {"timeout": "10s"}, "routing": {"max_lag": "30s", "backend_timeout": "10s"}}
        group = lab.group(2, config=config, binary=counted.program)
        with Raw((HOST, group.weir.port), 60) as raw:
            raw.command("SET", "key:000000000001", "xyz")
            group.settle()
            for name in chosen:
                words, pipeline, count = ROUTES[name]
                pump(raw, words, pipeline, WARM_UP)
                dumps = []
                while len(dumps) < TRIES and (not dumps or has_risen(name, counts[name])):
                    dumps.append(one_count(counted, group, raw, words, pipeline, count))
                    worker = min(dumps, key=totals)
                    counts[name] = totals(worker) / (count * pipeline)
                print(f"{name:16} {counts[name]:9.1f}", flush=True)
                if functions:
                    show_functions(worker, functions, count * pipeline)
    return counts


def show_functions(path, most, operations):
    listing = subprocess.run(["callgrind_annotate", "--threshold=100", str(path)], capture_output=True, text=True,
                             timeout=60, check=True).stdout
    rows = re.findall(r"^\s*([\d,]+) \([^)]*\)\s+(\S+:\S+)", listing, re.M)
    for cost, function in rows[:most]:
        print(f"    {int(cost.replace(',', '')) / operations:8.1f}  {function}")


def micro(chosen):
    """The same for the cases of micro.c."""
    program = os.environ.get("WEIR_MICRO", "build/tests/bench/micro")
    counts = {}
    with tempfile.TemporaryDirectory(prefix="weir-bench.") as directory:
        for name in chosen:
            out = pathlib.Path(directory) / name
            for rounds in (MICRO_ROUNDS, 2 * MICRO_ROUNDS):
                subprocess.run([*CALLGRIND, f"--callgrind-out-file={out}.{rounds}", program, str(rounds), name],
                               check=True, timeout=120, stdout=subprocess.DEVNULL)
            files = {rounds: max(pathlib.Path(directory).glob(f"{name}.{rounds}*"), key=totals)
                     for rounds in (MICRO_ROUNDS, 2 * MICRO_ROUNDS)}
            spent = totals(files[2 * MICRO_ROUNDS]) - totals(files[MICRO_ROUNDS])
            counts[name] = spent / (MICRO_ROUNDS * MICRO_BATCH)
            print(f"{name:16} {counts[name]:9.1f}", flush=True)
    return counts


def compiler():
    line = subprocess.run([os.environ.get("CC", "gcc"), "--version"], capture_output=True, text=True, check=True).stdout
    return line.splitlines()[0]


def processor():
    """What chooses between the C library's string functions."""
    flags = re.search(r"^flags\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    known = flags[1].split() if flags else []
    return next((level for level in ("avx512bw", "avx2", "sse4_2") if level in known), os.uname().machine)


def compare(counts, baseline):
    """The rows that have risen too much."""
    rows = []
    for name, count in counts.items():
        before = baseline["instructions"].get(name)
        if before is None:
            rows.append(f"{name}: not in {BASELINE.name}; --write puts it there")
        elif has_risen(name, count):
            rows.append(f"{name}: {before:.1f} -> {count:.1f} instructions, {100 * (count / before - 1):+.1f} %")
    return rows


def judge(counts, machine):
    baseline = json.loads(BASELINE.read_text())
    if baseline["machine"] != machine:
        print(f"not compared: {BASELINE.name} was made with {baseline['machine']}, this is {machine}")
        return 0
    rows = compare(counts, baseline)
    print("\n".join(rows) or f"none of {len(counts)} has risen by more than {ALLOWED_RISE:.0%}")
    return 1 if rows else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make these counts the baseline")
    parser.add_argument("--only", metavar="WORD", default="", help="the rows with this word in their name")
    parser.add_argument("--functions", metavar="N", type=int, default=0, help="show the N dearest functions too")
    options = parser.parse_args()

    machine = f"{compiler()}, {processor()}"
    print(f"instructions per operation of weir's worker, without the kernel's ({machine})")
    counts = routed([name for name in ROUTES if options.only in name], options.functions)
    counts.update(micro([name for name in MICRO if options.only in name]))
    if not counts:
        raise SystemExit(f"nothing has {options.only!r} in its name")
    if not options.write:
        sys.exit(judge(counts, machine))
    counts = {name: round(count, 1) for name, count in counts.items()}
    BASELINE.write_text(json.dumps({"machine": machine, "instructions": counts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
