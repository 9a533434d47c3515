"""The tests, by feature; conftest.py and databases.py give each a database of its own."""
