#!/usr/bin/python3
"""run.py [--level L] [--scope S] [--seconds N] [--seed N] [--nemeses WORDS] ...

One run, or several in a row: a master, three replicas, weir, the relay on every
link; the load, the nemeses, and the judge at the end. A line per run:

    session/weir seed 7: 60 s, 251,324 operations, 61 % of reads on replicas, 84 faults, 0 violations

and with -v what happened in detail. Seconds are cut into rounds of --round
seconds, each on servers of its own and with the next seed, and summed up at the
end, fault by fault. A run that fails keeps its history, what the master held, and
every log in build/consistency/failed/, and prints the command that repeats it.
Exit status 1: something was found.
"""
import argparse
import gc
import itertools
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

import epochs
import judge
import nemesis
import rig as rigs
from rig import TOOLS, TOP, Lab, Rig, Watcher

KEPT = TOP / "build/consistency/failed"
CALM = 3.0              # seconds at the end in which nothing goes wrong any more
FIRST_FAULT = 0.5       # seconds

# What a client may see although nothing is wrong with weir: word of the load's
# errors -> groups of faults and links that excuse it.
EXCUSED = {
    "UNKNOWNRESULT": {"master", "link", "failover"},
    "connection-reset": {"link", "weir", "beside"},
    "connection-closed": {"link", "weir", "master", "switchover", "failover"},  # a lost private backend takes its client along
    "no-greeting": {"link", "weir", "beside"},
    "listener:UNKNOWNRESULT": {"master", "link", "failover"},
    "wait:BADTOKEN": {"master", "switchover", "failover"},      # of another history
    "EXECABORT": {"switchover"},    # of a transaction that stood open
}


class Finding(Exception):
    """A run that failed in another way than by a violation."""


# ------------------------------------------------------------------ one run

def is_impatient(seed):
    """Whether weir gives up on silent replicas earlier than they speak again; by
    contract two of them then cost a slow read a -TIMEOUT."""
    return seed % 2 == 0


FAILOVER = {"mode": "auto", "down_after": "1s", "min_interval": "0", "max_lost_bytes": "64mb"}


def weir_config(options, seed, failover):
    return {
        "failover": FAILOVER if failover else {},
        "proxy": {"client_output_limit": "64mb", "drain_timeout": "5s"},   # an end is waited for 10 s
        "routing": {"consistency": options.level, "session_scope": options.scope, "max_lag": f"{options.max_lag}ms",
                    "write_hold": "30s", "backend_timeout": "300ms" if is_impatient(seed) else "10s"},
    }


class Run:
    """One round. After carry_out(): violations, problems, counts, stats."""

    def __init__(self, options, seed, directory):
        self.options, self.seed, self.directory = options, seed, pathlib.Path(directory)
        self.persistence = "rdb" if seed % 3 == 2 else "aof"
        self.faults = nemesis.choose(options.nemeses.split(","), self.persistence)
        groups = {nemesis.FAULTS[name].group for name in self.faults}
        self.failover = "failover" in groups
        alone = bool(nemesis.MOVES & groups)    # a second weir would only observe, and who writes beside is refused
        if alone:
            self.persistence = "none"           # as the replicas, or they would be no match for the master
        self.weirs = options.weirs or (2 if seed % 4 == 3 and not alone else 1)
        self.beside = seed % 4 == 1 and not alone
        self.history_path = self.directory / "history.json"
        self.violations, self.problems = [], []
        self.load, self.stats, self.happened = {}, Counter(), []
        self.orphaned, self.ages_ms, self.epochs = (), [], []

    def carry_out(self):
        with Lab(self.directory) as lab:
            rig = Rig(lab, self.seed, weir_config(self.options, self.seed, self.failover), self.options.replicas,
                      self.persistence, self.weirs, self.beside, self.failover)
            watchers = [Watcher(weir, rig) for weir in rig.weirs]
            for watcher in watchers:
                watcher.start()
            self._disturb(rig)
            rig.heal()
            for watcher in watchers:
                self.stats.update(watcher.stop())
                self.orphaned += tuple(watcher.orphaned)
                self.problems += watcher.failures
            difference = rig.wait_quiet()
            if difference:
                self.problems.append(difference)
            self.problems += [f"stray key: {key}" for key in rig.strays()]
            if self.failover:
                self._learn_epochs(rig, watchers[0])
            final = self._judge(rig)
        (self.directory / "final.json").write_text(json.dumps(final._asdict()))
        self._check_errors()

    def _load_command(self, rig):
        options = self.options
        words = [TOOLS / "load", "--general", options.actors, "--consumers", 6, "--listeners", 6,
                 "--readers", options.readers, "--reader-door", rig.reader_door,
                 "--seconds", options.round, "--rate", options.rate, "--writes", options.writes,
                 "--seed", self.seed, "--history", self.history_path, "--fat"]
        for door in rig.doors:
            words += ["--door", door]
        if self.beside:
            words.append("--last-is-beside")    # a redis-server has no WEIR TOKEN
        elif not (self.failover and options.level == "eventual"):   # where nobody asks, losses are told as well
            words.append("--tokens")
        return [str(word) for word in words]

    def _disturb(self, rig):
        seconds = self.options.round - CALM - FIRST_FAULT
        plan = nemesis.make_plan(self.seed, seconds, self.faults, self.options.replicas)
        disturber = nemesis.Nemesis(rig, plan, seconds)
        load = subprocess.Popen(self._load_command(rig), stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(FIRST_FAULT)
            disturber.start()
            disturber.join()
            rig.heal()
            output, _ = load.communicate(timeout=self.options.round + 60)
        finally:
            disturber.stop()
            load.kill()
            load.wait()
        if load.returncode != 0:
            raise Finding(f"the load ended with status {load.returncode}")
        self.load = json.loads(output)
        self.happened = sorted(disturber.happened)
        self.problems += [f"nemesis: {failure}" for failure in disturber.failures]

    def _judge(self, rig):
        gc.disable()            # millions of tuples, and no cycles
        history = judge.read_history(self.history_path)
        final = rigs.final_state(rig.master, *judge.keys_of(history))
        if self.epochs:
            self.violations = list(epochs.judge_across(history, final, self.rules(), self.epochs))
            history = epochs.without_lost(history, self.epochs)
        else:
            self.violations = list(judge.judge(history, final, self.rules()))
        self.ages_ms = sorted(age / 1e6 for age in judge.ages(judge.find_versions(history, final.lists)[0]))
        gc.enable()
        return final

    def _learn_epochs(self, rig, watcher):
        rigs.wait_for(lambda: rig.taps[-1].offset() >= rig.master.info("replication")["master_repl_offset"],
                      what="the tap has all of the stream")
        for tap in rig.taps:
            tap.stop()
        try:
            self.epochs = epochs.learn(rig.taps, watcher.epochs, epochs.reports_in(rig.weir.log()))
        finally:
            epochs.save(rig.taps, self.directory)
        lost = {"bytes": sum(epoch.told() - epoch.kept for epoch in self.epochs[:-1]),
                "doubtful": sum(epoch.doubtful for epoch in self.epochs)}
        status = rig.weir.status()["lost_writes"]
        if lost.items() - status.items():
            self.problems.append(f"/status tells {status}, the log {lost}")

    def rules(self):
        return judge.Rules(self.options.level, self.options.scope, self.options.max_lag * 1_000_000, self.orphaned)

    def _check_errors(self):
        groups = {nemesis.FAULTS[name].group for name in self.faults} | ({"beside"} if self.beside else set())
        for word, count in self.load["errors"].items():
            if word.startswith("beside:") or (word == "TIMEOUT" and is_impatient(self.seed)):
                continue
            if not EXCUSED.get(word, set()) & groups:
                self.problems.append(f"{count} clients were told {word}")

    # ---- what to say about it

    @property
    def failed(self):
        return bool(self.violations or self.problems)

    def share(self):
        replicas, master = self.stats.get("reads_on_replicas", 0), self.stats.get("reads_on_master", 0)
        return 100 * replicas / max(1, replicas + master)

    def promise(self):
        return self.options.level + (f"/{self.options.scope}" if self.options.level == "session" else "")

    def name(self):
        more = (f" {self.weirs} weirs" if self.weirs > 1 else "") + (" beside" if self.beside else "")
        return f"{self.promise()}{more} seed {self.seed}"

    def line(self):
        text = (f"{self.name()}: {self.options.round:g} s, {self.load.get('operations', 0):,} operations, "
                f"{self.share():.0f} % of reads on replicas, {len(self.happened)} faults, "
                f"{len(self.violations)} violations")
        return text + (f", {len(self.problems)} other problems" if self.problems else "")

    def details(self):
        left = {name.removeprefix("left_"): value for name, value in sorted(self.stats.items())
                if name.startswith("left_") and value}
        return "\n".join([
            f"  faults:     {_counts(Counter(event.fault for event in self.happened))}",
            f"  errors:     {_counts(self.load.get('errors', {}))}",
            f"  outcomes:   {_counts({name: self.load.get(name, 0) for name in ('ok', 'fail', 'info')})}, "
            f"{self.load.get('sessions', 0):,} sessions",
            f"  on master:  {_counts(left)}; retried {self.stats.get('retried_reads', 0):,}",
            f"  age:        {self.ages()}",
        ] + [f"  epochs:     {len(self.epochs)}; lost bytes: {epochs.told(self.epochs)}" for _ in self.epochs[:1]])

    def ages(self):
        """How old reads were, of data that have an order."""
        if not self.ages_ms:
            return "unknown"
        old = [age for age in self.ages_ms if age > 0]
        return (f"{len(old):,} of {len(self.ages_ms):,} reads missed something acknowledged; "
                f"p99 {self.ages_ms[len(self.ages_ms) * 99 // 100]:.1f} ms, at most {self.ages_ms[-1]:.1f} ms")

    def complaints(self, most=8):
        lines = [f"  {_counts(Counter(violation.check for violation in self.violations))}"] if self.violations else []
        lines += [f"  {problem}" for problem in self.problems[:most]]
        for violation in self.violations[:most]:
            lines.append(f"  {violation.check} {violation.key}: {violation.text}")
            lines += [f"      {self.shown(op)}" for op in violation.ops]
        return "\n".join(lines)

    def shown(self, op):
        """One operation, in milliseconds since the start, and what was going wrong."""
        start = self.start_ns()
        around = [f"{event.fault} of {event.target}" for event in self.happened
                  if event.begin_ns <= op.returned and op.invoked <= event.end_ns]
        said = " ".join(json.dumps(value) for value in (op.wrote, op.read) if value is not None)
        return (f"{(op.invoked - start) / 1e6:.3f}..{(op.returned - start) / 1e6:.3f} ms session {op.session} "
                f"#{op.sequence} {op.name} {op.key} {said[:100]} {op.outcome}"
                + (f"   ({', '.join(around)})" if around else ""))

    def start_ns(self):
        with open(self.history_path) as history:
            return json.loads(history.readline())["opened"]

    def keep(self):
        """Copies everything to build/consistency/failed, and returns where."""
        KEPT.mkdir(parents=True, exist_ok=True)
        place = pathlib.Path(tempfile.mkdtemp(prefix=self.name().replace(" ", "-").replace("/", "-") + ".", dir=KEPT))
        shutil.copytree(self.directory, place, dirs_exist_ok=True)
        events = [event._asdict() for event in self.happened]
        (place / "run.json").write_text(json.dumps(
            {"rules": self.rules()._asdict(), "happened": events, "load": self.load, "stats": self.stats}, indent=1))
        (place / "findings.txt").write_text(f"{self.line()}\n{self.details()}\n{self.complaints(1000)}\n")
        return place

    def replay(self):
        options = self.options
        return (f"make soak LEVEL={options.level} SCOPE={options.scope} SECONDS={options.round:g} SEED={self.seed} "
                f"NEMESES={options.nemeses}" + options.more_words)


def _counts(counts):
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


# -------------------------------------------------------------- several runs

def carry_out(options, seed):
    """One round, told and judged."""
    with tempfile.TemporaryDirectory(prefix="weir-consistency.") as directory:
        run = Run(options, seed, directory)
        try:
            run.carry_out()
        except (AssertionError, Finding, OSError) as error:
            run.problems.append(f"{type(error).__name__}: {error}")
        print(run.line(), flush=True)
        if options.verbose:
            print(run.details())
        if run.failed:
            print(run.complaints())
            print(f"  kept in {run.keep().relative_to(TOP)}; again: {run.replay()}", flush=True)
        return run


def in_sum(runs):
    """What all rounds of one promise come to."""
    def added(pick):
        return sum((Counter(pick(run)) for run in runs), Counter())
    counts = added(lambda run: {name: run.load.get(name, 0) for name in ("operations", "info")})
    stats = added(lambda run: run.stats)
    reads = stats["reads_on_replicas"] + stats["reads_on_master"]
    return "\n".join([
        f"{runs[0].promise()}, {len(runs)} rounds: {sum(run.options.round for run in runs):g} s, "
        f"{counts['operations']:,} operations ({counts['info']:,} of unknown outcome), "
        f"{100 * stats['reads_on_replicas'] / max(1, reads):.0f} % of {reads:,} reads on replicas, "
        f"{sum(len(run.violations) for run in runs)} violations, {sum(len(run.problems) for run in runs)} other problems",
        f"  faults:     {_counts(added(lambda run: (event.fault for event in run.happened)))}",
        f"  errors:     {_counts(added(lambda run: run.load.get('errors', {})))}",
    ])


def read_options(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", default="session", choices=["eventual", "session", "strong", "all"])
    parser.add_argument("--scope", default="weir", choices=["weir", "connection"])
    parser.add_argument("--seconds", type=float, default=60, help="altogether; of each level with --level all")
    parser.add_argument("--round", type=float, default=60, help="seconds of one run")
    parser.add_argument("--seed", type=int, default=None, help="of the first run; at random")
    parser.add_argument("--nemeses", default="all", help=f"of {', '.join(nemesis.GROUPS)}, {', '.join(nemesis.FAULTS)}")
    parser.add_argument("--rate", type=int, default=10000, help="operations per second")
    parser.add_argument("--writes", type=int, default=25, help="percent")
    parser.add_argument("--actors", type=int, default=32, help="that read and write")
    parser.add_argument("--readers", type=int, default=6, help="of the actors on top: at the reads-only endpoint")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--weirs", type=int, default=None, help="by the seed: 1, or 2 with common servers")
    parser.add_argument("--max-lag", type=int, default=500, help="milliseconds")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args(words)
    options.round = min(options.round, options.seconds)
    options.seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    changed = [f"--{name.replace('_', '-')} {getattr(options, name)}"
               for name in ("rate", "writes", "actors", "readers", "replicas", "weirs", "max_lag")
               if getattr(options, name) != parser.get_default(name)]
    options.more_words = f" SOAK='{' '.join(changed)}'" if changed else ""
    return options


PROMISES = [("eventual", "weir"), ("session", "weir"), ("session", "connection"), ("strong", "weir")]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # leave by the way that ends the servers
    rigs.unlimited_files()
    options = read_options()
    good, seeds, rounds = True, itertools.count(options.seed), round(options.seconds / options.round)
    for level, scope in PROMISES if options.level == "all" else [(options.level, options.scope)]:
        options.level, options.scope = level, scope
        runs = [carry_out(options, seed) for seed in itertools.islice(seeds, rounds)]
        if len(runs) > 1:
            print(in_sum(runs), flush=True)
        good = good and not any(run.failed for run in runs)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
