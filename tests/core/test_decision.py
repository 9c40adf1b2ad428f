"""Decisions and their references, and the sentences about them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.decision import PASS, Refusal, read_reference, reference
from penstock.core.explain import refusal_sentence, standing_sentence, when, window
from penstock.core.policy import Verb
from penstock.core.standing import INITIAL, Standing, State

T0 = 1_700_000_000.0
ALPHABET = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(st.text(max_size=50), st.text(max_size=50), st.floats(0, 4e9))
def test_a_reference_is_short_readable_and_the_same_again(sender: str, rule: str, at: float) -> None:
    sender = sender.encode("utf-8", "replace").decode()
    rule = rule.encode("utf-8", "replace").decode()
    found = reference(sender, rule, at)
    assert len(found) == 9
    assert found[4] == "-"
    assert set(found.replace("-", "")) <= ALPHABET
    assert found == reference(sender, rule, at)
    for typed in (
        found,
        found.lower(),
        found.replace("-", ""),
        f" ref {found} ",
        f"(ref {found})",
        f"[{found}],",
    ):
        assert read_reference(typed) == found


def test_letters_that_look_alike_are_read_as_meant() -> None:
    assert read_reference("K7F3-9QX2") == "K7F3-9QX2"
    assert read_reference("o0il-1234") == "0011-1234"


@given(st.text(max_size=40))
def test_any_text_can_be_read_as_a_reference(text: str) -> None:
    assert isinstance(read_reference(text), str)


def test_references_of_many_stretches_differ() -> None:
    found = {reference(f"login:{i}", "limit:recipients 200/h", T0 + i % 7) for i in range(20_000)}
    assert len(found) == 20_000


LIMIT: dict[str, str | int | float] = {
    "unit": "recipients",
    "limit": "200/h",
    "window": 3600,
    "allowed": 200,
    "used": 200,
    "profile": "personal",
}
REFUSAL = Refusal("AAAA-BBBB", "login:a", "limit:recipients 200/h", "defer", False, T0, T0 + 60, LIMIT, 12)


def test_a_limit_is_explained_with_its_figures() -> None:
    assert refusal_sentence(REFUSAL) == (
        "12 recipients of login:a were deferred between 2023-11-14T22:13:20Z and 2023-11-14T22:14:20Z: "
        "it had sent 200 recipients within an hour; profile personal allows 200 (200/h)."
    )


def test_one_recipient_in_shadow_mode() -> None:
    shadow = replace(REFUSAL, shadow=True, recipients=1, last_at=T0)
    assert refusal_sentence(shadow).startswith(
        "1 recipient of login:a would have been deferred at 2023-11-14T22:13:20Z: "
    )


@pytest.mark.parametrize(
    "figures, words",
    [
        ({**LIMIT, "because": "lowered because it is new (2 days)"}, "lowered because it is new (2 days)"),
        ({**LIMIT, "override": 1}, "the exception for this sender allows 200"),
        ({**LIMIT, "unit": "bytes", "limit": "2MB/h"}, "it had sent 200 KiB within an hour"),
        (
            {"state": "paused", "since": T0, "by": "admin:a", "why": "spam", "until": T0 + 60},
            "it is paused since 2023-11-14T22:13:20Z by admin:a, until 2023-11-14T22:14:20Z: spam",
        ),
    ],
)
def test_causes(figures: dict[str, str | int | float], words: str) -> None:
    assert words in refusal_sentence(replace(REFUSAL, figures=figures))


def test_a_raised_limit_is_not_called_lowered() -> None:
    """The trusted factor raises a limit: "lowered because" would be untrue."""
    figures = {**LIMIT, "allowed": 400, "used": 400, "because": "raised for 28 clean active days"}
    assert "lowered" not in refusal_sentence(replace(REFUSAL, figures=figures))


@pytest.mark.parametrize("verb", list(Verb))
def test_every_verb_has_its_word(verb: Verb) -> None:
    sentence = refusal_sentence(replace(REFUSAL, verb=f"{verb} smtp:[192.0.2.1]"))
    assert "refused" not in sentence
    assert "192.0.2.1" not in sentence


def test_standings_in_words() -> None:
    assert standing_sentence(INITIAL) == "open"
    paused = Standing(State.PAUSED, T0, "admin:a", "spam", T0 + 3600, State.PROBATION)
    assert standing_sentence(paused) == (
        "paused until 2023-11-14T23:13:20Z, then probation (since 2023-11-14T22:13:20Z by admin:a: spam)"
    )


@pytest.mark.parametrize(
    "seconds, words",
    [(1, "a second"), (60, "a minute"), (90, "90 seconds"), (3600, "an hour"), (5400, "90 minutes")],
)
def test_windows_in_words(seconds: int, words: str) -> None:
    assert window(seconds) == words


def test_times_are_rfc_3339() -> None:
    assert when(0) == "1970-01-01T00:00:00Z"


def test_pass_is_the_pass() -> None:
    assert PASS.verb is Verb.PASS
    assert not PASS.reference
