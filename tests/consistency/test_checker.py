"""The checker's teeth: what is known to be bad must be found, what is known to be
good must pass. No weir here: the load talks to servers, over the relay."""
import json
import subprocess
import time

import pytest

import judge
import nemesis
from harness import HOST, wait_for
from rig import TOOLS, Relay, final_state
from judge import Rules

STRICT = [Rules("session", "connection"), Rules("session", "weir"), Rules("strong")]


class Pair:
    """A master, and a replica behind the relay."""

    def __init__(self, lab, *master_args):
        self.relay = Relay(lab.directory)
        lab.processes.append(self.relay)
        self.master = lab.redis("--repl-backlog-size", "1mb", *master_args, name="master")
        feed = self.relay.link("repl", self.master.port)
        self.replica = lab.redis("--replicaof", HOST, feed, name="replica")
        wait_for(lambda: self.replica.info("replication")["master_link_status"] == "up", what="the replica is in sync")


class Load:
    """The load, running. check() waits for its end and lets the judge see."""

    def __init__(self, lab, master, seconds=2, reads_at=None, **options):
        self.master, self.path = master, lab.directory / "history.json"
        words = [TOOLS / "load", "--door", master.port, "--seconds", seconds, "--history", self.path, "--rate", 3000,
                 "--consumers", 4]
        words += ["--reads-at", reads_at.port] if reads_at else ["--listeners", 4, "--fat"]
        for name, value in options.items():
            words += [f"--{name}", value]
        self.child = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)

    def check(self, *all_rules):
        """{check: number of violations} for each of the rules; also the counts."""
        output, _ = self.child.communicate(timeout=60)
        assert self.child.returncode == 0
        history = judge.read_history(self.path)
        final = final_state(self.master, *judge.keys_of(history))
        found = []
        for rules in all_rules:
            violations = [violation.check for violation in judge.judge(history, final, rules)]
            found.append({check: violations.count(check) for check in set(violations)})
        return found, json.loads(output)


def test_one_server_keeps_every_promise(lab):
    master = lab.redis()
    found, counts = Load(lab, master).check(*STRICT, Rules("strong", max_lag_ns=0))
    assert found == [{}] * 4
    assert counts["operations"] > 3000 and counts["info"] == 0 and not counts["errors"]


def test_every_kind_of_operation_is_there(lab):
    Load(lab, lab.redis()).check()
    history = judge.read_history(lab.directory / "history.json")
    kinds = {op.name for op in history.ops if op.outcome == "ok"}
    assert kinds >= {"set", "get", "append", "range", "transfer", "balance", "push", "pop", "take", "move", "echo",
                     "publish", "message"}
    watched = [op for op in history.ops if op.name == "transfer" and op.wrote[1] is not None]
    assert {op.outcome for op in watched} >= {"ok"}
    assert max(sum(1 for op in history.ops if op.session == session) for session in history.sessions) > 100


def test_reads_apart_on_the_master_are_right(lab):
    master = lab.redis()
    found, _ = Load(lab, master, reads_at=master).check(*STRICT)
    assert found == [{}] * 3


def test_a_bare_replica_is_caught(lab):
    """Reads on a replica that is a few milliseconds behind."""
    pair = Pair(lab)
    pair.relay.toxic("repl", "down", "latency", 5)
    load = Load(lab, pair.master, reads_at=pair.replica)
    (connection, weir, strong, eventual), counts = load.check(*STRICT, Rules("eventual", max_lag_ns=10 * 10 ** 9))
    assert connection.get("read-your-writes", 0) > 20
    assert weir.get("acknowledged", 0) > 20 and strong.get("linearizable", 0) > 3
    assert eventual == {}, "it is not older than that"
    assert not counts["errors"]


def test_a_paused_replica_is_caught(lab):
    """It answers, its link is up, and what it has is old."""
    pair = Pair(lab)
    load = Load(lab, pair.master, reads_at=pair.replica)
    for _ in range(3):
        time.sleep(0.2)
        pair.replica.cli("CLIENT", "PAUSE", 400, "WRITE")
        time.sleep(0.4)
    found, _ = load.check(Rules("eventual", max_lag_ns=200 * 10 ** 6), Rules("session", "connection"))
    assert found[0].get("staleness", 0) > 20 and found[1].get("read-your-writes", 0) > 20


def test_a_disconnected_replica_is_caught(lab):
    """It serves what it has (replica-serve-stale-data), for a second."""
    pair = Pair(lab)
    load = Load(lab, pair.master, reads_at=pair.replica)
    pair.relay.toxic("repl", "both", "refuse", 1)
    pair.relay.cut("repl")
    time.sleep(1)
    pair.relay.clear("repl")
    found, _ = load.check(Rules("eventual", max_lag_ns=300 * 10 ** 6))
    assert found[0].get("staleness", 0) > 20


def test_a_killed_master_is_caught(lab):
    """Without persistence what it had acknowledged is gone."""
    master = lab.redis()
    load = Load(lab, master)
    time.sleep(1)
    master.kill()
    master.start()
    found, counts = load.check(Rules("session", "weir"))
    assert found[0].get("lost", 0) > 20 and found[0].get("acknowledged", 0) > 0
    assert counts["info"] > 0 and counts["errors"]


def test_a_killed_master_with_its_file_passes(lab):
    """The nemesis that kills masters takes nothing away by itself."""
    master = lab.redis("--appendonly", "yes", "--appendfsync", "no")
    load = Load(lab, master)
    for _ in range(3):
        time.sleep(0.4)
        master.kill()
        master.start()
    found, counts = load.check(Rules("strong", max_lag_ns=0))
    assert found == [{}]
    assert counts["errors"]


def test_a_stranger_is_caught(lab):
    """A replica that follows somebody else for a moment."""
    pair = Pair(lab)
    other = lab.redis(name="other")
    other.cli("SET", "s:0:0", "s:0:0=9999")
    other.cli("SET", "s:1:0", "s:2:0=1")
    load = Load(lab, pair.master, reads_at=pair.replica, seconds=2)
    time.sleep(0.7)
    pair.replica.cli("REPLICAOF", HOST, other.port)
    found, _ = load.check(Rules("eventual"))
    assert found[0].get("phantom", 0) + found[0].get("cross-wired", 0) > 0


def test_corrupt_bytes_are_noticed(lab):
    """One byte in about 20,000 of what the server says is another one."""
    master = lab.redis()
    relay = Relay(lab.directory)
    lab.processes.append(relay)
    door = relay.link("door", master.port)
    relay.toxic("door", "down", "corrupt", 20_000)
    load = Load(lab, master, door=door)
    found, counts = load.check(Rules("session", "weir"))
    assert found[0].get("cross-wired", 0) > 0 or "MALFORMED-REPLY" in counts["errors"]


def test_plans_come_from_the_seed():
    def plan(seed):
        return nemesis.make_plan(seed, 60, nemesis.choose(["all"]), 3)
    assert plan(1) == plan(1) != plan(2)
    planned = {fault.fault for lane in plan(1).values() for fault in lane}
    assert planned == {name for name, fault in nemesis.FAULTS.items() if fault.group not in nemesis.MOVES}
    lanes = plan(1)
    assert len(lanes) == 3 + 8 + 1 + 1
    assert all(lane == sorted(lane) and len(lane) > 10 for lane in lanes.values())


def test_nemeses_are_chosen_by_name_or_group():
    assert nemesis.choose(["none"]) == []
    assert nemesis.choose(["switchover"]) == ["switchover"] and "switchover" not in nemesis.choose(["all"])
    assert set(nemesis.choose(["failover"])) == {"lose_killed", "lose_stopped", "lose_briefly"}
    assert not set(nemesis.choose(["failover"])) & set(nemesis.choose(["all"]))
    assert nemesis.choose(["pause", "weir"]) == ["pause", "kill_weir", "restart_weir"]
    assert "kill_master" not in nemesis.choose(["all"], "rdb")
    with pytest.raises(AssertionError, match="pauze"):
        nemesis.choose(["pauze"])
