"""Postfix SMTP access policy delegation (SMTPD_POLICY_README): bytes ↔ attempts.

A request is ``name=value`` lines up to an empty line. One smtpd always sends the same names in
the same order, so the first request's names become a pattern that checks every name and cuts
out the wanted values in one step; a request in another order is read name by name and becomes
the new pattern. Both ways give the same attempt. Unknown names are ignored, missing ones empty.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.core.decision import PASS, Decision
from penstock.core.events import Attempt
from penstock.core.policy import Verb

LONGEST_REQUEST: Final = 64 * 1024
"""Bytes; Postfix's own line length limit keeps real requests far below."""

MOST_LAYOUTS: Final = 64
MOST_ATTRIBUTES: Final = 256

WANTED: Final = (
    "protocol_state",
    "client_address",
    "sender",
    "recipient",
    "recipient_count",
    "queue_id",
    "instance",
    "size",
    "sasl_username",
    "policy_context",
)
"""In Postfix's order, which is the order of ``Attempt`` too."""

DUNNO: Final = b"action=DUNNO\n\n"


class ProtocolError(Exception):
    """The peer does not speak the protocol; the message says what was wrong."""


class Layout:
    """The attribute order of one kind of peer, as a pattern with one group per wanted value."""

    __slots__ = ("groups", "match")

    def __init__(self, names: tuple[str, ...]) -> None:
        present = [name for name in names if name in WANTED]
        missing = [name for name in WANTED if name not in present]
        lines = (
            f"{re.escape(name)}=([^\n]*+)\n" if name in WANTED else f"{re.escape(name)}=[^\n]*+\n"
            for name in names[1:]
        )
        head = "request=smtpd_access_policy\n"
        self.match = re.compile(head + "".join(lines) + "\n" + "()" * len(missing)).fullmatch
        order = present + missing
        self.groups = tuple(order.index(name) + 1 for name in WANTED)


class PolicyCodec:
    """One connection. ``host`` names the asking Postfix, since ``instance`` is unique only there."""

    __slots__ = ("_buffer", "_layout", "host")

    def __init__(self, host: str) -> None:
        self.host = host
        self._buffer = b""
        self._layout: Layout | None = None

    def feed(self, data: bytes, at: float) -> list[Attempt]:
        """The requests that ``data`` completes, received at ``at``; raises ProtocolError.

        The rest waits for more data. After an error the connection is of no use.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        end = data.find(b"\n\n") + 2
        if end == len(data) > 1:
            return [self._attempt(data, at)]
        found = []
        start = 0
        while end > 1:
            found.append(self._attempt(data[start:end], at))
            start = end
            end = data.find(b"\n\n", start) + 2
        self._buffer = data[start:]
        if len(self._buffer) > LONGEST_REQUEST:
            raise ProtocolError(f"a request of more than {LONGEST_REQUEST} bytes")
        if self._buffer.startswith(b"\n"):
            raise ProtocolError("an empty request")
        return found

    def _attempt(self, request: bytes, at: float) -> Attempt:
        if len(request) > LONGEST_REQUEST:
            raise ProtocolError(f"a request of more than {LONGEST_REQUEST} bytes")
        text = request.decode("utf-8", "backslashreplace")
        layout = self._layout
        found = layout.match(text) if layout is not None else None
        if layout is None or found is None:
            layout = self._layout = learn(text)
            found = layout.match(text)
            if found is None:
                raise ProtocolError("not a policy request")
        stage, client, sender, recipient, count, queue_id, instance, size, login, context = found.group(
            *layout.groups
        )
        return Attempt(
            at,
            self.host,
            stage,
            client,
            sender,
            recipient,
            0 if count == "0" else number("recipient_count", count),
            queue_id,
            instance,
            0 if size == "0" else number("size", size),
            login,
            context,
        )


_layouts: dict[tuple[str, ...], Layout] = {}


def learn(text: str) -> Layout:
    """The layout of a request, read line by line; raises ProtocolError naming the fault."""
    names = []
    for line in text[:-2].split("\n"):
        name, equals, _ = line.partition("=")
        if not equals:
            raise ProtocolError(f"a line without '=': {line[:80]!r}")
        names.append(name)
    if not text.startswith("request=smtpd_access_policy\n"):
        raise ProtocolError(f"expected request=smtpd_access_policy, got {text[:80]!r}")
    if len(names) > MOST_ATTRIBUTES:
        raise ProtocolError(f"more than {MOST_ATTRIBUTES} attributes")
    if len(set(names)) < len(names):
        raise ProtocolError("an attribute that occurs twice")
    if "protocol_state" not in names:
        raise ProtocolError("no protocol_state")
    layout = _layouts.get(tuple(names))
    if layout is None:
        if len(_layouts) >= MOST_LAYOUTS:
            _layouts.clear()
        layout = _layouts[tuple(names)] = Layout(tuple(names))
    return layout


def number(name: str, text: str) -> int:
    """A count or size; absent is 0."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ProtocolError(f"{name} is not a number: {text[:80]!r}")
    return int(text)


def render(decision: Decision, stage: str) -> bytes:
    """The answer to a request at ``stage``: access(5) actions, never OK (which ends restrictions)."""
    if decision is PASS or (decision.verb is Verb.MARK and stage == "END-OF-MESSAGE"):
        return DUNNO  # PREPEND is not possible at END-OF-MESSAGE
    if not decision.rendered:
        line = " ".join(_action(decision).split())  # whatever the texts hold, it is one line
        decision.rendered = f"action={line}\n\n".encode("ascii", "backslashreplace")
    return decision.rendered


def _action(decision: Decision) -> str:
    told = f"{decision.text} (ref {decision.reference})"
    match decision.verb:
        case Verb.DEFER:
            return f"DEFER_IF_PERMIT 4.7.1 {told}"
        case Verb.REJECT:
            return f"REJECT 5.7.1 {told}"
        case Verb.HOLD:
            return f"HOLD penstock {decision.rule} (ref {decision.reference})"
        case Verb.DISCARD:
            return f"DISCARD penstock {decision.rule} (ref {decision.reference})"
        case Verb.REROUTE:
            return f"FILTER {decision.argument}"
        case Verb.MARK:
            return f"PREPEND {decision.argument}" + (f" (ref {decision.reference})" * bool(decision.rule))
        case Verb.PASS:
            return "DUNNO"
