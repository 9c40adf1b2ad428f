"""Sliding windows against the definition, and their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.study.windows import DAY, MOST, WINDOWS, Peak, Timeline

MAIL = st.lists(st.tuples(st.integers(0, 2 * DAY), st.integers(1, 50)), min_size=1, max_size=60)


def peaks_of(timeline: Timeline) -> list[Peak]:
    peaks = tuple(Peak() for _ in WINDOWS)
    timeline.score(peaks)
    return list(peaks)


def most(mail: list[tuple[int, int]], window: int) -> tuple[int, int]:
    """By definition: (most recipients, most messages) in any window that ends with a mail."""
    held = [[n for at, n in mail if end - window < at <= end] for end, _ in mail]
    return max(map(sum, held)), max(map(len, held))


@given(MAIL)
def test_peaks_are_exact_whatever_the_order(mail: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    for at, n in mail:
        timeline.add(at, n)
    for window, peak in zip(WINDOWS, peaks_of(timeline), strict=True):
        assert (peak.recipients, peak.most_messages) == most(mail, window)


@given(MAIL, st.integers(1, 59))
def test_scoring_in_between_changes_nothing(mail: list[tuple[int, int]], cut: int) -> None:
    mail.sort()
    timeline, peaks = Timeline(), tuple(Peak() for _ in WINDOWS)
    for i, (at, n) in enumerate(mail):
        timeline.add(at, n)
        if i % cut == 0:
            timeline.score(peaks)
    timeline.score(peaks)
    for window, peak in zip(WINDOWS, peaks, strict=True):
        assert (peak.recipients, peak.most_messages) == most(mail, window)


def test_a_window_has_exactly_its_length() -> None:
    timeline = Timeline()
    timeline.add(1000, 1)
    timeline.add(1059, 1)
    timeline.add(1060, 1)
    minute = peaks_of(timeline)[0]
    assert (minute.recipients, minute.messages, minute.at) == (2, 2, 1059)


def test_a_flood_stays_small_and_is_never_counted_too_low() -> None:
    timeline, peaks = Timeline(), tuple(Peak() for _ in WINDOWS)
    for second in range(0, 2 * DAY, 3):
        timeline.add(second, 1)
        if len(timeline) > MOST:
            timeline.score(peaks)
            timeline.condense()
    timeline.score(peaks)
    assert len(timeline) <= MOST
    assert [peak.recipients for peak in peaks[:2]] == [20, 1200]
    assert DAY // 3 <= peaks[2].recipients <= DAY // 3 + 20


def test_what_is_forgotten_does_not_count() -> None:
    timeline = Timeline()
    timeline.add(10, 5)
    timeline.add(70_000, 1)
    timeline.forget(11)
    assert len(timeline) == 1
    assert peaks_of(timeline)[2].recipients == 1
