"""Asks a database: one SELECT per sender, in the one thread that the cache gives it.

The query names what it needs: ``:login`` (the canonical login), ``:local`` and ``:domain`` (its
parts), ``:key`` (``kind:name``). Only logins are asked for, unless the query mentions ``:key``; for
other kinds the login parameters are NULL. The first row counts; see ``entries`` for its columns.

A connection is kept for a minute at most, so a database that moved, or a SQLite file that was
replaced, is found. After a failure the database is asked ``SELECT 1`` on a fresh connection. Without
an answer, or when the time limit has passed, it is down. With one, the key is tried once more; what
fails then is the key's fault, or the query's.
A query that was given up may go on in the server; give its account a statement timeout.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from penstock.core.policy import Entry
from penstock.directory.cache import LookupFailed, SourceDown
from penstock.directory.complaints import Complaints
from penstock.directory.dial import Line
from penstock.directory.entries import NoColumns, read_entry

PARAMETERS: Final = frozenset({"login", "local", "domain", "key"})
KEPT: Final = 60.0

Values = dict[str, str | None]


class SqlAsker:
    """Looks senders up in a database. Raises ValueError for a URL or a query that cannot work."""

    name = "sql"
    workers = 1

    def __init__(self, url: str, query: str, complain: Complaints, timeout: float = 5.0) -> None:
        self._line = Line(url, timeout)
        self._query = text(query)
        self._names = _parameters(self._query.compile().params)
        self._complain = complain
        self._connected_at = self._asked_at = 0.0

    def wants(self, key: str) -> bool:
        """Logins; every kind when the query can tell them apart."""
        return "key" in self._names or key.startswith("login:")

    def ask(self, key: str) -> Entry | None:
        """The sender's row as an entry."""
        row = self._row(self._values(key))
        if row is None:
            return None
        try:
            entry, bad = read_entry(row)
        except NoColumns as error:
            raise LookupFailed(str(error)) from None
        if bad:
            self._complain("directory has bad values", key, bad)
        return entry

    def abort(self) -> None:
        """Cut the connection."""
        self._line.abort()

    def close(self) -> None:
        """Hang up."""
        self._line.hang_up()

    def _values(self, key: str) -> Values:
        kind, _, name = key.partition(":")
        values: Values = {"login": None, "local": None, "domain": None, "key": key}
        if kind == "login":
            local, at, domain = name.rpartition("@")
            values |= {"login": name, "local": local if at else name, "domain": domain if at else ""}
        return {name: values[name] for name in self._names}

    def _row(self, values: Values) -> dict[str, object] | None:
        if time.monotonic() - self._connected_at >= KEPT:
            self._line.hang_up()
        try:
            return self._select(values)
        except Exception as error:
            self._blame(error)
        try:  # the connection has just proven well, so now it is the key or the query
            return self._select(values)
        except Exception as error:
            self._blame(error)
            raise LookupFailed(_said(error)) from error

    def _select(self, values: Values) -> dict[str, object] | None:
        if not self._line.is_up:
            self._connected_at = time.monotonic()
        self._asked_at = time.monotonic()
        row = self._line.connection().execute(self._query, values).mappings().first()
        return None if row is None else dict(row)

    def _blame(self, error: Exception) -> None:
        """Raise SourceDown unless the database is well; leaves a fresh connection."""
        self._line.hang_up()
        if time.monotonic() - self._asked_at >= 0.9 * self._line.timeout:
            raise SourceDown(_said(error)) from error
        try:
            self._connected_at = time.monotonic()
            self._line.connection().execute(text("SELECT 1")).first()
        except Exception as second:
            self._line.hang_up()
            raise SourceDown(_said(second)) from error


def _parameters(named: Iterable[str]) -> frozenset[str]:
    names = frozenset(named)
    if not names or names - PARAMETERS:
        wrong = ", ".join(f":{name}" for name in sorted(names - PARAMETERS)) or "no parameter"
        raise ValueError(f"{wrong} in the query: it may use :login, :local, :domain and :key")
    return names


def _said(error: BaseException) -> str:
    """What the driver says, on one line; never the statement with its values, never a password."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
