"""Wiring must not lose data. Each test sets up a way to lose some, with real
servers, and shows that it is still there, and that weir says what it saw."""
import contextlib
import socket
import threading

import pytest
import redis

from harness import HOST, OTHER_SPELLING, PATIENCE, Sentinel, free_port, wait_for
from test_wiring import Rounds, replicaofs, stays


def filled(server, prefix, count=10):
    for n in range(count):
        server.cli("SET", f"{prefix}{n}", n)
    return server


def wiring_of(weir, server):
    return weir.replica_status(server)["wiring"] or ""


# ---- the file is wrong

def test_swapped_lines(lab):
    """The file calls a replica the master: the servers know better."""
    real = filled(lab.redis(name="real"), "key")
    replica = lab.redis("--replicaof", HOST, real.port, name="replica")
    wait_for(lambda: replica.cli("DBSIZE") == 10)
    bare = lab.redis(name="bare")
    weir = lab.weir(replica, [real, bare]).wait_state("ok")
    assert weir.status()["master"]["address"] == real.address
    assert f"adopted master {real.address}, although the file names {replica.address}" in weir.log()
    assert [s.cli("DBSIZE") for s in (real, replica, bare)] == [10, 10, 10]
    assert [replicaofs(s) for s in (real, replica, bare)] == [0, 0, 1]
    with weir.client() as client:
        client.set("through", "weir")
    assert real.cli("GET", "through") == "weir"


def test_swapped_lines_before_any_wiring(lab):
    """The empty one stands in the master's line, and the one with the data
    would be emptied by the wiring."""
    empty, full = lab.redis(name="empty"), filled(lab.redis(name="full"), "key")
    weir = lab.weir(empty, [full])
    wait_for(lambda: "is empty while" in (weir.status()["no_master_reason"] or ""))
    stays(Rounds(full, lambda: full.cli("DBSIZE") == 10 and replicaofs(full) == 0), "it was wired")
    # Even the operator's word does not make the full one follow the empty one.
    assert weir.admin("ACCEPT", "MASTER") == "OK"
    weir.wait_state("degraded")
    stays(Rounds(full, lambda: full.cli("DBSIZE") == 10 and replicaofs(full) == 0), "it was wired")
    assert "is empty" in wiring_of(weir, full)


def test_another_groups_replica(lab):
    group = lab.group(1)
    filled(group.master, "ours")
    their_master = filled(lab.redis(name="their_master"), "theirs", 20)
    theirs = lab.redis("--replicaof", HOST, their_master.port, name="theirs")
    wait_for(lambda: theirs.cli("DBSIZE") == 20)
    weir = lab.weir(group.master, [group.replicas[0], theirs]).wait_state("degraded")
    wait_for(lambda: "another history" in wiring_of(weir, theirs))
    assert weir.replica_status(theirs)["reason"] == "wrong_master"
    stays(Rounds(theirs, lambda: replicaofs(theirs) == 0 and theirs.cli("DBSIZE") == 20), "it was re-wired")
    assert theirs.follows(their_master)


def test_foreign_data(lab):
    master, foreign = filled(lab.redis(name="master"), "ours"), filled(lab.redis(name="foreign"), "theirs", 20)
    weir = lab.weir(master, [foreign]).wait_state("degraded")
    wait_for(lambda: "another history" in wiring_of(weir, foreign))
    stays(Rounds(foreign, lambda: replicaofs(foreign) == 0 and foreign.cli("DBSIZE") == 20), "it was wired")
    filled(foreign, "more")
    stays(Rounds(foreign, lambda: replicaofs(foreign) == 0 and foreign.cli("DBSIZE") == 30), "it was wired")
    assert weir.log().count("it holds data of another history") == 1, "it is said once"
    assert "both masters with data" in weir.status()["wiring"]["reason"]


def test_foreign_functions(lab):
    """Without a single key there is still something to lose."""
    master, foreign = filled(lab.redis(name="master"), "ours"), lab.redis(name="foreign")
    foreign.cli("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 1 end)")
    weir = lab.weir(master, [foreign]).wait_state("degraded")
    wait_for(lambda: "another history" in wiring_of(weir, foreign))
    stays(Rounds(foreign, lambda: replicaofs(foreign) == 0), "it was wired")


@pytest.mark.parametrize("looks", [1, 2], ids=["behind the check", "behind the last look"])
def test_a_write_in_the_last_moment(lab, looks):
    """A client writes to a bare server right after weir looked whether it is
    empty. Either it is told READONLY, or its data stays."""
    master = filled(lab.redis(name="master"), "ours")
    outcomes = []
    for n in range(15):
        bare = lab.redis(name=f"bare{n}")
        with bare.raw() as monitor, bare.raw() as client:
            monitor.command("MONITOR")
            weir = lab.weir(master, [bare], start=False)
            weir.start(wait=False)
            for _ in range(looks):      # the first INFO is a check, the second comes before REPLICAOF
                while '"iNFO"' not in monitor.reply():     # as weir spells its own words
                    pass
            outcomes.append(str(client.command("SET", "theirs", "1")))
        if outcomes[-1] == "OK":
            wait_for(lambda: "another history" in wiring_of(weir, bare), what="weir leaves it alone")
            assert bare.cli("GET", "theirs") == "1" and replicaofs(bare) == 0, outcomes
        else:
            assert outcomes[-1].startswith("READONLY"), outcomes
            wait_for(lambda: bare.follows(master))
        weir.wait_ready()
        weir.stop()
    close = [outcome for outcome in outcomes if (outcome == "OK") == (looks == 1)]
    assert close, "it never came close"


def test_allow_overwrite(lab):
    master, foreign = filled(lab.redis(name="master"), "ours"), filled(lab.redis(name="foreign"), "theirs", 20)
    lab.weir(master, [f"{foreign.address} name=spare"], {"replication": {"allow_overwrite": "spare"}}).wait_state("ok")
    assert foreign.follows(master) and foreign.cli("DBSIZE") == 10


def test_allow_overwrite_does_not_empty_a_node(lab):
    empty, full = lab.redis(name="empty"), filled(lab.redis(name="full"), "key")
    weir = lab.weir(empty, [f"{full.address} name=spare"], {"replication": {"allow_overwrite": "spare"}})
    weir.wait_state("degraded")
    wait_for(lambda: "is empty" in weir.status()["replicas"][0]["wiring"])
    stays(Rounds(full, lambda: full.cli("DBSIZE") == 10 and replicaofs(full) == 0), "it was emptied")


def test_one_server_under_two_addresses(lab):
    master, bare = filled(lab.redis(name="master"), "key"), lab.redis(name="bare")
    weir = lab.weir(master, [f"{OTHER_SPELLING}:{master.port}", bare.address, f"{OTHER_SPELLING}:{bare.port}"])
    wait_for(lambda: bare.follows(master), what="the bare one is wired")
    rows = {row["address"]: row for row in weir.status()["replicas"]}
    assert f"same server as {master.address}" in rows[f"{OTHER_SPELLING}:{master.port}"]["wiring"]
    assert f"same server as {bare.address}" in rows[f"{OTHER_SPELLING}:{bare.port}"]["wiring"]
    assert not rows[f"{OTHER_SPELLING}:{master.port}"]["readable"] and not rows[f"{OTHER_SPELLING}:{bare.port}"]["readable"]
    assert replicaofs(master) == 0 and replicaofs(bare) == 1 and master.cli("DBSIZE") == 10


def outer_address():
    """An address of this machine that is not loopback, or None. Nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
        return None if address.startswith("127.") else address


@pytest.mark.skipif(outer_address() is None, reason="this machine has no address but loopback")
def test_loopback_is_not_told_to_other_machines(lab):
    outer = outer_address()
    everywhere = ("--bind", f"{HOST} {outer}", "--protected-mode", "no")
    master = filled(lab.redis(*everywhere, name="master"), "key")
    remote = lab.redis(*everywhere, name="remote")
    weir = lab.weir(master, [f"{outer}:{remote.port}"]).wait_state("degraded")
    wait_for(lambda: "announce=" in weir.status()["replicas"][0]["wiring"])
    stays(Rounds(remote, lambda: replicaofs(remote) == 0), "it was told a loopback address")
    weir.stop()
    lab.weir(f"{master.address} announce={outer}:{master.port}", [f"{outer}:{remote.port}"]).wait_state("ok")
    assert remote.role()[1] == outer and remote.cli("DBSIZE") == 10


def test_announce_that_leads_elsewhere(lab):
    """A typo in announce= makes an empty replica follow a stranger. Nobody's
    data is lost by it, none of the stranger's is ever shown, and a replica that
    is in its place stays there."""
    master, stranger = filled(lab.redis(name="master"), "ours"), filled(lab.redis(name="stranger"), "theirs", 20)
    placed = lab.redis("--replicaof", HOST, master.port, name="placed")
    wait_for(lambda: placed.cli("DBSIZE") == 10)
    bare = lab.redis(name="bare")
    weir = lab.weir(f"{master.address} announce={stranger.address}", [placed, bare])
    wait_for(lambda: bare.follows(stranger), what="it was told so")
    wait_for(lambda: weir.replica_status(bare)["reason"] == "other_history", what="weir sees where that led")
    weir.wait_state("degraded")
    with weir.raw() as raw:
        assert raw.commands([("GET", "ours1"), ("GET", "theirs1")] * 50) == [b"1", None] * 50
    assert replicaofs(placed) == 0 and placed.follows(master)
    assert [server.cli("DBSIZE") for server in (master, placed, stranger)] == [10, 10, 20]


# ---- the master lost its data

def assert_takes_nothing(weir, server):
    """No write reaches this server through weir."""
    before = server.calls().get("set", 0)
    with weir.raw() as raw:
        answer = raw.command("SET", "lost", "1")
    assert "NOMASTER" in str(answer), answer
    assert server.calls().get("set", 0) == before


def test_master_that_came_back_empty(lab):
    group = lab.group(2)
    filled(group.master, "key")
    wait_for(lambda: group.weir.status()["master"]["keys"] == 10)
    group.master.restart()
    wait_for(lambda: "came back empty" in (group.weir.status()["no_master_reason"] or ""))
    assert_takes_nothing(group.weir, group.master)
    stays(Rounds(group.master, lambda: group.weir.status()["state"] == "no_master"), "it was accepted")
    assert group.weir.log().count("came back empty") == 1, "it is said once"
    assert group.weir.admin("ACCEPT", "MASTER") == "OK"
    group.weir.wait_state("ok")
    with group.weir.client() as client:
        client.set("new", "1")
    assert group.master.cli("GET", "new") == "1"
    assert "waiting to be accepted" in str(group.weir.admin("ACCEPT", "MASTER"))


def test_an_empty_master_that_was_written_to_a_moment_ago(lab):
    """What weir knows of its keys, and of the replica's, is older than the first write
    that was acknowledged."""
    group = lab.group(1, {"health": {"interval": "1s"}})
    replica = group.replicas[0]
    wait_for(lambda: group.weir.status()["master"]["keys"] == 0)
    with group.weir.raw() as raw:
        assert raw.command("SET", "first", "1") == "OK"
        group.caught_up()
        replica.freeze()        # else it follows the empty one by itself
        group.master.kill()
    group.master.start()
    wait_for(lambda: "came back empty" in (group.weir.status()["no_master_reason"] or ""))
    assert_takes_nothing(group.weir, group.master)
    replica.thaw()


class Writer(threading.Thread):
    """Counts up until told to stop, and keeps every answer."""

    def __init__(self, weir, key):
        super().__init__(daemon=True)
        self.weir, self.key = weir, key
        self.stop = threading.Event()
        self.answers = []
        self.start()

    def run(self):
        with self.weir.raw(timeout=30) as raw:
            while not self.stop.is_set():
                self.answers.append(raw.command("INCR", self.key))

    def end(self):
        self.stop.set()
        self.join(30)
        assert not self.is_alive()


def test_a_master_that_comes_back_empty_faster_than_anybody_looks(lab):
    """Its new process answers at the old address before weir has asked it who it
    is. Not one write may be acknowledged by it: no data connection carries
    anything before control has confirmed the run behind it."""
    group = lab.group(0, {"routing": {"write_hold": "200ms"}})
    for _ in range(5):
        group.master.cli("SET", "key", "value")
        wait_for(lambda: group.weir.status()["master"]["keys"] > 0, what="weir knows that there is something to lose")
        writers = [Writer(group.weir, f"counter:{n}") for n in range(4)]
        wait_for(lambda: all(len(writer.answers) > 50 for writer in writers))
        group.master.restart()
        wait_for(lambda: "came back empty" in (group.weir.status()["no_master_reason"] or ""))
        for writer in writers:
            writer.end()
            numbers = [answer for answer in writer.answers if isinstance(answer, int)]
            assert numbers == list(range(1, len(numbers) + 1)), "the new process has answered"
        assert group.master.cli("DBSIZE") == 0
        assert "incr" not in group.master.calls()
        assert group.weir.admin("ACCEPT", "MASTER") == "OK"
        group.weir.wait_state("ok")


def test_bare_replica_keeps_what_an_emptied_master_lost(lab):
    """A replica that does not reconnect by itself is not made to."""
    group = lab.group(1, wired=False)
    filled(group.master, "key")
    group.caught_up()
    wait_for(lambda: group.weir.status()["master"]["keys"] == 10)
    group.master.kill()
    wait_for(lambda: group.weir.status()["state"] == "no_master")
    group.replicas[0].cli("REPLICAOF", "NO", "ONE")     # the operator saves it
    wait_for(lambda: group.weir.status()["state"] != "no_master", what="the saved one is adopted")
    group.master.start()
    stays(Rounds(group.master, lambda: group.replicas[0].cli("DBSIZE") == 10), "the last copy is gone")
    assert group.weir.status()["master"]["address"] == group.replicas[0].address
    wait_for(lambda: group.master.follows(group.replicas[0]), what="the emptied one follows the saved one")
    assert group.master.cli("DBSIZE") == 10


def test_accept_reset_master(lab):
    group = lab.group(1, {"replication": {"accept_reset_master": "yes"}})
    filled(group.master, "key")
    wait_for(lambda: group.weir.status()["master"]["keys"] == 10)
    group.master.restart()
    wait_for(lambda: group.weir.status()["state"] == "ok" and group.weir.status()["epoch"] > 1)
    with group.weir.client() as client:
        client.set("new", "1")


def test_master_that_came_back_from_an_old_file(lab):
    group = lab.group(1)
    filled(group.master, "early")
    # The save for the first synchronization may still be about to end.
    wait_for(lambda: group.master.cli("SAVE"), what="the early keys are saved")
    filled(group.master, "late")
    group.caught_up()
    offset = group.master.info("replication")["master_repl_offset"]
    wait_for(lambda: group.weir.status()["master"]["offset"] >= offset, what="weir has seen the late keys")
    group.master.restart()
    assert group.master.cli("DBSIZE") == 10
    wait_for(lambda: "came back" in (group.weir.status()["no_master_reason"] or ""))
    assert_takes_nothing(group.weir, group.master)


def test_master_that_came_back_whole(lab):
    """Redis 7 keeps its history in the RDB file: nothing was lost, and nobody
    has to be asked."""
    group = lab.group(1)
    filled(group.master, "key")
    group.caught_up()
    wait_for(lambda: group.weir.status()["master"]["keys"] == 10)
    with contextlib.suppress(redis.RedisError):
        group.master.cli("SHUTDOWN", "SAVE")
    wait_for(lambda: not group.master.running())
    group.master.start()
    group.weir.wait_state("ok")
    assert group.master.cli("DBSIZE") == 10 and "came back" not in group.weir.log()


def test_loading_master(lab):
    """It answers INFO while it loads, and is not usable before it has its data."""
    group = lab.group(1, redis_args=("--rdbcompression", "no"))
    for n in range(300):
        group.master.cli("SET", f"key{n}", "x" * 2000)
    group.caught_up()
    with contextlib.suppress(redis.RedisError):
        group.master.cli("SHUTDOWN", "SAVE")
    wait_for(lambda: not group.master.running())
    group.master.start("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024", wait=False)
    wait_for(lambda: "is loading its data" in (group.weir.status()["no_master_reason"] or ""))
    group.weir.wait_state("ok")
    assert group.master.cli("DBSIZE") == 300


def test_empty_master_while_replicas_hold_data(lab):
    """weir itself has just started, so only the replica knows."""
    full, empty = filled(lab.redis(name="full"), "key"), lab.redis(name="empty")
    full.cli("REPLICAOF", HOST, free_port())    # its master is gone
    weir = lab.weir(empty, [full])
    wait_for(lambda: "is empty while" in (weir.status()["no_master_reason"] or ""))
    stays(Rounds(full, lambda: full.cli("DBSIZE") == 10), "it was emptied")


# ---- somebody else is in control

@pytest.mark.parametrize("where", ["master", "replica"])
def test_sentinel(lab, where):
    """It listens on every server, and may be away from one of them."""
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    with (master if where == "master" else bare).raw() as sentinel:
        sentinel.command("SUBSCRIBE", "__sentinel__:hello")
        weir = lab.weir(master, [bare])
        wait_for(lambda: "Sentinel" in (weir.status()["wiring"]["reason"] or ""))
        assert weir.status()["wiring"]["mode"] == "observe"
        stays(Rounds(master, lambda: replicaofs(bare) == 0), "it was wired")
    weir.wait_state("ok")   # the Sentinel has left
    assert bare.follows(master)


def test_failover_by_a_sentinel_is_followed(lab):
    """Sentinel decides, weir keeps its hands off and follows the servers."""
    group = lab.group(2)
    filled(group.master, "key")
    group.caught_up()
    sentinel = Sentinel(lab.directory / "sentinel", name="sentinel", config=(
        f"sentinel monitor group {HOST} {group.master.port} 1\n"
        f"sentinel down-after-milliseconds group {500 * PATIENCE:.0f}\n"     # of one that lives, on a slow machine
        f"sentinel failover-timeout group {3000 * PATIENCE:.0f}\n"))
    lab.processes.append(sentinel)
    sentinel.start()
    wait_for(lambda: "Sentinel" in (group.weir.status()["wiring"]["reason"] or ""))
    wait_for(lambda: len(sentinel.cli("SENTINEL", "REPLICAS", "group")) == 2, what="the Sentinel knows the replicas")
    group.master.kill()
    wait_for(lambda: group.weir.status()["state"] == "no_master")
    wait_for(lambda: group.weir.status()["state"] != "no_master", timeout=30, what="the promoted one is adopted")
    promoted = next(r for r in group.replicas if r.address == group.weir.status()["master"]["address"])
    assert promoted.cli("DBSIZE") == 10
    with group.weir.client() as client:
        client.set("after", "1")
    assert promoted.cli("GET", "after") == "1"
    group.master.start()        # the Sentinel makes it a replica
    wait_for(lambda: group.master.follows(promoted), timeout=30, what="the old master follows")
    group.weir.wait_state("ok")
    assert all("REPLICAOF" not in line for line in group.weir.log().splitlines())


def test_a_weir_that_was_there_before(lab):
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    with master.raw() as other:
        other.command("CLIENT", "SETNAME", "weir-control-0123456789abcdef")
        weir = lab.weir(master, [bare])
        wait_for(lambda: "another weir (weir-control-0123456789abcdef)" in (weir.status()["wiring"]["reason"] or ""))
        stays(Rounds(master, lambda: replicaofs(bare) == 0), "it was wired")
    weir.wait_state("ok")
    assert replicaofs(bare) == 1


def test_two_weirs_at_once(lab):
    master = filled(lab.redis(name="master"), "key")
    replicas = [lab.redis(name=f"bare{n}") for n in range(4)]
    weirs = [lab.weir(master, replicas, start=False) for _ in range(3)]
    for weir in weirs:
        weir.start(wait=False)
    for weir in weirs:
        weir.wait_ready()
        weir.wait_state("ok")
    assert [replicaofs(replica) for replica in replicas] == [1, 1, 1, 1]
    modes = lambda: sorted(weir.status()["wiring"]["mode"] for weir in weirs)
    wait_for(lambda: modes() == ["enforce", "observe", "observe"], what="one controls")
    # When it leaves, another one takes over.
    first = next(weir for weir in weirs if weir.status()["wiring"]["mode"] == "enforce")
    first.stop()
    weirs.remove(first)
    wait_for(lambda: modes() == ["enforce", "observe"], what="the next one controls")


def test_a_wiring_that_is_undone_twice(lab):
    group = lab.group(1, wired=False)
    replica = group.replicas[0]
    for _ in range(2):
        wait_for(lambda: replica.follows(group.master), what="wired")
        wait_for(lambda: group.weir.readable(replica), what="weir has seen it")
        replica.cli("REPLICAOF", "NO", "ONE")
    wait_for(lambda: "undone twice within a minute" in (group.weir.status()["wiring"]["reason"] or ""))
    mine = 2
    stays(Rounds(group.master, lambda: replicaofs(replica) == 2 + mine and replica.role()[0] == "master"), "wired again")


def test_chained_replica(lab):
    group = lab.group(1)
    chained = lab.redis("--replicaof", HOST, group.replicas[0].port, name="chained")
    weir = lab.weir(group.master, [group.replicas[0], chained])
    wait_for(lambda: f"chained: it follows {group.replicas[0].address}" in wiring_of(weir, chained))
    assert weir.replica_status(chained)["reason"] == "wrong_master"
    stays(Rounds(chained, lambda: replicaofs(chained) == 0), "it was re-wired")
    assert chained.follows(group.replicas[0])


def test_cluster_mode(lab):
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    cluster = lab.redis("--cluster-enabled", "yes", name="cluster")
    weir = lab.weir(master, [bare, cluster])
    wait_for(lambda: "cluster mode" in (weir.status()["wiring"]["reason"] or ""))
    stays(Rounds(master, lambda: replicaofs(bare) == 0 and replicaofs(cluster) == 0), "it was wired")


# ---- servers weir does not speak to

class FakeServer:
    """Answers what a control connection asks, and remembers everything."""

    def __init__(self, version):
        self.port = free_port()
        self.commands = []
        self.info = (f"redis_version:{version}\r\nrun_id:{'f' * 40}\r\nrole:master\r\nloading:0\r\n"
                     f"connected_slaves:0\r\nmaster_replid:{'e' * 40}\r\nmaster_replid2:{'0' * 40}\r\n"
                     "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n").encode()
        self.listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        with connection, contextlib.suppress(OSError, ValueError):
            while header := stream.readline():
                words = []
                for _ in range(int(header[1:])):
                    words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2].decode())
                words[0] = words[0].upper()
                self.commands.append(words)
                connection.sendall(self.answer(words))

    def answer(self, words):
        if words[0] == "INFO":
            return b"$%d\r\n%s\r\n" % (len(self.info), self.info)
        if words[0] == "ROLE":
            return b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
        return b"+OK\r\n"

    def close(self):
        self.listener.close()


@pytest.mark.parametrize("version", ["6.2.5", "6.0.16", "5.0.14"])
def test_old_version(lab, version):
    master = lab.redis(name="master")
    old = FakeServer(version)
    try:
        weir = lab.weir(master, [f"{HOST}:{old.port}"])
        wait_for(lambda: version in (weir.status()["replicas"][0]["wiring"] or ""))
        wait_for(lambda: len(old.commands) > 20, what="it is checked on and on")
        assert weir.status()["replicas"][0]["reason"] == "old_version"
        assert {words[0] for words in old.commands} <= {"CLIENT", "INFO", "ROLE"}, "it was told something"
    finally:
        old.close()


def test_old_master(lab):
    old = FakeServer("6.2.5")
    try:
        weir = lab.weir(f"{HOST}:{old.port}", [lab.redis(name="replica")])
        wait_for(lambda: "runs version 6.2.5" in (weir.status()["no_master_reason"] or ""))
    finally:
        old.close()


def test_a_server_that_talks_out_of_turn(lab):
    """A reply nobody asked for: that connection is closed, and nothing else
    happens."""
    master = lab.redis(name="master")
    odd = FakeServer("7.0.15")
    sane = odd.answer
    odd.answer = lambda words: sane(words) + (b"+OK\r\n" if words[0] == "ROLE" else b"")
    try:
        weir = lab.weir(master, [f"{HOST}:{odd.port}"]).wait_state("degraded")
        wait_for(lambda: "a reply that nobody asked for" in weir.log())
        assert weir.status()["state"] == "degraded"
        assert weir.status()["replicas"][0]["readable"] is False
    finally:
        odd.close()


def test_a_server_that_says_nothing(lab):
    """It accepts connections and never answers: bounded, and nobody else waits."""
    master = lab.redis(name="master")
    with socket.create_server((HOST, free_port())) as silent:
        port = silent.getsockname()[1]
        weir = lab.weir(master, [f"{HOST}:{port}"], {"health": {"timeout": "200ms"}}).wait_state("degraded")
        assert weir.status()["replicas"][0]["reason"] == "down"
        wait_for(lambda: "no answer within the time limit" in weir.log())
        with weir.client() as client:
            assert client.set("a", "1")


def test_a_server_that_does_not_accept(lab):
    """Its queue of connections is full: the next ones hang. Bounded as well, or
    weir would not come to a decision for minutes."""
    master = lab.redis(name="master")
    with socket.create_server((HOST, 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        weir = lab.weir(master, [f"{HOST}:{full.getsockname()[1]}"], {"health": {"timeout": "200ms"}})
        weir.wait_state("degraded")
        wait_for(lambda: "connecting takes too long" in weir.log())
        assert weir.status()["replicas"][0]["reason"] == "down"


def test_a_server_that_talks_without_end(lab):
    """One endless reply: read up to a limit, then closed."""
    master = lab.redis(name="master")
    odd = FakeServer("7.0.15")
    odd.answer = lambda words: b"$2147483647\r\n" + b"x" * (17 << 20) if words[0] == "INFO" else b"+OK\r\n"
    try:
        # It is the limit of bytes that has to end it, not the one of time.
        weir = lab.weir(master, [f"{HOST}:{odd.port}"], {"health": {"timeout": "20s"}}).wait_state("degraded")
        wait_for(lambda: "over 16 MiB" in weir.log())
        assert weir.rss_bytes() < 200 << 20
    finally:
        odd.close()


def test_nobody_is_ever_promoted(lab):
    """Whatever happens to the master, no server hears REPLICAOF NO ONE."""
    group = lab.group(2)
    filled(group.master, "key")
    group.settle()
    with contextlib.ExitStack() as stack:
        monitors = [stack.enter_context(replica.raw()) for replica in group.replicas]
        for monitor in monitors:
            assert monitor.command("MONITOR") == "OK"
        group.master.kill()
        wait_for(lambda: group.weir.status()["state"] == "no_master")
        wait_for(lambda: all(not replica.follows(group.master) for replica in group.replicas))
        group.master.start()
        wait_for(lambda: "came back empty" in (group.weir.status()["no_master_reason"] or ""))
        for monitor, replica in zip(monitors, group.replicas):
            replica.cli("ECHO", "the end")
            heard = []
            while "the end" not in (line := str(monitor.reply())):
                heard.append(line.upper())
            assert not [line for line in heard if '"REPLICAOF"' in line or '"SLAVEOF"' in line]
            assert replica.role()[0] == "slave"


