"""Bounces that are written for people only: which addresses failed, and what was said about each.

Theory: writers differ, habits do not. The failed address stands at the beginning of a line, behind a label,
in an SMTP dialogue or in a sentence about delivery; the reason is a line with a reply code that names
the address, or the lines below it, or those above. So each line is looked at once for addresses and
codes, the strongest kind of mention that occurs at all names the recipients, and each one's reason is
looked for from the nearest place outwards. Cost: linear in the text, which is bounded.
Victims: prose in which somebody talks about an address; only mail that looks like a bounce gets here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from penstock.wire.reports.addresses import addresses, is_daemon
from penstock.wire.reports.model import MOST_RECIPIENTS
from penstock.wire.reports.phrases import FAILING, NOT_FAILED, SEPARATOR

MOST_LINES: Final = 2000
LONGEST_LINE: Final = 1000
LONGEST_REPLY: Final = 1000
MOST_REPLY_LINES: Final = 15

CODE: Final = re.compile(
    r"(?<![\w.#+/:-])(?:[45]\d\d(?=[ :#-]|$)(?! ?(?:bytes|days?|hours?|minutes?|seconds|lines|[kKmM][bB]\b))"
    r"|ERROR_CODE ?: ?[45]\d\d\b)"
    r"|#[45]\d\d\b"
)
ENHANCED: Final = re.compile(r"(?<![\w.])[45]\.[0-7]\.\d{1,3}(?![\w.]*\d)")
CONTINUED: Final = re.compile(r"[<> ]{0,5}[45]\d\d[- ](?:[45]\.\d{1,3}\.\d{1,3}[- ]?)?")
RCPT: Final = re.compile(r"\bRCPT TO:", re.IGNORECASE)
BULLET: Final = " \t*•·-–|>"
LABEL: Final = re.compile(r"[^<>@]{0,60}[:=]\s*[<\"'\[(]?$")
EXPANDED: Final = re.compile(r"\s*\((?:expanded|generated|ultimately|reason)\b")

SENT: Final = re.compile(r"(?:received|return-path|message-id) ?: ?[<(a-z\[]", re.IGNORECASE)
HEADER_LINE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,40}:")
RULE: Final = " \t-_=*#~+:.>"
EMPTY_WORDS: Final = ("service unavailable", "unknown mailer error 1", "unknown mailer error 2")


@dataclass(slots=True)
class Line:
    """One line: its text without edges, its addresses, where a reply code begins (-1: none), and whether
    it has an enhanced code alone, as in ``Sorry, no mailbox here by that name. (#5.1.1)``."""

    text: str
    named: list[str]
    code: int
    enhanced: bool
    owner: str = ""
    """The address that the line is about: it begins with it or labels it."""


@dataclass(slots=True)
class Told:
    """The text for people, read: lines, who failed, and in which lines each is named."""

    lines: list[Line] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    where: dict[str, list[int]] = field(default_factory=dict)
    sure: bool = False
    """Whether the failed are named as such, not merely mentioned."""
    evidence: bool = False
    """Whether anything but the address itself speaks of a failure."""
    first: str | None = None

    def reply(self, address: str) -> str:
        """What was said about the address, from the surest place to the least."""
        rows = self.where.get(address.lower(), [])
        for find in (self._named, self._below, self._first_code, self._far_below, self._nearby):
            if text := find(rows):
                return text[:LONGEST_REPLY]
        words = " ".join(line.text for line in self.lines[:40] if line.text)
        return words[:LONGEST_REPLY]

    def _named(self, rows: list[int]) -> str:
        """A line with a code that names the address, or answers a RCPT that does."""
        for row in rows:
            line = self.lines[row]
            if line.code >= 0 and not RCPT.match(line.text[line.code :]):
                remote = self._remote(row)
                return self._from(remote) if remote >= 0 else self._local(row)
            if RCPT.search(line.text):
                for below in range(row + 1, min(row + 4, len(self.lines))):
                    if self.lines[below].code >= 0:
                        return self._from(below)
        return ""

    def _remote(self, row: int) -> int:
        """The remote's own answer (``<<<``) before a line of the reporter about it, -1 when there is none."""
        line = self.lines[row]
        if self._is_remote(row) or not line.text[line.code :].startswith(("4", "5")):
            return -1
        domain = line.named[0].rpartition("@")[2] if line.named else "@"
        for above in range(row - 1, max(row - 8, -1), -1):
            if self._is_remote(above):
                return above if self.lines[above].code >= 0 else -1
            if domain not in self.lines[above].text:
                break
        return -1

    def _local(self, row: int) -> str:
        """The reporter's own answer; where it says nothing, what its delivery program said before."""
        text = self._from(row)
        before = self.lines[row - 1].text if row else ""
        heading = not before or before.startswith(("-", ">>>", "<<<", "...")) or self.lines[row - 1].named
        if heading or not text.lower().endswith(EMPTY_WORDS):
            return text
        return f"{text[:3]} {before}"

    def _is_remote(self, row: int) -> bool:
        return self.lines[row].text.startswith("<<<")

    def _goes_on(self, row: int) -> bool:
        """Whether a reply goes on after this line (``550-``)."""
        line = self.lines[row]
        return line.code >= 0 and line.text[line.code + 3 : line.code + 4] == "-"

    def dialogue(self, code: str) -> str:
        """What a remote host answered with this code, all lines of it."""
        for row, line in enumerate(self.lines):
            if self._is_remote(row) and line.text[line.code :].startswith(code):
                return self._from(row)
        return ""

    def _below(self, rows: list[int]) -> str:
        """The lines below the address's own line, up to the next address's: from a code, or all."""
        for row in (r for r in rows if self.lines[r].owner):
            last = self._block(row)
            for below in range(row, last):
                if self.lines[below].code >= 0:
                    return self._from(below)
            for below in range(row + 1, last):
                if self.lines[below].enhanced:
                    return self._around(below)
            text, near = self._paragraph(row, last), not self._alone(row)
            if text and (near or FAILING.search(text)):
                return text
        return ""

    def _far_below(self, rows: list[int]) -> str:
        """All words below the address, whatever they speak of."""
        row = next((r for r in rows if self.lines[r].owner), None)
        if row is None:
            return ""
        return " ".join(line.text for line in self.lines[row + 1 : self._block(row)] if line.text)

    def _alone(self, row: int) -> bool:
        """Whether nothing stands in the address's line or right below it."""
        following = self.lines[row + 1].text if row + 1 < len(self.lines) else ""
        return not following and not rest_of(self.lines[row])

    def _block(self, row: int) -> int:
        """Where the lines about the address end."""
        owner = self.lines[row].owner.lower()
        for below in range(row + 1, min(row + 40, len(self.lines))):
            other = self.lines[below].owner
            if other and other.lower() != owner:
                return below
        return min(row + 40, len(self.lines))

    def _paragraph(self, row: int, last: int) -> str:
        """The rest of the address's line and the first words below it; a heading belongs to what it heads."""
        found = [rest_of(self.lines[row])] if rest_of(self.lines[row]) else []
        for below in range(row + 1, last):
            text = self.lines[below].text
            if not text and found and not found[-1].endswith(":"):
                break
            if text and text.lower() != self.lines[row].owner.lower():
                found.append(text)
            if len(found) >= MOST_REPLY_LINES:
                break
        return " ".join(found)

    def _around(self, row: int) -> str:
        """The paragraph that a line stands in, without the address's own line."""
        first = row
        while first > 0 and self.lines[first - 1].text and not self.lines[first - 1].owner:
            first -= 1
        found: list[str] = []
        for line in self.lines[max(first, row - MOST_REPLY_LINES) : row + MOST_REPLY_LINES]:
            if not line.text or (found and line.owner):
                break
            found.append(line.text)
        return " ".join(found)

    def _first_code(self, rows: list[int]) -> str:
        """The first code of all; looked for once, as many may ask."""
        del rows
        if self.first is None:
            coded = (self._from(row) for row, line in enumerate(self.lines) if line.code >= 0)
            enhanced = (self._around(row) for row, line in enumerate(self.lines) if line.enhanced)
            self.first = next(coded, "") or next(enhanced, "")
        return self.first

    def _nearby(self, rows: list[int]) -> str:
        """The words around the first mention."""
        if not rows:
            return ""
        around = self.lines[max(0, rows[0] - 8) : rows[0] + 8]
        return " ".join(line.text for line in around if line.text)

    def _from(self, row: int) -> str:
        """A reply from its code on, with the lines that go on with it; their codes are left out."""
        while row > 0 and self._goes_on(row - 1) and not self.lines[row].text.startswith(">>>"):
            row -= 1
        line = self.lines[row]
        pieces = [line.text[line.code :].lstrip("#")]
        remote = self._is_remote(row)
        for below in range(row + 1, min(row + MOST_REPLY_LINES, len(self.lines))):
            following = self.lines[below]
            ends = not following.text or bool(following.owner) or following.text.startswith(">>>")
            if ends or (remote and not self._goes_on(below - 1)):
                break
            anew = CONTINUED.match(following.text) and not self._goes_on(below - 1)
            if not remote and (anew or following.text.startswith(("<<<", "... while", "While talking"))):
                break
            match = CONTINUED.match(following.text)
            pieces.append(following.text[match.end() :] if match else following.text)
        return " ".join(pieces)


def rest_of(line: Line) -> str:
    """What a line says beside its address: ``Unknown user: a@b`` → ``Unknown user``."""
    if not line.owner:
        return line.text
    before, _, after = line.text.partition(line.owner)
    rest = f"{before.strip(RULE + '<([')} {after.strip(RULE + '<>()[],')}".strip()
    return "" if rest.lower().startswith(("mailto", "recipient", "rcpt")) and len(rest) < 24 else rest


def cut(text: str) -> tuple[list[str], str]:
    """(lines of the report, the returned message behind them)."""
    lines = text.split("\n", MOST_LINES)
    for row, line in enumerate(lines[:MOST_LINES]):
        bare = line[:200].strip(RULE)
        if SEPARATOR.match(bare):
            return lines[:row], "\n".join(lines[row + 1 :])
        if row and SENT.match(line[:200].lstrip(" >")) and _is_headers(lines[row + 1 : row + 12]):
            return lines[:row], "\n".join(lines[row:])
    return lines[:MOST_LINES], ""


def _is_headers(following: list[str]) -> bool:
    """Whether header fields go on here: two more of them, among folded lines."""
    fields = [line for line in following if HEADER_LINE.match(line[:80].lstrip(" >"))]
    return len(fields) >= 2


def read_text(text: str, known: Iterable[str] = (), others: Collection[str] = ()) -> Told:
    """Who failed by a text for people, and its lines for ``Told.reply``.

    ``known``: who failed, where that is certain already. ``others``: addresses in lower case that did
    not fail: those of the reader and of the original's sender.
    """
    told = Told()
    rank: dict[str, int] = {}
    apart: set[str] = set()
    margin = -1
    for row, raw in enumerate(text.split("\n", MOST_LINES)[:MOST_LINES]):
        line = _line(raw, margin)
        margin = _margin(raw, line, margin)
        told.lines.append(line)
        told.evidence = told.evidence or line.code >= 0 or line.enhanced or bool(FAILING.search(line.text))
        for address in line.named:
            key = address.lower()
            if key not in told.where and len(told.where) >= MOST_RECIPIENTS:
                break
            told.where.setdefault(key, []).append(row)
            if key in others:
                continue
            if _is_contact(line, address):
                apart.add(key)
            rank[address] = max(rank.get(address, 0), _rank(line, address))
    told.failed = list(known) or _strongest({a: r for a, r in rank.items() if a.lower() not in apart})
    told.sure = bool(told.failed) and rank.get(told.failed[0], 3) >= 2
    return told


def _margin(raw: str, line: Line, margin: int) -> int:
    """How far the address is indented that the lines here are about; -1 after a gap."""
    if line.owner:
        return len(raw) - len(raw.lstrip())
    return margin if line.text else -1


def _line(raw: str, margin: int) -> Line:
    """A line; one that is indented more than the address above goes on with that, though it may begin
    with an address too."""
    text = raw[:LONGEST_LINE].strip()
    if text.startswith("> "):
        text = text[2:]
    named = addresses(text)
    match = CODE.search(text)
    line = Line(text, named, match.start() if match else -1, bool(ENHANCED.search(text)))
    goes_on = 0 <= margin < len(raw) - len(raw.lstrip())
    if named and not goes_on and _owns(text, named[0]):
        line.owner = named[0]
    return line


def _owns(text: str, address: str) -> bool:
    """Whether the line is about the address: ``<a@b>: …``, ``a@b on …``, ``Unknown user: a@b``."""
    before, _, after = text.partition(address)
    bare = before.strip(BULLET + "<([\"'")
    if not bare:
        return True
    if text.startswith(("<<<", ">>>")) or before[:3].isdigit() or EXPANDED.match(text):
        return False
    alone = not after.strip(RULE + ">)]\"',")
    spelled = len(bare) <= 40 and before.endswith(("<", "<mailto:")) and alone and ":" not in bare
    labelled = bool(LABEL.match(before)) and bare.lower().rstrip(": =") not in ("to", "cc", "an")
    return (labelled or spelled) and not NOT_FAILED.search(bare)


def _rank(line: Line, address: str) -> int:
    """How surely the line names a failed recipient: 3 its own line, 2 dialogue or sentence, 1 any."""
    if is_daemon(address):
        return 0
    if line.owner == address:
        return 3
    if RCPT.search(_before(line, address)):
        return 2
    if EXPANDED.match(line.text):
        return 0
    return 2 if line.code >= 0 or FAILING.search(line.text) else 1


def _is_contact(line: Line, address: str) -> bool:
    """Whether the line names somebody to write to, or the sender."""
    before = _before(line, address)
    return bool(NOT_FAILED.search(before)) and not RCPT.search(before)


def _before(line: Line, address: str) -> str:
    """The words before an address, back to the one before it."""
    before = line.text.partition(address)[0]
    at = line.named.index(address)
    return before.rpartition(line.named[at - 1])[2][-40:] if at else before[-40:]


def _strongest(rank: dict[str, int]) -> list[str]:
    """The addresses of the highest rank, each once, in order."""
    best = max(1, *rank.values()) if rank else 1
    found = {a.lower(): a for a, r in reversed(rank.items()) if r == best}
    return [a for a in rank if found.get(a.lower()) == a]
