"""Penstock itself as a subprocess, with its state in a temporary folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rig.base import Daemon, answers, free_port
from rig.policy import PolicyClient


class Penstock(Daemon):
    """`penstock serve` on one policy port; after kill() or terminate(), start() again keeps the state.

    `config` is the text of a policy file; without one it runs on its defaults. `arguments` are added
    to the command line.
    """

    name = "penstock"

    def __init__(self, config: str | None = None, *arguments: str) -> None:
        super().__init__()
        self.port = free_port()
        self.state = self.folder.path / "state"
        self.arguments = arguments
        self.config = self.folder.path / "penstock.toml" if config is not None else None
        if config is not None:
            self.configure(config)

    def configure(self, text: str) -> None:
        """Write the policy file (the running service reads it when told to)."""
        (self.folder.path / "penstock.toml").write_text(text)

    def start(self) -> None:
        where: list[str | Path] = ["--state", self.state, "--listen", f"policy=127.0.0.1:{self.port}"]
        where += [] if "http" in " ".join(self.arguments) else ["--listen", "http=off"]
        config: list[str | Path] = ["--config", self.config] if self.config else []
        self.launch([sys.executable, "-m", "penstock", "serve", *where, *config, *self.arguments])
        self.ready(lambda: answers(self.port))

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self.signal(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM: drain and end; the exit status."""
        return self.signal(signal.SIGTERM)

    def restart(self) -> None:
        """End in good order and start on the same port and state."""
        self.terminate()
        self.start()

    def hang_up(self) -> None:
        """SIGHUP: have the policy file read again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def cli(self, *arguments: str, ok: bool = True) -> Any:
        """Run a `penstock` command on this state with --json; what it printed, parsed.

        A failing command raises RuntimeError with its words, unless `ok` is false.
        """
        done = self.run(*arguments, "--state", str(self.state), "--json")
        if ok and done.returncode:
            raise RuntimeError(f"penstock {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `penstock` command as it is given."""
        command = [sys.executable, "-m", "penstock", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def client(self) -> PolicyClient:
        """A connection to the policy port."""
        return PolicyClient(self.port)
