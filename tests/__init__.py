"""The tests, by feature; `tests/databases.py` and `tests/conftest.py` give each its own database."""
