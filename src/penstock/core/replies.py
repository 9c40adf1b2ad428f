"""The class of a remote server's reply: what a refusal means and whom it blames.

How it works: the reply is cut, its addresses are taken out, and what remains becomes lower-case words
with one space between them. Rules are data: a phrase is a run of such words. Each phrase is filed under
its rarest pair of neighbours, so a reply is compared only with phrases that share one with it; the first
rule (in the order given) with a matching phrase and fitting code and provider wins. Rules without phrases
go by the code alone. What no rule knows is ``temporary`` (4xx) or ``other``.

Cost: linear in the length of the reply (at most MOST_TEXT characters), some 20 µs; exact repeats cost a
look-up. About 3,000 phrases take 2 MB.
Victims when it is wrong: a list owner blamed for an address that exists, or an account suspected of
spam for a customer's wrong DNS record; so rules prefer a distinct phrase to a bare code.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

MOST_TEXT: Final = 2000
MOST_STATUS: Final = 16
MOST_RELAY: Final = 300
MOST_CACHED: Final = 8192


class ReplyClass(StrEnum):
    """Why a recipient was refused or has to wait."""

    UNKNOWN_USER = "unknown-user"
    INACTIVE_MAILBOX = "inactive-mailbox"
    MAILBOX_FULL = "mailbox-full"
    NO_SUCH_DOMAIN = "no-such-domain"
    NETWORK = "network"
    THROTTLED = "throttled"
    REPUTATION = "reputation"
    CONTENT = "content"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    TOO_BIG = "too-big"
    TEMPORARY = "temporary"
    OTHER = "other"


class Blame(StrEnum):
    """Whom a class speaks against."""

    LIST = "the recipient list"
    CONTENT = "the content or our IP address"
    SETUP = "the customer's setup"
    NOBODY = "nobody"


class Meaning(NamedTuple):
    """What a class means, for a person; ``permanent``: what is assumed of a reply without a code."""

    sentence: str
    blame: Blame
    permanent: bool


MEANINGS: Final[dict[ReplyClass, Meaning]] = {
    ReplyClass.UNKNOWN_USER: Meaning("The address does not exist there.", Blame.LIST, True),
    ReplyClass.INACTIVE_MAILBOX: Meaning(
        "The mailbox was given up, closed or suspended: an old address.", Blame.LIST, True
    ),
    ReplyClass.MAILBOX_FULL: Meaning("The recipient's mailbox has no room.", Blame.NOBODY, False),
    ReplyClass.NO_SUCH_DOMAIN: Meaning(
        "The recipient's domain does not exist or takes no mail.", Blame.LIST, True
    ),
    ReplyClass.NETWORK: Meaning("The other server could not be reached or broke off.", Blame.NOBODY, False),
    ReplyClass.THROTTLED: Meaning(
        "The other server wants fewer messages or connections from us.", Blame.CONTENT, False
    ),
    ReplyClass.REPUTATION: Meaning(
        "Our IP address or the sending domain is blocked or listed for its reputation.", Blame.CONTENT, True
    ),
    ReplyClass.CONTENT: Meaning("The message itself was taken for spam or malware.", Blame.CONTENT, True),
    ReplyClass.POLICY: Meaning(
        "A rule of the other side forbids it: relaying, a restricted recipient, a local policy.",
        Blame.NOBODY,
        True,
    ),
    ReplyClass.AUTHENTICATION: Meaning(
        "SPF, DKIM, DMARC, reverse DNS or a login is missing or wrong.", Blame.SETUP, True
    ),
    ReplyClass.TOO_BIG: Meaning("The message is larger than the other side takes.", Blame.NOBODY, True),
    ReplyClass.TEMPORARY: Meaning(
        "The other side has trouble of its own or asks to try again later.", Blame.NOBODY, False
    ),
    ReplyClass.OTHER: Meaning("No rule knows this reply.", Blame.NOBODY, False),
}


class Verdict(NamedTuple):
    """The class of a reply, whether trying again is vain, and the name of the rule that says so."""

    reply_class: ReplyClass
    permanent: bool
    rule: str


@dataclass(frozen=True)
class Rule:
    """A reply is of the class if it holds any of ``phrases`` and fits ``codes`` and ``providers``.

    ``phrases``: words; case, accents, punctuation and white space do not matter; ``*`` stands for any text,
    ``#`` for a number. ``providers``: endings of the relay's name (``google.com``) or, without a dot,
    a word of the reply (``gsmtp``); empty: all. ``codes``: beginnings of the basic (``55``) or of the
    enhanced code (``5.7``, ``x.7.1``), whole parts of the latter; empty: all.
    ``permanent``: None goes by the reply's own code.
    """

    name: str
    reply_class: ReplyClass
    phrases: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    permanent: bool | None = None


class _Reply(NamedTuple):
    """A reply taken apart: its words, the same as padded text, basic and enhanced code ("" if none), the
    relay's host."""

    words: list[str]
    text: str
    basic: str
    enhanced: str
    host: str


_KEPT = bytes(c if chr(c).isalnum() else 32 for c in bytes(range(128)).lower()) + b" " * 128
_DROPPED = b"'`"
_TO_EDGE = re.compile(r"(?s).*[\s<>()\[\],;:=\"]")
_DOMAIN = re.compile(r"[^\s<>()\[\],;:=\"]*+")
_SAID = re.compile(r"host ([^\s\[\]()]{1,255}) ?\[[0-9a-fA-F.:]{2,45}\]")
# Each begins with a plain class, so that the search skips to it; what must not stand before comes after.
_BASIC = re.compile(
    r"[45](?<![\w.][45])[0-5]\d(?=[ \-#,]|: |$)(?:[ \-][#']?([45]\.\d{1,3}\.\d{1,3})(?!\.?\d))?"
)
_ENHANCED = re.compile(r"[45](?<![\w.][45])\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_AGAIN = re.compile(r"(?<!\S)[45][0-5]\d[- ](?:[45]\.\d{1,3}\.\d{1,3}(?!\S))?")
# Scripts that put no space between words: each sign is a word.
_SIGNS = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")
# What IronPort and Amazon SES say of a reply before they quote it: their guess, not the server's words.
_GUESS = re.compile(r"[45]\.\d\.\d - [A-Za-z ]{4,40} (?=[45]\d\d[- ])")
_NUMBER = "zqnumberqz"


def _folded(text: str) -> str:
    """Without accents and apostrophes, lower case, signs apart, no punctuation."""
    # A single character may stand for eighteen (U+FDFA): cut again.
    decomposed = unicodedata.normalize("NFKD", text)[: 2 * MOST_TEXT].casefold()
    kept = (_kept(c) for c in decomposed if c not in "’'`" and not unicodedata.combining(c))
    return "".join(kept)


def _kept(sign: str) -> str:
    if not sign.isalnum():
        return " "
    return f" {sign} " if sign > "\u0dff" and _SIGNS.match(sign) else sign


def _words(text: str) -> list[str]:
    """The words of a text: lower case, letters and digits only."""
    if text.isascii():
        return text.encode().translate(_KEPT, _DROPPED).decode("ascii").split()
    return _folded(text).split()


_Key = str | tuple[str, str]
"""What a phrase is filed under: two words that are neighbours, or one."""


class _Phrase(NamedTuple):
    """One phrase of the rule of that rank. ``literal``: its longest plain run; ``parts``: all that must
    follow one another, empty when ``literal`` is all; ``keys``: what it can be filed under."""

    rank: int
    literal: str
    parts: tuple[re.Pattern[str], ...]
    keys: tuple[_Key, ...]

    def continues(self, text: str) -> bool:
        """Each part behind the one before: the earliest find is enough, so nothing is tried twice."""
        at = 0
        for part in self.parts:
            found = part.search(text, at)
            if found is None:
                return False
            at = found.end() - 1
        return True


def _phrase(rank: int, written: str) -> _Phrase | None:
    """A phrase as written, ready to be compared; None when there is no word in it."""
    lists = [words for part in written.split("*") if (words := _words(part.replace("#", _NUMBER)))]
    if not lists:
        return None
    parts = [f" {' '.join(words)} " for words in lists]
    literals = [piece for part in parts for piece in part.split(_NUMBER)]
    plain = len(literals) == 1
    patterns = (re.compile(re.escape(part).replace(_NUMBER, r"\d++")) for part in parts)
    return _Phrase(rank, max(literals, key=len), () if plain else tuple(patterns), _keys(lists))


def _keys(lists: list[list[str]]) -> tuple[_Key, ...]:
    """The pairs of neighbours in the runs of words, or the words if there is no pair."""
    pairs = [pair for words in lists for pair in pairwise(words) if _NUMBER not in "".join(pair)]
    return tuple(pairs) or tuple(word for words in lists for word in words if _NUMBER not in word)


def has_words(phrase: str) -> bool:
    """Whether a phrase holds anything to compare by: a word that is neither ``*`` nor a number."""
    found = _phrase(0, phrase)
    return found is not None and bool(found.literal.strip())


def _variants(text: str) -> Iterator[str]:
    """The phrase, and what an MTA logs of it that writes ``?`` for each byte which is not ASCII.

    Not when more than a few letters would be lost: the rest would fit anything.
    """
    yield text
    lost = sum(not c.isascii() for c in text)
    if 0 < lost * 5 <= len(text):
        yield "".join(c if c.isascii() else " " for c in text)


def _filed(phrases: Sequence[_Phrase]) -> dict[_Key, tuple[_Phrase, ...]]:
    """Phrases by their key that the fewest phrases hold; "" for those without a whole word."""
    common = Counter(key for phrase in phrases for key in phrase.keys)
    index: dict[_Key, list[_Phrase]] = {}
    for phrase in phrases:
        key = min(phrase.keys, key=common.__getitem__, default="")
        index.setdefault(key, []).append(phrase)
    return {key: tuple(found) for key, found in index.items()}


def _code_fits(code: str, basic: str, enhanced: str) -> bool:
    """Whether a code as a rule writes it is the beginning of one of the reply's."""
    if "." not in code:
        return basic.startswith(code) or (not basic and len(code) == 1 and enhanced.startswith(code))
    whole = enhanced[:1] + code[1:] if code[0] == "x" and enhanced else code
    return enhanced == whole or enhanced.startswith(f"{whole}.")


def _codes_fit(rule: Rule, basic: str, enhanced: str) -> bool:
    return not rule.codes or any(_code_fits(code, basic, enhanced) for code in rule.codes)


def _fits(rule: Rule, reply: _Reply) -> bool:
    """Whether the reply is of a code and a provider that the rule is for."""
    if not _codes_fit(rule, reply.basic, reply.enhanced):
        return False
    return not rule.providers or any(
        f".{reply.host}".endswith(f".{name}") if "." in name else f" {name} " in reply.text
        for name in rule.providers
    )


def _host(relay: str) -> str:
    """The name in ``mx.example.com[192.0.2.1]:25`` or ``dns; mx.example.com``."""
    return relay.rpartition(";")[2].partition("[")[0].strip().rstrip(".").lower()


def _without_addresses(text: str) -> str:
    """Addresses are no words of the reply: a mailbox could be named ``spam``."""
    first, *between, last = text.split("@")
    kept = [_before_local_part(_behind_domain(piece)) for piece in between]
    return " ".join([_before_local_part(first), *kept, _behind_domain(last)])


def _before_local_part(piece: str) -> str:
    found = _TO_EDGE.match(piece)
    return found[0] if found else ""


def _behind_domain(piece: str) -> str:
    found = _DOMAIN.match(piece)
    return piece[found.end() :] if found else piece


def _taken_apart(text: str, status: str, relay: str) -> _Reply:
    """Codes and words of a reply."""
    if "\\n" in text:
        text = text.replace("\\n", " ")  # as Exim logs a line's end
    if "@" in text:
        text = _without_addresses(text)
    if "host " in text and (said := _SAID.search(text)):
        relay = relay or said[1]
        text = f"{text[: said.start()]} {text[said.end() :]}"
    if " - " in text:
        text = _GUESS.sub("", text, count=1)
    code = _BASIC.search(text)
    basic, enhanced = (code[0][:3], code[1]) if code else ("", None)
    if not enhanced:
        found = _ENHANCED.search(text)
        enhanced = found[0] if found else status
    if basic and f"{basic}-" in text:
        text = _AGAIN.sub(" ", text)  # each line of a reply begins with its code
    words = _words(text)
    return _Reply(words, f" {' '.join(words)} ", basic, enhanced, _host(relay) if relay else "")


class Classifier:
    """Finds the class of replies by rules; earlier rules win."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        phrases = [
            phrase
            for rank, rule in enumerate(rules)
            for text in rule.phrases
            for variant in _variants(text)
            if (phrase := _phrase(rank, variant))
        ]
        self._index = _filed(phrases)
        self._keyless = self._index.pop("", ())
        self._pairs = frozenset(key for key in self._index if isinstance(key, tuple))
        self._singles = frozenset(key for key in self._index if isinstance(key, str))
        self._bare = [(rank, rule) for rank, rule in enumerate(rules) if not rule.phrases]
        self._codes: dict[tuple[str, str], tuple[int, ...]] = {}
        self._cache: dict[tuple[str, str, str], Verdict] = {}

    def classify(self, reply: str, status: str = "", relay: str = "") -> Verdict:
        """The class of a reply as logged or reported, of any length; never raises.

        ``status``: the enhanced code (RFC 3463) that the MTA gives beside the text; ``relay``: who replied.
        """
        key = (reply[:MOST_TEXT], status[:MOST_STATUS], relay[:MOST_RELAY])
        known = self._cache.get(key)
        if known is None:
            if len(self._cache) >= MOST_CACHED:
                self._cache.clear()
            known = self._cache[key] = self._verdict(_taken_apart(*key))
        return known

    def _verdict(self, reply: _Reply) -> Verdict:
        rank = self._by_code(reply, self._by_words(reply))
        final = (reply.basic or reply.enhanced)[:1]
        if rank < len(self.rules):
            rule = self.rules[rank]
            found, name, permanent = rule.reply_class, rule.name, rule.permanent
        else:
            found, name, permanent = _unknown(final), "(no rule)", None
        if permanent is None:
            permanent = final == "5" if final in ("4", "5") else MEANINGS[found].permanent
        return Verdict(found, permanent, name)

    def _by_words(self, reply: _Reply) -> int:
        """The rank of the first rule with a phrase in the reply; the number of rules if there is none."""
        best, words = len(self.rules), reply.words
        for word in self._singles.intersection(words):
            best = self._better(self._index[word], reply, best)
        for pair in self._pairs.intersection(pairwise(words)):
            best = self._better(self._index[pair], reply, best)
        return self._better(self._keyless, reply, best) if self._keyless else best

    def _better(self, phrases: Iterable[_Phrase], reply: _Reply, best: int) -> int:
        """The rank of the first of the phrases that matches before ``best``, else ``best``."""
        text = reply.text
        for phrase in phrases:
            rank, literal, parts, _ = phrase
            if rank >= best:
                break
            if literal in text and (not parts or phrase.continues(text)) and self._fit(rank, reply):
                return rank
        return best

    def _fit(self, rank: int, reply: _Reply) -> bool:
        rule = self.rules[rank]
        return not (rule.codes or rule.providers) or _fits(rule, reply)

    def _by_code(self, reply: _Reply, best: int) -> int:
        """The same for the rules without phrases; what they say of a pair of codes is remembered."""
        key = (reply.basic, reply.enhanced)
        ranks = self._codes.get(key)
        if ranks is None:
            if len(self._codes) >= MOST_CACHED:
                self._codes.clear()
            ranks = self._codes[key] = tuple(rank for rank, rule in self._bare if _codes_fit(rule, *key))
        for rank in ranks:
            if rank >= best:
                break
            if self._fit(rank, reply):
                return rank
        return best


def _unknown(final: str) -> ReplyClass:
    """The class of what no rule knows, by the first digit of its code."""
    return ReplyClass.TEMPORARY if final == "4" else ReplyClass.OTHER
