"""Redis' own suite, unit by unit: what is skipped, one run of one unit, and
the judgement over a bare run and one through weir. Knows no server: a run is
given a host and a port."""
import collections
import dataclasses
import os
import pathlib
import re
import signal
import subprocess

Skip = collections.namedtuple("Skip", "unit test reason")

# "[ok]: name (3 ms)", with or without colours.
REPORT = re.compile(r"^\[(?:\x1b\[[\d;]*m)?(ok|err|skip|exception)(?:\x1b\[0m)?\]: (.*)$")
DONE = re.compile(r"^\[\d+/\d+ (?:\x1b\[[\d;]*m)?done(?:\x1b\[0m)?\]: ")
TIMING = re.compile(r" \(\d+ ms\)$")
FAILED_IN = re.compile(r" in tests/\S+\.tcl$")


class SkipError(Exception):
    """skip.txt is not what it has to be."""


def read_skips(path):
    """skip.txt: `unit | test | reason` on each line; empty lines and those that
    begin with # are for people."""
    skips = []
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != 3 or not all(fields):
            raise SkipError(f"{path}:{number}: not `unit | test | reason`: {line}")
        if fields[1].startswith("/"):
            raise SkipError(f"{path}:{number}: a pattern, tests have to be named: {line}")
        skip = Skip(*fields)
        if any((skip.unit, skip.test) == (other.unit, other.test) for other in skips):
            raise SkipError(f"{path}:{number}: listed twice: {skip.test}")
        skips.append(skip)
    return skips


@dataclasses.dataclass
class Outcome:
    """What one run of one unit came to."""
    passed: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    failed: dict = dataclasses.field(default_factory=dict)   # test: what the suite said
    skipped: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    broken: str = ""        # why the unit did not come to its end; "": it did
    seconds: float = 0.0

    @property
    def touched(self):
        """It may have left something in the server."""
        return bool(self.passed or self.failed or self.broken)


def parse(output, status):
    """The suite's output and exit status as an Outcome."""
    outcome = Outcome()
    done = False
    details = None      # lines that belong to a failure just reported
    for line in output.splitlines():
        report = REPORT.match(line)
        if report is None:
            if line.startswith("[") or not line:
                details = None
            done = done or DONE.match(line) is not None
            if details is not None:
                details.append(line)
            continue
        kind, text = report.groups()
        details = None
        if kind == "ok":
            outcome.passed[TIMING.sub("", text)] += 1
        elif kind == "skip":
            outcome.skipped[text] += 1
        else:
            details = outcome.failed.setdefault(FAILED_IN.sub("", text), [])
            if kind == "exception":
                outcome.broken = f"aborted: {text}"
    if not outcome.broken and not done:
        outcome.broken = f"aborted: the suite ended with status {status} in the middle"
    elif not outcome.broken and (status == 0) != (not outcome.failed):
        outcome.broken = f"aborted: status {status}, but {len(outcome.failed)} failures"
    return outcome


def read_units(path):
    """A list of units: one a line; those that begin with # are for people."""
    lines = (line.strip() for line in pathlib.Path(path).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def list_units(suite):
    listed = subprocess.run(["./runtest", "--list-tests"], cwd=suite, stdout=subprocess.PIPE, text=True, check=True)
    return listed.stdout.split()


class Run:
    """One run of one unit against a server, in a private copy of the suite."""

    def __init__(self, suite, unit, address, base_port, skips=()):
        host, port = address.split(":")
        self.argv = ["./runtest", "--host", host, "--port", port, "--baseport", str(base_port),
                     "--tags", "-slow", "--single", unit]
        for skip in skips:
            self.argv += ["--skiptest", skip.test]
        self.child = subprocess.Popen(self.argv, cwd=suite, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True)

    def finish(self, limit):
        """(Outcome, output) once it ends, or after `limit` seconds."""
        hung = False
        try:
            output, _ = self.child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            hung = True
            self.kill()
            output, _ = self.child.communicate()
        finally:
            self.kill()     # and whatever it left behind
        output = output.decode(errors="replace")
        outcome = parse(output, self.child.returncode)
        if hung:
            outcome.broken = f"hung: stopped after {limit:g} s"
        return outcome, output

    def kill(self):
        """Ends all of it: the suite works in several processes."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def without_its_own(bare, through):
    """Both, without the tests that the bare server fails: it is another server
    than the one that the suite was written for. Whether they fail through weir
    as well is no matter; that nothing aborts is."""
    spared = [dataclasses.replace(outcome, failed={test: details for test, details in outcome.failed.items()
                                                   if test not in bare.failed}) for outcome in (bare, through)]
    # One name may stand for several tests, of which some pass.
    spared[1].passed = collections.Counter({
        test: min(count, bare.passed[test]) if test in bare.failed else count for test, count in through.passed.items()})
    return spared


def judge(bare, through, skips, own_failures=False):
    """What is wrong with one unit, as lines; [] when it passes. Every test that
    passed bare has to pass through weir, or to be listed in skip.txt."""
    if own_failures:
        bare, through = without_its_own(bare, through)
    wrong = [f"{mode}: {outcome.broken}" for mode, outcome in (("bare", bare), ("weir", through)) if outcome.broken]
    for mode, outcome in (("bare", bare), ("weir", through)):
        for test, details in outcome.failed.items():
            wrong.append("\n    ".join([f"{mode}: failed: {test}", *details]))
    for skip in skips:
        if not through.skipped[skip.test]:
            wrong.append(f"skip.txt: matches no test: {skip.test}")
        elif not bare.passed[skip.test]:
            wrong.append(f"skip.txt: does not pass bare either: {skip.test}")
    unlisted = through.skipped - collections.Counter({skip.test: through.skipped[skip.test] for skip in skips})
    wrong += [f"weir: skipped without being listed: {test}" for test in unlisted]
    missing = [test for test in bare.passed - through.passed - through.skipped if test not in through.failed]
    if through.broken:
        wrong.append(f"weir: {len(missing)} tests that passed bare did not run")
    else:
        wrong += [f"weir: passed bare, but did not run: {test}" for test in missing]
    surplus = through.passed + through.skipped - bare.passed
    wrong += [f"weir: passed or skipped, but did not pass bare: {test}" for test in surplus if test not in bare.failed]
    return wrong


def report(results, skips, own_failures=False):
    """Prints the table, the skips and what is wrong. `results` is {unit: (bare,
    through weir)}; True when nothing is wrong."""
    wrong = []
    totals = collections.Counter()
    print(f"\n{'unit':32} {'bare':>6} {'weir':>6} {'failed':>6} {'skipped':>7} {'seconds':>15}")
    for unit, (bare, through) in results.items():
        wrong += [(unit, line) for line in judge(bare, through, [skip for skip in skips if skip.unit == unit], own_failures)]
        counts = {"bare": bare.passed.total(), "passed": through.passed.total(), "failed": len(through.failed),
                  "skipped": through.skipped.total()}
        totals.update(counts)
        if bare.touched or through.touched or through.skipped:
            print("{:32} {:6} {:6} {:6} {:7} {:7.1f} {:7.1f}".format(unit, *counts.values(), bare.seconds, through.seconds))
    print(f"{'all':32} {totals['bare']:6} {totals['passed']:6} {totals['failed']:6} {totals['skipped']:7}")
    if skips:
        print("\nskipped, and why")
    for skip in skips:
        print(f"  {skip.unit}: {skip.test}\n    {skip.reason}")
    if wrong:
        print("\nwrong")
    for unit, line in wrong:
        print(f"  {unit}: {line}")
    print(f"\n{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped")
    return not wrong
