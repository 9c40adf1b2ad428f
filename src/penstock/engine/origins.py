"""Who sent local mail: the witnesses of the last seconds, put together per message.

How it works: PHP's mail.log, the sendmail wrapper and the web server each tell of a script and a second, none
of a queue id; the kernel's word (pickup) and PHP's header come with the message. A sighting belongs to a
message when its time and, where both tell it, its user and its file name fit, and nothing else fits as well:
what is ambiguous names nobody. Each mail() call and each call of the wrapper names one message only. The gate
asks at the end of a message, the log again when the message is queued; what a web server writes comes later
than both, so for messages of which only the user is known all are asked again after ``RIPE`` seconds.

Cost: three short queues of sightings, a row of queue ids and two of paths, all bounded. Victims: two scripts
of one user that mail within the same seconds without a header are charged to their user.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from penstock.core.events import Message, Posted, ScriptMailed, Seen, Submitted
from penstock.core.names import bounded
from penstock.core.witness import (
    NOBODY_KNOWN,
    Claim,
    Origin,
    Witness,
    base_of,
    believed,
    hardest_user,
    settle,
)
from penstock.engine.sightings import Sighting, Sightings

MOST: Final = 20_000
"""Queue ids, paths and senders remembered."""

RIPE: Final = 15.0
"""Seconds after which a web server has written what led to a message."""

_DATED: Final = (Witness.MAIL_LOG, Witness.WRAPPER)
"""Witnesses that are there before the message is."""

K = TypeVar("K")
V = TypeVar("V")


class Origins:
    """The witnesses of one node. ``place`` is told key, user's key and time of who is named.

    ``shared``: users as whom the scripts of many customers run. ``on_late`` is told of a message whose script
    was found out only after it was counted. ``named``: messages by where they were named (gate or log) and by
    the hardest witness; ``waits``: messages that waited for the log's word, by whether it came in time.
    ``learned``: scripts of which it became known whose they are."""

    def __init__(self, place: Callable[[str, str, float], object]) -> None:
        self.shared: frozenset[str] = frozenset()
        self.on_late: Callable[[Message], None] = lambda message: None
        self.named: Counter[tuple[str, str]] = Counter()
        self.waits: Counter[str] = Counter()
        self.learned = 0
        self._place = place
        self._seen = {
            Witness.MAIL_LOG: Sightings(10.0, 2.0),
            Witness.WRAPPER: Sightings(10.0, 2.0),
            Witness.REQUEST: Sightings(5.0, 3.0, once=False),
        }
        self._users: OrderedDict[str, str] = OrderedDict()
        self._claims: OrderedDict[str, tuple[str, tuple[Claim, ...]]] = OrderedDict()
        self._why: OrderedDict[str, str] = OrderedDict()
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._paths: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._unripe: deque[tuple[Message, float]] = deque(maxlen=MOST)
        self._waiting: dict[str, Callable[[], None]] = {}

    # --- what is heard ----------------------------------------------------------------------

    def hear(self, event: Seen) -> None:
        """Somebody has seen a script."""
        if isinstance(event, ScriptMailed):
            self._seen[Witness.MAIL_LOG].add(Sighting(event.at, bounded(event.path)))
        elif isinstance(event, Submitted):
            self._seen[Witness.WRAPPER].add(Sighting(event.at, bounded(event.script), event.user))
        elif isinstance(event, Posted):
            self._seen[Witness.REQUEST].add(Sighting(event.at, bounded(event.path)))

    def picked_up(self, queue_id: str, user: str) -> None:
        """The log has told who handed a message in."""
        _put(self._users, queue_id, user)
        ready = self._waiting.pop(queue_id, None)
        if ready is not None:
            ready()

    def knows(self, queue_id: str) -> bool:
        """Whether the kernel's word about a message is there."""
        return queue_id in self._users

    def wait(self, queue_id: str, ready: Callable[[], None]) -> None:
        """Call ``ready`` once it is."""
        self._waiting[queue_id] = ready

    def give_up(self, queue_id: str) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(queue_id, None)

    # --- what is asked ----------------------------------------------------------------------

    def at_gate(self, queue_id: str, claims: tuple[Claim, ...], at: float) -> Origin:
        """Whom to charge, while the message comes in; ``claims``: what itself says."""
        user = self._users.get(queue_id)
        kernel = (Claim(Witness.KERNEL, user),) if user is not None else ()
        return self._settled(queue_id, kernel + claims, at, "gate")

    def name(self, message: Message, at: float, all_is_heard: bool = False) -> None:
        """Name the script behind a message that the log charges to a user. ``all_is_heard``: nothing more
        will come about that time."""
        if message.kind != "uid":
            return
        queue_id, user = message.queue_id, message.name
        claims = (Claim(Witness.KERNEL, user), *self._known(queue_id, user))
        origin = self._settled(queue_id, claims, message.at, "log")
        message.kind, _, message.name = origin.key.partition(":")
        self._place(origin.key, origin.under, at)
        if message.kind == "uid" and all_is_heard:
            self._look_again(message, at)
        elif message.kind == "uid":
            self._unripe.append((message, at))

    def sweep(self, at: float) -> None:
        """Look again for the script of messages that nothing has named one for."""
        while self._unripe and not 0 <= at - self._unripe[0][1] < RIPE:
            message, _ = self._unripe.popleft()
            if message.kind == "uid" and self._look_again(message, at):
                self.on_late(message)

    def _look_again(self, message: Message, at: float) -> bool:
        """Whether a script was found for a message that only its user is known of."""
        for witness in (*_DATED, Witness.REQUEST):
            found = self._find(witness, message.name, "", message.at)
            if found is not None:
                origin = self._concluded((Claim(Witness.KERNEL, message.name), found))
                message.kind, _, message.name = origin.key.partition(":")
                self._place(origin.key, origin.under, at)
                return True
        return False

    def user_of(self, key: str) -> str:
        """The key of the user whose a script is, as far as its name or an earlier message tells; else ""."""
        name = key.removeprefix("script:")
        user = self._owners.get(name, "") if name.startswith("/") else name.rpartition(":")[0]
        return f"uid:{user}" if user and user not in self.shared else ""

    def why(self, key: str) -> str:
        """How the last message of a local sender was led back to it, as a sentence; "" when unknown."""
        return self._why.get(key, "")

    # --- putting it together ----------------------------------------------------------------

    def _known(self, queue_id: str, user: str) -> list[Claim]:
        """What was claimed of a message before; sightings that were taken for another user's are not."""
        believed_then, claims = self._claims.get(queue_id, ("", ()))
        own = (Witness.HEADER, Witness.RELAY)
        return [
            claim
            for claim in claims
            if claim.witness is not Witness.KERNEL and (claim.witness in own or believed_then == user)
        ]

    def _settled(self, queue_id: str, claims: tuple[Claim, ...], at: float, where: str) -> Origin:
        """``claims`` and the sightings that fit to them."""
        if not claims:
            return NOBODY_KNOWN
        self.named[where, max(claims).witness.name.lower()] += 1
        said = hardest_user(claims, self.shared)
        user = said.user if said is not None else ""
        named = (claim for claim in claims if claim.script and believed(claim, said, self.shared))
        base = next((base_of(claim.script) for claim in named), "")
        had = {claim.witness for claim in claims if claim.script}
        for witness in _DATED:
            if witness not in had:
                found = self._find(witness, user, base, at)
                claims += (found,) if found is not None else ()
        if queue_id:
            _put(self._claims, queue_id, (user, claims))
        return self._concluded(self._completed(claims, user, at))

    def _completed(self, claims: tuple[Claim, ...], user: str, at: float) -> tuple[Claim, ...]:
        """A bare file name of PHP's header becomes a full path, if it is known or a request tells it."""
        if any(claim.script.startswith("/") for claim in claims):
            return claims
        for i, claim in enumerate(claims):
            if claim.witness is Witness.HEADER and claim.script and claim.user == user:
                found = self._find(Witness.REQUEST, user, claim.script, at)
                path = self._paths.get((user, claim.script)) or (found.script if found is not None else "")
                if path:
                    return (*claims[:i], claim._replace(script=path), *claims[i + 1 :])
        return claims

    def _find(self, witness: Witness, user: str, base: str, at: float) -> Claim | None:
        """The one script that a witness saw about that time and that may be this user's."""

        def fits(sighting: Sighting) -> bool:
            if sighting.user and sighting.user != user and sighting.user not in self.shared:
                return False
            return user in self.shared or self._owners.get(sighting.path, user) == user

        def is_own(sighting: Sighting) -> bool:
            return self._owners.get(sighting.path) == user

        found = self._seen[witness].take(at, base, fits, is_own)
        return None if found is None else Claim(witness, found.user, found.path)

    def _concluded(self, claims: tuple[Claim, ...]) -> Origin:
        origin = settle(claims, self.shared)
        _put(self._why, origin.key, origin.why)
        self._learn(origin, claims)
        return origin

    def _learn(self, origin: Origin, claims: tuple[Claim, ...]) -> None:
        """Whose a file is: the first user for whom the kernel spoke keeps it."""
        path, user = origin.key.removeprefix("script:"), origin.under.removeprefix("uid:")
        if user and path.startswith("/") and any(claim.witness is Witness.KERNEL for claim in claims):
            if path not in self._owners:
                self.learned += 1
            self._own(path, self._owners.get(path, user), user)

    def _own(self, path: str, owner: str, user: str) -> None:
        _put(self._owners, path, owner)
        if owner == user:
            _put(self._paths, (user, base_of(path)), path)

    def owners(self) -> Mapping[str, str]:
        """Path → user, as far as it is known."""
        return self._owners

    def recall(self, owners: Mapping[str, str]) -> None:
        """What an earlier run has learned."""
        for path, user in owners.items():
            self._own(path, user, user)


def _put(row: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep the latest ``MOST``."""
    row[key] = value
    row.move_to_end(key)
    if len(row) > MOST:
        row.popitem(last=False)
