"""The judge against histories made by hand, good and bad, and against searches
that try everything on small ones."""
import itertools
import random

import pytest

import judge as judging
from judge import (FOREVER, Event, Final, History, Op, Rules, Session, Versioned, find_zone_conflict, judge, transfers_shown,
                   unit_of)

STRONG = Rules("strong", max_lag_ns=100)


class Story:
    """Writes a history down. Times are invoked and returned; a session's
    operations are numbered in the order in which they are told."""

    def __init__(self):
        self.ops, self.sequences, self.doors = [], {}, {}

    def tell(self, session, name, key, wrote, read, at, outcome="ok"):
        sequence = self.sequences[session] = self.sequences.get(session, -1) + 1
        begin, end = at if isinstance(at, tuple) else (at, at + 1)
        self.ops.append(Op(session, sequence, name, key, wrote, read, begin, end, outcome))
        return self

    def set(self, session, value, at, outcome="ok"):
        key = value.rpartition("=")[0]
        return self.tell(session, "set", key, value, "OK" if outcome == "ok" else None, at, outcome)

    def get(self, session, key, value, at):
        return self.tell(session, "get", key, None, value and f"{key}={value}", at)

    def append(self, session, value, place, at, outcome="ok"):
        return self.tell(session, "append", value.rpartition("=")[0], value, place, at, outcome)

    def range(self, session, key, values, at):
        return self.tell(session, "range", key, None, [f"{key}={value}" for value in values], at)

    def push(self, session, item, at, outcome="ok"):
        return self.tell(session, "push", item.rpartition("=")[0], item, 1 if outcome == "ok" else None, at, outcome)

    def pop(self, session, item, at, outcome="ok", queue="q:0:0"):
        return self.tell(session, "pop", queue, [queue], item and [queue, item], at, outcome)

    def transfer(self, session, key, text, place, at, outcome="ok", watched=None, read=True):
        unit = unit_of(key)
        read = [-place * unit, place * unit, place] if outcome == "ok" else None
        return self.tell(session, "transfer", key, [text, watched], read, at, outcome)

    def balance(self, session, key, count, at):
        return self.tell(session, "balance", key, None, _balances(key, count), at)

    def door(self, session, door):
        self.doors[session] = door
        return self

    def history(self):
        ops = sorted(self.ops, key=lambda op: op.returned)
        return History(ops, {session: Session(session, self.doors.get(session, 0)) for session in self.sequences})

    def found(self, rules=STRONG, final=None):
        final = final if isinstance(final, Final) else Final(final or {}, {})
        return {violation.check for violation in judge(self.history(), final, rules)}


def _balances(key, count):
    return [str(-count * unit_of(key)), str(count * unit_of(key))] if count else [None, None]


def story():
    return Story()


# ------------------------------------------------------------- good histories

def test_nothing_is_wrong_with_nothing():
    assert story().found() == set()


def test_what_one_copy_would_do_is_right():
    told = (story().get(2, "s:0:0", None, 0).set(1, "s:0:0=1", 10).get(2, "s:0:0", "1", 20).set(1, "s:0:0=2", 30)
            .get(1, "s:0:0", "2", 40).get(2, "s:0:0", "2", 50)
            .set(1, "m:0:0=1.1", 60).set(2, "m:0:0=2.1", 70).get(3, "m:0:0", "2.1", 80)
            .append(1, "l:0:0=a", 1, 90).append(2, "l:0:0=b", 2, 100).range(3, "l:0:0", ["a", "b"], 110)
            .push(1, "q:0:0=a", 120).pop(2, "q:0:0=a", 130).pop(2, None, 140)
            .transfer(1, "t:1:0", "t:1:0=x", 1, 150).balance(2, "t:1:0", 1, 160))
    assert told.found(final={"l:0:0": ["l:0:0=a", "l:0:0=b"], "q:0:0": [], "t:1:0:log": ["t:1:0=x"]}) == set()


def test_what_is_concurrent_may_be_seen_or_not():
    told = story().set(1, "s:0:0=1", (0, 100)).get(2, "s:0:0", None, (10, 20)).get(2, "s:0:0", "1", (30, 40))
    assert told.found() == set()


def test_word_of_a_write_that_was_refused_tells_nothing():
    told = (story().set(1, "s:0:0=1", 0).set(1, "s:0:0=2", 10, "fail").tell(2, "message", "", None, "s:0:0=2", 15)
            .get(2, "s:0:0", "1", 20))
    assert told.found(rules=SESSION) == set()


def test_a_write_of_unknown_outcome_may_show_late_or_never():
    told = story().set(1, "m:0:0=1.1", 0).set(2, "m:0:0=2.1", 10, "info").get(3, "m:0:0", "1.1", 50)
    assert told.found() == set()
    assert told.get(3, "m:0:0", "2.1", 1000).found() == set()
    assert told.get(3, "m:0:0", "1.1", 2000).found() >= {"linearizable"}


def test_a_session_that_only_reads_old_data_may_at_the_eventual_level():
    told = story().set(1, "s:0:0=1", 0).get(1, "s:0:0", None, 50).get(2, "s:0:0", "1", 60).get(2, "s:0:0", None, 70)
    assert told.found(Rules("eventual", max_lag_ns=100)) == set()


def test_another_connections_write_may_be_missing_in_scope_connection():
    told = story().set(1, "s:0:0=1", 0).get(2, "s:0:0", None, 50)
    assert told.found(Rules("session", "connection", 100)) == set()
    assert told.found(Rules("session", "weir", 100)) == {"acknowledged"}


def test_another_weirs_write_may_be_missing_at_the_session_level():
    told = story().door(2, 1).set(1, "s:0:0=1", 0).get(2, "s:0:0", None, 50)
    assert told.found(Rules("session", "weir", 100)) == set()
    assert "acknowledged" in told.found(STRONG)


def test_refused_is_as_if_it_was_never_asked():
    told = story().set(1, "s:0:0=1", 0, "fail").get(1, "s:0:0", None, 10).append(1, "l:0:0=a", None, 20, "fail")
    assert told.found(final={"l:0:0": []}) == set()


# -------------------------------------------------------------- bad histories

SESSION = Rules("session", "connection", None)
BAD = {
    "read-your-writes": (story().set(1, "s:0:0=1", 0).get(1, "s:0:0", None, 10), SESSION),
    "read-your-writes, in one pipeline": (story().set(1, "s:0:0=1", (0, 9)).get(1, "s:0:0", None, (0, 10)), SESSION),
    "read-your-writes, of many writers": (
        story().set(2, "m:0:0=2.1", 0).set(1, "m:0:0=1.1", 10).get(1, "m:0:0", "2.1", 20), SESSION),
    "read-your-writes, of a list": (story().append(1, "l:0:0=a", 1, 0).range(1, "l:0:0", [], 10), SESSION),
    "read-your-writes, of a transfer": (
        story().transfer(1, "t:0:0", "t:0:0=x", 1, 0).balance(1, "t:0:0", 0, 10), SESSION),
    "read-your-writes, of a pop": (
        story().push(2, "q:0:0=a", 0).pop(1, "q:0:0=a", 10).range(1, "q:0:0", ["a"], 20), SESSION),
    "monotonic reads": (
        story().set(1, "s:0:0=1", (0, 99)).get(2, "s:0:0", "1", 10).get(2, "s:0:0", None, 20), SESSION),
    "monotonic reads, of many writers": (
        story().set(1, "m:0:0=1.1", 0).set(1, "m:0:0=1.2", 10).get(2, "m:0:0", "1.2", 20)
                                         .get(2, "m:0:0", "1.1", 30), SESSION),
    "monotonic reads, to nothing": (
        story().set(1, "m:0:0=1.1", 0).get(2, "m:0:0", "1.1", 20).get(2, "m:0:0", None, 30), SESSION),
    "message": (
        story().set(1, "s:0:0=1", 0).tell(2, "message", "", None, "s:0:0=1", 5).get(2, "s:0:0", None, 10), SESSION),
    "token": (story().set(1, "s:0:0=1", 0).tell(1, "token", "", None, "id:7", 5).tell(2, "wait", "", "id:7", "OK", 8)
              .get(2, "s:0:0", None, 10), SESSION),
    "acknowledged": (story().set(1, "s:0:0=1", 0).get(2, "s:0:0", None, 10), Rules("session", "weir")),
    "acknowledged, of many writers": (
        story().set(1, "m:0:0=1.1", 0).set(2, "m:0:0=2.1", 10).get(3, "m:0:0", "1.1", 20),
                                      Rules("session", "weir")),
    "acknowledged, of a pop": (story().push(2, "q:0:0=a", 0).pop(1, "q:0:0=a", 10).range(3, "q:0:0", ["a"], 20),
                               Rules("session", "weir")),
    "staleness": (story().set(1, "s:0:0=1", 0).get(2, "s:0:0", None, 200), Rules("eventual", max_lag_ns=100)),
    "staleness, of many writers": (story().set(1, "m:0:0=1.1", 0).set(2, "m:0:0=2.1", 10).get(3, "m:0:0", "1.1", 200),
                                   Rules("eventual", max_lag_ns=100)),
    "linearizable": (
        story().set(1, "m:0:0=1.1", (0, 100)).get(2, "m:0:0", "1.1", 10).get(3, "m:0:0", None, 20), STRONG),
    "linearizable, by number": (
        story().set(1, "s:0:0=1", (0, 100)).get(2, "s:0:0", "1", 10).get(3, "s:0:0", None, 20), STRONG),
    "program order": (story().get(1, "s:0:0", "1", (0, 9)).set(1, "s:0:0=1", (0, 10)), SESSION),
    "future": (story().get(2, "s:0:0", "1", 0).set(1, "s:0:0=1", 10), SESSION),
    "phantom": (story().set(1, "s:0:0=1", 0).get(2, "s:0:0", "2", 10), SESSION),
    "phantom, refused": (story().set(1, "m:0:0=1.1", 0, "fail").get(2, "m:0:0", "1.1", 10), SESSION),
    "phantom, popped": (story().pop(2, "q:0:0=a", 10), SESSION),
    "doubled, popped": (story().push(1, "q:0:0=a", 0).pop(2, "q:0:0=a", 10).pop(3, "q:0:0=a", 20), SESSION),
    "lost, from a queue": (story().push(1, "q:0:0=a", 0), SESSION),
    "lost, more than may be": (story().push(1, "q:0:0=a", 0).push(1, "q:0:0=b", 1).pop(2, None, 10, "info"), SESSION),
    "lost, moved": (story().push(1, "q:0:0=a", 0).tell(2, "move", "d:0:0", ["q:0:0"], "q:0:0=a", 10), SESSION),
    "order, of a queue": (
        story().push(1, "q:0:0=a", 0).push(1, "q:0:0=b", 1).pop(2, "q:0:0=b", 10).pop(2, "q:0:0=a", 20), SESSION),
    "isolation": (story().transfer(1, "t:0:0", "t:0:0=x", 2, 10, watched=0), SESSION),
    "cross-wired": (story().get(1, "s:0:0", None, 0).tell(1, "get", "s:0:0", None, "s:1:0=1", 10), SESSION),
    "cross-wired, another question": (story().tell(1, "get", "s:0:0", None, "OK", 10), SESSION),
    "cross-wired, a nonce": (story().tell(1, "echo", "", "echo=1.1", "echo=2.1", 10), SESSION),
    "cross-wired, a balance": (story().tell(1, "balance", "t:0:0", None, ["-1001", "2002"], 10), SESSION),
    "cross-wired, a transfer": (
        story().tell(1, "transfer", "t:0:0", ["t:0:0=x", None], [-1001, 1001, 2], 10), SESSION),
    "cross-wired, an item": (story().tell(1, "pop", "q:0:0", ["q:0:0"], ["q:1:0", "q:1:0=a"], 10), SESSION),
}
BAD_FINAL = {"l:0:0": ["l:0:0=a"], "t:0:0:log": ["t:0:0=x"]}


@pytest.mark.parametrize("name", BAD)
def test_each_sin_is_seen(name):
    told, rules = BAD[name]
    final = dict(BAD_FINAL)
    if name == "isolation":
        final["t:0:0:log"] = ["t:0:0=w", "t:0:0=x"]
    assert name.split(",")[0] in told.found(rules, final)


@pytest.mark.parametrize("name, final", [
    ("lost", []), ("doubled", ["a", "b", "a"]), ("program order", ["b", "a"]), ("phantom", ["a", "b", "c"]),
    ("order", ["c", "a", "b"])])
def test_lists_at_the_end(name, final):
    told = story().append(1, "l:0:0=a", 1, 0).append(1, "l:0:0=b", 2, 10).append(2, "l:0:0=c", None, 20, "fail")
    assert told.found(SESSION, {"l:0:0": ["l:0:0=a", "l:0:0=b"]}) == set()
    assert name in told.found(SESSION, {"l:0:0": [f"l:0:0={value}" for value in final]})


def test_a_list_that_is_no_beginning_of_the_last_one():
    told = story().append(1, "l:0:0=a", 1, 0).append(2, "l:0:0=b", 2, 10).range(3, "l:0:0", ["b"], 20)
    assert told.found(SESSION, {"l:0:0": ["l:0:0=a", "l:0:0=b"]}) == {"order"}


@pytest.mark.parametrize("key, value, found", [
    ("s:0:0", "3", set()), ("s:0:0", "4", set()), ("s:0:0", "2", {"lost"}), ("s:0:0", None, {"lost"}),
    ("m:0:0", "3.1", set()), ("m:0:0", "4.1", set()), ("m:0:0", "1.1", {"lost"}), ("m:0:0", None, {"lost"})])
def test_registers_at_the_end(key, value, found):
    told = (story().set(1, "s:0:0=1", 0).set(1, "s:0:0=2", 10).set(1, "s:0:0=3", 20).set(1, "s:0:0=4", 30, "info")
            .set(1, "m:0:0=1.1", 0).set(3, "m:0:0=3.1", 10).set(4, "m:0:0=4.1", (5, 15)))
    assert told.found(SESSION, Final({}, {key: value and f"{key}={value}"})) == found


def test_age_is_not_bounded_without_a_master():
    told = story().set(1, "s:0:0=1", 0).get(2, "s:0:0", None, 500)
    assert told.found(Rules("eventual", max_lag_ns=100)) == {"staleness"}
    assert told.found(Rules("eventual", max_lag_ns=100, orphaned=((400, 600),))) == set()
    assert told.found(Rules("eventual", max_lag_ns=100, orphaned=((400, 499), (502, 600)))) == {"staleness"}


def test_balances_tell_their_key():
    for key, count in itertools.product(["t:0:0", "t:1:0", "t:0:1", "t:3:9"], [0, 1, 2, 63]):
        assert transfers_shown(key, _balances(key, count)) == count
    keys = ("t:0:0", "t:1:0", "t:2:0", "t:0:1")
    shown = {(key, count): _balances(key, count)[1] for key in keys for count in range(1, 64)}
    assert len(set(shown.values())) == len(shown)
    assert transfers_shown("t:1:0", _balances("t:0:0", 2)) is None
    assert transfers_shown("t:0:0", ["-1001", "2002"]) is None
    assert transfers_shown("t:0:0", None) is None


# ------------------------------------------------------- against trying all

def _linearizable_by_trying(writes, reads):
    """Whether some order of everything, in which nobody is before what had ended
    when he began, makes each read show the last write. Unknown writes may be left
    out."""
    operations = [(value, begin, end, True) for value, (begin, end) in writes.items() if value is not None]
    operations += [(value, begin, end, False) for value, begin, end in reads]

    def possible(left, state):
        if not [op for op in left if op[2] != FOREVER]:
            return True
        first_end = min(op[2] for op in left)
        for op in left:
            if op[1] <= first_end and (op[3] or op[0] == state):
                rest = [other for other in left if other is not op]
                if possible(rest, op[0] if op[3] else state):
                    return True
        # A write of unknown outcome may be left out for good.
        return any(possible([other for other in left if other is not op], state)
                   for op in left if op[3] and op[2] == FOREVER)
    return possible(operations, None)


def _random_register(dice):
    """Small histories, right and wrong ones, with different times throughout."""
    times = list(range(40))
    dice.shuffle(times)
    writes, reads = {None: (-FOREVER, -FOREVER)}, []
    for value in range(dice.randint(1, 4)):
        begin, end = sorted((times.pop(), times.pop()))
        writes[value] = (begin, FOREVER if dice.random() < 0.2 else end)
    for _ in range(dice.randint(1, 4)):
        begin, end = sorted((times.pop(), times.pop()))
        value = dice.choice([value for value, (start, _) in writes.items() if start < end])
        reads.append((value, begin, end))
    return writes, reads


def test_zones_agree_with_trying_every_order():
    dice = random.Random(1)
    right = 0
    for _ in range(6000):
        writes, reads = _random_register(dice)
        expected = _linearizable_by_trying(writes, reads)
        right += expected
        assert (find_zone_conflict(writes, reads) is None) == expected, (writes, reads)
    assert 1000 < right < 5000, "histories of both kinds"


def _random_numbers(dice):
    """Writes of rising versions to one key, and reads of anything."""
    times = sorted(dice.sample(range(200), 24))
    target, sequences = Versioned(), {}
    for version in range(1, dice.randint(2, 5)):
        begin, end = times.pop(dice.randrange(len(times) // 2)), 0
        end = dice.choice([time for time in times if time > begin])
        times.remove(end)
        session = dice.randint(1, 2)
        target.writes.append(Event(_op(sequences, session, "set", begin, end), version))
    for _ in range(dice.randint(1, 5)):
        begin, end = sorted(dice.sample(times, 2))
        times.remove(begin), times.remove(end)
        read = _op(sequences, dice.randint(1, 3), "get", begin, end)
        target.reads.append(Event(read, dice.randint(0, len(target.writes))))
    return target


def _op(sequences, session, name, begin, end):
    sequences[session] = sequences.get(session, -1) + 1
    return Op(session, sequences[session], name, "s:0:0", None, None, begin, end, "ok")


def _pairs(violations):
    return {(violation.ops[-1].session, violation.ops[-1].sequence) for violation in violations}


@pytest.mark.parametrize("age", [0, 30])
def test_visibility_agrees_with_its_definition(age):
    dice = random.Random(2)
    bad = 0
    for _ in range(4000):
        target = _random_numbers(dice)
        expected = {(read.session, read.sequence) for read, seen in target.reads
                    if any(write.returned < read.invoked - age and seen < version for write, version in target.writes)}
        found = _pairs(judging._visible({"s:0:0": target}, {}, lambda session: None, age, (), "x"))
        assert found == expected
        bad += bool(expected)
    assert bad > 300


def test_ages_agree_with_their_definition():
    dice = random.Random(4)
    for _ in range(2000):
        target = _random_numbers(dice)
        expected = []
        for read, seen in target.reads:
            missed = [write.returned for write, version in target.writes if version > seen]
            expected.append(max(0, read.invoked - min(missed)) if missed else 0)
        assert list(judging.ages({"s:0:0": target})) == expected


def test_session_guarantees_agree_with_their_definition():
    dice = random.Random(3)
    bad = 0
    for _ in range(4000):
        target = _random_numbers(dice)
        events = target.writes + target.reads
        # In a session the order in which operations end is their program order.
        ops = sorted((event.op for event in events), key=lambda op: (op.session, op.sequence))
        expected = {(read.session, read.sequence) for read, seen in target.reads
                    if any(other.session == read.session and other.sequence < read.sequence and seen < version
                           for other, version in events)}
        history = History(ops, {})
        assert _pairs(judging.session_guarantees(history, {"s:0:0": target})) == expected
        bad += bool(expected)
    assert bad > 300
