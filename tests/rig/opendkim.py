"""Signatures looked at by somebody else's code: OpenDKIM's library, its keys from a file, not the DNS."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

_SET, _QUERY_METHOD, _QUERY_INFO, _BY_FILE = (
    1,
    6,
    7,
    1,
)  # dkim.h: DKIM_OP_SETOPT, DKIM_OPTS_…, DKIM_QUERY_FILE


def _library() -> ctypes.CDLL:
    found = ctypes.CDLL(ctypes.util.find_library("opendkim") or "libopendkim.so.11")
    handle, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    found.dkim_init.restype = found.dkim_verify.restype = handle
    found.dkim_init.argtypes = [handle, handle]
    found.dkim_options.argtypes = [handle, ctypes.c_int, ctypes.c_int, handle, size]
    found.dkim_verify.argtypes = [handle, text, handle, ctypes.POINTER(ctypes.c_int)]
    found.dkim_chunk.argtypes = [handle, text, size]
    found.dkim_eom.argtypes = [handle, handle]
    for name in ("dkim_free", "dkim_close"):
        getattr(found, name).argtypes = [handle]
    return found


def verify(message: bytes, records: dict[str, str], folder: Path) -> int:
    """The library's result for the first signature: 0 is good, 1 a bad signature, 2 none. ``records``: name →
    what its TXT record says."""
    keys = folder / "dkim-records"
    keys.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
    library, status = _library(), ctypes.c_int(-1)
    dkim = library.dkim_init(None, None)
    method, path = ctypes.c_int(_BY_FILE), ctypes.create_string_buffer(str(keys).encode())
    library.dkim_options(dkim, _SET, _QUERY_METHOD, ctypes.byref(method), ctypes.sizeof(method))
    library.dkim_options(dkim, _SET, _QUERY_INFO, path, len(str(keys)))
    one = library.dkim_verify(dkim, b"test", None, ctypes.byref(status))
    try:
        assert status.value == 0 and library.dkim_chunk(one, message, len(message)) == 0
        assert library.dkim_chunk(one, b"", 0) == 0
        return int(library.dkim_eom(one, None))
    finally:
        library.dkim_free(one)
        library.dkim_close(dkim)
