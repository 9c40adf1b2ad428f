"""``penstock doctor``: is anything wrong, and what to do about it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from penstock.cli import milter_checks
from penstock.cli.common import SOCKET, ask, json_option, print_json, state_folder, state_option
from penstock.cli.probe import probe
from penstock.cli.smarthost import smarthost_of
from penstock.cli.status import acquaintance
from penstock.mta.checks import Check
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import LOCAL, SMTP
from penstock.mta.postfix_checks import examine
from penstock.mta.smarthost import Smarthost
from penstock.servers.milter_traffic import SMARTHOST

if TYPE_CHECKING:
    from penstock.config import Settings

Status = dict[str, Any]

PROBE: Final = b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n"
"""A question that charges nobody."""

LITTLE_SPACE: Final = 1 << 30
NO_SPACE: Final = 100 << 20
FEW_FILES: Final = 4096
COUNTED: Final = ("RCPT", "DATA", "END-OF-MESSAGE")
MARKS: Final = {True: "ok", None: "warn", False: "FAIL"}


@click.command()
@state_option
@click.option("--config-dir", type=click.Path(path_type=Path),
              help="Postfix's configuration folder [default: the machine's own].")  # fmt: skip
@click.option("--no-postfix", is_flag=True, help="Postfix runs on another machine: leave it out.")
@json_option
def doctor(state: Path | None, config_dir: Path | None, no_postfix: bool, as_json: bool) -> None:
    """Examine the running service, its folder, its policy and Postfix.

    Each line is ok, warn (worth knowing) or FAIL, with what to do below it. Ends with status 1 when
    anything fails.
    """
    checks = list(_checks(state, config_dir, not no_postfix))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        _print(checks)
    if any(check.ok is False for check in checks):
        raise SystemExit(1)


def _print(checks: list[Check]) -> None:
    for check in checks:
        click.echo(f"{MARKS[check.ok]:<5} {check.name}: {check.text}")
        if check.hint and not check.ok:
            click.echo(f"      → {check.hint}")
    marks = [check.ok for check in checks]
    click.echo(f"{marks.count(True)} ok, {marks.count(None)} to know, {marks.count(False)} failed")


def _checks(state: Path | None, config_dir: Path | None, postfix: bool) -> Iterator[Check]:
    """All checks, from the inside out."""
    folder = state_folder(state)
    status, service = _service(state, folder)
    yield service
    settings, policy = _policy(status)
    yield from policy
    if status is not None:
        yield from _running(status)
        addresses = [listener["address"] for listener in status["listeners"]]
        milters = {each["address"]: each["smtp"] for each in status["milters"] if each["kind"] != SMARTHOST}
        tagged = [each["address"] for each in status["milters"] if each["kind"] == SMARTHOST]
    else:
        addresses = [str(address) for address in settings.listen.policy] if settings else []
        milters = dict.fromkeys(map(str, settings.listen.milter), False) if settings else {}
        milters |= dict.fromkeys(map(str, settings.listen.milter_smtp), True) if settings else {}
        tagged = [str(address) for address in settings.listen.milter_smarthost] if settings else []
    yield from _rights(folder, [*addresses, *milters, *tagged])
    yield from _disk(folder)
    if postfix:
        known = tuple(map(Endpoint.parse, tagged))
        smarthost = smarthost_of(settings, tagged) if settings else Smarthost(known)
        scores = _scores(settings) if settings else ()
        for check in examine(config_dir, addresses, milters, smarthost, scores):
            yield check if check.name == "postfix" else Check(f"postfix {check.name}", *_rest(check))


def _scores(settings: Settings) -> tuple[str, ...]:
    """The lists of milters in which a spam filter's score is looked for."""
    if not settings.content.score_header:
        return ()
    return (LOCAL, SMTP) if settings.content.clients else (LOCAL,)


def _rest(check: Check) -> tuple[bool | None, str, str]:
    return check.ok, check.text, check.hint


def _service(state: Path | None, folder: Path) -> tuple[Status | None, Check]:
    try:
        status: Status = ask(state, "status")
    except click.ClickException as error:
        return None, Check("service", False, error.message, _remedy(error.message, folder))
    text = f"penstock {status['version']}, process {status['pid']}, serves since {status['started_at']}"
    return status, Check("service", True, text)


def _remedy(message: str, folder: Path) -> str:
    if "permission" in message:
        return "Run penstock doctor as root or as a member of the socket's group."
    owner = _lock_owner(folder)
    if owner:
        return f"Process {owner} serves from there, but without its control socket: see its log, restart it."
    return f"penstock serve --state {folder}"


def _lock_owner(folder: Path) -> str:
    """The process that holds the folder's lock; empty when nobody does or nobody may look."""
    try:
        with (folder / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(20).decode(errors="replace").strip() or "unknown"
    except OSError:
        pass
    return ""


def _running(status: Status) -> Iterator[Check]:
    """What the running service knows of itself."""
    yield from _warnings(status)
    yield _mode(status["mode"])
    yield from _problems(status)
    for listener in status["listeners"]:
        yield _listener(listener["address"])
        yield from _traffic(listener, status["started_at"])
    for listener in status["milters"]:
        yield from milter_checks.running(listener)
    yield from milter_checks.witnesses(status)
    yield Check("acquaintance", True, acquaintance(status["acquaintance"]))
    yield _open_files(status)
    yield _clock(status)


# --- policy ---------------------------------------------------------------------------------


def _policy(status: Status | None) -> tuple[Settings | None, list[Check]]:
    """The policy file on disk, and whether the service runs on it."""
    from penstock.config import ConfigError, default_path, load

    named = status["policy_file"] if status is not None else default_path()
    if named is None:
        return load(None), [Check("policy", True, "the built-in policy: no policy file")]
    file = Path(named)
    try:
        settings = load(file)
    except ConfigError as wrong:
        text = f"{file} is not valid: " + "; ".join(map(str, wrong.problems))
        running = " The old policy stays in force." if status is not None else ""
        return None, [Check("policy", False, text + running, f"Correct it: penstock config check {file}")]
    return settings, [_same_policy(file, status)]


def _same_policy(file: Path, status: Status | None) -> Check:
    if status is not None:
        changed = file.stat().st_mtime
        loaded = status["policy_loaded_at"]
        if changed >= _seconds(loaded) + 1:
            text = f"{file} is newer than the policy in force, which was read at {loaded}"
            return Check("policy", None, text, "penstock reload")
    return Check("policy", True, f"{file} is valid" + (" and in force" if status is not None else ""))


def _warnings(status: Status) -> Iterator[Check]:
    for warning in status["policy_warnings"]:
        yield Check("policy", None, warning, "See docs/reference or penstock config reference.")


def _mode(mode: str) -> Check:
    if mode == "enforce":
        return Check("mode", True, "enforce: limits refuse")
    does = {"shadow": "counts and records, but refuses nothing", "off": "drops all limits"}[mode]
    text = f"{mode}: Penstock {does} (pauses and locks by an administrator hold)"
    return Check(
        "mode", None, text, 'When you trust it: mode = "enforce" in the policy file, penstock reload.'
    )


# --- traffic --------------------------------------------------------------------------------


def _listener(address: str) -> Check:
    return probe("listener", address, PROBE, _answer, lambda answer: answer == b"action=DUNNO\n\n")


def _answer(stream: BinaryIO) -> bytes:
    """Up to the empty line."""
    return stream.readline(4096) + stream.readline(4096)


def _traffic(listener: Status, started_at: str) -> Iterator[Check]:
    address, stages = listener["address"], listener["stages"]
    asked = {stage: stages[stage] for stage in COUNTED if stages.get(stage)}
    if not asked:
        text = f"{address}: no mail server has asked about mail since the start at {started_at}"
        yield Check("traffic", None, text, "penstock setup postfix (--apply); see the postfix lines below")
        return
    counts = ", ".join(f"{stage} {n:,}" for stage, n in asked.items())
    text = (
        f"{address}: asked {listener['silent_for']:.0f} s ago; {counts}; {listener['open']} connections open"
    )
    yield Check("traffic", True, text)
    missing = {
        "RCPT": "recipients cannot be refused one by one, only whole messages",
        "END-OF-MESSAGE": "mail refused after RCPT is not given back, and bytes are not counted",
    }
    for stage, why in missing.items():
        if stage not in asked:
            text = f"{address}: never asked at {stage}: {why}"
            yield Check("stages", None, text, "penstock setup postfix prints the missing line.")
    yield from _faults(listener)


def _faults(listener: Status) -> Iterator[Check]:
    if listener["errors"]:
        text = f"{listener['address']}: {listener['errors']} decisions failed and were answered with on_error"
        yield Check("faults", False, text, "A fault in Penstock: report what its log says.")
    if listener["protocol_errors"]:
        text = f"{listener['address']}: {listener['protocol_errors']} peers did not speak the policy protocol"
        yield Check("faults", None, text, "Who connects there? The service's log names them.")


def _problems(status: Status) -> Iterator[Check]:
    """What the service itself complains about."""
    problems = status["problems"]
    for problem in problems:
        if problem.startswith("no traffic"):
            yield Check("traffic", False, problem, "Is Postfix running, and does it still ask? See below.")
        elif problem.startswith("geo file"):
            hint = "Fetch it again (geoipupdate), then penstock config check, then penstock reload."
            yield Check("geo", False, problem, hint)
        else:
            hint = f"Make room or mend the rights in {status['state']}; it recovers by itself."
            yield Check("records", False, problem, hint)
    if not any("written" in problem for problem in problems):
        yield Check("records", True, "counts and records are being written")
    for problem in status["recovery"]["problems"]:
        yield Check("recovery", None, problem, "Counts only: a window may count too little until it is over.")


# --- folder, machine ------------------------------------------------------------------------


def _rights(folder: Path, addresses: list[str]) -> Iterator[Check]:
    try:
        yield _private("state folder", folder, 0o002)
        control = folder / SOCKET
        if control.exists():
            yield _private("control socket", control, 0o007)
        for address in addresses:
            path = Path(address.removeprefix("unix:"))
            if address.startswith("unix:") and path.exists():
                yield _policy_socket(path)
    except OSError as error:
        yield Check("rights", None, f"{error.filename}: {error.strerror}", "Ask again as root.")


def _private(what: str, path: Path, forbidden: int) -> Check:
    if not path.exists():
        return Check("rights", None, f"{what} {path} does not exist", "penstock serve makes it.")
    mode = stat.S_IMODE(path.stat().st_mode)
    text = f"{what} {path} belongs to {path.owner()}:{path.group()}, mode {mode:o}"
    if mode & forbidden:
        return Check("rights", False, f"{text}: every local user can change it", f"chmod o= {path}")
    return Check("rights", True, text)


def _policy_socket(path: Path) -> Check:
    text = f"policy socket {path} belongs to {path.owner()}:{path.group()}"
    barrier = _barrier(path, "postfix")
    if barrier is None:
        return Check("rights", True, f"{text}, and the user postfix can reach it")
    hint = (
        f"Let the user postfix through {barrier}, or listen at unix:/var/spool/postfix/penstock/policy.sock"
    )
    return Check("rights", False, f"{text}, but {barrier} keeps the user postfix out", hint)


def _barrier(path: Path, user: str) -> Path | None:
    """The folder or socket on the way that keeps a user out, by its mode; None when there is none."""
    import pwd

    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return None
    groups = os.getgrouplist(user, account.pw_gid)
    for part in (*reversed(path.absolute().parents), path):
        about = part.stat()
        wanted = stat.S_IWOTH if part == path else stat.S_IXOTH
        shift = 6 if about.st_uid == account.pw_uid else 3 if about.st_gid in groups else 0
        if not about.st_mode & wanted << shift:
            return part
    return None


def _disk(folder: Path) -> Iterator[Check]:
    if not folder.exists():
        return
    free = shutil.disk_usage(folder).free
    files = os.statvfs(folder)
    text = f"{free / 2**30:.1f} GiB free for {folder}"
    ok = False if free < NO_SPACE else None if free < LITTLE_SPACE else True
    if files.f_files and files.f_favail < 1000:
        ok, text = False, f"{files.f_favail} files can still be made in {folder}"
    yield Check("disk", ok, text, "Make room: without it a restart forgets pauses and counts.")


def _open_files(status: Status) -> Check:
    """One connection is one open file of the service."""
    used = sum(listener["open"] for listener in status["listeners"])
    limit = _file_limit(status["pid"])
    if limit is None:
        return Check("files", True, f"{used} connections open")
    enough = limit >= max(FEW_FILES, 2 * used)
    hint = "LimitNOFILE=65536 in the service's systemd unit, or ulimit -n 65536 before penstock serve."
    return Check("files", enough or None, f"{limit} files may be open, {used} are connections", hint)


def _file_limit(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    words = next((line.split() for line in lines if line.startswith("Max open files")), [])
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else None


def _clock(status: Status) -> Check:
    """Windows, pauses and their ends rest on the clock."""
    ages = [listener["silent_for"] for listener in status["listeners"]]
    ahead = _seconds(status["started_at"]) - time.time()
    if ahead > 2 or any(age is not None and age < -2 for age in ages):
        text = "the clock was set back since the start: limits and pauses hold longer than they should"
        return Check("clock", False, text, "Set the clock right, then restart penstock.")
    if _synchronised() is False:
        return Check("clock", None, "the clock is not synchronised", "timedatectl set-ntp true")
    return Check("clock", True, "the service's clock agrees with this one")


def _synchronised() -> bool | None:
    """What systemd says; None where it says nothing."""
    command = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(said.stdout.strip())


def _seconds(moment: str) -> float:
    """RFC 3339 → seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()
