"""Have Postfix hand professional customers' mail to our milter: what is missing in its configuration.

Three macros of main.cf hold what is ours, so that lists of the operator's only gain a word:
``penstock_milter_smarthost`` (the milter), ``penstock_tags`` (takes tags out of what leaves while we are
away) and ``penstock_pools`` (which transport a pool has). The milter is called last: it signs what the others
left, and reads the scores that they wrote. Tables of patterns in main.cf itself need Postfix 3.7.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from penstock.mta import milters
from penstock.mta.endpoint import Endpoint
from penstock.mta.milters import POOLS, PROFESSIONAL, SMTP, TAGS
from penstock.mta.postconf import Config, Edit, Service
from penstock.mta.restrictions import DATA, END, RCPT, find, ours_at, packed, without, words

STRIPS: Final = ("smtp_header_checks", "smtp_nested_header_checks")
"""What takes a tag out of mail that leaves while our milter is away, and out of mail that it attaches."""

ROUTES: Final = "milter_header_checks"
"""What gives mail the transport of its pool."""

POOL_FIELD: Final = "X-Penstock-Pool"
LISTS: Final = (*milters.LISTS, *STRIPS, ROUTES)
"""What may call a macro of ours."""

PORT: Final = "2525"
"""The service that is made when none is named."""

ONLY_OURS: Final = "permit_mynetworks,permit_sasl_authenticated,reject"
MADE: Final[Mapping[str, str]] = {
    SMTP: f"${PROFESSIONAL}",
    "smtpd_client_restrictions": ONLY_OURS,
    "smtpd_relay_restrictions": ONLY_OURS,
    RCPT: "",
    DATA: "",
    END: "",
}
"""The options of a service that we make."""

_INLINE: Final = (3, 7)
_NEW: Final = re.compile(r"(?:[0-9.]+:|\[[0-9A-Fa-f:]+\]:)?(\d{1,5})", re.ASCII)


@dataclass(frozen=True)
class Smarthost:
    """What the policy file says of professional customers.

    ``listening``: where their milter listens; ``headers``: the fields of their tags; ``pools``: whose
    transports their mail takes; ``networks``: where it comes from.
    """

    listening: tuple[Endpoint, ...] = ()
    headers: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()


NO_SMARTHOST: Final = Smarthost()


@dataclass
class Missing:
    """What is missing, as in a plan."""

    edits: list[Edit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def missing(config: Config, wanted: Smarthost, names: Sequence[str], policy: Endpoint) -> Missing:
    """What is missing until the named services hand their mail to the first listener; ``policy``: where our
    policy service listens, which is not to be asked beside it."""
    found = Missing()
    if not wanted.listening:
        found.problems.append(
            "The policy file has no [listen] milter_smarthost: nobody would look at the tags. Or name the "
            "file (--policy) or the address (--listen)."
        )
    elif not wanted.headers:
        found.problems.append("The policy file has no [professional] customers.")
    else:
        draft = _Draft(config, wanted, found, policy)
        for name in names:
            draft.named(name)
        draft.milter()
        draft.tags()
        draft.pools()
        draft.strangers()
    return found


def places_of(config: Config, name: str) -> list[Service | None]:
    """Where a list of an SMTP client is set: in main.cf (None), and by clients of master.cf themselves."""
    return [None, *(client for client in config.clients if name in client.options)]


def answers(config: Config, tables: str, keys: Sequence[str]) -> dict[str, str]:
    """What a list of tables answers to keys: of several the first that knows."""
    found: dict[str, str] = {}
    for table in words(tables) if keys else ():
        found = config.lookup(table, keys) | found
    return found


def leaving(config: Config, place: Service | None, name: str, headers: Sequence[str]) -> list[str]:
    """Tags that a list lets pass, by Postfix's own answers."""
    said = answers(config, config.value(place, name), [f"{header}: probe" for header in headers])
    takes = ("IGNORE", "STRIP")
    return [each for each in headers if not said.get(f"{each}: probe", "").upper().startswith(takes)]


def routes(config: Config, pools: Sequence[str]) -> dict[str, str]:
    """The transport that each pool takes, "" for none, by Postfix's own answers."""
    said = answers(config, config.value(None, ROUTES), [f"{POOL_FIELD}: {pool}" for pool in pools])
    found = {pool: said.get(f"{POOL_FIELD}: {pool}", "").partition(" ") for pool in pools}
    return {
        pool: words[2].strip().partition(":")[0] if words[0].upper() == "FILTER" else ""
        for pool, words in found.items()
    }


def made(config: Config, recorded: Mapping[str, object]) -> list[str]:
    """Entries of master.cf that are still as we made them: services by what they say, transports (of which
    there may be others' with the same options) only where it is ``recorded`` that we did."""
    services = [each.name for each in config.services if each.options == MADE]
    transports = [
        each.name
        for each in config.clients
        if each.name in recorded and each.options == {"syslog_name": _log_name(each.name)}
    ]
    return services + transports


def _log_name(transport: str) -> str:
    return f"postfix/{transport.partition('/')[0]}"


class _Draft:
    """What is missing, in the making."""

    def __init__(self, config: Config, wanted: Smarthost, found: Missing, policy: Endpoint) -> None:
        self.config, self.wanted, self.found = config, wanted, found
        self.listen = wanted.listening[0]
        self.is_ours = ours_at(policy, config.queue)
        self.calls = False

    # --- services -------------------------------------------------------------------------------

    def named(self, name: str) -> None:
        """A service by its name in master.cf; made if it is a port that is not there yet."""
        known = [each for each in self.config.services if name in (each.name, each.name.rpartition("/")[0])]
        for service in known:
            self.found.places.append(service.name)
            self.adapt(service)
        if not known:
            self.make(name)

    def make(self, name: str) -> None:
        """A service of its own, which the policy service is not asked about."""
        other = [each for each in self.config.others if each.startswith(f"{name}/inet ")]
        port = _NEW.fullmatch(name)
        if other or port is None or not 0 < int(port[1]) < 65536:
            what = f"has no SMTP server (smtpd) named {name}"
            self.found.problems.append(f"master.cf {what}; name one, or a port that is to be made (2525).")
        elif not _free(name, int(port[1])):
            self.found.problems.append(
                f"Another program listens on port {name}: name another one (--service)."
            )
        else:
            self.calls = True
            self.found.places.append(f"{name}/inet")
            options = " ".join(f"-o {option}={value}" for option, value in MADE.items())
            why = f"port {port[1]} for professional customers; the milter decides, not our policy service"
            self.found.edits.append(Edit(f"{name}/inet", f"{name} inet n - n - - smtpd {options}", why))

    def adapt(self, service: Service) -> None:
        """A service that is there."""
        hidden = milters.hidden(self.config, [service], self.listen)
        self.found.problems += [hidden] if hidden else []
        if "no_milters" in words(self.config.value(service, "receive_override_options")):
            text = (
                f"{service.name} asks no milter at all: take no_milters out of its receive_override_options."
            )
            self.found.problems.append(text)
        own = self.config.written(service, SMTP)
        entry = milters.entry_in(self.config.value(service, SMTP), [self.listen], self.config.queue)
        if milters.calls(own, PROFESSIONAL):
            self.calls = True
        elif milters.option_of(entry, "default_action") != "accept":
            self.ask(service, own)
        for name in (RCPT, DATA, END):
            if find(self.config.value(service, name), self.is_ours).entry:
                self.spare(service, name)

    def ask(self, service: Service, own: str) -> None:
        """Call our milter behind those that the service has, or inherits."""
        self.calls = True
        kept = [
            word
            for word in words(milters.without(own))
            if not milters.entry_in(word, [self.listen], self.config.queue)
        ]
        copied = kept and SMTP not in service.options
        why = f"{service.name}: hand its mail to our milter" + (
            ", behind main.cf's milters" if copied else ""
        )
        self.edit(service, SMTP, [*self.packed(service, "milters", kept), f"${PROFESSIONAL}"], why)

    def spare(self, service: Service, name: str) -> None:
        """Take our policy service out of a list, or the mail is counted twice."""
        written = self.config.written(service, name)
        rest = without(written, self.is_ours)
        if rest == words(written):
            text = f"{service.name}: a macro in {name} asks our policy service as well. Take it out of there."
            self.found.problems.append(text)
            return
        why = f"{service.name}: the milter decides; do not count its mail a second time"
        self.edit(service, name, self.packed(service, name.removeprefix("smtpd_"), rest), why)

    def packed(self, service: Service, what: str, rest: Sequence[str]) -> list[str]:
        """Words that master.cf can hold."""
        kept, macro = packed(service.name, what, rest)
        self.found.edits += macro
        return kept

    def edit(self, place: Service | None, name: str, value: Sequence[str], why: str) -> None:
        """Set a list."""
        if place is None:
            self.found.edits.append(Edit(name, ", ".join(value), why))
        else:
            self.found.edits.append(Edit(f"{place.name}/{name}", ",".join(value), why))

    def milter(self) -> None:
        """Our entry, if anything calls it."""
        why = (
            "the milter for professional customers; if Penstock is away, mail goes on (default_action=accept)"
        )
        if self.calls:
            self.macro(PROFESSIONAL, milters.written(self.listen.asked(self.config.queue)), why)

    def macro(self, name: str, value: str, why: str) -> None:
        """A macro of ours, before what calls it."""
        if self.config.main.get(name, "") != value:
            self.found.edits.insert(0, Edit(name, value, why))

    # --- tags and pools -------------------------------------------------------------------------

    def tags(self) -> None:
        """Take tags out of what leaves."""
        headers = self.wanted.headers
        lacking = [
            (place, name)
            for name in STRIPS
            for place in places_of(self.config, name)
            if leaving(self.config, place, name, headers)
        ]
        rules = [f"/^({'|'.join(headers)})[[:space:]]*:/ IGNORE"]
        called = any(
            milters.calls(self.config.written(place, name), TAGS)
            for name in STRIPS
            for place in places_of(self.config, name)
        )
        self.tables(TAGS, rules, lacking, called, "while Penstock is away, tags still stay in the house")

    def pools(self) -> None:
        """Give mail with a right tag the transport of its pool, and make that where it is missing."""
        now = routes(self.config, self.wanted.pools)
        lacking: list[tuple[Service | None, str]] = [(None, ROUTES)] if "" in now.values() else []
        rules = [f"/^{POOL_FIELD}: {pool}$$/ FILTER {pool}:$relayhost" for pool in now]
        called = bool(now) and milters.calls(self.config.main.get(ROUTES, ""), POOLS)
        self.tables(POOLS, rules, lacking, called, "mail with a right tag takes the transport of its pool")
        for pool, transport in now.items():
            if transport in ("", pool):
                self.transport(pool)
        filtered = [name for name in self.found.places if self.filters(name)]
        if now and filtered:
            text = f"{filtered[0]}: mail that takes the transport of a pool passes content_filter by."
            self.found.notes.append(text)

    def tables(
        self,
        macro: str,
        rules: Sequence[str],
        lacking: Sequence[tuple[Service | None, str]],
        called: bool,
        why: str,
    ) -> None:
        """Lists that lack ``rules`` are to call the macro that holds them, before what they have."""
        if not lacking and not called:
            return
        if lacking and self._version() < _INLINE:
            self.found.problems.append(self.by_hand(rules, [name for _, name in lacking]))
            return
        for place, name in lacking:
            written = self.config.written(place, name)
            if not milters.calls(written, macro):
                where = place.name if place else "main.cf"
                old = [written] if place is None else self.packed(place, name, words(written))
                self.edit(place, name, [f"${macro}", *filter(None, old)], f"{where}: {why}")
        self.macro(macro, f"regexp:{{ {' '.join(f'{{{rule}}}' for rule in rules)} }}", why)

    def by_hand(self, rules: Sequence[str], names: Sequence[str]) -> str:
        """What to do where tables cannot stand in main.cf."""
        relay = self.config.expanded.get("relayhost", "")
        lines = " and ".join(rule.replace("$$", "$").replace("$relayhost", relay) for rule in rules)
        lists = " and ".join(dict.fromkeys(names))
        return (
            f"Postfix {self.config.version} reads such a table from a file only. Write into one: {lines} "
            f"and put it first in {lists}, as regexp:FILE."
        )

    def transport(self, pool: str) -> None:
        """The client that delivers a pool's mail."""
        if any(each.startswith(f"{pool}/unix ") for each in self.config.others):
            return
        value = f"{pool} unix - - n - - smtp -o syslog_name=postfix/{pool}"
        self.found.edits.append(Edit(f"{pool}/unix", value, f"the transport of the pool {pool}"))
        text = (
            f"The pool {pool} leaves by the address that all mail has, until you set one: "
            f"postconf -P {pool}/unix/smtp_bind_address=ADDRESS"
        )
        self.found.notes.append(text)

    def _version(self) -> tuple[int, ...]:
        return tuple(int(each) for each in re.findall(r"\d+", self.config.version)[:2])

    # --- to know --------------------------------------------------------------------------------

    def filters(self, name: str) -> bool:
        """Whether a service hands its mail to a content filter."""
        service = next((each for each in self.config.services if each.name == name), None)
        return bool(self.config.value(service, "content_filter"))

    def strangers(self) -> None:
        """Customers whom Postfix would turn away."""
        trusted = _networks(words(self.config.value(None, "mynetworks")))
        for network in self.wanted.networks if trusted is not None else ():
            if not any(_within(network, each) for each in trusted or ()):
                text = f"{network} of a professional customer is not in mynetworks: it has to log in."
                self.found.notes.append(text)


def _networks(written: Sequence[str]) -> list[IPv4Network | IPv6Network] | None:
    """The networks of a list; None when it holds anything else, such as tables."""
    try:
        return [ip_network(word.replace("[", "").replace("]", ""), strict=False) for word in written]
    except ValueError:
        return None


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


def _free(name: str, port: int) -> bool:
    """Whether Postfix can listen there, as far as this user may try: if it cannot, its master ends."""
    host = name.rpartition(":")[0].strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
