"""The database as its callers meet it: real roles, real policies, a clock that the test moves."""
