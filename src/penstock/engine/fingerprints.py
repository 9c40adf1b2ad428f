"""Texts and link domains that leave from several senders: what one hand writes through many accounts.

How it works. Each fingerprint that goes to somebody new is kept for ``KEEP`` to twice as long since it was
last sent, with who sent it and to how many, new and known. A sender counts as one of many when it sends the
text to ``STRANGERS`` new recipients at least, and to hardly any that it knows (who gets it twice counts
once); customers count in full, colleagues of one domain, where no directory tells whose they are, by a
quarter.
What ``WIDELY`` got a day ago, and nobody was paused for, is somebody's template from then on: invoices of one
software, answers of one mail program, a club's letter. That is remembered among the acquaintances, over
restarts; in the first ``LEARNS`` days on which content is read, findings count by as much as is known.
Cost. Some 50 µs a message. ``MOST_KEYS`` hashes in each of two generations, some 50 MB when both are full;
when one is full it turns early, and looks back less far: ten messages a second to somebody new, ten minutes.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from sys import intern
from typing import Final

from penstock.core.acquaintance import Acquaintance, kind_of
from penstock.core.events import Attempt
from penstock.core.fingerprint import SAME, Fingerprint
from penstock.core.flight import Flight
from penstock.core.ledger import Counter
from penstock.core.sender import Sender
from penstock.engine.book import Book
from penstock.engine.roster import Roster
from penstock.signals.view import ALONE, Alike

DAY: Final = 86400
KEEP: Final = 6 * 3600.0
MOST_KEYS: Final = 100_000
MOST_USES: Final = 64
MOST_SENDERS: Final = 50_000
STRANGERS: Final = 3
FEW_KNOWN: Final = 3
"""New recipients for each known one."""

COLLEAGUE: Final = 0.25
LEARNS: Final = 7
AT_ONCE: Final = 20
"""Hashes of a generation that is over, learned or forgotten with each message."""

TAINT: Final = 14 * DAY
WIDELY: Final = 8
"""Recipients from which on a text becomes a template: a test mail or two make none."""

MOST_LOOKED_AT: Final = 1000
"""Recipients of a message of whom it is known whether they have got its text before."""

_TEMPLATE, _READ, _GOT = kind_of("text"), kind_of("content read"), kind_of("got a text")


class Use:
    """What one sender does with a text. ``house``: the customer, else the domain or the sender itself;
    ``sure``: the directory told the customer; ``at``: seconds since the epoch."""

    __slots__ = ("at", "house", "known", "novel", "sure")

    def __init__(self, house: str, sure: bool) -> None:
        self.house = house
        self.sure = sure
        self.novel = self.known = 0
        self.at = 0.0

    @property
    def strange(self) -> bool:
        """Whether it goes to strangers only."""
        return self.novel >= STRANGERS and self.novel >= FEW_KNOWN * self.known


class Text:
    """A text, or a domain that is linked to. ``value``: one of its hashes; ``template``:
    somebody's for long."""

    __slots__ = ("born", "last_at", "link", "tainted_at", "template", "uses", "value")

    def __init__(self, value: int, link: bool, template: bool, at: float) -> None:
        self.value = value
        self.link = link
        self.template = template
        self.born = self.last_at = at
        self.tainted_at = float("-inf")
        self.uses: dict[str, Use] = {}

    @property
    def name(self) -> str:
        """Of its campaign."""
        return f"{'link' if self.link else 'text'}:{self.value:016x}"

    def sent(self) -> int:
        """To how many recipients."""
        return sum(use.novel + use.known for use in self.uses.values())

    def many(self) -> float:
        """How many send it to strangers: houses, and colleagues by a part of one."""
        if self.template:
            return 0.0
        strange = [use for use in self.uses.values() if use.strange]
        houses = {use.house for use in strange}
        colleagues = sum(not use.sure for use in strange) - len(
            {use.house for use in strange if not use.sure}
        )
        return len(houses) + COLLEAGUE * colleagues


class Fingerprints:
    """The texts of one node."""

    def __init__(self, acquaintance: Acquaintance, roster: Roster, book: Book) -> None:
        self._known = acquaintance
        self._roster = roster
        self._book = book
        self._young: dict[int, Text] = {}
        self._old: dict[int, Text] = {}
        self._leaving: Iterator[tuple[int, Text]] = iter(())
        self._turned_at = 0.0
        self._latest: dict[str, tuple[Text, ...]] = {}
        self._read_day = self._read_days = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    # --- what is sent -----------------------------------------------------------------------

    def read(self, look: Callable[[Sender, float], object], flight: Flight, a: Attempt) -> None:
        """A message is complete: count it, and ``look`` at whoever sends the same."""
        if a.fingerprint is None and a.score < 1:
            return
        if self._roster.policy.detection.mode == "off":
            return
        sender, high = flight.senders[0], a.score >= 1
        if high:
            self._book.count(sender, int(Counter.SPAM_SCORED), int(a.at), 1)
        suspects = self._sent(sender, flight, a.fingerprint, a.at) if a.fingerprint is not None else []
        for key in dict.fromkeys([sender.key, *suspects] if high else suspects):
            look(self._roster.get(key, a.at), a.at)

    def _sent(self, sender: Sender, flight: Flight, print_: Fingerprint, at: float) -> list[str]:
        """The senders to look at, when the message makes one more of many."""
        self._pass_time(at)
        novel = min(flight.strangers, flight.charged)
        texts = tuple(self._texts(print_, at, novel > 0))
        if not texts:
            return []
        self._latest.pop(sender.key, None)
        if len(self._latest) >= MOST_SENDERS:
            del self._latest[next(iter(self._latest))]
        self._latest[sender.key] = texts
        found: dict[str, None] = {}
        known = max(0, flight.charged - novel - self._again(sender, texts[0], flight))
        for text in texts:
            before = text.many()
            self._use(text, sender, novel, known, at)
            if text.many() > max(before, 1.0) or (text.uses[sender.key].strange and self._tainted(text, at)):
                found |= dict.fromkeys(key for key, use in text.uses.items() if use.strange)
        return list(found)

    def _again(self, sender: Sender, text: Text, flight: Flight) -> int:
        """To how many of its recipients the sender has sent that text before."""
        meet, number = self._known.meet, self._known.number
        pair = _GOT ^ text.value ^ number(f"sender {sender.key}")
        named = (address for address, known in flight.recipients.items() if isinstance(known, int))
        return sum(meet(pair ^ number(address.lower())) for address in islice(named, MOST_LOOKED_AT))

    def _texts(self, print_: Fingerprint, at: float, anew: bool) -> Iterator[Text]:
        """The texts and links of a message that are known; others are kept from now on if it is ``anew``."""
        if print_.text:
            tally = Tally(text for value in print_.text if (text := self._find(value)) is not None)
            text, common = tally.most_common(1)[0] if tally else (None, 0)
            if text is None or common < SAME:
                text = self._begin(print_.text, SAME, at) if anew else None
            if text is not None:
                yield self._keep(text, print_.text, at)
        for host in print_.hosts:
            text = self._find(host) or (self._begin((host,), 1, at) if anew else None)
            if text is not None:
                yield self._keep(text, (host,), at)

    def _find(self, value: int) -> Text | None:
        return self._young.get(value) or self._old.get(value)

    def _begin(self, values: Sequence[int], least: int, at: float) -> Text:
        known = sum([self._known.knows(_TEMPLATE ^ value) for value in values])
        return Text(values[0], least == 1, known >= least, at)

    def _keep(self, text: Text, values: Sequence[int], at: float) -> Text:
        """It is sent now: found by these hashes from now on."""
        text.last_at = at
        if at - text.born > DAY and text.sent() >= WIDELY and not self._tainted(text, at):
            text.template = True
        for value in values:
            self._young[value] = text
            if text.template:
                self._known.meet(_TEMPLATE ^ value)
        return text

    def _use(self, text: Text, sender: Sender, novel: int, known: int, at: float) -> None:
        use = text.uses.get(sender.key)
        if use is None:
            if len(text.uses) >= MOST_USES:
                del text.uses[next(iter(text.uses))]
            use = text.uses[sender.key] = Use(*house_of(sender))
        if use.at < sender.standing.since:
            use.novel = use.known = 0
        use.novel += novel
        use.known += known
        use.at = at

    # --- what is known ----------------------------------------------------------------------

    def alike(self, sender: Sender, at: float) -> Alike:
        """What the sender's latest text and links have in common with others', since anybody decided."""
        found = ALONE
        for text in self._latest.get(sender.key, ()):
            use = text.uses.get(sender.key)
            if use is None or not use.strange or use.at < sender.standing.since:
                continue
            many, tainted = text.many() * self._seen(at), self._tainted(text, at)
            if many <= 1 and not tainted:
                continue
            recipients = sum(other.novel for other in text.uses.values() if other.strange)
            found = Alike(
                max(found.texts, 0.0 if text.link else many),
                max(found.links, many if text.link else 0.0),
                max(found.recipients, recipients),
                found.tainted or (tainted and not text.link),
                found.name or text.name,
            )
        return found

    def _tainted(self, text: Text, at: float) -> bool:
        return not text.template and at - text.tainted_at < TAINT

    def taint(self, sender: Sender, at: float) -> None:
        """The sender is paused: what it sent to strangers last is an incident's."""
        for text in self._latest.get(sender.key, ()):
            if text.uses[sender.key].strange if sender.key in text.uses else False:
                text.tainted_at = at

    def clear(self, sender: Sender) -> None:
        """It was the owner: the text is a template."""
        for text in self._latest.pop(sender.key, ()):
            text.tainted_at, text.template = float("-inf"), True

    # --- time passes ------------------------------------------------------------------------

    def _seen(self, at: float) -> float:
        """How well templates are known: from 0 to 1 in the first days on which content is read."""
        return min(1.0, self._read_days / LEARNS)

    def _pass_time(self, at: float) -> None:
        day = int(at) // DAY
        if day != self._read_day:
            known = self._known
            known.meet(day_read(known, day))
            before = [known.knows(day_read(known, day - ago)) for ago in range(1, 4 * LEARNS)]
            self._read_day, self._read_days = day, sum(before)
        if at - self._turned_at > KEEP or len(self._young) >= MOST_KEYS:
            self._learn(len(self._old))
            self._leaving = iter(self._old.items())
            self._old, self._young, self._turned_at = self._young, {}, at
        self._learn(AT_ONCE)

    def _learn(self, most: int) -> None:
        """What is over without an incident is somebody's template; links always, texts when two sent them."""
        for value, text in islice(self._leaving, most):
            if text.sent() >= WIDELY and (text.link or len(text.uses) > 1) and text.tainted_at < text.born:
                self._known.meet(_TEMPLATE ^ value)


def day_read(known: Acquaintance, day: int) -> int:
    """What is met when content is read on that day since the epoch."""
    return _READ ^ known.number(f"day {day}")


def house_of(sender: Sender) -> tuple[str, bool]:
    """Whom a sender belongs to, and whether the directory has told it: the customer, else the login's domain,
    else itself."""
    top = sender.lineage()[-1].key
    if top.startswith("customer:"):
        return top, True
    if sender.kind == "login":
        return intern(sender.key.rpartition("@")[2]), False
    return top, True
