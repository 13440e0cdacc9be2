"""Malformed and odd requests: weir and a bare redis-server do the same, apart
from the few places that malformed.py names."""
import contextlib
import selectors
import socket
import time

import pytest

from harness import HOST, PATIENCE, wait_for
from malformed import AFTER, CASES, SAME, STRICT, TEXT, WAIT

AFTER_REPLY = b"$5\r\nafter\r\n"
QUIET_SECONDS = 0.5     # nothing for so long: the server waits for more


class Conversation:
    """One case on one connection: what came back, and how it ended: "open"
    (AFTER was answered), "closed", or "waits"."""

    def __init__(self, port, data, expectation):
        self.expectation = expectation
        self.answer, self.ending = b"", "waits"
        self.data = data + (b"" if expectation == WAIT else AFTER)
        self.socket = socket.create_connection((HOST, port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, first=0, end=None, chunk=None):
        """The bytes from `first` to `end`, in pieces of `chunk`."""
        data = self.data[first:end]
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):   # closed before that: the answer tells
            for at in range(0, len(data), chunk or len(data)):
                self.socket.sendall(data[at:at + (chunk or len(data))])

    def read(self):
        """False when it has come to its end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.answer += data
        if not data:
            self.ending = "closed"
        elif self.answer.endswith(AFTER_REPLY):
            self.ending = "open"
            self.answer = self.answer[:-len(AFTER_REPLY)]
        return self.ending == "waits"

    @property
    def outcome(self):
        return self.ending, self.answer

    def __repr__(self):
        return f"{self.ending} {self.answer[:200]!r}"


def listen(conversations):
    """Until all of them have ended, or nothing has come for a while."""
    with selectors.DefaultSelector() as selector:
        for talk in conversations:
            selector.register(talk.socket, selectors.EVENT_READ, talk)
        quiet_since = time.monotonic()
        while selector.get_map() and time.monotonic() - quiet_since < QUIET_SECONDS * PATIENCE:
            for key, _ in selector.select(0.05):
                quiet_since = time.monotonic()
                if not key.data.read():
                    selector.unregister(key.fileobj)
    for talk in conversations:
        talk.socket.close()


def converse(port, cases, chunk=None):
    """{name: Conversation}, all of them at once."""
    conversations = {}
    for name, data, expectation in cases:
        talk = conversations[name] = Conversation(port, data, expectation)
        talk.send(chunk=chunk)
    listen(conversations.values())
    return conversations


def converse_cut(port, cuts):
    """[Conversation]: of (data, expectation, at) each, cut there, all of them at
    once. The second half leaves when the first ones have been read."""
    conversations = [Conversation(port, data, expectation) for data, expectation, _ in cuts]
    for talk, (_, _, at) in zip(conversations, cuts):
        talk.send(end=at)
    time.sleep(0.02)
    for talk, (_, _, at) in zip(conversations, cuts):
        talk.send(first=at)
    listen(conversations)
    return conversations


def is_error(answer):
    return answer.rpartition(b"\r\n-")[2].startswith((b"-", b"ERR")) and answer.endswith(b"\r\n")


def differs(expectation, stock, weir):
    """Why weir's outcome is not what is expected, or None."""
    if expectation == SAME:
        # A reset may have swallowed the error on either side.
        if stock.ending == weir.ending == "closed" and b"" in (stock.answer, weir.answer):
            return None
        return None if stock.outcome == weir.outcome else "not the same"
    if expectation == TEXT:
        if weir.ending != "closed" or not is_error(weir.answer):
            return "weir does not refuse it"
        return None if stock.ending in ("closed", "waits") else "the server takes it"
    if expectation == STRICT:
        if weir.ending != "closed" or b"-ERR Protocol error" not in weir.answer:
            return "weir does not refuse it"
        return None if stock.ending != "closed" else "the server refuses it too"
    if expectation == WAIT:
        return None if stock.outcome == weir.outcome == ("waits", b"") else "somebody answers"
    return f"unknown expectation {expectation}"


def test_as_the_server_does(shared_group):
    stock = converse(shared_group.master.port, CASES)
    weir = converse(shared_group.weir.port, CASES)
    wrong = [f"{name}: {why}; server: {stock[name]!r}, weir: {weir[name]!r}"
             for name, _, expectation in CASES
             if (why := differs(expectation, stock[name], weir[name]))]
    assert not wrong, f"{len(wrong)} of {len(CASES)} cases:\n" + "\n".join(wrong)


# Who waits costs a while of silence: those cases come together, in a batch of their own.
BATCH = 1500


@pytest.mark.time_limit(300)
def test_cut_at_every_byte(shared_group):
    """Each case is cut once at each of its bytes, for the server and for weir."""
    cuts = [(name, data, expectation, at) for name, data, expectation in CASES if len(data) < 400
            for at in range(1, len(data))]
    cuts.sort(key=lambda cut: cut[2] in (WAIT, TEXT))
    wrong = []
    for first in range(0, len(cuts), BATCH):
        batch = cuts[first:first + BATCH]
        stock, weir = (converse_cut(server.port, [cut[1:] for cut in batch])
                       for server in (shared_group.master, shared_group.weir))
        wrong += [f"{name} cut at {at}: {why}; server: {theirs!r}, weir: {ours!r}"
                  for (name, _, expectation, at), theirs, ours in zip(batch, stock, weir)
                  if (why := differs(expectation, theirs, ours))]
    print(f"{len(cuts)} cases of {len(CASES)} requests, {len(wrong)} differences")
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_in_pieces_as_in_one(shared_group, chunk):
    """How the bytes arrive makes no difference."""
    cases = [case for case in CASES if len(case[1]) < 3000]
    whole = converse(shared_group.weir.port, cases)
    pieces = converse(shared_group.weir.port, cases, chunk)
    wrong = [f"{name}: whole {whole[name]!r}, in pieces {pieces[name]!r}" for name, _, _ in cases
             if whole[name].outcome != pieces[name].outcome
             and not (whole[name].ending == pieces[name].ending == "closed" and b"" in (whole[name].answer, pieces[name].answer))]
    assert not wrong, "\n".join(wrong)


def test_on_the_replica_endpoint(shared_group):
    """It frames by the same rules: what is malformed there is malformed here."""
    cases = [(name, data, expectation) for name, data, expectation in CASES if expectation in (TEXT, STRICT, WAIT)]
    main = converse(shared_group.weir.port, cases)
    replica = converse(shared_group.weir.replica_port, cases)
    assert {n: t.ending for n, t in main.items()} == {n: t.ending for n, t in replica.items()}


def test_nothing_of_it_reached_a_server(shared_group):
    """After all that: everybody is well, and nothing is out of step."""
    with shared_group.weir.raw() as raw:
        assert raw.commands([("SET", "well", "1"), ("GET", "well")]) == ["OK", b"1"]
    metrics = shared_group.weir.metrics()
    assert metrics.get("weir_backend_desync_total", 0) == 0
    assert metrics["weir_protocol_errors_total"] > 0
    wait_for(lambda: shared_group.weir.status()["clients"]["connected"] == 0, what="all have left")


@pytest.mark.parametrize("opening", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nFLUSHALL\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"SSH-2.0-OpenSSH_9.2\r\n",
    b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nFLUSHALL\r\n", b"\x00" * 5000, b"\xff" * 5000,
])
def test_other_protocols(shared_group, opening):
    """A browser's request must not run what its body says (cross-protocol
    scripting): weir closes where the server closes."""
    with shared_group.weir.raw() as raw:
        raw.command("SET", "kept", "1")
    stock = converse(shared_group.master.port, [("opening", opening, SAME)])["opening"]
    shared_group.master.cli("SET", "kept", "1")
    weir = converse(shared_group.weir.port, [("opening", opening, SAME)])["opening"]
    if stock.ending == "closed":
        assert weir.ending == "closed", (stock, weir)
    if opening.startswith((b"GET", b"POST")):
        assert weir.ending == "closed"
        assert shared_group.master.cli("EXISTS", "kept") == 1
