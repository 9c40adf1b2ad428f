"""Sends the plan in the order of simulated time, through smtpd processes as Postfix keeps them.

A message waits while its sender's connections are all in use; what is late is measured as lag,
so a machine that is too slow shows in the figures instead of bending them. A deferred recipient
of an honest sender is tried again later.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from pathlib import Path

from penstock.demo.clock import Clock
from penstock.demo.maillog import MailLog
from penstock.demo.plan import Message, Plan
from penstock.demo.smtpd import Ear, Smtpd

TICK = 0.002
"""Real seconds between two looks at the heap."""


class Broken(Exception):
    """The service ended or hung up in the middle; the message says which."""


class Traffic:
    """The platform's side of the demonstration."""

    def __init__(self, plan: Plan, clock: Clock, socket: Path, log: MailLog, ear: Ear) -> None:
        self._plan = plan
        self._clock = clock
        self._socket = str(socket)
        self._log = log
        self._ear = ear
        begin = clock.begin
        self._heap = [m._replace(at=begin + m.at) for m in plan.messages]
        self._busy = [0] * len(plan.actors)
        self._waiting: list[deque[Message]] = [deque() for _ in plan.actors]
        self._free: list[Smtpd] = []
        self._all: list[Smtpd] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._broken = False
        self._closing = False
        self.started = 0
        self.late = 0.0
        self._worst = 0.0

    @property
    def answers(self) -> int:
        """Questions answered so far."""
        return sum(smtpd.answers for smtpd in self._all)

    @property
    def unsent(self) -> int:
        """Messages that should have begun by now and have not."""
        now = self._clock()
        return sum(map(len, self._waiting)) + sum(m.at <= now for m in self._heap)

    @property
    def lag(self) -> float:
        """The worst lateness of a message so far in simulated seconds, those still waiting included."""
        waiting = [queue[0].at for queue in self._waiting if queue] + [m.at for m in self._heap[:1]]
        return max(self._worst, self._clock() - min(waiting, default=self._clock()))

    async def run(self) -> None:
        """Send until there is nothing left; raises Broken. Cancel it to stop before."""
        while self._heap:
            now = self._clock()
            while self._heap and self._heap[0].at <= now:
                self._dispatch(heapq.heappop(self._heap))
            await self._tick()
        while any(self._busy) or any(self._waiting):
            await self._tick()

    async def _tick(self) -> None:
        await asyncio.sleep(TICK)
        if self._broken:
            raise Broken("the service closed a policy connection")

    def close(self) -> None:
        """Hang up all connections."""
        self._closing = True
        for task in self._opening:
            task.cancel()
        for smtpd in self._all:
            smtpd.close()
        self._log.close()

    def _dispatch(self, message: Message) -> None:
        if self._busy[message.actor] >= self._plan.actors[message.actor].lines:
            self._waiting[message.actor].append(message)
        else:
            self._begin(message)

    def _begin(self, message: Message) -> None:
        self._busy[message.actor] += 1
        if self._free:
            self._deliver(self._free.pop(), message)
            return
        task = asyncio.ensure_future(self._open(message))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, smtpd = await loop.create_unix_connection(self._smtpd, self._socket)
        except OSError:
            self._broken = True
            return
        self._all.append(smtpd)
        self._deliver(smtpd, message)

    def _smtpd(self) -> Smtpd:
        return Smtpd(next(self._numbers), self._clock, self._ear, self._log, self._done, self._lost)

    def _deliver(self, smtpd: Smtpd, message: Message) -> None:
        late = self._clock() - message.at
        self.started += 1
        self.late += late
        self._worst = max(self._worst, late)
        smtpd.deliver(message, self._plan.actors[message.actor])

    def _done(self, smtpd: Smtpd, message: Message, deferred: tuple[str, ...]) -> None:
        actor = self._plan.actors[message.actor]
        if deferred and actor.retry:
            again = Message(self._clock() + actor.retry, message.actor, deferred, message.size)
            heapq.heappush(self._heap, again)
        self._busy[message.actor] -= 1
        self._free.append(smtpd)
        waiting = self._waiting[message.actor]
        if waiting and not self._closing:
            self._begin(waiting.popleft())

    def _lost(self) -> None:
        self._broken = not self._closing
