"""Real servers for the tests: each starts on free loopback ports in a folder of its own.

Every server is a context manager, is stopped by the handle of the process it started, and keeps its
log readable: `log()` returns it, and a failing test prints it (see `tests/e2e/conftest.py`).
"""
