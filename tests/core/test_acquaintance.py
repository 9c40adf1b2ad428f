"""Who has met whom: filters of fixed size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.acquaintance import BITS_A_PAIR, Acquaintance, kind_of

SIZE = 1 << 14
"""Bytes: 6,553 pairs in each filter."""

CAPACITY = SIZE // 2 * 8 // BITS_A_PAIR

names = st.text(max_size=20)


def pair_of(acquaintance: Acquaintance, kind: str, sender: str, other: str) -> int:
    return kind_of(kind) ^ acquaintance.number(f"sender {sender}") ^ acquaintance.number(other)


def met(acquaintance: Acquaintance, n: int, who: str = "alice") -> list[int]:
    """So many pairs meet; their numbers."""
    pairs = [pair_of(acquaintance, "r", who, f"r{i}@example.net") for i in range(n)]
    for pair in pairs:
        acquaintance.meet(pair)
    return pairs


def strangers(acquaintance: Acquaintance, n: int = 20_000) -> int:
    """How many of so many pairs that never met are taken for met."""
    return sum(acquaintance.knows(pair_of(acquaintance, "r", "mallory", f"s{i}")) for i in range(n))


def test_who_has_met_knows_each_other_and_nobody_else() -> None:
    acquaintance = Acquaintance(b"key", SIZE)
    assert strangers(acquaintance, 1000) == 0
    pair = pair_of(acquaintance, "r", "alice", "bob@example.net")
    assert not acquaintance.meet(pair)
    assert acquaintance.meet(pair) and acquaintance.knows(pair)
    assert acquaintance.met == 1
    for kind, sender, other in (("r", "bob@example.net", "alice"), ("d", "alice", "bob@example.net")):
        assert not acquaintance.knows(pair_of(acquaintance, kind, sender, other))


@given(st.lists(st.tuples(names, names, names), max_size=50))
@settings(max_examples=50, deadline=None)
def test_nobody_who_has_met_is_ever_a_stranger(pairs: list[tuple[str, str, str]]) -> None:
    """Whatever the names hold, lone surrogates of a log's odd bytes too."""
    acquaintance = Acquaintance(b"key", SIZE)
    odd = [*pairs, ("r", "a\udcff", "b\udc80")]
    for pair in odd:
        acquaintance.meet(pair_of(acquaintance, *pair))
    assert all(acquaintance.knows(pair_of(acquaintance, *pair)) for pair in odd)


def test_few_strangers_pass_for_acquaintances_when_it_is_fullest() -> None:
    """Both filters full, just before the older one is thrown away."""
    acquaintance = Acquaintance(b"key", SIZE)
    met(acquaintance, 2 * CAPACITY)
    assert acquaintance.met > 0.9 * CAPACITY
    assert strangers(acquaintance) < 0.02 * 20_000


def test_memory_is_fixed_whatever_is_met() -> None:
    acquaintance = Acquaintance(b"key", SIZE)
    before = [len(part) for part in acquaintance.pack()[:2]]
    met(acquaintance, 20 * CAPACITY)
    assert [len(part) for part in acquaintance.pack()[:2]] == before == [SIZE // 2] * 2
    assert acquaintance.met <= CAPACITY
    assert strangers(acquaintance) < 0.02 * 20_000


def test_what_is_not_met_again_is_forgotten_and_what_is_in_use_stays() -> None:
    acquaintance = Acquaintance(b"key", SIZE)
    [used, unused] = met(acquaintance, 2)
    for generation in range(4):
        met(acquaintance, CAPACITY, f"flood{generation}")
        assert acquaintance.meet(used)
    assert not acquaintance.knows(unused)


def test_nothing_is_forgotten_before_a_filter_has_filled_once_more() -> None:
    acquaintance = Acquaintance(b"key", SIZE)
    pairs = met(acquaintance, CAPACITY // 2)
    met(acquaintance, CAPACITY, "others")
    assert all(acquaintance.knows(pair) for pair in pairs)


def test_the_key_decides_which_bits_are_used() -> None:
    """Who does not know it can neither look for collisions nor read who met whom."""
    mine, theirs = Acquaintance(b"mine", SIZE), Acquaintance(b"theirs", SIZE)
    assert mine.number("a") != theirs.number("a")
    met(mine, 100)
    theirs.load(*mine.pack())
    known = [theirs.knows(pair_of(theirs, "r", "alice", f"r{i}@example.net")) for i in range(100)]
    assert sum(known) <= 2


def test_what_is_packed_is_taken_up() -> None:
    old, new = Acquaintance(b"key", SIZE), Acquaintance(b"key", SIZE)
    pairs = met(old, CAPACITY + 100)
    new.load(*old.pack())
    assert new.pack() == old.pack()
    assert all(new.knows(pair) for pair in pairs)
    met(new, 10, "bob")
    assert new.pack() != old.pack()


def test_filters_of_another_size_are_refused_and_change_nothing() -> None:
    acquaintance = Acquaintance(b"key", SIZE)
    [pair] = met(acquaintance, 1)
    with pytest.raises(ValueError, match="another size"):
        acquaintance.load(*Acquaintance(b"key", 2 * SIZE).pack())
    assert acquaintance.knows(pair) and acquaintance.met == 1


def test_the_same_meetings_give_the_same_filters() -> None:
    one, two = Acquaintance(b"key", SIZE), Acquaintance(b"key", SIZE)
    assert met(one, 500) == met(two, 500)
    assert one.pack() == two.pack()
