"""What judges the failovers can find something: small ones, made by hand."""
import types

import pytest

import figures
from harness import encode

PROMOTED_AT = 1000
SIZE = figures.WRITE_BYTES


def stream(*numbers):
    return b"".join(encode("RPUSH", figures.key_of(0, 0), f"{number:08}") for number in numbers)


def tap(begin, *numbers):
    made = figures.Tap.__new__(figures.Tap)     # it follows nobody
    made.begin, made.data = begin, bytearray(stream(*numbers))
    return made


def lost(bytes_lost):
    return [] if bytes_lost == 0 else [("lost_writes", None, f"acknowledged writes are lost: they reached offset {PROMOTED_AT + bytes_lost} of "
                                        f"history 01234567, s1 has it up to {PROMOTED_AT}: {bytes_lost} bytes are gone")]


class Made:
    """The old master did 1 to 4 and died, the new one has 1 and 2 of them, and 5 since. All were
    acknowledged, before the fault at 10.0 or after the promotion; 86 bytes are lost, and told."""

    def __init__(self):
        self.before = tap(PROMOTED_AT - 2 * SIZE, 1, 2, 3, 4)
        self.after = tap(PROMOTED_AT, 5)
        self.there, self.told, self.resyncs = [1, 2, 5], 2 * SIZE, 1
        self.events = [("failover", None, f"up to offset {PROMOTED_AT} of {PROMOTED_AT + 2 * SIZE} that is known: {2 * SIZE} bytes are lost")]
        self.writes = [figures.Write(number, 9.0, 9.5) for number in (1, 2, 3, 4)] + [figures.Write(5, 11.0, 11.5)]

    def verdict(self, monkeypatch):
        monkeypatch.setattr(figures, "present", lambda server, generation: self.there)
        stage = types.SimpleNamespace(master=None, reported=lambda: self.told, tap=self.after)
        failover = types.SimpleNamespace(stage=stage, heir=True, fault="kill", begun=10.0, offset=PROMOTED_AT, old_tap=self.before, old=None,
                                         emptied=0, cut=None, reported_before=0, resyncs=self.resyncs, events=self.events + lost(self.told))
        return figures.Verdict(failover, 0, self.writes)


def test_all_is_accounted_for(monkeypatch):
    verdict = Made().verdict(monkeypatch)
    assert verdict.wrong == []
    assert verdict.gone == {3, 4} and verdict.took == pytest.approx(1.5)
    assert verdict.told == verdict.due == verdict.over["acknowledged"] == 2 * SIZE


def test_what_nobody_was_told_of_is_over(monkeypatch):
    made = Made()
    made.writes[3].error = "-UNKNOWNRESULT"
    verdict = made.verdict(monkeypatch)
    assert verdict.wrong == []
    assert (verdict.due, verdict.over["acknowledged"], verdict.over["unanswered"]) == (SIZE, SIZE, SIZE)


def test_what_had_not_left_the_master(monkeypatch):
    made = Made()
    made.before = tap(PROMOTED_AT - 2 * SIZE, 1, 2, 3)
    verdict = made.verdict(monkeypatch)
    assert verdict.wrong == [] and verdict.due == 2 * SIZE and verdict.over["unseen"] == SIZE


def test_who_is_told_as_doubtful_is_told(monkeypatch):
    made = Made()
    made.told = SIZE
    made.events.append(("lost_writes", None, "acknowledged writes may be lost: 1 clients were told OK when the connection was lost"))
    assert made.verdict(monkeypatch).wrong == []


@pytest.mark.parametrize("change, words", [
    (lambda made: setattr(made, "told", SIZE), f"{SIZE} bytes gone and not told"),
    (lambda made: setattr(made, "told", 0), f"{2 * SIZE} bytes gone and not told"),
    (lambda made: setattr(made, "told", 2 * SIZE - 1), "1 offset inside a write told"),
    (lambda made: made.there.remove(2), "against their offsets"),
    (lambda made: made.there.append(3), "against their offsets"),
    (lambda made: made.there.append(5), "1 appended twice"),
    (lambda made: made.writes.append(figures.Write(6, 9.0, 9.5)), "bytes gone and not told"),
    (lambda made: setattr(made.writes[3], "sent", 12.0), "1 taken by two masters"),
    (lambda made: setattr(made.writes[3], "answered", 12.0), "1 taken by two masters"),
    (lambda made: setattr(made, "after", tap(PROMOTED_AT, 5, 4)), "1 taken by two masters"),
    (lambda made: setattr(made, "resyncs", 2), "1 full resyncs for nothing"),
    (lambda made: made.events.clear(), "1 promotions too many or too few told"),
    (lambda made: made.events.append(lost(SIZE)[0]), "1 losses told of one failover too many"),
])
def test_what_is_wrong_is_found(monkeypatch, change, words):
    made = Made()
    change(made)
    assert any(words in one for one in made.verdict(monkeypatch).wrong)
