"""Client libraries as black boxes: see fronts.py for how a scenario is judged."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
pytest_plugins = ["lab_fixtures"]
pytest.register_assert_rewrite("fronts")


@pytest.fixture(scope="session")
def stand(tmp_path_factory):
    """The servers that all scenarios share; each flushes what was left before it begins."""
    from fronts import Fronts
    from harness import Lab
    lab = Lab(tmp_path_factory.mktemp("stand"))
    try:
        fronts = Fronts(lab)
        yield fronts
        fronts.close()
    finally:
        lab.close()


@pytest.fixture
def fronts(stand):
    stand.flush()
    yield stand
    stand.check()
