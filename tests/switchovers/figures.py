#!/usr/bin/python3
"""figures.py [--count N] [--server PATH] [--rate N] [--pause SECONDS]

N switchovers in a row under load, and what the clients noticed of them. A master,
two replicas and weir, of the redis-server at PATH (or in REDIS_SERVER); all clients
go through weir:

writers        20 connections, together RATE INCRs a second of a counter of their own
queue          a producer, and three consumers that block in BLPOP
transactions   two that WATCH, read, and write in MULTI, and two whose MULTI has come
               whole with its EXEC
subscribers    eight to a channel (half of them speak RESP3), and a publisher that counts

Lost is what was acknowledged and is not there at the end, doubled what is there more
often than it was acknowledged; the same of elements popped and of messages received.
An EXECABORT is the answer that a server which is demoted gives, and counted apart.
Exit status 1: something was lost, doubled, answered with an error, or copied in full.
"""
import argparse
import collections
import contextlib
import heapq
import multiprocessing
import os
import pathlib
import selectors
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness import HOST, Lab, Raw, Threads, encode, wait_for  # noqa: E402

WRITERS = 20
PINGS = ("--repl-ping-replica-period", "1")     # the master's own words are in the stream, too
PUBLISHED_EVERY = 0.002


# --------------------------------------------------------------- the writers

class Writer:
    """One connection that has one INCR under way at a time."""

    def __init__(self, port, key, period):
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.question, self.period = encode("INCR", key), period
        self.due, self.asked = time.monotonic(), 0.0
        self.acknowledged, self.errors = 0, []

    def __lt__(self, other):
        return self.due < other.due

    def ask(self, now):
        self.asked, self.due = now, max(self.due + self.period, now)
        self.socket.sendall(self.question)

    def answer(self, now):
        """Seconds that it took."""
        reply = self.socket.recv(4096)
        if reply[:1] == b":":
            self.acknowledged += 1
        if reply != b":%d\r\n" % self.acknowledged:
            self.errors.append(repr(reply))
        return now - self.asked


def write(port, rate, stop, answers):
    """All writers, in a process of their own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)   # whoever started it ends it
    writers = [Writer(port, f"counter{n}", WRITERS / rate) for n in range(WRITERS)]
    watched, slowest, begun = selectors.DefaultSelector(), 0.0, time.monotonic()
    for writer in writers:
        watched.register(writer.socket, selectors.EVENT_READ, writer)
    idle, asked = list(writers), 0      # a heap, by when they are due
    while asked or not stop.is_set():
        now = time.monotonic()
        while idle and idle[0].due <= now and not stop.is_set():
            heapq.heappop(idle).ask(now)
            asked += 1
        for key, _ in watched.select(max(0.0001, idle[0].due - now) if idle else 0.1):
            slowest = max(slowest, key.data.answer(time.monotonic()))
            heapq.heappush(idle, key.data)
            asked -= 1
    answers.put(([writer.acknowledged for writer in writers], time.monotonic() - begun, slowest,
                 [error for writer in writers for error in writer.errors]))


class Writers:
    def __init__(self, port, rate):
        self.stop, self.answers = multiprocessing.Event(), multiprocessing.Queue()
        self.process = multiprocessing.Process(target=write, args=(port, rate, self.stop, self.answers))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.acknowledged, self.seconds, self.slowest, self.errors = self.answers.get(timeout=60)
        self.process.join()

    def judge(self, master):
        """(lost, doubled)"""
        return compare(self.acknowledged, [int(master.cli("GET", f"counter{n}") or 0) for n in range(WRITERS)])


def compare(acknowledged, there):
    return (sum(max(0, said - value) for said, value in zip(acknowledged, there)),
            sum(max(0, value - said) for said, value in zip(acknowledged, there)))


# --------------------------------------------------------- the other clients

class Clients(Threads):
    """Errors are kept by their first word."""

    def __init__(self, port, count):
        super().__init__(count)
        self.port, self.errors = port, collections.Counter()

    def ask(self, raw, *words):
        """The reply; None and a note when it is an error."""
        reply = raw.command(*words)
        if isinstance(reply, Exception):
            self.errors[str(reply).split()[0]] += 1
            return None
        return reply

    def work(self, n):
        try:
            with Raw((HOST, self.port), 60) as raw:
                self.talk(n, raw)
        except (OSError, EOFError) as error:
            self.errors[type(error).__name__] += 1


class Queue(Clients):
    """The first one produces; who consumes ends when everything has been popped."""

    def __init__(self, port):
        super().__init__(port, 4)
        self.pushed, self.popped, self.ended = 0, collections.Counter(), False

    def talk(self, n, raw):
        if n > 0:
            self.consume(raw)
            return
        while not self.stopping.is_set():
            if self.ask(raw, "RPUSH", "queue", self.pushed):
                self.pushed += 1
            time.sleep(0.01)
        self.ended = True

    def consume(self, raw):
        while not (self.ended and self.popped.total() >= self.pushed):
            got = self.ask(raw, "BLPOP", "queue", 1)
            if got:
                self.popped[int(got[1])] += 1
            elif self.ended:
                return

    def judge(self):
        return (sum(1 for n in range(self.pushed) if self.popped[n] == 0),
                sum(count - 1 for count in self.popped.values() if count > 1))


class Transactions(Clients):
    """The first half watches."""

    def __init__(self, port):
        super().__init__(port, 4)
        self.done, self.failed, self.aborted = [0] * 4, 0, 0

    def talk(self, n, raw):
        while not self.stopping.is_set():
            told = self.add_watched(n, raw) if n < 2 else self.add_whole(n, raw)
            if isinstance(told, list):
                self.done[n] += 1
            elif told is None:
                self.failed += 1
            elif str(told).startswith("EXECABORT"):
                self.aborted += 1
            else:
                self.errors[str(told).split()[0]] += 1
            time.sleep(0.005)

    def add_watched(self, n, raw):
        raw.command("WATCH", "sum")
        value = int(raw.command("GET", "sum") or 0) + 1
        raw.command("MULTI")
        raw.command("SET", "sum", value)
        raw.command("INCR", f"done{n}")
        return raw.command("EXEC")

    def add_whole(self, n, raw):
        return raw.commands([("MULTI",), ("INCR", f"whole{n}"), ("INCR", f"done{n}"), ("EXEC",)])[-1]

    def judge(self, master):
        there = [int(master.cli("GET", name) or 0) for name in ["sum", "whole2", "whole3"]]
        return compare([self.done[0] + self.done[1], *self.done[2:]], there)


class Subscribers(Clients):
    """The first one publishes numbers. A subscriber that is closed subscribes again,
    and lets the publisher know before it goes on: what was published meanwhile is
    missed, and told."""

    def __init__(self, port):
        super().__init__(port, 9)
        self.published, self.received, self.closed = 0, [collections.Counter() for _ in range(9)], 0
        self.since = [0] * 9

    def work(self, n):
        if n == 0:
            super().work(n)
            return
        while not self.stopping.is_set():
            try:
                with Raw((HOST, self.port), 60) as raw:
                    self.listen(n, raw)
            except EOFError:
                self.closed += 1

    def talk(self, n, raw):
        wait_for(lambda: all(self.since[1:]), what="all have subscribed")
        while not self.stopping.is_set():
            if self.ask(raw, "PUBLISH", "news", self.published) is not None:
                self.published += 1
            time.sleep(PUBLISHED_EVERY)
        self.ask(raw, "PUBLISH", "news", "end")

    def listen(self, n, raw):
        if n % 2:
            raw.command("HELLO", 3)
        raw.command("SUBSCRIBE", "news")
        self.since[n] = self.since[n] or 1
        while True:
            message = raw.reply()
            if message[2] == b"end":
                return
            self.received[n][int(message[2])] += 1

    def judge(self):
        return (sum(1 for one in self.received[1:] for n in range(self.published) if one[n] == 0),
                sum(count - 1 for one in self.received[1:] for count in one.values() if count > 1))


# ------------------------------------------------------------------- the run

def full_resyncs(group):
    return sum(server.info("stats")["sync_full"] for server in group.servers)


def switch(weir, held, refused):
    answer = str(weir.admin("SWITCHOVER"))
    if answer.startswith("OK "):
        change = weir.status()["switchover"]
        held.append((change["held_ms"], {phase["name"]: phase["ms"] for phase in change["phases"]}))
    else:
        refused.append(answer)
    weir.wait_state("ok")


def at(share, sorted_values):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def version_of(server):
    told = server.info("server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


def report(rows):
    for name, lost, doubled, errors, more in rows:
        print(f"  {name:<13} lost {lost}, doubled {doubled}, errors {dict(errors) if errors else 0}; {more}")


def carry_out(options, lab):
    group = lab.group(2, {"log": {"level": "notice"}}, redis_args=PINGS)
    weir, before = group.weir, full_resyncs(group)
    held, refused, begun = [], [], time.monotonic()
    with contextlib.ExitStack() as load:
        writers = load.enter_context(Writers(weir.port, options.rate))
        queue, transactions, subscribers = [load.enter_context(kind(weir.port)) for kind in (Queue, Transactions, Subscribers)]
        while len(held) + len(refused) < options.count:
            switch(weir, held, refused)
            time.sleep(options.pause)
        seconds = time.monotonic() - begun
    master = next(server for server in group.servers if server.address == weir.status()["master"]["address"])
    held.sort(key=lambda one: one[0])
    copied = full_resyncs(group) - before
    rows = [
        ("writers", *writers.judge(master), writers.errors[:3],
         f"{sum(writers.acknowledged):,} acknowledged, {sum(writers.acknowledged) / writers.seconds:,.0f} a second, "
         f"the slowest took {writers.slowest * 1e3:.1f} ms"),
        ("queue", *queue.judge(), queue.errors, f"{queue.pushed:,} elements through BLPOP"),
        ("transactions", *transactions.judge(master), transactions.errors,
         f"{sum(transactions.done):,} executed, {transactions.failed:,} found watched keys changed, "
         f"{transactions.aborted} told EXECABORT"),
        ("subscribers", *subscribers.judge(), subscribers.errors,
         f"{subscribers.published:,} messages to {len(subscribers.received) - 1}, {subscribers.closed} closed and told"),
    ]
    print(f"{version_of(master)}: {len(held)} switchovers in {seconds:.0f} s, {len(refused)} not done {refused[:2] or ''}, "
          f"{copied} full resyncs; writes held p50 {at(0.5, held)[0]:.1f} ms, p99 {at(0.99, held)[0]:.1f} ms, most {held[-1][0]:.1f} ms")
    for share, name in [(0.5, "the median"), (1, "the longest")]:
        print(f"  {name}: " + ", ".join(f"{phase} {ms:.1f}" for phase, ms in at(share, held)[1].items()))
    report(rows)
    return not (refused or copied or any(lost or doubled or errors for _, lost, doubled, errors, _ in rows))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # leave by the way that ends the servers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rate", type=int, default=5000, help="writes a second")
    parser.add_argument("--pause", type=float, default=0.1, help="between one switchover and the next")
    parser.add_argument("--server", help="a redis-server or valkey-server")
    options = parser.parse_args()
    if options.server:
        os.environ["REDIS_SERVER"] = os.path.abspath(options.server)
    with tempfile.TemporaryDirectory(prefix="weir-switchovers.") as directory, Lab(directory) as lab:
        return 0 if carry_out(options, lab) else 1


if __name__ == "__main__":
    sys.exit(main())
