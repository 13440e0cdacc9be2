"""The judge: pure functions that find in a history what a promise forbids.

A history is what tests/consistency/load wrote (history.h), one operation per
line, together with what the master held at the end. `judge()` applies the
checks that the level promises; each check is a function of its own that yields
violations, and knows nothing of weir.

The idea of most of them is a *version*. A single-writer register counts up, a
list only grows and a transfer's log too: each state of such a key has a number,
every write makes one, every read shows one. Then read-your-writes, monotonic
reads, visibility of what was acknowledged and bounded staleness are comparisons
of numbers. Registers with many writers have no numbers; there the intervals
decide, and for `strong` the zones of Gibbons and Korach.

    history = read_history(path)
    violations = judge(history, final, Rules("session", scope="weir", max_lag_ns=...))
"""
import bisect
import json
from collections import Counter, defaultdict
from typing import NamedTuple

FOREVER = float("inf")


class Op(NamedTuple):
    session: int
    sequence: int       # program order within the session
    name: str
    key: str
    wrote: object
    read: object
    invoked: int        # CLOCK_MONOTONIC, ns
    returned: int
    outcome: str        # ok, fail: certainly not done, info: nobody can tell


class Session(NamedTuple):
    actor: int
    door: int           # which weir it talks to


class Violation(NamedTuple):
    check: str
    key: str
    text: str
    ops: tuple = ()     # that show it


class Rules(NamedTuple):
    """What was promised."""
    level: str                  # eventual, session, strong
    scope: str = "weir"         # of session: weir, connection
    max_lag_ns: int = None      # None: unbounded
    orphaned: tuple = ()        # (begin, end): without a master the age is not bounded


class History(NamedTuple):
    ops: list           # in the order in which they ended
    sessions: dict      # {number: Session}


def read_history(path):
    ops, sessions = [], {}
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            if isinstance(row, list):
                ops.append(Op._make(row))
            elif "opened" in row:
                sessions[row["session"]] = Session(row["actor"], row["door"])
    return History(ops, sessions)


class Final(NamedTuple):
    """What the master held when everything was over."""
    lists: dict         # {key: [element]}
    registers: dict     # {key: value or None}


def keys_of(history):
    """(lists, registers) whose final state the judge wants to know."""
    lists, registers = set(), set()
    for op in history.ops:
        if op.name in ("transfer", "balance"):
            lists.add(op.key + ":log")
        elif op.name in ("set", "get"):
            registers.add(op.key)
        elif op.key[:1] in ("l", "t", "q", "d"):
            lists.add(op.key)
        if op.name in ("pop", "take", "move"):
            lists.update(op.wrote)
    return sorted(lists), sorted(registers)


def judge(history, final, rules):
    """All violations."""
    yield from replies_belong(history)
    versioned, broken = find_versions(history, final.lists)
    yield from broken
    yield from nothing_lost_or_doubled(history, final.lists)
    yield from queues(history, final.lists, rules)
    registers = multi_writer_registers(history)
    yield from last_writes_stand(versioned, registers, final.registers)
    yield from no_future(versioned, registers)
    if rules.max_lag_ns is not None:
        yield from bounded_staleness(versioned, registers, rules.max_lag_ns, rules.orphaned)
    if rules.level == "eventual":
        return
    yield from session_guarantees(history, versioned)
    yield from session_registers(registers)
    if rules.level == "strong":
        yield from acknowledged_is_visible(versioned, registers, lambda session: None)
        yield from linearizable(versioned, registers)
    elif rules.scope == "weir":
        yield from acknowledged_is_visible(versioned, registers, lambda session: history.sessions[session].door)


# --------------------------------------------------- values and their keys

UNIT_STEP, GENERATION_STEP = 1000, 16       # as operation.c has them


def key_of(value):
    """Every value begins with the name of its key."""
    return value.rpartition("=")[0] if isinstance(value, str) else None


def version_of(value):
    """The number in the value of a single-writer register, 0 of an absent one; None
    where there is none."""
    if value is None:
        return 0
    number = value.rpartition("=")[2]
    return int(number) if number.isascii() and number.isdigit() else None


def unit_of(key):
    """What one transfer moves between the balances of this key."""
    _, index, generation = key.split(":")
    return UNIT_STEP * (int(generation) * GENERATION_STEP + int(index) + 1) + 1


def transfers_shown(key, balances):
    """The number of transfers that a pair of balances shows, or None if no
    number does."""
    if not (isinstance(balances, list) and len(balances) == 2):
        return None
    if balances == [None, None]:
        return 0
    try:
        a, b = int(balances[0]), int(balances[1])
    except (TypeError, ValueError):
        return None
    count, rest = divmod(b, unit_of(key))
    return count if rest == 0 and a == -b and 0 < count < UNIT_STEP else None


def _is_texts(read):
    return isinstance(read, list) and all(isinstance(text, str) for text in read)


def _belongs(op):
    """Whether an acknowledged operation got the kind of reply that it asks for,
    about its own key."""
    read = op.read
    if op.name == "set":
        return read == "OK"
    if op.name == "get":
        return read is None or (key_of(read) == op.key and (op.key[0] != "s" or version_of(read) is not None))
    if op.name in ("append", "push"):
        return type(read) is int and read > 0
    if op.name == "range":
        # What was moved to a d list names the queue it came from.
        return _is_texts(read) and all(key_of(text) == op.key.removesuffix(":log") or
                                       (op.key[0] == "d" and text[0] == "q") for text in read)
    if op.name == "transfer":
        return (isinstance(read, list) and len(read) == 3 and type(read[2]) is int
                and transfers_shown(op.key, read[:2]) == read[2])
    if op.name == "balance":
        return transfers_shown(op.key, read) is not None
    if op.name == "pop":
        return read is None or (_is_texts(read) and len(read) == 2 and read[0] in op.wrote
                                and key_of(read[1]) == read[0])
    if op.name in ("take", "move"):
        return read is None or key_of(read) == op.wrote[0]
    if op.name == "echo":
        return read == op.wrote
    if op.name == "publish":
        return type(read) is int
    if op.name == "message":
        return isinstance(read, str) and read.startswith("s:") and version_of(read) is not None
    return True


def replies_belong(history):
    """No reply is about another key or to another question."""
    for op in history.ops:
        if op.outcome == "ok" and not _belongs(op):
            yield Violation("cross-wired", op.key, f"{op.name} was answered {_short(op.read)}", (op,))


def _short(value):
    text = json.dumps(value)
    return text if len(text) < 120 else text[:117] + "..."


# ---------------------------------------------------------------- versions

class Event(NamedTuple):
    """A write that made a version of its key, or a read that showed one."""
    op: Op
    version: int


class Versioned:
    """One key whose states are numbered: 0 is absent."""

    def __init__(self):
        self.writes = []    # Events of acknowledged writes
        self.unknown = []   # Events of writes of unknown outcome that did happen, or may have
        self.reads = []     # Events


def find_versions(history, final):
    """({key: Versioned}, violations found on the way)."""
    versioned, violations = defaultdict(Versioned), []
    places = {key: {text: index + 1 for index, text in enumerate(texts)} for key, texts in final.items()}
    refused = {op.wrote for op in history.ops if op.name == "set" and op.outcome == "fail"}
    finder = _Finder(versioned, violations, final, places, refused)
    for op in history.ops:
        if op.outcome != "fail":
            finder.take(op)
    return versioned, violations


class _Finder:
    def __init__(self, versioned, violations, final, places, refused):
        self.versioned, self.violations = versioned, violations
        self.final, self.places, self.refused = final, places, refused
        self.takers = {"set": self.set, "get": self.get, "append": self.append, "move": self.move, "range": self.range,
                       "transfer": self.transfer, "balance": self.balance, "message": self.message}

    def take(self, op):
        taker = self.takers.get(op.name)
        if taker:
            taker(op)

    def object(self, check, op, text):
        self.violations.append(Violation(check, op.key, text, (op,)))

    def write(self, key, op, version):
        target = self.versioned[key]
        (target.writes if op.outcome == "ok" else target.unknown).append(Event(op, version))

    def read(self, key, op, version):
        if op.outcome == "ok":
            self.versioned[key].reads.append(Event(op, version))

    def set(self, op):
        if op.key[0] == "s":
            self.write(op.key, op, version_of(op.wrote))

    def get(self, op):
        if op.key[0] == "s" and op.outcome == "ok" and _belongs(op):
            self.read(op.key, op, version_of(op.read))

    def message(self, op):
        """Being told of a version is having seen it; unless its writer was refused, and
        its word about it, which travels right behind, was not (-LOADING)."""
        if _belongs(op) and op.read not in self.refused:
            self.read(key_of(op.read), op, version_of(op.read))

    def element(self, list_key, key, op, text):
        """An element of a list; -> its place, None when it is not there."""
        place = self.places.get(list_key, {}).get(text)
        if place is not None:
            self.write(key, op, place)
        return place

    def append(self, op):
        place = self.element(op.key, op.key, op, op.wrote)
        if op.outcome == "ok" and place is not None and op.read != place:
            self.object("order", op, f"the append was answered {op.read}, and is {place} at the end")

    def move(self, op):
        if isinstance(op.read, str):
            self.element(op.key, op.key, op, op.read)

    def range(self, op):
        if op.key[0] == "q" or not _is_texts(op.read):
            return
        if op.read != self.final.get(op.key, [])[:len(op.read)]:
            self.object("order", op, "a list was read that is no beginning of the final one")
            return
        self.read(op.key.removesuffix(":log"), op, len(op.read))

    def transfer(self, op):
        text, watched = op.wrote
        place = self.element(op.key + ":log", op.key, op, text)
        if op.outcome != "ok" or place is None or not _belongs(op):
            return
        if op.read[-1] != place:
            self.object("order", op, f"the transfer was number {op.read[-1]}, and is {place} at the end")
        if watched is not None and watched != place - 1:
            self.object("isolation", op, f"number {place} was let through by a WATCH that saw {watched}")

    def balance(self, op):
        count = transfers_shown(op.key, op.read)
        if op.outcome == "ok" and count is not None:
            self.read(op.key, op, count)


# ------------------------------------------- registers with many writers

class Register:
    """One key with many writers; every value is written once."""

    def __init__(self):
        self.writes = {}    # {value: Op}, also those of unknown outcome
        self.reads = []
        self.failed = set()


def multi_writer_registers(history):
    registers = defaultdict(Register)
    for op in history.ops:
        if op.key[:1] != "m":
            continue
        register = registers[op.key]
        if op.name == "get" and op.outcome == "ok":
            register.reads.append(op)
        elif op.name == "set" and op.outcome == "fail":
            register.failed.add(op.wrote)
        elif op.name == "set":
            register.writes[op.wrote] = op
    return registers


def _end(write):
    """When a write was over: never known of one of unknown outcome."""
    return write.returned if write.outcome == "ok" else FOREVER


# -------------------------------------------- order in time, at any level

def no_future(versioned, registers):
    """No read shows what was never written, was refused, was asked for later in
    the same session, or was not asked for before the read had ended."""
    for key, target in versioned.items():
        begun = {event.version: event.op for event in target.writes + target.unknown}
        for op, version in target.reads:
            # Of lists and transfers the final state has said already what exists.
            if version > 0 and (version in begun or key[0] == "s"):
                yield from _not_from_the_future(key, op, begun.get(version))
    for key, register in registers.items():
        for op in register.reads:
            if op.read is not None:
                yield from _not_from_the_future(key, op, register.writes.get(op.read))


def _not_from_the_future(key, op, write):
    if write is None:
        yield Violation("phantom", key, f"{_short(op.read)} was read, and never written", (op,))
    elif op.returned < write.invoked:
        yield Violation("future", key, "a value was read before anybody wrote it", (op, write))
    elif write.session == op.session and write.sequence > op.sequence:
        yield Violation("program order", key, "a read shows a write that stands behind it in its session", (op, write))


# --------------------------------------------------- what a session is owed

def session_guarantees(history, versioned):
    """Read-your-writes and monotonic reads in program order, per session; what a
    message told, and what a token handed over, counts as seen."""
    events = {}
    for key, target in versioned.items():
        for event in target.writes:
            events[event.op[:2] + (key,)] = event
        for event in target.reads:
            events[event.op[:2] + (key,)] = event
    by_op = defaultdict(list)
    for (session, sequence, key), event in events.items():
        by_op[session, sequence].append((key, event))
    seen = defaultdict(dict)            # {session: {key: Event}}
    tokens = {}
    for op in history.ops:              # a session's operations end in program order
        if op.name == "token" and op.outcome == "ok":
            tokens[op.read] = dict(seen[op.session])
        elif op.name == "wait" and op.outcome == "ok":
            _learn(seen[op.session], tokens.get(op.wrote, {}))
        for key, event in by_op.pop(op[:2], ()):
            yield from _look(seen[op.session], key, event)


def _learn(seen, more):
    for key, event in more.items():
        if key not in seen or event.version > seen[key].version:
            seen[key] = event


def _look(seen, key, event):
    before = seen.get(key)
    if before is not None and event.version < before.version and _is_read(event.op):
        yield Violation(_guarantee(before.op, event.op), key, f"{event.version} after {before.version}",
                        (before.op, event.op))
    if before is None or event.version > before.version:
        seen[key] = event


def _is_read(op):
    return op.name in ("get", "range", "balance")


def _guarantee(before, op):
    if before.session != op.session:
        return "token"
    if before.name == "message":
        return "message"
    return "monotonic reads" if _is_read(before) else "read-your-writes"


def session_registers(registers):
    """The same for registers with many writers, as far as intervals tell: once a
    session has written or read one value, it never gets one whose write was over
    before that one's began."""
    for key, register in registers.items():
        own = [op for op in register.writes.values() if op.outcome == "ok"]
        seen = {}                       # {session: write last seen}
        for op in sorted(own + register.reads, key=lambda op: (op.session, op.sequence)):
            before, now = seen.get(op.session), op if op.name == "set" else register.writes.get(op.read)
            if before is not None and _is_read(op) and (op.read is None or (now and _end(now) < before.invoked)):
                kind = "read-your-writes" if before.session == op.session else "monotonic reads"
                yield Violation(kind, key, f"{_short(op.read)} after {_short(before.wrote)}", (before, op))
            if now is not None:
                seen[op.session] = now


# ----------------------------------------- what everybody may rely upon

class _Acknowledged:
    """The newest of what had been acknowledged at any time, over all or one door."""

    def __init__(self):
        self.times, self.newest = [], []

    def add(self, time, mark, op):
        """Times must not go back."""
        best = max(self.newest[-1], (mark, op)) if self.newest else (mark, op)
        self.times.append(time)
        self.newest.append(best)

    def before(self, time):
        """(mark, op), or None."""
        at = bisect.bisect_left(self.times, time)
        return self.newest[at - 1] if at else None


def _acknowledgements(writes, group):
    """{group of sessions: _Acknowledged} of (mark, op) pairs, by their return."""
    groups = defaultdict(_Acknowledged)
    for mark, op in sorted(writes, key=lambda write: write[1].returned):
        groups[group(op.session)].add(op.returned, mark, op)
    return groups


def acknowledged_is_visible(versioned, registers, group):
    """A read shows every write that was acknowledged, to anybody of its group,
    before it was asked for."""
    yield from _visible(versioned, registers, group, 0, (), "acknowledged")


def bounded_staleness(versioned, registers, bound_ns, orphaned=()):
    """A read shows every write that was acknowledged so long before it was asked
    for, except while there is no master."""
    yield from _visible(versioned, registers, lambda session: None, bound_ns, orphaned, "staleness")


def _visible(versioned, registers, group, age, orphaned, check):
    def is_exempt(op):
        return any(begin <= op.returned and op.invoked <= end for begin, end in orphaned)

    def unseen(key, read, op, newest, write):
        age_ms = (op.invoked - write.returned) / 1e6
        text = f"{read}, but {newest} was acknowledged {age_ms:.3f} ms before, and not seen"
        return Violation(check, key, text, (write, op))

    for key, target in versioned.items():
        groups = _acknowledgements([(version, op) for op, version in target.writes], group)
        for op, version in target.reads:
            newest = groups[group(op.session)].before(op.invoked - age) if op.name != "message" else None
            if newest and version < newest[0] and not is_exempt(op):
                yield unseen(key, version, op, *newest)
    for key, register in registers.items():
        own = [op for op in register.writes.values() if op.outcome == "ok"]
        groups = _acknowledgements([(op.invoked, op) for op in own], group)
        for op in register.reads:
            newest = groups[group(op.session)].before(op.invoked - age)
            shown = register.writes.get(op.read)
            if newest and (op.read is None or (shown and _end(shown) < newest[0])) and not is_exempt(op):
                yield unseen(key, op.read, op, newest[1].wrote, newest[1])


def ages(versioned):
    """How old each read was, in ns: the time from the first acknowledgement of a
    write that it does not show until it was asked for; 0 when it shows all."""
    for target in versioned.values():
        versions, soonest = [], []      # soonest[i]: first acknowledgement of versions[i] or a later one
        for op, version in sorted(target.writes, key=lambda event: event.version, reverse=True):
            soonest.append(min(soonest[-1], op.returned) if soonest else op.returned)
            versions.append(version)
        versions.reverse(), soonest.reverse()
        for op, version in target.reads:
            at = bisect.bisect_right(versions, version)
            if op.name != "message":
                yield max(0, op.invoked - soonest[at]) if at < len(versions) else 0


# ---------------------------------------------------------- linearizability

class Zone(NamedTuple):
    begin: float
    end: float
    forward: bool       # from the first end to the last begin: the value must hold throughout
    value: object


def zones_of(writes, reads):
    """One zone per value. `writes` is {value: (begin, end)} with the initial value
    among them, `reads` a list of (value, begin, end)."""
    first_end, last_begin = {}, {}
    was_read = set()
    for value, begin, end in [(v, b, e) for v, (b, e) in writes.items()] + reads:
        first_end[value] = min(first_end.get(value, FOREVER), end)
        last_begin[value] = max(last_begin.get(value, -FOREVER), begin)
    was_read.update(value for value, _, _ in reads)
    for value, (_, end) in writes.items():
        if end == FOREVER and value not in was_read:
            continue                    # unknown and never seen: it may not have happened
        low, high = sorted((first_end[value], last_begin[value]))
        yield Zone(low, high, first_end[value] < last_begin[value], value)


def find_zone_conflict(writes, reads):
    """Gibbons and Korach: a register whose values are all different, and of which
    each read is known to show one that was begun, is linearizable exactly when no
    two forward zones overlap and no backward zone lies inside a forward one.
    Returns the two values in conflict, or None."""
    forward, backward = [], []
    for zone in zones_of(writes, reads):
        (forward if zone.forward else backward).append(zone)
    forward.sort()
    for one, next_one in zip(forward, forward[1:]):
        if next_one.begin < one.end:
            return one.value, next_one.value
    begins = [zone.begin for zone in forward]
    for zone in backward:
        at = bisect.bisect_left(begins, zone.begin) - 1
        if at >= 0 and zone.end < forward[at].end:
            return forward[at].value, zone.value
    return None


def linearizable(versioned, registers):
    """Every register, list and pair of balances by itself behaves as one copy."""
    for key, target in versioned.items():
        writes = {0: (-FOREVER, -FOREVER)}
        for op, version in target.writes + target.unknown:
            writes[version] = (op.invoked, _end(op))
        reads = [(version, op.invoked, op.returned) for op, version in target.reads
                 if version in writes and op.name != "message"]
        yield from _conflict(key, writes, reads, target.writes + target.unknown + target.reads)
    for key, register in registers.items():
        writes = {None: (-FOREVER, -FOREVER)}
        writes.update((value, (op.invoked, _end(op))) for value, op in register.writes.items())
        reads = [(op.read, op.invoked, op.returned) for op in register.reads if op.read in writes]
        yield from _conflict(key, writes, reads, [Event(op, op.wrote) for op in register.writes.values()]
                             + [Event(op, op.read) for op in register.reads])


def _conflict(key, writes, reads, events):
    conflict = find_zone_conflict(writes, reads)
    if conflict is None:
        return
    shown = sorted((event.op for event in events if event.version in conflict), key=lambda op: op.invoked)
    yield Violation("linearizable", key, f"{_short(conflict[0])} and {_short(conflict[1])} have no order",
                    tuple(shown[:12]))


# ------------------------------------------------------- lost and doubled

def nothing_lost_or_doubled(history, final):
    """What was acknowledged to a list or a log stands in the final one exactly
    once, in each session's order; what was refused does not stand there."""
    for key, texts in final.items():
        if key[0] == "q":
            continue                    # items come and go: see queues()
        for text, count in Counter(texts).items():
            if count > 1:
                yield Violation("doubled", key, f"{text} stands there {count} times")
    last = {}                           # {(key, session): (place, op)}
    places = {key: {text: place for place, text in enumerate(texts)} for key, texts in final.items()}
    for op in history.ops:
        if op.name in ("append", "transfer"):
            yield from _stands(op, places, last)


def _stands(op, places, last):
    key = op.key + ":log" if op.name == "transfer" else op.key
    text = op.wrote[0] if op.name == "transfer" else op.wrote
    place = places.get(key, {}).get(text)
    if op.outcome == "ok" and place is None:
        yield Violation("lost", key, f"{text} was acknowledged and is not there", (op,))
    if op.outcome == "fail" and place is not None:
        yield Violation("phantom", key, f"{text} was refused and is there", (op,))
    if place is None:
        return
    before = last.get((key, op.session))
    if before and before[0] > place:
        yield Violation("program order", key, "a session's appends stand in another order", (before[1], op))
    last[key, op.session] = (place, op)


def last_writes_stand(versioned, registers, values):
    """A register holds at the end its last acknowledged value, or what was written
    at the same time or later."""
    for key, value in values.items():
        if key in versioned and versioned[key].writes:
            newest = max(versioned[key].writes, key=lambda event: event.version)
            if (version_of(value) or 0) < newest.version:
                yield Violation("lost", key, f"{_short(value)} at the end, after {newest.version}", (newest.op,))
        if key in registers:
            yield from _last_of_many(key, registers[key], value)


def _last_of_many(key, register, value):
    own = [op for op in register.writes.values() if op.outcome == "ok"]
    if not own:
        return
    last_begun, write = max(own, key=lambda op: op.invoked), register.writes.get(value)
    if write is None or _end(write) < last_begun.invoked:
        yield Violation("lost", key, f"{_short(value)} at the end, after {_short(last_begun.wrote)}", (last_begun,))


# ------------------------------------------------------------------ queues

class _Queues:
    def __init__(self, history):
        self.pushes = {}                # {item: Op}
        self.pops = defaultdict(list)   # {item: [Op]}
        self.unknown_pops = []
        self.reads = []
        for op in history.ops:
            if op.name == "push":
                self.pushes[op.wrote] = op
            elif op.name in ("pop", "take", "move") and op.outcome == "info":
                self.unknown_pops.append(op)
            elif op.name in ("pop", "take", "move") and op.outcome == "ok" and op.read is not None and _belongs(op):
                self.pops[op.read[1] if op.name == "pop" else op.read].append(op)
            elif op.name == "range" and op.key[0] == "q" and op.outcome == "ok":
                self.reads.append(op)


def queues(history, final, rules):
    """Every item that was pushed is popped at most once, or is still there; and
    what was popped is seen no more."""
    found = _Queues(history)
    left = Counter(text for key, texts in final.items() if key[0] == "q" for text in texts)
    moved = Counter(text for key, texts in final.items() if key[0] == "d" for text in texts)
    yield from _popped_once(found, left, moved)
    yield from _nothing_swallowed(found, left, moved)
    yield from _first_in_first_out(found)
    if rules.level != "eventual":
        yield from _popped_is_gone(history, found, rules)


def _popped_once(found, left, moved):
    for item, pops in found.pops.items():
        push = found.pushes.get(item)
        if push is None or push.outcome == "fail":
            yield Violation("phantom", pops[0].key, f"{item} was popped, and never pushed", tuple(pops))
        if len(pops) > 1 or left[item]:
            yield Violation("doubled", pops[0].key,
                            f"{item} was popped {len(pops)} times and is there {left[item]} times", tuple(pops))
        for pop in pops:
            if pop.name == "move" and not moved[item]:
                yield Violation("lost", pop.key, f"{item} was moved there and is not", (pop,))
    for item, count in (left + moved).items():
        if count > 1:
            yield Violation("doubled", item, f"the item is there {count} times")


def _nothing_swallowed(found, left, moved):
    """An acknowledged item may be missing only where a pop of unknown outcome may
    have taken it."""
    missing = defaultdict(list)
    for item, push in found.pushes.items():
        if push.outcome == "ok" and item not in found.pops and not left[item] and not moved[item]:
            missing[push.key].append(push)
    for key, pushes in missing.items():
        takers = sum(1 for op in found.unknown_pops if key in op.wrote and op.name != "move")
        if len(pushes) > takers:
            yield Violation("lost", key, f"{len(pushes)} items are missing, {takers} pops are of unknown outcome",
                            tuple(pushes[:5]))


def _first_in_first_out(found):
    """Of one session's items in one queue the later one never leaves before the
    earlier one is asked for."""
    by_producer = defaultdict(list)
    for item, push in found.pushes.items():
        if push.outcome == "ok" and item in found.pops:
            by_producer[push.session, push.key].append((push.sequence, found.pops[item][0]))
    for (_, key), items in by_producer.items():
        soonest = None
        for _, pop in sorted(items, key=lambda pair: pair[0], reverse=True):
            if soonest is not None and soonest.returned < pop.invoked:
                yield Violation("order", key, "a later item left the queue first", (soonest, pop))
            if soonest is None or pop.returned < soonest.returned:
                soonest = pop


def _popped_is_gone(history, found, rules):
    """A queue that is read shows nothing that was popped before, as far as the
    level promises to see pops."""
    def concerns(pop, read):
        if rules.level == "strong":
            return pop.returned < read.invoked
        if rules.scope == "weir" and history.sessions[pop.session].door == history.sessions[read.session].door:
            return pop.returned < read.invoked
        return pop.session == read.session and pop.sequence < read.sequence

    for read in found.reads:
        for item in read.read if _is_texts(read.read) else ():
            for pop in found.pops.get(item, ()):
                if concerns(pop, read):
                    yield Violation("read-your-writes" if pop.session == read.session else "acknowledged", read.key,
                                    f"{item} was popped, and is seen again", (pop, read))
