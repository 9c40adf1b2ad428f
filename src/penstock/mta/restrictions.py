"""Postfix's restriction lists: taken apart, our own entry found in them, taken out, put first.

A list's words are separated by commas or blanks; braces hold a word together. A ``permit…`` before
our entry ends the list for whom it permits, and we are never asked about them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.core.flight import ASKS_END
from penstock.mta.endpoint import Endpoint
from penstock.mta.postconf import Edit

RCPT = "smtpd_recipient_restrictions"
DATA = "smtpd_data_restrictions"
END = "smtpd_end_of_data_restrictions"
STAGES = {RCPT: "RCPT", DATA: "DATA", END: "END-OF-MESSAGE"}

MACRO = "penstock_policy"
CALLS = (f"${MACRO}", f"${{{MACRO}}}", f"$({MACRO})")
"""How a list calls the macro of main.cf that holds our entry."""

ASK = "check_policy_service"
TRIAL = "warn_if_reject"
_ENDERS = {"reject", "defer", "defer_if_permit", "reject_unauth_destination", "defer_unauth_destination"}
_MAYBE = re.compile(r"check_\w+_access|check_policy_service")


@dataclass(frozen=True)
class Entry:
    """One ``check_policy_service``: whom it asks, with which options; ``text`` as Postfix compares it."""

    server: str
    text: str
    options: Mapping[str, str] = field(default_factory=dict)
    trial: bool = False

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it asks, or None when that cannot be read."""
        try:
            return Endpoint.parse(self.server)
        except ValueError:
            return None

    @property
    def fails_open(self) -> bool:
        """Mail goes on when the service is away."""
        return self.options.get("default_action", "").upper().split(" ")[0] == "DUNNO"

    @property
    def tells_end(self) -> bool:
        """It says that END-OF-MESSAGE is always asked."""
        return self.options.get("policy_context") == ASKS_END

    @property
    def good(self) -> bool:
        """As we would have written it, but for the place it asks."""
        return self.fails_open and self.tells_end and self.options.get("try_limit") != "1"


IsOurs = Callable[[Entry], bool]


def written(server: str, trial: bool) -> str:
    """The text of our entry."""
    options = f"timeout=10s, default_action=DUNNO, policy_context={ASKS_END}"
    return f"{f'{TRIAL} ' if trial else ''}{ASK} {{ {server}, {options} }}"


def words(value: str) -> list[str]:
    """The words of a list; braces and what is in them are one word."""
    found, word, depth = [], "", 0
    for letter in value:
        depth += (letter == "{") - (letter == "}")
        if depth <= 0 and (letter == "," or letter.isspace()):
            found.append(word)
            word = ""
        else:
            word += letter
    return [each for each in [*found, word] if each]


def items(value: str) -> Iterator[str | Entry]:
    """The words of a list, each policy question as an Entry."""
    left = words(value)
    while left:
        word = left.pop(0)
        trial = word.lower() == TRIAL and bool(left) and left[0].lower() == ASK
        if trial:
            word = left.pop(0)
        yield _entry(left.pop(0), trial) if word.lower() == ASK and left else word


def _entry(text: str, trial: bool) -> Entry:
    if not text.startswith("{"):
        return Entry(text, text, trial=trial)
    server, *rest = words(text[1:].removesuffix("}")) or [""]
    pairs = (each.strip("{} ").partition("=") for each in rest)
    return Entry(server, text, {name.strip(): value.strip() for name, _, value in pairs}, trial)


@dataclass(frozen=True)
class Found:
    """Our entry in a list (or None), and what stands before it.

    ``behind``: the word that ends the list before us for some; ``maybe``: tables and other services
    before us that may. ``times``: how often the list asks us.
    """

    entry: Entry | None = None
    behind: str = ""
    maybe: tuple[str, ...] = ()
    times: int = 0


def ours_at(listen: Endpoint, queue: str) -> IsOurs:
    """Whether an entry asks us: by its context, or because it asks at this address."""

    def is_ours(entry: Entry) -> bool:
        endpoint = entry.endpoint
        return says_ours(entry) or (endpoint is not None and endpoint.same(listen, queue))

    return is_ours


def says_ours(entry: Entry) -> bool:
    """Whether an entry asks us by what it says itself."""
    return entry.options.get("policy_context", "").startswith("penstock/")


def find(value: str, is_ours: IsOurs) -> Found:
    """Look for our entry in a list whose macros are expanded."""
    behind, maybe, entry, times = "", [], None, 0
    for item in items(value):
        if isinstance(item, Entry) and is_ours(item):
            entry, times = entry or item, times + 1
        elif entry is None:
            word = ASK if isinstance(item, Entry) else item
            behind = behind or (word if ends(word) else "")
            maybe += [word] if _MAYBE.fullmatch(word) else []
    return Found(entry, behind, tuple(maybe), times) if entry else Found()


def ends(word: str) -> bool:
    """Whether this restriction ends the list for some clients at least."""
    return word.lower().startswith("permit") or word.lower() in _ENDERS


def without(value: str, is_ours: IsOurs) -> list[str]:
    """The words of a list (macros as written) without our entry or macro; as they are if it has none."""
    kept: list[str] = []
    for item in items(value):
        if isinstance(item, str) and item not in CALLS:
            kept.append(item)
        elif isinstance(item, Entry) and not is_ours(item):
            kept += [*([TRIAL] if item.trial else []), ASK, item.text]
        elif kept and kept[-1].lower() == TRIAL:
            kept.pop()
    return kept


def packed(service: str, what: str, given: Sequence[str]) -> tuple[list[str], list[Edit]]:
    """Words that master.cf can hold, without blanks; else a macro of main.cf, and the edit that makes it."""
    if not any(re.search(r"\s", word) for word in given):
        return list(given), []
    macro = "penstock_" + re.sub(r"\W+", "_", f"{service} {what}").strip("_").lower()
    why = f"what {service} had: master.cf cannot hold its blanks"
    return [f"${macro}"], [Edit(macro, readable(given), why)]


def has_call(value: str) -> bool:
    """Whether a list as written calls our macro itself."""
    return any(item in CALLS for item in items(value))


def readable(given: Sequence[str]) -> str:
    """Words as a list for main.cf: commas, but a check and its table stay together."""
    text = ""
    for before, word in zip(["", *given], given, strict=False):
        glue = "" if not before else " " if _MAYBE.fullmatch(before) or before == TRIAL else ", "
        text += glue + word
    return text
