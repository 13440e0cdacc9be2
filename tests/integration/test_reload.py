"""SIGHUP: everything that can be applied at once, or nothing; and no client
notices."""
import json
import os
import time

import pytest

from harness import HOST, Threads, free_port, wait_for


def reads_of(server):
    return server.calls().get("get", 0)


def serves_reads(weir, server, count=40):
    """Reads through weir reach this server."""
    before = reads_of(server)
    with weir.client() as client:
        for _ in range(count):
            client.get("k")
    return reads_of(server) > before


class Load(Threads):
    """Clients that write and read all the time on connections of their own, and
    check every answer."""

    def __init__(self, weir, clients=4):
        super().__init__(clients)
        self.weir, self.failures, self.done = weir, [], 0

    def work(self, number):
        value = 0
        try:
            with self.weir.raw() as raw:
                while not self.stopping.is_set():
                    value += 1
                    answers = raw.commands([("SET", f"load{number}", value), ("GET", f"load{number}")]
                                           + [("GET", f"load{number}")] * 4)
                    assert answers == ["OK"] + [b"%d" % value] * 5, answers
                    self.done += len(answers)
        except Exception as error:  # noqa: BLE001: whatever it is, it is a failure
            self.failures.append(f"client {number}: {error!r}")


# ------------------------------------------------------------------- servers

def test_a_replica_is_added_wired_and_read(lab):
    group = lab.group(1)
    newcomer = lab.redis()
    said = group.weir.reload(replication={"replica": [group.replicas[0].address, newcomer.address]})
    assert f"[replication] replica = {group.replicas[0].address}, {newcomer.address}, was" in said
    wait_for(lambda: group.weir.readable(newcomer), what="the new replica is wired and readable")
    assert newcomer.follows(group.master)
    wait_for(lambda: serves_reads(group.weir, newcomer), what="it is read")


def test_a_replica_is_removed(lab):
    group = lab.group(2)
    kept, removed = group.replicas
    with group.weir.raw() as client:
        client.command("SET", "k", "v")
        client.commands([("GET", "k")] * 20)
        group.weir.reload(replication={"replica": [kept.address]})
        wait_for(lambda: "weir-" not in removed.cli("CLIENT", "LIST", "TYPE", "normal").__repr__(),
                 what="no connection of weir's is left there")
        assert client.commands([("GET", "k")] * 20) == [b"v"] * 20
    assert [row["address"] for row in group.weir.status()["replicas"]] == [kept.address]
    assert group.weir.status()["state"] == "ok"
    assert not serves_reads(group.weir, removed)


def test_a_large_reply_of_a_removed_replica_arrives_whole(lab):
    group = lab.group(1, config={"routing": {"fallback": "error"}})
    value = b"x" * (8 << 20)
    group.master.client().set("large", value)
    group.settle()
    with group.weir.raw() as slow, group.weir.raw() as client:
        slow.send(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n")
        head = slow.stream.readline()
        group.weir.reload(replication={"replica": []}, routing={"fallback": "master"})
        assert client.command("GET", "nothing") is None
        assert head == b"$%d\r\n" % len(value)
        assert slow.stream.read(len(value) + 2) == value + b"\r\n"
    wait_for(lambda: "weir-" not in str(group.replicas[0].cli("CLIENT", "LIST")), what="it is let go in the end")


def test_homes_and_subscribers_of_a_removed_replica(lab):
    """At the reads-only endpoint a session has a home; who listens there goes on
    until drain_timeout, everybody else moves at once."""
    master, first, second = lab.redis(), lab.redis(), lab.redis()
    weir = lab.weir(master, [first, second], config={"proxy": {"drain_timeout": "1s"}}, start=False)
    weir.replica_endpoint().start().wait_state("ok")
    with weir.raw(replica=True) as session, weir.raw(replica=True) as listener:
        port = lambda: session.command("CONFIG", "GET", "port")[1]  # noqa: E731
        home = first if port() == b"%d" % first.port else second
        other = second if home is first else first
        assert listener.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        weir.reload(replication={"replica": [other.address]})
        wait_for(lambda: port() == b"%d" % other.port, what="the session has moved")
        wait_for(lambda: "weir-" not in str(home.cli("CLIENT", "LIST")), what="nothing is left at the removed one")
        assert session.command("PING") == "PONG"


def test_weights_names_and_order(lab):
    group = lab.group(2)
    first, second = group.replicas
    group.weir.reload(replication={"replica": [f"{second.address} name=b weight=7", f"{first.address} name=a"]})
    rows = group.weir.status()["replicas"]
    assert [(row["name"], row["weight"]) for row in rows] == [("b", 7), ("a", 1)]
    assert all(row["readable"] for row in rows)
    assert f"is what was called {second.address}" in group.weir.log()


def test_what_is_drained_stays_drained(lab):
    group = lab.group(2)
    first, second = group.replicas
    assert group.weir.admin("DRAIN", first.address) == "OK"
    group.weir.reload(replication={"replica": [second.address, f"{first.address} name=still"]})
    assert group.weir.replica_status(first)["reason"] == "drained"
    assert group.weir.admin("ENABLE", "still") == "OK"
    wait_for(lambda: group.weir.readable(first))


def test_swapped_lines_do_not_change_the_master(lab):
    group = lab.group(1)
    weir = group.weir
    epoch = weir.status()["epoch"]
    with weir.raw() as client:
        weir.reload(replication={"master": group.replicas[0].address, "replica": [group.master.address]})
        assert client.command("SET", "k", "v") == "OK"
    status = weir.status()
    assert status["master"]["address"] == group.master.address
    assert status["epoch"] == epoch


def test_the_master_in_force_is_removed_and_comes_back(lab):
    group = lab.group(2)
    weir, (first, second) = group.weir, group.replicas
    assert "SWITCHOVER" in weir.reload(replication={"master": first.address, "replica": [second.address]})
    weir.wait_state("no_master")
    weir.reload(replication={"master": group.master.address, "replica": [first.address, second.address]})
    weir.wait_state("ok")
    assert weir.client().set("k", "v")


def test_a_first_replica_shows_what_was_written_before(lab):
    """Without replicas nobody asks for offsets; the first one must not show less
    than what had been acknowledged."""
    master, replica = lab.redis(), lab.redis()
    weir = lab.weir(master, [], start=False)
    weir.start().wait_state("ok")
    replica.cli("REPLICAOF", HOST, master.port)
    wait_for(lambda: replica.follows(master))
    with weir.raw() as client:
        for round in range(20):
            assert client.command("SET", "k", round) == "OK"
            weir.reload(replication={"replica": [replica.address] if round % 2 == 0 else []})
            assert client.commands([("GET", "k")] * 5) == [b"%d" % round] * 5


# --------------------------------------------------------------------- values

def test_limits_and_levels_change(lab):
    group = lab.group(1)
    weir = group.weir
    said = weir.reload(proxy={"max_clients": 3}, log={"level": "warning"}, routing={"max_lag": "2s"})
    for line in ("[proxy] max_clients = 3, was \"10000\"", "[log] level = warning, was", "[routing] max_lag = 2s, was \"1s\""):
        assert line in said
    held = [weir.raw() for _ in range(3)]
    wait_for(lambda: weir.status()["clients"]["connected"] == 3)
    with weir.raw() as refused:
        assert "max number of clients" in str(refused.reply())
    length = len(weir.log())
    weir.reload(log={"level": "notice"})
    assert "is in force, 1 key has changed" in weir.log()[length:]
    for raw in held:
        raw.close()


def test_consistency_follows_the_file_where_nobody_chose(lab):
    group = lab.group(1)
    with group.weir.raw() as chose, group.weir.raw() as follows:
        assert chose.command("WEIR", "CONSISTENCY", "session") == "OK"
        assert follows.command("PING") == "PONG"
        group.weir.reload(routing={"consistency": "eventual"})
        assert chose.command("WEIR", "CONSISTENCY") == b"session"
        assert follows.command("WEIR", "CONSISTENCY") == b"eventual"
        assert chose.command("RESET") == "RESET"
        assert chose.command("WEIR", "CONSISTENCY") == b"eventual"


def test_what_needs_a_restart_is_named_and_the_rest_applied(lab):
    group = lab.group(1)
    weir = group.weir
    threads = weir.thread_count()
    said = weir.reload(proxy={"workers": 3, "listen": f"{HOST}:{free_port()}", "max_clients": 77},
                       admin={"listen": f"{HOST}:{free_port()}"})
    for key in ("[proxy] listen", "[proxy] workers", "[admin] listen"):
        assert any(key in line and "needs a restart" in line for line in said.splitlines()), key
    assert weir.client().ping()
    assert weir.status()["clients"]["max"] == 77
    assert weir.thread_count() == threads


def test_a_bad_file_changes_nothing(lab):
    group = lab.group(1)
    weir = group.weir
    before = weir.status()
    said = weir.reload(proxy={"max_clients": 5}, routing={"max_lag": "soon"})
    assert 'weir.ini:' in said and '[routing] max_lag: expected a time' in said
    assert weir.status()["clients"]["max"] == before["clients"]["max"]
    kinds = [event["kind"] for event in json.loads(weir.http("/events")[1])["events"]]
    assert kinds[-1] == "reload_failed"
    # The address that stays in force is not in the file any more, and clashes.
    said = weir.reload(routing={"max_lag": "1s"}, proxy={"listen": f"{HOST}:{free_port()}", "max_clients": 5},
                       replication={"replica": [weir.address]})
    assert "is the address of a server" in said
    assert weir.status()["clients"]["max"] == before["clients"]["max"]


def test_a_new_password_is_used_at_once(lab, tmp_path):
    password = tmp_path / "password"
    password.write_text("one\n")
    password.chmod(0o600)
    master, replica = lab.redis("--requirepass", "one", "--masterauth", "one"), lab.redis("--requirepass", "one", "--masterauth", "one")
    for server in (master, replica):
        server.password = "one"
    weir = lab.weir(master, [replica], config={"auth": {"password_file": password}}, start=False)
    weir.start().wait_state("ok")
    for server in (replica, master):
        server.cli("CONFIG", "SET", "masterauth", "two")
        server.cli("CONFIG", "SET", "requirepass", "two")
        server.password = "two"
    password.write_text("two\n")
    said = weir.reload()
    assert "[auth] password_file: " in said and "was read anew" in said and "two" not in said
    # Both control connections are lost: only the new password gets in again.
    for server in (master, replica):
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_for(lambda: weir.client(password="two").set("k", "v"))
    weir.wait_state("ok")
    password.write_text("wrong\n")
    assert "two" not in weir.reload()
    wait_for(lambda: "are refused, the old ones stand" in weir.log())
    assert weir.status()["state"] == "ok"


# ----------------------------------------------------------------------- load

RELOADS = int(os.environ.get("WEIR_TEST_RELOADS", "30"))


@pytest.mark.plain
def test_reloads_under_load(lab):
    """Each one adds or removes a replica. `WEIR_TEST_RELOADS=1000 make integration
    TESTS="-k reloads_under_load -s"` gives the figures."""
    group = lab.group(2, config={"log": {"level": "warning"}})
    weir, (first, second) = group.weir, group.replicas
    forms = [[first.address], [first.address, second.address]]
    links = lambda server: str(server.cli("CLIENT", "LIST")).count("weir-data")  # noqa: E731
    # Two workers: each has its connection to every server, and to the master one that checks passwords and one to spare.
    is_whole = lambda: (links(group.master), links(first), links(second)) == (6, 2, 2)  # noqa: E731
    with Load(weir) as load:
        wait_for(lambda: load.done > 1000)
        # What is allocated once is allocated now.
        for number in range(20):
            weir.reload(replication={"replica": forms[number % 2]})
        wait_for(is_whole, what="every connection is made")
        files, memory, done = weir.open_files(), weir.rss_bytes(), load.done
        began = time.monotonic()
        for number in range(RELOADS):
            weir.reload(replication={"replica": forms[number % 2]})
            # Now and then the next one comes before this one's work is done.
            if number % 10 < 8:
                wait_for(lambda: links(second) == (2 if number % 2 else 0), what="it is let go, or taken in again")
        seconds, during = time.monotonic() - began, load.done - done
        wait_for(is_whole, what="every connection is made again")
        wait_for(lambda: weir.open_files() <= files, what="as many open files as before")
    print(f"\n{RELOADS} reloads in {seconds:.1f} s, {during} commands meanwhile, {len(load.failures)} failed; "
          f"open files {files} -> {weir.open_files()}, RSS {memory >> 10} -> {weir.rss_bytes() >> 10} KiB")
    assert load.failures == []
    assert weir.rss_bytes() < memory + (4 << 20)
