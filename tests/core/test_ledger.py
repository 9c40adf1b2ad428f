"""The ledger against a plain list of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.habit import QUARTER
from penstock.core.ledger import KEEP, MOST_ENTRIES, SLOT, Counter, Ledger, whole, window_since

T0 = 1_700_000_000
HOUR, DAY = 3600, 86400
R, M, K = Counter.RECIPIENTS, Counter.MESSAGES, Counter.KIB
WINDOWS = (1, 5, 7, 60, 600, 3600, 7200, 6 * 3600, DAY, 2 * DAY, 7 * DAY, 30 * DAY, KEEP)

Event = tuple[int, int, int]
"""Second, counter, count."""

gaps = st.one_of(
    st.integers(0, 12),
    st.integers(20, 400),
    st.integers(3000, 9000),
    st.integers(DAY // 2, 3 * DAY),
    st.just(40 * DAY),
)
lateness = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 4000), st.integers(0, 3 * DAY))
counters = st.sampled_from([R, R, R, M, K])


def resolution(age: int) -> int:
    """Seconds of a slot at that age, from the head comment of the module."""
    for upto, width in ((120, 5), (7200, 60), (2 * DAY, 900)):
        if age <= upto:
            return width
    return 6 * 3600


def check(ledger: Ledger, events: list[Event], now: int, newest: int) -> None:
    """Never less than the window, never more than the window and one slot."""
    for counter in (R, M, K):
        mine = [(at, n) for at, c, n in events if c == counter]
        for window in WINDOWS:
            total = ledger.total(counter, now, window)
            least = sum(n for at, n in mine if now - window < at <= now)
            most = sum(n for at, n in mine if at > now - window - SLOT - resolution(newest + SLOT - at))
            assert least <= total <= most, (counter, window, least, total, most)


@st.composite
def histories(draw: st.DrawFn, most: int = 60) -> list[Event]:
    """Events as they arrive: mostly in order, some late, with gaps of all sizes."""
    now = T0
    found: list[Event] = []
    for _ in range(draw(st.integers(1, most))):
        now += draw(gaps)
        at = now - draw(lateness)
        found += [(at, draw(counters), draw(st.integers(1, 50)))] * draw(st.sampled_from([1, 1, 3]))
    return found


@given(histories(), st.integers(0, 3 * DAY))
@settings(max_examples=40, deadline=None)
def test_a_window_is_never_counted_short_and_at_most_one_slot_long(events: list[Event], later: int) -> None:
    ledger = Ledger()
    seen: list[Event] = []
    newest = 0
    for at, counter, n in events:
        ledger.add(counter, at, n)
        seen.append((at, counter, n))
        newest = max(newest, at)
    check(ledger, seen, newest, newest)
    ledger.coarsen(newest)
    check(ledger, seen, newest, newest)
    ledger.coarsen(newest + later)
    check(ledger, seen, newest + later, newest + later)


@given(histories(most=20))
@settings(max_examples=40, deadline=None)
def test_coarsening_at_any_moment_keeps_the_promise(events: list[Event]) -> None:
    ledger = Ledger()
    newest = 0
    for i, (at, counter, n) in enumerate(events):
        ledger.add(counter, at, n)
        newest = max(newest, at)
        ledger.coarsen(at)
        check(ledger, events[: i + 1], newest, newest)


@given(histories(), st.integers(0, 2 * DAY))
@settings(max_examples=40, deadline=None)
def test_a_clock_that_goes_back_never_counts_short(events: list[Event], back: int) -> None:
    ledger = Ledger()
    for at, counter, n in events:
        ledger.add(counter, at, n)
    newest = max(at for at, _, _ in events)
    ledger.coarsen(newest)
    check(ledger, events, newest - back, newest)


@given(histories(), histories())
@settings(max_examples=40, deadline=None)
def test_merged_ledgers_count_what_both_counted(mine: list[Event], theirs: list[Event]) -> None:
    a, b = Ledger(), Ledger()
    for ledger, events in ((a, mine), (b, theirs)):
        for at, counter, n in events:
            ledger.add(counter, at, n)
    newest = max(at for at, _, _ in mine + theirs)
    a.merge(b)
    check(a, mine + theirs, newest, newest)


@given(histories())
@settings(max_examples=40, deadline=None)
def test_packing_keeps_every_figure(events: list[Event]) -> None:
    ledger = Ledger()
    for at, counter, n in events:
        ledger.add(counter, at, n) if counter == K else ledger.mail(at, n, 1)
    newest = max(at for at, _, _ in events)
    again = Ledger(ledger.pack())
    assert list(again.counts()) == list(ledger.counts())
    assert again.last_at() == ledger.last_at() <= newest
    for counter in (R, M, K):
        for window in WINDOWS:
            assert again.total(counter, newest, window) == ledger.total(counter, newest, window)


def test_packing_a_ledger_keeps_the_slot_that_is_filling() -> None:
    ledger = Ledger()
    ledger.mail(T0, 3, 1)
    assert Ledger(ledger.pack()).total(R, T0, 60) == 3
    ledger.mail(T0, 2, 0)
    assert ledger.total(R, T0, 60) == 5


mails = st.lists(
    st.tuples(st.integers(-30, 30), st.integers(0, 4), st.integers(0, 2), st.booleans()), max_size=10
)


@given(mails)
@settings(max_examples=100, deadline=None)
def test_mail_equals_two_additions(steps: list[tuple[int, int, int, bool]]) -> None:
    """Also when part of it is given back at once."""
    quick, plain = Ledger(), Ledger()
    at = T0
    for move, recipients, messages, refund in steps:
        at += move
        quick.mail(at, recipients, messages)
        plain.add(R, at, recipients)
        plain.add(M, at, messages)
        if refund:
            for ledger in (quick, plain):
                ledger.add(R, at, -recipients)
                ledger.add(M, at, -messages)
        for counter in (R, M):
            for window in (1, 30, 600):
                assert quick.total(counter, at, window) == plain.total(counter, at, window)


@st.composite
def charges(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """(seconds since the last, charged, of which given back at the end)."""
    found = []
    for _ in range(draw(st.integers(1, 25))):
        n = draw(st.integers(1, 20))
        found.append((draw(st.one_of(st.integers(0, 90), st.integers(0, DAY))), n, draw(st.integers(0, n))))
    return found


@given(charges(), st.lists(st.integers(0, 3 * DAY), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_is_given_back_is_gone_and_nothing_else(
    steps: list[tuple[int, int, int]], coarsenings: list[int], order: object
) -> None:
    """Charges, coarsening at several ages, then the refunds in any order: the rest is exact."""
    ledger = Ledger()
    at, refunds, left = T0, [], 0
    for gap, n, back in steps:
        at += gap
        ledger.mail(at, n, 1)
        refunds.append((at, back))
        left += n - back
    for later in sorted(coarsenings):
        ledger.coarsen(at + later)
    order.shuffle(refunds)  # type: ignore[attr-defined]
    for second, back in refunds:
        ledger.add(R, second, -back)
    assert ledger.total(R, at, KEEP) == left
    assert ledger.total(M, at, KEEP) == len(steps)


def test_a_refund_is_whole_when_late_counts_lie_beside_a_coarse_entry() -> None:
    """A message of 20 is charged, its slot is merged, another counts late there, the message dies."""
    ledger = Ledger()
    ledger.mail(T0, 20, 1)
    ledger.mail(T0 + 300, 1, 1)
    ledger.coarsen(T0 + 300)
    ledger.add(R, T0 + 5, 2)
    ledger.add(R, T0, -20)
    assert ledger.total(R, T0 + 300, 3600) == 3


def test_a_refund_never_takes_what_was_counted_much_later() -> None:
    """The charge is forgotten (or was lost in a crash): nothing else may pay for it."""
    ledger = Ledger()
    ledger.add(R, T0, 5)
    ledger.coarsen(T0 + 40 * DAY)
    ledger.add(R, T0 + 40 * DAY, 7)
    ledger.add(R, T0, -5)
    assert ledger.total(R, T0 + 40 * DAY, 3600) == 7


@given(
    st.lists(
        st.tuples(
            st.integers(-DAY, 3 * DAY),
            st.sampled_from([0, 1, 5, 60, 901, -1, -5, -61, -6 * 3600]),
            st.integers(1, 1500),
            st.integers(1, 6),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=12, deadline=None)
def test_memory_is_bounded_whatever_comes(runs: list[tuple[int, int, int, int]]) -> None:
    ledger = Ledger()
    at = T0
    for jump, step, times, kinds in runs:
        at += jump
        for i in range(times):
            at += step
            ledger.add(Counter(i % kinds), at, 1)
            ledger.mail(at, 1, 1)
    assert len(ledger) <= MOST_ENTRIES + 256
    assert len(ledger.pack()) <= 8 * (MOST_ENTRIES + 256)


def busy(kinds: tuple[Counter, ...], days: int) -> tuple[Ledger, int, int]:
    """A machine that never stops for so many days: a count for each slot that its age has."""
    ledger = Ledger()
    end = T0 + days * DAY
    seconds = [*range(T0, end - 2 * DAY, 3600), *range(end - 2 * DAY, end - 7200, 600)]
    seconds += range(end - 7200, end, SLOT)
    for at in seconds:
        for kind in kinds:
            ledger.add(kind, at, 1)
    return ledger, end, len(seconds)


@pytest.mark.parametrize("kinds", [(R,), (R, M, K), tuple(Counter)], ids=["one", "mail", "all"])
def test_a_sender_that_never_stops_is_not_counted_short(kinds: tuple[Counter, ...]) -> None:
    """Head comment: "at most 200 in any hour" holds: for every window, whatever else is counted."""
    ledger, end, times = busy(kinds, 31)
    assert ledger.total(R, end, 2 * 3600) >= 7200 // SLOT
    assert ledger.total(R, end, DAY) >= 7200 // SLOT + 22 * 6
    assert ledger.total(R, end, KEEP) == times
    assert ledger.active_days(R, end) >= 30


@given(histories(most=25), st.integers(0, 200), st.sampled_from(WINDOWS), st.sampled_from([R, M]))
@settings(max_examples=100, deadline=None)
def test_room_at_is_the_first_second_at_which_it_fits(
    events: list[Event], most: int, window: int, counter: Counter
) -> None:
    ledger = Ledger()
    for at, kind, n in events:
        ledger.add(kind, at, n) if kind == K else ledger.mail(at, n, 1)
    now = max(at for at, _, _ in events)
    found = ledger.room_at(counter, now, window, most)
    assert found >= now
    assert ledger.total(counter, found, window) <= most
    if found > now:
        assert ledger.total(counter, found - 1, window) > most


def test_counts_saturate_and_never_turn_negative() -> None:
    ledger = Ledger()
    ledger.add(R, T0, 1 << 40)
    assert ledger.total(R, T0, 60) == (1 << 29) - 1
    ledger.add(M, T0, -5)
    assert ledger.total(M, T0, 60) == 0
    ledger.add(M, T0, 2)
    ledger.add(M, T0, -5)
    assert ledger.total(M, T0, 60) == 0


def test_what_is_older_than_the_longest_window_is_forgotten() -> None:
    ledger = Ledger()
    ledger.add(R, T0, 5)
    ledger.coarsen(T0 + KEEP)
    assert len(ledger) == 1
    ledger.coarsen(T0 + KEEP + 6 * 3600)
    assert len(ledger) == 0


def test_a_count_from_a_wrong_clock_does_not_hold_for_ever() -> None:
    """The clock stood in 2036 for a moment: once it is right again, the limit recovers within its window."""
    ledger = Ledger()
    ledger.mail(T0 + 10 * 365 * DAY, 200, 1)
    ledger.mail(T0, 1, 1)
    assert ledger.total(R, T0 + 2 * 3600, 3600) == 0


def test_a_quiet_sender_stays_small() -> None:
    """Head comment: a few mails a day stay below 500 bytes... of entries that are still distinct."""
    ledger = Ledger()
    for day in range(60):
        for hour in (9, 13, 17):
            ledger.mail(T0 + day * DAY + hour * 3600, 2, 1)
    ledger.coarsen(T0 + 60 * DAY)
    assert len(ledger.pack()) <= 32 * 3 * 2 * 8


@given(
    st.integers(0, 40 * DAY),
    st.lists(st.tuples(st.integers(-3 * DAY, 3 * DAY), st.integers(1, 5)), max_size=40),
)
def test_what_happened_before_a_moment_is_in_no_window_since_it(
    age: int, counts: list[tuple[int, int]]
) -> None:
    """However the slots were merged; and what came a quarter of an hour (or 6 hours) later is in it."""
    now = T0 + age
    ledger = Ledger()
    for shift, n in sorted(counts):
        if T0 + shift <= now:
            ledger.add(Counter.BOUNCED, T0 + shift, n)
    ledger.coarsen(now)
    window = window_since(T0, now)
    found = ledger.total(Counter.BOUNCED, now, window) if window > 0 else 0
    after = sum(n for shift, n in counts if 0 <= shift <= age)
    surely = sum(n for shift, n in counts if 6 * 3600 <= shift <= age)
    assert (surely if age <= 31 * DAY else 0) <= found <= after
    if age < 1.5 * DAY:
        assert found >= sum(n for shift, n in counts if 900 <= shift <= age)


def test_order_of_arrival_does_not_matter() -> None:
    forward, backward = Ledger(), Ledger()
    seconds = range(T0, T0 + 100, 3)
    for at in seconds:
        forward.mail(at, 1, 1)
    for at in reversed(seconds):
        backward.mail(at, 1, 1)
    for window in (10, 50, 100):
        assert forward.total(R, T0 + 99, window) == backward.total(R, T0 + 99, window)


# --- sums and days ----------------------------------------------------------------------------

rising = st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=4, unique=True).map(sorted)


def filled(events: list[Event]) -> Ledger:
    """Also with what is still filling up."""
    ledger = Ledger()
    for at, counter, n in events:
        if counter == K:
            ledger.add(counter, at, n)
        else:
            ledger.mail(at, *((n, 0) if counter == R else (0, n)))
    return ledger


@given(histories(), rising, st.integers(-100, 2 * DAY))
@settings(max_examples=40, deadline=None)
def test_sums_are_the_totals_of_each_counter_in_each_window(
    events: list[Event], windows: list[int], later: int
) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    totals = [[ledger.total(counter, now, window) for counter in Counter] for window in windows]
    assert ledger.sums(now, windows) == totals


@given(histories(), st.integers(0, 5 * DAY))
@settings(max_examples=40, deadline=None)
def test_days_are_counted_where_they_belong_as_exactly_as_slots_are(events: list[Event], later: int) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    ledger.coarsen(now)
    for counter, daily in zip((R, M, K), ledger.daily((R, M, K), now, 30), strict=True):
        mine = [(at, n) for at, c, n in events if c == counter and now - at < KEEP - DAY]
        for days in range(1, 31):
            since = now - days * DAY
            least = sum(n for at, n in mine if at > since)
            most = sum(n for at, n in mine if at > since - SLOT - resolution(now + SLOT - at))
            assert least <= sum(daily[:days]) <= most, (counter, days)


@given(histories(), st.integers(0, 40 * DAY))
@settings(max_examples=40, deadline=None)
def test_days_are_the_same_before_and_after_entries_are_merged(events: list[Event], later: int) -> None:
    """When that happens depends on what else is counted: a habit must not."""
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    before = ledger.daily((R, M, K), now, 31)
    ledger.coarsen(now)
    assert ledger.daily((R, M, K), now, 31) == before


@given(histories(), st.integers(0, 2 * DAY))
@settings(max_examples=80, deadline=None)
def test_the_busiest_hour_is_found_as_exactly_as_slots_are(events: list[Event], later: int) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    window = whole(DAY, now)
    busiest = ledger.busiest(R, now, window, HOUR)
    mine = [(at, n) for at, counter, n in events if counter == R and now - window <= at <= now]
    off = SLOT + resolution(DAY)
    least, most = (
        max((sum(n for at, n in mine if end - width < at <= end) for end, _ in mine), default=0)
        for width in (HOUR - off, HOUR + off)
    )
    assert least <= busiest <= most
    ledger.coarsen(now)
    assert ledger.busiest(R, now, window, HOUR) == busiest, "merged or not"


@given(histories(), st.lists(st.integers(0, 3 * DAY), min_size=1, max_size=4), st.integers(0, 600))
@settings(max_examples=150, deadline=None)
def test_nothing_tells_when_entries_were_merged(events: list[Event], steps: list[int], later: int) -> None:
    """Nor around the ages at which the slots become wider: a replay merges them at other times."""
    ledger, merged = filled(events), filled(events)
    now = max(at for at, _, _ in events) + later
    for step in steps:
        now += step
        merged.coarsen(now)
        windows = [whole(window, now) for window in (300, 2 * HOUR, DAY, 2 * DAY, 7 * DAY)]
        assert merged.sums(now, windows) == ledger.sums(now, windows)
        assert merged.busiest(R, now, windows[-1], HOUR) == ledger.busiest(R, now, windows[-1], HOUR)
        assert merged.spans(R, now, DAY, HOUR) == ledger.spans(R, now, DAY, HOUR)
        assert merged.daily((R, K), now, 31) == ledger.daily((R, K), now, 31)
        assert merged.times(R, now, windows[2]) == ledger.times(R, now, windows[2])
        begun = now - now % QUARTER
        mailed, told = (
            {at // QUARTER for at, _ in one.times(R, begun, 31 * DAY)} for one in (merged, ledger)
        )
        assert mailed == told


@given(histories(), st.integers(0, 2 * DAY))
@settings(max_examples=80, deadline=None)
def test_times_tell_when_all_of_it_was_counted_as_exactly_as_slots_are(
    events: list[Event], later: int
) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    window = whole(DAY, now)
    times = ledger.times(R, now, window)
    assert sum(n for _, n in times) == ledger.sums(now, [window])[0][R]
    off = SLOT + resolution(2 * DAY)
    mine = [at for at, counter, n in events if counter == R and n]
    assert all(any(abs(second - at) <= off for at in mine) for second, _ in times)


@given(histories(), st.integers(0, 2 * DAY))
@settings(max_examples=80, deadline=None)
def test_hours_with_mail_are_found_as_exactly_as_slots_are(events: list[Event], later: int) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events) + later
    hours = ledger.spans(R, now, DAY, HOUR)
    off = SLOT + resolution(DAY)
    mine = sorted(at for at, counter, n in events if counter == R and n and at <= now)
    apart = 0
    last = now - DAY + off - 2 * HOUR
    for at in mine:
        if at >= now - DAY + off and at - last > HOUR + off:
            apart, last = apart + 1, at
    touched = {
        back // HOUR
        for at in mine
        if now - at < DAY + off
        for back in (max(0, now - at - off), now - at + off)
    }
    assert apart <= hours <= min(24, len(touched))
    ledger.coarsen(now)
    assert ledger.spans(R, now, DAY, HOUR) == hours, "merged or not"


def test_hours_with_mail_are_counted_back_from_now() -> None:
    ledger = filled([(T0 + minute * 60, R, 3) for minute in (0, 1, 59, 61, 185)])
    back = [ledger.spans(R, T0 + 186 * 60, hours * HOUR, HOUR) for hours in (1, 2, 4)]
    assert back == [1, 1, 3]
    assert ledger.spans(M, T0 + 186 * 60, DAY, HOUR) == 0


@given(histories(), st.lists(st.sampled_from(Counter), max_size=5, unique=True), st.integers(1, 31))
@settings(max_examples=40, deadline=None)
def test_days_of_several_counters_are_those_of_each_in_the_order_asked(
    events: list[Event], wanted: list[Counter], days: int
) -> None:
    ledger, now = filled(events), max(at for at, _, _ in events)
    alone = [ledger.daily((counter,), now, days)[0] for counter in wanted]
    assert ledger.daily(wanted, now, days) == alone
    assert all(len(sums) == days for sums in alone)


def test_days_begin_with_the_last_24_hours() -> None:
    ledger = Ledger()
    for ago, n in ((3, 30), (2, 20), (1, 10), (0, 1)):
        ledger.add(R, T0 - ago * DAY - DAY // 2, n)
    assert ledger.daily((R,), T0, 5) == [[1, 10, 20, 30, 0]]
    assert ledger.daily((M, R), T0, 2) == [[0, 0], [1, 10]]
    assert ledger.daily((), T0, 2) == []


@pytest.mark.parametrize("window", WINDOWS[:6])
def test_sums_take_in_the_slot_in_which_a_window_begins(window: int) -> None:
    for ago in (window, window + SLOT):
        ledger = Ledger()
        ledger.add(R, T0 - ago, 3)
        assert (
            ledger.sums(T0, (window, KEEP))[0][R]
            == ledger.total(R, T0, window)
            == (3 if ago == window else 0)
        )


def test_what_is_filling_up_belongs_to_today() -> None:
    ledger = Ledger()
    ledger.mail(T0, 3, 1)
    assert ledger.daily((R, M), T0, 2) == [[3, 0], [1, 0]]
    ledger.mail(T0, 2, 1)
    assert ledger.sums(T0, (60,))[0][:2] == [5, 2]


def test_a_clock_that_went_ahead_is_in_no_day() -> None:
    ledger = Ledger()
    ledger.add(R, T0 + DAY, 5)
    assert ledger.daily((R,), T0, 3) == [[0, 0, 0]]
