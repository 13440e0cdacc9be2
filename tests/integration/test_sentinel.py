"""[sentinel]: three real sentinels say who master and replicas are, and weir goes
where they point. Wiring and promotion are theirs alone."""
import threading

import pytest

import harness
from harness import HOST, PATIENCE, ServerError, encode, free_port, wait_for

NAME = "group"
QUORUM = 2
DOWN_AFTER_MS = int(2000 * PATIENCE)    # less, and sentinels fail over once more for nothing


class Sentinel(harness.Sentinel):
    """One redis-sentinel; it watches the group's master from the start."""

    def __init__(self, directory, master, name, password=None, down_after=DOWN_AFTER_MS):
        super().__init__(directory, name=name, config=(
            f"sentinel monitor {NAME} {HOST} {master.port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {NAME} {down_after}\nsentinel failover-timeout {NAME} 10000\n"
            + (f"requirepass {password}\n" if password else "")))
        self.password = password

    def ask(self, *words):
        return self.cli("SENTINEL", *words)

    def master(self):
        host, port = self.ask("GET-MASTER-ADDR-BY-NAME", NAME)
        return f"{host}:{port}"

    def knows_all(self):
        state = self.ask("MASTER", NAME)
        if not isinstance(state, dict):
            state = dict(zip(state[::2], state[1::2]))
        return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 2


class Watched:
    """Master, two replicas, three sentinels, and weirs in front that know the
    sentinels alone."""

    def __init__(self, lab, weirs=1, password=None, config=None, down_after=DOWN_AFTER_MS):
        self.lab = lab
        self.master = lab.redis(name="master")
        follow = ["--replicaof", HOST, self.master.port, "--replica-priority", 10]
        self.servers = [self.master, *(lab.redis(*follow, name=f"replica{n}") for n in (1, 2))]
        wait_for(lambda: self.master.info("replication")["connected_slaves"] == 2, what="both follow")
        self.sentinels = [Sentinel(lab.directory / f"sentinel{n}", self.master, f"sentinel{n}", password, down_after)
                          for n in range(3)]
        for sentinel in self.sentinels:
            lab.processes.append(sentinel)
            sentinel.start()
        wait_for(lambda: all(sentinel.knows_all() for sentinel in self.sentinels), 30, "the sentinels know each other")
        settings = {"sentinel": {"name": NAME, "address": [sentinel.address for sentinel in self.sentinels]}}
        for section, keys in (config or {}).items():
            settings.setdefault(section, {}).update(keys)
        self.weirs = [self.weir(f"weir{n}", settings) for n in range(weirs)]

    def weir(self, name, settings):
        weir = self.lab.weir(name=name, start=False, config=settings)
        weir.settings.pop("replication")
        weir.start()
        return weir.wait_state("ok")

    def server(self, address):
        return next(server for server in self.servers if server.address == address)

    def fail_over(self):
        """Asks a sentinel for it; returns the new master when all of them agree."""
        before = self.sentinels[0].master()
        assert self.sentinels[0].ask("FAILOVER", NAME) in (True, "OK")
        return self.agreed(before)

    def agreed(self, before):
        def moved():
            named = {sentinel.master() for sentinel in self.sentinels if sentinel.running()}
            return named.pop() if len(named) == 1 and before not in named else None
        return wait_for(moved, 30, "the sentinels name another master")


def master_of(weir):
    master = weir.status()["master"]
    return master and master["address"]


def test_master_and_replicas_come_from_the_sentinels(lab):
    group = Watched(lab)
    status = group.weirs[0].status()
    assert master_of(group.weirs[0]) == group.master.address
    assert {row["address"] for row in status["replicas"]} == {server.address for server in group.servers[1:]}
    assert status["wiring"] == {"mode": "observe", "reason": "the sentinels wire"}
    assert status["sentinel"]["name"] == NAME
    assert [row["up"] for row in status["sentinel"]["sentinels"]] == [True] * 3
    with group.weirs[0].raw() as raw:
        assert raw.command("SET", "k", "v") == "OK"
        assert raw.command("GET", "k") == b"v"
    assert "sentinels decide" in str(group.weirs[0].admin("SWITCHOVER"))


def test_a_failover_is_followed_without_an_error(lab):
    """SENTINEL FAILOVER under writes: whoever wrote is answered OK or waits, and
    what was acknowledged after the move is on the new master."""
    group = Watched(lab, weirs=2, config={"routing": {"write_hold": "10s"}})
    stop, errors, acknowledged = threading.Event(), [], [0, 0]

    def write(index):
        with group.weirs[index].raw(timeout=30) as raw:
            while not stop.is_set():
                reply = raw.command("SET", f"w{index}", acknowledged[index] + 1)
                if reply == "OK":
                    acknowledged[index] += 1
                else:
                    errors.append(str(reply))
    writers = [threading.Thread(target=write, args=(index,)) for index in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        new = group.fail_over()
        for weir in group.weirs:
            wait_for(lambda: master_of(weir) == new, 10, "weir writes to the new master")
        counted = list(acknowledged)
        wait_for(lambda: all(now > then + 10 for now, then in zip(acknowledged, counted)), 20, "writes go on")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert errors == []     # not one connection was lost with a write on it
    with group.server(new).raw() as raw:
        assert [int(raw.command("GET", f"w{index}")) for index in (0, 1)] == acknowledged
    for weir in group.weirs:
        weir.wait_state("ok", 30)


def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(lab):
    group = Watched(lab, config={"routing": {"write_hold": "15s"}})
    weir = group.weirs[0]
    with weir.raw(timeout=30) as raw:
        assert raw.command("SET", "before", "1") == "OK"
        wait_for(lambda: all(server.cli("EXISTS", "before") for server in group.servers), what="all have it")
        group.master.kill()
        assert raw.command("SET", "after", "1") == "OK", "it was held until there was a master"
        new = master_of(weir)
        assert new != group.master.address
        assert raw.command("GET", "before") == b"1"
        group.master.start()
        wait_for(lambda: group.master.info("replication")["role"] == "slave", 30, "the sentinels have made it a replica")
        weir.wait_state("ok", 30)
        wait_for(lambda: master_of(weir) == group.sentinels[0].master(), 30, "weir is where the sentinels are")
        assert raw.command("GET", "after") == b"1"


def test_a_promotion_that_no_sentinel_knows_of_stops_writes(lab):
    """A replica is promoted behind the sentinels' back: what is written to the old
    master now could be lost, so nothing is, until they have settled it."""
    group = Watched(lab, config={"routing": {"write_hold": "300ms"}})
    weir, replica = group.weirs[0], group.servers[1]
    replica.cli("REPLICAOF", "NO", "ONE")
    wait_for(lambda: weir.status()["state"] == "no_master", what="weir waits for the sentinels")
    assert "was promoted from" in str(weir.status())
    with weir.raw() as raw:
        assert str(raw.command("SET", "k", "v")).startswith("NOMASTER ")
    wait_for(lambda: replica.info("replication")["role"] == "slave", 60, "they have made it a replica again")
    weir.wait_state("ok", 30)


def test_sentinels_that_come_and_go(lab):
    group = Watched(lab)
    weir = group.weirs[0]
    for sentinel in group.sentinels:
        sentinel.kill()
    wait_for(lambda: "no sentinel of group answers any more" in weir.log(), 20, "weir has noticed")
    with weir.raw() as raw:
        assert raw.command("SET", "k", "v") == "OK", "what they said last stands"
    for sentinel in group.sentinels:
        sentinel.start()
    wait_for(lambda: all(row["up"] for row in weir.status()["sentinel"]["sentinels"]), 20, "they are back")
    new = group.fail_over()
    wait_for(lambda: master_of(weir) == new, 10, "weir follows")


def test_a_sentinel_that_was_cut_off_is_not_believed(lab):
    group = Watched(lab)
    weir, late = group.weirs[0], group.sentinels[2]
    late.freeze()
    new = group_without(group, late)
    wait_for(lambda: master_of(weir) == new, 10, "weir follows the two")
    late.thaw()
    wait_for(lambda: [row["up"] for row in weir.status()["sentinel"]["sentinels"]] == [True] * 3, 20, "it answers again")
    assert master_of(weir) == new
    wait_for(lambda: {row["master"] for row in weir.status()["sentinel"]["sentinels"]} == {new}, 20, "it has heard")
    assert master_of(weir) == new


def group_without(group, late):
    before = group.sentinels[0].master()
    assert group.sentinels[0].ask("FAILOVER", NAME) in (True, "OK")
    others = [sentinel for sentinel in group.sentinels if sentinel is not late]

    def moved():
        named = {sentinel.master() for sentinel in others}
        return named.pop() if len(named) == 1 and before not in named else None
    return wait_for(moved, 30, "the others name another master")


def test_a_sentinel_with_a_password(lab, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("let me in\n".replace(" ", "-"))
    secret.chmod(0o600)
    group = Watched(lab, password="let-me-in", config={"sentinel": {"password_file": secret}})
    assert master_of(group.weirs[0]) == group.master.address
    assert "let-me-in" not in group.weirs[0].log()


def test_a_name_that_no_sentinel_knows(lab):
    group = Watched(lab, weirs=0)
    weir = lab.weir(start=False, config={"sentinel": {"name": "gruop", "address": group.sentinels[0].address}})
    weir.settings.pop("replication")
    weir.start()
    wait_for(lambda: "knows no master gruop" in weir.log())
    assert "no sentinel has named a master yet" in str(weir.status())


@pytest.mark.parametrize("settings,word", [
    ({"name": NAME}, "address"),
    ({"address": "127.0.0.1:1"}, "name"),
    ({"name": NAME, "address": ["127.0.0.1:1", "127.0.0.1:1"]}, "twice"),
    ({"name": NAME, "address": "nonsense"}, "host:port"),
])
def test_a_section_that_is_half_there(lab, settings, word):
    weir = lab.weir(start=False, config={"sentinel": settings})
    weir.settings.pop("replication")
    weir.start(wait=False)
    assert weir.exit_status() == 1
    assert word in weir.log()


def test_either_the_file_or_the_sentinels(lab):
    weir = lab.weir("127.0.0.1:1", start=False, config={"sentinel": {"name": NAME, "address": "127.0.0.1:2"}})
    weir.start(wait=False)
    assert weir.exit_status() == 1
    assert "the sentinels say who master and replicas are" in weir.log()


def test_before_any_sentinel_answers(lab):
    """weir runs, says why there is no master, and holds what it can."""
    weir = lab.weir(start=False, config={"sentinel": {"name": NAME, "address": f"{HOST}:{free_port()}"},
                                         "routing": {"write_hold": "100ms"}})
    weir.settings.pop("replication")
    weir.start()
    assert "no sentinel has named a master yet" in str(weir.status())
    with weir.raw() as raw:
        raw.send(encode("SET", "k", "v"))
        reply = raw.reply()
        assert isinstance(reply, ServerError) and str(reply).startswith("NOMASTER")
