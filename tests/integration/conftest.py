"""What every test may use stands in lab_fixtures.py: other directories of
tests that need real servers share it."""
pytest_plugins = ["lab_fixtures"]
