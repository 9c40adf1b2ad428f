"""The same text from many accounts: a campaign is seen, honest equals are left in peace."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pytest

from engine.people import DAY, HOUR, RELAY, rules
from penstock.core.events import Attempt, Delivered, Message
from penstock.core.fingerprint import KEY_BYTES, Fingerprint, Printer, hosts_of, words_of
from penstock.core.flight import ASKS_END
from penstock.core.ledger import Counter
from penstock.core.limits import Unit, parse_limit
from penstock.core.policy import Entry, Profile, Verb
from penstock.core.sender import Sender
from penstock.core.standing import State, change
from penstock.engine import fingerprints
from penstock.engine.fingerprints import MOST_USES, Fingerprints
from penstock.signals.view import Alike
from support import World
from wire.content.mails import ABSENCE, INVITATION, INVOICE, PITCH, personal, story

PRINTER = Printer(bytes(KEY_BYTES))
CHANCE = random.Random(7)


class Author:
    """Somebody who writes mail, one message to all its recipients, which arrives at once."""

    def __init__(self, world: World, login: str, number: int) -> None:
        self.world = world
        self.key = f"login:{login}"
        self.smtpd = world.smtpd(login)
        self.smtpd.address = f"192.{number % 200}.2.7"
        self.friends = [f"friend{i}@{login.replace('@', '.')}.example" for i in range(8)]
        self.met = 0

    def post(self, recipients: Iterable[str], text: str, score: float = 0.0) -> Verb:
        """What the end of the message is answered."""
        smtpd, to = self.smtpd.mail(), list(recipients)
        passed = [one for one in to if smtpd.rcpt(one) == [Verb.PASS]]
        found = PRINTER.take(words_of(text), hosts_of(text))
        end = self.world.engine.decide(self._end(len(passed), found, score), smtpd.channel)
        message = Message(self.world.at, "mx1", "4Xy1")
        message.kind, message.name = "login", self.key.partition(":")[2]
        for one in passed if not end.stops else ():
            self.world.engine.observe(Delivered(self.world.at, message, one, RELAY))
        self.world.wait(1)
        return end.verb

    def _end(self, count: int, found: Fingerprint, score: float) -> Attempt:
        s, at = self.smtpd, self.world.at
        return Attempt(
            at,
            s.host,
            "END-OF-MESSAGE",
            s.address,
            s.envelope,
            "",
            count,
            "",
            s.instance,
            900,
            s.login,
            ASKS_END,
            fingerprint=found if found.text or found.hosts else None,
            score=score,
        )

    def strangers(self, n: int) -> list[str]:
        """So many whom nobody has met."""
        self.met += n
        return [f"s{i}.{self.key[6:].replace('@', '.')}@example.net" for i in range(self.met - n, self.met)]

    def spam(self, n: int = 6, text: str = PITCH) -> list[Verb]:
        """A copy of a text to each of so many strangers."""
        return [self.post([one], personal(text, CHANCE)) for one in self.strangers(n)]

    def stand(self, state: State) -> None:
        """An administrator decides."""
        new = change(self.sender.standing, state, self.world.at, "admin:test", "asked", None)
        self.world.engine.roster.set_standing(self.sender, new)

    @property
    def sender(self) -> Sender:
        return self.world.sender(self.key)

    @property
    def alike(self) -> Alike:
        return self.world.engine.detector.weighing.view(self.sender, self.world.at).alike

    @property
    def weight(self) -> float:
        """What the signal says of it."""
        found = self.world.weigh(self.sender.key)[1]
        return sum(one.weight for one in found if one.signal == "content")


def town(n: int = 6, days: int = 9, mode: str = "enforce", domain: str = "") -> list[Author]:
    """People of different domains, who have written to their friends for some days."""
    world = World(rules(mode))
    people = [Author(world, f"user{i}@{domain or f'house{i}.example'}", i) for i in range(n)]
    for day in range(days):
        for i, one in enumerate(people):
            one.post([*one.friends, *one.strangers(1)], story(random.Random(100 * day + i), 60))
        world.wait(DAY - n)
    return people


def test_one_spam_from_five_accounts_is_one_campaign() -> None:
    people = town()
    for one in people[:5]:
        one.spam(6)
    assert [one.alike.texts for one in people[:5]] == [5] * 5
    assert people[0].alike.recipients == 30 and people[0].alike.links == 5
    assert all(one.weight >= 4 for one in people[:5])
    incidents = people[0].world.engine.casework.incidents
    (found,) = {incidents.of(one.key).id: incidents.of(one.key) for one in people[:5]}.values()  # type: ignore[union-attr]
    assert found is not None and found.campaign.startswith(("text:", "link:"))
    assert people[5].weight == 0 and incidents.of(people[5].key) is not found


@pytest.mark.parametrize("at_once", [True, False])
def test_a_second_copy_makes_nobody_an_acquaintance(at_once: bool) -> None:
    people = town()
    for one in people[:5]:
        strangers = one.strangers(6)
        for recipient in [each for each in strangers for _ in "12"] if at_once else strangers * 2:
            one.post([recipient], personal(PITCH, CHANCE))
    assert min(one.weight for one in people[:5]) > 3


def test_the_first_accounts_are_looked_at_when_the_others_follow() -> None:
    people = town()
    people[0].spam(4)
    assert people[0].key not in people[0].world.engine.detector.cases
    for one in people[1:5]:
        one.spam(4)
    assert people[0].key in people[0].world.engine.detector.cases


def test_texts_written_anew_that_lead_to_one_shop() -> None:
    people = town()
    for i, one in enumerate(people[:4]):
        for n, to in enumerate(one.strangers(4)):
            one.post([to], f"{story(random.Random(1000 + 10 * i + n), 80)} https://t{n}.new.example/{i}")
    assert people[0].alike.texts == 0 and people[0].alike.links == 4
    assert 2 <= people[0].weight <= 2.5


def quiet(people: list[Author]) -> bool:
    """Whether nobody is under suspicion for what he wrote."""
    return all(one.weight == 0 for one in people) and not people[0].world.engine.detector.cases


def test_a_letter_that_many_forward_to_friends_is_quiet() -> None:
    people = town(10)
    for one in people:
        one.post([*one.friends[:4], *one.strangers(1)], f"{INVITATION}\n\nBest wishes, {one.key}")
    assert quiet(people)


def test_newsletters_that_are_forwarded_to_one_or_two_are_quiet() -> None:
    people = town(10)
    for one in people:
        one.post(one.strangers(2), f"Look at this!\n{PITCH} https://www.news.example/{one.key}")
    assert quiet(people)


def test_invoices_of_one_software_go_to_customers() -> None:
    people = town(8)
    for one in people:
        for to in (*one.friends, *one.strangers(2)):
            one.post([to], f"{INVOICE} Invoice {CHANCE.randrange(10**6)} {to}")
    assert quiet(people)


@pytest.mark.parametrize("text", [ABSENCE, INVOICE])
def test_what_was_sent_the_day_before_is_a_template(text: str) -> None:
    """Answers of a mail program, order confirmations: to strangers only."""
    people = town(8)
    for one in people[:2]:
        one.spam(4, text)
    people[0].world.wait(1.5 * DAY)
    for day in range(3):
        for one in people[2:] if day else people[2:3]:
            one.spam(4, text)
            assert one.weight == 0
        people[0].world.wait(DAY)
    assert quiet(people)


def test_templates_outlive_a_restart() -> None:
    people = town(6)
    engine = people[0].world.engine
    for one in people[:2]:
        one.spam(4)
    people[0].world.wait(1.2 * DAY)
    people[0].spam(1)
    texts = Fingerprints(people[0].world.acquaintance, engine.roster, engine._book)
    engine.detector._familiar.texts = engine.detector.texts = texts
    engine.detector.read = partial(texts.read, engine.detector._look)
    for one in people[1:]:
        one.spam(5)
    assert all(one.weight == 0 for one in people)


@pytest.mark.parametrize("text", ["", "Sent from my telephone", "Thanks, see you tomorrow!\n\nAlice"])
def test_short_mails_are_quiet(text: str) -> None:
    people = town(8)
    for one in people:
        for to in one.strangers(4):
            one.post([to], text)
    assert quiet(people)


def test_colleagues_count_by_a_quarter() -> None:
    people = town(5, domain="firm.example")
    for one in people:
        one.spam(4)
    assert people[0].alike.texts == pytest.approx(2.0)
    assert 0 < people[0].weight < 2


def test_senders_of_one_customer_are_one() -> None:
    people = town(5)
    for one in people:
        one.world.directory.entries[one.key] = Entry(customer="4711")
        one.world.engine.roster.refresh(one.key)
        one.spam(4)
    assert quiet(people)


def test_in_the_first_days_nothing_is_known_of_templates() -> None:
    people = town(5, days=1)
    for one in people:
        one.spam(4)
    assert all(one.weight == 0 for one in people)


def test_a_text_that_somebody_was_paused_for_is_tainted_until_it_was_the_owner() -> None:
    people = town()
    thief, other = people[0], people[1]
    thief.spam(4)
    detector = thief.world.engine.detector
    detector._familiar.taint(thief.sender, thief.world.at)
    thief.world.wait(HOUR)
    other.spam(3)
    assert other.alike.tainted and other.weight >= 4
    thief.world.engine.detector.pardon(thief.sender, thief.world.at)
    assert not other.alike.tainted and other.weight == 0


def test_an_incident_s_text_does_not_become_a_template() -> None:
    people = town()
    people[0].spam(4)
    people[0].world.engine.detector._familiar.taint(people[0].sender, people[0].world.at)
    for _ in range(8):
        people[0].world.wait(5 * HOUR)
        people[1].spam(3)
    assert people[1].alike.tainted


def test_what_was_before_a_decision_about_the_sender_does_not_count() -> None:
    people = town()
    for one in people[:3]:
        one.spam(4)
    assert people[0].weight > 0
    people[0].world.wait(60)
    people[0].stand(State.PAUSED)
    people[0].stand(State.OPEN)
    assert people[0].weight == 0 and people[1].weight > 0


def test_it_is_forgotten_after_hours() -> None:
    people = town()
    people[0].spam(4)
    people[0].world.wait(14 * HOUR)
    people[2].spam(1, INVITATION)
    people[0].world.wait(14 * HOUR)
    people[1].spam(4)
    assert people[1].alike.texts == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MOST_KEYS", 500)
    monkeypatch.setattr(fingerprints, "MOST_SENDERS", 10)
    people = town(20, days=1, mode="shadow")
    texts = people[0].world.engine.detector.texts
    for n in range(300):
        people[n % 20].post(
            people[n % 20].strangers(1), story(random.Random(n), 60) + f" http://h{n}.example/"
        )
        assert len(texts) <= 2 * (500 + 32)
    assert len(texts._latest) <= 10


def test_a_text_remembers_so_many_senders() -> None:
    people = town(MOST_USES + 8, days=1, mode="shadow")
    for one in people:
        one.post(one.strangers(1), PITCH)
    texts = people[0].world.engine.detector.texts
    assert max(len(text.uses) for text in texts._young.values()) == MOST_USES


def test_a_high_score_is_counted_and_a_low_one_is_not() -> None:
    people = town(2, days=1)
    for score, counted in ((0.0, 0), (0.99, 0), (1.0, 1), (30.0, 2)):
        people[0].post(people[0].strangers(1), "", score)
        assert people[0].sender.ledger.total(Counter.SPAM_SCORED, int(people[0].world.at), 3600) == counted
    assert people[0].sender.ledger.total(Counter.SPAM_SCORED, int(people[0].world.at), 3600) == 2


def test_what_a_limit_refuses_comes_again_and_counts_once() -> None:
    plain = Profile("plain", (parse_limit("1kb/h", Unit.BYTES),))
    world = World(replace(rules("shadow"), profiles={"plain": plain, "newsletter": plain}))
    author = Author(world, "a@house.example", 1)
    assert author.post(author.friends[:1], PITCH, 9.0) is Verb.PASS
    for _ in range(5):
        assert author.post(author.friends[1:2], PITCH, 9.0) is Verb.DEFER
    assert author.sender.ledger.total(Counter.SPAM_SCORED, int(world.at), 3600) == 1


def test_without_detection_nothing_is_kept() -> None:
    people = town(2, days=1, mode="off")
    people[0].post(people[0].strangers(5), PITCH, 9.0)
    assert len(people[0].world.engine.detector.texts) == 0
    assert people[0].sender.ledger.total(Counter.SPAM_SCORED, int(people[0].world.at), 3600) == 0


def test_a_paused_sender_s_message_is_stopped_at_its_end() -> None:
    people = town()
    assert people[0].post(people[0].friends, PITCH) is Verb.PASS
    smtpd = people[0].smtpd.mail()
    assert smtpd.rcpt(*people[0].friends[:1]) == [Verb.PASS]
    people[0].stand(State.PAUSED)
    found = PRINTER.take(words_of(PITCH), ())
    assert people[0].world.engine.decide(people[0]._end(1, found, 0.0), smtpd.channel).stops
