"""The wrapper before sendmail(1): whatever happens to us, the real one gets the mail."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

import penstock.sendmail
from penstock.sendmail import TEMPFAIL, hands_in
from rig.base import Folder
from rig.syslog import Syslog

WRAPPER = [sys.executable, "-IS", penstock.sendmail.__file__]
REAL = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
printf '%s' "$0" > {folder}/name
env > {folder}/environment
cat > {folder}/mail
grep SigIgn /proc/$$/status > {folder}/signals
exit 67
"""
MAIL = b"To: x@example.org\r\nSubject: \xe9\0\n\n.\n..\r\nno end"


class Host:
    """A real sendmail that keeps what it gets and ends with 67, and a syslog."""

    def __init__(self, syslog: Syslog) -> None:
        self.syslog = syslog
        self.folder = Folder("sendmail")
        self.path = self.folder.path
        self.real = self.path / "real"
        self.real.write_text(REAL.format(folder=self.path))
        self.real.chmod(0o755)

    def run(self, *arguments: str, command: list[str] = WRAPPER, **env: str) -> int:
        own = {"PENSTOCK_SENDMAIL": str(self.real), "PENSTOCK_SYSLOG": str(self.syslog.socket)}
        done = subprocess.run(
            [*command, *arguments],
            input=MAIL,
            env={"PATH": os.environ["PATH"], **own, **env},
            cwd=self.path,
            timeout=60,
        )
        return done.returncode

    def told(self) -> dict[str, str]:
        """What stands in syslog."""
        (line,) = self.syslog.log().splitlines()
        _, _, words = line.partition("]: ")
        return {key: unquote(value) for key, _, value in (word.partition("=") for word in words.split(" "))}

    def got(self, what: str = "mail") -> bytes:
        return (self.path / what).read_bytes()


@pytest.fixture
def host() -> Iterator[Host]:
    with Syslog() as syslog:
        found = Host(syslog)
        yield found
        found.folder.remove()


def test_the_real_one_gets_all_as_it_was(host: Host) -> None:
    arguments = ["-t", "-i", "-f", "www@example.com", "--", "a b", "", "*", "é"]
    assert host.run(*arguments) == 67
    assert host.got() == MAIL
    assert host.got("arguments").decode().splitlines() == arguments
    assert host.got("name") == str(host.real).encode()
    ignored = int(host.got("signals").split()[1], 16)
    assert not ignored & 1 << 12, "SIGPIPE ends a program as always"


def test_what_is_told(host: Host) -> None:
    env = {
        "SCRIPT_FILENAME": "/srv/a/x y.php",
        "REQUEST_URI": "/x.php?a=1%202",
        "REMOTE_ADDR": "192.0.2.7",
        "PATH_TRANSLATED": "/srv/else.php",
    }
    host.run("-t", **env)
    told = host.told()
    argv = told.pop("argv")
    assert told == {
        "uid": str(os.getuid()),
        "cwd": str(host.path),
        "script": "/srv/a/x y.php",
        "url": "/x.php?a=1%202",
        "addr": "192.0.2.7",
    }
    assert argv.split("\0")[0], "who called us"
    assert b"Subject" not in host.syslog.file.read_bytes()


def test_a_shell_between_is_passed_over(host: Host) -> None:
    script = host.path / "job.py"
    command = " ".join((*WRAPPER, "-t; true"))
    script.write_text(f"import subprocess\nsubprocess.run({command!r}, shell=True, input=b'x')\n")
    host.run(str(script), command=[sys.executable])
    assert host.told()["argv"].split("\0")[1] == str(script)


def test_a_flood_of_words_is_cut(host: Host) -> None:
    host.run("-t", SCRIPT_FILENAME="/" + "\n" * 5000, REQUEST_URI="ä" * 9000)
    assert len(host.syslog.log()) < 9000 and host.got() == MAIL


@pytest.mark.parametrize("where", ["", "/nonexistent/log", "/dev/null", "x" * 300])
def test_no_syslog_no_matter(host: Host, where: str) -> None:
    assert host.run("-t", PENSTOCK_SYSLOG=where) == 67 and host.got() == MAIL


def test_a_syslog_that_does_not_read_is_not_waited_for(host: Host) -> None:
    path = str(host.path / "full")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler,
    ):
        deaf.bind(path)
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x" * 100, path)
        assert host.run("-t", PENSTOCK_SYSLOG=path) == 67 and host.got() == MAIL


def test_questions_about_the_queue_are_handed_on_untold(host: Host) -> None:
    for arguments in (("-bp",), ("-q",), ("-q30m",), ("-bi",)):
        assert host.run(*arguments) == 67
    assert host.syslog.log() == ""
    assert not hands_in("mailq", []) and hands_in("sendmail", ["-bs"]) and hands_in("rmail", ["x"])


def test_it_never_calls_itself(host: Host) -> None:
    """In the place of sendmail, found under two names: the next candidate is taken."""
    link = host.path / "link"
    link.symlink_to(penstock.sendmail.__file__)
    copy = host.path / "copy.py"
    copy.write_text(
        Path(penstock.sendmail.__file__).read_text().replace('"/etc/penstock/sendmail"', f'"{host.real}"')
    )
    own = host.path / "own"
    own.symlink_to(copy)
    assert host.run("-t", command=[*WRAPPER[:2], str(own)], PENSTOCK_SENDMAIL=str(copy)) == 67


def test_without_a_real_sendmail_the_caller_is_told_to_try_again(host: Host) -> None:
    copy = host.path / "copy.py"
    text = Path(penstock.sendmail.__file__).read_text()
    copy.write_text(text.replace('"/usr/', '"/nonexistent/'))
    assert host.run("-t", command=[*WRAPPER[:2], str(copy)], PENSTOCK_SENDMAIL="/nonexistent") == TEMPFAIL


def test_what_cannot_be_run_is_passed_over(host: Host) -> None:
    broken = host.path / "broken"
    broken.write_text("no program")
    broken.chmod(0o644)
    text = Path(penstock.sendmail.__file__).read_text()
    copy = host.path / "copy.py"
    copy.write_text(text.replace('"/etc/penstock/sendmail"', f'"{host.real}"'))
    assert host.run("-t", command=[*WRAPPER[:2], str(copy)], PENSTOCK_SENDMAIL=str(broken)) == 67


def test_the_command_does_the_same(host: Host) -> None:
    command = [sys.executable, "-m", "penstock", "sendmail"]
    assert host.run("-t", "-i", "-f", "a@example.com", "x@example.org", command=command) == 67
    assert host.got() == MAIL and host.told()["uid"] == str(os.getuid())


def test_it_starts_with_next_to_nothing(host: Host) -> None:
    """Nothing is imported on the way that is not built in, or was loaded by the interpreter itself."""
    shutil.copy(penstock.sendmail.__file__, host.path / "sendmail.py")
    code = "import sys; before = set(sys.modules); import sendmail; sendmail.tell(); "
    code += "print(*sorted(set(sys.modules) - before))"
    env = {"PENSTOCK_SYSLOG": str(host.syslog.socket), "PYTHONPATH": str(host.path)}
    found = subprocess.check_output([sys.executable, "-S", "-c", code], env=env, text=True).split()
    assert set(found) <= {
        "sendmail",
        "os",
        "stat",
        "_stat",
        "posixpath",
        "genericpath",
        "_socket",
        "time",
    } | {
        "_collections_abc",
        "os.path",
    }
