"""Does Postfix ask our milter, and does mail go on without it? For ``penstock doctor``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from penstock.mta import milters
from penstock.mta.checks import Check, reachable
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import LOCAL, SMTP
from penstock.mta.postconf import Config
from penstock.mta.restrictions import words


def examine_milters(
    config: Config,
    local: Sequence[Endpoint],
    smtp: Sequence[Endpoint],
    asks_policy: bool,
    scores: Collection[str] = (),
) -> Iterator[Check]:
    """``local`` and ``smtp``: where our milters listen for mail that is handed in here, and of SMTP clients.
    ``asks_policy``: an SMTP server asks our policy service; ``scores``: lists in which we look for the score
    of a spam filter."""
    for name, listening in ((LOCAL, local), (SMTP, smtp)):
        if not listening:
            continue
        entry = milters.entry_in(config.value(None, name), listening, config.queue)
        if not entry:
            text = f"{name} does not ask our milter: such mail passes undecided."
            hint = "penstock setup postfix --milter or --milter-smtp ADDRESS prints what is missing."
            yield Check("milter", False, text, hint)
            continue
        yield Check("milter", True, f"Postfix asks our milter in {name}.")
        yield _fail_open(name, entry, config)
        yield from _socket(name, entry, config)
        behind = words(config.value(None, name)).index(entry) + 1
        if name in scores and (late := words(config.value(None, name))[behind:]):
            text = f"{name}: our milter stands before {late[0]}: a score that is written there it never sees."
            yield Check(
                "milter", None, text, "If that is your spam filter: penstock setup postfix --milter-last"
            )
        if name == SMTP and asks_policy:
            text = f"SMTP servers ask our policy service, and {SMTP} asks our milter: mail is counted twice."
            yield Check("milter", False, text, "Take one of the two out.")


def asked_locally(config: Config, listening: Sequence[Endpoint]) -> bool:
    """Whether our milter is asked about mail that is handed in on this machine."""
    return bool(milters.entry_in(config.value(None, LOCAL), listening, config.queue))


def _fail_open(name: str, entry: str, config: Config) -> Check:
    action = milters.option_of(entry, "default_action") or config.value(None, "milter_default_action")
    if action == "accept":
        return Check("milter", True, f"{name}: mail goes on while we are away (default_action=accept).")
    text = f"{name}: while our milter is away, Postfix answers {action}. Mail stops with us."
    return Check("milter", False, text, "Add default_action=accept to our entry.")


def _socket(name: str, entry: str, config: Config) -> Iterator[Check]:
    asked = milters.endpoint_of(entry)
    if asked is not None and asked.path:
        hidden = milters.unreachable(config, name, asked) if asked.path.startswith("/") else ""
        if hidden:
            yield Check("milter", False, hidden)
        else:
            owner = config.main.get("mail_owner", "postfix")
            yield reachable("Postfix", asked.absolute(config.queue), owner)
