#!/usr/bin/python3
"""inject.py [--kind alloc|call] [--from N] [--to N] [--sample N] [--seed N] [--side-by-side N]

Starts weir again and again, and lets the n-th allocation, or the n-th system
call, of each of them fail (inject.c). Each gets a short load that uses most of
what weir can do, and has to end in one of two ways:

  served    whatever a client was told was right, or an error, or the end of its
            connection; a fresh client is served as ever, and SIGTERM ends weir
            with status 0
  exited    weir has ended by itself, with status 1 and a last line that says why

Never by a signal, never without a word, never with a sanitizer's report, and
never in silence. --sample takes so many n of each kind instead of all, chosen by
the seed. Exit status 1: something else has happened.
"""
import argparse
import contextlib
import os
import pathlib
import queue
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/integration"))

from harness import HOST, SANITIZER_REPORT, Lab, Raw, ServerError, Weir, encode, unlimited_files, wait_for  # noqa: E402

LIBRARY = pathlib.Path(os.environ.get("WEIR_INJECT_LIBRARY", TOP / "build/inject.so")).resolve()
CONFIG = {
    "proxy": {"workers": 2, "drain_timeout": "300ms"},
    "health": {"interval": "20ms", "rise": 1},
    "routing": {"write_hold": "300ms"},
    "log": {"level": "notice"},
}
LAST_WORDS = re.compile(r"^weir: .+| fatal: .+|\.ini: cannot be .+", re.MULTILINE)
PATIENCE = 10.0         # seconds, for each thing that has to happen
ROUNDS = 3              # of the load, both ways
VALUES = {"k": "v", "big": "x" * 100_000, "one": "1"}


class Wrong(Exception):
    """It ended in a third way."""


# What is asked, and what is right. Replies that are not told in advance: None.
BIG = b"x" * 100_000
LOAD = [
    (("SET", "k", "v"), "OK"), (("GET", "k"), b"v"), (("ECHO", "nonce"), b"nonce"), (("DEL", "none"), 0),
    (("MGET", "k", "none", "k"), [b"v", None, b"v"]), (("SET", "big", BIG), "OK"), (("GET", "big"), BIG),
    (("MULTI",), "OK"), (("SET", "k", "v"), "QUEUED"), (("GET", "k"), "QUEUED"), (("EXEC",), ["OK", b"v"]),
    (("WATCH", "k"), "OK"), (("GET", "k"), b"v"), (("UNWATCH",), "OK"), (("EVAL", "return ARGV[1]", 0, "arg"), b"arg"),
    (("BLPOP", "nothing", "0.001"), None), (("SELECT", 1), "OK"), (("SET", "one", "1"), "OK"), (("GET", "one"), b"1"),
    (("SELECT", 0), "OK"), (("CLIENT", "SETNAME", "name"), "OK"), (("CLIENT", "GETNAME"), b"name"),
    (("NOSUCH",), ServerError), (("GET",), ServerError), (("WAIT", 0, 1), int), (("CLIENT", "LIST"), bytes),
    (("INFO",), bytes), (("SSCAN", "none", 0), [b"0", []]), (("PUBLISH", "c", "m"), int), (("GET", "k"), b"v"),
    (("HELLO", 3), dict), (("GET", "k"), b"v"), (("CLIENT", "TRACKING", "ON"), "OK"), (("RESET",), "RESET"),
    (("SUBSCRIBE", "c"), [b"subscribe", b"c", 1]),
]


def is_right(reply, wanted):
    return isinstance(reply, wanted) if isinstance(wanted, type) else reply == wanted


def converse(port, at_once):
    """The load on one connection, as far as it comes: all at once, or one by one."""
    with Raw((HOST, port), timeout=PATIENCE) as raw:
        if at_once:
            raw.send(b"".join(encode(*words) for words, _ in LOAD))
        failed = False
        for words, wanted in LOAD:
            reply = raw.reply() if at_once else raw.command(*words)
            if isinstance(reply, ServerError):
                failed = failed or wanted is not ServerError
                continue
            if not is_right(reply, wanted) and not failed:
                raise Wrong(f"{words[0]} was answered {str(reply)[:100]}")
            if wanted in (b"v", b"nonce", b"arg", BIG) and reply != wanted:
                raise Wrong(f"{words[0]} was answered {str(reply)[:100]} after an error")


def look_around(weir):
    """The other doors."""
    for path in ("/status", "/metrics", "/", "/history"):
        weir.http(path, timeout=PATIENCE)
    weir.admin("INFO")
    weir.admin("ROUTE", "GET", "k")


def attempt(what, weir, *args):
    """It may break off, but not stay silent."""
    try:
        what(*args)
    except TimeoutError:
        if weir.running():
            raise Wrong(f"{what.__name__}: no answer for {PATIENCE:g} s") from None
    except (OSError, EOFError):
        pass
    except Exception as error:      # noqa: BLE001: what http.client and json say to a half answer
        if isinstance(error, Wrong):
            raise


def serves_again(weir):
    def fresh():
        if not weir.running():
            return True
        with weir.raw(timeout=2) as raw:
            return raw.commands([("SET", "k", "v"), ("GET", "k")]) == ["OK", b"v"]
    try:
        wait_for(lambda: attempt_quietly(fresh), PATIENCE)
    except AssertionError:
        raise Wrong(f"a fresh client was not served for {PATIENCE:g} s") from None


def attempt_quietly(what):
    with contextlib.suppress(EOFError, OSError):
        return what()
    return False


def ask(weir, *words):
    with weir.raw(timeout=2) as raw:
        return raw.command(*words)


def is_up(weir):
    def answers():
        return not weir.running() or attempt_quietly(lambda: ask(weir, "GET", "k") == b"v")
    try:
        wait_for(answers, PATIENCE)
    except AssertionError:
        raise Wrong(f"weir had not come up after {PATIENCE:g} s") from None


class Slot(Weir):
    """weir on the same ports every time, with its n-th failure."""

    def spawn(self, argv, env=None):
        preload = {"LD_PRELOAD": str(LIBRARY), "WEIR_INJECT": self.failure,
                   "ASAN_OPTIONS": env["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}
        super().spawn(argv, {**env, **preload})

    def try_failure(self, kind, number):
        """"served", "exited", or "not reached"; else Wrong."""
        self.failure = f"{kind}:{number}"
        self.log_path.unlink(missing_ok=True)
        self.start(wait=False)
        try:
            is_up(self)
            for at_once in (True, False) * ROUNDS:
                attempt(converse, self, self.port, at_once)
            attempt(look_around, self, self)
            serves_again(self)
            return self._end()
        finally:
            self.kill()

    def _end(self):
        if self.running():
            self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait(PATIENCE)
        except Exception:
            raise Wrong(f"SIGTERM did not end it within {PATIENCE:g} s") from None
        log = self.log()
        if report := SANITIZER_REPORT.search(log):
            raise Wrong(f"sanitizer: {log[report.start():][:1500]}")
        if status == 0:
            return "served" if "inject: " in log else "not reached"
        if status == 1 and LAST_WORDS.search(log):
            return "exited"
        raise Wrong(f"it ended with status {status}")


def describe(log):
    told = re.search(r"inject: .*", log)
    return told[0] if told else "nothing was injected"


class Board:
    """What came of it all."""

    def __init__(self):
        self.lock = threading.Lock()
        self.outcomes = {"alloc": Counter(), "call": Counter()}
        self.wrong = []

    def add(self, kind, outcome):
        with self.lock:
            self.outcomes[kind][outcome] += 1

    def add_wrong(self, kind, number, error, log):
        with self.lock:
            self.outcomes[kind]["WRONG"] += 1
            self.wrong.append((kind, number))
            tail = "\n".join("      " + line for line in log.splitlines()[-6:])
            print(f"{kind} {number}: {error}\n    {describe(log)}\n{tail}", flush=True)


def open_slot(lab, number):
    """Servers of its own: another weir's control would be noticed."""
    master = lab.redis(name="master")
    master.client().mset(VALUES)
    replica = lab.redis("--replicaof", HOST, master.port, name="replica")
    wait_for(lambda: replica.follows(master), what="the replica follows")
    return Slot(lab.directory / f"weir{number}", master, [replica], CONFIG, name=f"weir{number}")


def work(slot, due, board):
    while True:
        try:
            kind, number = due.get_nowait()
        except queue.Empty:
            return
        try:
            board.add(kind, slot.try_failure(kind, number))
        except Wrong as wrong:
            board.add_wrong(kind, number, wrong, slot.log())
        except Exception as error:      # noqa: BLE001
            board.add_wrong(kind, number, repr(error), slot.log())


def choose(options):
    kinds = [options.kind] if options.kind else ["alloc", "call"]
    numbers = list(range(getattr(options, "from"), options.to + 1))
    dice = random.Random(options.seed)
    chosen = [(kind, n) for kind in kinds
              for n in (sorted(dice.sample(numbers, options.sample)) if options.sample else numbers)]
    due = queue.Queue()
    for item in chosen:
        due.put(item)
    return due


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["alloc", "call"])
    parser.add_argument("--from", type=int, default=1)
    parser.add_argument("--to", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--side-by-side", type=int, default=2)
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unlimited_files()
    options = read_options()
    due, board, begun = choose(options), Board(), time.monotonic()
    total = due.qsize()
    with tempfile.TemporaryDirectory(prefix="weir-inject.") as directory, Lab(directory) as lab:
        slots = [open_slot(lab, n) for n in range(options.side_by_side)]
        threads = [threading.Thread(target=work, args=(slot, due, board), daemon=True) for slot in slots]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:                # ended from outside: nothing more is started, and what runs is ended
            with contextlib.suppress(queue.Empty):
                while True:
                    due.get_nowait()
            for slot in slots:
                slot.kill()
            for thread in threads:
                thread.join(PATIENCE)
    for kind, outcomes in board.outcomes.items():
        if outcomes:
            print(f"{kind}: {', '.join(f'{name} {count}' for name, count in sorted(outcomes.items()))}")
    print(f"{total} starts in {time.monotonic() - begun:.0f} s, seed {options.seed}")
    return 1 if board.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
