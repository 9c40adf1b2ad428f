"""Have Postfix ask our milter, and look whether it does.

As for the policy service our entry is a macro of main.cf, ``penstock_milter`` or ``penstock_milter_smtp``. It
carries its own ``default_action=accept`` and timeouts (Postfix 3.0), so that nothing changes for other
milters, and mail goes on when we are away. It is put first, so that a signer after it signs what we add, or
on request last, so that it sees what a spam filter adds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from penstock.mta.endpoint import Endpoint
from penstock.mta.postconf import Config, Edit, Service
from penstock.mta.restrictions import words

SMTP = "smtpd_milters"
LOCAL = "non_smtpd_milters"
LISTS = (SMTP, LOCAL)
MACROS = {LOCAL: "penstock_milter", SMTP: "penstock_milter_smtp"}
PROFESSIONAL = "penstock_milter_smarthost"
TAGS = "penstock_tags"
POOLS = "penstock_pools"
ALL = (*MACROS.values(), PROFESSIONAL, TAGS, POOLS)
"""Our macros that lists of milters and of header checks call; `mta.smarthost` has the last three."""

OPTIONS = "default_action=accept, protocol=6, connect_timeout=5s, command_timeout=10s, content_timeout=30s"

WHY = {
    SMTP: "main.cf: ask the milter about mail of SMTP clients",
    LOCAL: "main.cf: ask the milter about mail that is handed in here (sendmail, cron, PHP's mail())",
}


def written(server: str) -> str:
    """The text of our entry."""
    return f"{{ {server}, {OPTIONS} }}"


def endpoint_of(word: str) -> Endpoint | None:
    """Where an entry of a milter list asks, macros expanded; None when that cannot be read."""
    inside = words(word[1:].removesuffix("}")) if word.startswith("{") else [word]
    server = inside[0] if inside else ""
    try:
        return Endpoint.parse(server)
    except ValueError:
        return None


def option_of(word: str, name: str) -> str:
    """An option of an entry, empty when it has none."""
    found = re.search(rf"[{{,\s]{name}\s*=\s*([^,\s}}]+)", word)
    return found[1] if found else ""


def entry_in(value: str, listening: Sequence[Endpoint], queue: str) -> str:
    """Our entry in a list whose macros are expanded, empty when there is none."""
    for word in words(value):
        asked = endpoint_of(word)
        if asked is not None and any(asked.same(each, queue) for each in listening):
            return word
    return ""


def calls(value: str, *macros: str) -> bool:
    """Whether a list as written calls one of these macros itself."""
    written = {call for name in macros for call in (f"${name}", f"${{{name}}}", f"$({name})")}
    return not written.isdisjoint(words(value))


def without(value: str) -> str:
    """A list as written without the calls of our macros."""
    return ", ".join(word for word in words(value) if not calls(word, *ALL))


def edits(config: Config, name: str, listen: Endpoint, last: bool = False) -> list[Edit]:
    """What is still missing until Postfix asks our milter there in this list; ``last``: behind all others."""
    found = []
    macro, entry, old = MACROS[name], written(listen.asked(config.queue)), config.main.get(name, "")
    if config.main.get(macro, "") != entry:
        why = "our milter; if Penstock is away, mail goes on (default_action=accept)"
        found.append(Edit(macro, entry, why))
    if words(old)[-1:] != [f"${macro}"] if last else not calls(old, macro):
        both = [f"${macro}", others(config, name, [listen])]
        found.append(Edit(name, ", ".join(filter(None, reversed(both) if last else both)), WHY[name]))
    return found


def others(config: Config, name: str, ours: Sequence[Endpoint]) -> str:
    """What a list says besides us; an entry of ours that somebody wrote without the macro is left out."""
    kept = words(without(config.main.get(name, "")))
    return ", ".join(word for word in kept if not entry_in(word, ours, config.queue))


def unreachable(config: Config, name: str, listen: Endpoint) -> str:
    """Why a chrooted daemon that asks by this list cannot see our Unix socket, or nothing."""
    if name == SMTP:
        return hidden(config, config.services, listen)
    return _hidden(config, "cleanup", listen) if config.cleanup_chroot else ""


def hidden(config: Config, services: Sequence[Service], listen: Endpoint) -> str:
    """Why one of these services cannot see our Unix socket, or nothing."""
    chrooted = [service.name for service in services if service.chroot]
    return _hidden(config, chrooted[0], listen) if chrooted else ""


def _hidden(config: Config, daemon: str, listen: Endpoint) -> str:
    if not listen.asked(config.queue).startswith("unix:/"):
        return ""
    return (
        f"{daemon} runs chrooted in {config.queue} and cannot see {listen.path}. "
        f"Let the milter listen at unix:{config.queue}/penstock/milter.sock, or on 127.0.0.1:10041."
    )
