#!/usr/bin/python3 -IS
"""``penstock-sendmail``: stands before sendmail(1), tells who calls, and becomes the real one.

How it works: one line to syslog (user id, working directory, script, request), then ``exec``: same arguments,
same environment, standard input untouched, and the exit code is the real one's because it is the real one.
The line goes to the log and not into the mail, so nothing of the customer's leaves the house. Whatever fails
on our side is passed over in silence: the mail goes on. Syslog is never waited for.

Cost: one start of the interpreter, so nothing is imported that it has not loaded already, or that is no C
module. This file can be copied and run by itself (docs/howto/web-host.md): without site-packages a message
takes 11 ms.

What a hostile script can do: change its environment and directory, write such lines itself, or call the real
sendmail. So the line is believed about scripts only where the user id fits that the MTA has from the kernel.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SYSLOG = "/dev/log"
REAL = ("/etc/penstock/sendmail", "/usr/sbin/sendmail.distrib", "/usr/sbin/sendmail", "/usr/lib/sendmail")
"""A symbolic link for whoever has it elsewhere; what dpkg-divert leaves; where it usually is."""

TEMPFAIL = 75
"""sysexits.h: the caller may try again."""

MAIL_INFO = 22
LONGEST = 1000
NAMES = ("mailq", "newaliases", "runq", "rmail", "rsmtp")
NO_MESSAGE = ("-bp", "-bi", "-bd", "-bt", "-bv")
SHELLS = (b"sh", b"dash", b"bash")
SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~:?&=,@+;!*()[]#")


def main() -> int:
    """Tell, then become the real sendmail; returns only when there is none."""
    return run(sys.argv[0], sys.argv[1:])


def run(called: str, arguments: list[str]) -> int:
    """``called``: the name by which we were called."""
    name = called.rpartition("/")[2]
    name = name if name in NAMES else "sendmail"
    try:
        if hands_in(name, arguments):
            tell()
    except BaseException:
        pass
    try:
        _as_it_was()
    except BaseException:
        pass
    own = _inode(called)
    for path in (os.environ.get("PENSTOCK_SENDMAIL", ""), *REAL):
        if path and (own is None or _inode(path) != own):
            try:
                os.execv(path, [name, *arguments])
            except (OSError, ValueError):
                continue
    sys.stderr.write("penstock-sendmail: no sendmail found: make /etc/penstock/sendmail a link to it\n")
    return TEMPFAIL


def hands_in(name: str, arguments: list[str]) -> bool:
    """Whether a message comes on standard input."""
    return name not in ("mailq", "newaliases", "runq") and not any(
        argument in NO_MESSAGE or argument.startswith("-q") for argument in arguments
    )


def tell() -> None:
    """One datagram to syslog, never waiting."""
    import _socket
    import time

    stamp = time.strftime("%b %e %H:%M:%S")
    line = f"<{MAIL_INFO}>{stamp} penstock-sendmail[{os.getpid()}]: {words()}"
    syslog = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    syslog.setblocking(False)
    syslog.connect(os.environ.get("PENSTOCK_SYSLOG") or SYSLOG)
    syslog.send(line.encode("ascii"))


def words() -> str:
    """``key=value`` for all that is known, percent-encoded."""
    env = os.environb
    told = {
        "uid": b"%d" % os.getuid(),
        "cwd": _or_nothing(os.getcwdb),
        "script": env.get(b"SCRIPT_FILENAME") or env.get(b"PATH_TRANSLATED") or b"",
        "url": env.get(b"REQUEST_URI", b""),
        "addr": env.get(b"REMOTE_ADDR", b""),
        "argv": _or_nothing(_caller),
    }
    return " ".join(f"{name}={plain(value)}" for name, value in told.items() if value)


def plain(value: bytes) -> str:
    """ASCII without spaces, quotes or percent signs of its own."""
    return "".join(chr(byte) if byte in SAFE else f"%{byte:02X}" for byte in value[:LONGEST])


def _caller() -> bytes:
    """The words of the process that called us; a shell between is passed over."""
    pid = os.getppid()
    for _ in range(2):
        with open(f"/proc/{pid}/cmdline", "rb", 0) as file:
            found = file.read(LONGEST)
        argv = found.split(b"\0")
        if argv[0].rpartition(b"/")[2] not in SHELLS or argv[1:2] != [b"-c"]:
            return found
        with open(f"/proc/{pid}/stat", "rb", 0) as file:
            pid = int(file.read(LONGEST).rpartition(b")")[2].split()[1])
    return b""


def _or_nothing(read: "Callable[[], bytes]") -> bytes:
    """What cannot be read is not told."""
    try:
        return read()
    except Exception:
        return b""


def _as_it_was() -> None:
    """Python ignores two signals, and a process started by it would go on to."""
    import _signal  # type: ignore[import-not-found]

    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (pathlib costs as much as all the rest)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


if __name__ == "__main__":
    sys.exit(main())
