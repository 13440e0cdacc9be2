"""What weir tells the servers, and what it leaves alone because it is right
already. How it keeps off data is in test_guards.py."""
import re
import time

import pytest

from harness import HOST, OTHER_SPELLING, RedisServer, wait_for


def replicaofs(server):
    """REPLICAOF and SLAVEOF commands this server has been sent."""
    calls = server.calls()
    return calls.get("replicaof", 0) + calls.get("slaveof", 0)


def stays(condition, what, times=12):
    """The condition holds through `times` further health checks: weir has had
    every chance to change its mind."""
    for _ in range(times):
        condition.next()
        assert condition.holds(), what


class Rounds:
    """Counts weir's health checks by the INFO calls on one server."""

    def __init__(self, server, holds):
        self.server, self.holds = server, holds

    def next(self):
        seen = self.server.calls().get("info", 0)
        # our own calls() is an INFO as well
        wait_for(lambda: self.server.calls()["info"] > seen + 1, what="weir's next check")


def test_bare_replicas_are_wired_once(lab):
    group = lab.group(3, wired=False)
    for replica in group.replicas:
        assert replica.follows(group.master)
        assert replicaofs(replica) == 1
    assert replicaofs(group.master) == 0
    stays(Rounds(group.master, lambda: [replicaofs(s) for s in group.servers] == [0, 1, 1, 1]), "wired again")


def test_weir_is_known_by_its_name(lab):
    group = lab.group(1)
    for server in group.servers:
        names = [client["name"] for client in server.client().client_list()]
        control = [name for name in names if name.startswith("weir-control-")]
        assert len(control) == 1 and re.fullmatch("weir-control-[0-9a-f]{16}", control[0]), names


def test_observe_sends_nothing(lab):
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    writable = lab.redis("--replicaof", HOST, master.port, "--replica-read-only", "no", name="writable")
    weir = lab.weir(master, [bare, writable], {"replication": {"wiring": "observe"}}).wait_state("degraded")
    assert weir.status()["wiring"]["mode"] == "observe"
    wait_for(lambda: weir.replica_status(bare)["wiring"], what="the bare one is reported")
    assert "observe" in weir.replica_status(bare)["wiring"]
    wait_for(lambda: weir.replica_status(writable)["reason"] == "writable", what="the writable one is reported")
    stays(Rounds(master, lambda: replicaofs(bare) == 0 and bare.role()[0] == "master"), "it was wired")
    assert writable.cli("CONFIG", "GET", "replica-read-only") == ["replica-read-only", "no"]
    assert "config|set" not in writable.calls()


def test_another_spelling_is_left_alone(lab):
    master = lab.redis(name="master")
    replica = lab.redis("--replicaof", OTHER_SPELLING, master.port, name="replica")
    lab.weir(master, [replica]).wait_state("ok")
    stays(Rounds(master, lambda: replicaofs(replica) == 0), "it was re-wired")


def test_replicas_are_told_the_announced_address(lab):
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    weir = lab.weir(f"{master.address} announce={OTHER_SPELLING}:{master.port}", [bare]).wait_state("ok")
    assert bare.role()[1:3] == [OTHER_SPELLING, master.port]
    assert weir.readable(bare)


def test_bare_replica_that_restarts_is_wired_again(lab):
    group = lab.group(2, wired=False)
    group.master.cli("SET", "a", "1")
    for _ in range(3):
        group.replicas[0].restart()
        wait_for(lambda: group.replicas[0].follows(group.master), what="wired again")
        wait_for(lambda: group.replicas[0].cli("GET", "a") == "1", what="the data is back")
    group.weir.wait_state("ok")
    assert group.weir.status()["wiring"]["mode"] == "enforce", "restarts are no quarrel"


def test_replica_that_restarts_from_its_append_only_file(lab):
    """It comes back as a master with data and no history: weir remembers where
    that came from, and another weir, which does not, leaves it alone."""
    master = lab.redis(name="master")
    bare = lab.redis("--appendonly", "yes", "--appendfsync", "always", name="bare")
    weir = lab.weir(master, [bare]).wait_state("ok")
    master.cli("SET", "a", "1")
    wait_for(lambda: bare.cli("GET", "a") == "1", what="it has the data")
    wait_for(lambda: bare.info("persistence")["aof_rewrite_in_progress"] == 0, what="it is in the file")
    weir.wait_state("ok")
    bare.restart()
    wait_for(lambda: bare.follows(master), what="wired again")
    weir.wait_state("ok")
    assert bare.cli("GET", "a") == "1" and weir.status()["wiring"]["mode"] == "enforce"
    wait_for(lambda: bare.info("persistence")["aof_rewrite_in_progress"] == 0, what="it is in the file")
    weir.stop()
    bare.restart()
    assert bare.role()[0] == "master" and bare.cli("GET", "a") == "1"
    stranger = lab.weir(master, [bare])
    wait_for(lambda: "another history" in (stranger.replica_status(bare)["wiring"] or ""))
    assert replicaofs(bare) == 0


def test_promoted_by_mistake_is_wired_again(lab):
    group = lab.group(2)
    group.master.cli("SET", "a", "1")
    group.caught_up()
    group.replicas[0].cli("REPLICAOF", "NO", "ONE")
    wait_for(lambda: group.replicas[0].follows(group.master), what="wired again")
    group.weir.wait_state("ok")
    assert group.replicas[0].cli("GET", "a") == "1"
    assert group.master.role()[0] == "master"


def test_replica_pointed_elsewhere_leaves_at_once(lab):
    """And stays out: what it holds now is another group's data."""
    group = lab.group(2)
    stranger = lab.redis(name="stranger")
    stranger.cli("SET", "foreign", "1")
    group.master.cli("SET", "a", "1")
    group.replicas[0].cli("REPLICAOF", HOST, stranger.port)
    wait_for(lambda: not group.weir.readable(group.replicas[0]), what="not readable")
    if group.replicas[0].cli("GET", "foreign"):   # it had synchronized before weir could turn it round
        wait_for(lambda: "another history" in (group.weir.replica_status(group.replicas[0])["wiring"] or ""))
    assert stranger.cli("GET", "foreign") == "1"


def test_replicas_are_made_read_only(lab):
    master = lab.redis(name="master")
    replica = lab.redis("--replicaof", HOST, master.port, "--replica-read-only", "no", name="replica")
    lab.weir(master, [replica]).wait_state("ok")
    assert replica.cli("CONFIG", "GET", "replica-read-only") == ["replica-read-only", "yes"]
    assert replicaofs(replica) == 0


def test_configuration_files_are_not_rewritten(lab):
    master = lab.redis(name="master")
    replica = lab.redis(name="replica", config="# mine\nreplica-read-only no\n")
    lab.weir(master, [replica]).wait_state("ok")
    assert "config|rewrite" not in replica.calls()
    assert (replica.directory / "replica.conf").read_text() == "# mine\nreplica-read-only no\n"


# ---- passwords

PASSWORD = "open sesame"


def locked(lab, *args, **options):
    server = RedisServer(lab.directory / options["name"], "--requirepass", PASSWORD, *args, **options)
    server.password = PASSWORD
    lab.processes.append(server)
    return server.start()


@pytest.fixture
def password_file(lab):
    path = lab.directory / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def test_masterauth_is_set_where_it_is_empty(lab, password_file):
    master, bare = locked(lab, name="master"), locked(lab, name="bare")
    stuck = locked(lab, "--replicaof", HOST, master.port, name="stuck")
    lab.weir(master, [bare, stuck], {"auth": {"password_file": password_file}}).wait_state("ok")
    for replica in (bare, stuck):
        assert replica.follows(master)
        assert replica.cli("CONFIG", "GET", "masterauth") == ["masterauth", PASSWORD]
    assert replicaofs(stuck) == 0
    assert master.cli("CONFIG", "GET", "masterauth") == ["masterauth", ""]


def test_masterauth_of_the_operator_is_kept(lab, password_file):
    master = locked(lab, name="master")
    master.cli("ACL", "SETUSER", "copy", "on", ">other", "+psync", "+replconf", "+ping")
    replica = locked(lab, "--masteruser", "copy", "--masterauth", "other", name="replica")
    lab.weir(master, [replica], {"auth": {"password_file": password_file}}).wait_state("ok")
    assert replica.cli("CONFIG", "GET", "masterauth") == ["masterauth", "other"]
    assert replica.cli("CONFIG", "GET", "masteruser") == ["masteruser", "copy"]


def test_masterauth_is_not_set_where_nobody_asks_for_it(lab, password_file):
    """A server without a password answers AUTH with an error, and a replica
    that sends it would never get in."""
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    lab.weir(master, [bare], {"auth": {"password_file": password_file}}).wait_state("ok")
    assert bare.cli("CONFIG", "GET", "masterauth") == ["masterauth", ""]


def test_observe_sets_no_masterauth(lab, password_file):
    """A replica that cannot get in is shown, and left as it is."""
    master = locked(lab, name="master")
    stuck = locked(lab, "--replicaof", HOST, master.port, name="stuck")
    weir = lab.weir(master, [stuck], {"auth": {"password_file": password_file}, "replication": {"wiring": "observe"}})
    wait_for(lambda: weir.replica_status(stuck)["reason"] == "link_down", what="it is shown")
    row = weir.replica_status(stuck)
    assert (row["up"], row["link"], row["readable"]) == (True, "down", False)
    began = time.monotonic()
    stays(Rounds(master, lambda: "config|set" not in stuck.calls()), "it was set", times=20)
    wait_for(lambda: time.monotonic() - began > 1.5, what="longer than a link may be down before weir helps")
    assert "config|set" not in stuck.calls() and "config|get" not in stuck.calls()


def test_a_wrong_password_is_named(lab):
    master = locked(lab, name="master")
    weir = lab.weir(master, [lab.redis(name="replica")])
    wait_for(lambda: "NOAUTH" in weir.log(), what="the log says why")
    assert weir.status()["state"] == "no_master"


# ---- what is shown

def test_status_is_what_the_servers_say(lab):
    group = lab.group(2)
    for n in range(100):
        group.master.cli("SET", f"key{n}", n)
    group.caught_up()
    master = group.master.info("replication")
    wait_for(lambda: all(row["offset"] >= master["master_repl_offset"] for row in group.weir.status()["replicas"]),
             what="the positions are seen")
    wait_for(lambda: group.weir.status()["master"]["keys"] == 100, what="the keys are seen")
    status = group.weir.status()
    assert status["epoch"] >= 1 and status["generation"] >= 1
    shown = status["master"]
    assert shown["run_id"] == group.master.info("server")["run_id"]
    assert shown["replid"] == master["master_replid"]
    assert shown["connected_replicas"] == 2
    assert shown["offset"] >= master["master_repl_offset"]
    assert shown["backlog"]["size"] == master["repl_backlog_size"]
    assert shown["backlog"]["first_byte_offset"] == master["repl_backlog_first_byte_offset"]
    for replica in group.replicas:
        row = group.weir.replica_status(replica)
        info = replica.info("replication")
        assert (row["link"], row["readable"], row["reason"]) == ("up", True, None)
        assert row["replid"] == info["master_replid"] == shown["replid"]
        assert row["offset"] == info["slave_repl_offset"]
        assert row["lag_bytes"] == 0 and 0 <= row["lag_ms"] < 1000
        assert row["ack_lag_seconds"] in (0, 1)
        assert row["resync_if_reconnected"] == "partial"


def test_resync_prediction_comes_true(lab):
    """A replica whose gap the backlog no longer covers is told apart from one
    that could go on, before either reconnects; and so it happens."""
    group = lab.group(2, redis_args=("--repl-backlog-size", "16kb"))
    group.replicas[1].freeze()
    group.master.cli("CLIENT", "KILL", "TYPE", "replica")
    wait_for(lambda: group.replicas[0].follows(group.master), what="the first one is back")
    partial = group.master.info("stats")["sync_partial_ok"]
    assert partial >= 1 and group.master.info("stats")["sync_full"] == 2
    for n in range(100):
        group.master.cli("SET", f"key{n}", "x" * 1000)
    wait_for(lambda: group.weir.replica_status(group.replicas[1])["resync_if_reconnected"] == "full")
    wait_for(lambda: group.weir.replica_status(group.replicas[0])["resync_if_reconnected"] == "partial")
    group.replicas[1].thaw()
    wait_for(lambda: group.replicas[1].follows(group.master), what="the second one is back")
    assert group.master.info("stats")["sync_full"] == 3


def test_drain_and_enable(lab):
    group = lab.group(2)
    name = group.weir.replica_status(group.replicas[0])["name"]
    assert group.weir.admin("DRAIN", name) == "OK"
    row = group.weir.replica_status(group.replicas[0])
    assert (row["readable"], row["reason"], row["drained"]) == (False, "drained", True)
    assert group.weir.status()["state"] == "ok", "a drained replica is nobody's fault"
    assert group.weir.admin("ENABLE", name) == "OK"
    wait_for(lambda: group.weir.readable(group.replicas[0]))
    assert "no such node" in str(group.weir.admin("DRAIN", "nobody"))
