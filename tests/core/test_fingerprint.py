"""Words of a mail: ASCII is read by a pattern of its own, which must find the same."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.fingerprint import words_of

TOKENS = st.text(st.sampled_from(string.printable), max_size=24)


@given(st.lists(TOKENS, max_size=20).map(" ".join))
def test_words_of_ascii_are_those_of_the_same_text_among_others(text: str) -> None:
    shorter = text[:2000]
    assert [*words_of(shorter), "größer"] == words_of(f"{shorter} größer")


def test_what_is_a_word() -> None:
    assert words_of("Hi, Bob_1! don't a2b x" + "y" * 20 + " visit http://a.example or MAIL me@b.example") == [
        "don",
        "visit",
        "mail",
    ]
