"""Does Postfix hand professional customers' mail to our milter, and does their tag stay in the house? For
``penstock doctor``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.mta import milters
from penstock.mta.checks import Check
from penstock.mta.milters import SMTP
from penstock.mta.postconf import Config, Service
from penstock.mta.smarthost import STRIPS, Smarthost, leaving, places_of, routes

_NONE = "No SMTP server asks the milter for professional customers: tags are neither checked nor taken out."
_HINT = "penstock setup postfix --for professional prints what is missing; with --apply it does it."


def examine_smarthost(config: Config, wanted: Smarthost, asking: Sequence[str]) -> Iterator[Check]:
    """``asking``: names of the SMTP servers that ask our policy service."""
    if not wanted.listening:
        return
    found = [(service, entry) for service in config.services if (entry := entry_of(config, service, wanted))]
    if not found:
        yield Check("smarthost", False, _NONE, _HINT)
    for service, entry in found:
        yield Check("smarthost", True, f"{service.name} asks the milter for professional customers.")
        yield from _service(config, service, entry, asking)
    yield from _tags(config, wanted.headers)
    for pool, transport in routes(config, wanted.pools).items():
        if not transport:
            text = f"No rule of milter_header_checks gives mail the transport of the pool {pool}."
            yield Check("smarthost", False, text, _HINT)
        elif not any(each.startswith(f"{transport}/unix ") for each in config.others):
            text = f"master.cf has no transport {transport}: mail of the pool {pool} waits in the queue."
            yield Check("smarthost", False, text, _HINT)


def _service(config: Config, service: Service, entry: str, asking: Sequence[str]) -> Iterator[Check]:
    if service.name in asking:
        text = f"{service.name} asks our policy service as well: its mail is counted twice."
        yield Check("smarthost", False, text, "Take the policy service out of its restrictions.")
    action = milters.option_of(entry, "default_action") or config.value(service, "milter_default_action")
    if action != "accept":
        text = f"{service.name}: while our milter is away, Postfix answers {action}. Mail stops with us."
        yield Check("smarthost", False, text, "Add default_action=accept to our entry.")


def _tags(config: Config, headers: Sequence[str]) -> Iterator[Check]:
    for name in STRIPS:
        for place in places_of(config, name):
            if passing := leaving(config, place, name, headers):
                where = f"{place.name}: " if place else ""
                text = f"{where}{name} lets {', '.join(passing)} pass: while our milter is away, tags leave."
                yield Check("smarthost", False, text, _HINT)


def entry_of(config: Config, service: Service, wanted: Smarthost) -> str:
    """By which entry a service asks that milter, "" when it does not."""
    return milters.entry_in(config.value(service, SMTP), wanted.listening, config.queue)
