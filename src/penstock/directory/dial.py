"""Connections to the directory's database: one at a time, each with time limits, cut at will.

SQLite is opened read-only, so a wrong path creates no file and the owner's database is never
written to. For PostgreSQL (pg8000) and MariaDB or MySQL (PyMySQL) the socket is opened here and a
second handle on it kept: shutting that down ends a read that hangs, from any thread.

URL options: PostgreSQL takes ``sslmode`` (disable, require, verify-ca, verify-full; TLS is tried by
default), ``sslrootcert`` and ``unix_sock``; MariaDB takes PyMySQL's ``ssl_ca`` and so on, ``unix_socket``.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

DRIVERS: Final = {
    "sqlite": ("sqlite", "pysqlite"),
    "postgresql": ("postgresql", "pg8000"),
    "postgres": ("postgresql", "pg8000"),
    "mariadb": ("mysql", "pymysql"),
    "mysql": ("mysql", "pymysql"),
}


class Line:
    """The way to one database. Raises ValueError for a URL that leads nowhere.

    ``abort`` may be called from any thread, everything else from one.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout = timeout
        self._handle: socket.socket | sqlite3.Connection | None = None
        self._lock = Lock()
        self._aborted = False
        self._connection: Connection | None = None
        self._driver: Any = None
        self._socket: socket.socket | None = None
        self._engine = self._open(parse(url))

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, so far as we know."""
        return self._connection is not None

    def connection(self) -> Connection:
        """The connection, made if there is none; raises whatever the driver does."""
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except BaseException:
                self._let_go()
                raise
        return self._connection

    def hang_up(self) -> None:
        """Close the connection, in whatever state it is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.detach()  # from the pool, which would log what closing says
        self._let_go()

    def abort(self) -> None:
        """Make what runs on this line fail at once, and all that comes."""
        with self._lock:
            self._aborted = True
            if isinstance(self._handle, sqlite3.Connection):
                self._handle.interrupt()
            elif self._handle is not None:
                with suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    # --- how connections are made -----------------------------------------------------------

    def _open(self, url: URL) -> Engine:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        connect = {"sqlite": self._sqlite, "postgresql": self._postgresql, "mysql": self._mysql}

        @event.listens_for(engine, "do_connect")
        def _(dialect: Any, record: object, args: object, options: dict[str, Any]) -> Any:
            self._driver = connect[dialect.name](dialect, options)
            return self._driver

        @event.listens_for(engine, "handle_error")
        def _(context: ExceptionContext) -> None:
            context.is_disconnect = False  # or SQLAlchemy closes it itself, and logs a traceback

        return engine

    def _sqlite(self, dialect: Any, options: dict[str, Any]) -> Any:
        path = Path(self._engine.url.database or "").absolute()
        connection = sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=self.timeout)
        self._hold(connection)
        return connection

    def _postgresql(self, dialect: Any, options: dict[str, Any]) -> Any:
        sock = self._dial(options.pop("unix_sock", None), options["host"], options.get("port", 5432))
        tls = _tls(options.pop("sslmode", None), options.pop("sslrootcert", None))
        return dialect.loaded_dbapi.Connection(**options, sock=sock, timeout=self.timeout, ssl_context=tls)

    def _mysql(self, dialect: Any, options: dict[str, Any]) -> Any:
        limits = {"read_timeout": self.timeout, "write_timeout": self.timeout}
        connection = dialect.loaded_dbapi.connect(**{**options, **limits}, defer_connect=True)
        connection.connect(self._dial(options.get("unix_socket"), options["host"], options.get("port", 3306)))
        return connection

    def _dial(self, path: str | None, host: str, port: int) -> socket.socket:
        if path is None:
            self._socket = socket.create_connection((host, port), self.timeout)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(self.timeout)
            self._socket.connect(path)
        self._hold(self._socket.dup())
        return self._socket

    # --- the handle to cut it ---------------------------------------------------------------

    def _hold(self, handle: socket.socket | sqlite3.Connection) -> None:
        with self._lock:
            self._handle = handle
            if self._aborted:
                raise ConnectionAbortedError("closing")

    def _let_go(self) -> None:
        driver, self._driver = self._driver, None
        sock, self._socket = self._socket, None
        with suppress(Exception):
            driver.close()
        if sock is not None and (left := sock.detach()) >= 0:  # a driver that failed left it open
            os.close(left)
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close()


def parse(text: str) -> URL:
    """The URL with the driver that we use; raises ValueError without repeating the password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("not a database URL: write postgresql://user:password@host/database") from None
    scheme, _, driver = url.drivername.partition("+")
    ours = DRIVERS.get(scheme)
    if ours is None or driver not in ("", ours[1]):
        raise ValueError(f"{url.drivername}://: write {', '.join(f'{name}://' for name in DRIVERS)}")
    if scheme == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("sqlite://: name a file, with three slashes before a relative path, four else")
    return url.set(drivername="+".join(ours), host=url.host or (None if scheme == "sqlite" else "localhost"))


def _tls(mode: str | None, root: str | None) -> ssl.SSLContext | bool | None:
    """pg8000's ssl_context for libpq's sslmode; None means "if the server can"."""
    plain: dict[str | None, bool | None] = {
        None: None,
        "allow": None,
        "prefer": None,
        "disable": False,
        "require": True,
    }
    if mode in plain and root is None:
        return plain[mode]
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode != "verify-ca"
    return context
