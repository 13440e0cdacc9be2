"""Servers that answer weir's own questions (INFO, ROLE, COMMAND) with rubbish, or
close in the middle of an answer: on control connections as on those that carry
clients' commands. Clients see right values or clear errors, weir lives, and all
is well again when the server has come to its senses."""
import contextlib
import threading

import pytest

from harness import HOST, Group, ServerError, wait_for
from test_fake_server import CLOSE, TRICKS, Crooked

# Whole replies, and of no use.
SENSELESS = {
    "nil": b"$-1\r\n", "an empty string": b"$0\r\n\r\n", "an empty array": b"*0\r\n", "a nil array": b"*-1\r\n",
    "a number": b":9223372036854775807\r\n", "a status": b"+OK\r\n", "an error": b"-ERR no\r\n",
    "an empty error": b"-\r\n", "NOAUTH": b"-NOAUTH Authentication required.\r\n", "LOADING": b"-LOADING soon\r\n",
    "a map": b"%1\r\n+role\r\n+master\r\n", "a push": b">2\r\n+a\r\n+b\r\n", "RESP3 nil": b"_\r\n", "a double": b",1.5\r\n",
    "an array of arrays": b"*2\r\n*2\r\n*0\r\n*-1\r\n*1\r\n:1\r\n",
    "text of another kind": b"$26\r\nrole:master\r\nrole:slave\r\n\r\n",
    "a run_id too long": b"$212\r\n# Server\r\nredis_version:7.0.15\r\nrun_id:" + b"a" * 156 + b"\r\nrole:master\r\n\r\n",
    "figures beyond all": b"$96\r\n" + b"role:master\r\nmaster_repl_offset:99999999999999999999999999\r\nrun_id:x\r\n".ljust(96) + b"\r\n",
    "a role that is none": b"*3\r\n$6\r\nmaster\r\n$3\r\nabc\r\n*0\r\n", "a master of -1": b"*3\r\n$6\r\nmaster\r\n:-1\r\n*0\r\n",
    "a slave of nobody": b"*5\r\n$5\r\nslave\r\n$0\r\n\r\n:0\r\n$9\r\nconnected\r\n:-1\r\n",
    "a half role": b"*1\r\n$6\r\nmaster\r\n", "a sentinel": b"*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\na\r\n",
}
# Where clients' commands are on their way as well, these shift the replies, and no
# peer can see that: a ROLE without a reply is one that a busy master still owes.
SHIFTS = [TRICKS[trick] for trick in ("an extra reply", "two extra replies", "no reply")]
WAYS = {**TRICKS, **{name: lambda reply, said=said: said for name, said in SENSELESS.items()}}


class Interrogated(Crooked):
    """Bends the answers to one of weir's own questions. `only_data`: not on
    control connections."""

    def __init__(self, server):
        super().__init__(server)
        self.question, self.way, self.only_data = None, None, False
        self.connection = threading.local()

    def _bend(self, words, reply):
        if words[-1] == b"weir-data":
            self.connection.is_data = True
        is_data = hasattr(self.connection, "is_data")
        if words[0].upper() != self.question or (self.only_data and not is_data):
            return [reply]
        if is_data and self.question == b"ROLE" and self.way in SHIFTS:
            return [reply]
        self.bent += 1
        parts = self.way(reply)
        return parts if isinstance(parts, list) else [parts]

    def sane(self):
        self.question = None


@contextlib.contextmanager
def behind(lab, where, **sections):
    """The master or the replica is spoken to through an Interrogated."""
    master = lab.redis(name="master")
    replica = lab.redis("--replicaof", HOST, master.port, name="replica")
    with Interrogated(master if where == "master" else replica) as odd:
        addresses = {"master": master.address, "replica": replica.address, where: odd.address}
        weir = lab.weir(addresses["master"], [addresses["replica"]], {
            "proxy": {"workers": 1}, "replication": {"wiring": "observe"}, "health": {"interval": "20ms", "timeout": "300ms"},
            "routing": {"backend_timeout": "200ms", "write_hold": "100ms"}, **sections}, start=False)
        group = Group(master, [replica], weir)
        group.odd = odd
        master.client().mset({"k": "of k", "l": "of l"})
        group.caught_up()
        yield group


def ask_about(group):
    """Right values, or clear errors, or the end of the connection."""
    with contextlib.suppress(EOFError, ConnectionResetError), group.weir.raw(timeout=10) as raw:
        replies = raw.commands([("GET", "k"), ("SET", "l", "of l"), ("GET", "l"), ("GET", "none")])
        for reply, wanted in zip(replies, [b"of k", "OK", b"of l", None]):
            assert reply == wanted or isinstance(reply, ServerError), replies


@pytest.mark.parametrize("question", [b"INFO", b"ROLE", b"CLIENT"])
@pytest.mark.parametrize("where", ["replica", "master"])
def test_senseless_answers(lab, where, question):
    """The master takes every second way, the replica the others."""
    with behind(lab, where) as group:
        weir, odd = group.weir.start().wait_state("ok"), group.odd
        for name, way in list(WAYS.items())[where == "replica"::2]:
            odd.way, odd.bent = way, 0
            odd.question = question
            with contextlib.suppress(AssertionError):   # while nothing is ready this one may not be asked at all
                wait_for(lambda: odd.bent >= 2, 0.2 if question != b"CLIENT" else 0.05)
            ask_about(group)
            assert weir.running(), name
        odd.sane()
        weir.wait_state("ok", 30)
        wait_for(lambda: weir.readable(weir.settings["replication"]["replica"][0]), 30, "the replica is readable")

        def all_is_well():
            with weir.raw() as raw:
                return raw.commands([("SET", "m", "1"), ("GET", "m"), ("GET", "k")]) == ["OK", b"1", b"of k"]
        wait_for(all_is_well)


@pytest.mark.time_limit(240)
def test_a_table_of_commands_that_is_none(lab):
    """What is not learned is sent to the master, apart from the others."""
    with behind(lab, "master") as group:
        group.odd.question = b"COMMAND"
        for name, way in list(WAYS.items())[::6]:   # a weir for each
            group.odd.way = way
            group.weir.start().wait_state("ok")
            for _ in range(3):
                ask_about(group)
            assert group.weir.running(), name
            group.weir.stop()
        group.odd.sane()
        group.weir.start().wait_state("ok")
        with group.weir.raw() as raw:
            assert raw.commands([("SET", "m", "1"), ("GET", "m")]) == ["OK", b"1"]


def answer_or_end(weir, *words):
    """The reply, or "closed": a client that has seen the beginning of a reply
    cannot be told anything else."""
    with weir.raw() as raw:
        try:
            return raw.command(*words)
        except (EOFError, ConnectionResetError):
            return "closed"


def test_closing_at_every_byte_of_a_reply(lab):
    """The read is asked of another server, unless its client has seen some of it."""
    with behind(lab, "replica", health={"fall": 100}) as group:
        group.weir.start().wait_state("ok")
        odd = group.odd
        odd.only_data, odd.question = True, b"GET"
        for cut in range(len(b"$4\r\nof k\r\n")):
            odd.way = lambda reply, cut=cut: [reply[:cut], CLOSE]
            before = odd.bent

            def is_asked_there():
                assert answer_or_end(group.weir, "GET", "k") in (b"of k", "closed" if cut > 0 else b"of k"), cut
                return odd.bent > before
            wait_for(is_asked_there, what=f"the replica is asked (cut at {cut})")


def test_closing_at_every_byte_of_a_proof(lab):
    """ROLE in front of a batch of reads: half of it proves nothing."""
    with behind(lab, "replica", health={"fall": 100}) as group:
        group.weir.start().wait_state("ok")
        odd = group.odd
        with group.replicas[0].raw() as raw:
            raw.send(b"ROLE\r\n")
            whole = len(raw.socket.recv(1000))
        odd.only_data, odd.question = True, b"ROLE"
        for cut in range(whole):
            odd.way = lambda reply, cut=cut: [reply[:cut], CLOSE]
            for _ in range(2):
                with group.weir.raw() as raw:
                    assert raw.commands([("GET", "k"), ("GET", "l")]) == [b"of k", b"of l"], cut
        assert odd.bent > 3
        assert group.weir.metrics()["weir_backend_desync_total"] == 0


@pytest.mark.parametrize("words, reply", [(("SET", "k", "of k"), b"+OK\r\n"), (("INCR", "n"), b":1\r\n")], ids=lambda x: x[0] if isinstance(x, tuple) else "")
def test_closing_at_every_byte_of_a_writes_reply(lab, words, reply):
    """The write is not sent again, and its client is told that it may have run."""
    with behind(lab, "master", routing={"write_hold": "5s"}) as group:
        group.weir.start().wait_state("ok")
        odd = group.odd
        odd.only_data, odd.question = True, words[0].encode()
        for cut in range(len(reply)):
            odd.way = lambda reply, cut=cut: [reply[:cut], CLOSE]
            answer = str(answer_or_end(group.weir, *words))
            assert answer.startswith(("UNKNOWNRESULT ", "closed" if cut > 0 else "UNKNOWNRESULT")), (cut, answer)
        assert odd.bent == len(reply), "sent once each"
