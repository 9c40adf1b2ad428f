"""What an administrator can ask of the MTA's queue: list, hold, release, drop, bounce, show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from penstock.core import explain
from penstock.core.names import BadSender, Naming, parse_sender
from penstock.servers.control import Arguments, Command, CommandError
from penstock.wire.eximqueue import EXIM_ID
from penstock.wire.postqueue import QUEUE_ID, Entry

DEEDS: Final = ("hold", "release", "drop", "bounce")
MOST: Final = 1000
KEPT: Final = 10_000
LONGEST_HEADER: Final = 16_000
LONGEST_BODY: Final = 2000

Wanted = Callable[[str, str], bool]
"""(queue id, sender) → it is meant."""


class Lying(NamedTuple):
    """A message in the queue of an instance. ``owner`` is "" when nobody knows; ``wish``: what we want of
    it.
    """

    instance: str
    entry: Entry
    owner: str
    wish: str


class Keeper(Protocol):
    """What the desk needs of whoever looks after the queue."""

    async def survey(self, take: Callable[[Lying], None]) -> None:
        """Show each message of the queue."""
        ...

    async def want(self, wanted: Wanted, wish: str, by: str, now: bool) -> tuple[int, bool]:
        """Have it so with these; how many they are, and whether it is done yet."""
        ...

    async def show(self, instance: str, queue_id: str) -> tuple[str, str]:
        """Header and the beginning of the body."""
        ...


class QueueDesk:
    """The command ``queue``. ``keeper``: None when nobody looks after the queue."""

    def __init__(self, keeper: Callable[[], Keeper | None], naming: Callable[[], Naming]) -> None:
        self._keeper = keeper
        self._naming = naming

    def commands(self) -> dict[str, Command]:
        """Command name → handler."""
        return {"queue": self.queue}

    async def queue(self, asked: Arguments, who: str) -> dict[str, Any]:
        """``do``: list, show, hold, release, drop or bounce; ``target``: a sender or a queue id."""
        keeper, do = self._keeper(), asked.get("do", "list")
        if keeper is None:
            raise CommandError(
                'the queue is not looked after: set mta = "postfix" in [queue] of the policy file, start the '
                "helper, and restart (docs/howto/queue.md)"
            )
        target = str(asked.get("target") or "").strip()
        if do == "list":
            return await self._list(keeper, target)
        if do == "show":
            return await _show(keeper, target)
        if do not in DEEDS:
            raise CommandError(f"{do!r}: one of list, show, {', '.join(DEEDS)}")
        wanted, by_id = self._target(target)
        if by_id:
            await _one(keeper, target)
        messages, done = await keeper.want(wanted, str(do), who, by_id)
        return {"target": target, "do": do, "messages": messages, "done": done}

    async def _list(self, keeper: Keeper, target: str) -> dict[str, Any]:
        if not target:
            senders = _BySender()
            await keeper.survey(senders.take)
            return senders.told()
        messages = _Messages(self._target(target)[0])
        await keeper.survey(messages.take)
        return {"target": target} | messages.told()

    def _target(self, target: str) -> tuple[Wanted, bool]:
        """Who or which message is meant, and whether it is a message."""
        if QUEUE_ID.fullmatch(target) or EXIM_ID.fullmatch(target):
            return (lambda queue_id, owner: queue_id == target), True
        try:
            sender = parse_sender(target, self._naming())
        except BadSender as error:
            raise CommandError(f"neither a queue id nor a sender: {error}") from None
        return (lambda queue_id, owner: owner == sender), False


async def _one(keeper: Keeper, queue_id: str) -> Lying:
    """The message of that id; raises CommandError."""
    if not QUEUE_ID.fullmatch(queue_id) and not EXIM_ID.fullmatch(queue_id):
        raise CommandError(f"{queue_id!r} is no queue id")
    messages = _Messages(lambda each, owner: each == queue_id)
    await keeper.survey(messages.take)
    found = messages.kept
    if not found:
        raise CommandError(f"no message {queue_id} is in the queue")
    if len({lying.instance for lying in found}) > 1:
        where = ", ".join(sorted({lying.instance for lying in found}))
        raise CommandError(
            f"{queue_id} is in the queue of several instances ({where}): use the MTA's own tools"
        )
    return found[0]


async def _show(keeper: Keeper, queue_id: str) -> dict[str, Any]:
    lying = await _one(keeper, queue_id)
    header, body = await keeper.show(lying.instance, queue_id)
    cut = len(header) > LONGEST_HEADER or len(body) > LONGEST_BODY
    shown = {"header": header[:LONGEST_HEADER], "body": body.lstrip("\n")[:LONGEST_BODY], "cut": cut}
    return message_of(lying) | shown


def message_of(lying: Lying) -> dict[str, Any]:
    """One message of the queue."""
    entry = lying.entry
    return {
        "queue_id": entry.queue_id,
        "instance": lying.instance,
        "queue": entry.queue,
        "sender": lying.owner or None,
        "arrived_at": explain.when(entry.arrival),
        "bytes": entry.size,
        "from": entry.sender,
        "recipients": list(entry.recipients),
        "recipient_count": entry.recipient_count,
        "reason": entry.reason,
        "wish": lying.wish or None,
    }


class _Messages:
    """The messages that are wanted, the oldest ``MOST`` of them as far as ``KEPT`` were looked at."""

    def __init__(self, wanted: Wanted) -> None:
        self.kept: list[Lying] = []
        self._wanted = wanted
        self._matching = self._held = self._bytes = 0

    def take(self, lying: Lying) -> None:
        """One message of the queue."""
        entry = lying.entry
        if self._wanted(entry.queue_id, lying.owner):
            self._matching += 1
            self._held += entry.held
            self._bytes += entry.size
            if len(self.kept) < KEPT:
                self.kept.append(lying)

    def told(self) -> dict[str, Any]:
        """As JSON."""
        self.kept.sort(key=lambda lying: lying.entry.arrival)
        return {
            "messages": [message_of(lying) for lying in self.kept[:MOST]],
            "matching": self._matching,
            "held": self._held,
            "bytes": self._bytes,
        }


class _BySender:
    """The whole queue, a row for each sender; None stands for messages of which nobody knows whose they
    are.
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def take(self, lying: Lying) -> None:
        """One message of the queue."""
        entry, row = lying.entry, self._rows.get(lying.owner)
        if row is None:
            counts = dict.fromkeys(("messages", "held", "releasing", "bytes"), 0)
            row = self._rows[lying.owner] = {
                "sender": lying.owner or None,
                **counts,
                "oldest_at": entry.arrival,
            }
        row["messages"] += 1
        row["held"] += entry.held
        row["releasing"] += entry.held and lying.wish == "release"
        row["bytes"] += entry.size
        row["oldest_at"] = min(row["oldest_at"], entry.arrival)

    def told(self) -> dict[str, Any]:
        """As JSON: who has most on hold comes first."""
        ranked = sorted(self._rows.values(), key=lambda row: (row["held"], row["messages"]), reverse=True)
        sums = {name: sum(row[name] for row in ranked) for name in ("messages", "held", "bytes")}
        shown = [row | {"oldest_at": explain.when(row["oldest_at"])} for row in ranked[:MOST]]
        return {"senders": shown, "matching": len(ranked)} | sums
