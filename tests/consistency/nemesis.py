"""The nemeses: what goes wrong during a run, when, and how long.

Every fault is a generator: it does harm, yields how many seconds that lasts, and
then makes good. Faults are planned beforehand from the seed: each target has a
lane of its own, in which one fault follows the other, so the same seed gives the
same faults at the same moments.

    plan = make_plan(seed, seconds, choose(["replica", "link"]), replica_count)
    nemesis = Nemesis(rig, plan); nemesis.start(); ...; nemesis.join()
"""
import pathlib
import random
import shutil
import threading
import time
from collections import Counter
from typing import NamedTuple

import redis

from rig import HOST, wait_for

# Seconds from one fault of a lane to the next, at least and at most.
GAPS = {"replica": (0.8, 3), "link": (0.8, 3), "master": (0.6, 2), "weir": (0.8, 3), "switchover": (0.2, 1),
        "failover": (0.3, 1.5)}


# ---- replicas

def stop(rig, replica, dice):
    """SIGSTOP: it is there, and says nothing."""
    replica.freeze()
    yield dice.uniform(0.05, 2)
    replica.thaw()


def kill(rig, replica, dice):
    """kill -9; it comes back empty."""
    replica.kill()
    yield dice.uniform(0, 0.5)
    _forget_data(replica)
    replica.start()
    yield dice.uniform(0, 0.3)


def pause(rig, replica, dice):
    """It answers, follows its master, says so, and applies nothing: old data."""
    seconds = dice.uniform(0.05, 2.5)
    replica.cli("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")
    yield seconds
    replica.cli("CLIENT", "UNPAUSE")


def elsewhere(rig, replica, dice):
    """It follows another master: other data under the same keys."""
    replica.cli("REPLICAOF", HOST, rig.stranger.port)
    yield dice.uniform(0.1, 1)
    rig.follow(replica)


def old_rdb(rig, replica, dice):
    """kill -9; it comes back with what it had some time ago."""
    directory = pathlib.Path(replica.directory)
    dump, old = directory / "dump.rdb", directory / "old.rdb"
    replica.kill()
    _forget_data(replica)
    if old.exists():
        shutil.copy(old, dump)
    yield dice.uniform(0, 0.3)
    replica.start()
    yield dice.uniform(0, 0.5)
    wait_for(lambda: replica.cli("SAVE"), 20, "SAVE")
    shutil.move(dump, old)


def _forget_data(replica):
    (pathlib.Path(replica.directory) / "dump.rdb").unlink(missing_ok=True)


def resync(rig, replica, dice):
    """A full resync while it serves: its history is made worthless, and its link is
    cut. At once, for nobody shall take it for a master."""
    with replica.client() as client:
        pipe = client.pipeline(transaction=True)
        pipe.execute_command("REPLICAOF", "NO", "ONE")
        pipe.execute_command("DEBUG", "CHANGE-REPL-ID")
        pipe.execute_command("REPLICAOF", HOST, rig.feed)
        pipe.execute()
    yield dice.uniform(0.1, 0.5)


# ---- links

def latency(rig, link, dice):
    rig.relay.toxic(link, "both", "latency", dice.choice([1, 5, 20, 60]), dice.choice([0, 1, 10]))
    yield dice.uniform(0.2, 2)
    rig.relay.clear(link)


def rate(rig, link, dice):
    """A narrow line."""
    rig.relay.toxic(link, dice.choice(["up", "down", "both"]), "rate", dice.choice([20_000, 100_000, 400_000]))
    yield dice.uniform(0.2, 2)
    rig.relay.clear(link)


def slices(rig, link, dice):
    """Everything arrives in little pieces."""
    size = dice.choice([64, 300, 1000]) if link == "door" else dice.choice([1, 7, 64, 300])
    rig.relay.toxic(link, "both", "slice", size, dice.choice([0, 0, 100]))
    yield dice.uniform(0.2, 1.5)
    rig.relay.clear(link)


def reset(rig, link, dice):
    """Connections are reset, and new ones for some time."""
    if dice.random() < 0.5:
        rig.relay.toxic(link, "both", "refuse", 1)
    rig.relay.cut(link, "reset")
    yield dice.uniform(0, 1)
    rig.relay.clear(link)


def close(rig, link, dice):
    rig.relay.cut(link, "close")
    yield dice.uniform(0, 0.2)


def half_open(rig, link, dice):
    """One direction stands still; then it goes on, or the connection breaks."""
    rig.relay.toxic(link, dice.choice(["up", "down"]), "stall", 1)
    yield dice.uniform(0.1, 2)
    if dice.random() < 0.5:
        rig.relay.cut(link, "reset")
    rig.relay.clear(link)


def blackhole(rig, link, dice):
    """Bytes vanish both ways; whoever lost some is reset afterwards."""
    rig.relay.toxic(link, "both", "blackhole", 1)
    yield dice.uniform(0.1, 2)
    rig.relay.clear(link)


def limit(rig, link, dice):
    """Connections break after some bytes, wherever that is in a request or reply."""
    rig.relay.toxic(link, dice.choice(["up", "down"]), "limit", dice.choice([1, 200, 5_000, 60_000]))
    yield dice.uniform(0.2, 1)
    rig.relay.clear(link)


# ---- the master

def stop_master(rig, master, dice):
    master.freeze()
    yield dice.uniform(0.05, 1.5)
    master.thaw()


def hold_writes(rig, master, dice):
    """It takes no writes for a while."""
    seconds = dice.uniform(0.05, 1)
    master.cli("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")
    yield seconds
    master.cli("CLIENT", "UNPAUSE")


def kill_master(rig, master, dice):
    """kill -9, and back with all that it had acknowledged: only with an AOF. It has
    lost its history, though not its data: the operator (Watcher) accepts it."""
    master.kill()
    yield dice.uniform(0, 0.5)
    master.start()


def end_master(rig, master, dice):
    """An orderly end and a new start: all is kept."""
    master.end()
    yield dice.uniform(0, 0.5)
    master.start()


# ---- weir

def kill_weir(rig, weir, dice):
    weir.kill()
    yield dice.uniform(0, 0.3)
    weir.start()


def restart_weir(rig, weir, dice):
    status = weir.end()
    assert status == 0, f"weir answered SIGTERM with status {status}"
    weir.start()
    yield 0


# ---- who is the master

def switchover(rig, weir, dice):
    """Another server is the master for a while."""
    rig.switch(f"node{dice.randint(1, len(rig.replicas))}")
    yield dice.uniform(0.1, 1.5)
    rig.switch(rig.master.name)


# ---- the master is lost, and weir makes another one the master

def lose_killed(rig, master, dice):
    """kill -9; it comes back empty when there is another one. Sooner the servers
    themselves would follow it, and be empty as well."""
    yield from _fall_behind(rig, dice)
    master.kill()
    _cut_feeds(rig)
    wait_for(lambda: rig.master is not master, 30, f"another one than {master.name} is the master")
    yield dice.uniform(0, 1)
    _forget_data(master)
    master.start()
    rig.wait_usable()


def lose_stopped(rig, master, dice):
    """SIGSTOP until there is another one. It goes on with what it had: with clients'
    commands, with replicas, and with data that nobody else has."""
    yield from _fall_behind(rig, dice)
    master.freeze()
    _cut_feeds(rig)
    wait_for(lambda: rig.master is not master, 30, f"another one than {master.name} is the master")
    yield dice.uniform(0, 1)
    master.thaw()
    rig.wait_usable()


def lose_briefly(rig, master, dice):
    """SIGSTOP, and back at about the moment at which somebody is promoted."""
    yield from _fall_behind(rig, dice)
    master.freeze()
    _cut_feeds(rig)
    yield dice.uniform(0.8, 3.5)
    master.thaw()
    rig.wait_usable()


def _fall_behind(rig, dice):
    """Some replicas, or all of them, receive nothing for a moment: what they lack then
    is lost with the master, unless another one has it."""
    late = dice.choice([0, 0.5, 1])
    for link in rig.feeds():
        if dice.random() < late:
            rig.relay.toxic(link, "down", "stall", 1)
    yield dice.uniform(0, 0.3)


def _cut_feeds(rig):
    for link in rig.feeds():
        rig.relay.cut(link, "reset")
        rig.relay.clear(link)


class Fault(NamedTuple):
    group: str
    run: object


FAULTS = {
    "stop": Fault("replica", stop),
    "kill": Fault("replica", kill),
    "pause": Fault("replica", pause),
    "elsewhere": Fault("replica", elsewhere),
    "old_rdb": Fault("replica", old_rdb),
    "resync": Fault("replica", resync),
    "latency": Fault("link", latency),
    "rate": Fault("link", rate),
    "slice": Fault("link", slices),
    "reset": Fault("link", reset),
    "close": Fault("link", close),
    "half_open": Fault("link", half_open),
    "blackhole": Fault("link", blackhole),
    "limit": Fault("link", limit),
    "stop_master": Fault("master", stop_master),
    "hold_writes": Fault("master", hold_writes),
    "kill_master": Fault("master", kill_master),
    "end_master": Fault("master", end_master),
    "kill_weir": Fault("weir", kill_weir),
    "restart_weir": Fault("weir", restart_weir),
    "switchover": Fault("switchover", switchover),
    "lose_killed": Fault("failover", lose_killed),
    "lose_stopped": Fault("failover", lose_stopped),
    "lose_briefly": Fault("failover", lose_briefly),
}
GROUPS = sorted({fault.group for fault in FAULTS.values()})
MOVES = {"switchover", "failover"}      # another server becomes the master


def choose(words, persistence="aof"):
    """The names of faults that are meant by names of faults and groups. Without an
    AOF a master that is killed would lose what it has acknowledged. Where the master
    changes, the servers must be as such a change wants them: that has to be named."""
    known = set(FAULTS) | set(GROUPS) | {"all", "none"}
    assert not set(words) - known, f"{sorted(set(words) - known)} is not among {sorted(known)}"
    return [name for name, fault in FAULTS.items()
            if {name, fault.group} & set(words) or ("all" in words and fault.group not in MOVES)
            if not (name == "kill_master" and persistence != "aof")]


# ---- the plan

class Planned(NamedTuple):
    at: float           # seconds after the start
    fault: str
    seed: int


def targets(group, replica_count):
    numbers = range(1, replica_count + 1)
    return {"replica": [f"replica{n}" for n in numbers],
            "link": ["door", "master", *(f"node{n}" for n in numbers), *(f"repl{n}" for n in numbers)],
            "master": ["master"],
            "weir": ["weir"],
            "switchover": ["weir"],
            "failover": ["master"]}[group]


def make_plan(seed, seconds, names, replica_count):
    """{(group, target): [Planned]}, by the seed alone."""
    plan = {}
    for group in GROUPS:
        mine = [name for name in names if FAULTS[name].group == group]
        for target in targets(group, replica_count) if mine else ():
            plan[group, target] = _plan_lane(random.Random(f"{seed} {group} {target}"), seconds, mine, GAPS[group])
    return plan


def _plan_lane(dice, seconds, names, gap):
    """All of the faults come equally often: they are dealt like cards."""
    lane, deck, at = [], [], dice.uniform(0, gap[1])
    while at < seconds:
        deck = deck or dice.sample(names, len(names))
        lane.append(Planned(at, deck.pop(), dice.getrandbits(32)))
        at += dice.uniform(*gap)
    return lane


# ---- carrying it out

class Happened(NamedTuple):
    begin_ns: int
    end_ns: int
    fault: str
    target: str


class Nemesis:
    """A thread for each lane. `happened` tells afterwards what was, `failures`
    what could not be done. After `seconds` nothing is begun, planned or not."""

    def __init__(self, rig, plan, seconds):
        self.rig = rig
        self.seconds = seconds
        self.happened = []
        self.failures = []
        self.begun = time.monotonic()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._lane, args=(group, target, lane), daemon=True)
                        for (group, target), lane in plan.items()]

    def start(self):
        self.begun = time.monotonic()
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def stop(self):
        """No new faults; what has begun is made good."""
        self.stopping.set()
        self.join()

    def counts(self):
        return Counter(event.fault for event in self.happened)

    def _object(self, group, target):
        return {"replica": lambda: next(r for r in self.rig.replicas if r.name == target),
                "link": lambda: target,
                "master": lambda: self.rig.master,
                "weir": lambda: self.rig.weir,
                "switchover": lambda: self.rig.weir,
                "failover": lambda: self.rig.master}[group]()

    def _lane(self, group, target, lane):
        for planned in lane:
            if self.stopping.wait(max(0, self.begun + planned.at - time.monotonic())) or self._is_late():
                return
            begin = time.monotonic_ns()
            try:
                self._carry_out(planned, self._object(group, target))
            except (redis.RedisError, AssertionError, OSError) as error:
                self.failures.append(f"{planned.fault} of {target}: {error}")
            else:
                self.happened.append(Happened(begin, time.monotonic_ns(), planned.fault, target))

    def _is_late(self):
        return time.monotonic() - self.begun > self.seconds

    def _carry_out(self, planned, target):
        for seconds in FAULTS[planned.fault].run(self.rig, target, random.Random(planned.seed)):
            time.sleep(seconds)
