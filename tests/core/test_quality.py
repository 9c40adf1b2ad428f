"""Own quality: sums of incidents, by month and by signal."""

from __future__ import annotations

import pytest

from penstock.core.evidence import Finding
from penstock.core.incident import Incident, Suspect, Verdict
from penstock.core.quality import by_month, by_signal, overall, quantile, report

NOVEMBER, DECEMBER = 1_700_000_000.0, 1_702_000_000.0
HOUR = 3600.0


def incident(
    at: float, verdict: Verdict | None = None, leak: int = 0, held: float = 0.0, **more: object
) -> Incident:
    """One that was paused ten minutes after it began, and let go after ``held``."""
    suspect = Suspect(f"login:{at}", at, at - 60, at, leak=leak, findings=(Finding("novelty", 5.0, "new"),))
    suspect.slowed_at, suspect.paused_at = at, at + 540
    suspect.released_at = at + held if held else None
    found = Incident(f"I-{at}", at, {suspect.sender: suspect}, **more)  # type: ignore[arg-type]
    if verdict is not None:
        found.judge(verdict, at + 9 * HOUR, "admin:a", "")
    return found


HISTORY = [
    incident(NOVEMBER, Verdict.COMPROMISED, 10),
    incident(NOVEMBER + 1, Verdict.COMPROMISED, 30),
    incident(NOVEMBER + 2, Verdict.LEGITIMATE, 99, 2 * HOUR),
    incident(DECEMBER, Verdict.COMPROMISED, 20),
    incident(DECEMBER + 1),
    incident(DECEMBER + 2, into="I-x"),
]


def test_a_month() -> None:
    found = by_month(HISTORY)
    assert list(found) == ["2023-11", "2023-12"]
    november = found["2023-11"].figures()
    assert november == {
        "incidents": 3,
        "open": 0,
        "senders": 3,
        "compromised": 2,
        "legitimate": 1,
        "unjudged": 0,
        "paused": 3,
        "false_pauses": 1,
        "delay_median": 600.0,
        "leak_median": 30,
        "leak_p95": 30,
        "held_median": 2 * HOUR,
        "held_total": 2 * HOUR,
    }
    assert (found["2023-12"].incidents, found["2023-12"].unjudged, found["2023-12"].open) == (2, 1, 1)


def test_a_signal() -> None:
    found = by_signal(HISTORY, ["novelty", "volume"])
    assert (found["novelty"].incidents, found["novelty"].false_pauses) == (5, 1)
    assert found["volume"].incidents == 0


def test_what_only_a_shadow_saw_held_nobody_up() -> None:
    tally = overall([incident(NOVEMBER, Verdict.LEGITIMATE, 0, HOUR, shadow=True)])
    assert tally.false_pauses == 1 and tally.held == []


def test_a_report_of_the_last_time() -> None:
    found = report(HISTORY, DECEMBER, {"volume": 0.9})
    assert list(found["months"]) == ["2023-12"]  # type: ignore[call-overload]
    signals = found["signals"]
    assert isinstance(signals, dict)
    assert (signals["volume"]["factor"], signals["novelty"]["factor"]) == (0.9, 1.0)


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([], 0.5, None), ([7], 0.95, 7), ([3, 1, 2], 0.5, 2), ([1, 2, 3, 4], 1.0, 4)],
)
def test_quantiles(values: list[float], share: float, found: float | None) -> None:
    assert quantile(values, share) == found
