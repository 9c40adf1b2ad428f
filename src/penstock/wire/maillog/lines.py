"""The front of all log parsers: takes a line apart, finds the program's parser, and counts.

Cost: most lines share their second and their ``host program[pid]`` with a line shortly before; both
are looked up as they stand, so that a line costs a partition, two slices and a dict lookup before its parser
is called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from penstock.wire import weblog
from penstock.wire.maillog import dovecot, exim, php, postfix, saslauthd, wrapper
from penstock.wire.maillog.facts import Fact
from penstock.wire.maillog.kinds import IGNORED, Found, Kind, Parse
from penstock.wire.maillog.stamps import Clock
from penstock.wire.weblog import Roots

PROGRAMS: dict[str, Parse] = {
    "dovecot": dovecot.parse,
    "exim": exim.parse,
    "php": php.parse,
    "saslauthd": saslauthd.parse,
    wrapper.PROGRAM: wrapper.parse,
}
"""Programs other than Postfix. ``dovecot``, ``exim`` and ``php`` are also the parsers of files of their own
format, whose lines name neither host nor program."""

KINDS: tuple[Kind, ...] = (
    Kind("syslog", "last message repeated ", "syslog folded equal lines"),
    *postfix.KINDS,
    *exim.KINDS,
    *dovecot.KINDS,
    *php.KINDS,
    *saslauthd.KINDS,
)
"""All kinds of lines that are knowingly ignored."""

STAMP = slice(15)
CLASSIC, PRECISE, NOWHERE = slice(16, None), slice(33, None), slice(1 << 30, None)
"""Where ``host program`` begins after a stamp of RFC 3164, of RFC 3339, and after none. Made once: a third of
the cost of cutting is to make the slice."""

MOST_ROUTES = 8192
MOST_NAME = 300
MOST_DAEMONS = 100
MOST_SAMPLE = 300
OTHERS = "(others)"
NO_STAMP = "(no stamp)"
NO_PROGRAM = "(no program)"

_TAG = re.compile(r"([^\s(]+) ([^\s\[:]+)(?:\[\d*\])?")
_UNPADDED = re.compile(r"([A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d) ")
_REPEATED = re.compile(r"\S.{14,40} (?:\S+ )?(?:-+ )?last message repeated \d+ times?")
_EXIM_PID = re.compile(r"(?: \[\d+\])? ")
_EXIM_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?(?: \[\d+\])? ")


def _unheard(at: float, scope: str, text: str) -> Found:
    """A daemon of Postfix that we have not heard of, or no program at all."""
    return None


Route = tuple[Parse, str, str]
"""Where the lines of one ``host program[pid]`` go: (parser, scope, daemon). A plain tuple: the quickest."""

NO_ROOTS = Roots()

FOREIGN: Route = (_unheard, "", "")
UNTAGGED: Route = (_unheard, "", NO_PROGRAM)


class Reader:
    """Lines in, facts out. ``host`` is the name of the machine whose lines do not tell one. ``roots``: by
    which a web server's lines name scripts; without any they are ignored.

    Counts: ``understood`` (facts), ``ignored`` (kinds in ``KINDS``), ``foreign`` (programs not read),
    ``unknown`` by daemon, with the last such line of each in ``samples``.
    """

    def __init__(self, clock: Clock, host: str = "localhost", roots: Roots = NO_ROOTS) -> None:
        self.clock = clock
        self._roots = roots
        self.understood = 0
        self.ignored = 0
        self.foreign = 0
        self.unknown: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self._stamp: str | None = None  # that of the last line, if it can come again
        self._at, self._tag = 0.0, NOWHERE
        self._routes: dict[str, Route] = {}
        self._exim = _route(host, "exim")
        self._php = _route(host, "php")
        self._dovecot = _route(host, "dovecot")
        self._is_exim = False  # whether the file is Exim's own

    def feed_lines(self, lines: Iterable[str]) -> list[Fact]:
        """What lines without their line ends say, in their order."""
        facts: list[Fact] = []
        add, route_of = facts.append, self._routes.get
        classic, precise = self.clock.classic, self.clock.precise
        stamp, at, tag = self._stamp, self._at, self._tag
        ignored = foreign = 0
        for line in lines:
            head, _, text = line.partition(": ")
            route = route_of(head[tag])  # cut like the line before, which is nearly always right
            if route is FOREIGN:
                foreign += 1
                continue
            if tag is PRECISE and (told := precise(line)) is not None:
                at = told
            elif line[STAMP] != stamp:
                stamp, before = line[STAMP], tag
                told = classic(stamp)
                if told is not None:
                    at, tag = told, CLASSIC
                else:
                    (at, tag), stamp = self._precise(line), None
                if tag is not before:
                    route = route_of(head[tag])
            found = route[0](at, route[1], text) if route is not None else None
            if found is IGNORED:
                ignored += 1
                continue
            if found is None:
                found = self._unusual(at, line, tag)
            if found is not None:
                add(found)
        self._stamp, self._at, self._tag = stamp, at, tag
        self.ignored += ignored
        self.foreign += foreign
        self.understood += len(facts)
        return facts

    def feed(self, line: str) -> Fact | None:
        """The same for one line."""
        facts = self.feed_lines((line,))
        return facts[0] if facts else None

    def _precise(self, line: str) -> tuple[float, slice]:
        """When, and where ``host program`` begins; (0.0, NOWHERE) when it is no RFC 3339 stamp."""
        at = self.clock.precise(line)
        return (0.0, NOWHERE) if at is None else (at, PRECISE)

    def feed_parts(self, at: float, host: str, program: str, text: str) -> Fact | None:
        """A line that is in parts already (the journal). ``at``: seconds since the epoch."""
        tag = f"{host} {program}"
        fact = self._parsed(self._routes.get(tag) or self._new_route(tag), at, text, text.rstrip())
        self.understood += fact is not None
        return fact

    def _unusual(self, at: float, line: str, tag: slice) -> Fact | None:
        """A line whose tag is new, or that its parser has not known as it stood."""
        return self._otherwise(line) if tag is NOWHERE else self._tagged(at, line, tag.start)

    def _tagged(self, at: float, line: str, start: int) -> Fact | None:
        """``host program[pid]: text`` from ``start`` on."""
        end = line.find(": ", start)
        if end < 0:
            tag, text = line[start:].rstrip(": "), ""
        else:
            tag, text = line[start:end], line[end + 2 :].rstrip()
        route = self._routes.get(tag) or self._new_route(tag)
        if route is UNTAGGED and dovecot.is_process(tag):
            return self._parsed(self._dovecot, at, line, line[start:].rstrip())
        return self._parsed(route, at, line, text)

    def _parsed(self, route: Route, at: float, line: str, text: str) -> Fact | None:
        if route is FOREIGN:
            self.foreign += 1
            return None
        parse, scope, daemon = route
        found = parse(at, scope, text)
        if found is IGNORED:
            self.ignored += 1
            return None
        if found is None:
            return self._not_known(daemon, line)
        return found

    def _otherwise(self, line: str) -> Fact | None:
        """Lines that do not begin with a stamp of the usual forms."""
        if line[:1] == "<":  # <PRI>, RFC 3164 §4.1.1
            end = line.find(">", 1, 6)
            if line[1:end].isdigit() and line[end + 1 : end + 2] != "<":
                rest = line[end + 1 :]
                at = self.clock.classic(rest[:15])
                return self._otherwise(rest) if at is None else self._tagged(at, rest, CLASSIC.start)
        if line[:1] == "[":
            php = self.clock.php(line[1:])
            if php is not None and line.startswith("] ", php[1] + 1):
                return self._parsed(self._php, php[0], line, line[php[1] + 3 :])
        dated = self.clock.dated(line)
        if dated is not None:
            at, end = dated
            if line[10] == "T" and line[end : end + 1] == " ":
                return self._tagged(at, line, end + 1)
            pid = _EXIM_PID.match(line, end)
            if pid is not None:
                self._is_exim = True
                return self._parsed(self._exim, at, line, line[pid.end() :])
        if self._is_exim and line[:1] in (" ", "\t"):
            self.ignored += 1  # an entry that goes on
            return None
        unpadded = _UNPADDED.match(line)
        at_unpadded = unpadded and self.clock.classic(unpadded[1])
        if unpadded and at_unpadded is not None:
            return self._tagged(at_unpadded, line, unpadded.end())
        if weblog.is_line(line):
            return self._requested(line)
        return self._not_known(NO_STAMP, line)

    def feed_request(self, line: str) -> Fact | None:
        """A line of a web server's access log."""
        fact = self._requested(line)
        self.understood += fact is not None
        return fact

    def _requested(self, line: str) -> Fact | None:
        found = weblog.parse(line, self._roots) if self._roots else IGNORED
        if found is IGNORED:
            self.ignored += 1
            return None
        return found if found is not None else self._not_known(NO_STAMP, line)

    def _not_known(self, daemon: str, line: str) -> Fact | None:
        if not line or _REPEATED.match(line):
            self.ignored += 1
            return None
        if daemon not in self.unknown and len(self.unknown) >= MOST_DAEMONS:
            daemon = OTHERS
        self.unknown[daemon] += 1
        self.samples[daemon] = line[:MOST_SAMPLE]
        return None

    def _new_route(self, tag: str) -> Route:
        found = _TAG.fullmatch(tag) if len(tag) <= MOST_NAME else None
        if found is None:
            return UNTAGGED
        if len(self._routes) >= MOST_ROUTES:
            self._routes.clear()
        route = self._routes[tag] = _route(found[1], found[2])
        return route


def _route(host: str, program: str) -> Route:
    """``program`` is ``postfix/submission/smtpd``: the first part names the instance, the last the daemon."""
    instance, slash, _ = program.partition("/")
    daemon = program.rpartition("/")[2]
    scope = f"{host}/{instance}"
    if slash and (daemon in postfix.DAEMONS or instance.startswith("postfix")):
        return postfix.DAEMONS.get(daemon, _unheard), scope, daemon
    parse = PROGRAMS.get(program) or PROGRAMS.get(instance)
    if parse is None:
        return FOREIGN
    if instance.startswith("exim"):
        parse = _without_stamp(parse)
    return parse, scope, instance


def _without_stamp(parse: Parse) -> Parse:
    """Exim writes its own stamp into syslog, too, unless it is told not to (``syslog_timestamp``)."""

    def unstamped(at: float, scope: str, text: str) -> Found:
        found = _EXIM_STAMP.match(text)
        return parse(at, scope, text[found.end() :] if found else text)

    return unstamped
