"""All questions about a message at once are answered as one after the other."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from penstock.core.acquaintance import Acquaintance
from penstock.core.events import Attempt
from penstock.core.evidence import Detection
from penstock.core.flight import Channel
from penstock.core.ledger import Counter
from penstock.core.policy import Action, Entry, PauseRule, Policy, Verb
from penstock.core.standing import State
from penstock.engine import Engine
from penstock.study.asking import AskedAtOnce
from penstock.study.memory import Memory
from support import FakeDirectory, limits, policy

T0 = 1_767_571_200.0
ENTRIES = {"login:a@example.com": Entry(customer="1"), "login:b@example.com": Entry(customer="1")}
WHO = ("login:a@example.com", "login:b@example.com", "uid:33")


def at_once(engine: AskedAtOnce, a: Attempt, people: list[str]) -> list[tuple[str, str, str]]:
    return [(who, found.verb, found.rule) for who, found in engine.decide_all(a, people, Channel(""))]


def one_by_one(engine: Engine, a: Attempt, people: list[str], number: int) -> list[tuple[str, str, str]]:
    """As Postfix asks."""
    channel = Channel("")
    stopped = []
    for who in people:
        found = engine.decide(a._replace(stage="RCPT", recipient=who, instance=f"{number:x}"), channel)
        if found.stops:
            stopped.append((who, str(found.verb), found.rule))
    if len(stopped) < len(people):
        end = a._replace(recipient_count=len(people) - len(stopped), instance=f"{number:x}")
        found = engine.decide(end, channel)
        if found.stops:
            return [(who, str(found.verb), found.rule) for who in people]
    if stopped and stopped[-1][1] in ("hold", "discard"):  # which holds for the whole message
        return [(who, *stopped[-1][1:]) for who in people]
    return stopped


def engines(rules: Policy) -> tuple[AskedAtOnce, Engine]:
    made = []
    for kind in (AskedAtOnce, Engine):
        memory, met = Memory(), Acquaintance(b"test", 1 << 16)
        made.append(kind(rules, FakeDirectory(ENTRIES), memory, memory, memory, memory, met, 0.0))
    return made[0], made[1]  # type: ignore[return-value]


messages = st.lists(
    st.tuples(
        st.sampled_from(WHO), st.integers(1, 30), st.integers(0, 40), st.sampled_from((1, 20, 400, 4000)),
        st.integers(0, 3_000_000),
    ),
    max_size=25,
)  # fmt: skip
bounds = st.lists(
    st.sampled_from(["9/m", "25/h", "60/d", "messages 3/m", "messages 8/h", "bytes 4MB/h", "shadow 12/h"]),
    max_size=4,
    unique_by=lambda text: text,
)


@given(
    messages,
    bounds,
    st.sampled_from([Verb.DEFER, Verb.HOLD, Verb.REJECT, Verb.MARK]),
    st.sampled_from([Verb.DEFER, Verb.HOLD]),
    st.sampled_from(["off", "shadow", "enforce", "eager"]),
)
@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_the_answers_and_the_counts_are_the_same(
    sent: list[tuple[str, int, int, int, int]], written: list[str], over: Verb, paused: Verb, mode: str
) -> None:
    rules = policy(
        *written,
        over_limit=Action(over, "X-Over: yes" if over is Verb.MARK else ""),
        paused=Action(paused),
        pauses=(PauseRule(limits("refused 40/h")[0], 1800),),
        parent_limits=limits("45/h"),
    )
    eager = mode == "eager"  # a little evidence pauses
    rules = replace(rules, detection=Detection("enforce", 3_000, 0.05) if eager else Detection(mode))
    quick, plain = engines(rules)
    for engine in (quick, plain):
        engine.detector.dead(engine.roster.get("login:c@example.com", T0), "gone@example.net", "", T0, False)
    at = T0
    for number, (sender, n, start, gap, size) in enumerate(sent):
        at += gap
        people = [f"r{i}@example.net" for i in range(start, start + n)]
        a = Attempt(
            at, "", "END-OF-MESSAGE", "192.0.2.7", "a@example.com", "", 0, "", "", size, "", "", sender
        )
        assert at_once(quick, a, people) == one_by_one(plain, a, people, number)
    for key, sender_found in plain.roster.senders.items():
        other = quick.roster.senders[key]
        assert list(other.ledger.counts()) == list(sender_found.ledger.counts())
        assert other.standing == sender_found.standing
        one, two = (engine.casework.incidents.of(key) for engine in (quick, plain))
        assert (one.stopped if one else 0) == (two.stopped if two else 0)
        cases = [engine.detector.cases.get(key) for engine in (quick, plain)]
        assert len({tuple(case.under_way) if case else None for case in cases}) == 1
    stretches = [
        {code: each.recipients for code, each in engine.refusals.by_reference.items()}
        for engine in (quick, plain)
    ]
    assert stretches[0] == stretches[1]


def test_what_was_held_already_is_not_stopped_twice() -> None:
    """Nobody brings it again: it only stays where it is."""
    quick, _ = engines(policy("9/h", paused=Action(Verb.HOLD)))
    quick.roster.change_standing(WHO[2], State.PAUSED, T0, "admin:a", "spam", None, State.OPEN)
    a = Attempt(T0, "", "END-OF-MESSAGE", "192.0.2.7", "a@example.com", "", 0, "", "", 100, "", "", WHO[2])
    people = [f"r{i}@example.net" for i in range(7)]
    for released in (False, True, True):
        assert len(quick.decide_all(a, people, Channel(""), released)) == 7
    assert quick.roster.get(WHO[2], T0).ledger.total(Counter.STOPPED, int(T0), 3600) == 7
    assert [each.recipients for each in quick.refusals.by_reference.values()] == [7]
