"""Count files written by hand, and what recovery makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from penstock.core.ledger import KEEP, Counter, Ledger
from penstock.core.policy import Profile
from penstock.core.sender import Sender
from penstock.stores import countfile
from penstock.stores.recovery import Recovery, recover

T0 = 1_700_000_000
R, M, K = int(Counter.RECIPIENTS), int(Counter.MESSAGES), int(Counter.KIB)

Row = tuple[str, int, int, int]
"""Sender, counter, second, count."""

Net = dict[tuple[str, int], int]
"""(sender, counter) → sum."""


class Segment:
    """A segment in the making; ``ends`` are the offsets after each block, ``nets`` the sums there."""

    def __init__(self, first_seen: int = T0 - 100) -> None:
        self.first_seen = first_seen
        self.data = b""
        self.ends = [0]
        self.nets: list[Net] = [{}]
        self._numbers: dict[str, int] = {}

    def write(self, rows: Iterable[Row]) -> Segment:
        """One flush: a block of definitions if need be, and one of rows."""
        defined, flat, net = [], [], dict(self.nets[-1])
        for key, counter, second, n in rows:
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                defined.append(countfile.pack_definition(self._numbers[key], self.first_seen, key))
            flat += [self._numbers[key], second, counter, n & 0xFFFFFFFF]
            net[key, counter] = net.get((key, counter), 0) + n
        if defined:
            self._add(countfile.block(countfile.DEFINITIONS, b"".join(defined)), self.nets[-1])
        self._add(countfile.block(countfile.ROWS, countfile.pack_rows(flat)), net)
        return self

    def _add(self, block: bytes, net: Net) -> None:
        self.data += block
        self.ends.append(len(self.data))
        self.nets.append(net)

    def at(self, size: int) -> Net:
        """The sums of all whole blocks within the first ``size`` bytes."""
        return self.nets[max(i for i, end in enumerate(self.ends) if end <= size)]

    def save(self, folder: Path, number: int, size: int | None = None) -> Path:
        path = countfile.segment_path(folder, number)
        path.write_bytes(self.data[:size])
        return path


def sums(found: Recovery) -> Net:
    """What the ledgers of a recovery hold, zeros left out; takes the senders out of it."""
    net: Net = {}
    for key in list(found.senders):
        recalled = found.recall(key)
        assert recalled is not None
        ledger = Ledger(recalled[1])
        for counter in Counter:
            total = ledger.total(int(counter), T0 + KEEP // 2, KEEP)
            if total:
                net[key, int(counter)] = total
    return net


def sums_in(folder: Path) -> Net:
    """What recovery finds in a folder."""
    return sums(recover(folder))


def nonzero(net: Net) -> Net:
    return {key: n for key, n in net.items() if n}


def sender(key: str) -> Sender:
    return Sender(key, Profile("plain"), T0 - 100, Ledger())
