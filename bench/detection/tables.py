"""The figures as tables on a terminal, the bars beside them."""

from __future__ import annotations

from math import floor
from typing import Final

from bench.detection.score import Family, Score
from rich.console import Console
from rich.table import Table

BARS: Final = {  # issue 4: leak median, p95, share stopped in per cent
    "fast flood": (12, 40, 100),
    "script hijack": (15, 80, 100),
    "dormant": (15, 80, 98),
    "low and slow": (18, 80, 98),
    "snowshoe": (15, 50, 95),
}
SHORT: Final = {
    "100 recipients/h": "100/h",
    "250 recipients/h": "250/h",
    "500 recipients/h": "500/h",
    "policyd-rate-limit 10/min + 150/day": "policyd",
    "BlockCracking 100 unknown/h": "100 unk./h",
    "25 hard bounces/h": "25 hard/h",
    "50 bounces/day": "50 b./day",
    "cPanel 30 % failed": "30 % failed",
    "> 5 networks/day": "> 5 nets",
    "30 new recipients/h": "30 new/h",
    "Wald on bounces alone": "Wald",
}
FAMILIES: Final = (*BARS, "hijacked professional", "adversarial", "lateral")


MISSED: Final = "!"


def missed(name: str, family: Family) -> int:
    """How many of the bars of a family are missed: median, p95, share stopped."""
    if name not in BARS or not family.leaks:
        return 0
    median, p95, stopped = BARS[name]
    found = family.as_json()
    return (found["median"] > median) + (found["p95"] > p95) + (found["stopped_percent"] < stopped)


def _attack(name: str, family: Family) -> str:
    """Nothing is rounded to the better side: what looks like a bar reached is one."""
    if not family.leaks:
        return "–"
    found = family.as_json()
    figures = f"{found['median']:g} / {found['p95']:g} / {floor(found['stopped_percent'])}"
    return f"{figures} {MISSED}" if missed(name, family) > 1 else figures


def attacks(scores: list[Score]) -> Table:
    """Families × rules."""
    table = Table(
        title=f"Leak: median / p95 recipients / stopped % ({MISSED}: more than one bar missed)",
        title_justify="left",
    )
    table.add_column("")
    for family in FAMILIES:
        table.add_column(family, justify="right")
    bars = [" / ".join(map(str, BARS[f])) if f in BARS else "–" for f in FAMILIES]
    counts = [str(len(scores[0].families[f].leaks) + scores[0].families[f].early) for f in FAMILIES]
    table.add_row("attacks", *counts)
    table.add_row("bar", *bars, end_section=True)
    for score in scores:
        table.add_row(score.name, *(_attack(f, score.families[f]) for f in FAMILIES))
    return table


def false_pauses(scores: list[Score]) -> Table:
    """What each costs honest senders."""
    table = Table(title="False pauses", title_justify="left")
    columns = ("", "per 10,000 account-days", "of business", "with hard cases", "in warm-up", "hard cases %",
               "delay, h", "slowed %", "min", "refused %")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    table.add_row("bar", "0.1", "1.0", "", "", "1", "", "0.5", "30", "", end_section=True)
    for score in scores:
        table.add_row(score.name, *_costs(score))
    return table


def _costs(score: Score) -> list[str]:
    hours = sorted(h for family in BARS for h in score.families[family].hours)
    delay = f"{hours[len(hours) // 2]:.2f}" if hours else "–"
    rates = [f"{score.per_10k(kind):.2f}" for kind in ("real", "business", "all")]
    costs = [*rates, str(score.in_warm_up), f"{score.hard_percent():.1f}", delay]
    if not score.delays.recipients:
        return [*costs, "", "", ""]
    d = score.delays.as_json()
    minutes = "–" if d["median_minutes"] is None else f"{d['median_minutes']:.0f}"
    return [*costs, f"{d['slowed_percent']:.2f}", minutes, f"{d['refused_percent']:.2f}"]


def hard_cases(scores: list[Score]) -> Table:
    """Honest hard cases paused, per cent of each family."""
    table = Table(title="Honest hard cases paused, % (bar: 5 of a family, 1 of all)", title_justify="left")
    table.add_column("")
    for column in ("cases", *(SHORT.get(score.name, score.name) for score in scores)):
        table.add_column(column, justify="right")
    for family in sorted(scores[0].hard):
        counts = [score.hard[family] for score in scores]
        shares = (f"{100 * paused / max(n, 1):.0f}" for n, paused in counts)
        table.add_row(family, str(counts[0][0]), *shares)
    cases = sum(n for n, _ in scores[0].hard.values())
    table.add_row("all", str(cases), *(f"{score.hard_percent():.1f}" for score in scores))
    return table


def show(console: Console, scores: list[Score]) -> None:
    """Everything."""
    days = sum(scores[0].days[k] for k in ("ordinary", "business"))
    console.print(
        f"\n{days:,} account-days of ordinary accounts, {scores[0].days['business']:,} of business ones"
    )
    for table in (attacks(scores), false_pauses(scores), hard_cases(scores)):
        console.print(table)
