"""[failover] mode = auto: weir makes a replica the master when the master is lost,
and only then."""
import contextlib
import json
import socket
import threading
import time

import pytest

from harness import HOST, Group, encode, free_port, wait_for

CONFIG = {"health": {"interval": "50ms", "timeout": "500ms"},
          "routing": {"write_hold": "30s"},
          "failover": {"mode": "auto", "down_after": "1s", "min_interval": "0"}}


def config(**failover):
    return {**CONFIG, "failover": {**CONFIG["failover"], **failover}}


def group_of(lab, replicas=2, settings=CONFIG, redis_args=()):
    group = lab.group(replicas, settings, redis_args=redis_args)
    wait_for(lambda: group.master.cli("CONFIG", "GET", "repl-ping-replica-period")[1] in (b"1", "1"),
             what="the master pings every second")
    with group.weir.raw() as raw:
        assert raw.command("SET", "before", "kept") == "OK"
    group.settle()
    wait_for(lambda: group.weir.status()["master"]["offset"] >= group.caught_up(), what="weir knows the offset")
    return group


def server_at(group, address):
    return next(server for server in group.servers if server.address == address)


def master_of(weir):
    return (weir.status()["master"] or {}).get("address")


def promoted(group, old, timeout=30):
    wait_for(lambda: master_of(group.weir) not in (None, old.address), timeout, what="another server is the master")
    return server_at(group, master_of(group.weir))


def refused(weir, words):
    wait_for(lambda: words in (weir.status()["failover"]["refused"] or ""), 20, what=f"refused: {words}")


def follows(server, master):
    wait_for(lambda: server.info("replication").get("master_port") == master.port
             and server.info("replication")["master_link_status"] == "up", 20, what=f"{server.name} follows {master.name}")


def writes_through(group, key="after"):
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("SET", key, "1") == "OK"
        assert raw.command("GET", "before") == b"kept"
        assert raw.command("GET", key) == b"1"


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_the_master_is_lost(lab, fault):
    group = group_of(lab)
    old = group.master
    getattr(old, fault)()
    group.weir.wait_state("no_master")
    writes_through(group)       # held until there is a master again
    heir = promoted(group, old)
    assert heir.cli("EXISTS", "after") == 1
    for server in group.replicas:
        if server is not heir:
            follows(server, heir)
    status = group.weir.status()
    assert status["failover"] == {"mode": "auto", "count": 1, "refused": None}
    assert status["lost_writes"]["bytes"] == 0
    kinds = [event["kind"] for event in json.loads(group.weir.http("/events")[1])["events"]]
    assert kinds.count("failover") == kinds.count("failover_done") == 1
    old.thaw() if fault == "freeze" else old.start()
    follows(old, heir)
    assert group.weir.wait_state("ok").status()["master"]["address"] == heir.address
    assert old.cli("GET", "after") in (b"1", "1")


def test_what_replicas_have_received_is_not_lost(lab):
    """It lies in their sockets when the master dies: nobody is promoted before it
    was applied."""
    group = group_of(lab, settings=config(down_after="2s"))
    old = group.master
    for replica in group.replicas:
        replica.freeze()
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("SET", "beyond", "x" * 50_000) == "OK"
    old.kill()
    for replica in group.replicas:
        replica.thaw()
    assert promoted(group, old).cli("EXISTS", "beyond") == 1
    assert group.weir.status()["lost_writes"]["bytes"] == 0


class Wire:
    """Somebody's way to a server: it can be held, what comes then is lost with it, and cut."""

    def __init__(self, server):
        self.server, self.held, self.ends = server, threading.Event(), []
        self.listener = socket.create_server((HOST, free_port()))
        self.port = self.listener.getsockname()[1]
        self.address = f"{HOST}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def cut(self):
        for end in (self.listener, *self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                server = socket.create_connection((HOST, self.server.port))
                self.ends += [peer, server]
                threading.Thread(target=self._forward, args=(peer, server, False), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, peer, True), daemon=True).start()

    def _forward(self, source, target, may_hold):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (may_hold and self.held.is_set()):
                    target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cut_off_replicas(lab, settings, direct=0):
    """A group whose first two replicas lack one write that weir has acknowledged;
    `direct` others have it."""
    master = lab.redis(name="master")
    with Wire(master) as wire:
        replicas = [lab.redis("--replicaof", HOST, wire.port, name=f"replica{n}") for n in (1, 2)]
        replicas += [lab.redis("--replicaof", HOST, master.port, name="direct") for _ in range(direct)]
        for replica in replicas:
            wait_for(lambda: replica.info("replication")["master_link_status"] == "up", what="it follows")
        weir = lab.weir(master, replicas, settings).wait_state("ok")
        with weir.raw(timeout=30) as raw:
            assert raw.command("SET", "before", "kept") == "OK"
            wait_for(lambda: all(replica.cli("EXISTS", "before") == 1 for replica in replicas))
            wait_for(lambda: master.cli("CONFIG", "GET", "repl-ping-replica-period")[1] == "1", what="it pings every second")
            wait_for(lambda: (weir.status()["master"]["offset"] or 0) > 0, what="weir knows its offset")
            wire.held.set()
            assert raw.command("SET", "beyond", "x" * 20_000) == "OK"
        yield Group(master, replicas, weir)


def test_what_is_lost_is_told(lab):
    with cut_off_replicas(lab, CONFIG) as group:
        old = group.master
        old.freeze()
        heir = promoted(group, old)
        assert heir.cli("EXISTS", "beyond") == 0
        lost = group.weir.status()["lost_writes"]
        assert lost["master_changes"] == 1 and 20_000 < lost["bytes"] < 20_200 # and perhaps a few PINGs
        writes_through(group)
        old.thaw()
        follows(old, heir)
        assert old.cli("EXISTS", "beyond") == 0, "its data are the new master's now"
        group.weir.wait_state("ok")


def test_the_master_comes_back_empty_and_a_replica_follows_it(lab):
    """That one has lost its data, too, before the other one can be promoted; and what
    that other one lacks makes it no worse a master."""
    master = lab.redis(name="master")
    with Wire(master) as wire:
        last, wiped = (lab.redis("--replicaof", HOST, port, name=name) for port, name in [(wire.port, "last"), (master.port, "wiped")])
        for replica in (last, wiped):    # else weir may wire the one to the master itself
            wait_for(lambda: replica.info("replication")["master_link_status"] == "up", what=f"{replica.name} follows")
        weir = lab.weir(master, [last, wiped], CONFIG).wait_state("ok")
        with weir.raw() as raw:
            assert raw.command("SET", "before", "kept") == "OK"
            for replica in (last, wiped):
                wait_for(lambda: replica.cli("EXISTS", "before") == 1, what=f"{replica.name} has it")
            wire.held.set()
            assert raw.command("SET", "beyond", "x" * 20_000) == "OK"
        wait_for(lambda: weir.status()["master"]["offset"] > 20_000 and weir.status()["master"]["keys"] == 2, what="weir knows it")
        last.freeze()
        wire.cut()
        master.restart()
        wait_for(lambda: wiped.cli("EXISTS", "before") == 0, 20, what="the other replica has followed the empty master")
        last.thaw()
        wait_for(lambda: master_of(weir) == last.address, 20, what="the last one that has data is the master")
        group = Group(master, [last, wiped], weir)
        writes_through(group)
        for server in (master, wiped):
            follows(server, last)
        weir.wait_state("ok")


def test_a_replica_that_has_more_comes_later(lab):
    """It was cut off when another one was promoted, and holds what that one lacks."""
    with cut_off_replicas(lab, CONFIG, direct=1) as group:
        late = group.replicas[-1]
        wait_for(lambda: late.cli("EXISTS", "beyond") == 1, what="it has what the others lack")
        late.freeze()
        group.master.kill()
        heir = promoted(group, group.master)
        late.thaw()
        follows(late, heir)
        assert late.cli("EXISTS", "beyond") == 0
        told = [event for event in json.loads(group.weir.http("/events")[1])["events"] if event["kind"] == "failover_left_behind"]
        assert [event["node"] for event in told] == [late.address]
        assert 20_000 < int(told[0]["text"].split()[4]) < 20_200


def test_a_replica_that_follows_the_old_master_still(lab):
    """It was cut off, too, and answers again when the old master has changed over."""
    group = group_of(lab, 3)
    old, late = group.master, group.replicas[-1]
    late.freeze()
    old.freeze()
    heir = promoted(group, old)
    old.thaw()
    follows(old, heir)
    late.thaw()
    follows(late, heir)
    group.weir.wait_state("ok")


def test_more_would_be_lost_than_may_be(lab):
    with cut_off_replicas(lab, config(max_lost_bytes="10kb")) as group:
        group.master.freeze()
        refused(group.weir, "max_lost_bytes")
        assert master_of(group.weir) is None
        assert all(replica.info("replication")["role"] == "slave" for replica in group.replicas)
        group.master.thaw()
        wait_for(lambda: master_of(group.weir) == group.master.address, 20, what="it is back")
        assert group.weir.status()["failover"]["count"] == 0


def test_only_weir_cannot_reach_it(lab):
    """The replicas hear the master, so it is not lost."""
    master = lab.redis(name="master")
    replicas = [lab.redis("--replicaof", HOST, master.port, name=f"replica{n}") for n in (1, 2)]
    with Wire(master) as wire:
        weir = lab.weir(wire.address, replicas, CONFIG).wait_state("ok")
        with weir.raw() as raw:
            assert raw.command("SET", "key", "value") == "OK"
        wait_for(lambda: weir.status()["master"]["offset"] > 0, what="its offset is known")
        wire.cut()
        refused(weir, "still hears the master")
        until = time.monotonic() + 6    # a moment's silence of theirs is no loss
        while time.monotonic() < until:
            assert master_of(weir) is None and weir.status()["failover"]["count"] == 0
            time.sleep(0.05)
    assert all(replica.info("replication")["role"] == "slave" for replica in replicas)


def test_priority_0_is_never_promoted(lab):
    group = group_of(lab, 2)
    last = group.replicas[1]
    last.cli("CONFIG", "SET", "replica-priority", "0")
    wait_for(lambda: any(r["priority"] == 0 for r in group.weir.status()["replicas"]), what="weir knows")
    group.master.kill()
    assert promoted(group, group.master) is group.replicas[0]


def test_nobody_may_be_promoted(lab):
    group = group_of(lab, 1)
    group.replicas[0].cli("CONFIG", "SET", "replica-priority", "0")
    group.master.kill()
    refused(group.weir, "may be promoted")
    assert master_of(group.weir) is None


def test_min_interval(lab):
    group = group_of(lab, 2, config(min_interval="1h"))
    first = group.master
    first.kill()
    second = promoted(group, first)
    writes_through(group)
    second.kill()
    refused(group.weir, "min_interval")
    assert master_of(group.weir) is None


def test_weir_is_cut_off(lab):
    """Two of three replicas do not answer either: the one that does is not promoted."""
    group = group_of(lab, 3)
    for server in (*group.replicas[:2], group.master):
        server.freeze()
    refused(group.weir, "too few replicas answer")
    assert master_of(group.weir) is None
    for server in group.servers:
        server.thaw()
    group.weir.wait_state("ok")
    assert master_of(group.weir) == group.master.address


def test_off_is_off(lab):
    group = lab.group(1, {"failover": {"mode": "off"}})
    group.master.kill()
    group.weir.wait_state("no_master")
    assert group.replicas[0].info("replication")["role"] == "slave"
    assert group.weir.status()["failover"] == {"mode": "off", "count": 0, "refused": None}


def test_two_weirs(lab):
    """One of them promotes, the other one observes, and both go on with the new master."""
    group = group_of(lab)
    other = lab.weir(group.master, group.replicas, CONFIG, name="other").wait_state("ok")
    group.master.kill()
    heir = promoted(group, group.master)
    wait_for(lambda: master_of(other) == heir.address, 20, what="the other one has followed")
    assert group.weir.status()["failover"]["count"] + other.status()["failover"]["count"] == 1


@contextlib.contextmanager
def called(name, servers):
    """Somebody with this name is connected to all of them."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            raw = stack.enter_context(server.raw())
            assert raw.command("CLIENT", "SETNAME", name) == "OK"
        yield


def names_on(server):
    return [client["name"] for client in server.client().client_list() if client["name"].startswith("weir-control-")]


def test_only_those_that_would_promote_go_first(lab):
    group = group_of(lab)
    wait_for(lambda: all(any(name.endswith("-promotes") for name in names_on(server)) for server in group.servers),
             what="it shows that it would promote")
    with called("weir-control-" + 16 * "0", group.replicas):
        group.master.kill()
        promoted(group, group.master)


def test_another_one_goes_first(lab):
    group = group_of(lab)
    with called(f"weir-control-{16 * '0'}-promotes", group.replicas):
        group.master.kill()
        refused(group.weir, "goes first")
        assert master_of(group.weir) is None
    promoted(group, group.master)  # it has gone


def test_weirs_that_only_look_on(lab):
    group = group_of(lab)
    weirs = [lab.weir(group.master, group.replicas, {"failover": {"mode": "off"}, "replication": {"wiring": wiring}}).wait_state("ok")
             for wiring in ("enforce", "enforce", "observe")]
    group.master.kill()
    heir = promoted(group, group.master)
    for weir in weirs:
        wait_for(lambda: master_of(weir) == heir.address, 20, what="it has followed")
        assert weir.status()["failover"]["count"] == 0


def test_the_master_goes_on_to_ping_every_second(lab):
    group = group_of(lab)
    period = lambda: int(group.master.cli("CONFIG", "GET", "repl-ping-replica-period")[1])  # noqa: E731
    group.master.cli("CONFIG", "SET", "repl-ping-replica-period", "10")
    wait_for(lambda: period() == 1, what="it is set again")
    assert "somebody has changed repl-ping-replica-period" in group.weir.log()


def test_mode_is_changed_while_it_runs(lab):
    """And so is what the others see of it."""
    group = group_of(lab)
    marked = lambda: [name.endswith("-promotes") for name in names_on(group.master)]  # noqa: E731
    wait_for(lambda: marked() == [True], what="it shows that it would promote")
    group.weir.admin("CONFIG", "SET", "failover.mode", "off")
    wait_for(lambda: marked() == [False], what="and that it would not")


def replaced(lab, replicas, fault, **health):
    """The master was lost and replaced, it is back, and nobody has fenced it: the
    weir that promoted has died. Another weir that is stopped has seen the loss,
    and nothing since. Returns the group, the other weir, the heir, and a client of
    the other weir whose write waits."""
    group = group_of(lab, replicas)
    old = group.master
    config = {**CONFIG, "failover": {"mode": "off"}, "health": {**CONFIG["health"], **health}}
    other = lab.weir(old, group.replicas, config, name="other").wait_state("ok")
    old.cli("SAVE")
    client = other.raw(timeout=30)
    client.command("SET", "before", "kept")
    group.caught_up()
    old.freeze() if fault == "freeze" else old.kill()
    other.wait_state("no_master")
    other.take(client, encode("SET", "late", "1"))
    other.freeze()
    heir = promoted(group, old)
    group.weir.kill()
    group.weir.child = None         # it stays away
    old.thaw() if fault == "freeze" else old.start()
    return group, other, heir, client


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_a_master_that_was_replaced_gets_no_writes(lab, replicas, fault):
    """Not of a weir either that sees it again before it has seen the new one, and
    that would promote nobody itself."""
    group, other, heir, client = replaced(lab, replicas, fault)
    old = group.master
    other.thaw()
    assert client.reply() == "OK"
    assert heir.cli("EXISTS", "late") == 1
    assert master_of(other) == heir.address
    if fault == "kill":             # else it may have sent a PING since, and is not the other's to overwrite
        follows(old, heir)
    assert old.info("replication")["role"] == "slave" or old.cli("EXISTS", "late") == 0
    client.close()


def test_a_master_that_is_back_waits_for_what_the_others_say(lab):
    """The new one is slow to tell: the old one is not taken before."""
    group, other, heir, client = replaced(lab, 1, "kill", fall="100")
    heir.freeze()
    other.thaw()
    wait_for(lambda: "is back" in (other.status()["no_master_reason"] or ""), 20, what="it waits")
    assert client.silent(0.3)
    heir.thaw()
    assert client.reply() == "OK"
    assert heir.cli("EXISTS", "late") == 1
    follows(group.master, heir)
    client.close()


def test_a_master_that_was_replaced_unseen(lab):
    """The other weir was stopped all the time: to it the old master was never away."""
    group = group_of(lab, 1)
    old = group.master
    other = lab.weir(old, group.replicas, {**CONFIG, "failover": {"mode": "off"}}, name="other").wait_state("ok")
    other.freeze()
    old.freeze()
    heir = promoted(group, old)
    group.weir.kill()
    group.weir.child = None
    old.thaw()
    other.thaw()
    wait_for(lambda: master_of(other) == heir.address, 20, what="it sees that the master was replaced")
    with other.raw() as raw:
        assert raw.command("SET", "after", "1") == "OK"
    assert heir.cli("EXISTS", "after") == 1


def test_a_replica_that_is_cut_loose_replaces_nobody(lab):
    """The master answers meanwhile: what has no writes of its own returns to it, and
    the other is left alone."""
    group = group_of(lab, 2)
    for loose in group.replicas:
        loose.cli("REPLICAOF", "NO", "ONE")
    with group.replicas[0].client() as client:
        client.set("of its", "own")
    wait_for(lambda: group.replicas[0].cli("EXISTS", "of its") == 1)
    status = wait_for(lambda: (status := group.weir.status())["master"] and status["replicas"][0]["wiring"] and status, 20)
    assert status["master"]["address"] == group.master.address and status["epoch"] == 1


def test_a_master_that_was_replaced_does_not_return_when_its_heir_dies(lab):
    group, other, heir, client = replaced(lab, 1, "freeze")
    old = group.master
    old.freeze()
    other.thaw()
    assert client.reply() == "OK"
    heir.kill()
    other.wait_state("no_master")
    old.thaw()
    wait_for(lambda: "has replaced it" in (other.status()["no_master_reason"] or ""), 20, what="it is told why not")
    assert old.cli("EXISTS", "late") == 0 and old.info("replication")["role"] == "master"
    assert other.admin("ACCEPT", "MASTER") == "OK"
    wait_for(lambda: master_of(other) == old.address, 20, what="somebody says that it counts nevertheless")
    client.close()


def test_a_weir_that_comes_later(lab):
    """It was not there when the failover was, and the old master returns with more:
    it does not guess, and destroys nothing."""
    group = group_of(lab)
    old = group.master
    old.freeze()
    heir = promoted(group, old)
    writes_through(group)
    group.weir.kill()
    group.weir.start()
    wait_for(lambda: master_of(group.weir) == heir.address, 20, what="it is seen who was promoted")
    old.thaw()
    with old.client() as client:
        client.set("nobody", "has it")
    wait_for(lambda: "left the history" in (group.weir.replica_status(old)["wiring"] or ""), 20, what="it is told why not")
    assert old.cli("EXISTS", "nobody") == 1
    assert master_of(group.weir) == heir.address


def test_a_weir_that_has_never_seen_the_master(lab):
    group = group_of(lab)
    group.weir.kill()
    group.master.kill()
    group.weir.start()
    refused(group.weir, "never seen the master")


def test_a_replica_that_somebody_cut_loose(lab):
    """Nothing of it is a failover: mode = auto takes no data from anybody."""
    group = group_of(lab)
    group.weir.kill()
    loose = group.replicas[0]
    loose.cli("REPLICAOF", "NO", "ONE")
    with group.master.client() as client:
        client.set("later", "than that")
    group.weir.start()
    wait_for(lambda: master_of(group.weir) == group.master.address, 20, what="the master is still the master")
    follows(loose, group.master) # it has nothing of its own
    assert all(server.cli("EXISTS", "later") == 1 for server in group.servers)
