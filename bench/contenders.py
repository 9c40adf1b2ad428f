"""Who takes part besides the peers: the floor, a constant in Python, Penstock pure and compiled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from peers import PEERS
from prime import primed
from processes import BUILD, HERE, HOST, ROOT, Contender, Running, StartFailed, free_port, policy_server

PENSTOCK_CONFIG = """\
[detection]
mode = "{detection}"
[profiles.personal]
usual = {{ novel = 100000, recipients = 10000000 }}
recipients = ["1000000/m", "10000000/h", "100000000/d"]
messages = ["1000000/m", "10000000/h", "100000000/d"]
"""

COMPILED_VENV = BUILD / "compiled-venv"
COMPILED_SOURCE = BUILD / "compiled-source"
COMPILED_STAMP = COMPILED_VENV / "built-from"
BUILD_TOOLS = ("setuptools>=68", "wheel", "mypy[mypyc]>=1.10")  # at hand, whatever setup.py asks for
PACKAGE_FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


@contextmanager
def floor(folder: Path) -> Iterator[Running]:
    """The C server that answers a constant."""
    port = free_port()
    with policy_server([BUILD / "floor", str(port)], port, folder / "log") as running:
        yield running


@contextmanager
def constant(folder: Path) -> Iterator[Running]:
    """The Python server that answers a constant."""
    port = free_port()
    with policy_server([sys.executable, HERE / "constant.py", str(port)], port, folder / "log") as running:
        yield running


def serve_command(program: Path, folder: Path, port: int, detection: str) -> list[str | Path]:
    """The command line of Penstock with its state and six limits that never bite, below `folder`.

    ``detection``: its mode, off or enforce; nothing that the load does is unusual enough to slow anybody.
    """
    config = folder / "penstock.toml"
    config.write_text(PENSTOCK_CONFIG.format(detection=detection))
    listen = f"policy={HOST}:{port}"
    return [program, "serve", "--state", folder / "state", "--listen", listen, "--config", config]


@contextmanager
def serve(program: Path, folder: Path, detection: str = "off") -> Iterator[Running]:
    """Penstock with its durable log in `folder`, and the senders' past in it."""
    port = free_port()
    shutil.copytree(primed(fingerprint()), folder / "state")
    command = serve_command(program, folder, port, detection)
    with policy_server(command, port, folder / "log", tree=True) as running:
        yield running


def pure_program() -> Path:
    """The `penstock` command of the environment that runs this benchmark."""
    return Path(sys.executable).parent / "penstock"


def compiled_program() -> Path:
    """The `penstock` command of the environment with the mypyc build."""
    return COMPILED_VENV / "bin" / "penstock"


def pure(folder: Path) -> AbstractContextManager[Running]:
    """Start Penstock as plain Python."""
    return serve(pure_program(), folder)


def pure_evidence(folder: Path) -> AbstractContextManager[Running]:
    """The same, detection switched on."""
    return serve(pure_program(), folder, "enforce")


def compiled(folder: Path) -> AbstractContextManager[Running]:
    """Start Penstock as compiled by mypyc."""
    return serve(compiled_program(), folder)


def compiled_evidence(folder: Path) -> AbstractContextManager[Running]:
    """The same, detection switched on."""
    return serve(compiled_program(), folder, "enforce")


def can_serve(program: Path) -> str | None:
    """Nothing when the command `serve` exists, else a sentence."""
    if not program.exists():
        return "the command penstock is not installed in this environment (make install)"
    asked = subprocess.run([program, "serve", "--help"], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return None
    said = (asked.stderr or asked.stdout).strip().splitlines() or ["it said nothing"]
    return f"penstock serve does not work here: {said[-1]}"


def why_no_pure() -> str | None:
    """Why "penstock pure" cannot run, or would not be pure."""
    if next((ROOT / "src" / "penstock").rglob("*.so"), None):
        return "src/penstock holds compiled modules: remove the *.so files to measure plain Python"
    return can_serve(pure_program())


def fingerprint() -> str:
    """A digest of everything that the compiled build is made from."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / name for name in PACKAGE_FILES)]):
        if path.exists():
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def copy_source() -> None:
    """Copy the package aside, so that its build leaves nothing in the checkout."""
    shutil.rmtree(COMPILED_SOURCE, ignore_errors=True)
    unwanted = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", COMPILED_SOURCE / "src", ignore=unwanted)
    for name in PACKAGE_FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, COMPILED_SOURCE / name)


def pip_install(*what: str) -> None:
    """Install into the compiled environment; StartFailed carries pip's last line."""
    pip = [str(COMPILED_VENV / "bin" / "python"), "-m", "pip", "install", "-q"]
    env = {**os.environ, "PENSTOCK_COMPILE": "1"}
    done = subprocess.run([*pip, *what], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise StartFailed(f"the mypyc build failed: {said[-1]}")


def build_compiled() -> None:
    """Install the project, compiled, into a virtualenv of its own; StartFailed says why it cannot be."""
    if not (ROOT / "setup.py").exists():
        raise StartFailed("there is no setup.py with a mypyc build yet")
    copy_source()
    venv.create(COMPILED_VENV, clear=True, with_pip=True)
    pip_install(*BUILD_TOOLS)
    pip_install("--no-build-isolation", str(COMPILED_SOURCE))
    if not next((COMPILED_VENV / "lib").glob("python*/site-packages/penstock/**/*.so"), None):
        raise StartFailed("the build made no compiled modules")
    COMPILED_STAMP.write_text(fingerprint())


def why_no_compiled() -> str | None:
    """Build the compiled Penstock when the sources changed; a sentence when that does not work."""
    if not COMPILED_STAMP.exists() or COMPILED_STAMP.read_text() != fingerprint():
        try:
            build_compiled()
        except StartFailed as reason:
            return str(reason)
    return can_serve(compiled_program())


PENSTOCK = (
    Contender("penstock", "penstock, pure Python", pure, why_no_pure),
    Contender("penstock-evidence", "penstock, pure Python, detection on", pure_evidence, why_no_pure),
    Contender("penstock-compiled", "penstock, compiled (mypyc)", compiled, why_no_compiled),
    Contender(
        "penstock-compiled-evidence",
        "penstock, compiled (mypyc), detection on",
        compiled_evidence,
        why_no_compiled,
    ),
)
EVIDENCE = {"penstock": "penstock-evidence", "penstock-compiled": "penstock-compiled-evidence"}
"""With detection off → with detection on."""
FLOOR = Contender("floor", "floor: C, epoll, a constant", floor)
CONSTANT = Contender("constant", "python constant (uvloop)", constant)
ALL = (FLOOR, CONSTANT, *PENSTOCK, *PEERS)
