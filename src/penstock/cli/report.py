"""``penstock report``: what bounces and complaints say, from files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from penstock.cli.classify import classifier_of
from penstock.cli.common import json_option
from penstock.core.replies import Classifier
from penstock.wire.reports import BadReport, Report, ReportedRecipient, read_report

LONGEST_MBOX_MAIL: Final = 33 << 20
FROM: Final = b"From "
PRINTED_REPLY: Final = 300


@dataclass(frozen=True)
class Source:
    """One mail: where it is from, its bytes; or why it can not be had."""

    name: str
    raw: bytes = b""
    problem: str = ""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    envvar="PENSTOCK_CONFIG",
    help="Policy file with rules of your own [default: /etc/penstock/penstock.toml if there is one].",
)
@json_option
@click.pass_context
def report(context: click.Context, files: tuple[Path, ...], policy: Path | None, as_json: bool) -> None:
    """Read bounces and complaints: who failed and why.

    FILE is a mail, an mbox, a maildir or another folder of mails, or - for standard input. With --json
    there is one object a line. Exit status 1 when any could not be read; the others still are.
    """
    classifier = classifier_of(policy)
    failed = False
    for path in files:
        for source in sources(path):
            try:
                found = _read(source)
            except BadReport as error:
                failed = True
                click.echo(f"{source.name}: {error}", err=True)
                continue
            row = as_row(source.name, found, classifier)
            click.echo(json.dumps(row, ensure_ascii=False) if as_json else as_text(row))
    context.exit(1 if failed else 0)


def _read(source: Source) -> Report:
    if source.problem:
        raise BadReport(source.problem)
    return read_report(source.raw)


def sources(path: Path) -> Iterator[Source]:
    """The mails of a file, an mbox, a folder or standard input."""
    if str(path) == "-":
        yield from _mails("-", sys.stdin.buffer.read(LONGEST_MBOX_MAIL))
        return
    try:
        if path.is_dir():
            for inner in _files_in(path):
                yield from sources(inner)
        else:
            yield from _mails_of(path)
    except OSError as error:
        yield Source(str(path), problem=error.strerror or str(error))


def _files_in(folder: Path) -> list[Path]:
    """The mails of a maildir (``new/`` and ``cur/``), else the files of the folder."""
    boxes = [folder / name for name in ("new", "cur") if (folder / name).is_dir()]
    return sorted(p for box in boxes or [folder] for p in box.iterdir() if p.is_file() and p.name[0] != ".")


def _mails_of(path: Path) -> Iterator[Source]:
    with path.open("rb") as file:
        if file.read(len(FROM)) == FROM:
            file.seek(0)
            yield from _mbox(str(path), file)
        else:
            file.seek(0)
            yield Source(str(path), file.read(LONGEST_MBOX_MAIL))


def _mails(name: str, raw: bytes) -> Iterator[Source]:
    if raw.startswith(FROM):
        yield from _mbox(name, iter(raw.splitlines(keepends=True)))
    else:
        yield Source(name, raw)


def _mbox(name: str, lines: Iterator[bytes]) -> Iterator[Source]:
    """The mails of an mbox (RFC 4155): each begins with ``From `` after an empty line. One is named after
    the file, several are numbered."""
    number, size, empty = 0, 0, True
    current: list[bytes] = []
    for line in lines:
        if empty and line.startswith(FROM):
            if current:
                number += 1
                yield Source(f"{name}#{number}", b"".join(current))
            current, size = [], 0
        elif size < LONGEST_MBOX_MAIL:
            current.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        empty = line in (b"\n", b"\r\n")
    yield Source(f"{name}#{number + 1}" if number else name, b"".join(current))


def as_row(name: str, found: Report, classifier: Classifier) -> dict[str, Any]:
    """The report as JSON says it."""
    told = found.recipients
    if found.kind != "complaint":
        told = tuple(r for r in told if r.action in ("failed", "delayed"))
    return {
        "file": name,
        "kind": found.kind,
        "recipients": [_recipient(r, classifier, found.kind) for r in told],
        "original_message_id": found.original_message_id,
        "feedback_type": found.feedback_type,
        "counts": found.counts,
        "original_queue_id": found.original_queue_id,
        "original_from": found.original_from,
        "reporting_mta": found.reporting_mta,
        "source_ip": found.source_ip,
        "reference": found.reference,
    }


def _recipient(r: ReportedRecipient, classifier: Classifier, kind: str) -> dict[str, Any]:
    if kind == "complaint":
        return {"address": r.address, "class": None, "status": "", "permanent": False, "action": ""}
    verdict = classifier.classify(r.reply, r.status, r.relay)
    return {
        "address": r.address,
        "class": str(verdict.reply_class),
        "status": r.status,
        "permanent": verdict.permanent and r.action == "failed",
        "action": r.action,
        "rule": verdict.rule,
        "reply": r.reply,
    }


def as_text(row: dict[str, Any]) -> str:
    """The report for a person."""
    about = f", message {row['original_message_id']}" if row["original_message_id"] else ""
    kind = row["kind"] if row["kind"] != "complaint" else f"complaint ({row['feedback_type']})"
    lines = [f"{row['file']}: {kind}{about}"]
    waits = {"delayed": " waits"}
    lines += [f"  {r['address']}{waits.get(r['action'], '')}{_because(r)}" for r in row["recipients"]]
    return "\n".join(printable(line) for line in lines)


def _because(r: dict[str, Any]) -> str:
    if r["class"] is None:
        return ""
    lasting = "permanent" if r["permanent"] else "not permanent"
    return f": {r['class']}, {lasting} {r['status']}\n    {r['reply'][:PRINTED_REPLY]}".rstrip()


def printable(text: str) -> str:
    """Without what would control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
