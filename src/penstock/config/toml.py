"""Writing TOML: tomllib only reads. The output is for people first, so short things stay on a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WIDTH = 100


def quoted(text: str) -> str:
    """A basic string. JSON escapes all that TOML wants escaped except DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def inline(value: object) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(k)} = {inline(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, int) and value.bit_length() > 64:
        return hex(value)  # decimal digits are limited (sys.set_int_max_str_digits)
    return repr(value) if isinstance(value, float) else str(value)


def shown(value: object, most: int = 60) -> str:
    """A value in a message: on one line, cut when it is long."""
    text = inline(value)
    return text if len(text) <= most else f"{text[:most]}…"


def written(document: Mapping[str, object]) -> str:
    """The document as TOML text."""
    return "\n".join(_table((), document)).strip("\n") + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, object]) -> Iterator[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    inner = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    if path and (plain or not inner):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value, len(key))}"
    for key, value in inner.items():
        yield from _table((*path, key), value)


def _value(value: object, indent: int) -> str:
    text = inline(value)
    if not isinstance(value, (list, tuple)) or len(text) + indent + 3 <= _WIDTH:
        return text
    return "[\n" + "".join(f"    {inline(item)},\n" for item in value) + "]"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)
