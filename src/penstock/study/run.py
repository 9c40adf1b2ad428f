"""A study from its logs to its findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from penstock.core.names import Naming
from penstock.core.policy import Policy
from penstock.core.words import count
from penstock.engine.origins import Origins
from penstock.study.findings import Period, Study
from penstock.study.proposal import plan_of, policy_file
from penstock.study.reading import Reading
from penstock.study.sources import Sources
from penstock.study.survey import groups_of
from penstock.study.tally import Tally
from penstock.study.witnessed import witnessed
from penstock.wire.maillog.join import Join

TOLD_DAEMONS = 10


class NothingToStudy(Exception):
    """The logs hold no mail of any sender; the message says what they hold instead."""


def study(
    sources: Sources, zone: tzinfo, year: int | None, now: float, naming: Naming, builtin: Policy
) -> Study:
    """Read the logs and find out; raises SourceError and NothingToStudy.

    ``zone``: of stamps that name none, and of the calendar. ``year``: of each log's first line, None: the
    latest that is not after ``now`` (seconds since the epoch). ``builtin``: what holds where the proposal is
    silent.
    """
    reading = Reading(sources, zone, year, now)
    tally = Tally(naming, zone)
    feed, origins = tally.feed, Origins(lambda key, under, at: None)
    for event in witnessed(reading.events(Join()), origins):
        feed(event)
    tally.finish()
    period = _period(reading, tally, zone)
    groups = groups_of(tally)
    if not groups:
        raise NothingToStudy(_why_not(period, sources.warnings))
    plans = [plan_of(group, tally, builtin) for group in groups]
    text = policy_file(plans, period, naming)
    return Study(period, groups, tally.volume, text, (*sources.warnings, *_warnings(period, tally)))


def _period(reading: Reading, tally: Tally, zone: tzinfo) -> Period:
    return Period(
        begin=reading.first_at,
        end=reading.last_at,
        zone=str(zone),
        lines=reading.lines,
        understood=reading.understood,
        foreign=reading.foreign,
        unknown=tuple(reading.unknown.most_common(TOLD_DAEMONS)),
        accepted=tally.accepted,
        messages=tally.messages,
        recipients=tally.recipients,
    )


def _why_not(period: Period, warnings: Sequence[str]) -> str:
    said = [
        f"no message of any sender in {count(period.lines, 'line')}: {period.understood:,} understood, "
        f"{period.foreign:,} of other programs, {period.unknown_lines:,} unknown"
    ]
    if period.unknown:
        said.append("unknown: " + ", ".join(f"{daemon} {n:,}" for daemon, n in period.unknown))
    if period.accepted:
        said.append(
            f"{count(period.accepted, 'message')} from outside, or notices: a study needs senders with "
            "a login, local users, or clients whose mail leaves to other hosts"
        )
    return "\n".join([*said, *warnings])


def _warnings(period: Period, tally: Tally) -> Iterator[str]:
    """What an operator must know before believing the figures."""
    unknown = period.unknown_lines
    if unknown > period.lines // 100:
        worst = ", ".join(f"{daemon} {n:,}" for daemon, n in period.unknown[:3])
        yield f"{unknown:,} of {period.lines:,} lines were not understood ({worst}): counts may be too low"
    if tally.misdated:
        them = count(tally.misdated, "message was", "messages were")
        yield f"{them} left out, because of a time that cannot be meant"
