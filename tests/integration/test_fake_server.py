"""Servers that do not keep to the protocol, as seen by clients: the value that
is right, a clear error, or a closed connection; never another key's value. And
weir as a server that somebody replicates from.

`Crooked` is a real redis-server behind a go-between that takes one request at
a time from weir and may do to its reply what it likes. (test_guards.py has
servers that are odd towards weir's control connections.)

A server that adds or drops a reply while others are on their way shifts them,
and no peer can see that; so these tests have one request on its way at a time.
"""
import contextlib
import socket
import threading

import pytest

from harness import HOST, PATIENCE, Group, Lab, ServerError, encode, free_port, use_up_spares, wait_for

CLOSE = object()    # what a script returns to close the connection


def read_frame(stream):
    """The bytes of one request or reply, whole."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise EOFError
    kind, rest = line[:1], line[1:-2]
    if kind in b"$=!" and rest != b"-1":
        return line + stream.read(int(rest) + 2)
    if kind in b"*~>%" and rest != b"-1":
        count = int(rest) * (2 if kind == b"%" else 1)
        return line + b"".join(read_frame(stream) for _ in range(count))
    return line


class Crooked:
    """`script(words, reply)` sees each request for the key `bad` and the
    server's reply to it, and returns what is sent instead: bytes, CLOSE, or a
    list of these. `greet`, when set, is sent to every connection at once."""

    def __init__(self, server):
        self.server = server
        self.port = free_port()
        self.script = None
        self.greet = None
        self.hold = {}      # {command: Event}: its reply waits for the event
        self.bent = 0       # replies that were bent
        self.key = b"bad"
        self.refused_names = 0  # so many connections more are closed when they introduce themselves
        self.listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError, EOFError):
            if self.greet is not None:
                connection.sendall(self.greet)
                return
            with socket.create_connection((HOST, self.server.port)) as upstream:
                requests, replies = connection.makefile("rb"), upstream.makefile("rb")
                while True:
                    request = read_frame(requests)
                    upstream.sendall(self._request(request))
                    reply = read_frame(replies)
                    words = request.split(b"\r\n")[2::2]
                    if words[-1] == b"weir-data" and self.refused_names > 0:
                        self.refused_names -= 1
                        return
                    self.hold.get(words[0], _open).wait(30)
                    for part in self._bend(words, reply):
                        if part is CLOSE:
                            return
                        connection.sendall(part)

    def _request(self, frame):
        """What the server is asked instead."""
        return frame

    def _bend(self, words, reply):
        if self.script is None or self.key not in words[1:2]:
            return [reply]
        self.bent += 1
        parts = self.script(words, reply)
        return parts if isinstance(parts, list) else [parts]


_open = threading.Event()
_open.set()


# What it may do to the right reply.
TRICKS = {
    "an extra reply": lambda reply: reply + b"$5\r\nEXTRA\r\n",
    "two extra replies": lambda reply: reply + b"+OK\r\n" * 2,
    "no reply": lambda reply: b"",
    "no reply, then close": lambda reply: CLOSE,
    "half a reply, then close": lambda reply: [reply[:len(reply) // 2], CLOSE],
    "half a header, then close": lambda reply: [reply[:1], CLOSE],
    "an unknown type": lambda reply: b"@what\r\n",
    "text": lambda reply: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "zeros": lambda reply: bytes(1000),
    "a length of letters": lambda reply: b"$abc\r\n",
    "a negative length": lambda reply: b"$-7\r\n",
    "a length beyond all": lambda reply: b"$9223372036854775807\r\nx",
    "a count beyond all": lambda reply: b"*9223372036854775807\r\n",
    "a count without elements": lambda reply: [b"*2147483647\r\n:1\r\n", CLOSE],
    "a wrong end": lambda reply: b"$5\r\nhelloXX",
    "nested without end": lambda reply: [b"*1\r\n" * 100_000, CLOSE],
    "a push to a RESP2 client": lambda reply: b">2\r\n+a\r\n+b\r\n" + reply,
    "an attribute without a reply": lambda reply: [b"|1\r\n+a\r\n+b\r\n", CLOSE],
}


# These may become a reply one day: weir has to wait, like anybody else.
UNFINISHED = ("no reply", "a count without elements", "nested without end", "an attribute without a reply")


def outcome(raw, *words):
    """What the client sees of one command: its reply, or "closed"."""
    try:
        return raw.command(*words)
    except (EOFError, ConnectionResetError, AssertionError) as error:
        assert "not a reply" not in str(error), f"{error}: it was handed on"
        return "closed"
    except RecursionError:
        raw.read_all()      # deeper than this parser goes: then to its end, which has to come
        return "closed"


@contextlib.contextmanager
def behind_crooked(directory, **routing):
    """A master, a replica that is spoken to through a Crooked, and weir. The
    reads go to the replica."""
    with Lab(directory) as lab:
        master = lab.redis(name="master")
        replica = lab.redis("--replicaof", HOST, master.port, name="replica")
        with Crooked(replica) as crooked:
            weir = lab.weir(master, [crooked.address], {
                "proxy": {"workers": 1}, "replication": {"wiring": "observe"}, "health": {"fall": 100},
                "routing": {"backend_timeout": f"{100 * PATIENCE:g}ms", "max_lag": "1m", **routing}}).wait_state("ok")
            group = Group(master, [replica], weir)
            group.crooked = crooked
            master.client().mset({"bad": "the right value", "other": "another key's value"})
            group.settle()
            yield group


@pytest.fixture(scope="module")
def crooked_replica(tmp_path_factory):
    with behind_crooked(tmp_path_factory.mktemp("crooked")) as group:
        yield group


@pytest.mark.parametrize("trick", TRICKS)
def test_a_crooked_replica(crooked_replica, trick):
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    crooked_replica.settle()
    bent = crooked.bent
    desyncs = lambda: weir.metrics()["weir_backend_desync_total"]  # noqa: E731
    counted = desyncs()
    crooked.script = lambda words, reply: TRICKS[trick](reply)
    with weir.raw(timeout=5) as raw, weir.raw(timeout=5) as other:
        seen = outcome(raw, "GET", "bad")
        assert crooked.bent == bent + 1, "the read was not sent to the replica, or twice"
        crooked.script = None
        assert seen == b"the right value" or seen == "closed", seen
        for _ in range(20):
            assert other.commands([("GET", "other"), ("GET", "bad"), ("GET", "none")]) == [
                b"another key's value", b"the right value", None]
    print(f"seen: {seen}")
    assert weir.running()
    if "close" not in trick and trick not in UNFINISHED:
        assert desyncs() == counted + 1


def test_replies_of_the_wrong_type_are_the_servers_own(crooked_replica):
    """weir does not know what a command answers: it passes on what is whole."""
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    crooked_replica.settle()
    with weir.raw() as raw:
        raw.command("HELLO", 3)
        for bytes_, value in [(b":5\r\n", 5), (b"*2\r\n:1\r\n$1\r\nx\r\n", [1, b"x"]), (b"%1\r\n+a\r\n_\r\n", {"a": None}),
                              (b"-ERR odd\r\n", ServerError("ERR odd")), (b"+\r\n", ""), (b"*0\r\n", [])]:
            crooked.script = lambda words, reply: bytes_
            assert raw.command("GET", "bad") == value
            assert raw.command("GET", "other") == b"another key's value"
    crooked.script = None


@pytest.mark.parametrize("error", [
    "LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data "
    "is set to 'no'.", "BUSY Redis is busy running a script.", "NOAUTH Authentication required.",
    "NOREPLICAS Not enough good replicas to write.", "NOSCRIPT No matching script.", "ERR unknown command 'GET'",
], ids=lambda error: error.split()[0] + error.split()[1])
def test_errors_that_another_server_would_not_give(crooked_replica, error):
    """It could not even begin: the read is answered by the master."""
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    crooked_replica.settle()
    bent = crooked.bent
    crooked.script = lambda words, reply: b"-%s\r\n" % error.encode()
    with weir.raw() as raw:
        assert raw.commands([("GET", "bad"), ("GET", "other")]) == [b"the right value", b"another key's value"]
    crooked.script = None
    assert crooked.bent > bent, "the read was not sent to the replica"


@pytest.mark.parametrize("fallback, answer, tries", [
    ("master", b"the right value", 2),
    ("error", ServerError("NOREPLICA every node tried was lost before it answered"), 3),
])
def test_a_read_is_sent_again_at_most_twice(lab, fallback, answer, tries):
    """A read that kills whoever gets it must not go round for ever. The last
    one to be asked is the master, if it may be."""
    master = lab.redis(name="master")
    with contextlib.ExitStack() as stack:
        between = [stack.enter_context(Crooked(lab.redis("--replicaof", HOST, master.port, name="replica")))
                   for _ in range(5)]
        weir = lab.weir(master, [crooked.address for crooked in between], {
            "replication": {"wiring": "observe"}, "health": {"fall": 100},
            "routing": {"fallback": fallback, "max_lag": "1m"}}).wait_state("ok")
        group = Group(master, [crooked.server for crooked in between], weir)
        master.cli("SET", "bad", "the right value")
        group.settle()
        for crooked in between:
            crooked.script = lambda words, reply: CLOSE
        for _ in range(3):      # a connection that has read from the master stays there for a while
            with weir.raw() as raw:
                assert raw.command("GET", "bad") == answer
        assert sum(crooked.bent for crooked in between) == tries * 3


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "in pieces"])
def test_an_attribute_before_an_error(crooked_replica, at_once):
    """RESP3 allows it, and it was the end of an earlier weir."""
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    crooked_replica.settle()
    odd = b"|1\r\n+a\r\n+b\r\n-ERR x\r\n"
    crooked.script = lambda words, reply: odd if at_once else [odd[:9], odd[9:]]
    with weir.raw() as raw:
        raw.command("HELLO", 3)
        raw.send(encode("GET", "bad"))
        assert raw.stream.read(len(odd)) == odd
        assert raw.command("GET", "other") == b"another key's value"
    crooked.script = None
    assert weir.running()


def test_a_late_reply(crooked_replica):
    """It comes when nobody waits for it any more: to nobody."""
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    crooked_replica.settle()
    late = threading.Event()

    def answer_late(words, reply):
        late.wait(10)
        return reply
    crooked.script = answer_late
    with weir.raw() as raw, weir.raw() as other:
        assert raw.command("GET", "bad") == b"the right value", "from the master, after backend_timeout"
        crooked.script = None
        other.send(encode("GET", "other") + encode("GET", "none"))
        late.set()
        assert [other.reply(), other.reply()] == [b"another key's value", None]
        assert other.commands([("GET", "other")] * 20) == [b"another key's value"] * 20


GREETINGS = [b"-ERR max number of clients reached\r\n", b"-DENIED Redis is running in protected mode\r\n",
             b"+OK\r\n", b"$100\r\nhalf a value", b"\0" * 5000, b"SSH-2.0-OpenSSH_9.2\r\n", b""]


@pytest.mark.parametrize("greeting", GREETINGS, ids=lambda greeting: repr(greeting[:12]))
def test_a_server_that_speaks_first(crooked_replica, greeting):
    """New connections are turned away. Reads are answered by the master, and by
    the replica again when it has come to its senses."""
    crooked, weir = crooked_replica.crooked, crooked_replica.weir
    with crooked_replica.master.client(db=4) as four, weir.raw(timeout=5) as raw:
        four.set("greeted", "1")
        assert raw.command("SELECT", 4) == "OK"     # a database whose backend has to be opened anew
        crooked.greet = greeting
        crooked.server.cli("CLIENT", "KILL", "TYPE", "normal")
        try:
            for _ in range(20):
                assert raw.commands([("GET", "greeted"), ("GET", "none")]) == [b"1", None]
        finally:
            crooked.greet = None
    weir.wait_state("ok")
    crooked_replica.settle()


# ---- the master

@pytest.mark.parametrize("trick", [trick for trick in TRICKS if trick != "no reply"])
def test_a_crooked_master(lab, trick):
    """A write whose reply is lost or spoilt is never sent twice; its client
    gets the reply, -UNKNOWNRESULT, or the end of the connection."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1}}).wait_state("ok")
        with weir.raw(timeout=5) as raw, weir.raw(timeout=5) as other:
            assert raw.command("SET", "other", "x") == "OK"
            crooked.script = lambda words, reply: TRICKS[trick](reply)
            seen = outcome(raw, "INCR", "bad")
            crooked.script = None
            assert crooked.bent == 1
            if isinstance(seen, ServerError):
                assert str(seen).startswith("UNKNOWNRESULT ")
            else:
                assert seen in (1, "closed")
            assert other.commands([("GET", "other"), ("GET", "bad"), ("INCR", "bad"), ("GET", "none")]) == [
                b"x", b"1", 2, None]
        print(f"seen: {seen}")


def test_a_read_in_front_of_writes_of_unknown_outcome(lab):
    """Asked again, it would show what they did, although it stood before them."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1}}).wait_state("ok")
        with weir.raw(timeout=5) as raw:
            assert raw.command("SET", "bad", "before") == "OK"
            crooked.script = lambda words, reply: CLOSE
            replies = raw.commands([("GET", "bad"), ("SET", "bad", "after")])
            crooked.script = None
            assert [str(reply).split()[0] for reply in replies] == ["UNKNOWNRESULT"] * 2
            assert raw.command("GET", "bad") in (b"before", b"after")
        with weir.raw(timeout=5) as raw:
            calls = master.calls().get("get", 0)
            closes = iter([CLOSE])
            crooked.script = lambda words, reply: next(closes, reply)
            assert raw.commands([("GET", "bad"), ("GET", "bad")]) == [b"before"] * 2, "nothing but reads: asked again"
            assert master.calls()["get"] > calls + 2


def test_a_read_waits_for_a_connection_that_holds(lab):
    """The master lives, its connections break: however often, as long as a write
    would be held."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"routing": {"write_hold": f"{PATIENCE:g}s"}}).wait_state("ok")
        with weir.raw(timeout=10) as raw:
            assert raw.command("SET", "bad", "value") == "OK"
            closes = iter([CLOSE] * 4)
            crooked.script = lambda words, reply: next(closes, reply)
            assert raw.command("GET", "bad") == b"value"
            crooked.script = lambda words, reply: CLOSE
            assert str(raw.command("GET", "bad")).startswith("NOMASTER ")
            crooked.script = None
            assert raw.command("GET", "bad") == b"value"


def test_a_read_that_kills_masters(lab):
    """They are started again, and two more lives are tried; no fourth."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"replication": {"accept_reset_master": "yes"},
                                              "routing": {"write_hold": "1m"}}).wait_state("ok")

        def dies(words, reply):
            master.kill()
            master.start()
            return CLOSE
        crooked.script = dies
        with weir.raw(timeout=60) as raw:
            answer = raw.command("GET", "bad")
            assert str(answer) == "NOREPLICA every node tried was lost before it answered"
            assert crooked.bent == 3
            crooked.script = None
            assert raw.command("GET", "bad") is None


def test_a_read_lost_everywhere_waits_for_the_master(lab):
    """Without one three replicas are tried; then it waits as a write does, also for
    a connection that holds."""
    master = lab.redis("--save", "3600 1", name="master")
    with contextlib.ExitStack() as stack:
        before_master = stack.enter_context(Crooked(master))
        between = [stack.enter_context(Crooked(lab.redis("--replicaof", HOST, master.port, name="replica")))
                   for _ in range(2)]
        weir = lab.weir(f"{before_master.address} announce={master.address}", [crooked.address for crooked in between], {
            "replication": {"wiring": "observe"}, "routing": {"write_hold": "1m"}}).wait_state("ok")
        with weir.raw(timeout=60) as raw:
            assert raw.command("SET", "bad", "value") == "OK"
            Group(master, [crooked.server for crooked in between], weir).settle()
            master.end()
            weir.wait_state("no_master")
            for crooked in between:
                crooked.script = lambda words, reply: CLOSE
            closes = iter([CLOSE] * 3)
            before_master.script = lambda words, reply: next(closes, reply)
            raw.send(encode("GET", "bad"))
            wait_for(lambda: sum(crooked.bent for crooked in between) == 3, what="three tries")
            wait_for(lambda: weir.status()["counters"]["held_requests"] == 1, what="it is held")
            master.start()
            assert raw.reply() == b"value"
        assert sum(crooked.bent for crooked in between) == 3


class AndThenNothing(list):
    """These parts, and nothing more of the connection until `over`."""

    def __init__(self, parts, over):
        super().__init__(parts)
        self.over = over

    def __iter__(self):
        yield from super().__iter__()
        self.over.wait(30)
        yield CLOSE


def test_a_master_that_stops_in_the_middle_of_a_reply(lab):
    """Its control connection is answered, so it is not at work: those who wait
    behind such a reply do not do so for ever."""
    master, over = lab.redis(name="master"), threading.Event()
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1}, "routing": {"backend_timeout": "100ms"}}).wait_state("ok")
        master.client().mset({"bad": "value", "other": "its own"})
        with weir.raw() as raw, weir.raw() as other, weir.raw() as writer:
            assert [client.command("GET", "other") for client in (raw, other, writer)] == [b"its own"] * 3
            crooked.script = lambda words, reply: AndThenNothing([reply[:6]], over)
            raw.send(encode("GET", "bad"))
            wait_for(lambda: crooked.bent == 1)
            other.send(encode("GET", "other"))
            weir.take(writer, encode("SET", "other", "its own"))
            assert raw.read_all() == b"$5\r\nva", "it has seen some of it: its connection ends"
            assert other.reply() == b"its own"
            assert str(writer.reply()).startswith("UNKNOWNRESULT ")
        over.set()
        wait_for(lambda: weir.metrics()["weir_clients_connected"] == 0)


class Late(Crooked):
    """Takes a write, lets the connection to weir break, and hands the write to
    the server a good while later: as bytes do that lie in a socket."""

    def __init__(self, server):
        super().__init__(server)
        self.now = threading.Event()
        self.outcome = None

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError), socket.create_connection((HOST, self.server.port)) as upstream:
            requests, replies = connection.makefile("rb"), upstream.makefile("rb")
            while True:
                request = read_frame(requests)
                if request.split(b"\r\n")[2:7:2] == [b"SET", b"bad", b"late"]:
                    requests.close()
                    connection.close()
                    self._hand_over_late(request, upstream, replies)
                    return
                upstream.sendall(request)
                connection.sendall(read_frame(replies))

    def _hand_over_late(self, request, upstream, replies):
        assert self.now.wait(20)
        try:
            upstream.sendall(request)
            self.outcome = replies.readline()
        except OSError:
            self.outcome = b""


@pytest.mark.parametrize("private", [False, True], ids=["shared", "private"])
def test_a_lost_write_does_not_run_after_it_was_looked_at(lab, private):
    """-UNKNOWNRESULT means: done or not. Whoever looks then must be able to
    rely on what he sees."""
    master, replica = lab.redis(name="master"), lab.redis(name="replica")
    with Late(master) as late:
        weir = lab.weir(f"{late.address} announce={master.address}", [replica.address], {"proxy": {"workers": 1}})
        weir.wait_state("ok")
        with weir.raw(timeout=5) as raw:
            assert raw.command("SET", "bad", "before") == "OK"
            if private:
                raw.send(encode("WATCH", "x"))
                assert raw.reply() == "OK"
            answer = outcome(raw, "SET", "bad", "late")
            assert answer == "closed" if private else str(answer).startswith("UNKNOWNRESULT ")
        with weir.raw(timeout=5) as raw:
            assert raw.command("GET", "bad") == b"before"
            raw.command("SET", "other", 1)
            wait_for(lambda: weir.metrics()['weir_commands_total{class="read",route="replica",result="ok"}'] > 0
                     or raw.command("GET", "other") is None, what="proofs are taken again")
            late.now.set()
            wait_for(lambda: late.outcome is not None, what="it came too late")
            assert late.outcome == b"", "the server has run it"
            assert raw.command("GET", "bad") == b"before"


def test_questions_of_weirs_own_are_asked_again(lab):
    """SELECT cannot fail for a lost connection: the next command would run in
    the wrong database."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1}}).wait_state("ok")
        crooked.key = b"3"
        with weir.raw(timeout=5) as raw:
            assert raw.command("SET", "k", "of database 0") == "OK"
            assert raw.commands([("SELECT", 3), ("SELECT", 0)]) == ["OK", "OK"]
            closes = iter([CLOSE])
            crooked.script = lambda words, reply: next(closes, reply)
            assert raw.commands([("SELECT", 3), ("SET", "k", "of database 3")]) == ["OK", "OK"]
            assert crooked.bent > 1
        with master.raw() as direct:
            assert direct.commands([("GET", "k"), ("SELECT", 3), ("GET", "k")]) == [
                b"of database 0", "OK", b"of database 3"]


def test_a_subscribers_handshake_that_breaks_off(lab):
    """The connection is lost between weir's own questions: they are weir's on
    the next one too, and their answers nobody else's."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1}, "routing": {"write_hold": "20s"}}).wait_state("ok")
        with weir.raw() as raw:
            use_up_spares(raw)
            crooked.refused_names = 3
            raw.send(encode("SUBSCRIBE", "c"))
            assert raw.reply() == [b"subscribe", b"c", 1]
            wait_for(lambda: crooked.refused_names == 0, what="all of them were asked")
            assert raw.commands([("PING",), ("UNSUBSCRIBE",)]) == [[b"pong", b""], [b"unsubscribe", b"c", 0]]


def test_reads_before_the_commands_are_learned(lab):
    """Nobody can tell then that they are reads; on the reads-only endpoint without a
    replica they wait until it is known."""
    master = lab.redis(name="master")
    master.cli("SET", "k", "v")
    with Crooked(master) as crooked:
        crooked.hold[b"cOMMAND"] = threading.Event()
        weir = lab.weir(crooked.address, (), {"routing": {"write_hold": "30s"}}, start=False)
        weir.replica_endpoint()
        weir.start().wait_state("ok")
        with weir.raw(timeout=40, replica=True) as raw:
            assert raw.command("PING") == "PONG"
            raw.send(encode("GET", "k"))
            assert raw.silent(3.5), "weir is in a hurry for two seconds alone"
            crooked.hold[b"cOMMAND"].set()
            assert raw.reply() == b"v"


def test_blocking_before_the_commands_are_learned(lab):
    """A master that answers everything but COMMAND: a client that blocks must
    not block the others."""
    master = lab.redis(name="master")
    with Crooked(master) as crooked:
        crooked.hold[b"cOMMAND"] = threading.Event()
        try:
            weir = lab.weir(crooked.address, (), {"proxy": {"workers": 1, "drain_timeout": "100ms"}})
            weir.wait_state("ok")
            with weir.raw() as waiting, weir.raw(timeout=3) as other:
                waiting.send(encode("BLPOP", "queue", 0))
                with contextlib.suppress(AssertionError):   # weir may also hold it back
                    wait_for(lambda: master.info("clients")["blocked_clients"] == 1, 0.5)
                other.send(encode("SET", "a", "1"))
                crooked.hold[b"cOMMAND"].set()
                assert other.reply() == "OK"
        finally:
            crooked.hold[b"cOMMAND"].set()


# ---- weir as a master

def test_a_stock_replica_replicates_through_weir(lab):
    group = lab.group(0, {"proxy": {"allow_sync": "yes"}})
    group.master.client().mset({f"k:{n}": n for n in range(1000)})
    with group.weir.raw() as raw:
        assert raw.command("SELECT", 3) == "OK"
        assert raw.command("SET", "before", "1") == "OK"
        replica = lab.redis("--replicaof", HOST, group.weir.port, name="stock")
        wait_for(lambda: replica.follows(group.weir), what="its link is up")
        assert raw.command("SET", "after", b"x" * 1_000_000) == "OK"
    group.replicas.append(replica)
    group.caught_up()
    with replica.client(db=3) as three:
        assert (three.get("before"), len(three.get("after"))) == ("1", 1_000_000)
    assert replica.cli("DBSIZE") == 1000
    wait_for(lambda: group.master.info("replication")["slave0"]["lag"] <= 1, what="its acknowledgements arrive")
    master, stock = group.master.info("replication"), replica.info("replication")
    assert stock["master_replid"] == master["master_replid"]
    replica.kill()
    wait_for(lambda: group.master.info("replication")["connected_slaves"] == 0, what="its connection is gone")
    with group.weir.raw() as raw:
        assert raw.commands([("SET", "a", "1"), ("GET", "a")]) == ["OK", b"1"]


def test_no_stock_replica_unless_it_is_allowed(lab):
    group = lab.group(0)
    replica = lab.redis("--replicaof", HOST, group.weir.port, name="stock")
    wait_for(lambda: group.weir.metrics()['weir_commands_total{class="refused",route="none",result="error"}'] >= 1)
    assert replica.info("replication")["master_link_status"] == "down"
    assert group.master.info("replication")["connected_slaves"] == 0
    with group.weir.raw() as raw:
        for words in [("SYNC",), ("PSYNC", "?", "-1"), ("REPLCONF", "listening-port", "1")]:
            assert isinstance(raw.command(*words), ServerError), words
        assert raw.command("PING") == "PONG"


# ---- scan = replica: replies whose cursor weir has to tag

@pytest.fixture(scope="module")
def scanned_replica(tmp_path_factory):
    with behind_crooked(tmp_path_factory.mktemp("scanned"), scan="replica") as group:
        client = group.weir.client()
        client.delete("bad")
        client.sadd("bad", *range(1000))
        group.settle()
        yield group


def page(cursor, *elements):
    return b"*2\r\n$%d\r\n%s\r\n*%d\r\n" % (len(cursor), cursor, len(elements)) + b"".join(
        b"$%d\r\n%s\r\n" % (len(element), element) for element in elements)


def test_a_page_in_pieces(scanned_replica):
    """Cut anywhere, the client sees the same."""
    crooked, weir = scanned_replica.crooked, scanned_replica.weir
    whole = page(b"12345678901", b"a", b"b")
    with weir.raw() as raw:
        for at in [slice(cut) for cut in range(1, len(whole), 3)] + [None]:
            parts = [whole[:at.stop], whole[at.stop:]] if at else [bytes([byte]) for byte in whole]
            crooked.script = lambda words, reply: parts
            cursor, elements = raw.command("SSCAN", "bad", 0)
            assert int(cursor) & 2 ** 34 - 1 == 12345678901 and int(cursor) > 2 ** 52
            assert elements == [b"a", b"b"]
    crooked.script = None


@pytest.mark.parametrize("reply", [
    page(b"17179869184", b"a" * 100_000), page(b"18446744073709551615"), page(b"01"), page(b"x"), page(b"-1"), page(b""),
    page(b"9" * 25), b"*2\r\n:17\r\n*0\r\n", b"*1\r\n$1\r\n7\r\n", b"*0\r\n", b"+OK\r\n", b"$2\r\n17\r\n", b"*-1\r\n",
    b"|1\r\n+a\r\n+b\r\n" + page(b"17"),
], ids=lambda reply: repr(reply[:20]))
def test_a_cursor_that_takes_no_tag(scanned_replica, reply):
    """The iteration begins on the master instead, whose cursor needs none; one
    that is under way cannot."""
    crooked, weir = scanned_replica.crooked, scanned_replica.weir
    with weir.raw() as raw:
        crooked.script = None
        tagged = raw.command("SSCAN", "bad", 0)[0]
        master_calls = scanned_replica.master.calls().get("sscan", 0)
        crooked.script = lambda words, own: reply
        replies = raw.commands([("GET", "other"), ("SSCAN", "bad", 0, "COUNT", 10), ("GET", "other")])
        assert replies[0] == replies[2] == b"another key's value"
        cursor, elements = replies[1]
        assert int(cursor) > 2 ** 52 and int(cursor) >> 34 != int(tagged) >> 34 and len(elements) >= 10
        assert scanned_replica.master.calls()["sscan"] == master_calls + 1
        lost = raw.command("SSCAN", "bad", tagged)
        assert str(lost).startswith("NOCURSOR ") and "too large" in str(lost)
        assert raw.command("GET", "other") == b"another key's value"
    crooked.script = None
    assert scanned_replica.master.calls()["sscan"] == master_calls + 1


def test_a_page_that_breaks_off(scanned_replica):
    """Before its head is whole it is asked again, of whoever can answer."""
    crooked, weir = scanned_replica.crooked, scanned_replica.weir
    for cut in (5, 9):
        scanned_replica.settle()
        with weir.raw() as raw:
            crooked.script = lambda words, reply: [reply[:cut], CLOSE] if crooked.bent == 1 else reply
            crooked.bent = 0
            cursor, elements = raw.command("SSCAN", "bad", 0, "COUNT", 10)
            assert int(cursor) > 2 ** 52 and len(elements) >= 10
            crooked.script = None
            tagged = raw.command("SSCAN", "bad", 0)[0]
            expected = raw.command("SSCAN", "bad", tagged)
            crooked.bent = 0
            crooked.script = lambda words, reply: [reply[:cut], CLOSE] if crooked.bent == 1 else reply
            assert raw.command("SSCAN", "bad", tagged) == expected
            crooked.script = None


def test_errors_to_a_page_under_way(scanned_replica):
    """They are its server's: no other can say more."""
    crooked, weir = scanned_replica.crooked, scanned_replica.weir
    scanned_replica.settle()
    with weir.raw() as raw:
        crooked.script = None
        tagged = raw.command("SSCAN", "bad", 0)[0]
        for error in ["LOADING Redis is loading the dataset in memory", "BUSY Redis is busy", "WRONGTYPE not a set",
                      "ERR unknown command 'SSCAN'", "NOSCRIPT odd"]:
            crooked.script = lambda words, reply: b"-%s\r\n" % error.encode()
            assert raw.command("SSCAN", "bad", tagged) == ServerError(error)
        crooked.script = None
        assert raw.command("SSCAN", "bad", tagged)[1]
