#!/usr/bin/python3
"""chaos.py [counts] [--vanish N] [--kills N] [--stalls N] [--masters N] [--weirs N] [--seed N]
chaos.py soak --minutes N [--rate N] [--mischief PERCENT] [--seed N]

A master, three replicas and weir, with the fault relay on every link, and
witnesses who check every reply and keep a journal of every write.

counts: clients vanish at random points while replicas are killed, servers stand
still and the master is restarted, until each has happened as often as asked;
then weir itself is restarted under load, half of the times by kill -9. Prints
mix-ups, doubled and lost writes, and weir's memory and descriptors before and
after.

soak: a lasting load in which about one burst in a hundred is broken off or is
rubbish and every server and link is disturbed for about one second in a hundred.
Prints a line a minute, and the errors by kind at the end (or at SIGTERM).

Exit status 1: a mix-up, a doubled or a lost write, a leaked descriptor.
"""
import argparse
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/consistency"))

import nemesis  # noqa: E402
from rig import Lab, Rig, Watcher, unlimited_files, wait_for  # noqa: E402
from witness import Tally, Vanisher, Witness, audit  # noqa: E402

WITNESSES, VANISHERS, REPLICAS = 8, 6, 3
WARM_UP = 8.0           # seconds of the same load before memory is looked at
STILL_CLIENTS = 50      # descriptors that may differ: connections are opened when they are needed
CONFIG = {"proxy": {"workers": 2}, "routing": {"write_hold": "30s"}}


class Stage:
    """What everything happens on. `binary` of weir: as the tests say."""

    def __init__(self, lab, seed):
        self.seed, self.tally = seed, Tally()
        self.rig = Rig(lab, seed, CONFIG, REPLICAS)
        self.watcher = Watcher(self.rig.weir, self.rig)
        self.watcher.start()
        self.witnesses, self.happened, self.failures = [], Counter(), []

    @property
    def weir(self):
        return self.rig.weir

    def witness(self, rate=0, mischief=0):
        """As many of them as there are, some behind the relay's door."""
        found = [Witness(self.rig.door if n % 2 else self.weir.port, n, self.tally, self.seed, rate, mischief)
                 for n in range(WITNESSES)]
        for mine, before in zip(found, self.witnesses):     # the same keys: the journal goes on
            mine.lists, mine.counter, mine.nonce = before.lists, before.counter, before.nonce
            mine.issued, mine.acknowledged = before.issued, before.acknowledged
        self.witnesses = found
        start(self.witnesses)

    def dismiss(self):
        end(self.witnesses)

    def vanishers(self, count):
        first = self.vanished = getattr(self, "vanished", 0) + VANISHERS     # each writes under a number of its own
        found = [Vanisher(self.weir.port, first + n, self.tally, self.seed, count) for n in range(VANISHERS)]
        start(found)
        return found

    def quiet(self):
        """Everybody is well and nobody is there: (resident bytes, descriptors)."""
        self.rig.heal()
        self.rig.wait_usable(60)
        wait_for(lambda: self.weir.metrics()["weir_clients_connected"] == 0, 30, "all have left")
        time.sleep(2)       # what is swallowed, reopened and freed a little later
        return self.weir.rss_bytes(), self.weir.open_files()

    def disturb(self, fault, target, dice):
        try:
            for seconds in nemesis.FAULTS[fault].run(self.rig, target, dice):
                time.sleep(seconds)
        except Exception as error:      # noqa: BLE001: told at the end
            self.failures.append(f"{fault} of {getattr(target, 'name', target)}: {error!r}")
        else:
            self.happened[fault] += 1


def start(threads):
    for thread in threads:
        thread.start()


def end(threads):
    for thread in threads:
        thread.stopping.set()
    for thread in threads:
        thread.join(90)


# ------------------------------------------------------------------ counts

class Deck:
    """The faults that are still due; each lane takes the next that fits it."""

    def __init__(self, due, dice):
        self.lock, self.due = threading.Lock(), list(due)
        dice.shuffle(self.due)

    def take(self, kinds):
        with self.lock:
            found = next((fault for fault in self.due if fault in kinds), None)
            if found is not None:
                self.due.remove(found)
            return found


def run_lane(stage, deck, target, kinds, gap):
    dice = random.Random(f"{stage.seed} {target.name}")
    while (fault := deck.take(kinds)) is not None:
        stage.disturb(fault, target, dice)
        time.sleep(dice.uniform(*gap))
        if fault == "kill_master":      # accepted, and followed again: else the rest meets nobody
            stage.rig.wait_usable(60)


def faults_at_once(stage, options):
    """Everything but restarts of weir, until all of it has happened."""
    deck = Deck(["kill"] * options.kills + ["stop"] * (options.stalls // 2)
                + ["stop_master"] * (options.stalls - options.stalls // 2) + ["kill_master"] * options.masters,
                random.Random(stage.seed))
    lanes = [threading.Thread(target=run_lane, args=(stage, deck, target, kinds, gap), daemon=True)
             for target, kinds, gap in [*((replica, {"kill", "stop"}, (0.1, 0.5)) for replica in stage.rig.replicas),
                                        (stage.rig.master, {"stop_master", "kill_master"}, (0.2, 0.8))]]
    vanishers = stage.vanishers(options.vanish)
    start(lanes)
    for thread in lanes + vanishers:
        thread.join()


def restarts(stage, count):
    dice = random.Random(stage.seed)
    for n in range(count):
        time.sleep(dice.uniform(0.3, 1.0))
        stage.disturb("kill_weir" if n % 2 else "restart_weir", stage.weir, dice)
        stage.rig.wait_usable(60)


def reasons(metrics):
    """Why weir has closed clients, by its own counters."""
    found = {name.split('"')[1]: value for name, value in metrics.items() if name.startswith("weir_client_closed_total{")}
    return ", ".join(f"{reason} {count:.0f}" for reason, count in sorted(found.items(), key=lambda row: -row[1]) if count)


def counts(stage, options):
    stage.witness()
    stage.vanishers(options.vanish // 20)
    time.sleep(WARM_UP)
    stage.dismiss()
    before = stage.quiet()
    stage.tally.counts["vanished"] = 0
    begun = time.monotonic()
    stage.witness()
    faults_at_once(stage, options)
    stage.dismiss()
    after = stage.quiet()
    took = time.monotonic() - begun
    metrics = stage.weir.metrics()
    stage.witness()
    restarts(stage, options.weirs)
    stage.dismiss()
    last = stage.quiet()
    print(f"weir's memory: {before[0] / 2**20:.1f} MiB before, {after[0] / 2**20:.1f} MiB after {took:.0f} s of faults, "
          f"{last[0] / 2**20:.1f} MiB in its last life; descriptors: {before[1]} before, {after[1]} after")
    print(f"connections lost to a desync: {metrics['weir_backend_desync_total']:.0f}; clients closed: {reasons(metrics)}")
    return [f"descriptors were leaked: {before[1]}, {after[1]}"] if after[1] > before[1] + STILL_CLIENTS else []


# -------------------------------------------------------------------- soak

SOAK_LANES = {"replica": ["stop", "kill", "pause", "resync"], "master": ["stop_master", "hold_writes", "kill_master"],
              "link": ["latency", "rate", "slice", "reset", "close", "half_open", "blackhole", "limit"]}


def soak_lane(stage, group, name, stopping):
    """One of its faults every now and then: they last about a second, and
    there are a hundred of quiet around them."""
    target = {"replica": lambda: next(r for r in stage.rig.replicas if r.name == name),
              "master": lambda: stage.rig.master, "link": lambda: name}[group]()
    dice = random.Random(f"{stage.seed} {group} {name}")
    while not stopping.wait(dice.expovariate(1 / 100)):
        stage.disturb(dice.choice(SOAK_LANES[group]), target, dice)


def soak(stage, options):
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stage.witness(options.rate / WITNESSES, options.mischief)
    lanes = [threading.Thread(target=soak_lane, args=(stage, group, name, stopping), daemon=True)
             for group in SOAK_LANES for name in nemesis.targets(group, REPLICAS)]
    start(lanes)
    begun, rows = time.monotonic(), []
    for minute in range(1, options.minutes + 1):
        if stopping.wait(max(0, begun + minute * 60 - time.monotonic())):
            break
        rows.append((minute, stage.weir.rss_bytes(), stage.weir.open_files()))
        print(f"minute {minute}: {rows[-1][1] / 2**20:.2f} MiB, {rows[-1][2]} descriptors, "
              f"{stage.tally.counts['commands']:,} replies, {sum(stage.happened.values())} faults, "
              f"{len(stage.tally.mixups)} mix-ups", flush=True)
    stopping.set()
    for lane in lanes:
        lane.join(60)
    stage.dismiss()
    rss, descriptors = stage.quiet()
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes; memory at minute 10 "
          f"{next((row[1] / 2**20 for row in rows if row[0] == 10), float('nan')):.2f} MiB, at the end "
          f"{rows[-1][1] / 2**20 if rows else float('nan'):.2f} MiB under load, {rss / 2**20:.2f} MiB when all have left, "
          f"{descriptors} descriptors")
    return []


# ------------------------------------------------------------------ report

def report(stage, wrong, looked_at):
    print(f"{stage.tally.counts['commands']:,} replies checked, {stage.tally.counts['vanished']:,} clients vanished, "
          f"{stage.tally.counts['mischief']:,} broke off or talked rubbish")
    print(f"faults: {', '.join(f'{name} {count}' for name, count in sorted(stage.happened.items()))}")
    print(f"errors by kind: {', '.join(f'{name} {count}' for name, count in stage.tally.errors.most_common()) or 'none'}")
    print(f"mix-ups: {len(stage.tally.mixups)}; reads older than what was acknowledged: {stage.tally.counts['stale']}; "
          f"{looked_at:,} writes audited, {sum('doubled' in line for line in wrong)} doubled, "
          f"{sum('lost' in line for line in wrong)} lost, {len(wrong)} wrong in all")
    for line in stage.failures[:5] + stage.tally.mixups[:10] + wrong[:10]:
        print(f"  {line}")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="counts", choices=["counts", "soak"])
    parser.add_argument("--vanish", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stalls", type=int, default=100)
    parser.add_argument("--masters", type=int, default=50)
    parser.add_argument("--weirs", type=int, default=20)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=int, default=1000, help="commands per second in a soak")
    parser.add_argument("--mischief", type=float, default=1, help="percent of the bursts in a soak")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unlimited_files()
    options = read_options()
    print(f"{options.what}, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weir-chaos.") as directory, Lab(directory) as lab:
        stage = Stage(lab, options.seed)
        wrong = {"counts": counts, "soak": soak}[options.what](stage, options)
        stage.watcher.stop()
        difference = stage.rig.wait_quiet()
        found, looked_at = audit(stage.rig.master, stage.witnesses)
        wrong += found + ([difference] if difference else [])
        report(stage, wrong, looked_at)
    return 1 if wrong or stage.tally.mixups or stage.failures else 0


if __name__ == "__main__":
    sys.exit(main())
