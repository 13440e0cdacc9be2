"""The page at / in a real browser: see browser.py."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
pytest_plugins = ["lab_fixtures"]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    from browser import Browser
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    """One browser for all tests; each begins with a blank page, a wide window
    and light colours, and ends without anything in the console that it did not
    expect."""
    chromium.reset()
    yield chromium
    assert chromium.complaints() == []
