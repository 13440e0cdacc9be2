"""The tests of the checker itself: what judges, relays and disturbs."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
pytest_plugins = ["lab_fixtures"]
