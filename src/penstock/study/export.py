"""The findings as JSON: everything that the report shows, and the numbers behind its plots."""

from __future__ import annotations

from datetime import date
from typing import Any

from penstock.core.explain import when
from penstock.study.findings import WINDOW_NAMES, Group, Spread, Study, Touched
from penstock.study.sender_day import Detail
from penstock.study.windows import WINDOWS


def as_json(study: Study) -> dict[str, Any]:
    """The study as plain values. Times are RFC 3339 in UTC, days are days of ``timezone``."""
    period = study.period
    return {
        "from": when(period.begin),
        "to": when(period.end),
        "timezone": period.zone,
        "lines": period.lines,
        "lines_understood": period.understood,
        "lines_foreign": period.foreign,
        "lines_unknown": dict(period.unknown),
        "messages": period.messages,
        "recipients": period.recipients,
        "messages_of_nobody": period.accepted - period.messages,
        "groups": {group.name: _group(group) for group in study.groups},
        "volume": _volume(study),
        "policy": study.policy,
        "warnings": list(study.warnings),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "senders": group.senders,
        "sender_days": group.sender_days,
        "recipients": group.recipients,
        "distributions": [_spread(spread) for spread in group.spreads],
        "touched_senders": group.touched_senders,
        "touched": [_touched(one) for one in group.touched],
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "unit": str(spread.unit),
        "window": WINDOW_NAMES[spread.window],
        "quantiles": dict(spread.quantiles),
        "max": spread.most,
        "limits": [
            {
                "one_in": found.one_in,
                "limit": found.limit,
                "touched_sender_days": found.days,
                "touched_senders": found.senders,
            }
            for found in spread.thresholds
        ],
        "curve": [[value, round(share, 8)] for value, share in spread.curve],
    }


def _touched(one: Touched) -> dict[str, Any]:
    return {
        "sender": one.sender,
        "active_days": one.active_days,
        "touched_days": one.touched_days,
        "limits": [
            {"unit": str(limit.unit), "limit": str(limit), "days": days} for limit, days in one.exceeded
        ],
        "one_in": one.rarest,
        "usual_day": one.usual,
        "busiest_day": _detail(one.busiest),
        "guess": one.guess,
        "signs": list(one.signs),
    }


def _detail(day: Detail) -> dict[str, Any]:
    return {
        "date": date.fromordinal(day.day).isoformat(),
        "recipients": day.recipients,
        "messages": day.messages,
        "windows": {
            WINDOW_NAMES[window]: {"recipients": recipients, "messages": messages, "until": when(at)}
            for window, (recipients, messages, at) in zip(WINDOWS, day.peaks, strict=True)
        },
        "recipients_per_message": round(day.recipients / day.messages, 2),
        "domains": day.domain_count,
        "top_domains": dict(day.domains),
        "delivered": day.delivered,
        "deferred": day.deferred,
        "bounced": day.bounced,
        "client_addresses": day.clients,
        "envelope_senders": day.envelopes,
    }


def _volume(study: Study) -> list[dict[str, Any]]:
    """Recipients by day and hour; hours without any are left out."""
    days: dict[int, dict[str, int]] = {}
    for (day, hour), recipients in sorted(study.volume.items()):
        days.setdefault(day, {})[f"{hour:02}"] = recipients
    return [{"date": date.fromordinal(day).isoformat(), "hours": hours} for day, hours in days.items()]
