"""Bytes that change on the way: on the clients' link, on the servers' replies, on
every link to and from weir, and on those between the servers.

What is asserted. A byte that changes inside a value, or inside a key, is nothing
a proxy can see: the sender wrote it so. But keys here are long and random, so a
changed key is nobody's, and values are sealed with their key and a checksum, so:

  - a reply whose seal is whole belongs to the key that was asked for: no reply
    went to somebody else (while servers' replies are corrupted; see below)
  - bytes that break the framing close the connection they came on, and are
    counted: a client's as a protocol error, a server's as a desync
  - whoever has nothing to do with the link is told nothing but right values
  - weir lives, and all is well when the bytes are left alone again

Not asserted: anything about replies while *requests* to a server are corrupted.
There `*2` may become `*0`, the server then answers each of the following lines by
an error of its own, and nobody can tell these from the answers to what follows.
"""
import random
import threading
import time
import zlib

import pytest
from rig import HOST, Lab, Rig, wait_for

from harness import Raw, ServerError

SECONDS = 2
CLIENTS = 6


def sealed(key, number):
    body = f"{key}|{number}|{'.' * (number % 50)}"
    return f"{body}|{zlib.crc32(body.encode()):08x}".encode()


def seal_is_whole(value):
    body, _, checksum = value.decode(errors="replace").rpartition("|")
    return checksum == f"{zlib.crc32(body.encode(errors='replace')):08x}"


class Client(threading.Thread):
    """Writes and reads keys of its own. Counts what came: right, altered (no whole
    seal, or no answer of this kind), errors, ends; `foreign` must stay empty."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port, self.dice = port, random.Random(seed)
        self.keys = [f"{self.dice.getrandbits(128):032x}" for _ in range(20)]
        self.stopping = threading.Event()
        self.right = self.altered = self.errors = self.ends = self.shifted = 0
        self.foreign = []

    def run(self):
        while not self.stopping.is_set():
            try:
                with Raw((HOST, self.port), timeout=2) as raw:
                    while not self.stopping.is_set():
                        self._burst(raw)
            except (EOFError, OSError, AssertionError, ValueError):
                self.ends += 1

    def _burst(self, raw):
        keys = self.dice.sample(self.keys, 4)
        commands = [row for key in keys for row in ((("SET", key, sealed(key, self.dice.randrange(10**6)))), ("GET", key))]
        for (name, key, *_), reply in zip(commands, raw.commands(commands)):
            self._judge(name, key, reply)

    def _judge(self, name, key, reply):
        if isinstance(reply, ServerError):
            self.errors += 1
        elif name == "SET" and reply == "OK":
            self.right += 1
        elif name == "GET" and isinstance(reply, bytes) and seal_is_whole(reply):
            if reply.startswith(key.encode() + b"|"):
                self.right += 1
            elif reply[:32].decode() in self.keys:
                self.shifted += 1
            else:
                self.foreign.append((key, reply))
        else:
            self.altered += 1

    def __repr__(self):
        return f"{self.right} right, {self.altered} altered, {self.errors} errors, {self.ends} ends, {self.shifted} shifted, {len(self.foreign)} foreign"


def work(ports, seconds=SECONDS):
    clients = [Client(port, n) for n, port in enumerate(ports)]
    for client in clients:
        client.start()
    time.sleep(seconds)
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    return clients


@pytest.fixture
def rig(tmp_path):
    with Lab(tmp_path) as lab:
        yield Rig(lab, seed=7, config={"routing": {"write_hold": "10s"}}, replica_count=2, persistence="none")


def desyncs(rig):
    return rig.weir.metrics()["weir_backend_desync_total"]


def test_on_the_clients_link(rig):
    rig.relay.toxic("door", "both", "corrupt", 1500)
    clients = work([rig.door] * CLIENTS + [rig.weir.port] * CLIENTS)
    victims, others = clients[:CLIENTS], clients[CLIENTS:]
    print(f"victims: {victims}\nothers: {others}")
    for other in others:
        assert (other.altered, other.errors, other.ends, other.foreign) == (0, 0, 0, [])
    assert not any(victim.foreign for victim in victims)
    assert sum(victim.ends for victim in victims) > 0 and all(other.right > 100 for other in others)
    assert rig.weir.metrics()["weir_protocol_errors_total"] > 0
    assert desyncs(rig) == 0, "no server is to blame for what a client says"


def test_on_the_servers_replies(rig):
    for link in ("master", "node1", "node2"):
        rig.relay.toxic(link, "down", "corrupt", 4000)
    clients = work([rig.weir.port] * CLIENTS)
    print(f"{clients}, {desyncs(rig)} desyncs")
    assert not any(client.foreign for client in clients)
    assert desyncs(rig) > 0 and sum(client.right for client in clients) > 100
    heals(rig)


def test_on_every_link(rig):
    for link in ("door", "master", "node1", "node2"):
        rig.relay.toxic(link, "both", "corrupt", 5000)
    clients = work([rig.door] * CLIENTS + [rig.weir.port] * CLIENTS)
    print(f"{clients}, {desyncs(rig)} desyncs")
    heals(rig)


def test_on_the_replication_links(rig):
    """What a replica makes of it is its own affair, and nobody can see it from outside:
    it may lack a write, drop its master, or end itself over a file whose checksum is
    wrong. But nobody is answered for somebody else."""
    def attempts():
        stats = rig.master.info("stats")
        return stats["sync_full"] + stats["sync_partial_ok"] + stats["sync_partial_err"]

    before = attempts()
    for link in ("repl1", "repl2"):
        rig.relay.toxic(link, "both", "corrupt", 3000)
    clients = work([rig.weir.port] * CLIENTS)
    print(f"{clients}, {desyncs(rig)} desyncs")
    assert not any(client.foreign or client.shifted for client in clients)
    assert desyncs(rig) == 0 and sum(client.right for client in clients) > 100
    assert attempts() > before, "replicas have had to begin again"
    for replica in rig.replicas:
        (replica.directory / "dump.rdb").unlink(missing_ok=True) # it would not start with that
    heals(rig)


def heals(rig):
    assert rig.weir.running()
    rig.heal()
    wait_for(lambda: rig.weir.status()["state"] in ("ok", "degraded"), 60, "weir has its master again")

    def serves():
        with Raw((HOST, rig.weir.port), timeout=5) as raw:
            return raw.commands([("SET", "healed", "1"), ("GET", "healed")]) == ["OK", b"1"]
    wait_for(serves, 30)
    wait_for(lambda: rig.weir.metrics()["weir_clients_connected"] == 0, 30, "all have left")
