"""An incident as a colleague would tell it: what happened, why we think so, what was done, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from operator import itemgetter

from penstock.core.explain import standing_sentence, when
from penstock.core.incident import AUDIBLE, Incident, Suspect, Verdict
from penstock.core.learning import Learn, Lesson
from penstock.core.standing import Standing
from penstock.core.words import count

MOST_NAMED = 10

_ENDS = {
    "calm": "the suspicion fell by itself",
    "term": "the pause had come to its end",
    "resumed": "an administrator let it send again",
    "expiry": "nothing more was heard",
    "verdict": "it was judged",
}


def headline(incident: Incident) -> str:
    """``I-7K3Q9X, open: login:alice@example.com and 3 others``."""
    others = len(incident.suspects) - 1
    more = f" and {count(others, 'other')}" if others else ""
    return f"{incident.id}, {state(incident)}: {incident.worst.sender}{more}"


def state(incident: Incident) -> str:
    """``open``, ``closed``, or the verdict; what only a shadow saw says so."""
    found = str(incident.verdict or ("open" if incident.is_open else "closed"))
    if incident.is_notice:
        return f"{found} (notice)"
    return f"{found} (shadow)" if incident.shadow else found


def note(incident: Incident, standing: Standing, lesson: Lesson | None) -> str:
    """All about an incident. ``standing``: of its worst sender now; ``lesson``: what was learned of it."""
    if incident.into:
        return f"{incident.id} has become a part of {incident.into}: penstock incidents {incident.into}"
    worst = incident.worst
    if incident.is_notice:
        return _notice(incident, worst)
    parts = [
        [headline(incident), "", *_happened(incident, worst)],
        ["Why we think so:", *_why(worst)],
        [
            "What was done:",
            *_done(incident, worst),
            f"  {worst.sender} is {standing_sentence(standing)} now.",
        ],
        ["What it cost:", *_cost(incident)],
        [*_judged(incident, lesson)],
        ["What to do:", *_next(incident, worst, standing)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _notice(incident: Incident, worst: Suspect) -> str:
    """What there is to tell about a sender that nobody was stopped for."""
    told = [f"  {finding.signal}: {finding.text}" for finding in worst.findings]
    lines = [headline(incident), "", *told, "", "Nothing was stopped for it."]
    lines += [f"  penstock show {worst.sender}"]
    if incident.verdict is None:
        lines += [f"  Seen to: penstock verdict {incident.id} legitimate"]
    return "\n".join(lines)


def _happened(incident: Incident, worst: Suspect) -> Iterator[str]:
    sure = "It looks as if somebody else were using" if worst.suspicion > 0 else "Somebody else may be using"
    yield f"{sure} {worst.sender} ({worst.profile})."
    if worst.customer:
        yield f"It belongs to customer {worst.customer}."
    if incident.campaign:
        yield f"What these senders share: {incident.campaign}."
    if len(incident.suspects) > 1:
        names = list(incident.suspects)[:MOST_NAMED]
        more = " …" if len(incident.suspects) > MOST_NAMED else ""
        yield f"Senders: {', '.join(names)}{more}"


def _why(worst: Suspect) -> Iterator[str]:
    """The findings with their weights, and what they add up to."""
    for finding in worst.findings:
        if abs(finding.weight) >= AUDIBLE:
            yield f"  {finding.weight:+5.1f}  {finding.signal}: {finding.text}"
    yield f"  In all: {odds(worst.suspicion)} that a stranger sends (weights are natural logarithms of odds)."


def odds(suspicion: float) -> str:
    """``10 to 1``, or ``1 to 20`` where it is less likely than not."""
    if suspicion >= 0:
        return f"{_round(exp(min(suspicion, 50)))} to 1"
    return f"1 to {_round(exp(min(-suspicion, 50)))}"


def _round(n: float) -> str:
    return f"{n:.1f}" if n < 3 else f"{n:.0f}" if n < 1000 else "more than 1000"


def _done(incident: Incident, worst: Suspect) -> Iterator[str]:
    would = "would have been " if incident.shadow else ""
    yield f"  {when(worst.began_at)}  the first of that day's recipients that were new to it"
    steps = [
        (worst.slowed_at, f"{would}slowed: only a few new recipients at once"),
        (worst.paused_at, f"{would}paused"),
        (worst.released_at, "let go"),
        (incident.closed_at, f"closed: {_ENDS.get(incident.how, incident.how)}"),
    ]
    for at, what in sorted([(at, what) for at, what in steps if at is not None], key=itemgetter(0)):
        yield f"  {when(at)}  {what}"


def _cost(incident: Incident) -> Iterator[str]:
    leak = count(incident.leak, "new recipient")
    yield f"  {leak} got through, those of that day before it was noticed included."
    if incident.stopped:
        often = count(incident.stopped, "time")
        yield f"  {often} a recipient was turned away or held (who tries again counts again)."


def _judged(incident: Incident, lesson: Lesson | None) -> Iterator[str]:
    if incident.verdict is None:
        return
    said = f": {incident.note}" if incident.note else ""
    yield f"{incident.by} judged it {incident.verdict} at {when(incident.verdict_at)}{said}"
    if lesson is not None:
        yield f"Learned: {learned(lesson)}"


def learned(lesson: Lesson) -> str:
    """What a lesson says, as a sentence."""
    if lesson.verdict is Verdict.COMPROMISED:
        return "the signals that spoke were right."
    who = ", ".join(list(lesson.seen)[:3]) + (" …" if len(lesson.seen) > 3 else "")
    *names, last = lesson.signals or ("nothing",)
    signals = f"{', '.join(names)} and {last}" if names else last
    what = f"up to twice the scale seen, {signals} will not be held against {who}"
    until = f" until {when(lesson.allows_until)}.{_networks(lesson)}"
    if lesson.learn is Learn.PATTERN:
        return f"{what}, and half as much against {lesson.about}{until}"
    if lesson.learn is Learn.PROFILE:
        given = f"{who} has the profile {lesson.given} until {when(lesson.until)}"
        return f"{given}; {what}{until}"
    return f"{what}{until}"


def _networks(lesson: Lesson) -> str:
    """Whose own what is by now."""
    found = [f"{_prefix(network)} as {key}'s" for key, network in list(lesson.networks.items())[:3]]
    more = " …" if len(lesson.networks) > 3 else ""
    return (
        f" Until {when(lesson.until)} counts as its own network: {', '.join(found)}{more}." if found else ""
    )


def _prefix(network: str) -> str:
    """The /16 or /32 of its first parts."""
    return f"{network}.0.0/16" if "." in network else f"{network}::/32"


def _next(incident: Incident, worst: Suspect, standing: Standing) -> Iterator[str]:
    """The very commands."""
    yield f"  penstock show {worst.sender}"
    if incident.verdict is None:
        yield "  If a stranger sent this, change the password or take the script away; then"
        yield f"    penstock verdict {incident.id} compromised"
        yield f'    penstock resume {worst.sender} --probation 1d --reason "cleaned"'
        yield "  If it was the owner:"
        yield f"    penstock verdict {incident.id} legitimate"
    elif incident.verdict is Verdict.COMPROMISED and standing.stopped:
        yield "  Once the password is changed or the script is gone:"
        yield f'    penstock resume {worst.sender} --probation 1d --reason "cleaned"'
    else:
        other = "legitimate" if incident.verdict is Verdict.COMPROMISED else "compromised"
        yield f"  If that was wrong: penstock verdict {incident.id} {other}"
    yield f"  What was learned: penstock learned; to take it back: penstock learned --forget {incident.id}"
