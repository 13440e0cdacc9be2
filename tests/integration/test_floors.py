"""What a read is promised to see, on replicas that are held back on purpose.

CLIENT PAUSE ... WRITE on a replica is the sharpest of tools: it stops applying
what its master sends, and answers reads as if nothing were amiss."""
import time

import pytest

from harness import PATIENCE, wait_for

CATCH_UP_WAIT = f"{50 * PATIENCE:g}ms"


def left(group):
    return {name.split('"')[1]: value for name, value in group.weir.metrics().items()
            if name.startswith("weir_reads_left_replicas_total")}


def hold_back(server, seconds=30):
    server.cli("CLIENT", "PAUSE", str(seconds * 1000), "WRITE")


def let_go(server):
    server.cli("CLIENT", "UNPAUSE")


def config(**routing):
    return {"proxy": {"workers": "2"}, "routing": {"max_lag": "30s", **routing}}


def reads_of(server):
    return server.calls().get("get", 0)


@pytest.mark.parametrize("scope", ["weir", "connection"])
def test_a_session_sees_its_own_writes(lab, scope):
    group = lab.group(2, config=config(session_scope=scope))
    group.settle()
    for replica in group.replicas:
        hold_back(replica)
    with group.weir.raw() as raw:
        for n in range(200):
            assert raw.command("SET", "own", n) == "OK"
            assert raw.command("GET", "own") == b"%d" % n
    for replica in group.replicas:
        let_go(replica)


def test_everybody_sees_what_weir_has_acknowledged(lab):
    """Across connections and workers: the floor is one for the whole weir."""
    group = lab.group(2, config=config())
    group.settle()
    for replica in group.replicas:
        hold_back(replica)
    readers = [group.weir.raw() for _ in range(6)]
    with group.weir.raw() as writer:
        for n in range(100):
            assert writer.command("SET", "shared", n) == "OK"
            assert [reader.command("GET", "shared") for reader in readers] == [b"%d" % n] * len(readers)
    for reader in readers:
        reader.close()


def test_scope_connection_lets_others_read_replicas(lab):
    """Another connection is not promised to see it, and so is served by a replica."""
    group = lab.group(1, config=config(session_scope="connection"))
    with group.weir.raw() as writer, group.weir.raw() as reader:
        writer.command("SET", "mine", "old")
        group.settle()
        wait_for(lambda: reader.command("GET", "mine") == b"old" and reads_of(group.replicas[0]) > 0,
                 what="the reader is served by the replica")
        hold_back(group.replicas[0])
        writer.command("SET", "mine", "new")
        assert writer.command("GET", "mine") == b"new"
        assert reader.command("GET", "mine") == b"old"
        let_go(group.replicas[0])


def test_reads_come_back_to_the_replicas_by_themselves(lab):
    """After every write the session reads from a replica again, once that has
    the write: nothing sticks to the master."""
    group = lab.group(2, config=config(catch_up_wait=CATCH_UP_WAIT))
    group.settle()
    with group.weir.raw() as raw:
        before = sum(reads_of(replica) for replica in group.replicas)
        for n in range(300):
            raw.command("SET", "back", n)
            assert raw.command("GET", "back") == b"%d" % n
        after = sum(reads_of(replica) for replica in group.replicas)
    assert after - before > 200, f"only {after - before} of 300 reads were served by replicas: {left(group)}"


def test_one_replica_behind_does_not_hold_the_other(lab):
    group = lab.group(2, config=config(catch_up_wait=CATCH_UP_WAIT))
    group.settle()
    slow, quick = group.replicas
    with group.weir.raw() as raw:
        hold_back(slow)
        before = reads_of(quick)
        for n in range(300):
            raw.command("SET", "k", n)
            assert raw.command("GET", "k") == b"%d" % n
        assert reads_of(quick) - before > 100
        let_go(slow)


def test_reads_do_not_go_back_in_time(lab):
    """Somebody writes beside weir; a session that has seen it on one replica
    must not see less on the other one."""
    group = lab.group(2, config=config())
    group.settle()
    held = group.replicas[0]
    readers = [group.weir.raw() for _ in range(4)]
    with group.master.raw() as beside:
        for reader in readers:
            group.reset_calls()
            wait_for(lambda: reader.command("GET", "clock") is None and all(reads_of(replica) > 3 for replica in group.replicas),
                     what="the session reads from both")
        hold_back(held)
        last, n, deadline = [-1] * len(readers), 0, time.monotonic() + 20
        while n < 400 or (max(last) < 0 and time.monotonic() < deadline):
            n += 1
            beside.command("SET", "clock", n)
            seen = [int(reader.command("GET", "clock") or -1) for reader in readers]
            assert all(now >= before for now, before in zip(seen, last)), f"{seen} after {last}"
            last = seen
        assert max(last) >= 0, "nobody has read from the replica that is ahead: nothing was proven"
        let_go(held)
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("scope", ["weir", "connection"])
def test_who_was_told_sees_what_came_before(lab, scope, protocol):
    """A message counts as seen, on any worker, although nobody wrote through weir."""
    group = lab.group(1, config=config(session_scope=scope))
    replica, = group.replicas
    listeners = [group.weir.raw() for _ in range(4)]
    with group.master.raw() as beside:
        for n in range(3):
            beside.command("SET", "k", f"old {n}")
            group.settle()
            for listener in listeners:
                listener.command("HELLO", protocol)
                wait_for(lambda: listener.command("GET", "k") == b"old %d" % n, what="the session reads")
                listener.command("SUBSCRIBE", "news")
            hold_back(replica)
            beside.commands([("SET", "k", f"new {n}"), ("PUBLISH", "news", "read k")])
            for listener in listeners:
                listener.reply()
                if protocol == 3:
                    assert listener.command("GET", "k") == b"new %d" % n
                assert listener.commands([("UNSUBSCRIBE", "news"), ("GET", "k")])[1] == b"new %d" % n
            let_go(replica)
        before = reads_of(replica)
        wait_for(lambda: all(listener.command("GET", "k") for listener in listeners) and reads_of(replica) > before + 8,
                 what="the replica serves them again")
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("pipelined", [1, 20])
def test_strong_reads_see_what_was_written_beside_weir(lab, pipelined):
    """The writer does not even know weir: what it was told is done, is read."""
    group = lab.group(2, config=config(consistency="strong", catch_up_wait=CATCH_UP_WAIT))
    group.settle()
    hold_back(group.replicas[0])
    with group.master.raw() as beside, group.weir.raw() as raw:
        before = reads_of(group.replicas[1])
        for n in range(300):
            beside.command("SET", "strong", n)
            assert raw.commands([("GET", "strong")] * pipelined) == [b"%d" % n] * pipelined
        assert reads_of(group.replicas[1]) - before > 50 * pipelined, "strong reads shall use a replica that has caught up"
    let_go(group.replicas[0])


def test_strong_is_chosen_per_connection(lab):
    group = lab.group(1, config=config())
    group.settle()
    with group.master.raw() as beside, group.weir.raw() as raw:
        assert raw.command("WEIR", "CONSISTENCY", "strong") == "OK"
        hold_back(group.replicas[0])
        beside.command("SET", "k", "new")
        assert raw.command("GET", "k") == b"new"
        let_go(group.replicas[0])


def test_eventual_reads_are_never_older_than_max_lag(lab):
    max_lag = 0.3 * PATIENCE
    group = lab.group(1, config={"routing": {"consistency": "eventual", "max_lag": f"{max_lag * 1000:g}ms"}})

    def count_stale(writer, reader):
        """Reads of what was replaced, before the replica was no longer asked."""
        writer.command("SET", "age", "old")
        group.settle()
        hold_back(group.replicas[0])
        writer.command("SET", "age", "new")
        written = asked = time.monotonic()
        stale = 0
        while reader.command("GET", "age") == b"old":
            assert asked - written < max_lag, "a read was older than max_lag"
            stale += 1
            asked = time.monotonic()
        let_go(group.replicas[0])
        return stale
    with group.weir.raw() as writer, group.weir.raw() as reader:    # again if all of this took longer than max_lag
        assert any(count_stale(writer, reader) for _ in range(10)), "the replica was never read: nothing was proven"


def test_a_replica_pointed_elsewhere_is_not_believed(lab):
    """Somebody re-points it: the very next read must not be served by it."""
    group = lab.group(1, config={"replication": {"wiring": "observe"}, "routing": {"max_lag": "30s"},
                                 "health": {"interval": "10s"}})
    other = lab.redis(name="other")
    group.settle()
    with group.weir.raw() as raw:
        raw.command("SET", "k", "v")
        wait_for(lambda: raw.command("GET", "k") == b"v" and reads_of(group.replicas[0]) > 0, what="the replica serves")
        group.replicas[0].cli("REPLICAOF", *str(other.address).rsplit(":", 1))
        for _ in range(200):
            assert raw.command("GET", "k") == b"v"


def test_who_may_not_run_role_reads_on_the_master(lab):
    group = lab.group(2, config=config())
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-role")
    group.settle()
    with group.weir.raw() as raw:
        assert raw.command("AUTH", "app", "secret") == "OK"
        for n in range(100):
            assert raw.command("SET", "k", n) == "OK"
            assert raw.command("GET", "k") == b"%d" % n
        group.reset_calls()
        for _ in range(50):
            raw.command("GET", "k")
        assert reads_of(group.master) == 50
        # and his writes are still seen by everybody else
        with group.weir.raw() as other:
            for n in range(100):
                raw.command("SET", "his", n)
                assert other.command("GET", "his") == b"%d" % n


# ---- a master that is lost

@pytest.mark.parametrize("behind", [True, False])
def test_what_was_acknowledged_and_is_gone_is_told(lab, behind):
    """The operator promotes a replica; weir knows what it had acknowledged."""
    group = lab.group(1, config={"replication": {"wiring": "observe"}, "routing": {"max_lag": "30s"}})
    replica, = group.replicas
    with group.weir.raw() as raw:
        assert raw.command("SET", "k", "kept") == "OK"
        group.settle()
        if behind:
            hold_back(replica)
            assert raw.command("SET", "k", "lost") == "OK"
        offset = int(group.master.info("replication")["master_repl_offset"])
        assert raw.command("GET", "k") == (b"lost" if behind else b"kept")
        group.master.kill()
        group.weir.wait_state("no_master")
        let_go(replica)
        replica.cli("REPLICAOF", "NO", "ONE")
        group.weir.wait_state("degraded")
        kept = int(replica.info("replication")["second_repl_offset"]) - 1
        assert raw.command("GET", "k") == b"kept"
    lost = group.weir.status()["lost_writes"]
    if not behind:
        assert lost == {"master_changes": 0, "bytes": 0, "doubtful": 0}
        return
    assert lost["master_changes"] == 1 and 0 < lost["bytes"] <= offset - kept
    assert "acknowledged writes are lost" in group.weir.log()


@pytest.mark.parametrize("who", ["reads at the eventual level", "may not run ROLE"])
def test_what_is_gone_is_told_where_nobody_reads_under_a_floor(lab, who):
    """In bytes, where their offset is known; else in how many were told OK."""
    level = "eventual" if who.startswith("reads") else "session"
    group = lab.group(1, config={"routing": {"max_lag": "30s", "consistency": level, "write_hold": "30s"},
                                 "failover": {"mode": "auto", "down_after": "1s"}})
    replica, = group.replicas
    for server in group.servers:
        server.cli("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-role")
    with group.weir.raw() as raw:
        if level == "session":
            assert raw.command("AUTH", "app", "secret") == "OK"
        assert raw.command("SET", "k", "kept") == "OK"
        wait_for(lambda: replica.cli("GET", "k") == "kept", what="the replica has it")
        wait_for(lambda: group.weir.status()["master"]["offset"] >= group.caught_up(), what="weir knows the offset")
        hold_back(replica)
        assert raw.command("SET", "k", "lost") == "OK"
        group.master.kill()
        group.weir.wait_state("no_master")
        group.weir.wait_state("degraded", 30)
        let_go(replica)
        assert raw.command("GET", "k") == b"kept"
    lost = group.weir.status()["lost_writes"]
    assert lost["master_changes"] == (lost["bytes"] > 0)
    assert lost["bytes"] > 0 or (level == "session" and lost["doubtful"] in (1, 2))  # the first one, too, for a moment


# ---- eviction

@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lfu", "noeviction"])
def test_keys_that_replicas_serve_stay_warm_on_the_master(lab, policy):
    """LRU and LFU see only what the master serves; a sample of the rest is told
    to it, and nothing where it does not matter."""
    by_use = policy != "noeviction"
    group = lab.group(1, config=config())
    for setting in [("maxmemory-policy", policy), ("maxmemory", "1gb")]:
        group.master.cli("CONFIG", "SET", *setting)
    touches = lambda: group.master.calls().get("touch", 0)  # noqa: E731
    with group.weir.raw() as raw:
        assert raw.command("SET", "hot", "x") == "OK"
        group.settle()
        if by_use:
            wait_for(lambda: "the master evicts by use" in group.weir.log(), what="weir says so")
            wait_for(lambda: raw.command("GET", "hot") == b"x" and touches() > 0, what="a read is told to the master")
        else:
            assert raw.commands([("GET", "hot")] * 500) == [b"x"] * 500
            assert touches() == 0
            assert "evicts by use" not in group.weir.log()
        assert raw.command("GET", "hot") == b"x"
        if policy == "allkeys-lru":
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                assert raw.commands([("GET", "hot")] * 100) == [b"x"] * 100
            with group.master.raw() as direct:
                wait_for(lambda: raw.commands([("GET", "hot")] * 100) and direct.command("OBJECT", "IDLETIME", "hot") <= 1,
                         what="it is known to be in use")
            assert "get" not in group.master.calls() or group.master.calls()["get"] < 50
