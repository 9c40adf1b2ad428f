"""PostgreSQL and MariaDB in temporary folders, reached by a SQLAlchemy URL."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from rig.base import PATH, Daemon, account, answers, free_port


def program(name: str) -> Path:
    """A server's program: from the path, or PostgreSQL's newest version folder."""
    found = shutil.which(name, path=PATH)
    if found:
        return Path(found)
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4])
    )
    if not versions:
        raise FileNotFoundError(f"{name} is not installed")
    return versions[-1]


_READY = "ready to accept connections"


class PostgreSQL(Daemon):
    """A PostgreSQL server with the empty database `postgres`; no passwords."""

    name = "postgresql"

    def __init__(self) -> None:
        super().__init__(account("postgres"))
        self.port = free_port()

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database."""
        return f"postgresql+pg8000://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        data = self.folder.path / "data"
        if not data.exists():
            self._run(program("initdb"), "-A", "trust", "-U", "postgres", "-N", "-D", data)
        before = self.log().count(_READY)
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.launch([program("postgres"), "-D", data, "-k", self.folder.path, *options])
        self.ready(lambda: self.log().count(_READY) > before and answers(self.port))

    def _run(self, *command: str | Path) -> None:
        self.launch(command)
        assert self.process is not None
        if self.process.wait(60):
            raise RuntimeError(f"{command[0]} failed:\n{self.log()}")

    def stop(self) -> None:
        self.signal(signal.SIGINT)  # "fast": do not wait for clients
        self.process = None


class MariaDB(Daemon):
    """A MariaDB server with the empty database `penstock`; anybody may do anything.

    It runs without grant tables, so nothing has to be installed into the folder first.
    """

    name = "mariadb"

    def __init__(self) -> None:
        super().__init__(account("mysql"))
        self.port = free_port()

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/penstock"

    def start(self) -> None:
        folder = self.folder.path
        (folder / "data").mkdir(exist_ok=True)
        if self.owner:
            shutil.chown(folder / "data", self.owner)
        start = folder / "start.sql"
        start.write_text("CREATE DATABASE IF NOT EXISTS penstock;\n")
        self.launch(
            [
                program("mariadbd"),
                "--no-defaults",
                "--skip-grant-tables",
                f"--datadir={folder / 'data'}",
                f"--socket={folder / 'socket'}",
                f"--pid-file={folder / 'pid'}",
                f"--init-file={start}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                "--innodb-log-file-size=4M",
                "--innodb-buffer-pool-size=16M",
                "--innodb-flush-method=nosync",
            ]
        )
        self.ready(lambda: "ready for connections" in self.log() and answers(self.port))
