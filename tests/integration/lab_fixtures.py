"""Fixtures. `lab` gives a test everything it may start (see harness.py); when
the test ends, passed or failed, all of it is gone.

    def test_something(lab):
        group = lab.group(2)

`shared_group` is one group for a whole module: for tests that only talk to it
and do not mind keys of others (it is not flushed).
"""
import os
import signal

import pytest

import harness
from harness import Group, Lab

TEST_SECONDS = 120


def pytest_configure(config):
    config.addinivalue_line("markers", "time_limit(seconds): how long a test may take (120 by default)")
    config.addinivalue_line("markers", "plain: only for the ordinary build: it asserts memory or speed, or does not run weir")
    harness.unlimited_files()
    # `timeout` and CI end a run with SIGTERM: leave by the same door as Ctrl-C,
    # through the fixtures that end the servers.
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)


def interrupted(*_):
    for number in (signal.SIGTERM, signal.SIGINT):  # once is enough: the rest is the fixtures' time
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_collection_modifyitems(items):
    if not os.access(harness.weir_binary(), os.X_OK):
        pytest.exit(f"{harness.weir_binary()} is not there: run make first", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what weir said."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        labs = [value for value in item.funcargs.values() if isinstance(value, Lab)]
        labs += [value.lab for value in item.funcargs.values() if isinstance(value, SharedGroup)]
        for lab in labs:
            report.sections += [(f"log of {name}", text) for name, text in lab.logs().items()]
            lab.test_failed = True


@pytest.fixture(autouse=True)
def time_limit(request):
    """No test waits for ever."""
    marker = request.node.get_closest_marker("time_limit")
    seconds = (marker.args[0] if marker else TEST_SECONDS) * harness.PATIENCE

    def expired(*_):
        pytest.fail(f"took longer than {seconds:g} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close(failed=getattr(lab, "test_failed", False))


class SharedGroup(Group):
    def __init__(self, lab):
        group = lab.group(2, replica_endpoint=True)
        super().__init__(group.master, group.replicas, group.weir)
        self.lab = lab


@pytest.fixture(scope="module")
def shared_group(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("shared"))
    try:
        yield SharedGroup(lab)
    finally:
        lab.close()


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(tmp_path_factory):
    """Whatever this session started is gone at its end, and if it is killed, too."""
    directory = tmp_path_factory.getbasetemp().resolve()
    with harness.survivor(directory):
        yield
        left = harness.end_processes_in(directory)
    assert not left, f"processes were left behind: {left}"
