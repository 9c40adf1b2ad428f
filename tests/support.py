"""A whole engine in memory: fakes of its ports, a clock that tests move, and smtpd processes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace

from penstock.core.acquaintance import Acquaintance
from penstock.core.decision import Decision, Refusal
from penstock.core.events import Attempt, Message
from penstock.core.evidence import Finding
from penstock.core.flight import ASKS_END, Channel
from penstock.core.incident import Incident, Suspect
from penstock.core.learning import Lesson
from penstock.core.ledger import KEEP, Counter
from penstock.core.limits import OUTCOMES, Limit, Mode, Unit, parse_limit, parse_outcome
from penstock.core.policy import Entry, Override, Policy, Profile, Verb
from penstock.core.sender import Sender
from penstock.core.standing import Standing
from penstock.engine import Engine
from penstock.engine.familiar import REACHED

T0 = 1_700_000_000.0
"""When tests begin."""

ALICE = "login:alice@example.com"


class FakeCounts:
    """Remembers what was appended; hands over the senders of an earlier run."""

    def __init__(self, earlier: Mapping[str, tuple[int, bytes]] | None = None) -> None:
        self.earlier = dict(earlier or {})
        self.rows: list[tuple[str, int, int, int]] = []

    def append(self, sender: Sender, counter: int, at: int, n: int) -> None:
        self.rows.append((sender.key, int(counter), at, n))

    def append_mail(self, sender: Sender, at: int, recipients: int, messages: int) -> None:
        self.rows.append((sender.key, int(Counter.RECIPIENTS), at, recipients))
        self.rows.append((sender.key, int(Counter.MESSAGES), at, messages))

    def recall(self, key: str) -> tuple[int, bytes] | None:
        return self.earlier.pop(key, None)

    def rest(self, key: str, first_seen: int, packed: bytes) -> None:
        self.earlier[key] = first_seen, packed

    def sleeping(self) -> dict[str, bytes]:
        return {key: packed for key, (_, packed) in self.earlier.items()}

    def net(self, key: str, counter: Counter) -> int:
        """What a recovery from these rows would find."""
        return sum(n for k, c, _, n in self.rows if k == key and c == counter)


class FakeRecords:
    """Remembers what was put; everything is durable at once."""

    def __init__(self) -> None:
        self.durable = 1 << 60
        self.tickets = itertools.count(1)
        self.standings: list[tuple[str, Standing, Standing]] = []
        self.overrides: dict[str, Override] = {}
        self.refusals: dict[str, Refusal] = {}
        self.incidents: dict[str, Incident] = {}
        self.suspects: dict[tuple[str, str], Suspect] = {}
        self.lessons: dict[str, Lesson] = {}

    def put_standing(self, sender: str, old: Standing, new: Standing) -> int:
        self.standings.append((sender, old, new))
        return next(self.tickets)

    def put_override(self, override: Override, at: float) -> int:
        self.overrides[override.sender] = override
        return next(self.tickets)

    def drop_override(self, sender: str, at: float, by: str) -> int:
        del self.overrides[sender]
        return next(self.tickets)

    def put_refusal(self, refusal: Refusal) -> int:
        self.refusals[refusal.reference] = replace(refusal)
        return next(self.tickets)

    def put_incident(self, incident: Incident) -> int:
        self.incidents[incident.id] = replace(incident, suspects={})
        return next(self.tickets)

    def put_suspect(self, incident: str, suspect: Suspect) -> int:
        self.suspects[incident, suspect.sender] = replace(suspect, counts=dict(suspect.counts))
        return next(self.tickets)

    def put_verdict(self, incident: Incident) -> int:
        return self.put_incident(incident)

    def put_lesson(self, lesson: Lesson) -> int:
        self.lessons[lesson.incident] = deepcopy(lesson)
        return next(self.tickets)

    def drop_lesson(self, lesson: Lesson, at: float, by: str) -> int:
        self.lessons.pop(lesson.incident, None)
        return next(self.tickets)

    def held(self) -> dict[str, Incident]:
        """The incidents as a restart would find them."""
        held = {code: replace(incident) for code, incident in self.incidents.items()}
        for (code, key), suspect in self.suspects.items():
            held[code].suspects = held[code].suspects | {key: replace(suspect)}
        return held


class FakeSent:
    """Remembers whose message each Message-ID was."""

    def __init__(self) -> None:
        self.by_message_id: dict[str, str] = {}

    def remember(self, message: Message, sender: str) -> None:
        self.by_message_id[message.message_id] = sender


class FakeDirectory:
    """Knows the entries that a test gives it."""

    def __init__(self, entries: Mapping[str, Entry] | None = None) -> None:
        self.entries = dict(entries or {})

    def get(self, key: str) -> Entry | None:
        return self.entries.get(key)


@dataclass
class FakeMemory:
    """What the records held at start."""

    standings: dict[str, Standing] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    lessons: dict[str, Lesson] = field(default_factory=dict)
    installed_at: float = T0 - 365 * 86400


def limits(*texts: str) -> tuple[Limit, ...]:
    """``"5/m"`` recipients, ``"messages 2/m"``, ``"bytes 1MB/h"``, ``"bounced 5/h"``; a leading ``shadow`` is
    its mode."""
    found = []
    for text in texts:
        mode: Mode = "shadow" if text.startswith("shadow") else "enforce"
        *words, amount = text.removeprefix("shadow ").split()
        if words and words[0] in OUTCOMES:
            found.append(parse_outcome(text.removeprefix("shadow "), mode))
            continue
        unit = Unit(words[0]) if words else Unit.RECIPIENTS
        found.append(parse_limit(amount, unit, mode))
    return tuple(found)


def policy(*texts: str, **more: object) -> Policy:
    """A policy in which every kind of sender has the profile ``plain`` with these limits."""
    profile = replace(Profile("plain", limits(*texts)), **more)  # type: ignore[arg-type]
    return policy_of(profile)


def policy_of(*profiles: Profile) -> Policy:
    """A policy of these profiles, the first for everybody whom nobody gave another."""
    kinds = ("login", "ip", "uid", "script", "customer")
    return Policy({p.name: p for p in profiles}, dict.fromkeys(kinds, profiles[0].name))


class World:
    """One engine with its fakes and a clock."""

    def __init__(
        self,
        rules: Policy,
        entries: Mapping[str, Entry] | None = None,
        earlier: Mapping[str, tuple[int, bytes]] | None = None,
        memory: FakeMemory | None = None,
        at: float = T0,
        acquaintance: Acquaintance | None = None,
    ) -> None:
        self.at = at
        self.counts = FakeCounts(earlier)
        self.records = FakeRecords()
        self.directory = FakeDirectory(entries)
        self.memory = memory or FakeMemory()
        self.sent = FakeSent()
        self.acquaintance = acquaintance or Acquaintance(b"test", 1 << 16)
        self.engine = Engine(
            rules, self.directory, self.records, self.counts, self.memory, self.sent, self.acquaintance, at
        )
        self.instances = itertools.count(1)

    def smtpd(self, login: str = "alice@example.com", context: str = ASKS_END, host: str = "mx1") -> Smtpd:
        """A new smtpd process with its policy connection."""
        return Smtpd(self, login, context, host)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.at += seconds

    def sweep(self) -> None:
        """What the service does every few seconds."""
        self.engine.sweep(self.at)

    def sender(self, key: str = ALICE) -> Sender:
        """The sender, known or not."""
        return self.engine.roster.get(key, self.at)

    def weigh(self, key: str = ALICE) -> tuple[float, tuple[Finding, ...]]:
        """Suspicion of a sender and its findings."""
        weighing, sender = self.engine.detector.weighing, self.sender(key)
        return weighing.judge(sender, self.at, weighing.view(sender, self.at))

    def total(self, counter: Counter = Counter.RECIPIENTS, key: str = ALICE, window: int = KEEP) -> int:
        """What the ledger says; the log of counts must say the same when nothing was forgotten."""
        return self.sender(key).ledger.total(counter, int(self.at), window)

    def saved(self) -> list[Refusal]:
        """The stretches of refusals, all recorded now."""
        self.engine.refusals.save(1_000_000, self.at)
        return list(self.records.refusals.values())

    def counted(self, key: str = ALICE) -> tuple[int, int]:
        """(recipients, messages) of a sender."""
        return self.total(Counter.RECIPIENTS, key), self.total(Counter.MESSAGES, key)


class Smtpd:
    """One smtpd process: one channel, one message after the other."""

    def __init__(self, world: World, login: str, context: str, host: str) -> None:
        self.world = world
        self.login = login
        self.context = context
        self.host = host
        self.channel = Channel(host)
        self.address = "192.0.2.7"
        self.envelope = "from@example.com"
        self.queue_id = ""
        self.size = 0
        self.mail()

    def mail(self, login: str | None = None) -> Smtpd:
        """A new message begins (MAIL FROM)."""
        self.login = self.login if login is None else login
        n = next(self.world.instances)
        self.instance = f"{n:x}.{int(self.world.at):x}.0.0"
        return self

    def ask(self, stage: str, recipient: str = "", count: int = 0, size: int | None = None) -> Decision:
        """One question; the decision."""
        size = self.size if size is None else size
        return self.world.engine.decide(
            Attempt(
                self.world.at,
                self.host,
                stage,
                self.address,
                self.envelope,
                recipient,
                count,
                self.queue_id,
                self.instance,
                size,
                self.login,
                self.context,
            ),
            self.channel,
        )

    def rcpt(self, *recipients: str) -> list[Verb]:
        """RCPT for each; the verbs."""
        return [self.ask("RCPT", recipient).verb for recipient in recipients]

    def many(self, n: int, start: int = 0) -> int:
        """RCPT for n different recipients; how many passed."""
        return self.rcpt(*(f"r{i}@example.net" for i in range(start, start + n))).count(Verb.PASS)

    def data(self, count: int, recipient: str = "") -> Verb:
        """DATA."""
        return self.ask("DATA", recipient, count).verb

    def end(self, count: int, size: int = 0, recipient: str = "") -> Verb:
        """END-OF-MESSAGE."""
        return self.ask("END-OF-MESSAGE", recipient, count, size).verb

    def hang_up(self) -> Smtpd:
        """The policy connection closes; the same process opens another."""
        self.world.engine.flights.orphan(self.channel)
        self.channel = Channel(self.host)
        return self


def passed(verbs: Iterable[Verb]) -> str:
    """``P`` for each pass, the verb's first letter otherwise."""
    return "".join(verb[0].upper() for verb in verbs)


def reached(known: Acquaintance, key: str, address: str) -> int:
    """The pair of a sender ("" for anybody) and an address that got mail from it."""
    return REACHED ^ (known.number(f"sender {key}") if key else 0) ^ known.number(address)
