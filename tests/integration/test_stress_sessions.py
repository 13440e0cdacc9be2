"""Many sessions at once that change all the state a connection can have, and
leave wherever they are: no reply may ever reach the wrong one, and nothing of
one may be found by the next.

Short here; `WEIR_STRESS_REPLIES=1000000 WEIR_STRESS_WALKS=10000` runs it at
length. The seed is shown when it fails, `WEIR_STRESS_SEED` repeats it.
"""
import os
import random
import socket
import threading
import time

import pytest

from harness import PATIENCE, Push, encode, wait_for

REPLIES = int(os.environ.get("WEIR_STRESS_REPLIES", 30_000))
WALKS = int(os.environ.get("WEIR_STRESS_WALKS", 300))
SEED = int(os.environ.get("WEIR_STRESS_SEED", 0)) or random.SystemRandom().randrange(1 << 32)
CONNECTIONS = 200
LONG = pytest.mark.time_limit(60 + REPLIES // 250 + WALKS)

USERS = {b"default": None, b"mary": b"pw-mary", b"paul": b"pw-paul"}


def group_with_users(lab):
    """Nobody here is dead, however long it takes to answer all of this."""
    group = lab.group(2, {"proxy": {"workers": 2}, "health": {"timeout": "20s"}, "routing": {"write_hold": "20s"}}, redis_args=("--notify-keyspace-events", "Kx"))
    for server in group.servers:
        for user in (b"mary", b"paul"):
            server.cli("ACL", "SETUSER", user.decode(), "on", f">pw-{user.decode()}", "~*", "&*", "+@all")
    return group


class Leaves(Exception):
    """The session ends here, in the middle of whatever it was at."""


class Session:
    """One connection, and what it must be to the server by all that it was
    told. Every value it writes carries its key and its own number."""

    numbers = iter(range(1, 1 << 60))

    def __init__(self, weir, rng, leave_after=None):
        self.raw = weir.raw(timeout=60)
        self.number = next(self.numbers)
        self.rng = rng
        self.leave_after = leave_after
        self.replies = 0
        self.writes = 0
        self.last = {}          # (db, key): the value that it has written last
        self.reset()

    def reset(self):
        self.db, self.resp, self.user, self.name = 0, 2, b"default", None
        self.channels, self.tracking = set(), False

    # ---- the wire

    def send(self, *commands):
        data = b"".join(encode(*words) for words in commands)
        if self.leave_after is not None and self.replies >= self.leave_after:
            self.raw.send(data[:self.rng.randrange(len(data) + 1)])
            raise Leaves
        self.raw.send(data)

    def reply(self):
        """The next reply; what comes unasked before it has to be its own."""
        while True:
            answer = self.raw.reply()
            self.replies += 1
            if not self.unasked(answer):
                return answer

    def unasked(self, answer):
        if not isinstance(answer, list) or not answer or answer[0] not in (b"message", b"invalidate"):
            return False
        if answer[0] == b"message":
            assert answer[1] in self.channels and answer[2] == b"to:" + answer[1], (self.number, answer)
        else:
            assert self.tracking and isinstance(answer, Push), (self.number, answer)
        return True

    def ask(self, *words):
        self.send(words)
        return self.reply()

    def expect(self, wanted, *words):
        answer = self.ask(*words)
        assert answer == wanted, (self.number, words, answer, wanted)

    # ---- what it does

    def key(self):
        return b"k:%d:%d" % (self.number, self.rng.randrange(4))

    def value(self, key):
        self.writes += 1
        return b"%s|%d|%d|%d" % (key, self.number, self.db, self.writes)

    def write(self, key):
        value = self.value(key)
        self.last[self.db, key] = value
        return value

    def do_set_and_get(self):
        key = self.key()
        self.send(("SET", key, self.write(key)), ("GET", key), ("ECHO", b"%d" % self.number))
        assert [self.reply() for _ in range(3)] == ["OK", self.last[self.db, key], b"%d" % self.number], self.number

    def do_gets(self):
        keys = [self.key() for _ in range(8)]
        self.send(*[("GET", key) for key in keys])
        for key in keys:
            assert self.reply() == self.last.get((self.db, key)), (self.number, self.db, key)

    def do_mget(self):
        keys = [b"k:%d:%d" % (self.number, n) for n in range(4)]
        self.expect([self.last.get((self.db, key)) for key in keys], "MGET", *keys)

    def do_select(self):
        db = self.rng.randrange(4)
        self.expect("OK", "SELECT", db)
        self.db = db

    def do_hello(self):
        resp = self.rng.choice([2, 3])
        if self.channels and self.resp == 3 and resp == 2:
            return
        answer = self.ask("HELLO", resp)
        assert (answer[b"proto"] if resp == 3 else answer[5]) == resp, (self.number, answer)
        self.resp = resp
        hash = self.ask("CONFIG", "GET", "databases")
        assert isinstance(hash, dict) == (resp == 3), (self.number, hash)

    def do_auth(self):
        user = self.rng.choice([b"mary", b"paul"])
        self.expect("OK", "AUTH", user, USERS[user])
        self.user = user
        self.expect(user, "ACL", "WHOAMI")

    def do_wrong_auth(self):
        assert str(self.ask("AUTH", "mary", "wrong")).startswith("WRONGPASS")
        self.expect(self.user, "ACL", "WHOAMI")

    def do_name(self):
        self.name = b"name-%d" % self.number
        self.expect("OK", "CLIENT", "SETNAME", self.name)

    def do_show(self):
        self.send(("CLIENT", "GETNAME"), ("CLIENT", "ID"))
        assert self.reply() == self.name
        id = self.reply()
        self.id = getattr(self, "id", id)
        assert id == self.id

    def do_multi(self):
        key, db = self.key(), self.rng.randrange(4)
        before = self.last.get((self.db, key))
        first = self.write(key)
        home, self.db = self.db, db
        second = self.write(key)
        self.send(("MULTI",), ("SET", key, first), ("GET", key), ("SELECT", db), ("SET", key, second), ("GET", key), ("CLIENT", "GETNAME"))
        assert [self.reply() for _ in range(7)] == ["OK"] + ["QUEUED"] * 6, (home, before)
        self.expect(["OK", first, "OK", "OK", second, self.name], "EXEC")

    def do_block(self):
        key = self.key()
        value = self.write(key)
        self.send(("MULTI",), ("SET", key, value), ("GET", key), ("EXEC",))
        assert [self.reply() for _ in range(4)] == ["OK", "QUEUED", "QUEUED", ["OK", value]], self.number

    def do_discard(self):
        self.send(("MULTI",), ("SET", self.key(), "never"), ("SELECT", 9), ("DISCARD",))
        assert [self.reply() for _ in range(4)] == ["OK", "QUEUED", "QUEUED", "OK"], self.number

    def do_refused(self):
        self.send(("MULTI",), ("SET", self.key(), "never"), ("SHUTDOWN",), ("EXEC",))
        answers = [self.reply() for _ in range(4)]
        assert answers[:2] == ["OK", "QUEUED"] and str(answers[3]).startswith("EXECABORT"), (self.number, answers)

    def do_watch(self):
        key = self.key()
        self.send(("WATCH", key), ("GET", key))
        assert [self.reply(), self.reply()] == ["OK", self.last.get((self.db, key))], self.number
        value = self.write(key)
        if self.rng.random() < .3:
            self.send(("SET", key, value), ("MULTI",), ("SET", key, "never"), ("EXEC",))
            assert [self.reply() for _ in range(4)] == ["OK", "OK", "QUEUED", None], self.number
        else:
            self.send(("MULTI",), ("SET", key, value), ("EXEC",))
            assert [self.reply() for _ in range(3)] == ["OK", "QUEUED", ["OK"]], self.number

    def do_queue(self):
        queue, value = b"q:%d" % self.number, b"v:%d" % self.number
        self.send(("RPUSH", queue, value), ("BLPOP", queue, 5), ("BLPOP", queue, 0.01))
        assert [self.reply() for _ in range(3)] == [1, [queue, value], None], self.number

    def do_script(self):
        self.expect(b"%d" % self.number, "EVAL", "return ARGV[1]", 0, self.number)

    def do_subscribe(self):
        channel = b"c:%d:%d" % (self.number, self.rng.randrange(2))
        self.channels.add(channel)
        self.expect([b"subscribe", channel, len(self.channels)], "SUBSCRIBE", channel)
        if self.resp == 3:
            self.expect(1, "PUBLISH", channel, b"to:" + channel)

    def do_unsubscribe(self):
        if not self.channels:
            return
        self.send(("UNSUBSCRIBE",))
        gone = [self.reply() for _ in self.channels]
        assert {answer[1] for answer in gone} == self.channels and gone[-1][2] == 0, (self.number, gone)
        self.channels = set()

    def do_track(self):
        if self.resp == 3:
            self.expect("OK", "CLIENT", "TRACKING", "OFF" if self.tracking else "ON")
            self.tracking = not self.tracking

    def do_silence(self):
        self.send(("CLIENT", "REPLY", "OFF"), ("GET", self.key()), ("PING",), ("CLIENT", "REPLY", "ON"),
                  ("CLIENT", "REPLY", "SKIP"), ("GET", self.key()), ("ECHO", b"%d" % self.number))
        assert [self.reply(), self.reply()] == ["OK", b"%d" % self.number], self.number

    def do_reset(self):
        self.expect("RESET", "RESET")
        self.reset()

    ALONE = ("subscribe", "unsubscribe", "reset")   # what a RESP2 subscriber may do

    def step(self):
        names = [name[3:] for name in dir(self) if name.startswith("do_")]
        if self.channels and self.resp == 2:
            names = [name for name in self.ALONE]
        getattr(self, "do_" + self.rng.choice(names))()

    def leave(self):
        how = self.rng.choice(["reset", "close", "half"])
        if how == "half":
            self.raw.socket.shutdown(socket.SHUT_WR)
            time.sleep(self.rng.random() / 100)
        (self.raw.reset if how == "reset" else self.raw.close)()


@LONG
def test_no_reply_reaches_another_session(lab):
    """200 connections at a time; half of all sessions leave at a random point,
    by FIN or RST, in the middle of a command or of their replies, and another
    one takes their place."""
    group = group_with_users(lab)
    replies, failures, lock = [0], [], threading.Lock()
    stop = threading.Event()

    def run(place):
        rng = random.Random(SEED * 1000 + place)
        while not stop.is_set():
            leaves = rng.random() < .5
            session = Session(group.weir, rng, leave_after=rng.randrange(150) if leaves else None)
            counted = 0
            try:
                while not stop.is_set() and session.replies < 300:
                    session.step()
                    with lock:
                        replies[0] += session.replies - counted
                    counted = session.replies
                    if replies[0] >= REPLIES:
                        stop.set()
            except Leaves:
                pass
            except Exception as error:  # noqa: BLE001: whatever it is, it is the finding
                failures.append(f"seed {SEED}, place {place}, session {session.number}: {error!r}")
                stop.set()
            session.leave()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(CONNECTIONS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120 * PATIENCE + REPLIES / 250)
    took = time.monotonic() - began
    print(f"{replies[0]} replies, {next(Session.numbers)} sessions, {took:.1f} s, seed {SEED}")
    assert not failures, failures[:3]
    assert replies[0] >= REPLIES
    metrics = group.weir.metrics()
    assert metrics["weir_backend_desync_total"] == 0
    wait_for(lambda: group.weir.metrics()["weir_clients_connected"] == 0)
    wait_for(lambda: group.master.info("clients")["blocked_clients"] == 0)
    wait_for(lambda: group.master.info("clients").get("tracking_clients", 0) == 0)


def walk(raw, rng, steps):
    """A random walk that does not look at the answers, and stops anywhere."""
    words = [
        ("AUTH", "mary", "pw-mary"), ("AUTH", "paul", "pw-paul"), ("AUTH", "mary", "wrong"), ("HELLO", 2), ("HELLO", 3),
        ("HELLO", 3, "AUTH", "mary", "pw-mary", "SETNAME", "walker"), ("SELECT", 1), ("SELECT", 7), ("SELECT", 99), ("MULTI",), ("EXEC",),
        ("DISCARD",), ("WATCH", "w"), ("UNWATCH",), ("SET", "left", "1"), ("GET", "left"), ("SUBSCRIBE", "a"), ("SUBSCRIBE", "a", "b"),
        ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "s"), ("UNSUBSCRIBE",), ("PUNSUBSCRIBE",), ("SUNSUBSCRIBE",), ("CLIENT", "REPLY", "OFF"),
        ("CLIENT", "REPLY", "SKIP"), ("CLIENT", "REPLY", "ON"), ("CLIENT", "SETNAME", "walker"), ("CLIENT", "TRACKING", "ON"),
        ("CLIENT", "TRACKING", "ON", "BCAST"), ("CLIENT", "TRACKING", "OFF"), ("CLIENT", "NO-EVICT", "ON"), ("CLIENT", "CACHING", "YES"),
        ("MONITOR",), ("RESET",), ("PING",), ("BLPOP", "empty", "0.01"), ("EVAL", "return 1", 0), ("SHUTDOWN", "NOSAVE", "x"), ("GET",),
        ("NOSUCH",), ("PUBLISH", "a", "m"), ("CLIENT", "KILL", "ID", 1 << 40), ("QUIT",),
    ]
    weights = [1 if w[0] in ("QUIT", "MONITOR", "BLPOP") else 6 for w in words]
    chosen = rng.choices(words, weights, k=steps)
    data = b"".join(encode(*w) for w in chosen)
    at = 0
    while at < len(data):
        end = at + rng.randrange(1, len(data) + 1)
        raw.send(data[at:end])
        at = end
        if rng.random() < .3:
            raw.silent(rng.random() / 200)
    return chosen


@LONG
def test_a_fresh_client_after_a_random_walk(lab):
    """Database 0, the default user, RESP2, no name, no transaction, no
    subscription, and an answer to everything."""
    group = group_with_users(lab)
    rng = random.Random(SEED)
    print(f"{WALKS} walks, seed {SEED}")
    for db in (1, 7):
        with group.master.client(db=db) as direct:
            direct.set("where", f"db{db}")
    group.master.cli("SET", "where", "db0")
    for n in range(WALKS):
        raw = group.weir.raw()
        try:
            chosen = walk(raw, rng, rng.randrange(1, 25))
        except (BrokenPipeError, ConnectionResetError):
            chosen = "until it was closed"
        if rng.random() < .5:
            raw.silent(.005)
        (raw.reset if rng.random() < .5 else raw.close)()
        for _ in range(2):      # of either worker
            with group.weir.raw() as fresh:
                found = fresh.commands([("GET", "where"), ("ACL", "WHOAMI"), ("CLIENT", "GETNAME"), ("CONFIG", "GET", "databases"),
                                        ("MULTI",), ("GET", "where"), ("EXEC",), ("WATCH", "w"), ("GET", "where"), ("UNWATCH",),
                                        ("CLIENT", "GETREDIR"), ("PING",)])
            assert found == [b"db0", b"default", None, [b"databases", b"16"], "OK", "QUEUED", [b"db0"], "OK", b"db0", "OK", -1, "PONG"], (
                SEED, n, chosen)
    wait_for(lambda: not [row for row in group.master.client().client_list() if set(row["flags"]) & set("POtx")],
             what="the server has nothing left of any of them")
    assert group.weir.metrics()["weir_backend_desync_total"] == 0
