"""A day of mail, or a hundred, through a live service: what Postfix asked and wrote, in the order of time.

The mail is that of a log, as it was without any policy. A message asks the service before it is taken. What
passes is written to the log that the service follows, its outcomes when they come; what is deferred is
tried again as mail servers do, and what came of it comes later by as much. Nothing else writes the log.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from app.live import Clock, Peer, command, serving
from penstock.app import Service
from rig.policy import encode

DAY = 86400.0
STEP = 60.0
"""Seconds between two times that the service's chores run: replay does them as often."""

QUEUE_ID = re.compile(r"\]: (\w+): ")
ACTIVE = "(queue active)"
RECIPIENT = re.compile(r" to=<([^>]*)>, ")
COUNT = re.compile(r"nrcpt=\d+")

Request = dict[str, str]
Line = tuple[float, str]


def stamp_of(line: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(line.partition(" ")[0]).timestamp()


def later(line: str, seconds: float) -> str:
    """The line as it would be written so much later."""
    stamp, _, text = line.partition(" ")
    moved = datetime.fromisoformat(stamp).astimezone(UTC) + timedelta(seconds=seconds)
    return f"{moved.isoformat(timespec='microseconds')} {text}"


@dataclass(eq=False)
class Letter:
    """One message: what is asked about it, and its lines until it is taken and after. ``at``: when it was
    taken; ``told``: lines that are written before. ``verb``, ``stopped``: the first answer that did not let
    it pass, to how many recipients; ``until``: when the last of them passed.
    """

    queue_id: str
    rcpts: list[Request]
    end: Request
    head: list[Line] = field(default_factory=list)
    tail: list[Line] = field(default_factory=list)
    verb: str = ""
    stopped: int = 0
    until: float | None = None
    tries: int = 0
    told: int = 0

    @property
    def at(self) -> float:
        return self.head[-1][0]

    @property
    def begun(self) -> float:
        return self.head[0][0]

    def named(self) -> dict[str, int]:
        """Recipients in the order in which the log names them: a replay knows no other."""
        found = (RECIPIENT.search(line) for _, line in self.tail)
        return {name: place for place, name in enumerate(dict.fromkeys(m[1] for m in found if m))}

    def next_try(self, now: float) -> float | None:
        """When it comes again (minimal_backoff_time, maximal_backoff_time), for a day."""
        at = now + min(max(now - self.at, 300.0), 4000.0)
        return at if at <= self.at + DAY else None


@dataclass
class Mail:
    """What was asked, and what was written about mail that nobody is asked about."""

    letters: list[Letter]
    others: list[Line]

    @property
    def first_at(self) -> float:
        return min(self.letters[0].begun, *(at for at, _ in self.others[:1]))

    @property
    def last_at(self) -> float:
        return max(
            at for lines in (self.others, *(letter.tail for letter in self.letters)) for at, _ in lines
        )

    def split(self, at: float) -> tuple[Mail, Mail]:
        """What began before that time, with all that became of it, and the rest."""
        early = Mail([one for one in self.letters if one.begun < at], [o for o in self.others if o[0] < at])
        late = Mail([one for one in self.letters if one.begun >= at], [o for o in self.others if o[0] >= at])
        return early, late

    def write(self, path: Path) -> Path:
        """As one log."""
        lines = [*self.others, *(line for letter in self.letters for line in letter.head + letter.tail)]
        path.write_text("".join(line for _, line in sorted(lines, key=lambda line: line[0])))
        return path


def read(log: Path, requests: Path) -> Mail:
    """Of a corpus. Mail of scripts is left out: no policy service is asked about it."""
    letters = {letter.queue_id: letter for letter in _letters(requests)}
    others: list[Line] = []
    newest, scripts = 0.0, set[str]()
    with log.open() as lines:
        for line in lines:
            newest = max(
                newest, stamp_of(line)
            )  # a line may be repeated at a rotation: it comes when it comes
            found = QUEUE_ID.search(line)
            queue_id = found[1] if found else ""
            letter = letters.get(queue_id)
            if letter is None:
                if "/pickup[" in line:
                    scripts.add(queue_id)
                if queue_id not in scripts:
                    others.append((newest, line))
            elif letter.head and ACTIVE in letter.head[-1][1]:
                letter.tail.append((newest, line))
            else:
                letter.head.append((newest, line))
    return Mail(sorted(letters.values(), key=lambda letter: letter.begun), others)


def _letters(requests: Path) -> Iterator[Letter]:
    asked: dict[str, list[Request]] = {}
    for block in requests.read_text().split("\n\n")[:-1]:
        request = dict(line.split("=", 1) for line in block.splitlines())
        asked.setdefault(request["instance"], []).append(request)
    for *rcpts, end in asked.values():
        yield Letter(end["queue_id"], rcpts, end)


Action = Callable[[float], Any]


class Player:
    """Plays mail to a service. ``spread``: the questions come while the message comes in, as Postfix asks;
    otherwise all of them when it is taken. ``lag``: seconds after which a line of the log is written."""

    def __init__(self, service: Service, clock: Clock, out: TextIO, spread: bool, lag: float) -> None:
        self._service, self._clock, self._out = service, clock, out
        self._spread, self._lag = spread, lag
        self._due: list[tuple[float, int, Any]] = []
        self._number = self._written = 0
        self._chores_at = clock.now + STEP
        self._peers: list[Peer] = []
        self.incidents: dict[str, dict[str, Any]] = {}

    async def play(self, mail: Mail) -> None:
        """All of it, and a day more."""
        for at, line in mail.others:
            self._later(at, line)
        for letter in mail.letters:
            self._later(letter.begun if self._spread else letter.at, letter)
        while self._due:
            at, _, what = heapq.heappop(self._due)
            await self._chores(at)
            if isinstance(what, str):
                self._write(what)
                continue
            await self._read()
            self._clock.now = max(self._clock.now, at)
            await (self._ask(what, at) if isinstance(what, Letter) else what(at))
        await self._chores(self._clock.now + DAY)
        await self._collect()
        for peer in self._peers:
            peer.writer.close()

    def _later(self, at: float, what: Any) -> None:
        self._number += 1
        heapq.heappush(self._due, (at + (self._lag if isinstance(what, str) else 0.0), self._number, what))

    async def _chores(self, until: float) -> None:
        """What the service does every two seconds; time flies to ``until`` only where nothing happens."""
        while self._chores_at <= until:
            await self._read()
            self._clock.now = self._chores_at
            self._service.engine.sweep(self._clock.now)
            self._service.engine.roster.put_to_rest(self._clock.now, 10)
            if int(self._chores_at / STEP) % round(10 * DAY / STEP) == 0:
                await self._collect()
            self._chores_at += STEP
        self._clock.now = max(self._clock.now, until)

    async def _collect(self) -> None:
        """What the service tells of its incidents: it forgets them after three months."""
        folder = self._service.settings.state.parent
        for row in (await command(folder, "incidents", which="all"))["incidents"]:
            self.incidents[row["id"]] = await command(folder, "incident", id=row["id"])

    # --- the log ----------------------------------------------------------------------------

    def _write(self, line: str) -> None:
        self._out.write(line)
        self._written += 1

    async def _read(self) -> None:
        """Until the service has read what is written."""
        self._out.flush()
        follower = self._service.logs[0].follower
        while follower.lines < self._written:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    # --- questions --------------------------------------------------------------------------

    async def _ask(self, letter: Letter, at: float) -> None:
        """A message comes in, for the first time or again."""
        letter.tries += 1
        again = letter.tries > 1
        rcpts = [request for request in letter.rcpts if "passed" not in request]
        if not self._spread:
            order = letter.named()
            rcpts.sort(key=lambda request: order.get(request["recipient"], len(order)))
        talk = _Talk(letter, rcpts, at, f"{letter.queue_id}{letter.tries}" if again else letter.queue_id)
        peer = self._peers.pop() if self._peers else await self._connect()
        if not again:
            # Postfix tells of the login when it takes the first recipient, so before the message is taken.
            letter.told = 1 if self._spread else len(letter.head) - 1
            for _, line in letter.head[: letter.told]:
                self._write(line)
            await self._read()
        if not self._spread or again:
            for place in range(len(rcpts) + 1):
                await self._question(talk, peer, place, at)
            return
        ended = letter.head[-2][0]
        for place in range(len(rcpts) + 1):
            due = at + (ended - at) * place / len(rcpts)
            self._later(due, lambda now, place=place: self._question(talk, peer, place, now))

    async def _connect(self) -> Peer:
        return Peer(*await asyncio.open_unix_connection(self._service.settings.state.parent / "policy"))

    async def _question(self, talk: _Talk, peer: Peer, place: int, at: float) -> None:
        """About recipient ``place``, or, behind the last one, about the message."""
        if place < len(talk.rcpts):
            request = talk.rcpts[place]
            answer = await self._answer(peer, talk.about(request))
            (talk.taken if answer == "DUNNO" else talk.refused).append(request)
            talk.answers.add(answer.partition(" ")[0])
            return
        if talk.taken:
            answer = await self._answer(peer, talk.about(talk.letter.end, len(talk.taken)))
            talk.answers.add(answer.partition(" ")[0])
            if answer != "DUNNO":
                talk.refused, talk.taken = talk.rcpts, []
        self._peers.append(peer)
        self._over(talk, at)

    async def _answer(self, peer: Peer, request: Request) -> str:
        peer.writer.write(encode(request))
        return await peer.answer()

    def _over(self, talk: _Talk, at: float) -> None:
        letter = talk.letter
        if talk.refused and letter.tries == 1:
            letter.verb = min(talk.answers - {"DUNNO"})
            letter.stopped = len(talk.refused)
        if talk.taken:
            self._passes(talk, at)
        if talk.refused:
            due = letter.next_try(max(at, letter.at))
            if due is not None:
                self._later(due, letter)
        elif letter.tries > 1:
            letter.until = at

    def _passes(self, talk: _Talk, at: float) -> None:
        """The lines about those that were taken, as much later as they are."""
        letter, names = talk.letter, {request["recipient"] for request in talk.taken}
        shift = at - letter.at if letter.tries > 1 else 0.0
        for request in talk.taken:
            request["passed"] = "yes"
        lines = letter.head + letter.tail
        for due, line in lines[letter.told :] if letter.tries == 1 else lines:
            found = RECIPIENT.search(line)
            if found and found[1] not in names:
                continue
            told = COUNT.sub(f"nrcpt={len(names)}", line) if len(names) < len(letter.rcpts) else line
            told = told.replace(f": {letter.queue_id}: ", f": {talk.queue_id}: ")
            self._later(max(due + shift, at), later(told, shift) if shift else told)


@dataclass
class _Talk:
    """One time that a message is brought."""

    letter: Letter
    rcpts: list[Request]
    at: float
    queue_id: str
    taken: list[Request] = field(default_factory=list)
    refused: list[Request] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)

    def about(self, request: Request, count: int = 0) -> Request:
        """The request as it is asked this time."""
        asked = {name: value for name, value in request.items() if name != "passed"}
        known = count or self.taken
        asked["queue_id"] = self.queue_id if known else ""
        asked["instance"] = f"{request['instance']}{self.letter.tries:x}"
        if count:
            asked |= {"recipient_count": str(count), "recipient": ""}
        return asked


@asynccontextmanager
async def played(
    folder: Path, mail: Mail, policy: str, spread: bool = False, lag: float = 0.0
) -> AsyncIterator[tuple[Player, Service]]:
    """A service that has lived through the mail."""
    clock = Clock(mail.first_at)
    folder.mkdir(exist_ok=True)
    log = folder / "mail.log"
    follow = f'\n[logs.mail]\nfile = "{log}"\nfrom_beginning = true\ntime_zone = "UTC"\n'
    with log.open("w") as out:
        async with serving(folder, policy + follow, clock) as service:
            player = Player(service, clock, out, spread, lag)
            await player.play(mail)
            yield player, service


def decisions(path: Path) -> dict[str, dict[str, Any]]:
    """What a replay has written: queue id → decision."""
    return {one["queue_id"]: one for one in map(json.loads, path.read_text().splitlines())}
