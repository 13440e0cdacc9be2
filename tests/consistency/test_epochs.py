"""Histories in which the master is lost, made by hand: what may be lost, and what
never."""
from types import SimpleNamespace

import pytest

from epochs import Epoch, Report, judge_across, learn, reports_in
from harness import encode
from judge import Final, Rules
from test_judge import STRONG, Story

SESSION = Rules("session", "weir")
FIRST = 1000            # offset of the first master's first byte
LAST_SEEN, GONE = 100, 110
PUT, SECOND_PUT = ("SET", "s:0:0", "s:0:0=1"), ("SET", "s:0:0", "s:0:0=2")
PUSH = ("RPUSH", "q:0:0", "q:0:0=a")
POP = ("LPOP", "q:0:0")


def append(value):
    return "RPUSH", "l:0:0", f"l:0:0={value}"


class Reigns:
    """Of two masters. The second one has `kept` of the first one's commands, and weir
    has told that `acknowledged` of them were."""

    def __init__(self, first, second=(), kept=0, acknowledged=None):
        self.ends = [FIRST - 1]
        for words in first:
            self.ends.append(self.ends[-1] + len(encode(*words)))
        self.first = Epoch("a", "ida", FIRST, _stream(first), LAST_SEEN, GONE, self.ends[kept],
                           None if acknowledged is None else self.ends[acknowledged])
        self.second = Epoch("b", "idb", self.ends[kept] + 1, _stream(second))

    def found(self, told, final=None, registers=None, rules=SESSION):
        final = Final(final or {}, registers or {})
        return {violation.check for violation in judge_across(told.history(), final, rules, [self.first, self.second])}

    def changed(self, **first):
        self.first = self.first._replace(**first)
        return self


def _stream(commands):
    return b"".join(encode(*words) for words in commands)


def two_puts(at=(10, 20)):
    return Story().set(1, "s:0:0=1", at[0]).set(1, "s:0:0=2", at[1])


STANDS = {"registers": {"s:0:0": "s:0:0=1"}}


# ---------------------------------------------------------- what may be lost

@pytest.mark.parametrize("rules", [SESSION, STRONG, Rules("session", "connection"), Rules("eventual", max_lag_ns=1)])
def test_what_weir_tells_is_lost_may_be(rules):
    told = two_puts().get(1, "s:0:0", "2", 30).get(1, "s:0:0", "1", 120).get(2, "s:0:0", "1", 130)
    assert Reigns([PUT, SECOND_PUT], kept=1, acknowledged=2).found(told, rules=rules, **STANDS) == set()


def test_nothing_is_lost_that_weir_does_not_tell():
    assert Reigns([PUT, SECOND_PUT], kept=1).found(two_puts(), **STANDS) == {"lost"}


def test_nothing_is_lost_beyond_what_weir_tells():
    told = two_puts().set(1, "s:0:0=3", 30)
    reigns = Reigns([PUT, SECOND_PUT, ("SET", "s:0:0", "s:0:0=3")], kept=1, acknowledged=2)
    assert reigns.found(told, **STANDS) == {"lost"}


def test_what_is_kept_stays():
    reigns = Reigns([PUT, SECOND_PUT], kept=2)
    assert reigns.found(two_puts(), registers={"s:0:0": "s:0:0=2"}) == set()
    assert "lost" in reigns.found(two_puts(), **STANDS)
    assert "read-your-writes" in reigns.found(two_puts().get(1, "s:0:0", "1", 120), registers={"s:0:0": "s:0:0=2"})


def test_elements_are_lost_from_the_end():
    reigns = Reigns([append("a"), append("b")], [append("c")], kept=1, acknowledged=2)
    told = (Story().append(1, "l:0:0=a", 1, 10).append(1, "l:0:0=b", 2, 20).range(1, "l:0:0", ["a", "b"], 30)
            .range(1, "l:0:0", ["a"], 120).append(1, "l:0:0=c", 2, 130).range(1, "l:0:0", ["a", "c"], 140))
    final = {"l:0:0": ["l:0:0=a", "l:0:0=c"]}
    assert reigns.found(told, final) == set()
    assert "order" in reigns.found(told.range(1, "l:0:0", ["a", "b"], 150), final)


def test_an_item_may_be_taken_again_where_the_first_time_is_lost():
    told = Story().push(1, "q:0:0=a", 10).pop(2, "q:0:0=a", 20).pop(2, "q:0:0=a", 120)
    final = {"q:0:0": []}
    assert Reigns([PUSH, POP], [POP], kept=1, acknowledged=2).found(told, final) == set()
    assert "lost" in Reigns([PUSH, POP], [POP], kept=1).found(told, final)


def test_what_was_unanswered_may_be_lost_untold():
    told = Story().set(1, "s:0:0=1", 10).set(1, "s:0:0=2", (20, 115), "info")
    assert Reigns([PUT, SECOND_PUT], kept=1).found(told, **STANDS) == set()


def test_a_masters_last_word_may_reach_the_client_alone():
    reigns = Reigns([PUT, SECOND_PUT], kept=1, acknowledged=2).changed(stream=_stream([PUT]))
    assert reigns.found(two_puts(), **STANDS) == set()
    assert "lost" in reigns.changed(acknowledged=reigns.first.kept).found(two_puts(), **STANDS)
    assert "lost" in Reigns([PUT], kept=1).found(two_puts(), **STANDS)


def test_as_many_are_in_doubt_as_weir_tells():
    reigns = Reigns([PUT, SECOND_PUT], kept=1).changed(doubtful=1)
    assert reigns.found(two_puts(), **STANDS) == set()
    assert "lost" in reigns.found(Story().set(1, "s:0:0=1", 10).set(1, "s:0:0=2", 20).set(2, "s:0:0=3", 30), **STANDS)
    assert reigns.changed(stream=_stream([PUT])).found(two_puts(), **STANDS) == set()


# -------------------------------------------------------- what never happens

def test_in_its_own_epoch_nothing_is_lost():
    reigns = Reigns([PUT, SECOND_PUT], kept=1, acknowledged=2)
    stale = two_puts().get(2, "s:0:0", "1", 40)
    assert reigns.found(stale, **STANDS) == {"acknowledged (epoch 1)"}
    assert "read-your-writes (epoch 1)" in reigns.found(two_puts().get(1, "s:0:0", "1", 40), **STANDS)
    assert "linearizable (epoch 1)" in reigns.found(stale, rules=STRONG, **STANDS)


def test_what_is_lost_is_not_seen_again():
    reigns = Reigns([PUT, SECOND_PUT], kept=1, acknowledged=2)
    for rules in (SESSION, Rules("eventual")):
        assert reigns.found(two_puts().get(2, "s:0:0", "2", 120), rules=rules, **STANDS) == {"forked"}


def test_what_is_kept_is_seen_again():
    reigns = Reigns([PUT, SECOND_PUT], kept=1, acknowledged=2)
    assert reigns.found(two_puts().get(2, "s:0:0", None, 120), **STANDS) == {"acknowledged"}


def test_no_write_is_taken_twice():
    told = Story().set(1, "s:0:0=1", (10, 120))
    assert "accepted twice" in Reigns([PUT], [PUT], kept=0).found(told, **STANDS)
    assert "accepted twice" in Reigns([PUT], [PUT], kept=1).found(told, **STANDS)


def test_what_was_refused_stands_nowhere():
    told = Story().set(1, "s:0:0=1", 10, "fail")
    assert "phantom" in Reigns([PUT]).found(told)


@pytest.mark.parametrize("first, second, at", [([PUT], [], 120), ([], [PUT], 50)])
def test_one_master_at_a_time(first, second, at):
    reigns = Reigns(first, second, kept=len(first))
    assert "two masters" in reigns.found(Story().set(1, "s:0:0=1", at), **STANDS)


def test_an_item_is_taken_once():
    told = Story().push(1, "q:0:0=a", 10).pop(2, "q:0:0=a", 20).pop(2, "q:0:0=a", 120)
    assert Reigns([PUSH, POP], kept=2).found(told, {"q:0:0": []}) >= {"lost", "doubled"}


def test_the_streams_are_what_the_master_holds():
    assert Reigns([PUT], kept=1).found(Story().set(1, "s:0:0=1", 10), registers={"s:0:0": None}) >= {"streams"}


# ----------------------------------------------- what the epochs are made of

def tap(replid, begin, continues=None, stream=b"", first=None):
    return SimpleNamespace(server=SimpleNamespace(name=replid), replid=replid, begin=begin, first=first or begin,
                           continues=continues, stream=stream)


LOG = ("acknowledged writes are lost: they reached offset 150 of history ida, b has it up to {kept}: {gone} bytes are gone")


def learned(kept=120, gone=30, continues="ida"):
    return learn([tap("ida", 100, stream=b"x" * 60), tap("idb", 121, continues)], {1: [5, 100], 2: [110, 200]},
                 reports_in(LOG.format(kept=kept, gone=gone)))


def test_epochs_are_learned():
    assert reports_in(LOG.format(kept=120, gone=30)) == {"ida": Report(150, 120, 30)}
    assert reports_in("acknowledged writes may be lost: 2 clients were told OK when the connection was lost, at offsets "
                      "of history idb that nobody knows") == {"idb": Report(doubtful=2)}
    first, last = learned()
    assert first[4:] == (100, 110, 120, 150, 0)
    assert last.kept is None and last.acknowledged is None


def test_what_only_the_heir_was_told_is_the_last_masters():
    first, last = learn([tap("ida", 100, stream=b"abc"), tap("idb", 105, "ida", b"cdexy", first=102)],
                        {1: [5, 100], 2: [110, 200]}, {})
    assert (first.stream, last.first, last.stream) == (b"abcde", 105, b"xy")
    with pytest.raises(AssertionError, match="another stream"):
        learn([tap("ida", 100, stream=b"abc"), tap("idb", 105, "ida", b"Xdexy", first=102)], {1: [5, 100], 2: [110, 200]}, {})


@pytest.mark.parametrize("wrong", [{"kept": 119, "gone": 31}, {"gone": 29}, {"continues": "idc"}])
def test_weir_and_the_servers_must_agree(wrong):
    with pytest.raises(AssertionError):
        learned(**wrong)
