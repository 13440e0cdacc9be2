#!/usr/bin/env python3
"""Runs Redis' own suite twice, against a bare redis-server and through weir
with two replicas that take the reads, and compares test by test. Fails unless
everything that passes bare passes through weir or is listed in skip.txt with
its reason.

    compat.py SUITE OUTPUT [--units unit/type/list ...] [--units-of FILE] [--workers 1] [--lanes 2] [--limit 240]

SUITE is where fetch.sh put it; what it prints goes to OUTPUT, one file for
every run. Units run side by side in lanes; a run that leaves something in its
servers is the last one they see."""
import argparse
import collections
import concurrent.futures
import pathlib
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

import harness  # noqa: E402
import suite  # noqa: E402

SERVER = ("--save", "", "--enable-debug-command", "yes", "--enable-protected-configs", "yes",
          "--enable-module-command", "yes")
# One worker, if not told otherwise: the suite takes for granted that commands of
# several connections are executed in the order in which it sent them, before any
# was answered; one server does that (nearly: see HASTY), and so does one worker.
# With --workers 2 all of it passes but, on a busy machine, two tests of unit/pubsub
# that publish while an UNSUBSCRIBE of another connection is on its way. And
# patience: unit/latency-monitor keeps a server silent for a second and more on
# purpose, which health checks as shipped may take for its end on a busy machine.
WEIR = {"proxy": {"allow_sync": "yes"}, "health": {"timeout": "5s"}, "log": {"level": "notice"}}
READ_PLACES = ("reads_on_replicas", "reads_on_master")
PROGRAMS = ("redis-server", "redis-cli", "redis-benchmark", "redis-check-rdb", "redis-check-aof")
MODES = ("bare", "weir")
# Tests of these say something on one connection and go on with another one at
# once, as if nothing could come in between. On a busy machine something can: what
# two connections send without waiting is in no order, and a server that is behind
# first looks at the one that it served last. Of a bare server that is mostly the
# one that speaks first now; behind weir it is the one that all clients share. They
# get several tries, all but the first alone.
HASTY = ("unit/type/stream-cgroups", "unit/type/stream", "unit/type/list", "unit/type/zset", "unit/pubsub", "unit/multi")
# Occupies a port that it believes to be free, so that a server cannot have it.
PORT_TAKING = ("unit/introspection",)
TRIES = 6     # beside four busy loops on two cores one in five hasty ones fails
# A lane that begins with one of these in the end would run alone for long.
LONG = ("unit/hyperloglog", "unit/type/list-3", "unit/dump", "unit/geo", "unit/type/list", "unit/type/stream")

Task = collections.namedtuple("Task", "mode unit")


class Stand:
    """Servers for a run, and the address where the suite meets them."""

    def __init__(self, directory, mode, workers):
        self.mode = mode
        self.lab = harness.Lab(directory)
        self.weir = None
        if mode == "bare":
            self.address = self.lab.redis(*SERVER).address
        else:
            config = {**WEIR, "proxy": {**WEIR["proxy"], "workers": workers}}
            self.weir = self.lab.group(2, redis_args=SERVER, config=config).weir
            self.address = self.weir.address

    def reads(self):
        """Of the clients, by where weir sent them."""
        if self.weir is None:
            return {}
        commands = self.weir.status()["commands"]
        return {place: commands[place] for place in READ_PLACES}

    def close(self):
        """What weir complains of at its end (a crash, a sanitizer's report), or ""."""
        try:
            self.lab.close()
        except AssertionError as error:
            return str(error)
        return ""


class Lane:
    """Takes one task after the other until none is left."""

    def __init__(self, number, job):
        self.number, self.job = number, job
        self.directory = job.scratch / f"lane{number}"
        self.suite = self.directory / "suite"
        self.stand = None
        self.stands = 0
        self.run = None
        # In external mode the suite opens one port of its own, the first free one of these 32.
        self.base_port = harness.free_port() + 32
        shutil.copytree(job.suite, self.suite)
        link_programs(self.suite / "src")

    def work(self):
        try:
            while not self.job.stopping.is_set():
                task = self.job.tasks.get_nowait()
                self.job.report(task, self.perform(task))
        except queue.Empty:
            pass
        finally:
            self.close_stand()

    def perform(self, task):
        begin = time.monotonic()
        try:
            outcome = self.run_unit(task)
        except (AssertionError, OSError) as error:
            outcome = suite.Outcome(broken=f"its servers did not start: {error}")
        outcome.seconds = time.monotonic() - begin
        return outcome

    def run_unit(self, task):
        stand = self.take_stand(task.mode)
        self.run = suite.Run(self.suite, task.unit, stand.address, self.base_port, self.job.skips_of(task))
        outcome, output = self.run.finish(self.job.limit)
        self.job.keep_output(task, output)
        if outcome.touched:
            self.job.count(stand.reads())
            complaint = self.close_stand()
            outcome.broken = outcome.broken or complaint
        return outcome

    def take_stand(self, mode):
        if self.stand is not None and self.stand.mode != mode:
            self.close_stand()
        if self.stand is None:
            self.stands += 1
            self.stand = Stand(self.directory / f"{mode}{self.stands}", mode, self.job.workers)
        return self.stand

    def close_stand(self):
        stand, self.stand = self.stand, None
        return stand.close() if stand is not None else ""

    def stop(self):
        if self.run is not None:
            self.run.kill()


class Job:
    """Every task, what came of it, and the report."""

    def __init__(self, options, units, skips, scratch):
        self.suite, self.output, self.limit = options.suite.resolve(), options.output.resolve(), options.limit
        self.units, self.skips, self.scratch = units, skips, scratch
        self.chosen = options.units is not None
        self.own_failures = options.units_of is not None
        self.workers = options.workers
        self.outcomes = {}
        self.reads = collections.Counter()
        self.stopping = threading.Event()
        self.reporting = threading.Lock()
        self.tasks = queue.SimpleQueue()
        for mode in MODES:
            for unit in sorted(units, key=lambda unit: unit not in LONG):
                self.tasks.put(Task(mode, unit))
        self.lanes = [Lane(number, self) for number in range(options.lanes)]

    def skips_of(self, task):
        return [skip for skip in self.skips if skip.unit == task.unit] if task.mode == "weir" else []

    def keep_output(self, task, output):
        path = self.output / task.mode / (task.unit.replace("/", ".") + ".out")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(output)

    def count(self, reads):
        with self.reporting:
            self.reads.update(reads)

    def report(self, task, outcome):
        with self.reporting:
            self.outcomes[task] = outcome
            if outcome.touched:
                print(f"{task.mode} {task.unit:24} {outcome.passed.total():5} passed {len(outcome.failed):4} failed"
                      f" {outcome.skipped.total():4} skipped {outcome.seconds:6.1f} s  {outcome.broken}", flush=True)

    def work(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.lanes)) as pool:
            try:
                for lane in [pool.submit(lane.work) for lane in self.lanes]:
                    lane.result()
            except BaseException:
                self.stopping.set()
                for lane in self.lanes:
                    lane.stop()
                raise

    def complaints(self, unit):
        bare, through = (self.outcomes[Task(mode, unit)] for mode in MODES)
        return suite.judge(bare, through, self.skips_of(Task("weir", unit)), self.own_failures)

    def unlucky_mode(self, unit):
        """How it may have had bad luck; None when it has not. A bare server has
        nothing else: it is what weir is compared with."""
        bare = self.outcomes[Task("bare", unit)]
        if not self.own_failures and (bare.failed or bare.broken):
            return "bare"
        return "weir" if unit in HASTY + PORT_TAKING and self.complaints(unit) else None

    def try_again(self):
        """What may have been bad luck, once more, with the machine to itself."""
        for unit in self.units:
            for _ in range(1, TRIES):
                mode = self.unlucky_mode(unit)
                if mode is None:
                    break
                print(f"once more, alone, {mode}: {unit}: {self.complaints(unit)[0]}")
                self.tasks.put(Task(mode, unit))
                self.lanes[0].work()

    def verdict(self):
        results = {unit: tuple(self.outcomes[Task(mode, unit)] for mode in MODES) for unit in self.units}
        print("\nthrough weir: " + ", ".join(f"{self.reads[place]} {place.replace('_', ' ')}" for place in READ_PLACES))
        right = suite.report(results, [skip for skip in self.skips if skip.unit in self.units], self.own_failures)
        return right and (self.chosen or self.reads["reads_on_replicas"] > 0)


def link_programs(directory):
    """The suite looks for Redis' programs in src/."""
    directory.mkdir(exist_ok=True)
    for program in PROGRAMS:
        found = shutil.which(program)
        if found is None:
            sys.exit(f"compat: {program} is not installed")
        (directory / program).symlink_to(found)


def interrupted(*_):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("suite", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--units", nargs="+", help="these alone, instead of all")
    parser.add_argument("--units-of", type=pathlib.Path, help="the units listed in that file, because $REDIS_SERVER is"
                        " another server than the suite's: a test that it fails bare is its own")
    parser.add_argument("--workers", type=int, default=1, help="of weir")
    parser.add_argument("--lanes", type=int, default=2, help="units that run at a time")
    parser.add_argument("--limit", type=float, default=240, help="seconds a unit may take")
    return parser.parse_args()


def main():
    options = arguments()
    known = suite.list_units(options.suite)
    units = options.units or (suite.read_units(options.units_of) if options.units_of else known)
    skips = suite.read_skips(TOP / "tests/compat/skip.txt")
    strangers = [unit for unit in units + [skip.unit for skip in skips] if unit not in known]
    if strangers:
        sys.exit(f"compat: no such unit: {', '.join(strangers)}")
    harness.unlimited_files()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupted)
    with tempfile.TemporaryDirectory(prefix="weir-compat.") as scratch:
        job = Job(options, units, skips, pathlib.Path(scratch))
        job.work()
        job.try_again()
        return 0 if job.verdict() else 1


if __name__ == "__main__":
    sys.exit(main())
