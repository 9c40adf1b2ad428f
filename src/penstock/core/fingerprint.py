"""Fingerprints: whether two mails say the same, told without keeping what they say.

Theory. Of a mail's words (no addresses, links, numbers; no case) each pair of neighbours is hashed. Of the
hashes that fall into each of ``BINS`` bins the smallest is kept (min-hash with one permutation): two mails
have as large a share of bins in common as they have of pairs. From ``SAME`` common bins on they are the
same text. On invented mail (bench/fingerprints.py) that holds for 100 in 100 with another name in them, 99
with a strange word after every tenth, 88 after every fifth, 82 to 100 with as much rubbish behind as the text
is long, and for none of 10,000 pairs of unrelated mails. SimHash with 64 bits cost ten times as much and
told the last two apart badly; single words took unrelated long mails for the same, triples lost busted ones.
Links are told by the hash of their domain: paths and tracking numbers do not count.
Privacy. All hashes are keyed: without the installation's secret they say nothing. Who has both the key and
a text can tell whether that text was sent; no text can be computed from a fingerprint.
Cost. About 1 µs a word, ``MOST_WORDS`` at most. Bounded and linear whatever the text is.
Where it fails: texts of fewer than some 25 words (no fingerprint: short mails are alike by chance), texts
that are written anew for each mail, pictures, words drowned in as many hidden ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from html.entities import html5
from itertools import pairwise
from typing import Final, NamedTuple
from zlib import crc32

BINS: Final = 16
SAME: Final = 4
"""Bins in common."""

LEAST_PAIRS: Final = 24
MOST_WORDS: Final = 400
MOST_HOSTS: Final = 8
MOST_CHARACTERS: Final = 3072
MOST_MARKUP: Final = 32_768
KEY_BYTES: Final = 32

_MASK: Final = (1 << 64) - 1
_BIN_SHIFT: Final = 64 - (BINS - 1).bit_length()

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2}|\b[^\W\d_]{3,20}\b")
_ASCII_WORD: Final = re.compile(r"\b[a-z]{3,20}\b", re.ASCII)
"""The same in text of ASCII, in less than half the time."""
_LINK: Final = re.compile(r"https?://(?:[^\s/\"'<>@]{0,64}@)?([^\s/\"'<>@:?#\\()\[\]]{4,100})")
_HOST: Final = re.compile(r"[\w.-]*\w\.\w[\w-]*")
_INLINE: Final = re.compile(
    r"</?(?:a|b|big|em|font|i|s|small|span|strong|sub|sup|u|wbr)\b[^<>]*>", re.IGNORECASE
)
_TAG: Final = re.compile(r"<[^<>]*>")
_ENTITY: Final = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,8}));?")
_UNSEEN: Final = (("<!--", "-->"), ("<style", "</style"), ("<script", "</script"), ("<title", "</title"))

_ALIKE: Final = str.maketrans(
    {
        **dict.fromkeys(
            "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\ufeff", ""
        ),
        **dict(zip("аеіјорсухѕԁһԛԝ", "aeijopcyxsdhqw", strict=True)),
        **dict(zip("αοριυνκ", "aopiuvk", strict=True)),
        **{chr(0xFF41 + i): chr(0x61 + i) for i in range(26)},
        "\u00a0": " ",
    }
)
"""Signs that nobody sees, and letters that look like others: both tell one copy of a mail from the next."""


class Fingerprint(NamedTuple):
    """``text``: the keyed minimum of each bin, () when there is too little text; ``hosts``: keyed hashes of
    the domains that it links to. Numbers of 64 bits."""

    text: tuple[int, ...]
    hosts: tuple[int, ...]


class Printer:
    """Takes fingerprints. ``key``: the installation's secret, of ``KEY_BYTES``, else
    ValueError."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes, {KEY_BYTES} are needed")
        self._hasher = blake2b(key=key, digest_size=8).copy
        self._first, self._second, self._spread = (self._hash(b"n", bytes([i])) | 1 for i in range(3))

    def take(self, words: Sequence[str], hosts: Iterable[str]) -> Fingerprint:
        """The fingerprint of a mail's words, in their order, and of the domains that it links to."""
        numbers = [crc32(word.encode("utf-8", "replace")) for word in words[:MOST_WORDS]]
        pairs = set(pairwise(numbers))
        found = self._minima(pairs) if len(pairs) >= LEAST_PAIRS else ()
        text = (self._hash(b"t", least.to_bytes(8, "little")) for least in found if least <= _MASK)
        links = (self._hash(b"h", host.encode("utf-8", "replace")) for host in hosts)
        return Fingerprint(tuple(text), tuple(links))

    def _minima(self, pairs: Iterable[tuple[int, int]]) -> Sequence[int]:
        """Of each bin the smallest hash; more than 64 bits for an empty one."""
        first, second, spread = self._first, self._second, self._spread
        least = [_MASK + 1] * BINS
        for one, other in pairs:
            mixed = one * first + other * second & _MASK
            mixed = (mixed ^ mixed >> 31) * spread & _MASK
            place = mixed >> _BIN_SHIFT
            if mixed < least[place]:
                least[place] = mixed
        return least

    def _hash(self, kind: bytes, what: bytes) -> int:
        hasher = self._hasher()
        hasher.update(kind + what)
        return int.from_bytes(hasher.digest(), "little")


def words_of(text: str) -> list[str]:
    """The words that two copies of a mail share: no links, addresses, numbers, nor what has digits in it."""
    found = text[:MOST_CHARACTERS].lower()
    ascii_only = found.isascii()
    if not ascii_only:
        found = found.translate(_ALIKE)
    if "@" in found or "://" in found:
        found = " ".join([token for token in found.split() if "@" not in token and "://" not in token])
    return (_ASCII_WORD if ascii_only else _WORD).findall(found)


def hosts_of(text: str) -> list[str]:
    """The domains of a text's first links, HTML or not, each once."""
    found: dict[str, None] = {}
    for match in _LINK.finditer(text[:MOST_MARKUP].lower()):
        host = match[1].rstrip(".")
        if _HOST.fullmatch(host):
            found[domain_of(host)] = None
            if len(found) >= MOST_HOSTS:
                break
    return list(found)


def domain_of(host: str) -> str:
    """What somebody registered, as far as it shows: the last two labels, three below such as ``co.uk``; an
    address as it is."""
    labels = host.split(".")
    if labels[-1].isdigit():
        return host
    second = len(labels[-1]) == 2 and len(labels) > 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if second else -2 :])


def visible(html: str) -> str:
    """The text of HTML, roughly as it is seen: tags within words leave no gap."""
    text = html[:MOST_MARKUP]
    for begin, end in _UNSEEN:
        text = "".join(_outside(text, begin, end))
    text = _TAG.sub(" ", _INLINE.sub("", text))
    return _ENTITY.sub(_character, text)


def _outside(text: str, begin: str, end: str) -> Iterator[str]:
    """What is not between the two marks, whatever their case; one that has no end hides the rest."""
    lower, at = text.lower(), 0
    if len(lower) != len(text):
        text = lower
    while (start := lower.find(begin, at)) >= 0:
        yield text[at:start]
        stop = lower.find(end, start + len(begin))
        if stop < 0:
            return
        at = stop + len(end)
    yield text[at:]


def _character(entity: re.Match[str]) -> str:
    decimal, hexadecimal, name = entity.groups()
    if name:
        return html5.get(f"{name};", " ")
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else " "
