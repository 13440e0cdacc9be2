"""Sessions whose connection speaks unasked: subscribers, monitors, tracking
clients. What they see is what a bare server would have sent, and weir knows at
every moment which of it is a reply: the session's state is right all along, and
when it stops listening it is an ordinary session again.
"""
import contextlib
import re
import socket
import threading

import pytest

from harness import HOST, Group, Lab, Push, ServerError, encode, free_port, wait_for

DEBUG = ("--enable-debug-command", "yes", "--notify-keyspace-events", "KEA")


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("listening")) as lab:
        group = lab.group(1, redis_args=DEBUG, replica_endpoint=True)
        group.bare = lab.redis(*DEBUG, name="bare")
        yield group


def encode_all(*commands):
    return b"".join(encode(*words) for words in commands)


def private(group):
    return group.weir.metrics()['weir_backends{kind="private"}']


def clients_like(group, flag):
    return [row for row in group.master.client().client_list() if flag in row["flags"]]


# ---------------------------------------------------- as a bare server does

class Other:
    """Something that another client of the same server does meanwhile."""

    def __init__(self, *words):
        self.words = words


def other(*words):
    return Other(*words)


# Each is a conversation: a line is a command, a list of lines is sent at once.
CONVERSATIONS = {
    "subscribe inside MULTI": [
        "MULTI", "SUBSCRIBE a b", "GET x", "PUBLISH a m", "EXEC", "GET x", other("PUBLISH", "b", "n"), "PING",
        "UNSUBSCRIBE b a", "PING", "GET x"],
    "the same at once": [
        ["MULTI", "SUBSCRIBE a b", "GET x", "PUBLISH a m", "EXEC", "GET x", "UNSUBSCRIBE a", "UNSUBSCRIBE b", "PING", "GET x"]],
    "subscribe inside MULTI, RESP3": [
        "HELLO 3", "MULTI", "SUBSCRIBE a b", "GET x", "PUBLISH a m", "SELECT 4", "LRANGE l 0 -1", "EXEC", "SET here 1",
        "MULTI", "UNSUBSCRIBE a", "PUBLISH b x", "UNSUBSCRIBE", "EXEC", "PING", "GET here", "SELECT 0", "GET here"],
    "replies that look like messages": [
        "RPUSH words message a m", "LRANGE words 0 -1", ["SUBSCRIBE a", "UNSUBSCRIBE a", "LRANGE words 0 -1", "PING"],
        "HELLO 3", "SUBSCRIBE a", "LRANGE words 0 -1", other("PUBLISH", "a", "m"), ["LRANGE words 0 -1", "UNSUBSCRIBE", "PING"]],
    "an expired key in the middle of MGET": [
        "HELLO 3", "SUBSCRIBE __keyevent@0__:expired", "DEBUG SET-ACTIVE-EXPIRE 0", "SET k v PX 10", "DEBUG SLEEP 0.02",
        "MGET x k y", ["SET k v PX 1", "DEBUG SLEEP 0.02", "MGET x k y", "SELECT 1", "PING"],
        "DEBUG SET-ACTIVE-EXPIRE 1", "UNSUBSCRIBE", "SET one 1", "SELECT 0", "GET one"],
    "keyspace events": [
        "HELLO 3", "PSUBSCRIBE __key*__:*", "SET k v", ["DEL k", "GET k"], other("SET", "k", "w"), "PUNSUBSCRIBE", "SET k v"],
    "HELLO inside MULTI": [
        "MULTI", "HELLO 3 SETNAME hugo", "SELECT 3", "HGETALL none", "CLIENT GETNAME", "EXEC", "CLIENT GETNAME", "SET q 1",
        "GET q", "HGETALL none", "HELLO 2", "GET q", "SELECT 0", "GET q"],
    "HELLO inside MULTI that is refused": [
        "MULTI", "HELLO 9", "HELLO 3 AUTH nobody wrong", "EXEC", "HGETALL none", "MULTI", "HELLO 3 NONSENSE", "SELECT 99",
        "EXEC", "HGETALL none", "GET x"],
    "AUTH inside MULTI": [
        "ACL SETUSER mary on >pw ~m:* &* +@all", "MULTI", "AUTH mary pw", "SET x 1", "EXEC", "ACL WHOAMI", "SET x 1",
        "SET m:1 1", "MULTI", "AUTH mary wrong", "EXEC", "ACL WHOAMI", "RESET", "ACL WHOAMI", "ACL DELUSER mary"],
    "odd transactions": [
        "MULTI x", "PING", "MULTI", "MULTI", "WATCH a", "DISCARD x", "PING", "EXEC", "DISCARD", "EXEC a", "MULTI", "UNWATCH",
        "SSUBSCRIBE q", "MONITOR", "SELECT 2", "EXEC", "SET w 1", "MULTI", "RESET", "PING", "GET w", "MULTI", "QUIT"],
    "odd transactions at once": [
        ["MULTI x", "PING", "MULTI", "MULTI", "WATCH a", "DISCARD x", "PING", "EXEC", "DISCARD", "EXEC a", "MULTI", "UNWATCH",
         "SSUBSCRIBE q", "MONITOR", "SELECT 2", "EXEC", "SET w 1", "MULTI", "RESET", "PING", "GET w", "MULTI", "QUIT"]],
    "what a RESP2 subscriber may say": [
        "SUBSCRIBE a", "CLIENT ID", "GET", "NOSUCH", "HELLO 3", "SELECT 1", "AUTH x", "MULTI", "CLIENT KILL ID 1", "CLIENT LIST",
        "CLIENT REPLY OFF", "SHUTDOWN x y", "PING", "PING a", "PING a b", "PSUBSCRIBE b* c*", "SSUBSCRIBE s", "UNSUBSCRIBE x",
        "UNSUBSCRIBE", "PUNSUBSCRIBE b* c*", "GET x", "SUNSUBSCRIBE", "GET x", "CLIENT GETNAME", "SUBSCRIBE a", "QUIT"],
    "the same at once, and what weir answers itself behind it": [
        ["SUBSCRIBE a a", "CLIENT ID", "GET", "HELLO 3", "SHUTDOWN x y", "PING", "PSUBSCRIBE b*", "SSUBSCRIBE s", "UNSUBSCRIBE x",
         "UNSUBSCRIBE", "PUNSUBSCRIBE", "GET x", "SUNSUBSCRIBE", "CLIENT GETNAME", "CLIENT SETNAME q", "CLIENT GETNAME", "GET x",
         "SUBSCRIBE a", "QUIT"]],
    "a RESP3 subscriber goes back to RESP2": [
        "HELLO 3", "SUBSCRIBE a", "HELLO 2", "GET a", "HELLO 3", other("PUBLISH", "a", "b"), "PING", "RESET", "PING", "GET a"],
    "a RESP3 subscriber may say everything": [
        "HELLO 3", "SUBSCRIBE a", "SET x 1", "SELECT 1", "GET x", other("PUBLISH", "a", "b"),
        ["GET x", "SELECT 0", "GET x", "MULTI", "GET x"], ["EXEC", "LRANGE l 0 -1"], "CLIENT SETNAME hugo", "CLIENT GETNAME",
        "WATCH x", "MULTI", "GET x", other("SET", "x", "2"), "EXEC", "UNSUBSCRIBE", "GET x", "CLIENT GETNAME"],
    "unsubscribing from nothing": [
        "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE a b", "GET x", ["UNSUBSCRIBE a b", "GET x", "PUNSUBSCRIBE"],
        "HELLO 3", ["UNSUBSCRIBE", "PUNSUBSCRIBE a", "GET x"]],
    "refused subscriptions": [
        "ACL SETUSER deaf on >pw ~* +@all resetchannels &ok", "AUTH deaf pw", "SUBSCRIBE ok no", ["SUBSCRIBE no", "GET x", "SUBSCRIBE ok"],
        "PSUBSCRIBE n*", "SUBSCRIBE", "UNSUBSCRIBE no", "UNSUBSCRIBE", "RESET", "ACL DELUSER deaf"],
    "tracking": [
        "HELLO 3", "CLIENT TRACKING ON", "GET a", other("SET", "a", "1"), "CLIENT TRACKINGINFO", "CLIENT GETREDIR", "SET a 2",
        "GET a", "SET a 3", "MULTI", "GET a", "SET a 4", "EXEC", "CLIENT TRACKING OFF", "GET a", other("SET", "a", "1"), "GET a",
        "CLIENT TRACKINGINFO", "CLIENT TRACKING", "CLIENT TRACKING maybe", "CLIENT CACHING YES", "CLIENT GETREDIR"],
    "tracking, OPTIN and OPTOUT": [
        "HELLO 3", "CLIENT TRACKING ON OPTIN", "GET a", other("SET", "a", "1"), "CLIENT CACHING YES", "GET a", other("SET", "a", "1"),
        "PING", ["CLIENT CACHING YES", "GET a", "GET b"], other("MSET", "a", "1", "b", "2"), "PING", "CLIENT CACHING NO",
        "CLIENT TRACKING ON OPTOUT", "CLIENT TRACKING OFF", "CLIENT TRACKING ON OPTOUT", "CLIENT CACHING NO", "GET a", "GET b",
        other("SET", "a", "1"), other("SET", "b", "1"), "PING", "CLIENT TRACKING ON BCAST", "RESET", "CLIENT TRACKINGINFO"],
    "writes behind OPTIN": [
        "HELLO 3", "CLIENT TRACKING ON OPTIN", ["SET w 1", "CLIENT CACHING YES", "GET a", "SET w 2"], other("SET", "a", "1"), "PING",
        "SET w 3", "CLIENT CACHING YES", "GET a", other("SET", "a", "1"), "PING"],
    "tracking, BCAST": [
        "HELLO 3", "CLIENT TRACKING ON BCAST PREFIX u: PREFIX v:", other("SET", "u:1", "1"), "SET w 1", "SET v:1 1",
        "CLIENT TRACKING ON BCAST PREFIX u:x", "CLIENT TRACKING OFF", "CLIENT TRACKING ON BCAST NOLOOP", "SET v:1 1",
        other("SET", "u:1", "1"), "CLIENT TRACKING OFF", other("SET", "u:1", "1"), "PING"],
    "tracking inside MULTI": [
        "HELLO 3", "MULTI", "CLIENT TRACKING ON", "GET a", "CLIENT TRACKINGINFO", "EXEC", other("SET", "a", "1"), "PING", "MULTI",
        "CLIENT TRACKING OFF", "EXEC", "GET a", other("SET", "a", "1"), "GET a"],
    "tracking without messages": [
        "CLIENT TRACKING ON", "GET a", other("SET", "a", "1"), "GET a", "HELLO 3", "GET a", other("SET", "a", "2"), "GET a",
        "CLIENT TRACKING OFF", "GET a"],
    "silence": [
        "HELLO 3", "CLIENT REPLY OFF", "SUBSCRIBE a", "PSUBSCRIBE b", other("PUBLISH", "a", "b"), "UNSUBSCRIBE", "GET x",
        "CLIENT REPLY ON", "PUNSUBSCRIBE", "GET x", ["CLIENT REPLY SKIP", "SUBSCRIBE a", "GET x", "UNSUBSCRIBE", "GET x"]],
    "silence inside MULTI": [
        "HELLO 3", ["MULTI", "SUBSCRIBE a", "GET x", "CLIENT REPLY OFF", "GET x", "EXEC"], "GET x", "CLIENT REPLY ON", "PING"],
    "watching and the rest": [
        "WATCH a", "GET a", "CLIENT GETNAME", "SELECT 1", "MULTI", "GET a", other("SET", "zz", "1"), "EXEC", "GET a", "SELECT 0",
        ["WATCH a", "MULTI"], other("SET", "a", "77"), ["SELECT 2", "EXEC", "GET a"], "UNWATCH"],
}

OF_THIS_CONNECTION = re.compile(rb"(\$2\r\nid\r\n:)\d+")


def converse(target, server, conversation, wanted=None):
    """What comes back, step by step: as much as is wanted, else for as long as
    something comes."""
    heard = []
    with target.raw() as raw:
        for step in conversation:
            if isinstance(step, Other):
                server.cli(*step.words)
                continue
            lines = step if isinstance(step, list) else [step]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                raw.send(encode_all(*(line.split() for line in lines)))
            heard.append((step, listen(raw, wanted[len(heard)][1] if wanted else None)))
        if wanted:
            heard[-1] = (heard[-1][0], heard[-1][1] + listen(raw, None))
    return heard


def listen(raw, wanted):
    data = b""
    while data != wanted and not raw.silent(0.03 if wanted is None else 2) and (chunk := raw.stream.read1(1 << 20)):
        data = OF_THIS_CONNECTION.sub(rb"\1<id>", data + chunk)
    return data


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_as_a_bare_server_does(group, name):
    for server in (group.bare, group.master):
        server.cli("FLUSHALL")
    group.settle()
    bare = converse(group.bare, group.bare, CONVERSATIONS[name])
    weir = converse(group.weir, group.master, CONVERSATIONS[name], bare)
    for (step, wanted), (_, found) in zip(bare, weir):
        assert found == wanted, step


def said(line):
    """The words of a MONITOR's line, without time and address."""
    return re.fullmatch(r'\d+\.\d{6} \[\d+ [^\]]+\] (.*)', line)[1]


def test_monitor_as_a_bare_server_does(group):
    """What it may not say is refused, a second MONITOR is not even answered,
    and RESET ends it."""
    for server, target in ((group.bare, group.bare), (group.master, group.weir)):
        with target.raw() as raw, target.raw() as other:
            assert raw.command("MONITOR") == "OK"
            raw.send(encode_all(("MONITOR",), ("GET", "x"), ("ECHO", "here I am")))
            assert str(raw.reply()).startswith("ERR Replica can't interact")
            assert sorted(str(raw.reply()) for _ in range(2))[0].endswith('"ECHO" "here I am"')
            other.commands([("SET", "seen", "a b"), ("GET", "seen"), ("eVaL", "return redis.call('incr', 'n')", 0)])
            assert [said(raw.reply()) for _ in range(4)] == [
                '"SET" "seen" "a b"', '"GET" "seen"', '"eVaL" "return redis.call(\'incr\', \'n\')" "0"', '"incr" "n"']
            raw.send(encode("RESET"))
            assert raw.reply() == "RESET"
            assert raw.commands([("GET", "seen"), ("PING",), ("CLIENT", "GETNAME")]) == [b"a b", "PONG", None]
    wait_for(lambda: not clients_like(group, "O"))


def test_a_transaction_that_a_subscriber_may_not_begin(group):
    """MULTI is refused, so what stands behind it is not queued: MONITOR for one."""
    for _ in range(20):
        with group.weir.raw() as raw, group.weir.raw() as other:
            raw.send(encode_all(("PSUBSCRIBE", "*"), ("MULTI",), ("PUNSUBSCRIBE",), ("MONITOR",), ("WATCH", "w")))
            assert raw.reply() == [b"psubscribe", b"*", 1]
            assert "Can't execute 'multi'" in str(raw.reply())
            assert raw.reply() == [b"punsubscribe", b"*", 0]
            assert raw.reply() == "OK"
            assert sorted(raw.reply()[-11:] for _ in range(2)) == ['"WATCH" "w"', "OK"]
            assert other.command("SET", "x", "1") == "OK"
            assert '"SET" "x" "1"' in raw.reply()
            assert raw.command("RESET") == "RESET"
    assert group.weir.metrics()["weir_backend_desync_total"] == 0


@pytest.mark.parametrize("resp", [2, 3])
def test_a_transaction_of_a_monitor(group, resp):
    """What it sees of itself stands between the elements of EXEC's reply."""
    def lines(target):
        with target.raw() as raw:
            raw.send(encode_all(("HELLO", resp), ("MONITOR",), ("MULTI",), ("UNWATCH",), ("UNWATCH",), ("EXEC",), ("PING",)))
            raw.reply()
            seen = b""
            while b'"PING"' not in seen:
                chunk = raw.stream.read1(65536)
                assert chunk, f"closed behind {seen!r}"
                seen += chunk
            return re.sub(rb"[0-9.]{10,} \[0 [0-9.:]+\]", b"@", seen)
    for _ in range(10):
        assert lines(group.weir) == lines(group.bare)
    assert group.weir.metrics()["weir_backend_desync_total"] == 0


def test_monitor_shows_what_clients_say_and_nothing_else(lab):
    """Not what weir says on its own account, however its connections are made
    and whatever they are asked; and reads do not pass it by on a replica."""
    group = lab.group(2, {"health": {"interval": "10ms"}, "proxy": {"workers": 3}})
    group.master.cli("ACL", "SETUSER", "mary", "on", ">pw", "~*", "&*", "+@all")
    for replica in group.replicas:
        replica.cli("ACL", "SETUSER", "mary", "on", ">pw", "~*", "&*", "+@all")
    with group.weir.raw() as watcher:
        watcher.command("MONITOR")
        wanted = []
        for n in range(6):
            with group.weir.raw() as raw:
                raw.commands([("HELLO", 3), ("AUTH", "mary", "pw"), ("SELECT", n % 3)])
                for words in [("SET", "k", n), ("GET", "k"), ("MGET", "k", "x"), ("ROLE",), ("WATCH", "k"), ("UNWATCH",), ("PING",)]:
                    raw.command(*words)
                    wanted.append(" ".join(f'"{word}"' for word in words))
        heard = []
        while len(heard) < len(wanted):
            words = said(watcher.reply())
            if not words.startswith(('"AUTH"', '"SELECT"')):
                heard.append(words)
        assert heard == wanted
        assert group.weir.metrics()['weir_reads_left_replicas_total{reason="monitor"}'] == 12
    reads = lambda: group.weir.status()["commands"]["reads_on_replicas"]  # noqa: E731
    before = reads()
    with group.weir.raw() as raw:
        wait_for(lambda: raw.command("GET", "k") is not None and reads() > before, what="reads go to the replicas again")


# ------------------------------------------------------ cut at every byte

class Chopper:
    """A go-between that hands on what a server says in pieces of this size, each
    in a packet of its own."""

    def __init__(self, server):
        self.server, self.size = server, 1 << 20
        self.port = free_port()
        self.listener = socket.create_server((HOST, self.port))
        self.sockets = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                far = socket.create_connection((HOST, self.server.port))
                self.sockets += [near, far]
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source, target, chops):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                size = self.size if chops else len(data)
                for at in range(0, len(data), size):
                    target.sendall(data[at:at + size])
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        for sock in self.sockets:
            sock.close()


def test_cut_anywhere(lab):
    master = lab.redis(*DEBUG, name="master")
    bare = lab.redis(*DEBUG, name="bare")
    chopper = Chopper(master)
    try:
        weir = lab.weir(chopper, config={"health": {"timeout": "5s"}}).wait_state("ok")
        group = Group(master, [], weir)
        for name in ("the same at once", "the same at once, and what weir answers itself behind it",
                     "subscribe inside MULTI, RESP3", "tracking inside MULTI", "keyspace events", "silence"):
            wanted = converse(bare, bare, CONVERSATIONS[name])
            bare.cli("FLUSHALL")
            for size in (1, 2, 3, 5, 7, 11, 17, 31):
                chopper.size = size
                assert converse(weir, master, CONVERSATIONS[name], wanted) == wanted, (name, size)
                chopper.size = 1 << 20
                master.cli("FLUSHALL")
        assert group.weir.metrics()["weir_backend_desync_total"] == 0
    finally:
        chopper.close()


# ---------------------------------------------------- it is ordinary again

LEAVES = {
    "unsubscribe": ([("SUBSCRIBE", "a", "b")], [("UNSUBSCRIBE",)], 2),
    "punsubscribe": ([("PSUBSCRIBE", "a*"), ("SUBSCRIBE", "b")], [("PUNSUBSCRIBE", "a*"), ("UNSUBSCRIBE", "b")], 2),
    "sunsubscribe": ([("SSUBSCRIBE", "a")], [("SUNSUBSCRIBE",)], 1),
    "tracking": ([("CLIENT", "TRACKING", "ON")], [("CLIENT", "TRACKING", "OFF")], 1),
    "reset": ([("SUBSCRIBE", "a")], [("RESET",)], 1),
}


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("how", LEAVES)
def test_after_it_reads_go_to_replicas_again(group, how, resp):
    begin, end, replies = LEAVES[how]
    with group.weir.raw() as raw:
        raw.command("HELLO", resp)
        raw.command("SET", "x", "1")
        group.settle()
        reads = lambda: group.weir.status()["commands"]["reads_on_replicas"]  # noqa: E731
        raw.send(encode_all(*begin))
        for words in begin:
            for _ in words[1:] if "SUBSCRIBE" in words[0] else [1]:
                raw.reply()
        before = reads()
        if resp == 3 or how == "tracking":
            assert raw.command("GET", "x") == b"1" and reads() == before, "it listens on the master"
        raw.send(encode_all(*end))
        answers = [raw.reply() for _ in range(replies)]
        assert not any(isinstance(answer, ServerError) for answer in answers)
        wait_for(lambda: raw.command("GET", "x") in (b"1", None) and reads() > before, what="a read on a replica")


def test_a_clean_connection_is_used_again_and_no_other(lab):
    group = lab.group(0, {"proxy": {"workers": 1}}, redis_args=DEBUG)

    def connections():
        """All of them, when none is being made."""
        def ready():
            found = {row["id"] for row in group.master.client().client_list() if row["name"] == "weir-data"}
            return len(found) == sum(group.weir.metrics()[f'weir_backends{{kind="{kind}"}}'] for kind in ("private", "shared")) and found
        return wait_for(ready)

    def leaves(*commands):
        with group.weir.raw() as raw:
            raw.send(encode_all(*commands, ("ECHO", "that was it")))
            while raw.reply() != b"that was it":
                pass
        return connections()

    spare = leaves(("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "c"), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE", "c"))
    assert leaves(("SUBSCRIBE", "a"), ("UNSUBSCRIBE", "a")) == spare, "nothing is left on it"
    assert leaves(("WATCH", "a"), ("MULTI",), ("GET", "a"), ("EXEC",)) == spare
    for dirty in ([("CLIENT", "TRACKING", "ON"), ("CLIENT", "TRACKING", "OFF")],
                  [("SUBSCRIBE", "a"), ("RESET",)],
                  [("WATCH", "a"), ("SELECT", 1), ("UNWATCH",)],
                  [("WATCH", "a"), ("CLIENT", "NO-EVICT", "ON"), ("UNWATCH",)],
                  [("MULTI",), ("HELLO", 3), ("EXEC",)],
                  [("MULTI",), ("SELECT", 2), ("EXEC",), ("SELECT", 0)]):
        lost = leaves(*dirty)
        assert len(spare - lost) == 1, dirty
        spare = leaves(("SUBSCRIBE", "a"), ("UNSUBSCRIBE", "a"))
        assert not (spare & (connections() - spare)), dirty
    assert private(group) <= 2 + 3, "and one is ready for each other database and protocol"


def test_what_a_listener_has_become_it_stays(group):
    """Database, user, protocol and name, said while it listened."""
    group.master.cli("ACL", "SETUSER", "mary", "on", ">pw", "~*", "&*", "+@all")
    with group.weir.raw() as raw, group.master.raw() as direct:
        raw.command("HELLO", 3)
        raw.command("SUBSCRIBE", "a")
        assert raw.commands([("SELECT", 7), ("AUTH", "mary", "pw"), ("CLIENT", "SETNAME", "maryc")]) == ["OK"] * 3
        assert raw.command("SET", "seven", "7") == "OK"
        assert raw.command("UNSUBSCRIBE") == [b"unsubscribe", b"a", 0]
        assert raw.commands([("GET", "seven"), ("ACL", "WHOAMI"), ("CLIENT", "GETNAME")]) == [b"7", b"mary", b"maryc"]
        direct.command("SELECT", 7)
        assert direct.command("GET", "seven") == b"7"
    group.master.cli("ACL", "DELUSER", "mary")
    with group.weir.raw() as fresh:
        assert fresh.commands([("GET", "seven"), ("ACL", "WHOAMI"), ("CLIENT", "GETNAME"), ("HGETALL", "none")]) == [
            None, b"default", None, []]


def test_client_list_shows_what_a_client_listens_to(group):
    def line(raw):
        text = raw.command("CLIENT", "INFO").decode().removeprefix("txt:")
        return dict(word.split("=", 1) for word in text.split())

    with group.weir.raw() as raw, group.weir.raw() as watcher:
        raw.command("HELLO", 3)
        raw.commands([("SUBSCRIBE", "a"), ("PSUBSCRIBE", "b"), ("PSUBSCRIBE", "c"), ("SSUBSCRIBE", "d")])
        found = line(raw)
        assert (found["flags"], found["sub"], found["psub"], found["ssub"]) == ("P", "1", "2", "1")
        raw.command("CLIENT", "TRACKING", "ON", "BCAST")
        found = line(raw)
        assert (found["flags"], found["redir"]) == ("PtB", "0")
        assert f"id={found['id']} " in watcher.command("CLIENT", "LIST", "TYPE", "pubsub").decode()


# --------------------------------------------------------------- the ends of it

@pytest.mark.parametrize("resp", [2, 3])
def test_quit_and_reset_come_after_the_messages_before_them(group, resp):
    for goodbye in ("QUIT", "RESET"):
        for n in range(20):
            with group.weir.raw() as raw:
                raw.command("HELLO", resp)
                raw.command("SUBSCRIBE", "a")
                assert group.master.cli("PUBLISH", "a", n) == 1
                raw.send(encode(goodbye))
                assert raw.reply() == [b"message", b"a", b"%d" % n]
                assert raw.reply() == ("OK" if goodbye == "QUIT" else "RESET")
                if goodbye == "QUIT":
                    assert raw.read_all() == b""
    wait_for(lambda: not clients_like(group, "P"))


@pytest.mark.parametrize("words", [("SUBSCRIBE", "a"), ("MONITOR",), ("CLIENT", "TRACKING", "ON")], ids=lambda words: words[0])
def test_the_master_is_lost(lab, words):
    """A subscription that is gone cannot be hidden: the client is closed, after
    what it was told."""
    group = lab.group(0)
    with group.weir.raw() as raw:
        raw.command(*words)
        if words[0] == "SUBSCRIBE":
            group.master.cli("PUBLISH", "a", "last")
            wait_for(lambda: not raw.silent(0))
        group.master.kill()
        data = raw.read_all()
    assert words[0] != "SUBSCRIBE" or data.endswith(b"$4\r\nlast\r\n")
    wait_for(lambda: group.weir.metrics()['weir_client_closed_total{reason="private_backend_lost"}'] == 1)


def test_large_messages_pass_as_they_come(group):
    big = b"m" * (8 << 20)
    for resp in (2, 3):
        with group.weir.raw(timeout=30) as raw:
            raw.command("HELLO", resp)
            raw.command("SUBSCRIBE", "a")
            with group.master.client(decode_responses=False) as direct:
                assert direct.publish("a", big) == 1
            assert raw.reply() == [b"message", b"a", big]
            assert raw.command("UNSUBSCRIBE") == [b"unsubscribe", b"a", 0]
            assert raw.command("PING") == "PONG"


def test_messages_and_replies_keep_their_order(group):
    """A thousand commands at once, while messages come in between."""
    stop = threading.Event()

    def publish():
        with group.master.raw() as direct:
            n = 0
            while not stop.is_set():
                direct.command("PUBLISH", "a", n)
                n += 1

    publisher = threading.Thread(target=publish, daemon=True)
    with group.weir.raw(timeout=30) as raw:
        raw.command("HELLO", 3)
        raw.command("SUBSCRIBE", "a")
        publisher.start()
        messages, replies = [], []
        for round in range(30):
            raw.send(encode_all(*[("ECHO", f"{round}:{n}") for n in range(100)]))
            wanted = [b"%d:%d" % (round, n) for n in range(100)]
            while len(replies) < 100:
                answer = raw.reply()
                (messages if isinstance(answer, Push) else replies).append(answer)
            assert replies == wanted
            replies.clear()
        stop.set()
        publisher.join()
        numbers = [int(message[2]) for message in messages]
        assert len(numbers) > 10 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_writes_of_a_listener_are_seen_by_others_at_once(group):
    with group.weir.raw() as listener, group.weir.raw() as reader:
        listener.command("HELLO", 3)
        listener.command("SUBSCRIBE", "a")
        for n in range(200):
            assert listener.command("SET", "seen", n) == "OK"
            assert reader.command("GET", "seen") == b"%d" % n


def test_subscriber_at_the_replica_endpoint(group):
    """It listens at one replica, where messages of the master arrive too."""
    with group.weir.raw(replica=True) as raw, group.weir.raw() as publisher:
        raw.command("HELLO", 3)
        assert raw.command("SUBSCRIBE", "a") == [b"subscribe", b"a", 1]
        publisher.command("PUBLISH", "a", "from the master")
        assert raw.reply() == [b"message", b"a", b"from the master"]
        assert str(raw.command("SET", "a", "1")).startswith("READONLY")
        assert raw.command("UNSUBSCRIBE") == [b"unsubscribe", b"a", 0]


# ------------------------------------------------------------------ REDIRECT

def redirecting(group, resp=2, target_resp=2, *options, subscribes=True):
    """A client that redirects its invalidations, and who gets them."""
    target, tracker = group.weir.raw(), group.weir.raw()
    target.command("HELLO", target_resp)
    tracker.command("HELLO", resp)
    id = target.command("CLIENT", "ID")
    if subscribes:
        target.command("SUBSCRIBE", "__redis__:invalidate")
    assert tracker.command("CLIENT", "TRACKING", "ON", "REDIRECT", id, *options) == "OK"
    return target, tracker, id


def invalidated(answer):
    return answer[-1]


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("target_resp", [2, 3])
def test_redirect(group, resp, target_resp):
    """On whatever workers the two are."""
    for n in range(4):
        target, tracker, id = redirecting(group, resp, target_resp)
        with target, tracker, group.weir.raw() as writer:
            writer.command("SET", "k", n)
            assert tracker.command("GET", "k") == b"%d" % n
            assert tracker.command("CLIENT", "GETREDIR") == id
            info = tracker.command("CLIENT", "TRACKINGINFO")
            assert (info[b"redirect"] if resp == 3 else info[info.index(b"redirect") + 1]) == id
            writer.command("SET", "k", "changed")
            assert invalidated(target.reply()) == [b"k"]
            writer.command("FLUSHALL")
            assert invalidated(target.reply()) is None
            assert tracker.command("CLIENT", "TRACKING", "OFF") == "OK"
            tracker.command("GET", "k")
            writer.command("SET", "k", "again")
            assert target.silent(0.05) and tracker.command("CLIENT", "GETREDIR") == -1


def test_redirect_to_one_that_does_nothing_else(group):
    """A RESP3 client needs no subscription for that; it keeps its connection
    from then on, so what it changes later is known to the server."""
    target, tracker, id = redirecting(group, 2, 3, "BCAST", "PREFIX", "p:", subscribes=False)
    with target, tracker, group.weir.raw() as writer:
        for n in range(5):
            writer.command("SET", f"p:{n}", n)
            assert invalidated(target.reply()) == [b"p:%d" % n]
            assert target.command("GET", f"p:{n}") == b"%d" % n
        assert target.command("RESET") == "RESET"
        writer.command("SET", "p:x", 1)
        assert target.command("PING") == "PONG", "RESP2, and not subscribed"
        target.command("SUBSCRIBE", "__redis__:invalidate")
        writer.command("SET", "p:y", 1)
        assert invalidated(target.reply()) == [b"p:y"]
        target.command("UNSUBSCRIBE")
        target.command("HELLO", 3)
        writer.command("SET", "p:z", 1)
        assert target.reply() == [b"invalidate", [b"p:z"]]


def test_redirect_to_oneself(group):
    with group.weir.raw() as raw, group.weir.raw() as writer:
        raw.command("HELLO", 3)
        id = raw.command("CLIENT", "ID")
        assert raw.command("CLIENT", "TRACKING", "ON", "REDIRECT", id) == "OK"
        raw.command("GET", "k")
        writer.command("SET", "k", 1)
        assert raw.reply() == [b"invalidate", [b"k"]]


def test_redirect_inside_multi(group):
    target, tracker, id = redirecting(group)
    with target, tracker, group.weir.raw() as writer:
        block = [("MULTI",), ("CLIENT", "TRACKING", "OFF"), ("CLIENT", "TRACKING", "ON", "REDIRECT", id), ("CLIENT", "GETREDIR"),
                 ("GET", "k"), ("EXEC",)]
        assert tracker.commands(block)[-1] == ["OK", "OK", id, writer.command("GET", "k")]
        writer.command("SET", "k", "new")
        assert invalidated(target.reply()) == [b"k"]


def test_the_target_leaves(group):
    """The client is told so, with the id that it knows."""
    target, tracker, id = redirecting(group, 3)
    with tracker, group.weir.raw() as writer:
        tracker.command("GET", "k")
        target.close()
        wait_for(lambda: not clients_like(group, "P"))
        writer.command("SET", "k", 1)
        assert tracker.reply() == [b"tracking-redir-broken", id]
        assert tracker.command("CLIENT", "TRACKINGINFO")[b"redirect"] == id


def test_errors_of_redirect(group):
    with group.weir.raw() as raw, group.master.raw() as direct:
        for words in [("REDIRECT", 10**18), ("REDIRECT", "x"), ("REDIRECT", 0), ("REDIRECT", -1), ("REDIRECT",),
                      ("REDIRECT", 10**18, "REDIRECT", 10**18), ("REDIRECT", 10**30), ("NONSENSE",)]:
            assert raw.command("CLIENT", "TRACKING", "ON", *words) == direct.command("CLIENT", "TRACKING", "ON", *words), words
        assert raw.command("CLIENT", "GETREDIR") == -1
    wait_for(lambda: not clients_like(group, "t"))


def test_a_blocked_client_cannot_be_redirected_to(lab):
    group = lab.group(0, {"routing": {"write_hold": "200ms"}})
    with group.weir.raw() as blocked, group.weir.raw() as raw:
        id = blocked.command("CLIENT", "ID")
        blocked.send(encode("BLPOP", "queue", 0))
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        answer = raw.command("CLIENT", "TRACKING", "ON", "REDIRECT", id)
        assert isinstance(answer, ServerError) and "blocked" in str(answer)
        answers = raw.commands([("MULTI",), ("CLIENT", "TRACKING", "ON", "REDIRECT", id), ("EXEC",)])
        assert "blocked" in str(answers[1]) and str(answers[2]).startswith("EXECABORT")
        assert raw.commands([("RPUSH", "queue", 1), ("PING",)]) == [1, "PONG"]
        assert blocked.reply() == [b"queue", b"1"]


def test_a_client_that_redirects_leaves_while_it_is_found_out(lab):
    group = lab.group(0, {"routing": {"write_hold": "300ms"}})
    with group.weir.raw() as blocked:
        id = blocked.command("CLIENT", "ID")
        blocked.send(encode("BLPOP", "queue", 0))
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 1)
        for leave in ("close", "reset"):
            raw = group.weir.raw()
            raw.send(encode("CLIENT", "TRACKING", "ON", "REDIRECT", id))
            getattr(raw, leave)()
        raw = group.weir.raw()
        raw.send(encode("CLIENT", "TRACKING", "ON", "REDIRECT", id))
        with group.weir.raw() as watcher:
            wait_for(lambda: b"cmd=client|tracking" in watcher.command("CLIENT", "LIST"))
        group.weir.stop()   # while it is
