"""The fault relay: each toxic does what its name says, and nothing else."""
import itertools
import os
import socket
import threading
import time

import pytest

from harness import HOST, free_port, wait_for
from rig import Relay


class Sink:
    """A server that keeps what it is sent, and sends what it is told to."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]

    def accept(self):
        self.listener.settimeout(10)
        return self.listener.accept()[0]


@pytest.fixture
def relay(tmp_path):
    relay = Relay(tmp_path)
    yield relay
    relay.stop()


@pytest.fixture
def pair(relay):
    """(client, server, relay): two ends of the link "x"."""
    sink = Sink()
    port = relay.link("x", sink.port)
    client = socket.create_connection((HOST, port), 10)
    server = sink.accept()
    for end in (client, server):
        end.settimeout(10)
    yield client, server, relay
    for end in (client, server, sink.listener):
        end.close()


def receive(end, count):
    data = b""
    while len(data) < count:
        more = end.recv(65536)
        if not more:
            break
        data += more
    return data


def silent(end, seconds):
    end.settimeout(seconds)
    try:
        return end.recv(1) is None
    except TimeoutError:
        return True
    finally:
        end.settimeout(10)


def exchange(client, server, size):
    """Sends random bytes both ways at once; they must arrive as they were."""
    def send(end, data):
        thread = threading.Thread(target=end.sendall, args=(data,))
        thread.start()
        return thread
    up, down = os.urandom(size), os.urandom(size)
    threads = [send(client, up), send(server, down)]
    got = {}
    reader = threading.Thread(target=lambda: got.update(down=receive(client, size)))
    reader.start()
    got["up"] = receive(server, size)
    reader.join()
    for thread in threads:
        thread.join()
    assert got["up"] == up and got["down"] == down


def assert_reset(port):
    with pytest.raises(ConnectionResetError), socket.create_connection((HOST, port), 10) as client:
        client.recv(1)


@pytest.mark.parametrize("toxics", [
    (), (("latency", 5, 5),), (("slice", 7, 0),), (("rate", 4_000_000),),
    (("latency", 3, 0), ("slice", 1000, 50), ("rate", 5_000_000))])
def test_bytes_arrive_as_they_were(pair, toxics):
    client, server, relay = pair
    for toxic in toxics:
        relay.toxic("x", "both", *toxic)
    size = 30_000 if ("slice", 7, 0) in toxics else 1_000_000
    exchange(client, server, size)
    stats = relay.stats("x")
    assert stats["up"] == stats["down"] == size and stats["connections"] == stats["accepted"] == 1


def test_latency(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "latency", 100)
    begin = time.monotonic()
    client.sendall(b"slow")
    assert receive(server, 4) == b"slow" and time.monotonic() - begin > 0.095
    begin = time.monotonic()
    server.sendall(b"fast")
    assert receive(client, 4) == b"fast" and time.monotonic() - begin < 0.09


def test_order_stays_with_jitter(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "latency", 1, 30)
    for n in range(50):
        client.sendall(b"%02d" % n)
        time.sleep(0.001)
    assert receive(server, 100) == b"".join(b"%02d" % n for n in range(50))


def test_rate(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "rate", 100_000)
    begin = time.monotonic()
    client.sendall(bytes(50_000))
    assert len(receive(server, 50_000)) == 50_000
    assert 0.4 < time.monotonic() - begin < 2


def test_slices(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "slice", 10, 20_000)
    client.sendall(bytes(100))
    assert len(server.recv(1000)) <= 20
    assert len(receive(server, 80)) >= 80


def test_half_open(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "stall", 1)
    client.sendall(b"later")
    server.sendall(b"now")
    assert receive(client, 3) == b"now" and silent(server, 0.2)
    relay.clear("x")
    assert receive(server, 5) == b"later", "nothing was lost"


def test_a_stalled_sender_is_held_up(pair):
    client, _, relay = pair
    relay.toxic("x", "up", "stall", 1)
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        for _ in itertools.repeat(None, 1000):
            client.sendall(bytes(1_000_000))


def test_blackhole(pair):
    client, server, relay = pair
    relay.toxic("x", "both", "blackhole", 1)
    client.sendall(b"gone")
    assert silent(server, 0.2)
    relay.clear("x")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_a_blackhole_spares_who_said_nothing(pair):
    client, server, relay = pair
    relay.toxic("x", "both", "blackhole", 1)
    relay.clear("x")
    exchange(client, server, 1000)


@pytest.mark.parametrize("latency", [0, 20])
def test_limit(pair, latency):
    client, server, relay = pair
    relay.toxic("x", "up", "latency", latency)
    relay.toxic("x", "up", "limit", 1000)
    client.sendall(bytes(900))
    assert len(receive(server, 900)) == 900
    client.sendall(bytes(900))
    got = b""
    with pytest.raises(ConnectionResetError):
        while True:
            got += server.recv(1000)
    assert len(got) <= 100
    wait_for(lambda: relay.stats("x")["connections"] == 0)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_cut(pair, how):
    client, server, relay = pair
    relay.cut("x", how)
    for end in (client, server):
        if how == "reset":
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        else:
            assert end.recv(1) == b""
    assert relay.stats("x")["connections"] == 0


def test_refuse(relay):
    sink = Sink()
    port = relay.link("x", sink.port)
    relay.toxic("x", "both", "refuse", 1)
    assert_reset(port)
    relay.clear("x")
    with socket.create_connection((HOST, port), 10) as client, sink.accept() as server:
        exchange(client, server, 100)


def test_corrupt(pair):
    client, server, relay = pair
    relay.toxic("x", "up", "corrupt", 100)
    client.sendall(bytes(100_000))
    got = receive(server, 100_000)
    wrong = sum(byte != 0 for byte in got)
    assert len(got) == 100_000 and 700 < wrong < 1300
    server.sendall(bytes(1000))
    assert receive(client, 1000) == bytes(1000)


def test_the_seed_repeats_the_harm(tmp_path):
    def harm(seed):
        relay = Relay(tmp_path, seed)
        sink = Sink()
        port = relay.link("x", sink.port)
        relay.toxic("x", "up", "corrupt", 50)
        with socket.create_connection((HOST, port), 10) as client, sink.accept() as server:
            client.sendall(bytes(5000))
            got = receive(server, 5000)
        relay.stop()
        return got
    assert harm(1) == harm(1) != harm(2)


def test_half_close_is_passed_on(pair):
    client, server, relay = pair
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 100) == b"question"
    server.sendall(b"answer")
    server.close()
    assert receive(client, 100) == b"answer"
    wait_for(lambda: relay.stats("x")["connections"] == 0)


def test_a_target_that_is_not_there(relay):
    assert_reset(relay.link("x", free_port()))


def test_links_of_one_port_are_told_apart_by_their_source(relay):
    sinks = [Sink(), Sink(), Sink()]
    port = free_port()
    relay.link("a", sinks[0].port, port, "127.0.0.41")
    relay.link("b", sinks[1].port, port, "127.0.0.42")
    relay.link("rest", sinks[2].port, port)
    for source, sink, name in zip(["127.0.0.41", "127.0.0.42", "127.0.0.1"], sinks, ["a", "b", "rest"]):
        with socket.create_connection((HOST, port), 10, source_address=(source, 0)) as client, sink.accept() as server:
            exchange(client, server, 100)
            assert relay.stats(name)["accepted"] == 1


@pytest.mark.parametrize("words", [
    ("nonsense",), ("link", "x"), ("toxic", "nobody", "up", "latency", 1), ("clear", "nobody"),
    ("cut", "nobody", "reset"), ("stats", "nobody")])
def test_wrong_commands_are_refused(relay, words):
    with pytest.raises(AssertionError, match="error"):
        relay.command(*words)
    assert relay.command("seed", 1) == "ok"


@pytest.mark.parametrize("words", [("both", "nonsense", 1), ("sideways", "latency", 1)])
def test_wrong_toxics_are_refused(pair, words):
    with pytest.raises(AssertionError, match="error"):
        pair[2].toxic("x", *words)
