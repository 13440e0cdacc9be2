"""The judge of `make compat` judged: each of its checks is shown something
that it has to refuse. The suite is a script that prints what it is told."""
import collections
import pathlib
import stat
import time

import pytest

import suite

OK = "[ok]: {} (3 ms)"
COLOURED = "[\x1b[0;32mok\x1b[0m]: {} (3 ms)"
FAILED = "[err]: {} in tests/unit/fake.tcl\nExpected 'a' to equal or match 'b'"
SKIPPED = "[\x1b[0;33mskip\x1b[0m]: {}"
DONE = "[1/1 \x1b[0;33mdone\x1b[0m]: unit/fake (0 seconds)"
EXCEPTION = "[exception]: Executing test client: ERR no.\nERR no\n    while executing"


def outcome(*lines, status=0):
    return suite.parse("\n".join(lines), status)


def skip(test, unit="unit/fake", reason="it has two of them"):
    return suite.Skip(unit, test, reason)


GOOD = outcome(OK.format("one"), COLOURED.format("two (with 3 things)"), DONE)


def test_the_same_on_both_sides_is_right():
    assert GOOD.passed == {"one": 1, "two (with 3 things)": 1} and not GOOD.broken
    assert suite.judge(GOOD, GOOD, []) == []


def test_a_listed_skip_is_right():
    through = outcome(OK.format("one"), SKIPPED.format("two (with 3 things)"), DONE)
    assert suite.judge(GOOD, through, [skip("two (with 3 things)")]) == []


@pytest.mark.parametrize("lines, status, wrong", [
    ([OK.format("one"), FAILED.format("two (with 3 things)"), DONE], 1, "failed: two (with 3 things)\n    Expected 'a'"),
    ([OK.format("one"), DONE], 0, "passed bare, but did not run: two (with 3 things)"),
    ([OK.format("one"), SKIPPED.format("two (with 3 things)"), DONE], 0, "skipped without being listed"),
    ([OK.format("one"), COLOURED.format("two (with 3 things)"), OK.format("one"), DONE], 0, "did not pass bare: one"),
    ([OK.format("one"), EXCEPTION], 1, "aborted: Executing test client: ERR no."),
    ([OK.format("one"), COLOURED.format("two (with 3 things)")], -9, "ended with status -9 in the middle"),
    ([OK.format("one"), COLOURED.format("two (with 3 things)"), DONE], 1, "status 1, but 0 failures"),
    ([], 0, "ended with status 0 in the middle"),
], ids=["failure", "missing", "unlisted skip", "surplus", "exception", "killed", "silent failure", "nothing"])
def test_what_is_wrong_through_weir(lines, status, wrong):
    complaints = suite.judge(GOOD, outcome(*lines, status=status), [])
    assert any(wrong in complaint and complaint.startswith("weir: ") for complaint in complaints), complaints


@pytest.mark.parametrize("lines, status, wrong", [
    ([OK.format("one"), FAILED.format("two (with 3 things)"), DONE], 1, "bare: failed: two"),
    ([OK.format("one"), COLOURED.format("two (with 3 things)"), EXCEPTION], 1, "bare: aborted"),
], ids=["failure", "exception"])
def test_what_is_wrong_bare(lines, status, wrong):
    """Then there is no measure, whatever weir does."""
    assert any(complaint.startswith(wrong) for complaint in suite.judge(outcome(*lines, status=status), GOOD, []))


def test_what_another_server_fails_is_its_own():
    """It may fail through weir as well, or not; anything else is as ever."""
    bare = outcome(OK.format("one"), FAILED.format("two"), DONE, status=1)
    assert suite.judge(bare, bare, [])
    assert suite.judge(bare, bare, [], own_failures=True) == []
    assert suite.judge(bare, outcome(OK.format("one"), OK.format("two"), DONE), [], own_failures=True) == []
    assert suite.judge(bare, outcome(OK.format("two"), FAILED.format("one"), DONE, status=1), [], own_failures=True)
    assert suite.judge(bare, outcome(OK.format("two"), DONE), [], own_failures=True)
    assert suite.judge(bare, outcome(OK.format("one"), EXCEPTION, status=1), [], own_failures=True)


def test_one_name_for_two_tests_of_which_one_fails_bare():
    twice = outcome(FAILED.format("one"), OK.format("one"), OK.format("two"), DONE, status=1)
    assert suite.judge(twice, twice, [], own_failures=True) == []
    assert suite.judge(twice, outcome(FAILED.format("one"), OK.format("two"), DONE, status=1), [], own_failures=True)


def test_the_list_of_units_itself():
    units = suite.read_units(pathlib.Path(__file__).parent / "valkey.txt")
    assert len(units) == len(set(units)) > 20 and all(unit.startswith(("unit/", "integration/")) for unit in units)


def test_a_skip_that_matches_nothing_is_wrong():
    assert suite.judge(GOOD, GOOD, [skip("three")]) == ["skip.txt: matches no test: three"]


def test_a_skip_of_what_does_not_pass_bare_is_wrong():
    bare = outcome(OK.format("one"), DONE)
    through = outcome(OK.format("one"), SKIPPED.format("three"), DONE)
    assert "skip.txt: does not pass bare either: three" in suite.judge(bare, through, [skip("three")])


def test_a_name_that_stands_twice_counts_twice():
    bare = outcome(OK.format("one"), OK.format("one"), DONE)
    assert suite.judge(bare, outcome(OK.format("one"), DONE), []) == ["weir: passed bare, but did not run: one"]


@pytest.mark.parametrize("text", ["unit/fake | one", "unit/fake | one | ", "unit/fake | one |", "one", " | one | because",
                                  "unit/fake | /one | because",
                                  "unit/fake | one | because\nunit/fake | one | because"])
def test_a_line_of_skip_txt_that_is_wrong(tmp_path, text):
    (tmp_path / "skip.txt").write_text(text + "\n")
    with pytest.raises(suite.SkipError):
        suite.read_skips(tmp_path / "skip.txt")


def test_lines_of_skip_txt_that_are_right(tmp_path):
    (tmp_path / "skip.txt").write_text("# why\n\nunit/fake | one | because\nunit/fake | two: a, b | of it\n")
    assert suite.read_skips(tmp_path / "skip.txt") == [skip("one", reason="because"), skip("two: a, b", reason="of it")]


def test_skip_txt_itself():
    """Fewer than thirty, as the contract has it."""
    skips = suite.read_skips(pathlib.Path(__file__).with_name("skip.txt"))
    assert len(skips) < 30


# ---- the report

def test_a_report_that_is_right(capsys):
    through = outcome(OK.format("one"), SKIPPED.format("two (with 3 things)"), DONE)
    assert suite.report({"unit/fake": (GOOD, through)}, [skip("two (with 3 things)")])
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"
    assert "unit/fake: two (with 3 things)\n    it has two of them" in printed and "wrong" not in printed


def test_a_report_of_one_wrong_unit_is_wrong(capsys):
    through = outcome(OK.format("one"), FAILED.format("two (with 3 things)"), DONE, status=1)
    assert not suite.report({"unit/good": (GOOD, GOOD), "unit/fake": (GOOD, through)}, [])
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "3 passed, 1 failed, 0 skipped"
    assert "unit/fake: weir: failed: two (with 3 things)\n    Expected 'a' to equal or match 'b'" in printed


# ---- runs

def fake_suite(directory, script):
    program = directory / "runtest"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return directory


def run(directory, script, limit=10, skips=()):
    return suite.Run(fake_suite(directory, script), "unit/fake", "127.0.0.1:1", 2, skips).finish(limit)


def test_a_run_is_told_where_and_what(tmp_path):
    result, output = run(tmp_path, f'printf "%s|" "$@"; echo; echo "{DONE}"', skips=[skip("a b")])
    assert output.startswith("--host|127.0.0.1|--port|1|--baseport|2|--tags|-slow|--single|unit/fake|--skiptest|a b|\n")
    assert result == suite.Outcome() and not result.touched


def test_a_run_that_fails(tmp_path):
    result, _ = run(tmp_path, f'echo "{OK.format("one")}"; echo "[err]: two in tests/x.tcl"; echo "{DONE}"; exit 1')
    assert (result.passed, list(result.failed), result.broken) == (collections.Counter(["one"]), ["two"], "")


def test_a_run_that_hangs_is_ended_with_all_it_started(tmp_path):
    begin = time.monotonic()
    result, _ = run(tmp_path, f'echo "{OK.format("one")}"; sleep 60 & sleep 60', limit=0.3)
    assert time.monotonic() - begin < 10
    assert result.broken == "hung: stopped after 0.3 s" and result.passed["one"] == 1
    assert suite.judge(GOOD, result, [])[0] == "weir: hung: stopped after 0.3 s"


def test_units_are_what_the_suite_lists(tmp_path):
    assert suite.list_units(fake_suite(tmp_path, "echo unit/a; echo unit/b")) == ["unit/a", "unit/b"]
