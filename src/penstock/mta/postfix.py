"""Have Postfix ask us: the exact changes that are still missing in its configuration.

Our entry is written once, as the macro ``penstock_policy`` in main.cf, and the lists call it: so all
lists have the identical text (Postfix then shares one connection between them), master.cf needs no
blanks in a value, and address or trial change in one place. RCPT and END-OF-MESSAGE are asked; DATA
would only cost a further question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from penstock.mta import milters, smarthost
from penstock.mta.endpoint import Endpoint
from penstock.mta.postconf import Config, Edit, PostfixError, Service
from penstock.mta.restrictions import (
    CALLS,
    END,
    MACRO,
    RCPT,
    STAGES,
    TRIAL,
    Entry,
    ends,
    find,
    items,
    ours_at,
    packed,
    readable,
    without,
    words,
    written,
)
from penstock.mta.smarthost import NO_SMARTHOST, Smarthost

Use = Literal["submission", "smarthost", "professional"]
LISTS = (RCPT, END)
OLDEST = (3, 0)

TRIAL_NOTE = (
    "Trial: warn_if_reject turns our REJECT and DEFER into warnings in the mail log, but HOLD, DISCARD and "
    'FILTER take effect all the same. For a trial that touches no mail write mode = "shadow" into '
    "penstock.toml and set up without --trial."
)
MX_NOTE = (
    "Every client of port 25 is charged, servers of the world that bring mail in as well. If this machine is "
    "also an MX, give customers another port and use --for submission."
)
LOCAL_NOTE = (
    "Mail handed in by sendmail(1) (cron, PHP's mail()) never passes smtpd: we are not asked about it. "
    "A milter is (--milter)."
)


@dataclass(frozen=True)
class Wish:
    """What an operator wants set up. ``also``: further services of master.cf by name, such as ``smtp``.

    ``milter``: where our milter for local mail listens, None to leave it out; ``milter_smtp``: where the one
    for SMTP clients does, which is then asked instead of the policy service; ``last``: both come behind the
    operator's milters. ``smarthost``: for the use
    ``professional``, what the policy file says of such customers.
    """

    use: Use = "submission"
    listen: Endpoint = field(default_factory=lambda: Endpoint("127.0.0.1", 10040))
    trial: bool = False
    also: tuple[str, ...] = ()
    milter: Endpoint | None = None
    milter_smtp: Endpoint | None = None
    last: bool = False
    smarthost: Smarthost = NO_SMARTHOST

    @property
    def milters(self) -> list[Endpoint]:
        """Where our milters listen."""
        return [each for each in (self.milter, self.milter_smtp, *self.smarthost.listening[:1]) if each]

    @property
    def asked(self) -> list[Endpoint]:
        """Where Postfix is to ask."""
        by_milter = self.milter_smtp or self.use == "professional"
        return ([] if by_milter else [self.listen]) + self.milters


@dataclass(frozen=True)
class Plan:
    """The edits still missing, in their order; ``notes`` to know; ``problems`` that forbid to apply it.

    ``places``: the services it is about, and ``main.cf``.
    """

    edits: tuple[Edit, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    listen: Endpoint = field(default_factory=Endpoint)
    milters: tuple[Endpoint, ...] = ()

    @property
    def done(self) -> bool:
        """Set up already."""
        return not self.edits and not self.problems


def plan(config: Config, wish: Wish) -> Plan:
    """Work out what is missing until Postfix asks us as wished."""
    require_version(config.version)
    if wish.use == "professional":
        return _professional(config, wish)
    draft = _Draft(config, wish)
    for name, listen in ((milters.LOCAL, wish.milter), (milters.SMTP, wish.milter_smtp)):
        if listen is not None:
            draft.milter(name, listen)
    if wish.milter_smtp:
        draft.instead()
        return draft.plan([])
    places = draft.places()
    for place in places:
        draft.place(place)
    if wish.use == "smarthost":
        draft.spare_filters()
    return draft.plan(places)


def _professional(config: Config, wish: Wish) -> Plan:
    """The milter decides all of their mail; the policy service is not asked."""
    found = smarthost.missing(config, wish.smarthost, wish.also or (smarthost.PORT,), wish.listen)
    edits, notes, problems = tuple(found.edits), tuple(found.notes), tuple(found.problems)
    return Plan(edits, notes, problems, tuple(found.places), wish.listen, tuple(wish.milters))


def require_version(version: str) -> None:
    """PostfixError for a Postfix that cannot be told to go on without us."""
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise PostfixError(
            f"Postfix {version or 'of unknown version'} is too old: before 3.0 a policy service has no "
            "default_action, and mail would stop whenever Penstock does.",
            "Upgrade Postfix.",
        )


def is_submission(service: Service) -> bool:
    """Port 587 or 465, or another port where this service has SASL logins switched on for itself."""
    logins = service.options.get("smtpd_sasl_auth_enable") == "yes" and service.port != 25
    return (service.port in (587, 465) or logins) and not service.reinjects and not _hands_over(service)


def _hands_over(service: Service) -> bool:
    """Its mail is decided by the milter for professional customers."""
    return milters.calls(service.options.get(milters.SMTP, ""), milters.PROFESSIONAL)


class _Draft:
    """A plan in the making."""

    def __init__(self, config: Config, wish: Wish) -> None:
        self.config, self.wish = config, wish
        self.is_ours = ours_at(wish.listen, config.queue)
        self.server = wish.listen.asked(config.queue)
        self.wanted = written(self.server, wish.trial)
        macro = config.expanded.get(MACRO, "")
        self.macro = next((item for item in items(macro) if isinstance(item, Entry)), None)
        self.stale = macro != self.wanted
        self.calls = False
        self.edits: list[Edit] = []
        self.notes: list[str] = []
        self.problems: list[str] = []

    def places(self) -> list[Service | None]:
        """Where lists are to call us; None is main.cf."""
        config, wish = self.config, self.wish
        named = [each for each in config.services if _named(each, wish.also)]
        for name in wish.also:
            if not any(_named(each, (name,)) for each in config.services):
                self.problems.append(f"master.cf has no SMTP server (smtpd) named {name}.")
        if wish.use == "smarthost":
            self.notes.append(MX_NOTE)
            return [None, *named]
        found = [each for each in config.services if is_submission(each) or each in named]
        if not found:
            self.problems.append(
                "master.cf has no submission service: no smtpd on port 587 or 465, none with logins of its "
                "own. Take the # from submission in master.cf, or name the service (--service smtp), or, if "
                "customers' servers relay through port 25, use --for smarthost."
            )
        return list(found)

    def milter(self, name: str, listen: Endpoint) -> None:
        """The edits for one of our milters."""
        hidden = milters.unreachable(self.config, name, listen)
        self.problems += [hidden] if hidden else []
        self.edits += milters.edits(self.config, name, listen, self.wish.last)

    def instead(self) -> None:
        """The milter decides the mail of SMTP clients: what would count it twice, or keep it away."""
        for service in self.config.services:
            if any(find(self.config.value(service, name), self.is_ours).entry for name in LISTS):
                self.problems.append(
                    f"{service.name} asks our policy service already, and would be counted twice. Take that "
                    "back first: penstock setup postfix --undo."
                )
            if milters.SMTP in service.options and not _hands_over(service):
                self.notes.append(
                    f"{service.name} has milters of its own (-o smtpd_milters) and does not ask ours."
                )

    def place(self, service: Service | None) -> None:
        """The edits for one service, or for main.cf."""
        concerned = (
            [service] if service else [each for each in self.config.services if RCPT not in each.options]
        )
        self.problems += [said for each in concerned if (said := self._unreachable(each))]
        found = {name: find(self.config.value(service, name), self.is_ours) for name in LISTS}
        texts = {each.entry.text for each in found.values() if each.entry}
        for name, seen in found.items():
            via_macro = seen.entry is not None and seen.entry == self.macro
            fine = seen.times == 1 and not seen.behind
            if fine and via_macro:
                self.calls = True
            elif not (fine and seen.entry and self._as_wished(seen.entry) and len(texts) == 1):
                self._rewrite(service, name, seen.behind)

    def _unreachable(self, service: Service) -> str:
        """Why a chrooted service cannot see our Unix socket, or nothing."""
        if not service.chroot or not self.server.startswith("unix:/"):
            return ""
        return (
            f"{service.name} runs chrooted in {self.config.queue} and cannot see {self.wish.listen.path}. "
            f"Let Penstock listen at unix:{self.config.queue}/penstock/policy.sock, or on 127.0.0.1:10040."
        )

    def _as_wished(self, entry: Entry) -> bool:
        endpoint = entry.endpoint
        there = endpoint is not None and endpoint.same(self.wish.listen, self.config.queue)
        return there and entry.good and entry.trial == self.wish.trial

    def _rewrite(self, service: Service | None, name: str, behind: str) -> None:
        """Call the macro first; what the list said before comes after it."""
        old = self.config.written(service, name)
        if self._well_placed(old):
            self.calls = True
            return
        where = service.name if service else "main.cf"
        if behind:
            self.notes.append(
                f"{where}: {name} asks us only after {behind}: nobody whom that permits is limited. "
                "It is to come first."
            )
        if any(word.startswith("{") for word in words(old)):
            self.problems.append(
                f"{where}: {name} has braces around a whole word list; smtpd cannot read that."
            )
        rest = without(old, self.is_ours)
        self.calls = True
        why = self._why(service, name)
        if service is None:
            kept = old if rest == words(old) else readable(rest)
            value = ", ".join(each for each in (f"${MACRO}", kept) if each)
            self.edits.append(Edit(name, value, why))
        else:
            value = ",".join([f"${MACRO}", *self._packed(service, name, rest)])
            self.edits.append(Edit(f"{service.name}/{name}", value, why))

    def _well_placed(self, value: str) -> bool:
        """The list as written calls the macro once, asks us in no other way, and permits nobody before."""
        found = list(items(value))
        calls = [i for i, item in enumerate(found) if item in CALLS]
        if len(calls) != 1 or any(isinstance(item, Entry) and self.is_ours(item) for item in found):
            return False
        before = [item for item in found[: calls[0]] if isinstance(item, str)]
        return not any(map(ends, before)) and before[-1:] != [TRIAL]

    def _why(self, service: Service | None, name: str) -> str:
        where = service.name if service else "main.cf"
        if name == END:
            return f"{where}: ask at END-OF-MESSAGE, when it is known how many recipients were really taken"
        inherits = service is not None and RCPT not in service.options and self.config.main.get(RCPT)
        copied = (
            "; the rest is a copy of main.cf's list, which no longer reaches this service" if inherits else ""
        )
        return f"{where}: ask about each recipient, before anything permits it{copied}"

    def _packed(self, service: Service, name: str, rest: Sequence[str]) -> list[str]:
        """Words that master.cf can hold: without blanks; else they go to a macro of main.cf."""
        kept, macro = packed(service.name, STAGES[name], rest)
        self.edits += macro
        return kept

    def spare_filters(self) -> None:
        """Keep services whose mail is decided elsewhere out of main.cf's new lists: those that take it back
        from a content filter, and that of professional customers."""
        for service in self.config.services:
            for name in LISTS if service.reinjects or _hands_over(service) else ():
                if name not in service.options:
                    rest = self._packed(service, name, without(self.config.written(None, name), self.is_ours))
                    where = "our milter decides" if _hands_over(service) else "takes mail back from a filter"
                    why = f"{service.name} ({where}): do not count its mail a second time"
                    self.edits.append(Edit(f"{service.name}/{name}", ",".join(rest), why))

    def plan(self, places: Sequence[Service | None]) -> Plan:
        """What has come together."""
        if self.calls and self.stale:
            why = "our entry, once for all lists; if Penstock is away, mail goes on (default_action=DUNNO)"
            if self.macro is not None:
                why = f"our entry, changed for every list that calls ${MACRO}"
            self.edits.insert(0, Edit(MACRO, self.wanted, why))
        self.notes += [TRIAL_NOTE] if self.wish.trial else []
        self.notes += [] if self.wish.milter_smtp else self._untouched(places)
        self.notes += [] if self.wish.milter else [LOCAL_NOTE]
        names = tuple(each.name if each else "main.cf" for each in places)
        return Plan(
            tuple(self.edits),
            tuple(self.notes),
            tuple(self.problems),
            names,
            self.wish.listen,
            tuple(self.wish.milters),
        )

    def _untouched(self, places: Sequence[Service | None]) -> Iterator[str]:
        """Services that take mail for others, and are not part of this set-up."""
        smarthost = self.wish.use == "smarthost"
        for service in self.config.services:
            silent = not find(self.config.value(service, RCPT), self.is_ours).entry
            if service in places or service.reinjects or _hands_over(service) or not silent:
                continue
            if smarthost and RCPT in service.options:
                yield f"{service.name} has restrictions of its own and does not ask us: see --for submission."
            elif not smarthost and self.config.yes(service, "smtpd_sasl_auth_enable"):
                name = service.name.rpartition("/")[0]
                yield f"{service.name} takes logins too and does not ask us: add --service {name}"


def _named(service: Service, names: Sequence[str]) -> bool:
    return service.name in names or service.name.rpartition("/")[0] in names
