#!/usr/bin/python3
"""sentinel_failovers.py [--count N] [--kill]

N failovers by three real sentinels under writes through two weirs: half of a
switchover's promises cannot be had where Sentinel decides, and this measures
which. Each writer appends 1, 2, 3, ... to a list of its own and waits for every answer.

Printed for each: how long until both weirs have written to the new master, counted
from the command (or the kill), and how long the longest answer took; at the end the
acknowledged writes that the last master does not have, those that it has twice, and
errors by kind. --kill kills the master
instead of asking for a failover; it is started again afterwards.
"""
import argparse
import collections
import pathlib
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Lab, wait_for  # noqa: E402
from test_sentinel import NAME, Watched, master_of  # noqa: E402

WRITERS_PER_WEIR = 5
DOWN_AFTER_MS = 1500    # less makes sentinels on a busy machine fail over for nothing
PAUSE = 0.001     # seconds between a writer's writes


class Writer(threading.Thread):
    """One connection to one weir."""

    def __init__(self, weir, key):
        super().__init__(daemon=True)
        self.weir, self.key = weir, key
        self.acknowledged = []
        self.longest = 0.0
        self.errors = collections.Counter()
        self.stop = False

    def run(self):
        with self.weir.raw(timeout=60) as raw:
            number = 0
            while not self.stop:
                number += 1
                begin = time.monotonic()
                reply = raw.command("RPUSH", self.key, number)
                self.longest = max(self.longest, time.monotonic() - begin)
                if isinstance(reply, int):
                    self.acknowledged.append(number)
                else:
                    self.errors[str(reply).split()[0]] += 1
                time.sleep(PAUSE)


def verdict(server, writers):
    """(acknowledged writes that this server does not have, writes that it has twice)"""
    lost = doubled = 0
    with server.raw() as raw:
        for writer in writers:
            there = [int(one) for one in raw.command("LRANGE", writer.key, 0, -1)]
            lost += len(set(writer.acknowledged) - set(there))
            doubled += len(there) - len(set(there))
    return lost, doubled


def fail_over(group, writers, kill):
    old = group.server(group.sentinels[0].master())
    named = old.address
    for writer in writers:
        writer.longest = 0.0
    begin = time.monotonic()
    if kill:
        old.kill()
    else:
        group.sentinels[0].ask("FAILOVER", NAME)
    wait_for(lambda: all(master_of(weir) not in (None, named) for weir in group.weirs), 60, "both have moved",
             interval=0.002)
    marks = [len(writer.acknowledged) for writer in writers]
    wait_for(lambda: all(len(writer.acknowledged) > mark for writer, mark in zip(writers, marks)), 60, "all write again",
             interval=0.002)
    took = time.monotonic() - begin
    if kill:
        old.start()
    group.agreed(named)
    wait_for(lambda: old.info("replication")["role"] == "slave", 60, "the old one follows")
    for weir in group.weirs:
        weir.wait_state("ok", 60)
    return took, max(writer.longest for writer in writers)



def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # leave by the way that ends the servers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()

    directory = tempfile.mkdtemp(prefix="weir-sentinel.")
    with Lab(directory) as lab:
        group = Watched(lab, weirs=2, down_after=DOWN_AFTER_MS, config={"routing": {"write_hold": "20s"}, "log": {"level": "notice"}})
        writers = [Writer(weir, f"w{n}:{k}") for n, weir in enumerate(group.weirs) for k in range(WRITERS_PER_WEIR)]
        for writer in writers:
            writer.start()
        rows = []
        for number in range(options.count):
            rows.append(fail_over(group, writers, options.kill))
            print(f"{number + 1:3}: both write after {rows[-1][0]:6.3f} s, longest answer {rows[-1][1]:6.3f} s", flush=True)
        for writer in writers:
            writer.stop = True
            writer.join(70)
        errors = sum((writer.errors for writer in writers), collections.Counter())
        written = sum(len(writer.acknowledged) for writer in writers)
        lost, doubled = verdict(group.server(master_of(group.weirs[0])), writers)
    took, longest = zip(*rows)
    print(f"{options.count} failovers ({'kill -9' if options.kill else 'SENTINEL FAILOVER'}), {written} writes acknowledged: "
          f"until both write median {statistics.median(took):.3f} s, most {max(took):.3f} s; longest answer "
          f"{max(longest):.3f} s; acknowledged and lost {lost}, doubled {doubled}; errors {dict(errors) or 'none'}")
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
