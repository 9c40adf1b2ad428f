"""From the effective document to Settings. Every part reports what is wrong and goes on."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Any

from penstock.config import keys, watch
from penstock.config.content import content_of
from penstock.config.detection import USUAL, detection_of
from penstock.config.local import local_of
from penstock.config.professional import professional_of
from penstock.config.queue import queue_of
from penstock.config.replies import own_rules, reply_rules
from penstock.config.report import ConfigError, Spot, meant
from penstock.config.rules import check_newcomer, under, unit_limits
from penstock.config.scalars import LANGUAGE, REALM
from penstock.config.settings import (
    Address,
    CommandSource,
    DirectorySettings,
    Listen,
    ReportSettings,
    Settings,
    SqlSource,
)
from penstock.config.table import Key, Section, Table, as_table
from penstock.config.toml import shown
from penstock.core.limits import Mode
from penstock.core.names import BadSender, Naming, login_key, parse_sender
from penstock.core.policy import Action, Entry, Override, PauseRule, Policy, Profile, Texts, Verb
from penstock.core.replies import Rule

Document = Mapping[str, Any]

_LOSES = {Verb.REJECT, Verb.DISCARD}
_GOES_ON = {Verb.PASS, Verb.MARK}


def build(file: Document, document: Document, spot: Spot, at: float) -> Settings:
    """Settings from the effective ``document``; ``file`` is what the operator wrote of it."""
    top = Table(document, spot, keys.FILE)
    mode = top.get(keys.FILE_MODE)
    naming = _naming(document["names"], spot.key("names"))
    profiles = _profiles(file, document["profiles"], spot.key("profiles"), mode)
    texts = _texts(document["texts"], spot.key("texts"))
    table = Table(document["listen"], spot.key("listen"), keys.LISTEN)
    listen = _listen(table)
    _check_milter(listen, profiles, spot.key("profiles"))
    queue = queue_of(document["queue"], spot.key("queue"))
    if listen.milter and queue.mta == "off":
        _check_holds(profiles, spot.key("queue").key("mta"))
    professional = professional_of(document["professional"], spot.key("professional"), naming, profiles)
    if bool(professional) != bool(listen.milter_smarthost):
        table.spot(keys.MILTER_SMARTHOST).warn("a listener and [professional] customers belong together")
    policy = Policy(
        profiles=profiles,
        defaults=_defaults(document["defaults"], spot.key("defaults"), profiles),
        overrides=_senders(document.get("senders", {}), spot.key("senders"), naming, profiles, mode, at),
        naming=naming,
        texts=texts,
        language=_language(top, texts),
        on_error=_on_error(top),
        newcomer_watch=float(top.get(keys.NEWCOMER_WATCH)),
        replies=_replies(document.get("replies", []), spot.key("replies")),
        detection=detection_of(document["detection"], spot.key("detection"), mode),
    )
    return Settings(
        policy=policy,
        listen=listen,
        state=top.get(keys.STATE),
        silence=table.get(keys.SILENCE),
        mode=mode,
        directory=_directory(document["directory"], spot.key("directory"), naming, profiles),
        logs=watch.logs(document["logs"], spot.key("logs")),
        local=local_of(document["local"], spot.key("local")),
        reports=_reports(document["reports"], spot.key("reports")),
        queue=queue,
        content=content_of(document["content"], spot.key("content")),
        professional=professional,
        document=document,
    )


# --- the file ---------------------------------------------------------------------------------


def _on_error(top: Table) -> Action:
    action = top.get(keys.ON_ERROR)
    if action.verb in _LOSES:
        top.spot(keys.ON_ERROR).warn(f'"{action}": an error of Penstock\'s own would lose mail')
    return action


def _language(top: Table, texts: Collection[str]) -> str:
    language = top.get(keys.FILE_LANGUAGE)
    if language and language not in texts:
        top.spot(keys.FILE_LANGUAGE).wrong(f"{shown(language)}: has no texts{meant(language, texts)}")
    return language


def _listen(table: Table) -> Listen:
    listen = Listen(
        table.get(keys.POLICY),
        table.get(keys.HTTP),
        table.get(keys.MILTER),
        table.get(keys.MILTER_SMTP),
        table.get(keys.MILTER_SMARTHOST),
    )
    ours = {keys.POLICY: listen.policy, keys.MILTER: listen.milter, keys.MILTER_SMTP: listen.milter_smtp}
    ours[keys.MILTER_SMARTHOST] = listen.milter_smarthost
    for key, addresses in ours.items():
        for address in addresses:
            _check_reach(address, table.spot(key))
    if listen.http is not None:
        _check_reach(listen.http, table.spot(keys.HTTP))
    if not listen.policy and not listen.milter_smtp:
        about = " about mail of SMTP clients" if listen.milter else ""
        table.spot(keys.POLICY).warn(f"no listener: Postfix cannot ask{about}")
    return listen


def _check_milter(listen: Listen, profiles: Mapping[str, Profile], spot: Spot) -> None:
    """Warn about actions that a milter cannot take."""
    for name, profile in profiles.items() if listen.milter or listen.milter_smtp else ():
        for what in ("over_limit", "paused", "locked"):
            if getattr(profile, what).verb is Verb.REROUTE:
                spot.key(name).key(what).warn("a milter cannot reroute: such mail is held")


def _check_holds(profiles: Mapping[str, Profile], spot: Spot) -> None:
    """Warn about mail that nobody lets go."""
    holds = [name for name, profile in profiles.items() if profile.over_limit.verb is Verb.HOLD]
    if holds:
        profiles_named = " and ".join(f'"{name}"' for name in holds)
        spot.warn(f'"off": what {profiles_named} holds over a limit waits until a person releases it')


def _check_reach(address: Address, spot: Spot) -> None:
    try:
        ip = ip_address(address.host)
    except ValueError:
        return
    if ip.is_unspecified or ip.is_global:
        spot.warn(f'"{address}": strangers may reach it, and it asks nobody for a password')


def _reports(value: object, spot: Spot) -> ReportSettings:
    reports = watch.reports(value, spot)
    for address in reports.listen:
        _check_reach(address, spot.key(watch.LISTEN.name))
    return reports


def _replies(value: object, spot: Spot) -> tuple[Rule, ...]:
    """The operator's rules, then the built-in ones."""
    try:
        return reply_rules({"replies": value}) + own_rules()
    except ConfigError as wrong:
        spot.report.problems.extend(wrong.problems)
        return own_rules()


# --- names ------------------------------------------------------------------------------------


def _naming(value: object, spot: Spot) -> Naming:
    table = Table(value, spot, keys.NAMES)
    realms = _realms(table.get(keys.REALM_ALIASES), table.spot(keys.REALM_ALIASES))
    plain = Naming(table.get(keys.DEFAULT_REALM), realms, plus_tags=table.get(keys.PLUS_TAGS))
    aliases = {
        login_key(name, plain).removeprefix("login:"): login_key(to, plain).removeprefix("login:")
        for name, to in table.get(keys.ALIASES).items()
    }
    _check_chains(aliases, table.spot(keys.ALIASES))
    return replace(plain, aliases=aliases)


def _realms(pairs: Mapping[str, str], spot: Spot) -> dict[str, str]:
    found = {}
    for name, to in pairs.items():
        here = spot.key(name)
        found[REALM.take(name, here)] = REALM.take(to, here)
    _check_chains(found, spot)
    return found


def _check_chains(aliases: Mapping[str, str], spot: Spot) -> None:
    """An alias is followed once, so it must lead to a name that is none."""
    for name, to in aliases.items():
        if to == name:
            spot.key(name).wrong(f"{shown(to)}: leads to itself")
        elif to in aliases:
            spot.key(name).wrong(f"{shown(to)}: is itself an alias; write {shown(aliases[to])}")


# --- profiles ---------------------------------------------------------------------------------


def _profiles(file: Document, value: object, spot: Spot, mode: Mode) -> dict[str, Profile]:
    written = file.get("profiles")
    own = written if isinstance(written, dict) else {}
    found = {}
    for name, table in as_table(value, spot).items():
        mine = own.get(name, {})
        found[name] = _profile(name, table, spot.key(name), mine if isinstance(mine, dict) else {}, mode)
    return found


def _profile(name: str, value: object, spot: Spot, own: Document, file_mode: Mode) -> Profile:
    table = Table(value, spot, keys.PROFILE, own)
    table.get(keys.LIKE)
    modes = (file_mode, table.get(keys.PROFILE_MODE))
    newcomer = table.get(keys.NEWCOMER)
    check_newcomer(newcomer, table.spot(keys.NEWCOMER))
    return Profile(
        name=name,
        limits=under(unit_limits(table), *modes),
        parent_limits=under(table.get(keys.PARENTS), *modes),
        newcomer=newcomer,
        trusted=table.get(keys.TRUSTED),
        slowed=table.get(keys.SLOWED),
        probation=table.get(keys.PROBATION),
        probation_for=table.get(keys.PROBATION_FOR),
        vouched=table.get(keys.VOUCHED),
        over_limit=table.get(keys.OVER_LIMIT),
        paused=_stopping(table, keys.PAUSED),
        locked=_stopping(table, keys.LOCKED),
        pauses=_pauses(table.get(keys.PAUSE), modes),
        usual=table.get(USUAL),
    )


def _stopping(table: Table, key: Key[Action]) -> Action:
    action = table.get(key)
    if table.has(key) and action.verb in _GOES_ON:
        table.spot(key).warn(f'"{action}": a {key.name} sender would go on sending')
    return action


def _pauses(rules: tuple[PauseRule, ...], modes: tuple[Mode, ...]) -> tuple[PauseRule, ...]:
    return tuple(replace(rule, limit=limit) for rule in rules for limit in under((rule.limit,), *modes))


def _check_profile(name: str, spot: Spot, profiles: Collection[str]) -> None:
    if name and name not in profiles:
        spot.wrong(f"{shown(name)}: no such profile{meant(name, profiles)}")


def _defaults(value: object, spot: Spot, profiles: Collection[str]) -> dict[str, str]:
    table = Table(value, spot, keys.DEFAULTS)
    found = {}
    for kind, key in keys.DEFAULT_KEYS.items():
        found[kind] = table.get(key)
        _check_profile(found[kind], table.spot(key), profiles)
    return found


# --- senders and texts ------------------------------------------------------------------------


def _senders(
    value: object, spot: Spot, naming: Naming, profiles: Collection[str], mode: Mode, at: float
) -> dict[str, Override]:
    found: dict[str, Override] = {}
    for typed, written in as_table(value, spot).items():
        here = spot.key(typed)
        key = _sender_key(typed, here, naming)
        if key in found:
            here.wrong(f"stands here twice: it is {key}")
        found[key] = _override(key, written, here, profiles, mode, at)
    return found


def _sender_key(typed: str, spot: Spot, naming: Naming) -> str:
    try:
        return parse_sender(typed, naming)
    except BadSender as wrong:
        spot.wrong(str(wrong))
        return typed


def _override(
    key: str, value: object, spot: Spot, profiles: Collection[str], mode: Mode, at: float
) -> Override:
    table = Table(value, spot, keys.SENDER)
    profile = table.get(keys.SENDER_PROFILE) or None
    _check_profile(profile or "", table.spot(keys.SENDER_PROFILE), profiles)
    limits = unit_limits(table, keys.SENDER_LIMITS)
    if not any(table.has(one) for one in (keys.SENDER_PROFILE, *keys.SENDER_LIMITS)):
        spot.wrong("says nothing: give a profile, recipients, messages, bytes or outcomes")
    until = table.get(keys.UNTIL)
    if until is not None and until <= at:
        table.spot(keys.UNTIL).warn("the exception has ended: it no longer holds and may be removed")
    return Override(key, profile, under(limits, mode), until, why=table.get(keys.WHY))


def _texts(value: object, spot: Spot) -> dict[str, Texts]:
    found = {}
    for language, written in as_table(value, spot).items():
        here = spot.key(language)
        table = Table(written, here, keys.TEXTS)
        texts = {name: table.get(key) for name, key in keys.TEXT_KEYS.items()}
        found[LANGUAGE.take(language, here)] = Texts(**texts)
    return found


# --- directory --------------------------------------------------------------------------------


def _directory(value: object, spot: Spot, naming: Naming, profiles: Collection[str]) -> DirectorySettings:
    tables = as_table(value, spot)
    Table(tables, spot, keys.DIRECTORY)
    logins: dict[str, Entry] = {}
    for typed, entry in as_table(tables.get("logins", {}), spot.key("logins")).items():
        here = spot.key("logins").key(typed)
        key = login_key(typed.removeprefix("login:"), naming)
        if key in logins:
            here.wrong(f"stands here twice: it is {key}")
        logins[key] = _entry(entry, here, keys.LOGIN, profiles)
    return DirectorySettings(
        logins,
        _networks(tables.get("networks", {}), spot.key("networks"), profiles),
        _sql(tables["sql"], spot.key("sql")) if "sql" in tables else None,
        _command(tables["command"], spot.key("command")) if "command" in tables else None,
    )


def _networks(value: object, spot: Spot, profiles: Collection[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for typed, entry in as_table(value, spot).items():
        here = spot.key(typed)
        read = _entry(entry, here, keys.NETWORK, profiles)
        try:
            network = ip_network(typed)
        except ValueError as wrong:
            here.wrong(f"not a network such as 192.0.2.0/24 ({wrong})")
            continue
        if isinstance(network, IPv6Network) and network.prefixlen > 64:
            here.wrong("IPv6 clients are told apart by their /64: write a prefix of at most 64")
        if str(network) in found:
            here.wrong(f"stands here twice: it is {network}")
        found[str(network)] = read
    return found


def _entry(value: object, spot: Spot, section: Section, profiles: Collection[str]) -> Entry:
    table = Table(value, spot, section)
    profile = table.get(keys.PROFILE_KEY)
    _check_profile(profile, table.spot(keys.PROFILE_KEY), profiles)
    return Entry(
        customer=table.get(keys.CUSTOMER_KEY),
        profile=profile,
        language=table.get(keys.LANGUAGE_KEY),
        contact=table.get(keys.CONTACT_KEY),
        created_at=table.get(keys.CREATED_KEY),
    )


def _sql(value: object, spot: Spot) -> SqlSource:
    table = Table(value, spot, keys.SQL)
    return SqlSource(table.get(keys.URL), table.get(keys.SQL_QUERY), *_patience(table))


def _command(value: object, spot: Spot) -> CommandSource:
    table = Table(value, spot, keys.COMMAND)
    argv = table.get(keys.COMMAND_ARGV)
    if argv and not os.access(argv[0], os.X_OK):
        table.spot(keys.COMMAND_ARGV).warn(f"{shown(argv[0])}: is not there or cannot be run")
    return CommandSource(argv, *_patience(table))


def _patience(table: Table) -> tuple[int, int]:
    return table.get(keys.TTL), table.get(keys.TIMEOUT)
