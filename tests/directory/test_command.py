"""Commands that misbehave."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from directory.support import until
from penstock.core.policy import Entry
from penstock.directory.cache import Cache, LookupFailed, SourceDown
from penstock.directory.command import CommandAsker
from penstock.directory.complaints import Complaints

KEY = "login:alice@example.com"


def asker(code: str, timeout: float = 20) -> CommandAsker:
    """A command that is this piece of Python."""
    program = [sys.executable, "-I", "-S", "-c", code]
    return CommandAsker(program, Complaints("command", time.monotonic), timeout)


def shell(line: str, timeout: float = 20) -> CommandAsker:
    """A command that is this line of shell; $1 is the login."""
    return CommandAsker(["/bin/sh", "-c", line, "sh"], Complaints("command", time.monotonic), timeout)


def test_the_login_is_one_argument_and_no_shell_sees_it() -> None:
    code = "import sys, json; print(json.dumps({'contact': '|'.join(sys.argv[1:])}))"
    assert asker(code).ask("login:a b;$(id)'\"*") == Entry(contact="a b;$(id)'\"*")


def test_exit_codes() -> None:
    assert shell("echo '{}'").ask(KEY) == Entry()
    assert shell("echo '{\"customer\": 4711}'; exit 1").ask(KEY) is None
    with pytest.raises(LookupFailed, match="exit code 3: no such table"):
        shell("echo no such table >&2; exit 3").ask(KEY)
    with pytest.raises(LookupFailed, match="exit code -9: nothing on standard error"):
        shell("kill -9 $$").ask(KEY)


@pytest.mark.parametrize(
    "line",
    ["echo rubbish", "true", "echo '[]'", "echo null", "echo '{}{}'", "printf '\\377{}'",
     "echo '{\"name\": 1}'", "head -c 60000 /dev/zero | tr '\\0' '['", "head -c 5000 /dev/zero | tr '\\0' 1"],
)  # fmt: skip
def test_rubbish(line: str) -> None:
    with pytest.raises(LookupFailed) as caught:
        shell(line).ask(KEY)
    assert not isinstance(caught.value, SourceDown)
    assert len(str(caught.value)) < 300


def test_bad_values_are_reported_once_and_the_rest_counts() -> None:
    command = shell("""echo '{"customer": "4711", "created": NaN, "profile": ["x"]}'""")
    with capture_logs() as logs:
        assert command.ask(KEY) == command.ask(KEY) == Entry("4711")
    assert [(log["event"], sorted(log["what"])) for log in logs] == [
        ("directory has bad values", ["created", "profile"])
    ]


def test_a_hundred_megabytes_are_not_read() -> None:
    started = time.monotonic()
    with pytest.raises(LookupFailed, match="printed more than"):
        shell("exec head -c 100000000 /dev/zero").ask(KEY)
    assert time.monotonic() - started < 10
    noisy = shell("head -c 3000000 /dev/zero >&2; echo '{\"customer\": 1}'")
    assert noisy.ask(KEY) == Entry("1")


@pytest.mark.parametrize("line", ["exec sleep 1000", "sleep 1000", "exec >&- 2>&-; sleep 1000"])
def test_one_that_hangs_is_killed_with_its_children(line: str, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(LookupFailed, match="took too long"):
        shell(f"echo $$ > {pid}; {line}", timeout=0.5).ask(KEY)
    assert time.monotonic() - started < 10
    assert not is_running(int(pid.read_text()))


def test_one_that_leaves_a_child_behind_is_cut_off() -> None:
    with pytest.raises(LookupFailed, match="took too long"):
        shell("sleep 1000 & echo '{}'", timeout=0.5).ask(KEY)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("program", ["/nonexistent/program", "/etc", "/etc/passwd"])
def test_one_that_cannot_be_run(program: str) -> None:
    with pytest.raises(SourceDown, match="cannot run"):
        CommandAsker([program], Complaints("command", time.monotonic)).ask(KEY)


def test_options_are_not_handed_over() -> None:
    command = shell("echo '{}'")
    assert command.wants("login:alice") and not command.wants("login:--help")
    assert not command.wants("customer:4711")


def test_closing_kills_what_runs(threads_end: None) -> None:
    async def run() -> None:
        command = shell("sleep 1000", timeout=1000)
        cache = Cache(command, Complaints("command", time.monotonic))
        for n in range(10):
            cache.get(f"login:{n}")
        await until(lambda: len(command._running) == command.workers)
        assert sum(thread.name.startswith("directory-") for thread in threading.enumerate()) == 4
        pids = [process.pid for process in command._running]
        cache.close()
        assert not any(map(is_running, pids))
        with pytest.raises(SourceDown, match="closing"):
            command.ask(KEY)

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 10
