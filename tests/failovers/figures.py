#!/usr/bin/python3
"""figures.py [KIND=COUNT ...] [--seed N] [--server PATH] [--rate N] [--verbose]

Failovers in a row ([failover] mode = auto) under load, and what became of every
write. A master, three replicas and weir, of the redis-server at PATH (or in
REDIS_SERVER); 50 connections through weir append numbers to lists, each number
once, RATE a second together. The kinds:

kill           kill -9 of the master; it is started again, empty, when the next one has
               accepted a write
stop           SIGSTOP of the master; SIGCONT when the next one has accepted a write
kill-returns   it is started again in the middle: at any moment up to the promotion, or
stop-returns   continued, at that moment itself
kill-cut       beside the master a replica is stopped, a little before, and continued
stop-cut       after the promotion

In every second failover the replicas are cut off a few milliseconds before the
master is, each at a moment of its own, so that there is something to lose.

Somebody who follows each master (a Tap) writes down what was done there, and at
which offset it ended. So it is known which acknowledged writes lie beyond the offset
that was promoted, and that must be exactly those that are gone; and of the bytes that weir
says are lost it is known whose they are. They are the acknowledged writes' up to
the last that is gone; what is over are writes that nobody was told of, and PINGs.

Exit status 1: something is gone that was not told, or done twice, or taken by the
old master when there was a new one, or a replica had to begin anew for nothing.
"""
import argparse
import collections
import contextlib
import dataclasses
import heapq
import json
import multiprocessing
import os
import pathlib
import random
import re
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "consistency")]
from harness import HOST, Lab, encode, free_port, wait_for  # noqa: E402
from rig import Relay  # noqa: E402

SERVERS = 4
WRITERS = 50
STALLED_MS = 40             # the longest before the fault
CUT_BEFORE_MS = 200
SETTLED_AFTER = 0.3         # seconds
DEFAULT = {"kill": 100, "stop": 50, "kill-returns": 20, "stop-returns": 20, "kill-cut": 20, "stop-cut": 20}
CONFIG = {"health": {"interval": "50ms", "timeout": "500ms"},
          "routing": {"write_hold": "30s"},
          "failover": {"mode": "auto", "down_after": "100ms", "min_interval": "0", "max_lost_bytes": "64mb"},
          "log": {"level": "notice"}}


# --------------------------------------------------------------- the writers

@dataclasses.dataclass
class Write:
    number: int
    sent: float
    answered: float = 0.0
    error: str = ""         # "" is acknowledged


class Writer:
    """One connection that has one write under way at a time."""

    def __init__(self, port, index, period):
        self.port, self.index, self.period = port, index, period
        self.count, self.due = 0, time.monotonic() + period * index / WRITERS
        self.write = self.generation = None
        self.connect()

    def __lt__(self, other):
        return self.due < other.due

    def connect(self):
        self.socket = socket.create_connection((HOST, self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, generation, now):
        self.count += 1
        self.generation = generation
        self.due += self.period * (1 + max(0, now - self.due) // self.period)   # who has waited keeps its turn
        self.write = Write(self.index * 1_000_000 + self.count, now)
        self.socket.sendall(encode("RPUSH", key_of(generation, self.index), f"{self.write.number:08}"))

    def answer(self, now):
        reply = self.socket.recv(4096)
        self.write.answered = now
        if reply[:1] != b":":
            self.write.error = reply.decode().split()[0] if reply else "closed"
        return bool(reply)


def key_of(generation, index):
    return f"g{generation:04}:{index:02}"


class Pen:
    """All writers, in a process of their own. What is told by the pipe is the next
    generation; answered are the writes of the one before, when all have an answer."""

    def __init__(self, port, rate, pipe):
        self.pipe, self.generation = pipe, 0
        self.writers = [Writer(port, index, WRITERS / rate) for index in range(WRITERS)]
        self.idle, self.written = list(self.writers), []
        self.watched = selectors.DefaultSelector()
        self.watched.register(pipe, selectors.EVENT_READ)
        for writer in self.writers:
            self.watch(writer)

    def watch(self, writer):
        self.watched.register(writer.socket, selectors.EVENT_READ, writer)

    def take(self, writer, now):
        closed = not writer.answer(now)
        self.written.append((writer.generation, writer.write))
        writer.write = None
        heapq.heappush(self.idle, writer)
        if closed:
            self.watched.unregister(writer.socket)
            writer.connect()
            self.watch(writer)

    def ask_all_due(self):
        now = time.monotonic()
        while self.idle and self.idle[0].due <= now:
            heapq.heappop(self.idle).ask(self.generation, now)

    def turn(self):
        wait = max(0.0001, self.idle[0].due - time.monotonic()) if self.idle else 0.1
        for key, _ in self.watched.select(wait):
            if key.data is not None:
                self.take(key.data, time.monotonic())

    def close_generation(self, following):
        """None: there is none to follow."""
        before, self.generation = self.generation, following
        while any(writer.write and writer.generation == before for writer in self.writers):
            if following is not None:
                self.ask_all_due()
            self.turn()
        self.pipe.send([write for generation, write in self.written if generation == before])
        self.written = [one for one in self.written if one[0] != before]

    def run(self):
        while self.generation is not None:
            self.ask_all_due()
            self.turn()
            if self.pipe.poll():
                self.close_generation(self.pipe.recv())


def write(port, rate, pipe):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)   # whoever started it ends it
    Pen(port, rate, pipe).run()


class Writers:
    def __init__(self, port, rate):
        self.generation = 0
        self.pipe, end = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=write, args=(port, rate, end), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def next(self, is_last=False):
        """The writes of the present generation; the next one begins."""
        self.generation += 1
        self.pipe.send(None if is_last else self.generation)
        assert self.pipe.poll(60), "a write was not answered for a minute"
        return self.pipe.recv()


# ----------------------------------------------------------- what was done

COMMAND = re.compile(rb"\*\d+\r\n(?:\$\d+\r\n[^\r]*\r\n)+")
RPUSH = re.compile(rb"\*3\r\n\$5\r\nRPUSH\r\n\$8\r\ng\d{4}:\d\d\r\n\$8\r\n(\d{8})\r\n")


class Tap(threading.Thread):
    """Follows a server as a replica does, from `offset` on, and keeps its stream."""

    def __init__(self, server, replid, offset):
        super().__init__(daemon=True)
        self.server, self.begin, self.data = server, offset, bytearray()
        self.raw = server.raw(timeout=60)
        answer = str(self.raw.command("PSYNC", replid, offset + 1))
        assert answer.startswith("CONTINUE"), f"{server.name} answers PSYNC with {answer}"
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while data := self.raw.stream.read1(65536):
                self.data += data

    @property
    def end(self):
        return self.begin + len(self.data)

    def has_writes(self):
        return RPUSH.search(self.data) is not None

    def commands(self):
        """[(the offset at which it ends, the number that it appends or None)]"""
        data, found = bytes(self.data), []
        for command in COMMAND.finditer(data):
            appended = RPUSH.fullmatch(command[0])
            found.append((self.begin + command.end(), int(appended[1]) if appended else None))
        return found

    def leave(self):
        with contextlib.suppress(OSError):
            self.raw.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.raw.close()


def replication(server):
    return server.info("replication")


def full_resyncs(server):
    """That it has served."""
    return server.info("stats")["sync_full"]


# ---------------------------------------------------------------- the group

class Stage:
    """The servers, weir, and a relay between every two servers: replicas come from
    addresses of their own, so each has a link of its own to each possible master."""

    def __init__(self, lab, seed):
        self.relay = Relay(lab.directory, seed)
        lab.processes.append(self.relay)
        self.servers = [self._server(lab, index) for index in range(SERVERS)]
        self.feeds = [self._feed(index) for index in range(SERVERS)]
        for server in self.servers:
            server.start()
        for server in self.servers[1:]:
            server.cli("REPLICAOF", HOST, self.feeds[0])
        lines = [f"{server.address} announce={HOST}:{feed} name={server.name}" for server, feed in zip(self.servers, self.feeds)]
        self.weir = lab.weir(lines[0], lines[1:], CONFIG).wait_state("ok")
        self.master = self.servers[0]
        self.ready()
        told = replication(self.master)
        self.tap = Tap(self.master, told["master_replid"], told["master_repl_offset"])

    @staticmethod
    def _source(index):
        return f"127.0.0.{11 + index}"

    def _server(self, lab, index):
        """Without --rdb-del-sync-files it would start again with what it was sent by a
        master long ago."""
        return lab.redis("--bind-source-addr", self._source(index), "--repl-backlog-size", "64mb",
                         "--rdb-del-sync-files", "yes", name=f"s{index}", start=False)

    def _feed(self, index):
        port = free_port()
        for other in range(SERVERS):
            if other != index:
                self.relay.link(f"{index}-{other}", self.servers[index].port, port, self._source(other))
        return port

    def links(self):
        """Of the replicas, to the master: the names that the relay knows."""
        index = self.servers.index(self.master)
        return [f"{index}-{other}" for other in range(SERVERS) if other != index]

    def replicas(self):
        return [server for server in self.servers if server is not self.master]

    def ready(self):
        """Everybody follows the master, and weir is ready for the next failover."""
        feed = self.feeds[self.servers.index(self.master)]

        def follows(server):
            told = replication(server)
            return told["role"] == "slave" and told["master_port"] == feed and told["master_link_status"] == "up"

        def weir_is_ready():
            status = self.weir.status()
            return (status["state"] == "ok" and status["master"]["address"] == self.master.address
                    and all(replica["readable"] for replica in status["replicas"]))
        for server in self.replicas():
            wait_for(lambda: follows(server), 30, f"{server.name} follows {self.master.name}")
        wait_for(weir_is_ready, 30, "weir is ready")
        wait_for(lambda: self.master.cli("CONFIG", "GET", "repl-ping-replica-period")[1] == "1", what="the master pings")

    def catch_up(self):
        """Everybody has what the master has done until now."""
        target = replication(self.master)["master_repl_offset"]
        for server in self.replicas():
            wait_for(lambda: replication(server)["slave_repl_offset"] >= target, 30, f"{server.name} has caught up")

    def reported(self):
        return self.weir.status()["lost_writes"]["bytes"]

    def events(self, since):
        """[(kind, node, text)] behind the event of that id."""
        return [(event["kind"], event.get("node"), event["text"])
                for event in json.loads(self.weir.http("/events")[1])["events"] if event["id"] > since]

    def newest_event(self):
        return json.loads(self.weir.http("/events")[1])["events"][-1]["id"]


# ------------------------------------------------------------ one failover

class Watch:
    """Asks servers directly who is the master."""

    def __init__(self, servers):
        self.asked = [(server, server.raw()) for server in servers]

    def heir(self):
        for server, raw in self.asked:
            if raw.command("ROLE")[0] == b"master":
                return server
        return None

    def close(self):
        for _, raw in self.asked:
            raw.close()


class Failover:
    """Carried out by the constructor; see Verdict for what became of the writes."""

    def __init__(self, stage, kind, dice, typical):
        self.stage, self.fault, _, self.variant = stage, *kind.partition("-")
        self.old, self.old_tap, self.heir = stage.master, stage.tap, None
        self.since, self.reported_before = stage.newest_event(), stage.reported()
        self.resyncs_before = {server: full_resyncs(server) for server in stage.replicas()}
        self.cut = dice.choice(stage.replicas()) if self.variant == "cut" else None
        self.back_after = dice.uniform(0, 1.2) * typical if self.variant == "returns" and dice.random() < 0.7 else None
        watch = Watch([server for server in stage.replicas() if server is not self.cut])
        try:
            self.strike(dice)
            self.await_heir(watch)
        finally:
            watch.close()
        self.follow_up()

    def strike(self, dice):
        if self.cut:
            self.cut.freeze()
            time.sleep(dice.uniform(0, CUT_BEFORE_MS) / 1e3)
        stalled = sorted((dice.uniform(0, STALLED_MS), link) for link in self.stage.links()) if dice.random() < 0.5 else []
        for n, (moment, link) in enumerate(stalled):
            self.stage.relay.toxic(link, "down", "stall", 1)
            time.sleep((stalled[n + 1][0] if n + 1 < len(stalled) else STALLED_MS) / 1e3 - moment / 1e3)
        self.begun, self.returned = time.monotonic(), None
        self.old.kill() if self.fault == "kill" else self.old.freeze()
        if self.fault == "kill":        # what its host had not sent is gone with it
            for _, link in stalled:
                self.stage.relay.cut(link)
                self.stage.relay.clear(link)

    def bring_back(self):
        if self.returned is None:
            self.returned = time.monotonic()
            self.old.start(wait=False) if self.fault == "kill" else self.old.thaw()

    def has_come_back(self):
        """As the master that it was, and still is when what was under way is over. One
        that was killed comes back empty, and never does."""
        settled = self.fault == "stop" and self.returned and time.monotonic() - self.returned > SETTLED_AFTER
        return settled and (self.stage.weir.status()["master"] or {}).get("address") == self.old.address

    def await_heir(self, watch):
        deadline = time.monotonic() + 60
        while self.heir is None:
            assert time.monotonic() < deadline, f"no failover: {self.stage.weir.status()['failover']}"
            if self.back_after is not None and time.monotonic() - self.begun >= self.back_after:
                self.bring_back()
            self.heir = watch.heir()
            if self.heir is None and self.has_come_back():
                break
            time.sleep(0.001)
        self.promoted = time.monotonic()
        if self.variant == "returns":
            self.bring_back()

    def follow_up(self):
        stage = self.stage
        for link in stage.links():
            stage.relay.clear(link)
        if self.heir:
            told = replication(self.heir)
            self.offset = told["second_repl_offset"] - 1
            stage.master, stage.tap = self.heir, Tap(self.heir, told["master_replid"], self.offset)
            wait_for(stage.tap.has_writes, 30, "the new master has accepted a write")
        if self.cut:
            self.cut.thaw()
        self.bring_back()
        stage.ready()
        if self.heir:
            self.old_tap.leave()
        self.resyncs = full_resyncs(self.heir) - self.resyncs_before[self.heir] if self.heir else 0
        self.emptied = full_resyncs(self.old) if self.fault == "kill" else 0    # by following the empty one


DOUBT = re.compile(r"(\d+) clients were told OK")
LOST = re.compile(r"they reached offset (\d+) .* has it up to (\d+): (\d+) bytes are gone")
PROMOTED = re.compile(r"up to offset (\d+) of (\d+) that is known: (\d+) bytes are lost")


class Verdict:
    """What became of the writes of one failover."""

    def __init__(self, failover, generation, writes):
        stage = failover.stage
        self.failover, self.wrong = failover, []
        self.writes = {write.number: write for write in writes}
        self.acknowledged = {write.number for write in writes if not write.error}
        self.errors = collections.Counter(write.error for write in writes if write.error)
        self.there = collections.Counter(present(stage.master, generation))
        self.gone = self.acknowledged - set(self.there)
        self.told = stage.reported() - failover.reported_before
        self.took, self.due, self.doubtful, self.over, self.by_both = 0, 0, 0, collections.Counter(), set()
        self.find(sum(count - 1 for count in self.there.values()), "appended twice")
        if failover.heir:
            self.judge()
        else:
            self.find(len(self.gone), "gone without a failover")
            self.find(self.told, "bytes told without a failover")

    def find(self, count, what):
        if count:
            self.wrong.append(f"{count} {what}")

    def judge(self):
        failover, at = self.failover, self.failover.offset
        before = failover.old_tap.commands()
        after = {number for _, number in failover.stage.tap.commands()} - {None}
        ends = {number: end for end, number in before if number is not None}
        beyond = {number for number, end in ends.items() if end > at}
        accepted = min(self.writes[number].answered for number in after & self.acknowledged)
        self.took = accepted - failover.begun
        self.by_both = {number for number in beyond & set(self.writes)
                        if number in after or self.writes[number].sent > accepted
                        or (number in self.acknowledged and self.writes[number].answered > accepted)}
        self.find(len(self.by_both), "taken by two masters")
        self.judge_told(before, ends, self.gone - set(ends))
        self.find(len(self.gone ^ ((self.acknowledged & beyond) | (self.gone - set(ends)))), "gone or there against their offsets")
        self.find(max(0, failover.resyncs - self.resyncs_due()), "full resyncs for nothing")

    def judge_told(self, before, ends, unseen):
        """`unseen` are gone, and had not left the master when it died: they are the
        last that it did, each as long as any other."""
        failover, at = self.failover, self.failover.offset
        told = [text for kind, _, text in failover.events if kind == "lost_writes" and not DOUBT.search(text)]
        reached, kept, told_bytes = map(int, LOST.search(told[0]).groups()) if told else (at, at, 0)
        promoted = [PROMOTED.search(text) for kind, _, text in failover.events if kind == "failover"]
        last = max([ends[number] for number in self.gone & set(ends)], default=at)
        if unseen:
            last = max(failover.old_tap.end, at) + len(unseen) * WRITE_BYTES
        self.due = last - at
        self.find(max(0, len(told) - 1), "losses told of one failover too many")
        self.find(abs(told_bytes - self.told), "bytes told otherwise by /status")
        self.find(abs(kept - at), "bytes between the offset that was promoted and the one that was told")
        self.doubtful = sum(int(DOUBT.search(text)[1]) for kind, _, text in failover.events if kind == "lost_writes" and DOUBT.search(text))
        beyond = sum(1 for number in self.gone & set(ends) if ends[number] > reached) + max(0, last - max(reached, failover.old_tap.end)) // WRITE_BYTES
        if beyond > self.doubtful:      # who has one write under way is one client
            self.find(max(0, last - reached), "bytes gone and not told")
        self.find(abs(len(promoted) - 1), "promotions too many or too few told")
        for one in promoted:
            self.find(abs(int(one[1]) - at), "bytes between the offset that was promoted and the one that was chosen")
            self.find(max(0, reached - max(int(one[2]), at)), "bytes known afterwards only")
        self.account(before, at, reached)
        self.find(int(at < reached <= failover.old_tap.end and reached not in {end for end, _ in before}), "offset inside a write told")

    def account(self, before, at, reached):
        """Whose the bytes are that were told."""
        last_end = at
        for end, number in before:
            if at < end <= reached:
                whose = "other" if number is None else "acknowledged" if number in self.acknowledged else "unanswered"
                self.over[whose] += end - last_end
                last_end = end
        self.over["unseen"] += reached - last_end

    def resyncs_due(self):
        """The old master's, if it comes back empty or with more than the new one has; of those
        who have followed it when it was empty; and the cut off replica's, if it was told that
        it has more, or may have got it when both went on."""
        failover = self.failover
        replicas_with_more = [text for kind, node, text in failover.events
                              if kind == "failover_left_behind" and node != failover.old.name]
        went_on = failover.fault == "stop" and failover.old_tap.end > failover.offset
        cut_has_more = bool(failover.cut) and (went_on or bool(replicas_with_more))
        return int(failover.fault == "kill" or went_on) + failover.emptied + int(cut_has_more)


WRITE_BYTES = len(encode("RPUSH", key_of(0, 0), f"{0:08}"))


def present(server, generation):
    with server.raw(timeout=60) as raw:
        lists = raw.commands([("LRANGE", key_of(generation, index), 0, -1) for index in range(WRITERS)])
    return [int(number) for one in lists for number in one]


# ------------------------------------------------------------------ the run

def at(share, sorted_values):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def differences(stage, expected):
    """What is there at last: on everybody, and as it was after each failover."""
    stage.catch_up()
    return [f"{server.name} has other elements in {key_of(generation, 0)}.." for server in stage.servers
            for generation, there in expected.items() if collections.Counter(present(server, generation)) != there]


def fail_over(stage, writers, kind, dice, typical):
    stage.catch_up()    # what is lost now is of this generation
    generation = writers.generation
    failover = Failover(stage, kind, dice, typical)
    failover.events = stage.events(failover.since)
    return generation, Verdict(failover, generation, writers.next())


def line_of(verdict):
    failover = verdict.failover
    what = f"{failover.old.name} -> {failover.heir.name} after {verdict.took:6.3f} s" if failover.heir else f"{failover.old.name} is back"
    return (f"{what}: {len(verdict.acknowledged)} acknowledged, {len(verdict.gone)} gone, {verdict.due} bytes, {verdict.told} told "
            f"{dict(verdict.over)}, {failover.resyncs} full resyncs, errors {dict(verdict.errors)} {verdict.wrong or ''}")


def report(kind, server, verdicts, wrong):
    done = [verdict for verdict in verdicts if verdict.failover.heir]
    took = sorted(verdict.took for verdict in done) or [0]
    over = sum((verdict.over for verdict in verdicts), collections.Counter())
    lossy = [verdict for verdict in verdicts if verdict.gone]
    total = lambda name: sum(len(getattr(verdict, name)) for verdict in verdicts)  # noqa: E731
    print(f"{server}, {kind}: {len(done)} failovers, {len(verdicts) - len(done)} times the old master was back before; "
          f"a write accepted after p50 {at(0.5, took):.3f} s, p99 {at(0.99, took):.3f} s, most {took[-1]:.3f} s")
    print(f"  {total('acknowledged'):,} writes acknowledged, {total('gone'):,} of them gone in {len(lossy)} failovers; told in "
          f"{sum(1 for verdict in verdicts if verdict.told)}: {sum(verdict.told for verdict in verdicts):,} bytes, up to the last that is gone "
          f"{sum(verdict.due for verdict in verdicts):,}, the same in {sum(1 for verdict in verdicts if verdict.told == verdict.due)} of {len(verdicts)}")
    print(f"  whose they were: {', '.join(f'{name} {count:,}' for name, count in over.items() if count) or 'nobody'}; taken by two masters "
          f"{total('by_both')}; told as doubtful {sum(verdict.doubtful for verdict in verdicts)}; errors {dict(sum((verdict.errors for verdict in verdicts), collections.Counter())) or 0}")
    for one in wrong:
        print(f"  WRONG: {one}")
    sys.stdout.flush()


def version_of(server):
    told = server.info("server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


@contextlib.contextmanager
def telling(weir):
    """Of a run that does not go on it is told what weir saw."""
    try:
        yield
    except AssertionError:
        print(json.dumps(weir.status()), weir.log_tail(60), sep="\n", file=sys.stderr)
        raise


def carry_out(kind, count, options):
    dice, verdicts, expected, wrong = random.Random(f"{options.seed} {kind}"), [], {}, []
    with tempfile.TemporaryDirectory(prefix="weir-failovers.") as directory, Lab(directory) as lab:
        stage = Stage(lab, options.seed)
        with telling(stage.weir), Writers(stage.weir.port, options.rate) as writers:
            wait_for(stage.tap.has_writes, what="the writers have begun")
            wait_for(lambda: stage.weir.status()["master"]["offset"], what="weir knows an offset")
            while len(verdicts) < count:
                typical = at(0.5, sorted(verdict.took for verdict in verdicts if verdict.took) or [1.0])
                generation, verdict = fail_over(stage, writers, kind, dice, typical)
                verdicts.append(verdict)
                expected[generation] = verdict.there
                wrong += [f"{len(verdicts)}: {one}" for one in verdict.wrong]
                if options.verbose or verdict.wrong:
                    print(f"  {len(verdicts):3} {line_of(verdict)}", flush=True)
            writers.next(is_last=True)
        wrong += differences(stage, expected)
        report(kind, version_of(stage.master), verdicts, wrong)
    return not wrong


def kind_and_count(word):
    kind, _, count = word.partition("=")
    if kind not in DEFAULT or not (count or "0").isdigit():
        raise argparse.ArgumentTypeError(f"not KIND=COUNT of {', '.join(DEFAULT)}")
    return kind, int(count) if count else DEFAULT[kind]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # leave by the way that ends the servers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", type=kind_and_count, default=list(DEFAULT.items()), metavar="KIND=COUNT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=2000, help="writes a second")
    parser.add_argument("--server", help="a redis-server or valkey-server")
    parser.add_argument("--verbose", action="store_true", help="a line for each failover")
    options = parser.parse_args()
    if options.server:
        os.environ["REDIS_SERVER"] = os.path.abspath(options.server)
    return 0 if all([carry_out(kind, count, options) for kind, count in options.kinds]) else 1


if __name__ == "__main__":
    sys.exit(main())
