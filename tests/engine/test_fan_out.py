"""A web site that has always written to one person at a time, and now writes to many at once."""

from __future__ import annotations

from collections.abc import Sequence

from engine.people import DAY, RELAY, UNKNOWN
from engine.suspects import rules, strangers
from penstock.core.events import Attempt, Bounced, Delivered, Message
from penstock.core.evidence import ORDINARY
from penstock.core.flight import ASKS_END, Channel
from penstock.core.policy import Action, Verb
from penstock.core.standing import State
from support import World

KEY = "uid:1033"
CUSTOMERS = ORDINARY.novel * 2


class Site:
    """A shop with new customers every day, each of whom gets a message of its own."""

    def __init__(self, days: int = 20) -> None:
        self.world = World(rules(over_limit=Action(Verb.HOLD)))
        self.number = 0
        for day in range(days):
            self.shop(day)

    def shop(self, day: int) -> None:
        for i in range(CUSTOMERS):
            assert self.send([f"customer{day}.{i}@example.com"])
            self.world.wait(DAY / CUSTOMERS)

    def mail(self, recipients: Sequence[str]) -> bool:
        """One message; whether it went."""
        self.number += 1
        channel = Channel("mx1")

        def ask(stage: str, recipient: str = "", count: int = 0) -> Verb:
            return self.world.engine.decide(
                Attempt(
                    self.world.at, "mx1", stage, "", "www@example.com", recipient, count,
                    "", f"{self.number:x}.0.0.0", 0, "", ASKS_END, KEY,
                ),
                channel,
            ).verb  # fmt: skip

        verbs = [ask("RCPT", recipient) for recipient in recipients]
        return ask("END-OF-MESSAGE", count=len(recipients)) is Verb.PASS and set(verbs) == {Verb.PASS}

    def send(self, recipients: Sequence[str], dead: int = 0) -> bool:
        """One message, whose last recipients do not exist; whether it went."""
        if not self.mail(recipients):
            return False
        self.world.wait(2)
        message = Message(self.world.at, "mx1", "4Xy1")
        message.kind, message.name = KEY.split(":")
        for i, recipient in enumerate(recipients):
            if i < len(recipients) - dead:
                self.world.engine.observe(Delivered(self.world.at, message, recipient, RELAY))
            else:
                self.world.engine.observe(Bounced(self.world.at, message, recipient, RELAY, "", UNKNOWN))
        return True

    @property
    def signals(self) -> dict[str, str]:
        return {found.signal: found.text for found in self.world.weigh(KEY)[1]}


def test_as_many_as_ever_but_all_at_once_slow_it() -> None:
    one_by_one, at_once = Site(), Site()
    assert all(one_by_one.send([stranger]) for stranger in strangers(CUSTOMERS))
    assert not at_once.send(strangers(CUSTOMERS))


def test_why_is_told_in_words() -> None:
    site = Site()
    assert site.send(strangers(5))
    assert site.signals["fan-out"] == "5 new recipients in 1 message, it writes to one at a time"


def test_a_hijacked_script_is_paused_by_the_first_message_that_comes_back() -> None:
    site = Site()
    gone = 0
    for begin in range(0, 2000, 20):
        gone += 20 * site.send(strangers(20, begin), dead=3)
        site.world.wait(8)
    assert gone <= 20
    assert site.world.sender(KEY).standing.state is State.PAUSED


def test_a_letter_to_all_members_by_blind_copies_waits_for_the_first_forty_and_goes() -> None:
    """Whose outcomes are known within seconds; one of eighty does not exist."""
    site = Site()
    waiting = [strangers(40, begin) for begin in range(0, 800, 40)]
    for _ in range(3):
        waiting = [members for i, members in enumerate(waiting) if not site.send(members, dead=i % 2)]
        site.world.wait(300)
    assert waiting == [] and site.world.sender(KEY).standing.state is State.OPEN


def test_the_next_letter_of_a_site_that_has_sent_some_is_nothing_special() -> None:
    site = Site()
    for week in range(3):
        for begin in (0, 40):
            members = strangers(40, 1000 * week + begin)
            while not site.send(members):
                site.world.wait(300)
        for day in range(7):
            site.shop(100 + 7 * week + day)
    assert site.send(strangers(5, 9000))
    assert "fan-out" not in site.signals
