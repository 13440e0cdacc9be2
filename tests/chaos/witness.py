"""Clients that know what they must be told, and clients that vanish.

A `Witness` keeps a journal of its writes and looks at every reply: each value
carries its key, its writer, a number and a checksum, so a reply that belongs to
somebody else, or to another request, is seen at once. A `Vanisher` opens
connections, says something, and is gone at a random point.
"""
import random
import socket
import struct
import threading
import time
import zlib
from collections import Counter

from harness import HOST, Raw, ServerError, encode

LIST_LENGTH = 500       # then the next one
BIG = 200_000           # bytes of a value that does not fit one read
VANISHED_LISTS = 64

# Errors by which weir or a server says: this was not done.
NOT_DONE = {"NOMASTER", "LOADING", "READONLY", "MASTERDOWN", "EXECABORT", "NOREPLICA", "NOREPLICAS"}


class MixUp(Exception):
    """A reply that is not the answer to what was asked."""


def sealed(key, writer, number, size=0):
    text = b"%s|%d|%d" % (key, writer, number)
    text += b"~" * max(0, size - len(text))
    return text + b"|%08x" % zlib.crc32(text)


def unseal(value, key):
    """The number in it. MixUp when it was not written under this key."""
    body, _, checksum = value.rpartition(b"|")
    words = body.rstrip(b"~").split(b"|")
    if checksum != b"%08x" % zlib.crc32(body) or len(words) != 3 or words[0] != key:
        raise MixUp(f"under {key!r}: {value[:80]!r} ({len(value)} bytes)")
    return int(words[2])


class Tally:
    """What all of them have seen, together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = Counter()
        self.errors = Counter()     # by the first word, or how the connection ended
        self.mixups = []

    def add(self, name, count=1):
        with self.lock:
            self.counts[name] += count

    def error(self, word):
        with self.lock:
            self.errors[word] += 1

    def mixup(self, text):
        with self.lock:
            self.mixups.append(text)


class Journal:
    """The writes to one key of which each must be done once: a list, or a counter."""

    def __init__(self, key):
        self.key = key
        self.acknowledged, self.unknown, self.refused = [], [], []
        self.last = 0           # of a counter: the greatest number that it has answered

    def settle(self, element, outcome):
        {"ok": self.acknowledged, "unknown": self.unknown, "refused": self.refused}[outcome].append(element)

    @property
    def count(self):
        return len(self.acknowledged) + len(self.unknown) + len(self.refused)


class Witness(threading.Thread):
    """Bursts of mixed commands, of which it checks every reply. Three times a
    second `rate` is spread over it; 0: as fast as it goes. `mischief` is how
    many bursts of a hundred it ends by vanishing or by talking rubbish."""

    def __init__(self, port, number, tally, seed, rate=0, mischief=0):
        super().__init__(daemon=True)
        self.port, self.number, self.tally = port, number, tally
        self.dice = random.Random(f"{seed} witness {number}")
        self.rate, self.mischief = rate, mischief
        self.stopping = threading.Event()
        self.raw = None
        self.lists = []
        self.counter = Journal(b"w:%d:counter" % number)
        self.issued = {}            # register -> the last number it was given
        self.acknowledged = {}      # register -> the last number known to be there
        self.nonce = 0
        self._next_list()

    def run(self):
        while not self.stopping.is_set():
            begun = time.monotonic()
            done = self._burst()
            if self.rate:
                self.stopping.wait(max(0, done / self.rate - (time.monotonic() - begun)))
        self._hang_up()

    # ---- one burst: [(words, check, on_end)]

    def _burst(self):
        names = self.dice.choices(self.ACTS, self.WEIGHTS, k=self.dice.choice([1, 1, 1, 2, 5, 20]))
        burst = [row for name in names for row in getattr(self, f"_{name}")()]
        answered = 0
        try:
            if self.raw is None:
                self.raw = Raw((HOST, self.port), timeout=60)
            data = b"".join(encode(*words) for words, _, _ in burst)
            if self.dice.random() * 100 < self.mischief:
                return self._misbehave(burst, data)
            self.raw.send(data)
            for words, check, on_end in burst:
                reply = self.raw.reply()
                answered += 1
                self._judge(words, reply, check, on_end)
        except MixUp as mixup:
            self.tally.mixup(f"witness {self.number}: {mixup}")
            self._hang_up()
        except (OSError, EOFError, AssertionError) as error:
            if "not a reply" in str(error):
                self.tally.mixup(f"witness {self.number}: {error}")
            self.tally.error("no-connection" if self.raw is None else
                             "timed-out" if isinstance(error, TimeoutError) else
                             "closed" if isinstance(error, EOFError) else "reset")
            self._hang_up()
            self.stopping.wait(0.02)    # while weir is down, the relay in front of it is not
        for _, _, on_end in burst[answered:]:
            on_end("unknown")
        self.tally.add("commands", answered)
        return len(burst)

    def _judge(self, words, reply, check, on_end):
        if isinstance(reply, ServerError):
            word = str(reply).split()[0] if str(reply) else "empty"
            self.tally.error(word)
            on_end("refused" if word in NOT_DONE else "unknown")
            return
        try:
            check(reply)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise MixUp(f"{words[0]} was answered {str(reply)[:80]}: {error}") from None
        finally:
            on_end("ok")

    def _misbehave(self, burst, data):
        """In the middle of what it had to say."""
        self.tally.add("mischief")
        if self.dice.random() < 0.5:
            vanish(self.raw.socket, data, self.dice)
            outcome = "unknown"
        else:
            self.raw.send(b"*1\r\n$-7\r\n")
            reply = self.raw.reply()
            if not str(reply).startswith("ERR Protocol error") or self.raw.read_all():
                raise MixUp(f"rubbish was answered {reply!r}")
            outcome = "refused"
        self._hang_up()
        for _, _, on_end in burst:
            on_end(outcome)
        return len(burst)

    def _hang_up(self):
        if self.raw is not None:
            self.raw.close()
        self.raw = None

    # ---- what it asks

    ACTS = ["register", "read_own", "read_other", "echo", "append", "count", "several", "block", "script", "tail", "wait",
            "big"]
    WEIGHTS = [10, 20, 20, 8, 14, 4, 6, 3, 2, 3, 1, 1]

    def _register(self, index=None, size=0):
        key = b"w:%d:r%d" % (self.number, self.dice.randrange(4) if index is None else index)
        number = self.issued[key] = self.issued.get(key, 0) + 1

        def on_end(outcome):
            if outcome == "ok":
                self.acknowledged[key] = number
        return [(("SET", key, sealed(key, self.number, number, size)), expect("OK"), on_end)]

    def _read_own(self, index=None):
        key = b"w:%d:r%d" % (self.number, self.dice.randrange(4) if index is None else index)

        def check(reply):
            number = unseal(reply, key) if reply is not None else 0
            if number > self.issued.get(key, 0):
                raise MixUp(f"{key!r} shows number {number}, which was never written")
            if number < self.acknowledged.get(key, 0):
                self.tally.add("stale")
        return [(("GET", key), check, ignore)]

    def _read_other(self):
        key = b"w:%d:r%d" % (self.dice.randrange(8), self.dice.randrange(5))
        return [(("GET", key), lambda reply: reply is None or unseal(reply, key), ignore)]

    def _several(self):
        keys = [b"w:%d:r%d" % (self.dice.randrange(8), self.dice.randrange(4)) for _ in range(5)]

        def check(reply):
            if len(reply) != len(keys):
                raise MixUp(f"MGET of {len(keys)} keys: {len(reply)}")
            for key, value in zip(keys, reply):
                if value is not None:
                    unseal(value, key)
        return [(("MGET", *keys), check, ignore)]

    def _echo(self):
        self.nonce += 1
        nonce = b"echo|%d|%d" % (self.number, self.nonce)
        return [(("ECHO", nonce), expect(nonce), ignore)]

    def _script(self):
        self.nonce += 1
        nonce = b"eval|%d|%d" % (self.number, self.nonce)
        return [(("EVAL", "return ARGV[1]", 0, nonce), expect(nonce), ignore)]

    def _next_list(self):
        self.lists.append(Journal(b"w:%d:l%d" % (self.number, len(self.lists))))
        self.nonce += 1

    def _element(self):
        if self.lists[-1].count >= LIST_LENGTH:
            self._next_list()
        self.nonce += 1
        journal = self.lists[-1]
        return journal, sealed(journal.key, self.number, self.nonce)

    def _append(self):
        journal, element = self._element()
        return [(("RPUSH", journal.key, element), at_least(1), lambda outcome: journal.settle(element, outcome))]

    def _tail(self):
        key = self.lists[-1].key
        return [(("LRANGE", key, -5, -1), lambda reply: [unseal(element, key) for element in reply], ignore)]

    def _count(self):
        def check(reply):
            if type(reply) is not int or reply <= self.counter.last:
                raise MixUp(f"INCR after {self.counter.last} was answered {reply!r}")
            self.counter.last = reply
        return [(("INCR", self.counter.key), check, lambda outcome: self.counter.settle(1, outcome))]

    def _block(self):
        """A transaction with an element in it: done when EXEC says so."""
        journal, element = self._element()

        def check(reply):
            if len(reply) != 2 or type(reply[0]) is not int or reply[1] != element:
                raise MixUp(f"EXEC was answered {reply!r}")
        return [(("MULTI",), expect("OK"), ignore), (("RPUSH", journal.key, element), expect("QUEUED"), ignore),
                (("ECHO", element), expect("QUEUED"), ignore),
                (("EXEC",), check, lambda outcome: journal.settle(element, outcome))]

    def _wait(self):
        return [(("BLPOP", b"w:%d:nothing" % self.number, "0.01"), expect(None), ignore)]

    def _big(self):
        return self._register(4, BIG) + self._read_own(4)


def ignore(outcome):
    pass


def expect(wanted):
    def check(reply):
        if reply != wanted:
            raise MixUp(f"{str(reply)[:80]!r} instead of {str(wanted)[:80]!r}")
    return check


def at_least(least):
    def check(reply):
        if type(reply) is not int or reply < least:
            raise MixUp(f"{str(reply)[:80]!r} instead of a number")
    return check


# ---- those who leave

def vanish(connection, data, dice):
    """Sends a part of the data, perhaps waits or reads a little, and goes."""
    try:
        connection.sendall(data[:dice.randrange(len(data) + 1)])
        if dice.random() < 0.3:
            time.sleep(dice.random() * 0.003)
        if dice.random() < 0.3:
            connection.setblocking(False)
            connection.recv(dice.choice([1, 100, 65536]))
    except OSError:
        pass    # nothing there, or weir has closed: this one leaves anyway
    try:
        how = dice.choice(["reset", "close", "half"])
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how == "half":
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    connection.close()


class Vanisher(threading.Thread):
    """Leaves at random points, until the tally has counted `count` of them."""

    def __init__(self, port, number, tally, seed, count):
        super().__init__(daemon=True)
        self.port, self.number, self.tally, self.count = port, number, tally, count
        self.dice = random.Random(f"{seed} vanisher {number}")
        self.stopping = threading.Event()
        self.elements = 0

    def run(self):
        while not self.stopping.is_set() and self.tally.counts["vanished"] < self.count:
            try:
                connection = socket.create_connection((HOST, self.port), 10)
            except OSError:
                self.tally.add("no entry")
                self.stopping.wait(0.02)
                continue
            vanish(connection, self._words(), self.dice)
            self.tally.add("vanished")

    def _words(self):
        return b"".join(encode(*getattr(self, f"_{name}")()) for name in
                        self.dice.choices(["get", "get", "get", "append", "append", "big", "multi", "exec", "block",
                                           "subscribe", "hello", "select", "watch", "script"], k=self.dice.randrange(1, 9)))

    def _get(self):
        return "GET", b"w:%d:r%d" % (self.dice.randrange(8), self.dice.randrange(4))

    def _big(self):
        return "GET", b"w:%d:r4" % self.dice.randrange(8)

    def _append(self):
        self.elements += 1
        key = b"vanished:%d" % self.dice.randrange(VANISHED_LISTS)
        return "RPUSH", key, sealed(key, self.number, self.elements)

    def _multi(self):
        return "MULTI",

    def _exec(self):
        return "EXEC",

    def _block(self):
        return "BLPOP", b"vanished:nothing", 0

    def _subscribe(self):
        return "SUBSCRIBE", b"vanished"

    def _hello(self):
        return "HELLO", 3

    def _select(self):
        return "SELECT", self.dice.randrange(2)

    def _watch(self):
        return "WATCH", b"vanished:0"

    def _script(self):
        return "EVAL", "return ARGV[1]", 0, b"x" * 100


# ---- the audit

def audit(master, witnesses):
    """What the master holds against what the witnesses were told: lines of what
    is wrong, and how many writes were looked at."""
    wrong, looked_at = [], 0
    with master.client(decode_responses=False) as client:
        for witness in witnesses:
            for journal in witness.lists:
                held = client.lrange(journal.key, 0, -1)
                looked_at += journal.count
                wrong += audit_list(journal, held)
            wrong += audit_counter(witness.counter, int(client.get(witness.counter.key) or 0))
        for database in range(2):
            client.execute_command("SELECT", database)
            for n in range(VANISHED_LISTS):
                held = client.lrange(b"vanished:%d" % n, 0, -1)
                looked_at += len(held)
                wrong += [f"doubled: {element!r}" for element, count in Counter(held).items() if count > 1]
    return wrong, looked_at


def audit_list(journal, held):
    times = Counter(held)
    wrong = [f"doubled: {element!r}" for element, count in times.items() if count > 1]
    wrong += [f"lost: {element!r}" for element in journal.acknowledged if element not in times]
    wrong += [f"refused, and done: {element!r}" for element in journal.refused if element in times]
    known = set(journal.acknowledged) | set(journal.unknown) | set(journal.refused)
    wrong += [f"nobody wrote: {element!r}" for element in times if element not in known]
    there = [element for element in held if element in set(journal.acknowledged)]
    wrong += [f"out of order: {journal.key!r}"] if there != [e for e in journal.acknowledged if e in times] else []
    return wrong


def audit_counter(journal, held):
    least, most = len(journal.acknowledged), len(journal.acknowledged) + len(journal.unknown)
    return [] if least <= held <= most else [f"{journal.key!r} is {held}, and must be {least} to {most}"]
