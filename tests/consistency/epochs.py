"""What may be lost when the master is lost, and what may not.

An unplanned change of the master ends an epoch. Its master's stream is known from
a tap, and the new master itself tells up to which offset it has it (`kept`). So
every write has a place: an epoch and an offset. What stands behind `kept` is lost;
nothing else may be. weir has said up to which offset it had acknowledged writes
(`acknowledged`); behind that nothing acknowledged may stand, but for as many clients'
as weir has told OK without knowing the offset (`doubtful`). And a write stands in one
place at most, in the epoch in which weir was when it was acknowledged.

    kept ........... acknowledged ...... end of the stream
     | lost, and weir   | lost, and nobody
     | has told it      | had been told OK

Then the judge sees the history several times, as strict as ever:

  - for each epoch that has ended: what had returned by then, with what its master
    held. Nothing is lost there, whatever became of it afterwards.
  - and all of it, with what the last master held: without the lost writes, which are
    as if refused, and without the reads that showed one while its epoch lasted. A
    read that shows one later is a fork.
"""
import json
import re
from collections import defaultdict
from typing import NamedTuple

from judge import Final, Violation, judge, transfers_shown

FOREVER = float("inf")
READS = {"get", "range", "balance", "message"}


class Epoch(NamedTuple):
    """A master's reign. Offsets count bytes; times are those of the history."""
    master: str
    replid: str
    first: int                  # offset of the stream's first byte
    stream: bytes
    last_seen: int = FOREVER    # ns: the last look at which weir was in it
    gone: int = FOREVER         # ns: the first one at which it was not
    kept: int = None            # None: it is the last one
    acknowledged: int = None    # None: weir said nothing of a loss
    doubtful: int = 0           # clients

    def told(self):
        """Up to which offset acknowledged writes may be lost, by weir's word."""
        return self.kept if self.acknowledged is None else self.acknowledged


REPORT = re.compile(r"acknowledged writes are lost: they reached offset (\d+) of history (\w+), (\S+) has it up to (\d+): "
                    r"(\d+) bytes are gone")


DOUBT = re.compile(r"acknowledged writes may be lost: (\d+) clients were told OK .* at offsets of history (\w+)")


class Report(NamedTuple):
    """What weir said of a loss."""
    acknowledged: int = None
    kept: int = None
    gone: int = 0
    doubtful: int = 0


def reports_in(log):
    """{begin of a replid: Report}"""
    reports = {replid: Report(int(acknowledged), int(kept), int(gone))
               for acknowledged, replid, _, kept, gone in REPORT.findall(log)}
    for clients, replid in DOUBT.findall(log):
        reports[replid] = reports.get(replid, Report())._replace(doubtful=int(clients))
    return reports


def learn(taps, seen, reports):
    """[Epoch], from the taps, from when weir was seen in each epoch, and from what it
    has reported. Whatever does not fit together is an AssertionError."""
    looks = [seen[number] for number in sorted(seen)]
    assert len(looks) == len(taps), f"weir was in epochs {sorted(seen)}, and {len(taps)} masters had a tap"
    epochs = []
    for tap, (_, last), heir, after in zip(taps, looks, [*taps[1:], None], [*looks[1:], None]):
        epoch = Epoch(tap.server.name, tap.replid, tap.begin, bytes(tap.stream[tap.begin - tap.first:]))
        if heir:
            epoch = epoch._replace(last_seen=last, gone=after[0], kept=heir.begin - 1, stream=_whole(epoch, heir))
            assert heir.continues == tap.replid, f"{heir.server.name} continues another history than {tap.server.name}'s"
            epoch = _with_report(epoch, reports.get(tap.replid[:8]))
        epochs.append(epoch)
    return epochs


def _whole(epoch, heir):
    """The stream, with what only the heir has been told. Where both were told they have
    heard the same."""
    early = bytes(heir.stream[:heir.begin - heir.first])    # of this epoch
    at = heir.first - epoch.first
    assert 0 <= at <= len(epoch.stream), f"the tap of {epoch.master} ends too early"
    both = epoch.stream[at:at + len(early)]
    assert early.startswith(both), f"{heir.server.name} has another stream than {epoch.master} sent"
    return epoch.stream + early[len(both):]


def _with_report(epoch, report):
    if report is None:
        return epoch
    if report.acknowledged is not None:
        assert report.kept == epoch.kept, f"weir reports {report.kept} as kept, the servers say {epoch.kept}"
        assert report.gone == report.acknowledged - report.kept > 0, f"{report.gone} of it are not what is gone: {report}"
    return epoch._replace(acknowledged=report.acknowledged, doubtful=report.doubtful)


def told(epochs):
    """What weir has said of all of them."""
    return ", ".join(f"{epoch.told() - epoch.kept:,}" + (f" and {epoch.doubtful} clients" if epoch.doubtful else "")
                     for epoch in epochs[:-1]) or "nothing"


def save(taps, directory):
    for number, tap in enumerate(taps):
        (directory / f"stream{number + 1}.resp").write_bytes(tap.stream)
        (directory / f"stream{number + 1}.json").write_text(json.dumps(
            {"master": tap.server.name, "replid": tap.replid, "continues": tap.continues, "first": tap.first,
             "begin": tap.begin}))


# ------------------------------------------------------------ a server's data

class Data:
    """What the writes of the load do to a server, and which write was which: what
    was put somewhere is known by its text, what was taken by what it is."""

    def __init__(self, lists=None, values=None):
        self.lists = defaultdict(list, {key: list(texts) for key, texts in (lists or {}).items()})
        self.values = dict(values or {})

    def copy(self):
        return Data(self.lists, self.values)

    def final(self, lists, registers):
        return Final({key: list(self.lists.get(key, ())) for key in lists},
                     {key: self.values.get(key) for key in registers})

    def apply(self, words):
        """-> the write's name, or None."""
        command = words[0].upper()
        if command == "SET":
            self.values[words[1]] = words[2].partition("~")[0]
            return "put", self.values[words[1]]
        if command == "RPUSH":
            self.lists[words[1]].append(words[2])
            return "put", words[2]
        if command == "LPOP":
            return "taken", self.lists[words[1]].pop(0)
        if command == "LMOVE":
            item = self.lists[words[1]].pop(0)
            self.lists[words[2]].append(item)
            return "taken", item
        assert command in SILENT, f"the stream has {words[:3]}"
        return None


SILENT = {"SELECT", "PING", "MULTI", "EXEC", "PUBLISH", "REPLCONF", "DECRBY", "INCRBY"}


def commands(epoch):
    """(offset of its last byte, words) of every whole command of the stream."""
    stream, at = epoch.stream, 0
    while True:
        end, words = _command(stream, at)
        if end is None:
            return
        yield epoch.first + end - 1, words
        at = end


def _command(stream, at):
    """(index behind it, words); (None, None) where it has not arrived whole."""
    line = stream.find(b"\r\n", at)
    if line < 0:
        return None, None
    assert stream[at:at + 1] == b"*", f"no command: {bytes(stream[at:at + 40])}"
    count, at, words = int(stream[at + 1:line]), line + 2, []
    for _ in range(count):
        line = stream.find(b"\r\n", at)
        if line < 0:
            return None, None
        length = int(stream[at + 1:line])
        at = line + 2 + length + 2
        if at > len(stream):
            return None, None
        words.append(stream[line + 2:line + 2 + min(length, 200)].decode("latin-1"))
    return at, words


# ----------------------------------------------------------------- the places

class Place(NamedTuple):
    epoch: int
    offset: int


class Past:
    """All that the streams tell."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.places = defaultdict(list)     # {write's name: [Place]}
        self.forks, self.ends = [], []      # Data of each epoch: what was kept, and what its master held at last
        data = Data()
        for number, epoch in enumerate(epochs):
            fork = None
            for offset, words in commands(epoch):
                if fork is None and epoch.kept is not None and offset > epoch.kept:
                    fork = data.copy()
                name = data.apply(words)
                if name:
                    self.places[name].append(Place(number, offset))
            self.ends.append(data)
            data = fork or data.copy()
            self.forks.append(data.copy())

    def is_lost(self, place):
        kept = self.epochs[place.epoch].kept
        return kept is not None and place.offset > kept

    def fits(self, place, op):
        """Whether it can have been done there by the clock."""
        return op.invoked <= self.epochs[place.epoch].gone and (
            place.epoch == 0 or op.returned >= self.epochs[place.epoch - 1].last_seen)


def name_of(op):
    """The write's name in the streams; None of what is no write, or took nothing."""
    if op.name in ("set", "append", "push"):
        return "put", op.wrote
    if op.name == "transfer":
        return "put", op.wrote[0]
    if op.name == "pop" and op.outcome == "ok" and op.read is not None:
        return "taken", op.read[1]
    if op.name in ("take", "move") and op.outcome == "ok" and op.read is not None:
        return "taken", op.read
    return None


class Finder:
    """Where every write of the history stands, and what is wrong with that."""

    def __init__(self, past, history):
        self.past = past
        self.violations = []
        self.place = {}         # {(session, sequence): Place} of writes
        self.unrecorded = {}    # {(session, sequence): epoch} acknowledged in a master's last moment
        self.used = set()
        self.doubtful = defaultdict(list)   # {epoch: [Violation]} if weir has not told that it does not know
        for op in history.ops:
            name = name_of(op)
            if name:
                self._find(op, name)
        for number, violations in self.doubtful.items():
            if len({violation.ops[0].session for violation in violations}) > past.epochs[number].doubtful:
                self.violations += violations

    def _object(self, check, op, text):
        self.violations.append(Violation(check, op.key, text, (op,)))

    def _find(self, op, name):
        places = self.past.places.get(name, ())
        if name[0] == "put" and len(places) > 1:
            self._object("accepted twice", op, f"{name[1]} stands at {[tuple(place) for place in places]}")
        place = self._choose(op, name, places)
        if place is not None:
            self.place[op[:2]] = place
        if op.outcome == "fail" and places:
            self._object("phantom", op, f"{name[1]} was refused, and stands at {tuple(places[0])}")
        if op.outcome == "ok":
            self._judge(op, name, place)

    def _choose(self, op, name, places):
        """An item may be taken twice, if the first time is lost: the clock tells which,
        and at the turn of an epoch the first one is somebody's who was told nothing."""
        if name[0] == "put":
            return places[0] if places else None
        for place in reversed(places):
            if (name, place) not in self.used and self.past.fits(place, op):
                self.used.add((name, place))
                return place
        return None

    def _judge(self, op, name, place):
        if place is None:
            self._judge_unrecorded(op, name)
            return
        epoch = self.past.epochs[place.epoch]
        if not self.past.fits(place, op):
            self._object("two masters", op, f"{epoch.master} took {name[1]} at {place.offset} when it was not the master")
        if self.past.is_lost(place) and place.offset > epoch.told():
            self._doubt(place.epoch, op, f"{name[1]} was acknowledged at {place.offset} of {epoch.master}'s stream, "
                        f"{epoch.kept} are kept, and weir knew of {epoch.told()}")

    def _judge_unrecorded(self, op, name):
        """A master that is killed between its answer to a client and its word to the
        replicas takes both witnesses along; weir knows that offset."""
        text = f"{name[1]} was acknowledged, and stands in no master's stream"
        for number, epoch in enumerate(self.past.epochs[:-1]):
            if self.past.fits(Place(number, 0), op):
                self.unrecorded[op[:2]] = number
                if epoch.told() <= epoch.first + len(epoch.stream) - 1:
                    self._doubt(number, op, text)
                return
        self._object("lost", op, text)

    def _doubt(self, epoch, op, text):
        self.doubtful[epoch].append(Violation("lost", op.key, text, (op,)))


# ------------------------------------------------------------------ the views

class View:
    """The history as the judge gets it at the end of an epoch, or of all."""

    def __init__(self, past, finder, history, number):
        self.past, self.finder, self.history, self.number = past, finder, history, number
        self.is_last = past.epochs[number].kept is None
        self.lost_before = number if not self.is_last else len(past.epochs)
        self.lost_texts = {name[1]: places[0] for name, places in past.places.items()
                           if name[0] == "put" and past.is_lost(places[0])}
        self.forked = []

    def ops(self):
        end = self.past.epochs[self.number].last_seen
        for op in self.history.ops:
            if op.invoked < end:
                op = self._as_seen(op, end)
                if op:
                    yield op

    def _as_seen(self, op, end):
        place, unrecorded = self.finder.place.get(op[:2]), self.finder.unrecorded.get(op[:2])
        if op.name in READS:
            return op if op.returned < end and not self._shows_lost(op) else None
        if unrecorded is not None:      # its master is the last to know
            return op._replace(outcome="fail" if unrecorded < self.lost_before else "info", read=None)
        if place is not None and place.epoch < self.lost_before and self.past.is_lost(place):
            return op._replace(outcome="fail", read=None)
        if op.returned >= end:
            return op._replace(outcome="info", read=None)
        return op

    def _shows_lost(self, op):
        """Whether a read shows what an earlier epoch has taken along."""
        if op.outcome != "ok":
            return False
        if op.name in ("get", "message"):
            place = self.lost_texts.get(op.read)
            return place is not None and place.epoch < self.lost_before and self._fork(op, place.epoch)
        return any(self._was_there(op, number) for number in range(min(self.lost_before, len(self.past.epochs) - 1)))

    def _fork(self, op, number):
        """A message may be told late."""
        if op.name != "message" and op.invoked > self.past.epochs[number].gone:
            self.forked.append(Violation("forked", op.key, f"{op.read} was lost with an earlier master", (op,)))
        return True

    def _was_there(self, op, number):
        """Of a list: whether it is a state of that epoch which no later one has."""
        if op.invoked > self.past.epochs[number].gone:
            return False        # the judge would see it
        key = op.key + ":log" if op.name == "balance" else op.key
        shown = transfers_shown(op.key, op.read) if op.name == "balance" else op.read
        kept, end = self.past.forks[number].lists.get(key, []), self.past.ends[number].lists.get(key, [])
        if op.name == "balance":
            return shown is not None and len(kept) < shown <= len(end)
        return isinstance(shown, list) and len(shown) > len(kept) and shown == end[:len(shown)]


def judge_across(history, final, rules, epochs):
    """All violations of a history in which masters were lost. `epochs` in their order."""
    past = Past(epochs)
    finder = Finder(past, history)
    yield from finder.violations
    yield from _streams_tell_all(past, final)
    for number, epoch in enumerate(epochs):
        view = View(past, finder, history, number)
        seen = history._replace(ops=sorted(view.ops(), key=lambda op: op.returned))
        held = final if view.is_last else past.ends[number].final(final.lists, final.registers)
        for violation in judge(seen, held, rules):
            yield violation._replace(check=violation.check if view.is_last else f"{violation.check} (epoch {number + 1})")
        if view.is_last:
            yield from view.forked


def _streams_tell_all(past, final):
    """What the streams come to is what the last master holds."""
    told = past.ends[-1].final(final.lists, final.registers)
    for ours, theirs in ((told.lists, final.lists), (told.registers, final.registers)):
        for key, value in theirs.items():
            if ours[key] != value:
                yield Violation("streams", key, f"the master holds {str(value)[-60:]}, by the streams {str(ours[key])[-60:]}")


def without_lost(history, epochs):
    """The history as the last master has it."""
    past = Past(epochs)
    return history._replace(ops=list(View(past, Finder(past, history), history, len(epochs) - 1).ops()))
