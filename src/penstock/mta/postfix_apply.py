"""Carry out a plan on Postfix's files, and take it back.

Copies of main.cf and master.cf are laid beside them first (``main.cf.penstock-TIME``), and what was
done is written down in ``penstock-setup.json``. If anything goes wrong the copies go back. An undo
puts the copies back too, as long as nobody has changed the files since; else it takes out our own
edits and leaves the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penstock.mta import milters, smarthost
from penstock.mta.endpoint import Endpoint
from penstock.mta.postconf import Config, Edit, Postfix, PostfixError, Service
from penstock.mta.postfix import LISTS, Plan
from penstock.mta.restrictions import (
    DATA,
    MACRO,
    IsOurs,
    has_call,
    ours_at,
    readable,
    says_ours,
    without,
    words,
)

FILES = ("main.cf", "master.cf")
JOURNAL = "penstock-setup.json"


@dataclass(frozen=True)
class Applied:
    """What was done: the copies that were laid aside, whether a running Postfix has read the change."""

    backups: tuple[str, ...]
    reloaded: bool


@dataclass(frozen=True)
class Undone:
    """What was taken back. ``exact``: the very files from before; else our edits only (``edits``)."""

    exact: bool
    edits: tuple[Edit, ...]
    reloaded: bool


def require_root() -> None:
    """PostfixError for anyone who may not change Postfix."""
    if os.geteuid():
        raise PostfixError(
            "Only root may change Postfix's configuration.", "Run it with sudo, or paste the lines as root."
        )


def apply(postfix: Postfix, plan: Plan, stamp: str) -> Applied:
    """Carry out the plan. Whatever fails, the files are as before and PostfixError says why.

    ``stamp`` names the copies, as ``20240131-235959``.
    """
    require_root()
    if plan.problems:
        raise PostfixError(plan.problems[0])
    folder = postfix.folder
    _refuse_links(folder)
    postfix.check()
    before = postfix.read()
    backups = _save(folder, stamp)
    try:
        _run(postfix, plan.edits)
        _compare(before, postfix.read(), ours_at(plan.listen, before.queue), plan.milters)
        postfix.check()
        reloaded = postfix.reload()
        _note(folder, backups, plan.edits, before)
    except BaseException as error:
        _put_back(folder, backups)
        _reload_quietly(postfix)
        if not isinstance(error, (PostfixError, OSError)):
            raise
        raise PostfixError(f"{error} Everything is as it was before.", getattr(error, "hint", "")) from error
    return Applied(tuple(str(folder / name) for name in backups.values()), reloaded)


def undo(postfix: Postfix) -> Undone:
    """Take back what apply did, or what was pasted by hand; PostfixError if there is nothing of ours."""
    require_root()
    folder = postfix.folder
    _refuse_links(folder)
    steps = _journal(folder)
    exact, edits = bool(steps), []
    if not steps and not (edits := _take_back(postfix, [])):
        raise PostfixError("Nothing to take back: Postfix's configuration has nothing of ours.")
    while steps:
        step = steps.pop()
        if exact and _hashes(folder) == step["after"] and _has_copies(folder, step):
            _put_back(folder, step["backups"])
        else:
            exact = False
            edits += _take_back(postfix, step["edits"])
    postfix.check()
    (folder / JOURNAL).unlink(missing_ok=True)
    return Undone(exact, tuple(edits), postfix.reload())


def _refuse_links(folder: Path) -> None:
    for name in FILES:
        if (folder / name).is_symlink():
            raise PostfixError(
                f"{folder / name} is a symbolic link, and postconf would put a plain file in its place.",
                "Add the printed lines to the file it points to, in the way you manage it.",
            )


def _run(postfix: Postfix, edits: Sequence[Edit]) -> None:
    for edit in edits:
        postfix.postconf(*edit.arguments())


def _compare(before: Config, after: Config, is_ours: IsOurs, ours: Sequence[Endpoint]) -> None:
    """Make sure that only our entry has changed in any list, and that postconf has no new complaint."""
    macros = (MACRO, *milters.ALL)
    new = [
        each
        for each in after.warnings
        if each not in before.warnings and not any(macro in each for macro in macros)
    ]
    if new:
        raise PostfixError(f"postconf complains after the change: {new[0]}")
    old = {each.name: each for each in before.daemons}
    both = [(old[each.name], each) for each in after.daemons if each.name in old]
    for was, service in [(None, None), *both]:
        for name in smarthost.LISTS:
            if _others(before, was, name, ours) != _others(after, service, name, ours):
                where = service.name if service else "main.cf"
                raise PostfixError(f"{where}: {name} would lose or gain something that is not ours.")
    for was, service in both:
        for name in LISTS:
            if without(before.value(was, name), is_ours) != without(after.value(service, name), is_ours):
                raise PostfixError(
                    f"{service.name}: {name} would lose or gain a restriction that is not ours."
                )


def _others(config: Config, service: Service | None, name: str, ours: Sequence[Endpoint]) -> list[str]:
    """What a list of milters or of header checks has besides us."""
    macros = [config.expanded.get(macro) for macro in milters.ALL]
    return [
        word
        for word in words(config.value(service, name))
        if word not in macros and not milters.entry_in(word, ours, config.queue)
    ]


def _reload_quietly(postfix: Postfix) -> None:
    try:
        postfix.reload()
    except PostfixError:
        pass


# --- copies and journal ---------------------------------------------------------------------


def _save(folder: Path, stamp: str) -> dict[str, str]:
    """Lay a copy of each file beside it; file → copy."""
    backups = {name: f"{name}.penstock-{stamp}" for name in FILES}
    for name, copy in backups.items():
        while (folder / copy).exists():
            copy += "-2"
        backups[name] = copy
        _copy(folder / name, folder / copy)
    return backups


def _copy(source: Path, target: Path) -> None:
    """Copy a file with owner, mode and times, whole or not at all."""
    beside = target.with_name(f".{target.name}.new")
    shutil.copy2(source, beside)
    status = source.stat()
    os.chown(beside, status.st_uid, status.st_gid)
    beside.replace(target)


def _put_back(folder: Path, backups: Mapping[str, str]) -> None:
    for name, copy in backups.items():
        (folder / copy).replace(folder / name)


def _has_copies(folder: Path, step: Mapping[str, Any]) -> bool:
    return all((folder / copy).exists() for copy in step["backups"].values())


def _hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def _journal(folder: Path) -> list[dict[str, Any]]:
    """What was done here, oldest first; nothing if there is no readable journal."""
    try:
        found = json.loads((folder / JOURNAL).read_text())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _note(folder: Path, backups: Mapping[str, str], edits: Sequence[Edit], before: Config) -> None:
    done = [asdict(edit) | {"before": _before(before, edit)} for edit in edits]
    steps = [*_journal(folder), {"backups": backups, "after": _hashes(folder), "edits": done}]
    beside = folder / f".{JOURNAL}.new"
    beside.write_text(json.dumps(steps, indent=2) + "\n")
    beside.replace(folder / JOURNAL)


def _before(config: Config, edit: Edit) -> str | None:
    """What the edited place said itself, or None if it said nothing (an inherited or built-in value)."""
    service, _, name = edit.name.rpartition("/")
    if not edit.in_master:
        return config.main.get(name) or None
    return next((each.options.get(name) for each in config.daemons if each.name == service), None)


# --- taking back edit by edit ---------------------------------------------------------------


def _take_back(postfix: Postfix, done: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """Take our edits out of files that were changed since."""
    config = postfix.read()
    recorded = {each["name"]: each for each in done}
    made = smarthost.made(config, recorded)
    edits = [Edit(name, None, "made by us") for name in made]
    for name, now in _lists(config).items():
        edit = (
            None if name.rpartition("/")[0] in made else _reverse(name, now, recorded.get(name), config.main)
        )
        if edit:
            edits.append(edit)
    _run(postfix, edits)
    unused = [Edit(name, None, "no longer used") for name in _unused_macros(postfix)]
    _run(postfix, unused)
    return edits + unused


def _lists(config: Config) -> dict[str, str]:
    """Each list that is written somewhere: the services' first, main.cf's last."""
    names = (*LISTS, DATA, *smarthost.LISTS)
    found = {
        f"{daemon.name}/{name}": daemon.options[name]
        for daemon in config.daemons
        for name in names
        if name in daemon.options
    }
    return found | {name: config.main[name] for name in names if config.main.get(name)}


def _reverse(name: str, now: str, record: Mapping[str, Any] | None, main: Mapping[str, str]) -> Edit | None:
    """The edit that takes us out of one list; None if it has nothing of ours."""
    if record and record["value"] == now and _fits(name, record["before"]):
        return Edit(name, record["before"], "as it was before")
    if name.rpartition("/")[2] in smarthost.LISTS:
        return _without_macros(name, now, main)
    if not has_call(now) and without(now, says_ours) == words(now):
        return None
    rest = without(now, says_ours)
    shared = without(main.get(name.rpartition("/")[2], ""), says_ours)
    if "/" in name:
        same = rest == shared
        return Edit(
            name, None if same else ",".join(rest), "as main.cf has it" if same else "without our entry"
        )
    return Edit(name, readable(rest) if rest else None, "without our entry")


def _without_macros(name: str, now: str, main: Mapping[str, str]) -> Edit | None:
    """The same for a list of milters or of header checks."""
    if not milters.calls(now, *milters.ALL):
        return None
    rest, place, parameter = words(milters.without(now)), *name.rpartition("/")[::2]
    if place and rest in ([], words(milters.without(main.get(parameter, "")))):
        return Edit(name, None, "as main.cf has it")
    return Edit(name, (",".join(rest) if place else ", ".join(rest)) or None, "without our entry")


def _fits(name: str, value: str | None) -> bool:
    """Whether postconf takes this value for that place: none with blanks in master.cf."""
    return value is None or "/" not in name or not any(letter.isspace() for letter in value)


def _unused_macros(postfix: Postfix) -> list[str]:
    """Our macros in main.cf that nothing calls."""
    text = (postfix.folder / "main.cf").read_text(errors="replace")
    lines = (line.partition("=")[0].strip() for line in text.splitlines() if line.startswith("penstock_"))
    both = text + (postfix.folder / "master.cf").read_text(errors="replace")
    return [name for name in lines if not re.search(rf"\$[{{(]?{re.escape(name)}\b", both)]
