"""Does Postfix ask us, where, and what would slip past? For ``penstock doctor``.

Reads the configuration only; whether questions really arrive is for the running service to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.core.flight import ASKS_END
from penstock.mta.checks import Check, reachable
from penstock.mta.endpoint import Endpoint
from penstock.mta.milter_checks import asked_locally, examine_milters
from penstock.mta.postconf import Config, Postfix, PostfixError, Service
from penstock.mta.postfix import require_version
from penstock.mta.restrictions import (
    DATA,
    END,
    RCPT,
    STAGES,
    Entry,
    Found,
    IsOurs,
    find,
    ours_at,
    says_ours,
    words,
)
from penstock.mta.smarthost import NO_SMARTHOST, Smarthost
from penstock.mta.smarthost_checks import entry_of, examine_smarthost

_EARLY = ("smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions")
_RELAY = "smtpd_relay_restrictions"
_LISTS = (*_EARLY, _RELAY, RCPT, DATA, END)


@dataclass(frozen=True)
class _Seen:
    """A service, and where in its lists our entry stands."""

    service: Service
    lists: dict[str, Found]

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def stages(self) -> list[str]:
        asked = {RCPT if name in (*_EARLY, _RELAY) else name for name in self.lists}
        return [said for name, said in STAGES.items() if name in asked]

    @property
    def entries(self) -> list[Entry]:
        return [found.entry for found in self.lists.values() if found.entry]


def examine(
    config_dir: Path | None,
    addresses: Sequence[object],
    milters: Mapping[str, bool] | None = None,
    smarthost: Smarthost = NO_SMARTHOST,
    scores: Collection[str] = (),
) -> list[Check]:
    """Look at the Postfix of a configuration folder (None: the machine's own).

    ``addresses``: where our policy service listens, as ``127.0.0.1:10040`` or ``unix:/path``; ``milters``:
    where our milters do, each with whether it is for SMTP clients; ``smarthost``: those for professional
    customers; ``scores``: lists of milters in which we look for the score of a spam filter.
    """
    postfix = Postfix(config_dir)
    try:
        version = postfix.version()
        require_version(version)
        config = postfix.read()
    except PostfixError as error:
        return [Check("postfix", False, str(error), error.hint)]
    listening = [Endpoint.parse(str(each)) for each in addresses]
    seen = [_look(config, service, _ours(listening, config.queue)) for service in config.services]
    asking = [each for each in seen if each.lists]
    found = [Check("postfix", True, f"Postfix {version}, configured in {postfix.folder}.")]
    local = [Endpoint.parse(each) for each, smtp in (milters or {}).items() if not smtp]
    for_smtp = [Endpoint.parse(each) for each, smtp in (milters or {}).items() if smtp]
    if asking or not (for_smtp or smarthost.listening):
        found += _asked(seen, asking)
    for each in asking:
        found += [*_stages(each), *_placement(each), *_entry(each, config, listening), *_socket(each, config)]
    found += examine_milters(config, local, for_smtp, bool(asking), scores)
    found += examine_smarthost(config, smarthost, [each.name for each in asking])
    found += _bypasses(config, [each for each in seen if not entry_of(config, each.service, smarthost)])
    if not asked_locally(config, local):
        found.append(_local(config))
    return found


def _ours(listening: Sequence[Endpoint], queue: str) -> IsOurs:
    tests = [ours_at(each, queue) for each in listening]
    return lambda entry: says_ours(entry) or any(test(entry) for test in tests)


def _look(config: Config, service: Service, is_ours: IsOurs) -> _Seen:
    found = {name: find(config.value(service, name), is_ours) for name in _LISTS}
    return _Seen(service, {name: each for name, each in found.items() if each.entry})


def _asked(seen: Sequence[_Seen], asking: Sequence[_Seen]) -> Iterator[Check]:
    if not seen:
        yield Check("asks", False, "master.cf has no SMTP server (smtpd) at all.")
    elif not asking:
        hint = "penstock setup postfix prints what is missing; with --apply it does it."
        yield Check("asks", False, "No SMTP server of Postfix asks us.", hint)


def _stages(each: _Seen) -> Iterator[Check]:
    yield Check("asks", True, f"{each.name} asks us at {', '.join(each.stages)}.")
    for name, why in (
        (RCPT, "single recipients cannot be refused"),
        (END, "mail refused after RCPT stays charged"),
    ):
        if STAGES[name] not in each.stages:
            text = f"{each.name} does not ask at {STAGES[name]}: {why}."
            yield Check("stages", False, text, "penstock setup postfix prints the missing line.")
    early = [name for name in (*_EARLY, _RELAY) if name in each.lists]
    if early:
        text = f"{each.name} asks us in {early[0]}, which is not its place."
        yield Check("stages", None, text, f"Move our entry to {RCPT}.")
    yield from (_twice(each, name) for name, found in each.lists.items() if found.times > 1)


def _twice(each: _Seen, name: str) -> Check:
    return Check(
        "stages", None, f"{each.name} asks us {each.lists[name].times} times in {name}; once will do."
    )


def _placement(each: _Seen) -> Iterator[Check]:
    behind = {name: found.behind for name, found in each.lists.items() if found.behind and name in STAGES}
    for name, word in behind.items():
        text = f"{each.name}: {name} has {word} before our entry: whom it settles we never see."
        yield Check("placement", False, text, "Put our entry first; penstock setup postfix does.")
    if not behind:
        yield Check("placement", True, f"{each.name}: nothing permits or ends before our entry.")
    maybe = sorted({word for found in each.lists.values() for word in found.maybe})
    if maybe:
        text = f"{each.name}: {', '.join(maybe)} before our entry may answer OK and so bypass us."
        yield Check("placement", None, text, "Put our entry before it, unless that is meant.")


def _entry(each: _Seen, config: Config, listening: Sequence[Endpoint]) -> Iterator[Check]:
    """What our entry says: where it asks, what happens without us."""
    texts = {entry.text for entry in each.entries}
    if len(texts) > 1:
        text = f"{each.name}: our entry differs between its lists, so each has a connection of its own."
        yield Check("same-text", False, text, "Give all lists the identical text, or $penstock_policy.")
    elif len(each.entries) > 1:
        yield Check("same-text", True, f"{each.name}: all lists have the identical entry.")
    yield _fail_open(each, config)
    yield _context(each, config)
    if "1" in _said(each, config, "try_limit"):
        text = f"{each.name}: with try_limit=1 a broken connection is not opened again in that SMTP session."
        yield Check("fail-open", False, text, "Leave try_limit out.")
    for server in sorted({entry.server for entry in each.entries}):
        yield _address(each, server, config, listening)
    if any(entry.trial for entry in each.entries):
        text = (
            f"{each.name}: trial (warn_if_reject): REJECT and DEFER only warn; HOLD and DISCARD take effect."
        )
        yield Check("trial", None, text, "End it: penstock setup postfix --apply, without --trial.")


def _said(each: _Seen, config: Config, option: str) -> list[str]:
    """What our entries say about an option, or Postfix's setting for all policy services."""
    general = config.value(each.service, f"smtpd_policy_service_{option}")
    return [entry.options.get(option, general) for entry in each.entries]


def _fail_open(each: _Seen, config: Config) -> Check:
    closed = [said for said in _said(each, config, "default_action") if said.upper().split()[:1] != ["DUNNO"]]
    if closed:
        text = f"{each.name}: while we are away every recipient is answered: {closed[0]}. Mail stops with us."
        return Check("fail-open", False, text, "Add default_action=DUNNO to our entry.")
    return Check("fail-open", True, f"{each.name}: mail goes on while we are away (default_action=DUNNO).")


def _context(each: _Seen, config: Config) -> Check:
    told = set(_said(each, config, "policy_context")) == {ASKS_END}
    if told and END not in each.lists:
        text = (
            f"{each.name}: policy_context promises END-OF-MESSAGE, but it is not asked: mail is not counted."
        )
        return Check("context", False, text, "Ask in smtpd_end_of_data_restrictions too.")
    if told:
        return Check("context", True, f"{each.name}: policy_context says that END-OF-MESSAGE is asked.")
    text = f"{each.name}: policy_context does not say that END-OF-MESSAGE is asked; we learn it only later."
    return Check("context", None, text, "penstock setup postfix prints the entry as it should be.")


def _address(each: _Seen, server: str, config: Config, listening: Sequence[Endpoint]) -> Check:
    try:
        asked = Endpoint.parse(server)
    except ValueError:
        return Check("address", False, f"{each.name} asks {server}, which is no address we understand.")
    if any(asked.same(each, config.queue) for each in listening):
        return Check("address", True, f"{each.name} asks {server}, where we listen.")
    where = ", ".join(str(each) for each in listening) or "nowhere"
    hint = "penstock setup postfix --listen ADDRESS --apply, or change listen.policy."
    return Check("address", False, f"{each.name} asks {server}, but we listen at {where}.", hint)


# --- Unix sockets ---------------------------------------------------------------------------


def _socket(each: _Seen, config: Config) -> Iterator[Check]:
    for server in sorted({entry.server for entry in each.entries if entry.server.startswith("unix:")}):
        path = Endpoint(path=server[5:]).absolute(config.queue)
        if each.service.chroot and server.startswith("unix:/"):
            text = f"{each.name} runs chrooted in {config.queue} and cannot see {path}."
            yield Check("socket", False, text, f"Listen at unix:{config.queue}/penstock/policy.sock.")
        else:
            yield reachable(each.name, path, config.main.get("mail_owner", "postfix"))


# --- what slips past ------------------------------------------------------------------------


def _bypasses(config: Config, seen: Sequence[_Seen]) -> Iterator[Check]:
    asking = any(RCPT in each.lists or END in each.lists for each in seen)
    for each in seen:
        if each.service.reinjects:
            yield from _again(each, asking)
        elif not each.lists:
            yield from _unasked(each, config)
    if not config.yes(None, "smtpd_delay_reject"):
        text = "smtpd_delay_reject = no: lists before RCPT are asked without a recipient."
        yield Check(
            "delay-reject", None, text, "Our entry belongs into the recipient and end-of-data lists only."
        )
    for other in config.others:
        if other.endswith(" qmqpd"):
            yield Check("bypass", None, f"{other.split()[0]} (qmqpd) takes mail without asking any policy.")


def _again(each: _Seen, asking: bool) -> Iterator[Check]:
    """A service that takes mail back from a content filter."""
    if each.lists and asking:
        text = f"{each.name} takes mail back from a content filter and asks us again: counted twice."
        hint = f"penstock setup postfix --for smarthost prints how to spare {each.name}."
        yield Check("reinjection", False, text, hint)


def _unasked(each: _Seen, config: Config) -> Iterator[Check]:
    service = each.service
    short = each.name.rpartition("/")[0]
    if config.yes(service, "smtpd_sasl_auth_enable"):
        text = f"{each.name} takes mail from logged-in users and does not ask us."
        yield Check("bypass", False, text, f"penstock setup postfix --service {short}")
        return
    permits = any("permit_mynetworks" in config.value(service, name) for name in _LISTS)
    networks = words(config.value(service, "mynetworks"))
    if permits and any(not each.startswith(("127.", "[::1]")) for each in networks):
        text = f"{each.name} relays for mynetworks ({', '.join(networks)}) and does not ask us."
        yield Check("bypass", None, text, "If customers' servers are among them: --for smarthost.")


def _local(config: Config) -> Check:
    who = config.expanded.get("authorized_submit_users", "static:anyone")
    text = f"Local mail (sendmail, cron, PHP's mail()) is not asked about; who may: {who}."
    hint = "authorized_submit_users = !www-data, static:all is Postfix's own stop for one account."
    return Check("local", None, text, hint)
